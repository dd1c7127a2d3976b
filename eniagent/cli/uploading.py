"""One upload within a run, for every command that makes one: the address checked beforehand, the file sent, the outcome told.

Refuses to tell of success before it is known, and to lose sight of the file: whatever fails, its path is printed and it stays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Optional

import msgspec

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.cli.log import Log
from eniagent.cli.output import complain
from eniagent.edge.errors import AgentError
from eniagent.report.plain import plain, token

if TYPE_CHECKING:
    from eniagent.edge.settings import Settings
    from eniagent.edge.upload import Receipt, Wanted
    from eniagent.edge.upload_errors import UploadFailed

UPLOAD_S = 900.0
"""How long an upload may take where nobody said."""
BESIDE_S = 300.0
"""How long the upload of a bundle that the same run wrote may take, where nobody said."""
GRACE_S = 5.0
"""Beyond the deadline, for a server that drips its answer."""
ADDRESS_BYTES = 16384


class Upload:
    """One way to send. `address` is a secret. Raises `TargetError` where it, or what was given with it, cannot work."""

    def __init__(self, settings: Settings, address: str, *, log: Log, wanted: Wanted, limit_s: float = UPLOAD_S) -> None:
        from eniagent.edge import upload, upload_target

        upload.check(upload_target.parse(address, name="bundle.tar.gz"), wanted)
        self._settings, self._address, self._log, self._wanted, self._limit_s = settings, address, log, wanted, limit_s

    def send(self, path: str) -> Receipt:
        """Send one file. Raises `UploadFailed`, `FileError`, `TargetError`."""
        from eniagent.edge import upload, upload_target
        from eniagent.edge.clock import Deadline
        from eniagent.edge.upload_errors import UploadFailed
        from eniagent.edge.upload_file import Outgoing

        deadline = Deadline(self._limit_s)
        with Outgoing(path) as outgoing:
            target = upload_target.parse(self._address, name=outgoing.name)
            try:
                with HardLimit(self._limit_s + GRACE_S):
                    receipt = upload.upload(outgoing, target, wanted=self._wanted, settings=self._settings, deadline=deadline, tell=self._tell)
            except OutOfTime:
                raise UploadFailed("timed-out", f"{target.shown}: not done {GRACE_S:g} s after the deadline", again=False) from None
        self._log.event("bundle_uploaded", **msgspec.structs.asdict(receipt))
        return receipt

    def _tell(self, event: str, **data: Any) -> None:
        if event == "parts_left":
            complain(f"eniagent: parts of the upload may be left at {data['to']} (upload {plain(data['upload_id'], limit=80)}): {data['why']}; {data['remedy']}")
        self._log.event(event, **data)

    def beside(self, made: dict[str, Any], *, limit_s: float) -> Code:
        """Send a bundle that this run wrote, and enter the outcome in what is told of it."""
        self._limit_s = limit_s
        try:
            self.send(made["path"])
        except AgentError as failed:
            made["upload"] = "failed"
            self.complain(made["path"], failed)
            return Code.UPLOAD_FAILED
        made["upload"] = "ok"
        return Code.OK

    def complain(self, path: str, failed: AgentError) -> str:
        """Say on stderr what failed, where the file is and what comes next. Returns when it is tried again, "" for never."""
        from eniagent.edge.upload_errors import UploadFailed

        complain(f"eniagent: the upload failed: {plain(str(failed), limit=900)}")
        if not isinstance(failed, UploadFailed):
            return ""
        self._log.event("upload_failed", path=path, reason=failed.kind, detail=failed.told, attempts=failed.attempts)
        due_at, why = self._leave(path, failed)
        later = f"it is in the outbox, due again at {due_at} (eniagent upload --outbox)" if due_at else f"it will not be tried again by itself: {why}"
        complain(f"eniagent: the bundle is kept at {plain(path)}; {plain(later, limit=600)}")
        return due_at

    def _leave(self, path: str, failed: UploadFailed) -> tuple[str, str]:
        """Put it into the outbox. Returns when it is due, or why it is not there."""
        from eniagent.edge import clock, upload_outbox

        if failed.kind in upload_outbox.NEVER:
            return "", "another attempt would fail likewise"
        why = upload_outbox.why_not_kept(self._address, self._wanted, self._settings)
        if why:
            return "", why
        try:
            with upload_outbox.opened(self._settings, create=True) as outbox:
                assert outbox is not None
                due_at = outbox.post(os.path.abspath(path), address=self._address, failed=failed, now=clock.now())
        except AgentError as error:
            return "", f"the outbox cannot be written ({error})"
        return f"{due_at:%Y-%m-%dT%H:%M:%SZ}", ""

    def settle(self, path: str) -> None:
        """Take out of the outbox what has arrived now."""
        from eniagent.edge import upload_outbox

        try:
            with upload_outbox.opened(self._settings) as outbox:
                if outbox is not None:
                    outbox.settle(os.path.abspath(path), address=self._address)
        except AgentError as error:
            self._log.event("outbox_unreadable", why=str(error))


def address_of(to: Optional[str], settings: Settings) -> str:
    """Where to: as given, read from stdin for `-`, else as configured. Raises `UsageError` where nothing says."""
    if to == "-":
        to = sys.stdin.readline(ADDRESS_BYTES).strip() if sys.stdin is not None else ""
    address = to or settings.upload_to
    if not address:
        raise UsageError("the address is missing: give https://HOST/PATH, a presigned address in quotes, s3://BUCKET/PREFIX, or set upload_to")
    return address


def wanted_of(settings: Settings, *, ca_file: Optional[str] = None, kms_key: Optional[str] = None, headers: Sequence[str] = (), checksum: str = "auto") -> Wanted:
    """How to upload: what stands on the command line, else in the configuration. Raises `TargetError`."""
    from eniagent.edge.upload import Wanted

    given: tuple[tuple[str, str], ...] = ()
    if headers:
        from eniagent.edge.upload_put import header

        given = tuple(map(header, headers))
    return Wanted(ca_file=ca_file or settings.upload_ca_file, kms_key=kms_key or settings.upload_kms_key, headers=given, checksum=checksum)


def upload_line(path: str, *, to: str, upload: str, **more: object) -> bytes:
    """The line on stdout that scripts look for."""
    rest = "".join(f" {name}={token(str(value), limit=100)}" for name, value in more.items() if value not in (None, ""))
    return f"ENIAGENT-UPLOAD path={token(path, limit=160)} to={token(to, limit=160)} upload={upload}{rest}\n".encode("ascii")
