"""Asks the AWS API, with boto3 from the extra `aws`: read-only operations, each bounded by its timeout and the run's deadline.

Refuses to change anything, to retry beyond the deadline, and to fail the run: a right that is absent, a missing credential or an
endpoint out of reach becomes a capture that says so, with the name of the right. Endpoints, proxies, credentials and certificates are
the SDK's own business and follow its own variables.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Optional

import msgspec

from eniagent import __version__
from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import AgentError, reason
from eniagent.edge.settings import Settings
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import AskAws
from eniagent.model.reading import Why
from eniagent.sources import Span

READ_ONLY = frozenset((("ec2", "DescribeSubnets"), ("ec2", "DescribeNetworkInterfaces"), ("ec2", "DescribeInstanceTypes"), ("cloudtrail", "LookupEvents")))
"""Every operation that can be asked for; no other leaves this module."""

CONNECT_SHARE = 0.25
ATTEMPTS = 2
NO_RIGHT = frozenset(("UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "NotAuthorized", "OptInRequired"))
NO_IDENTITY = frozenset(("AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "SignatureDoesNotMatch", "InvalidSignatureException"))


class AwsMissing(AgentError):
    """`--aws` was asked for and boto3 is not installed."""

    exit_code = 2


def require() -> None:
    """Raises `AwsMissing` where boto3 cannot be loaded."""
    try:
        import boto3  # noqa: F401 - asked for only to know whether it is there
    except ImportError as error:
        told = f"--aws needs boto3, which is not installed ({error})"
        raise AwsMissing(f"{told}; install the extra with: python3 -m pip install 'eniagent[aws]', or leave --aws out") from error


class Aws:
    """The API as one run asks it; safe to use from several threads."""

    def __init__(self, settings: Settings, span: Span) -> None:
        self._settings, self._span = settings, span
        self._lock = threading.Lock()
        self._session: Optional[Any] = None

    def ask(self, probe: AskAws, *, deadline: Deadline) -> Capture:
        """The answers to all requests as one JSON array. Never raises. What came before a failure is kept, the failure told."""
        at, began_s = clock.now(), clock.ticks_s()
        answers: list[Any] = []
        why, detail = None, ""
        ends = deadline.within(probe.timeout_s)
        try:
            client = self._client(probe, ends)
            for request in probe.requests:
                if ends.expired:
                    raise TimeoutError(f"{len(answers)} of {len(probe.requests)} requests answered in time")
                answers.append(self._call(client, probe, request))
        except Exception as error:  # noqa: BLE001 - botocore raises classes that it makes at run time
            why, detail = why_not(error, right=right_of(probe))
        if answers and why is not None:
            detail, why = f"{len(answers)} of {len(probe.requests)} requests were answered: {detail}", None
        about = Circumstances(
            probe=f"{right_of(probe)} in {probe.region}", file=probe.file, at=at, took_s=round(clock.ticks_s() - began_s, 3), failure=why, detail=detail
        )
        return Capture(about, b"" if why is not None else msgspec.json.encode(answers))

    def _call(self, client: Any, probe: AskAws, request: str) -> Any:
        arguments: dict[str, Any] = msgspec.json.decode(request)
        if probe.in_window:
            arguments["StartTime"] = self._since()
            arguments["EndTime"] = self._span.until
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in probe.operation).lstrip("_")
        answer = dict(getattr(client, method)(**arguments))
        answer.pop("ResponseMetadata", None)
        return answer

    def _since(self) -> datetime:
        return self._span.since or self._span.until - timedelta(hours=1)

    def _client(self, probe: AskAws, ends: Deadline) -> Any:
        """A client whose single attempts end in time. Making one is not safe in threads, so they are made in turn."""
        if (probe.service, probe.operation) not in READ_ONLY:
            raise ValueError(f"{probe.service}:{probe.operation} is none of the operations that may be asked")
        from botocore.config import Config

        # All attempts of all requests together end in time; several questions leave no time for a second attempt at each.
        attempts = ATTEMPTS if len(probe.requests) == 1 else 1
        each_s = max(ends.remaining_s, 0.1) / (len(probe.requests) * attempts)
        config = Config(
            connect_timeout=each_s * CONNECT_SHARE, read_timeout=each_s * (1 - CONNECT_SHARE),
            retries={"mode": "standard", "total_max_attempts": attempts}, user_agent_extra=f"eniagent/{__version__}",
        )
        with self._lock:
            self._session = self._session or new_session(self._settings)
            return self._session.client(probe.service, region_name=probe.region, config=config)


def new_session(settings: Settings) -> Any:
    """One session: credentials are looked up once. The instance's role is asked of the IMDS that the agent itself asks."""
    import boto3
    import botocore.session

    core = botocore.session.Session()
    core.set_config_variable("metadata_service_timeout", 1)
    core.set_config_variable("metadata_service_num_attempts", 1)
    if settings.origin("imds_url") != "default":
        core.set_config_variable("ec2_metadata_service_endpoint", settings.imds_url)
    return boto3.session.Session(botocore_session=core)


def right_of(probe: AskAws) -> str:
    """The IAM action that an operation needs."""
    return f"{probe.service}:{probe.operation}"


def why_not(error: Exception, *, right: str) -> tuple[Why, str]:
    """What an error of the SDK says: the reason, and words that name the right."""
    from botocore import exceptions as sdk

    if isinstance(error, sdk.ClientError):
        told = error.response.get("Error", {})
        code = str(told.get("Code", ""))
        if code in NO_RIGHT:
            return Why.FORBIDDEN, f"the right {right} is absent ({code})"
        if code in NO_IDENTITY:
            return Why.FORBIDDEN, f"the credentials are refused ({code}); {right} needs valid ones"
        return Why.REFUSED, f"{right} answered {code}: {str(told.get('Message', ''))[:200]}"
    if isinstance(error, (sdk.NoCredentialsError, sdk.PartialCredentialsError, sdk.CredentialRetrievalError, sdk.MetadataRetrievalError)):
        return Why.FORBIDDEN, f"no credentials: {right} needs the instance's role, or those of the SDK's variables"
    if isinstance(error, (sdk.ConnectTimeoutError, sdk.ReadTimeoutError)):
        return Why.TIMED_OUT, f"{right}: {_short(error)}"
    if isinstance(error, (sdk.ConnectionError, sdk.HTTPClientError)):
        return Why.REFUSED, f"{right}: {_short(error)}"
    if isinstance(error, sdk.BotoCoreError):
        return Why.MALFORMED, f"{right}: {type(error).__name__}: {_short(error)}"
    why, detail = reason(error)
    return why, f"{right}: {detail}"


def _short(error: Exception) -> str:
    return str(error).split("\n", 1)[0][:200]
