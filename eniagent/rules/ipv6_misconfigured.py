"""ipv6-misconfigured: IPv6 mode without what it needs: /80 prefix, IAM right, Nitro, prefix delegation.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Fires, Look, Outcome, Rule, fact, line, waiting
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Fatal configuration lines, or IPv6 mode with a pool that has no /80: ipamd serves then, with nothing to give."""
    if facts.settings.ipv6 and facts.pool is not None and facts.pool.usable == 0:
        mode = fact("ENABLE_IPv6", True, facts.settings.origin.get("ipv6", ""), ref="ENABLE_IPv6")
        empty = fact("addresses in the IPv6 pool", 0, "ipamd /v1/enis", expected="one /80 on the primary ENI", ref="/ENIs/*/IPv6Cidrs")
        refused = [line("ipamd asked for the prefix", e) for e in facts.events("ec2-refused")[-1:] if "pv6" in e.text]
        return Fires(proof=(mode, empty, *refused), context=waiting(facts), subject="/80 prefix", severity="" if facts.hits.waiting else "warning")
    return check_words(facts, "IPv6 mode without what it needs", log=("config-fatal-ipv6",), ends=("ipamd-serving",))


def remedy(facts: Facts) -> Remedy:
    """By the missing part."""
    return remedies.remedy(
        'Give IPv6 mode what it needs: exactly one of ENABLE_IPv4 and ENABLE_IPv6, prefix delegation on, a Nitro type, a subnet with IPv6, and a role that allows ec2:AssignIpv6Addresses.',
        remedies.kubectl("kubectl -n kube-system get daemonset aws-node -o jsonpath='{.spec.template.spec.containers[0].env}'"),
        remedies.node("grep -iE 'ipv6' /var/log/aws-routed-eni/ipamd.log | tail -5"),
        do_not=('Do not switch an IPv4 cluster to IPv6: it is fixed at creation.',),
        recovers_by='not by itself',
    )


RULE = Rule(
    code='ipv6-misconfigured',
    kind="cause",
    severity="critical",
    summary='IPv6 mode lacks something that it needs',
    meaning='In IPv6 mode ipamd needs a /80 prefix on the primary ENI, prefix delegation, a Nitro type and its own IAM policy.',
    proof='IPv6 errors at start, or no /80 in the pool.',
    refutation='A /80 prefix is there.',
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "cni-ipv6.html",
    explains=("ipamd-not-ready", "ipamd-crashing", "ipamd-unreachable", "allocation-failures", "pool-exhausted", "slow-pod-start", "warm-pool-lag"),
    looks=(Look("grep -iE 'ipv6' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values=INSTANCE --query 'NetworkInterfaces[].Ipv6Prefixes'", "aws")),
)
