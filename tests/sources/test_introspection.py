"""The shape families of `/v1/enis`, A to J, each from a reply as its releases print it."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from eniagent.model.ipam import Address, Cidr, Ipam, Pool, PoolEni
from eniagent.model.net import EniId, PodName, SandboxId, SubnetId
from eniagent.model.probe import HttpGet
from eniagent.model.reading import Why
from eniagent.sources import introspection
from tests.sources.recorded_captures import REPRESENTATIVE, capture, recorded, refusal, seen_of, value

ZERO = "0001-01-01T00:00:00Z"


def utc(*parts: int) -> datetime:
    """A UTC time."""
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


def ipam(document: Any) -> Ipam:
    """What the source makes of a reply."""
    found = value("ipam", seen_of({introspection.FILE: json.dumps(document).encode()}))
    assert isinstance(found, Ipam)
    return found


def only_eni(found: Ipam) -> PoolEni:
    """The one ENI of the one pool."""
    ((eni,),) = (pool.enis for pool in found.pools)
    return eni


def key(container: str = "") -> dict[str, str]:
    """An assigned or, without a container, a free IPAMKey."""
    return {"networkName": "aws-cni" if container else "", "containerID": container, "ifName": "eth0" if container else ""}


def cidr(text: str, addresses: dict[str, Any], *, inner: str = "IPAddresses", **more: Any) -> dict[str, Any]:
    """One CIDR object under its key."""
    ip, _, bits = text.partition("/")
    prefix = bits not in ("32", "128")
    return {text: {"Cidr": {"IP": ip, "Mask": "////8A=="}, inner: addresses, "IsPrefix": prefix, **more}}


def flat(addresses: dict[str, Any], *, pools: str) -> dict[str, Any]:
    """A reply of families A to C."""
    eni: dict[str, Any] = {"IsPrimary": True, "ID": "eni-0aaa1", "DeviceNumber": 0, "IPv4Addresses": addresses}
    eni.update({"AssignedIPv4Addresses": 1} if pools == "ENIIPPools" else {"IsTrunk": False, "IsEFA": False})
    return {"TotalIPs": 2, "AssignedIPs": 1, pools: {"eni-0aaa1": eni}}


def nested(cidrs: dict[str, Any], *, ipv6: Any = None, **more: Any) -> dict[str, Any]:
    """One card's pool, families D to J."""
    eni = {"ID": "eni-0aaa1", "IsPrimary": True, "IsTrunk": False, "IsEFA": False, "DeviceNumber": 0, "AvailableIPv4Cidrs": cidrs}
    if ipv6 is not None:
        eni["IPv6Cidrs"] = ipv6
    return {"TotalIPs": 2, "AssignedIPs": 1, "ENIs": {"eni-0aaa1": {**eni, **more}}}


def single(ip: str, *addresses: Address) -> Cidr:
    """The model of a secondary address."""
    return Cidr(network=ip_network(ip), is_prefix=False, addresses=addresses)


def test_family_a() -> None:
    """1.0 to 1.4: `Assigned` alone tells; a free address has no history."""
    found = ipam(flat({"10.0.1.11": {"Assigned": True}, "10.0.1.12": {"Assigned": False}}, pools="ENIIPPools"))
    cidrs = (single("10.0.1.11", Address(ip=ip_address("10.0.1.11"), assigned=True)), single("10.0.1.12"))
    eni = PoolEni(id=EniId("eni-0aaa1"), device_number=0, is_primary=True, cidrs=cidrs)
    assert found == Ipam(family="A", pools=(Pool(card=0, enis=(eni,), reported_total=2, reported_assigned=1),))


def test_family_b() -> None:
    """1.5 and 1.6: the time of freeing appears; the zero time says "never"."""
    taken = {"Address": "10.0.1.11", "Assigned": True, "UnassignedTime": ZERO}
    freed = {"Address": "10.0.1.12", "Assigned": False, "UnassignedTime": "2020-03-01T10:00:00.123456789Z"}
    never = {"Address": "10.0.1.13", "Assigned": False, "UnassignedTime": ZERO}
    found = ipam(flat({"10.0.1.11": taken, "10.0.1.12": freed, "10.0.1.13": never}, pools="ENIIPPools"))
    cooling = Address(ip=ip_address("10.0.1.12"), assigned=False, unassigned_at=utc(2020, 3, 1, 10, 0, 0, 123456))
    assert found.family == "B"
    assert only_eni(found).cidrs == (
        single("10.0.1.11", Address(ip=ip_address("10.0.1.11"), assigned=True)),
        single("10.0.1.12", cooling),
        single("10.0.1.13"),
    )


def test_family_c() -> None:
    """1.7 and 1.8: `Assigned` is gone, the IPAM key tells; `ENIs` replaces `ENIIPPools`."""
    taken = {"IPAMKey": key("4b1f"), "Address": "10.0.1.11", "UnassignedTime": ZERO}
    freed = {"IPAMKey": key(), "Address": "10.0.1.12", "UnassignedTime": "2021-06-20T08:01:02.123456789Z"}
    found = ipam(flat({"10.0.1.11": taken, "10.0.1.12": freed}, pools="ENIs"))
    first, second = only_eni(found).cidrs
    assert found.family == "C"
    assert first.addresses == (Address(ip=ip_address("10.0.1.11"), assigned=True, sandbox=SandboxId("4b1f")),)
    assert second.addresses[0].unassigned_at == utc(2021, 6, 20, 8, 1, 2, 123456)


def test_family_d() -> None:
    """1.9: CIDRs, whose inner map is still called `IPv4Addresses`; free addresses are no longer listed."""
    taken = {"IPAMKey": key("4b1f"), "Address": "10.0.1.11", "UnassignedTime": ZERO}
    found = ipam(nested({**cidr("10.0.1.11/32", {"10.0.1.11": taken}, inner="IPv4Addresses"), **cidr("10.0.1.12/32", {}, inner="IPv4Addresses")}))
    assert found.family == "D"
    assert [(c.size, len(c.addresses)) for c in only_eni(found).cidrs] == [(1, 1), (1, 0)]


def test_family_e() -> None:
    """1.10, prefix mode: 16 addresses of which one was handed out."""
    taken = {"IPAMKey": key("4b1f"), "Address": "10.0.1.16", "UnassignedTime": ZERO}
    found = ipam(nested(cidr("10.0.1.16/28", {"10.0.1.16": taken}, AddressFamily=""), ipv6={}))
    (prefix,) = only_eni(found).cidrs
    assert (found.family, prefix.size, prefix.is_prefix) == ("E", 16, True)
    assert prefix.addresses == (Address(ip=ip_address("10.0.1.16"), assigned=True, sandbox=SandboxId("4b1f")),)


def test_family_f() -> None:
    """1.11 to 1.19: pods' names and the time of assignment; a freed address keeps both times."""
    taken = {
        "Address": "10.0.1.11",
        "IPAMKey": key("4b1f"),
        "IPAMMetadata": {"k8sPodNamespace": "kube-system", "k8sPodName": "coredns-57ff979f67-qqbdh"},
        "AssignedTime": "2023-03-09T04:09:07.998123456Z",
        "UnassignedTime": ZERO,
    }
    freed = {"Address": "10.0.1.12", "IPAMKey": key(), "IPAMMetadata": {}, "AssignedTime": "2023-03-09T03:00:00Z", "UnassignedTime": "2023-03-09T04:09:00.5Z"}
    found = ipam(nested({**cidr("10.0.1.11/32", {"10.0.1.11": taken}), **cidr("10.0.1.12/32", {"10.0.1.12": freed})}, ipv6={}))
    first, second = (c.addresses[0] for c in only_eni(found).cidrs)
    assert found.family == "F"
    assert first == Address(
        ip=ip_address("10.0.1.11"),
        assigned=True,
        pod=PodName("kube-system/coredns-57ff979f67-qqbdh"),
        sandbox=SandboxId("4b1f"),
        assigned_at=utc(2023, 3, 9, 4, 9, 7, 998123),
    )
    assert (second.assigned, second.assigned_at, second.unassigned_at) == (False, utc(2023, 3, 9, 3), utc(2023, 3, 9, 4, 9, 0, 500000))


def test_family_g() -> None:
    """1.20.0 to 1.20.2: one pool for each card, under the card's number."""
    taken = {
        "Address": "10.0.1.11",
        "IPAMKey": key("4b1f"),
        "IPAMMetadata": {"k8sPodNamespace": "ml", "k8sPodName": "trainer-0", "interfacesCount": 2},
        "AssignedTime": "2025-08-01T10:00:00.1Z",
        "UnassignedTime": ZERO,
    }
    found = ipam({"1": nested(cidr("10.0.1.40/32", {}), ipv6={}), "0": nested(cidr("10.0.1.11/32", {"10.0.1.11": taken}), ipv6={})})
    assert found.family == "G"
    assert [pool.card for pool in found.pools] == [0, 1]
    assert found.pools[0].enis[0].cidrs[0].addresses[0].pod == "ml/trainer-0"
    assert found.pools[1].enis[0].cidrs[0].addresses == ()


def test_family_h() -> None:
    """1.20.3 to 1.21: the route table of each ENI."""
    found = ipam({"0": nested(cidr("10.0.1.11/32", {}), ipv6={}, RouteTableID=254), "1": nested({}, ipv6={}, RouteTableID=10101)})
    assert (found.family, [pool.enis[0].route_table for pool in found.pools]) == ("H", [254, 10101])


@pytest.mark.parametrize(("container", "family"), [("4b1f", "I"), ("", "J")])
def test_families_i_and_j(container: str, family: str) -> None:
    """1.22 and 1.23 differ only by the scrub: an address is assigned where the network has a name, container or not."""
    names = {"networkName": "aws-cni", "containerID": container, "ifName": "eth0" if container else ""}
    taken = {
        "Address": "10.0.1.17",
        "IPAMKey": names,
        "IPAMMetadata": {"k8sPodNamespace": "default", "k8sPodName": "web-0", "interfacesCount": 1},
        "AssignedTime": "2026-08-05T09:00:00.25Z",
        "UnassignedTime": ZERO,
    }
    found = ipam(
        {"0": nested(cidr("10.0.1.16/28", {"10.0.1.17": taken}), ipv6={}, IsExcludedForPodIPs=True, RouteTableID=254, SubnetID="subnet-0123")}
    )
    eni = only_eni(found)
    assert (found.family, eni.excluded, eni.route_table, eni.subnet) == (family, True, 254, SubnetId("subnet-0123"))
    (address,) = eni.cidrs[0].addresses
    assert (address.assigned, address.pod, address.sandbox) == (True, "default/web-0", SandboxId(container) if container else None)


def test_family_j_ipv6() -> None:
    """An IPv6 cluster: one /80, whose capacity is 2^48, and whose first address goes to a pod."""
    taken = {
        "Address": "2600:1f14:abc:de00:1::",
        "IPAMKey": {"networkName": "aws-cni", "containerID": "", "ifName": ""},
        "IPAMMetadata": {"k8sPodNamespace": "default", "k8sPodName": "web-0"},
        "AssignedTime": "2026-08-05T09:00:00.25Z",
        "UnassignedTime": ZERO,
    }
    pool = nested({}, ipv6=cidr("2600:1f14:abc:de00:1::/80", {"2600:1f14:abc:de00:1::": taken}), RouteTableID=254, SubnetID="subnet-0123")
    found = ipam({"0": {**pool, "TotalIPs": 281474976710656}})
    (prefix,) = only_eni(found).cidrs
    assert (found.family, prefix.size, found.pools[0].reported_total) == ("J", 1 << 48, 1 << 48)
    assert prefix.addresses[0].ip == ip_address("2600:1f14:abc:de00:1::")


def test_counters_are_kept_not_trusted() -> None:
    """ipamd's own counters drift: they stand beside what was counted, even when negative."""
    pool = {**nested(cidr("10.0.1.16/28", {}), ipv6={}), "TotalIPs": -9, "AssignedIPs": 7}
    found = ipam(pool)
    assert (found.pools[0].reported_total, found.pools[0].reported_assigned) == (-9, 7)
    assert sum(c.size for c in only_eni(found).cidrs) == 16


def test_two_appended_documents() -> None:
    """Log collectors append: the last of two whole documents counts, and a cut one spoils the file."""
    first, second = json.dumps(nested({}, ipv6={})).encode(), json.dumps(nested(cidr("10.0.1.16/28", {}), ipv6={})).encode()
    assert len(only_eni(value("ipam", seen_of({introspection.FILE: first + b"\n" + second}))).cidrs) == 1
    assert refusal("ipam", seen_of({introspection.FILE: first + second[:-9]})).why is Why.MALFORMED


@pytest.mark.parametrize("place", ["DeviceNumber", "ID", "IsPrimary", "AvailableIPv4Cidrs"])
def test_one_bad_eni_among_good_ones(place: str) -> None:
    """An ENI that cannot be read is never left out: the reply is malformed, and the detail names the place."""
    good = nested(cidr("10.0.1.16/28", {}), ipv6={}, RouteTableID=254)
    bad = {**good["ENIs"]["eni-0aaa1"], "ID": "eni-0bbb2", place: 4.5}
    found = refusal("ipam", seen_of({introspection.FILE: json.dumps({"0": {**good, "ENIs": {**good["ENIs"], "eni-0bbb2": bad}}}).encode()}))
    assert found.why is Why.MALFORMED
    assert place in found.detail


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"AvailableCommands": ["/v1/enis", "/v1/eni-configs"]}, "AvailableCommands"),
        ({}, "no known shape"),
        ({"TotalIPs": 1, "AssignedIPs": 0}, "neither ENIs"),
        ({"message": "not found"}, "no known shape"),
        ({"0": {"TotalIPs": 1, "AssignedIPs": 0, "ENIs": {"eni-1": {"ID": "eni-1", "IsPrimary": True, "DeviceNumber": 0}}}}, "no CIDRs"),
        (nested(cidr("10.0.1.16/28", {"10.0.1.17": {"Address": "10.0.1.17"}})), "IPAMKey"),
        (nested(cidr("10.0.1.16/99", {})), "no CIDR"),
        (nested(cidr("10.0.1.16/28", {"10.0.1.17": {"IPAMKey": key("a"), "AssignedTime": "yesterday"}})), "no time"),
    ],
)
def test_unknown_shapes_are_malformed(document: Any, word: str) -> None:
    """A 200 with the command list, an empty map and every half-known shape is malformed, never an empty pool."""
    seen = {introspection.FILE: capture(introspection.FILE, json.dumps(document).encode(), status=200)}
    found = refusal("ipam", seen)
    assert found.why is Why.MALFORMED
    assert word in found.detail


def test_a_pool_without_enis_is_a_pool() -> None:
    """An empty ENI map is what a node shows whose ENIs are all unmanaged: observed, with nothing in it."""
    assert ipam({"0": {"TotalIPs": 0, "AssignedIPs": 0, "ENIs": {}}}).pools == (Pool(card=0, enis=(), reported_total=0, reported_assigned=0),)


@pytest.mark.parametrize(
    ("status", "why"), [(401, Why.FORBIDDEN), (403, Why.FORBIDDEN), (404, Why.MALFORMED), (500, Why.MALFORMED), (503, Why.MALFORMED)]
)
def test_http_statuses(status: int, why: Why) -> None:
    """A status that is no success is told with its number, whatever the body says."""
    found = refusal("ipam", {introspection.FILE: capture(introspection.FILE, json.dumps(nested({})).encode(), status=status)})
    assert (found.why, found.detail) == (why, f"HTTP {status}")


@pytest.mark.parametrize(
    ("variable", "failure", "why"),
    [
        ("true", Why.REFUSED, Why.DISABLED),
        ("T", Why.REFUSED, Why.DISABLED),
        ("false", Why.REFUSED, Why.REFUSED),
        ("yes", Why.REFUSED, Why.REFUSED),
        ("true", Why.TIMED_OUT, Why.TIMED_OUT),
    ],
)
def test_disabled_needs_both(variable: str, failure: Why, why: Why) -> None:
    """*Disabled* is said only where the port refuses and ipamd's environment says that it should; Go's words for true count."""
    environment = json.dumps({"DISABLE_INTROSPECTION": variable}).encode()
    seen = {introspection.FILE: capture(introspection.FILE, failure=failure), **seen_of({"ipamd/env.json": environment})}
    assert refusal("ipam", seen).why is why


def test_one_request_is_planned_once() -> None:
    """ipamd logs every request: after the answer, whatever it was, nothing more is asked."""
    (probe,) = introspection.plan({})
    assert probe == HttpGet(file=introspection.FILE, service="introspection", path="/v1/enis")
    assert introspection.plan({introspection.FILE: capture(introspection.FILE, failure=Why.REFUSED)}) == ()


@pytest.mark.parametrize(
    ("name", "family", "enis", "size", "assigned"),
    [
        ("v1.15.5-healthy-busy", "F", 3, 27, 13),
        ("v1.19.3-healthy-ipv6", "F", 1, 1 << 48, 6),
        ("v1.23.0-healthy-prefix", "J", 1, 48, 24),
        ("v1.23.0-healthy-busy", "J", 3, 27, 13),
    ],
)
def test_recorded_nodes(name: str, family: str, enis: int, size: int, assigned: int) -> None:
    """Real replies: the sums that a person counts in them, and every assigned address with its pod."""
    assert name in REPRESENTATIVE
    found = value("ipam", recorded(name))
    cidrs = [c for pool in found.pools for eni in pool.enis for c in eni.cidrs]
    held = [a for c in cidrs for a in c.addresses if a.assigned]
    assert (found.family, sum(len(pool.enis) for pool in found.pools), sum(c.size for c in cidrs), len(held)) == (family, enis, size, assigned)
    assert all(a.pod and a.pod.startswith("default/web-") and a.assigned_at for a in held)
