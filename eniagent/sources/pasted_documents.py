"""JSON documents and fragments inside a paste: which capture each stands for, and what a cut one still tells.

Refuses to complete what was cut: a fragment of `/v1/enis` is no pool, only the entries that it shows.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple, Optional

_JSONISH = re.compile(r"^\s*(?:\"(?:[^\"\\]|\\.)*\"\s*:\s*\S.*|[{}\[\]]+\s*,?|\"(?:[^\"\\]|\\.)*\"\s*,?|-?\d+(?:\.\d+)?,?|\}\s*,\s*\{)\s*$")
_LOG_LINE = re.compile(r"^\s*\{\s*\"(?:level|ts|time|log|date|msg|MESSAGE|__CURSOR|_\w+)\"")
_ENI_KEYS = ("ENIs", "ENIIPPools")
RUN = 3
"""Fewer lines in a row than this are no fragment of a document."""


class Found(NamedTuple):
    """Documents and fragments with where they begin, and the text without them (line numbers kept)."""

    documents: list[tuple[Any, str]]
    fragments: list[tuple[str, str]]
    rest: str


def find(name: str, text: str) -> Found:
    """Every JSON document of `text`, and every run of lines that is a piece of one."""
    lines = text.split("\n")
    found = Found([], [], "")
    at = 0
    while at < len(lines):
        end = _run(lines, at)
        whole = _whole(lines, at)
        if whole is not None:
            value, after = whole
            found.documents.append((value, f"{name}:{at + 1}"))
        elif end - at >= RUN:
            found.fragments.append(("\n".join(lines[at:end]), f"{name}:{at + 1}"))
            after = end
        else:
            at += 1
            continue
        lines[at:after] = [""] * (after - at)
        at = after
    return found._replace(rest="\n".join(lines))


def _run(lines: list[str], start: int) -> int:
    end = start
    while end < len(lines) and _JSONISH.match(lines[end]) and not _LOG_LINE.match(lines[end]):
        end += 1
    return end


def _whole(lines: list[str], start: int) -> Optional[tuple[Any, int]]:
    """The complete object or list that begins on this line and is no log line, with the line after it."""
    head = lines[start].lstrip()
    if head[:1] not in ("{", "[") or _LOG_LINE.match(head) or not (len(head) < 3 or _JSONISH.match(head) or head[1:2] in ('"', "{")):
        return None
    end = start + 1
    if not head.rstrip().endswith(("}", "]")) or len(head) < 3:
        depth = 0
        for end in range(start, len(lines)):
            bare = re.sub(r"\"(?:[^\"\\]|\\.)*\"", "", lines[end])
            depth += bare.count("{") + bare.count("[") - bare.count("}") - bare.count("]")
            if depth <= 0:
                break
        end += 1
    try:
        value = json.loads("\n".join(lines[start:end]))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, (dict, list)) or not value or (isinstance(value, dict) and "msg" in value and "level" in value):
        return None
    return (value, end) if _file_of(value) or kind_of(value) else None


def kind_of(value: Any) -> str:
    """What a document is, where it is no capture of ours: `events`, `subnets`, `instances`, `interfaces`, `trail`, `node`, ""."""
    if isinstance(value, list):
        return kind_of(value[0]) if value and isinstance(value[0], dict) else ""
    if "Subnets" in value or "AvailableIpAddressCount" in value:
        return "subnets"
    if "NetworkInterfaces" in value:
        return "interfaces"
    if "Reservations" in value or "InstanceType" in value or "instanceType" in value:
        return "instances"
    if "errorCode" in value or "Records" in value or "eventName" in value:
        return "trail"
    items = value.get("items")
    first = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else value
    kind = first.get("kind") or ("Event" if "reason" in first and "message" in first else "")
    return {"Event": "events", "Node": "node", "Pod": "pod"}.get(str(kind), "")


def _file_of(value: Any) -> str:
    """The file of a captures directory for which a document stands, "" where it stands for none."""
    if not isinstance(value, dict):
        return ""
    pools = [p for p in value.values() if isinstance(p, dict)]
    if any(k in value for k in _ENI_KEYS) or (pools and all(k.isdigit() for k in value) and any(k in p for p in pools for k in _ENI_KEYS)):
        return "ipamd/enis.json"
    if str(value.get("version", "")).startswith("vpc-cni-ipam/"):
        return "ipamd/checkpoint/ipam.json"
    if any(str(k).startswith("meta-data/") for k in value):
        return "imds/tree.json"
    if value.get("kind") == "KubeletConfiguration" or "kubeletconfig" in value:
        return "kubelet/config.json"
    items = value.get("items")
    if isinstance(items, list) and items and isinstance(items[0], dict) and "metadata" in items[0] and str(items[0].get("state", "")).startswith("SANDBOX_"):
        return "runtime/pods.json"
    return ""


def file_of(value: Any) -> str:
    """Public name of `_file_of`: the capture that a document stands for."""
    return _file_of(value)


_TOTAL = re.compile(r"\"TotalIPs\"\s*:\s*(\d+)")
_ASSIGNED = re.compile(r"\"AssignedIPs\"\s*:\s*(\d+)")
_ENTRY = re.compile(r"\"Address\"\s*:\s*\"([^\"]+)\"")
_FLAG = re.compile(r"\"Assigned\"\s*:\s*(true|false)")
_NETWORK = re.compile(r"\"(?:networkName|containerID)\"\s*:\s*\"([^\"]*)\"")
_FREE_CIDR = re.compile(r"\"IPAddresses\"\s*:\s*\{\s*\}")
_PREFIX = re.compile(r"\"IsPrefix\"\s*:\s*true|\"[\d.]+/28\"")


def pool_fragment(text: str) -> Optional[dict[str, str]]:
    """What a cut piece of `/v1/enis` shows: counters and entries. None where it is a piece of something else."""
    total, assigned = _TOTAL.search(text), _ASSIGNED.search(text)
    entries = len(_ENTRY.findall(text))
    free_cidrs = len(_FREE_CIDR.findall(text))
    if not (total or assigned or free_cidrs or (entries and ("IPAMKey" in text or "Assigned" in text or "networkName" in text))):
        return None
    shown = {"entries": str(entries), "free": str(free_cidrs + _free_entries(text)), "prefix": "1" if _PREFIX.search(text) else ""}
    shown["in_use"] = str(max(entries - _free_entries(text), 0))
    if total:
        shown["total"] = total[1]
    if assigned:
        shown["assigned"] = assigned[1]
    return {k: v for k, v in shown.items() if v}


def _free_entries(text: str) -> int:
    """Entries whose own key says that nobody holds them; a cut key says nothing."""
    flags = _FLAG.findall(text)
    if flags:
        return flags.count("false")
    names = re.findall(r"\"networkName\"\s*:\s*\"([^\"]*)\"", text)
    return sum(1 for n in names if not n)


_SUBNET_TEXT = re.compile(r"(subnet-[0-9a-f]{8,17})\W{1,4}=?\W{0,3}(\d{1,6})\b|AvailableIpAddressCount\"?\s*[:=]?\s*(\d+)")


def subnets_of(value: Any) -> list[tuple[str, int]]:
    """Subnet and free addresses, from a describe-subnets document."""
    rows = value.get("Subnets", [value]) if isinstance(value, dict) else value
    return [
        (str(r.get("SubnetId", "")), int(r["AvailableIpAddressCount"]))
        for r in rows if isinstance(r, dict) and isinstance(r.get("AvailableIpAddressCount"), int)
    ]


def subnets_in(text: str) -> list[tuple[str, int]]:
    """Subnet and free addresses, from a table or a cut document."""
    return [(m[1] or "", int(m[2] or m[3])) for m in _SUBNET_TEXT.finditer(text)]


def trail_of(value: Any) -> list[dict[str, str]]:
    """Refused calls of CloudTrail records: code, operation, words."""
    records = value if isinstance(value, list) else value.get("Records") or [value]
    found = []
    for record in records:
        if isinstance(record, dict) and record.get("errorCode"):
            agent = str(record.get("userAgent", ""))
            if not agent or "vpc-cni" in agent or "aws-sdk-go" in agent:
                found.append({"code": str(record["errorCode"]), "operation": str(record.get("eventName", "")), "words": str(record.get("errorMessage", ""))})
    return found
