"""The table of instance types and the formulas over it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eniagent.knowledge.instance_limits import all_limits, limits, provenance
from eniagent.knowledge.max_pods import address_limit, cap, max_pods, max_pods_uncapped


@pytest.mark.parametrize(
    ("instance_type", "pods"), [("t3.small", 11), ("m5.large", 29), ("c5.xlarge", 58), ("r5.2xlarge", 58), ("m5.24xlarge", 737)]
)
def test_published_max_pods(instance_type: str, pods: int) -> None:
    """Secondary-IP mode gives the numbers that AWS publishes in eni-max-pods.txt."""
    found = limits(instance_type)
    assert found is not None
    assert max_pods(found) == pods


def test_every_row_obeys_the_formula() -> None:
    """Every type: ENIs of the default card x (addresses - 1) + 2, and the row is plausible in itself."""
    rows = list(all_limits())
    assert len(rows) == provenance().count > 1300
    for row in rows:
        assert max_pods(row) == row.enis * (row.ipv4_per_eni - 1) + 2, row.type
        assert row.enis == row.enis_per_card[row.default_card] >= 1, row.type
        assert row.ipv4_per_eni >= 2 and row.vcpus >= 1, row.type
        assert limits(row.type) == row


def test_rows_are_unique_and_sorted() -> None:
    """A type stands once, so that a look-up by text cannot find the wrong row."""
    names = [row.type for row in all_limits()]
    assert names == sorted(set(names))


def test_prefix_mode() -> None:
    """m5.large with prefixes: 434 addresses' worth of pods, 110 by policy; 250 for more than 30 vCPUs."""
    m5 = limits("m5.large")
    assert m5 is not None
    assert max_pods_uncapped(m5, prefix=True) == 434
    assert max_pods(m5, prefix=True) == 110
    assert max_pods(m5, prefix=True, vcpus=48) == 250
    assert (cap(30), cap(31)) == (110, 250)


def test_custom_networking_gives_up_the_primary() -> None:
    """Custom networking leaves one ENI less for pods; prefix mode multiplies by 16; MAX_ENI limits both."""
    m5 = limits("m5.large")
    assert m5 is not None
    assert address_limit(m5) == 27
    assert max_pods(m5, custom_networking=True) == 20
    assert address_limit(m5, custom_networking=True, prefix=True) == 288
    assert address_limit(m5, max_eni=2) == 18
    assert address_limit(m5, max_eni=-1) == 27
    assert address_limit(m5, max_eni=1, custom_networking=True) == 0


def test_several_cards_count_the_default_card_only() -> None:
    """A type with 32 cards serves pods from its default card, as ipamd does."""
    p5 = limits("p5.48xlarge")
    assert p5 is not None
    assert len(p5.enis_per_card) == 32
    assert max_pods(p5) == 100


@pytest.mark.parametrize(
    ("instance_type", "nitro", "prefixes", "trunking"),
    [
        ("m5.large", True, True, True),
        ("m4.large", False, False, False),
        ("t3.medium", True, True, False),
        ("i3.metal", None, True, True),
        ("i4i.large", True, True, False),
    ],
)
def test_what_a_type_can_do(instance_type: str, nitro: object, prefixes: bool, trunking: bool) -> None:
    """Prefixes need Nitro or bare metal; trunk ENIs also a family other than t; no trunk means no branch ENI."""
    found = limits(instance_type)
    assert found is not None
    assert (found.nitro, found.prefixes, found.trunking) == (nitro, prefixes, trunking)
    assert (found.branch_enis == 0) is not trunking


@pytest.mark.parametrize("instance_type", ["", "m5", "m5.larg", "5.large", "m99.huge", "m5.large\t3", "#", "\u00e9.large"])
def test_unknown_types_are_unknown(instance_type: str) -> None:
    """What the table does not list is None, never a neighbour's row."""
    assert limits(instance_type) is None


def test_first_look_up_is_quick() -> None:
    """The first look-up of a fresh process takes at most 5 ms (the best of five: the machine may be busy)."""
    script = (
        "import time; from eniagent.knowledge.instance_limits import limits; "
        "a = time.perf_counter(); limits('x8g.xlarge'); print((time.perf_counter() - a) * 1e3)"
    )
    took_ms = min(
        float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout) for _ in range(5)
    )
    assert took_ms <= 5
