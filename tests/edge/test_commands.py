"""Commands: limits of time and output hold, children die, and what went wrong is told apart."""

from __future__ import annotations

import os
import pathlib
import time

import pytest

from eniagent.edge.clock import Deadline
from eniagent.edge.commands import run_command
from eniagent.model.capture import Capture
from eniagent.model.probe import RunCommand
from eniagent.model.reading import Why


def run(*argvs: tuple[str, ...], timeout_s: float = 5.0, limit_bytes: int = 1 << 20, deadline_s: float = 10.0) -> Capture:
    """Run candidates as a probe."""
    probe = RunCommand(file="host/x", argvs=argvs, timeout_s=timeout_s, limit_bytes=limit_bytes)
    return run_command(probe, deadline=Deadline(deadline_s))


def shell(script: str) -> tuple[str, ...]:
    """A shell script as a candidate."""
    return ("sh", "-c", script)


def test_output_and_exit_are_kept() -> None:
    """What a command printed and how it ended is what the capture says."""
    capture = run(shell("echo out; echo err >&2"))
    assert (capture.body(), capture.about.exit, capture.about.failure, capture.about.detail) == (b"out\n", 0, None, "")


def test_a_command_that_is_absent_is_not_installed() -> None:
    """Neither candidate is there: not installed, both named."""
    about = run(("no-such-crictl", "pods"), ("no-such-ctr", "list")).about
    assert about.failure is Why.NOT_INSTALLED
    assert "no-such-crictl" in about.detail and "no-such-ctr" in about.detail


def test_the_next_candidate_serves_where_the_first_is_absent_or_fails() -> None:
    """An installed tool that cannot work does not hide one that can."""
    assert run(("no-such-crictl",), shell("echo second")).body() == b"second\n"
    assert run(shell("exit 3"), shell("echo second")).body() == b"second\n"


@pytest.mark.parametrize(
    ("script", "why", "exit_code"),
    [
        ("echo 'open: permission denied' >&2; exit 1", Why.FORBIDDEN, 1),
        ("echo 'dial unix /run/x.sock: connect: connection refused' >&2; exit 1", Why.REFUSED, 1),
        ("exit 7", Why.MALFORMED, 7),
        ("echo part; exit 2", None, 2),
    ],
)
def test_failures_are_told_apart(script: str, why: Why, exit_code: int) -> None:
    """The reason follows what the command said; output that came all the same is kept."""
    about = run(shell(script)).about
    assert (about.failure, about.exit) == (why, exit_code)


def test_a_command_without_end_is_killed_with_its_children(tmp_path: pathlib.Path) -> None:
    """At the limit the whole process group dies, also a child that holds the pipe open."""
    pid_file = tmp_path / "pid"
    began = time.monotonic()
    capture = run(shell(f"sleep 60 & echo $! > {pid_file}; echo begun; wait"), timeout_s=0.5)
    assert time.monotonic() - began < 3
    assert (capture.about.failure, capture.about.exit, capture.body()) == (Why.TIMED_OUT, None, b"begun\n")
    child = int(pid_file.read_text())
    end_s = time.monotonic() + 5
    while _alive(child) and time.monotonic() < end_s:
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_deadline_of_the_run_counts_too() -> None:
    """A command's own timeout never outlives the run."""
    began = time.monotonic()
    assert run(shell("sleep 60"), timeout_s=30, deadline_s=0.3).about.failure is Why.TIMED_OUT
    assert time.monotonic() - began < 3


def test_output_without_end_is_cut() -> None:
    """`yes` is stopped at the limit; what was kept is no more than that."""
    capture = run(("yes",), limit_bytes=100_000)
    assert (capture.about.failure, len(capture.body())) == (Why.TRUNCATED, 100_000)


def test_a_flood_on_stderr_blocks_nobody() -> None:
    """Errors are drained and only their end is kept."""
    capture = run(shell("head -c 5000000 /dev/zero | tr '\\0' e >&2; echo done"))
    assert capture.body() == b"done\n"


def test_an_empty_environment_still_finds_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PATH the usual places serve, children speak plain C, and nothing else of ours reaches them."""
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted")
    words = dict(line.split("=", 1) for line in run(("env",)).body().decode().splitlines())
    assert words["LC_ALL"] == "C" and "/sbin" in words["PATH"].split(":")
    assert "AWS_SECRET_ACCESS_KEY" not in words


def test_children_read_nothing() -> None:
    """A command that asks for input meets its end at once."""
    assert run(("cat",)).about.failure is None
