"""Secrets told by their place: headers, URLs with a user, flags, XML, netrc, docker's auth, EC2's encoded messages, base64 of any of these.

Each row is a pattern and a function that says which bytes to remove. Refuses to keep a user's name beside a password: tokens stand in either.
"""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from typing import Any, Callable, NamedTuple, Optional

from eniagent.redact.assignments import ASSIGNED, QUOTE, is_harmless, is_likely, kind_of_key, value_after
from eniagent.redact.secret_kinds import ENCODED_MESSAGE


class Found(NamedTuple):
    """What to remove from a line: [start, end), and the kind; "": nothing, go on behind it. `wrap`: quotes around the marker, `text`: instead of it."""

    start: int
    end: int
    kind: str
    wrap: bytes = b""
    text: bytes = b""


Place = Callable[[bytes, Any], Optional[Found]]

_SECRET_NAME = r"[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|private[_-]?key|access[_-]?key)"
NAMED = rf'(?i:\\*"name\\*"\s*:\s*\\*"{_SECRET_NAME}[a-z0-9_.-]*\\*"\s*,\s*\\*"value\\*"\s*:)'
FLAG = rf"(?i:(?:^|[\s\"'\[,=])--?{_SECRET_NAME}(?:\s+|\\*\"\s*,\s*))"
DOCKER = r'(?i:\\*"auth\\*"\s*:\s*\\*"[A-Za-z0-9+/]{6,}=*)'
HEADER = rf"(?i:(?:authorization|cookie){QUOTE}?\s*(?::|=|%3A))"
BEARER = r"(?i:\b(?:bearer|basic)(?:[ +]|%20|\\+t)+[A-Za-z0-9._~+/=-]{6,})"
USERINFO = r"""(?:(?::(?:\\*/){2}|%3[Aa]%2[Ff]%2[Ff])[^\s/@"'<>\\]+(?:@|%40))"""
XML = rf"(?i:<{_SECRET_NAME}>[^<\s][^<]*<)"
NETRC = r"(?i:\blogin\s+\S+\s+password\s+[^\s\"'\\]+)"
CURL = r"(?:\s(?:-u|--user)(?:\s+|=)\\*[\"']?[^\s:\"']+:[^\s\"'\\]+)"
ENCODED = ENCODED_MESSAGE + r"""[\\"']*\s*[:=]\s*[\\"']*[A-Za-z0-9_.=+/-]{16,}"""
_ALIGNED = (
    "LS0tLS1CRUdJT", "0tLS0tQkVHSU", "tLS0tLUJFR0lO", "cGFzc3dvcm", "wYXNzd29yZ", "Bhc3N3b3Jk", "c2VjcmV0", "NlY3JldA", "zZWNyZX", "dG9rZW4", "Rva2Vu", "0b2tlb",
    "QUtJQ", "FLSUE", "BS0lB", "QVNJQ", "FTSUE", "BU0lB", "ZXlKaGJHY2lPaU", "V5SmhiR2NpT2l", "leUpoYkdjaU9p",
)
"""How `-----BEGIN`, `password`, `secret`, `token`, `AKIA`, `ASIA` and a JWT's head look in base64 at its three alignments."""
BASE64 = "(?:" + "|".join(sorted(_ALIGNED)) + ")"

BASE64_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")
URL_BYTES = frozenset(range(0x21, 0x7F)) - frozenset(b"\"'<>\\`")
LONGEST, MOST_ENCODED = 1 << 16, 3
_SCHEME = re.compile(rb"(?i)(?:bearer|basic|negotiate|ntlm|token|apikey|googlelogin|hawk|digest|aws4-hmac-sha256)(?:[ +]|%20)+")
_MANY = re.compile(rb"(?i)digest|aws4|hawk")
_REST = re.compile(rb"""(?:[^"'\\\r\n\]]|\\+[^"'\\nrt])+""")
_WORD = re.compile(rb"""[^\s"'\\&<>]+""")


def named(line: bytes, found: Any) -> Optional[Found]:
    """`{"name":"DB_PASSWORD","value":"..."}`: an environment as Kubernetes writes it."""
    span = value_after(line, found.end(), key=b'"password":')
    return None if span is None else Found(span.start, span.end, "password")


def flag(line: bytes, found: Any) -> Optional[Found]:
    """`--password ...` and `"--token", "..."`."""
    at = found.end()
    while line[at : at + 1] in (b'"', b"'", b"\\"):
        at += 1
    value = _WORD.match(line, at)
    if value is None or value.group().startswith((b"-", b"[removed")) or is_harmless(value.group()) or value.group().isalpha() and b"pass" not in found.group().lower():
        return None
    return Found(value.start(), value.end(), "flag")


def docker(line: bytes, found: Any) -> Optional[Found]:
    """`"auth": "..."` of a docker configuration: base64 of user and password."""
    start = found.start() + found.group().rstrip(b"=").rfind(b'"') + 1
    return Found(start, found.end(), "docker-auth")


def header(line: bytes, found: Any) -> Optional[Found]:
    """`Authorization:` with its scheme, `Cookie:` whole, also quoted and as Go prints them."""
    at, quoted = found.end(), False
    while line[at : at + 1] in (b" ", b'"', b"'", b"\\", b"[") and not line.startswith(b"[removed", at):
        quoted = quoted or line[at : at + 1] in (b'"', b"'")
        at += 1
    if line.startswith(b"[removed", at):
        return None
    if b"cookie" in found.group().lower():
        rest = _REST.match(line, at)
        return None if rest is None else Found(at, rest.end(), "cookie")
    scheme = _SCHEME.match(line, at)
    if scheme is None:
        word = _WORD.match(line, at)
        return Found(at, word.end(), "authorization") if word is not None and is_likely(word.group()) else None
    value = (_REST if quoted or _MANY.match(scheme.group()) else _WORD).match(line, scheme.end())
    return None if value is None else _kept_if_done(line, scheme.end(), value.end())


def _kept_if_done(line: bytes, start: int, end: int) -> Optional[Found]:
    return None if end <= start or re.fullmatch(rb"\[removed:[a-z0-9-]+\]?", line[start:end].strip()) else Found(start, end, "authorization")


def bearer(line: bytes, found: Any) -> Optional[Found]:
    """`Bearer ...` and `Basic ...` anywhere, where the next word is no word."""
    value = re.split(rb"(?i)^(?:bearer|basic)(?:[ +]|%20|\\+t)+", found.group(), maxsplit=1)[1]
    if re.fullmatch(rb"[A-Z]?[a-z]+|[A-Z]+|[a-z]+[-/.][a-z-]*", value.rstrip(b".,=")):
        return None
    return Found(found.end() - len(value), found.end(), "authorization")


def userinfo(line: bytes, found: Any) -> Optional[Found]:
    """`scheme://user:password@host`, also URL-encoded; a user alone where it looks like a token."""
    opening = re.match(rb":(?:\\*/){2}|%3[Aa]%2[Ff]%2[Ff]", found.group())
    assert opening is not None
    closing = 3 if found.group().endswith(b"%40") else 1
    start, end = found.start() + opening.end(), found.end() - closing
    user, colon, password = line[start:end].replace(b"%3A", b":").replace(b"%3a", b":").partition(b":")
    if line[start:end].startswith(b"[removed") or not (password if colon else is_likely(user) and len(user) >= 16):
        return None
    return Found(start, end, "url-password")


def xml(line: bytes, found: Any) -> Optional[Found]:
    """`<password>...</password>`."""
    start = found.start() + found.group().find(b">") + 1
    value = line[start : found.end() - 1]
    return None if is_harmless(value) else Found(start, found.end() - 1, "password")


def last_word(line: bytes, found: Any) -> Optional[Found]:
    """`machine M login L password P`, as in a .netrc."""
    value = found.group().split()[-1]
    return None if is_harmless(value) else Found(found.end() - len(value), found.end(), "password")


def curl(line: bytes, found: Any) -> Optional[Found]:
    """`curl -u user:password`."""
    user, _, password = found.group().partition(b":")
    if is_harmless(password) or password.isdigit() and user[-1:].isdigit():
        return None
    return Found(found.end() - len(password), found.end(), "password")


def encoded(line: bytes, found: Any) -> Optional[Found]:
    """EC2's encoded authorization failure message."""
    value = re.search(rb"[A-Za-z0-9_.=+/-]{16,}$", found.group())
    return None if value is None else Found(found.start() + value.start(), found.end(), "encoded-authorization-message")


def assigned(line: bytes, found: Any) -> Optional[Found]:
    """A key that names a secret, with its value."""
    span = value_after(line, found.end(), key=found.group(), key_at=found.start())
    return None if span is None else Found(span.start, span.end, kind_of_key(found.group()), span.wrap)


def decoded(run: bytes) -> list[bytes]:
    """What a run of base64 may stand for, at each of the offsets at which it may begin."""
    clean, told = run.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/")), []
    for offset in range(4):
        piece = clean[offset:]
        try:
            told.append(base64.b64decode(piece[: len(piece) // 4 * 4] + (piece[len(piece) // 4 * 4 :] + b"==" if len(piece) % 4 > 1 else b"")[:4], validate=True))
        except (binascii.Error, ValueError):
            continue
    return told


def unquoted(run: bytes) -> tuple[bytes, int]:
    """A run without its URL encoding, and how often it was encoded."""
    depth = 0
    while depth < MOST_ENCODED and b"%" in run:
        plain = urllib.parse.unquote_to_bytes(run)
        if plain == run:
            break
        run, depth = plain, depth + 1
    return run, depth


def quoted(text: bytes, depth: int) -> bytes:
    """The text in URL encoding again. What was removed stays readable."""
    for _ in range(depth):
        text = urllib.parse.quote_from_bytes(text, safe="/:?&=+,;@[]").encode()
    return text


def run_around(line: bytes, at: int, letters: frozenset[int]) -> tuple[int, int]:
    """The run of `letters` that holds a position, up to `LONGEST` on either side."""
    start, end = at, at
    while start > 0 and at - start < LONGEST and line[start - 1] in letters:
        start -= 1
    while end < len(line) and end - at < LONGEST and line[end] in letters:
        end += 1
    return start, end


PLACES: tuple[tuple[str, Place], ...] = (
    (ENCODED, encoded), (HEADER, header), (BEARER, bearer), (NAMED, named), (FLAG, flag), (DOCKER, docker),
    (USERINFO, userinfo), (XML, xml), (NETRC, last_word), (CURL, curl), (ASSIGNED, assigned),
)
"""In the order in which they are tried: what takes more comes first."""
