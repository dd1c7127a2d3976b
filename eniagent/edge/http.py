"""HTTP looks at ipamd: introspection and metrics, over TCP or a unix socket, within a deadline and a size.

Refuses to judge bodies: ipamd answers 200 to any path, so whether the bytes are an answer is for the sources to say.
"""

from __future__ import annotations

import http.client
import socket
from typing import Optional

from eniagent.edge import clock
from eniagent.edge.clock import Deadline
from eniagent.edge.errors import reason
from eniagent.edge.wire import Reply, Wire
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.probe import HttpGet
from eniagent.model.reading import Why


def get(probe: HttpGet, *, base_url: str, deadline: Deadline) -> Capture:
    """One GET. Failures are told apart: refused, timed out, forbidden, malformed (no HTTP, reset, 5xx), truncated.

    Bytes that came before a failure are kept. A 404 is an answer with a status, no failure.
    """
    at, began_s = clock.now(), clock.ticks_s()
    wire = Wire(base_url)
    body, status, why, detail = b"", None, None, ""
    try:
        reply = wire.ask("GET", path=probe.path, deadline=deadline.within(probe.timeout_s), limit_bytes=probe.limit_bytes)
        body, status = reply.body, reply.status
        why, detail = judge(reply)
    except (OSError, http.client.HTTPException) as error:
        why, detail = no_reply(error, base_url=base_url)
    finally:
        wire.close()
    about = Circumstances(
        probe=f"GET {probe.path}",
        file=probe.file,
        at=at,
        took_s=round(clock.ticks_s() - began_s, 4),
        status=status,
        failure=why,
        detail=detail,
        truncated=why is Why.TRUNCATED,
        size_bytes=len(body),
    )
    return Capture(about, body)


def judge(reply: Reply) -> tuple[Optional[Why], str]:
    """What is wrong with a reply that came, if anything."""
    if reply.timed_out:
        return Why.TIMED_OUT, reply.cut
    if reply.cut:
        return Why.TRUNCATED, reply.cut
    if reply.status in (401, 403):
        return Why.FORBIDDEN, f"HTTP {reply.status}"
    if reply.status >= 500 or 300 <= reply.status < 400 or reply.status < 200:
        return Why.MALFORMED, f"HTTP {reply.status}"
    return None, ""


def no_reply(error: BaseException, *, base_url: str) -> tuple[Why, str]:
    """Why a request got no reply at all."""
    where = base_url[7:] if base_url.startswith("http://") else base_url
    if isinstance(error, socket.timeout):
        return Why.TIMED_OUT, f"no reply from {where} in time"
    if isinstance(error, FileNotFoundError):
        return Why.REFUSED, f"no socket {where}"
    if isinstance(error, http.client.RemoteDisconnected):
        return Why.MALFORMED, f"{where} closed the connection without a reply"
    if isinstance(error, http.client.HTTPException):
        return Why.MALFORMED, f"{where} does not speak HTTP: {type(error).__name__}"
    why, text = reason(error)
    return why, f"{where}: {text}"
