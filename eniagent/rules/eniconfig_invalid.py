"""eniconfig-invalid: custom networking without a usable ENIConfig for this node.

Refuses to judge by the name alone: /v1/eni-configs names one even where none exists.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting


def check(facts: Facts) -> Outcome:
    """Errors of the ENIConfig look-up, or EC2 not knowing its subnet or groups, with no ENI since."""
    if facts.log is None:
        return Inconclusive(("ipamd_log",))
    told = list(facts.events("eniconfig-missing"))
    refused = facts.refused.get("eniconfig-invalid")
    # Without custom networking the ENI's subnet and groups are the primary ENI's: then no ENIConfig is to blame.
    if refused and (facts.settings.custom_networking or (facts.pasted and facts.settings.custom_networking is None)):
        told.append(refused.newest)
    if not told:
        off = facts.settings.custom_networking is False
        because = "custom networking is off" if off else "ipamd's log tells of no trouble with an ENIConfig"
        return Clear(because, (fact("ENIConfig errors", 0, "ipamd.log", ref="logs/ipamd.log"),))
    told.sort(key=lambda e: (e.at is not None, e.at or facts.at))
    newest = told[-1]
    over = next((e for e in facts.events("eni-attached") if e.at and newest.at and e.at > newest.at), None)
    name = facts.value("settings").eni_config if facts.value("settings") else None
    detail = next((e for e in reversed(told) if e.fields.get("detail") or e.fields.get("name")), newest)
    proof = [line(f"ENIConfig not usable, {len(told)} x", detail)]
    if name:
        proof.append(fact("ENIConfig that this node selects", name, "ipamd settings endpoint", expected="an ENIConfig of that name", ref="/v1/eni-configs"))
    return Fires(proof=tuple(proof), context=() if over else waiting(facts), since=told[0].at, until=over.at if over else None, subject=name or detail.fields.get("name", ""))


def remedy(facts: Facts) -> Remedy:
    """Create or correct it, and the label that selects it."""
    settings = facts.value("settings")
    name = (settings.eni_config if settings else None) or facts.node.availability_zone or "NAME"
    return remedies.remedy(
        f"Create the ENIConfig `{name}` with a subnet of this node's zone and security groups of the same VPC, or fix the node's label or annotation that selects it.",
        remedies.kubectl("kubectl get eniconfigs.crd.k8s.amazonaws.com -o wide"),
        remedies.kubectl(f"kubectl get node {remedies.node_name(facts)} --show-labels"),
        do_not=("Do not switch custom networking off on a running node: its pods keep addresses of the pod subnet.",),
        recovers_by="by itself within seconds of the ENIConfig being there; a node whose ipamd exits waits for kubelet's restart",
    )


RULE = Rule(
    code="eniconfig-invalid",
    kind="cause",
    severity="critical",
    summary="Custom networking has no usable ENIConfig for this node",
    meaning="With custom networking every pod ENI is made from the ENIConfig that the node selects. It does not exist, cannot be read, or names a subnet or group that EC2 does not know.",
    proof="`ENIConfig ... not found`, `eniconfig is not available`, InvalidSubnetID.NotFound.",
    refutation="An ENI attached since, or custom networking is off.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "cni-custom-network.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "cni-not-initialized", "eni-attach-failed", "warm-pool-lag"),
    scope=Scope.ZONE,
    looks=(Look("kubectl get eniconfigs.crd.k8s.amazonaws.com -o wide", "kubectl"), Look("grep -i eniconfig /var/log/aws-routed-eni/ipamd.log | tail -3")),
)
