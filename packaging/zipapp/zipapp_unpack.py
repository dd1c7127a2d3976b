"""Unpacks the wheels of one interpreter out of eniagent.pyz: the first run, and each run that can keep nothing.

Refuses to leave a half-made tree, a directory that others may write, and files behind a process that could not keep them.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import sys
import tempfile
import zipfile

from zipapp_boot import CACHE, LIST, Refused, Tree, check_own_directory, kept, sha256

PRIVATE = ("/run", "/var/tmp", "/tmp", "/dev/shm")  # noqa: S108 - a directory of our own is made there, with a name nobody can guess
SUFFIXES = (".abi3.so", ".so")
NEEDED_GLIBC = (2, 28)
NOT_KEPT = (".pyi", ".pyx", ".pxd", ".c", ".h", ".dist-info/RECORD")


class Damaged(Exception):
    """The file itself is not as it was built."""


def unpack(archive: str, identity: str, wheels: list[str]) -> Tree:
    """A tree of these wheels (lines of `sha256 name`): in the cache, else in a private place. Ends the process where neither can be."""
    check_libc()
    try:
        return _unpack(archive, identity, wheels)
    except (Damaged, zipfile.BadZipFile, KeyError) as error:
        sys.stderr.write(f"eniagent: {archive} is damaged ({error}); fetch it again.\n")
        sys.exit(1)


def _unpack(archive: str, identity: str, wheels: list[str]) -> Tree:
    refusals = []
    try:
        prepare_cache()
        prune(CACHE, kept_names=identities(archive))
        return keep(archive, f"{CACHE}/{identity}", wheels)
    except (OSError, Refused) as error:
        refusals.append(f"{CACHE}: {reason(error)}")
    given = [path for path in (os.environ.get("TMPDIR"),) if path]
    for place in [*given, *PRIVATE]:
        try:
            return private(archive, place, wheels)
        except (OSError, Refused) as error:
            refusals.append(f"{place}: {reason(error)}")
    sys.stderr.write("eniagent: no directory to unpack its libraries to: " + "; ".join(refusals) + ".\n")
    sys.stderr.write("eniagent: name one on a file system that may execute, not full and writable, with TMPDIR=DIR.\n")
    sys.exit(1)


def reason(error: Exception) -> str:
    """Why a place was refused, in words."""
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def check_libc() -> None:
    """Ends the process on a C library that the wheels are not for."""
    try:
        told = os.confstr("CS_GNU_LIBC_VERSION") or ""
        version = tuple(int(part) for part in told.split()[-1].split("."))
    except (ValueError, OSError, IndexError):
        told, version = "another C library", (0, 0)
    if version < NEEDED_GLIBC:
        sys.stderr.write(f"eniagent: needs glibc 2.28 or newer; this machine has {told}.\n")
        sys.exit(1)


def check_executable(place: str) -> None:
    """Raises `Refused` on a mount that may not execute: no library could be mapped from there."""
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        raise Refused("mounted noexec")


def prepare_cache() -> None:
    """Make the cache's directory, ours alone. Raises `OSError` or `Refused`."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(CACHE, 0o700)
    check_own_directory(CACHE)
    check_executable(CACHE)


def keep(archive: str, path: str, wheels: list[str]) -> Tree:
    """Unpack and compile beside `path`, then move it there in one step. Raises `OSError` or `Refused`, and leaves nothing then."""
    making = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(path))
    try:
        fill(archive, making, wheels, final=path)
        try:
            os.rename(making, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return taken(making, path)
    except BaseException:
        shutil.rmtree(making, ignore_errors=True)
        raise
    return kept(path)


def taken(making: str, path: str) -> Tree:
    """Another run was faster: use its tree. One that cannot be used gives way to the one in `making`."""
    try:
        tree = kept(path)
        shutil.rmtree(making)
    except (OSError, Refused):
        bad = f"{making}.bad"
        os.rename(path, bad)
        shutil.rmtree(bad, ignore_errors=True)
        os.rename(making, path)
        tree = kept(path)
    return tree


def identities(archive: str) -> set[str]:
    """The names of the trees that this file may make, for any interpreter."""
    with zipfile.ZipFile(archive) as carried:
        return {carried.read(name)[:64].decode() for name in carried.namelist() if name.startswith("sets/")}


def prune(directory: str, *, kept_names: set[str]) -> None:
    """Remove trees of other releases and of runs that died, unless a process holds them."""
    import fcntl

    for name in os.listdir(directory):
        if name in kept_names:
            continue
        path = f"{directory}/{name}"
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            continue
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not name.startswith(".new-") or os.fstat(descriptor).st_mtime < _an_hour_ago():
                shutil.rmtree(path, ignore_errors=True)
        except BlockingIOError:  # held: the run that holds it needs it
            continue
        finally:
            os.close(descriptor)


def _an_hour_ago() -> float:
    import time

    return time.time() - 3600


def private(archive: str, place: str, wheels: list[str]) -> Tree:
    """A tree of this process alone, which goes when the process ends, however it ends. Raises `OSError` or `Refused`."""
    status = os.stat(place)
    if status.st_uid not in (0, os.geteuid()) or (status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX):
        raise Refused("others may rename what is in it")
    check_executable(place)
    made = tempfile.mkdtemp(prefix="eniagent-", dir=place)
    remove_at_end(made)
    fill(archive, made, wheels, final=None)
    return Tree(made)


def remove_at_end(path: str) -> None:
    """Leave a small process behind that removes `path` when this one is gone: SIGKILL, which SSM sends, runs no handlers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(reading)
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.dup2(reading, 0)
        os.closerange(1, 1024)
        os.chdir("/")
        os.read(0, 1)  # returns when the last holder of the other end is gone
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os._exit(0)


def fill(archive: str, place: str, wheels: list[str], *, final: str | None) -> None:
    """Unpack into `place` and write its list. With `final`, where the tree will stand, its modules are compiled as well."""
    before = os.umask(0o077)
    try:
        lines = _extract_all(archive, place, wheels, final=final)
        write(f"{place}/{LIST}", "".join(lines).encode() + b"end\n")
    finally:
        os.umask(before)


def _extract_all(archive: str, place: str, wheels: list[str], *, final: str | None) -> list[str]:
    """Unpack every wheel whose digest is right; returns the list's lines."""
    lines = []
    with zipfile.ZipFile(archive) as carried:
        for line in wheels:
            digest, _, name = line.partition(" ")
            data = carried.read(f"wheels/{name}")
            if sha256(data) != digest:
                raise Damaged(f"the digest of {name} is another one")
            with zipfile.ZipFile(io.BytesIO(data)) as wheel:
                for relative in wheel.namelist():
                    if not relative.endswith(("/", *NOT_KEPT)) and "/tests/" not in relative:
                        lines += extract(place, relative, wheel.read(relative), final=final)
    return lines


def extract(place: str, relative: str, data: bytes, *, final: str | None) -> list[str]:
    """Write one file; returns its line in the list where it is a module."""
    if relative.startswith("/") or ".." in relative.split("/"):
        raise Refused(f"{relative} would leave the tree")
    path = f"{place}/{relative}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, data)
    suffix = next((suffix for suffix in SUFFIXES if relative.endswith(suffix)), None)
    if suffix:
        base = relative.rpartition("/")[2].split(".")[0]
        name = "/".join([*relative.split("/")[:-1], base]).replace("/", ".")
        return [f"{name}\t{relative}\t{relative}\t{sha256(data)}\n"]
    if not relative.endswith(".py"):
        return []
    name = relative[: -len("/__init__.py" if relative.endswith("/__init__.py") else ".py")].replace("/", ".")
    if final is None:
        return [f"{name}\t{relative}\t{relative}\t{sha256(data)}\n"]
    return [f"{name}\t{relative}\t{compiled(place, relative, final=final)}\n"]


def compiled(place: str, relative: str, *, final: str) -> str:
    """Compile a module; returns the compiled file's path in the tree and its digest."""
    from importlib.util import cache_from_source
    from py_compile import PycInvalidationMode, compile

    cached = cache_from_source(relative, optimization="")
    compile(
        f"{place}/{relative}", f"{place}/{cached}", f"{final}/{relative}", doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH, quiet=2
    )
    os.chmod(f"{place}/{cached}", 0o600)
    with open(f"{place}/{cached}", "rb") as file:
        return f"{cached}\t{sha256(file.read())}"


def write(path: str, data: bytes) -> None:
    """A new file of ours alone; fails on one that exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
