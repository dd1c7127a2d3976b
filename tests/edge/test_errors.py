"""The table from the world's errors to reasons holds every error that our system calls document."""

from __future__ import annotations

import errno
import os
import socket

import pytest

from eniagent.edge.errors import REASONS, AgentError, CapturesError, ConfigError, reason
from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why

DOCUMENTED = {
    "open": "EACCES EINTR EINVAL EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENODEV ENOENT ENOMEM ENOTDIR ENXIO EPERM EROFS ESTALE ETXTBSY EBUSY",
    "read": "EAGAIN EINTR EINVAL EIO EISDIR ESTALE",
    "connect": "EACCES EPERM EADDRNOTAVAIL EAGAIN ECONNREFUSED EINPROGRESS EINTR ENETUNREACH EPROTOTYPE ETIMEDOUT EHOSTUNREACH ENETDOWN EHOSTDOWN",
    "send and recv": "ECONNRESET ECONNABORTED EPIPE ENOTCONN ENOBUFS ENOMEM",
    "execve": "E2BIG EACCES EIO EISDIR ELOOP EMFILE ENAMETOOLONG ENFILE ENOENT ENOEXEC ENOMEM ENOTDIR EPERM ETXTBSY",
    "procfs": "ESRCH",
}


@pytest.mark.parametrize("call", DOCUMENTED)
def test_every_documented_error_has_its_reason(call: str) -> None:
    """No error that the manual pages name is told by the fallback."""
    assert [name for name in DOCUMENTED[call].split() if getattr(errno, name) not in REASONS] == []


def test_an_error_that_nobody_documents_is_told_by_name() -> None:
    """What is not in the table is malformed, with the system's words; never healthy, never raised."""
    why, detail = reason(OSError(errno.EXFULL, os.strerror(errno.EXFULL)))
    assert (why, detail) == (Why.MALFORMED, os.strerror(errno.EXFULL).lower())
    assert reason(RuntimeError("odd"))[0] is Why.MALFORMED


def test_our_own_errors_keep_their_reason() -> None:
    """A cut and a time-out mean what they say, on every Python."""
    assert reason(CaptureCut(Why.FORBIDDEN, "x")) == (Why.FORBIDDEN, "x")
    assert reason(socket.timeout("timed out"))[0] is Why.TIMED_OUT
    assert reason(TimeoutError())[0] is Why.TIMED_OUT


def test_exceptions_own_the_contracts_exit_codes() -> None:
    """Configuration and captures that cannot be used are 2, all else 1."""
    assert (AgentError.exit_code, ConfigError.exit_code, CapturesError.exit_code) == (1, 2, 2)
