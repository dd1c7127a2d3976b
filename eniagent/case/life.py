"""ipamd's life in the window: starts, whether it came to serve, whether it serves now, what ended it.

Refuses to take a refused port alone for a death: introspection can be switched off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Optional

import msgspec

from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.record import Event
from eniagent.model.snapshot import Case

AGENT = "aws-k8s-agent"
CRASHES = 3
CRASH_WINDOW_S = 3600


class Life(msgspec.Struct, frozen=True):
    """`serves`: True/False where something proves it, None where nothing does. `starts`: start banners in the window."""

    starts: tuple[Event, ...]
    serves: Optional[bool]
    served_since_start: Optional[bool]
    running: Optional[bool]
    started_at: Optional[datetime]
    last_words: Optional[Event]
    failures: tuple[Event, ...]
    panics: tuple[Event, ...]
    basis: str


def life(case: Case) -> Life:
    """From introspection and metrics ports, the process table and ipamd.log."""
    now = case.now
    events = now.ipamd_log.value.events if isinstance(now.ipamd_log, Observed) else ()
    starts = _distinct(tuple(e for e in events if e.signature == "ipamd-start"))
    last_start = starts[-1] if starts else None
    after = events[events.index(last_start) :] if last_start else events
    served = any(e.signature in ("ipamd-serving", "add-ok", "add-failed") for e in after) if events else None
    running, started_at = _process(case)
    serves, basis = _serves(case)
    return Life(
        starts=starts, serves=serves, served_since_start=served if last_start else (True if served else None), running=running,
        started_at=started_at or (last_start.at if last_start else None), last_words=events[-1] if events else None,
        failures=tuple(e for e in events if e.signature == "init-failed"), panics=tuple(e for e in events if e.signature == "panic"), basis=basis,
    )


def _distinct(starts: tuple[Event, ...]) -> tuple[Event, ...]:
    """Old releases print the banner to the log and to the container's output: one start within a second."""
    kept: list[Event] = []
    for event in starts:
        if kept and event.at and kept[-1].at and event.at - kept[-1].at < timedelta(seconds=1):
            continue
        kept.append(event)
    return tuple(kept)


def _process(case: Case) -> tuple[Optional[bool], Optional[datetime]]:
    reading = case.now.processes
    if isinstance(reading, Observed):
        agents = [p for p in reading.value.running if p.name == AGENT]
        return bool(agents), (agents[0].started_at if agents else None)
    if isinstance(case.now.metrics, Observed):
        started = case.now.metrics.value.value("process_start_time_seconds")
        if started:
            return True, datetime.fromtimestamp(started, case.now.taken_at.tzinfo)
    return None, None


def _serves(case: Case) -> tuple[Optional[bool], str]:
    now = case.now
    if isinstance(now.ipam, Observed) or isinstance(now.settings, Observed):
        return True, "introspection answers"
    if isinstance(now.metrics, Observed):
        return True, "metrics answer"
    tried = [r for r in (now.ipam, now.metrics) if isinstance(r, Unobserved) and r.why in (Why.REFUSED, Why.TIMED_OUT)]
    if len(tried) == 2:
        return False, f"{tried[0].source}: {tried[0].why.value}"
    return None, "no view of ipamd's ports"


def crash_starts(found: Life, *, now: datetime) -> tuple[Event, ...]:
    """The starts of the last hour, where they are enough to call it a loop."""
    recent = tuple(e for e in found.starts if e.at is None or now - e.at <= timedelta(seconds=CRASH_WINDOW_S))
    return recent if len(recent) >= CRASHES else ()
