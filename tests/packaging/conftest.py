"""Packages built once for all tests of a run, and ways to run them.

Refuses the checkout's dist/ and build/: what is tested is built here, but for the wheels, which are kept between runs.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import platform
import subprocess
import sys
import tarfile
from typing import NamedTuple, Optional

import pytest

from tools.package import __main__ as package
from tools.package import deb, locks, rpm, wheels

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
WORK = pathlib.Path("/var/tmp/eniagent-test-wheels")
HERE = platform.machine()


class Built(NamedTuple):
    """What one build made."""

    directory: pathlib.Path
    work: pathlib.Path

    @property
    def pyz(self) -> pathlib.Path:
        """The one file."""
        return self.directory / "eniagent.pyz"

    @property
    def sbom(self) -> pathlib.Path:
        """The bill of materials."""
        return self.directory / f"eniagent-{wheels.version()}.cdx.json"

    def deb(self, architecture: str = HERE, release: int = 1) -> pathlib.Path:
        """The deb of an architecture."""
        return self.directory / f"eniagent_{wheels.version()}-{release}_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[architecture]}.deb"

    def rpm(self, architecture: str = HERE, release: int = 1) -> pathlib.Path:
        """The rpm of an architecture."""
        return self.directory / f"eniagent-{wheels.version()}-{release}.{architecture}.rpm"


def run(*words: object, timeout_s: float = 120, environment: Optional[dict[str, str]] = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run to the end with hardly an environment; with `check`, what it said is in the failure."""
    done = subprocess.run(
        [str(word) for word in words],
        env={"PATH": PATH} if environment is None else environment,
        cwd="/usr/bin",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert not check or done.returncode == 0, f"{words} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    return done


@pytest.fixture(scope="session")
def store() -> pathlib.Path:
    """Every locked wheel."""
    WORK.mkdir(exist_ok=True)
    with open(WORK / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        locks.fetch(WORK / "wheels")
    return WORK / "wheels"


def make(store: pathlib.Path, place: pathlib.Path, kinds: list[str], architectures: list[str]) -> Built:
    """Build into `place`, as `make package` does."""
    work = place / "work"
    work.mkdir(parents=True)
    (work / "wheels").symlink_to(store)
    package.build(place / "dist", work, kinds, architectures)
    return Built(place / "dist", work)


@pytest.fixture(scope="session")
def built(store: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Everything for both architectures; and releases 2 of the packages for this one, to upgrade to."""
    made = make(store, tmp_path_factory.mktemp("built"), list(package.KINDS), list(locks.ARCHITECTURES))
    epoch = wheels.source_date_epoch()
    own = wheels.own(made.work / "wheels", epoch=epoch)
    pages = package._pages(made.work, own, epoch=epoch)
    rpm.build(made.directory, work=made.work, own=own, store=store, architecture=HERE, epoch=epoch, made=pages, release=2)
    deb.build(made.directory, work=made.work, own=own, store=store, architecture=HERE, epoch=epoch, made=pages, release=2)
    return made


def install(built: Built, place: pathlib.Path) -> pathlib.Path:
    """The same release installed with pip into a virtual environment; returns its command."""
    if not (place / "bin/eniagent").exists():
        run(sys.executable, "-m", "venv", place)
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        files = [built.work / "wheels" / wheel.file for wheel in locks.pick(tag, HERE)]
        own = next((built.work / "own").glob("*.whl"))
        run(place / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", own, *files, environment={"PATH": PATH, "HOME": str(place)})
    return place / "bin/eniagent"


@pytest.fixture(scope="session")
def sick(top: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Captures of a node whose role lacks a right."""
    place = tmp_path_factory.mktemp("sick")
    with tarfile.open(top / "tests/data/recordings/v1.15.5-iam-denied-create.tar.xz") as archive:
        archive.extractall(place)
    os.chmod(place, 0o755)
    return place
