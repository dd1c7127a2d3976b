"""Rows of kubectl: event tables of `describe` and `get events`, and what other fronts make of them; pod and node tables.

Refuses to turn an age into a time: when the table was printed, nobody knows. Ages only order the rows of one table.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional


class Row(NamedTuple):
    """One event. `count`: how often ("" age: not told); `age_s` since it was last seen; `subject`: `pod/name` where the row names it."""

    type: str
    reason: str
    message: str
    count: int = 1  # type: ignore[assignment] # A row is never searched with tuple.count.
    age_s: Optional[float] = None
    source: str = ""
    subject: str = ""
    namespace: str = ""


_AGE = r"(?:\d+(?:d|h|m|s|ms|y))+|<unknown>|<invalid>"
HEAD = 400
_TYPE = re.compile(r"\b(?:Warning|Normal)\s+[A-Z]")
_TYPED = re.compile(
    r"^\s*(?:(?P<namespace>[a-z][\w.-]*)\s+)?"
    r"(?:(?P<before>(?:(?:" + _AGE + r")(?: \(x\d+ over [\w]+\))?\s+)+)(?:(?P<oldcount>\d+)\s+)?(?P<from>\S[^{]*?\s{2,})?(?:spec\.\S+\s+)?)?"
    r"(?P<type>Warning|Normal)\s+(?P<reason>[A-Z][A-Za-z]+)(?:\s+(?P<rest>.*))?$",
    re.DOTALL,
)
_COUNTED = re.compile(r"^(?:(?P<age>" + _AGE + r")|)(?:\s?\(x(?P<count>\d+)(?: over (?P<first>" + _AGE + r"))?\))?\s+", re.DOTALL)
_SOURCE = re.compile(
    r"^(?P<source>(?:kubelet|default-scheduler|[a-z]+(?:-[a-z]+)*-(?:controller|scheduler|manager))(?:, ?[\w.-]+)?)\s+(?P<message>.*)$", re.DOTALL
)
_OBJECT = re.compile(
    r"^(?P<subject>(?:pod|node|daemonset|replicaset|deployment|job|statefulset)s?/[\w.-]+)\s+(?P<message>.*)$", re.DOTALL | re.IGNORECASE
)
_PORTAL = re.compile(r"^\s*(?P<reason>[A-Z][A-Za-z]+)(?: \((?P<count>\d+)\))?\s*\|\s*(?P<age>[\w ]*?)\s*\|\s*(?P<message>.+)$", re.DOTALL)
_SOURCE_FIRST = re.compile(r"^\s*(?P<source>kubelet, [\w.-]+)\s+(?P<message>.+)$", re.DOTALL)
_BARE = re.compile(
    r"^\s*(?P<message>(?:\(combined from similar events\): )?(?:Failed (?:to )?create pod sandbox|error killing pod|(?:Readiness|Liveness|Startup) probe (?:failed|errored)"
    r"|\d+/\d+ nodes are available|Back-off restarting failed container)\b.*)$",
    re.DOTALL,
)
_COMBINED = "(combined from similar events): "
_UNITS = {"y": 31536000.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def event_row(text: str) -> Optional[Row]:
    """One event in any front's layout, None where the line is none."""
    # Columns stand at a row's head: a pattern over a whole text of ages and blanks would try all their partitions.
    found = _TYPED.match(text) if _TYPE.search(text[:HEAD]) else None
    if found:
        return _typed(found)
    found = _PORTAL.match(text)
    if found and re.match(r"(?:Failed|Back|Unhealthy|Sandbox|Killing|Started|Pull|Network|Trunk|Branch|Missing)", found["reason"]):
        return Row("", found["reason"], _plain(found["message"]), int(found["count"] or 1))
    found = _SOURCE_FIRST.match(text)
    if found:
        return Row("", "", _plain(found["message"]), source=found["source"])
    found = _BARE.match(text)
    return Row("", "", _plain(found["message"])) if found else None


def _typed(found: re.Match[str]) -> Row:
    rest, age, count, subject, source = found["rest"] or "", None, 1, "", (found["from"] or "").strip()
    before = found["before"] or ""
    if before:
        told = _COUNTED.match(before)
        age = age_seconds(told["age"] or "") if told else None
        count = int(found["oldcount"] or (told["count"] if told and told["count"] else 1))
    elif _COUNTED.match(rest) and rest[:1] not in " \t":
        told = _COUNTED.match(rest)
        assert told is not None
        age, count, rest = age_seconds(told["age"] or ""), int(told["count"] or 1), rest[told.end() :]
    named = _OBJECT.match(rest)
    if named:
        subject, rest = named["subject"], named["message"]
    by = _SOURCE.match(rest)
    if by:
        source, rest = by["source"], by["message"]
    return Row(found["type"], found["reason"], _plain(rest), count, age, source, subject, found["namespace"] or "")


def _plain(message: str) -> str:
    message = message.strip()
    return message[len(_COMBINED) :] if message.startswith(_COMBINED) else message


def age_seconds(text: str) -> Optional[float]:
    """`6m41s` in seconds, None where it is no age."""
    parts = re.findall(r"(\d+)(ms|y|d|h|m|s)", text)
    return sum(int(n) * _UNITS[u] for n, u in parts) if parts else None


_POD_ROW = re.compile(
    r"^\s*(?:(?P<namespace>[a-z][\w-]*)\s+)?(?P<name>[a-z0-9][\w.-]*)\s+(?P<ready>\d+)/(?P<of>\d+)\s+(?P<status>[A-Z][A-Za-z:/0-9]+)"
    r"\s+(?P<restarts>\d+)(?: \([\w ]+\))?\s+(?P<age>" + _AGE + r")"
)


class PodRow(NamedTuple):
    """One row of `kubectl get pods`."""

    name: str
    namespace: str
    ready: int
    of: int
    status: str
    restarts: int


def pod_row(text: str) -> Optional[PodRow]:
    """One row of `kubectl get pods`, None where the line is none."""
    found = _POD_ROW.match(text)
    if not found:
        return None
    return PodRow(found["name"], found["namespace"] or "", int(found["ready"]), int(found["of"]), found["status"], int(found["restarts"]))


_NODE_CONDITION = re.compile(r"^\s*Ready\s+(?P<status>True|False|Unknown)\s+.*?(?P<reason>Kubelet\w+|NodeStatus\w+)\s+(?P<message>.*)$")


def node_condition(text: str) -> Optional[tuple[str, str]]:
    """Status and message of a node's Ready condition in `kubectl describe node`."""
    found = _NODE_CONDITION.match(text)
    return (found["status"], found["message"]) if found else None
