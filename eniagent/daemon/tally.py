"""What the metrics tell, as plain numbers: gauges of the last cycle, and counters since the process began.

Refuses to tell a number that was not seen: such a series is absent, never 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

import msgspec

from eniagent.case import ledger as ledger_of
from eniagent.case.facts import Facts
from eniagent.case.pool import PoolUse
from eniagent.model.chronicle import Failure, Transition
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Observed
from eniagent.model.snapshot import READINGS, Case, NodeSnapshot
from eniagent.rules import registry
from eniagent.sources.journal_window import RECOVERED

WAIT_BUCKETS_S = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
TREND_S, TREND_LEAST_S = 1800.0, 300.0
"""How far back the growth of assigned addresses is looked at, and the least that tells anything."""
UNDETERMINED = "undetermined"


class Gauges(msgspec.Struct, frozen=True):
    """All that one cycle leaves for the metrics. Replaced as a whole, so that a scrape never meets half of it."""

    addresses: dict[tuple[str, str], float] = {}
    """(state, card) -> number."""
    enis: dict[str, float] = {}
    disagreements: dict[str, int] = {}
    failures: dict[str, int] = {}
    """Cause -> attempts that failed since the process began."""
    findings: dict[tuple[str, str], int] = {}
    incidents_open: int = 0
    wait_buckets: tuple[int, ...] = (0,) * (len(WAIT_BUCKETS_S) + 1)
    wait_sum_s: float = 0.0
    exhaustion_s: Optional[float] = None
    sources: dict[str, int] = {}
    cycle_s: float = 0.0
    lag_s: float = 0.0


class Tally:
    """Counts on from cycle to cycle."""

    def __init__(self) -> None:
        self._failures = {UNDETERMINED: 0, **{rule.code: 0 for rule in registry() if rule.kind == "cause"}}
        self._waits, self._wait_sum_s = [0] * (len(WAIT_BUCKETS_S) + 1), 0.0
        self._trend: deque[tuple[float, int]] = deque()
        self._series = [(rule.code, severity) for rule in registry() for severity in ("critical", "warning", "info")]
        self._disagreements: dict[str, int] = {}
        self._pool: Optional[tuple[Any, PoolUse]] = None

    def learn(self, facts: Facts, diagnosis: Diagnosis, *, failures: Sequence[Failure], transitions: Iterable[Transition]) -> None:
        """Failures that are new, put to the account of the cause that leads; pods whose wait is over."""
        firm = [f.code for f in diagnosis.causes if f.code in self._failures]
        self._failures[firm[0] if firm else UNDETERMINED] += len(failures)
        if not failures and not any(t.what == RECOVERED for t in transitions):
            return
        begun = {hit.pod: hit.first_at for hit in facts.hits.pods}
        told = set()
        for ended in transitions:
            since = begun.get(ended.subject)
            # kubelet and containerd tell of the same end.
            if ended.what == RECOVERED and since is not None and ended.subject not in told:
                told.add(ended.subject)
                self._waited(max(0.0, (ended.at - since).total_seconds()))

    def _waited(self, seconds: float) -> None:
        self._waits[next((n for n, limit in enumerate(WAIT_BUCKETS_S) if seconds <= limit), len(WAIT_BUCKETS_S))] += 1
        self._wait_sum_s += seconds

    def compare(self, case: Case) -> None:
        """Count the rows of the ledger that disagree. Costs more than a diagnosis."""
        self._disagreements = ledger_of.disagreements(ledger_of.ledger(case)) if isinstance(case.now.ipam, Observed) else {}

    def gauges(self, facts: Facts, diagnosis: Diagnosis, *, now_s: float, incidents_open: int, cycle_s: float, lag_s: float) -> Gauges:
        """The numbers of this cycle."""
        pool = self._pool_of(facts)
        standing = {(f.code, f.severity) for f in (*diagnosis.causes, *diagnosis.symptoms, *diagnosis.advice)}
        enis = {"attached": diagnosis.numbers.enis.attached, "limit": diagnosis.numbers.enis.limit}
        return Gauges(
            addresses=_addresses(pool, facts.address_limit),
            enis={state: float(number) for state, number in enis.items() if number is not None},
            disagreements=dict(self._disagreements),
            failures=dict(self._failures),
            findings={key: int(key in standing) for key in (*self._series, *standing)},
            incidents_open=incidents_open,
            wait_buckets=tuple(self._waits),
            wait_sum_s=self._wait_sum_s,
            exhaustion_s=self._exhaustion_s(pool, facts.address_limit, now_s=now_s),
            sources=sources_up(facts.now),
            cycle_s=cycle_s,
            lag_s=lag_s,
        )

    def _pool_of(self, facts: Facts) -> Optional[PoolUse]:
        """The pool, counted again only where it may have changed: with ipamd's answer, or while addresses cool."""
        if self._pool is None or self._pool[0] is not facts.ipam or any(card.cooling for card in self._pool[1].cards):
            self._pool = (facts.ipam, facts.pool) if facts.pool is not None else None
        return self._pool[1] if self._pool is not None else None

    def _exhaustion_s(self, pool: Optional[PoolUse], limit: Optional[int], *, now_s: float) -> Optional[float]:
        """Until all addresses that the type allows are assigned, at the pace of the last half hour; infinite where it does not grow."""
        if pool is None or limit is None:
            return None
        self._trend.append((now_s, pool.in_use))
        while self._trend and now_s - self._trend[0][0] > TREND_S:
            self._trend.popleft()
        since_s, was = self._trend[0]
        left = limit - pool.in_use
        if left <= 0:
            return 0.0
        if now_s - since_s < TREND_LEAST_S or pool.in_use <= was:
            return float("inf")
        return left * (now_s - since_s) / (pool.in_use - was)


def _addresses(pool: Optional[PoolUse], limit: Optional[int]) -> dict[tuple[str, str], float]:
    """Per card; the limit is the default card's."""
    found: dict[tuple[str, str], float] = {} if limit is None else {("limit", "0"): float(limit)}
    for card in pool.cards if pool is not None else ():
        states: Mapping[str, int] = {"total": card.usable, "assigned": card.assigned, "cooling": card.cooling, "assignable": card.assignable}
        found.update({(state, str(card.card)): float(number) for state, number in states.items()})
    return found


def sources_up(snapshot: NodeSnapshot) -> dict[str, int]:
    """Field -> 1 where it was observed. A journal that hides something behind a gap counts as seen."""
    return {field: int(isinstance(getattr(snapshot, field), Observed)) for field in READINGS}


__all__ = ["WAIT_BUCKETS_S", "Gauges", "Tally", "sources_up"]
