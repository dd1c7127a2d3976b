"""subnet-exhausted: EC2 refuses addresses, because the subnet has none free.

Refuses to call a subnet full from counters that stood still: ipamd asks once in 120 s, the line decides.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.ec2_evidence import room, with_room
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import BEST_PRACTICES, Fires, Look, Outcome, Rule


def check(facts: Facts) -> Outcome:
    """A standing InsufficientFreeAddressesInSubnet."""
    subnets = remedies.subnets(facts)
    outcome = with_room(check_refusal(facts, "subnet-exhausted", subject=subnets[0] if subnets else ""), facts)
    if isinstance(outcome, Fires) and not outcome.until and not facts.hits.waiting:
        return outcome._replace(severity="warning")
    return outcome


def remedy(facts: Facts) -> Remedy:
    """More addresses, or fewer wanted; patience where EC2 counts free ones again."""
    subnets, counted = " ".join(remedies.subnets(facts)) or "SUBNET", room(facts)
    again = f"EC2 now counts {max(s.free for s in counted.subnets)} free addresses there: wait for ipamd's next try first. " if counted and counted.ample else ""
    return remedies.remedy(
        again + "Give the node addresses from a subnet that has room: a larger or additional subnet (tagged for subnet discovery), custom networking "
        "on a secondary CIDR, or lower warm targets so that nodes hold fewer spare addresses.",
        remedies.aws(facts, f"ec2 describe-subnets --subnet-ids {subnets} --query 'Subnets[].[SubnetId,CidrBlock,AvailableIpAddressCount]' --output text", rights="ec2:DescribeSubnets"),
        remedies.aws(facts, f"ec2 describe-network-interfaces --filters Name=status,Values=available Name=subnet-id,Values={subnets.replace(' ', ',')} --query 'NetworkInterfaces[].[NetworkInterfaceId,Description]' --output text", rights="ec2:DescribeNetworkInterfaces"),
        remedies.set_env("WARM_IP_TARGET=2 MINIMUM_IP_TARGET=10"),
        do_not=("Do not restart aws-node: it asks the same full subnet again.", "Do not delete ENIs of other nodes: only those with status `available`."),
        recovers_by="by itself at most 120 s after the subnet has room again (ipamd's back-off)",
    )


RULE = Rule(
    code="subnet-exhausted",
    kind="cause",
    severity="critical",
    summary="EC2 refuses addresses: the subnet has none free",
    meaning="The subnet from which this node takes pod addresses has no free address left, so ipamd cannot grow its pool. Every node in the subnet is hit as soon as it needs another address.",
    proof="`InsufficientFreeAddressesInSubnet` in ipamd.log or in awscni_aws_api_error_count, with no successful allocation after it. ipamd retries once in 120 s, so the line may be older than the failures.",
    refutation="An address or ENI from the same subnet since then, or AvailableIpAddressCount well above zero.",
    check=check,
    remedy=remedy,
    reference=BEST_PRACTICES + "ip-opt.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "warm-pool-lag", "max-pods-mismatch"),
    scope=Scope.SUBNET,
    looks=(Look("grep -E 'InsufficientFreeAddresses|InsufficientCidr' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws ec2 describe-subnets --subnet-ids SUBNET --query 'Subnets[].AvailableIpAddressCount'", "aws")),
)
