"""Attempts and counts of a moving window: times and signatures of each pod's attempts, and everything else by the minute.

Refuses to keep more than a bound of attempts: the window then begins later, at `floor_us`, and what it tells stays exact from there.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

ATTEMPTS_KEPT = 200_000
MINUTE_US = 60_000_000


class Told(NamedTuple):
    """One pod's attempts in the window."""

    failures: int
    first_us: int
    last_us: int
    signatures: dict[str, int]


class _Attempts:
    """One pod's: times, and signatures as places in the list of names. Ten bytes an attempt."""

    __slots__ = ("times", "kinds")

    def __init__(self) -> None:
        self.times = array("q")
        self.kinds = array("H")


class Kept:
    """What a window holds in numbers."""

    def __init__(self) -> None:
        self.floor_us = 0
        self.minutes: dict[int, dict[str, int]] = {}
        self._pods: dict[bytes, _Attempts] = {}
        self._names: list[str] = []
        self._places: dict[str, int] = {}
        self._total = 0

    @property
    def pods(self) -> list[bytes]:
        """Pods with attempts in the window, by name."""
        return sorted(self._pods)

    @property
    def total(self) -> int:
        """Attempts that are kept one by one."""
        return self._total

    def add(self, pod: bytes, signature: str, *, at_us: int) -> None:
        """One attempt."""
        attempts = self._pods.setdefault(pod, _Attempts())
        place = self._places.get(signature)
        if place is None:
            place = self._places[signature] = len(self._names)
            self._names.append(signature)
        attempts.times.append(at_us)
        attempts.kinds.append(place)
        self._total += 1

    def count(self, what: str, number: int, *, at_us: int) -> None:
        """So many more of `what`."""
        minute = self.minutes.setdefault(at_us // MINUTE_US, {})
        minute[what] = minute.get(what, 0) + number

    def counts(self) -> dict[str, int]:
        """What was counted by the minute."""
        found: dict[str, int] = {}
        for minute in self.minutes.values():
            for name, number in minute.items():
                found[name] = found.get(name, 0) + number
        return found

    def told(self, pod: bytes) -> Told:
        """One pod's attempts."""
        attempts, signatures = self._pods[pod], dict[str, int]()
        for place in attempts.kinds:
            name = self._names[place]
            signatures[name] = signatures.get(name, 0) + 1
        return Told(len(attempts.times), min(attempts.times), max(attempts.times), dict(sorted(signatures.items())))

    def expire(self, since_us: int) -> list[bytes]:
        """Forget what lies before the window. Returns the pods of which nothing is left."""
        emptied = []
        for pod, attempts in self._pods.items():
            old = 0
            while old < len(attempts.times) and attempts.times[old] < since_us:
                old += 1
            if old:
                self._total -= old
                del attempts.times[:old], attempts.kinds[:old]
                if not attempts.times:
                    emptied.append(pod)
        for pod in emptied:
            del self._pods[pod]
        for minute in [m for m in self.minutes if (m + 1) * MINUTE_US <= since_us]:
            del self.minutes[minute]
        return emptied

    def dissolve(self, pod: bytes) -> None:
        """Forget the pod's name; its attempts stay counted, under their signatures and as "failures"."""
        attempts = self._pods.pop(pod, None)
        if attempts is None:
            return
        self._total -= len(attempts.times)
        for at_us, place in zip(attempts.times, attempts.kinds):
            self.count(self._names[place], 1, at_us=at_us)
            self.count("failures", 1, at_us=at_us)

    def raise_floor(self) -> int:
        """Let the window begin where half of the attempts lie before. Returns that time."""
        times = sorted(at_us for attempts in self._pods.values() for at_us in attempts.times)
        self.floor_us = times[len(times) // 2] + 1
        return self.floor_us
