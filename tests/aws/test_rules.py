"""EC2's view as evidence: a second witness, a witness where ipamd is silent, what speaks against; and nothing by its absence (law L7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

import msgspec
import pytest

from eniagent.diagnose import diagnose
from eniagent.model.ec2 import Ec2Eni, Ec2Subnet, Ec2Type, Ec2View, TrailCall
from eniagent.model.finding import Confidence, Diagnosis, Finding, Verdict
from eniagent.model.net import EniId, SubnetId
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.model.snapshot import READINGS, Case
from tests.cases import recorded_case, withhold

FULL, SILENT, ATTACH, BUSY = "v1.23.0-subnet-exhausted", "v1.15.5-ec2-throttled", "v1.23.0-attach-limit", "v1.23.0-healthy-busy"
FIRMNESS = {Confidence.POSSIBLE: 0, Confidence.PROBABLE: 1, Confidence.CONFIRMED: 2}


def subnet_of(case: Case) -> str:
    """The subnet of the node's primary ENI."""
    assert isinstance(case.now.metadata, Observed)
    return case.now.metadata.value.enis[0].subnet


def told(case: Case, *, free: Optional[int] = None, calls: tuple[TrailCall, ...] = (), enis: tuple[Ec2Eni, ...] = ()) -> Case:
    """The case, with what EC2 says of it."""
    at = case.now.taken_at
    subnets = () if free is None else (Ec2Subnet(id=SubnetId(subnet_of(case)), free=free, used_here=True),)
    view = Ec2View(
        subnets=Observed(subnets, "EC2 DescribeSubnets", at), enis=Observed(enis, "EC2 DescribeNetworkInterfaces", at),
        calls=Observed(calls, "CloudTrail LookupEvents", at),
    )
    return msgspec.structs.replace(case, now=msgspec.structs.replace(case.now, ec2=Observed(view, "EC2", at)))


def refused(case: Case, code: str, *, ago_s: float = 30, ours: bool = True) -> TrailCall:
    """A call of this node that CloudTrail recorded; "" : EC2 accepted it."""
    at = case.now.taken_at - timedelta(seconds=ago_s)
    return TrailCall(at=at, operation="CreateNetworkInterface", code=code, message="", ours=ours, ref=f"event-{ago_s}")


def lead(diagnosis: Diagnosis) -> Optional[Finding]:
    """The first cause."""
    return diagnosis.causes[0] if diagnosis.causes else None


def found(diagnosis: Diagnosis, code: str) -> Optional[Finding]:
    """The standing cause of that code."""
    return next((f for f in diagnosis.causes if f.code == code), None)


def sources(finding: Optional[Finding]) -> set[str]:
    """The views that its evidence is from."""
    assert finding is not None
    return {fact.source for fact in finding.evidence}


def unmetered(case: Case) -> Case:
    """The case without ipamd's counters, which are a witness of their own."""
    return withhold(case, "metrics", Why.NOT_COLLECTED)


def test_a_full_subnet_has_a_second_witness() -> None:
    """ipamd.log alone makes it probable; EC2's count of no free address confirms it."""
    case = unmetered(recorded_case(FULL))
    alone, both = lead(diagnose(case)), lead(diagnose(told(case, free=0)))
    assert alone is not None and both is not None
    assert (alone.code, both.code) == ("subnet-exhausted", "subnet-exhausted")
    assert (alone.confidence, both.confidence) == (Confidence.PROBABLE, Confidence.CONFIRMED)
    assert "EC2 API" in sources(both) and "EC2 API" not in sources(alone)


def test_room_again_is_told_and_makes_nothing_firmer() -> None:
    """Many free addresses beside the refusal: the count is shown, the confidence stays, and the remedy begins with waiting."""
    case = unmetered(recorded_case(FULL))
    alone, roomy = lead(diagnose(case)), lead(diagnose(told(case, free=4000)))
    assert alone is not None and roomy is not None and roomy.remedy is not None
    assert roomy.confidence is alone.confidence
    assert [fact.observed for fact in roomy.evidence if fact.source == "EC2 API"] == [4000]
    assert roomy.remedy.text.startswith("EC2 now counts 4000 free addresses")


def test_room_rules_out_what_nothing_else_decides() -> None:
    """Without ipamd.log it is open whether the subnet is full; EC2's count excludes it, with the number."""
    case = withhold(recorded_case(BUSY), "ipamd_log", Why.NOT_COLLECTED)
    assert "subnet-exhausted" not in {out.code for out in diagnose(case).ruled_out}
    (out,) = [out for out in diagnose(told(case, free=4000)).ruled_out if out.code == "subnet-exhausted"]
    assert [fact.observed for fact in out.evidence] == [4000]


def test_a_full_subnet_is_seen_without_a_log() -> None:
    """A node that writes no log, with pods waiting on an empty pool: EC2's count of zero names the cause; a log not collected does not."""
    case = unmetered(recorded_case(FULL))
    silent = told(withhold(case, "ipamd_log", Why.NOT_INSTALLED), free=0)
    finding = lead(diagnose(silent))
    assert finding is not None and finding.code == "subnet-exhausted"
    assert finding.subject == subnet_of(case)
    assert found(diagnose(told(withhold(case, "ipamd_log", Why.NOT_COLLECTED), free=0)), "subnet-exhausted") is None


def test_silent_throttling_is_heard_in_cloudtrail() -> None:
    """Releases that log no throttling leave it undetermined; CloudTrail's record of this node's refused calls names it."""
    case = recorded_case(SILENT)
    before = diagnose(case)
    assert before.verdict is Verdict.INCONCLUSIVE
    after = diagnose(told(case, calls=(refused(case, "RequestLimitExceeded", ago_s=50), refused(case, "RequestLimitExceeded", ago_s=20))))
    finding = lead(after)
    assert finding is not None and finding.code == "ec2-throttled"
    assert sources(finding) >= {"CloudTrail"} and after.verdict is Verdict.CRITICAL
    assert "2 x" in finding.evidence[0].fact


@pytest.mark.parametrize(
    ("why", "codes"),
    [
        ("another node's call", (("RequestLimitExceeded", 20.0, False),)),
        ("a later call was accepted", (("RequestLimitExceeded", 50.0, True), ("", 20.0, True))),
        ("it is long ago", (("RequestLimitExceeded", 2000.0, True),)),
        ("a code that stands for no cause", (("DryRunOperation", 20.0, True),)),
    ],
)
def test_a_record_that_proves_nothing(why: str, codes: tuple[tuple[str, float, bool], ...]) -> None:
    """Refusals of others, refusals that are over or old, and unknown codes name no cause."""
    case = recorded_case(SILENT)
    calls = tuple(refused(case, code, ago_s=ago_s, ours=ours) for code, ago_s, ours in codes)
    assert found(diagnose(told(case, calls=calls)), "ec2-throttled") is None, why


def test_no_pod_waits_then_no_record_is_a_cause() -> None:
    """On a node where no pod waits, a refused call in CloudTrail is no cause, and the verdict stays."""
    case = recorded_case(BUSY)
    calls = (refused(case, "RequestLimitExceeded"), refused(case, "AttachmentLimitExceeded"), refused(case, "UnauthorizedOperation"))
    diagnosis = diagnose(told(case, calls=calls))
    assert diagnosis.causes == ()
    assert diagnosis.verdict is diagnose(case).verdict


def test_a_refused_attach_has_more_witnesses() -> None:
    """eni-attach-failed: CloudTrail repeats the code, EC2's list counts the attached ENIs and names the unmanaged one."""
    case = recorded_case(ATTACH)
    enis = tuple(Ec2Eni(id=EniId(f"eni-0{n}"), device_number=n, managed=n != 2) for n in range(3))
    finding = found(diagnose(told(case, calls=(refused(case, "AttachmentLimitExceeded"),), enis=enis)), "eni-attach-failed")
    assert finding is not None and finding.confidence is Confidence.CONFIRMED
    facts = {fact.fact: fact.observed for fact in finding.evidence}
    assert facts["ENIs that ipamd does not manage"] == "eni-02"
    assert (sources(finding) >= {"CloudTrail", "EC2 API"}) and 3 in facts.values()


def test_ec2_knows_a_type_that_the_table_does_not() -> None:
    """Limits of an unknown type come from DescribeInstanceTypes, and only from an answer about that very type."""
    case = recorded_case(BUSY)
    assert isinstance(case.now.metadata, Observed)
    identity = msgspec.structs.replace(case.now.metadata.value.identity, instance_type="x99.large")
    metadata = msgspec.structs.replace(case.now.metadata, value=msgspec.structs.replace(case.now.metadata.value, identity=identity))
    case = msgspec.structs.replace(case, now=msgspec.structs.replace(case.now, metadata=metadata))
    assert diagnose(case).numbers.addresses.limit is None
    kind = Ec2Type(type="x99.large", enis_per_card=(3,), default_card=0, ipv4_per_eni=10, ipv6_per_eni=10, hypervisor="nitro", bare_metal=False, vcpus=2)
    for name, limit in (("x99.large", 27), ("m5.large", None)):
        view = Ec2View(type=Observed(msgspec.structs.replace(kind, type=name), "EC2 DescribeInstanceTypes"))
        now = msgspec.structs.replace(case.now, ec2=Observed(view, "EC2"))
        assert diagnose(msgspec.structs.replace(case, now=now)).numbers.addresses.limit == limit


def test_what_was_forbidden_is_told_and_what_was_not_asked_is_not() -> None:
    """Parts that EC2 refused stand under `unobserved`; a run that did not ask says nothing of EC2."""
    case = recorded_case(BUSY)
    view = Ec2View(subnets=Unobserved(Why.FORBIDDEN, "EC2 DescribeSubnets", detail="the right ec2:DescribeSubnets is absent (UnauthorizedOperation)"))
    asked = msgspec.structs.replace(case, now=msgspec.structs.replace(case.now, ec2=Observed(view, "EC2")))
    seen = {out.source: out.why for out in diagnose(asked).unobserved}
    assert seen["EC2 DescribeSubnets"] == "forbidden"
    assert not [out for out in diagnose(case).unobserved if "EC2" in out.source or "CloudTrail" in out.source]


def variants() -> list[Case]:
    """Cases with every kind of EC2 evidence in them."""
    full, silent, attach, busy = recorded_case(FULL), recorded_case(SILENT), recorded_case(ATTACH), recorded_case(BUSY)
    return [
        told(full, free=0),
        told(full, free=4000),
        told(unmetered(full), free=3, calls=(refused(full, "InsufficientFreeAddressesInSubnet"),)),
        told(withhold(full, "ipamd_log", Why.NOT_INSTALLED), free=0),
        told(silent, free=4000, calls=(refused(silent, "RequestLimitExceeded"),)),
        told(silent, free=0),
        told(attach, free=4000, calls=(refused(attach, "AttachmentLimitExceeded"),)),
        told(busy, free=0, calls=(refused(busy, "UnauthorizedOperation"),)),
        told(busy, free=4000),
    ]


@pytest.mark.parametrize("number", range(9))
def test_law_l7_with_ec2_evidence(number: int) -> None:
    """EC2's view, or any other reading beside it, not collected or truncated: no new cause, no firmer one, never healthy by it."""
    case = variants()[number]
    whole = diagnose(case)
    before = {c.code: FIRMNESS[c.confidence] for c in whole.causes}
    wrong = []
    for field in (*READINGS, "ec2"):
        if not isinstance(getattr(case.now, field), Observed):
            continue
        for why in (Why.NOT_COLLECTED, Why.TRUNCATED):
            less = diagnose(withhold(case, field, why))
            wrong += [f"without {field}: {c.code}" for c in less.causes if FIRMNESS[c.confidence] > before.get(c.code, -1)]
            if less.verdict is Verdict.HEALTHY and whole.verdict is not Verdict.HEALTHY:
                wrong.append(f"without {field}: healthy")
    assert wrong == []
