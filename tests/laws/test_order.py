"""Law L3: a diagnosis does not depend on the order of rules or of unordered facts."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

import eniagent.diagnose as engine
from eniagent.model.codec import encode
from eniagent.model.ipam import Ipam
from eniagent.model.reading import Observed
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.rules import registry
from tests.cases import all_recorded, recorded_case


def _shuffled(values: tuple[Any, ...], dice: random.Random) -> tuple[Any, ...]:
    return tuple(dice.sample(values, len(values)))


def _shuffle_ipam(ipam: Ipam, dice: random.Random) -> Ipam:
    replace = msgspec.structs.replace
    pools = tuple(
        replace(p, enis=_shuffled(tuple(
            replace(e, cidrs=_shuffled(tuple(replace(c, addresses=_shuffled(c.addresses, dice)) for c in e.cidrs), dice)) for e in p.enis
        ), dice))
        for p in ipam.pools
    )
    return replace(ipam, pools=_shuffled(pools, dice))


def _shuffle(snapshot: NodeSnapshot, dice: random.Random) -> NodeSnapshot:
    changed: dict[str, Any] = {}
    replace = msgspec.structs.replace
    for field in ("ipam", "links", "routing", "kubelet", "containerd", "metadata", "metrics", "checkpoint"):
        reading = getattr(snapshot, field)
        if not isinstance(reading, Observed):
            continue
        value = reading.value
        if field == "ipam":
            value = _shuffle_ipam(value, dice)
        elif field == "links":
            value = _shuffled(value, dice)
        elif field == "routing":
            value = replace(value, rules=_shuffled(value.rules, dice), routes=_shuffled(value.routes, dice))
        elif field in ("kubelet", "containerd"):
            value = replace(value, pods=_shuffled(value.pods, dice), starts=_shuffled(value.starts, dice))
        elif field == "metadata":
            value = replace(value, enis=_shuffled(value.enis, dice))
        elif field == "metrics":
            value = replace(value, samples=_shuffled(value.samples, dice))
        else:
            value = replace(value, entries=_shuffled(value.entries, dice))
        changed[field] = replace(reading, value=value)
    return replace(snapshot, **changed)


@pytest.mark.parametrize("name", all_recorded())
def test_the_order_of_facts_changes_nothing(name: str) -> None:
    """Shuffled pools, links, rules, routes, pods, ENIs and samples give the same document, byte for byte."""
    case = recorded_case(name)
    whole = encode(engine.diagnose(case))
    dice = random.Random(name)
    for _ in range(3):
        other = Case(now=_shuffle(case.now, dice), before=tuple(_shuffle(s, dice) for s in case.before))
        assert encode(engine.diagnose(other)) == whole


def test_the_order_of_rules_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules asked in another order give the same document."""
    names = all_recorded()
    whole = [encode(engine.diagnose(recorded_case(n))) for n in names]
    rules = list(registry())
    random.Random(7).shuffle(rules)
    monkeypatch.setattr(engine, "registry", lambda: tuple(rules))
    assert [encode(engine.diagnose(recorded_case(n))) for n in names] == whole
