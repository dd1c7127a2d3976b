"""The window, the coverage, and streams that break off."""

from __future__ import annotations

from collections.abc import Iterator

from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import Span, kubelet
from tests.journal import reading

ENTRIES = reading.lines_of("structured-plugin", reading.attempts(10), program="kubelet", every_s=60.0)
DATA = reading.as_json(ENTRIES)


def test_entries_before_the_window_only_tell_how_far_back_it_reaches() -> None:
    """Failures before the window do not count; the journal's start is told all the same."""
    found = reading.journal(DATA, since=reading.at(290))
    assert (found.failures, found.entries, found.since) == (5, 20, reading.at(0))


def test_a_journal_that_begins_within_the_window_says_so() -> None:
    """The start of coverage is the first entry, not the window's start."""
    found = reading.journal(DATA, since=reading.at(-3600))
    assert found.since == reading.at(0)


def test_an_entry_without_a_message_is_a_mark() -> None:
    """The journal's oldest entry, without its message, widens the coverage and counts as no entry."""
    mark = b'{"__CURSOR":"s=0","__REALTIME_TIMESTAMP":"%d"}\n' % (reading.START_US - 7_200_000_000)
    found = reading.journal(mark + DATA, since=reading.at(-3600))
    assert (found.since, found.entries, found.failures) == (reading.at(-7200), 40, 10)


def test_a_mark_alone_is_a_quiet_journal() -> None:
    """The program was seen and nothing that matters was printed: observed, without failures."""
    found = reading.journal(b"__CURSOR=s=0\n__REALTIME_TIMESTAMP=%d\n\n" % reading.START_US)
    assert (found.failures, found.entries, found.until) == (0, 0, reading.at(0))


def _broken(data: bytes, cut: CaptureCut) -> Iterator[bytes]:
    if data:
        yield data
    raise cut


def test_a_stream_that_breaks_off_tells_what_came_before() -> None:
    """A partial journal is told as partial."""
    cut = CaptureCut(Why.TIMED_OUT, "deadline: journalctl had not ended")
    capture = Capture(Circumstances(probe="journal", file=kubelet.FILE), lambda: _broken(DATA[:-10], cut))
    found = kubelet.read({kubelet.FILE: capture}, Span(until=reading.NOW))
    assert isinstance(found, Observed)
    assert found.value.failures == 10 and "deadline" in found.value.cut


def test_a_stream_that_gave_nothing_is_unobserved() -> None:
    """Cut before the first entry: the reason of the cut, not an empty journal."""
    capture = Capture(Circumstances(probe="journal", file=kubelet.FILE), lambda: _broken(b"", CaptureCut(Why.FORBIDDEN, "no")))
    found = kubelet.read({kubelet.FILE: capture}, Span(until=reading.NOW))
    assert isinstance(found, Unobserved) and found.why is Why.FORBIDDEN


def test_a_capture_that_failed_keeps_its_reason() -> None:
    """What the edge said of its look is what the reading says."""
    about = Circumstances(probe="journal", file=kubelet.FILE, failure=Why.NOT_INSTALLED, detail="journalctl: no such command")
    found = kubelet.read({kubelet.FILE: Capture(about)}, Span(until=reading.NOW))
    assert isinstance(found, Unobserved) and (found.why, found.detail) == (Why.NOT_INSTALLED, "journalctl: no such command")


def test_a_year_that_the_text_lacks_is_the_newest_possible() -> None:
    """Plain `journalctl` prints no year: a line of late December read in January is last year's."""
    from datetime import datetime, timezone

    from eniagent.sources.journal_text import micros, parse_line

    now = datetime(2027, 1, 2, tzinfo=timezone.utc)
    at_us, message = parse_line(b"Dec 31 23:59:58 host kubelet[1]: E1231 23:59:58.000001       1 x.go:1] y", now=now)
    assert at_us == micros(datetime(2026, 12, 31, 23, 59, 58, tzinfo=timezone.utc))
    assert message.startswith(b"E1231")
