"""Journals in a bundle: what the diagnosis was made from is kept as it was read, and the node's journal is not read more than twice."""

from __future__ import annotations

import os
import pathlib
import shutil
from typing import Any

import pytest

from eniagent.demo.replay import Stage
from tests.bundle.making import document, members, told
from tests.bundle.test_command import environment, node_words
from tests.cli.command import run

WRAPPER = """#!/bin/sh
echo "$@" >> {log}
case " $* " in
*MESSAGE*) {real} "$@"; {then} ;;
*) exec {real} "$@" ;;
esac
"""


def wrapped(staged: Stage, directory: pathlib.Path, *, then: str) -> dict[str, str]:
    """The node's environment with a journalctl that writes down how it is called and does something after each read of messages."""
    at = environment(staged)
    real = shutil.which("journalctl", path=at["PATH"])
    directory.mkdir()
    script = directory / "journalctl"
    script.write_text(WRAPPER.format(log=directory / "calls", real=real, then=then), encoding="ascii")
    script.chmod(0o755)
    return {**at, "PATH": f"{directory}:{at['PATH']}"}


def again(path: str) -> Any:
    """What the bundle says elsewhere."""
    return document(run("diagnose", "--from", path, "--format", "json", "--ledger").stdout)


@pytest.mark.sockets
def test_the_journal_is_read_twice_at_most(staged: Stage, tmp_path: pathlib.Path) -> None:
    """Once filtered for the verdict, once whole for people; `mini` reads it once."""
    for profile, times in (("case", 2), ("mini", 1)):
        at = wrapped(staged, tmp_path / profile, then="exit 0")
        ended = run("bundle", "create", "--profile", profile, *node_words(staged), environment=at)
        assert ended.returncode == 0, ended.stderr
        calls = (tmp_path / profile / "calls").read_text(encoding="ascii").splitlines()
        for unit in ("kubelet", "containerd"):
            assert sum(1 for call in calls if "MESSAGE" in call and f"={unit}" in call) == times


@pytest.mark.sockets
def test_a_journal_that_the_deadline_cut_off_is_told_as_it_was_read(staged: Stage, tmp_path: pathlib.Path) -> None:
    """A journalctl that never ends: the verdict is made from what came, and the bundle gives exactly that verdict, cut and all."""
    at = wrapped(staged, tmp_path / "bin", then="sleep 60")
    ended = run("bundle", "create", "--deadline", "5", *node_words(staged), environment=at)
    assert ended.returncode == 10, ended.stderr
    path, _, _ = told(ended.stdout)
    found = members(path)
    report = document(found["report.json"])
    assert again(path) == report
    entries = document(found["captures/manifest.json"])["captures"]
    (kubelet,) = (entry for entry in entries if entry["file"] == "journal/kubelet.jsonl")
    assert kubelet["truncated"] is True and "deadline" in kubelet["detail"]
    assert found["captures/journal/kubelet.jsonl"].count(b"\n") > 5


@pytest.mark.sockets
def test_lines_that_come_between_verdict_and_bundle_change_nothing(staged: Stage, tmp_path: pathlib.Path) -> None:
    """ipamd logs on while the bundle is written: the bundle tells what the verdict knew."""
    log = staged.directory / "root/var/log/aws-routed-eni/ipamd.log"
    line = '{"level":"error","ts":"2099-01-01T00:00:00Z","caller":"ipamd/ipamd.go:1","msg":"Starting L-IPAMD v9"}'
    at = wrapped(staged, tmp_path / "bin", then=f"echo '{line}' >> {log}; exit 0")
    ended = run("bundle", "create", *node_words(staged), environment=at)
    assert ended.returncode == 0, ended.stderr
    path, _, _ = told(ended.stdout)
    assert again(path) == document(members(path)["report.json"])
    assert os.path.getsize(log) > len(members(path)["captures/logs/ipamd.log"])
