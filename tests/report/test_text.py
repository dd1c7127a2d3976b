"""The text output holds its promises for any diagnosis, hostile and huge ones included."""

from __future__ import annotations

import re
import string

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from eniagent.model.finding import Command, Diagnosis, Remedy, Verdict
from eniagent.report import phrases, render
from eniagent.report.fitting import Section, fit
from eniagent.report.plain import plain, token
from eniagent.report.text import first_line
from eniagent.report.verdict import END, VERDICT_BYTES
from tests.report.diagnoses import NOW, any_diagnosis, huge, subnet_exhausted, texts

PRINTABLE = set(string.printable.encode()) - set(b"\t\r\x0b\x0c")
ANY = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
FIRST = re.compile(r"ENIAGENT verdict=\S+ cause=\S+ confidence=(confirmed|probable|possible|none) node=\S+ instance=\S+ cni=\S+")


def verdict_bytes(output: bytes) -> bytes:
    """The output up to and including the line that ends the verdict."""
    end = f"\n{END}\n".encode()
    return output[: output.index(end) + len(end)]


@ANY
@example(huge())
@given(any_diagnosis)
def test_text_keeps_its_promises(diagnosis: Diagnosis) -> None:
    """Whatever the diagnosis holds: a first line of six pairs in order within 512 bytes, a verdict with each part that has
    something to say within 2,400 bytes, nothing but printable ASCII, and every affected pod in the details."""
    output = render(diagnosis, format_name="text")
    line = output.split(b"\n")[0].decode("ascii")
    assert line == first_line(diagnosis)
    assert len(line) + 1 <= 512
    assert FIRST.fullmatch(line)
    assert not set(output) - PRINTABLE
    verdict = verdict_bytes(output)
    assert len(verdict) <= VERDICT_BYTES
    titles = {line.partition(b":")[0] for line in verdict.split(b"\n") if not line.startswith(b" ")}
    assert titles_due(diagnosis) <= titles
    listed = output.decode().partition("\naffected pods (")[2].splitlines()[1:]
    assert len(listed) == len(diagnosis.impact.affected)


def titles_due(diagnosis: Diagnosis) -> set[bytes]:
    """The parts of the verdict that this diagnosis must have."""
    due = {b"Node", b"Impact", b"Ruled out", b"Not seen"}
    due |= {b"Why"} if diagnosis.causes else set()
    outlook = diagnosis.outlook
    if outlook and (diagnosis.impact.waiting or (outlook.short_by or 0) > 0):
        due |= {b"Why no address comes, and when it will"}
    elif outlook and outlook.short_by is not None and outlook.next_action != "nothing":
        due |= {b"What ipamd will do next"}
    due |= {b"Fix"} if any(found.remedy for found in diagnosis.causes) else set()
    return due | ({b"Next look"} if diagnosis.next_looks else set())


@ANY
@example(huge())
@given(any_diagnosis)
def test_no_format_carries_a_control_character(diagnosis: Diagnosis) -> None:
    """No byte of Markdown, HTML or JSON could move a cursor, ring a bell or change a colour; the first two are ASCII."""
    for name in ("markdown", "html", "json"):
        output = render(diagnosis, format_name=name)
        assert output.endswith(b"\n")
        assert name == "json" or not set(output) - PRINTABLE
        assert set(output) & set(range(32)) <= {10}


def test_a_usual_verdict_says_everything_in_place() -> None:
    """Cause, both facts with their places, outlook, commands, warning, exclusion and gap of a usual case need no details."""
    verdict = verdict_bytes(render(subnet_exhausted(), format_name="text")).decode()
    for told in (
        "EC2 refused addresses: InsufficientFreeAddressesInSubnet [ipamd.log logs/ipamd.log:812, 77 s ago]",
        "assignable addresses: 0 (expected 2) [ipamd introspection /v1/enis#/0/Total]",
        "12 pods, 84 failed attempts, 12 waiting now",
        "next it will try to assign addresses on eni-0a; stopped by subnet-exhausted; next try due in 43 s (2026-03-04T12:45:53Z)",
        "$ aws ec2 describe-subnets",
        "$ kubectl -n kube-system set env",
        "do not: restart aws-node",
        "heals: ipamd tries again",
        "eni-limit-reached (2 of 3 ENIs attached)",
        "ipamd metrics (refused: 127.0.0.1:61678: connection refused)",
    ):
        assert told in verdict


def test_a_command_is_whole_or_absent() -> None:
    """A command too long for the verdict is counted there and stands whole in the details: half a command is dangerous."""
    long = "kubectl annotate node " + " ".join(f"key-{n}=value" for n in range(200))
    cause = subnet_exhausted().causes[0]
    remedy = Remedy(text="Fix it.", commands=(Command(run=long, where="kubectl", effect="change"),))
    diagnosis = msgspec.structs.replace(subnet_exhausted(), causes=(msgspec.structs.replace(cause, remedy=remedy),))
    output = render(diagnosis, format_name="text").decode()
    verdict, details = output.split(f"\n{END}\n")
    assert "kubectl annotate" not in verdict
    assert "1 below" in verdict
    assert long in details


@pytest.mark.parametrize(
    ("verdict", "word"), [(Verdict.HEALTHY, "none"), (Verdict.INCONCLUSIVE, "undetermined"), (Verdict.NOT_APPLICABLE, "none"), (Verdict.WARNING, "none")]
)
def test_cause_word_without_a_cause(verdict: Verdict, word: str) -> None:
    """Without a cause the first line says `undetermined` only where something is undetermined."""
    diagnosis = msgspec.structs.replace(subnet_exhausted(), causes=(), verdict=verdict)
    assert f" cause={word} confidence=none " in first_line(diagnosis)


def test_colour_leaves_the_first_line_and_the_words_alone() -> None:
    """Colour adds SGR sequences to the lines after the first, and nothing else."""
    painted = render(subnet_exhausted(), format_name="text", colour=True)
    bare = render(subnet_exhausted(), format_name="text")
    assert painted.split(b"\n")[0] == bare.split(b"\n")[0]
    assert painted != bare
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", painted) == bare


@given(st.text(max_size=300) | texts, st.integers(min_value=1, max_value=200))
def test_plain_is_printable_and_bounded(text: str, limit: int) -> None:
    """`plain` gives one printable ASCII line within its limit; printable ASCII that fits comes through unchanged."""
    shown = plain(text, limit=limit)
    assert len(shown) <= limit
    assert shown.isascii()
    assert shown.isprintable()
    if text.isascii() and text.isprintable() and len(text) <= limit:
        assert shown == text.strip()


@given(texts, st.integers(min_value=10, max_value=200))
def test_token_forges_no_key(text: str, limit: int) -> None:
    """`token` holds no space, so that splitting the first line at spaces gives its own pairs only."""
    shown = token(text, limit=limit)
    assert shown
    assert len(shown) <= limit
    assert " " not in shown


@given(
    st.lists(
        st.builds(
            Section, title=st.just("Title"), head=st.just("head"), items=st.lists(st.just("item" * 9), max_size=40).map(tuple),
            rank=st.integers(0, 5), inline=st.booleans(), unlisted=st.integers(0, 9),
        ),
        max_size=8,
    ),
    st.integers(min_value=400, max_value=3000),
)  # fmt: skip
def test_fit_counts_what_it_leaves_out(sections: list[Section], room: int) -> None:
    """Shown and counted items add up, the room is kept, and a larger room shows no fewer items."""

    def shown(room_bytes: int) -> int:
        return sum(line.count("item" * 9) for part in fit(sections, room_bytes=room_bytes) for line in part)

    parts = fit(sections, room_bytes=room)
    assert sum(len(line) + 1 for part in parts for line in part) <= room
    counted = sum(int(n) for part in parts for line in part for n in re.findall(r"(\d+) (?:more )?below", line))
    assert shown(room) + counted == sum(len(section.items) + section.unlisted for section in sections)
    assert shown(100_000) == sum(len(section.items) for section in sections)


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (200_000, "2 d")])
def test_span_reads_in_its_unit(seconds: int, said: str) -> None:
    """Durations are told in the unit that people would use."""
    assert phrases.span(seconds) == said


def test_a_fact_from_the_future_is_no_age() -> None:
    """After a clock step a fact may lie ahead of now: its time is told, never a negative age."""
    assert phrases.age(NOW.replace(year=2027), now=NOW) == "at 2027-03-04T12:45:10Z"
