"""Builds eniagent.pyz: the stub, the sets of wheels, and the wheels themselves, as one zip that Python runs.

Refuses to look at a clock: members are sorted, and every one has the same time and mode.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import time
import zipfile

from tools.package.locks import ARCHITECTURES, TAGS, TOP, pick
from tools.package.wheels import Wheel

STUB = TOP / "packaging/zipapp"
HEAD = "head.sh"
"""What the file begins with: the shell runs it, and Python skips it."""

EARLIEST = 315532800
"""1980-01-01: zip knows no earlier time."""


def sets(own: Wheel) -> dict[str, str]:
    """Interpreter and architecture -> the set's text: its digest, then a line `sha256 file` for each wheel."""
    stub = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STUB.glob("*.py")))).hexdigest()
    made = {}
    for tag in TAGS:
        for architecture in ARCHITECTURES:
            wheels = [own.locked, *pick(tag, architecture)]
            lines = "".join(f"{wheel.sha256} {wheel.file}\n" for wheel in wheels)
            # The stub decides how a tree looks, so it is part of what names the tree.
            digest = hashlib.sha256(f"{stub}\n{tag}-{architecture}\n{lines}".encode()).hexdigest()
            made[f"{tag}-{architecture}"] = f"{digest}\n{lines}"
    return made


def build(target: pathlib.Path, *, own: Wheel, store: pathlib.Path, epoch: int) -> None:
    """Write the file. Source: PEP 441, with a few lines of shell for the one of the shebang."""
    members = {path.name: path.read_bytes() for path in STUB.glob("*.py")}
    members["LICENSE"] = (TOP / "LICENSE").read_bytes()
    members[f"wheels/{own.locked.file}"] = own.path.read_bytes()
    for name, text in sets(own).items():
        members[f"sets/{name}"] = text.encode()
    for tag in TAGS:
        for architecture in ARCHITECTURES:
            members.update({f"wheels/{wheel.file}": (store / wheel.file).read_bytes() for wheel in pick(tag, architecture)})
    at = time.gmtime(max(epoch, EARLIEST))[:6]
    with target.open("wb") as file:
        file.write((STUB / HEAD).read_bytes())
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in sorted(members.items()):
                info = zipfile.ZipInfo(name, at)
                info.external_attr = 0o100644 << 16
                info.create_system = 3
                archive.writestr(info, data)
    os.chmod(target, 0o755)
