"""One run of one command: signals, errors and the exit code.

Refuses to let an exception reach the user as a traceback, unless `--verbose` asks for it, and then without locals.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any, Callable, Optional

from eniagent import __version__
from eniagent.cli.exit_codes import Code, Interrupted, code_of, leading, words_of
from eniagent.cli.output import complain, end_children

_SIGNALS = {signal.SIGINT: Code.INTERRUPTED, signal.SIGTERM: Code.TERMINATED}


class Signals:
    """While in force, the first SIGINT or SIGTERM raises `Interrupted`; `code` remembers it, should it get lost on its way.

    `ends`: the process ends after the run, and what still comes on the way out is ignored.
    """

    def __init__(self, *, ends: bool) -> None:
        self.code = Code.OK
        self._ends = ends
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background job: leave it so
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._ends else handler)

    def _receive(self, number: int, _frame: Optional[FrameType]) -> None:
        if self.code:
            return  # already on the way out
        self.code = _SIGNALS[signal.Signals(number)]
        raise Interrupted(self.code)


def run(words: Sequence[str], *, ends: bool = False) -> int:
    """Run the command line `words`; returns the exit code. Never raises, but for what the interpreter itself cannot survive.

    `ends`: the process ends right after.
    """
    signals = Signals(ends=ends)
    code: int
    try:
        with signals:
            code = _call(lambda: _invoke(words), verbose="--verbose" in words or "-v" in words)
    except Interrupted as error:  # it came between the command's end and ours
        code = error.exit_code
    end_children()
    return leading([code, signals.code])


def _invoke(words: Sequence[str]) -> int:
    if "daemon" in words:
        from eniagent.cli.daemon import plain_words, serve

        given = plain_words(words)
        if given is not None:
            return serve(given)
    from eniagent.cli.app import invoke

    return invoke(words)


def _call(command: Callable[[], int], *, verbose: bool) -> int:
    try:
        return command()
    except BaseException as error:  # noqa: BLE001 - this is the one place where every exception becomes an exit code
        for line in words_of(error, version=__version__):
            complain(f"eniagent: {line}")
        code = code_of(error)
        if verbose and code not in (Code.USAGE, Code.INTERRUPTED, Code.TERMINATED):
            import traceback

            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
        return code
