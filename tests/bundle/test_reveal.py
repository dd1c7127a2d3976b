"""Strength `identifiers` from the command line: nothing tells the node, and the node that made it turns the names back."""

from __future__ import annotations

import os
import pathlib
import re

import pytest

from eniagent.demo.replay import Stage
from tests.bundle.making import create, document, members, told
from tests.bundle.test_command import bundles, environment, node_words
from tests.cli.command import run


@pytest.mark.sockets
def test_identities_are_replaced_everywhere_and_come_back(staged: Stage, tmp_path: pathlib.Path) -> None:
    """Strength `identifiers`: neither name nor content tells the node; `reveal` on the same node does."""
    at = {**environment(staged), "ENIAGENT_STATE_DIR": str(tmp_path / "state")}
    words = [*node_words(staged), "--redact", "identifiers"]
    ended = run("bundle", "create", *words, environment=at)
    assert ended.returncode == 0, ended.stderr
    path, _, _ = told(ended.stdout)
    instance, node = b"i-0fc1f7cd5bb2e35cb", b"ip-10-0-0-62"
    assert instance.decode() not in path and ".redacted.tar.gz" in path
    assert instance not in ended.stdout and node not in ended.stdout
    found = members(path)
    assert [name for name, data in found.items() if instance in data or node in data] == []
    pseudonym = document(found["report.json"])["node"]["instance_id"]
    back = run("bundle", "reveal", *node_words(staged), pseudonym, environment=at)
    assert (back.returncode, back.stdout) == (0, f"{pseudonym} {instance.decode()}\n".encode())
    assert run("bundle", "reveal", *node_words(staged), "i-00000000000000000", environment=at).returncode == 2
    assert all(re.fullmatch(r"eniagent_.*\.tar\.gz(\.sha256)?", name) for name in bundles(staged))


def test_keys_and_mapping_stand_apart(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The bundle directory holds archives and digests only; the key is in the state directory, for its owner alone; a second bundle has the same names."""
    state = {"ENIAGENT_STATE_DIR": str(tmp_path / "state")}
    paths = [told(create(tmp_path / name, "--from", str(sick), "--redact", "identifiers", environment=state).stdout)[0] for name in ("one", "two")]
    for path in paths:
        assert sorted(os.listdir(os.path.dirname(path))) == [os.path.basename(path), f"{os.path.basename(path)}.sha256"]
    assert sorted(os.listdir(tmp_path / "state/redact")) == ["key", "mapping.jsonl"]
    nodes = [document(members(path)["report.json"])["node"] for path in paths]
    assert nodes[0] == nodes[1]
    text = tmp_path / "said.txt"
    text.write_text(f"the node {nodes[0]['name']} is {nodes[0]['instance_id']}\n", encoding="ascii")
    back = run("bundle", "reveal", str(text), environment={"PATH": os.environ["PATH"], **state})
    assert back.stdout == b"the node ip-10-0-0-62.us-west-2.compute.internal is i-0fc1f7cd5bb2e35cb\n"
