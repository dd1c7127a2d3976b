"""Scrubber: one redaction in one of three strengths, over streams, texts and file names, with its counts and what it left out.

Fails closed: bytes that cannot be redacted are left out and named, never passed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from eniagent.model.snapshot import Case
from eniagent.redact.blocks import TooLong, whole_lines
from eniagent.redact.identities import IdentityScrubber
from eniagent.redact.learn import Learner
from eniagent.redact.pseudonyms import Pseudonyms
from eniagent.redact.secrets import SecretScrubber

STRENGTHS = ("secrets", "identifiers", "none")
"""The words of `--redact`."""
_OPAQUE = {
    b"\x1f\x8b": "gzip", b"(\xb5/\xfd": "zstd", b"\xfd7zXZ": "xz", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\x04\"M\x18": "lz4",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x7fELF": "a program",
}
"""Beginnings of bytes that hold text in a form in which no pattern finds anything."""


class LeftOut(NamedTuple):
    """Bytes that could not be redacted, and why."""

    kind: str
    size_bytes: int
    why: str


class Scrubber:
    """Redacts bytes and texts. `counts`: rule -> count. `left_out`: what could not be redacted.

    Learn first what the node's names are (`learn_case`, `learn_chunks`): a name is replaced from then on.
    """

    def __init__(self, strength: str, pseudonyms: Optional[Pseudonyms] = None) -> None:
        if strength not in STRENGTHS:
            raise ValueError(f"{strength!r} is none of {', '.join(STRENGTHS)}")
        if strength == "identifiers" and pseudonyms is None:
            raise ValueError("identifiers are replaced under a key")
        self.strength = strength
        self.left_out: list[LeftOut] = []
        self._secrets: Counter[str] = Counter()
        self._texts: dict[str, str] = {}
        self._identities = IdentityScrubber(pseudonyms) if pseudonyms is not None and strength == "identifiers" else None
        self._learner: Optional[Learner] = None

    @property
    def counts(self) -> dict[str, int]:
        """Rule -> how often it removed or replaced something; secrets first."""
        replaced = self._identities.counts if self._identities is not None else Counter[str]()
        told = {f"secret:{kind}": count for kind, count in sorted(self._secrets.items())}
        return {**told, **{f"identity:{kind.replace('in ', '')}": count for kind, count in sorted(replaced.items())}}

    @property
    def names(self) -> Optional[Pseudonyms]:
        """The pseudonyms in use; None in strengths that have none."""
        return self._identities.names if self._identities is not None else None

    @property
    def learner(self) -> Optional[Learner]:
        """What takes in the node's names; None in strengths that replace none."""
        if self._learner is None and self._identities is not None:
            self._learner = Learner(self._identities)
        return self._learner

    def learn_case(self, case: Case) -> None:
        """The names in all snapshots of a case."""
        learner = self.learner
        if learner is not None:
            for snapshot in (case.now, *case.before):
                learner.snapshot(snapshot)
            self._texts.clear()

    def learn_chunks(self, chunks: Iterable[bytes], *, kind: str) -> None:
        """The names in a stream. `kind`: its file in the captures directory, for some kinds have names in places of their own."""
        learner = self.learner
        if learner is None:
            return
        if kind.endswith("imds/tree.json"):
            body = b"".join(chunks)
            learner.imds(body)
            chunks = (body,)
        learner.stream(block for block in whole_lines(chunks) if isinstance(block, bytes))
        self._texts.clear()

    def scrub_chunks(self, chunks: Iterable[bytes], *, kind: str) -> Iterator[bytes]:
        """A stream, redacted, in blocks of whole lines. Raises what the stream itself raises, after what came before."""
        if self.strength == "none":
            yield from chunks
            return
        secrets, first = SecretScrubber(counts=self._secrets), True
        for block in whole_lines(chunks):
            if isinstance(block, TooLong):
                yield self._leave_out(kind, block.size_bytes, "a line without an end")
                continue
            opaque = _opaque(block) if first else ""
            if opaque:
                yield self._leave_out(kind, len(block) + sum(map(len, chunks)), opaque)
                return
            first = False
            yield self._block(block, secrets, kind)

    def _block(self, block: bytes, secrets: SecretScrubber, kind: str) -> bytes:
        try:
            told = secrets.block(block)
            return self._identities.block(told) if self._identities is not None else told
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the block must not pass as it is
            return self._leave_out(kind, len(block), f"{type(error).__name__}: {error}")

    def _leave_out(self, kind: str, size: int, why: str) -> bytes:
        self.left_out.append(LeftOut(kind, size, why))
        return f"[left out: {size} bytes that could not be redacted]\n".encode()

    def text(self, text: str) -> str:
        """One text. What cannot be redacted is left out."""
        if self.strength == "none" or not text:
            return text
        known = self._texts.get(text)
        if known is None:
            data = self._block(text.encode("utf-8", "surrogatepass"), SecretScrubber(counts=self._secrets), "text")
            known = self._texts[text] = data.decode("utf-8", "surrogatepass")
        return known

    def pair(self, key: str, value: str) -> str:
        """The value of a key: a secret also where only the key tells."""
        if self.strength == "none" or not value:
            return value
        head = f"{key}=".encode("utf-8", "surrogatepass")
        trial = Counter[str]()
        whole = SecretScrubber(counts=trial).block(head + value.encode("utf-8", "surrogatepass"))
        told = self.text(value)
        if whole.startswith(head + b"[removed:") and not told.startswith("[removed:"):
            self._secrets.update(trial)
            return whole[len(head) : whole.index(b"]") + 1].decode()
        return told

    def file_name(self, name: str) -> str:
        """A file's name: links, sandboxes and pods stand in some."""
        return self.text(name)


def _opaque(block: bytes) -> str:
    return next((what for head, what in _OPAQUE.items() if block.startswith(head)), "")
