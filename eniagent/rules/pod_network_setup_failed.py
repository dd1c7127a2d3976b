"""pod-network-setup-failed: the address came, and the set-up of veth, route, rule or namespace failed.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Words of the plugin after an address was given."""
    return check_words(facts, "failed set-up of the pod's network", log=("host-network-failed", "checkpoint-write-failed", "plugin-setup"), failures=("setup-network", "egress-setup", "windows-setup"), ends=("ipamd-serving", "add-ok"), starves=True)


def remedy(facts: Facts) -> Remedy:
    """By the error named."""
    return remedies.remedy(
        "Follow the error's own words: a namespace that went away (a slow runtime), a name that exists, netlink refusing, a missing link, a full disk below /run.",
        remedies.node("grep -iE 'setup|failed' /var/log/aws-routed-eni/plugin.log | tail -5"),
        remedies.node("df -h /run; ip -br link | tail -5; dmesg | tail -5"),
        do_not=('Do not look for addresses: one was given.',),
        recovers_by="by kubelet's next try in most cases",
    )


RULE = Rule(
    code='pod-network-setup-failed',
    kind="cause",
    severity="critical",
    summary='The pod got an address, and its network set-up failed',
    meaning='ipamd assigned an address; the plugin could not build the veth pair, route, rule or enter the namespace.',
    proof='`add command: failed to setup network`, netlink errors.',
    refutation='The next try worked.',
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=('allocation-failures', 'slow-pod-start', 'pool-exhausted', 'cooldown-starved', 'warm-pool-lag'),
    looks=(Look("grep -iE 'failed to setup|SetupPodNetwork' /var/log/aws-routed-eni/plugin.log | tail -3"),),
)
