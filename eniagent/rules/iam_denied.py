"""iam-denied: the role that ipamd uses lacks a right.

Refuses to name a policy without the refused call: the call is in the evidence.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.refusal import check_refusal
from eniagent.rules.rule import EKS_GUIDE, Look, Outcome, Rule


def check(facts: Facts) -> Outcome:
    """A standing UnauthorizedOperation or a token that is not accepted."""
    found = facts.refused.get("iam-denied")
    return check_refusal(facts, "iam-denied", subject=f"ec2:{found.operation}" if found and found.operation else "")


def remedy(facts: Facts) -> Remedy:
    """Attach the policy to the role in use."""
    found = facts.refused.get("iam-denied")
    call = f"ec2:{found.operation}" if found and found.operation else "the refused call"
    policy = "AmazonEKS_CNI_IPv6_Policy (your own: it is not managed by AWS)" if facts.settings.ipv6 else "AmazonEKS_CNI_Policy"
    return remedies.remedy(
        f"Allow {call} for the role that aws-node uses (its service account's role, else the node role): attach {policy}. Service control policies and permission boundaries refuse in the same words.",
        remedies.kubectl("kubectl -n kube-system get serviceaccount aws-node -o jsonpath='{.metadata.annotations.eks\\.amazonaws\\.com/role-arn}'"),
        remedies.aws(facts, "iam list-attached-role-policies --role-name ROLE", rights="iam:ListAttachedRolePolicies"),
        remedies.aws(facts, "iam attach-role-policy --role-name ROLE --policy-arn arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy", rights="iam:AttachRolePolicy", effect="change"),
        do_not=("Do not widen the node role to all of EC2: only the refused call is missing.",),
        recovers_by="by itself: ipamd retries every 5 s while it runs; one that exits at start is restarted by kubelet with back-off up to 5 minutes",
    )


RULE = Rule(
    code="iam-denied",
    kind="cause",
    severity="critical",
    summary="The CNI's role lacks a right that ipamd needs",
    meaning="EC2 or STS refuses ipamd's call for want of permission, so it cannot create ENIs, assign addresses, or start at all.",
    proof="`UnauthorizedOperation` or `AccessDenied` with the call's name; the event MissingIAMPermissions on the aws-node pod.",
    refutation="The same call succeeded later with the same role.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "cni-iam-role.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "warm-pool-lag", "cni-not-initialized", "branch-eni-unavailable", "ipv6-misconfigured"),
    scope=Scope.CLUSTER,
    looks=(Look("grep -E 'UnauthorizedOperation|AccessDenied|MissingIAM' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("kubectl -n kube-system get events --field-selector reason=MissingIAMPermissions", "kubectl")),
)
