"""Signals and deadlines: a run ends when told to, with the contract's code, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from eniagent.demo.replay import Stage
from tests.cli.command import start
from tests.fakes.imds import FakeImds
from tests.fakes.ipamd import FakeIpamd

pytestmark = pytest.mark.sockets


@pytest.fixture
def hanging(staged: Stage, environment: dict[str, str], tmp_path: pathlib.Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Options and environment of a node whose ipamd and IMDS take connections and never answer, and whose crictl and journalctl hang."""
    with FakeIpamd({}) as ipamd, FakeImds() as imds:
        ipamd.faults["*"] = imds.faults["*"] = "hang"
        commands = tmp_path / "bin"
        commands.mkdir()
        for name in ("crictl", "ctr", "journalctl"):
            (commands / name).write_text("#!/bin/sh\nexec sleep 300\n", encoding="ascii")
            (commands / name).chmod(0o755)
        own = {"PATH": f"{commands}:{environment['PATH']}"}
        urls = ["--ipamd-url", ipamd.url, "--metrics-url", ipamd.url, "--imds-url", imds.url]
        yield [*staged.options(), *urls, "diagnose"], own


def sleepers(environment: dict[str, str]) -> list[psutil.Process]:
    """Programs that a run with this environment started and that still run: their PATH begins as it did."""
    mine = environment["PATH"].split(":")[0]
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("PATH", "").startswith(f"{mine}:") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def gone(environment: dict[str, str], *, within_s: float = 3.0) -> bool:
    """Whether none of these is left within a short time."""
    end = time.monotonic() + within_s
    while sleepers(environment) and time.monotonic() < end:
        time.sleep(0.05)
    left = sleepers(environment)
    for process in left:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return not left


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("after_s", [0.4, 1.2])
def test_a_signal_ends_the_run_at_once(hanging: tuple[list[str], dict[str, str]], number: int, code: int, after_s: float) -> None:
    """In the middle of looks that hang, SIGTERM and SIGINT end the run within a second, with their code, silently, and without orphans."""
    words, environment = hanging
    running = start(*words, environment=environment)
    time.sleep(after_s)
    os.kill(running.pid, number)
    sent_s = time.monotonic()
    out, err = running.communicate(timeout=30)
    assert time.monotonic() - sent_s < 1.0
    assert running.returncode == code
    assert (out, err) == (b"", b"")
    assert gone(environment)


def test_a_second_signal_changes_nothing(hanging: tuple[list[str], dict[str, str]]) -> None:
    """Ctrl-C pressed again and again ends the run once, with 130 and without a traceback."""
    words, environment = hanging
    running = start(*words, environment=environment)
    time.sleep(0.8)
    for _ in range(20):
        with contextlib.suppress(ProcessLookupError):
            os.kill(running.pid, signal.SIGINT)
        time.sleep(0.002)
    _, err = running.communicate(timeout=30)
    assert running.returncode == 130
    assert err == b""
    assert gone(environment)


def test_the_deadline_brings_a_partial_result(hanging: tuple[list[str], dict[str, str]]) -> None:
    """At the deadline the verdict comes with what was seen, names what was not, ends with 10, and nothing hangs."""
    words, environment = hanging
    began_s = time.monotonic()
    running = start(*words, "--deadline", "2", "--fail-on", "warning", "--strict", environment=environment)
    out, err = running.communicate(timeout=30)
    assert time.monotonic() - began_s < 3.0
    assert running.returncode == 10
    assert err == b""
    verdict = out.decode("ascii").partition("\n-- details --\n")[0]
    assert verdict.startswith("ENIAGENT verdict=")
    assert "verdict=healthy" not in verdict
    assert "ipamd introspection (not collected: deadline" in verdict
    assert gone(environment)


def test_the_group_kill_of_ssm_leaves_nothing(hanging: tuple[list[str], dict[str, str]]) -> None:
    """SSM ends a command by SIGKILL to its process group: no program that we started outlives it."""
    words, environment = hanging
    running = start(*words, environment=environment)
    time.sleep(1.5)
    assert sleepers(environment)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate(timeout=30)
    assert gone(environment)


def test_a_stopped_reader_is_waited_for_but_a_signal_is_heard(staged: Stage, environment: dict[str, str]) -> None:
    """While stdout is a full pipe that nobody reads, SIGTERM still ends the run."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(write, b"x" * 65536)
    os.set_blocking(write, True)
    running = start(*staged.options(), "diagnose", environment=environment, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    with pytest.raises(subprocess.TimeoutExpired):
        running.communicate(timeout=4)
    os.kill(running.pid, signal.SIGTERM)
    running.communicate(timeout=5)
    os.close(read)
    assert running.returncode == 143
