"""The line of a failed sandbox taken apart: which sandbox, which pod, and the inner error text without its wrappings.

Refuses to judge the error: what it means is in `knowledge.signatures`. Works on bytes, and unescapes only what is kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from eniagent.knowledge.signatures import classify_failure

TEXT_LIMIT = 1000
"""Characters of an error text that are kept."""

SANDBOX = re.compile(rb"andbox (?:container )?\\*\"([0-9a-f]{64})\\*\"")
"""The id that stands in `network for sandbox "..."` and `sandbox container "..."`, not the one that a name is reserved for."""

TORN_DOWN = re.compile(rb"KillPodSandbox|StopPodSandbox|failed to teardown|failed to destroy network|Failed to destroy network|failed \(delete\)")
SET_UP = re.compile(rb"set ?up|CreatePodSandbox|reate sandbox|RunPod[Ss]andbox")
NO_NETWORK = b'err="network is not ready'

_LABEL, _UID = rb"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", rb"[0-9a-f]{8}[0-9a-f-]{24,28}"
_STRUCTURED = re.compile(rb" (?:pod|object)=\"(" + _LABEL + rb"/" + _LABEL + rb")\"")
_FULL = re.compile(rb"\"(" + _LABEL + rb")_(" + _LABEL + rb")\((" + _UID + rb")\)")
_SHORT = re.compile(rb"(?:set ?up pod|for|for pod) \\*\"(" + _LABEL + rb")_(" + _LABEL + rb")\\*\"")
_META = re.compile(rb"PodSandboxMetadata\{Name:([^,}]+),(?:Uid:([^,}]*),)?Namespace:([^,}]+)")
_OBJECT = re.compile(rb"Namespace:\"(" + _LABEL + rb")\", Name:\"(" + _LABEL + rb")\"")
_BARE = re.compile(rb"for pod \\*\"(" + _LABEL + rb")\\*\"")
_POD_UID = re.compile(rb"(?:podUID=\"?|UID:\"|\()(" + _UID + rb")[\")\s]?")

_WRAPPED = re.compile(rb"(?:etwork for sandbox |set ?up pod |using network plugins )(\\*)\"[^\"\\]+\\*\"(?: network)?: ")
_BEGINS = re.compile(rb"rpc error: ?code|network is not ready|Failed to setup network for pod")
_SECOND = re.compile(rb", failed to clean ?up sandbox container |; Skipping pod")
_QUOTE = re.compile(rb"(\\*)\"")
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r"}


class Pod(NamedTuple):
    """`key`: `namespace/name`, the bare name where no namespace stands in the line. `uid` b"": not told."""

    key: bytes
    uid: bytes


def pod_of(message: bytes) -> Optional[Pod]:
    """The pod that a line names, None where it names none."""
    found = _STRUCTURED.search(message)
    if found:
        return Pod(found[1], _uid(message))
    found = _FULL.search(message)
    if found:
        return Pod(found[2] + b"/" + found[1], found[3])
    found = _META.search(message)
    if found:
        return Pod(found[3] + b"/" + found[1], found[2] or b"")
    found = _SHORT.search(message)
    if found:
        return Pod(found[2] + b"/" + found[1], b"")
    found = _OBJECT.search(message)
    if found:
        return Pod(found[1] + b"/" + found[2], _uid(message))
    found = _BARE.search(message)
    return Pod(found[1], b"") if found else None


def _uid(message: bytes) -> bytes:
    found = _POD_UID.search(message)
    return found[1] if found else b""


def is_teardown(message: bytes) -> bool:
    """Whether the line tells that a sandbox could not be torn down: no failed attempt to get an address."""
    return TORN_DOWN.search(message) is not None and SET_UP.search(message) is None


class Tail(NamedTuple):
    """The inner error as it stands in the line. `levels`: how often Go's %q was applied to it."""

    text: bytes
    levels: int


def tail(message: bytes) -> Tail:
    """The inner error without the wrappings before and after it; of a line of unknown form, all after klog's header."""
    found = _WRAPPED.search(message)
    if found is not None:
        begin, depth = found.end(), len(found[1])
    else:
        begins = _BEGINS.search(message)
        if begins is None:
            begin = message.find(b"] ", 0, 120) + 2
            return Tail(message[begin : begin + 4 * TEXT_LIMIT], 0)
        begin, depth = begins.start(), _depth(message, begins.start())
    end = _end_of_text(message, begin, depth)
    return Tail(message[begin : min(end, begin + 4 * TEXT_LIMIT)], (depth + 1).bit_length() - 1)


def _depth(message: bytes, position: int) -> int:
    """How many backslashes a quote within the text at `position` carries: 0, 1, 3, 7 after 0 to 3 quotings."""
    quotes = list(_QUOTE.finditer(message, 0, position))
    if not quotes:
        return 0
    last = quotes[-1]
    opens = message[max(0, last.start() - 1) : last.start()] in (b"", b"=", b" ", b"(", b"[")
    return 2 * len(last[1]) + 1 if opens else len(last[1])


def _end_of_text(message: bytes, begin: int, depth: int) -> int:
    """Where the quote that encloses the text closes, or a second error begins."""
    second = _SECOND.search(message, begin)
    limit = second.start() if second else len(message)
    if depth:
        for quote in _QUOTE.finditer(message, begin, limit):
            if len(quote[1]) < depth:
                return quote.start()
    return limit


def plain(text: Tail) -> str:
    """A tail as people read it: every level of quoting undone, at most `TEXT_LIMIT` characters."""
    decoded = text.text.decode("utf-8", "replace")
    for _ in range(text.levels):
        decoded = _ESCAPE.sub(_unescape, decoded)
    return decoded.strip()[:TEXT_LIMIT]


def _unescape(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xu" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8) & 255)
    return _PLAIN.get(code, code)


class Kinds:
    """Signature of each distinct error text. Numbers and ids are put aside first, so that a storm costs one look-up a line."""

    __slots__ = ("_known",)

    _NUMBERS = re.compile(rb"[0-9a-f]{8,}(?:-[0-9a-f]{4,})*|[0-9]+")
    _LIMIT = 4096

    def __init__(self) -> None:
        self._known: dict[bytes, str] = {}

    def of(self, text: Tail) -> str:
        """The signature id of an inner error."""
        known = self._known.get(text.text)
        if known is not None:
            return known
        shape = self._NUMBERS.sub(b"0", text.text)
        known = self._known.get(shape)
        if known is None:
            known = classify_failure(plain(text))
            self._keep(shape, known)
        if len(self._known) < self._LIMIT // 2:
            self._keep(text.text, known)
        return known

    def _keep(self, text: bytes, signature: str) -> None:
        if len(self._known) >= self._LIMIT:
            self._known.clear()
        self._known[text] = signature
