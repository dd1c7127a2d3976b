"""The field cases: decidable ones are named, undecidable ones answered with the look that decides, negatives raise nothing."""

from __future__ import annotations

import collections
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from eniagent import report
from eniagent.diagnose import diagnose
from eniagent.model.snapshot import Case
from eniagent.sources.pasted import read_pasted
from tests.triage import corpus

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
GOALS = {"decidable-yes": 0.95, "decidable-partly": 0.90, "decidable-no": 0.95, "negative": 0.95}
CASES = corpus.cases()


def answer(texts: list[tuple[str, bytes]]) -> dict[str, Any]:
    """The JSON document that `triage` prints for these texts."""
    document: dict[str, Any] = json.loads(report.render(diagnose(Case(now=read_pasted(texts, now=NOW))), format_name="json"))
    return document


@pytest.fixture(scope="module")
def judged() -> dict[str, corpus.Judged]:
    """Each case by id: right only where both ways of pasting it are."""
    found = {}
    for case in CASES:
        both = [corpus.judge(case, answer(texts)) for texts in (corpus.as_files(case), corpus.as_stream(case))]
        worse = next((j for j in both if not j.right or j.false_alarm), both[0])
        found[case["id"]] = worse._replace(named=all(j.named for j in both))
    return found


@pytest.mark.parametrize("group", sorted(GOALS))
def test_each_group_meets_its_goal(group: str, judged: dict[str, corpus.Judged]) -> None:
    """Of the cases of a group at least the goal's share is answered right."""
    members = [case for case in CASES if corpus.group(case) == group]
    wrong = {case["id"]: f"{case['root_cause']}: {judged[case['id']].why}" for case in members if not judged[case["id"]].right}
    assert len(members) - len(wrong) >= GOALS[group] * len(members), wrong


def test_nothing_is_raised_on_a_negative(judged: dict[str, corpus.Judged]) -> None:
    """No cause of missing addresses is named, above possible, for a healthy node or another owner's failure."""
    assert {name: j.why for name, j in judged.items() if j.false_alarm} == {}


def test_another_owners_failure_is_called_that(judged: dict[str, corpus.Judged]) -> None:
    """Where the text decides that the address is not what fails, at least four in five are told so."""
    members = [case["id"] for case in CASES if case["root_cause"] == "not-ip-related" and case["decidable"] == "yes"]
    missed = {name: judged[name].why for name in members if not judged[name].named}
    assert len(members) - len(missed) >= 0.8 * len(members), missed


def test_the_judgement_can_fail() -> None:
    """An answer that names the same cause for every case is wrong for most: the judgement is no rubber stamp."""
    constant = {"causes": [{"code": "subnet-exhausted", "confidence": "probable"}], "verdict": "critical", "next_looks": []}
    assert collections.Counter(corpus.judge(case, constant).right for case in CASES)[True] <= 5
