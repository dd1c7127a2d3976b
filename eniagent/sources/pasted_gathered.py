"""What a paste gave, by program: events, failed sandboxes, starts and times, and the records that come of them.

Refuses to keep a storm: counts are exact, of each signature the first and the newest events stay.
"""

from __future__ import annotations

from datetime import datetime
from typing import Optional, Union

from eniagent.knowledge import signatures
from eniagent.model.reading import Observed, Unobserved, not_collected
from eniagent.model.record import Event, Journal, Log, PodStart
from eniagent.sources import pasted_failures
from eniagent.sources.log_fold import FIRST_KEPT, NEWEST_KEPT

HOMES = ("ipamd", "plugin", "kubelet", "containerd")


class Gathered:
    """Takes events and failures; `log` and `journal` give the records. aws-node's output lives with ipamd, kubectl's with kubelet."""

    def __init__(self) -> None:
        self.events: dict[str, list[Event]] = {home: [] for home in HOMES}
        self.counts: dict[str, dict[str, int]] = {home: {} for home in HOMES}
        self.lines: dict[str, int] = dict.fromkeys(HOMES, 0)
        self.spans: dict[str, list[datetime]] = {home: [] for home in HOMES}
        self.failures: dict[str, list[pasted_failures.Failure]] = {"kubelet": [], "containerd": []}
        self.starts: list[PodStart] = []
        self.up: dict[str, float] = {}
        """Pod -> age of the event that says it came up."""

    def put(self, home: str, event: Event) -> None:
        """One event of a program. Noise is counted only."""
        counts = self.counts[home]
        counts[event.signature] = counts.get(event.signature, 0) + 1
        self.lines[home] = max(self.lines[home], 1)
        known = signatures.BY_ID.get(event.signature)
        if known is None or known.role is not signatures.Role.NOISE:
            self.events[home].append(event)

    def cover(self, home: str, at: Optional[datetime]) -> None:
        """One more line of a program, whatever it says."""
        self.lines[home] += 1
        if at is not None:
            self.spans[home].append(at)

    def fail(self, home: str, failure: pasted_failures.Failure) -> None:
        """One line about a failed sandbox."""
        self.failures[home].append(failure)

    def log(self, program: str) -> Log:
        """ipamd.log with aws-node's output, or plugin.log."""
        span = self.spans[program]
        return Log(
            program=program, events=_bounded(self.events[program]), counts=dict(self.counts[program]),
            since=min(span, default=None), until=max(span, default=None), form="pasted", lines=self.lines[program],
        )

    def journal(self, program: str, at: datetime) -> Union[Observed[Journal], Unobserved]:
        """kubelet's journal with all events of kubectl, or the container runtime's."""
        told = self.failures[program]
        if not (told or self.lines[program]):
            return not_collected(f"{program} journal")
        pods = pasted_failures.fold(told, recovered=self._recovered(told, at))
        span = self.spans[program]
        journal = Journal(
            program=program, pods=pods, starts=tuple(self.starts) if program == "kubelet" else (), events=_bounded(self.events[program]),
            counts=dict(self.counts[program]), failures=sum(p.failures for p in pods), since=min(span, default=None),
            until=max(span, default=None), entries=self.lines[program],
        )
        return Observed(value=journal, source="pasted text", at=at)

    def _recovered(self, told: list[pasted_failures.Failure], at: datetime) -> dict[str, datetime]:
        """Pods whose containers started after their newest failure, by the age column."""
        ages: dict[str, float] = {}
        for f in told:
            if f.age_s is not None:
                ages[f.pod] = min(f.age_s, ages.get(f.pod, f.age_s))
        return {pod: at for pod, age in self.up.items() if pod in ages and age < ages[pod]}


def _bounded(events: list[Event]) -> tuple[Event, ...]:
    """Of each signature the first and the newest, in order of time; what has no time keeps its place at the end."""
    by_signature: dict[str, list[int]] = {}
    for index, event in enumerate(events):
        by_signature.setdefault(event.signature, []).append(index)
    kept = sorted(i for places in by_signature.values() for i in {*places[:FIRST_KEPT], *places[-NEWEST_KEPT:]})
    newest = max((at for i in kept if (at := events[i].at) is not None), default=None)
    order = sorted(kept, key=lambda i: (events[i].at is None, events[i].at or newest, i))
    return tuple(events[i] for i in order)
