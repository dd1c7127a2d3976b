"""Removes secrets from lines of bytes: by their own form, by their key, by their place, in base64; private keys over many lines.

One automaton scans everything; only the lines that it marks are looked at closely, so ordinary logs cost one pass.
Refuses to keep a part of what it found: a cut token, a key without its end, a value without its closing quote go as a whole.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from typing import Any, Optional

from eniagent.redact import places
from eniagent.redact.assignments import ASSIGNED
from eniagent.redact.patterns import KEY_WORDS, patterns
from eniagent.redact.places import Found

PEM_LINES = 400
"""A private key is over after so many lines, whatever its end was: the longest RSA keys have about 260."""
_KEY_BYTES = 400
_END = re.compile(("-----END" + KEY_WORDS).encode())
_AWS_SECRET = re.compile(rb"(?<![A-Za-z0-9/+=_-])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])")
_MESSAGE = re.compile(rb'("(?:MESSAGE|msg|log|message)"\s*:\s*")([A-Za-z0-9+/=]+|(?:Proc-Type|DEK-Info|Comment|Version):[^"]*)(?=\\?")')
_PEM_LINE = re.compile(rb"^((?:.*[\s:\]|>])?)([A-Za-z0-9+/]{1,80}={0,2}|(?:Proc-Type|DEK-Info|Comment|Version): .*)(\s*)$")
_BLOCK = re.compile(ASSIGNED.encode() + rb"[ \t]*[|>][-+]?[0-9]?[ \t]*(?:#.*)?\r?\n?$")
_DATA = re.compile(rb"""^(\s*)(?:data|stringData):\s*$""")
_PAIR = re.compile(rb"""^(\s+["']?[A-Za-z0-9._-]+["']?:[ \t]*)(\S.*?)(\s*)$""")
_OBJECT_DATA = re.compile(rb'(\\*"(?:data|stringData)\\*"\s*:\s*\{)([^{}]*)(\})')
_OBJECT_VALUE = re.compile(rb'(:\s*\\*")([^"\\]+)(\\*")')


def marker(kind: str) -> bytes:
    """What stands in a secret's place."""
    return b"[removed:" + kind.encode() + b"]"


class SecretScrubber:
    """Removes secrets from the bytes of one stream, whole lines at a time. `counts`: kind -> how many were removed.

    Keeps one memory between calls: that a private key, a YAML block or a Secret's data is still open.
    """

    def __init__(self, *, counts: Optional[Counter[str]] = None, deeper: bool = True) -> None:
        self.counts: Counter[str] = Counter() if counts is None else counts
        self._look_deeper = deeper
        self._p = patterns()
        self._open, self._left, self._indent = "", 0, -1

    def block(self, data: bytes) -> bytes:
        """Scrub whole lines. The result has as many lines."""
        pieces: list[bytes] = []
        at = 0
        while at < len(data):
            if self._open:
                end = _line_end(data, at)
                pieces.append(self._follow(data[at:end]))
                at = end
                continue
            found = self._p.sieve.search(data, at)
            if found is None:
                break
            start, end = max(data.rfind(b"\n", at, found.start()) + 1, at), _line_end(data, max(found.end() - 1, found.start()))
            pieces += (data[at:start], self._line(data[start:end]))
            at = end
        if not pieces:
            return data
        pieces.append(data[at:])
        return b"".join(pieces)

    def _line(self, line: bytes) -> bytes:
        """One line, or several that a match spans, that may hold a secret."""
        if b"\n" in line[:-1]:
            return b"".join(self._line(part) for part in line.splitlines(keepends=True))
        if b"%" in line and self._look_deeper:
            line = self._apply(line, self._p.escaped, self._in_url)
        line = self._private_key(line)
        if not self._open and _BLOCK.search(line[-_KEY_BYTES:]):
            self._begin_block(line)
        keyed = False
        for pattern, find in self._p.places[:3]:
            line = self._apply(line, pattern, find)
        line, keyed = self._by_form(line)
        for pattern, find in self._p.places[3:]:
            line = self._apply(line, pattern, find)
        if keyed:
            line = _AWS_SECRET.sub(self._aws_secret, line)
        if self._p.secret_object.search(line):
            line = self._secret_object(line)
        return self._apply(line, self._p.base64, self._in_base64) if self._look_deeper else line

    def _apply(self, line: bytes, pattern: Any, find: places.Place) -> bytes:
        pieces: list[bytes] = []
        kept = at = 0
        while at <= len(line):
            found = pattern.search(line, at)
            if found is None:
                break
            told = find(line, found)
            if told is None:
                at = max(found.end(), at + 1)
                continue
            at = max(told.end, at + 1)
            if told.kind:
                pieces += (line[kept : told.start], told.text or self._removed(told))
                kept = at
        return b"".join((*pieces, line[kept:])) if pieces else line

    def _removed(self, told: Found) -> bytes:
        self.counts[told.kind] += 1
        return told.wrap + marker(told.kind) + told.wrap

    def _by_form(self, line: bytes) -> tuple[bytes, bool]:
        """Tokens of a known form; and whether an AWS access key id is among them, beside which its secret may stand bare."""
        keyed = False

        def form(whole: bytes, found: Any) -> Found:
            nonlocal keyed
            kind = next(kind for kind, pattern in self._p.free if pattern.match(whole, found.start()))
            keyed = keyed or kind == "aws-access-key-id"
            return Found(found.start(), found.end(), kind)

        line = self._apply(line, self._p.free_any, form)
        for kind, pattern in self._p.bound:
            line = pattern.sub(functools.partial(self._bounded, kind), line)
        return line, keyed

    def _bounded(self, kind: str, found: re.Match[bytes]) -> bytes:
        text = found.group()
        if not (re.search(rb"\d", text) and re.search(rb"[A-Za-z]", text[1:])):
            return text
        return self._removed(Found(0, 0, kind))

    def _aws_secret(self, found: re.Match[bytes]) -> bytes:
        text = found.group()
        if not (re.search(rb"[a-z]", text) and re.search(rb"[A-Z]", text)):
            return text
        return self._removed(Found(0, 0, "aws-secret-key"))

    def _secret_object(self, line: bytes) -> bytes:
        """A Kubernetes Secret: its data on this line, or the lines that follow."""

        def values(found: re.Match[bytes]) -> bytes:
            told = _OBJECT_VALUE.sub(lambda v: v.group(1) + self._removed(Found(0, 0, "secret-object")) + v.group(3), found.group(2))
            return found.group(1) + told + found.group(3)

        if b"{" not in line:
            self._open, self._left, self._indent = "manifest", PEM_LINES, -1
        return _OBJECT_DATA.sub(values, line)

    def _in_base64(self, line: bytes, found: Any) -> Optional[Found]:
        """A run of base64 that holds a secret goes as a whole."""
        start, end = places.run_around(line, found.start(), places.BASE64_BYTES)
        holds = any(self._inner(text)[1] for text in places.decoded(line[start:end]))
        return Found(start, end, "base64" if holds else "")

    def _in_url(self, line: bytes, found: Any) -> Optional[Found]:
        """A run in URL encoding is scrubbed as what it stands for, and encoded again where something was removed."""
        start, end = places.run_around(line, found.start(), places.URL_BYTES)
        plain, depth = places.unquoted(line[start:end])
        told, counts = self._inner(plain)
        self.counts.update(counts)
        return Found(start, end, "url" if counts else "", text=places.quoted(told, depth) if counts else b"")

    def _inner(self, text: bytes) -> tuple[bytes, Counter[str]]:
        """What stands encoded in a line, scrubbed, and what was removed from it. Looked at once: encodings of encodings are not followed."""
        inner = SecretScrubber(deeper=False)
        return (text if self._p.sieve.search(text) is None else inner.block(text)), inner.counts

    def _private_key(self, line: bytes) -> bytes:
        """Private keys that begin on this line; one that does not end here stays open."""
        while True:
            found = self._p.begin.search(line)
            if found is None:
                return line
            end = _END.search(line, found.end())
            self.counts["private-key"] += 1
            if end is not None:
                line = line[: found.start()] + marker("private-key") + line[end.end() :]
                continue
            self._open, self._left = "private key", PEM_LINES
            quote = line.find(b'"', found.end())
            stop = quote if quote >= 0 else len(line.rstrip(b"\r\n"))
            return line[: found.start()] + marker("private-key") + line[stop:]

    def _begin_block(self, line: bytes) -> None:
        self._open, self._left = "block", PEM_LINES
        self._indent = len(line) - len(line.lstrip(b" -"))

    def _follow(self, line: bytes) -> bytes:
        """A line while something is open."""
        self._left -= 1
        if self._left <= 0:
            self._open = ""
        if self._open == "private key":
            return self._key_line(line)
        if self._open == "block":
            return self._block_line(line)
        if self._open == "manifest":
            return self._manifest_line(line)
        return self._line(line) if self._p.sieve.search(line) else line

    def _key_line(self, line: bytes) -> bytes:
        end = _END.search(line)
        if end is not None:
            self._open = ""
            start = line.rfind(b'"', 0, end.start()) + 1 or len(line[: end.start()]) - len(line[: end.start()].lstrip())
            return line[:start] + marker("private-key") + line[end.end() :]
        form = _MESSAGE if line.startswith(b"{") or len(line) > _KEY_BYTES else _PEM_LINE
        if form is _MESSAGE:
            return form.sub(lambda m: m.group(1) + marker("private-key"), line)
        if not line.strip():
            return line
        found = form.match(line)
        if found is not None:
            return found.group(1) + marker("private-key") + found.group(3)
        return self._line(line) if self._p.sieve.search(line) else line

    def _block_line(self, line: bytes) -> bytes:
        indent = len(line) - len(line.lstrip(b" \t"))
        if not line.strip() or indent > self._indent:
            return line if not line.strip() else line[:indent] + self._removed(Found(0, 0, "block")) + line[len(line.rstrip(b"\r\n")) :]
        self._open = ""
        return self._line(line) if self._p.sieve.search(line) else line

    def _manifest_line(self, line: bytes) -> bytes:
        if line.startswith(b"---"):
            self._open = ""
            return line
        begun = _DATA.match(line)
        if begun is not None:
            self._indent = len(begun.group(1))
            return line
        indent = len(line) - len(line.lstrip(b" \t"))
        pair = _PAIR.match(line)
        if self._indent >= 0 and pair is not None and indent > self._indent:
            return pair.group(1) + self._removed(Found(0, 0, "secret-object")) + pair.group(3)
        if line.strip() and indent <= self._indent:
            self._indent = -1
        return self._line(line) if self._p.sieve.search(line) else line


def _line_end(data: bytes, at: int) -> int:
    """Just behind the newline that ends the line at `at`."""
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end + 1
