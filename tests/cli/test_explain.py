"""`explain` has a whole runbook for every code, from the rule itself."""

from __future__ import annotations

import re

import pytest

from eniagent.report.runbook import WITHOUT_RULE, runbook
from eniagent.rules import registry
from tests.cli.command import run
from tests.report.diagnoses import NOW

CODES = [rule.code for rule in registry()]


@pytest.mark.parametrize("code", CODES)
def test_every_rule_has_a_whole_runbook(code: str) -> None:
    """Meaning, proof, refutation, remedy and a link are there for each code, printable, also where nothing of a node is known."""
    (rule,) = [rule for rule in registry() if rule.code == code]
    told = runbook(rule, now=NOW)
    parts = dict(re.findall(r"^(meaning|what proves it|what refutes it|remedy)\n  (.+)$", told, re.MULTILINE))
    assert set(parts) == {"meaning", "what proves it", "what refutes it", "remedy"}
    assert all(len(words) > 10 for words in parts.values())
    assert re.search(r"^more: https://", told, re.MULTILINE)
    assert told.isascii()
    assert rule.kind != "cause" or re.search(r"^  \$ ", told, re.MULTILINE)


def test_the_list_names_every_code_once() -> None:
    """Without a code, all are listed, the words that are no rule's included."""
    ended = run("explain")
    assert (ended.returncode, ended.stderr) == (0, b"")
    listed = re.findall(r"^  (\S+)  ", ended.stdout.decode("ascii"), re.MULTILINE)
    assert sorted(listed) == sorted([*CODES, *WITHOUT_RULE])


@pytest.mark.parametrize("code", ["subnet-exhausted", "undetermined"])
def test_a_code_is_explained(code: str) -> None:
    """The command prints the runbook of the code that it is given."""
    ended = run("explain", code)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout.startswith(code.encode())


def test_an_unknown_code_is_a_usage_error_with_the_nearest() -> None:
    """A mistyped code ends with 2 and names the one that was meant."""
    ended = run("explain", "subnet-exausted")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"did you mean subnet-exhausted" in ended.stderr
