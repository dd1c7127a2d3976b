"""Keeps the key that pseudonyms are made with, and the mapping back: `<state_dir>/redact/`, 0700, its files 0600.

Refuses a directory or a file that others may read or that is not ours, and a place beside the bundles: whoever may read those must
not be able to turn names back. A run that may not write there gets a key of its own, which ends with it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Optional

import msgspec

from eniagent.edge.errors import AgentError
from eniagent.edge.settings import Settings
from eniagent.redact.permute import KEY_BYTES
from eniagent.redact.reveal import revealed

KEY, MAPPING, OLDER = "key", "mapping.jsonl", "mapping.1.jsonl"
MAPPING_BYTES = 64 << 20
"""One file of the mapping; when it is full it becomes the older one, and the one before that is gone."""
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
_of_this_run: dict[str, bytes] = {}


class RedactionKeyError(AgentError):
    """The key or the mapping cannot be used. The message says why and what to do."""


def key(settings: Settings) -> bytes:
    """The node's key, made at first use; the run's own where the place may not be written. Raises `RedactionKeyError`."""
    directory = _directory(settings)
    try:
        with _opened(directory, make=True) as at:
            return _read_key(at, directory) or _make_key(at, directory)
    except OSError as error:
        if error.errno in _DENIED:
            return _of_this_run.setdefault(directory, os.urandom(KEY_BYTES))
        raise RedactionKeyError(f"{directory}: {(error.strerror or str(error)).lower()}; the redaction key cannot be kept") from error


def is_kept(settings: Settings) -> bool:
    """Whether pseudonyms of this run can be turned back later."""
    return _directory(settings) not in _of_this_run


def remember(settings: Settings, mapping: Mapping[str, str]) -> bool:
    """Append what is new in `mapping` (pseudonym -> original). Returns whether it is kept. Raises `RedactionKeyError`."""
    directory = _directory(settings)
    if directory in _of_this_run:
        return False
    try:
        with _opened(directory, make=True) as at, _locked(at):
            known = _mapping(at)
            fresh = {p: o for p, o in mapping.items() if known.get(p) != o}
            if fresh:
                _append(at, b"".join(msgspec.json.encode((p, _text(o))) + b"\n" for p, o in fresh.items()))
    except OSError as error:
        raise RedactionKeyError(f"{directory}: {(error.strerror or str(error)).lower()}; the bundle's names cannot be turned back later") from error
    return True


def reveal(settings: Settings, word: str) -> Optional[str]:
    """What a pseudonym stands for; None where this node did not make it."""
    told = revealed(word, _stored(settings))
    return told if told != word else None


def reveal_text(settings: Settings, data: bytes) -> bytes:
    """A text with all its pseudonyms turned back."""
    return revealed(data.decode("utf-8", "surrogateescape"), _stored(settings)).encode("utf-8", "surrogateescape")


def _stored(settings: Settings) -> dict[str, str]:
    directory = _directory(settings)
    try:
        with _opened(directory, make=False) as at:
            return _mapping(at)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RedactionKeyError(f"{directory}: {(error.strerror or str(error)).lower()}; run as the user who made the bundle") from error


def _directory(settings: Settings) -> str:
    directory = os.path.join(settings.state_dir, "redact")
    real, bundles = os.path.realpath(directory), os.path.realpath(settings.bundle_dir)
    if real == bundles or real.startswith(bundles.rstrip("/") + "/"):
        raise RedactionKeyError(f"{directory} is below {settings.bundle_dir}, where bundles are read by others; set another state_dir")
    return directory


@contextlib.contextmanager
def _opened(directory: str, *, make: bool) -> Iterator[int]:
    """The directory, held open and checked. Raises `OSError` and `RedactionKeyError`."""
    if make:
        os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)
    at = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _check(os.fstat(at), directory, wanted="0700")
        yield at
    finally:
        os.close(at)


def _check(status: os.stat_result, path: str, *, wanted: str) -> None:
    if status.st_uid != os.geteuid():
        if os.geteuid() != 0 and status.st_uid == 0:
            raise PermissionError(errno.EACCES, "belongs to root", path)
        raise RedactionKeyError(f"{path} belongs to user {status.st_uid}; remove it, and a new key is made")
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise RedactionKeyError(f"{path} may be read by others (mode {stat.S_IMODE(status.st_mode):04o}, not {wanted}); remove it, and a new key is made")


def _open_file(at: int, name: str, flags: int) -> int:
    descriptor = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=at)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise RedactionKeyError(f"{name} in the redaction directory is no regular file; remove it")
        _check(status, name, wanted="0600")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _read_key(at: int, directory: str) -> Optional[bytes]:
    try:
        descriptor = _open_file(at, KEY, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        found = file.read(KEY_BYTES + 1)
    if len(found) != KEY_BYTES:
        raise RedactionKeyError(f"{directory}/{KEY} is damaged ({len(found)} bytes, not {KEY_BYTES}); remove it, and a new key is made")
    return found


def _make_key(at: int, directory: str) -> bytes:
    """A whole key or none, under its name; of two that are made at once, one wins for both."""
    beside = f".{KEY}.{os.getpid()}.{os.urandom(4).hex()}"
    descriptor = _open_file(at, beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(beside, KEY, src_dir_fd=at, dst_dir_fd=at)
        os.fsync(at)
    finally:
        os.unlink(beside, dir_fd=at)
    made = _read_key(at, directory)
    if made is None:
        raise RedactionKeyError(f"{directory}/{KEY} is gone again right after it was made; something else removes it")
    return made


@contextlib.contextmanager
def _locked(at: int) -> Iterator[None]:
    fcntl.flock(at, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(at, fcntl.LOCK_UN)


def _mapping(at: int) -> dict[str, str]:
    """All that was remembered. A line that a crash cut off is left out: its bundle was never finished."""
    found: dict[str, str] = {}
    for name in (OLDER, MAPPING):
        try:
            descriptor = _open_file(at, name, os.O_RDONLY)
        except FileNotFoundError:
            continue
        with os.fdopen(descriptor, "rb") as file:
            for line in file:
                with contextlib.suppress(msgspec.MsgspecError, ValueError):
                    pseudonym, original = msgspec.json.decode(line, type=tuple[str, str])
                    found[pseudonym] = original
    return found


def _append(at: int, data: bytes) -> None:
    descriptor = _open_file(at, MAPPING, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    size = os.fstat(descriptor).st_size
    if size and size + len(data) > MAPPING_BYTES:
        os.close(descriptor)
        os.rename(MAPPING, OLDER, src_dir_fd=at, dst_dir_fd=at)
        descriptor, size = _open_file(at, MAPPING, os.O_RDWR | os.O_APPEND | os.O_CREAT), 0
    with os.fdopen(descriptor, "rb+", buffering=0) as file:
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            data = b"\n" + data  # a crash left half a line
        left = memoryview(data)
        while left:
            left = left[file.write(left) or 0 :]
        os.fsync(file.fileno())


def _text(original: str) -> str:
    """A name that is no UTF-8 is kept as far as it can be shown."""
    return original.encode("utf-8", "backslashreplace").decode("utf-8")
