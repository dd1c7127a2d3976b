"""Next looks: for what stays undecided, the commands that would decide, the most telling first.

Refuses a list of everything: three looks, each for a handful of codes.
"""

from __future__ import annotations

from eniagent.case.facts import Facts
from eniagent.case.silence import unanswered
from eniagent.model.finding import NextLook
from eniagent.rules.situations import POOL, REFUSALS, looks_for


def next_looks(facts: Facts) -> tuple[NextLook, ...]:
    """At most three looks for this case; none where it shows no trouble."""
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
