"""Uploading: one file to one target, in one PUT or in parts, tried again while there is time, and verified.

Refuses to call anything delivered that was not answered with success, and what was asked to be proven and was not.
"""

from __future__ import annotations

from typing import Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.settings import Settings
from eniagent.edge.upload_errors import UploadFailed
from eniagent.edge.upload_file import Outgoing
from eniagent.edge.upload_put import LIMIT_BYTES, Proof, Put, check_times
from eniagent.edge.upload_retry import Pause, Tell, repeat
from eniagent.edge.upload_target import Target, TargetError

PART_BYTES = 16 << 20
CHECKSUM = ("auto", "required", "none")


class Wanted(msgspec.Struct, frozen=True):
    """How to upload. `checksum`: auto; required: an upload that cannot be verified has failed; none: no checksum header to plain https."""

    ca_file: Optional[str] = None
    kms_key: Optional[str] = None
    headers: tuple[tuple[str, str], ...] = ()
    checksum: str = "auto"
    part_bytes: int = PART_BYTES
    pause: Pause = Pause()


class Receipt(msgspec.Struct, frozen=True):
    """A delivery. `verified`: sha256, md5, size or no, and `detail` says why not more."""

    path: str
    to: str
    sha256: str
    size_bytes: int
    verified: str
    detail: str
    attempts: int
    took_s: float


def check(target: Target, wanted: Wanted) -> None:
    """Raises `TargetError` where such an upload can be known to be impossible before there is a file."""
    if target.is_s3:
        from eniagent.edge import upload_s3

        upload_s3.require()
        if wanted.headers:
            raise TargetError("--header goes with https:// addresses; with s3:// the SDK signs its own")
    elif wanted.kms_key is not None:
        raise TargetError("--kms-key goes with s3:// addresses; a presigned address is encrypted as it was signed")
    if wanted.ca_file is not None:
        from eniagent.edge.upload_put import trusted

        trusted(wanted.ca_file)


def upload(outgoing: Outgoing, target: Target, *, wanted: Wanted, settings: Settings, deadline: Deadline, tell: Tell) -> Receipt:
    """Deliver the file. Raises `UploadFailed`, `TargetError`."""
    begun_s = clock.ticks_s()
    attempts = 0
    if not target.is_s3:
        check_times(target)
        if outgoing.size_bytes > LIMIT_BYTES:
            raise UploadFailed("too-large", f"{outgoing.path} has {outgoing.size_bytes} bytes, and one PUT takes at most {LIMIT_BYTES}; nothing was sent")
    outgoing.digest(deadline=deadline, part_bytes=wanted.part_bytes)

    def once(number: int) -> Proof:
        nonlocal attempts
        attempts = number
        return put.send(outgoing, deadline=deadline)

    if target.is_s3:
        from eniagent.edge.upload_s3 import Bucket

        bucket = Bucket(target, settings, kms_key=wanted.kms_key, ca_file=wanted.ca_file, pause=wanted.pause, tell=tell)
        proof = bucket.send(outgoing, part_bytes=wanted.part_bytes, deadline=deadline)
        attempts = bucket.attempts
    else:
        put = Put(target, ca_file=wanted.ca_file, headers=dict(wanted.headers), checksums=wanted.checksum != "none")
        proof = repeat(once, deadline=deadline, pause=wanted.pause, tell=tell)
    if wanted.checksum == "required" and proof.by not in ("sha256", "md5"):
        raise UploadFailed("unverified", f"{target.shown} took it, but nothing proves what arrived: {proof.detail}", attempts=attempts)
    return Receipt(outgoing.path, target.shown, outgoing.sha256.hex(), outgoing.size_bytes, proof.by, proof.detail, attempts, round(clock.ticks_s() - begun_s, 2))
