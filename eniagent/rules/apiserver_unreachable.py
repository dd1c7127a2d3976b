"""apiserver-unreachable: ipamd cannot reach the Kubernetes API.

Since 1.19.4 ipamd goes on without it unless a feature needs it; then the error alone is a warning.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy, Scope
from eniagent.rules import remedies
from eniagent.rules.rule import EKS_GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact, line, waiting


def check(facts: Facts) -> Outcome:
    """Errors of the API connection with no later success."""
    if facts.log is None:
        return Inconclusive(("ipamd_log",))
    told = facts.events("api-unreachable")
    starts = facts.life.starts
    reached = facts.events("api-reached")
    if not told:
        testing = facts.events("api-testing")
        last_test = testing[-1] if testing else None
        mute = last_test is not None and not any(e.at and last_test.at and e.at >= last_test.at for e in reached)
        served = facts.life.served_since_start
        if mute and last_test and len(starts) >= 2 and not served and not facts.life.failures:
            mute_proof = (fact("starts that stop at the API server test", len(starts), "ipamd.log", expected=1, ref=last_test.ref, at=last_test.at), line("last words", last_test))
            return Fires(proof=mute_proof, context=waiting(facts), since=starts[0].at)
        return Clear("ipamd's log tells of no trouble with the API server", (fact("errors of the API connection", 0, "ipamd.log", ref="logs/ipamd.log"),))
    newest = told[-1]
    over = next((e for e in (*reached, *facts.events("ipamd-serving")) if e.at and newest.at and e.at > newest.at), None)
    proof = (line(f"ipamd cannot reach the API server, {len(told)} x", newest),)
    return Fires(proof=proof, context=() if over else waiting(facts), since=told[0].at, until=over.at if over else None)


def remedy(facts: Facts) -> Remedy:
    """kube-proxy, security groups, DNS."""
    return remedies.remedy(
        "Restore the way from the node to the Kubernetes API: kube-proxy running (the service address needs it), security groups on 443, the endpoint's access settings, DNS; or give ipamd the endpoint itself (CLUSTER_ENDPOINT).",
        remedies.node("curl -sSk -o /dev/null -m 5 -w '%{http_code}\\n' https://10.100.0.1/version", rights="none"),
        remedies.node("iptables-save -t nat | grep -c KUBE-SERVICES"),
        remedies.kubectl(f"kubectl -n kube-system get pods -l k8s-app=kube-proxy -o wide --field-selector spec.nodeName={remedies.node_name(facts)}"),
        do_not=("Do not restart aws-node before the API server is reachable: up to release 1.19.3 it will not start without it.",),
        recovers_by="by itself: ipamd waits for the API server, or kubelet restarts it with back-off up to 5 minutes",
    )


RULE = Rule(
    code="apiserver-unreachable",
    kind="cause",
    severity="critical",
    summary="ipamd cannot reach the Kubernetes API server",
    meaning="ipamd needs the API server at start (up to 1.19.3 always; later for security groups for pods, custom networking and annotations) and for node and ENIConfig objects.",
    proof="`Unable to reach API Server`, or start banners that all stop at the connectivity test.",
    refutation="The API server was reached later.",
    check=check,
    remedy=remedy,
    reference=EKS_GUIDE + "cluster-endpoint.html",
    explains=("allocation-failures", "slow-pod-start", "ipamd-not-ready", "ipamd-unreachable", "ipamd-crashing", "cni-not-initialized", "eniconfig-invalid", "branch-eni-unavailable", "warm-pool-lag"),
    scope=Scope.CLUSTER,
    looks=(Look("grep -E 'API Server|Testing communication' /var/log/aws-routed-eni/ipamd.log | tail -3"), Look("curl -sk -m 5 https://10.100.0.1/version")),
)
