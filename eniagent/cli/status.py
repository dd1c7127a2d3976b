"""`eniagent status`: whether the daemon runs, what its last cycle came to, and what stands.

Refuses to look at the node: that is `diagnose`'s. It exits 0 whatever it finds, for a daemon that does not run is an answer.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import TYPE_CHECKING, Annotated, Any, Optional

import msgspec
import typer

from eniagent.cli.exit_codes import Code
from eniagent.cli.globals_ import Globals
from eniagent.cli.output import say
from eniagent.report.plain import plain

if TYPE_CHECKING:
    from eniagent.edge.settings import Settings


class StatusFormat(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"


OVERDUE_S = 30.0
"""A daemon whose next cycle is later than announced by this much does not get on."""


def status(
    ctx: typer.Context,
    format_: Annotated[StatusFormat, typer.Option("--format", help="Form of the answer")] = StatusFormat.TEXT,
) -> int:
    """Say whether the daemon runs, what its last cycle came to, which incidents stand, and how its history fares."""
    given: Globals = ctx.obj
    settings = given.settings()
    found = told(settings)
    say(msgspec.json.encode(found) + b"\n" if format_ is StatusFormat.JSON else text(found).encode("ascii"))
    return Code.OK


def told(settings: "Settings") -> dict[str, Any]:
    """The document: `daemon` is running, overdue, stopped or unknown; the rest is the last cycle's, null where there is none."""
    from eniagent.daemon.status import SCHEMA, read_status
    from eniagent.edge import clock
    from eniagent.edge.lock import is_held

    held, last = is_held(settings.run_dir), read_status(settings.run_dir)
    state = {True: "running", False: "stopped", None: "unknown"}[held]
    if held and last is not None and (clock.now() - last.next_at).total_seconds() > OVERDUE_S:
        state = "overdue"
    return {"schema": SCHEMA, "daemon": state, "last": msgspec.to_builtins(last, builtin_types=()) if last is not None else None, "history": _size(settings)}


def _size(settings: "Settings") -> dict[str, Any]:
    """What the history holds; `problem` where it cannot be read."""
    from eniagent.daemon.service_names import HISTORY
    from eniagent.edge.history import History, HistoryError

    path = f"{settings.state_dir}/{HISTORY}"
    try:
        with History.read(path) as history:
            found: dict[str, Any] = msgspec.to_builtins(history.size(), builtin_types=())
            return {"path": path, **found}
    except HistoryError as error:
        return {"path": path, "problem": str(error)}


def text(found: dict[str, Any]) -> str:
    """The document for people."""
    last: Optional[dict[str, Any]] = found["last"]
    lines = [f"daemon    {found['daemon']}{_since(last)}"]
    if last is not None:
        lines += [
            f"verdict   {last['verdict']}: {last['headline']}",
            f"cycle     {last['cycle']} at {_short(last['cycle_at'])}, took {last['cycle_s']:.2f} s, next at {_short(last['next_at'])}"
            + (f", {last['failed_cycles']} failed" if last["failed_cycles"] else "") + (f", slowed {last['slowed']:g} times" if last["slowed"] > 1 else ""),
        ]
        lines += [f"incident  {i['cause']} {i['state']} since {_short(i['opened_at'])}: {i['subject'] or i['summary']}" for i in last["incidents"]]
        lines += [f"unseen    {source}: {why}" for source, why in last["unobserved"].items()]
        lines += [f"behind    the journals by {last['journal_lag_s']:g} s"] if last["journal_lag_s"] else []
        lines += [f"capture   {last['capture']}"] if last["capture"] else []
        lines += [f"history   {last['history']}"] if last["history"] != "ok" else []
        lines += [f"refused   {problem}" for problem in last["refused"]]
    lines.append(f"history   {_history(found['history'])}")
    return "".join(f"{plain(line)}\n" for line in lines)


def _since(last: Optional[dict[str, Any]]) -> str:
    return f", process {last['pid']} since {_short(last['started_at'])}, version {last['version']}" if last is not None else ""


def _history(size: dict[str, Any]) -> str:
    if "problem" in size:
        return str(size["problem"])
    span = f", {_short(size['oldest_at'])} to {_short(size['newest_at'])}" if size["oldest_at"] else ""
    return f"{size['path']}: {size['snapshots']} snapshots, {size['failures']} failures, {size['file_bytes'] / (1 << 20):.1f} MiB{span}"


def _short(at: Any) -> str:
    """A time to the second."""
    return f"{str(at)[:19]}Z"
