"""Wheels: our own built from the checkout, and what any wheel holds.

Refuses a wheel that wants to put files outside the import path: the packages know one place for libraries only.
"""

from __future__ import annotations

import email.parser
import io
import os
import pathlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from typing import NamedTuple, Optional

from tools.package.locks import TOP, Locked, digest_of, read

NOT_NEEDED = ("/tests/", ".pyi", ".pyx", ".pxd", ".c", ".h", ".dist-info/RECORD", ".dist-info/INSTALLER", ".dist-info/REQUESTED")
"""What libraries ship for their own development and for installers."""

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


class Member(NamedTuple):
    """One file of a wheel."""

    path: str
    data: bytes


class Wheel(NamedTuple):
    """A wheel on disk: what locks know of it, and where it is."""

    locked: Locked
    path: pathlib.Path

    @property
    def tree(self) -> Iterator[Member]:
        """The files that belong on the import path, in name order, without what nobody imports. Raises `ValueError` on any other."""
        with zipfile.ZipFile(io.BytesIO(self.path.read_bytes())) as archive:
            for name in sorted(archive.namelist()):
                if ".data/" in name or name.startswith(("/", "../")) or "/../" in name:
                    raise ValueError(f"{self.path.name}: {name} has no place on an import path")
                if not name.endswith("/") and not any(mark in name if mark.endswith("/") else name.endswith(mark) for mark in NOT_NEEDED):
                    yield Member(name, archive.read(name))

    @property
    def metadata(self) -> Message:
        """The METADATA file, as headers."""
        return email.parser.Parser().parsestr(self._of_info("METADATA") or "")

    @property
    def licences(self) -> list[Member]:
        """The texts of licences and notices that the wheel brings."""
        wanted = ("licen", "copying", "notice")
        return [member for member in self.tree if ".dist-info/" in member.path and any(word in member.path.lower() for word in wanted)]

    def _of_info(self, file: str) -> Optional[str]:
        for member in self.tree:
            if member.path.endswith(f".dist-info/{file}") and member.path.count("/") == 1:
                return member.data.decode("utf-8")
        return None


def stored(locked: Locked, store: pathlib.Path) -> Wheel:
    """A locked wheel that `fetch` brought."""
    return Wheel(locked, store / locked.file)


def own(store: pathlib.Path, *, epoch: int) -> Wheel:
    """Build eniagent's own wheel from the checkout: the same sources and `epoch` give the same bytes."""
    backend = os.pathsep.join(str(store / wheel.file) for wheel in read("build"))
    place = store.parent / "own"
    place.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {**kept, "PYTHONPATH": backend, "SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1"}
    words = [sys.executable, "-sS", "-c", BUILD, str(place)]
    done = subprocess.run(words, cwd=TOP, env=environment, check=True, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    path = place / done.stdout.split()[-1]
    return Wheel(Locked(path.name, digest_of(path)), path)


def version() -> str:
    """The version, from the one place that says it."""
    for line in (TOP / "eniagent/__init__.py").read_text(encoding="utf-8").splitlines():
        if line.startswith("__version__ = "):
            return line.split('"')[1]
    raise ValueError("eniagent/__init__.py says no version")


def source_date_epoch() -> int:
    """SOURCE_DATE_EPOCH, else the time of the newest commit, else hatchling's own fixed time."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return int(given)
    words = ["git", "-C", str(TOP), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    except FileNotFoundError:
        return 1580601600
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else 1580601600
