"""`timeline` and `diagnose --pod`: what happened in its order, to whom, and how long it took; and what is not told."""

from __future__ import annotations

import json
import pathlib
from datetime import datetime, timedelta
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.case.facts import Facts
from eniagent.case.joins import Joins
from eniagent.case.kernel import veth_name
from eniagent.case.pod_path import pod_path
from eniagent.case.timeline import timeline
from eniagent.case.waits import percentile, waits
from eniagent.demo.replay import Stage
from eniagent.model.net import PodName
from eniagent.model.pod_path import Entry
from eniagent.model.reading import Why
from eniagent.model.record import Event, PodStart, PodTrouble
from eniagent.model.snapshot import Case
from eniagent.report import schema
from tests import build
from tests.cases import all_recorded, recorded_case, withhold
from tests.cli.command import run
from tests.recorded import truths, unpack

LAG, FULL = "v1.23.0-warm-pool-lag", "v1.23.0-subnet-exhausted"
POD = "default/web-8fda51aad8-010"
AT = build.NOW


@pytest.fixture(scope="session")
def lag(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Captures of a node whose pool lags behind its pods."""
    return unpack(LAG, tmp_path_factory.mktemp("lag"))


def document(*words: str) -> dict[str, Any]:
    """The JSON answer of a run that succeeds."""
    ended = run(*words, "--format", "json")
    assert (ended.returncode, ended.stderr) == (0, b""), ended
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def whats(entries: Any, program: str = "") -> list[str]:
    """The kinds of the entries, in order."""
    return [entry["what"] for entry in entries if not program or entry["program"] == program]


@pytest.mark.parametrize("name", all_recorded())
def test_every_recordings_timeline_is_in_order_and_whole(name: str) -> None:
    """Times ascend, all lie in the window or are ipamd's last words before it, and no counted line is lost in folding."""
    facts = Facts(recorded_case(name))
    told, since = timeline(facts), facts.now.since
    assert since is not None
    times = [entry.at for entry in told.entries if entry.at is not None]
    assert times == sorted(times)
    assert all(at <= facts.at and at.utcoffset() == timedelta(0) for at in times)
    for field in ("ipamd_log", "plugin_log"):
        log = facts.value(field)
        kept = [e for e in log.events if e.at is None or e.at >= since] if log is not None else []
        lines = [entry for entry in told.entries if log is not None and entry.program == log.program and entry.at is not None and entry.at >= since]
        assert sum(entry.count for entry in lines) == len(kept)


@pytest.mark.parametrize("name", all_recorded())
def test_every_failed_pod_has_a_wait(name: str) -> None:
    """Every pod that failed is in the waits; those that wait now are counted apart; the median is a wait that was really seen."""
    facts = Facts(recorded_case(name))
    found = waits(facts, Joins(facts))
    assert {w.pod for w in found.pods} == {h.pod for h in facts.hits.pods}
    assert found.ended + found.waiting + found.gone + found.unknown == len(found.pods)
    assert found.waiting == len(facts.hits.waiting)
    seen = {w.seconds for w in found.pods}
    assert {found.p50_s, found.p95_s} <= seen | {None}
    assert (found.p50_s is None) == (found.ended == 0)


@pytest.mark.parametrize("name", ["v1.15.5-warm-pool-lag", "v1.19.3-warm-pool-lag", LAG])
def test_three_releases_tell_of_the_same_path(name: str) -> None:
    """In each release a pod that lagged is seen to ask in vain, then to get its address, on an ENI with a table and a veth."""
    facts = Facts(recorded_case(name))
    found = waits(facts, Joins(facts))
    longest = next(w for w in found.pods if w.ended_by == "address")
    path = pod_path(facts, longest.pod)
    kinds = [e.what for e in path.timeline if e.pod == longest.pod]
    assert path.state == "up" and path.failures == longest.failures >= 1
    assert kinds.index("plugin-no-address") < kinds.index("address-assigned") < len(kinds) - 1
    assert "plugin-ok" in kinds and "add-ok" in kinds
    assert path.address and path.eni and path.table and path.veth_present is True and path.gaps == ()
    assert path.veth == veth_name(longest.pod, "eni")
    assert len(path.sandboxes) == longest.failures + 1
    assert path.wait == longest


def test_the_command_tells_the_whole_window(lag: pathlib.Path) -> None:
    """JSON and text hold the same entries, the percentiles, what was capped; state changes between the looks are among them."""
    told = document("timeline", "--from", str(lag))
    assert told["schema"] == "eniagent.timeline/1" and told["pod"] == ""
    assert {"kubelet", "containerd", "plugin", "ipamd", "state"} == {entry["program"] for entry in told["entries"]}
    assert {"eni-added", "pool-changed", "rules-changed", "address-assigned"} <= set(whats(told["entries"], "state"))
    assert (told["waits"]["ended"], told["waits"]["waiting"]) == (15, 5)
    assert told["waits"]["p50_s"] <= told["waits"]["p95_s"]
    assert any("failed attempts" in line for line in told["capped"])
    text = run("timeline", "--from", str(lag)).stdout.decode("ascii")
    assert text.count("\n2026-") == len(told["entries"])
    assert "p50 16.8 s, p95 78.0 s" in text and "counted, not kept line by line" in text


def test_one_pod_and_what_the_node_did_around_it(lag: pathlib.Path) -> None:
    """With --pod no other pod's lines stand there, the node's own do, and the path is told."""
    told = document("timeline", "--from", str(lag), "--pod", POD)
    assert {entry["pod"] for entry in told["entries"]} == {POD, ""}
    assert "eni-attached" in whats(told["entries"]) and "plugin-ok" in whats(told["entries"])
    assert [w["pod"] for w in told["waits"]["pods"]] == [POD]
    assert (told["path"]["state"], told["path"]["failures"], told["path"]["device_number"]) == ("up", 8, 1)
    assert any("8 failed attempts of 1 pod " in line for line in told["capped"])


def test_diagnose_pod_restricts_the_impact_and_keeps_the_verdict(lag: pathlib.Path) -> None:
    """Impact and timeline are the pod's, verdict and causes still the node's, and the document fits its schema."""
    whole, one = document("diagnose", "--from", str(lag)), document("diagnose", "--from", str(lag), "--pod", POD)
    jsonschema.Draft202012Validator(schema.document()).validate(one)
    assert (one["verdict"], one["causes"]) == (whole["verdict"], whole["causes"])
    assert (whole["impact"]["pods"], one["impact"]["pods"], one["impact"]["failures"], one["impact"]["waiting"]) == (20, 1, 8, 0)
    assert whole["pod"] is None and one["pod"]["pod"] == POD
    assert one["pod"]["wait"]["ended_by"] == "address" and 70 < one["pod"]["wait"]["seconds"] < 90
    assert one["pod"]["timeline"] and one["pod"]["capped"]


def test_diagnose_pod_in_every_form(lag: pathlib.Path) -> None:
    """The verdict's 2,400 bytes begin with the pod, and the other forms tell its path and timeline as well."""
    text = run("diagnose", "--from", str(lag), "--pod", POD).stdout
    assert 0 < text.index(f"\nPod: {POD}: up\n".encode()) < text.index(b"\n-- details --\n") < 2400
    assert b"plugin-ok: the plugin got an address from ipamd" in text[text.index(b"-- details --") :]
    for form in ("markdown", "html"):
        told = run("diagnose", "--from", str(lag), "--pod", POD, "--format", form).stdout
        assert b"10.0.0.51" in told.replace(b"\\", b"") and b"plugin-ok" in told


def test_a_pod_that_waits(sick: pathlib.Path) -> None:
    """On the full node a waiting pod has no address, its wait is open, and it is not counted into the percentiles."""
    pods = [hit["pod"] for hit in document("diagnose", "--from", str(sick))["impact"]["affected"] if hit["recovered_at"] is None]
    told = document("timeline", "--from", str(sick), "--pod", pods[0])
    assert (told["path"]["state"], told["path"]["address"]) == ("waits", "")
    assert told["path"]["wait"]["until"] is None and told["path"]["wait"]["ended_by"] == ""
    assert told["waits"]["waiting"] == len(pods) and told["waits"]["p50_s"] is None
    assert "no pod that failed has come up" in run("timeline", "--from", str(sick)).stdout.decode()


def test_a_pod_that_nobody_names(lag: pathlib.Path) -> None:
    """A pod that was not seen is said to be so, never healthy, with the names that are alike."""
    told = document("timeline", "--from", str(lag), "--pod", "default/web-8fda51aad8-01")
    assert (told["path"]["state"], told["entries"]) == ("not seen", [])
    assert told["path"]["near"][0] == POD
    assert document("timeline", "--from", str(lag), "--pod", f"other/{POD.partition('/')[2]}")["path"]["near"][0] == POD
    assert b"nothing that was seen names this pod" in run("diagnose", "--from", str(lag), "--pod", "a/b").stdout


@pytest.mark.parametrize("name", ["web-0", "/web-0", "default/", "a/b/c", "default/web 0", ""])
@pytest.mark.parametrize("command", ["timeline", "diagnose"])
def test_a_name_that_is_none(command: str, name: str, lag: pathlib.Path) -> None:
    """--pod wants namespace/name; anything else is a usage error, told with the form."""
    ended = run(command, "--from", str(lag), "--pod", name)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"NAMESPACE/NAME" in ended.stderr


@pytest.mark.sockets
def test_live(staged: Stage, environment: dict[str, str]) -> None:
    """On a node: journals, logs and ipamd are asked, and the pods that wait are there."""
    ended = run(*staged.options(), "timeline", "--format", "json", environment=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    told = json.loads(ended.stdout)
    assert told["waits"]["waiting"] == 11
    assert "ec2-refused" in whats(told["entries"]) or "subnet-lacks" in whats(told["entries"])


def test_the_deadline_ends_a_reading_that_does_not(tmp_path: pathlib.Path) -> None:
    """Captures that take longer than the deadline allows end with 10 and the way out, not with silence."""
    (tmp_path / "node/logs").mkdir(parents=True)
    line = b'{"level":"info","ts":"2026-03-01T11:00:00.000Z","msg":"IP pool stats for network card 0: total: 9, assigned: 9"}\n'
    (tmp_path / "node/logs/ipamd.log").write_bytes(line * 1_500_000)
    for command in (("timeline",), ("capacity", "--instance-type", "m5.large")):
        ended = run(*command, "--from", str(tmp_path / "node"), "--deadline", "0.05")
        assert (ended.returncode, ended.stdout) == (10, b""), ended
        assert b"--deadline" in ended.stderr and ended.stderr.count(b"\n") == 1


def test_what_was_not_seen_is_said(lag: pathlib.Path, unknown: pathlib.Path) -> None:
    """Sources that the timeline lacks are named; with nothing at all it says that nothing was heard."""
    told = document("timeline", "--from", str(unknown))
    assert told["entries"] == [] and {seen["source"] for seen in told["unobserved"]} >= {"kubelet journal", "plugin.log", "ipamd.log"}
    assert b"nothing was heard" in run("timeline", "--from", str(unknown)).stdout
    facts = Facts(withhold(recorded_case(LAG), "plugin_log", Why.FORBIDDEN))
    assert [(n.source, n.why) for n in timeline(facts).unobserved if n.why == "forbidden"]


def event(at_s: float, signature: str, text: str, program: str = "ipamd", **fields: str) -> Event:
    """A line of a log."""
    return Event(signature=signature, at=AT - timedelta(seconds=at_s), fields=fields, text=text, ref="", program=program)


def case_with(*events: Event, counts: Any = None, **journal: Any) -> Facts:
    """A healthy node, with these lines in ipamd.log and these changes to kubelet's journal."""
    log = build.log("ipamd", events=events, counts=counts or {e.signature: 1 for e in events})
    return Facts(Case(now=build.with_values(build.healthy_snapshot(), ipamd_log=log, kubelet=build.journal("kubelet", **journal))))


def ipamd(facts: Facts) -> list[Entry]:
    """The entries of ipamd."""
    return [entry for entry in timeline(facts).entries if entry.program == "ipamd"]


def test_states_fold_and_causes_do_not() -> None:
    """The pool's numbers told again are one entry with a count; new numbers are a new one; refusals and successes stand one by one."""
    pool = [event(60 - n, "pool-stats", f"IP pool stats: total: 9, assigned: {9 if n < 5 else 8}, x{n}") for n in range(10)]
    refused = [event(40 - n, "ec2-refused", "Failed to CreateNetworkInterface: RequestLimitExceeded") for n in range(3)]
    grown = [event(20 - n, "addresses-allocated", "Allocated 1 private IP addresses") for n in range(3)]
    found = ipamd(case_with(*pool, *refused, *grown))
    assert [(e.what, e.count) for e in found] == [("pool-stats", 5), ("pool-stats", 5), *[("ec2-refused", 1)] * 3, *[("addresses-allocated", 1)] * 3]
    assert found[0].until == pool[4].at


def test_effects_fold_only_while_they_repeat() -> None:
    """The same effect within a minute is one entry; after a longer silence it is told anew."""
    found = ipamd(case_with(*(event(at, "pool-empty", "no available IP/Prefix addresses") for at in (300, 290, 250, 100, 90))))
    assert [(e.count, e.at) for e in found] == [(3, AT - timedelta(seconds=300)), (2, AT - timedelta(seconds=100))]


def test_decisive_words_older_than_the_window_stay() -> None:
    """A refusal or success of before the window stands at the timeline's head; a mere state of then does not."""
    old = 3 * 3600
    found = ipamd(case_with(event(old, "ec2-refused", "InsufficientFreeAddressesInSubnet"), event(old - 1, "pool-stats", "total: 9, assigned: 9"), event(5, "eni-created", "Created a new ENI: eni-0a")))
    assert [e.what for e in found] == ["ec2-refused", "eni-created"]


def test_caps_are_told_with_their_numbers() -> None:
    """A signature of which more lines were counted than kept is named with both numbers; noise is not."""
    told = timeline(case_with(event(5, "pool-empty", "no available IP"), counts={"pool-empty": 5000, "unknown-pod": 70})).capped
    assert told == ("ipamd.log: 5000 lines of pool-empty, 1 of them kept (the first and the newest)",)


def trouble(pod: str, first_s: float, last_s: float, *, failures: int = 2, **ends: Any) -> PodTrouble:
    """A pod that failed from `first_s` to `last_s` seconds before now."""
    newest = Event(signature="no-address", at=AT - timedelta(seconds=last_s), fields={}, text="add cmd: failed", ref="", program="kubelet")
    return PodTrouble(PodName(pod), failures, AT - timedelta(seconds=first_s), AT - timedelta(seconds=last_s), {"no-address": failures}, newest, **ends)


def ago(seconds: float) -> datetime:
    """So long before now."""
    return AT - timedelta(seconds=seconds)


def test_how_waits_end() -> None:
    """Started, deleted, still waiting, and silent: each wait says how it ended, and only starts and addresses make the percentiles."""
    pods = (
        trouble("default/a", 100, 50, recovered_at=ago(40)), trouble("default/b", 200, 100, gone_at=ago(90)), trouble("default/c", 60, 10),
        trouble("default/d", 3000, 2000), trouble("default/e", 90, 80),
    )
    facts = case_with(pods=pods, starts=(PodStart(PodName("default/e"), ago(70)),))
    found = {w.pod[-1]: (w.ended_by, w.seconds) for w in waits(facts, Joins(facts)).pods}
    assert found == {"a": ("start", 60.0), "b": ("gone", 110.0), "c": ("", 60.0), "d": ("", 1000.0), "e": ("start", 20.0)}
    told = waits(facts, Joins(facts))
    assert (told.ended, told.p50_s, told.p95_s, told.waiting, told.longest_s, told.gone, told.unknown) == (2, 20.0, 60.0, 1, 60.0, 1, 1)
    assert [pod_path(facts, f"default/{name}").state for name in "abcde"] == ["up", "gone", "waits", "failed", "up"]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50), st.floats(0.01, 1.0))
def test_percentiles_are_values_that_were_seen(values: list[float], share: float) -> None:
    """Nearest rank: at least that share of the values is at most the percentile, and fewer are below it."""
    found = percentile(values, share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values) - 1e-9
    assert sum(v < found for v in values) < share * len(values) + 1e-9
    assert percentile([], share) is None


def test_an_address_before_the_last_failure_ends_no_wait() -> None:
    """A pod that was given an address and failed again still waits: only what follows its newest failure ends a wait."""
    name = "default/web-0"
    pool = build.pools_from(f"eni-a 10.0.0.4={name}", now=AT)
    facts = case_with(pods=(trouble(name, 100, 10),))
    facts = Facts(Case(now=build.with_values(facts.now, ipam=pool)))
    (found,) = waits(facts, Joins(facts)).pods
    assert (found.ended_by, found.until) == ("", None)


def test_missing_rules_and_links_are_told() -> None:
    """A pod whose veth is gone, and whose rules are, has a path that says so; without the kernel's view it says nothing of it."""
    snapshot = build.healthy_snapshot(pods=3)
    pod = next(a.pod for _, a in _addresses(snapshot))
    links = tuple(link for link in build.value_of(snapshot.links) if link.name != veth_name(pod, "eni"))
    path = pod_path(Facts(Case(now=build.with_values(snapshot, links=links))), pod)
    assert path.veth_present is False and any("veth" in gap for gap in path.gaps)
    routing = build.value_of(snapshot.routing)
    bare = msgspec.structs.replace(routing, rules=tuple(r for r in routing.rules if r.priority not in (512, 1536)))
    path = pod_path(Facts(Case(now=build.with_values(snapshot, routing=bare))), pod)
    assert path.veth_present is True and any(gap.startswith("rule: 512") for gap in path.gaps)
    path = pod_path(Facts(Case(now=build.without(snapshot, "links", "routing"))), pod)
    assert path.veth_present is None and path.gaps == ()


def _addresses(snapshot: Any) -> Any:
    from eniagent.case.joins import addresses

    return addresses(build.value_of(snapshot.ipam))


def test_changes_need_two_looks_that_saw() -> None:
    """What only one of two looks saw is no change; a source that was tried and failed is."""
    earlier = msgspec.structs.replace(build.healthy_snapshot(enis=1, pods=3), taken_at=ago(120))
    later = build.healthy_snapshot(enis=2, pods=12)
    kinds = {e.what for e in timeline(Facts(Case(now=later, before=(earlier,)))).entries if e.at == AT}
    assert {"eni-added", "pool-changed", "rules-changed"} <= kinds
    for why, lost in ((Why.NOT_COLLECTED, False), (Why.REFUSED, True)):
        blind = build.without(later, "ipam", "metadata", "routing", why=why)
        kinds = {e.what for e in timeline(Facts(Case(now=blind, before=(earlier,)))).entries if e.at == AT}
        assert not kinds & {"eni-added", "eni-gone", "pool-changed", "rules-changed"}
        assert ("source-lost" in kinds) is lost


def test_lines_without_a_time_come_last() -> None:
    """A line that carries no time is kept, at the end."""
    timeless = Event(signature="eni-created", at=None, fields={}, text="Created a new ENI: eni-0a", ref="", program="ipamd")
    entries = timeline(case_with(timeless, event(5, "eni-attached", "x"))).entries
    assert entries[-1].at is None and entries[-1].what == "eni-created"


def test_there_are_recordings() -> None:
    """The parametrised properties above ran over something."""
    assert len(truths()) > 70
