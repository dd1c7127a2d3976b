"""address-leaked: ipamd counts addresses as assigned to pods that no longer exist.

Refuses to claim a leak from counters: each leaked address is one whose pod has no veth and no sandbox here.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting


def check(facts: Facts) -> Outcome:
    """Assigned addresses without a veth of their pod, more than a race explains."""
    contradicting = facts.events("counters-contradict")
    if contradicting:
        return Fires(proof=(line("ipamd counts more assigned addresses than it has", contradicting[-1]),), severity="warning", inferred=True)
    lost = facts.events("plugin-release-failed", field="plugin_log")
    if facts.pasted and lost and facts.ipam is None:
        return Fires(proof=(line("an address could not be given back", lost[-1]),), severity="warning", since=lost[0].at, inferred=True)
    if facts.address_gaps is None:
        return Inconclusive(("ipam",) if facts.ipam is None else ("links",))
    leaked = tuple(g for g in facts.address_gaps if g.kind == "veth")
    assert facts.pool is not None
    if not leaked:
        return Clear(f"each of the {facts.pool.in_use} assigned addresses has its pod's link", (fact("assigned addresses without a link", 0, "kernel", ref="host/ip-link.json"),))
    proof = [
        fact("addresses assigned to pods without a link here", len(leaked), "ipamd /v1/enis", expected=0, ref="/ENIs"),
        fact(f"host veth of {leaked[0].pod}", "missing", "kernel", expected=leaked[0].expected, ref="host/ip-link.json"),
    ]
    sandboxes = facts.value("sandboxes")
    if sandboxes is not None and leaked[0].pod not in {s.pod for s in sandboxes.pods if s.ready}:
        proof.append(fact(f"sandbox of {leaked[0].pod}", "none ready", "container runtime", expected="ready", ref="runtime/pods.json"))
    severity = "critical" if facts.hits.waiting else "warning"
    return Fires(proof=tuple(proof), context=waiting(facts), subject=", ".join(g.subject for g in leaked[:4]), severity=severity)


def remedy(facts: Facts) -> Remedy:
    """Restart ipamd: it drops entries without a veth."""
    return remedies.remedy(
        "Restart aws-node on this node: from release 1.12 on, its start drops assignments whose host veth is gone. Then find why deletes were lost (ipamd away while pods were deleted, runtime wiped).",
        remedies.node("crictl pods -q | wc -l; grep -o '\"ipv4\"' /var/run/aws-node/ipam.json | wc -l"),
        remedies.restart_aws_node(facts),
        do_not=("Do not edit ipam.json while ipamd runs: it is overwritten.",),
        recovers_by="not by itself; a restart of aws-node heals it",
    )


RULE = Rule(
    code="address-leaked",
    kind="cause",
    severity="critical",
    summary="ipamd holds addresses for pods that no longer exist",
    meaning="A DEL never reached ipamd, so the address stays assigned without a pod. Leaked addresses add up until the pool is empty.",
    proof="Assigned addresses whose pod has no host veth and no live sandbox.",
    refutation="Each assigned address has a live sandbox.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "eni-limit-reached", "max-pods-mismatch", "warm-pool-lag"),
    looks=(Look("crictl pods -q | wc -l; curl -s http://127.0.0.1:61678/metrics | grep awscni_assigned_ip_addresses"), Look("ip -br link | grep -c '^eni'")),
)
