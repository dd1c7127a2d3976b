"""ipamd-crashing: ipamd restarts again and again: panic, memory, or killed by its probe.

Refuses to call one restart a loop: three starts within the hour, or a panic.
"""

from __future__ import annotations

from datetime import timedelta

from eniagent.case.facts import Facts
from eniagent.case.life import CRASHES, crash_starts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting

SETTLED_S = 600
"""An ipamd that has served this long since its last start has left the loop: kubelet's back-off is at most 5 minutes."""


def check(facts: Facts) -> Outcome:
    """Several starts, a panic, or a kill, with no long life since."""
    starts = crash_starts(facts.life, now=facts.at)
    panics, killed = facts.life.panics, facts.events("aws-node-oom", "aws-node-backoff", field="kubelet")
    if facts.log is None and not killed:
        return Inconclusive(("ipamd_log",))
    if not starts and not panics and not killed:
        return Clear(f"{len(facts.life.starts)} start(s) in the log", (fact("start banners within the hour", len(facts.life.starts), "ipamd.log", expected=f"below {CRASHES}", ref="logs/ipamd.log"),))
    proof = []
    if starts:
        proof.append(fact("start banners within the hour", len(starts), "ipamd.log", expected=f"below {CRASHES}", ref=starts[-1].ref, at=starts[-1].at))
    proof += [line("panic", e) for e in panics[:1]]
    proof += [line("killed", e) for e in killed[-1:]]
    if facts.life.serves is False:
        proof.append(fact("ipamd's ports", facts.life.basis, "ipamd /v1/enis", expected="an answer", ref="127.0.0.1:61679"))
    first = starts[0] if starts else (panics or killed)[0]
    over = None
    last = facts.life.starts[-1].at if facts.life.starts else None
    if facts.life.served_since_start and last and facts.at - last > timedelta(seconds=SETTLED_S):
        over = last
    # A loop of failed initializations is explained by their words, not the other way round.
    explains = tuple(c for c in RULE.explains if c != "ipamd-not-ready") if facts.life.failures and not panics else None
    return Fires(proof=tuple(proof), context=() if over else waiting(facts), since=first.at, until=over, subject="ipamd", explains=explains)


def remedy(facts: Facts) -> Remedy:
    """By the panic or limit named."""
    return remedies.remedy(
        "Find what ends ipamd: a panic in the container's previous output, exit code 137 (memory limit or failed liveness probe), or a fatal error in ipamd.log; raise the limit, fix the probe's timeout, or change the release.",
        remedies.kubectl("kubectl -n kube-system logs -l k8s-app=aws-node -c aws-node --previous --tail=60"),
        remedies.kubectl(f"kubectl -n kube-system get pods -l k8s-app=aws-node --field-selector spec.nodeName={remedies.node_name(facts)} -o jsonpath='{{.items[*].status.containerStatuses[*].lastState}}'"),
        remedies.node("journalctl -k --since -1h --no-pager | grep -iE 'oom|killed process'"),
        do_not=("Do not delete the checkpoint /var/run/aws-node/ipam.json: running pods would lose their addresses.",),
        recovers_by="not by itself while the reason stands",
    )


RULE = Rule(
    code="ipamd-crashing",
    kind="cause",
    severity="critical",
    summary="ipamd restarts again and again",
    meaning="The address manager ends and is started again within minutes: a panic, out of memory, or killed by its liveness probe. Pods fail while it is away.",
    proof="Three or more start banners within the hour, a panic, exit code 137.",
    refutation="One start, and an uptime longer than the window.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "slow-pod-start", "ipamd-unreachable", "ipamd-not-ready", "cni-not-initialized"),
    looks=(Look("grep -c 'Starting L-IPAMD' /var/log/aws-routed-eni/ipamd.log"), Look("kubectl -n kube-system get pods -l k8s-app=aws-node -o wide", "kubectl")),
)
