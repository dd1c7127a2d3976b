"""The builders agree with themselves: what rules may rely on in a snapshot that no test has touched."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from eniagent.model.codec import decode, encode
from eniagent.model.reading import Observed, Why
from eniagent.model.snapshot import READINGS, NodeSnapshot
from tests.build import NOW, healthy_snapshot, pools_from, value_of, veth_name, with_values, without

NODES: tuple[dict[str, Any], ...] = (
    {},
    {"enis": 3, "pods": 20},
    {"mode": "prefix", "pods": 40},
    {"mode": "ipv6", "pods": 12},
    {"instance_type": "c5.xlarge", "enis": 4, "pods": 56},
)


@pytest.mark.parametrize("node", NODES, ids=str)
def test_everything_is_observed(node: dict[str, Any]) -> None:
    """No reading is missing, and the snapshot survives being written."""
    snapshot = healthy_snapshot(**node)
    assert all(isinstance(getattr(snapshot, field), Observed) for field in READINGS)
    assert decode(encode(snapshot), NodeSnapshot) == snapshot


@pytest.mark.parametrize("node", NODES, ids=str)
def test_the_views_agree(node: dict[str, Any]) -> None:
    """Pool, IMDS, checkpoint, kernel, metrics and sandboxes speak of the same ENIs, addresses and pods."""
    snapshot = healthy_snapshot(**node)
    (pool,) = value_of(snapshot.ipam).pools
    held = {a.ip: (a.pod, eni) for eni in pool.enis for c in eni.cidrs for a in c.addresses if a.assigned}
    assert len(held) == node.get("pods", 3) == pool.reported_assigned
    assert {(e.ip or e.ipv6, e.pod) for e in value_of(snapshot.checkpoint).entries} == {(ip, pod) for ip, (pod, _) in held.items()}
    assert {eni.id for eni in value_of(snapshot.metadata).enis} == {eni.id for eni in pool.enis}
    assert {eni.mac for eni in value_of(snapshot.metadata).enis} <= {link.mac for link in value_of(snapshot.links) if link.up}
    assert {pod for pod, _ in held.values()} <= {s.pod for s in value_of(snapshot.sandboxes).pods if s.ready}
    assert value_of(snapshot.metrics).value("awscni_total_ip_addresses") == sum(c.size for eni in pool.enis for c in eni.cidrs)
    routing, names = value_of(snapshot.routing), {link.name for link in value_of(snapshot.links)}
    for ip, (pod, eni) in held.items():
        host = ip_network(ip)
        assert [r.table for r in routing.rules if r.priority == 512 and r.dst == host] == ["main"]
        assert [r.table for r in routing.rules if r.priority == 1536 and r.src == host] == ([] if eni.is_primary else [str(eni.route_table)])
        (route,) = (r for r in routing.routes if r.dst == host and r.table == "main")
        assert route.device == veth_name(*pod.split("/")) and route.device in names


def test_changing_one_reading() -> None:
    """One field changes, the others stay."""
    snapshot = healthy_snapshot()
    lost = without(snapshot, "metadata", why=Why.TIMED_OUT)
    assert lost.metadata != snapshot.metadata and lost.ipam == snapshot.ipam
    assert with_values(lost, metadata=value_of(snapshot.metadata)).metadata == snapshot.metadata


def test_pools_in_a_few_words() -> None:
    """Free, assigned and cooling addresses, and those within a prefix."""
    (pool,) = pools_from("eni-a 10.0.0.4=default/web-0 10.0.0.5 10.0.0.6~12 10.0.0.16/28 10.0.0.17=default/web-1\neni-b 10.0.0.90").pools
    assert [(eni.id, eni.is_primary, eni.device_number) for eni in pool.enis] == [("eni-a", True, 0), ("eni-b", False, 1)]
    assert [(c.size, len(c.addresses)) for c in pool.enis[0].cidrs] == [(1, 1), (1, 0), (1, 1), (16, 1)]
    freed = pool.enis[0].cidrs[2].addresses[0]
    assert freed.unassigned_at is not None and (NOW - freed.unassigned_at).total_seconds() == 12


def test_the_name_of_a_veth() -> None:
    """The CNI's own test vector."""
    assert veth_name("kube-system", "coredns-57ff979f67-qqbdh") == "enib5faff8a083"


@pytest.mark.parametrize("node", [{"pods": 10}, {"enis": 4}, {"mode": "ipv6", "enis": 2}, {"instance_type": "x.none"}])
def test_impossible_nodes(node: dict[str, Any]) -> None:
    """What no such instance could hold is refused."""
    with pytest.raises(ValueError):
        healthy_snapshot(**node)
