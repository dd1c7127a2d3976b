"""The one place through which everything that enters a bundle passes: bodies, names, sentences and the diagnosis.

Refuses to let anything by that could not be redacted: it is left out, and `left_out` names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from eniagent.edge.bundle_kept import Look
from eniagent.edge.errors import AgentError
from eniagent.model.capture import CaptureCut
from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Unobserved
from eniagent.model.snapshot import Case
from eniagent.redact import LeftOut, Scrubber, redact_diagnosis, scrubber_for
from eniagent.redact.pseudonyms import Collision

_DONE = {"secret": "removed", "identity": "replaced"}


class NotRedactable(AgentError):
    """The diagnosis itself cannot be redacted, so nothing is written."""

    exit_code = 7


class Redaction:
    """One bundle's redaction in one strength. `key` is used by `identifiers` alone."""

    def __init__(self, case: Case, *, strength: str, key: bytes = b"") -> None:
        self.strength = strength
        self._scrubber: Scrubber = scrubber_for(case, strength=strength, key=key)

    @property
    def learns(self) -> bool:
        """Whether names must be known before a body can be redacted."""
        return self._scrubber.learner is not None

    def learn(self, looks: Iterable[Look]) -> None:
        """Take in the names that stand in captures, before the first of them is written."""
        for look in looks if self.learns else ():
            for file, capture in sorted(look.seen.items()):
                self.learn_body(capture.chunks(), file=file)

    def learn_body(self, chunks: Iterable[bytes], *, file: str) -> None:
        """Take in the names that stand in one body."""
        if self.learns:
            self._scrubber.learn_chunks(_whole(chunks), kind=file)

    def pieces(self, chunks: Iterable[bytes], *, file: str) -> Iterator[bytes]:
        """A body, redacted. Raises what the body itself raises, after what came before."""
        return self._scrubber.scrub_chunks(chunks, kind=file)

    def name(self, file: str) -> str:
        """A file's name."""
        return self._scrubber.file_name(file)

    def text(self, text: str) -> str:
        """A sentence or a detail."""
        return self._scrubber.text(text)

    def entries(self, values: Mapping[str, str]) -> dict[str, str]:
        """What a manifest tells of a node."""
        return {self._scrubber.text(key): self._scrubber.pair(key, value) for key, value in values.items()}

    def unread(self, reading: Unobserved) -> Unobserved:
        """A reading that was not taken."""
        return msgspec.structs.replace(reading, source=self.text(reading.source), detail=self.text(reading.detail))

    def diagnosis(self, diagnosis: Diagnosis) -> Diagnosis:
        """The diagnosis as it stands in the bundle. Raises `NotRedactable`."""
        try:
            return redact_diagnosis(diagnosis, by=self._scrubber)
        except Collision as collision:
            raise NotRedactable(f"{collision}, so this case cannot be told under pseudonyms; use --redact secrets") from collision

    @property
    def counts(self) -> dict[str, int]:
        """Rule -> how often it removed or replaced something, in words that no rule takes for a secret."""
        return {f"{_DONE[rule.partition(':')[0]]} {rule.partition(':')[2]}": count for rule, count in self._scrubber.counts.items()}

    @property
    def total(self) -> int:
        """How often anything was removed or replaced."""
        return sum(self._scrubber.counts.values())

    @property
    def left_out(self) -> list[LeftOut]:
        """What could not be redacted."""
        return self._scrubber.left_out

    @property
    def mapping(self) -> dict[str, str]:
        """Pseudonym -> original, of all that were given; never part of a bundle."""
        return dict(self._scrubber.names.mapping) if self._scrubber.names is not None else {}


def _whole(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A stream up to where it breaks off."""
    try:
        yield from chunks
    except CaptureCut:
        return
