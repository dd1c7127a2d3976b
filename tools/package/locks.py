"""Locked sets of wheels, one for each CPython: read, fetched, made anew.

Refuses a wheel whose digest is not the locked one, and everything that would have to be compiled.
"""

from __future__ import annotations

import hashlib
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LOCKS = TOP / "packaging/locks"

TAGS = ("cp39", "cp310", "cp311", "cp312", "cp313")
ARCHITECTURES = ("x86_64", "aarch64")
GLIBC = (2, 28)
"""The oldest glibc that a locked wheel may ask for: Debian 10's; Amazon Linux 2023 has 2.34, Ubuntu 20.04 and Debian 11 have 2.31."""

NOT_CARRIED = ("markdown-it-py", "mdurl", "pygments", "rich")
"""typer draws its help with these where it finds them. The agent prints plain text, so they would only be more to patch."""

ARGUMENTS = ("--disable-pip-version-check", "--quiet", "--no-deps", "--only-binary=:all:")

ANYWHERE = ("--python-version=3.9", "--implementation=py", "--abi=none", "--platform=any")
"""pip's options for wheels that every Python takes: what builds our own wheel."""


class Locked(NamedTuple):
    """One wheel of a lock."""

    file: str
    sha256: str

    @property
    def name(self) -> str:
        """The project's name, in the form that indexes compare."""
        return re.sub(r"[-_.]+", "-", self.file.split("-")[0]).lower()

    @property
    def version(self) -> str:
        """The release."""
        return self.file.split("-")[1]

    @property
    def pure(self) -> bool:
        """Whether it runs anywhere."""
        return self.file.endswith("-none-any.whl")

    def fits(self, architecture: str) -> bool:
        """Whether it runs on that architecture."""
        return self.pure or self.file.endswith(f"_{architecture}.whl")


def read(tag: str) -> list[Locked]:
    """The wheels of `cp311` and its kin for all architectures, or of `build`, in name order. Raises `ValueError` on a line that is none."""
    found = []
    for line in (LOCKS / f"{tag}.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("#   "):
            file, _, digest = line[4:].partition("  sha256:")
            if not (file.endswith(".whl") and re.fullmatch("[0-9a-f]{64}", digest)):
                raise ValueError(f"{tag}.txt: {line}")
            found.append(Locked(file, digest))
    return found


def pick(tag: str, architecture: str) -> list[Locked]:
    """The wheels that one interpreter on one architecture gets."""
    return [wheel for wheel in read(tag) if wheel.fits(architecture)]


def render(tag: str, wheels: Iterable[Locked]) -> str:
    """A lock as text: a requirements file for `pip --require-hashes`, with the file of each digest above it."""
    lines = [
        f"# Locked wheels for {'building' if tag == 'build' else tag}; made by `python -m tools.package lock`.",
        f"# Not carried: {', '.join(NOT_CARRIED)} (typer uses them only where it finds them).",
    ]
    by_name: dict[str, list[Locked]] = {}
    for wheel in sorted(set(wheels)):
        by_name.setdefault(wheel.name, []).append(wheel)
    for name, files in sorted(by_name.items()):
        lines += [f"#   {wheel.file}  sha256:{wheel.sha256}" for wheel in files]
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in sorted({wheel.sha256 for wheel in files}))
        lines.append(f"{name}=={files[0].version} {hashes}")
    return "\n".join(lines) + "\n"


def digest_of(path: pathlib.Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(store: pathlib.Path, tags: Iterable[str] = (*TAGS, "build"), architectures: Iterable[str] = ARCHITECTURES) -> None:
    """Bring every wheel of these locks into `store`, where it is not there yet. Raises `CalledProcessError` or `ValueError`."""
    store.mkdir(parents=True, exist_ok=True)
    wanted = list(architectures)
    todo = []
    for tag in tags:
        if tag == "build":
            todo += [(tag, wanted[0])] if _missing(read(tag), store) else []
        else:
            todo += [(tag, architecture) for architecture in wanted if _missing(pick(tag, architecture), store)]
    with ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda pair: _download(pair[0], pair[1], store), todo):
            pass
    for tag in tags:
        for wheel in read(tag):
            if (tag == "build" or any(wheel.fits(architecture) for architecture in wanted)) and _missing([wheel], store):
                raise ValueError(f"{wheel.file}: not what the lock of {tag} says")


def _missing(wheels: Iterable[Locked], store: pathlib.Path) -> bool:
    return any(not (store / wheel.file).is_file() or digest_of(store / wheel.file) != wheel.sha256 for wheel in wheels)


def _platforms(architecture: str) -> list[str]:
    """pip's options for every manylinux that the oldest supported glibc runs."""
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(GLIBC[1], 16, -1)]
    tags += [f"manylinux2014_{architecture}"] + ([f"manylinux_2_{m}_x86_64" for m in (12, 5)] if architecture == "x86_64" else [])
    return [f"--platform={tag}" for tag in tags]


def _target(tag: str, architecture: str) -> list[str]:
    version = f"{tag[2]}.{tag[3:]}"
    return [f"--python-version={version}", "--implementation=cp", f"--abi={tag}", "--abi=abi3", "--abi=none", *_platforms(architecture)]


def _download(tag: str, architecture: str, store: pathlib.Path) -> None:
    """One run of pip, into a directory of its own: pip leaves files alone that have the right name and the wrong content."""
    with tempfile.TemporaryDirectory(dir=store) as place:
        target = list(ANYWHERE) if tag == "build" else _target(tag, architecture)
        words = [sys.executable, "-m", "pip", "download", *ARGUMENTS, "--require-hashes", *target, "-d", place]
        chosen = pathlib.Path(place, "requirements.txt")
        wheels = read(tag) if tag == "build" else pick(tag, architecture)
        chosen.write_text(render(tag, wheels), encoding="utf-8")
        subprocess.run([*words, "-r", str(chosen)], check=True, stdin=subprocess.DEVNULL)
        for file in pathlib.Path(place).glob("*.whl"):
            file.replace(store / file.name)


def resolve(uv: str) -> None:
    """Make every lock anew with the newest releases that `pyproject.toml` allows; `uv` is the resolver's command."""
    for tag in TAGS:
        pins = [_resolved(uv, tag, architecture) for architecture in ARCHITECTURES]
        with tempfile.TemporaryDirectory() as place:
            wheels = [wheel for pin, architecture in zip(pins, ARCHITECTURES) for wheel in _chosen(pin, _target(tag, architecture), pathlib.Path(place))]
        (LOCKS / f"{tag}.txt").write_text(render(tag, wheels), encoding="utf-8")
    # What builds our own wheel must run on the oldest Python that may build it.
    builders = _compiled(uv, ["-"], "3.9", "x86_64", given="hatchling>=1.21\n")
    with tempfile.TemporaryDirectory() as place:
        (LOCKS / "build.txt").write_text(render("build", _chosen(builders, list(ANYWHERE), pathlib.Path(place))), encoding="utf-8")


def _resolved(uv: str, tag: str, architecture: str) -> list[str]:
    pins = _compiled(uv, [str(TOP / "pyproject.toml")], f"{tag[2]}.{tag[3:]}", architecture)
    return [pin for pin in pins if pin.partition("==")[0] not in NOT_CARRIED]


def _compiled(uv: str, source: list[str], version: str, architecture: str, given: str = "") -> list[str]:
    words = [uv, "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary=:all:", f"--python-version={version}"]
    words += [f"--python-platform={architecture}-manylinux_{GLIBC[0]}_{GLIBC[1]}"]
    done = subprocess.run([*words, *source], input=given, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.split()


def _chosen(pins: list[str], target: list[str], place: pathlib.Path) -> list[Locked]:
    """The wheels that pip picks for these pins."""
    inner = pathlib.Path(tempfile.mkdtemp(dir=place))
    subprocess.run([sys.executable, "-m", "pip", "download", *ARGUMENTS, *target, "-d", str(inner), *pins], check=True, stdin=subprocess.DEVNULL)
    return [Locked(file.name, digest_of(file)) for file in sorted(inner.glob("*.whl"))]
