"""branch-eni-unavailable: security groups for pods, and no trunk or branch ENI to give.

Refuses to judge such pods by the pool: they take no address from it.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Words of a missing trunk, annotation or VLAN; over when a branch ENI was given on retry."""
    return check_words(facts, 'missing branch or trunk ENI', log=("trunk-missing",), failures=("branch-eni-missing",), node=("trunk-refused", "branch-refused"), ends=("add-ok",))


def remedy(facts: Facts) -> Remedy:
    """Type, controller, limits."""
    return remedies.remedy(
        'Check that the type supports trunk ENIs and has a free slot, that the VPC resource controller runs with its rights, and that the security group policy selects the pod as meant.',
        remedies.kubectl(f"kubectl get node {remedies.node_name(facts)} -o jsonpath='{{.status.allocatable}}'"),
        remedies.kubectl("kubectl get securitygrouppolicies.vpcresources.k8s.aws -A"),
        remedies.kubectl("kubectl get events -A | grep -E 'BranchENI|TrunkENI'"),
        do_not=('Do not raise warm targets: branch ENIs are not in the pool.',),
        recovers_by='by itself when the controller annotates the pod; kubelet retries',
    )


RULE = Rule(
    code='branch-eni-unavailable',
    kind="cause",
    severity="critical",
    summary='Security groups for pods: no branch or trunk ENI is there',
    meaning='The pod asks for its own branch ENI. The node has no trunk ENI, or the controller has not (yet) made the branch.',
    proof='Words of `vpc.amazonaws.com/pod-eni`, a missing trunk, a VLAN set-up error.',
    refutation='A branch ENI given on retry.',
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "security-groups-for-pods.html",
    explains=('allocation-failures', 'slow-pod-start'),
    looks=(Look("kubectl describe pod POD | grep -A3 pod-eni", "kubectl"), Look("grep -iE 'trunk|branch' /var/log/aws-routed-eni/ipamd.log | tail -3")),
)
