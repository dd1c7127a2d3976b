"""`eniagent config show|check`: the effective configuration, with the origin of each value; all problems at once.

Refuses to change anything.
"""

from __future__ import annotations

import msgspec
import typer

from eniagent.cli.exit_codes import Code
from eniagent.cli.globals_ import Globals
from eniagent.cli.output import say
from eniagent.report.plain import plain

app = typer.Typer(help="The effective configuration.", rich_markup_mode=None)


@app.command("show")
def show(ctx: typer.Context) -> int:
    """Print each setting, its value and where the value comes from."""
    from eniagent.edge.upload_target import bare

    given: Globals = ctx.obj
    settings = given.settings()
    if settings.upload_to is not None and bare(settings.upload_to) != settings.upload_to:
        # What is shown ends up in tickets, and who has a presigned address whole may write there.
        settings = msgspec.structs.replace(settings, upload_to=f"{bare(settings.upload_to)} (and what is secret of it)")
    names = [name for name in settings.__struct_fields__ if name != "origins"]
    width = max(len(name) for name in names)
    rows = (f"{name:<{width}} = {_written(getattr(settings, name))}  # {plain(settings.origin(name))}\n" for name in names)
    say("".join(rows).encode("ascii"))
    return Code.OK


@app.command("check")
def check(ctx: typer.Context) -> int:
    """Say whether the configuration is sound; exit code 2 and every problem on stderr where it is not."""
    given: Globals = ctx.obj
    given.settings()
    say(b"the configuration is sound\n")
    return Code.OK


def _written(value: object) -> str:
    """A value as TOML writes it."""
    if value is None:
        return "(not set)"
    if isinstance(value, str):
        shown = plain(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{shown}"'
    return f"{value:g}" if isinstance(value, float) else str(value)
