"""The life of incidents: a cause that stands opens one, its end resolves it, and what cannot be seen makes it stale.

Pure. Refuses to open on one look, to resolve on one look, and to let anything latch: what is open is told again by each diagnosis
or ends. One incident for each cause and subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import msgspec

from eniagent.model.chronicle import Incident
from eniagent.model.finding import Confidence, Diagnosis, Finding

OPEN_AFTER, RESOLVE_AFTER, STALE_AFTER = 2, 3, 3
"""Looks in a row: one alone may have met the node between two steps of its own."""

OPENED, CONTINUED, STALE, RESOLVED = "opened", "continued", "stale", "resolved"
Key = tuple[str, str]


class Step(msgspec.Struct, frozen=True):
    """What became of one incident in one cycle. `incident` None: it is to be opened."""

    what: str
    cause: str
    subject: str
    incident: Optional[Incident] = None
    finding: Optional[Finding] = None


class Watch:
    """Counts looks. What stands open is handed in with each one, so that a restart forgets nothing but the counts."""

    def __init__(self) -> None:
        self._standing: dict[Key, int] = {}
        self._over: dict[Key, int] = {}
        self._unseen: dict[Key, int] = {}

    def steps(self, diagnosis: Diagnosis, open_: Sequence[Incident]) -> list[Step]:
        """What this diagnosis means for the incidents that stand, and which new ones it opens."""
        found: list[Step] = []
        told: set[Key] = set()
        for incident in open_:
            key = (incident.cause, incident.subject)
            finding = next((f for f in diagnosis.causes if is_same(incident, f)), None)
            if finding is not None:
                told.add((finding.code, finding.subject))
                self._count(key, finding=True)
                found.append(Step(CONTINUED, *key, incident, finding))
            elif is_over(incident.cause, diagnosis):
                if self._count(key, over=True) >= RESOLVE_AFTER:
                    self._forget(key)
                    found.append(Step(RESOLVED, *key, incident))
            elif self._count(key) >= STALE_AFTER and incident.state != "stale":
                found.append(Step(STALE, *key, incident))
        return found + self._new(diagnosis, told)

    def _new(self, diagnosis: Diagnosis, told: set[Key]) -> list[Step]:
        found = []
        fresh = {(f.code, f.subject): f for f in diagnosis.causes if f.confidence is not Confidence.POSSIBLE and (f.code, f.subject) not in told}
        self._standing = {key: self._standing.get(key, 0) + 1 for key in fresh}
        for key, finding in fresh.items():
            if self._standing[key] >= OPEN_AFTER:
                del self._standing[key]
                found.append(Step(OPENED, *key, None, finding))
        return found

    def _count(self, key: Key, *, finding: bool = False, over: bool = False) -> int:
        """Looks in a row with the same answer."""
        if finding:
            self._forget(key)
            return 0
        mine, other = (self._over, self._unseen) if over else (self._unseen, self._over)
        other.pop(key, None)
        mine[key] = mine.get(key, 0) + 1
        return mine[key]

    def _forget(self, key: Key) -> None:
        self._over.pop(key, None)
        self._unseen.pop(key, None)


def is_same(incident: Incident, finding: Finding) -> bool:
    """Whether a finding is of this incident. A subject that lists several things may grow and shrink while it stands."""
    if incident.cause != finding.code:
        return False
    one, other = _things(incident.subject), _things(finding.subject)
    return one == other or not one or not other or bool(one & other)


def _things(subject: str) -> frozenset[str]:
    return frozenset(part.strip() for part in subject.split(",") if part.strip())


def is_over(cause: str, diagnosis: Diagnosis) -> bool:
    """Whether the diagnosis says of a cause that it does not stand. Not to have been able to tell is another thing."""
    if any(f.code == cause for f in diagnosis.causes):
        # It stands at another subject: there it was looked for, and here it was not found.
        return True
    return any(f.code == cause for f in diagnosis.past) or any(r.code == cause for r in diagnosis.ruled_out) or diagnosis.verdict.value == "healthy"
