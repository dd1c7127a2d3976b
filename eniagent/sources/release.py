"""The CNI's release: told by ipamd's environment, else by the image's tag, else bounded by the shapes that releases print.

Refuses the version that binaries and `awscni_build_info` carry (empty in every official build), Go's version, and a guess where
the shapes contradict each other.
Source: amazon-vpc-cni-k8s tags v1.0.0 to v1.23.1 (ipamd reference, 1.2, 1.4, 1.5, 2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from eniagent.model.capture import Seen
from eniagent.model.cni import Metrics, Release, Settings
from eniagent.model.ipam import Ipam
from eniagent.model.probe import Probe
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span, environment, introspection, metrics, sandboxes, settings

SOURCE = "CNI release"

_VERSION = re.compile(r"v?([0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")

_FAMILIES = {
    "A": ("1.0.0", "1.4.x"),
    "B": ("1.5.0", "1.6.x"),
    "C": ("1.7.0", "1.8.x"),
    "D": ("1.9.0", "1.9.x"),
    "E": ("1.10.0", "1.10.x"),
    "F": ("1.11.0", "1.19.x"),
    "G": ("1.20.0", "1.20.2"),
    "H": ("1.20.3", "1.21.x"),
    "I": ("1.22.0", "1.22.x"),
    "J": ("1.23.0", ""),
}
_IDLE_HIGH = {"A": "1.6.x", "C": "1.19.x", "E": "1.19.x", "G": "", "I": ""}
"""Families whose successor looks the same while no address was ever used."""

_SINCE = {
    "awscni_force_removed_enis": ("1.6.0", "1.5.x"),
    "awscni_total_ipv4_prefixes": ("1.9.0", "1.8.x"),
    "awscni_build_info": ("1.10.0", "1.9.x"),
    "awscni_no_available_ip_addresses": ("1.15.1", "1.15.0"),
    "awscni_connmark_backend": ("1.23.0", "1.22.x"),
}
"""Series that are always there from a release on -> (that release, the last one without)."""

_ONLY_SINCE = {
    "awscni_assigned_ip_per_cidr": "1.10.0",
    "awscni_ec2api_req_count": "1.12.1",
    "awscni_assigned_ip_per_eni": "1.15.1",
    "awscni_ipamd_startup_duration_seconds_count": "1.20.0",
}
"""Series that appear with their first use: being absent says nothing."""

_KEYS_SINCE = {
    "AWS_VPC_ENI_MTU": ("1.7.0", "1.6.x"),
    "AWS_VPC_K8S_CNI_VETHPREFIX": ("1.8.0", "1.7.x"),
    "AWS_EXTERNAL_SERVICE_CIDRS": ("1.12.6", "1.12.5"),
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE": ("1.12.6", "1.12.5"),
    "ENABLE_SUBNET_DISCOVERY": ("1.18.0", "1.17.x"),
}

Bound = tuple[str, str]


def plan(seen: Seen) -> Sequence[Probe]:
    """Nothing of its own: environment, runtime, introspection and metrics are asked for by their sources."""
    return ()


def read(seen: Seen, span: Span) -> Reading[Release]:
    """The release, or a range of releases, and how it is known."""
    told = environment.read(seen, span)
    if isinstance(told, Observed):
        found = _VERSION.match(told.value.values.get("VPC_CNI_VERSION", ""))
        if found:
            return Observed(value=Release(version=found.group(1), basis="VPC_CNI_VERSION of ipamd"), source=SOURCE, at=told.at)
    version = tag_version(sandboxes.images(seen).get("aws-node", ""))
    if version:
        return Observed(value=Release(version=version, basis="image tag of aws-node"), source=SOURCE, at=seen[sandboxes.CONTAINERS].about.at)
    return _inferred(seen, span)


def tag_version(image: str) -> str:
    """`1.19.3` of `.../amazon-k8s-cni:v1.19.3-eksbuild.1`; empty where the tag is no version."""
    name, _, tag = image.partition("@")[0].rpartition(":")
    found = _VERSION.match(tag) if name and "/" not in tag else None
    return found.group(1) if found else ""


def _inferred(seen: Seen, span: Span) -> Reading[Release]:
    bounds: list[Bound] = []
    basis: list[str] = []
    at = None
    ipam, page, told = introspection.read(seen, span), metrics.read(seen, span), settings.read(seen, span)
    if isinstance(ipam, Observed):
        bounds.append(shape_bound(ipam.value))
        basis.append(f"introspection shape {ipam.value.family}")
        at = ipam.at
    if isinstance(page, Observed):
        bounds.extend(_metric_bounds(page.value))
        basis.append("metric names")
        at = at or page.at
    if isinstance(told, Observed):
        bounds.extend(_key_bounds(told.value))
        basis.append("settings' keys")
        at = at or told.at
    if not bounds:
        detail = "not in ipamd's environment nor in an image tag; binaries and metrics carry an empty version"
        return Unobserved(why=Why.NOT_COLLECTED, source=SOURCE, detail=detail)
    low = max((low for low, _ in bounds), key=order)
    high = min((high for _, high in bounds), key=order)
    if order(low) > order(high):
        return Unobserved(why=Why.MALFORMED, source=SOURCE, at=at, detail=f"{' and '.join(basis)} contradict: from {low}, up to {high}")
    return Observed(value=Release(version="", basis=", ".join(basis), low=low if low != "0" else "", high=high), source=SOURCE, at=at)


def order(text: str) -> tuple[int, ...]:
    """A sortable release: `1.21.x` is above every 1.21, and the empty text, an open end, above all."""
    if not text:
        return (1 << 30,)
    return tuple(1 << 20 if part == "x" else int(part) for part in text.split("."))


def shape_bound(ipam: Ipam) -> Bound:
    """The releases that print this shape; wider where an idle node does not show the difference to the next one."""
    low, high = _FAMILIES[ipam.family]
    cidrs = [cidr for pool in ipam.pools for eni in pool.enis for cidr in eni.cidrs]
    addresses = [address for cidr in cidrs for address in cidr.addresses]
    enis = [eni for pool in ipam.pools for eni in pool.enis]
    silent = {"A": not addresses, "C": not enis, "E": not addresses, "G": not enis, "I": not any(a.assigned for a in addresses)}
    return (low, _IDLE_HIGH[ipam.family]) if silent.get(ipam.family) else (low, high)


def _metric_bounds(page: Metrics) -> Iterator[Bound]:
    names = {sample.name for sample in page.samples}
    for name, (since, before) in _SINCE.items():
        yield (since, "") if name in names else ("0", before)
    for name, since in _ONLY_SINCE.items():
        if name in names:
            yield (since, "")
    if "awscni_assigned_ip_per_ipv4cidr" in names:
        yield ("1.9.0", "1.9.x")
    if any(sample.labels.get("api") == "GetMetadata" for sample in page.samples if sample.name.startswith("awscni_aws_api_latency_ms")):
        yield ("0", "1.19.3")


def _key_bounds(told: Settings) -> Iterator[Bound]:
    # Both tables carry keys that changed; a table that did not answer says nothing about its keys.
    if told.incomplete:
        return
    for key, (since, before) in _KEYS_SINCE.items():
        yield (since, "") if key in told.values else ("0", before)
    if "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER" in told.values:
        yield ("1.7.0", "1.12.0")
