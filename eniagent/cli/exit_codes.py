"""Exit codes: what each means, which one leads where several apply, and what an exception comes to.

Refuses codes that SSM and shells own (126, 127, 137, 168, 194, 255). The exceptions of the edge bring their own code.
"""

from __future__ import annotations

import enum
import errno
from collections.abc import Iterable

from eniagent.edge.errors import AgentError, ConfigError
from eniagent.report.plain import plain


class Code(enum.IntEnum):
    """The contract's exit codes."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CRITICAL = 3
    WARNING = 4
    INCONCLUSIVE = 5
    UPLOAD_FAILED = 6
    BUNDLE_FAILED = 7
    NOT_APPLICABLE = 8
    LOCKED = 9
    DEADLINE = 10
    INTERRUPTED = 130
    TERMINATED = 143


PRECEDENCE = (
    Code.INTERRUPTED,
    Code.TERMINATED,
    Code.USAGE,
    Code.FAILED,
    Code.LOCKED,
    Code.BUNDLE_FAILED,
    Code.UPLOAD_FAILED,
    Code.DEADLINE,
    Code.CRITICAL,
    Code.WARNING,
    Code.INCONCLUSIVE,
    Code.NOT_APPLICABLE,
)
"""Where several apply, the first of these is the process's exit code."""


def leading(codes: Iterable[int]) -> Code:
    """The code that leads by `PRECEDENCE`; 0 where none applies."""
    applying = set(codes)
    return next((code for code in PRECEDENCE if code in applying), Code.OK)


class UsageError(AgentError):
    """The command line cannot be understood or followed. The message ends with the remedy."""

    exit_code = Code.USAGE


class OutputError(AgentError):
    """The answer could not be written out."""

    exit_code = Code.FAILED


class Interrupted(BaseException):
    """SIGINT or SIGTERM came. No `Exception`, so that nothing between takes it for a failure of its own."""

    def __init__(self, exit_code: Code) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


FOREIGN: tuple[tuple[type[BaseException], Code, str], ...] = (
    (KeyboardInterrupt, Code.INTERRUPTED, "interrupted"),
    (MemoryError, Code.FAILED, "out of memory; narrow the window with --since"),
    (RecursionError, Code.FAILED, "input nested too deeply"),
    (ImportError, Code.FAILED, "a library that eniagent needs cannot be loaded; install it again"),
)
"""Exceptions that are not ours and what they come to. All others are a fault of the agent, and told as one."""

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up", errno.EMFILE: "too many open files"}


def code_of(error: BaseException) -> Code:
    """The exit code that an exception comes to."""
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, AgentError):
        return Code(error.exit_code)
    return next((code for kind, code, _ in FOREIGN if isinstance(error, kind)), Code.FAILED)


def words_of(error: BaseException, *, version: str) -> list[str]:
    """What to tell the user: one line for each thing that is wrong, none for an interruption."""
    if isinstance(error, (Interrupted, KeyboardInterrupt)):
        return []
    if isinstance(error, ConfigError):
        return [plain(f"{FLAGS.get(p.setting, p.setting)} ({p.origin}): {p.what}; {p.remedy}") for p in error.problems]
    if isinstance(error, AgentError):
        return [plain(line) for line in str(error).splitlines()] or [type(error).__name__]
    told = f"{type(error).__name__}: {error}"
    for kind, _, words in FOREIGN:
        if isinstance(error, kind):
            return [plain(f"{words} ({told})")]
    if isinstance(error, OSError) and error.errno in _FULL:
        return [plain(f"{_FULL[error.errno]} ({told})")]
    return [plain(f"internal error, a fault of eniagent {version}, not of the node: {told}; to report it, run again with --verbose")]


FLAGS = {
    "ipamd_url": "--ipamd-url",
    "metrics_url": "--metrics-url",
    "imds_url": "--imds-url",
    "journal_dir": "--journal-dir",
    "root": "--root",
    "since_s": "--since",
    "deadline_s": "--deadline",
    "log_format": "--log-format",
}
"""Setting -> the flag that sets it."""
