"""Bundles for tests: from recorded nodes, made in this process or by the real command, and what stands in them.

Refuses shortcuts of its own: what a test reads of an archive is read by tarfile, not by the code under test.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import tarfile
from typing import Any, Optional, Union

import msgspec

from eniagent.diagnose import diagnose
from eniagent.edge import archives, bundle_create, bundle_place
from eniagent.edge.bundle_kept import Look
from eniagent.edge.bundle_members import PROFILES, Profile
from eniagent.edge.clock import Deadline
from eniagent.edge.settings import Settings
from tests.cli.command import PATH, run

LINE = re.compile(rb"^ENIAGENT-BUNDLE path=(\S+) sha256=([0-9a-f]{64}) upload=none(.*)$", re.MULTILINE)


def settings_for(directory: pathlib.Path, **more: Any) -> Settings:
    """Settings whose bundles go to `directory`."""
    directory.mkdir(mode=0o700, exist_ok=True)
    return Settings(bundle_dir=str(directory), origins={"bundle_dir": "flag"}, **more)


def material_of(path: pathlib.Path) -> bundle_create.Material:
    """A recorded node's case, its diagnosis and its looks."""
    door = archives.open_path(str(path), since_s=3600.0)
    case = door.case()
    return bundle_create.Material(case, diagnose(case, with_ledger=True), [Look(opened.span, seen=opened.seen) for opened in door.series], False)


def make(path: pathlib.Path, into: pathlib.Path, *, profile: Union[str, Profile] = "case", redact: str = "secrets", deadline_s: float = 100.0) -> bundle_create.Written:
    """A bundle of captures, made in this process."""
    settings = settings_for(into)
    wanted = bundle_create.Wanted(profile=PROFILES[profile] if isinstance(profile, str) else profile, redact=redact, key=b"k" * 32)
    return bundle_create.create(material_of(path), wanted, place=bundle_place.choose(settings), settings=settings, deadline=Deadline(deadline_s))


def members(archive: str) -> dict[str, bytes]:
    """Member below the top directory -> content."""
    found = {}
    with tarfile.open(archive, "r:gz") as opened:
        for member in opened:
            content = opened.extractfile(member)
            assert content is not None, member.name
            found[member.name.partition("/")[2]] = content.read()
    return found


def create(directory: pathlib.Path, *words: str, environment: Optional[dict[str, str]] = None, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """`eniagent bundle create` with its bundles in `directory`."""
    directory.mkdir(mode=0o700, exist_ok=True)
    return run("bundle", "create", *words, environment={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(directory), **(environment or {})}, **more)


def told(stdout: bytes) -> tuple[str, str, str]:
    """Path, digest and what else the bundle's line says."""
    found = LINE.search(stdout)
    assert found is not None, stdout
    return found[1].decode(), found[2].decode(), found[3].decode()


def document(data: bytes) -> Any:
    """One JSON document."""
    return msgspec.json.decode(data)
