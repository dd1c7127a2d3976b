"""Pasted text of any kind into one NodeSnapshot: logs, journals, event tables, introspection, metrics, CLI output, mixed.

Refuses to take a missing line for a fact: what was not pasted is *not collected*, what was cut is *truncated*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Optional

from eniagent.model.capture import Capture, Circumstances
from eniagent.model.reading import Observed, Reading, Unobserved, Why, not_collected
from eniagent.model.record import Log
from eniagent.model.snapshot import NodeSnapshot
from eniagent.sources import Span, pasted_documents, pasted_owners, pasted_sorting, read_field
from eniagent.sources.frames import parse_stamp
from eniagent.sources.pasted_frames import said
from eniagent.sources.pasted_lines import decode_text, logical_lines

_BY_FILE = {
    "ipamd/enis.json": "ipam",
    "ipamd/metrics.txt": "metrics",
    "ipamd/checkpoint/ipam.json": "checkpoint",
    "imds/tree.json": "metadata",
    "kubelet/config.json": "kubelet_config",
    "runtime/pods.json": "sandboxes",
}
_FULL_STAMP = re.compile(r"(?<!\d)20\d\d-\d\d-\d\dT?\s?\d\d:\d\d:\d\d")


def read_pasted(texts: Sequence[tuple[str, bytes]], *, now: datetime) -> NodeSnapshot:
    """Everything that the named texts tell. `now` only supplies what a text without times or years lacks. Never raises on any bytes."""
    decoded = [(name, decode_text(data)) for name, data in texts]
    sorter = pasted_sorting.Sorter()
    reference = _newest_stamp([text for _, text in decoded]) or now
    for name, text in decoded:
        sorter.foreign = pasted_owners.is_foreign(text)
        found = pasted_documents.find(name, text)
        for value, ref in found.documents:
            sorter.document(value, ref)
        for fragment, ref in found.fragments:
            sorter.fragment(fragment, ref)
        for line in logical_lines(name, found.rest):
            if line.text.strip():
                sorter.line(said(line, reference))
    return _snapshot(sorter, now=now)


def _newest_stamp(texts: list[str]) -> Optional[datetime]:
    stamps = (parse_stamp(m.group()) for text in texts for m in _FULL_STAMP.finditer(text))
    return max((s for s in stamps if s), default=None)


def _snapshot(sorter: pasted_sorting.Sorter, *, now: datetime) -> NodeSnapshot:
    timeless = sorter.newest is None
    taken_at = sorter.newest or _print_time(sorter, now)
    fields: dict[str, Any] = {
        "ipamd_log": _log("ipamd", sorter, taken_at),
        "plugin_log": _log("plugin", sorter, taken_at),
        "kubelet": sorter.got.journal("kubelet", taken_at),
        "containerd": sorter.got.journal("containerd", taken_at),
        "ipam": not_collected("ipamd introspection"),
    }
    if sorter.pool_pieces:
        fields["ipam"] = Unobserved(why=Why.TRUNCATED, source="ipamd introspection", at=taken_at, detail="only a piece of /v1/enis was pasted")
    span = Span(until=taken_at)
    for file, data in sorter.captures().items():
        fields[_BY_FILE[file]] = read_field(_BY_FILE[file], {file: Capture(Circumstances(probe="pasted", file=file), data)}, span)
    if sorter.max_pods is not None:
        fields["kubelet_config"] = Observed(value=sorter.max_pods, source="pasted text", at=taken_at)
    if sorter.environment is not None:
        fields["environment"] = Observed(value=sorter.environment, source="pasted text", at=taken_at)
    return NodeSnapshot(taken_at=taken_at, told={**sorter.told, "origin": "pasted"}, timeless=timeless, **fields)


def _print_time(sorter: pasted_sorting.Sorter, now: datetime) -> datetime:
    """Without a log line's time *now* is not in the text. A print of `/v1/enis` is younger than all in it: by how much, nobody knows.

    A minute is added, so that no address is said to be cooling which may have been free for hours.
    """
    inside = sorter.newest_inside
    return inside + timedelta(seconds=60) if inside is not None else now


def _log(program: str, sorter: pasted_sorting.Sorter, at: datetime) -> Reading[Log]:
    log = sorter.got.log(program)
    return Observed(value=log, source="pasted text", at=at) if log.lines else not_collected(f"{program}.log")
