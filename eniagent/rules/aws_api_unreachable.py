"""aws-api-unreachable: EC2 or STS cannot be reached over the network.

Refuses to count IMDS or the API server among AWS APIs: they have codes of their own.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import EKS_GUIDE, Look, Outcome, Rule


def check(facts: Facts) -> Outcome:
    """Requests to EC2 that got no answer, and none answered since."""
    return check_refusal(facts, "aws-api-unreachable", subject=f"ec2.{facts.node.region}.amazonaws.com" if facts.node.region else "EC2")


def remedy(facts: Facts) -> Remedy:
    """Routes, endpoints, names, security groups."""
    host = f"ec2.{facts.node.region}.amazonaws.com" if facts.node.region else "ec2.REGION.amazonaws.com"
    return remedies.remedy(
        "Restore the way from the node to EC2 and STS: VPC endpoints for `ec2` and `sts` in private subnets, NAT or a route, DNS, and the endpoint's security group on port 443.",
        remedies.node(f"curl -sS -o /dev/null -m 5 -w '%{{http_code}} %{{remote_ip}}\\n' https://{host}/", rights="none"),
        remedies.node(f"getent hosts {host}", rights="none"),
        remedies.aws(facts, "ec2 describe-vpc-endpoints --query 'VpcEndpoints[].[ServiceName,State,Groups[].GroupId]' --output json", rights="ec2:DescribeVpcEndpoints"),
        do_not=("Do not restart aws-node: it will not start while EC2 is unreachable, and running pods lose what still works.",),
        recovers_by="by itself within 15 s of EC2 being reachable, while ipamd keeps running",
    )


RULE = Rule(
    code="aws-api-unreachable",
    kind="cause",
    severity="critical",
    summary="EC2's API cannot be reached from the node",
    meaning="ipamd's requests to EC2 or STS get no answer: connection refused, timeout, or no such host. Nothing is refused by EC2; nothing arrives there.",
    proof="`dial tcp ...: i/o timeout`, `connection refused`, `no such host` for the regional endpoint, with no error code.",
    refutation="An EC2 call that succeeded since, or a typed error code (then EC2 did answer).",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "private-clusters.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "warm-pool-lag", "cni-not-initialized"),
    scope=Scope.SUBNET,
    looks=(Look("grep -E 'dial tcp|no such host|i/o timeout' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("curl -sS -m 5 https://ec2.REGION.amazonaws.com/")),
)
