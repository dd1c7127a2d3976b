"""`capacity`: right for every type in every mode, honest about what is policy, and advice with its arithmetic."""

from __future__ import annotations

import json
import pathlib
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.case import capacity
from eniagent.case.capacity import Mode
from eniagent.demo.replay import Stage
from eniagent.knowledge.instance_limits import InstanceLimits, all_limits, limits
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.churn import Churn
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import Span
from eniagent.sources.churn import read_churn
from tests.cli.command import run
from tests.sources.recorded_captures import capture, recorded, seen_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def answer(*words: str, **more: Any) -> dict[str, Any]:
    """The JSON answer of a run that succeeds."""
    ended = run(*more.pop("before", ()), "capacity", *words, "--format", "json", **more)
    assert (ended.returncode, ended.stderr) == (0, b""), ended
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def row(document: dict[str, Any], mode: str) -> dict[str, Any]:
    """One mode's numbers."""
    return next(count for count in document["counts"] if count["mode"] == mode)


def known(name: str) -> InstanceLimits:
    """A type that the table knows."""
    found = limits(name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("words", "pods"),
    [
        (("t3.small",), 11), (("m5.large",), 29), (("c5.xlarge",), 58), (("r5.2xlarge",), 58), (("m5.large", "--prefix"), 110),
        (("m5.large", "--prefix", "--vcpus", "48"), 250), (("m5.large", "--custom-networking"), 20), (("m5.large", "--max-eni", "2"), 20),
        (("m5.large", "--ipv6"), 110), (("m5.24xlarge",), 737), (("t2.micro", "--prefix"), 4),
    ],
)
def test_the_customers_table(words: tuple[str, ...], pods: int) -> None:
    """maxPods of the mode asked for, as AWS publishes and calculates them."""
    document = answer("--instance-type", *words)
    (chosen,) = [count for count in document["counts"] if count["chosen"]]
    assert chosen["max_pods"] == pods


def test_the_text_names_the_policy() -> None:
    """People read the table, and whose the caps are."""
    told = run("capacity", "--instance-type", "m5.large").stdout.decode("ascii")
    assert "secondary-IP                             27               29         110       29  this one" in told
    assert "caps are policy" in told and "max-pods-calculator.sh" in told
    assert run("capacity", "--instance-type", "m5.large", "--format", "markdown").stdout.startswith(b"# Capacity of m5.large\n")


def test_every_type_in_every_mode() -> None:
    """For each of the table's types: the formulas written out, prefix mode on Nitro and bare metal alone, caps only where they apply."""
    seen = 0
    for row_ in all_limits():
        each, cap = row_.ipv4_per_eni - 1, 250 if row_.vcpus > 30 else 110
        prefixes = row_.nitro is True or row_.bare_metal
        for custom in (False, True):
            enis = row_.enis - custom
            single = capacity.count(row_, Mode(custom_networking=custom))
            assert (single.addresses, single.pods, single.max_pods) == (enis * each, enis * each + 2, enis * each + 2), row_.type
            many = capacity.count(row_, Mode(prefix=True, custom_networking=custom))
            wanted = enis * each * 16 + 2 if prefixes else enis * each + 2
            assert (many.pods, many.max_pods, many.supported) == (wanted, min(wanted, cap) if prefixes else wanted, prefixes), row_.type
        six = capacity.count(row_, Mode(ipv6=True, prefix=True))
        assert (six.addresses, six.max_pods) == (None, cap if prefixes else 0)
        assert sum(count.chosen for count in capacity.counts(row_, Mode())) == 1
        seen += 1
    assert seen > 1300


@pytest.mark.parametrize(("wrong", "near"), [("m5.larg", b"m5.large"), ("M5.LARGE", b"m5.large"), ("t3.smal", b"t3.small"), ("m5", b"m5.large"), ("zz9.plural", b"")])
def test_an_unknown_type_is_told_with_its_neighbours(wrong: str, near: bytes) -> None:
    """A type that the table lacks ends with 2, names the nearest and how old the table is, and prints no number."""
    ended = run("capacity", "--instance-type", wrong)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert near in ended.stderr and b"types, of 20" in ended.stderr
    assert (b"did you mean" in ended.stderr) == bool(near)


@pytest.mark.parametrize("words", [("--max-eni", "0"), ("--vcpus", "0"), ("--pods", "0"), ("--pods", "many")])
def test_numbers_that_make_no_sense(words: tuple[str, ...]) -> None:
    """A number below one, or none, is a usage error."""
    ended = run("capacity", "--instance-type", "m5.large", *words)
    assert (ended.returncode, ended.stdout) == (2, b"")


def test_what_if() -> None:
    """So many pods: what does not fit, on how many nodes it would, and the smallest type that holds them."""
    asked = answer("--instance-type", "t3.small", "--pods", "20")["what_if"]
    assert (asked["spare"], asked["nodes"], asked["family"]["type"]) == (-9, 2, "t3.large")
    assert [fit["max_pods"] >= 20 for fit in asked["others"]] == [True] * 5
    assert answer("--instance-type", "m5.large", "--pods", "29")["what_if"]["spare"] == 0
    nowhere = answer("--instance-type", "m5.large", "--prefix", "--pods", "900")["what_if"]
    assert (nowhere["others"], nowhere["family"], nowhere["nodes"]) == ([], None, 9)


@given(st.integers(1, 800), st.sampled_from(["t3.small", "m5.large", "c5.4xlarge", "m5.24xlarge", "t2.micro"]), st.booleans(), st.booleans())
def test_what_fits_fits(pods: int, name: str, prefix: bool, custom: bool) -> None:
    """Whatever is named as fitting does hold so many, nothing smaller of the family does, and the nodes suffice while one fewer does not."""
    mode = Mode(prefix=prefix, custom_networking=custom)
    types = [row_ for row_ in all_limits() if row_.type.startswith(("t3.", "m5.", "c5.", "t2."))]
    found = capacity.what_if(known(name), mode, pods, types)
    holds = {row_.type: capacity.count(row_, mode) for row_ in types if not row_.bare_metal}
    assert all(holds[fit.type].max_pods >= pods and holds[fit.type].supported for fit in found.others)
    family = [t for t in types if t.type.split(".")[0] == name.split(".")[0] and t.type in holds and holds[t.type].supported and holds[t.type].max_pods >= pods]
    assert (found.family is None) == (not family)
    assert found.family is None or found.family.vcpus == min(t.vcpus for t in family)
    here = capacity.count(known(name), mode).max_pods
    if found.nodes is not None and found.nodes > 1:
        assert found.nodes * (here - 2) >= pods - 2 > (found.nodes - 1) * (here - 2)


def test_on_a_node_imds_names_the_type(staged: Stage, environment: dict[str, str]) -> None:
    """Without --instance-type the node's own IMDS, ipamd, kubelet and log are asked: type, mode, room and churn are this node's."""
    document = answer(before=staged.options(), environment=environment)
    assert (document["limits"]["type"], document["type_origin"]) == ("m5.large", "as IMDS says")
    present = document["present"]
    assert (present["assigned"], present["configured_max_pods"]) == (9, 29)
    assert document["churn"]["arrivals"] == 20
    assert set(document["warm_targets"]["settings"]) == {"WARM_IP_TARGET", "MINIMUM_IP_TARGET"}
    assert answer("--prefix", before=staged.options(), environment=environment)["warm_targets"]["settings"] == {"WARM_PREFIX_TARGET": 2}


def test_without_imds_the_type_must_be_named(staged: Stage, environment: dict[str, str]) -> None:
    """An IMDS that does not answer is told with its reason, and the flag that helps."""
    options = [word if not word.startswith(staged.urls.imds) else "http://127.0.0.1:9" for word in staged.options()]
    ended = run(*options, "capacity", environment=environment)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"refused" in ended.stderr and b"--instance-type" in ended.stderr


def test_from_captures(sick: pathlib.Path, healthy: pathlib.Path, unknown: pathlib.Path) -> None:
    """Captures tell type, room and churn like the node; captures without a type are a usage error."""
    document = answer("--from", str(healthy))
    assert document["present"]["more"] == min(27 - document["present"]["assigned"], 29 - document["present"]["running_pods"])
    assert document["warm_targets"]["arithmetic"]
    assert answer("--from", str(sick), "--instance-type", "c5.xlarge")["limits"]["type"] == "c5.xlarge"
    ended = run("capacity", "--from", str(unknown))
    assert (ended.returncode, ended.stdout) == (2, b"")


def test_no_churn_no_advice(tmp_path: pathlib.Path) -> None:
    """Without a log, or with a quiet one, no target is recommended, and the answer says why."""
    (tmp_path / "node/host").mkdir(parents=True)
    (tmp_path / "node/host/uptime.json").write_text("{}", encoding="ascii")
    document = answer("--from", str(tmp_path / "node"), "--instance-type", "m5.large")
    assert document["warm_targets"] is None and "not collected" in document["why_no_targets"]
    (tmp_path / "node/logs").mkdir()
    (tmp_path / "node/logs/ipamd.log").write_text('{"level":"info","ts":"2026-03-01T11:00:00.000Z","msg":"Starting L-IPAMD"}\n', encoding="ascii")
    document = answer("--from", str(tmp_path / "node"), "--instance-type", "m5.large")
    assert document["warm_targets"] is None and "no pod asked" in document["why_no_targets"]


def churn(**changes: Any) -> Churn:
    """A quiet hour, unless a test says otherwise."""
    plain = Churn(
        arrivals=10, granted=10, freed=8, burst=3, burst_s=30.0, minute=4, resting=1, rest_s=30.0, above=2, since=NOW - timedelta(hours=1), until=NOW
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize(
    ("changes", "in_use", "warm", "minimum"),
    [({}, 12, 5, 14), ({"burst": 9, "resting": 4}, 12, 13, 14), ({"burst": 60}, 20, 27, 22), ({}, None, 5, 5), ({"above": 0}, 40, 5, 27)],
)
def test_the_targets_follow_from_the_arithmetic(changes: dict[str, Any], in_use: Optional[int], warm: int, minimum: int) -> None:
    """Spare = burst + resting addresses; both targets have a floor, and never exceed what the type can hold."""
    found = capacity.warm_targets(known("m5.large"), Mode(), churn(**changes), in_use=in_use)
    assert found.settings == {"WARM_IP_TARGET": warm, "MINIMUM_IP_TARGET": minimum}
    assert any(f": {warm}" in step for step in found.arithmetic) and any(f": {minimum}" in step for step in found.arithmetic)


@pytest.mark.parametrize(("spare", "prefixes"), [(0, 1), (16, 1), (17, 2), (40, 3)])
def test_prefix_mode_keeps_whole_prefixes_warm(spare: int, prefixes: int) -> None:
    """Prefixes hold 16 addresses; at least one is spare; a type without prefixes gets single-address targets."""
    seen = churn(burst=spare, resting=0)
    assert capacity.warm_targets(known("m5.large"), Mode(prefix=True), seen, in_use=5).settings == {"WARM_PREFIX_TARGET": prefixes}
    assert "WARM_IP_TARGET" in capacity.warm_targets(known("t2.micro"), Mode(prefix=True), seen, in_use=1).settings


@pytest.mark.parametrize(
    ("name", "arrivals", "granted", "freed"),
    [("v1.15.5-healthy-busy", 17, 17, 4), ("v1.19.3-healthy-busy", 17, 17, 4), ("v1.23.0-warm-pool-lag", 23, 18, 0), ("v1.23.0-subnet-exhausted", 20, 9, 0)],
)
def test_churn_of_three_releases(name: str, arrivals: int, granted: int, freed: int) -> None:
    """Arrivals are pods, not attempts; answers with an address and addresses freed are counted in each release's own words."""
    found = read_churn(recorded(name), Span(until=NOW + timedelta(days=3650)), rest_s=30.0)
    assert isinstance(found, Observed)
    assert (found.value.arrivals, found.value.granted, found.value.freed) == (arrivals, granted, freed)


def asked(at_s: float, pod: str) -> str:
    """The line of one ADD."""
    stamp = (NOW + timedelta(seconds=at_s)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return json.dumps({"level": "debug", "ts": stamp, "msg": f'AddNetworkRequest: K8S_POD_NAME:"{pod}" K8S_POD_NAMESPACE:"default" K8S_POD_INFRA_CONTAINER_ID:"ab"'}) + "\n"


@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 30)), max_size=60), st.integers(1, 400))
def test_the_burst_is_the_fullest_stretch(events: list[tuple[int, int]], size: int) -> None:
    """However the bytes are cut, arrivals and burst equal a count by hand over all stretches; retries within 300 s count once."""
    events.sort()
    data = "".join(asked(at, f"web-{pod}") for at, pod in events).encode()
    last: dict[int, int] = {}
    times = []
    for at, pod in events:
        if pod not in last or at - last[pod] > 300:
            times.append(at)
        last[pod] = at
    pieces = lambda: (data[i : i + size] for i in range(0, len(data), size))  # noqa: E731
    seen = {"logs/ipamd.log": Capture(Circumstances(probe="test", file="logs/ipamd.log"), pieces)}
    found = read_churn(seen, Span(until=NOW + timedelta(hours=9)), rest_s=30.0)
    if not events:
        assert isinstance(found, Unobserved)
        return
    assert isinstance(found, Observed)
    assert found.value.arrivals == len(times)
    assert found.value.burst == max((sum(start <= at <= start + 30 for at in times) for start in times), default=0)
    assert (found.value.since, found.value.until) == (NOW + timedelta(seconds=events[0][0]), NOW + timedelta(seconds=events[-1][0]))


def test_churn_that_was_not_seen_says_why() -> None:
    """No log, a log that may not be read, one without a time: unobserved, with the reason."""
    span = Span(until=NOW)
    for seen, why in (
        ({}, Why.NOT_COLLECTED),
        ({"logs/ipamd.log": capture("logs/ipamd.log", failure=Why.FORBIDDEN)}, Why.FORBIDDEN),
        (seen_of({"logs/ipamd.log": b"\0\xff\n"}), Why.MALFORMED),
    ):
        found = read_churn(seen, span, rest_s=30.0)
        assert isinstance(found, Unobserved) and found.why is why
