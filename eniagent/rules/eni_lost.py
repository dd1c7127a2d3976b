"""eni-lost: an ENI, or addresses that pods use, was taken away behind ipamd's back.

Pods with branch ENIs are in no store of ipamd, so where they may exist rules alone prove nothing.
What the kernel or ipamd's own forced removal shows is certain; IMDS against ipamd alone needs a second read.
"""

from __future__ import annotations

from datetime import timedelta

from eniagent.case.facts import Facts
from eniagent.case.impact import NOW_S
from eniagent.case.lost import Lost, lost_addresses
from eniagent.model.finding import Evidence, Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line


def check(facts: Facts) -> Outcome:
    """Forced removals, ENIs without a link, rules of pods that ipamd dropped, addresses gone from IMDS twice."""
    forced = facts.events("force-removed", "eni-detached-behind", "ip-in-use-gone")
    no_link = tuple(g for g in facts.eni_gaps or () if g.kind == "link")
    orphans = facts.orphan_rules or ()
    gone = lost_addresses(facts.case)
    branch_pods = facts.settings.pod_eni is not False and not _counted(facts)
    if not forced and not no_link and not gone and (not orphans or branch_pods):
        if orphans:
            return Inconclusive(("environment",))
        if facts.ipam is None or facts.eni_gaps is None:
            return Inconclusive(tuple(f for f in ("ipam", "links", "metadata") if facts.value(f) is None))
        return Clear("every ENI of ipamd has its link and is attached", (fact("ENIs without a kernel link", 0, "kernel", ref="host/ip-link.json"),))
    proof = _proof(facts, gone)
    since = next((e.at for e in forced if e.at), None) or (facts.case.before[-1].taken_at if gone and facts.case.before else None)
    subject = no_link[0].eni if no_link else next((e.fields["eni"] for e in forced if e.fields.get("eni")), ", ".join(g.ip for g in gone[:4]))
    last = forced[-1].at if forced else None
    stands = bool(no_link or gone or orphans) or last is None or facts.at - last <= timedelta(seconds=NOW_S)
    over = None if stands else last
    return Fires(proof=proof, subject=subject, since=since, until=over)


def _counted(facts: Facts) -> bool:
    metrics = facts.value("metrics")
    return bool(metrics and ((metrics.value("awscni_force_removed_enis") or 0) > 0 or (metrics.value("awscni_force_removed_ips") or 0) > 0))


def _proof(facts: Facts, gone: tuple[Lost, ...]) -> tuple[Evidence, ...]:
    proof = [line("ipamd removes by force", e) for e in facts.events("force-removed")[-1:]]
    proof += [line("ENI detached behind ipamd", e) for e in facts.events("eni-detached-behind")[-1:]]
    proof += [line("address gone while a pod uses it", e) for e in facts.events("ip-in-use-gone")[-1:]]
    proof += [fact(f"kernel link of {g.eni}", "missing", "kernel", expected=g.expected, ref="host/ip-link.json") for g in facts.eni_gaps or () if g.kind == "link"]
    orphans = facts.orphan_rules or ()
    if orphans:
        proof.append(fact(f"pod rules whose address ipamd does not hold: {', '.join(g.subject for g in orphans[:4])}", len(orphans), "kernel", expected=0, ref="host/ip-rule.json"))
    if gone:
        proof.append(fact(f"addresses of pods that IMDS no longer lists: {', '.join(g.ip for g in gone[:4])}", len(gone), "IMDS", expected=0, ref="network/interfaces/macs/"))
        proof.append(fact(f"{gone[0].ip} is assigned to", gone[0].pod, "ipamd /v1/enis", ref="/ENIs"))
    if facts.pool is not None:
        proof.append(fact("ENIs that ipamd holds", facts.pool.enis, "ipamd /v1/enis", ref="/ENIs"))
    return tuple(proof)


def remedy(facts: Facts) -> Remedy:
    """Stop the other actor; recreate the pods."""
    instance = facts.identity.instance_id or "INSTANCE"
    return remedies.remedy(
        "Find who detaches or unassigns (CloudTrail names the caller) and stop it; recreate the pods that used the addresses, then restart aws-node so that its store is true again.",
        remedies.aws(facts, f"cloudtrail lookup-events --lookup-attributes AttributeKey=ResourceName,AttributeValue={instance} --max-results 20 --query 'Events[].[EventTime,EventName,Username]' --output text", rights="cloudtrail:LookupEvents"),
        remedies.node("ip rule | grep -E '^(512|1536|32765):' | head -40; ip -br link"),
        remedies.restart_aws_node(facts),
        do_not=("Do not re-attach the ENI by hand: ipamd would treat it as foreign.",),
        recovers_by="not by itself for the pods concerned; ipamd drops a vanished ENI at its next reconcile (about 60 s)",
    )


RULE = Rule(
    code="eni-lost",
    kind="cause",
    severity="critical",
    summary="An ENI or addresses in use were taken away behind ipamd",
    meaning="Something else detached an ENI or unassigned addresses that pods use. Those pods have lost their network, whatever ipamd still counts.",
    proof="`Force removing eni`, an ENI of ipamd without a kernel link, rules of pods whose address ipamd dropped, addresses missing in IMDS at two reads.",
    refutation="Present everywhere.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "imds-out-of-sync", "pod-route-missing", "address-leaked", "warm-pool-lag"),
    looks=(Look("ip -br link; curl -s http://127.0.0.1:61679/v1/enis | grep -o '\"ID\":\"eni-[^\"]*\"'"), Look("aws ec2 describe-network-interfaces --filters Name=attachment.instance-id,Values=INSTANCE --query 'NetworkInterfaces[].NetworkInterfaceId'", "aws")),
)
