"""Secrets told by their key: `password=...`, `"token": "..."`, YAML, headers, flags, in JSON inside JSON, URL-encoded or in `\\u003d` form.

Finds where the value begins and ends, at any depth of quoting. Refuses to cut at an escaped quote: half a password would stay.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

from eniagent.redact.secret_kinds import KEYS, PASSWORDS, PRESIGNED, SUFFIX, TOKENS

QUOTE = r"""(?:\\*["'`]|%(?:25)*2[27]|\\+u002[27]|&quot;|&#3[49];)"""
BLANK = r"(?:[ \t]|%(?:25)*20|\\+t)"
OPERATOR = r"(?::=|=>|==?|:|%(?:25)*3[ADad]|\\+u003[ADad])"
_PASS = r"(?:[_.-]|%(?:25)*[0-9A-Fa-f]{2}|\\+[nrt\"]|[^A-Za-z0-9\\])pass|^pass"
WORDS = "|".join((*PASSWORDS, *TOKENS, *KEYS, *PRESIGNED))
KEY = rf"(?i:(?:{WORDS}|{_PASS}){SUFFIX})"
ASSIGNED = rf"{KEY}\]?{QUOTE}?{BLANK}*{OPERATOR}"
"""A key that names a secret, up to its `=` or `:`."""

_LEFT = re.compile(rb"[ \t]+|%(?:25)*20|\\+t")
_OPENING = re.compile(QUOTE.encode())
_PLAIN = re.compile(rb"""(?:[^\s"'`&<>\\\x00%]|%(?!(?:25)*(?:2[0267CcBb]|0[AaDd]))|&(?!amp;|[A-Za-z_][\w.-]*=)|\\u00(?:26(?![A-Za-z_][\w.-]*=)|3[ce])|\\(?!\\|[nrtu"'/]))+""")
_TAIL = re.compile(rb"[,;)}\].:]+$")
_NEXT_KEY = re.compile(rb"[,;][ \t]*[A-Za-z_][A-Za-z0-9_ .-]*[=:]")
_NO_SECRET = re.compile(rb"(?i)(?:|true|false|null|none|nil|<nil>|undefined|unset|empty|yes|no|on|off|\*+|\.\.\.|redacted|\[?redacted\]?|<[a-z -]*>|\$\{[^}]*\}?|\$\([^)]*\)?|\[removed.*)$")
_PATH = re.compile(rb"/(?:var|etc|run|tmp|opt|usr|home|root|dev|proc|sys|mnt|host|srv)(?:/|$)")
_OBJECT = re.compile(rb"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*$")
_STRONG = re.compile(rb"(?i)pass|pwd|x-amz|awsaccess|signature|client.certificate.data|key.data|connection")
_OPENED = re.compile(rb"""["'`][A-Za-z0-9_ .-]*$""")
_LINE_KEY = re.compile(rb"(?:^|\\n|\n)[ \t]*(?:- )?[\"']?[A-Za-z0-9_.-]*$")


BEFORE = 200
"""No key in a file is longer; a line may be."""


class Span(NamedTuple):
    """Where a value stands in its line, quotes left out. `wrap`: quotes to put around what replaces a bare JSON value."""

    start: int
    end: int
    wrap: bytes = b""


def value_after(line: bytes, at: int, *, key: bytes, key_at: int = -1) -> Optional[Span]:
    """The value that follows an operator ending at `at`; None where it is no secret. `key`: the key with its operator, from `key_at`."""
    while True:
        blank = _LEFT.match(line, at)
        if blank is None:
            break
        at = blank.end()
    opening = _OPENING.match(line, at)
    if opening is not None:
        end = _closing(line, opening.end(), mark=opening.group())
        value = line[opening.end() : end]
        return None if _no_secret(value, key=key, before=_before(line, key_at), quoted=True) else Span(opening.end(), end)
    if line[at : at + 1] in (b"{", b"|", b">") or (line[at : at + 1] == b"[" and line[at + 1 : at + 2] in (b"{", b'"', b"\\", b"]")):
        return None
    listed = line[at : at + 1] == b"[" and not line.startswith(b"[removed", at)
    found = _PLAIN.match(line, at + listed)
    if found is None:
        return None
    start, value = found.start(), found.group()
    cut = _NEXT_KEY.search(value)
    value = _TAIL.sub(b"", value[: cut.start()] if cut else value)
    if _no_secret(value, key=key, before=_before(line, key_at), quoted=False):
        return None
    return Span(start, start + len(value), _json_quote(key))


def _before(line: bytes, at: int) -> bytes:
    """What stands before a key, as far as it matters."""
    return line[: max(at, 0)] if at < BEFORE else b" " + line[at - BEFORE : at]


def _closing(line: bytes, start: int, *, mark: bytes) -> int:
    """Where a quoted value ends: at the same quote under as many backslashes; at the end of the line where it was cut."""
    quote = mark.lstrip(b"\\") if not mark.startswith((b"%", b"&")) else mark
    depth = len(mark) - len(quote)
    at = start
    while True:
        at = line.find(quote, at)
        if at < 0:
            return len(line.rstrip(b"\r\n"))
        slashes = 0
        while at - slashes > start and line[at - slashes - 1 : at - slashes] == b"\\":
            slashes += 1
        # Each level of JSON doubles the backslashes and adds one, so at depth n a closing quote has n of them, plus escaped pairs.
        if slashes % (2 * depth + 2) == depth or slashes < depth:
            return at - slashes if slashes <= depth else at - depth
        at += len(quote)


def _json_quote(key: bytes) -> bytes:
    """The quotes that a JSON key before `:` had, so that a number can be replaced by a text."""
    found = re.search(rb'(\\*")\s*:$', key)
    return found.group(1) if found else b""


def kind_of_key(key: bytes) -> str:
    """The kind under which a removed value is counted."""
    lower = key.lower()
    for word, kind in _KINDS:
        if word in lower:
            return kind
    return "key"


_KINDS = (
    (b"x-amz", "presigned-query"), (b"awsaccess", "presigned-query"), (b"sig", "presigned-query"), (b"pass", "password"), (b"pwd", "password"),
    (b"secret_access", "aws-secret-key"), (b"secretaccess", "aws-secret-key"), (b"token", "token"), (b"certificate", "kubeconfig"), (b"client", "kubeconfig"), (b"secret", "secret"), (b"credential", "secret"),
)


def is_harmless(value: bytes) -> bool:
    """Whether a value says that there is none, or names a file that holds one."""
    return bool(_NO_SECRET.match(value.strip()) or _PATH.match(value.strip()))


def _no_secret(value: bytes, *, key: bytes, before: bytes, quoted: bool) -> bool:
    """Whether a value is no secret: a word of absence, a file, an object's name; in prose, an ordinary word."""
    value, lower = value.strip(), key.lower()
    if is_harmless(value):
        return True
    if lower.startswith(b"sig") and len(value) < 16:
        return True
    if _STRONG.search(key):
        return lower.startswith(b"pwd") and value.startswith(b"/")
    if re.match(rb"secret\W*$", lower) and _OBJECT.match(value):
        return True
    if len(value) <= 5 and value.isdigit():
        return True
    return _in_prose(key, before) and not is_likely(value, quoted=quoted)


def _in_prose(key: bytes, before: bytes) -> bool:
    """`failed to get token: ...`: a colon after a bare word in the middle of a sentence."""
    if not key.endswith(b":"):
        return False
    if re.search(rb"""["'`]\s*:$""", key):
        return not _OPENED.search(before)  # `Put "http://.../api/token": dial tcp ...`
    return not _LINE_KEY.search(before)


def is_likely(value: bytes, *, quoted: bool = False) -> bool:
    """Whether a value in prose looks like a secret rather than the next word."""
    bare = value.rstrip(b".,;:)")
    if len(bare) < 8 or b"://" in bare or b" " in bare or re.fullmatch(rb"[\d.:/]+", bare):
        return False
    return bool(re.search(rb"\d", bare) and re.search(rb"[A-Za-z]", bare)) or (len(bare) >= 20 and not quoted)
