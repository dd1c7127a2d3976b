"""The tables from foreign errors to kinds of failure hold every exception that httpx and botocore can raise, and all that S3 documents."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from eniagent.edge.upload_errors import CODES, KINDS, SDK, STATUSES, TRANSPORT, UploadFailed, nearest, of_reply
from eniagent.edge.upload_outbox import NEVER, OF_ONE_FILE
from eniagent.edge.upload_target import parse
from tests.upload import sigv4


def below(kind: type[BaseException]) -> Iterator[type[BaseException]]:
    """A class and all that descend from it."""
    yield kind
    for child in kind.__subclasses__():
        yield from below(child)


def test_every_exception_of_the_libraries_has_its_kind() -> None:
    """None is told as a fault of the agent by omission."""
    import boto3  # noqa: F401 - brings exceptions of its own
    import botocore.exceptions
    import httpx

    transport = [kind for kind in below(httpx.TransportError) if kind.__module__.startswith("httpx")]
    assert [kind.__name__ for kind in transport if not any(each.__name__ in TRANSPORT for each in kind.__mro__)] == []
    sdk = [kind for kind in below(botocore.exceptions.BotoCoreError) if kind.__module__.startswith(("botocore", "boto3"))]
    assert [kind.__name__ for kind in sdk if nearest(SDK, kind.__new__(kind)) == "fault"] == []
    assert len(transport) > 12 and len(sdk) > 60
    assert nearest(TRANSPORT, KeyError("ours")) == "fault"


def test_tables_lead_to_kinds_and_every_kind_has_a_remedy() -> None:
    """No word without its entry."""
    assert set(CODES.values()) | set(STATUSES.values()) | set(TRANSPORT.values()) | set(SDK.values()) | NEVER | OF_ONE_FILE <= set(KINDS)
    assert all(kind.remedy and re.fullmatch(r"[a-z-]+", word) for word, kind in KINDS.items())


@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 432), *range(500, 512), 599, 999])
def test_no_status_but_success_is_success(status: int) -> None:
    """Each is a failure with a kind, whatever the body holds."""
    target = parse("https://host/k", name="n")
    for body in (b"", b"\xff\xfe<Code>", b"<Error><Code>Odd</Code></Error>", b"<html>" * 5000):
        failed = of_reply(status, {}, body, target=target)
        assert isinstance(failed, UploadFailed) and failed.exit_code == 6 and str(status) in failed.told
    assert failed.again == (status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505, 507, 511)) or (status == 511))


@pytest.mark.parametrize(
    ("status", "code", "message", "kind"),
    [
        (403, "AccessDenied", "Request has expired", "expired"),
        (403, "AccessDenied", "Access Denied", "denied"),
        (403, "AccessDenied", "Request is not yet valid", "clock"),
        (403, "AccessDenied", "User: arn is not authorized to perform: kms:GenerateDataKey on resource: key", "denied"),
        (403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large.", "clock"),
        (403, "SignatureDoesNotMatch", "The request signature we calculated does not match", "signature"),
        (403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", "signature"),
        (400, "ExpiredToken", "The provided token has expired.", "expired"),
        (400, "BadDigest", "The Content-MD5 or checksum value that you specified did not match what the server received.", "damaged"),
        (400, "RequestTimeout", "Your socket connection to the server was not read from or written to within the timeout period.", "timed-out"),
        (400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size", "too-large"),
        (400, "KMS.DisabledException", "key is disabled", "denied"),
        (404, "NoSuchBucket", "The specified bucket does not exist", "absent"),
        (301, "PermanentRedirect", "The bucket you are attempting to access must be addressed using the specified endpoint.", "redirect"),
        (412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", "exists"),
        (503, "SlowDown", "Please reduce your request rate.", "server"),
        (500, "InternalError", "We encountered an internal error. Please try again.", "server"),
        (501, "NotImplemented", "A header you provided implies functionality that is not implemented.", "refused"),
    ],
)
def test_what_s3_says_is_understood(status: int, code: str, message: str, kind: str) -> None:
    """Verbatim codes and texts. Source: Amazon S3 API reference, Error responses."""
    failed = of_reply(status, {}, sigv4.error(code, message), target=parse("https://host/k", name="n"))
    assert failed.kind == kind
    assert code in failed.told
