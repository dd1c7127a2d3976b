"""instance-limits-unknown: this CNI release does not know the instance type.

Refuses to use our own table as proof: what counts is what the release knows.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """`unknown instance type` and its kin, with no service after."""
    return check_words(facts, 'instance type unknown to this release', log=("limits-unknown",), ends=("ipamd-serving",), subject=facts.identity.instance_type)


def remedy(facts: Facts) -> Remedy:
    """Upgrade."""
    return remedies.remedy(
        'Upgrade the VPC CNI to a release that knows this type, or allow ec2:DescribeInstanceTypes so that it can ask.',
        remedies.kubectl("kubectl -n kube-system get daemonset aws-node -o jsonpath='{.spec.template.spec.containers[0].image}'"),
        remedies.aws(facts, f"ec2 describe-instance-types --instance-types {facts.identity.instance_type or 'TYPE'} --query 'InstanceTypes[].NetworkInfo'", rights="ec2:DescribeInstanceTypes"),
        do_not=('Do not set MAX_ENI to work around it: the release has no address limit for the type either.',),
        recovers_by='not by itself',
    )


RULE = Rule(
    code='instance-limits-unknown',
    kind="cause",
    severity="critical",
    summary='This CNI release does not know the instance type',
    meaning='ipamd looks the type up in a table built into the release, then asks EC2. Neither knew it, so it does not start, or works with wrong limits.',
    proof='`unknown instance type`, a panic in the limits code.',
    refutation="ipamd serves and its limits equal EC2's.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=('ipamd-not-ready', 'ipamd-crashing', 'ipamd-unreachable', 'allocation-failures', 'slow-pod-start', 'cni-not-initialized'),
    looks=(Look("grep -iE 'unknown instance type|ENI limits' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws ec2 describe-instance-types --instance-types TYPE --query 'InstanceTypes[].NetworkInfo.MaximumNetworkInterfaces'", "aws")),
)
