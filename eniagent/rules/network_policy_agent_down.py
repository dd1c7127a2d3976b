"""network-policy-agent-down: the network policy agent blocks or fails ADD.

Refuses 1.19's line `might not be running`: there every ADD prints it, healthy or not.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Words of the plugin that waited for the agent."""
    return check_words(facts, 'network policy agent that does not answer', log=("plugin-policy", "npa-attach-failed", "npa-stopped", "npa-forbidden"), node=("npa-backoff",), failures=("policy-agent",), starves=True)


def remedy(facts: Facts) -> Remedy:
    """Restart, upgrade, or mode."""
    return remedies.remedy(
        'Get the aws-eks-nodeagent container of aws-node running (release 1.4.1 or later for CNI 1.23), or unset NETWORK_POLICY_ENFORCING_MODE where policies are not used.',
        remedies.aws_node_pod(facts),
        remedies.kubectl("kubectl -n kube-system logs -l k8s-app=aws-node -c aws-eks-nodeagent --tail=40"),
        remedies.node("ls -l /var/run/aws-node/npa.sock; tail -5 /var/log/aws-routed-eni/network-policy-agent.log"),
        do_not=('Do not delete the pods that wait: they fail again while the agent is away.',),
        recovers_by='by itself when the agent answers: kubelet retries',
    )


RULE = Rule(
    code='network-policy-agent-down',
    kind="cause",
    severity="critical",
    summary='The network policy agent does not answer, so pods cannot start',
    meaning='With a network policy mode set, the plugin asks the agent on each ADD and fails after 2 s without an answer.',
    proof='`failed to setup network policy`, `context deadline exceeded` after 2 s.',
    refutation='The agent answers.',
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "cni-network-policy.html",
    explains=('allocation-failures', 'slow-pod-start', 'address-leaked', 'pool-exhausted', 'cooldown-starved', 'warm-pool-lag', 'eni-limit-reached', 'max-pods-mismatch'),
    looks=(Look("ls -l /var/run/aws-node/npa.sock"), Look("kubectl -n kube-system logs -l k8s-app=aws-node -c aws-eks-nodeagent --tail=20", "kubectl")),
)
