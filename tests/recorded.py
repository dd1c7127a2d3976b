"""The recordings that the project keeps: where they are, what is true of them, and how to unpack one."""

from __future__ import annotations

import functools
import json
import pathlib
import tarfile
from typing import Any

TESTS = pathlib.Path(__file__).resolve().parent
KEPT = TESTS / "data" / "recordings"
SHIPPED = TESTS.parent / "eniagent" / "demo" / "recordings"


@functools.lru_cache(maxsize=1)
def truths() -> dict[str, dict[str, Any]]:
    """Recording -> what is true of it."""
    loaded: dict[str, dict[str, Any]] = json.loads((KEPT / "truth.json").read_text(encoding="utf-8"))
    return loaded


def packed(name: str) -> pathlib.Path:
    """The archive of a recording, wherever it is kept: what the demo ships is not kept twice."""
    for directory in (SHIPPED, KEPT):
        path = directory / f"{name}.tar.xz"
        if path.exists():
            return path
    raise FileNotFoundError(name)


def unpack(name: str, target: pathlib.Path) -> pathlib.Path:
    """The recording's series of captures directories, as files below `target`."""
    with tarfile.open(packed(name), "r:xz") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or member.name.startswith(("/", "..")):
                raise ValueError(f"{name}: unexpected member {member.name}")
            path = target / member.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
    return target
