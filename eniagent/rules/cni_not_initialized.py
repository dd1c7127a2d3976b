"""cni-not-initialized: the node has no CNI configuration (yet).

A state that follows from aws-node not serving: its cause leads where one is known.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Words of a missing configuration, by pods or by the runtime, until ipamd serves."""
    node: tuple[str, ...] = ("network-not-ready", "no-networks")
    if facts.pasted:
        # A configuration read while it is written is broken at every start: a state to name in a paste, no fault of a live node.
        node = (*node, "conflist-broken")
    return check_words(facts, 'no CNI configuration on the node', failures=("cni-uninitialized",), node=node, ends=("ipamd-serving",))


def remedy(facts: Facts) -> Remedy:
    """aws-node must run."""
    return remedies.remedy(
        'aws-node writes the configuration once ipamd serves: see why it is not placed, not started, or not ready on this node.',
        remedies.aws_node_pod(facts),
        remedies.node("ls -l /etc/cni/net.d /opt/cni/bin"),
        remedies.kubectl(f"kubectl describe node {remedies.node_name(facts)} | grep -A6 Taints"),
        do_not=('Do not write the conflist by hand: pods would start against an ipamd that does not serve.',),
        recovers_by='by itself when ipamd serves: aws-node then writes 10-aws.conflist',
    )


RULE = Rule(
    code='cni-not-initialized',
    kind="cause",
    severity="critical",
    summary='The node has no CNI configuration',
    meaning='The runtime finds no network configuration in /etc/cni/net.d, so the node is not ready and no pod can start.',
    proof='`No networks found in /etc/cni/net.d`, `cni plugin not initialized`.',
    refutation='The conflist is there and used.',
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "slow-pod-start"),
    looks=(Look("ls -l /etc/cni/net.d"), Look("kubectl -n kube-system get pods -l k8s-app=aws-node -o wide", "kubectl")),
)
