"""`eniagent daemon`: the service in the foreground, as systemd runs it.

Refuses to fork into the background, and to be two: a second one ends with 9.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import os
import sys
from collections.abc import Sequence
from typing import Any, Optional

from eniagent.cli.exit_codes import FLAGS
from eniagent.cli.globals_ import Globals

_BARE = {"--quiet": "quiet", "-q": "quiet", "--verbose": "verbose", "-v": "verbose"}
_VALUED = {**{flag: name for name, flag in FLAGS.items() if name not in ("since_s", "deadline_s")}, "--textfile": "textfile"}


def serve(given: Globals, **flags: Any) -> int:
    """Run until SIGTERM. Raises `ConfigError`, `AlreadyRunning`."""
    from eniagent.daemon.log import Log
    from eniagent.daemon.service import Service
    from eniagent.edge.notify import Manager

    settings = given.settings(**flags)
    manager = Manager(os.environ)
    for variable in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(variable, None)
    log = Log(settings.log_format, "JOURNAL_STREAM" in os.environ, given.quiet, given.verbose)
    return Service(settings, lambda: given.settings(**flags), log, manager=manager, capture=capture(given)).run()


def capture(given: Globals) -> tuple[str, ...]:
    """The command that makes a bundle, with the same settings as the daemon's own."""
    program = os.path.abspath(sys.argv[0])
    begin = (program,) if os.access(program, os.X_OK) and not program.endswith(".py") else (sys.executable, program)
    config = ("--config", given.config_path) if given.config_path is not None else ()
    flags = [word for name, value in given.flags.items() if value is not None and name in FLAGS for word in (FLAGS[name], str(value))]
    return (*begin, *config, *flags, "--quiet", "bundle", "create")


def plain_words(words: Sequence[str]) -> Optional[Globals]:
    """The words of a plain `eniagent daemon` line, None where they are for the full parser.

    The process that stays must not carry the parser, which is 8 MB of the 45 that it may have.
    """
    flags: dict[str, Any] = {}
    switches: dict[str, bool] = {}
    config: Optional[str] = None
    seen, left = False, list(words)
    while left:
        word, equals, value = left.pop(0).partition("=")
        if word == "daemon" and not equals and not seen:
            seen = True
        elif word in _BARE and not equals:
            switches[_BARE[word]] = True
        elif word == "--config" or word in _VALUED:
            if not equals and not left:
                return None
            value = value if equals else left.pop(0)
            if word == "--config":
                config = value
            else:
                flags[_VALUED[word]] = value
        else:
            return None
    return Globals(flags=flags, config_path=config, **switches) if seen else None


def command() -> Any:
    """The command for the full parser; made on demand, because typer is not to be imported with this module."""
    from typing import Annotated

    import typer

    def daemon(
        ctx: typer.Context,
        textfile: Annotated[Optional[str], typer.Option("--textfile", metavar="DIR", help="Also write eniagent.prom for node_exporter there")] = None,
    ) -> int:
        """Run the service: look every 30 s, keep a history, notice incidents, serve metrics on loopback."""
        given: Globals = ctx.obj
        return serve(given, textfile=textfile)

    return daemon
