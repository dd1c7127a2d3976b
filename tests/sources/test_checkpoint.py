"""ipamd's checkpoint files."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import Any

import pytest

from eniagent.model.ipam import CheckpointEntry
from eniagent.model.net import PodName, SandboxId
from eniagent.model.reading import Why
from eniagent.sources import checkpoint
from tests.sources.recorded_captures import capture, recorded, refusal, seen_of, value

IPAM, NIC_2 = "ipamd/checkpoint/ipam.json", "ipamd/checkpoint/ipam-nic-2.json"


def document(*entries: dict[str, Any], version: str = "vpc-cni-ipam/1") -> bytes:
    """A checkpoint file."""
    return json.dumps({"version": version, "allocations": list(entries)}).encode()


def entry(**more: Any) -> dict[str, Any]:
    """One allocation as 1.7 wrote it, with what later releases added."""
    return {"networkName": "aws-cni", "containerID": "4b1f", "ifName": "eth0", "ipv4": "10.0.1.17", **more}


def test_all_cards_join() -> None:
    """The file's name tells the card; old entries have no time and no pod."""
    new = entry(allocationTimestamp=1754384400250000000, metadata={"k8sPodNamespace": "default", "k8sPodName": "web-0", "interfacesCount": 1})
    found = value("checkpoint", seen_of({IPAM: document(entry()), NIC_2: document(new)})).entries
    assert sorted(found, key=lambda e: e.card) == [
        CheckpointEntry(sandbox=SandboxId("4b1f"), interface="eth0", ip=ip_address("10.0.1.17")),
        CheckpointEntry(
            sandbox=SandboxId("4b1f"),
            interface="eth0",
            ip=ip_address("10.0.1.17"),
            pod=PodName("default/web-0"),
            assigned_at=datetime(2025, 8, 5, 9, 0, 0, 250000, timezone.utc),
            card=2,
        ),
    ]


@pytest.mark.parametrize("allocations", [[], None])
def test_an_empty_store_is_observed(allocations: Any) -> None:
    """No allocation is an answer."""
    assert value("checkpoint", seen_of({IPAM: json.dumps({"version": "vpc-cni-ipam/1", "allocations": allocations}).encode()})).entries == ()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (document(entry())[:-5], "not JSON"),
        (document(entry(), version="vpc-cni-ipam/2"), "version"),
        (document({"containerID": "a", "ifName": "eth0"}), "no address"),
        (document(entry(ipv4="10.0.1.999")), "no address"),
        (document(entry(), {"ipv4": "10.0.1.18"}), "containerID"),
    ],
)
def test_one_bad_file_spoils_all(data: bytes, word: str) -> None:
    """A file that ipamd itself could not restore is malformed, named, and its sound neighbour does not hide it."""
    found = refusal("checkpoint", seen_of({IPAM: document(entry()), NIC_2: data}))
    assert found.why is Why.MALFORMED
    assert found.detail.startswith("ipam-nic-2.json: ")
    assert word in found.detail


def test_no_file_is_told_as_such() -> None:
    """A glob that matched nothing: not installed, and nothing more to ask."""
    seen = {"ipamd/checkpoint/ipam*.json": capture("ipamd/checkpoint/ipam*.json", failure=Why.NOT_INSTALLED)}
    assert refusal("checkpoint", seen).why is Why.NOT_INSTALLED
    assert checkpoint.plan(seen) == ()


@pytest.mark.parametrize("name", ["v1.15.5-healthy-busy", "v1.19.3-healthy-ipv6", "v1.23.0-healthy-busy"])
def test_recorded_checkpoints_agree_with_introspection(name: str) -> None:
    """On a healthy recorded node the two views hold the same addresses for the same pods, and the checkpoint has the container ids."""
    seen = recorded(name)
    pools = value("ipam", seen).pools
    held = {(a.ip, a.pod) for pool in pools for eni in pool.enis for cidr in eni.cidrs for a in cidr.addresses if a.assigned}
    entries = value("checkpoint", seen).entries
    assert {(e.ip or e.ipv6, e.pod) for e in entries} == held
    assert all(len(e.sandbox) == 64 for e in entries)
