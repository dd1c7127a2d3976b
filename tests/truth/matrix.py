"""The confusion matrix: what is true against what is answered, over all recordings and field cases (`make truth`).

Prints rows of labels with their answers; a right answer stands before the bar, the wrong ones after it. Judges as the tests do.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, NamedTuple

from eniagent import report
from eniagent.diagnose import diagnose
from eniagent.model.snapshot import Case
from eniagent.sources.pasted import read_pasted
from tests.cases import all_recorded, recorded_case
from tests.judge import faults
from tests.recorded import truths
from tests.triage import corpus

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)


class Answer(NamedTuple):
    """One judged answer."""

    label: str
    said: str
    right: bool


def _document(case: Case) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(report.render(diagnose(case), format_name="json"))
    return document


def _said(document: dict[str, Any]) -> str:
    causes = document["causes"]
    if document["verdict"] == "inconclusive":
        return f"undetermined ({causes[0]['code']}?)" if causes else "undetermined"
    return causes[0]["code"] if causes else str(document["verdict"])


def recordings() -> Iterable[Answer]:
    """Every recording, as `diagnose --from` answers it."""
    for name in all_recorded():
        document = _document(recorded_case(name))
        yield Answer(truths()[name]["root_cause"], _said(document), not faults(truths()[name], document))


def field_cases() -> Iterable[Answer]:
    """Every field case, as `triage` answers it when all its inputs are pasted as one text."""
    for case in corpus.cases():
        document = _document(Case(now=read_pasted(corpus.as_stream(case), now=NOW)))
        yield Answer(f"{case['root_cause']} [{case.get('decidable', 'yes')}]", _said(document), corpus.judge(case, document).right)


def table(title: str, answers: Iterable[Answer]) -> str:
    """One matrix as text."""
    rows: dict[str, tuple[Counter[str], Counter[str]]] = defaultdict(lambda: (Counter(), Counter()))
    for answer in answers:
        rows[answer.label][0 if answer.right else 1][answer.said] += 1
    total = sum(sum(good.values()) + sum(bad.values()) for good, bad in rows.values())
    right = sum(sum(good.values()) for good, _ in rows.values())
    lines = [f"{title}: {right} of {total} right"]
    for label in sorted(rows):
        good, bad = (", ".join(f"{said} {n}" for said, n in counts.most_common()) for counts in rows[label])
        lines.append(f"  {label:38s} {good}" + (f"  | wrong: {bad}" if bad else ""))
    return "\n".join(lines)


def main() -> None:
    """Print both matrices."""
    print(table("recordings", recordings()))
    print(table("field cases", field_cases()))


if __name__ == "__main__":
    main()
