"""One bundle within a run: the place and what is to be kept before the look, the archive and its line on stdout after the verdict.

Refuses to cost the verdict: whatever goes wrong here is told after it, with its own exit code.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Optional

import msgspec

from eniagent.cli.exit_codes import Code, UsageError, leading
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.cli.log import Log
from eniagent.cli.output import complain, say
from eniagent.edge.errors import AgentError
from eniagent.report.plain import plain, token

if TYPE_CHECKING:
    from eniagent.cli.diagnose import Answer
    from eniagent.cli.uploading import Upload
    from eniagent.edge.bundle_create import Written
    from eniagent.edge.bundle_kept import Kept
    from eniagent.edge.bundle_place import Place
    from eniagent.edge.settings import Settings
    from eniagent.model.finding import Diagnosis

CREATE_S, BESIDE_S = 120.0, 60.0
"""How long `bundle create` may take in all, and a bundle beside a diagnosis, where nobody said."""
LOOK_SHARE = 0.6
"""Of a deadline that was given for both, what the look may take."""


def check_redaction(settings: Settings, *, yes: bool) -> None:
    """Raises `UsageError` where a bundle would hold everything as it is and nobody confirmed it."""
    if settings.redact == "none" and not yes:
        raise UsageError("--redact none writes secrets and identities as they are; add --yes to confirm, or use --redact secrets")


def redacted(answer: Answer, settings: Settings) -> Diagnosis:
    """The answer as it is printed. What was redacted more strictly before stays told so."""
    from eniagent.edge.bundle_redaction import Redaction

    before = answer.looked.redaction if answer.looked is not None else ""
    strength = "secrets" if before == "identifiers" and settings.redact == "identifiers" else settings.redact
    if answer.looked is None or strength == "none":
        diagnosis = msgspec.structs.replace(answer.diagnosis, redaction=strength)
    else:
        by = Redaction(answer.looked.case, strength=strength, key=key_of(settings) if strength == "identifiers" else b"")
        diagnosis = by.diagnosis(answer.diagnosis)
        _keep(settings, by.mapping)
    return msgspec.structs.replace(diagnosis, redaction=before) if before in _STRICTER.get(diagnosis.redaction, ()) else diagnosis


def _keep(settings: Settings, mapping: dict[str, str]) -> None:
    """Remember what the printed names stand for. An answer is not withheld because they cannot be turned back later."""
    if mapping:
        from eniagent.edge import redaction_keys

        try:
            redaction_keys.remember(settings, mapping)
        except AgentError as error:
            complain(f"eniagent: {plain(str(error))}")


_STRICTER = {"none": ("secrets", "identifiers"), "secrets": ("identifiers",)}


def key_of(settings: Settings) -> bytes:
    """The key that pseudonyms are made with."""
    from eniagent.edge import redaction_keys

    return redaction_keys.key(settings)


class Bundling:
    """A bundle that is to be written in this run. `problem`: why it cannot be, known before the node was looked at.

    `upload_to`: where it is sent afterwards. Raises `TargetError` where that cannot work.
    """

    def __init__(self, settings: Settings, *, profile: str, log: Log, quiet: bool, upload_to: Optional[str] = None) -> None:
        from eniagent.edge.bundle_kept import Kept
        from eniagent.edge.bundle_place import Disk, choose
        from eniagent.edge.clock import Deadline

        self.settings = settings
        self._upload = _uploading(settings, upload_to, log=log) if upload_to is not None else None
        self._profile, self._log, self._quiet = profile, log, quiet
        self._is_locked, self._is_kept = False, True
        self.problem: Optional[AgentError] = None
        self.keeper: Optional[Kept] = None
        self.place: Optional[Place] = None
        self._whole: Optional[Deadline] = Deadline(settings.deadline_s) if settings.origin("deadline_s") != "default" else None
        try:
            self.place = choose(settings)
            self.keeper = Kept(self.place.spool, guard=Disk(self.place.spool).require)
        except AgentError as error:
            self.problem = error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the lock from before the look on. Raises what would keep the bundle from being written, where that is known already."""
        from eniagent.edge import bundle_place

        if self.problem is not None or self.place is None:
            raise self.problem or AgentError("no place for a bundle")
        with bundle_place.lock(self.place):
            self._is_locked = True
            yield

    @property
    def look_settings(self) -> Settings:
        """Settings of the look: where one deadline was given for all, a part of it."""
        if self._whole is None:
            return self.settings
        return msgspec.structs.replace(self.settings, deadline_s=max(0.5, self.settings.deadline_s * LOOK_SHARE))

    def finish(self, answer: Answer, *, live: bool, beside_s: float = BESIDE_S) -> tuple[Code, Optional[dict[str, Any]]]:
        """Write it. Returns the exit code and what the JSON tells of it. The answer's diagnosis has its ledger."""
        try:
            if self.problem is not None:
                raise self.problem
            written = self._write(answer, live=live, beside_s=beside_s)
        except AgentError as error:
            complain(f"eniagent: {plain(str(error))}")
            return Code(error.exit_code), None
        except OutOfTime:
            complain("eniagent: the bundle was not done long after its deadline, so it was given up; raise --deadline")
            return Code.BUNDLE_FAILED, None
        made = told(written, asked=self._profile)
        made["notes"] += [] if self._is_kept else ["its names cannot be turned back: this user may not keep the key of this node"]
        return leading([Code.DEADLINE] if written.partial else []), made

    def _remember(self, mapping: Mapping[str, str]) -> None:
        from eniagent.edge import redaction_keys

        self._is_kept = redaction_keys.remember(self.settings, mapping)

    def send(self, made: Optional[dict[str, Any]], *, aloud: bool = True) -> Code:
        """Upload what was written, where that was asked for. `aloud`: say before where it is, for the upload may take its time."""
        if self._upload is None or made is None:
            return Code.OK
        if aloud:
            say(f"bundle: written to {plain(made['path'], limit=400)}; it is being uploaded\n".encode("ascii"))
        from eniagent.cli.uploading import BESIDE_S as UPLOAD_S

        return self._upload.beside(made, limit_s=UPLOAD_S if self._whole is None else max(1.0, self._whole.remaining_s))

    def _write(self, answer: Answer, *, live: bool, beside_s: float) -> Written:
        from eniagent.edge import bundle_create, bundle_members, bundle_place
        from eniagent.edge.bundle_kept import Look
        from eniagent.edge.clock import Deadline
        from eniagent.sources import Span

        assert self.place is not None and self.keeper is not None and answer.looked is not None
        deadline, case = self._whole or Deadline(beside_s), answer.looked.case
        seen = list(answer.looked.looks) or self.keeper.looks[-1 - len(case.before) :] or [Look(Span(until=case.now.taken_at, since=case.now.since))]
        material = bundle_create.Material(case, answer.diagnosis, seen, live)
        wanted = bundle_create.Wanted(
            profile=bundle_members.PROFILES[self._profile], redact=self.settings.redact, options={"since_s": self.settings.since_s, "profile": self._profile}
        )
        if wanted.redact == "identifiers":
            wanted = msgspec.structs.replace(wanted, key=key_of(self.settings), remember=self._remember)
        progress = _Progress(quiet=self._quiet)
        lock = contextlib.nullcontext() if self._is_locked else bundle_place.lock(self.place)
        with lock, HardLimit(deadline.remaining_s * 1.25 + 10.0):
            try:
                written = bundle_create.create(material, wanted, place=self.place, settings=self.settings, deadline=deadline, progress=progress.show)
            finally:
                progress.end()
        self._log.event("bundle_written", path=written.archive.path, size_bytes=written.archive.size_bytes, profile=written.profile, partial=written.partial, removed=list(written.removed))
        return written


def _uploading(settings: Settings, to: str, *, log: Log) -> Upload:
    from eniagent.cli import uploading

    return uploading.Upload(settings, uploading.address_of(to, settings), log=log, wanted=uploading.wanted_of(settings))


def told(written: Written, *, asked: str) -> dict[str, Any]:
    """The bundle as the JSON tells it."""
    archive = written.archive
    return {
        "path": archive.path, "sha256": archive.sha256, "size_bytes": archive.size_bytes, "profile": written.profile, "asked": asked,
        "partial": written.partial or None, "notes": list(written.notes), "upload": "none",
    }  # fmt: skip


def bundle_line(bundle: dict[str, Any]) -> bytes:
    """The line on stdout that scripts look for, and one for each note."""
    more = "".join(f" {name}={token(str(bundle[name]), limit=40)}" for name in ("profile", "partial") if bundle[name])
    lines = [f"ENIAGENT-BUNDLE path={token(bundle['path'], limit=400)} sha256={bundle['sha256']} upload={bundle['upload']}{more}"]
    lines += [f"bundle: {plain(note, limit=300)}" for note in bundle["notes"]]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


class _Progress:
    """What is being packed, on a terminal alone."""

    def __init__(self, *, quiet: bool) -> None:
        self._wanted = not quiet and sys.stderr is not None and sys.stderr.isatty()
        self._shown = False

    def show(self, path: str) -> None:
        """The member at hand."""
        if self._wanted:
            sys.stderr.write(f"\r\x1b[Kbundle: {plain(path, limit=60)}")
            sys.stderr.flush()
            self._shown = True

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

