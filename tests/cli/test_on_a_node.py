"""On a node: the addresses, ports and paths of a real one, in namespaces of their own, and no setting of eniagent's at all."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.netns, pytest.mark.sockets]


def on_a_node(scenario: str, directory: pathlib.Path, *words: str) -> dict[str, Any]:
    """Become the node, run `eniagent diagnose WORDS`, and tell what came of it."""
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc"]
    ended = subprocess.run(
        [*namespaces, sys.executable, "-m", "tests.cli.node", scenario, str(directory), *words],
        cwd=TOP, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr.decode()
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_the_cause_is_named_with_no_setting_at_all(tmp_path: pathlib.Path) -> None:
    """IMDS on 169.254.169.254:80, ipamd on 127.0.0.1:61679 and 61678, logs, journal and files in their usual places: the cause,
    with the whole verdict within 2,400 bytes, and the code that was asked for."""
    told = on_a_node("subnet-exhausted", tmp_path, "--fail-on", "critical")
    assert told["stderr"] == ""
    assert told["stdout"].startswith("ENIAGENT verdict=critical cause=subnet-exhausted confidence=confirmed node=ip-")
    assert told["code"] == 3
    assert 0 < told["stdout"].index("\n-- details --\n") < 2400


def test_every_source_is_seen_and_nothing_forbidden_is_asked(tmp_path: pathlib.Path) -> None:
    """ipamd, its metrics, IMDS, logs, journal, processes and files are all read where they stand; no credentials are asked for."""
    told = on_a_node("subnet-exhausted", tmp_path, "--format", "json")
    document = json.loads(told["stdout"])
    assert told["code"] == 0
    assert {seen["source"]: seen["why"] for seen in document["unobserved"]}.keys() <= {"container runtime", "containerd journal"}
    assert document["node"]["instance_id"].startswith("i-")
    assert document["numbers"]["enis"]["attached"] == 1
    assert document["impact"]["waiting"] > 0
    assert told["forbidden"] == []
    assert all(told["asked"])


def test_a_healthy_node_is_healthy(tmp_path: pathlib.Path) -> None:
    """The same way, a healthy node under churn raises nothing, also with --strict."""
    told = on_a_node("healthy-busy", tmp_path, "--fail-on", "warning", "--strict")
    assert told["code"] == 0
    assert told["stdout"].startswith("ENIAGENT verdict=healthy cause=none ")
