"""cni-binary-broken: a plugin binary is missing, of the wrong architecture, or not executable.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """Words of the runtime that cannot run the plugin."""
    return check_words(facts, 'CNI plugin binary that cannot be run', log=("entrypoint-install-failed",), failures=("plugin-missing", "plugin-not-executable"))


def remedy(facts: Facts) -> Remedy:
    """Reinstall."""
    return remedies.remedy(
        'Put the binaries back: restart aws-node on this node, whose init container copies them; look for who removes or mounts over /opt/cni/bin.',
        remedies.node("ls -l /opt/cni/bin; file /opt/cni/bin/aws-cni; mount | grep /opt/cni"),
        remedies.restart_aws_node(facts),
        do_not=('Do not copy a binary of another release: plugin and agent must match.',),
        recovers_by='by the next start of aws-node',
    )


RULE = Rule(
    code='cni-binary-broken',
    kind="cause",
    severity="critical",
    summary='The CNI plugin binary is missing or cannot be run',
    meaning='The container runtime is told to run aws-cni and cannot: no such file, wrong architecture, no execute right.',
    proof='`failed to find plugin "aws-cni"`, `exec format error`.',
    refutation='The binary runs.',
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=('allocation-failures', 'slow-pod-start'),
    looks=(Look("ls -l /opt/cni/bin"),),
)
