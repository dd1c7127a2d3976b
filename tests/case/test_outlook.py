"""The outlook: ipamd's own arithmetic and limits, case by case."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Optional

import msgspec
import pytest

from eniagent.case.facts import Facts
from eniagent.case.outlook import outlook
from eniagent.model import cni, ipam, record
from eniagent.model.finding import Outlook
from eniagent.model.reading import Observed, Why
from eniagent.model.snapshot import READINGS, Case, NodeSnapshot
from tests import build
from tests.build import NOW

BASE = {"ENABLE_IPv4": "true", "ENABLE_IPv6": "false", "ENABLE_PREFIX_DELEGATION": "false", "VPC_CNI_VERSION": "v1.23.0"}
MINUTE = timedelta(minutes=1)


def told(snapshot: NodeSnapshot) -> Optional[Outlook]:
    """The outlook of one snapshot."""
    return outlook(Facts(Case(now=snapshot)))


def event(signature: str, text: str, *, age_s: float, **fields: str) -> record.Event:
    """A line of ipamd.log so many seconds ago."""
    return record.Event(signature=signature, at=NOW - timedelta(seconds=age_s), fields=fields, text=text, ref="logs/ipamd.log:1", program="ipamd")


def node(pool: str, *events: record.Event, instance_type: str = "m5.large", max_pods: str = "110", **settings: str) -> NodeSnapshot:
    """A node with this pool, these settings and these lines; its limits are the type's."""
    snapshot = build.healthy_snapshot(instance_type=instance_type)
    log = record.Log(program="ipamd", events=events, counts={}, form="zap")
    values: dict[str, Any] = {
        "ipam": build.pools_from(pool),
        "environment": cni.Environment(values={**BASE, **settings}),
        "settings": cni.Settings(values={}),
        "ipamd_log": log,
        "kubelet_config": cni.KubeletConfig(max_pods=int(max_pods)),
        "metadata": msgspec.structs.replace(build.value_of(snapshot.metadata), enis=()),
    }
    return build.without(build.with_values(snapshot, **values), "metrics")


def pods(count: int, *, of: int, eni: int = 0) -> str:
    """One ENI's line: `of` addresses, the first `count` assigned."""
    words = [f"10.0.{eni}.{10 + i}" + (f"=default/p{eni}-{i}" if i < count else "") for i in range(of)]
    return " ".join([f"eni-{eni}", *words])


@pytest.mark.parametrize(
    ("pool", "settings", "short_by", "action", "target"),
    [
        (pods(0, of=9), {}, 0, "nothing", ""),
        (pods(1, of=9), {}, 1, "create-eni", ""),
        (pods(2, of=5), {}, 6, "assign-address", "eni-0"),
        (pods(9, of=9) + "\n" + pods(0, of=9, eni=1), {}, 0, "nothing", ""),
        (pods(2, of=5), {"WARM_ENI_TARGET": "0"}, -3, "nothing", ""),
        (pods(5, of=5), {"WARM_ENI_TARGET": "0"}, 1, "assign-address", "eni-0"),
        (pods(2, of=5), {"WARM_IP_TARGET": "5"}, 2, "assign-address", "eni-0"),
        (pods(2, of=5), {"WARM_IP_TARGET": "3"}, 0, "nothing", ""),
        (pods(2, of=6), {"WARM_IP_TARGET": "3"}, -1, "free-address", "eni-0"),
        (pods(2, of=6), {"WARM_IP_TARGET": "3", "MINIMUM_IP_TARGET": "6"}, 0, "nothing", ""),
        (pods(0, of=3), {"WARM_IP_TARGET": "1", "MINIMUM_IP_TARGET": "6"}, 3, "assign-address", "eni-0"),
        (pods(9, of=9), {"WARM_IP_TARGET": "4"}, 4, "create-eni", ""),
    ],
)
def test_arithmetic_of_single_addresses(pool: str, settings: dict[str, str], short_by: int, action: str, target: str) -> None:
    """Short or over by ipamd's formulas; an ENI with room is filled before another is attached."""
    found = told(node(pool, **settings))
    assert found is not None
    assert (found.short_by, found.next_action, found.target) == (short_by, action, target)


@pytest.mark.parametrize(
    ("pool", "settings", "short_by", "action"),
    [
        ("eni-0 10.0.0.16/28", {"WARM_PREFIX_TARGET": "1"}, 0, "nothing"),
        ("eni-0 10.0.0.16/28 10.0.0.17=a/b", {"WARM_PREFIX_TARGET": "1"}, 1, "assign-prefix"),
        ("eni-0 10.0.0.16/28 10.0.0.17=a/b 10.0.0.32/28 10.0.0.48/28", {"WARM_PREFIX_TARGET": "1"}, -31, "free-address"),
        ("eni-0 10.0.0.16/28 10.0.0.17=a/b", {"WARM_IP_TARGET": "16"}, 1, "assign-prefix"),
        ("eni-0 10.0.0.16/28 10.0.0.17=a/b 10.0.0.32/28", {"WARM_IP_TARGET": "5"}, -26, "free-address"),
        ("eni-0 10.0.0.16/28 10.0.0.17=a/b 10.0.0.32/28", {"WARM_IP_TARGET": "16"}, -15, "nothing"),
        (" ".join(["eni-0", *(f"10.0.{i}.0/28 10.0.{i}.1=a/p{i}" for i in range(9))]), {"WARM_IP_TARGET": "200"}, 65, "create-eni"),
    ],
)
def test_arithmetic_of_prefixes(pool: str, settings: dict[str, str], short_by: int, action: str) -> None:
    """Prefixes come and go whole: an address over the target is no reason to give a needed prefix back."""
    found = told(node(pool, max_pods="250", ENABLE_PREFIX_DELEGATION="true", **settings))
    assert found is not None
    assert (found.short_by, found.next_action) == (short_by, action)


def test_cooling_counts_as_available() -> None:
    """A pool whose free addresses all cool is at its target in ipamd's eyes: nothing comes, though nothing is assignable."""
    pool = "eni-0 " + " ".join(f"10.0.0.{10 + i}~5" for i in range(9))
    found = told(node(pool))
    assert found is not None
    assert (found.short_by, found.next_action) == (0, "nothing")
    assert "9 of them cooling" in found.basis


def test_minimum_alone_freezes() -> None:
    """MINIMUM_IP_TARGET without WARM_IP_TARGET: at the minimum, with every address in use, the pool stands still."""
    found = told(node(pods(4, of=4), MINIMUM_IP_TARGET="4", WARM_ENI_TARGET="0"))
    assert found is not None
    assert (found.next_action, found.blocked_by, found.due_at) == ("nothing", "minimum-target", None)


def test_eni_limit_and_its_name() -> None:
    """Where no ENI has room and none may be attached, the limit is named: the type's, or MAX_ENI where that is smaller."""
    full = "\n".join(pods(9, of=9, eni=i) for i in range(3))
    found, lower = told(node(full)), told(node(pods(9, of=9), MAX_ENI="1"))
    assert found is not None and lower is not None
    assert (found.next_action, found.blocked_by) == ("nothing", "eni-limit")
    assert (lower.next_action, lower.blocked_by) == ("nothing", "MAX_ENI")


def test_own_gauge_beats_imds_for_slots() -> None:
    """A foreign ENI in IMDS takes a slot, unless ipamd's own gauge says that ipamd does not know of it."""
    snapshot = node(pods(9, of=9) + "\n" + pods(9, of=9, eni=1))
    listed = build.value_of(build.healthy_snapshot(enis=3, pods=27).metadata)
    snapshot = build.with_values(snapshot, metadata=msgspec.structs.replace(listed, enis=listed.enis[2:]))
    without_gauge = told(snapshot)
    with_gauge = told(build.with_values(snapshot, metrics=cni.Metrics(samples=(cni.Sample("awscni_eni_max", {}, 3.0),))))
    assert without_gauge is not None and with_gauge is not None
    assert (without_gauge.next_action, without_gauge.blocked_by) == ("nothing", "eni-limit")
    assert with_gauge.next_action == "create-eni"


def test_slot_kept_for_a_trunk() -> None:
    """With security groups for pods, one slot is kept until the trunk is there."""
    two = pods(9, of=9) + "\n" + pods(9, of=9, eni=1)
    waiting, without = told(node(two, ENABLE_POD_ENI="true")), told(node(two))
    assert waiting is not None and without is not None
    assert (waiting.next_action, without.next_action) == ("nothing", "create-eni")


def test_backoff_holds_until_120_s() -> None:
    """After EC2's refusal for want of addresses nothing is added for 120 s: the next try is the first look after that."""
    refused = event("subnet-lacks", "Unable to attach IPs/Prefixes for the ENI, subnet doesn't seem to have enough IPs/Prefixes.", age_s=50)
    looked = event("pool-low", "IP pool is too low for Network Card 0: available (0) < ENI target (1) * addrsPerENI (9)", age_s=3)
    found = told(node(pods(9, of=9), refused, looked))
    assert found is not None and found.due_at is not None
    assert found.next_action == "create-eni"
    assert found.blocked_by == f"backoff-120s until {NOW + timedelta(seconds=70):%H:%M:%S}"
    assert timedelta(seconds=70) <= found.due_at - NOW < timedelta(seconds=75)


def test_restart_ends_the_backoff() -> None:
    """An ipamd that was started after the refusal does not know of it."""
    refused = event("subnet-lacks", "subnet doesn't seem to have enough IPs/Prefixes", age_s=50)
    found = told(node(pods(9, of=9), refused, event("ipamd-start", "Starting L-IPAMD", age_s=20)))
    assert found is not None
    assert (found.next_action, found.blocked_by) == ("create-eni", "")


@pytest.mark.parametrize(("discovery", "blocked"), [("false", True), ("true", False)])
def test_release_rule_of_an_existing_eni(discovery: str, blocked: bool) -> None:
    """The same code on an existing ENI starts the back-off only with subnet discovery off, where the log lacks ipamd's own word."""
    refused = event(
        "ec2-refused", "failed to allocate one IP addresses on ENI eni-0", age_s=30, code="InsufficientFreeAddressesInSubnet", operation="AssignPrivateIpAddresses"
    )
    found = told(node(pods(4, of=5), refused, ENABLE_SUBNET_DISCOVERY=discovery))
    assert found is not None
    assert found.next_action == "assign-address"
    assert found.blocked_by.startswith("backoff-120s") is blocked


def test_other_refusals_are_tried_again_in_5_s() -> None:
    """After any other refusal the next try is one turn of the loop later."""
    tried = event("eni-create-try", "Trying to allocate 9 IP addresses on new ENI", age_s=4.2)
    refused = event("ec2-refused", "UnauthorizedOperation", age_s=4, code="UnauthorizedOperation", operation="CreateNetworkInterface")
    found = told(node(pods(9, of=9), tried, refused))
    assert found is not None
    assert (found.next_action, found.blocked_by) == ("create-eni", "")
    assert found.due_at == NOW + timedelta(seconds=1)


def test_call_in_flight() -> None:
    """A try without an answer is what ipamd is at: it is named with its beginning, and no time is promised."""
    found = told(node(pods(9, of=9), event("eni-create-try", "Trying to allocate 9 IP addresses on new ENI", age_s=80)))
    assert found is not None
    assert found.next_action == "create-eni"
    assert found.blocked_by.startswith("ec2-call-in-flight since")
    assert found.due_at is None


def test_attached_and_waiting_for_imds() -> None:
    """Once EC2 has attached the ENI, it is instance metadata that ipamd waits for."""
    events = (
        event("eni-create-try", "Trying to allocate 9 IP addresses on new ENI", age_s=20),
        event("eni-attached", "Successfully created and attached a new ENI eni-1", age_s=19, eni="eni-1"),
        event("imds-wait", "Not able to find the right ENI yet (attempt 9/12)", age_s=2),
    )
    found = told(node(pods(9, of=9), *events))
    assert found is not None
    assert found.blocked_by.startswith("imds-lag since")


def test_cordoned_node() -> None:
    """ipamd's last look ended with the node being cordoned: nothing is added, unless it manages such nodes."""
    said = event("non-schedulable", "AWS CNI is on a non schedulable node, will not try to attach any new IPs or ENIs right now", age_s=4)
    found, managed = told(node(pods(9, of=9), said)), told(node(pods(9, of=9), said, AWS_MANAGE_ENIS_NON_SCHEDULABLE="true"))
    assert found is not None and managed is not None
    assert (found.next_action, found.blocked_by) == ("nothing", "non-schedulable")
    assert managed.next_action == "create-eni"


@pytest.mark.parametrize(("version", "action"), [("1.23.0", "nothing"), ("1.16.2", "create-eni"), ("", "unknown")])
def test_max_pods_is_a_ceiling_since_1_16_3(version: str, action: str) -> None:
    """A pool of maxPods addresses does not grow, in releases that know the ceiling; where the release is not known, neither is the step."""
    snapshot = node(pods(9, of=9), max_pods="9")
    release = cni.Release(version=version, basis="test", low="" if version else "1.11.0", high="" if version else "1.19.x")
    found = told(build.with_values(snapshot, release=release))
    assert found is not None
    assert found.next_action == action
    assert found.blocked_by == ("max-pods" if action == "nothing" else "")


def test_provisioning_disabled_and_ipv6() -> None:
    """Switched-off provisioning adds nothing; an IPv6 node has no pool manager."""
    found = told(node(pods(9, of=9), DISABLE_NETWORK_RESOURCE_PROVISIONING="true"))
    assert found is not None
    assert (found.next_action, found.blocked_by) == ("nothing", "provisioning-disabled")
    six = told(build.healthy_snapshot(mode="ipv6"))
    assert six is not None
    assert (six.short_by, six.next_action) == (0, "nothing")


def test_ipamd_down() -> None:
    """While ipamd's ports refuse, nothing happens at all, and how short the pool is is not known."""
    found = told(build.without(node(pods(9, of=9)), "ipam", "metrics", "settings", why=Why.REFUSED))
    assert found is not None
    assert (found.short_by, found.next_action, found.blocked_by) == (None, "nothing", "ipamd-down")


def test_idle_eni_is_freed_when_old_enough() -> None:
    """An ENI that no target needs goes 60 s after it came, and when nothing on it cools any more."""
    pool = pods(0, of=9) + "\n" + pods(0, of=9, eni=1)
    born = event("eni-attached", "Successfully created and attached a new ENI eni-1", age_s=20, eni="eni-1")
    young, old = told(node(pool, born)), told(node(pool))
    cooling = told(node(pods(0, of=9) + "\neni-1 10.0.1.10~10 " + " ".join(f"10.0.1.{11 + i}" for i in range(8))))
    assert young is not None and old is not None and cooling is not None
    assert (young.next_action, young.target) == (old.next_action, old.target) == ("free-eni", "eni-1")
    assert young.due_at is not None and old.due_at is not None and cooling.due_at is not None
    assert timedelta(seconds=40) <= young.due_at - NOW <= timedelta(seconds=45)
    assert old.due_at - NOW <= timedelta(seconds=5)
    assert timedelta(seconds=20) <= cooling.due_at - NOW <= timedelta(seconds=25)


@pytest.mark.parametrize("kind", ["is_trunk", "is_efa", "is_primary"])
def test_some_enis_are_never_freed(kind: str) -> None:
    """Trunk, EFA and primary ENIs stay, however idle."""
    snapshot = node(pods(0, of=9) + "\n" + pods(0, of=9, eni=1))
    (pool,) = build.value_of(snapshot.ipam).pools
    enis = (pool.enis[0], msgspec.structs.replace(pool.enis[1], **{kind: True}))
    found = told(build.with_values(snapshot, ipam=ipam.Ipam(family="J", pools=(msgspec.structs.replace(pool, enis=enis),))))
    assert found is not None
    assert found.next_action == "nothing"


def test_addresses_are_given_back_every_30_s() -> None:
    """The next give-back waits until 30 s after the last."""
    gave = event("cidr-free-try", "Trying to unassign the following IPs [10.0.0.9] from ENI eni-0", age_s=10, what="IPs", eni="eni-0")
    found = told(node(pods(2, of=6), gave, WARM_IP_TARGET="3"))
    assert found is not None and found.due_at is not None
    assert found.next_action == "free-address"
    assert timedelta(seconds=20) <= found.due_at - NOW < timedelta(seconds=25)


def test_excluded_enis_are_no_room() -> None:
    """An ENI excluded from pod addresses counts neither in the pool nor as room, and takes its slot."""
    snapshot = node(pods(9, of=9) + "\n" + pods(0, of=0, eni=1))
    (pool,) = build.value_of(snapshot.ipam).pools
    enis = (pool.enis[0], msgspec.structs.replace(pool.enis[1], excluded=True))
    found = told(build.with_values(snapshot, ipam=ipam.Ipam(family="J", pools=(msgspec.structs.replace(pool, enis=enis),))))
    assert found is not None
    assert (found.short_by, found.next_action) == (9, "create-eni")


def test_second_card_keeps_one_spare() -> None:
    """A managed card above 0 keeps one spare address whatever is set for card 0, and its own ENI limit."""
    snapshot = node(pods(0, of=9), instance_type="p4d.24xlarge")
    (pool,) = build.value_of(snapshot.ipam).pools
    second = msgspec.structs.replace(build.pools_from(pods(3, of=3, eni=1)).pools[0], card=1)
    wide = msgspec.structs.replace(pool, enis=build.pools_from(pods(0, of=49)).pools[0].enis)
    found = told(build.with_values(snapshot, ipam=ipam.Ipam(family="J", pools=(wide, second))))
    assert found is not None
    assert (found.short_by, found.next_action, found.target) == (1, "assign-address", "eni-1")
    assert found.basis.startswith("card 1: ")


def test_unknown_settings_are_unknown() -> None:
    """Without the environment the minimum is not known, so neither is the step; ipamd's own words on a low pool tell it."""
    values = {"WARM_IP_TARGET": "0", "WARM_ENI_TARGET": "1", "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG": "false"}
    blind = build.with_values(build.without(node(pods(5, of=5)), "environment"), settings=cni.Settings(values=values))
    found = told(blind)
    assert found is not None
    assert (found.short_by, found.next_action) == (None, "unknown")
    assert "MINIMUM_IP_TARGET" in found.basis
    low = event("pool-low", "IP pool is too low for Network Card 0: available (0) < ENI target (1) * addrsPerENI (9)", age_s=2)
    log = record.Log(program="ipamd", events=(low,), counts={}, form="zap")
    heard = told(build.with_values(blind, ipamd_log=log))
    assert heard is not None
    assert (heard.short_by, heard.next_action) == (9, "assign-address")


def test_nothing_known_is_no_outlook() -> None:
    """A node of which nothing was seen has no outlook."""
    assert told(NodeSnapshot(taken_at=NOW)) is None


@pytest.mark.parametrize("field", READINGS)
def test_ignorance_promises_no_other_step(field: str) -> None:
    """A reading that is taken away leaves the step as it was, or unknown, or no outlook; limits may then be told by another source."""
    snapshot = node(pods(9, of=9), event("pool-low", "available (0) < ENI target (1) * addrsPerENI (9)", age_s=2))
    full, less = told(snapshot), told(build.without(snapshot, field))
    assert full is not None
    assert less is None or less.next_action in (full.next_action, "unknown")


def test_builders_are_at_rest() -> None:
    """The healthy builders' pools are at their targets in every mode: the reference for all of the above."""
    for mode in ("secondary", "prefix", "ipv6"):
        snapshot = build.healthy_snapshot(mode=mode)
        assert isinstance(snapshot.ipam, Observed)
        found = told(snapshot)
        assert found is not None
        assert found.next_action == "nothing", found
