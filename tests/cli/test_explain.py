"""`explain` has a whole runbook for every canonical code, made from the rule itself."""

from __future__ import annotations

import json
import re

import markdown_it
import pytest

from eniagent.report import runbook
from eniagent.rules import registry
from eniagent.rules.rule import Rule
from tests.cli.command import run

CAUSES = (
    "subnet-exhausted", "subnet-fragmented", "eni-limit-reached", "max-pods-mismatch", "warm-pool-lag", "cooldown-starved", "ec2-throttled",
    "eni-attach-failed", "iam-denied", "imds-unreachable", "aws-api-unreachable", "apiserver-unreachable", "ipamd-not-ready", "ipamd-crashing",
    "ipamd-unreachable", "eniconfig-invalid", "branch-eni-unavailable", "instance-limits-unknown", "address-leaked", "imds-out-of-sync", "eni-lost",
    "cni-not-initialized", "cni-binary-broken", "host-local-exhausted", "pod-network-setup-failed", "pod-route-missing", "ipv6-misconfigured",
    "network-policy-agent-down", "not-ip-related", "warm-targets-misconfigured",
)
SYMPTOMS = ("allocation-failures", "pool-exhausted", "slow-pod-start")
ADVICE = ("prefix-mode-advised", "utilization-high")
WORDS = ("healthy", "undetermined")
CODES = (*CAUSES, *SYMPTOMS, *ADVICE, *WORDS)
"""The canonical codes. A code without a runbook, or a runbook without a code, fails below."""

PLACES = ("node", "kubectl", "aws")


def book(code: str) -> runbook.Runbook:
    """The runbook of one code."""
    return next(found for found in runbook.runbooks() if found.code == code)


def test_the_codes_are_the_canonical_ones() -> None:
    """Every canonical code has a runbook, and no other code has one; each stands in its class."""
    classes = {found.code: found.kind for found in runbook.runbooks()}
    wanted = {"cause": CAUSES, "symptom": SYMPTOMS, "advice": ADVICE, "verdict": WORDS}
    assert classes == {code: kind for kind, codes in wanted.items() for code in codes}


@pytest.mark.parametrize("code", CODES)
def test_every_runbook_is_whole(code: str) -> None:
    """Meaning, proof, refutation, remedy, commands that say where they run and what they do, and a link: none is missing."""
    found = book(code)
    words = (found.summary, found.meaning, found.proof, found.refutation, found.remedy.text)
    assert all(len(part) > 10 for part in words), words
    assert found.reference.startswith("https://")
    assert found.looks, "no look decides it"
    commands = (*found.looks, *found.remedy.commands)
    assert found.remedy.commands and all(c.run and c.where in PLACES and c.effect in ("read", "change", "disruptive") for c in commands)
    assert all(c.rights for c in found.remedy.commands), "a command does not say what rights it needs"
    if code not in WORDS:
        assert found.remedy.do_not and found.remedy.recovers_by
        assert found.severity and found.scope


@pytest.mark.parametrize("code", CAUSES)
def test_a_cause_reaches_beyond_one_place(code: str) -> None:
    """A cause has something to run on the node or with the CLIs in at least two of the three places, unless it never leaves the node."""
    found = book(code)
    places = {c.where for c in (*found.looks, *found.remedy.commands)}
    assert len(places) >= 2 or (places == {"node"} and code in ("host-local-exhausted", "pod-network-setup-failed")), places


@pytest.mark.parametrize("rule", registry(), ids=lambda rule: rule.code)
def test_the_text_is_the_rules_own(rule: Rule) -> None:
    """What is printed stands in the rule: no second wording can drift from it."""
    told = runbook.as_text(book(rule.code))
    flat = re.sub(r"\s+", " ", told)
    for words in (rule.summary, rule.meaning, rule.proof, rule.refutation, rule.reference, *(look.command for look in rule.looks)):
        assert re.sub(r"\s+", " ", words) in flat
    assert told.isascii()


def test_what_is_behind_a_symptom_is_told() -> None:
    """A symptom's runbook names exactly the causes that say they explain it."""
    for code in SYMPTOMS:
        assert set(book(code).explained_by) == {rule.code for rule in registry() if code in rule.explains} != set()


def test_the_list_names_every_code_once() -> None:
    """Without a code, all are listed, the words that are no rule's included, each with its one line."""
    ended = run("explain")
    assert (ended.returncode, ended.stderr) == (0, b"")
    listed = dict(re.findall(r"^  (\S+) +(\S.*)$", ended.stdout.decode("ascii"), re.MULTILINE))
    assert sorted(listed) == sorted(CODES)
    assert all(listed[code] == book(code).summary for code in CODES)


@pytest.mark.parametrize("code", ["subnet-exhausted", "undetermined"])
def test_a_code_is_explained(code: str) -> None:
    """The command prints the runbook of the code that it is given, in each of its forms."""
    ended = run("explain", code)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert ended.stdout == runbook.as_text(book(code)).encode()
    document = json.loads(run("explain", code, "--format", "json").stdout)
    assert (document["schema"], document["code"]) == ("eniagent.runbook/1", code)
    assert [c["run"] for c in document["remedy"]["commands"]] == [c.run for c in book(code).remedy.commands]
    assert run("explain", "--format", "markdown", code).stdout.startswith(f"# {code}".encode())


def test_the_list_has_the_same_forms() -> None:
    """JSON and Markdown list every code as well."""
    document = json.loads(run("explain", "--format", "json").stdout)
    assert [row["code"] for row in document["runbooks"]] == list(CODES)
    assert {row["class"] for row in document["runbooks"]} == {"cause", "symptom", "advice", "verdict"}
    assert run("explain", "--format", "markdown").stdout.count(b"\n| `") == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_markdown_keeps_each_command_as_it_is(code: str) -> None:
    """A command's characters come through Markdown unharmed, in a code span, and no raw HTML comes out."""
    tokens = markdown_it.MarkdownIt("commonmark").parse(runbook.as_markdown(book(code)))
    inline = [child for token in tokens for child in token.children or ()]
    spans = {child.content for child in inline if child.type == "code_inline"}
    assert {c.run for c in (*book(code).looks, *book(code).remedy.commands)} <= spans
    assert not [child for child in inline if child.type == "html_inline"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("subnet-exausted", b"subnet-exhausted"),
        ("SUBNET_EXHAUSTED", b"subnet-exhausted"),
        ("throttled", b"ec2-throttled"),
        ("InsufficientFreeAddressesInSubnet", b"subnet-exhausted"),
        ("RequestLimitExceeded", b"ec2-throttled"),
    ],
)
def test_an_unknown_code_is_a_usage_error_with_the_nearest(word: str, meant: bytes) -> None:
    """A mistyped code, or EC2's own word for it, ends with 2, prints nothing and names what was meant."""
    ended = run("explain", word)
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert meant in ended.stderr


def test_nonsense_is_not_guessed_at() -> None:
    """What is like no code gets the way to the list, and no guess."""
    ended = run("explain", "zzzzzz")
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"did you mean" not in ended.stderr and b"eniagent explain" in ended.stderr
