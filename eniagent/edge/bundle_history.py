"""The flight recorder's excerpt in a bundle: what the daemon learnt of the window and the hour before it, as lines of JSON.

Refuses to write to the history, and to fail for want of one: a node without a daemon has none, and one that cannot be read is named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from eniagent.edge.bundle_members import Members
from eniagent.edge.errors import AgentError
from eniagent.edge.rooted import resolve
from eniagent.edge.settings import Settings
from eniagent.model.codec import encode
from eniagent.sources import Span

FILE = "history.db"
BEFORE = timedelta(hours=1)
LOOKS = 10
"""Snapshots of the daemon that are kept, the newest before the bundle's own look."""


def add_history(members: Members, settings: Settings, span: Span, *, captures: str) -> None:
    """`history/*.jsonl` in the captures of the newest look."""
    path = f"{resolve(settings.state_dir, root=settings.root)}/{FILE}"
    if not os.path.exists(path):
        return
    from eniagent.edge.history import History

    since = span.since - BEFORE if span.since is not None else None
    try:
        history = History.read(path)
        try:
            case = history.case_at(span.until, before=LOOKS - 1)
            looks = (*case.before, case.now) if case is not None else ()
            found: dict[str, Sequence[msgspec.Struct]] = {
                "incidents": history.incidents(since=since),
                "transitions": history.transitions(since, span.until),
                "failures": history.failures(since, span.until),
                "gaps": history.gaps(since, span.until),
                "looks": [look for look in looks if since is None or look.taken_at >= since],
            }
        finally:
            history.close()
    except AgentError as error:
        members.leave_out(f"{captures}/history", why="not readable", detail=str(error))
        return
    told: dict[str, Any] = {"source": f"history of the daemon, {FILE}", "state": "collected"}
    for name, entries in found.items():
        if entries:
            members.add_besides(f"{captures}/history/{name}.jsonl", _lines(entries), told=dict(told))


def _lines(entries: Iterable[msgspec.Struct]) -> Iterable[bytes]:
    for entry in entries:
        yield encode(entry) + b"\n"
