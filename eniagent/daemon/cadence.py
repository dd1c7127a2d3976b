"""How often each look is taken: by time, and by what happened.

Refuses to know what the looks bring. Each request to ipamd is a line in its log, each program that is started costs a node of
two cores milliseconds, and most of what they tell has not changed.
"""

from __future__ import annotations

from typing import NamedTuple

IPAMD, CHECKPOINT, KERNEL, TROUBLE = "ipamd", "checkpoint", "kernel", "trouble"
"""What can happen between two cycles: ipamd (or what the agent sees of it) is another one, its checkpoint was written, links or
routes changed, and pods wait or a cause stands."""


class Cadence(NamedTuple):
    """`period_s`: how old an answer may become. `on`: what makes it too old at once, but not before `rest_s`."""

    period_s: float
    on: frozenset[str] = frozenset()
    rest_s: float = 0.0


def _on(*words: str) -> frozenset[str]:
    return frozenset(words)


CADENCES: tuple[tuple[str, Cadence], ...] = (
    ("ipamd/enis.json", Cadence(0.0)),
    ("ipamd/metrics.txt", Cadence(60.0, _on(IPAMD, TROUBLE))),
    ("ipamd/checkpoint", Cadence(600.0, _on(CHECKPOINT, IPAMD))),
    ("ipamd/", Cadence(900.0, _on(IPAMD), 5.0)),
    ("host/ip", Cadence(600.0, _on(KERNEL))),
    # One file for each link and setting: thousands on a full node.
    ("host/sysctl.json", Cadence(900.0, _on(TROUBLE), 300.0)),
    # The processes that matter are checked by their ids in every cycle; the whole table only tells of new ones.
    ("host/processes.json", Cadence(300.0, _on(IPAMD, TROUBLE), 20.0)),
    ("kubelet/cmdline.txt", Cadence(300.0, _on(IPAMD, TROUBLE), 20.0)),
    ("kubelet/", Cadence(300.0)),
    ("cni/", Cadence(60.0, _on(IPAMD))),
    # crictl and ctr cost more than all other looks together.
    ("runtime/", Cadence(900.0, _on(TROUBLE), 120.0)),
)
"""Beginning of a file's name in the captures -> its cadence; the first that fits counts."""
REST = Cadence(300.0)


def group_of(file: str) -> str:
    """The name under which files are looked at together."""
    return next((begin for begin, _ in CADENCES if file.startswith(begin)), file)


def cadence_of(file: str) -> Cadence:
    """How often the look that brings this file is taken."""
    return next((cadence for begin, cadence in CADENCES if file.startswith(begin)), REST)


def is_due(file: str, *, age_s: float, happened: frozenset[str], slack_s: float) -> bool:
    """Whether an answer of that age is too old. `slack_s`: half the time between two cycles, which come at no exact times."""
    cadence = cadence_of(file)
    return age_s + slack_s >= cadence.period_s or (age_s >= cadence.rest_s and bool(cadence.on & happened))
