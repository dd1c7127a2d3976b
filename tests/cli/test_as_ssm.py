"""As SSM runs a command: `sh -c` of a script, hardly an environment, cwd /usr/bin, a process group of its own, SIGKILL at timeout."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from eniagent.demo.replay import Stage
from tests.cli.command import PATH, SCRIPT

SSM = {
    "PATH": PATH,
    "LANG": "en_US.UTF-8",
    "PWD": "/usr/bin",
    "SHLVL": "2",
    "INVOCATION_ID": "0123456789abcdef0123456789abcdef",
    "JOURNAL_STREAM": "8:12345",
    "SSM_COMMAND_ID": "0a1b2c3d-0000-4000-8000-000000000000",
    "AWS_SSM_INSTANCE_ID": "i-0123456789abcdef0",
    "AWS_SSM_REGION_NAME": "us-west-2",
}
"""What Run Command gives: no HOME, no USER, no TERM."""


def as_ssm(script: str, *, environment: dict[str, str], tmp_path: pathlib.Path) -> subprocess.CompletedProcess[bytes]:
    """Run the lines of a Command document as the agent does."""
    file = tmp_path / "_script.sh"
    file.write_text(script, encoding="utf-8")
    file.chmod(0o700)
    return subprocess.run(
        ["sh", "-c", str(file)], env=environment, cwd="/usr/bin", stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, timeout=60
    )


def check_answer(ended: subprocess.CompletedProcess[bytes]) -> None:
    """The first line, the whole verdict within what the summary field keeps, the exit code passed through, and no stderr."""
    assert ended.stderr == b""
    assert ended.returncode == 3
    first, _, rest = ended.stdout.partition(b"\n")
    assert first.isascii()
    assert len(first) < 512
    assert first.startswith(b"ENIAGENT verdict=critical cause=subnet-exhausted confidence=")
    pairs = dict(pair.split("=", 1) for pair in first.decode().split()[1:])
    assert list(pairs) == ["verdict", "cause", "confidence", "node", "instance", "cni"]
    assert pairs["instance"].startswith("i-")
    kept = ended.stdout[:2400]
    for title in (b"\nNode: ", b"\nImpact: ", b"\nWhy: ", b"\nFix: ", b"\nRuled out: ", b"\nNot seen: ", b"\n-- details --\n"):
        assert title in kept
    assert rest.isascii()


@pytest.mark.sockets
@pytest.mark.parametrize("given", ["ssm", "path"])
def test_run_command_on_a_live_node(staged: Stage, environment: dict[str, str], tmp_path: pathlib.Path, given: str) -> None:
    """A Command document that runs `eniagent diagnose` on a sick node gets the verdict, with SSM's environment or PATH alone."""
    own = {**(SSM if given == "ssm" else {}), "PATH": environment["PATH"]}
    options = " ".join(staged.options())
    ended = as_ssm(f"#!/bin/sh\n{SCRIPT} diagnose --fail-on critical {options}\n", environment=own, tmp_path=tmp_path)
    check_answer(ended)


def test_run_command_with_nothing_at_all(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """With an empty environment it works as well."""
    check_answer(as_ssm(f"{SCRIPT} diagnose --from {sick} --fail-on critical\n", environment={}, tmp_path=tmp_path))


@pytest.mark.parametrize("words", ["--version", "--help", "diagnose --help", "config show", "demo --list"])
def test_every_command_answers_in_an_empty_environment(tmp_path: pathlib.Path, words: str) -> None:
    """No command needs HOME, TERM, PATH or a locale to say what it has to say, in ASCII."""
    ended = as_ssm(f"{SCRIPT} {words}\n", environment={}, tmp_path=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout
    assert ended.stdout.isascii()
    assert b"\x1b" not in ended.stdout
