"""cooldown-starved: free addresses exist, but all of them are cooling.

Refuses to count a cooling address as assignable, as ipamd's own warm-pool arithmetic does.
"""

from __future__ import annotations

from datetime import datetime

from eniagent.case.facts import Facts
from eniagent.case.pool import cools
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, pool_numbers, waiting


def check(facts: Facts) -> Outcome:
    """cooling > 0, assignable = 0, and pods wait for an address."""
    if facts.pool is None:
        return _by_log(facts)
    pool = facts.pool
    if pool.assignable:
        return Clear(f"{pool.assignable} addresses are assignable", pool_numbers(facts))
    if not pool.cooling:
        return Clear("no address is cooling", pool_numbers(facts))
    if not facts.hits.seen:
        return Inconclusive(("kubelet",))
    waits = facts.hits.of("no-address", "plugin-no-address", waiting=True)
    if not waits:
        return Clear("addresses cool, and no pod waits for one", pool_numbers(facts))
    proof = (
        fact("addresses cooling", pool.cooling, "ipamd /v1/enis", expected=0, ref="/ENIs", at=_newest_freed(facts)),
        fact("addresses assignable", 0, "ipamd /v1/enis", expected="at least 1", ref="/ENIs"),
        *waiting(facts),
    )
    since = min((h.first_at for h in waits if h.first_at), default=None)
    return Fires(proof=proof, since=since, subject=f"IP_COOLDOWN_PERIOD={facts.settings.cooldown_s}")


def _by_log(facts: Facts) -> Outcome:
    """Where the pool was not seen: ipamd's own newest pool line, if it tells of cooling addresses."""
    told = [e for e in facts.events("pool-stats") if e.fields.get("cooldown") or e.fields.get("cooling")]
    if not facts.pasted or not told or (facts.hits.seen and not facts.hits.waiting):
        return Inconclusive(("ipam",))
    fields = told[-1].fields
    cooling = int(fields.get("cooldown") or fields.get("cooling") or 0)
    if not cooling or int(fields["total"]) - int(fields["assigned"]) - cooling > 0:
        return Inconclusive(("ipam",))
    proof = (line(f"every free address is cooling: {cooling} of {fields['total']}", told[-1]),)
    return Fires(proof=proof, context=waiting(facts), since=told[-1].at, inferred=not facts.hits.waiting)


def _newest_freed(facts: Facts) -> datetime:
    assert facts.ipam is not None
    freed = [a.unassigned_at for p in facts.ipam.pools for e in p.enis for c in e.cidrs for a in c.addresses if cools(a, now=facts.at, cooldown_s=facts.settings.cooldown_s)]
    return max((f for f in freed if f), default=facts.at)


def remedy(facts: Facts) -> Remedy:
    """A larger warm pool or less churn."""
    return remedies.remedy(
        f"Hold more spare addresses than pods are replaced within {facts.settings.cooldown_s} s: a higher WARM_IP_TARGET, a larger type, or less churn.",
        remedies.set_env("WARM_IP_TARGET=8"),
        do_not=("Do not set IP_COOLDOWN_PERIOD to 0: kube-proxy on other nodes still sends traffic to the old pod.",),
        recovers_by=f"by itself {facts.settings.cooldown_s} s after the addresses were freed",
    )


RULE = Rule(
    code="cooldown-starved",
    kind="cause",
    severity="critical",
    summary="All free addresses are cooling",
    meaning="A freed address rests (30 s by default) before it is given again. With high churn and no spare addresses every free one is resting.",
    proof="Cooling addresses, none assignable, pods waiting.",
    refutation="An assignable address.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "warm-pool-lag", "eni-limit-reached", "max-pods-mismatch"),
    looks=(Look("curl -s http://127.0.0.1:61679/v1/enis | grep -o '\"UnassignedTime\":\"[^\"]*\"' | sort | tail -5"),),
)
