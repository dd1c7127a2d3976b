"""prefix-mode-advised: prefix mode would serve this node better."""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import BEST_PRACTICES, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact

DENSE = 0.8


def check(facts: Facts) -> Outcome:
    """Nitro, secondary-IP mode, and density near the limit. What the subnet allows cannot be seen from the node."""
    s, limits = facts.settings, facts.limits
    if limits is None or s.prefix is None:
        return Inconclusive(("metadata",) if limits is None else ("environment",))
    if s.prefix or s.ipv6:
        return Clear("prefix mode is on", (fact("ENABLE_PREFIX_DELEGATION", True, s.origin.get("prefix", "")),))
    if not limits.prefixes:
        return Clear("the type has no prefix mode", (fact("hypervisor", "not nitro", "instance limits", ref=limits.type),))
    if facts.pool is None or not facts.address_limit:
        return Inconclusive(("ipam",))
    if facts.pool.default.assigned < DENSE * facts.address_limit:
        return Clear("the node is far from its limit", (fact("addresses assigned", facts.pool.default.assigned, "ipamd /v1/enis", expected=f"at least {DENSE:.0%} of {facts.address_limit}"),))
    proof = (
        fact("addresses assigned", facts.pool.default.assigned, "ipamd /v1/enis", expected=f"below {DENSE:.0%} of {facts.address_limit}", ref="/ENIs"),
        fact("type supports prefixes", True, "instance limits", ref=limits.type),
    )
    return Fires(proof=proof, subject=limits.type)


def remedy(facts: Facts) -> Remedy:
    """How to, and that nodes must be recycled."""
    return remedies.remedy(
        "Turn prefix mode on and recycle the nodes: existing ones keep their ENIs full of single addresses. The subnet needs free aligned /28 blocks; raise max-pods for the new nodes.",
        remedies.set_env("ENABLE_PREFIX_DELEGATION=true WARM_PREFIX_TARGET=1"),
        remedies.aws(facts, f"ec2 get-subnet-cidr-reservations --subnet-id {(remedies.subnets(facts) or ('SUBNET',))[0]}", rights="ec2:GetSubnetCidrReservations"),
        do_not=("Do not expect this node to change: only new ENIs take prefixes.",),
        recovers_by="with new nodes",
    )


RULE = Rule(
    code="prefix-mode-advised", kind="advice", severity="info",
    summary="Prefix mode would give this type many more addresses",
    meaning="The type is Nitro and the node is near its limit of single addresses; prefix mode gives 16 addresses in each place of one.",
    proof="Type, density and mode.", refutation="Any of these missing.",
    check=check, remedy=remedy, reference=BEST_PRACTICES + "prefix-mode-linux.html",
    looks=(Look("eniagent capacity"), Look("kubectl -n kube-system get daemonset aws-node -o jsonpath='{.spec.template.spec.containers[0].env}'", "kubectl")),
)
