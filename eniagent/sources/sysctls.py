"""Kernel settings below /proc/sys that the data plane depends on.

Refuses to judge them: which value is right depends on the release and the mode.
"""

from __future__ import annotations

from collections.abc import Sequence

from eniagent.model.capture import Seen
from eniagent.model.probe import Probe, ReadSysctls
from eniagent.model.reading import Reading
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, json_value, kind_of, object_of, reading

SOURCE = "sysctls"
FILE = "host/sysctl.json"

PATTERNS = (
    "net/ipv4/conf/*/rp_filter",
    "net/ipv4/conf/*/forwarding",
    "net/ipv4/ip_forward",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/tcp_early_demux",
    "net/ipv4/neigh/default/gc_thresh[123]",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/*/forwarding",
    "net/ipv6/conf/*/accept_ra",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
)


def plan(seen: Seen) -> Sequence[Probe]:
    """All values in one look."""
    return () if FILE in seen else (ReadSysctls(file=FILE, patterns=PATTERNS),)


def read(seen: Seen, span: Span) -> Reading[dict[str, str]]:
    """Path below /proc/sys -> value."""
    return reading(seen, file=FILE, source=SOURCE, decode=decode)


def decode(data: bytes) -> dict[str, str]:
    """A JSON object of paths and values; `sysctl`'s dotted names are taken too. Raises `Malformed`."""
    document = object_of(json_value(data), what="sysctls")
    if not document:
        raise Malformed("no values")
    return {_path(name): _value(value, name=name) for name, value in document.items()}


def _path(name: str) -> str:
    if "/" in name:
        return name.strip("/")
    # `sysctl -a` swaps the two: a dot within a link's name (eth0.5) comes out as a slash, which the branch above keeps.
    return name.replace(".", "/")


def _value(value: object, *, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise Malformed(f"{name}: a value was expected, not {kind_of(value)}")
    return str(value).strip()
