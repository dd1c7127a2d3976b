"""The agent's exceptions with their exit codes, and the one table from the world's errors to reasons.

Refuses to decide what an error means for the node: a probe that fails becomes a capture with a reason, never an exception.
"""

from __future__ import annotations

import errno
import socket

import msgspec

from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why


class AgentError(Exception):
    """The agent cannot do its job. `exit_code` is the contract's."""

    exit_code = 1


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with the configuration: where it was said, what is wrong, what to do."""

    setting: str
    origin: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting} ({self.origin}): {self.what}; {self.remedy}"


class ConfigError(AgentError):
    """All problems of the configuration at once."""

    exit_code = 2

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class CapturesError(AgentError):
    """A path that is no captures directory and no series of them. The message names it."""

    exit_code = 2


REASONS: dict[int, Why] = {
    errno.ECONNREFUSED: Why.REFUSED,
    errno.ENETUNREACH: Why.REFUSED,
    errno.EADDRNOTAVAIL: Why.REFUSED,
    errno.ENETDOWN: Why.REFUSED,
    # A router or a firewall that answers "no such host" and one that swallows packets are the same fact here: no answer.
    errno.EHOSTUNREACH: Why.TIMED_OUT,
    errno.EHOSTDOWN: Why.TIMED_OUT,
    errno.ETIMEDOUT: Why.TIMED_OUT,
    errno.EACCES: Why.FORBIDDEN,
    errno.EPERM: Why.FORBIDDEN,
    errno.EROFS: Why.FORBIDDEN,
    errno.ENOENT: Why.NOT_INSTALLED,
    errno.ENOTDIR: Why.NOT_INSTALLED,
    errno.ESRCH: Why.NOT_INSTALLED,
    errno.ENOEXEC: Why.NOT_INSTALLED,
    errno.ECONNRESET: Why.MALFORMED,
    errno.ECONNABORTED: Why.MALFORMED,
    errno.EPIPE: Why.MALFORMED,
    errno.EISDIR: Why.MALFORMED,
    errno.ELOOP: Why.MALFORMED,
    errno.EINVAL: Why.MALFORMED,
    errno.EIO: Why.MALFORMED,
    errno.ENAMETOOLONG: Why.MALFORMED,
    errno.ENXIO: Why.MALFORMED,
    errno.ENODEV: Why.MALFORMED,
    errno.EPROTOTYPE: Why.MALFORMED,
    errno.ESTALE: Why.MALFORMED,
    errno.ENOTCONN: Why.MALFORMED,
    errno.EAGAIN: Why.TIMED_OUT,
    errno.EINPROGRESS: Why.TIMED_OUT,
    errno.EINTR: Why.TIMED_OUT,
    errno.EBUSY: Why.REFUSED,
    errno.ETXTBSY: Why.REFUSED,
    # The agent itself lacked something, so the look was not taken: that says nothing of what was to be looked at.
    errno.EMFILE: Why.NOT_COLLECTED,
    errno.ENFILE: Why.NOT_COLLECTED,
    errno.ENOMEM: Why.NOT_COLLECTED,
    errno.ENOBUFS: Why.NOT_COLLECTED,
    errno.E2BIG: Why.NOT_COLLECTED,
}
"""What each errno means for a look. One that is not listed is told as malformed with its name."""


def reason(error: BaseException) -> tuple[Why, str]:
    """Why a look gave nothing, and the text for people."""
    if isinstance(error, CaptureCut):
        return error.why, error.detail
    if isinstance(error, (socket.timeout, TimeoutError)):
        return Why.TIMED_OUT, str(error) or "timed out"
    if isinstance(error, socket.gaierror):
        return Why.REFUSED, f"name does not resolve: {error.strerror}"
    if isinstance(error, OSError):
        known = REASONS.get(error.errno or 0, Why.MALFORMED)
        return known, (error.strerror or str(error) or type(error).__name__).lower()
    return Why.MALFORMED, f"{type(error).__name__}: {error}"
