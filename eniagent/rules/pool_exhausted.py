"""pool-exhausted (symptom): nothing is assignable on this node."""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line


def check(facts: Facts) -> Outcome:
    """usable - assigned - cooling = 0, or ipamd's own words where the pool was not seen."""
    if facts.pool is not None:
        if facts.pool.assignable:
            return Clear(f"{facts.pool.assignable} addresses are assignable", (fact("addresses assignable", facts.pool.assignable, "ipamd /v1/enis", ref="/ENIs"),))
        severity = "critical" if facts.hits.waiting else "info"
        return Fires(proof=(fact("addresses assignable", 0, "ipamd /v1/enis", expected="at least 1", ref="/ENIs"), fact("addresses assigned", facts.pool.in_use, "ipamd /v1/enis", ref="/ENIs")), severity=severity)
    empty = facts.events("pool-empty")
    if empty:
        return Fires(proof=(line("the pool is empty", empty[-1]),), since=empty[0].at)
    return Inconclusive(("ipam",))


def remedy(facts: Facts) -> Remedy:
    """See the cause."""
    return remedies.remedy(
        "Heal the cause that keeps the pool from growing: `eniagent diagnose` names it.",
        remedies.node("eniagent diagnose"),
        remedies.kubectl(f"kubectl get pods -A -o wide --field-selector spec.nodeName={remedies.node_name(facts)}"),
        do_not=("Do not restart aws-node before the cause is known: a start makes more EC2 calls and gives up the pool that there is.",),
        recovers_by="when the pool grows, when a pod leaves, or when cooling addresses have rested for 30 s",
    )


RULE = Rule(
    code="pool-exhausted", kind="symptom", severity="critical",
    summary="No address on this node is assignable",
    meaning="Every address that ipamd holds is assigned or cooling. The next pod fails until the pool grows or an address is freed.",
    proof="usable - assigned - cooling = 0, recomputed from /v1/enis.", refutation="An assignable address.",
    check=check, remedy=remedy, reference=GUIDE,
    looks=(Look("curl -s http://127.0.0.1:61679/v1/enis"), Look("grep -i 'no available IP' /var/log/aws-routed-eni/ipamd.log | tail -3")),
)
