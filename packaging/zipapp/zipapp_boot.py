"""Runs eniagent from eniagent.pyz: unpacks the wheels of this interpreter once, then imports what it unpacked.

Refuses to import a file whose owner, mode or digest is not as it was left, to unpack where others may write or nothing may be executed,
and to use a shared directory: the place is /var/cache/eniagent/<sha256>, ours alone, else a private one that goes with the process.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing itself costs more than all that is done here
    from collections.abc import Callable, Sequence
    from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
    from types import CodeType, ModuleType
    from typing import Any, Optional, Union
else:  # what importlib.machinery hands out, without importing all of importlib
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import ExtensionFileLoader, SourceFileLoader

CACHE = "/var/cache/eniagent"
LIST = "digests"
"""The tree's list of its own files; a tree without it is not finished."""

PYC_HEADER_BYTES = 16

_hash_found: Any = None


class Refused(Exception):
    """A place that cannot be used, and why."""


def sha256(data: bytes) -> str:
    """The digest in hexadecimal."""
    return str(_hash()(data).hexdigest())


def _hash() -> Callable[[bytes], Any]:
    """The interpreter's own sha256: hashlib would load OpenSSL, which takes longer than to hash what a command imports."""
    global _hash_found
    if _hash_found is None:
        names = ("_sha2", "hashlib") if sys.version_info >= (3, 12) else ("_sha256", "hashlib")
        for name in names:
            try:
                _hash_found = __import__(name).sha256
                break
            except ImportError:  # Distributions may leave it out; hashlib is always there.
                continue
    return _hash_found  # type: ignore[no-any-return]


def read_own(path: str) -> bytes:
    """The content of a file that is ours and that nobody else may touch. Raises `OSError` or `Refused`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise Refused(f"{path} is not this user's alone")
        return file.read()


def check_own_directory(path: str) -> None:
    """Raises `Refused` unless `path` is a directory, no link, of this user, which nobody else may enter; `OSError` where there is none."""
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Refused("it is not a directory of this user alone (mode 0700)")


class Tree:
    """An unpacked set: imports its modules by the list of digests, and nothing that the list does not hold."""

    def __init__(self, path: str) -> None:
        self.path = path
        check_own_directory(path)
        lines = read_own(f"{path}/{LIST}").decode().splitlines()
        if not lines or lines[-1] != "end":
            raise Refused("its list of digests is cut short")
        self._modules = {}
        for line in lines[:-1]:
            name, _, rest = line.partition("\t")
            self._modules[name] = rest

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """The import system asks here first. None for modules of others."""
        line = self._modules.get(name)
        if line is None:
            return None
        relative, code, digest = line.split("\t")
        location = f"{self.path}/{relative}"
        loader: Union[Extension, Code]
        if code == relative and not relative.endswith(".py"):
            loader = Extension(name, location, tree=self, digest=digest)
        else:
            loader = Code(name, location, tree=self, code=f"{self.path}/{code}", digest=digest)
        package = relative.endswith("/__init__.py")
        spec = ModuleSpec(name, loader, origin=location, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [location.rpartition("/")[0]]
        return spec

    def checked(self, path: str, digest: str) -> bytes:
        """A file's content. One that is not as it was left costs the whole tree, so that the next run unpacks a fresh one."""
        try:
            data = read_own(path)
        except (OSError, Refused) as error:
            self._discard(f"{path} cannot be read safely: {error}")
        if sha256(data) != digest:
            self._discard(f"{path} is not as it was unpacked")
        return data

    def _discard(self, why: str) -> None:
        import shutil

        shutil.rmtree(self.path, ignore_errors=True)
        raise ImportError(f"{why}; {self.path} has been removed: run the same command again")


class Code(SourceFileLoader):
    """Loads a module from its compiled or source file in the tree."""

    def __init__(self, name: str, path: str, *, tree: Tree, code: str, digest: str) -> None:
        super().__init__(name, path)
        self._tree, self._code, self._digest = tree, code, digest

    def get_code(self, fullname: str) -> CodeType:
        """The module's code, from bytes whose digest was checked."""
        data = self._tree.checked(self._code, self._digest)
        if self._code.endswith(".py"):
            return compile(data, self.path, "exec", dont_inherit=True)
        import marshal

        code: CodeType = marshal.loads(memoryview(data)[PYC_HEADER_BYTES:])
        return code


class Extension(ExtensionFileLoader):
    """Loads a compiled library of the tree."""

    def __init__(self, name: str, path: str, *, tree: Tree, digest: str) -> None:
        super().__init__(name, path)
        self._tree, self._digest = tree, digest

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Maps the library once its digest is checked; between the two only this user and root could change it."""
        self._tree.checked(self.path, self._digest)
        return super().create_module(spec)


def run() -> None:
    """Runs the command line and ends the process."""
    archive = os.path.abspath(sys.argv[0])
    sys.dont_write_bytecode = True
    tree = opened(archive)
    sys.meta_path.insert(0, tree)
    sys.path[:] = [tree.path, *(path for path in sys.path if path not in (archive, sys.argv[0]))]
    sys.argv[0] = archive  # what the daemon starts its children with
    from eniagent.cli import main

    main()


def opened(archive: str) -> Tree:
    """The tree of this interpreter's set: the kept one, else a new one. Ends the process where there can be none."""
    machine = os.uname().machine
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-{machine}"
    try:
        text = member(archive, f"sets/{tag}")
    except OSError:
        sys.stderr.write(f"eniagent: this file carries no libraries for {machine}; it runs on x86_64 and aarch64.\n")
        sys.exit(1)
    identity = text[:64].decode()
    try:
        return kept(f"{CACHE}/{identity}")
    except (OSError, Refused):
        from zipapp_unpack import unpack

        return unpack(archive, identity, text.decode().splitlines()[1:])


def kept(path: str) -> Tree:
    """The tree at `path`, held for as long as this process lives so that no other run prunes it. Raises `OSError` or `Refused`."""
    import fcntl

    check_own_directory(os.path.dirname(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return Tree(path)


def member(archive: str, name: str) -> bytes:
    """A file of the archive. Raises `OSError` where it has none of that name."""
    from zipimport import zipimporter

    data: bytes = zipimporter(archive).get_data(f"{archive}/{name}")
    return data
