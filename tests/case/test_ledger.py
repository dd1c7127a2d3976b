"""The ledger: what each view says of each ENI, prefix and address, and what their disagreement is called."""

from __future__ import annotations

import functools
import pathlib
import tempfile
from datetime import timedelta
from typing import Any, Callable, Optional

import msgspec
import pytest

from eniagent.case.ledger import AGREED, KINDS, UNCONFIRMED, disagreements, ledger
from eniagent.diagnose import diagnose
from eniagent.model import ec2, host, ipam
from eniagent.model.finding import LedgerRow
from eniagent.model.net import EniId, Mac, parse_address, parse_network
from eniagent.model.reading import Observed, Why
from eniagent.model.snapshot import READINGS, Case, NodeSnapshot
from tests import build
from tests.build import NOW
from tests.recorded import truths
from tests.truth.outlook import series_of, snapshots_of

SERIES = sorted(name for name in truths())


def standing(rows: tuple[LedgerRow, ...]) -> dict[str, int]:
    """The classes that occur, with their counts."""
    return {kind: number for kind, number in disagreements(rows).items() if number}


def row(rows: tuple[LedgerRow, ...], subject: str) -> LedgerRow:
    """The row of one ENI, prefix or address."""
    (found,) = [r for r in rows if r.subject == subject]
    return found


def node(**kwargs: Any) -> NodeSnapshot:
    """A healthy node with two ENIs and pods on both."""
    return build.healthy_snapshot(**{"enis": 2, "pods": 12, **kwargs})


def earlier(snapshot: NodeSnapshot, *, seconds: float) -> NodeSnapshot:
    """The same look, taken so many seconds before."""
    return msgspec.structs.replace(snapshot, taken_at=snapshot.taken_at - timedelta(seconds=seconds))


def twice(snapshot: NodeSnapshot, *, seconds: float = 61) -> Case:
    """Two equal looks."""
    return Case(now=snapshot, before=(earlier(snapshot, seconds=seconds),))


def imds(snapshot: NodeSnapshot, change: Callable[[Any], Optional[Any]]) -> NodeSnapshot:
    """The node with IMDS's ENIs changed; None leaves one out."""
    metadata = build.value_of(snapshot.metadata)
    enis = tuple(changed for e in metadata.enis if (changed := change(e)) is not None)
    return build.with_values(snapshot, metadata=msgspec.structs.replace(metadata, enis=enis))


def pool(snapshot: NodeSnapshot, change: Callable[[Any], Optional[Any]]) -> NodeSnapshot:
    """The node with ipamd's ENIs changed; None leaves one out."""
    (card,) = build.value_of(snapshot.ipam).pools
    enis = tuple(changed for e in card.enis if (changed := change(e)) is not None)
    return build.with_values(snapshot, ipam=ipam.Ipam(family="J", pools=(msgspec.structs.replace(card, enis=enis),)))


def routing(snapshot: NodeSnapshot, *, rules: Callable[[host.Rule], bool] = lambda r: True, routes: Callable[[host.Route], bool] = lambda r: True) -> NodeSnapshot:
    """The node with the rules and routes that are kept."""
    value = build.value_of(snapshot.routing)
    kept = host.Routing(rules=tuple(r for r in value.rules if rules(r)), routes=tuple(r for r in value.routes if routes(r)), incomplete=value.incomplete)
    return build.with_values(snapshot, routing=kept)


SECOND = "eni-00000000000000001"
POD_ON_FIRST, POD_ON_SECOND = "10.0.1.10", "10.0.2.10"


@pytest.mark.parametrize("mode", ["secondary", "prefix", "ipv6"])
def test_agreement(mode: str) -> None:
    """Where all views agree every row says so: ENIs, prefixes and addresses, in every mode, each cell with its age."""
    rows = ledger(Case(now=node(mode=mode, enis=1 if mode == "ipv6" else 2, pods=3 if mode == "ipv6" else 12, instance_type="m5.large")))
    assert {r.state for r in rows} == {AGREED}
    assert {r.kind for r in rows} == ({"eni", "address"} if mode == "secondary" else {"eni", "prefix", "address"})
    held = [r for r in rows if r.kind == "address" and r.pod]
    assert len(held) == (3 if mode == "ipv6" else 12)
    for told in held:
        assert told.views["ipamd"].startswith("assigned") and told.views["checkpoint"].startswith("assigned (0 s ago)")
        assert told.views["kernel"].startswith("veth") and told.views["rules"].startswith("present") and told.views["routes"].startswith("to its veth")


def test_an_eni_that_imds_lists_no_more() -> None:
    """After one read it is unconfirmed, after a second 60 s later lost; at 59 s it is not yet; its addresses share its state and count once."""
    gone = imds(node(), lambda e: None if e.id == SECOND else e)
    assert standing(ledger(Case(now=gone))) == {UNCONFIRMED: 1}
    assert standing(ledger(twice(gone, seconds=59))) == {UNCONFIRMED: 1}
    rows = ledger(twice(gone))
    assert standing(rows) == {"lost-eni": 1}
    assert row(rows, SECOND).confirmed
    assert row(rows, POD_ON_SECOND).state == "lost-eni"
    assert row(rows, POD_ON_FIRST).state == AGREED


def test_a_lost_eni_whose_link_is_gone_needs_no_second_read() -> None:
    """The kernel is not eventually consistent: with the MAC known from an earlier look, its missing link decides at once."""
    whole = node()
    gone = imds(whole, lambda e: None if e.id == SECOND else e)
    mac = next(e.mac for e in build.value_of(whole.metadata).enis if e.id == SECOND)
    gone = build.with_values(gone, links=tuple(link for link in build.value_of(gone.links) if link.mac != mac))
    assert standing(ledger(Case(now=gone, before=(earlier(whole, seconds=20),)))) == {"lost-eni": 1}


def test_a_ghost_eni() -> None:
    """IMDS and ipamd hold the ENI, the kernel has no link with its MAC: at once, and confirmed."""
    mac = next(e.mac for e in build.value_of(node().metadata).enis if e.id == SECOND)
    ghost = build.with_values(node(), links=tuple(link for link in build.value_of(node().links) if link.mac != mac))
    rows = ledger(Case(now=ghost))
    assert standing(rows) == {"ghost-eni": 1}
    assert row(rows, SECOND).confirmed
    assert row(rows, SECOND).views["kernel"].startswith("no link")


def test_an_eni_that_only_imds_lists() -> None:
    """A foreign ENI is no disagreement, unless ipamd's own gauge or EC2 says that ipamd should hold it; then it is late after two reads."""
    missed = pool(node(), lambda e: None if e.id == SECOND else e)
    missed = build.without(missed, "routing", "checkpoint")
    assert standing(ledger(twice(build.without(missed, "metrics")))) == {}
    assert standing(ledger(Case(now=missed))) == {UNCONFIRMED: 1}
    assert standing(ledger(twice(missed))) == {"late-view": 1}
    for managed, expected in ((True, {"late-view": 1}), (False, {})):
        seen = ec2.Ec2View(enis=Observed(value=(ec2.Ec2Eni(id=EniId(SECOND), device_number=1, managed=managed),), source="EC2", at=NOW))
        assert standing(ledger(twice(build.with_values(missed, ec2=seen)))) == expected


def test_a_mac_without_link() -> None:
    """An ENI that IMDS lists, that ipamd does not hold and that has no link; one without any address has none by design."""
    foreign = imds(node(), lambda e: e)
    metadata = build.value_of(foreign.metadata)
    third = msgspec.structs.replace(metadata.enis[1], id=EniId("eni-00000000000000009"), mac=Mac("0a:00:00:00:00:99"), device_number=2)
    bare = msgspec.structs.replace(third, ipv4=(), ipv6=())
    for eni, expected in ((third, {"mac-without-link": 1}), (bare, {})):
        enis = msgspec.structs.replace(metadata, enis=(*metadata.enis, eni))
        assert standing(ledger(Case(now=build.without(build.with_values(foreign, metadata=enis), "metrics")))) == expected


@pytest.mark.parametrize("kind", ["secondary", "prefix"])
def test_an_address_or_prefix_that_imds_lists_no_more(kind: str) -> None:
    """Unconfirmed after one read, lost after two; the pod that holds it stands in its row."""
    whole = node(mode=kind)
    subject = POD_ON_FIRST if kind == "secondary" else str(build.value_of(whole.ipam).pools[0].enis[0].cidrs[0].network)
    network = parse_network(subject)
    def without(e: Any) -> Any:
        return msgspec.structs.replace(e, ipv4=tuple(ip for ip in e.ipv4 if ip not in network), ipv4_prefixes=tuple(p for p in e.ipv4_prefixes if p != network))
    gone = imds(whole, without)
    assert standing(ledger(Case(now=gone))) == {UNCONFIRMED: 1}
    rows = ledger(twice(gone))
    assert standing(rows) == {"lost-address": 1}
    assert row(rows, subject).confirmed
    assert kind == "prefix" or row(rows, subject).pod == "default/web-000"


def test_an_address_that_only_imds_lists() -> None:
    """It gets a row of its own on its ENI: unconfirmed, then late."""
    extra = imds(node(), lambda e: msgspec.structs.replace(e, ipv4=(*e.ipv4, parse_address("10.0.9.9"))) if e.id == SECOND else e)
    rows = ledger(twice(extra))
    assert standing(ledger(Case(now=extra))) == {UNCONFIRMED: 1}
    assert standing(rows) == {"late-view": 1}
    assert (row(rows, "10.0.9.9").eni, row(rows, "10.0.9.9").views["ipamd"].split(" (")[0]) == (SECOND, "not held")


def test_the_checkpoint_behind_ipamd() -> None:
    """An assignment that the checkpoint lacks, or has too much, is unconfirmed, then late."""
    whole = node()
    entries = build.value_of(whole.checkpoint).entries
    more = msgspec.structs.replace(entries[0], ip=parse_address("10.0.9.9"))
    for changed in (entries[1:], (*entries, more)):
        behind = build.with_values(whole, checkpoint=ipam.Checkpoint(entries=changed))
        assert standing(ledger(Case(now=behind))) == {UNCONFIRMED: 1}
        assert standing(ledger(twice(behind))) == {"late-view": 1}


def test_a_disagreement_that_turned_is_new() -> None:
    """What IMDS alone had at the first read and ipamd alone has at the second is not the same disagreement."""
    whole, subject = node(), parse_network(POD_ON_FIRST)
    now = imds(whole, lambda e: msgspec.structs.replace(e, ipv4=tuple(ip for ip in e.ipv4 if ip not in subject)))
    before = pool(whole, lambda e: msgspec.structs.replace(e, cidrs=tuple(c for c in e.cidrs if c.network != subject)))
    assert standing(ledger(Case(now=now, before=(earlier(before, seconds=90),)))) == {UNCONFIRMED: 1}


@pytest.mark.parametrize(
    ("lacking", "state", "subject"),
    [
        ("512", "missing-rule", POD_ON_FIRST),
        ("1536", "missing-rule", POD_ON_SECOND),
        ("route", "missing-route", POD_ON_FIRST),
        ("table", "missing-route", SECOND),
    ],
)
def test_what_the_kernel_lacks_is_told_at_once(lacking: str, state: str, subject: str) -> None:
    """A rule, a route or a table's routes that are missing need no second read."""
    whole = node()
    address = parse_network(subject) if subject != SECOND else None
    if lacking in ("512", "1536"):
        broken = routing(whole, rules=lambda r: not (str(r.priority) == lacking and address in (r.src, r.dst)))
    elif lacking == "route":
        broken = routing(whole, routes=lambda r: r.dst != address)
    else:
        broken = routing(whole, routes=lambda r: r.table != "2")
    rows = ledger(Case(now=broken))
    assert standing(rows) == {state: 1}
    assert (row(rows, subject).state, row(rows, subject).confirmed) == (state, True)


def test_rules_of_a_family_that_were_not_seen_are_not_missing() -> None:
    """A part of the kernel's answer that is incomplete says nothing."""
    value = build.value_of(node().routing)
    partly = host.Routing(rules=(), routes=value.routes, incomplete=("ipv4 rules: timed out",))
    rows = ledger(Case(now=build.with_values(node(), routing=partly)))
    assert standing(rows) == {}
    assert row(rows, POD_ON_FIRST).views["rules"] == "not seen"


@pytest.mark.parametrize(("sandbox", "state"), [(False, "leak"), (True, "missing-route")])
def test_an_assigned_address_without_a_veth(sandbox: bool, state: str) -> None:
    """A leak, unless the pod's sandbox is ready: then the pod lives and has lost its link."""
    whole = node()
    links = build.value_of(whole.links)
    gone = next(p.veth for p in build.layout(instance_type="m5.large", enis=2, pods=12, mode="secondary").pods if p.name == "default/web-000")
    broken = build.with_values(whole, links=tuple(link for link in links if link.name != gone))
    if not sandbox:
        runtime = build.value_of(whole.sandboxes)
        kept = tuple(s for s in runtime.pods if s.pod != "default/web-000")
        broken = build.with_values(broken, sandboxes=msgspec.structs.replace(runtime, pods=kept))
    rows = ledger(Case(now=broken))
    assert standing(rows) == {state: 1}
    assert row(rows, POD_ON_FIRST).state == state


def test_an_address_in_its_set_up_lacks_nothing_yet() -> None:
    """Within the seconds of an ADD a missing rule is no finding."""
    young = pool(node(), lambda e: msgspec.structs.replace(e, cidrs=tuple(
        msgspec.structs.replace(c, addresses=tuple(msgspec.structs.replace(a, assigned_at=NOW - timedelta(seconds=2)) for a in c.addresses)) for c in e.cidrs
    )))
    assert standing(ledger(Case(now=routing(young, rules=lambda r: r.priority != 512)))) == {}


@pytest.mark.parametrize("mode", ["secondary", "prefix"])
def test_orphan_rules(mode: str) -> None:
    """A pod rule for an address that no pod holds, held by ipamd or not; just freed it is not yet one, and with branch ENIs it may be right."""
    whole = node(mode=mode)
    ip = build.value_of(whole.checkpoint).entries[0].ip
    def freed(seconds: float) -> NodeSnapshot:
        free = pool(whole, lambda e: msgspec.structs.replace(e, cidrs=tuple(
            msgspec.structs.replace(c, addresses=tuple(
                ipam.Address(ip=a.ip, assigned=False, unassigned_at=NOW - timedelta(seconds=seconds)) if a.ip == ip else a for a in c.addresses
            )) for c in e.cidrs
        )))
        return build.without(free, "checkpoint")
    rows = ledger(Case(now=freed(60)))
    assert standing(rows) == {"orphan-rule": 1}
    assert row(rows, str(ip)).state == "orphan-rule"
    assert standing(ledger(Case(now=freed(2)))) == {}
    values = {**build.value_of(whole.environment).values, "ENABLE_POD_ENI": "true"}
    branch = build.with_values(freed(60), environment=msgspec.structs.replace(build.value_of(whole.environment), values=values))
    assert standing(ledger(Case(now=branch))) == {}


@pytest.mark.parametrize("why", [Why.NOT_COLLECTED, Why.REFUSED, Why.TIMED_OUT])
def test_what_was_not_seen_is_not_absent(why: Why) -> None:
    """A node of which only ipamd was seen has no disagreement, and every other cell says `not seen`, with the reason."""
    blind = build.without(node(), *(f for f in READINGS if f not in ("ipam", "environment", "settings")), why=why)
    rows = ledger(twice(blind))
    assert standing(rows) == {}
    for told in rows:
        others = {view: text for view, text in told.views.items() if view != "ipamd" and text != "none wanted"}
        assert all(text.startswith("not seen") or text == "main table" for text in others.values()), told
    assert row(rows, POD_ON_FIRST).views["imds"] == f"not seen ({why.value})"


def test_ec2_has_a_column_only_when_asked() -> None:
    """Nobody asked: no column. Asked and forbidden: a column that says so. Answered: what it says."""
    whole = node()
    assert "ec2" not in row(ledger(Case(now=whole)), SECOND).views
    assert row(ledger(Case(now=build.without(whole, "ec2", why=Why.FORBIDDEN))), SECOND).views["ec2"] == "not seen (forbidden)"
    eni = ec2.Ec2Eni(id=EniId(SECOND), device_number=1, attachment="attached", addresses=(POD_ON_SECOND,))
    rows = ledger(Case(now=build.with_values(whole, ec2=ec2.Ec2View(enis=Observed(value=(eni,), source="EC2", at=NOW)))))
    assert row(rows, SECOND).views["ec2"] == "attached (0 s ago)"
    assert row(rows, POD_ON_SECOND).views["ec2"] == "listed (0 s ago)"


def test_unconfirmed_is_a_next_look_and_never_a_cause() -> None:
    """After one read the diagnosis names no cause for it and says which look decides; after two that look is not asked for again."""
    gone = imds(node(), lambda e: None if e.id == SECOND else e)
    once, again = diagnose(Case(now=gone)), diagnose(twice(gone))
    assert not once.causes
    assert [look.command for look in once.next_looks] == ["eniagent diagnose --ledger --confirm"]
    assert not any("--confirm" in look.command for look in (*again.next_looks, *diagnose(Case(now=node())).next_looks))


@functools.cache
def recorded(name: str) -> tuple[NodeSnapshot, ...]:
    """The snapshots of one recording."""
    with tempfile.TemporaryDirectory() as directory:
        return tuple(snapshots_of(series_of(name, pathlib.Path(directory))))


def cases(name: str) -> list[Case]:
    """Each look of the series with those before it."""
    looks = recorded(name)
    return [Case(now=look, before=looks[:i]) for i, look in enumerate(looks)]


@pytest.mark.parametrize("name", [n for n in SERIES if truths()[n]["root_cause"] == "healthy"])
def test_healthy_nodes_agree(name: str) -> None:
    """A real ipamd at rest, starting or busy: all rows agree, or a view is a moment late and nobody claims more."""
    for case in cases(name):
        assert set(standing(ledger(case))) <= {UNCONFIRMED}


@pytest.mark.parametrize(
    ("scenario", "states"),
    [
        ("imds-ghost", {"ghost-eni"}),
        ("eni-detached-behind", {"orphan-rule"}),
        ("ip-removed-behind", {"orphan-rule"}),
        ("rules-flushed", {"missing-rule"}),
        ("address-leaked", {"leak"}),
    ],
)
def test_faults_are_seen(scenario: str, states: set[str]) -> None:
    """Each recorded fault of the data plane shows as its class in the newest look of every release that was recorded."""
    names = [n for n in SERIES if n.split("-", 1)[1] == scenario]
    assert names
    for name in names:
        rows = ledger(cases(name)[-1])
        assert set(standing(rows)) == states
        assert all(r.confirmed for r in rows if r.state != AGREED)


@pytest.mark.parametrize("name", SERIES)
def test_removing_a_reading_never_creates_a_disagreement(name: str) -> None:
    """What disagrees without a view disagreed with it."""
    for case in cases(name):
        known = {r.subject for r in ledger(case) if r.state != AGREED}
        for field in READINGS:
            less = Case(now=build.without(case.now, field), before=case.before)
            assert {r.subject for r in ledger(less) if r.state != AGREED} <= known, field


@pytest.mark.parametrize("name", SERIES)
def test_rows_are_whole(name: str) -> None:
    """Every subject has one row, every class is one of the known, and the counts are of these rows."""
    for case in cases(name):
        rows = ledger(case)
        assert len({(r.kind, r.subject) for r in rows}) == len(rows)
        assert {r.state for r in rows} <= {AGREED, *KINDS}
        assert set(disagreements(rows)) == set(KINDS)
        ipamd = case.now.ipam
        if isinstance(ipamd, Observed):
            held = {str(e.id) for p in ipamd.value.pools for e in p.enis}
            assert held <= {r.subject for r in rows if r.kind == "eni"}
