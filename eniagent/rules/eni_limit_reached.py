"""eni-limit-reached: all addresses that this type can hold are assigned: the node is full.

Refuses to blame a full node with no pod waiting: that is what max-pods is for.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, pool_numbers, waiting


def check(facts: Facts) -> Outcome:
    """assigned = limit, nothing cooling, and pods wait."""
    exceeded = facts.events("eni-addresses-exceeded")
    if exceeded:
        told = line("EC2 refuses more addresses on one ENI than the type holds", exceeded[-1])
        return Fires(proof=(told,), context=waiting(facts), subject=exceeded[-1].fields.get("type", ""), since=exceeded[0].at)
    if facts.pool is None:
        return _by_log(facts)
    if facts.settings.ipv6:
        return Clear("an IPv6 prefix does not run out", (fact("mode", "IPv6", facts.settings.origin.get("ipv6", "")),))
    if facts.address_limit is None:
        return Inconclusive(("metadata",) if facts.metadata is None else ("environment",))
    limit, pool = facts.address_limit, facts.pool.default
    source = fact("addresses this type can hold", limit, "instance limits", ref=facts.identity.instance_type)
    if pool.usable < limit:
        return Clear(f"{pool.usable} of {limit} addresses are attached: there is room for more", (source,))
    if pool.assignable or pool.cooling:
        return Clear("an address is free or cooling", (*pool_numbers(facts), source))
    waits = facts.hits.of("no-address", "plugin-no-address", waiting=True)
    if not waits:
        return Clear("the node is full, and no pod waits for an address", (*pool_numbers(facts), source))
    proof = [fact("addresses assigned", pool.assigned, "ipamd /v1/enis", expected=f"below {limit}", ref="/ENIs"), source]
    proof += [line("ipamd skips ENI allocation", e) for e in facts.events("eni-limit-hit")[-1:]]
    if facts.metadata and facts.eni_limit is not None:
        proof.append(fact("ENIs attached", len(facts.metadata.enis), "IMDS", expected=f"at most {facts.eni_limit}", ref="network/interfaces/macs/"))
    since = min((h.first_at for h in waits if h.first_at), default=None)
    return Fires(proof=tuple(proof), context=waiting(facts), subject=facts.identity.instance_type, since=since)


def _by_log(facts: Facts) -> Outcome:
    """Where only lines were pasted: ipamd at its limit of ENIs, its pool fully assigned, and EC2 refusing nothing.

    Possible at most, unless the pool line's own arithmetic fills every ENI: a full subnet stops at the same words.
    """
    hit = facts.events("eni-limit-hit")
    stats = [e for e in facts.events("pool-stats") if e.fields.get("total") not in (None, "0")]
    if not facts.pasted or not hit or not stats or facts.refused:
        return Inconclusive(("ipam",))
    fields = stats[-1].fields
    if fields["total"] != fields["assigned"] or int(fields.get("cooldown") or fields.get("cooling") or 0):
        return Inconclusive(("ipam",))
    per_eni = int(fields.get("per_eni") or 0)
    filled = per_eni > 1 and (int(fields["total"]) % per_eni == 0 or int(fields["total"]) % (per_eni - 1) == 0)
    proof = (line(f"all {fields['total']} addresses are assigned", stats[-1]), line("ipamd attaches no further ENI", hit[-1]))
    return Fires(proof=proof, context=waiting(facts), since=stats[-1].at, inferred=not (filled and facts.events("pool-empty", "add-failed")))


def remedy(facts: Facts) -> Remedy:
    """Fewer pods here, or more room per node."""
    name = remedies.node_name(facts)
    return remedies.remedy(
        "Run fewer pods on this node or give it more room: correct kubelet's maxPods to what the type can serve, use a larger type, or prefix mode (new nodes).",
        remedies.kubectl(f"kubectl get pods -A --field-selector spec.nodeName={name} -o wide"),
        remedies.kubectl(f"kubectl get node {name} -o jsonpath='{{.status.allocatable.pods}}'"),
        remedies.set_env("ENABLE_PREFIX_DELEGATION=true WARM_PREFIX_TARGET=1"),
        do_not=("Do not restart aws-node: the limit is EC2's.", "Do not expect prefix mode to help this node: existing nodes must be recycled."),
        recovers_by="when a pod with an address leaves this node (plus 30 s of cooldown)",
    )


RULE = Rule(
    code="eni-limit-reached",
    kind="cause",
    severity="critical",
    summary="The node is full: every address its ENIs can hold is assigned",
    meaning="The instance type's ENIs and addresses per ENI are all in use. The scheduler sent more pods than the node can address.",
    proof="Assigned addresses equal the type's limit, nothing cools, and pods wait.",
    refutation="A free ENI slot, a free address, or an address cooling.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "choosing-instance-type.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "max-pods-mismatch", "cooldown-starved", "warm-pool-lag"),
    looks=(Look("curl -s http://127.0.0.1:61679/v1/enis"), Look("curl -s http://127.0.0.1:61678/metrics | grep -E 'awscni_(eni_max|ip_max|assigned_ip|total_ip)'")),
)
