"""Rule and its three answers: fires, clear, inconclusive.

Refuses prose in answers: evidence carries values and where they are from. Confidence is the engine's to compute.
"""

from __future__ import annotations

from datetime import datetime
from typing import Callable, NamedTuple, Optional, Union

from eniagent.case.facts import Facts
from eniagent.case.impact import Hit
from eniagent.model.finding import Evidence, Remedy, Scope, Value
from eniagent.model.record import Event

GUIDE = "https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/troubleshooting.md"
EKS_GUIDE = "https://docs.aws.amazon.com/eks/latest/userguide/"
BEST_PRACTICES = "https://docs.aws.amazon.com/eks/latest/best-practices/"

VIEW_OF_PROGRAM = {
    "ipamd": "ipamd.log", "plugin": "plugin.log", "kubelet": "kubelet journal", "containerd": "containerd journal",
    "aws-node": "aws-node output", "event": "pod events", "aws": "EC2 API",
}
INDEPENDENT = {"kubelet journal": "plugin's words", "containerd journal": "plugin's words", "plugin.log": "plugin's words", "pod events": "plugin's words"}
"""Views that repeat one and the same text are one witness."""


class Fires(NamedTuple):
    """`proof` is what decides (its independent views give the confidence), `context` what goes with it.

    `until`: it is over since. `inferred`: the proof is indirect, so the confidence is at most *possible*.
    `kind`, `severity`, `explains`, `scope` override the rule's where this case differs.
    """

    proof: tuple[Evidence, ...]
    context: tuple[Evidence, ...] = ()
    subject: str = ""
    since: Optional[datetime] = None
    until: Optional[datetime] = None
    inferred: bool = False
    kind: str = ""
    severity: str = ""
    explains: Optional[tuple[str, ...]] = None
    scope: Optional[Scope] = None


class Clear(NamedTuple):
    """Excluded, by a fact."""

    because: str
    evidence: tuple[Evidence, ...] = ()


class Inconclusive(NamedTuple):
    """Cannot be told; `missing` are the fields of NodeSnapshot that would tell."""

    missing: tuple[str, ...]


Outcome = Union[Fires, Clear, Inconclusive]


class Look(NamedTuple):
    """A command that can decide a code."""

    command: str
    where: str = "node"


class Rule(NamedTuple):
    """One code. `needs`: readings without which the engine answers inconclusive before `check` is asked."""

    code: str
    kind: str
    severity: str
    summary: str
    meaning: str
    proof: str
    refutation: str
    check: Callable[[Facts], Outcome]
    remedy: Callable[[Facts], Remedy]
    reference: str
    needs: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    scope: Scope = Scope.NODE
    looks: tuple[Look, ...] = ()


def fact(name: str, observed: Value, source: str, *, expected: Value = None, ref: str = "", at: Optional[datetime] = None) -> Evidence:
    """One piece of evidence."""
    return Evidence(fact=name, observed=observed, source=source, expected=expected, ref=ref, at=at)


def line(name: str, event: Event) -> Evidence:
    """A log line as evidence: its first line. It is cut where it is printed: a cut here would leave half an id, which no redaction knows."""
    text = event.text.split("\n", 1)[0]
    return fact(name, text, VIEW_OF_PROGRAM.get(event.program, event.program), ref=event.ref, at=event.at)


def failure(name: str, hit: Hit) -> Evidence:
    """A pod's newest failure as evidence: from the plugin's own words on, where they are told."""
    newest = hit.newest.newest
    text = newest.text.split("\n", 1)[0]
    return fact(name, text[max(text.rfind("plugin type="), 0) :], hit.source, ref=newest.ref, at=newest.at)


def waiting(facts: Facts) -> tuple[Evidence, ...]:
    """How many pods wait, as context."""
    count = len(facts.hits.waiting)
    return (fact("pods that wait for an address", count, facts.hits.waiting[0].source, expected=0),) if count else ()


def pool_numbers(facts: Facts) -> tuple[Evidence, ...]:
    """The pool as context."""
    if facts.pool is None:
        return ()
    p = facts.pool
    numbers = fact("addresses assigned / usable / cooling / assignable", f"{p.in_use} / {p.usable} / {p.cooling} / {p.assignable}", "ipamd /v1/enis", ref="/ENIs")
    drifts = tuple(
        fact(f"ipamd's own counter on card {c.card} is off by", c.drift, "ipamd /v1/enis", expected=0, ref=f"/{c.card}/TotalIPs") for c in p.cards if c.drift
    )
    return (numbers, *drifts)
