"""What goes to Prometheus: the metrics of the contract, in a form that its own tool finds nothing wrong with; alerts; a dashboard."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from eniagent.case.facts import Facts
from eniagent.daemon.exposition import Exposition
from eniagent.daemon.tally import Tally
from eniagent.diagnose import diagnose
from eniagent.model.chronicle import Failure, Transition
from eniagent.model.net import PodName
from eniagent.model.snapshot import READINGS, Case
from eniagent.rules import registry
from tests.build import NOW, healthy_snapshot, without

ALERTS = "packaging/prometheus"
CONTRACT = {
    "eniagent_addresses": {"state", "network_card"}, "eniagent_enis": {"state"}, "eniagent_ledger_disagreements": {"kind"},
    "eniagent_allocation_failures_total": {"cause"}, "eniagent_finding": {"code", "severity"}, "eniagent_incident_open": set(),
    "eniagent_pod_wait_seconds_bucket": {"le"}, "eniagent_time_to_exhaustion_seconds": set(), "eniagent_source_up": {"source"},
    "eniagent_cycle_seconds": set(), "eniagent_journal_lag_seconds": set(), "eniagent_build_info": {"version"},
}  # fmt: skip
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def exposed(*, lost: tuple[str, ...] = (), failures: int = 0) -> Exposition:
    """The metrics of a healthy node, of which some readings were not seen."""
    case = Case(now=without(healthy_snapshot(), *lost))
    facts, diagnosis, tally = Facts(case), diagnose(case), Tally()
    tally.compare(case)
    tally.learn(facts, diagnosis, failures=[Failure(PodName("default/a"), str(n), NOW, "no-address") for n in range(failures)], transitions=())
    exposition = Exposition()
    exposition.gauges = tally.gauges(facts, diagnosis, now_s=0.0, incidents_open=0, cycle_s=0.05, lag_s=0.0)
    return exposition


def samples(text: bytes) -> list[tuple[str, dict[str, str], float]]:
    """All samples: name, labels, value."""
    return [(name, dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)) for name, labels, value in SAMPLE.findall(text.decode())]


def promtool(*words: str, text: bytes = b"") -> str:
    """Run promtool; what it complains of, empty where nothing."""
    done = subprocess.run(["promtool", *words], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return "" if done.returncode == 0 else done.stdout.decode()


def test_every_metric_of_the_contract_is_there_with_its_labels() -> None:
    """Names and labels are the contract's, no more and no less."""
    found = {name: set(labels) for name, labels, _ in samples(exposed().text())}
    for name, labels in CONTRACT.items():
        assert found[name] == labels, name
    assert set(found) - {"eniagent_pod_wait_seconds_count", "eniagent_pod_wait_seconds_sum"} == set(CONTRACT)


def test_every_finding_and_source_is_always_there() -> None:
    """A finding that does not stand is 0, not absent, at each severity; so is a source that is not seen."""
    told = samples(exposed(lost=("metadata",)).text())
    codes = {labels["code"] for name, labels, _ in told if name == "eniagent_finding"}
    assert codes == {rule.code for rule in registry()}
    up = {labels["source"]: value for name, labels, value in told if name == "eniagent_source_up"}
    assert up == {field: float(field != "metadata") for field in READINGS}


def test_what_was_not_seen_is_absent_and_never_zero() -> None:
    """Without ipamd there are no addresses to tell of: no series says 0."""
    names = {name for name, labels, _ in samples(exposed(lost=("ipam",)).text()) if labels.get("state") != "limit"}
    assert not {"eniagent_addresses", "eniagent_time_to_exhaustion_seconds"} & names


def test_failures_without_a_cause_are_undetermined() -> None:
    """Failures count although nothing says why; every cause has its series from the start, so that the first rise is seen."""
    told = {labels["cause"]: value for name, labels, value in samples(exposed(failures=3).text()) if name == "eniagent_allocation_failures_total"}
    assert told.pop("undetermined") == 3
    assert set(told) == {rule.code for rule in registry() if rule.kind == "cause"}
    assert set(told.values()) == {0.0}


def test_waits_are_counted_once_from_the_first_failure() -> None:
    """kubelet and containerd tell of the same end: one wait."""
    case = Case(now=healthy_snapshot())
    tally = Tally()
    facts = Facts(case)
    ends = [Transition(NOW, "pod-recovered", "default/web-000"), Transition(NOW, "pod-recovered", "default/web-000")]
    tally.learn(facts, diagnose(case), failures=[], transitions=ends)
    gauges = tally.gauges(facts, diagnose(case), now_s=0, incidents_open=0, cycle_s=0, lag_s=0)
    assert sum(gauges.wait_buckets) == 0, "a pod of which no failure is known did not wait"


def test_time_to_exhaustion_follows_the_growth() -> None:
    """Ten pods in ten minutes, and as many again are left: ten minutes. Without growth: never."""
    tally, last = Tally(), float("nan")
    for minute, pods in enumerate(range(7, 18)):
        case = Case(now=healthy_snapshot(enis=2, pods=pods))
        facts = Facts(case)
        gauges = tally.gauges(facts, diagnose(case), now_s=minute * 60.0, incidents_open=0, cycle_s=0, lag_s=0)
        last = gauges.exhaustion_s if gauges.exhaustion_s is not None else last
    assert last == pytest.approx(600.0)
    still = Tally()
    for minute in range(11):
        gauges = still.gauges(facts, diagnose(case), now_s=minute * 60.0, incidents_open=0, cycle_s=0, lag_s=0)
    assert gauges.exhaustion_s == float("inf")


@pytest.fixture
def served() -> Iterator[Exposition]:
    """Metrics on a port of the system's choice."""
    exposition = exposed()
    exposition.listen("127.0.0.1:0")
    yield exposition
    exposition.close()


@pytest.mark.sockets
@pytest.mark.promtool
def test_promtool_finds_nothing_wrong_with_a_scrape(served: Exposition) -> None:
    """`promtool check metrics` is clean on what a scraper gets."""
    page = urllib.request.urlopen(f"http://127.0.0.1:{served.port}/metrics", timeout=5).read()
    assert samples(page) == samples(served.text())
    assert promtool("check", "metrics", text=page) == ""


@pytest.mark.sockets
def test_port_is_free_again_after_close(served: Exposition) -> None:
    """A reload listens on the same port."""
    port = served.port
    served.close()
    served.listen(f"127.0.0.1:{port}")
    assert served.port == port


def test_textfile_is_whole_or_absent(tmp_path: pathlib.Path) -> None:
    """The collector's directory holds one `.prom` file, readable by all, and nothing half-written, also when the disk refuses."""
    exposition = exposed()
    exposition.write(str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert path.name == "eniagent.prom" and path.read_bytes() == exposition.text()
    with pytest.raises(OSError):
        exposition.write(str(tmp_path / "absent"))
    exposition.remove(str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.promtool
def test_alerts_fire_when_they_should_and_are_silent_otherwise(top: pathlib.Path) -> None:
    """The rules are sound, and each of the cases beside them comes out as it says."""
    assert promtool("check", "rules", str(top / ALERTS / "alerts.yaml")) == ""
    assert promtool("test", "rules", str(top / ALERTS / "alerts.test.yaml")) == ""


def expressions(top: pathlib.Path) -> list[str]:
    """What alerts and the dashboard ask Prometheus."""
    board: dict[str, Any] = json.loads((top / "packaging/grafana/dashboard.json").read_text(encoding="utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.promtool
def test_dashboard_asks_what_prometheus_understands(top: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Each panel's expression parses, as a rule would."""
    rules = [{"record": f"panel:{number}", "expr": text.replace("$node", ".*")} for number, text in enumerate(expressions(top))]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    assert promtool("check", "rules", str(path)) == ""


def test_alerts_and_dashboard_name_only_metrics_that_exist(top: pathlib.Path) -> None:
    """A metric that nobody tells would be an alert that never fires."""
    text = "\n".join(expressions(top)) + (top / ALERTS / "alerts.yaml").read_text(encoding="utf-8")
    named = set(re.findall(r"\beniagent_[a-z_]+", text))
    assert named and named <= set(CONTRACT)
    used = set(re.findall(r'source=~"([^"]+)"', text))
    assert {source for group in used for source in group.split("|")} <= set(READINGS)
    codes = {code for group in re.findall(r'code=~"([^"]+)"', text) for code in group.split("|")}
    assert codes <= {rule.code for rule in registry()}
