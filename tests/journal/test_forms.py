"""Any bytes as a journal: all forms, half entries, garbage, huge and binary messages. Nothing raises, nothing is invented."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.journal_files import Entry
from bench.journal_lines import structured_plugin
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources.journal_entries import to_json_lines
from tests.journal import reading

FAILURES = reading.lines_of("structured-plugin", reading.attempts(6), program="kubelet")


def _entry(message: bytes, offset_s: float = 0.0) -> Entry:
    return Entry(reading.START_US + int(offset_s * 1e6), "kubelet.service", "kubelet", 2975, message)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 700), st.sampled_from(["kubelet", "containerd"]))
def test_any_bytes_give_a_reading(data: bytes, piece: int, program: str) -> None:
    """No bytes raise."""
    assert isinstance(reading.read(data, program=program, piece=piece), (Observed, Unobserved))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(reading.FORMS)), st.integers(1, 4000), st.integers(0, 40))
def test_the_pieces_of_a_stream_do_not_matter(form: str, piece: int, cut: int) -> None:
    """The same bytes in other pieces are the same journal, also where the end is missing."""
    data = reading.FORMS[form](FAILURES)
    data = data[: len(data) - cut]
    assert reading.read(data, piece=piece) == reading.read(data, piece=len(data))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80).filter(lambda b: b"\n" not in b), max_size=6), st.randoms())
def test_garbage_between_json_lines_costs_no_entry(garbage: list[bytes], rng: object) -> None:
    """Broken lines between whole ones hide none of them, and lines that are no entries are counted."""
    lines = reading.as_json(FAILURES).splitlines()
    broken = [b"{\xff" + line for line in garbage]
    for line in broken:
        lines.insert(rng.randrange(len(lines)), line)  # type: ignore[attr-defined]
    found = reading.journal(b"\n".join([reading.as_json(FAILURES[:1]).strip(), *lines]) + b"\n")
    assert (found.failures, found.garbled) == (6, len(garbage))


def test_half_of_a_json_line_is_garbled_and_the_rest_is_read() -> None:
    """A file that was cut while it was written ends in half a line."""
    data = reading.as_json(FAILURES)
    found = reading.journal(data[:-200])
    assert (found.failures, found.garbled) == (6, 1)


def test_a_message_that_is_no_utf8_is_read_in_every_form() -> None:
    """journalctl prints such a message as an array of numbers, the export format as bytes."""
    bad = [_entry(entry.message + b" \xff\xfe\x80") for entry in FAILURES[:4]]
    for form in reading.FORMS.values():
        assert reading.journal(form(bad)).failures == 1


def test_a_message_with_line_breaks_is_one_entry() -> None:
    """The export format frames it by its length, and blank lines within it end nothing."""
    entries = [_entry(b"panic: x\n\n__REALTIME_TIMESTAMP=1\nMESSAGE=y\n\n"), *FAILURES]
    found = reading.journal(reading.as_export(entries))
    assert (found.failures, found.entries, found.garbled) == (6, 1 + len(FAILURES), 0)


def test_messages_that_are_null_or_repeated_or_huge() -> None:
    """Null is no message, of several the first counts, and one beyond all bounds is dropped and told."""
    at = str(reading.START_US)
    first = FAILURES[1].message.decode()
    rows = [
        {"__REALTIME_TIMESTAMP": at, "MESSAGE": None},
        {"__REALTIME_TIMESTAMP": at, "MESSAGE": [first, "other"]},
        {"__REALTIME_TIMESTAMP": at, "MESSAGE": "x" * (9 << 20)},
    ]
    found = reading.journal("\n".join(map(json.dumps, rows)).encode() + b"\n")
    assert (found.failures, found.entries, found.garbled) == (1, 1, 1)


def test_export_of_somebody_else_with_any_binary_field() -> None:
    """Fields that nobody asked for may be length-prefixed too."""
    blocks = []
    for entry in FAILURES:
        odd = b"a\n\nb=c"
        blocks.append(b"__REALTIME_TIMESTAMP=%d\n_CMDLINE\n%s%s\n_HOSTNAME=x\nMESSAGE=%s\n\n" % (entry.at_us, len(odd).to_bytes(8, "little"), odd, entry.message))
    assert reading.journal(b"".join(blocks)).failures == 6


def test_export_becomes_the_json_of_a_captures_directory() -> None:
    """A journal reads the same from what is written into a captures directory."""
    binary = _entry(structured_plugin(reading.attempts(1, seed=9)[0])[2].text.encode() + b"\n\xff", 80)
    data = reading.as_export([*FAILURES, binary])
    lines = b"".join(to_json_lines(reading.pieces(data, 999), now=reading.NOW))
    assert all(json.loads(line) for line in lines.splitlines())
    assert reading.read(lines) == reading.read(data)


def test_what_is_no_journal_is_malformed() -> None:
    """Only unreadable lines: malformed, never a journal without failures."""
    found = reading.read(b'{"__CURSOR": nonsense\n{"half": \n')
    assert isinstance(found, Unobserved) and found.why is Why.MALFORMED


def test_an_empty_journal_is_not_a_quiet_one() -> None:
    """Not one entry: nothing was observed, which is not the same as no failures."""
    found = reading.read(b"")
    assert isinstance(found, Unobserved) and found.why is Why.NOT_COLLECTED
