"""Paths below a root: opens and lists the host's files as if the root were `/`, also where the host is mounted elsewhere.

Refuses to leave the root through a link, and to open anything but regular files: a FIFO or a device could block or act.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat

MAX_LINKS = 40
"""As many as the kernel follows."""


def resolve(path: str, *, root: str) -> str:
    """The real path of the host's `path`, every link resolved inside `root`. Raises `OSError` on a loop or a refusal.

    A component that does not exist is kept, so that opening the result tells it.
    """
    if root == "/":
        return path
    links, done = 0, ""
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    while todo:
        part = todo.pop()
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}"
        try:
            target = os.readlink(root + here)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                raise
            done = here
            continue
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done = ""
        todo.extend([piece for piece in target.split("/") if piece not in ("", ".")][::-1])
    return root + done if done else root


def open_regular(path: str, *, root: str) -> int:
    """A descriptor of a regular file. Raises `OSError`; one that is no regular file raises it with EINVAL."""
    real = resolve(path, root=root)
    # Asked before opening, because opening alone can wake a device or its writer.
    _must_be_regular(os.stat(real), path)
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        _must_be_regular(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _must_be_regular(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL, "not a regular file", path)


def read_up_to(descriptor: int, *, limit_bytes: int) -> bytes:
    """At most `limit_bytes` + 1 bytes from where the descriptor stands: one more than allowed tells that there was more."""
    pieces, size = [], 0
    while size <= limit_bytes:
        piece = os.read(descriptor, min(1 << 18, limit_bytes + 1 - size))
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def matches(pattern: str, *, root: str) -> list[str]:
    """The host's paths that match a glob, in name order. A directory that is missing has none; raises `OSError` otherwise."""
    found = ["/"]
    for part in pattern.strip("/").split("/"):
        joined = []
        for base in found:
            prefix = base.rstrip("/")
            if not any(sign in part for sign in "*?["):
                if os.path.lexists(resolve(f"{prefix}/{part}", root=root)):
                    joined.append(f"{prefix}/{part}")
                continue
            names = _names(base, root=root)
            joined += [f"{prefix}/{name}" for name in fnmatch.filter(names, part) if part[0] == "." or name[0] != "."]
        found = joined
    return sorted(found)


def _names(directory: str, *, root: str) -> list[str]:
    try:
        return os.listdir(resolve(directory, root=root))
    except (FileNotFoundError, NotADirectoryError):
        return []
