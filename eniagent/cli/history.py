"""`eniagent history`: the incidents that the daemon noticed, and with `--all` what else became different.

Refuses to write: it reads the history beside the daemon, and after it.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.globals_ import Globals
from eniagent.cli.output import say
from eniagent.report.plain import plain

if TYPE_CHECKING:
    from eniagent.model.chronicle import Gap, Incident, Transition

SCHEMA = "eniagent.history/1"


class HistoryFormat(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"


def history(
    ctx: typer.Context,
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far back, as 15m, 6h, 2d")] = "7d",
    all_: Annotated[bool, typer.Option("--all", help="Also verdicts, sources, pods that came up, and gaps in the journals")] = False,
    format_: Annotated[HistoryFormat, typer.Option("--format", help="Form of the answer")] = HistoryFormat.TEXT,
) -> int:
    """List incidents: what it was, since when, how long, and where its bundles are."""
    from datetime import timedelta

    from eniagent.daemon.service_names import HISTORY
    from eniagent.edge import clock
    from eniagent.edge.history import History
    from eniagent.edge.settings import parse_duration_s

    given: Globals = ctx.obj
    settings = given.settings()
    try:
        begin = clock.now() - timedelta(seconds=parse_duration_s(since))
    except ValueError as error:
        raise UsageError(f"--since {since!r} {error}; give a duration such as 15m, 6h or 2d") from error
    with History.read(f"{settings.state_dir}/{HISTORY}") as kept:
        incidents = kept.incidents(since=begin)
        transitions = kept.transitions(since=begin) if all_ else []
        gaps = kept.gaps(since=begin) if all_ else []
        failures = len(kept.failures(since=begin))
    if format_ is HistoryFormat.JSON:
        say(msgspec.json.encode({"schema": SCHEMA, "since": begin, "failures": failures, "incidents": [_document(i) for i in incidents], **_more(all_, transitions, gaps)}) + b"\n")
    else:
        say(text(incidents, transitions, gaps, failures=failures, since=since).encode("ascii"))
    return Code.OK


def _document(incident: "Incident") -> dict[str, Any]:
    """An incident with its finding as an object, not as text."""
    found: dict[str, Any] = {name: getattr(incident, name) for name in incident.__struct_fields__}
    return {**found, "finding": msgspec.Raw(incident.finding.encode()) if incident.finding else None}


def _more(all_: bool, transitions: "list[Transition]", gaps: "list[Gap]") -> dict[str, Any]:
    return {"transitions": transitions, "gaps": gaps} if all_ else {}


def text(incidents: "list[Incident]", transitions: "list[Transition]", gaps: "list[Gap]", *, failures: int, since: str) -> str:
    """For people: incidents by their opening, then the rest by time."""
    lines = [f"{len(incidents)} incidents and {failures} failed attempts within {since}"]
    for incident in incidents:
        end = f"{_at(incident.resolved_at)} ({_lasted(incident)})" if incident.resolved_at is not None else incident.state
        lines.append(f"{_at(incident.opened_at)} - {end}  {incident.severity} {incident.cause}{': ' + incident.subject if incident.subject else ''}")
        lines += [f"    {moment}: {path}" for moment, path in sorted(incident.bundles.items())]
    rows = [(t.at, f"{_at(t.at)}  {' '.join(filter(None, (t.what, t.subject, _change(t), t.detail)))}") for t in transitions]
    rows += [(g.until or g.since, f"{_at(g.until or g.since)}  gap {g.why}: {'at most ' + str(g.at_most) + ' entries, ' if g.at_most else ''}{g.detail}") for g in gaps if g.until or g.since]  # type: ignore[misc]
    lines += [line for _, line in sorted(rows, key=lambda row: row[0])]
    return "".join(f"{plain(line)}\n" for line in lines)


def _change(transition: "Transition") -> str:
    return f"{transition.was or 'nothing'} -> {transition.became}" if transition.became else ""


def _lasted(incident: "Incident") -> str:
    assert incident.resolved_at is not None
    seconds = max(0, int((incident.resolved_at - incident.opened_at).total_seconds()))
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"


def _at(at: "datetime | None") -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at is not None else ""
