"""An upload to s3://bucket/prefix with the node's role, through boto3 from the extra `aws`: in parts, each with its SHA-256.

Refuses to leave parts behind: an upload that does not come to its end, an interruption included, is aborted, and is not resumed later.
Credentials are the SDK's own business. The object appears only when all parts are known to be what was read at first.
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import Any, Callable, TypeVar

from eniagent import __version__
from eniagent.edge.aws import new_session
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import AgentError
from eniagent.edge.settings import Settings
from eniagent.edge.upload_errors import UploadFailed, of_sdk
from eniagent.edge.upload_file import Outgoing, b64
from eniagent.edge.upload_proxy import LOCAL
from eniagent.edge.upload_put import CONNECT_S, SILENCE_S, Proof
from eniagent.edge.upload_retry import Pause, Tell, repeat
from eniagent.edge.upload_target import Target, TargetError

T = TypeVar("T")

PARTS, LIMIT_BYTES = 10_000, 5 << 40
"""S3's limits. Source: Amazon S3 user guide, Multipart upload limits."""
ABORT_S = 10.0


class SdkMissing(AgentError):
    """An s3:// address was given and boto3 is not installed."""

    exit_code = 2


def require() -> None:
    """Raises `SdkMissing` where boto3 cannot be loaded."""
    try:
        import boto3  # noqa: F401 - asked for only to know whether it is there
    except ImportError as error:
        told = f"s3:// needs boto3, which is not installed ({error})"
        raise SdkMissing(f"{told}; install the extra with: python3 -m pip install 'eniagent[aws]', or give a presigned https:// address") from error


class Bucket:
    """The way to one object. `attempts`: the most that any one request took."""

    def __init__(self, target: Target, settings: Settings, *, kms_key: Any, ca_file: Any, pause: Pause, tell: Tell) -> None:
        self._target, self._ca_file, self._pause, self._tell = target, ca_file, pause, tell
        self._place = {"Bucket": target.bucket, "Key": target.key}
        self._encryption: dict[str, str] = {}
        if kms_key is not None:
            self._encryption = {"ServerSideEncryption": "aws:kms", **({} if kms_key == "aws" else {"SSEKMSKeyId": kms_key})}
        self.attempts = 0
        # The SDK asks the metadata service through whatever proxy the environment names, and the answer is the role's credentials.
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), *LOCAL)))
        self._session = new_session(settings)
        self._region = ""

    def send(self, outgoing: Outgoing, *, part_bytes: int, deadline: Deadline) -> Proof:
        """Deliver it. Raises `UploadFailed`, `TargetError`."""
        if outgoing.size_bytes > min(LIMIT_BYTES, PARTS * part_bytes):
            raise UploadFailed("too-large", f"{outgoing.path} has {outgoing.size_bytes} bytes, more than {PARTS} parts of {part_bytes}", remedy="write a smaller bundle with --profile mini")
        about = {"ContentType": "application/gzip", "Metadata": {"sha256": outgoing.sha256.hex()}, **self._encryption}
        if len(outgoing.parts) == 1:
            checksum, answer = self._send_whole(outgoing, about, part_bytes=part_bytes, deadline=deadline)
        else:
            checksum, answer = self._send_parts(outgoing, about, part_bytes=part_bytes, deadline=deadline)
        return self._verify(outgoing, checksum, answer, deadline=deadline)

    def _send_whole(self, outgoing: Outgoing, about: dict[str, Any], *, part_bytes: int, deadline: Deadline) -> tuple[str, dict[str, Any]]:
        checksum, body = b64(outgoing.sha256), outgoing.part(1, part_bytes=part_bytes)
        about = {**about, "ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum}
        return checksum, self._ask("s3:PutObject", deadline, lambda s3: self._same(s3.put_object(**self._place, **about, Body=body), body))

    def _send_parts(self, outgoing: Outgoing, about: dict[str, Any], *, part_bytes: int, deadline: Deadline) -> tuple[str, dict[str, Any]]:
        begun = self._ask("s3:PutObject", deadline, lambda s3: s3.create_multipart_upload(**self._place, **about, ChecksumAlgorithm="SHA256"))
        number = {"UploadId": begun["UploadId"]}
        done = False
        try:
            parts = [self._send_part(outgoing, each, number, part_bytes=part_bytes, deadline=deadline) for each in range(1, len(outgoing.parts) + 1)]
            answer = self._ask("s3:PutObject", deadline, lambda s3: s3.complete_multipart_upload(**self._place, **number, MultipartUpload={"Parts": parts}))
            done = True
        except UploadFailed as failed:
            if failed.kind != "absent" or failed.attempts == 1 or not self._stands(outgoing, deadline):
                raise
            # The answer to an earlier attempt got lost on its way: the upload is complete, so S3 knows it no more.
            answer, done = {}, True
        finally:
            if not done:
                self._abort(number)
        return f"{b64(hashlib.sha256(b''.join(outgoing.parts)).digest())}-{len(outgoing.parts)}", answer

    def _send_part(self, outgoing: Outgoing, each: int, number: dict[str, str], *, part_bytes: int, deadline: Deadline) -> dict[str, Any]:
        body, checksum = outgoing.part(each, part_bytes=part_bytes), b64(outgoing.parts[each - 1])
        about = {**self._place, **number, "PartNumber": each, "ChecksumAlgorithm": "SHA256", "ChecksumSHA256": checksum}
        answer = self._ask("s3:PutObject", deadline, lambda s3: self._same(s3.upload_part(**about, Body=body), body))
        return {"PartNumber": each, "ETag": answer["ETag"], "ChecksumSHA256": checksum}

    def _same(self, answer: dict[str, Any], body: bytes) -> dict[str, Any]:
        """S3 itself checks the SHA-256 of each body; servers that only speak like it may just repeat the header. Their ETag is an MD5."""
        etag = str(answer.get("ETag", "")).strip('"')
        comparable = re.fullmatch(r"[0-9a-f]{32}", etag) and not str(answer.get("ServerSideEncryption", "")).startswith("aws:kms") and not self._target.bucket.endswith("--x-s3")
        if comparable and etag != hashlib.md5(body, usedforsecurity=False).hexdigest():
            raise UploadFailed("damaged", f"{self._target.shown}: the ETag is not the MD5 of what was sent")
        return answer

    def _stands(self, outgoing: Outgoing, deadline: Deadline) -> bool:
        """Whether exactly this file stands there."""
        try:
            found = self._head(deadline)
        except UploadFailed:
            return False
        return bool(found.get("ContentLength") == outgoing.size_bytes and (found.get("Metadata") or {}).get("sha256") == outgoing.sha256.hex())

    def _abort(self, number: dict[str, str]) -> None:
        """Give up the parts. It has a time of its own, for the deadline may be what ended the upload."""
        try:
            self._ask("s3:AbortMultipartUpload", Deadline(ABORT_S), lambda s3: s3.abort_multipart_upload(**self._place, **number))
        except UploadFailed as failed:
            remedy = "a lifecycle rule (AbortIncompleteMultipartUpload) removes them"
            self._tell("parts_left", to=self._target.shown, upload_id=number["UploadId"], why=failed.told, remedy=remedy)

    def _verify(self, outgoing: Outgoing, checksum: str, answer: dict[str, Any], *, deadline: Deadline) -> Proof:
        """HEAD where that is allowed, else what the upload itself was answered."""
        try:
            found, asked = self._head(deadline), True
        except UploadFailed:
            # To write needs no right to read. What S3 said to the upload itself is as good a witness.
            found, asked = answer, False
        told = str(found.get("ChecksumSHA256") or "")
        size = found.get("ContentLength", outgoing.size_bytes)
        if size != outgoing.size_bytes or (told and told.split("-")[0] != checksum.split("-")[0]):
            raise UploadFailed("damaged", f"{self._target.shown} holds {size} bytes with the checksum {told or 'unknown'}; sent were {outgoing.size_bytes} with {checksum}")
        if told:
            return Proof("sha256")
        return Proof("size", "S3 tells no checksum") if asked else Proof("no", "HEAD is not allowed (s3:GetObject), and S3 told no checksum")

    def _head(self, deadline: Deadline) -> dict[str, Any]:
        return self._ask("s3:GetObject", deadline, lambda s3: s3.head_object(**self._place, ChecksumMode="ENABLED"))

    def _ask(self, right: str, deadline: Deadline, call: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        """One request, tried again while that makes sense."""

        def once(number: int) -> dict[str, Any]:
            self.attempts = max(self.attempts, number)
            if deadline.expired:
                raise UploadFailed("timed-out", f"{self._target.shown}: the deadline came before all was sent", again=False)
            try:
                return dict(call(self._client(deadline)))
            except AgentError:
                raise
            except Exception as error:  # noqa: BLE001 - botocore raises classes that it makes at run time
                raise of_sdk(error, target=self._target, right=right) from error

        return repeat(once, deadline=deadline, pause=self._pause, tell=self._tell)

    def _client(self, deadline: Deadline) -> Any:
        """A client whose one attempt ends in time. Credentials are kept by the session."""
        from botocore.config import Config

        left_s = max(0.05, deadline.remaining_s)
        config = Config(
            connect_timeout=min(CONNECT_S, left_s), read_timeout=min(SILENCE_S, left_s), retries={"mode": "standard", "total_max_attempts": 1},
            user_agent_extra=f"eniagent/{__version__}",
        )  # fmt: skip
        self._region = self._region or self._session.region_name or self._own_region()
        client = self._session.client("s3", region_name=self._region, config=config, verify=self._ca_file)
        if not client.meta.endpoint_url.startswith("https://"):
            raise TargetError("the endpoint that the SDK was given for S3 is plain http, which would show the bundle to everyone on the way; give its https:// address")
        return client

    def _own_region(self) -> str:
        """The node's, of IMDS. Where that does not answer, S3 itself says where a bucket is, and the SDK signs anew."""
        from botocore.utils import IMDSRegionProvider

        return IMDSRegionProvider(self._session._session).provide() or "us-east-1"
