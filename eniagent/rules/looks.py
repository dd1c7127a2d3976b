"""Next looks: for what stays undecided, the commands that would decide, the most telling first.

Refuses a list of everything: three looks, each for a handful of codes.
"""

from __future__ import annotations

import re

import msgspec

from eniagent.case.facts import Facts
from eniagent.case.silence import unanswered
from eniagent.model.finding import NextLook
from eniagent.rules.situations import POOL, REFUSALS, looks_for


def next_looks(facts: Facts) -> tuple[NextLook, ...]:
    """At most three looks for this case, with the node's own ids; none where it shows no trouble."""
    node = facts.node
    names = {"INSTANCE": node.instance_id, "NODE": node.name, "REGION": node.region}
    return tuple(msgspec.structs.replace(look, command=_filled(look.command, names)) for look in _looks(facts))


def _filled(command: str, names: dict[str, str]) -> str:
    """The command with what is known in place of its placeholders."""
    for word, value in names.items():
        if value:
            command = re.sub(rf"\b{word}\b", value, command)
    return command


def _looks(facts: Facts) -> tuple[NextLook, ...]:
    silent = unanswered(facts)
    region = f" --region {facts.node.region}" if facts.node.region else ""
    if silent is not None:
        start = (silent.at or facts.at).strftime("%Y-%m-%dT%H:%M:%SZ")
        trail = f"aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=CreateNetworkInterface --start-time {start}{region}"
        host = f"ec2.{facts.node.region}.amazonaws.com" if facts.node.region else "ec2.REGION.amazonaws.com"
        return (
            NextLook(trail, ("ec2-throttled", "iam-denied", "subnet-exhausted"), "aws"),
            NextLook(f"curl -sS -o /dev/null -m 5 -w '%{{http_code}} %{{time_connect}}\\n' https://{host}/", ("aws-api-unreachable",)),
            NextLook("tail -n 20 /var/log/aws-routed-eni/ipamd.log", ("ec2-throttled", "warm-pool-lag", "eni-attach-failed")),
        )
    shown = looks_for(facts)
    if shown:
        return shown
    return (REFUSALS, POOL) if facts.hits.pods else ()
