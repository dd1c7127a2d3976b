"""Standard output and error, output files, and the end of the process.

Refuses to make a failure of a reader that closed the pipe early, and to let a thread that still waits delay the exit.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn


def say(data: bytes) -> int:
    """Write `data` to stdout, all of it, at once. Returns 0, also when nobody reads any more; raises `OutputError`."""
    if sys.stdout is None:  # started with stdout closed: descriptor 1 may by now be any file
        return 0
    try:
        sys.stdout.flush()
        _write_all(sys.stdout.fileno(), data)
    except BrokenPipeError:
        _discard_stdout()
    except OSError as error:
        from eniagent.cli.exit_codes import OutputError

        raise OutputError(f"stdout cannot be written: {error.strerror}") from error
    return 0


def _write_all(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # somebody made the pipe non-blocking, and its reader is slow
            import select

            select.select([], [descriptor], [])


def _discard_stdout() -> None:
    """Let later writes, the interpreter's own last flush included, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def complain(line: str) -> None:
    """One line to stderr; where nobody reads that either, nobody is told."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def wants_colour() -> bool:
    """Whether stdout is a terminal that wants colour."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False


def check_target(path: str) -> None:
    """Raises `UsageError` where `write_file` is bound to fail, so that it is known before the node is looked at."""
    from eniagent.cli.exit_codes import UsageError

    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if os.path.isdir(target):
        raise UsageError(f"--output {path} is a directory; name a file in it")
    if not os.path.isdir(directory):
        raise UsageError(f"--output {path}: there is no directory {directory}; create it first")
    writable = target if os.path.exists(target) and not os.path.isfile(target) else directory
    if not os.access(writable, os.W_OK):
        raise UsageError(f"--output {path}: no permission to write {writable}; name another place")


def write_file(path: str, data: bytes) -> None:
    """Write a whole file or none: beside the target, synced, then renamed. Pipes and devices are written in place."""
    from eniagent.cli.exit_codes import OutputError

    target = os.path.realpath(path)
    try:
        if os.path.exists(target) and not os.path.isfile(target):
            with open(target, "wb") as special:
                special.write(data)
        else:
            _replace(target, data)
    except BrokenPipeError:
        return
    except OSError as error:
        raise OutputError(f"--output {path} cannot be written: {error.strerror}") from error


def _replace(target: str, data: bytes) -> None:
    beside = f"{target}.{os.getpid()}.part"
    try:
        # "x": a file or link that somebody planted under this name is an error, not a way to write elsewhere.
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def leave(code: int) -> NoReturn:
    """End the process now: what was written is flushed, threads that still wait are not waited for."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def end_children() -> None:
    """Kill the programs that we started and that a broken-off look left behind; without threads there is none."""
    import threading

    if threading.active_count() == 1:
        return
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
