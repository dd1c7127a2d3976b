"""Creates a bundle: one archive that tells the verdict the node gave, within its budgets of bytes, time and disk.

Refuses to fail where less would do: when the disk is short it falls back to `mini`, then to the report alone, and says so each time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

import msgspec

from eniagent.edge.bundle_captures import Captures
from eniagent.edge.bundle_extras import add_extras, add_windows
from eniagent.edge.bundle_history import add_history
from eniagent.edge.bundle_kept import Look
from eniagent.edge.bundle_members import CASE, MINI, REPORT, Member, Members, Profile, Progress
from eniagent.edge.bundle_place import BundleError, Disk, DiskShort, Place, eviction_threshold, retain, write_error
from eniagent.edge.bundle_redaction import Redaction
from eniagent.edge.bundle_report import add_reports, bundle_name, manifest, report_text
from eniagent.edge.bundle_write import SUMS, Archive, sums, write
from eniagent.edge.clock import Deadline
from eniagent.edge.deflated import packed
from eniagent.edge.settings import Settings
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Observed
from eniagent.model.snapshot import Case

WRITE_SHARE, WRITE_S = 0.15, 8.0
"""Kept back of the deadline for putting the archive together."""


class Material(NamedTuple):
    """What a bundle is made of. `diagnosis` with its ledger; `looks` oldest first, the last one *now*; `live`: this node, to be looked at further."""

    case: Case
    diagnosis: Diagnosis
    looks: list[Look]
    live: bool


class Wanted(msgspec.Struct, frozen=True):
    """How a bundle is asked for. `key`: what pseudonyms are made with, for `identifiers`."""

    profile: Profile = CASE
    redact: str = "secrets"
    key: bytes = b""
    options: Mapping[str, Any] = {}
    remember: Optional[Callable[[Mapping[str, str]], object]] = None
    """Told pseudonym -> original before the archive gets its name: what nobody could turn back must not leave the node."""


class Written(NamedTuple):
    """A bundle on disk. `partial`: what cut it short, "" where nothing did. `removed`: older bundles that had to go."""

    archive: Archive
    profile: str
    partial: str
    notes: tuple[str, ...]
    removed: tuple[str, ...]
    redactions: dict[str, int]


def create(material: Material, wanted: Wanted, *, place: Place, settings: Settings, deadline: Deadline, progress: Optional[Progress] = None) -> Written:
    """Write one bundle; the caller holds the lock. Raises `BundleError`, and then nothing of it is left on disk."""
    notes: list[str] = []
    disk = Disk(place.directory, threshold=eviction_threshold(material.looks[-1].seen))
    gather = deadline.before_end(min(WRITE_S, WRITE_SHARE * deadline.remaining_s))
    for look in material.looks:
        if look.deadline is not None:
            look.deadline.extend(gather.remaining_s)
    for profile in (wanted.profile, *(less for less in (MINI, REPORT) if less.archive_bytes < wanted.profile.archive_bytes)):
        try:
            return _create(material, wanted, profile, place=place, settings=settings, disk=disk, deadline=gather, notes=notes, progress=progress)
        except DiskShort as short:
            notes.append(f"no room for the profile {profile.name}: {short}")
    raise BundleError(f"{place.directory}: {notes[-1]}; make room or name another directory with bundle_dir")


def _create(
    material: Material, wanted: Wanted, profile: Profile, *, place: Place, settings: Settings, disk: Disk, deadline: Deadline, notes: list[str],
    progress: Optional[Progress],
) -> Written:
    """One attempt in one profile. Raises `DiskShort`."""
    redaction = Redaction(material.case, strength=wanted.redact, key=wanted.key)
    members = Members(profile, redaction=redaction, place=place, disk=disk, deadline=deadline, progress=progress or _silent)
    try:
        redaction.learn(material.looks)
        told = redaction.diagnosis(material.diagnosis)
        add_reports(members, told, case=material.case)
        incomplete = _gather(material, members, settings) if profile.name != REPORT.name else ["captures"]
        name = bundle_name(told, profile=profile.name)
        kept = [*notes, *_notes(members)]
        _add_papers(members, told, name=name, notes=kept, options=wanted.options, incomplete=incomplete)
        disk.require(sum(member.body.spool.size for member in members.members))
        if wanted.remember is not None:
            wanted.remember(redaction.mapping)
        archive = write(members.members, place=place, name=name, taken_at=told.taken_at)
        gone = retain(place, settings, newest=archive.path)
        return Written(archive, profile.name, members.partial, tuple(kept), tuple(gone), redaction.counts)
    except OSError as error:
        raise write_error(error, path=place.directory) from error
    finally:
        members.drop()


def _silent(_path: str) -> None:
    return


def _gather(material: Material, members: Members, settings: Settings) -> list[str]:
    """Captures, then what a person may want besides. Returns the captures that are there in part or not at all."""
    captures = Captures(members, material.case, material.diagnosis, looks=material.looks)
    captures.add()
    if material.live:
        span = material.looks[-1].span
        add_history(members, settings, span, captures=captures.newest)
        add_extras(members, settings, span, captures=captures.newest, links=_links(material.case))
        add_windows(members, settings, span)
    return captures.incomplete


def _links(case: Case) -> tuple[str, ...]:
    """Links of ENIs: those that carry the MAC of one."""
    links, metadata = case.now.links, case.now.metadata
    if not isinstance(links, Observed) or not isinstance(metadata, Observed):
        return ()
    macs = {eni.mac for eni in metadata.value.enis}
    return tuple(sorted(link.name for link in links.value if link.mac in macs))[:16]


def _notes(members: Members) -> list[str]:
    notes = []
    if members.partial:
        notes.append(f"partial: the {members.partial} came first; what is missing is named")
    return notes


def _add_papers(members: Members, told: Diagnosis, *, name: str, notes: list[str], options: Mapping[str, Any], incomplete: list[str]) -> None:
    """REPORT.txt, manifest.json and SHA256SUMS, in this order: each names those that were there before it."""
    made = {"source": "eniagent", "state": "made"}
    members.add_made("REPORT.txt", report_text(told, members=members, name=name, notes=notes), told=made)
    members.add_made("manifest.json", manifest(told, members=members, name=name, notes=notes, options=options, incomplete=incomplete), told={})
    body = packed([sums(members.members)], members.spool, guard=members.guard)
    members.members.append(Member(SUMS, body, {}))
