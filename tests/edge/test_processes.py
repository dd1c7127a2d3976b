"""The process table: who runs since when, whose environment may be seen, and only the allowed part of it."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from eniagent.edge.processes import KUBELET_CMDLINE, read_environment, read_processes
from eniagent.model.probe import ReadEnvironment, ReadProcesses
from eniagent.model.reading import Why
from tests.edge.conftest import unprivileged

ENVIRONMENT = ReadEnvironment(file="ipamd/env.json", process="aws-k8s-agent", allowed=("WARM_ENI_TARGET", "VPC_CNI_VERSION"))
PROCESSES = ReadProcesses(file="host/processes.json", names=("aws-k8s-agent", "kubelet", "containerd"))


@pytest.fixture
def ipamd(tmp_path: pathlib.Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real process that bears ipamd's name, with a secret in its environment."""
    program = tmp_path / "aws-k8s-agent"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([program, "60"], env={"WARM_ENI_TARGET": "1", "AWS_SECRET_ACCESS_KEY": "planted", "VPC_CNI_VERSION": "v1.23.0"})
    _until_named(process.pid, "aws-k8s-agent")
    yield process
    process.kill()
    process.wait()


def _until_named(pid: int, name: str) -> None:
    end_s = time.monotonic() + 5
    while pathlib.Path(f"/proc/{pid}/comm").read_text().strip() != name and time.monotonic() < end_s:
        time.sleep(0.01)


def test_a_running_process_is_told_with_its_start(ipamd: subprocess.Popen[bytes]) -> None:
    """Name, pid and a start within the last minute; the host booted before that."""
    document = json.loads(read_processes(PROCESSES, root="/")["host/processes.json"].body())
    entry = next(entry for entry in document["running"] if entry["pid"] == ipamd.pid)
    started_at = datetime.fromisoformat(entry["started_at"].replace("Z", "+00:00"))
    assert entry["name"] == "aws-k8s-agent"
    assert abs((datetime.now(timezone.utc) - started_at).total_seconds()) < 60
    assert datetime.fromisoformat(document["booted_at"].replace("Z", "+00:00")) <= started_at


def test_only_allowed_variables_leave_the_process(ipamd: subprocess.Popen[bytes]) -> None:
    """The secret in the same environment is not in the capture."""
    capture = read_environment(ENVIRONMENT, root="/")
    assert json.loads(capture.body()) == {"WARM_ENI_TARGET": "1", "VPC_CNI_VERSION": "v1.23.0"}


def test_an_environment_without_right_is_forbidden(ipamd: subprocess.Popen[bytes]) -> None:
    """Another user's environment: forbidden, not absent."""
    with unprivileged():
        capture = read_environment(ENVIRONMENT, root="/")
    if os.geteuid() == 0:
        assert capture.about.failure is Why.FORBIDDEN
    else:
        assert capture.about.failure is None


def test_no_such_process_is_not_installed() -> None:
    """ipamd that does not run has no environment; the table itself was read all the same."""
    probe = ReadEnvironment(file="ipamd/env.json", process="no-such-agent", allowed=("A",))
    assert read_environment(probe, root="/").about.failure is Why.NOT_INSTALLED
    found = read_processes(ReadProcesses(file="host/processes.json", names=("no-such-agent",)), root="/")
    assert json.loads(found["host/processes.json"].body())["running"] == []


def test_a_dead_process_that_nobody_reaped_does_not_run(tmp_path: pathlib.Path) -> None:
    """A zombie bears the name and serves nobody."""
    program = tmp_path / "aws-k8s-agent"
    shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    process = subprocess.Popen([program, "60"])
    _until_named(process.pid, "aws-k8s-agent")
    process.kill()
    end_s = time.monotonic() + 5
    while "Z" not in pathlib.Path(f"/proc/{process.pid}/stat").read_text().split()[2] and time.monotonic() < end_s:
        time.sleep(0.01)
    document = json.loads(read_processes(PROCESSES, root="/")["host/processes.json"].body())
    assert process.pid not in [entry["pid"] for entry in document["running"]]
    process.wait()


def test_kubelets_arguments_are_kept_as_they_were_given(tmp_path: pathlib.Path) -> None:
    """A capture of its own, arguments apart even where one holds blanks; without kubelet it says so."""
    assert read_processes(PROCESSES, root="/")[KUBELET_CMDLINE].about.failure is Why.NOT_INSTALLED
    program = tmp_path / "kubelet"
    shutil.copy(shutil.which("tail") or "/usr/bin/tail", program)
    argv = [str(program), "-f", "--max-unchanged-stats=29", "/dev/null"]
    process = subprocess.Popen(argv)
    try:
        _until_named(process.pid, "kubelet")
        capture = read_processes(PROCESSES, root="/")[KUBELET_CMDLINE]
        assert capture.body().split(b"\0")[:-1] == [word.encode() for word in argv]
    finally:
        process.kill()
        process.wait()


def test_a_host_without_proc_is_told(tmp_path: pathlib.Path) -> None:
    """Where the host's /proc is not mounted, nothing is claimed about processes."""
    assert read_processes(PROCESSES, root=str(tmp_path))["host/processes.json"].about.failure is Why.NOT_INSTALLED
    assert read_environment(ENVIRONMENT, root=str(tmp_path)).about.failure is Why.NOT_INSTALLED
