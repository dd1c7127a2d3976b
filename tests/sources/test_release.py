"""The CNI's release: told, tagged, or bounded by what the node prints."""

from __future__ import annotations

import json
from typing import Any

import pytest

from eniagent.model.capture import Capture
from eniagent.model.ipam import Address, Cidr, Ipam, Pool, PoolEni
from eniagent.model.net import EniId, parse_address, parse_network
from eniagent.model.reading import Why
from eniagent.sources import release
from tests.recorded import truths
from tests.sources.recorded_captures import capture, recorded, refusal, seen_of, value

TAGGED = b'{"containers":[{"metadata":{"name":"aws-node"},"image":{"image":"602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.14.1-eksbuild.1"}}]}'


@pytest.mark.parametrize("text", ["v1.23.0", "1.23.0", "v1.23.0-eksbuild.2", "v1.23.0-rc1"])
def test_the_environment_goes_first(text: str) -> None:
    """VPC_CNI_VERSION, whatever its dress, before an image's tag."""
    seen = seen_of({"ipamd/env.json": json.dumps({"VPC_CNI_VERSION": text}).encode(), "runtime/containers.json": TAGGED})
    found = value("release", seen)
    assert (found.version, found.low, found.high) == ("1.23.0", "", "")


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.14.1-eksbuild.1", "1.14.1"),
        ("localhost:5000/amazon-k8s-cni:v1.9.3@sha256:ab", "1.9.3"),
        ("localhost:5000/amazon-k8s-cni", ""),
        ("public.ecr.aws/eks/amazon-k8s-cni:latest", ""),
        ("sha256:0123456789abcdef", ""),
        ("", ""),
    ],
)
def test_tags(image: str, version: str) -> None:
    """Only a tag that is a version says one."""
    assert release.tag_version(image) == version


def test_the_tag_serves_old_manifests() -> None:
    """Before 1.15 the environment has no version: the image's tag is next."""
    seen = seen_of({"ipamd/env.json": b'{"WARM_ENI_TARGET":"1"}', "runtime/containers.json": TAGGED})
    found = value("release", seen)
    assert (found.version, found.basis) == ("1.14.1", "image tag of aws-node")


def pool(family: str, *, address: bool = True, assigned: bool = True, eni: bool = True) -> Ipam:
    """A datastore of a family, more or less idle."""
    held = (Address(ip=parse_address("10.0.0.1"), assigned=assigned),) if address else ()
    cidr = Cidr(network=parse_network("10.0.0.1/32"), is_prefix=False, addresses=held)
    enis = (PoolEni(id=EniId("eni-1"), device_number=0, is_primary=True, cidrs=(cidr,)),) if eni else ()
    return Ipam(family=family, pools=(Pool(card=0, enis=enis),))


@pytest.mark.parametrize(
    ("ipam", "bound"),
    [
        (pool("A"), ("1.0.0", "1.4.x")),
        (pool("A", address=False), ("1.0.0", "1.6.x")),
        (pool("B"), ("1.5.0", "1.6.x")),
        (pool("C", eni=False), ("1.7.0", "1.19.x")),
        (pool("D"), ("1.9.0", "1.9.x")),
        (pool("E"), ("1.10.0", "1.10.x")),
        (pool("E", address=False), ("1.10.0", "1.19.x")),
        (pool("F"), ("1.11.0", "1.19.x")),
        (pool("G"), ("1.20.0", "1.20.2")),
        (pool("G", eni=False), ("1.20.0", "")),
        (pool("H"), ("1.20.3", "1.21.x")),
        (pool("I"), ("1.22.0", "1.22.x")),
        (pool("I", assigned=False), ("1.22.0", "")),
        (pool("J"), ("1.23.0", "")),
    ],
)
def test_shapes_bound_the_release(ipam: Ipam, bound: tuple[str, str]) -> None:
    """A shape names its releases; an idle node, which cannot show the difference to the next shape, names more."""
    assert release.shape_bound(ipam) == bound


def quiet(name: str, step: int = -1) -> dict[str, Capture]:
    """A recorded node without the environment that tells its release."""
    return {file: found for file, found in recorded(name, step).items() if file != "ipamd/env.json"}


@pytest.mark.parametrize("name", [name for name in sorted(truths()) if "healthy" in name])
def test_the_range_holds_the_release(name: str) -> None:
    """On every healthy recorded node the range that is inferred from what it prints holds its real release, and is no mere guess."""
    found = value("release", quiet(name))
    real = release.order(name[1:].partition("-")[0])
    assert found.version == ""
    assert release.order(found.low) <= real <= release.order(found.high)
    assert release.order(found.low) >= (1, 15)


def test_ipamd_silent() -> None:
    """Nothing told and nothing printed: not collected, and why the binaries do not help."""
    found = refusal("release", {"ipamd/enis.json": capture("ipamd/enis.json", failure=Why.REFUSED)})
    assert found.why is Why.NOT_COLLECTED
    assert "empty version" in found.detail


def test_contradicting_shapes() -> None:
    """A flat pool beside a metric of 1.23: no range, and both ends named."""
    flat: dict[str, Any] = {"TotalIPs": 0, "AssignedIPs": 0, "ENIs": {}}
    page = b"awscni_connmark_backend{backend=\"nftables\"} 1\nawscni_no_available_ip_addresses 0\n"
    found = refusal("release", seen_of({"ipamd/enis.json": json.dumps(flat).encode(), "ipamd/metrics.txt": page}))
    assert found.why is Why.MALFORMED
    assert "1.23.0" in found.detail and "1.5.x" in found.detail


def test_releases_sort() -> None:
    """An open end is above all; `x` above every patch; numbers as numbers."""
    assert sorted(["1.20.0", "", "1.9.x", "1.19.x", "1.9.12", "0", "1.19.3"], key=release.order) == ["0", "1.9.12", "1.9.x", "1.19.3", "1.19.x", "1.20.0", ""]
