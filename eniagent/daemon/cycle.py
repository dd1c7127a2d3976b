"""One cycle: snapshot, case, diagnosis, transitions, store; and what it leaves for the metrics, the status and the log.

Refuses to diagnose again what cannot have changed: a diagnosis is a function of the case, and on a quiet node of the same one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple, Optional

from eniagent.case.eventual import CONFIRM_S
from eniagent.case.facts import Facts
from eniagent.daemon import incidents as life
from eniagent.daemon.errands import Errand, Errands
from eniagent.daemon.material import changed
from eniagent.daemon.observer import Observation, Observer
from eniagent.daemon.tally import Gauges, Tally, sources_up
from eniagent.diagnose import diagnose
from eniagent.edge import clock
from eniagent.edge.follower import CURSOR
from eniagent.edge.history import History
from eniagent.model.chronicle import Failure, Incident, Transition
from eniagent.model.codec import encode
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Observed
from eniagent.model.snapshot import Case, NodeSnapshot

QUIET_S = 300.0
"""A node on which nothing stands and nothing changed is diagnosed this often all the same: windows move on."""
COMPARE_S = 60.0
"""The ledger is compared at most this often."""


class Outcome(NamedTuple):
    """What one cycle came to."""

    diagnosis: Diagnosis
    gauges: Gauges
    incidents: tuple[Incident, ...]
    failures: int
    changed: tuple[str, ...]
    renewed: int
    diagnosed: bool
    lag_s: float
    steps: tuple[life.Step, ...]
    gaps: int


class Cycle:
    """What is kept from one cycle to the next. One thread's."""

    def __init__(self, observer: Observer, history: History, errands: Errands, *, watch: life.Watch, tally: Tally) -> None:
        self.observer, self.history, self.errands = observer, history, errands
        self._watch, self._tally = watch, tally
        self._found: Optional[Observation] = None
        self._told: tuple[str, tuple[str, ...]] = ("", ())
        self._standing = tuple(history.incidents(standing=True))
        self._previous: Optional[NodeSnapshot] = None
        self._marks: deque[NodeSnapshot] = deque(maxlen=2)
        self._diagnosis: Optional[Diagnosis] = None
        self._diagnosed_s = self._compared_s = float("-inf")
        self._begun_s = clock.ticks_s()

    def observe(self) -> None:
        """The first half: look. It may be broken off; what was learned comes again then with the next one."""
        self._begun_s = clock.ticks_s()
        self._found = self.observer.observe(trouble=self._in_trouble())

    def conclude(self) -> Outcome:
        """The second half, which takes no looks: judge and store. Raises what nobody foresaw."""
        assert self._found is not None, "nothing was observed"
        found, begun_s = self._found, self._begun_s
        differs = changed(self._previous, found.snapshot) if self._previous is not None else ("everything",)
        case = Case(now=found.snapshot, before=self._before(found.snapshot))
        facts = Facts(case)
        diagnosis, fresh = self._judge(case, differs)
        new = self._store(found, diagnosis)
        self._tally.learn(facts, diagnosis, failures=new, transitions=found.batch.transitions)
        if differs and clock.ticks_s() - self._compared_s >= COMPARE_S:
            self._tally.compare(case)
            self._compared_s = clock.ticks_s()
        steps = self._follow_incidents(diagnosis) if fresh else []
        standing = self._standing = tuple(self.history.incidents(standing=True)) if fresh else self._standing
        gauges = self._tally.gauges(
            facts, diagnosis, now_s=begun_s, incidents_open=sum(i.state == "open" for i in standing), cycle_s=clock.ticks_s() - begun_s,
            lag_s=found.batch.lag_s,
        )  # fmt: skip
        self._remember(found.snapshot)
        return Outcome(diagnosis, gauges, standing, len(new), differs, found.renewed, fresh, found.batch.lag_s, tuple(steps), len(found.batch.gaps))

    def _in_trouble(self) -> bool:
        found = self._diagnosis
        return found is not None and bool(found.causes or found.impact.waiting)

    def _judge(self, case: Case, differs: tuple[str, ...]) -> tuple[Diagnosis, bool]:
        """The diagnosis, and whether it is a new one."""
        known = self._diagnosis
        quiet = known is not None and not (differs or self._standing or known.causes or known.past or known.impact.pods)
        seen = isinstance(case.now.ipam, Observed)
        if known is None or not quiet or not seen or clock.ticks_s() - self._diagnosed_s >= QUIET_S:
            self._diagnosis, self._diagnosed_s = diagnose(case), clock.ticks_s()
            return self._diagnosis, True
        return known, False

    def _before(self, now: NodeSnapshot) -> tuple[NodeSnapshot, ...]:
        """The newest snapshot whose views of IMDS and ipamd are reads of their own, a minute older."""
        return tuple(mark for mark in self._marks if _is_second_look(now, mark))[-1:]

    def _remember(self, now: NodeSnapshot) -> None:
        self._previous = now
        if not self._marks or abs((now.taken_at - self._marks[-1].taken_at).total_seconds()) >= CONFIRM_S:
            self._marks.append(now)

    def _store(self, found: Observation, diagnosis: Diagnosis) -> tuple[Failure, ...]:
        """All of the cycle in one transaction with the journal's place; the batch is settled once it is kept."""
        transitions = [*found.batch.transitions, *self._transitions(found.snapshot, diagnosis)]
        new = self.history.store_cycle(
            found.snapshot, failures=found.batch.failures, transitions=transitions, gaps=found.batch.gaps, cursors={CURSOR: found.batch.bookmark}
        )
        self.observer.follower.settle(found.batch)
        self._told = (diagnosis.verdict.value, tuple(f.code for f in diagnosis.causes))
        return new

    def _transitions(self, now: NodeSnapshot, diagnosis: Diagnosis) -> Iterator[Transition]:
        verdict, causes = diagnosis.verdict.value, tuple(f.code for f in diagnosis.causes)
        if (verdict, causes) != self._told:
            yield Transition(now.taken_at, "verdict-changed", was=_words(*self._told), became=_words(verdict, causes), detail=diagnosis.headline)
        if self._previous is None:
            return
        before = sources_up(self._previous)
        for source, up in sources_up(now).items():
            if up != before[source]:
                reading = getattr(now, source)
                why = "" if isinstance(reading, Observed) else f"{reading.why.value}{': ' + reading.detail if reading.detail else ''}"
                yield Transition(now.taken_at, "source-seen" if up else "source-lost", source, detail=why[:300])

    def _follow_incidents(self, diagnosis: Diagnosis) -> list[life.Step]:
        """Carry out what the diagnosis means for the incidents."""
        steps = self._watch.steps(diagnosis, self._standing)
        for step in steps:
            self._carry_out(step, diagnosis)
        return [step for step in steps if step.what != life.CONTINUED]

    def _carry_out(self, step: life.Step, diagnosis: Diagnosis) -> None:
        at, incident, finding = diagnosis.taken_at, step.incident, step.finding
        if step.what == life.OPENED:
            assert finding is not None
            incident = self.history.open_incident(
                step.cause, subject=step.subject, at=at, severity=finding.severity, since=finding.since, summary=finding.summary,
                finding=encode(finding).decode(),
            )  # fmt: skip
            self._capture(incident, "opened")
        elif incident is None:
            return
        elif step.what == life.CONTINUED and finding is not None:
            self.history.continue_incident(incident, at=at, severity=finding.severity, summary=finding.summary, finding=encode(finding).decode())
            if "opened" not in incident.bundles:
                self._capture(incident, "opened")
        elif step.what == life.STALE:
            self.history.stale_incident(incident, at=at)
        else:
            self._capture(self.history.resolve_incident(incident, at=at), "resolved")

    def _capture(self, incident: Incident, moment: str) -> None:
        self.errands.ask(Errand(incident, moment))


def _is_second_look(now: NodeSnapshot, mark: NodeSnapshot) -> bool:
    apart = timedelta(seconds=CONFIRM_S)
    for one, other in ((now.ipam.at, mark.ipam.at), (now.metadata.at, mark.metadata.at)):
        if one is None or other is None or one - other < apart:
            return False
    return now.taken_at - mark.taken_at >= apart


def _words(verdict: str, causes: tuple[str, ...]) -> str:
    return " ".join(filter(None, (verdict, ",".join(causes))))



