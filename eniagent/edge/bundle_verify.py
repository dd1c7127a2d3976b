"""Checks a bundle: digests, members against the manifest, size, leftovers of secrets, and whether its captures give the verdict it tells.

Refuses to stop at the first problem of the content; a container that is broken or hostile is refused by the door as a whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from eniagent import __version__
from eniagent.edge.archives import open_path
from eniagent.edge.archives_read import entries
from eniagent.edge.bundle_members import PROFILES
from eniagent.edge.bundle_place import DIGEST
from eniagent.edge.errors import CapturesError
from eniagent.edge.names import SAFE
from eniagent.redact import Scrubber

SUMS, MANIFEST, REPORT = "SHA256SUMS", "manifest.json", "report.json"
PAPERS = (SUMS, MANIFEST, REPORT, "REPORT.txt")
PAPER_BYTES = 64 << 20


class Checked(NamedTuple):
    """What a check found. `problems` is empty for a sound bundle; `notes` are no problems."""

    manifest: dict[str, Any]
    problems: list[str]
    notes: list[str]
    members: int
    size_bytes: int


class Read(NamedTuple):
    """One pass over an archive: digest and size of each member, the papers, and which members still hold what looks like a secret."""

    top: str
    digests: dict[str, tuple[str, int]]
    papers: dict[str, bytes]
    leftovers: dict[str, dict[str, int]]


def read(path: str, *, for_secrets: bool) -> Read:
    """Read a bundle once. Raises `CapturesError` where it is none, or is refused."""
    digests: dict[str, tuple[str, int]] = {}
    papers: dict[str, bytes] = {}
    leftovers: dict[str, dict[str, int]] = {}
    top = ""
    for number, entry in enumerate(entries(path)):
        if not number:
            top = entry.name.rpartition("/")[0]
        name = entry.name[len(top) + 1 :] if entry.name.startswith(f"{top}/") else entry.name
        kept = _Kept(limit_bytes=PAPER_BYTES if name in PAPERS else 0)
        if for_secrets:
            scrubber = Scrubber("secrets")
            for _ in scrubber.scrub_chunks(kept.of(entry.pieces), kind=name):
                continue
            if scrubber.counts:
                leftovers[name] = scrubber.counts
        for _ in kept.of(entry.pieces):
            continue
        digests[name] = (kept.digest.hexdigest(), kept.size)
        if name in PAPERS:
            papers[name] = b"".join(kept.data)
    if MANIFEST not in papers:
        raise CapturesError(f"{path}: is no eniagent bundle: no {MANIFEST} stands in it")
    return Read(top, digests, papers, leftovers)


class _Kept:
    """A stream's digest and size, and its beginning."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.digest, self.size, self.data = hashlib.sha256(), 0, [b""]
        self._left = limit_bytes

    def of(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.digest.update(piece)
            self.size += len(piece)
            if self._left > 0:
                self.data.append(piece[: self._left])
                self._left -= len(piece)
            yield piece


def manifest_of(path: str, found: Read) -> dict[str, Any]:
    """The bundle's manifest. Raises `CapturesError`."""
    try:
        document = msgspec.json.decode(found.papers[MANIFEST])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CapturesError(f"{path}: {MANIFEST} cannot be used: {error}") from error
    if not isinstance(document, dict) or not str(document.get("schema", "")).startswith("eniagent.bundle/"):
        raise CapturesError(f"{path}: is no eniagent bundle: {MANIFEST} is of another schema")
    return document


def verify(path: str) -> Checked:
    """Check everything. Raises `CapturesError` where the archive is none of ours or is refused."""
    found = read(path, for_secrets=True)
    manifest = manifest_of(path, found)
    size = os.stat(path).st_size
    problems = [*_digests(found), *_members(found, manifest), *_names(found), *_size(manifest, size), *_beside(path)]
    strength = manifest.get("redaction", {}).get("strength")
    notes = []
    if strength == "none":
        notes.append("not redacted: secrets were not looked for when it was made")
    else:
        problems += [f"{name}: still holds what looks like a secret: {', '.join(counts)}" for name, counts in sorted(found.leftovers.items())]
    if not problems:
        _same_verdict(path, manifest, found, problems=problems, notes=notes)
    return Checked(manifest, problems, notes, len(found.digests), size)


def _digests(found: Read) -> Iterator[str]:
    told = {}
    for line in found.papers.get(SUMS, b"").decode("utf-8", "surrogateescape").splitlines():
        digest, _, name = line.partition("  ")
        told[name] = digest
    if SUMS not in found.papers:
        yield f"{SUMS} is missing"
    for name, (digest, _) in sorted(found.digests.items()):
        if name != SUMS and told.pop(name, None) != digest:
            yield f"{name}: its digest is not the one that {SUMS} tells"
    yield from (f"{name}: {SUMS} tells of it, and it is missing" for name in sorted(told))


def _members(found: Read, manifest: dict[str, Any]) -> Iterator[str]:
    listed = {entry["path"]: entry for entry in manifest.get("members", []) if isinstance(entry, dict) and isinstance(entry.get("path"), str)}
    for name, (digest, size) in sorted(found.digests.items()):
        entry = listed.pop(name, None)
        if name in (SUMS, MANIFEST):
            continue
        if entry is None:
            yield f"{name}: the manifest does not list it"
        elif (entry.get("sha256"), entry.get("bytes_out")) != (digest, size):
            yield f"{name}: is not as the manifest tells"
    yield from (f"{name}: the manifest lists it, and it is missing" for name in sorted(listed))


def _names(found: Read) -> Iterator[str]:
    for name in sorted(found.digests):
        if any(not (c.isascii() and c.isalnum()) and c not in f"{SAFE}%" for c in name):
            yield f"{name!r}: is no name that every system takes"


def _size(manifest: dict[str, Any], size: int) -> Iterator[str]:
    profile = PROFILES.get(str(manifest.get("profile")))
    if profile is not None and size > profile.archive_bytes:
        yield f"is {size} bytes, more than the profile {profile.name} allows ({profile.archive_bytes})"


def _beside(path: str) -> Iterator[str]:
    """The digest beside it, where there is one."""
    try:
        with open(path + DIGEST, encoding="ascii", errors="replace") as file:
            told = file.read(200).split(" ")[0].strip()
    except OSError:
        return
    digest = hashlib.sha256()
    with open(path, "rb") as archive:
        for piece in iter(lambda: archive.read(1 << 20), b""):
            digest.update(piece)
    if digest.hexdigest() != told:
        yield f"its digest is not the one in {os.path.basename(path)}{DIGEST}"


def _same_verdict(path: str, manifest: dict[str, Any], found: Read, *, problems: list[str], notes: list[str]) -> None:
    """Diagnose the captures once more and compare with the report. Another release may judge otherwise, and a bundle without all may know less."""
    from eniagent.diagnose import diagnose

    if manifest.get("profile") == "report":
        notes.append("holds the report alone: its verdict cannot be made again")
        return
    report = msgspec.json.decode(found.papers.get(REPORT, b"{}"))
    again = diagnose(open_path(path, since_s=3600.0).case())
    told = (report.get("verdict"), [cause.get("code") for cause in report.get("causes", [])])
    made = (again.verdict.value, [cause.code for cause in again.causes])
    if told == made:
        notes.append("its captures give the verdict that it tells")
    elif manifest.get("agent", {}).get("version") != __version__:
        notes.append(f"this release reads its captures as {made[0]} {made[1]}; it was told as {told[0]} {told[1]}")
    elif manifest.get("incomplete"):
        notes.append(f"not all captures are in it: they give {made[0]} {made[1]}, it tells {told[0]} {told[1]}")
    else:
        problems.append(f"its captures give {made[0]} {made[1]}, and it tells {told[0]} {told[1]}")
