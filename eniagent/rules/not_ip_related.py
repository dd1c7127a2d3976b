"""not-ip-related: the sandbox fails for another reason, and the error names its true owner.

Refuses to fire while the same pods also fail for want of an address.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.knowledge.signatures import BY_ID, concerns_address
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, failure, line

OWNERS = {
    "other-cni": "another CNI plugin", "image": "the image registry or the pull", "oci-runtime": "the container runtime", "runtime-slow": "the container runtime (slow)",
    "runtime-down": "the container runtime (not answering)", "pleg": "the container runtime (PLEG)",
}

ELSEWHERE = {"other-credentials": "another program's credentials", "other-owner": "volumes, images or containers of the pod", "other-cni-log": "another CNI", "pleg": "the container runtime (PLEG)"}


def check(facts: Facts) -> Outcome:
    """Pods whose newest failure belongs to another owner."""
    if not facts.hits.seen:
        return Inconclusive(("kubelet",))
    elsewhere = facts.events("other-credentials", "other-owner", "other-cni-log", "pleg", field="kubelet")
    if facts.pasted and elsewhere and not facts.hits.pods:
        newest = elsewhere[-1]
        return Fires(
            proof=(line("told by another owner", newest),), subject=ELSEWHERE.get(newest.signature, ""), since=elsewhere[0].at, severity="warning",
            inferred=newest.signature == "other-cni-log",
        )
    foreign = tuple(h for h in facts.hits.pods if h.newest.newest.signature in BY_ID and not concerns_address(h.newest.newest.signature))
    if not foreign:
        return Clear("no sandbox failed for a reason of another owner", (fact("such failures", 0, "kubelet journal", ref="journal/kubelet.jsonl"),))
    waits = tuple(h for h in foreign if h.waits)
    told = (waits or foreign)[-1]
    since = min((h.first_at for h in foreign if h.first_at), default=None)
    until = None if waits else max((h.last_at for h in foreign if h.last_at), default=facts.at)
    return Fires(proof=(failure(f"{len(waits or foreign)} pods fail by {OWNERS.get(told.newest.newest.signature, 'another owner')}", told),), since=since, until=until, subject=OWNERS.get(told.newest.newest.signature, ""))


def remedy(facts: Facts) -> Remedy:
    """Name the owner."""
    return remedies.remedy(
        "The VPC CNI is not involved: follow the error's own words to its owner (image, runtime, other CNI, disk, security profile).",
        remedies.node("journalctl -u containerd --since -15min --no-pager | tail -20"),
        remedies.kubectl(f"kubectl get events -A --field-selector involvedObject.kind=Pod --sort-by=.lastTimestamp | grep {remedies.node_name(facts)}"),
        do_not=("Do not change warm targets or subnets: addresses are not what fails.",),
        recovers_by="by kubelet's next try, once the owner's fault is gone",
    )


RULE = Rule(
    code="not-ip-related",
    kind="cause",
    severity="critical",
    summary="Sandboxes fail for a reason outside the VPC CNI",
    meaning="The pod sandbox cannot be made, but not for want of an address: image, runtime, another CNI plugin, a security profile, disk.",
    proof="The error's own text names another owner.",
    refutation="An address or ENI error beside it.",
    check=check,
    remedy=remedy,
    reference="https://kubernetes.io/docs/tasks/debug/debug-application/debug-pods/",
    explains=("slow-pod-start",),
    looks=(Look("journalctl -u kubelet --since -15min --no-pager | grep -i sandbox | tail -5"),),
)
