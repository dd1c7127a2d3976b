"""Situations that a text shows without deciding the cause, and the looks that would: for pastes, and for nodes seen in part.

Refuses to list everything: three looks, each for at most six codes, at most twelve codes together.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Callable

from eniagent.case.facts import Facts
from eniagent.model.finding import NextLook
from eniagent.model.record import Event

SLOW_START_S = 30
"""An ipamd that needs longer than this from its banner to its service leaves the first pods of a node without addresses."""

_LOG = "/var/log/aws-routed-eni/ipamd.log"
_LAST_START = f"tac {_LOG} | sed '/Starting L-IPAMD/q' | tac"
_PREVIOUS = "kubectl -n kube-system logs -l k8s-app=aws-node -c aws-node --previous --tail=40; kubectl -n kube-system describe pods -l k8s-app=aws-node | grep -A6 'Last State'"
_ENIS = "aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values=INSTANCE --query 'NetworkInterfaces[].[NetworkInterfaceId,Status,Attachment.Status,Attachment.DeviceIndex]' --output text"

REFUSALS = NextLook(
    f"grep -E 'api error|status code: [45]|Insufficient|Unauthorized|Throttl|eniconfig|IPv6' {_LOG} | tail -5",
    ("subnet-exhausted", "subnet-fragmented", "iam-denied", "ec2-throttled", "eniconfig-invalid", "ipv6-misconfigured"),
)
POOL = NextLook(
    "curl -s http://127.0.0.1:61679/v1/enis; curl -s http://127.0.0.1:61678/metrics | grep -E 'awscni_(eni_max|ip_max|total_ip|assigned_ip)'; crictl pods -q | wc -l",
    ("eni-limit-reached", "address-leaked", "cooldown-starved", "warm-pool-lag", "max-pods-mismatch", "branch-eni-unavailable"),
)
BRANCH = NextLook("kubectl -n NAMESPACE describe pod POD | grep -A3 'vpc.amazonaws.com/pod-eni'", ("branch-eni-unavailable",), "kubectl")
WHOLE_LINE = NextLook(
    "journalctl -u kubelet -o cat --no-pager | grep -E 'CreatePodSandbox|RunPodSandbox' | tail -2",
    ("ipamd-unreachable", "pod-network-setup-failed", "not-ip-related", "network-policy-agent-down", "host-local-exhausted", "cni-binary-broken"),
)
FEWER_REFUSALS = NextLook(REFUSALS.command, ("subnet-exhausted", "iam-denied", "ec2-throttled"))
FEWER_POOL = NextLook(POOL.command, ("eni-limit-reached", "warm-pool-lag", "branch-eni-unavailable"))
INIT_CALL = NextLook(
    f"{_LAST_START} | grep -E 'api error|status code|dial tcp|169.254.169.254' | tail -5", ("iam-denied", "ec2-throttled", "aws-api-unreachable", "imds-unreachable")
)
EC2_ENIS = NextLook(_ENIS, ("imds-out-of-sync", "eni-lost"), "aws")
LAST_WORDS = NextLook(
    f"{_LAST_START} | grep -E 'error|fatal|ERROR' | tail -5",
    ("iam-denied", "eniconfig-invalid", "instance-limits-unknown", "ipv6-misconfigured", "imds-unreachable", "apiserver-unreachable"),
)
ENDED = NextLook(_PREVIOUS, ("ipamd-crashing", "ipamd-not-ready", "ipamd-unreachable"), "kubectl")
FIRST_PODS = NextLook(
    f"grep -E 'Starting L-IPAMD|Serving|Created a new ENI|Allocated' {_LOG} | tail -10; journalctl -u kubelet --no-pager | grep -c 'failed to assign an IP'",
    ("warm-pool-lag", "pod-network-setup-failed"),
)
FIRST_ERROR = NextLook(
    f"{_LAST_START} | grep -E 'error|warn|ERROR|WARN' | head -5",
    ("eniconfig-invalid", "iam-denied", "subnet-exhausted", "subnet-fragmented", "ec2-throttled", "ipamd-not-ready"),
)
SLOTS = NextLook(
    "kubectl get node NODE -o jsonpath='{.metadata.labels}{.status.allocatable}'; kubectl get eniconfigs.crd.k8s.amazonaws.com",
    ("branch-eni-unavailable", "eni-limit-reached", "max-pods-mismatch", "instance-limits-unknown"),
    "kubectl",
)
GROWTH = NextLook(
    f"grep -E 'Created a new ENI|freed ENI|Successfully created and attached|attempt' {_LOG} | tail -10; journalctl -u kubelet --no-pager | grep -c 'failed to assign an IP'",
    ("warm-pool-lag", "warm-targets-misconfigured", "imds-out-of-sync"),
)
HOLDERS = NextLook("curl -s http://127.0.0.1:61679/v1/enis; crictl pods -q | wc -l; ip -br link | grep -c '^eni'", ("address-leaked", "eni-limit-reached", "cooldown-starved"))
ORPHANS = NextLook("aws ec2 describe-network-interfaces --filters Name=status,Values=available Name=tag-key,Values=node.k8s.amazonaws.com/instance_id --query 'NetworkInterfaces[].NetworkInterfaceId'", ("eni-lost", "imds-out-of-sync"), "aws")

RULES = NextLook(
    "ip rule | sort -n; for t in $(ip rule | sed -n 's/.*lookup \\([0-9][0-9]*\\)$/\\1/p' | sort -u); do echo table $t; ip route show table $t; done; curl -s http://127.0.0.1:61679/v1/enis",
    ("pod-route-missing", "eni-lost", "pod-network-setup-failed"),
)


def looks_for(facts: Facts) -> tuple[NextLook, ...]:
    """The looks of the first situation that the case shows; none where it shows none."""
    return next((looks for shows, looks in SITUATIONS if shows(facts)), ())


def _cut(facts: Facts) -> bool:
    """Every failure text ends before its inner error."""
    return bool(facts.hits.waiting) and all(set(h.signatures) <= {"failure-cut"} for h in facts.hits.waiting) and not _branch(facts)


def _init_call(facts: Facts) -> bool:
    """ipamd could not list its ENIs, and the reason was not pasted."""
    return any("attached ENIs info" in e.text and not e.fields.get("code") for e in facts.events("init-failed"))


def _ended(facts: Facts) -> bool:
    """ipamd ended by itself; its own last words were not pasted."""
    return bool(facts.events("entrypoint-stopped", "init-failed", "panic"))


def _nothing_held(facts: Facts) -> bool:
    """ipamd's newest pool line counts no address at all."""
    stats = facts.events("pool-stats")
    return bool(stats) and stats[-1].fields.get("total") == "0"


def _branch(facts: Facts) -> bool:
    """The pod, its reply, or the node's label speaks of branch ENIs."""
    return bool(facts.events("branch-requested", field="kubelet") or facts.events("trunk-label")) or any(e.fields.get("vlan") for e in facts.events("add-ok"))


def _short(facts: Facts) -> bool:
    """Somebody went without an address, or every address that is shown is in use."""
    if facts.hits.for_address or facts.events("pool-empty", "add-failed") or facts.events("plugin-no-address", field="plugin_log"):
        return True
    pieces = facts.events("pool-piece")
    if _shown(pieces, "in_use") and not _shown(pieces, "free"):
        return True
    stats = facts.events("pool-stats")
    return bool(stats) and stats[-1].fields.get("total") == stats[-1].fields.get("assigned")


def _shown(pieces: tuple[Event, ...], what: str) -> int:
    return sum(int(e.fields.get(what, "0")) for e in pieces)


def _growing(facts: Facts) -> bool:
    """ENIs come and go, or metadata is waited for."""
    return bool(facts.events("imds-wait")) or bool(facts.events("eni-created") and facts.events("eni-freed"))


def _slow_start(facts: Facts) -> bool:
    """Long from the banner to the service."""
    starts, serving = facts.events("ipamd-start"), facts.events("ipamd-serving")
    return bool(starts and serving) and _apart(starts[-1], serving[-1]) > timedelta(seconds=SLOW_START_S)


def _apart(first: Event, second: Event) -> timedelta:
    return second.at - first.at if first.at and second.at else timedelta(0)


def _counted(facts: Facts, signature: str) -> bool:
    return facts.ipam is None and facts.metadata is None and facts.log is not None and facts.log.counts.get(signature, 0) > 0


def _deletes_refused(facts: Facts) -> bool:
    """An ENI that could not be deleted: retried and normal, or the last word before it is orphaned."""
    return _counted(facts, "eni-delete-failed")


def _deletes_unknown(facts: Facts) -> bool:
    """DELs for pods that ipamd does not know: normal, or the other end of a leak."""
    return _counted(facts, "unknown-pod")


def _wanting(facts: Facts) -> bool:
    """A pool below its target, and what EC2 answered was not pasted."""
    return bool(facts.events("pool-low")) and not facts.refused


def _rules(facts: Facts) -> bool:
    """A print of the kernel's rules: which of them is missing only ipamd's list of addresses tells."""
    return bool(facts.events("ip-rule", field="kubelet"))


def _starting(facts: Facts) -> bool:
    """Lines of a start and nothing after them."""
    return bool(facts.events("ipamd-start", "api-testing")) and not facts.life.served_since_start


SITUATIONS: tuple[tuple[Callable[[Facts], bool], tuple[NextLook, ...]], ...] = (
    (_cut, (WHOLE_LINE, FEWER_REFUSALS, FEWER_POOL)),
    (_init_call, (INIT_CALL, EC2_ENIS, ENDED)),
    (_ended, (LAST_WORDS, ENDED, EC2_ENIS)),
    (_nothing_held, (FIRST_ERROR, SLOTS, EC2_ENIS)),
    (_branch, (BRANCH, POOL, REFUSALS)),
    (_short, (REFUSALS, POOL)),
    (_growing, (GROWTH, REFUSALS)),
    (_slow_start, (FIRST_PODS, ENDED)),
    (_deletes_refused, (ORPHANS, HOLDERS)),
    (_deletes_unknown, (HOLDERS, ORPHANS)),
    (_wanting, (REFUSALS, FEWER_POOL)),
    (_rules, (RULES,)),
    (_starting, (LAST_WORDS, ENDED, FIRST_PODS)),
)
"""Most telling first: what a text shows, and the looks that decide among its causes."""
