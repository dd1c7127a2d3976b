"""warm-pool-lag: addresses come, but later than pods need them.

Refuses to fire without an address that came after a failure: a call under way that never returned is no lag.
"""

from __future__ import annotations

from datetime import timedelta

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import BEST_PRACTICES, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, failure, line, pool_numbers, waiting

NO_ADDRESS = ("no-address", "plugin-no-address")
GROWTH = ("eni-attached", "addresses-allocated")
FRESH_S = 90
"""A pool that grew within this time is growing: an ENI attach takes seconds, its addresses up to half a minute in IMDS."""


def check(facts: Facts) -> Outcome:
    """Failures with the pool growing behind them, and no refusal that stands."""
    hits = facts.hits.of(*NO_ADDRESS)
    if not facts.hits.seen:
        return Inconclusive(("kubelet",))
    if not hits:
        return Clear("no pod failed for want of an address", (fact("failures for want of an address", 0, "kubelet journal", ref="journal/kubelet.jsonl"),))
    if facts.log is None:
        return Inconclusive(("ipamd_log",))
    first = min((h.first_at for h in hits if h.first_at), default=None)
    last = max((h.last_at for h in hits if h.last_at), default=None)
    grown = tuple(e for e in facts.events(*GROWTH) if e.at and first and e.at > first)
    if not grown:
        return Clear("no address or ENI came after the first failure", (fact("allocations since the first failure", 0, "ipamd.log", ref="logs/ipamd.log", at=first),))
    standing = [r for r in facts.refused.values() if r.over_at is None and r.newest.at and grown[-1].at and r.newest.at > grown[-1].at]
    if standing:
        return Clear("EC2 refused after the newest allocation", (line("refusal", standing[0].newest),))
    proof = (failure("pods failed before the pool grew", hits[-1]), line("then the pool grew", grown[-1]))
    waits = facts.hits.of(*NO_ADDRESS, waiting=True)
    if not waits:
        return Fires(proof=proof, since=first, until=max(t for t in (last, grown[-1].at) if t))
    newest = grown[-1].at
    if newest and facts.at - newest > timedelta(seconds=FRESH_S):
        return Clear("the pool has not grown for longer than an attach takes", (line("newest allocation", grown[-1]),))
    return Fires(proof=proof, context=(*pool_numbers(facts), *waiting(facts)), since=first)


def remedy(facts: Facts) -> Remedy:
    """A warmer pool."""
    return remedies.remedy(
        "Keep more addresses warm: raise WARM_IP_TARGET, set MINIMUM_IP_TARGET near the usual pods per node, or use prefix mode, which brings 16 addresses per call.",
        remedies.set_env("WARM_IP_TARGET=8 MINIMUM_IP_TARGET=16"),
        remedies.kubectl("kubectl -n kube-system get daemonset aws-node -o jsonpath='{.spec.template.spec.containers[0].env}'"),
        do_not=("Do not restart aws-node: a start throws the warm pool's lead away.",),
        recovers_by="by itself: the pool grows every 5 s by what it lacks, one ENI at a time",
    )


RULE = Rule(
    code="warm-pool-lag",
    kind="cause",
    severity="warning",
    summary="Addresses come later than pods need them",
    meaning="Pods arrive faster than the warm pool is refilled: each waits for an EC2 call or an ENI attach. The failures heal by themselves.",
    proof="Failures for want of an address, followed by an allocation or ENI attach in ipamd.log, with no refusal after it.",
    refutation="No allocation after the failures.",
    check=check,
    remedy=remedy,
    reference=BEST_PRACTICES + "vpc-cni.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "cooldown-starved"),
    looks=(Look("grep -E 'Trying to allocate|Successfully created and attached|Allocated' /var/log/aws-routed-eni/ipamd.log | tail -5"), Look("curl -s http://127.0.0.1:61678/metrics | grep awscni_ipamd_action_inprogress")),
)
