"""`eniagent timeline`: what kubelet, containerd, the plugin and ipamd said and what changed, merged in UTC, and who waited how long.

Refuses to name a cause: that is `diagnose`'s.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import Annotated, Optional

import typer

from eniagent.cli.exit_codes import Code
from eniagent.cli.globals_ import Globals
from eniagent.cli.log import Log
from eniagent.cli.names import pod_name
from eniagent.cli.output import say


class TimelineFormat(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"


def timeline(
    ctx: typer.Context,
    pod: Annotated[Optional[str], typer.Option(metavar="NS/NAME", help="One pod, and what the node did around it")] = None,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="PATH", help="Captures of a node, instead of this node")] = None,
    since: Annotated[Optional[str], typer.Option(metavar="DURATION", help="How far back to read, as 30s, 15m, 1h, 2d [1h]")] = None,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Answer by then with what was seen [20]")] = None,
    format_: Annotated[TimelineFormat, typer.Option("--format", help="Form of the answer")] = TimelineFormat.TEXT,
) -> int:
    """Print one merged timeline of the window, or of one pod, with the pods' waits."""
    import msgspec

    from eniagent.case.facts import Facts
    from eniagent.case.pod_path import pod_path
    from eniagent.case.timeline import timeline as merged
    from eniagent.cli import cases
    from eniagent.report.timeline import render

    given: Globals = ctx.obj
    name = pod_name(pod)
    settings = given.settings(since_s=since, deadline_s=deadline)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    looked = cases.case_in_time(settings, path=from_, log=log)
    facts = Facts(looked.case)
    told = merged(facts, pod=name)
    if name:
        told = msgspec.structs.replace(told, path=msgspec.structs.replace(pod_path(facts, name), timeline=(), capped=()))
    say(render(told, format_name=format_.value))
    return Code.DEADLINE if looked.cut_off else Code.OK
