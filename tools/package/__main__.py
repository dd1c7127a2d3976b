"""`python -m tools.package build|lock`: builds all packages into dist/, or makes the locks anew.

Refuses to build anything from what is not locked.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from tools.package import deb, locks, rpm, sbom, tree, wheels, zipapp

KINDS = ("pyz", "deb", "rpm", "sbom")


def build(target: pathlib.Path, work: pathlib.Path, kinds: list[str], architectures: list[str]) -> list[pathlib.Path]:
    """Build these kinds for these architectures; returns the files. Raises what the tools raise."""
    store, epoch = work / "wheels", wheels.source_date_epoch()
    locks.fetch(store)
    own = wheels.own(store, epoch=epoch)
    target.mkdir(parents=True, exist_ok=True)
    made = []
    if "pyz" in kinds:
        zipapp.build(target / "eniagent.pyz", own=own, store=store, epoch=epoch)
        made.append(target / "eniagent.pyz")
    if "sbom" in kinds:
        made.append(sbom.build(target, own=own, store=store, epoch=epoch))
    if {"deb", "rpm"} & set(kinds):
        made += _packages(target, work, own, kinds, architectures, epoch=epoch)
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(made))
    (target / "SHA256SUMS").write_text(lines, encoding="ascii")
    return made


def _packages(target: pathlib.Path, work: pathlib.Path, own: wheels.Wheel, kinds: list[str], architectures: list[str], *, epoch: int) -> list[pathlib.Path]:
    pages, store = _pages(work, own, epoch=epoch), work / "wheels"
    builders = {"deb": deb.build, "rpm": rpm.build}
    wanted = [(builders[kind], architecture) for architecture in architectures for kind in builders if kind in kinds]
    with ThreadPoolExecutor(2) as pool:  # nearly all of it is compression, in processes of their own
        jobs = [pool.submit(one, target, work=work, own=own, store=store, architecture=given, epoch=epoch, made=pages) for one, given in wanted]
        return [job.result() for job in jobs]


def _pages(work: pathlib.Path, own: wheels.Wheel, *, epoch: int) -> dict[str, bytes]:
    """Pages as a tree for the Python that builds gives them: one for another architecture cannot be run here."""
    import platform

    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    root = tree.fresh(work / "pages")
    tree.lay_out_libraries(root, own=own, store=work / "wheels", tags=(tag,), architecture=platform.machine())
    return tree.pages(root, epoch=epoch)


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build into dist/")
    building.add_argument("--target", type=pathlib.Path, default=locks.TOP / "dist")
    building.add_argument("--work", type=pathlib.Path, default=locks.TOP / "build")
    building.add_argument("--only", action="append", choices=KINDS, help="one kind; may be given again")
    building.add_argument("--architecture", action="append", choices=locks.ARCHITECTURES, help="one architecture; may be given again")
    locking = commands.add_parser("lock", help="make the locks anew with uv")
    locking.add_argument("--uv", default="uv")
    given = parser.parse_args(arguments)
    if given.command == "lock":
        locks.resolve(given.uv)
        return 0
    kinds = given.only or list(KINDS)
    missing = {"deb": "dpkg-deb", "rpm": "rpmbuild"}
    for kind in kinds:
        if kind in missing and not shutil.which(missing[kind]):
            sys.stderr.write(f"{missing[kind]} is missing (Debian: apt-get install dpkg rpm), or leave out what needs it with --only\n")
            return 1
    made = build(given.target.resolve(), given.work.resolve(), kinds, given.architecture or list(locks.ARCHITECTURES))
    sys.stdout.write("".join(f"{path.stat().st_size / 1e6:8.2f} MB  {path.name}\n" for path in made))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
