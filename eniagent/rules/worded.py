"""What the rules share whose proof is a program's own words: log events and the inner errors of failed sandboxes.

A failure stands while a pod with it waits (for one that `starves`, whatever the pod failed by last: each of its attempts
took an address, so in the end there is none); a log event stands until one of `ends` follows it.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.case.impact import Hit
from eniagent.model.finding import Evidence
from eniagent.model.record import Event
from eniagent.rules.rule import Clear, Fires, Inconclusive, Outcome, fact, failure, line, waiting


def check_words(
    facts: Facts, what: str, *, log: tuple[str, ...] = (), failures: tuple[str, ...] = (), node: tuple[str, ...] = (), ends: tuple[str, ...] = (), subject: str = "",
    starves: bool = False,
) -> Outcome:
    """Fires on `log` events (ipamd.log, plugin.log), `failures` of sandboxes, `node` events of the journals."""
    hits = facts.hits.of(*failures)
    waits = tuple(h for h in hits if h.waits) if starves else facts.hits.of(*failures, waiting=True)
    told = _told(facts, log, node)
    if not hits and not told:
        missing = [f for f, asked in (("ipamd_log", log), ("kubelet", failures or node)) if asked and not _seen(facts, f)]
        if missing:
            return Inconclusive(tuple(missing))
        source = "kubelet journal" if facts.hits.seen else "ipamd.log"
        return Clear(f"no word of {what}", (fact(f"{what}: such lines", 0, source, ref="journal/kubelet.jsonl" if facts.hits.seen else "logs/ipamd.log"),))
    proof = [_words(what, waits or hits, failures)] if hits else []
    proof += [line(f"{what}: {len(told)} x", told[-1])] if told else []
    times = [h.first_at for h in hits if h.first_at] + [e.at for e in told[:1] if e.at]
    until = None
    if not waits:
        after = [e.at for e in facts.events(*ends) if e.at and told and told[-1].at and e.at > told[-1].at] if ends else []
        over_hits = bool(hits)
        if after:
            until = after[0]
        elif over_hits and (not told or all(e.at for e in told)):
            until = max((h.last_at for h in hits if h.last_at), default=None)
    return Fires(proof=tuple(proof), context=() if until else waiting(facts), since=min(times, default=None), until=until, subject=subject)


def _seen(facts: Facts, field: str) -> bool:
    return facts.log is not None if field == "ipamd_log" else facts.hits.seen


def _words(what: str, hits: tuple[Hit, ...], failures: tuple[str, ...]) -> Evidence:
    """A pod's failure in its own words; where its newest one says something else, how often it failed so."""
    told = next((h for h in reversed(hits) if h.newest.newest.signature in failures), None)
    if told is not None:
        return failure(f"{what}: {len(hits)} pods", told)
    times = sum(n for h in hits for s, n in h.signatures.items() if s in failures)
    return fact(f"{what}: {len(hits)} pods, attempts that failed so", times, hits[-1].source, expected=0, at=hits[-1].last_at)


def _told(facts: Facts, log: tuple[str, ...], node: tuple[str, ...]) -> tuple[Event, ...]:
    found = [*facts.events(*log), *facts.events(*log, field="plugin_log")]
    for field in ("kubelet", "containerd"):
        found += facts.events(*node, field=field)
    found.sort(key=lambda e: (e.at is not None, e.at or facts.at, e.ref))
    return tuple(found)
