"""Whose journals are followed: units, identifiers and filters, as the one-shot readers name them.

Refuses a list of its own: what a program's journal is, its source says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Callable

from eniagent.model.probe import ReadJournal
from eniagent.sources import containerd, kubelet
from eniagent.sources.journal_fold import Fold

JOURNALD = "journald"
"""journald's own lines are followed too: they say what it dropped."""


class Program:
    """One program that is followed."""

    def __init__(self, probe: ReadJournal, told: Callable[[Fold, bytes, int, bytes], None]) -> None:
        self.probe, self.told = probe, told
        self.keeps = re.compile(probe.grep.encode()).match

    @property
    def matches(self) -> tuple[str, ...]:
        """By unit or by identifier, whichever an entry carries."""
        units = tuple(f"_SYSTEMD_UNIT={unit}" for unit in self.probe.units)
        return (*units, "+", *(f"SYSLOG_IDENTIFIER={name}" for name in self.probe.identifiers))


def programs() -> dict[str, Program]:
    """kubelet and containerd."""
    (one,), (other,) = kubelet.plan({}), containerd.plan({})
    assert isinstance(one, ReadJournal) and isinstance(other, ReadJournal)
    return {"kubelet": Program(one, kubelet.fold_line), "containerd": Program(other, containerd.fold_line)}


def names(followed: Mapping[str, Program]) -> dict[bytes, str]:
    """Unit or identifier -> program."""
    found = {name.encode(): key for key, program in followed.items() for name in (*program.probe.units, *program.probe.identifiers)}
    return {**found, b"systemd-journald.service": JOURNALD, b"systemd-journald": JOURNALD}


def units(followed: Mapping[str, Program]) -> tuple[bytes, ...]:
    """All units."""
    return tuple(unit.encode() for program in followed.values() for unit in program.probe.units)


def matches(followed: Mapping[str, Program]) -> tuple[str, ...]:
    """journalctl's matches for all of them together."""
    found = [match for program in followed.values() for match in (*program.matches, "+")]
    return (*found, "_SYSTEMD_UNIT=systemd-journald.service", "+", "SYSLOG_IDENTIFIER=systemd-journald")
