"""From what other collectors print to what our sources read: `ip rule`, `ip route`, ifconfig, `sysctl -a`, `ps`, containers' environments.

Pure. Refuses to guess: a line of another shape is left out, and a text of which no line is known gives nothing.
"""

from __future__ import annotations

import json
import re
from typing import Any, Optional

import msgspec

from eniagent.sources.environment import ALLOWED
from eniagent.sources.processes import NAMES

_RULE = re.compile(r"(\d+):\s+(not )?from (\S+)(.*)")
_KINDS = ("local", "broadcast", "multicast", "anycast", "unreachable", "blackhole", "prohibit", "throw", "unicast")
_LINK = re.compile(r"([\w.@-]+): flags=\d+<([^>]*)>\s+mtu (\d+)")
_ADDRESS = re.compile(r"\s+inet6? (?:addr:)?([0-9a-fA-F.:]+)")
_ETHER = re.compile(r"\s+ether ([0-9a-fA-F:]{17})")
_SYSCTL = re.compile(r"([A-Za-z0-9_./:@-]+) = (.*)")


def rules(text: str) -> Optional[bytes]:
    """`ip rule show` as `ip -j rule show` tells it."""
    found = [_rule(line) for line in text.splitlines()]
    return _json([rule for rule in found if rule])


def _rule(line: str) -> dict[str, Any]:
    head = _RULE.match(line.strip())
    if head is None:
        return {}
    rule: dict[str, Any] = {"priority": int(head[1]), **_selector("src", head[3])}
    if head[2]:
        rule["not"] = True
    words = head[4].split()
    for word, value in zip(words, words[1:]):
        if word == "to":
            rule.update(_selector("dst", value))
        elif word == "fwmark":
            mark, _, mask = value.partition("/")
            rule.update({"fwmark": mark, **({"fwmask": mask} if mask else {})})
        elif word in ("lookup", "table"):
            rule["table"] = value
        elif word in ("iif", "oif", "protocol"):
            rule[word] = value
    return rule


def _selector(side: str, value: str) -> dict[str, Any]:
    address, slash, length = value.partition("/")
    return {side: address, **({f"{side}len": int(length)} if slash and length.isdigit() else {})}


def routes(text: str) -> Optional[bytes]:
    """`ip route show table all` as `ip -j` tells it; each next hop of a route with several is a route."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nexthop"] and found:
            found.append({**found[-1], **_pairs(words[1:])})
            continue
        kind = words.pop(0) if words and words[0] in _KINDS else ""
        if not words or line[:1].isspace() or not re.match(r"default$|[0-9a-fA-F.:]+(/\d+)?$", words[0]):
            continue
        found.append({"dst": words[0], **({"type": kind} if kind else {}), **_pairs(words[1:])})
    return _json(found)


def _pairs(words: list[str]) -> dict[str, Any]:
    names = {"via": "gateway", "dev": "dev", "table": "table", "pref": "pref", "src": "prefsrc", "scope": "scope", "proto": "protocol"}
    pairs = dict(zip(words, words[1:]))
    if pairs.get("via") in ("inet", "inet6") and f"via {pairs['via']}" in " ".join(words):
        pairs["via"] = words[words.index("via") + 2] if words.index("via") + 2 < len(words) else ""
    return {ours: pairs[theirs] for theirs, ours in names.items() if theirs in pairs}


def links(text: str) -> Optional[bytes]:
    """ifconfig as `ip -j addr show` tells it."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        head, address, ether = _LINK.match(line), _ADDRESS.match(line), _ETHER.match(line)
        if head is not None:
            found.append({"ifname": head[1], "flags": head[2].split(","), "mtu": int(head[3]), "addr_info": []})
        elif found and address is not None:
            found[-1]["addr_info"].append({"local": address[1]})
        elif found and ether is not None:
            found[-1]["address"] = ether[1].lower()
    return _json(found)


def sysctls(text: str) -> Optional[bytes]:
    """`sysctl -a` as paths below /proc/sys; it prints a dot within a link's name as a slash."""
    found = {}
    for line in text.splitlines():
        pair = _SYSCTL.match(line)
        if pair is not None and pair[1].startswith("net."):
            found[pair[1].translate(str.maketrans("./", "/."))] = pair[2].strip()
    return _json(found)


def processes(text: str) -> Optional[bytes]:
    """The processes of interest in `ps fauxwww`, without their arguments."""
    running = [{"name": name, "pid": pid} for pid, name, _ in _programs(text) if name in NAMES]
    return _json({"running": running}) if running else None


def kubelet_flags(text: str) -> Optional[bytes]:
    """kubelet's command line in `ps fauxwww`."""
    return next((words.encode() for _, name, words in _programs(text) if name == "kubelet" and " --" in words), None)


def _programs(text: str) -> list[tuple[int, str, str]]:
    found = []
    for line in text.splitlines():
        columns = line.split(None, 10)
        if len(columns) == 11 and columns[1].isdigit() and not columns[7].startswith("Z"):
            words = re.sub(r"^[\s\\|_]+", "", columns[10])
            found.append((int(columns[1]), words.split(" ")[0].rsplit("/", 1)[-1], words))
    return found


def environment(text: str) -> Optional[bytes]:
    """ipamd's allow-listed variables in `ctr container info`: one JSON document for each container, the newest tells."""
    found: dict[str, str] = {}
    decoder, at, newest = json.JSONDecoder(), 0, ""
    while True:
        at = text.find("{", at)
        if at < 0:
            break
        try:
            document, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        values, created = _environment(document)
        if values and created >= newest:
            found, newest = values, created
    return _json(found)


def _environment(document: Any) -> tuple[dict[str, str], str]:
    if not isinstance(document, dict):
        return {}, ""
    spec = document.get("Spec")
    process = spec.get("process") if isinstance(spec, dict) else None
    listed = process.get("env") if isinstance(process, dict) else None
    pairs = [text.partition("=") for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    return {name: value for name, _, value in pairs if name in ALLOWED}, str(document.get("CreatedAt", ""))


def _json(value: Any) -> Optional[bytes]:
    return msgspec.json.encode(value) if value else None
