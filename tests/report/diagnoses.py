"""Diagnoses to render: one as a sick node gives it, and a strategy for any other, hostile and huge ones included.

Refuses to come from the engine: what is rendered must not depend on what today's rules can say.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from eniagent.model.finding import (
    AddressNumbers,
    Affected,
    Command,
    Confidence,
    Diagnosis,
    EniNumbers,
    Evidence,
    Finding,
    Impact,
    MaxPodsNumbers,
    NextLook,
    NodeFacts,
    NotSeen,
    Numbers,
    Outlook,
    Remedy,
    RuledOut,
    Scope,
    Verdict,
    Window,
)

T = TypeVar("T")
NOW = datetime(2026, 3, 4, 12, 45, 10, tzinfo=timezone.utc)


def subnet_exhausted() -> Diagnosis:
    """A node whose subnet is full, as the engine would tell it."""
    refused = Evidence(
        fact="EC2 refused addresses",
        observed="InsufficientFreeAddressesInSubnet",
        source="ipamd.log",
        ref="logs/ipamd.log:812",
        at=NOW - timedelta(seconds=77),
    )
    assignable = Evidence(fact="assignable addresses", observed=0, expected=2, source="ipamd introspection", ref="/v1/enis#/0/Total")
    remedy = Remedy(
        text="Give the pods a subnet with free addresses.",
        commands=(
            Command(
                run="aws ec2 describe-subnets --subnet-ids subnet-0abc --query 'Subnets[].AvailableIpAddressCount'",
                where="aws",
                rights="ec2:DescribeSubnets",
            ),
            Command(run="kubectl -n kube-system set env daemonset/aws-node WARM_IP_TARGET=2", where="kubectl", effect="change"),
        ),
        do_not=("restart aws-node: it would not start while EC2 is unreachable",),
        recovers_by="ipamd tries again 120 s after a refusal",
    )
    cause = Finding(
        code="subnet-exhausted",
        kind="cause",
        severity="critical",
        confidence=Confidence.CONFIRMED,
        summary="EC2 refuses addresses: the subnet has none free",
        subject="subnet-0abc",
        since=NOW - timedelta(minutes=12),
        evidence=(refused, assignable),
        explains=("allocation-failures", "pool-exhausted"),
        remedy=remedy,
        scope=Scope.SUBNET,
        reference="https://docs.aws.amazon.com/eks/",
    )
    symptom = msgspec.structs.replace(cause, code="pool-exhausted", kind="symptom", explains=(), remedy=None, evidence=(assignable,))
    hit = tuple(Affected(pod=f"shop/cart-{n}", failures=7, first_at=NOW, last_at=NOW) for n in range(12))
    return Diagnosis(
        agent={"version": "0.1.0"},
        taken_at=NOW,
        window=Window(since=NOW - timedelta(hours=1), until=NOW),
        node=NodeFacts(
            instance_id="i-0123456789abcdef0",
            instance_type="m5.large",
            availability_zone="eu-west-1a",
            region="eu-west-1",
            name="ip-10-0-1-2.eu-west-1.compute.internal",
            cni_version="1.19.3",
        ),
        verdict=Verdict.CRITICAL,
        headline="The subnet has no free address: 12 pods wait, ipamd tries again in 43 s",
        causes=(cause,),
        symptoms=(symptom,),
        ruled_out=(RuledOut(code="eni-limit-reached", because="2 of 3 ENIs attached", evidence=(assignable,)),),
        unobserved=(NotSeen(source="ipamd metrics", why="refused", detail="127.0.0.1:61678: connection refused"),),
        impact=Impact(pods=12, failures=84, waiting=12, first_at=NOW - timedelta(minutes=11), last_at=NOW, affected=hit),
        numbers=Numbers(
            enis=EniNumbers(attached=2, limit=3),
            addresses=AddressNumbers(total=18, assigned=18, cooling=0, assignable=0, limit=27),
            max_pods=MaxPodsNumbers(configured=29, computed=29),
        ),
        outlook=Outlook(
            short_by=2, next_action="assign-address", target="eni-0a", blocked_by="subnet-exhausted", due_at=NOW + timedelta(seconds=43)
        ),
        next_looks=(NextLook(command="aws ec2 describe-subnets --subnet-ids subnet-0abc", decides=("subnet-exhausted",), where="aws"),),
    )


def huge() -> Diagnosis:
    """Two thousand pods with the longest names, and hundreds of everything else, each with a name as long as can be."""
    sick, long = subnet_exhausted(), "n" * 253
    evidence = (msgspec.structs.replace(sick.causes[0].evidence[0], observed="x" * 3000, ref="r" * 3000),) * 60
    command = Command(run=f"kubectl describe node {long}", where="kubectl", rights="r" * 500)
    remedy = Remedy(text="t" * 4000, commands=(command,) * 20, do_not=("d" * 4000,) * 5, recovers_by="h" * 4000)
    cause = msgspec.structs.replace(sick.causes[0], code="c" * 300, summary="s" * 4000, subject=long, evidence=evidence, remedy=remedy)
    hit = (Affected(pod=f"{'s' * 63}/{'p' * 253}", failures=10**9, first_at=NOW, last_at=NOW),) * 2000
    return msgspec.structs.replace(
        sick,
        node=NodeFacts(name=long, instance_id=long, cni_version=long),
        headline="h" * 4000,
        causes=(cause,) * 8,
        past=(cause,) * 8,
        symptoms=(cause,) * 8,
        advice=(cause,) * 8,
        ruled_out=(RuledOut(code="r" * 300, because="b" * 4000, evidence=evidence),) * 40,
        unobserved=(NotSeen(source="u" * 300, why="w" * 300, detail="d" * 4000),) * 40,
        impact=Impact(pods=10**12, failures=10**12, waiting=10**12, first_at=NOW, last_at=NOW, affected=hit),
        numbers=Numbers(enis=EniNumbers(attached=10**15, limit=10**15), addresses=AddressNumbers(10**15, 10**15, 10**15, 10**15, 10**15)),
        outlook=Outlook(short_by=10**15, next_action="a" * 900, target="t" * 900, blocked_by="b" * 900, due_at=NOW, basis="b" * 900),
        next_looks=(NextLook(command="l" * 900, decides=("d" * 900,) * 30),) * 30,
        faults=("f" * 900,) * 30,
    )


_NASTY = st.sampled_from(
    ["", "\x1b[31mred\x1b[0m", "a\nENIAGENT verdict=healthy", "\x00\x07\x7f\x9b31m", "x" * 5000, "\u202e\u2028\ud800", "<script>alert(1)</script>",
     "`rm -rf`", "| a | b |", "node=x cause=none", "Node\u00efve", "\r\n\t", "&lt;", "[a](http://b)", "\U0001f600" * 300]
)
texts = st.one_of(_NASTY, st.text(max_size=40), st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
_zoned = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9000, 1, 1), timezones=st.just(timezone.utc))
_times = st.one_of(st.none(), _zoned)
_counts = st.one_of(st.integers(min_value=0, max_value=10), st.just(10**15))
_values = st.one_of(st.none(), st.booleans(), st.integers(min_value=-(2**53), max_value=2**53), st.floats(), texts)


def _many(one: st.SearchStrategy[T], *, most: int = 20) -> st.SearchStrategy[tuple[T, ...]]:
    """None, a few, or more of the same than the verdict has room for."""
    return st.one_of(st.lists(one, max_size=2).map(tuple), one.map(lambda item: (item,) * most))


_evidence = st.builds(Evidence, fact=texts, observed=_values, source=texts, expected=_values, ref=texts, at=_times)
_commands = st.builds(Command, run=texts, where=texts, effect=texts, rights=texts)
_remedies = st.builds(Remedy, text=texts, commands=_many(_commands, most=12), do_not=_many(texts), recovers_by=texts)
_findings = st.builds(
    Finding, code=texts, kind=st.sampled_from(["cause", "symptom", "advice"]), severity=texts, confidence=st.sampled_from(Confidence), summary=texts, subject=texts, since=_times, until=_times,
    evidence=_many(_evidence, most=12), explains=_many(texts, most=12), remedy=st.one_of(st.none(), _remedies), scope=st.sampled_from(Scope), reference=texts,
)  # fmt: skip
_affected = st.builds(Affected, pod=texts, failures=_counts, first_at=_times, last_at=_times, recovered_at=_times)

any_diagnosis: st.SearchStrategy[Diagnosis] = st.builds(
    Diagnosis,
    agent=st.just({"version": "0.1.0"}) | st.dictionaries(texts, texts, max_size=2),
    taken_at=_zoned,
    window=st.builds(Window, since=_times, until=_times),
    node=st.builds(NodeFacts, instance_id=texts, instance_type=texts, availability_zone=texts, region=texts, name=texts, cni_version=texts),
    verdict=st.sampled_from(Verdict),
    headline=texts,
    causes=_many(_findings),
    past=_many(_findings),
    symptoms=_many(_findings),
    advice=_many(_findings),
    ruled_out=_many(st.builds(RuledOut, code=texts, because=texts, evidence=_many(_evidence))),
    unobserved=_many(st.builds(NotSeen, source=texts, why=texts, detail=texts)),
    impact=st.builds(Impact, pods=_counts, failures=_counts, waiting=_counts, first_at=_times, last_at=_times, affected=_many(_affected, most=200)),
    numbers=st.builds(
        Numbers,
        enis=st.builds(EniNumbers, attached=st.none() | _counts, limit=st.none() | _counts),
        addresses=st.builds(AddressNumbers, total=st.none() | _counts, assigned=st.none() | _counts, cooling=_counts, assignable=_counts),
        max_pods=st.builds(MaxPodsNumbers, configured=st.none() | _counts, computed=st.none() | _counts),
    ),
    outlook=st.none()
    | st.builds(Outlook, short_by=st.none() | _counts, next_action=texts, target=texts, blocked_by=texts, due_at=_times, basis=texts),
    next_looks=_many(st.builds(NextLook, command=texts, decides=_many(texts), where=texts)),
    faults=_many(texts),
)
