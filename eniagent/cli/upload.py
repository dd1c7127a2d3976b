"""`eniagent upload`: one bundle to an address, or all that wait in the outbox to theirs.

Refuses to remove anything: the local file stays, whether it arrived or not.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Callable, Optional

import typer

from eniagent.cli.exit_codes import Code, UsageError
from eniagent.cli.globals_ import Globals
from eniagent.cli.log import Log
from eniagent.cli.output import complain, say
from eniagent.edge.errors import AgentError
from eniagent.report.plain import plain

if TYPE_CHECKING:
    from eniagent.cli.uploading import Upload
    from eniagent.edge.history_outbox import Parcel
    from eniagent.edge.settings import Settings
    from eniagent.edge.upload import Receipt
    from eniagent.edge.upload_outbox import Outbox

Way = Callable[[str], "Upload"]
"""Makes the sender for an address."""


class Checksum(str, enum.Enum):
    """The words of `--checksum`."""

    AUTO = "auto"
    REQUIRED = "required"
    NONE = "none"


def upload(
    ctx: typer.Context,
    bundle: Annotated[Optional[str], typer.Argument(metavar="BUNDLE", help="The file to upload")] = None,
    to: Annotated[Optional[str], typer.Option("--to", metavar="URL", help="https:// (a presigned address in quotes), s3://BUCKET/PREFIX, or - to read it from stdin [upload_to]")] = None,
    outbox: Annotated[bool, typer.Option("--outbox", help="Upload what waits in the outbox and is due, instead of a file")] = False,
    ca_file: Annotated[Optional[str], typer.Option("--ca-file", metavar="FILE", help="Trust only the authorities in this PEM file [upload_ca_file, else the system's]")] = None,
    kms_key: Annotated[Optional[str], typer.Option("--kms-key", metavar="KEY", help="s3:// only: encrypt with this KMS key; aws: with the key AWS manages [upload_kms_key]")] = None,
    header: Annotated[Optional[list[str]], typer.Option("--header", metavar="NAME: VALUE", help="https:// only: send this header too, as a presigned address may ask for; repeatable")] = None,
    checksum: Annotated[Checksum, typer.Option("--checksum", help="required: fail when what arrived cannot be verified; none: send no checksum header to plain https")] = Checksum.AUTO,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Give up by then, for each file [900]")] = None,
) -> int:
    """Upload a bundle; exit code 6 when it did not arrive, with the path where it is kept. An upload is not resumed but begun anew."""
    from eniagent.cli import uploading

    given: Globals = ctx.obj
    settings = given.settings(deadline_s=deadline)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    if outbox == (bundle is not None):
        raise UsageError("name one BUNDLE, or give --outbox; see: eniagent upload --help")
    wanted = uploading.wanted_of(settings, ca_file=ca_file, kms_key=kms_key, headers=header or (), checksum=checksum.value)
    limit_s = settings.deadline_s if deadline is not None else uploading.UPLOAD_S
    way: Way = partial(uploading.Upload, settings, log=log, wanted=wanted, limit_s=limit_s)
    if bundle is None:
        if to is not None or header:
            raise UsageError("--outbox knows its addresses; leave --to and --header out")
        return _empty(settings, way)
    return _one(bundle, uploading.address_of(to, settings), way)


def _one(path: str, address: str, way: Way) -> int:
    """Send one file and say how it went."""
    from eniagent.cli.uploading import upload_line
    from eniagent.edge.upload_errors import UploadFailed
    from eniagent.edge.upload_target import bare

    sender = way(address)
    try:
        receipt = sender.send(path)
    except UploadFailed as failed:
        due_at = sender.complain(path, failed)
        say(upload_line(path, to=bare(address), upload="failed", reason=failed.kind, attempts=failed.attempts, next_try_at=due_at))
        return Code.UPLOAD_FAILED
    sender.settle(path)
    _say_arrived(receipt)
    return Code.OK


def _say_arrived(receipt: "Receipt") -> None:
    from eniagent.cli.uploading import upload_line

    say(upload_line(receipt.path, to=receipt.to, upload="ok", sha256=receipt.sha256, size_bytes=receipt.size_bytes, verified=receipt.verified, attempts=receipt.attempts, took_s=receipt.took_s))
    if receipt.detail:
        say(f"upload: {plain(receipt.detail, limit=300)}\n".encode("ascii"))


def _empty(settings: "Settings", way: Way) -> int:
    """Send all that wait and are due, one after the other."""
    from eniagent.edge import clock, upload_outbox

    codes, unreachable = [Code.OK], set[str]()
    with upload_outbox.only_one(settings), upload_outbox.opened(settings) as outbox:
        parcels = outbox.waiting() if outbox is not None else []
        for parcel in parcels:
            # What keeps one bundle from a target keeps the next one from it too; they stay due.
            if outbox is not None and parcel.target not in unreachable and upload_outbox.is_due(parcel, now=clock.now()):
                kind = _try(outbox, parcel, upload_outbox.whole(parcel, settings), way)
                codes.append(Code.UPLOAD_FAILED if kind else Code.OK)
                if kind and kind not in upload_outbox.OF_ONE_FILE:
                    unreachable.add(parcel.target)
        left = outbox.tidy() if outbox is not None else []
    due = min((parcel.next_try_at for parcel in left if parcel.next_try_at is not None), default=None)
    say(f"outbox: {len(left)} waiting{f', the next is due at {due:%Y-%m-%dT%H:%M:%SZ}' if due is not None else ''}\n".encode("ascii"))
    return max(codes)


def _try(outbox: "Outbox", parcel: "Parcel", address: str, way: Way) -> str:
    """One attempt at one parcel. Returns the kind of failure, "" where it arrived."""
    from eniagent.cli.uploading import upload_line
    from eniagent.edge import clock
    from eniagent.edge.upload_errors import UploadFailed

    try:
        receipt = way(address).send(parcel.path)
    except AgentError as failed:
        due_at = outbox.failed(parcel, failed, now=clock.now())
        kind, attempts = (failed.kind, failed.attempts) if isinstance(failed, UploadFailed) else ("unusable", 0)
        again = f"{due_at:%Y-%m-%dT%H:%M:%SZ}" if due_at is not None else ""
        told = f"due again at {again}" if again else "given up; upload it by hand"
        complain(f"eniagent: the upload failed: {plain(str(failed), limit=900)}")
        complain(f"eniagent: the bundle is kept at {plain(parcel.path)}; {told}" if isinstance(failed, UploadFailed) else f"eniagent: {plain(parcel.path)}: given up")
        say(upload_line(parcel.path, to=parcel.target, upload="failed" if again else "given-up", reason=kind, attempts=attempts, next_try_at=again))
        return kind
    outbox.delivered(parcel, receipt, now=clock.now())
    _say_arrived(receipt)
    return ""
