"""max-pods-mismatch: kubelet accepts more (or far fewer) pods than the CNI can address.

Advice while nothing fails; a cause when pods wait on a full node because of it.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.knowledge import max_pods
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, pool_numbers, waiting


def servable(facts: Facts) -> int:
    """Pods that this node can serve: its address limit plus the host-network pods."""
    assert facts.address_limit is not None
    return facts.address_limit + max_pods.HOST_NETWORK_PODS


def check(facts: Facts) -> Outcome:
    """kubelet's maxPods against the formula for type and mode."""
    if facts.max_pods is None:
        return Inconclusive(("kubelet_config",))
    if facts.settings.ipv6:
        return Clear("in IPv6 mode addresses do not limit the pods", (fact("mode", "IPv6", facts.settings.origin.get("ipv6", "")),))
    if facts.address_limit is None:
        return Inconclusive(("metadata",) if facts.limits is None else ("environment",))
    most = servable(facts)
    proof = (
        fact("kubelet maxPods", facts.max_pods, "kubelet configuration", expected=f"at most {most}", ref="maxPods"),
        fact("pods this type can address", most, "instance limits", ref=facts.identity.instance_type),
    )
    if facts.max_pods <= most:
        return Clear(f"kubelet's maxPods {facts.max_pods} is within {most}", proof)
    full = facts.pool is not None and facts.pool.usable >= (facts.address_limit or 0) and facts.pool.assignable == 0
    if full and facts.hits.of("no-address", waiting=True):
        since = min((h.first_at for h in facts.hits.waiting if h.first_at), default=None)
        return Fires(proof=proof, context=(*pool_numbers(facts), *waiting(facts)), subject=facts.node.name, since=since)
    return Fires(proof=proof, subject=facts.node.name, kind="advice", severity="warning")


def remedy(facts: Facts) -> Remedy:
    """Set maxPods to the computed value."""
    value = servable(facts) if facts.address_limit is not None else "N"
    return remedies.remedy(
        f"Set kubelet's maxPods to {value} for this type and mode (node group or nodeadm configuration), and recycle the node.",
        remedies.node("grep -h maxPods /etc/kubernetes/kubelet/config.json /etc/kubernetes/kubelet/config.json.d/*"),
        remedies.kubectl(f"kubectl get node {remedies.node_name(facts)} -o jsonpath='{{.status.capacity.pods}}'"),
        do_not=("Do not edit the file on the node alone: the next node has the old value.",),
        recovers_by="not by itself",
    )


RULE = Rule(
    code="max-pods-mismatch",
    kind="cause",
    severity="critical",
    summary="kubelet accepts more pods than the CNI has addresses for",
    meaning="kubelet's maxPods does not fit the instance type and CNI mode, so the scheduler places pods that can never get an address here.",
    proof="kubelet's configuration against the formula for this type and mode.",
    refutation="maxPods is at most the computed number.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "choosing-instance-type.html",
    explains=("allocation-failures", "pool-exhausted", "warm-pool-lag", "cooldown-starved"),
    looks=(Look("kubectl get node NODE -o jsonpath='{.status.capacity.pods}'", "kubectl"), Look("grep -h maxPods /etc/kubernetes/kubelet/config.json")),
)
