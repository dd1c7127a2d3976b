"""How many pods and addresses a node can have: the field's formulas over a type's limits.

Refuses to know what a node is configured with: callers pass the mode. The caps are policy, not physics; each says whose.
Sources: amazon-vpc-cni-k8s v1.23.1 (ipamd.go, misc/eni-max-pods.txt), amazon-eks-ami nodeadm and max-pods-calculator.sh.
"""

from __future__ import annotations

from typing import Optional

from eniagent.knowledge.instance_limits import InstanceLimits

PREFIX_SIZE = 16
"""Addresses in an IPv4 prefix, a /28; all of them are usable."""

HOST_NETWORK_PODS = 2
"""What every formula adds: aws-node and kube-proxy run on the host's network and need no address."""

CAP_FEW_VCPUS = 110
CAP_MANY_VCPUS = 250
MANY_VCPUS_ABOVE = 30
CAP_POLICY = "amazon-eks-ami max-pods-calculator.sh: 110 pods up to 30 vCPUs, 250 above; nodeadm and eni-max-pods.txt do not cap"


def pod_enis(limits: InstanceLimits, *, custom_networking: bool = False, max_eni: Optional[int] = None) -> int:
    """ENIs of the default card that can hold pods' addresses. `max_eni` is the CNI's MAX_ENI; below 1 it means no limit.

    Custom networking gives up the primary ENI.
    """
    enis = limits.enis
    if max_eni is not None and max_eni >= 1:
        enis = min(enis, max_eni)
    return max(enis - 1, 0) if custom_networking else enis


def addresses_per_eni(limits: InstanceLimits, *, prefix: bool = False) -> int:
    """Pod addresses on one full ENI: the first address of each ENI is its own."""
    return max(limits.ipv4_per_eni - 1, 0) * (PREFIX_SIZE if prefix else 1)


def address_limit(
    limits: InstanceLimits, *, prefix: bool = False, custom_networking: bool = False, max_eni: Optional[int] = None
) -> int:
    """IPv4 addresses that ipamd can hold for pods on this type's default card."""
    return pod_enis(limits, custom_networking=custom_networking, max_eni=max_eni) * addresses_per_eni(limits, prefix=prefix)


def max_pods_uncapped(
    limits: InstanceLimits, *, prefix: bool = False, custom_networking: bool = False, max_eni: Optional[int] = None
) -> int:
    """Every address in use, plus the pods that need none."""
    return address_limit(limits, prefix=prefix, custom_networking=custom_networking, max_eni=max_eni) + HOST_NETWORK_PODS


def cap(vcpus: int) -> int:
    """The most pods that `CAP_POLICY` allows on so many vCPUs."""
    return CAP_MANY_VCPUS if vcpus > MANY_VCPUS_ABOVE else CAP_FEW_VCPUS


def max_pods(
    limits: InstanceLimits,
    *,
    prefix: bool = False,
    custom_networking: bool = False,
    max_eni: Optional[int] = None,
    vcpus: Optional[int] = None,
) -> int:
    """The value to give kubelet. Secondary-IP mode: nodeadm's, uncapped. Prefix mode: under `CAP_POLICY`.

    `vcpus` overrides the type's own count, for an instance that was launched with fewer.
    """
    pods = max_pods_uncapped(limits, prefix=prefix, custom_networking=custom_networking, max_eni=max_eni)
    return min(pods, cap(limits.vcpus if vcpus is None else vcpus)) if prefix else pods
