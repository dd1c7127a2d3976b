"""pod-route-missing: a pod has its address, and the rule or route that carries its traffic is gone.

Not eventually consistent: a missing rule or route needs no second look.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Remedy
from eniagent.rules import remedies
from eniagent.rules.rule import GUIDE, Clear, Fires, Inconclusive, Look, Outcome, Rule, fact


def check(facts: Facts) -> Outcome:
    """Assigned addresses with a veth but without their rule or route; ENIs whose route table is empty."""
    if facts.address_gaps is None:
        return Inconclusive(("ipam",) if facts.ipam is None else ("routing",))
    gaps = [g for g in facts.address_gaps if g.kind in ("rule", "route")]
    lost = {g.eni for g in facts.eni_gaps or () if g.kind == "link"}
    gaps = [g for g in gaps if g.eni not in lost]
    tables = [g for g in facts.eni_gaps or () if g.kind == "table" and g.eni not in lost]
    if not gaps and not tables:
        return Clear("every assigned address has its rules and route", (fact("assigned addresses without rule or route", 0, "kernel", ref="host/ip-rule.json"),))
    proof = []
    if gaps:
        pods = len({g.subject for g in gaps})
        proof.append(fact(f"rules and routes missing for {pods} addresses", len(gaps), "kernel", expected=gaps[0].expected, ref="host/ip-rule.json"))
        proof.append(fact(f"{gaps[0].subject} is assigned to", gaps[0].pod, "ipamd /v1/enis", ref="/ENIs"))
    proof += [fact(f"route table of {g.eni}", "empty", "kernel", expected=g.expected, ref="host/ip-route.json") for g in tables[:2]]
    return Fires(proof=tuple(proof), subject=", ".join(list(dict.fromkeys(g.subject for g in gaps))[:4]) or tables[0].eni)


def remedy(facts: Facts) -> Remedy:
    """Recreate the pods; find who flushes."""
    return remedies.remedy(
        "Recreate the pods concerned (the plugin writes rules and routes on ADD only), and find who flushes them: systemd-networkd or NetworkManager managing foreign rules, firewalld, nm-cloud-setup, a script.",
        remedies.node("ip rule | sort -n | head -40; ip route show table main | head"),
        remedies.node("journalctl -u systemd-networkd -u NetworkManager -u firewalld --since -1h --no-pager | tail -20; grep -rs ManageForeignRoutingPolicyRules /etc/systemd/networkd.conf*"),
        remedies.kubectl(f"kubectl get pods -A -o wide --field-selector spec.nodeName={remedies.node_name(facts)}"),
        do_not=("Do not restart aws-node alone: it restores ENI rules, not every pod's.",),
        recovers_by="not by itself",
    )


RULE = Rule(
    code="pod-route-missing",
    kind="cause",
    severity="critical",
    summary="Pods have addresses, but the kernel's rules or routes for them are gone",
    meaning="Traffic to or from a pod follows `ip rule` and a /32 route. They are gone while the pod runs, so the pod has an address and no network.",
    proof="An assigned address without its rule or route, or an ENI with an empty route table.",
    refutation="Both present.",
    check=check,
    remedy=remedy,
    reference=GUIDE,
    explains=(),
    looks=(Look("ip rule | grep -cE '^(512|1536):'"),),
)
