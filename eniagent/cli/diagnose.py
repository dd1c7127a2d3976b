"""`eniagent diagnose`: one look at this node, or at captures of one, and the verdict.

Refuses to lock, to write anything but the answer, and to outlast its deadline.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import TYPE_CHECKING, Annotated, Optional

import msgspec
import typer

from eniagent.cli.exit_codes import Code, leading
from eniagent.cli.globals_ import Globals
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.cli.log import Log
from eniagent.cli.output import check_target, say, wants_colour, write_file

if TYPE_CHECKING:
    from eniagent.edge.settings import Settings
    from eniagent.model.finding import Diagnosis
    from eniagent.model.snapshot import Case


class Format(str, enum.Enum):
    """The words of `--format`."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


class FailOn(str, enum.Enum):
    """The words of `--fail-on`."""

    CRITICAL = "critical"
    WARNING = "warning"


class Answer(msgspec.Struct, frozen=True):
    """A diagnosis, and whether the deadline came before all was seen."""

    diagnosis: "Diagnosis"
    cut_off: bool


def diagnose(
    ctx: typer.Context,
    since: Annotated[Optional[str], typer.Option(metavar="DURATION", help="How far back to read, as 30s, 15m, 1h, 2d [1h]")] = None,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="PATH", help="Captures of a node, instead of this node")] = None,
    format_: Annotated[Format, typer.Option("--format", help="Form of the answer")] = Format.TEXT,
    output: Annotated[Optional[str], typer.Option(metavar="FILE", help="Write the answer there; stdout gets its first line")] = None,
    fail_on: Annotated[Optional[FailOn], typer.Option("--fail-on", help="Exit 3 on critical; with warning also 4 on warning")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 5 when inconclusive, 8 when not applicable")] = False,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Answer by then with what was seen [20]")] = None,
) -> int:
    """Say what is wrong, since when, who is affected, which fact proves it, what was ruled out, and what to do next."""
    given: Globals = ctx.obj
    settings = given.settings(since_s=since, deadline_s=deadline)
    if output is not None and output != "-":
        check_target(output)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    answer = _answer(settings, path=from_, log=log)
    tell(answer.diagnosis, format_=format_, output=output)
    return exit_code(answer, fail_on=fail_on, strict=strict)


def exit_code(answer: Answer, *, fail_on: Optional[FailOn], strict: bool) -> Code:
    """The code that the verdict comes to under the flags given."""
    verdict = answer.diagnosis.verdict.value
    codes = [Code.DEADLINE] if answer.cut_off else []
    if fail_on is not None and verdict == "critical":
        codes.append(Code.CRITICAL)
    if fail_on is FailOn.WARNING and verdict == "warning":
        codes.append(Code.WARNING)
    if strict and verdict == "inconclusive":
        codes.append(Code.INCONCLUSIVE)
    if strict and verdict == "not-applicable":
        codes.append(Code.NOT_APPLICABLE)
    return leading(codes)


def _answer(settings: "Settings", *, path: Optional[str], log: Log) -> Answer:
    from eniagent.diagnose import diagnose as judge
    from eniagent.edge import clock

    started_s = clock.ticks_s()
    # The looks end by themselves at the deadline; this is for a reader or a rule that is still at work long after it.
    try:
        with HardLimit(settings.deadline_s * 1.25 + 1.0):
            case, cut_off = _case_of(path, settings) if path is not None else _case_here(settings, log=log)
            answer = Answer(diagnosis=judge(case), cut_off=cut_off)
    except OutOfTime:
        answer = Answer(diagnosis=judge(_unseen(settings)), cut_off=True)
    log.event(
        "diagnosis_made",
        verdict=answer.diagnosis.verdict.value,
        causes=[found.code for found in answer.diagnosis.causes],
        faults=list(answer.diagnosis.faults),
        took_s=round(clock.ticks_s() - started_s, 3),
    )
    return answer


def _case_of(path: str, settings: "Settings") -> "tuple[Case, bool]":
    """The case that captures hold: the last of a series is *now*."""
    from eniagent import sources
    from eniagent.edge import captures
    from eniagent.model.snapshot import Case

    series = captures.read_series(path, since_s=settings.since_s)
    *before, now = (sources.snapshot(opened.seen, opened.span, told=opened.told) for opened in series)
    return Case(now=now, before=tuple(before)), False


def _case_here(settings: "Settings", *, log: Log) -> "tuple[Case, bool]":
    """The case of this node now, and whether the deadline cut the look short."""
    from datetime import timedelta

    from eniagent.edge import clock, look, restraint
    from eniagent.model.snapshot import Case
    from eniagent.sources import Span

    for failed in restraint.lower_self():
        log.event("restraint_failed", step=failed)
    until = clock.now()
    # What is kept back is for the rules and the rendering.
    deadline = clock.Deadline(settings.deadline_s).before_end(min(1.0, settings.deadline_s * 0.1))
    live = look.observe(settings, Span(until=until, since=until - timedelta(seconds=settings.since_s)), deadline)
    if live.missed:
        log.event("deadline_reached", missed=list(live.missed), deadline_s=settings.deadline_s)
    return Case(now=live.snapshot), bool(live.missed)


def _unseen(settings: "Settings") -> "Case":
    """The case of a node of which nothing could be read in time."""
    from datetime import timedelta

    from eniagent.edge import clock
    from eniagent.model.reading import Unobserved, Why
    from eniagent.model.snapshot import READINGS, Case, NodeSnapshot

    now = clock.now()
    # Not "timed out": that would be a fact about the node, and this one is about us.
    late = {name: Unobserved(why=Why.NOT_COLLECTED, source=name, at=now, detail="the deadline came first") for name in READINGS}
    return Case(now=NodeSnapshot(taken_at=now, since=now - timedelta(seconds=settings.since_s), **late))  # type: ignore[arg-type]


def tell(diagnosis: "Diagnosis", *, format_: Format, output: Optional[str]) -> None:
    """The answer to stdout; with `--output` into the file, and only the first line to stdout."""
    from eniagent import report
    from eniagent.report.verdict import first_line

    first = f"{first_line(diagnosis)}\n".encode("ascii")
    if output is not None and output != "-":
        say(first)
        write_file(output, report.render(diagnosis, format_name=format_.value))
        return
    document = report.render(diagnosis, format_name=format_.value, colour=wants_colour())
    if format_ is Format.TEXT:
        say(first)
        document = document[len(first) :]
    say(document)
