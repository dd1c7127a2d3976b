"""What single rules and the engine must and must not say, on built nodes and verbatim lines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Optional

import msgspec
import pytest

from eniagent.case.facts import Facts
from eniagent.diagnose import diagnose
from eniagent.model.finding import Confidence, Verdict
from eniagent.model.ipam import Ipam
from eniagent.model.reading import Unobserved, Why
from eniagent.model.record import Event, Journal, Log, PodTrouble
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.rules import registry, rule
from eniagent.rules.rule import Clear, Fires, Inconclusive
from eniagent.sources.frames import parse_frame
from eniagent.sources.log_fold import make_event
from tests.build import NOW, healthy_snapshot, log, value_of, with_values

REFUSED = (
    '{"level":"error","ts":"%s","caller":"ipamd/ipamd.go:1073","msg":"Failed to CreateNetworkInterface operation error EC2: CreateNetworkInterface, '
    'https response error StatusCode: 400, RequestID: 5c1, api error %s: words of EC2"}'
)
ATTACHED = '{"level":"info","ts":"%s","caller":"awsutils/awsutils.go:1","msg":"Successfully created and attached a new ENI eni-0aaa1 to instance"}'


def _stamp(seconds_ago: float) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _log(*lines: str) -> Log:
    events = [make_event("ipamd", parse_frame(text.encode()), f"logs/ipamd.log:{n}") for n, text in enumerate(lines, 1)]
    found: tuple[Event, ...] = tuple(e for e in events if e is not None)
    counts: dict[str, int] = {}
    for event in found:
        counts[event.signature] = counts.get(event.signature, 0) + 1
    return log("ipamd", events=found, counts=counts, lines=len(lines), form="zap")


def _failing(*, seconds_ago: float = 5, signature: str = "no-address", text: str = "add cmd: failed to assign an IP address to container", recovered_ago: Optional[float] = None) -> Journal:
    at = NOW - timedelta(seconds=seconds_ago)
    newest = Event(signature=signature, at=at, fields={}, text=text, ref="s=1;i=1", program="kubelet")
    recovered = None if recovered_ago is None else NOW - timedelta(seconds=recovered_ago)
    trouble = PodTrouble(pod="default/web-9", failures=3, first_at=at - timedelta(seconds=40), last_at=at, signatures={signature: 3}, newest=newest, recovered_at=recovered)  # type: ignore[arg-type]
    return Journal(program="kubelet", pods=(trouble,), starts=(), events=(), counts={signature: 3}, failures=3, entries=40)


def _full(snapshot: NodeSnapshot) -> NodeSnapshot:
    """The same node with every address that it holds assigned."""
    ipam: Ipam = value_of(snapshot.ipam)
    replace = msgspec.structs.replace
    pools = tuple(replace(p, enis=tuple(replace(e, cidrs=tuple(c for c in e.cidrs if any(a.assigned for a in c.addresses))) for e in p.enis)) for p in ipam.pools)
    return with_values(snapshot, ipam=replace(ipam, pools=pools))


@pytest.mark.parametrize("mode", ["secondary", "prefix", "ipv6"])
@pytest.mark.parametrize("enis", [1, 2])
def test_a_healthy_node_is_healthy(mode: str, enis: int) -> None:
    """Fully observed and consistent: no cause, no past, verdict healthy, everything ruled out by a fact."""
    diagnosis = diagnose(Case(now=healthy_snapshot(enis=1 if mode == "ipv6" else enis, pods=5, mode=mode)))
    assert (diagnosis.verdict, diagnosis.causes, diagnosis.past, diagnosis.faults) == (Verdict.HEALTHY, (), (), ())
    assert len(diagnosis.ruled_out) >= 28


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("InsufficientFreeAddressesInSubnet", "subnet-exhausted"),
        ("InsufficientCidrBlocks", "subnet-fragmented"),
        ("RequestLimitExceeded", "ec2-throttled"),
        ("UnauthorizedOperation", "iam-denied"),
        ("NetworkInterfaceLimitExceeded", "eni-attach-failed"),
        ("SecurityGroupsPerInterfaceLimitExceeded", "eni-attach-failed"),
        ("InvalidSubnetID.NotFound", "eni-attach-failed"),
        ("InvalidGroup.NotFound", "eni-attach-failed"),
    ],
)
def test_a_refusal_with_a_pod_waiting_is_critical(code: str, cause: str) -> None:
    """EC2's code leads, with the refused call in the evidence, and the pod counts as waiting."""
    now = with_values(_full(healthy_snapshot()), ipamd_log=_log(REFUSED % (_stamp(30), code)), kubelet=_failing())
    diagnosis = diagnose(Case(now=now))
    assert diagnosis.causes[0].code == cause
    assert diagnosis.verdict is Verdict.CRITICAL
    assert any("CreateNetworkInterface" in e.fact or code in str(e.observed) for e in diagnosis.causes[0].evidence)
    assert diagnosis.impact.waiting == 1


def test_an_unknown_subnet_under_custom_networking_is_the_eniconfigs() -> None:
    """The same refusal blames the ENIConfig where custom networking is on, and only there."""
    environment = value_of(healthy_snapshot().environment)
    custom = msgspec.structs.replace(environment, values={**environment.values, "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "true"})
    now = with_values(_full(healthy_snapshot()), ipamd_log=_log(REFUSED % (_stamp(30), "InvalidSubnetID.NotFound")), kubelet=_failing(), environment=custom)
    assert diagnose(Case(now=now)).causes[0].code == "eniconfig-invalid"


def test_a_refusal_that_was_followed_by_an_eni_is_past() -> None:
    """After a success the refusal is told under past with since and until, and never leads."""
    now = with_values(healthy_snapshot(), ipamd_log=_log(REFUSED % (_stamp(300), "InsufficientFreeAddressesInSubnet"), ATTACHED % _stamp(100)), kubelet=_failing(seconds_ago=200, recovered_ago=90))
    diagnosis = diagnose(Case(now=now))
    assert diagnosis.causes == ()
    assert diagnosis.verdict is Verdict.WARNING
    past = {f.code: f for f in diagnosis.past}["subnet-exhausted"]
    assert past.since is not None and past.until == NOW - timedelta(seconds=100)


def test_of_two_faults_in_turn_the_standing_one_leads() -> None:
    """A subnet that was full an hour ago does not hide the missing right of now."""
    lines = (REFUSED % (_stamp(3000), "InsufficientFreeAddressesInSubnet"), ATTACHED % _stamp(2500), REFUSED % (_stamp(20), "UnauthorizedOperation"))
    diagnosis = diagnose(Case(now=with_values(_full(healthy_snapshot()), ipamd_log=_log(*lines), kubelet=_failing())))
    assert [c.code for c in diagnosis.causes][0] == "iam-denied"
    assert "subnet-exhausted" in {f.code for f in diagnosis.past}


def test_a_full_subnet_without_a_waiting_pod_is_a_warning() -> None:
    """Nobody needs an address: the cause stands, but it is not critical."""
    diagnosis = diagnose(Case(now=with_values(_full(healthy_snapshot()), ipamd_log=_log(REFUSED % (_stamp(60), "InsufficientFreeAddressesInSubnet")))))
    assert diagnosis.verdict is Verdict.WARNING
    assert diagnosis.causes[0].code == "subnet-exhausted"


def test_the_general_words_alone_are_undetermined() -> None:
    """A pod without an address and no second source: no cause, inconclusive, and looks that would decide."""
    bare = NodeSnapshot(taken_at=NOW, kubelet=healthy_snapshot().kubelet)
    diagnosis = diagnose(Case(now=with_values(bare, kubelet=_failing())))
    assert (diagnosis.verdict, diagnosis.causes) == (Verdict.INCONCLUSIVE, ())
    assert diagnosis.next_looks and all(look.command and look.decides for look in diagnosis.next_looks)


def test_two_witnesses_confirm_and_one_does_not() -> None:
    """The log alone is probable; log and counter together are confirmed."""
    sick = with_values(_full(healthy_snapshot()), ipamd_log=_log(REFUSED % (_stamp(30), "UnauthorizedOperation")), kubelet=_failing())
    assert diagnose(Case(now=sick)).causes[0].confidence is Confidence.PROBABLE
    metrics = value_of(sick.metrics)
    sample = type(metrics.samples[0])(name="awscni_aws_api_error_count", labels={"api": "CreateNetworkInterface", "error": "UnauthorizedOperation"}, value=3.0)
    both = with_values(sick, metrics=msgspec.structs.replace(metrics, samples=(*metrics.samples, sample)))
    assert diagnose(Case(now=both)).causes[0].confidence is Confidence.CONFIRMED


def test_counters_alone_name_nothing_firmly() -> None:
    """Error counters never fall: with the log not collected they prove nothing; with no log file there they are a hint."""
    sick = with_values(_full(healthy_snapshot()), kubelet=_failing())
    metrics = value_of(sick.metrics)
    sample = type(metrics.samples[0])(name="awscni_aws_api_error_count", labels={"api": "CreateNetworkInterface", "error": "InsufficientFreeAddressesInSubnet"}, value=1.0)
    sick = with_values(sick, metrics=msgspec.structs.replace(metrics, samples=(*metrics.samples, sample)))
    for why, expected in ((Why.NOT_COLLECTED, Inconclusive), (Why.NOT_INSTALLED, Fires)):
        unseen = msgspec.structs.replace(sick, ipamd_log=Unobserved(why=why, source="ipamd.log"))
        outcome = rule("subnet-exhausted").check(Facts(Case(now=unseen)))
        assert isinstance(outcome, expected)
        if isinstance(outcome, Fires):
            assert outcome.inferred


def test_ipv6_without_a_prefix_is_named() -> None:
    """ipamd serves with an IPv6 pool of zero and logs nothing more: mode and pool together are the proof."""
    now = healthy_snapshot(mode="ipv6", pods=0)
    ipam: Ipam = value_of(now.ipam)
    replace = msgspec.structs.replace
    empty = replace(ipam, pools=tuple(replace(p, enis=tuple(replace(e, cidrs=()) for e in p.enis)) for p in ipam.pools))
    diagnosis = diagnose(Case(now=with_values(now, ipam=empty, kubelet=_failing())))
    assert diagnosis.causes[0].code == "ipv6-misconfigured"
    assert diagnosis.verdict is Verdict.CRITICAL


def test_a_frozen_pool_is_a_cause_and_a_contradiction_alone_is_advice() -> None:
    """MINIMUM_IP_TARGET without WARM_IP_TARGET: advice at rest, the cause once pods wait on the full pool."""

    def settings(snapshot: NodeSnapshot) -> NodeSnapshot:
        environment = value_of(snapshot.environment)
        values = {**environment.values, "MINIMUM_IP_TARGET": "3", "WARM_ENI_TARGET": "0"}
        values.pop("WARM_IP_TARGET", None)
        return with_values(snapshot, environment=msgspec.structs.replace(environment, values=values))

    rest = diagnose(Case(now=settings(healthy_snapshot())))
    assert rest.causes == () and "warm-targets-misconfigured" in {a.code for a in rest.advice}
    frozen = diagnose(Case(now=settings(with_values(_full(healthy_snapshot()), kubelet=_failing()))))
    assert frozen.causes[0].code == "warm-targets-misconfigured"


def test_a_full_node_with_no_pod_waiting_is_normal() -> None:
    """assigned = limit is what max-pods is for: no cause."""
    full = healthy_snapshot(instance_type="m5.large", enis=3, pods=27)
    outcome = rule("eni-limit-reached").check(Facts(Case(now=full)))
    assert isinstance(outcome, Clear)
    waiting = diagnose(Case(now=with_values(full, kubelet=_failing())))
    assert waiting.causes[0].code == "eni-limit-reached"


def test_a_rule_that_raises_is_the_agents_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the diagnosis stands, the fault is told, and the node is not called healthy."""
    import eniagent.diagnose as engine

    def broken(facts: Facts) -> Any:
        raise ZeroDivisionError("a bug")

    rules = tuple(r._replace(check=broken) if r.code == "iam-denied" else r for r in registry())
    monkeypatch.setattr(engine, "registry", lambda: rules)
    diagnosis = engine.diagnose(Case(now=healthy_snapshot()))
    assert diagnosis.faults == ("iam-denied: ZeroDivisionError: a bug",)
    assert diagnosis.verdict is Verdict.INCONCLUSIVE


def test_a_foreign_failure_is_not_an_address_cause() -> None:
    """A runtime's own error names its owner; no IP or ENI cause is claimed."""
    text = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed"
    diagnosis = diagnose(Case(now=with_values(healthy_snapshot(), kubelet=_failing(signature="oci-runtime", text=text))))
    assert [c.code for c in diagnosis.causes] == ["not-ip-related"]
