"""ipamd-unreachable: the CNI plugin cannot talk to ipamd.

Refuses to blame a closed port 50051: from 1.23 on there is only the socket.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.model.reading import Why
from eniagent.model.record import Event
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, failure, line, waiting

DIAL = ("ipamd-refused", "ipamd-never-served", "version-skew-add")


def check(facts: Facts) -> Outcome:
    """Pods whose ADD could not reach ipamd now, or ports that refuse where it ran before."""
    waits, all_hits = facts.hits.of(*DIAL, waiting=True), facts.hits.of(*DIAL)
    skew = facts.events("version-skew")
    dialled = _dialled(facts)
    down = facts.life.serves is False
    refused = facts.unseen("ipam")
    proof = [failure("pods whose ADD could not reach ipamd", waits[-1])] if waits else []
    if down and refused is not None:
        proof.append(fact("ipamd's introspection", refused.why.value, "ipamd /v1/enis", expected="an answer", ref="127.0.0.1:61679", at=refused.at))
    if facts.life.running is False:
        proof.append(fact("process aws-k8s-agent", "not running", "process table", expected="running"))
    proof += [line("versions differ", e) for e in skew[-1:]]
    proof += [line("the plugin's call found nobody", e) for e in dialled[-1:]]
    if waits or skew or dialled or (down and refused is not None and refused.why in (Why.REFUSED, Why.TIMED_OUT)):
        last = facts.life.last_words
        context = [line("ipamd's last line", last)] if last and down else []
        since = min((h.first_at for h in waits if h.first_at), default=last.at if last and down else None)
        return Fires(proof=tuple(proof), context=(*context, *waiting(facts)), since=since, subject="ipamd", inferred=_ended_by_itself(facts) or (bool(skew) and not waits and not down and not dialled))
    if all_hits:
        first = min((h.first_at for h in all_hits if h.first_at), default=None)
        last_at = max((h.last_at for h in all_hits if h.last_at), default=None)
        return Fires(proof=(failure("pods whose ADD could not reach ipamd", all_hits[-1]),), since=first, until=last_at or facts.at, subject="ipamd")
    if facts.life.serves:
        return Clear("ipamd answers", (fact("ipamd's ports", facts.life.basis, "ipamd /v1/enis", ref="127.0.0.1:61679"),))
    return Inconclusive(("ipam", "plugin_log"))


def _dialled(facts: Facts) -> tuple[Event, ...]:
    """plugin.log's refused calls, where no later line of it shows that ipamd answered and nobody looked at the pods."""
    refused = facts.events("plugin-ipamd-refused", field="plugin_log")
    if not refused or not facts.pasted or facts.hits.seen:
        return ()
    newest = refused[-1].at
    answered = facts.events("plugin-ok", "plugin-no-address", field="plugin_log")
    return () if any(e.at and newest and e.at > newest for e in answered) else refused


def _ended_by_itself(facts: Facts) -> bool:
    """Whether aws-node's output says that ipamd exited: then the silence follows from that, and only its own last words say why."""
    return facts.life.serves is None and bool(facts.events("entrypoint-stopped"))


def remedy(facts: Facts) -> Remedy:
    """Get ipamd up; look at conflicts of port, socket and version."""
    return remedies.remedy(
        "Get aws-node's ipamd running on this node again; if it runs, look for a port or socket conflict and for a plugin of another release than the agent.",
        remedies.aws_node_pod(facts),
        remedies.node("ls -l /var/run/aws-node/; pgrep -a aws-k8s-agent"),
        remedies.restart_aws_node(facts),
        do_not=("Do not probe port 50051 on release 1.23 or later: ipamd listens on a unix socket only.",),
        recovers_by="by kubelet's restart of the container, within its back-off (10 s to 5 minutes)",
    )


RULE = Rule(
    code="ipamd-unreachable",
    kind="cause",
    severity="critical",
    summary="The CNI plugin cannot reach ipamd",
    meaning="ADD needs ipamd's gRPC service; nothing answers there, or plugin and agent are of different releases.",
    proof="`connection refused`, `no such file or directory` or `wrong client version` in the pods' errors; introspection refused.",
    refutation="ipamd answers.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=("allocation-failures", "slow-pod-start", "cni-not-initialized"),
    looks=(Look("pgrep -a aws-k8s-agent; ls -l /var/run/aws-node/"), Look("tail -5 /var/log/aws-routed-eni/ipamd.log")),
)
