"""Failures, transitions, gaps and cursors as rows. One failure is one row, however often and by whomever it is told.

Refuses to keep a cursor apart from what was learned up to it: all functions write within the caller's transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from typing import Optional, Union

from eniagent.model.chronicle import Failure, Gap, Transition
from eniagent.model.net import PodName

PROGRAMS = ("kubelet", "containerd")
TEXT_LIMIT = 200

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FAILURES = (
    "SELECT pods.text, attempt, at_us, signatures.text, programs, uids.text, texts.text FROM failures"
    " LEFT JOIN names AS pods ON pods.id=pod LEFT JOIN names AS signatures ON signatures.id=signature"
    " LEFT JOIN names AS uids ON uids.id=uid LEFT JOIN names AS texts ON texts.id=failures.text"
)


def us(at: Optional[datetime]) -> Optional[int]:
    """A time as it is stored."""
    return (at - _EPOCH) // timedelta(microseconds=1) if at is not None else None


def moment(at_us: Optional[int]) -> Optional[datetime]:
    """The inverse of `us`. A number that no calendar holds is no time."""
    if at_us is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=at_us)
    except (OverflowError, TypeError):
        return None


def store_failures(connection: sqlite3.Connection, failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Returns those that were new."""
    names: dict[str, int] = {}
    new: list[Failure] = []
    for failure in failures:
        pod, attempt, programs = _name(connection, names, failure.pod), attempt_of(failure), _bits(failure.programs)
        row = (pod, attempt, us(failure.at) or 0, _name(connection, names, failure.signature), programs, *(
            _name(connection, names, text[:TEXT_LIMIT]) if text else None for text in (failure.uid, failure.text)))  # fmt: skip
        inserted = connection.execute(
            "INSERT OR IGNORE INTO failures (pod, attempt, at_us, signature, programs, uid, text) VALUES (?, ?, ?, ?, ?, ?, ?)", row
        ).rowcount
        if inserted:
            new.append(failure)
        else:
            connection.execute("UPDATE failures SET programs=programs|? WHERE pod=? AND attempt=?", (programs, pod, attempt))
    return tuple(new)


def attempt_of(failure: Failure) -> Union[bytes, str]:
    """What tells one attempt of a pod from the others: the sandbox's id as bytes, else a text: one that is no hex, or a time."""
    try:
        sandbox = bytes.fromhex(failure.sandbox)
    except ValueError:
        return f"={failure.sandbox}"
    return sandbox or f"@{us(failure.at) or 0}"


def _sandbox_of(attempt: Union[bytes, str]) -> str:
    """The inverse. SQLite keeps bytes and text apart."""
    if isinstance(attempt, bytes):
        return attempt.hex()
    return attempt[1:] if attempt.startswith("=") else ""


def _bits(programs: Iterable[str]) -> int:
    return sum(1 << PROGRAMS.index(program) for program in set(programs) if program in PROGRAMS)


def _name(connection: sqlite3.Connection, names: dict[str, int], text: str) -> int:
    """The row of a text that many failures share."""
    known = names.get(text)
    if known is None:
        found = connection.execute("SELECT id FROM names WHERE text=?", (text,)).fetchone()
        known = found[0] if found else connection.execute("INSERT INTO names (text) VALUES (?)", (text,)).lastrowid
        names[text] = int(known or 0)
    return int(known or 0)


def load_failures(connection: sqlite3.Connection, *, since: Optional[datetime], until: Optional[datetime]) -> list[Failure]:
    """Failures of a time, both ends included, in the order in which they were learned."""
    rows = connection.execute(f"{_FAILURES} WHERE at_us>=? AND at_us<=? ORDER BY failures.id", _between(since, until))
    return [_failure(*row) for row in rows]


def _failure(pod: Optional[str], attempt: Union[bytes, str], at_us: int, signature: Optional[str], programs: int, uid: Optional[str], text: Optional[str]) -> Failure:
    told = tuple(name for bit, name in enumerate(PROGRAMS) if programs >> bit & 1)
    return Failure(PodName(pod or ""), _sandbox_of(attempt), moment(at_us) if at_us else None, signature or "", told, uid or "", text or "")


def _between(since: Optional[datetime], until: Optional[datetime]) -> tuple[int, int]:
    opens, closes = us(since), us(until)
    return (opens if opens is not None else -(1 << 62), closes if closes is not None else 1 << 62)


def store_transitions(connection: sqlite3.Connection, transitions: Iterable[Transition]) -> None:
    """All of them."""
    rows = [(us(t.at), t.what, t.subject, t.was, t.became, t.detail) for t in transitions]
    connection.executemany("INSERT INTO transitions (at_us, what, subject, was, became, detail) VALUES (?, ?, ?, ?, ?, ?)", rows)


def load_transitions(connection: sqlite3.Connection, *, since: Optional[datetime], until: Optional[datetime]) -> list[Transition]:
    """Transitions of a time, in the order in which they were stored."""
    rows = connection.execute("SELECT at_us, what, subject, was, became, detail FROM transitions WHERE at_us>=? AND at_us<=? ORDER BY id", _between(since, until))
    return [Transition(moment(at_us) or _EPOCH, *rest) for at_us, *rest in rows]


def store_gaps(connection: sqlite3.Connection, gaps: Iterable[Gap], *, noted_at: datetime) -> None:
    """All of them."""
    rows = [(us(noted_at), gap.why, us(gap.since), us(gap.until), gap.at_most, gap.detail) for gap in gaps]
    connection.executemany("INSERT INTO gaps (noted_us, why, since_us, until_us, at_most, detail) VALUES (?, ?, ?, ?, ?, ?)", rows)


def load_gaps(connection: sqlite3.Connection, *, since: Optional[datetime], until: Optional[datetime]) -> list[Gap]:
    """Gaps that were noted within a time, in that order."""
    query = "SELECT why, since_us, until_us, at_most, detail FROM gaps WHERE noted_us>=? AND noted_us<=? ORDER BY id"
    rows = connection.execute(query, _between(since, until))
    return [Gap(why, moment(since_us), moment(until_us), at_most, detail) for why, since_us, until_us, at_most, detail in rows]


def store_cursors(connection: sqlite3.Connection, cursors: Mapping[str, str]) -> None:
    """The newest of each name."""
    connection.executemany("INSERT OR REPLACE INTO cursors (name, text) VALUES (?, ?)", list(cursors.items()))


def load_cursor(connection: sqlite3.Connection, name: str) -> str:
    """Empty where there is none."""
    found = connection.execute("SELECT text FROM cursors WHERE name=?", (name,)).fetchone()
    return str(found[0]) if found is not None else ""
