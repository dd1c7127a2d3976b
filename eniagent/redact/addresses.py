"""Pseudonyms of IP and MAC addresses that keep what a diagnosis needs: who shares a network with whom, and what kind an address is.

The map of each family is an automorphism of the tree of prefixes (as Crypto-PAn's: Xu, Fan, Ammar, Moon, 2002): two addresses share
exactly as many leading bits after it as before. Nothing below a /28 (v6: /80) moves. A range of a class is mapped onto itself.
Refuses to touch loopback, link-local, metadata, multicast and service addresses: they identify nobody and must stay readable.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Union

from eniagent.redact.permute import Secret

V4 = ipaddress.IPv4Address
V6 = ipaddress.IPv6Address
Address = Union[V4, V6]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

READABLE_V4 = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/4", "240.0.0.0/4")
OWN_V4 = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "192.88.99.0/24")
"""Ranges that are mapped onto themselves. Source: IANA's special-purpose registry; 100.64/10 and 198.19/16 serve as VPC ranges on EKS."""
READABLE_V6 = ("fd00:ec2::/32",)
OWN_V6 = ("2000::/3", "fc00::/8", "fd00::/8", "2001:db8::/32", "2002::/16")
"""What is in none of these is readable: unspecified, loopback, link-local, multicast, and what IANA has not given out."""
SERVICES = ("10.100.0.1/32", "172.20.0.1/32")
"""The Kubernetes API's service address on EKS, by the VPC's range."""
KEPT_BITS = {4: 4, 6: 48}
"""Host bits that stay: the offset inside a /28, inside a /80."""
_MAPPED, _NAT64 = ipaddress.ip_network("::ffff:0:0/96"), ipaddress.ip_network("64:ff9b::/96")
_LINK_LOCAL = ipaddress.ip_network("fe80::/10")


class _Tree:
    """One family: which nodes may swap their children, and the swaps."""

    def __init__(self, secret: Secret, *, width: int, readable: Iterable[Network], own: Iterable[Network]) -> None:
        self._secret, self._width, self._use = secret, width, f"ip{width}"
        self._depth = width - KEPT_BITS[4 if width == 32 else 6]
        self._readable = tuple((int(n.network_address) >> (width - n.prefixlen), n.prefixlen) for n in readable)
        own = tuple(own)
        self._own = tuple((int(n.network_address) >> (width - n.prefixlen), n.prefixlen) for n in own)
        # Above a range of some class, children must stay where they are: a swap would carry one class into another.
        self._anchors = {(top >> (length - depth), depth) for top, length in (*self._readable, *self._own) for depth in range(length)}
        self._swaps: dict[tuple[int, int], int] = {}

    def readable(self, value: int) -> bool:
        """Whether an address is left as it is."""
        return any(value >> (self._width - length) == top for top, length in self._readable)

    def within(self, value: int) -> bool:
        """Whether an address is in one of the ranges with a class of their own."""
        return any(value >> (self._width - length) == top for top, length in self._own)

    def mapped(self, value: int) -> int:
        """The pseudonym of an address."""
        told = value
        for depth in range(self._depth):
            node = (value >> (self._width - depth), depth)
            if node in self._anchors:
                continue
            swap = self._swaps.get(node)
            if swap is None:
                swap = self._swaps[node] = self._secret.bit(self._use, bytes((depth,)) + node[0].to_bytes(16, "big"))
            told ^= swap << (self._width - depth - 1)
        return told


class Addresses:
    """All address pseudonyms under one key. `services`: further networks that stay readable.

    A service address inside one of `networks`, the VPC's own ranges, is no service address there.
    """

    def __init__(self, secret: Secret, *, services: Iterable[Network] = (), networks: Iterable[Network] = ()) -> None:
        own = tuple(networks)
        told = [*(ipaddress.ip_network(s) for s in SERVICES), *services]
        kept = [s for s in told if not any(n.version == s.version and s.subnet_of(n) for n in own)]  # type: ignore[arg-type]
        self._secret = secret
        self._v4 = _Tree(
            secret, width=32,
            readable=[*map(ipaddress.ip_network, READABLE_V4), *(s for s in kept if s.version == 4)], own=map(ipaddress.ip_network, OWN_V4),
        )
        self._v6 = _Tree(
            secret, width=128,
            readable=[*map(ipaddress.ip_network, READABLE_V6), *(s for s in kept if s.version == 6)], own=map(ipaddress.ip_network, OWN_V6),
        )

    def address(self, ip: Address) -> Address:
        """The pseudonym of an address; the address itself where it is readable."""
        value = int(ip)
        if isinstance(ip, V4):
            return ip if self._v4.readable(value) else V4(self._v4.mapped(value))
        if ip in _MAPPED or ip in _NAT64:
            inner = V4(value & 0xFFFFFFFF)
            return V6(value >> 32 << 32 | int(self.address(inner)))
        if ip in _LINK_LOCAL:
            return self._link_local(ip)
        if self._v6.readable(value) or not self._v6.within(value):
            return ip
        return V6(self._v6.mapped(value))

    def _link_local(self, ip: V6) -> V6:
        """A link-local address made from a MAC (EUI-64) follows the MAC's pseudonym: it would tell the MAC otherwise."""
        value = int(ip)
        if value >> 24 & 0xFFFF != 0xFFFE:
            return ip
        low = value & (1 << 64) - 1
        mac = (low >> 40 << 24 | low & 0xFFFFFF) ^ 0x02 << 40
        fresh = self._mac(mac) ^ 0x02 << 40
        return V6(value >> 64 << 64 | fresh >> 24 << 40 | 0xFFFE << 24 | fresh & 0xFFFFFF)

    def network(self, net: Network) -> Network:
        """The pseudonym of a network: the one that holds the pseudonyms of its addresses."""
        host = net.max_prefixlen - net.prefixlen
        return type(net)((int(self.address(net.network_address)) >> host << host, net.prefixlen))

    def mac(self, text: str) -> str:
        """The pseudonym of a MAC in its own notation (`:` or `-`): locally administered. Zero, broadcast and multicast stay."""
        divider = "-" if "-" in text else ":"
        value = int(text.replace(divider, ""), 16)
        if value == 0 or value >> 40 & 1:
            return text
        told = f"{self._mac(value):012x}"
        told = divider.join(told[i : i + 2] for i in range(0, 12, 2))
        return told.upper() if text != text.lower() else told

    def _mac(self, value: int) -> int:
        """The two flag bits of the first byte aside, 46 bits are permuted; a universal MAC gets a permutation of its own."""
        local = value >> 41 & 1
        bits = value >> 42 << 40 | value & (1 << 40) - 1
        told = self._secret.permuted("mac" if local else "mac universal", bits, bits=46)
        return told >> 40 << 42 | 0x02 << 40 | told & (1 << 40) - 1
