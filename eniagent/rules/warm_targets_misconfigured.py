"""warm-targets-misconfigured: warm settings contradict each other; a cause when the pool is frozen by them.

Refuses to advise from settings that were not seen: MINIMUM_IP_TARGET is in no endpoint.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Evidence, Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import BEST_PRACTICES, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, pool_numbers, waiting

RISKY_COOLDOWN_S = 10


def check(facts: Facts) -> Outcome:
    """The frozen pool first; then the combinations of the CNI reference, 3.3 and 3.4."""
    s = facts.settings
    if s.minimum_ip is None or s.warm_ip is None:
        return Inconclusive(("environment",))
    if s.ipv6:
        return Clear("IPv6 mode ignores warm targets", (fact("ENABLE_IPv6", True, s.origin.get("ipv6", "")),))
    frozen = s.minimum_ip > 0 and s.warm_ip <= 0
    proof = _contradictions(facts)
    if frozen and facts.pool is not None and facts.pool.usable >= s.minimum_ip and not facts.pool.assignable and facts.hits.of("no-address", waiting=True):
        first = min((h.first_at for h in facts.hits.waiting if h.first_at), default=None)
        held = fact("addresses held", facts.pool.usable, "ipamd /v1/enis", expected=f"more than MINIMUM_IP_TARGET {s.minimum_ip}", ref="/ENIs")
        return Fires(proof=(*proof, held), context=(*pool_numbers(facts), *waiting(facts)), since=first, severity="critical")
    if proof:
        return Fires(proof=proof, kind="advice", severity="warning")
    return Clear("the warm targets fit each other", (fact("WARM_IP_TARGET / MINIMUM_IP_TARGET / WARM_ENI_TARGET", f"{s.warm_ip} / {s.minimum_ip} / {s.warm_eni}", s.origin.get("warm_ip", "ipamd environment")),))


def _contradictions(facts: Facts) -> tuple[Evidence, ...]:
    s, found = facts.settings, []
    origin = s.origin.get("minimum_ip", "ipamd environment")
    if (s.minimum_ip or 0) > 0 and (s.warm_ip or 0) <= 0:
        found.append(fact("MINIMUM_IP_TARGET without WARM_IP_TARGET: the pool never grows past it", s.minimum_ip, origin, expected="WARM_IP_TARGET above 0", ref="MINIMUM_IP_TARGET"))
    if 0 < (s.warm_ip or 0) <= 2 and not s.minimum_ip and not s.prefix:
        found.append(fact("small WARM_IP_TARGET without MINIMUM_IP_TARGET: one EC2 call for every few pods", s.warm_ip, s.origin.get("warm_ip", origin), expected="MINIMUM_IP_TARGET near the pods per node", ref="WARM_IP_TARGET"))
    if 0 < (s.warm_ip or 0) <= 2 and 0 < (s.minimum_ip or 0) <= 2:
        found.append(fact("WARM_IP_TARGET and MINIMUM_IP_TARGET both tiny: bursts wait for EC2", f"{s.warm_ip} / {s.minimum_ip}", s.origin.get("warm_ip", origin), expected="near the usual burst", ref="WARM_IP_TARGET"))
    if s.warm_eni == 0 and not s.warm_ip and not s.minimum_ip and not s.prefix:
        found.append(fact("WARM_ENI_TARGET=0 with no other target: growth starts only when nothing is left", 0, s.origin.get("warm_eni", origin), expected="a target above 0", ref="WARM_ENI_TARGET"))
    if s.prefix and s.warm_prefix == 0 and not s.warm_ip and not s.minimum_ip:
        found.append(fact("WARM_PREFIX_TARGET=0 is not supported: aws-node exits", 0, s.origin.get("warm_prefix", origin), expected="at least 1", ref="WARM_PREFIX_TARGET"))
    if s.cooldown_s < RISKY_COOLDOWN_S:
        found.append(fact("IP_COOLDOWN_PERIOD so short that addresses are reused before kube-proxy converges", s.cooldown_s, s.origin.get("cooldown_s", origin), expected="30", ref="IP_COOLDOWN_PERIOD"))
    return tuple(found)


def remedy(facts: Facts) -> Remedy:
    """Set both targets."""
    busy = facts.pool.in_use if facts.pool else 10
    return remedies.remedy(
        f"Set WARM_IP_TARGET and MINIMUM_IP_TARGET together: MINIMUM_IP_TARGET near the usual pods per node (here {max(busy, 5)}), WARM_IP_TARGET for the usual burst.",
        remedies.set_env(f"WARM_IP_TARGET=5 MINIMUM_IP_TARGET={max(busy, 5)}"),
        do_not=("Do not set WARM_ENI_TARGET with WARM_IP_TARGET: it is ignored.",),
        recovers_by="when aws-node restarts with the new settings",
    )


RULE = Rule(
    code="warm-targets-misconfigured",
    kind="cause",
    severity="warning",
    summary="The warm-pool settings contradict each other",
    meaning="The warm targets keep the pool from growing in time, or at all: with MINIMUM_IP_TARGET alone ipamd stops at that number even with every address in use.",
    proof="The settings, and a pool frozen at the minimum.",
    refutation="Targets that fit each other.",
    check=check,
    remedy=remedy,
    reference=BEST_PRACTICES + "vpc-cni.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "warm-pool-lag", "cooldown-starved"),
    looks=(Look("kubectl -n kube-system get daemonset aws-node -o jsonpath='{.spec.template.spec.containers[0].env}'", "kubectl"), Look("grep 'IP pool manager' /var/log/aws-routed-eni/ipamd.log | tail -1")),
)
