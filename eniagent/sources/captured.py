"""From a capture to its bytes, or to the reason why there are none.

Refuses to know any format: what the bytes mean is the business of the source that asked for them.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Optional, TypeVar

import msgspec

from eniagent.model.capture import CaptureCut, Circumstances, Seen
from eniagent.model.reading import Observed, Reading, Unobserved, Why

T = TypeVar("T")

Whole = msgspec.Meta(ge=-(1 << 53), le=1 << 53)
"""Bound of every whole number on the wire: beyond it no JSON tool agrees on the value, and no counter of ours gets there."""

_EXIT_WHY = {126: Why.FORBIDDEN, 127: Why.NOT_INSTALLED}


class Malformed(ValueError):
    """Bytes that are not what the source prints. The text names the thing that is wrong."""


class Unusable(Exception):
    """A capture that is absent, failed or was cut: `why` and `detail` become the reading."""

    def __init__(self, why: Why, detail: str = "") -> None:
        super().__init__(f"{why.value}: {detail}")
        self.why = why
        self.detail = detail


def body(seen: Seen, *, file: str) -> bytes:
    """The whole content of one capture. Raises `Unusable`."""
    capture = seen.get(file)
    if capture is None:
        raise Unusable(Why.NOT_COLLECTED)
    refusal = failure(capture.about)
    if refusal is not None:
        raise refusal
    try:
        return capture.body()
    except CaptureCut as cut:
        raise Unusable(cut.why, cut.detail) from cut


def failure(about: Circumstances) -> Optional[Unusable]:
    """What the circumstances say against the content; None where nothing does."""
    if about.failure is not None:
        return Unusable(about.failure, about.detail)
    refusal = _status_refusal(about) or _exit_refusal(about)
    if refusal is None and about.truncated:
        return Unusable(Why.TRUNCATED, about.detail or "the end was not kept")
    return refusal


def _status_refusal(about: Circumstances) -> Optional[Unusable]:
    if about.status is None or about.status < 100 or 200 <= about.status < 300:
        return None
    why = Why.FORBIDDEN if about.status in (401, 403) else Why.MALFORMED
    return Unusable(why, " ".join(filter(None, (f"HTTP {about.status}", about.detail))))


def _exit_refusal(about: Circumstances) -> Optional[Unusable]:
    # Some manifests put a command's exit code under "status"; no HTTP status is below 100.
    code = about.exit if about.exit is not None else about.status if about.status is not None and about.status < 100 else 0
    if code == 0:
        return None
    return Unusable(_EXIT_WHY.get(code, Why.MALFORMED), " ".join(filter(None, (f"exit {code}", about.detail))))


def reading(seen: Seen, *, file: str, source: str, decode: Callable[[bytes], T]) -> Reading[T]:
    """The reading of a source that stands in one file."""
    capture = seen.get(file)
    at = capture.about.at if capture is not None else None
    try:
        return Observed(value=decode(body(seen, file=file)), source=source, at=at)
    except Unusable as error:
        return Unobserved(why=error.why, source=source, at=at, detail=error.detail)
    except Malformed as error:
        return Unobserved(why=Why.MALFORMED, source=source, at=at, detail=str(error))


def below(seen: Seen, directory: str) -> list[str]:
    """The files seen below a directory of the captures, in name order."""
    return sorted(file for file in seen if file.startswith(f"{directory}/"))


def json_value(data: bytes) -> Any:
    """One JSON document. Raises `Malformed`."""
    if not data.strip():
        raise Malformed("empty")
    # Until msgspec 0.21, thus on Python 3.9, its errors are no ValueErrors.
    try:
        return msgspec.json.decode(data)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error


def last_json_value(data: bytes) -> Any:
    """The last of one or more JSON documents: log collectors append each run's answer to the same file.

    Raises `Malformed`, also when the last document is incomplete: an older one would pass for the present state.
    """
    try:
        return json_value(data)
    except Malformed:
        if not data.lstrip().startswith((b"{", b"[", b'"')):
            raise
        return json_value(_last_document(data))


def _last_document(data: bytes) -> bytes:
    text = data.decode("utf-8", "surrogateescape").strip()
    decoder, start = json.JSONDecoder(), 0
    try:
        while True:
            _, end = decoder.raw_decode(text, start)
            rest = text[end:].lstrip()
            if not rest:
                return text[start:].encode("utf-8", "surrogateescape")
            start = len(text) - len(rest)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON: {error}") from error


def shaped(value: Any, kind: type[T], *, what: str) -> T:
    """`value` as the wire struct `kind`. Raises `Malformed` naming `what` and the place in it."""
    try:
        return msgspec.convert(value, kind)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(f"{what}: {error}") from error


def object_of(value: Any, *, what: str) -> dict[str, Any]:
    """`value` as a JSON object. Raises `Malformed`."""
    if not isinstance(value, dict):
        raise Malformed(f"{what}: an object was expected, not {kind_of(value)}")
    return value


def list_of(value: Any, *, what: str) -> list[Any]:
    """`value` as a JSON array. Raises `Malformed`."""
    if not isinstance(value, list):
        raise Malformed(f"{what}: an array was expected, not {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    """The JSON word for a value's type."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def as_text(value: Any) -> str:
    """A setting as text: booleans as Go prints them, lists comma-joined, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(as_text(item) for item in value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def shown(data: bytes, *, limit: int = 60) -> str:
    """The beginning of some bytes, fit for a sentence."""
    text = data[: limit * 4].decode("utf-8", "replace").strip()
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean[:limit]
