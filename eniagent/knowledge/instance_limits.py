"""What EC2 grants each instance type: ENIs per network card, addresses per ENI, hypervisor, trunking.

Refuses to guess: a type that the table does not list is None, and a number that EC2 does not publish stays None.
The table is data beside this module; one look-up reads it once and parses one line.
Source: EC2 DescribeInstanceTypes, see `provenance()`. ENI limits are per card, as ipamd counts them (pkg/vpc, v1.23.1).
"""

from __future__ import annotations

import functools
import pkgutil
import re
from collections.abc import Iterator
from typing import Optional

import msgspec

_TABLE = "instance_limits.tsv"

_BURSTABLE = re.compile(r"t\d")
"""Families without trunk ENIs. Source: EKS user guide, "Security groups for Pods": no type of the t family."""

_NITRO_WITHOUT_TRUNK = frozenset({"i4i.large", "u-6tb1.56xlarge", "u-6tb1.112xlarge"})
"""Types that the VPC resource controller lists as incompatible although they are Nitro (its limits of 2026-03)."""


class InstanceLimits(msgspec.Struct, frozen=True):
    """Limits of one type. `enis` is the default card's, the one that pods use; `nitro` None: EC2 does not say (bare metal).

    `branch_enis` is 0 where there is no trunk, and None where the number is not published.
    """

    type: str
    enis: int
    enis_per_card: tuple[int, ...]
    default_card: int
    ipv4_per_eni: int
    ipv6_per_eni: int
    nitro: Optional[bool]
    bare_metal: bool
    trunking: Optional[bool]
    branch_enis: Optional[int]
    vcpus: int

    @property
    def prefixes(self) -> bool:
        """Whether prefix mode works: ipamd asks for Nitro or bare metal (ipamd.go, `isPrefixDelegationSupported`)."""
        return bool(self.nitro) or self.bare_metal


class Provenance(msgspec.Struct, frozen=True):
    """Where the table is from: `date` is the day of its newest source, `count` the number of types."""

    source: str
    date: str
    count: int


@functools.lru_cache(maxsize=1)
def _table() -> bytes:
    """The whole table, opened with a newline so that every row stands between two of them."""
    data = pkgutil.get_data("eniagent.knowledge", _TABLE)
    if data is None:
        raise FileNotFoundError(_TABLE)
    return b"\n" + data


def _parse(line: str) -> InstanceLimits:
    """One row. Raises `ValueError` on a row that is not of the table's form."""
    name, cards, default, ipv4, ipv6, hypervisor, metal, vcpus = line.split("\t")
    per_card = tuple(int(n) for n in cards.split(","))
    nitro = None if hypervisor == "-" else hypervisor == "nitro"
    trunking = (bool(nitro) or metal == "1") and not _BURSTABLE.match(name) and name not in _NITRO_WITHOUT_TRUNK
    return InstanceLimits(
        type=name,
        enis=per_card[int(default)],
        enis_per_card=per_card,
        default_card=int(default),
        ipv4_per_eni=int(ipv4),
        ipv6_per_eni=int(ipv6),
        nitro=nitro,
        bare_metal=metal == "1",
        trunking=trunking,
        branch_enis=None if trunking else 0,
        vcpus=int(vcpus),
    )


@functools.lru_cache(maxsize=32)
def limits(instance_type: str) -> Optional[InstanceLimits]:
    """The limits of `instance_type`, or None where the table does not list it."""
    if not re.fullmatch(r"[A-Za-z0-9.-]+", instance_type):
        return None
    table, key = _table(), b"\n" + instance_type.encode("ascii") + b"\t"
    start = table.find(key)
    if start < 0:
        return None
    return _parse(table[start + 1 : table.index(b"\n", start + 1)].decode("ascii"))


def all_limits() -> Iterator[InstanceLimits]:
    """Every row, in the table's order."""
    for line in _table().decode("ascii").splitlines():
        if line and not line.startswith("#"):
            yield _parse(line)


def provenance() -> Provenance:
    """Source, date and count, as the table's own header tells them."""
    told = dict(re.findall(r"^# (source|date|count): (.*)$", _table()[:1024].decode("ascii"), re.MULTILINE))
    return Provenance(source=told["source"], date=told["date"], count=int(told["count"]))
