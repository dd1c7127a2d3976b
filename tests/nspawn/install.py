"""Installs the checkout into a tree as the packages do: libraries below /opt/eniagent, the launcher, and what `systemd/` holds.

Refuses to download: the libraries are those of the Python that runs the tests, which must be of the tree's version.
"""

from __future__ import annotations

import importlib.metadata
import pathlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

TOP = pathlib.Path(__file__).resolve().parents[2]
LIB = "opt/eniagent/lib"
UNITS = "lib/systemd/system"


def needed(name: str, found: dict[str, importlib.metadata.Distribution]) -> None:
    """All distributions that `name` needs at run time, itself included, into `found`."""
    key = name.lower().replace("_", "-")
    if key in found:
        return
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return  # for another Python, or for an extra
    found[key] = distribution
    for requirement in distribution.requires or ():
        named = re.match(r"[A-Za-z0-9._-]+", requirement)
        if named is not None and "extra ==" not in requirement:
            needed(named[0], found)


def files_of(distribution: importlib.metadata.Distribution) -> Iterator[tuple[pathlib.Path, str]]:
    """A library's files and their places below the import path."""
    for file in distribution.files or ():
        if ".." not in file.parts and "__pycache__" not in file.parts:
            source = pathlib.Path(str(distribution.locate_file(file)))
            if source.is_file():
                yield source, str(file)


def install(root: pathlib.Path) -> None:
    """Everything into the tree. What runs there has still to be told: `systemd-sysusers`, `systemd-tmpfiles`, `daemon-reload`."""
    version = subprocess.run(["chroot", str(root), "/usr/bin/python3", "-IS", "-c", "import sys; print('cp%d%d' % sys.version_info[:2])"],
                             check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # fmt: skip
    if version != f"cp{sys.version_info[0]}{sys.version_info[1]}":
        raise RuntimeError(f"the tree's Python is {version}, and the libraries at hand are of another: run the tests with it")
    (root / LIB / version).mkdir(parents=True, exist_ok=True)
    common = root / LIB / "common"
    shutil.rmtree(common, ignore_errors=True)
    shutil.copytree(TOP / "eniagent", common / "eniagent", ignore=shutil.ignore_patterns("__pycache__"))
    found: dict[str, importlib.metadata.Distribution] = {}
    needed("eniagent", found)
    for name, distribution in found.items():
        for source, place in files_of(distribution) if name != "eniagent" else ():
            target = common / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    _install_rest(root)
    subprocess.run(["chroot", str(root), "/usr/bin/python3", "-IS", "-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", f"/{LIB}/common"], check=False)


def _install_rest(root: pathlib.Path) -> None:
    (root / "opt/eniagent/bin").mkdir(exist_ok=True)
    launcher = root / "opt/eniagent/bin/eniagent"
    shutil.copyfile(TOP / "packaging/launcher", launcher)
    launcher.chmod(0o755)
    command = root / "usr/bin/eniagent"
    command.unlink(missing_ok=True)
    command.symlink_to("/opt/eniagent/bin/eniagent")
    for path in sorted((TOP / "systemd").iterdir()):
        kind = path.suffix[1:]
        place = root / (f"usr/lib/{kind}.d/eniagent.conf" if kind in ("sysusers", "tmpfiles") else f"{UNITS}/{path.name}")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)


def remove(root: pathlib.Path) -> None:
    """Takes everything away that `install` put there; what the service wrote is for the caller to look at."""
    shutil.rmtree(root / "opt/eniagent")
    (root / "usr/bin/eniagent").unlink()
    for path in sorted((TOP / "systemd").iterdir()):
        kind = path.suffix[1:]
        (root / (f"usr/lib/{kind}.d/eniagent.conf" if kind in ("sysusers", "tmpfiles") else f"{UNITS}/{path.name}")).unlink()
