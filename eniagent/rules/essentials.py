"""Whether the verdict may speak at all: is this a node of the VPC CNI, and was what is essential seen?

Refuses to excuse what was merely not looked at: only files that are known to be absent make a node another kind of machine.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import NextLook
from eniagent.model.reading import Observed, Why

_TRACES = ("ipam", "metrics", "ipamd_log", "plugin_log", "checkpoint", "environment", "settings")


def not_applicable(facts: Facts) -> bool:
    """Another CNI's configuration is active, or there is no kubelet, or no EC2, and no trace of aws-node ever."""
    if any(isinstance(getattr(facts.now, f), Observed) for f in _TRACES) or facts.hits.for_address:
        return False
    config = facts.value("cni_config")
    if config is not None and config.first:
        return "aws-cni" not in config.types
    if not _absent(facts, "ipamd_log") or facts.hits.pods:
        return False
    metadata = facts.unseen("metadata")
    no_ec2 = metadata is not None and metadata.why in (Why.REFUSED, Why.TIMED_OUT, Why.NOT_INSTALLED)
    return no_ec2 or (_absent(facts, "kubelet_config") and not _kubelet_runs(facts))


def _absent(facts: Facts, field: str) -> bool:
    unseen = facts.unseen(field)
    return unseen is not None and unseen.why is Why.NOT_INSTALLED


def _kubelet_runs(facts: Facts) -> bool:
    journal, processes = facts.value("kubelet"), facts.value("processes")
    return bool(journal and journal.entries) or bool(processes and any(p.name == "kubelet" for p in processes.running))


def missing_essentials(facts: Facts) -> tuple[str, ...]:
    """What is essential for `healthy` and was not seen (contract, Verdict)."""
    missing = []
    pool = facts.ipam is not None or (facts.value("checkpoint") is not None and (facts.value("metrics") is not None or facts.log is not None))
    if not pool:
        missing.append("ipamd's pool")
    journals = [facts.value(f) for f in ("kubelet", "containerd")]
    if not any(j is not None and j.entries > 0 and not j.cut for j in journals):
        missing.append("a kubelet or containerd journal over the window")
    if facts.metadata is None:
        missing.append("IMDS's list of ENIs")
    if facts.limits is None:
        missing.append("the instance type's limits")
    return tuple(missing)


def missing_looks(facts: Facts) -> tuple[NextLook, ...]:
    """The looks at what is essential and was not seen."""
    looks = []
    for what in missing_essentials(facts):
        if what.startswith("ipamd"):
            looks.append(NextLook("curl -s http://127.0.0.1:61679/v1/enis; pgrep -a aws-k8s-agent", ("ipamd-unreachable", "ipamd-not-ready", "eni-limit-reached")))
        elif "journal" in what:
            looks.append(NextLook("journalctl -u kubelet --since -1h --no-pager | grep -ci sandbox", ("allocation-failures", "not-ip-related")))
        elif "IMDS" in what:
            looks.append(NextLook("curl -sS -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token", ("imds-unreachable",)))
    return tuple(looks[:3])
