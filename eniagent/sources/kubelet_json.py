"""kubelet with `--logging-format=json`: one of its lines put back into structured klog text.

Refuses to interpret: what the words mean is read where klog's are read.
"""

from __future__ import annotations

from typing import Any, Optional

import msgspec


def as_klog(message: bytes) -> Optional[bytes]:
    """The line as klog prints it, None where it is no such object. Source: kubernetes v1.29, component-base/logs/json."""
    try:
        value: Any = msgspec.json.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(value, dict) or not isinstance(value.get("msg"), str):
        return None
    caller = str(value.get("caller", "")).rsplit("/", 1)[-1]
    file, _, line = caller.partition(":")
    severity = "E" if "err" in value else "I"
    pairs = [f"{key}={_shown(item)}" for key, item in value.items() if key not in ("ts", "caller", "msg", "v")]
    head = f"{severity}0101 00:00:00.000000       0 {file or 'kubelet.go'}:{line if line.isdigit() else 0}] "
    return (head + " ".join([_quoted(value["msg"]), *pairs])).encode("utf-8", "surrogatepass")


def _shown(item: Any) -> str:
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        item = f"{item['namespace']}/{item['name']}" if isinstance(item.get("namespace"), str) else item["name"]
    if isinstance(item, list):
        return "[" + ",".join(_shown(one) for one in item) + "]"
    return _quoted(item) if isinstance(item, str) else msgspec.json.encode(item).decode()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
