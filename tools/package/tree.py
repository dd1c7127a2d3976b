"""The tree that the deb and the rpm install: libraries for each interpreter under /opt/eniagent, and what belongs beside them.

Refuses compiled files: they are made on the node by the Python that is there.
"""

from __future__ import annotations

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tools.package.locks import TOP, Locked, pick
from tools.package.wheels import Wheel, stored

PACKAGING = TOP / "packaging"
SYSTEMD = TOP / "systemd"
UNIT_KINDS = (".service", ".socket", ".timer", ".path", ".slice", ".target")


class Place(NamedTuple):
    """Where a system keeps what differs between the families."""

    units: str
    doc: str = "usr/share/doc/eniagent"


def gzipped(data: bytes) -> bytes:
    """The same bytes in, the same bytes out: no name, no time."""
    return gzip.compress(data, 9, mtime=0)


def write(path: pathlib.Path, data: bytes, *, mode: int = 0o644) -> None:
    """A file with a fixed mode below directories with a fixed mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def shared(tags: Sequence[str], architecture: str) -> set[Locked]:
    """The wheels that are the same for each of several interpreters."""
    return set() if len(tags) == 1 else set.intersection(*(set(pick(tag, architecture)) for tag in tags))


def lay_out_libraries(root: pathlib.Path, *, own: Wheel, store: pathlib.Path, tags: Sequence[str], architecture: str) -> list[Wheel]:
    """`/opt/eniagent/lib`: `common` for all interpreters, `cp311` and its kin for what differs. Returns the wheels laid out."""
    lib = root / "opt/eniagent/lib"
    common = shared(tags, architecture)
    laid = [own, *(stored(wheel, store) for wheel in sorted(common))]
    for wheel in laid:
        _unpack(wheel, lib / "common")
    for tag in tags:
        for locked in pick(tag, architecture):
            if locked not in common:
                wheel = stored(locked, store)
                _unpack(wheel, lib / tag)
                laid.append(wheel)
        (lib / tag).mkdir(exist_ok=True)
    return laid


def _unpack(wheel: Wheel, place: pathlib.Path) -> None:
    for path, data in wheel.tree:
        # A script among the libraries is imported, never run by its name.
        write(place / path, data)


def pages(root: pathlib.Path, *, epoch: int) -> dict[str, bytes]:
    """The man page, the completion and the default configuration, as the laid out program itself gives them."""
    lib = root / "opt/eniagent/lib"
    path = [str(lib / f"cp{sys.version_info[0]}{sys.version_info[1]}"), str(lib / "common"), str(TOP)]
    environment = {"PYTHONPATH": os.pathsep.join(path), "SOURCE_DATE_EPOCH": str(epoch), "PYTHONDONTWRITEBYTECODE": "1"}
    made = {}
    for kind in ("man", "completion", "config"):
        words = [sys.executable, "-sS", "-m", "tools.package.pages", kind]
        made[kind] = subprocess.run(words, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL).stdout
    return made


def lay_out_rest(root: pathlib.Path, *, made: dict[str, bytes], place: Place) -> None:
    """The launcher, the command, pages, configuration and what `systemd/` holds."""
    write(root / "opt/eniagent/bin/eniagent", (PACKAGING / "launcher").read_bytes(), mode=0o755)
    command = root / "usr/bin/eniagent"
    command.parent.mkdir(parents=True, exist_ok=True)
    command.symlink_to("/opt/eniagent/bin/eniagent")
    write(root / "usr/share/man/man1/eniagent.1.gz", gzipped(made["man"]))
    write(root / "usr/share/bash-completion/completions/eniagent", made["completion"])
    write(root / "etc/eniagent/config.toml", made["config"])
    for source, target in systemd_files(place.units):
        write(root / target, source.read_bytes())


def systemd_files(units: str) -> list[tuple[pathlib.Path, str]]:
    """What `systemd/` holds, and where it goes: units by their suffix, sysusers and tmpfiles by their name. Raises `ValueError` on others."""
    found = []
    for path in sorted(SYSTEMD.rglob("*")) if SYSTEMD.is_dir() else []:
        told = str(path.relative_to(SYSTEMD))
        if path.is_dir() or path.suffix == ".md":
            continue
        if path.suffix in UNIT_KINDS or ".d/" in told.replace("sysusers.d/", "").replace("tmpfiles.d/", ""):
            found.append((path, f"{units}/{told}"))
        elif re.search(r"sysusers|tmpfiles", told):
            kind = "sysusers" if "sysusers" in told else "tmpfiles"
            found.append((path, f"usr/lib/{kind}.d/eniagent.conf"))
        else:
            raise ValueError(f"systemd/{told}: the packages know no place for it")
    return found


def unit_names() -> list[str]:
    """The units that may run by themselves, for scriptlets: all but templates."""
    return [path.name for path, _ in systemd_files("") if path.suffix in UNIT_KINDS and "@" not in path.name]


def script(path: pathlib.Path) -> str:
    """A scriptlet with the shared functions put in."""
    functions = (PACKAGING / "scripts/functions.sh").read_text(encoding="utf-8").replace("@UNITS@", " ".join(unit_names()))
    return path.read_text(encoding="utf-8").replace("@FUNCTIONS@", functions.rstrip())


def fix(root: pathlib.Path, *, epoch: int) -> None:
    """The same modes and times whatever the umask and the clock of the machine that builds."""
    for path in [*root.rglob("*"), root]:
        if path.is_symlink():
            os.utime(path, (epoch, epoch), follow_symlinks=False)
            continue
        if path.is_dir():
            path.chmod(0o755)
        os.utime(path, (epoch, epoch))


def fresh(path: pathlib.Path) -> pathlib.Path:
    """An empty directory."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def files(root: pathlib.Path) -> Iterable[pathlib.Path]:
    """Everything below the root that is no directory, in name order."""
    return sorted(path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
