"""The recordings that come with the package: their list, and one of them unpacked with its times moved to now.

Refuses to unpack anything but regular files below the target directory.
"""

from __future__ import annotations

import io
import json
import pathlib
import pkgutil
import posixpath
import tarfile
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from eniagent.demo.shift import Shift

DEFAULT = "subnet-exhausted"
MANIFEST = "manifest.json"


class Scenario(msgspec.Struct, frozen=True):
    """One recorded node that can be replayed."""

    name: str
    recording: str
    what: str


class UnknownScenario(Exception):
    """A name that is no scenario's."""


class Look(NamedTuple):
    """The newest look of an unpacked recording: its directory, and what its manifest says of each file."""

    directory: pathlib.Path
    taken_at: datetime
    told: dict[str, dict[str, Any]]

    def body(self, file: str) -> bytes:
        """The captured bytes, empty where the file was not captured."""
        path = self.directory / file
        return path.read_bytes() if path.is_file() else b""

    def failure(self, *files: str) -> str:
        """The failure that the manifest tells of all of these files, "" where one of them worked."""
        failures = [str(self.told.get(file, {}).get("failure", "")) for file in files]
        return failures[0] if all(failures) else ""


def scenarios() -> list[Scenario]:
    """All scenarios, the default first."""
    return msgspec.json.decode(_resource("scenarios.json"), type=list[Scenario])


def find(name: str) -> Scenario:
    """The scenario of that name, or of that recording's name. Raises `UnknownScenario`."""
    for scenario in scenarios():
        if name in (scenario.name, scenario.recording):
            return scenario
    known = ", ".join(scenario.name for scenario in scenarios())
    raise UnknownScenario(f"{name!r} is no scenario; there are: {known}")


def unpack(scenario: Scenario, target: pathlib.Path, *, now: datetime) -> Look:
    """The recording below `target`, as a series of captures directories that ends now."""
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(_resource(f"recordings/{scenario.recording}.tar.xz")), mode="r:xz") as archive:
        for member in archive:
            name = posixpath.normpath(member.name)
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or name.startswith(("/", "..")):
                raise ValueError(f"{scenario.recording}: {member.name} is no file of a recording")
            members[name] = content.read()
    newest = max(posixpath.dirname(name) for name in members if posixpath.basename(name) == MANIFEST)
    shift = Shift(_taken_at(members[f"{newest}/{MANIFEST}"]), now)
    for name, data in members.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shift.apply(data))
    return open_look(target / newest)


def open_look(directory: pathlib.Path) -> Look:
    """One captures directory with its manifest."""
    manifest = json.loads((directory / MANIFEST).read_bytes())
    told = {entry["file"]: entry for entry in manifest["captures"]}
    return Look(directory, _taken_at((directory / MANIFEST).read_bytes()), told)


def _taken_at(manifest: bytes) -> datetime:
    # Python 3.9 and 3.10 do not read the Z of a time.
    return datetime.fromisoformat(json.loads(manifest)["taken_at"].replace("Z", "+00:00"))


def _resource(name: str) -> bytes:
    data = pkgutil.get_data("eniagent.demo", name)
    if data is None:
        raise FileNotFoundError(name)
    return data
