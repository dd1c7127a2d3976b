"""imds-out-of-sync: IMDS, EC2 and ipamd disagree on ENIs or addresses after a second read.

Refuses one read, and an ENI that only IMDS lists: ipamd leaves foreign ENIs out by design.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.case.lost import unsynced_enis
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting

OFTEN = 10
"""ipamd counts a disagreement at each reconcile, once a minute: an ENI that comes or goes gives a few, not this many."""


def check(facts: Facts) -> Outcome:
    """ENIs of ipamd that IMDS lacks at two reads, or ipamd's own words with no success since."""
    held = tuple(u for u in unsynced_enis(facts.case) if u.side == "ipamd only")
    told = tuple(e for e in facts.events("imds-unseen-eni", "link-missing", "restored-unknown") if not e.fields.get("code"))
    refused = facts.refused.get("imds-out-of-sync")
    standing = [e for e in told if not any(s.at and e.at and s.at > e.at for s in facts.events("pool-grown", "addresses-allocated", "reconciled"))]
    if refused and refused.over_at is None:
        standing.append(refused.newest)
    if held or standing:
        proof = [fact(f"{u.eni} in ipamd's store, at two reads", "not listed", "IMDS", expected="listed", ref="network/interfaces/macs/") for u in held[:2]]
        proof += [fact(f"ENI {u.eni}", "held", "ipamd /v1/enis", ref="/ENIs") for u in held[:1]]
        proof += [line("ipamd misses in metadata", e) for e in standing[-1:]]
        return Fires(proof=tuple(proof), context=waiting(facts), subject=held[0].eni if held else "", since=standing[0].at if standing else None, severity="" if facts.hits.waiting else "warning")
    if told:
        return Fires(proof=(line("ipamd missed in metadata", told[-1]),), since=told[0].at, until=told[-1].at)
    counted = tuple(c for c in facts.counters if c.api == "IMDSMetaDataOutOfSync" and c.value >= OFTEN)
    if counted and facts.pasted:
        told_by = tuple(fact(f"awscni_aws_api_error_count {c.code} {c.api}", c.value, "ipamd metrics", expected=f"below {OFTEN}", ref="awscni_aws_api_error_count") for c in counted)
        return Fires(proof=told_by, severity="warning", inferred=True)
    if facts.metadata is None or facts.ipam is None:
        return Inconclusive(tuple(f for f in ("metadata", "ipam") if facts.value(f) is None))
    return Clear("IMDS lists every ENI that ipamd holds", (fact("ENIs of ipamd that IMDS lacks at two reads", 0, "IMDS", ref="network/interfaces/macs/"),))


def remedy(facts: Facts) -> Remedy:
    """Wait, compare with EC2, restart."""
    instance = facts.identity.instance_id or "INSTANCE"
    return remedies.remedy(
        "Compare with EC2 itself; if metadata stays wrong for more than two minutes, restart aws-node on this node and report it to AWS Support.",
        remedies.aws(facts, f"ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values={instance} --query 'NetworkInterfaces[].[NetworkInterfaceId,Attachment.DeviceIndex,PrivateIpAddresses[].PrivateIpAddress]' --output json", rights="ec2:DescribeNetworkInterfaces"),
        remedies.restart_aws_node(facts),
        do_not=("Do not detach the ENI: pods may use it.",),
        recovers_by="by itself when metadata catches up: ipamd reconciles every 60 s",
    )


RULE = Rule(
    code="imds-out-of-sync",
    kind="cause",
    severity="critical",
    summary="Instance metadata, EC2 and ipamd disagree about the node's ENIs",
    meaning="Metadata is eventually consistent. ipamd waits for it after each attach and compares at each reconcile; where it stays wrong, ENIs go unused or unknown.",
    proof="The same disagreement at two reads at least 60 s apart, or ipamd giving up on an ENI that metadata never showed.",
    refutation="Agreement on the second read.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "warm-pool-lag", "eni-attach-failed"),
    looks=(Look("grep -E 'does not match data store|Unable to discover' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values=INSTANCE", "aws")),
)
