"""`eniagent diagnose`: one look at this node, or at captures of one, and the verdict.

Refuses to lock unless a bundle is asked for, to write anything but the answer and that bundle, and to outlast its deadline.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import TYPE_CHECKING, Annotated, Optional

import msgspec
import typer

from eniagent.cli import bundling
from eniagent.cli.exit_codes import Code, UsageError, leading
from eniagent.cli.globals_ import Globals
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.cli.log import Log
from eniagent.cli.names import pod_name
from eniagent.cli.output import check_target, say, wants_colour, write_file

if TYPE_CHECKING:
    from eniagent.cli.cases import Looked
    from eniagent.edge.look import Keeper
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


class Redact(str, enum.Enum):
    """The words of `--redact`."""

    SECRETS = "secrets"
    IDENTIFIERS = "identifiers"
    NONE = "none"


class Answer(msgspec.Struct, frozen=True):
    """A diagnosis, and whether the deadline came before all was seen. `looked`: what it was made from, where anything was."""

    diagnosis: "Diagnosis"
    cut_off: bool
    looked: Optional["Looked"] = None


class Wanted(msgspec.Struct, frozen=True):
    """What was asked for beyond one look and its verdict. Captures confirm by being a series."""

    pod: str = ""
    ledger: bool = False
    confirm: bool = False
    aws: bool = False
    bundle: bool = False


def diagnose(
    ctx: typer.Context,
    since: Annotated[Optional[str], typer.Option(metavar="DURATION", help="How far back to read, as 30s, 15m, 1h, 2d [1h]")] = None,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="PATH", help="A bundle, captures, or a collector's archive, instead of this node")] = None,
    pod: Annotated[Optional[str], typer.Option(metavar="NS/NAME", help="Tell of this pod: its failures, address, link, wait and timeline")] = None,
    format_: Annotated[Format, typer.Option("--format", help="Form of the answer")] = Format.TEXT,
    output: Annotated[Optional[str], typer.Option(metavar="FILE", help="Write the answer there; stdout gets its first line")] = None,
    fail_on: Annotated[Optional[FailOn], typer.Option("--fail-on", help="Exit 3 on critical; with warning also 4 on warning")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 5 when inconclusive, 8 when not applicable")] = False,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Answer by then with what was seen [20]")] = None,
    ledger: Annotated[bool, typer.Option("--ledger", help="Tell of each ENI and address what every view says")] = False,
    confirm: Annotated[bool, typer.Option("--confirm", help="Look again after 60 s, for views that agree only in time; the deadline becomes 90 s")] = False,
    aws: Annotated[bool, typer.Option("--aws", help="Ask EC2 and CloudTrail as well (extra `aws`, read-only rights)")] = False,
    bundle: Annotated[bool, typer.Option("--bundle", help="Also write a bundle for support, to bundle_dir [/var/log/support]")] = False,
    upload: Annotated[Optional[str], typer.Option("--upload", metavar="URL", help="Write a bundle and upload it: see eniagent upload --to")] = None,
    redact: Annotated[Optional[Redact], typer.Option("--redact", help="What to remove from answer and bundle [secrets]")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm --redact none")] = False,
) -> int:
    """Say what is wrong, since when, who is affected, which fact proves it, what was ruled out, and what to do next."""
    given: Globals = ctx.obj
    settings = given.settings(since_s=since, deadline_s=deadline, redact=redact.value if redact is not None else None)
    bundling.check_redaction(settings, yes=yes)
    if output is not None and output != "-":
        check_target(output)
    if aws:
        _check_aws(from_)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    wanted = Wanted(pod=pod_name(pod), ledger=ledger, confirm=confirm, aws=aws, bundle=bundle or upload is not None)
    if wanted.bundle:
        work = bundling.Bundling(settings, profile="case", log=log, quiet=given.quiet, upload_to=upload)
        return _with_bundle(work, path=from_, log=log, wanted=wanted, format_=format_, output=output, fail_on=fail_on, strict=strict)
    answer = answer_of(settings, path=from_, log=log, wanted=wanted)
    tell(bundling.redacted(answer, settings), format_=format_, output=output)
    return exit_code(answer, fail_on=fail_on, strict=strict)


def _with_bundle(
    work: bundling.Bundling, *, path: Optional[str], log: Log, wanted: Wanted, format_: Format, output: Optional[str],
    fail_on: Optional[FailOn], strict: bool,
) -> int:  # fmt: skip
    """The verdict first, then the bundle and its line; JSON is one document and waits for what it tells of the bundle."""
    settings = work.settings
    answer = answer_of(work.look_settings if path is None else settings, path=path, log=log, wanted=wanted, keeper=work.keeper)
    printed = bundling.redacted(answer, settings)
    printed = printed if wanted.ledger else msgspec.structs.replace(printed, ledger=None)
    if format_ is not Format.JSON:
        tell(printed, format_=format_, output=output)
    code, made = work.finish(answer, live=path is None)
    sent = work.send(made, aloud=format_ is not Format.JSON)
    if format_ is Format.JSON:
        tell(msgspec.structs.replace(printed, bundle=made), format_=format_, output=output)
    elif made is not None:
        say(bundling.bundle_line(made))
    return leading([code, sent, exit_code(answer, fail_on=fail_on, strict=strict)])


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


def _check_aws(path: Optional[str]) -> None:
    """Raises before the node is looked at where EC2 cannot be asked."""
    from eniagent.edge import aws

    if path is not None:
        raise UsageError("--aws asks EC2 about now, and --from tells of another time; leave one of them out (captures bring EC2's answers along in aws/)")
    aws.require()


def answer_of(settings: "Settings", *, path: Optional[str], log: Log, wanted: Wanted, keeper: Optional["Keeper"] = None) -> Answer:
    """Look at this node or open `path`, and judge; within the deadline, whatever happens."""
    from eniagent.cli import cases
    from eniagent.diagnose import diagnose as judge
    from eniagent.edge import clock

    started_s, with_ledger = clock.ticks_s(), wanted.ledger or wanted.bundle
    # The looks end by themselves at the deadline; this is for a reader or a rule that is still at work long after it.
    try:
        with HardLimit(cases.limit_s(settings, confirm=wanted.confirm and path is None) * 1.25 + 1.0):
            looked = cases.case_of(path, settings) if path is not None else cases.case_here(settings, log=log, aws=wanted.aws, confirm=wanted.confirm, keeper=keeper)
            answer = Answer(diagnosis=judge(looked.case, with_ledger=with_ledger, pod=wanted.pod), cut_off=looked.cut_off, looked=looked)
    except OutOfTime:
        case = _unseen(settings)
        answer = Answer(diagnosis=judge(case, with_ledger=with_ledger, pod=wanted.pod), cut_off=True, looked=cases.Looked(case=case, seen={}, cut_off=True))
    log.event(
        "diagnosis_made",
        verdict=answer.diagnosis.verdict.value,
        causes=[found.code for found in answer.diagnosis.causes],
        faults=list(answer.diagnosis.faults),
        took_s=round(clock.ticks_s() - started_s, 3),
    )
    return answer


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
