"""imds-unreachable: ipamd or the node cannot read instance metadata.

The agent's own look and ipamd's log are two witnesses; past errors with a good look now are over.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

from eniagent.case.facts import Facts
from eniagent.case.refusals import speaks_of_imds
from eniagent.model.finding import Evidence, Remedy
from eniagent.model.reading import Why
from eniagent.model.record import Event
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, failure, line, waiting

FRESH_S = 120
"""ipamd reads metadata at least every 60 s: errors that stopped for two of these are over."""
DOWN_S = 900
"""An ipamd that exits at start is tried again by kubelet at the latest after 5 minutes."""
_FAILED = (Why.REFUSED, Why.TIMED_OUT, Why.FORBIDDEN)


def check(facts: Facts) -> Outcome:
    """The agent's own look, ipamd's errors, and pods whose ADD failed on metadata."""
    own = _own_look(facts)
    told = _told(facts)
    hits = facts.hits.of("imds-in-add", waiting=True)
    newest = told[-1] if told else None
    proof = [e for e in (own,) if e]
    if hits:
        proof.append(failure("pods whose ADD failed on metadata", hits[-1]))
    if newest:
        proof.append(line(f"ipamd cannot read metadata, {len(told)} x", newest))
    over = _over(facts, newest)
    if own or hits:
        since = min((e.at for e in (told[:1] or []) if e.at), default=None) or min((h.first_at for h in hits if h.first_at), default=None)
        return Fires(proof=tuple(proof), context=waiting(facts), since=since, subject="169.254.169.254")
    if newest is not None:
        recent = newest.at is None or facts.at - newest.at <= timedelta(seconds=DOWN_S if facts.life.serves is False else FRESH_S)
        if over or not recent:
            return Fires(proof=tuple(proof), since=told[0].at, until=over.at if over else newest.at, subject="169.254.169.254")
        return Fires(proof=tuple(proof), context=waiting(facts), since=told[0].at, subject="169.254.169.254")
    if facts.metadata is not None:
        return Clear("IMDS answers the agent", (fact("ENIs that IMDS lists", len(facts.metadata.enis), "IMDS", ref="network/interfaces/macs/"),))
    return Inconclusive(("metadata",))


def _own_look(facts: Facts) -> Optional[Evidence]:
    unseen = facts.unseen("metadata")
    if unseen is None or unseen.why not in _FAILED:
        return None
    return fact("the agent's own look at IMDS", unseen.why.value, "IMDS", expected="200", ref=unseen.source, at=unseen.at)


def _told(facts: Facts) -> tuple[Event, ...]:
    return tuple(
        e
        for e in facts.events("imds-failed", "init-failed", "entrypoint-imds", "limits-unknown")
        if e.signature in ("imds-failed", "entrypoint-imds") or (speaks_of_imds(e.text) and not e.fields.get("code"))
    )


def _over(facts: Facts, newest: Optional[Event]) -> Optional[Event]:
    if newest is None or newest.at is None:
        return None
    after = [e for e in facts.events("reconciled", "eni-attached", "addresses-allocated", "ipamd-serving") if e.at and newest.at and e.at > newest.at]
    return after[0] if after else None


def remedy(facts: Facts) -> Remedy:
    """Endpoint enabled, hop limit, iptables, proxies."""
    instance = facts.identity.instance_id or "INSTANCE"
    return remedies.remedy(
        "Make instance metadata answer on this node again: endpoint enabled, hop limit at least 1 for host-network pods (2 for others), no iptables rule or proxy in the way.",
        remedies.node("TOKEN=$(curl -sS -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token) && curl -sS -m 2 -H \"X-aws-ec2-metadata-token: $TOKEN\" http://169.254.169.254/latest/meta-data/instance-id", rights="none"),
        remedies.node("iptables-save | grep -n 169.254.169.254; ip route get 169.254.169.254"),
        remedies.aws(facts, f"ec2 describe-instances --instance-ids {instance} --query 'Reservations[].Instances[].MetadataOptions'", rights="ec2:DescribeInstances"),
        remedies.aws(facts, f"ec2 modify-instance-metadata-options --instance-id {instance} --http-endpoint enabled --http-tokens required --http-put-response-hop-limit 2", rights="ec2:ModifyInstanceMetadataOptions", effect="change"),
        do_not=("Do not restart aws-node: without IMDS it exits at once and running pods lose their address manager.",),
        recovers_by="by itself when IMDS answers: ipamd reconciles within 60 s, or starts at kubelet's next try",
    )


RULE = Rule(
    code="imds-unreachable",
    kind="cause",
    severity="critical",
    summary="Instance metadata cannot be read",
    meaning="ipamd reads its ENIs and the VPC's CIDRs from IMDS. Without it ADD fails, the pool cannot grow, and ipamd does not start.",
    proof="The agent's own look at 169.254.169.254 fails, or ipamd's log and the pods' errors name it.",
    refutation="IMDS answers the agent and ipamd's errors have stopped.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "best-practices-security.html",
    explains=("allocation-failures", "pool-exhausted", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "address-leaked", "aws-api-unreachable", "instance-limits-unknown", "imds-out-of-sync", "warm-pool-lag", "iam-denied", "cooldown-starved"),
    looks=(Look("curl -sS -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token"), Look("grep -E 'ec2imds|169.254.169.254' /var/log/aws-routed-eni/ipamd.log | tail -3")),
)
