"""ec2-throttled: EC2's API rate limit refuses ipamd's calls.

Refuses to see throttling in mere slowness: SDK v1 releases (up to 1.19.3) retry inside the call and log nothing.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import BEST_PRACTICES, Look, Outcome, Rule


def check(facts: Facts) -> Outcome:
    """A standing RequestLimitExceeded or Throttling."""
    return check_refusal(facts, "ec2-throttled", subject=facts.node.region)


def remedy(facts: Facts) -> Remedy:
    """Fewer calls, or a larger quota."""
    return remedies.remedy(
        "Make fewer EC2 calls: stagger scale-ups, set MINIMUM_IP_TARGET near the usual pods per node, or use prefix mode; ask for a higher API rate where that is not enough.",
        remedies.aws(facts, "cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateNetworkInterface --max-results 20 --query 'Events[].CloudTrailEvent'", rights="cloudtrail:LookupEvents"),
        remedies.set_env("WARM_IP_TARGET=5 MINIMUM_IP_TARGET=20"),
        do_not=("Do not restart aws-node on many nodes at once: every start makes more calls.",),
        recovers_by="by itself when the account's call rate falls (ipamd retries within 15 s)",
    )


RULE = Rule(
    code="ec2-throttled",
    kind="cause",
    severity="critical",
    summary="EC2 throttles the node's API calls",
    meaning="The account's EC2 API rate in this region is used up, so ipamd's calls to create ENIs and assign addresses are refused or delayed.",
    proof="`RequestLimitExceeded` or `Throttling` in ipamd.log or in the error counter.",
    refutation="The same call succeeded since. Up to release 1.19.3 throttling is silent: then only CloudTrail tells.",
    check=check,
    remedy=remedy,
    reference=BEST_PRACTICES + "ip-opt.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "warm-pool-lag", "eni-attach-failed", "aws-api-unreachable"),
    scope=Scope.CLUSTER,
    looks=(Look("grep -E 'RequestLimitExceeded|Throttling' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateNetworkInterface --max-results 20", "aws")),
)
