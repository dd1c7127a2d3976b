"""subnet-fragmented: prefix mode, and EC2 has no free aligned /28.

Refuses to say whether single addresses are free: from the node that cannot be told.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import BEST_PRACTICES, Fires, Look, Outcome, Rule, fact


def check(facts: Facts) -> Outcome:
    """A standing InsufficientCidrBlocks."""
    subnets = remedies.subnets(facts)
    outcome = check_refusal(facts, "subnet-fragmented", subject=subnets[0] if subnets else "")
    if isinstance(outcome, Fires):
        unknown = fact("single free addresses in the subnet", "cannot be told from the node", "ipamd.log", ref="logs/ipamd.log")
        outcome = outcome._replace(context=(*outcome.context, unknown))
        if not outcome.until and not facts.hits.waiting:
            return outcome._replace(severity="warning")
    return outcome


def remedy(facts: Facts) -> Remedy:
    """A reservation, a fresh subnet, or secondary-IP mode."""
    subnets = remedies.subnets(facts)
    subnet = subnets[0] if subnets else "SUBNET"
    return remedies.remedy(
        "Give prefixes contiguous room: reserve a CIDR for prefixes in the subnet, use a fresh subnet, or go back to secondary-IP mode.",
        remedies.aws(facts, f"ec2 describe-subnets --subnet-ids {subnet} --query 'Subnets[].[CidrBlock,AvailableIpAddressCount]' --output text", rights="ec2:DescribeSubnets"),
        remedies.aws(facts, f"ec2 get-subnet-cidr-reservations --subnet-id {subnet}", rights="ec2:GetSubnetCidrReservations"),
        remedies.aws(facts, f"ec2 create-subnet-cidr-reservation --subnet-id {subnet} --reservation-type prefix --cidr CIDR", rights="ec2:CreateSubnetCidrReservation", effect="change"),
        do_not=("Do not count free addresses alone: a subnet with hundreds free can lack one aligned /28.",),
        recovers_by="by itself at most 120 s after a /28 is free (ipamd's back-off)",
    )


RULE = Rule(
    code="subnet-fragmented",
    kind="cause",
    severity="critical",
    summary="EC2 has no free aligned /28 in the subnet for a prefix",
    meaning="Prefix mode takes whole /28 blocks. Scattered single addresses leave the subnet without one, although addresses may be free. From the node the two cannot be told apart.",
    proof="`InsufficientCidrBlocks`, or \"There aren't sufficient free Ipv4 addresses or prefixes\", with no prefix assigned since.",
    refutation="A prefix assigned after the refusal.",
    check=check,
    remedy=remedy,
    reference=BEST_PRACTICES + "prefix-mode-linux.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "subnet-exhausted", "warm-pool-lag", "max-pods-mismatch"),
    scope=Scope.SUBNET,
    looks=(Look("grep -E 'InsufficientCidrBlocks|sufficient free Ipv4' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws ec2 get-subnet-cidr-reservations --subnet-id SUBNET", "aws")),
)
