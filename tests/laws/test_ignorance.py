"""Law L7: ignorance invents nothing."""

from __future__ import annotations

import pytest

from eniagent.diagnose import diagnose
from eniagent.model.finding import Confidence, Diagnosis, Verdict
from eniagent.model.reading import Observed, Why
from eniagent.model.snapshot import READINGS
from tests.cases import all_recorded, recorded_case, withhold

FIRMNESS = {Confidence.POSSIBLE: 0, Confidence.PROBABLE: 1, Confidence.CONFIRMED: 2}


def _firmness(diagnosis: Diagnosis) -> dict[str, int]:
    return {c.code: FIRMNESS[c.confidence] for c in diagnosis.causes}


@pytest.mark.parametrize("name", all_recorded())
def test_a_withheld_reading_adds_no_cause_raises_no_confidence_and_heals_nothing(name: str) -> None:
    """Not collected or truncated in place of any one reading: no new cause, no firmer one, never healthier than before."""
    case = recorded_case(name)
    whole = diagnose(case)
    before = _firmness(whole)
    wrong = []
    for field in READINGS:
        if not isinstance(getattr(case.now, field), Observed):
            continue
        for why in (Why.NOT_COLLECTED, Why.TRUNCATED):
            less = diagnose(withhold(case, field, why))
            for code, firmness in _firmness(less).items():
                if code not in before:
                    wrong.append(f"without {field}: adds {code}")
                elif firmness > before[code]:
                    wrong.append(f"without {field}: raises {code}")
            if less.verdict is Verdict.HEALTHY and whole.verdict is not Verdict.HEALTHY:
                wrong.append(f"without {field}: healthy, was {whole.verdict.value}")
            if less.verdict is Verdict.NOT_APPLICABLE:
                wrong.append(f"without {field}: not applicable")
    assert wrong == []


@pytest.mark.parametrize("name", all_recorded())
def test_knowing_nothing_is_inconclusive(name: str) -> None:
    """With every reading withheld the verdict is inconclusive, without a cause."""
    case = recorded_case(name)
    for field in READINGS:
        case = withhold(case, field, Why.NOT_COLLECTED)
    diagnosis = diagnose(case)
    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.causes == ()
    assert len(diagnosis.unobserved) >= len(READINGS)
