"""The typer application: the global options, and the commands.

Refuses rich's rendering: it would cost more time than the diagnosis, and SSM shows plain text only.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import re
from collections.abc import Sequence
from typing import Annotated, Any, Optional

import typer

from eniagent import __version__
from eniagent.cli import bundle, capacity, config, daemon, demo, diagnose, explain, history, status, timeline, triage, upload
from eniagent.cli.exit_codes import FLAGS, Code, UsageError
from eniagent.cli.globals_ import Globals
from eniagent.cli.output import say

_TWICE = re.compile(r"( Did you mean '[^']*'\?)\1")
"""click and typer each add the same hint."""

_EPILOG = "Options that every command takes, before or after its name: eniagent --help"

app = typer.Typer(
    name="eniagent",
    help="Names why pods on this EKS node get no address: the cause, the proof, what was ruled out, and the next command.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        say(f"eniagent {__version__}\n".encode())
        raise typer.Exit(Code.OK)


@app.callback()
def global_options(
    ctx: typer.Context,
    config: Annotated[Optional[str], typer.Option(metavar="FILE", help="Configuration file [/etc/eniagent/config.toml]")] = None,
    root: Annotated[Optional[str], typer.Option(metavar="DIR", help="The host's root, when run in a container [/]")] = None,
    ipamd_url: Annotated[Optional[str], typer.Option(metavar="URL", help="ipamd's introspection [http://127.0.0.1:61679]")] = None,
    metrics_url: Annotated[Optional[str], typer.Option(metavar="URL", help="ipamd's metrics [http://127.0.0.1:61678]")] = None,
    imds_url: Annotated[Optional[str], typer.Option(metavar="URL", help="Instance metadata [http://169.254.169.254]")] = None,
    journal_dir: Annotated[Optional[str], typer.Option(metavar="DIR", help="Journal files, when not the system's own")] = None,
    log_format: Annotated[Optional[str], typer.Option(metavar="json|console", help="Form of log lines on stderr [console]")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say on stderr what is done; tracebacks of faults")] = False,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version")] = False,
) -> None:
    """Names why pods on this EKS node get no address: the cause, the proof, what was ruled out, and the next command."""
    flags: dict[str, Any] = {
        "root": root,
        "ipamd_url": ipamd_url,
        "metrics_url": metrics_url,
        "imds_url": imds_url,
        "journal_dir": journal_dir,
        "log_format": log_format,
    }
    ctx.obj = Globals(flags=flags, config_path=config, quiet=quiet, verbose=verbose)


app.command("diagnose", epilog=_EPILOG)(diagnose.diagnose)
app.command("triage", epilog=_EPILOG)(triage.triage)
app.command("explain", epilog=_EPILOG)(explain.explain)
app.command("timeline", epilog=_EPILOG)(timeline.timeline)
app.command("capacity", epilog=_EPILOG)(capacity.capacity)
app.command("daemon", epilog=_EPILOG)(daemon.command())
app.command("status", epilog=_EPILOG)(status.status)
app.command("history", epilog=_EPILOG)(history.history)
app.command("demo", epilog=_EPILOG)(demo.demo)
app.add_typer(bundle.app, name="bundle", epilog=_EPILOG)
app.command("upload", epilog=_EPILOG)(upload.upload)
app.add_typer(config.app, name="config", epilog=_EPILOG)

_VALUED = {"--config", *(FLAGS[name] for name in FLAGS if name not in ("since_s", "deadline_s"))}
_BARE = {"--quiet", "-q", "--verbose", "-v", "--version"}
_CLICK_ERROR: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""The base of all usage errors; typer carries click under different names in different releases."""


def hoist(words: Sequence[str]) -> list[str]:
    """`words` with the global options in front, for people write them before and after the command's name.

    Raises `UsageError` on one that lacks its value.
    """
    front: list[str] = []
    rest: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += ["--", *left]
            break
        if word.partition("=")[0] in _VALUED:
            front.append(word)
            if "=" not in word:
                if not left:
                    raise UsageError(f"{word} needs a value; see: eniagent --help")
                front.append(left.pop(0))
        else:
            (front if word in _BARE else rest).append(word)
    return [*front, *rest]


def invoke(words: Sequence[str]) -> int:
    """Run the command that `words` name and return its exit code. Raises `UsageError` on words that make no sense."""
    try:
        code = app(args=hoist(words), prog_name="eniagent", standalone_mode=False)
    except _CLICK_ERROR as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "eniagent"
        told = error.format_message().replace("Value error, ", "").rstrip(".")
        told = _TWICE.sub(r"\1", told)
        raise UsageError(f"{told}; see: {path} --help") from error
    return int(code or 0)
