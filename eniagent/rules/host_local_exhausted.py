"""host-local-exhausted: a host-local range is used up: the egress plugin's, or another CNI's.

Refuses to blame the subnet: ipamd never uses host-local.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Look, Outcome, Rule
from eniagent.rules.worded import check_words


def check(facts: Facts) -> Outcome:
    """`failed to allocate for range`."""
    return check_words(facts, 'host-local range without a free address', log=("egress-ipam",), failures=("host-local-full",))


def remedy(facts: Facts) -> Remedy:
    """Remove stale reservations."""
    return remedies.remedy(
        "Remove reservations of dead sandboxes from the host-local directory (one file per address, holding a container id), or drain and reboot; if the range is another CNI's, pods are not on the VPC CNI at all.",
        remedies.node("ls /run/cni/v6pd/egress-v4-ipam/aws-cni /run/cni/v4pd/egress-v6-ipam/aws-cni /var/lib/cni/networks/* 2>/dev/null | wc -l; crictl pods -q | wc -l"),
        remedies.node("ls -l /etc/cni/net.d"),
        do_not=('Do not delete files whose container id has a live sandbox: two pods would share an address.',),
        recovers_by='not by itself: reservations outlive lost deletes',
    )


RULE = Rule(
    code='host-local-exhausted',
    kind="cause",
    severity="critical",
    summary='A host-local address range on the node is used up',
    meaning='The error comes from the host-local plugin, whose range and reservations are files on this node. The VPC subnet is not involved.',
    proof='`failed to allocate for range 0: no IP addresses available in range set`.',
    refutation='Free entries in the range.',
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=('allocation-failures', 'slow-pod-start'),
    looks=(Look("ls /run/cni/v6pd/egress-v4-ipam/aws-cni | wc -l; crictl pods -q | wc -l"),),
)
