"""Which proxy stands between this node and a host: the variables that everyone honours, and the places that none may stand before.

Refuses a proxy for loopback and link-local, whatever the variables say.
"""

from __future__ import annotations

import ipaddress
from typing import Optional, Union
from urllib.request import getproxies, proxy_bypass

LOCAL = ("localhost", "127.0.0.1", "::1", "[::1]", "169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "[fd00:ec2::254]", "fd00:ec2::23", "[fd00:ec2::23]")
"""Where a role's credentials come from, as NO_PROXY lists them."""

_NODE_LOCAL = ipaddress.ip_network("fd00:ec2::/32")
_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def proxy_for(host: str) -> Optional[str]:
    """HTTPS_PROXY, else ALL_PROXY, unless NO_PROXY names the host: by suffix, by address, or by a network that holds it."""
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or is_local(host) or proxy_bypass(host):
        return None
    address = _address(host)
    if address is not None and any(_holds(entry.strip(), address) for entry in proxies.get("no", "").split(",")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_local(host: str) -> bool:
    """Whether a host is on this node or its link."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    address = _address(host)
    return address is not None and (address.is_loopback or address.is_link_local or address in _NODE_LOCAL)


def _address(host: str) -> Optional[_Address]:
    try:
        return ipaddress.ip_address(host.strip("[]").split("%", 1)[0])
    except ValueError:
        return None


def _holds(entry: str, address: _Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
