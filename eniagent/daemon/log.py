"""One line for each event on stderr, as logfmt or JSON: `noun_verb` first, data in keys, units in key names.

Refuses bodies, tokens and locals. It is no structlog, for a measured reason: with what it imports that costs 8 MB of the 45 that
the resident process and its children may have, and this is all that is needed of it.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any, Optional

import msgspec

from eniagent.edge import clock

LEVELS = {"error": 3, "warning": 4, "info": 6, "debug": 7}
"""Syslog's numbers, which systemd takes from the start of a line (sd-daemon(3))."""
FRAMES = 6
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/,;+-@%[]()*<>&#!?~|")


class Log(msgspec.Struct):
    """`journal`: what is written goes to systemd's journal, which keeps time and level itself."""

    log_format: str = "console"
    journal: bool = False
    quiet: bool = False
    verbose: bool = False

    def event(self, name: str, *, level: str = "info", **data: Any) -> None:
        """One event. A reader that is gone is no failure of ours."""
        if (self.quiet and level not in ("error", "warning")) or (level == "debug" and not self.verbose):
            return
        stamp = {} if self.journal and self.log_format == "console" else {"at": clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        fields = {"event": name, **({} if level == "info" else {"level": level}), **stamp, **data}
        text = msgspec.json.encode(fields).decode() if self.log_format == "json" else logfmt(fields)
        try:
            sys.stderr.write(f"<{LEVELS[level]}>{text}\n" if self.journal else f"{text}\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            return

    def fault(self, name: str, error: BaseException, **data: Any) -> None:
        """An error that was caught where all are: its kind, its words and the places it came through."""
        self.event(name, level="error", error=type(error).__name__, what=str(error)[:300], where=places(error.__traceback__), **data)


def logfmt(fields: dict[str, Any]) -> str:
    """`key=value` words; what holds blanks or quotes is a JSON string. What is empty is left out."""
    words = []
    for key, value in fields.items():
        if value is None or value == "" or value == () or value == []:
            continue
        if isinstance(value, (list, tuple)):
            value = ",".join(str(item) for item in value)
        text = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(f"{key}={text if _PLAIN.issuperset(text) else msgspec.json.encode(text).decode()}")
    return " ".join(words)


def places(trace: Optional[TracebackType]) -> list[str]:
    """The innermost places of a traceback, outermost first."""
    found = []
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append(f"{code.co_filename.rpartition('/eniagent/')[2]}:{trace.tb_lineno}:{code.co_name}")
        trace = trace.tb_next
    return found[-FRAMES:]
