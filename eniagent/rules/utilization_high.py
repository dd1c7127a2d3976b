"""utilization-high: more than 80 % of what the node can address is in use.

Measured against min(ENI-derived limit, maxPods), never against the warm pool.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.knowledge.max_pods import HOST_NETWORK_PODS
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact

HIGH = 0.8


def check(facts: Facts) -> Outcome:
    """assigned / min(address limit, maxPods - 2)."""
    if facts.pool is None:
        return Inconclusive(("ipam",))
    if facts.settings.ipv6:
        return Clear("an IPv6 prefix does not run out", (fact("mode", "IPv6", facts.settings.origin.get("ipv6", "")),))
    if facts.address_limit is None:
        return Inconclusive(("metadata",) if facts.limits is None else ("environment",))
    most = facts.address_limit if facts.max_pods is None else min(facts.address_limit, max(facts.max_pods - HOST_NETWORK_PODS, 1))
    used = facts.pool.default.assigned
    proof = (fact("addresses assigned", used, "ipamd /v1/enis", expected=f"at most {HIGH:.0%} of {most}", ref="/ENIs"), fact("addresses this node can use", most, "instance limits", ref=facts.identity.instance_type))
    if most and used > HIGH * most:
        return Fires(proof=proof, subject=f"{used}/{most}")
    return Clear(f"{used} of {most} in use", proof)


def remedy(facts: Facts) -> Remedy:
    """Grow before it fails."""
    return remedies.remedy(
        "Add nodes or use a larger type or prefix mode before the node is full.",
        remedies.kubectl(f"kubectl get pods -A -o wide --field-selector spec.nodeName={remedies.node_name(facts)}"),
        do_not=("Do not measure the warm pool: free addresses there are kept on purpose.",),
        recovers_by="when pods leave",
    )


RULE = Rule(
    code="utilization-high", kind="advice", severity="info",
    summary="More than 80 % of the node's addresses are in use",
    meaning="The node is close to the number of pods it can address. A full node with no pod waiting is normal; this is the notice before.",
    proof="Assigned addresses against min(ENI limit, maxPods).", refutation="Below 80 %.",
    check=check, remedy=remedy, reference=EKS_GUIDE + "choosing-instance-type.html",
    looks=(Look("eniagent capacity"), Look("kubectl describe node NODE | grep -A8 'Allocated resources'", "kubectl")),
)
