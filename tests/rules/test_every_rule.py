"""Law L8: every rule has a case that fires, one that is clear, and one that is inconclusive; recorded, or verbatim field lines."""

from __future__ import annotations

import functools
from datetime import datetime, timezone

import pytest

from eniagent.case.facts import Facts
from eniagent.model.reading import Observed, Why
from eniagent.model.snapshot import READINGS, Case
from eniagent.rules import registry
from eniagent.rules.rule import Clear, Fires, Inconclusive, Rule
from eniagent.sources.pasted import read_pasted
from tests.cases import all_recorded, recorded_case, withhold
from tests.recorded import truths
from tests.triage.corpus import as_files, cases

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
RULES = {rule.code: rule for rule in registry()}
FIELD_ONLY = {
    "branch-eni-unavailable", "cni-not-initialized", "host-local-exhausted", "imds-out-of-sync", "instance-limits-unknown",
    "ipv6-misconfigured", "pod-network-setup-failed",
}
"""Codes of which no recording exists: their firing cases are lines from the field, with their source in the corpus."""
VERBATIM = (b'{"level":"error","ts":"2026-03-09T04:09:07.998Z","caller":"ipamd/ipamd.go:2767","msg":"IPv6 is supported only in Prefix Delegation mode"}\n',)
"""Messages that no field case has, as ipamd prints them (amazon-vpc-cni-k8s v1.23.1, ipamd.go:2767)."""
TWO_RELEASES = {
    "subnet-exhausted", "subnet-fragmented", "eni-limit-reached", "warm-pool-lag", "cooldown-starved", "eni-attach-failed", "iam-denied",
    "imds-unreachable", "aws-api-unreachable", "apiserver-unreachable", "ipamd-not-ready", "ipamd-crashing", "ipamd-unreachable",
    "eniconfig-invalid", "address-leaked", "eni-lost", "pod-route-missing",
}
"""Codes whose proof changed its shape between releases: recorded on at least two."""


@functools.cache
def _facts(name: str) -> Facts:
    return Facts(recorded_case(name))


@functools.cache
def _field_facts() -> tuple[Facts, ...]:
    texts = [as_files(case) for case in cases()] + [[("ipamd.log", text)] for text in VERBATIM]
    return tuple(Facts(Case(now=read_pasted(t, now=NOW))) for t in texts)


def _firing(rule: Rule) -> list[str]:
    return [n for n in all_recorded() if isinstance(rule.check(_facts(n)), Fires)]


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_rule_fires_with_evidence(code: str) -> None:
    """On a recorded node (of two releases where shapes differ), or on field lines where nothing was recorded; each proof has a source and a value."""
    rule = RULES[code]
    recorded = _firing(rule)
    if code in FIELD_ONLY:
        outcomes = [o for o in (rule.check(f) for f in _field_facts()) if isinstance(o, Fires)]
    else:
        assert recorded
        outcomes = [o for o in (rule.check(_facts(n)) for n in recorded) if isinstance(o, Fires)]
    assert outcomes
    for outcome in outcomes:
        assert outcome.proof
        assert all(e.source and e.fact for e in outcome.proof)
    if code in TWO_RELEASES:
        assert len({name.split("-")[0] for name in recorded}) >= 2


@pytest.mark.parametrize("name", [n for n in all_recorded() if truths()[n]["root_cause"] in RULES])
def test_the_recorded_root_cause_fires(name: str) -> None:
    """The rule of the injected fault fires and says that it stands."""
    outcome = RULES[truths()[name]["root_cause"]].check(_facts(name))
    assert isinstance(outcome, Fires)
    assert outcome.until is None


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_rule_is_clear_by_a_fact(code: str) -> None:
    """On a recorded node that is well in this respect, the excluding fact is quoted with its source."""
    outcomes = [o for o in (RULES[code].check(_facts(n)) for n in all_recorded()) if isinstance(o, Clear)]
    assert outcomes
    assert all(o.because and o.evidence and all(e.source for e in o.evidence) for o in outcomes)


@pytest.mark.parametrize("code", sorted(RULES))
def test_the_rule_is_inconclusive_without_what_it_needs(code: str) -> None:
    """With nothing seen it names readings that would tell; they are fields of the snapshot and were withheld."""
    rule = RULES[code]
    name = (_firing(rule) or all_recorded())[0]
    case = recorded_case(name)
    for field in READINGS:
        case = withhold(case, field, Why.NOT_COLLECTED)
    outcome = rule.check(Facts(case))
    assert isinstance(outcome, Inconclusive)
    assert outcome.missing and set(outcome.missing) <= set(READINGS)


@pytest.mark.parametrize("code", sorted(RULES))
def test_one_withheld_reading_that_matters_is_enough(code: str) -> None:
    """Some single reading, withheld from a recorded case, changes the rule's answer: it does not judge without looking."""
    rule = RULES[code]
    for name in (*_firing(rule), *all_recorded()):
        case = recorded_case(name)
        for field in READINGS:
            if isinstance(getattr(case.now, field), Observed):
                without = Facts(withhold(case, field, Why.TRUNCATED))
                if rule.check(without) != rule.check(_facts(name)):
                    return
    pytest.fail(f"{code} gives the same answer whatever is withheld")
