"""Which pod a line speaks of: by its own words, by the sandbox it names, by the address it hands out.

Refuses to join by time: lines of many pods interleave, and a guess would put one pod's failure on another's path.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from eniagent.case.facts import Facts
from eniagent.model.ipam import Address, PoolEni
from eniagent.model.record import Event, Journal, Log

_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-f]*:[0-9a-f:]+:[0-9a-f]*)(?![\w.])")


class Joins:
    """Sandbox -> pod and address -> pod, of all views and all snapshots of a case."""

    def __init__(self, facts: Facts) -> None:
        self.pod_of: dict[str, str] = {}
        self.pod_at: dict[str, str] = {}
        for snapshot in (*facts.case.before, facts.now):
            self._snapshot(snapshot)

    def _snapshot(self, snapshot: Any) -> None:
        def value(field: str) -> Any:
            return getattr(getattr(snapshot, field), "value", None)

        log = value("plugin_log")
        for event in log.events if isinstance(log, Log) else ():
            namespace, name = event.fields.get("namespace", ""), event.fields.get("name", "")
            if namespace and name:
                self._know(event.fields.get("sandbox", ""), f"{namespace}/{name}")
        for sandbox in value("sandboxes").pods if value("sandboxes") is not None else ():
            self._know(sandbox.id, sandbox.pod)
        for entry in value("checkpoint").entries if value("checkpoint") is not None else ():
            self._know(entry.sandbox, entry.pod or "")
            for ip in (entry.ip, entry.ipv6):
                if ip is not None and entry.pod:
                    self.pod_at[str(ip)] = entry.pod
        for _, address in addresses(value("ipam")):
            if address.pod and address.assigned:
                self.pod_at[str(address.ip)] = address.pod
                self._know(address.sandbox or "", address.pod)
        for field in ("kubelet", "containerd"):
            journal = value(field)
            for trouble in journal.pods if isinstance(journal, Journal) else ():
                self._know(trouble.newest.fields.get("sandbox", ""), trouble.pod)

    def _know(self, sandbox: str, pod: str) -> None:
        if sandbox and pod:
            self.pod_of[sandbox] = pod

    def pod(self, event: Event) -> str:
        """The pod that a line of a log speaks of, "" where none can be told."""
        namespace, name = event.fields.get("namespace", ""), event.fields.get("name", "")
        if namespace and name:
            return f"{namespace}/{name}"
        sandbox = event.fields.get("sandbox", "")
        if sandbox:
            return self.pod_of.get(sandbox, "")
        if event.signature == "add-ok":
            return next((self.pod_at[ip] for ip in _ADDRESS.findall(event.text) if ip in self.pod_at), "")
        return ""

    def sandboxes(self, pod: str) -> tuple[str, ...]:
        """The sandboxes of a pod, in the order in which they were heard of."""
        return tuple(sandbox for sandbox, owner in self.pod_of.items() if owner == pod)


def addresses(ipam: Any) -> list[tuple[PoolEni, Address]]:
    """Every address that ipamd tells of, with its ENI."""
    if ipam is None:
        return []
    return [(eni, address) for pool in ipam.pools for eni in pool.enis for cidr in eni.cidrs for address in cidr.addresses]


def holding(facts: Facts, pod: str) -> Optional[tuple[int, PoolEni, Address]]:
    """The card, ENI and address that ipamd has assigned to a pod now; None where it has none or was not seen."""
    for pool in facts.ipam.pools if facts.ipam is not None else ():
        for eni in pool.enis:
            for address in (a for c in eni.cidrs for a in c.addresses):
                if address.assigned and address.pod == pod:
                    return pool.card, eni, address
    return None
