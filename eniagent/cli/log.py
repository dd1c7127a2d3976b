"""Log events on stderr: `noun_verb` names, data in keys, units in key names.

Refuses to load the logging library before something is logged, and to log bodies, tokens or locals.
"""

from __future__ import annotations

import sys
from typing import Any, Optional

import msgspec


class Log(msgspec.Struct):
    """Logs when `verbose`, in the form `log_format`: `console` or `json`."""

    verbose: bool
    log_format: str = "console"
    _logger: Optional[Any] = None

    def event(self, name: str, **data: Any) -> None:
        """One event, if anybody wants to hear it."""
        if self.verbose:
            self._ready().info(name, **data)

    def _ready(self) -> Any:
        if self._logger is None:
            import structlog

            last = structlog.processors.JSONRenderer() if self.log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
            self._logger = structlog.wrap_logger(
                structlog.PrintLogger(sys.stderr),
                processors=[
                    structlog.processors.add_log_level,
                    structlog.processors.TimeStamper(fmt="iso", utc=True),
                    last,
                ],
            )
        return self._logger
