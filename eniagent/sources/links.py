"""Links of the host's network namespace with their addresses, from `ip -j addr`.

Refuses to leave out a link that has a name: an ENI without a link is a finding. Holes that `ip` prints as `{}` have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eniagent.model.capture import Seen
from eniagent.model.host import Link
from eniagent.model.net import IPAddress, Mac, parse_address
from eniagent.model.probe import Probe, RunCommand
from eniagent.model.reading import Reading
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, json_value, list_of, object_of, reading

SOURCE = "kernel links"
FILE = "host/ip-addr.json"


def plan(seen: Seen) -> Sequence[Probe]:
    """One command; it prints what `ip link` prints as well."""
    return () if FILE in seen else (RunCommand(file=FILE, argvs=(("ip", "-j", "addr", "show"),)),)


def read(seen: Seen, span: Span) -> Reading[tuple[Link, ...]]:
    """All links. An empty list is malformed: every namespace has `lo`."""
    return reading(seen, file=FILE, source=SOURCE, decode=decode)


def decode(data: bytes) -> tuple[Link, ...]:
    """The array of `ip -j addr`. Raises `Malformed`."""
    links = tuple(_link(object_of(item, what="link")) for item in list_of(json_value(data), what="ip addr") if item != {})
    if not links:
        raise Malformed("no link, not even lo")
    return links


def _link(item: dict[str, Any]) -> Link:
    name = item.get("ifname")
    if not isinstance(name, str) or not name:
        raise Malformed("a link without a name")
    flags, mac, mtu = item.get("flags"), item.get("address"), item.get("mtu")
    found = item.get("addr_info")
    return Link(
        name=name,
        mac=Mac(mac.lower() if isinstance(mac, str) else ""),
        up=isinstance(flags, list) and "UP" in flags,
        mtu=mtu if isinstance(mtu, int) and not isinstance(mtu, bool) and 0 <= mtu < 1 << 32 else 0,
        addresses=tuple(_address(entry, link=name) for entry in found if entry != {}) if isinstance(found, list) else (),
    )


def _address(entry: Any, *, link: str) -> IPAddress:
    local = entry.get("local") if isinstance(entry, dict) else None
    try:
        return parse_address(local if isinstance(local, str) else "")
    except ValueError as error:
        raise Malformed(f"link {link}: no address: {str(local)[:60]!r}") from error
