"""`eniagent demo`: a recorded node on loopback, and the real `diagnose` run against it.

Refuses options that point at a node: where to look is the replay's to say.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

from contextlib import ExitStack
from typing import Annotated, Optional

import typer

from eniagent.cli.diagnose import Format
from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.globals_ import Globals
from eniagent.cli.output import complain, say


def demo(
    ctx: typer.Context,
    scenario: Annotated[Optional[str], typer.Argument(help="What to replay; see --list [subnet-exhausted]")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the scenarios")] = False,
    format_: Annotated[Format, typer.Option("--format", help="Form of the answer")] = Format.TEXT,
) -> int:
    """Replay a recorded node on loopback and diagnose it: shows on any machine what `diagnose` says on a node."""
    from eniagent.demo import recording, replay

    if list_ or scenario == "list":
        say("".join(f"{known.name:<20} {known.what}\n" for known in recording.scenarios()).encode("ascii"))
        return Code.OK
    try:
        wanted = recording.find(scenario or recording.DEFAULT)
    except recording.UnknownScenario as error:
        raise UsageError(f"{error}") from error
    given: Globals = ctx.obj
    with ExitStack() as until:
        staged = replay.stage(wanted, until=until)
        if not given.quiet:
            complain(f"replaying {wanted.recording}: {wanted.what}")
            complain(f"ipamd {staged.urls.ipamd}, metrics {staged.urls.metrics}, IMDS {staged.urls.imds}, and {staged.journal}")
        return replay.diagnose(staged, ["--format", format_.value])
