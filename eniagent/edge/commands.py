"""Read-only commands: run one with a limit of time and of output, and tell what became of it.

Refuses a shell, standard input, colours and translations, and leaves no child behind: at the limit the whole process group
is killed. Children inherit the priority that the agent gave itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Iterator
from typing import Callable, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import RunCommand
from eniagent.model.reading import Why

PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/snap/bin", "/opt/cni/bin")
"""Where commands are looked for in addition to PATH: Run Command and systemd may give none, and sudo cuts it short."""
STDERR_BYTES = 4096

_FORBIDDEN = re.compile(rb"permission denied|operation not permitted|must be root|are you root|not authorized", re.IGNORECASE)
_REFUSED = re.compile(rb"connection refused|connect: no such file|does not exist.*\.sock|cannot connect", re.IGNORECASE)


class Outcome(msgspec.Struct, frozen=True):
    """How a command ended. `exit` None: it was killed at a limit."""

    stdout: bytes
    stderr: bytes
    exit: Optional[int]
    timed_out: bool = False
    over_limit: bool = False


def search_path() -> str:
    """PATH with the usual places after it."""
    known = [place for place in os.environ.get("PATH", "").split(":") if place.startswith("/")]
    return ":".join([*known, *(place for place in PLACES if place not in known)])


def locate(program: str) -> Optional[str]:
    """Where a program stands, None where it is not installed."""
    return shutil.which(program, path=search_path())


def environment() -> dict[str, str]:
    """What a child is given: no locale, no pager, no proxy, nothing of ours."""
    return {"PATH": search_path(), "LC_ALL": "C", "LANG": "C", "TERM": "dumb", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


def run_command(probe: RunCommand, *, deadline: Deadline) -> Capture:
    """The first candidate that is installed and gives output; where all fail, the failure of the first installed one."""
    told = " ".join(probe.argvs[0])
    first: Optional[Capture] = None
    for argv in probe.argvs:
        program = locate(argv[0])
        if program is None:
            continue
        capture = _run_one((program, *argv[1:]), probe=probe, told=" ".join(argv), deadline=deadline)
        if capture.about.failure is None:
            return capture
        first = first or capture
    if first is not None:
        return first
    names = ", ".join(dict.fromkeys(argv[0] for argv in probe.argvs))
    detail = f"{names}: no such command"
    return Capture(Circumstances(probe=told, file=probe.file, at=clock.now(), failure=Why.NOT_INSTALLED, detail=detail))


def _run_one(argv: tuple[str, ...], *, probe: RunCommand, told: str, deadline: Deadline) -> Capture:
    at, began_s = clock.now(), clock.ticks_s()
    try:
        outcome = run(argv, deadline=deadline.within(probe.timeout_s), limit_bytes=probe.limit_bytes)
    except OSError as error:
        why, detail = reason(error)
        return Capture(Circumstances(probe=told, file=probe.file, at=at, failure=why, detail=f"{argv[0]}: {detail}"))
    failure, detail = _judge(outcome, probe=probe)
    about = Circumstances(
        probe=told,
        file=probe.file,
        at=at,
        took_s=round(clock.ticks_s() - began_s, 4),
        exit=outcome.exit,
        failure=failure,
        detail=detail,
        truncated=outcome.over_limit,
        size_bytes=len(outcome.stdout),
    )
    return Capture(about, outcome.stdout)


def _judge(outcome: Outcome, *, probe: RunCommand) -> tuple[Optional[Why], str]:
    """What went wrong. A command that fails after it gave output keeps its exit code and its output, without a failure."""
    said = outcome.stderr.decode("utf-8", "replace").strip().replace("\n", "; ")[-300:]
    if outcome.timed_out:
        return Why.TIMED_OUT, f"no end within {probe.timeout_s:g} s"
    if outcome.over_limit:
        return Why.TRUNCATED, f"more than {probe.limit_bytes} bytes of output"
    if outcome.exit == 0:
        return None, ""
    if _FORBIDDEN.search(outcome.stderr):
        return Why.FORBIDDEN, said
    if _REFUSED.search(outcome.stderr):
        return Why.REFUSED, said
    return (None if outcome.stdout else Why.MALFORMED), said or f"exit {outcome.exit}"


def run(argv: tuple[str, ...], *, deadline: Deadline, limit_bytes: int) -> Outcome:
    """Run one command to its end or to a limit. Raises `OSError` where it cannot be started."""
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd="/",
        start_new_session=True,
        preexec_fn=end_with_parent(),
    )
    out: list[bytes] = []
    err: list[bytes] = []
    size, timed_out = 0, True
    try:
        for stream, piece in _pieces(process, deadline=deadline):
            if stream == "stdout":
                out.append(piece)
                size += len(piece)
            elif stream == "stderr":
                err = [b"".join([*err, piece])[-STDERR_BYTES:]]
            else:
                timed_out = False
            if size > limit_bytes:
                timed_out = False
                break
        over = size > limit_bytes
        code = None if timed_out or over else _end(process, deadline=deadline)
        timed_out = timed_out or (code is None and not over)
    finally:
        kill_group(process)
    return Outcome(b"".join(out)[:limit_bytes], b"".join(err), code, timed_out=timed_out, over_limit=over)


def _prctl() -> Optional[Callable[..., int]]:
    """prctl(2) of the C library, resolved before any fork; None where this Python cannot call it."""
    try:
        import ctypes

        prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    return prctl


PRCTL = _prctl()
PR_SET_PDEATHSIG = 1


def end_with_parent() -> Callable[[], None]:
    """For `preexec_fn`: have the kernel kill the child when the thread that started it dies, however that comes about.

    Run Command ends us by SIGKILL to our group, in which the child, the leader of its own, is not; the OOM killer hits us alone.
    """
    parent = os.getpid()

    def in_child() -> None:
        if PRCTL is not None:
            PRCTL(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before the kernel was told
                os._exit(1)

    return in_child


def _pieces(process: subprocess.Popen[bytes], *, deadline: Deadline) -> Iterator[tuple[str, bytes]]:
    """Output as it comes, then ("end", b"") when both streams have ended; stops without it at the deadline."""
    with selectors.DefaultSelector() as selector:
        for name in ("stdout", "stderr"):
            selector.register(getattr(process, name), selectors.EVENT_READ, name)
        while selector.get_map():
            ready = selector.select(deadline.remaining_s)
            if not ready and deadline.expired:
                return
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if piece:
                    yield key.data, piece
                else:
                    selector.unregister(key.fileobj)
            if deadline.expired and selector.get_map():
                return
    yield "end", b""


def _end(process: subprocess.Popen[bytes], *, deadline: Deadline) -> Optional[int]:
    try:
        return process.wait(timeout=max(0.05, deadline.remaining_s))
    except subprocess.TimeoutExpired:
        return None


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started, and close its pipes. A command that ended already is left alone."""
    if process.poll() is None:
        # The child leads its own group, so nothing but what it started is hit.
        # It may end between the question and the signal.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # One that hangs in the kernel dies when it returns from there; waiting longer for it would hang us too.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
