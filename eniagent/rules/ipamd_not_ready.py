"""ipamd-not-ready: ipamd starts but does not come to serve, or refuses to start.

Refuses to lead where the failure's own words name the cause: then that cause explains it.
"""

from __future__ import annotations

import re
from datetime import timedelta

from eniagent.case.facts import Facts
from eniagent.case.impact import NOW_S
from eniagent.model.finding import Evidence, Remedy
from eniagent.model.record import Event
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting

NORMAL_RETRIES = 3
"""Up to three `Retrying waiting for IPAM-D` belong to an ordinary start."""
_BARE = re.compile(r"attached ENIs info\W*$|any ENIs for custom networking\W*$|^\W*$")


def check(facts: Facts) -> Outcome:
    """A start without service, or a failed initialization after the last start."""
    life = facts.life
    words = facts.events("init-failed", "config-fatal", "config-fatal-ipv6", "checkpoint-corrupt", "entrypoint-stopped", "iptables-failed", "host-init-failed")
    probes = (*facts.events("probe-failed", "aws-node-not-placed", "aws-node-unready", field="kubelet"), *_retries(facts))
    if life.serves and not _fresh(facts, probes):
        return _past(facts)
    if facts.log is None and not probes:
        return Inconclusive(("ipamd_log",))
    last = life.starts[-1] if life.starts else None
    if life.served_since_start and not words:
        return Clear("ipamd came to serve after its last start", tuple(line("served", e) for e in facts.events("ipamd-serving")[-1:]))
    if words and not (last and last.at and words[-1].at and words[-1].at < last.at and life.served_since_start):
        proof = [line("ipamd ends at its start", words[-1])]
    elif last is not None and life.serves is False:
        proof = [line("start without coming to serve", last)]
    elif _fresh(facts, probes) and life.served_since_start is not True:
        proof = [line("aws-node's probe fails", probes[-1])] + ([line("start without coming to serve", last)] if last else [])
    else:
        return Clear("no start without service in ipamd's log", (fact("start banners", len(life.starts), "ipamd.log", ref="logs/ipamd.log"),))
    proof += _port(facts)
    since = life.starts[0].at if life.starts else proof[0].at
    return Fires(proof=tuple(proof), context=waiting(facts), since=since, subject="ipamd", inferred=bool(words) and _wordless(words[-1]) and life.serves is None)


def _retries(facts: Facts) -> tuple[Event, ...]:
    """aws-node's waits for ipamd, where they went beyond those of every start and nothing says that they ended."""
    waits = tuple(e for e in facts.events("entrypoint-waiting") if "Retrying" in e.text)
    return waits if len(waits) > NORMAL_RETRIES and not facts.events("entrypoint-copied") else ()


def _wordless(event: Event) -> bool:
    """Whether the last words say that ipamd ended and not why: rights, metadata, limits and memory all end it like this."""
    if event.fields.get("code") or event.fields.get("inner") not in (None, "", "custom-networking-no-eni"):
        return False
    return event.signature == "entrypoint-stopped" or (event.signature == "init-failed" and _BARE.search(event.fields.get("detail", "")) is not None)


def _fresh(facts: Facts, probes: tuple[Event, ...]) -> bool:
    return bool(probes) and (probes[-1].at is None or facts.at - probes[-1].at <= timedelta(seconds=NOW_S))


def _port(facts: Facts) -> list[Evidence]:
    return [fact("ipamd's ports", facts.life.basis, "ipamd /v1/enis", expected="an answer", ref="127.0.0.1:61679")] if facts.life.serves is False else []


def _past(facts: Facts) -> Outcome:
    life = facts.life
    hit = facts.hits.of("ipamd-refused", "ipamd-never-served", "cni-uninitialized")
    last = life.starts[-1] if life.starts else None
    if hit and last and last.at and not facts.hits.waiting:
        return Fires(proof=(line("ipamd started", last), fact("pods that failed before it served", len(hit), hit[0].source)), since=min((h.first_at for h in hit if h.first_at), default=None), until=max((h.last_at for h in hit if h.last_at), default=last.at))
    return Clear("ipamd serves", (fact("ipamd's ports", life.basis, "ipamd /v1/enis", ref="127.0.0.1:61679"),))


def remedy(facts: Facts) -> Remedy:
    """By the failure that the log names."""
    return remedies.remedy(
        "Read the first error after the last start banner and remove its cause; the container's own output has what ipamd.log lacks.",
        remedies.node("grep -n -A40 'Starting L-IPAMD' /var/log/aws-routed-eni/ipamd.log | grep -E '\"(error|fatal|warn)\"' | tail -5"),
        remedies.aws_node_pod(facts),
        remedies.kubectl("kubectl -n kube-system logs -l k8s-app=aws-node -c aws-node --previous --tail=40"),
        do_not=("Do not delete the pod again and again: kubelet's restart back-off grows to 5 minutes.",),
        recovers_by="by kubelet's next restart, once the cause is gone",
    )


RULE = Rule(
    code="ipamd-not-ready",
    kind="cause",
    severity="critical",
    summary="ipamd has started but does not serve",
    meaning="The address manager is starting, waits for something, or ends in its initialization. Until it serves, no pod gets an address and no CNI configuration is written.",
    proof="A start banner without `Serving`, or an initialization failure.",
    refutation="ipamd serves.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "slow-pod-start", "ipamd-unreachable", "ipamd-crashing", "cni-not-initialized", "pool-exhausted"),
    looks=(Look("grep -n 'Starting L-IPAMD' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("kubectl -n kube-system logs -l k8s-app=aws-node -c aws-node --previous --tail=40", "kubectl")),
)
