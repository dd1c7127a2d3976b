"""From the capture of a journal to its Reading: the window applied, the coverage told, a break in the stream told.

Refuses to take an empty journal for one without failures: where not one entry is seen, nothing was observed.
"""

from __future__ import annotations

from typing import Callable, Optional

from eniagent.model.capture import Capture, CaptureCut, Seen
from eniagent.model.reading import Observed, Reading, Unobserved, Why, not_collected
from eniagent.model.record import Journal
from eniagent.sources import Span
from eniagent.sources.journal_entries import Tally, entries
from eniagent.sources.journal_fold import Fold
from eniagent.sources.journal_text import micros

Teller = Callable[[Fold, bytes, int, bytes], None]
"""Folds one message: fold, message, time in microseconds, reference."""


def read(seen: Seen, span: Span, *, file: str, program: str, told: Teller) -> Reading[Journal]:
    """The reading of one program's journal. Never raises."""
    source = f"{program} journal"
    capture = seen.get(file)
    if capture is None:
        return not_collected(source)
    at = capture.about.at
    if capture.about.failure is not None:
        return Unobserved(why=capture.about.failure, source=source, at=at, detail=capture.about.detail)
    fold, tally = Fold(program), Tally()
    cut = _fold(capture, fold, tally, span=span, told=told)
    if not fold.entries and not fold.since_us:
        if cut is not None:
            return Unobserved(why=cut.why, source=source, at=at, detail=cut.detail)
        if tally.garbled:
            return Unobserved(why=Why.MALFORMED, source=source, at=at, detail=f"{tally.garbled} lines, none of them a journal entry")
        return Unobserved(why=Why.NOT_COLLECTED, source=source, at=at, detail=capture.about.detail or f"no entry of {program} in it")
    journal = fold.finish(garbled=tally.garbled, cut=f"{cut.why.value}: {cut.detail}" if cut is not None else ("truncated" if capture.about.truncated else ""))
    if tally.garbled and not fold.since_us and not (journal.pods or journal.starts or journal.events or journal.counts):
        # Noise splits into lines too: without one time and one known word it is no journal, and must not pass for a quiet one.
        return Unobserved(why=Why.MALFORMED, source=source, at=at, detail=f"{tally.garbled} of {tally.garbled + fold.entries} lines are no journal entries")
    return Observed(value=journal, source=source, at=at)


def _fold(capture: Capture, fold: Fold, tally: Tally, *, span: Span, told: Teller) -> Optional[CaptureCut]:
    """All entries of the window into the fold. Those before it only tell how far back the journal reaches."""
    opens_us = micros(span.since) if span.since is not None else 0
    stream = entries(capture.chunks(), tally, file=capture.about.file, now=span.until)
    last_us, ref = 0, b""
    try:
        for at_us, message, ref in stream:
            if at_us:
                if not fold.since_us or at_us < fold.since_us:
                    fold.since_us = at_us
                last_us = at_us
                if at_us < opens_us:
                    continue
            if message is not None:
                fold.entries += 1
                told(fold, message, at_us, ref)
    except CaptureCut as cut:
        return cut
    finally:
        fold.until_us, fold.cursor = last_us, ref
    return None
