"""What a verdict and the flags come to, and what is left when even the reading of captures outlasts the deadline."""

from __future__ import annotations

import signal
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.cli.diagnose import Answer, FailOn, _unseen, exit_code
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.diagnose import diagnose
from eniagent.edge.settings import Settings
from eniagent.model.finding import Verdict
from tests.report.diagnoses import subnet_exhausted


def answer(verdict: Verdict, *, cut_off: bool = False) -> Answer:
    """An answer with this verdict."""
    return Answer(diagnosis=msgspec.structs.replace(subnet_exhausted(), verdict=verdict), cut_off=cut_off)


@pytest.mark.parametrize(
    ("verdict", "fail_on", "strict", "code"),
    [
        (Verdict.CRITICAL, FailOn.CRITICAL, False, 3),
        (Verdict.CRITICAL, FailOn.WARNING, True, 3),
        (Verdict.WARNING, FailOn.CRITICAL, True, 0),
        (Verdict.WARNING, FailOn.WARNING, False, 4),
        (Verdict.INCONCLUSIVE, FailOn.WARNING, False, 0),
        (Verdict.INCONCLUSIVE, None, True, 5),
        (Verdict.NOT_APPLICABLE, None, True, 8),
        (Verdict.NOT_APPLICABLE, FailOn.WARNING, False, 0),
        (Verdict.HEALTHY, FailOn.WARNING, True, 0),
    ],
)
def test_the_code_of_a_verdict(verdict: Verdict, fail_on: FailOn, strict: bool, code: int) -> None:
    """Each verdict comes to its code under its flag, and to 0 without."""
    assert exit_code(answer(verdict), fail_on=fail_on, strict=strict) == code
    assert exit_code(answer(verdict), fail_on=None, strict=False) == 0


@given(st.sampled_from(Verdict), st.sampled_from([None, *FailOn]), st.booleans())
def test_the_deadline_goes_before_every_verdict(verdict: Verdict, fail_on: FailOn, strict: bool) -> None:
    """A partial result says so by its code, whatever the verdict and the flags."""
    assert exit_code(answer(verdict, cut_off=True), fail_on=fail_on, strict=strict) == 10


def test_the_hard_limit_pulls_out_of_a_busy_loop() -> None:
    """A loop that catches every `Exception` is left all the same, in time, and the alarm is off afterwards."""
    began_s = time.monotonic()

    def stuck() -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:  # noqa: BLE001, S112 - what a reader might do
                continue

    with pytest.raises(OutOfTime), HardLimit(0.2):
        stuck()
    assert time.monotonic() - began_s < 1.0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_nothing_read_in_time_is_inconclusive_and_names_everything() -> None:
    """When nothing could be read before the hard end, no cause is invented, and each source is told as not collected."""
    diagnosis = diagnose(_unseen(Settings()))
    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.causes == ()
    assert diagnosis.faults == ()
    assert {seen.why for seen in diagnosis.unobserved} == {"not collected"}
    assert diagnosis.next_looks
