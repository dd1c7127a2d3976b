"""The timeline as text and JSON, and one pod's path in words for every form of the diagnosis.

Refuses to leave unsaid what the timeline lacks: capped lines and sources that were not seen stand at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Optional

import msgspec

from eniagent.model.codec import to_builtin
from eniagent.model.pod_path import Entry, PodPath, Wait
from eniagent.model.timeline import Timeline
from eniagent.report import phrases
from eniagent.report.plain import plain, shorten

WIDE = 200
_SAID = {
    "plugin-add": "the runtime asks for a network",
    "plugin-ok": "the plugin got an address from ipamd",
    "plugin-no-address": "the plugin got no address",
    "add-ok": "ipamd gives an address",
    "add-failed": "ipamd gives none",
}
"""Lines whose own words are long and say no more than this."""


def render(found: Timeline, *, format_name: str) -> bytes:
    """In `text` or `json`, ending in a newline. Raises `KeyError` on another word."""
    if format_name == "json":
        return msgspec.json.encode(found, enc_hook=to_builtin) + b"\n"
    return "\n".join([*{"text": _text}[format_name](found), ""]).encode("ascii")


def clock(at: Optional[datetime]) -> str:
    """A UTC time to the millisecond."""
    return "no time".ljust(24) if at is None else at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def entry_line(entry: Entry, *, with_pod: bool) -> str:
    """`time program kind: words (x N until T)`."""
    count = "" if entry.count == 1 else f" (x {entry.count} until {clock(entry.until)[11:]})"
    sandbox = f" [sandbox {entry.sandbox[:12]}]" if entry.sandbox else ""
    pod = f" {plain(entry.pod, limit=80)}" if with_pod and entry.pod else ""
    words = _SAID.get(entry.what) or plain(entry.text, limit=WIDE)
    return f"{clock(entry.at)} {entry.program:<10}{pod} {entry.what}: {words}{sandbox}{count}"


def _text(found: Timeline) -> Iterator[str]:
    about = f"of {plain(found.pod, limit=320)} " if found.pod else ""
    node = f"on {plain(found.node.name, limit=120)}, " if found.node.name else ""
    yield f"timeline {about}{node}{phrases.moment(found.window.since)} to {phrases.moment(found.window.until)}, UTC; {len(found.entries)} entries"
    yield from (entry_line(entry, with_pod=not found.pod) for entry in found.entries)
    if not found.entries:
        yield "nothing was heard"
    yield ""
    if found.path is not None:
        yield from path_lines(found.path)
    yield from _waits(found)
    for title, lines in (("counted, not kept line by line", found.capped), ("not seen", tuple(f"{n.source}: {n.why}{': ' + n.detail if n.detail else ''}" for n in found.unobserved))):
        if lines:
            yield from (title, *(f"  {plain(line)}" for line in lines))


def _waits(found: Timeline) -> Iterator[str]:
    waits = found.waits
    if waits.p50_s is not None and waits.p95_s is not None:
        yield f"waits from the first failure to the address or start, over {waits.ended} pods: p50 {waits.p50_s:.1f} s, p95 {waits.p95_s:.1f} s"
    else:
        yield "waits: no pod that failed has come up in the window"
    rest = [text for count, text in ((waits.waiting, f"{waits.waiting} wait now, the longest for {waits.longest_s or 0:.1f} s"), (waits.gone, f"{waits.gone} were deleted before they came up"), (waits.unknown, f"of {waits.unknown} nothing tells how it ended")) if count]
    if rest:
        yield f"  not in these numbers: {'; '.join(rest)}; and pods that got their address at the first try"
    yield from (f"  {wait_line(wait)}" for wait in waits.pods)


def wait_line(wait: Wait) -> str:
    """One pod's wait."""
    ended = {"address": "then it got its address", "start": "then it ran", "gone": "then it was deleted", "": "no end is seen"}[wait.ended_by]
    tries = f"{wait.failures} failed attempt{'s' if wait.failures != 1 else ''}"
    return f"{plain(wait.pod, limit=320)}: {wait.seconds:.1f} s since {phrases.moment(wait.since)}, {tries}, {ended}"


def path_lines(path: PodPath) -> Iterator[str]:
    """A pod's path in words, without its timeline."""
    yield f"pod {plain(path.pod, limit=320)}: {path.state}"
    if path.state == "not seen":
        near = f"; seen were {', '.join(plain(name, limit=320) for name in path.near)}" if path.near else ""
        yield f"  nothing that was seen names this pod{near}"
        return
    if path.failures:
        kinds = ", ".join(f"{plain(name, limit=60)} {count} x" for name, count in sorted(path.signatures.items()))
        yield f"  failures: {path.failures} ({kinds}), first {phrases.moment(path.first_at)}, last {phrases.moment(path.last_at)}"
        yield f"  newest: {plain(path.newest, limit=WIDE)}"
    if path.sandboxes:
        yield f"  sandboxes: {shorten(', '.join(name[:12] for name in path.sandboxes), limit=WIDE)}"
    yield from (f"  {line}" for line in _network(path))
    if path.wait is not None:
        yield f"  wait: {wait_line(path.wait).partition(': ')[2]}"


def _network(path: PodPath) -> Iterator[str]:
    if path.address:
        number = "" if path.device_number is None else f" (device {path.device_number})"
        assigned = "" if path.assigned_at is None else f", assigned {phrases.moment(path.assigned_at)}"
        yield f"address: {path.address} on {plain(path.eni, limit=60)}{number}{assigned}; route table {path.table or 'unknown'}"
    else:
        yield "address: none that ipamd tells of"
    if path.veth:
        yield f"veth: {plain(path.veth, limit=60)}, {'the kernel was not seen' if path.veth_present is None else 'present' if path.veth_present else 'missing'}"
    yield from (f"missing {plain(gap, limit=120)}" for gap in path.gaps)
