"""The life of incidents: opening, going on, ending, and what cannot be seen."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.daemon.incidents import CONTINUED, OPEN_AFTER, OPENED, RESOLVE_AFTER, RESOLVED, STALE, STALE_AFTER, Step, Watch
from eniagent.diagnose import diagnose
from eniagent.model.chronicle import Incident
from eniagent.model.finding import Confidence, Diagnosis, Finding, RuledOut
from eniagent.model.snapshot import Case
from tests.build import NOW, healthy_snapshot

CODE, SUBNET = "subnet-exhausted", "subnet-1"
HEALTHY = diagnose(Case(now=healthy_snapshot()))


def finding(subject: str = SUBNET, *, code: str = CODE, confidence: Confidence = Confidence.CONFIRMED) -> Finding:
    return Finding(code=code, kind="cause", severity="critical", confidence=confidence, summary="EC2 refuses addresses", subject=subject, evidence=())


def told(*causes: Finding, ruled_out: tuple[str, ...] = ()) -> Diagnosis:
    """A diagnosis in which these stand, and of which nothing else is known but what is ruled out."""
    verdict = type(HEALTHY.verdict)("critical" if causes else "inconclusive")
    return msgspec.structs.replace(HEALTHY, verdict=verdict, causes=causes, past=(), ruled_out=tuple(RuledOut(code, "seen") for code in ruled_out))


class Book:
    """Incidents as the history keeps them."""

    def __init__(self) -> None:
        self.watch, self.standing, self.ended = Watch(), list[Incident](), list[Incident]()

    def look(self, diagnosis: Diagnosis, *, restart: bool = False) -> list[Step]:
        """One cycle; with `restart` by a new process."""
        self.watch = Watch() if restart else self.watch
        steps = self.watch.steps(diagnosis, list(self.standing))
        for step in steps:
            if step.what == OPENED:
                self.standing.append(Incident(0, step.cause, step.subject, "open", NOW, NOW))
            elif step.what == RESOLVED and step.incident is not None:
                self.standing.remove(step.incident)
                self.ended.append(step.incident)
            elif step.incident is not None:
                self.standing[self.standing.index(step.incident)] = msgspec.structs.replace(step.incident, state="stale" if step.what == STALE else "open")
        return steps

    def looks(self, diagnosis: Diagnosis, times: int) -> list[str]:
        return [step.what for _ in range(times) for step in self.look(diagnosis)]


def test_opens_on_the_second_look_in_a_row_and_once() -> None:
    """One look is not enough, and what stands is not opened again."""
    book = Book()
    assert book.looks(told(finding()), OPEN_AFTER - 1) == []
    assert book.looks(told(), 1) == []
    assert book.looks(told(finding()), OPEN_AFTER) == [OPENED]
    assert book.looks(told(finding()), 3) == [CONTINUED] * 3


def test_what_is_merely_possible_opens_nothing_and_keeps_what_is_open() -> None:
    """An inference is no reason to wake anybody, nor to believe that it is over."""
    book = Book()
    maybe = told(finding(confidence=Confidence.POSSIBLE))
    assert book.looks(maybe, 5) == []
    book.looks(told(finding()), OPEN_AFTER)
    assert book.looks(maybe, 5) == [CONTINUED] * 5


def test_resolves_after_looks_in_a_row_that_say_so() -> None:
    """Ruled out, past or healthy end it; one look in between that sees it again begins the count anew."""
    book = Book()
    book.looks(told(finding()), OPEN_AFTER)
    over = told(ruled_out=(CODE,))
    assert book.looks(over, RESOLVE_AFTER - 1) == []
    assert book.looks(told(finding()), 1) == [CONTINUED]
    assert book.looks(over, RESOLVE_AFTER) == [RESOLVED]
    assert book.standing == []
    book.looks(told(finding()), OPEN_AFTER)
    assert book.looks(HEALTHY, RESOLVE_AFTER) == [RESOLVED]
    past = msgspec.structs.replace(told(), past=(finding(),))
    book.looks(told(finding()), OPEN_AFTER)
    assert book.looks(past, RESOLVE_AFTER) == [RESOLVED]


def test_what_cannot_be_seen_is_stale_and_neither_over_nor_latched() -> None:
    """Blindness makes it stale once; sight makes it open again, or ends it."""
    book = Book()
    book.looks(told(finding()), OPEN_AFTER)
    assert book.looks(told(), STALE_AFTER + 5) == [STALE]
    assert book.looks(told(finding()), 1) == [CONTINUED]
    assert [i.state for i in book.standing] == ["open"]
    assert book.looks(told(), STALE_AFTER) == [STALE]
    assert book.looks(told(ruled_out=(CODE,)), RESOLVE_AFTER) == [RESOLVED]


def test_one_incident_for_each_cause_and_subject() -> None:
    """Two subnets are two incidents; a list of addresses that grows is still the same one."""
    book = Book()
    assert book.looks(told(finding("subnet-1"), finding("subnet-2")), OPEN_AFTER) == [OPENED, OPENED]
    assert book.looks(told(finding("subnet-2")), RESOLVE_AFTER).count(RESOLVED) == 1
    assert [i.subject for i in book.standing] == ["subnet-2"]
    leak = Book()
    leak.looks(told(finding("10.0.0.1", code="address-leaked")), OPEN_AFTER)
    assert leak.looks(told(finding("10.0.0.1, 10.0.0.2", code="address-leaked")), 4) == [CONTINUED] * 4


def test_a_restart_forgets_no_incident() -> None:
    """A new process goes on with what the history holds."""
    book = Book()
    book.looks(told(finding()), OPEN_AFTER)
    assert [s.what for s in book.look(told(finding()), restart=True)] == [CONTINUED]
    book.look(told(ruled_out=(CODE,)), restart=True)
    assert book.looks(told(ruled_out=(CODE,)), RESOLVE_AFTER - 1) == [RESOLVED]


LOOKS = st.sampled_from(("stands", "possible", "over", "blind", "healthy", "other"))


@pytest.mark.parametrize("restart_at", [None, 7])
@settings(max_examples=60, deadline=None)
@given(looks=st.lists(LOOKS, max_size=25))
def test_nothing_latches_whatever_comes(restart_at: Optional[int], looks: list[str]) -> None:
    """After any sequence of looks, clear looks end every incident, and there is never more than one for cause and subject."""
    kinds = {
        "stands": told(finding()), "possible": told(finding(confidence=Confidence.POSSIBLE)), "over": told(ruled_out=(CODE,)), "blind": told(),
        "healthy": HEALTHY, "other": told(finding("subnet-9")),
    }  # fmt: skip
    book = Book()
    for number, look in enumerate(looks):
        book.look(kinds[look], restart=number == restart_at)
        keys = [(i.cause, i.subject) for i in book.standing]
        assert len(keys) == len(set(keys))
    book.looks(HEALTHY, RESOLVE_AFTER)
    assert book.standing == []


def test_times_play_no_part() -> None:
    """A clock that is stepped opens and ends nothing: looks are counted, not minutes."""
    book = Book()
    for step_s in (0, -86400):
        book.look(msgspec.structs.replace(told(finding()), taken_at=NOW + timedelta(seconds=step_s)))
    assert len(book.standing) == 1
