"""Incidents as rows: opened, seen again, stale, resolved. One cause at one subject has one that stands.

Refuses to judge when one opens or ends: the daemon does, with its hysteresis.
"""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Optional

import msgspec

from eniagent.edge.history_rows import moment, us
from eniagent.model.chronicle import Incident

_COLUMNS = "id, cause, subject, ended_us, opened_us, seen_us, severity, since_us, stale_us, summary, finding, bundles"


def open_incident(connection: sqlite3.Connection, incident: Incident) -> Incident:
    """A new one; its id is given here. Where one stands already for cause and subject, that one is returned."""
    row = (
        incident.cause, incident.subject, us(incident.resolved_at) or 0, us(incident.opened_at), us(incident.seen_at), incident.severity,
        us(incident.since), us(incident.stale_at), incident.summary, incident.finding, msgspec.json.encode(incident.bundles).decode(),
    )  # fmt: skip
    connection.execute(f"INSERT OR IGNORE INTO incidents ({_COLUMNS[4:]}) VALUES ({', '.join('?' * 11)})", row)
    query = f"SELECT {_COLUMNS} FROM incidents WHERE cause=? AND subject=? AND ended_us=?"
    return _incident(*connection.execute(query, row[:3]).fetchone())


def keep_incident(connection: sqlite3.Connection, was: Incident, incident: Incident) -> None:
    """What became of one. It is found by cause, subject and end, not by its id: those differ between file and memory."""
    key = (was.cause, was.subject, us(was.resolved_at) or 0)
    connection.execute(
        "UPDATE OR REPLACE incidents SET ended_us=?, seen_us=?, severity=?, since_us=?, stale_us=?, summary=?, finding=?, bundles=?"
        " WHERE cause=? AND subject=? AND ended_us=?",
        (
            us(incident.resolved_at) or 0, us(incident.seen_at), incident.severity, us(incident.since), us(incident.stale_at), incident.summary,
            incident.finding, msgspec.json.encode(incident.bundles).decode(), *key,
        ),
    )  # fmt: skip


def merge_incident(connection: sqlite3.Connection, incident: Incident) -> None:
    """One that was kept in memory, into a file that may know it: by its opening, else as the one that stands."""
    query = "SELECT ended_us FROM incidents WHERE cause=? AND subject=? AND (opened_us=? OR ended_us=0) ORDER BY opened_us=? DESC LIMIT 1"
    opened = us(incident.opened_at)
    found = connection.execute(query, (incident.cause, incident.subject, opened, opened)).fetchone()
    if found is None:
        open_incident(connection, incident)
        return
    keep_incident(connection, msgspec.structs.replace(incident, resolved_at=moment(found[0] or None)), incident)


def load_incidents(connection: sqlite3.Connection, *, since: Optional[datetime] = None, standing: bool = False) -> list[Incident]:
    """By opening. `since`: those that stand or ended later than that. `standing`: only those that are not resolved."""
    query = f"SELECT {_COLUMNS} FROM incidents WHERE ended_us=0 OR (? AND ended_us>=?) ORDER BY opened_us, id"
    return [_incident(*row) for row in connection.execute(query, (not standing, us(since) or 0))]


def _incident(
    id_: int, cause: str, subject: str, ended_us: int, opened_us: int, seen_us: int, severity: str, since_us: Optional[int],
    stale_us: Optional[int], summary: str, finding: str, bundles: str,
) -> Incident:  # fmt: skip
    opened_at, seen_at = moment(opened_us), moment(seen_us)
    assert opened_at is not None and seen_at is not None, "an incident without times"
    return Incident(
        id=id_, cause=cause, subject=subject, state="resolved" if ended_us else "open" if stale_us is None else "stale", opened_at=opened_at,
        seen_at=seen_at, severity=severity, since=moment(since_us), stale_at=moment(stale_us), resolved_at=moment(ended_us or None),
        summary=summary, finding=finding, bundles=_bundles(bundles),
    )  # fmt: skip


def _bundles(text: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
