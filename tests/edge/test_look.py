"""A whole look over real sockets and files: what is there is read, and nothing outlives the deadline."""

from __future__ import annotations

import pathlib
import threading
import time
from datetime import datetime, timedelta, timezone

import msgspec
import pytest

from eniagent import sources
from eniagent.edge import clock, files
from eniagent.edge.clock import Deadline
from eniagent.edge.look import look, observe, snapshot_live
from eniagent.edge.settings import Settings
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import Span
from tests.fakes.imds import FakeImds
from tests.fakes.ipamd import ENIS, FakeIpamd

pytestmark = pytest.mark.sockets

FIELDS = ("ipam", "settings", "metrics", "environment", "checkpoint", "ipamd_log", "plugin_log", "metadata", "links", "sysctls", "processes", "cni_config")
BODIES = {
    "/v1/enis": ENIS,
    "/v1/ipamd-env-settings": b'{"WARM_IP_TARGET":"0"}',
    "/v1/networkutils-env-settings": b'{"AWS_VPC_K8S_CNI_EXTERNALSNAT":"false"}',
    "/v1/eni-configs": b'""',
    "/metrics": b"# TYPE awscni_eni_max gauge\nawscni_eni_max 3\n",
}


def settings_for(root: pathlib.Path, *, ipamd: FakeIpamd, imds: FakeImds) -> Settings:
    """A node whose ipamd and IMDS are these, and whose files are below `root`."""
    return Settings(ipamd_url=ipamd.url, metrics_url=ipamd.url, imds_url=imds.url, root=str(root), origins={"ipamd_url": "flag"})


def last_hour() -> Span:
    """The window of a live run."""
    return Span(until=clock.now(), since=clock.now() - timedelta(hours=1))


def ipamd_log(root: pathlib.Path) -> None:
    """A log with one action of just now."""
    stamp = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    directory = root / "var/log/aws-routed-eni"
    directory.mkdir(parents=True)
    line = '{"level":"info","ts":"%s","caller":"aws-k8s-agent/main.go:52","msg":"Starting L-IPAMD   ..."}\n'
    (directory / "ipamd.log").write_text(line % stamp)


def test_a_look_fills_the_snapshot_from_every_door(tmp_path: pathlib.Path) -> None:
    """Sockets, files and commands each end in a reading that holds what they served; what is not there says why."""
    ipamd_log(tmp_path)
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        live = observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(10), fields=FIELDS)
    snapshot = live.snapshot
    assert live.missed == ()
    assert isinstance(snapshot.ipam, Observed) and [eni.id for pool in snapshot.ipam.value.pools for eni in pool.enis] == ["eni-0f0f19c557067cbbe"]
    assert isinstance(snapshot.metrics, Observed) and snapshot.metrics.value.value("awscni_eni_max") == 3
    assert isinstance(snapshot.metadata, Observed) and snapshot.metadata.value.identity.instance_type == "m5.large"
    assert isinstance(snapshot.ipamd_log, Observed) and snapshot.ipamd_log.value.lines == 1
    assert isinstance(snapshot.links, Observed) and "lo" in {link.name for link in snapshot.links.value}
    assert isinstance(snapshot.checkpoint, Unobserved) and snapshot.checkpoint.why is Why.NOT_INSTALLED
    assert isinstance(snapshot.plugin_log, Unobserved) and snapshot.plugin_log.why is Why.NOT_INSTALLED
    assert live.seen["ipamd/enis.json"].body() == ENIS


def test_each_probe_is_taken_once(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources that need the same look share it: every request is a line in ipamd's own log."""
    monkeypatch.setitem(sources.MODULES, "links", "introspection")
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        look(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(10), fields=FIELDS)
        paths = [request.path for request in ipamd.requests]
    assert sorted(paths) == sorted(BODIES)


@pytest.mark.parametrize("fault", ["hang", "drip", "drip-head", "endless"])
def test_nothing_hangs_past_the_deadline(tmp_path: pathlib.Path, fault: str) -> None:
    """ipamd and IMDS that never finish: the run ends in time, they are told as missing, the rest is whole."""
    ipamd_log(tmp_path)
    bodies = {path: body * 100 for path, body in BODIES.items()}
    with FakeIpamd(bodies) as ipamd, FakeImds() as imds:
        ipamd.faults["*"] = imds.faults["*"] = fault
        began = time.monotonic()
        live = observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(1.0), fields=FIELDS)
        took_s = time.monotonic() - began
    assert took_s < 3.0
    assert isinstance(live.snapshot.ipam, Unobserved) and live.snapshot.ipam.why in (Why.NOT_COLLECTED, Why.TIMED_OUT, Why.TRUNCATED)
    assert isinstance(live.snapshot.metadata, Unobserved) and live.snapshot.metadata.why in (Why.NOT_COLLECTED, Why.TIMED_OUT, Why.TRUNCATED)
    assert isinstance(live.snapshot.ipamd_log, Observed)
    if fault != "endless":
        assert {"ipam", "metadata"} <= set(live.missed)


def test_a_look_that_ignores_its_deadline_is_left_behind(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that hangs in the kernel heeds no timeout of ours: the run ends all the same and names what it lacks."""
    returns = threading.Event()
    monkeypatch.setattr(files, "read_sysctls", lambda probe, *, root: returns.wait(60))
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        began = time.monotonic()
        live = observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(1.0), fields=FIELDS)
        took_s = time.monotonic() - began
    returns.set()
    assert took_s < 3.0
    assert live.missed == ("sysctls",)
    assert isinstance(live.snapshot.sysctls, Unobserved) and (live.snapshot.sysctls.why, live.snapshot.sysctls.detail) == (Why.NOT_COLLECTED, "deadline")
    assert isinstance(live.snapshot.ipam, Observed)


def test_a_deadline_that_has_passed_gives_a_snapshot_of_misses(tmp_path: pathlib.Path) -> None:
    """Without time nothing is observed over the network, nothing is claimed, and every field has a reason."""
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        ipamd.faults["*"] = imds.faults["*"] = "hang"
        live = observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(0), fields=FIELDS)
    for field in ("ipam", "metrics", "metadata"):
        reading = getattr(live.snapshot, field)
        assert isinstance(reading, Unobserved) and reading.why in (Why.NOT_COLLECTED, Why.TIMED_OUT)


def test_threads_that_still_look_do_not_keep_the_process(tmp_path: pathlib.Path) -> None:
    """Every thread of a run is a daemon thread, so that the exit waits for none."""
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        ipamd.faults["*"] = "hang"
        observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(0.2), fields=FIELDS)
        assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())


def test_a_source_that_is_broken_costs_its_own_field_alone(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that raises is told as malformed; other fields are read."""
    monkeypatch.setitem(sources.MODULES, "links", "no_such_module")
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        snapshot = snapshot_live(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(10), fields=FIELDS)
    assert isinstance(snapshot.links, Unobserved) and snapshot.links.why is Why.MALFORMED
    assert isinstance(snapshot.ipam, Observed)


def test_looking_changes_nothing_below_the_root(tmp_path: pathlib.Path) -> None:
    """The node is only read: names, sizes and times of its files are as before."""
    ipamd_log(tmp_path)

    def state() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    before = state()
    with FakeIpamd(BODIES) as ipamd, FakeImds() as imds:
        observe(settings_for(tmp_path, ipamd=ipamd, imds=imds), last_hour(), Deadline(10), fields=FIELDS)
    assert state() == before


def test_ipamd_is_found_where_its_own_environment_says(tmp_path: pathlib.Path) -> None:
    """Nobody listens at the default address; the running ipamd was told a socket, and that is asked."""
    import shutil
    import subprocess

    program = tmp_path / "aws-k8s-agent"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    path = f"{tmp_path}/introspect.sock"
    process = subprocess.Popen([program, "60"], env={"INTROSPECTION_BIND_ADDRESS": f"unix:{path}"})
    try:
        with FakeIpamd(BODIES, unix_path=path), FakeIpamd({}) as gone, FakeImds() as imds:
            gone.close()
            settings = msgspec.structs.replace(settings_for(tmp_path, ipamd=gone, imds=imds), root="/", origins={})
            end_s = time.monotonic() + 5
            while pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip() != "aws-k8s-agent" and time.monotonic() < end_s:
                time.sleep(0.01)
            seen = look(settings, last_hour(), Deadline(10), fields=("ipam",))
    finally:
        process.kill()
        process.wait()
    assert seen["ipamd/enis.json"].body() == ENIS
