"""kubectl's and the AWS CLI's output: pods and nodes in tables, `describe` and JSON.

Refuses to mix objects: what a `describe` says belongs to the object whose name stands above it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Optional

from eniagent.sources.frames import parse_stamp
from eniagent.sources.pasted_events import Row, node_condition, pod_row

_NAME = re.compile(r"^Name:\s+(\S+)\s*$")
_NAMESPACE = re.compile(r"^Namespace:\s+(\S+)\s*$")
_LABEL = re.compile(
    r"^\s*(?:Labels:\s+)?(?P<key>(?:node|beta)\.kubernetes\.io/instance-type|topology\.kubernetes\.io/(?:zone|region)|ProviderID:)\s*[=\s]\s*(?P<value>\S+)$"
)
_CAPACITY = re.compile(r"^\s+pods:\s+(\d+)\s*$")
_ENVIRONMENT = re.compile(
    r"^\s*(?P<name>AWS_VPC_\w+|AWS_MANAGE_\w+|WARM_\w+|MINIMUM_IP_TARGET|MAX_ENI|ENABLE_[A-Za-z_0-9]+|DISABLE_\w+|IP_COOLDOWN_PERIOD|VPC_CNI_VERSION"
    r"|NETWORK_POLICY_ENFORCING_MODE)(?:=|:\s+)\"?(?P<value>[^\"\s]*)\"?\s*$"
)
_STATE = re.compile(r"^\s*(?:Reason|reason):\s+(?P<reason>OOMKilled|CrashLoopBackOff|Error)\s*$")
_TAINT = re.compile(r"node\.kubernetes\.io/unschedulable(?::\w+)?|SchedulingDisabled")
_TOLD = {"instance-type": "instance_type", "zone": "availability_zone", "region": "region"}


class Context:
    """What the lines above say of the object that is described. `take` keeps a line, `news` gives what it told and forgets it."""

    def __init__(self) -> None:
        self.pod = ""
        self.told: dict[str, str] = {}
        self.max_pods: Optional[int] = None
        self.environment: dict[str, str] = {}
        self._name = ""
        self._news: list[tuple[str, str]] = []

    def take(self, text: str) -> bool:
        """Whether the line is one of kubectl's own."""
        return self._headed(text) or self._described(text) or self._row(text)

    def news(self) -> list[tuple[str, str]]:
        """Signatures that the newest lines carry, each with its text."""
        news, self._news = self._news, []
        return news

    def _headed(self, text: str) -> bool:
        name, namespace = _NAME.match(text), _NAMESPACE.match(text)
        if name:
            self._name, self.pod = name[1], ""
        elif namespace:
            self.pod = f"{namespace[1]}/{self._name}" if self._name else ""
        return bool(name or namespace)

    def _described(self, text: str) -> bool:
        label, capacity, variable, state = _LABEL.match(text), _CAPACITY.match(text), _ENVIRONMENT.match(text), _STATE.match(text)
        if label:
            key = next((told for word, told in _TOLD.items() if label["key"].endswith(word)), "")
            if key:
                self.told[key] = label["value"]
            elif "/i-" in label["value"]:
                self.told["instance_id"] = label["value"].rsplit("/", 1)[-1]
        elif capacity:
            self.max_pods = int(capacity[1])
        elif variable:
            self.environment[variable["name"]] = variable["value"]
        elif state and self._name.startswith("aws-node"):
            self._news.append(("aws-node-oom" if state["reason"] == "OOMKilled" else "aws-node-backoff", f"{self._name} {text.strip()}"))
        elif _TAINT.search(text):
            self._news.append(("node-cordoned", text.strip()))
        else:
            return False
        return True

    def _row(self, text: str) -> bool:
        pod, condition = pod_row(text), node_condition(text)
        if pod:
            signature = _aws_node(pod.name, pod.status, pod.ready, pod.of)
            if signature:
                self._news.append((signature, text.strip()))
            return True
        if condition and condition[0] != "True":
            if re.search(r"NetworkPluginNotReady|cni config uninitialized|cni plugin not initialized", condition[1]):
                self._news.append(("network-not-ready", condition[1]))
            return True
        return condition is not None


def _aws_node(name: str, status: str, ready: int, of: int) -> str:
    """The signature that a row of `kubectl get pods` carries, "" where it tells of no trouble of aws-node."""
    if not re.match(r"aws-node-\w+$", name):
        return ""
    if status == "Pending":
        return "aws-node-not-placed"
    if status in ("CrashLoopBackOff", "Error", "OOMKilled"):
        return "aws-node-oom" if status == "OOMKilled" else "aws-node-backoff"
    return "aws-node-unready" if ready < of else ""


def event_rows(value: Any) -> list[Row]:
    """Rows of `kubectl get events -o json`. The time stands in `source`."""
    rows = []
    items = value.get("items", [value]) if isinstance(value, dict) else value
    for item in items:
        if not isinstance(item, dict) or not isinstance(item.get("message"), str):
            continue
        told = item.get("involvedObject") or item.get("regarding")
        about = told if isinstance(told, dict) else {}
        at = str(item.get("lastTimestamp") or item.get("eventTime") or item.get("firstTimestamp") or "")
        subject = f"{str(about.get('kind', '')).lower()}/{about.get('name', '')}"
        count = item["count"] if isinstance(item.get("count"), int) else 1
        rows.append(Row(str(item.get("type", "")), str(item.get("reason", "")), item["message"], count, None, at, subject, str(about.get("namespace", ""))))
    return rows


def row_time(row: Row) -> Optional[datetime]:
    """Rows of `kubectl get events -o json` carry a time in `source`'s place."""
    return parse_stamp(row.source) if row.source[:2] == "20" else None


def instance_facts(value: Any) -> dict[str, str]:
    """Type, id and zone of the one instance that a document describes; nothing where it describes several."""
    found: list[dict[str, Any]] = []
    reservations = value.get("Reservations") if isinstance(value, dict) else None
    for reservation in reservations if isinstance(reservations, list) else []:
        found += [i for i in reservation.get("Instances", []) if isinstance(i, dict)] if isinstance(reservation, dict) else []
    if not found and isinstance(value, dict):
        found = [value]
    if len(found) != 1:
        return {}
    one = found[0]
    placement = one.get("Placement") if isinstance(one.get("Placement"), dict) else {}
    told = {
        "instance_type": one.get("InstanceType") or one.get("instanceType"),
        "instance_id": one.get("InstanceId") or one.get("instanceId"),
        "availability_zone": (placement or {}).get("AvailabilityZone") or one.get("availabilityZone"),
        "region": one.get("region"),
    }
    return {k: v for k, v in told.items() if isinstance(v, str) and v}


def node_facts(value: Any) -> tuple[dict[str, str], Optional[int]]:
    """What a Node object tells of the instance, and its pod capacity; nothing where there are several."""
    items = value.get("items") if isinstance(value, dict) else None
    nodes = items if isinstance(items, list) else [value]
    if len(nodes) != 1 or not isinstance(nodes[0], dict):
        return {}, None
    meta, status = nodes[0].get("metadata") or {}, nodes[0].get("status") or {}
    labels = meta.get("labels") or {}
    told = {
        "instance_type": labels.get("node.kubernetes.io/instance-type"),
        "availability_zone": labels.get("topology.kubernetes.io/zone"),
        "region": labels.get("topology.kubernetes.io/region"),
        "name": meta.get("name"),
    }
    pods = str((status.get("capacity") or {}).get("pods", ""))
    return {k: v for k, v in told.items() if isinstance(v, str) and v}, int(pods) if pods.isdigit() else None
