"""`eniagent explain [CODE]`: the runbook of a code; without one, the list of all.

Refuses to look at the node: what it prints holds for any.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.output import say

if TYPE_CHECKING:
    from eniagent.report.runbook import Runbook


class ExplainFormat(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def explain(
    code: Annotated[Optional[str], typer.Argument(metavar="[CODE]", help="A code as a verdict names it; none: list all")] = None,
    format_: Annotated[ExplainFormat, typer.Option("--format", help="Form of the answer")] = ExplainFormat.TEXT,
) -> int:
    """Print what a code means, what proves and refutes it, and what to do; without CODE, list all."""
    from eniagent.report import runbook

    known = runbook.runbooks()
    if code is None:
        say(_listed(known, format_))
        return Code.OK
    found = next((book for book in known if book.code == code), None)
    if found is None:
        raise UsageError(f"{code!r} is no code{_nearest(code, [book.code for book in known])}; for the list: eniagent explain")
    if format_ is ExplainFormat.JSON:
        say(runbook.as_json(found))
    else:
        say((runbook.as_text(found) if format_ is ExplainFormat.TEXT else runbook.as_markdown(found)).encode("ascii"))
    return Code.OK


def _listed(known: "Sequence[Runbook]", format_: ExplainFormat) -> bytes:
    from eniagent.report import runbook

    if format_ is ExplainFormat.JSON:
        return runbook.list_as_json(known)
    return (runbook.listing(known) if format_ is ExplainFormat.TEXT else runbook.list_as_markdown(known)).encode("ascii")


def _nearest(code: str, known: list[str]) -> str:
    """What may have been meant: a code spelled otherwise, or the cause that an EC2 error code stands for."""
    import difflib

    from eniagent.knowledge.ec2_errors import CAUSE_OF_CODE

    causes = {error.lower(): cause for error, cause in CAUSE_OF_CODE.items()}
    plainest = code.strip().lower().replace("_", "-").replace(" ", "-")
    if code.strip().lower() in causes:
        return f", but an error code of EC2 that stands for {causes[code.strip().lower()]}"
    near = [name for name in known if plainest and (plainest in name or name in plainest)] or difflib.get_close_matches(plainest, known, n=3, cutoff=0.5)
    return f", did you mean {' or '.join(near[:3])}?" if near else ""
