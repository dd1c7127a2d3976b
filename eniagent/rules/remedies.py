"""Pieces of remedies that several rules share: commands with this node's real ids."""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.model.finding import Command, Remedy

SUBNET_IN_LOG = "in subnet: "


def subnets(facts: Facts) -> tuple[str, ...]:
    """The subnets from which ipamd takes addresses on this node: the refused one first where the log names it."""
    found: list[str] = []
    for event in reversed(facts.events("eni-config-used", "eni-create-subnet")):
        subnet = event.fields.get("subnet", "")
        if subnet and subnet not in found:
            found.append(subnet)
    if not found:
        if facts.ipam:
            found += [e.subnet for p in facts.ipam.pools for e in p.enis if e.subnet and not (facts.settings.custom_networking and e.is_primary)]
        if not found and facts.metadata:
            found += [e.subnet for e in facts.metadata.enis if e.subnet and not (facts.settings.custom_networking and e.device_number == 0)]
    return tuple(dict.fromkeys(found))


def node_name(facts: Facts) -> str:
    """The node's name for kubectl, or a word to fill in."""
    return facts.node.name or "NODE"


def region_flag(facts: Facts) -> str:
    """` --region R` where the region is known."""
    return f" --region {facts.node.region}" if facts.node.region else ""


def aws_node_pod(facts: Facts) -> Command:
    """Where aws-node of this node is seen."""
    return kubectl(f"kubectl -n kube-system get pods -l k8s-app=aws-node -o wide --field-selector spec.nodeName={node_name(facts)}")


def restart_aws_node(facts: Facts) -> Command:
    """Restart ipamd on this node alone."""
    return Command(
        run=f"kubectl -n kube-system delete pod -l k8s-app=aws-node --field-selector spec.nodeName={node_name(facts)}",
        where="kubectl", effect="disruptive", rights="delete pods in kube-system",
    )


def set_env(settings: str) -> Command:
    """Set variables on the aws-node DaemonSet; its pods roll one by one."""
    return Command(run=f"kubectl -n kube-system set env daemonset/aws-node {settings}", where="kubectl", effect="change", rights="update daemonsets in kube-system")


def kubectl(run: str) -> Command:
    """A reading kubectl command."""
    return Command(run=run, where="kubectl", effect="read", rights="get")


def node(run: str, *, effect: str = "read", rights: str = "root") -> Command:
    """A command on the node itself."""
    return Command(run=run, where="node", effect=effect, rights=rights)


def aws(facts: Facts, run: str, *, rights: str, effect: str = "read") -> Command:
    """An AWS CLI command in the node's region."""
    return Command(run=f"aws {run}{region_flag(facts)}", where="aws", effect=effect, rights=rights)


def remedy(text: str, *commands: Command, do_not: tuple[str, ...] = (), recovers_by: str = "") -> Remedy:
    """A remedy from its parts."""
    return Remedy(text=text, commands=commands, do_not=do_not, recovers_by=recovers_by)
