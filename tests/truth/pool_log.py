"""What ipamd.log itself shows of the pool: its changes, the looks of its manager, and what it did after each.

Refuses the product's reading of the log: this is the yardstick, so it reads ipamd's own words with patterns of its own.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Optional

from eniagent.model.ipam import Address, Cidr, Ipam, Pool, PoolEni
from eniagent.model.net import EniId

GROWTH = ("assign-address", "assign-prefix", "create-eni")
_ACTIONS = (
    ("assign-address", re.compile(r"Trying to allocate \d+ IP addresses on ENI ")),
    ("create-eni", re.compile(r"Trying to allocate \d+ IP addresses on new ENI|Created a new ENI: |Successfully created and attached a new ENI |DataStore add an ENI ")),
    ("free-address", re.compile(r"Trying to unassign the following ")),
    ("free-eni", re.compile(r"Trying to free ENI: ")),
)
_LOOK = re.compile(r"IP pool is too low|IP stats (?:for Network Card 0 )?- total IPs|Current warm IP stats")
_STATS = re.compile(r"(?:IP stats (?:for Network Card 0 )?- total IPs: |Total IPs/Prefixes = )(\d+).*?(?:assigned IPs: |AssignedIPs/CooldownIPs: )(\d+)")
_WARM = re.compile(r"Current warm IP stats.*?[Tt]otal\D+(\d+).*?[Aa]ssigned\D+(\d+)")
_LOW = re.compile(r"available \(\d+\) < ENI target \((\d+)\) \* addrsPerENI \((\d+)\)")
_ADD_ENI = re.compile(r"DataStore add an ENI (eni-\w+)")
_GONE_ENI = re.compile(r"RemoveUnusedENIFromStore (eni-\w+)|Force removing eni (eni-\w+)|Reconcile and delete detached ENI (eni-\w+)")
_ADD_CIDR = re.compile(r"Added ENI\((eni-\w+)\)'s IP/Prefix (\S+) to datastore")
_DEL_CIDR = re.compile(r"Deleted ENI\((eni-\w+)\)'s IP/Prefix (\S+) from datastore")
_ASSIGN = re.compile(r"(?i:AssignPod\w+): Assign IP (\S+) to sandbox")
_RECOVER = re.compile(r"Recovered aws-cni/\S+ => (eni-\w+)/(\S+)")
_FREE = re.compile(r"(?i:UnassignPod\w+): Unassign IP (\S+) from sandbox")
_START = re.compile(r"Starting L-IPAMD")


class Line(NamedTuple):
    """One line of ipamd.log."""

    at: datetime
    text: str


def lines(data: bytes) -> list[Line]:
    """All framed lines, in order."""
    found = []
    for raw in data.splitlines():
        try:
            framed = json.loads(raw)
        except ValueError:
            continue
        found.append(Line(datetime.fromisoformat(framed["ts"].replace("Z", "+00:00")), framed["msg"]))
    return found


def action_of(line: Line, *, prefix: bool) -> str:
    """The pool action that a line shows, "" where it shows none."""
    for action, pattern in _ACTIONS:
        if pattern.search(line.text):
            return "assign-prefix" if prefix and action == "assign-address" else action
    return ""


def changes_pool(line: Line) -> bool:
    """Whether pods or the reconcile loop changed the pool with this line: ADD, DEL, an ENI or address gone behind ipamd."""
    return any(p.search(line.text) for p in (_ASSIGN, _FREE, _GONE_ENI, _DEL_CIDR)) or "Received AddNetwork" in line.text


def starts(line: Line) -> bool:
    """Whether ipamd starts anew here."""
    return bool(_START.search(line.text))


def serves(line: Line) -> bool:
    """Whether introspection opens here: before it, nobody outside could have predicted anything."""
    return "Serving introspection endpoints" in line.text


def low_mark(line: Line) -> Optional[int]:
    """The number of free addresses below which ipamd says that its pool is too low."""
    found = _LOW.search(line.text)
    return int(found.group(1)) * int(found.group(2)) if found else None


class Look(NamedTuple):
    """One look of the pool manager: `first` and `end` are indices of lines; total and assigned as ipamd prints them."""

    at: datetime
    first: int
    end: int
    total: int
    assigned: int


def looks(found: list[Line]) -> Iterator[Look]:
    """The manager's looks, each until the next one. A look may print several lines of statistics: the first opens it."""
    opened: list[int] = []
    for i, line in enumerate(found):
        if _LOOK.search(line.text) and (not opened or line.at - found[opened[-1]].at > timedelta(seconds=2)):
            opened.append(i)
    restarts = [i for i, line in enumerate(found) if starts(line)]
    for first, following in zip(opened, [*opened[1:], len(found)]):
        end = min([following, *(i for i in restarts if i > first)])
        stats = next((m for line in found[first:end] if (m := _STATS.search(line.text) or _WARM.search(line.text))), None)
        if stats:
            yield Look(found[first].at, first, end, int(stats.group(1)), int(stats.group(2)))


class Store:
    """ipamd's datastore of card 0, rebuilt line by line. Starts empty with each start of ipamd."""

    def __init__(self, primary: str) -> None:
        self.primary = primary
        self.enis: dict[str, dict[str, dict[str, Address]]] = {}

    def apply(self, line: Line) -> None:
        """Take in one line."""
        text = line.text
        if _START.search(text):
            self.enis = {}
        elif found := _ADD_ENI.search(text):
            self.enis.setdefault(found.group(1), {})
        elif found := _GONE_ENI.search(text):
            self.enis.pop(next(g for g in found.groups() if g), None)
        elif found := _ADD_CIDR.search(text):
            self.enis.setdefault(found.group(1), {})[found.group(2)] = {}
        elif found := _DEL_CIDR.search(text):
            self.enis.get(found.group(1), {}).pop(found.group(2), None)
        elif found := _RECOVER.search(text):
            self._hold(found.group(2), line.at, assigned=True)
        elif found := _ASSIGN.search(text):
            self._hold(found.group(1), line.at, assigned=True)
        elif found := _FREE.search(text):
            self._hold(found.group(1), line.at, assigned=False)

    def _hold(self, ip: str, at: datetime, *, assigned: bool) -> None:
        address = ipaddress.ip_address(ip)
        for cidrs in self.enis.values():
            for cidr, held in cidrs.items():
                if address in ipaddress.ip_network(cidr):
                    held[ip] = Address(ip=address, assigned=assigned, assigned_at=at if assigned else None, unassigned_at=None if assigned else at)

    def ipam(self) -> Ipam:
        """What introspection would tell at this line."""
        enis = []
        for device, (eni, cidrs) in enumerate(sorted(self.enis.items(), key=lambda kv: (kv[0] != self.primary, kv[0]))):
            networks = tuple(Cidr(ipaddress.ip_network(c), not c.endswith("/32"), tuple(held.values())) for c, held in cidrs.items())
            enis.append(PoolEni(id=EniId(eni), device_number=device, is_primary=eni == self.primary, cidrs=networks))
        return Ipam(family="J", pools=(Pool(card=0, enis=tuple(enis)),))
