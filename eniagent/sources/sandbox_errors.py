"""The line of a failed sandbox taken apart: which sandbox, which pod, and the inner error text without its wrappings.

Refuses to judge the error: what it means is in `knowledge.signatures`. Works on bytes, and unescapes only what is kept.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from eniagent.knowledge.signatures import classify_failure

TEXT_LIMIT = 1000
"""Characters of an error text that are kept."""

_ID_AFTER = (b"etwork for sandbox ", b"andbox container ", b"andbox \\", b"andbox \"")
_HEX = frozenset(b"0123456789abcdef")

_SET_UP = re.compile(rb"set ?up|CreatePodSandbox|reate sandbox|RunPod[Ss]andbox")
NO_NETWORK = b'err="network is not ready'

_LABEL, _UID = rb"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", rb"[0-9a-f]{8}[0-9a-f-]{24,28}"
_FULL = re.compile(rb"\"(" + _LABEL + rb")_(" + _LABEL + rb")\((" + _UID + rb")\)")
_SHORT = re.compile(rb"(?:set ?up pod|for|for pod) \\*\"(" + _LABEL + rb")_(" + _LABEL + rb")\\*\"")
_META = re.compile(rb"PodSandboxMetadata\{Name:([^,}]+),(?:Uid:([^,}]*),)?Namespace:([^,}]+)")
_OBJECT = re.compile(rb"(?: object=\"|Namespace:\")(" + _LABEL + rb")(?:/|\", Name:\")(" + _LABEL + rb")\"")
_BARE = re.compile(rb"for pod \\*\"(" + _LABEL + rb")\\*\"")
_POD_UID = re.compile(rb"UID(?:=\"?|:\")(" + _UID + rb")")

_WRAPPERS = (b"etwork for sandbox ", b"set up pod ", b"setup pod ", b"network plugins ")
_WRAPPED = re.compile(rb"(\\*)\"[^\"\\]+\\*\"(?: network)?: ")
_BEGINS = re.compile(rb"(?=rpc error: ?code|network is not ready|Failed to setup network for pod)")
_ERROR = re.compile(rb" err(?:or)?=\"")
_SECOND = (b", failed to clean up sandbox container ", b", failed to cleanup sandbox container ", b"; Skipping pod")
_QUOTE = re.compile(rb"(\\*)\"")
_CLOSING = {1: re.compile(rb"(?<!\\)\""), 3: re.compile(rb"(?<!\\\\)\\?\""), 7: re.compile(rb"(?<!\\\\\\\\)\\{0,3}\"")}
"""Depth of the quotes within a text -> a quote with fewer backslashes, which ends the text."""
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r"}


class Pod(NamedTuple):
    """`key`: `namespace/name`, the bare name where no namespace stands in the line. `uid` b"": not told."""

    key: bytes
    uid: bytes


def sandbox_of(message: bytes) -> bytes:
    """The sandbox's id: what stands in `network for sandbox "..."` or `sandbox container "..."`, b"" where nothing does.

    Not the id that a sandbox's name is reserved for. Plain searches: of a storm's lines most need nothing but this.
    """
    for marker in _ID_AFTER:
        at = message.find(marker)
        if at >= 0:
            quote = message.find(b'"', at, at + len(marker) + 10)
            found = message[quote + 1 : quote + 65] if quote >= 0 else b""
            if len(found) == 64 and _HEX.issuperset(found):
                return found
    return b""


def pod_of(message: bytes) -> Optional[Pod]:
    """The pod that a line names, None where it names none."""
    at = message.rfind(b' pod="')
    if at >= 0:
        key = message[at + 6 : message.find(b'"', at + 6)]
        if b"/" in key:
            return Pod(key, _uid(message, at))
    return _pod_in_text(message)


def _pod_in_text(message: bytes) -> Optional[Pod]:
    """The other forms. A plain search goes before each pattern: Python's `re` takes ten times as long to find nothing."""
    if b"PodSandboxMetadata{" in message:
        found = _META.search(message)
        return Pod(found[3] + b"/" + found[1], found[2] or b"") if found else None
    if b' object="' in message or b'Namespace:"' in message:
        found = _OBJECT.search(message)
        if found:
            return Pod(found[1] + b"/" + found[2], _uid(message, 0))
    if b')"' in message or b')\\' in message:
        found = _FULL.search(message)
        if found:
            return Pod(found[2] + b"/" + found[1], found[3])
    if b"set up pod" in message or b"SetupNetwork" in message:
        found = _SHORT.search(message)
        if found:
            return Pod(found[2] + b"/" + found[1], b"")
    found = _BARE.search(message) if b"for pod " in message else None
    return Pod(found[1], b"") if found else None


def _uid(message: bytes, begin: int) -> bytes:
    found = _POD_UID.search(message, begin) if message.find(b"UID", begin) >= 0 else None
    return found[1] if found else b""


def is_teardown(message: bytes) -> bool:
    """Whether the line tells that a sandbox could not be torn down: no failed attempt to get an address."""
    told = b"KillPodSandbox" in message or b"StopPodSandbox" in message or b"teardown" in message or b"destroy network" in message or b"(delete)" in message
    return told and _SET_UP.search(message) is None


class Tail(NamedTuple):
    """The inner error as it stands in the line. `levels`: how often Go's %q was applied to it."""

    text: bytes
    levels: int


def tail(message: bytes) -> Tail:
    """The inner error without the wrappings before and after it; of a line of unknown form, its error field or all of it."""
    found = _wrapped(message)
    if found is not None:
        begin, depth = found.end(), len(found[1])
    else:
        begins = _BEGINS.search(message) or _ERROR.search(message)
        if begins is None:
            begin = message.find(b"] ", 0, 120) + 2 if b"] " in message[:120] else 0
            return Tail(message[begin : begin + 4 * TEXT_LIMIT], 0)
        begin, depth = begins.end(), _depth(message, begins.end())
    end = _end_of_text(message, begin, depth)
    return Tail(message[begin : min(end, begin + 4 * TEXT_LIMIT)], (depth + 1).bit_length() - 1)


def _wrapped(message: bytes) -> Optional[re.Match[bytes]]:
    """The wrapping that stands right before the inner error."""
    for wrapper in _WRAPPERS:
        at = message.find(wrapper)
        found = _WRAPPED.match(message, at + len(wrapper)) if at >= 0 else None
        if found is not None:
            return found
    return None


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
    limit = len(message)
    if b"ailed to clean" in message or b"; Skipping pod" in message:
        limit = min((at for at in (message.find(second, begin) for second in _SECOND) if at >= 0), default=limit)
    closing = _CLOSING.get(depth)
    found = closing.search(message, begin, limit) if closing is not None else None
    return found.start() if found else limit


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
