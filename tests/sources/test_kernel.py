"""Links, rules, routes and sysctls, as `ip -j` and /proc/sys print them."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from eniagent.model.host import Link, Route, Rule
from eniagent.model.net import Mac
from eniagent.model.reading import Why
from eniagent.sources import links, routing, sysctls
from tests.sources.recorded_captures import capture, recorded, refusal, seen_of, value

LO = {"ifname": "lo", "flags": ["LOOPBACK", "UP"], "mtu": 65536, "address": "00:00:00:00:00:00", "addr_info": [{"local": "127.0.0.1"}]}
RULES = [{"priority": 0, "src": "all", "table": "local"}]
ROUTES = [{"type": "local", "dst": "127.0.0.1", "dev": "lo", "table": "local"}]


def decoded_links(*items: Any) -> Any:
    """The links of an `ip -j addr` array."""
    return links.decode(json.dumps(items).encode())


def rules(*items: Any) -> Any:
    """The rules of an `ip -j rule` array."""
    return routing.decode_rules(json.dumps(items).encode())


def routes(*items: Any) -> Any:
    """The IPv4 routes of an `ip -j route` array."""
    data = json.dumps(items).encode()
    return value("routing", seen_of({routing.ROUTES[4]: data})).routes


def test_links() -> None:
    """Name, MAC in lower case, state, MTU and addresses of both families; holes and links without a MAC are no trouble."""
    eth = {"ifname": "eth0", "flags": ["UP"], "mtu": 9001, "address": "0A:89:02:C4:42:69", "addr_info": [{"local": "10.0.0.4"}, {}, {"local": "fe80::1"}]}
    found = decoded_links(LO, {}, eth, {"ifname": "tun0", "flags": ["POINTOPOINT"], "link_type": "none"})
    assert found[1:] == (
        Link(name="eth0", mac=Mac("0a:89:02:c4:42:69"), up=True, mtu=9001, addresses=(ip_address("10.0.0.4"), ip_address("fe80::1"))),
        Link(name="tun0", mac=Mac(""), up=False),
    )


@pytest.mark.parametrize("items", [[], [{}], [{"ifname": ""}], [LO, {"flags": []}], [LO, 7], [{**LO, "addr_info": [{"local": "x"}]}]])
def test_links_are_not_dropped(items: list[Any]) -> None:
    """No link at all, or one that cannot be read: malformed."""
    assert refusal("links", seen_of({links.FILE: json.dumps(items).encode()})).why is Why.MALFORMED


def test_rules() -> None:
    """Selectors with and without a length, marks with masks, incoming links, inverted rules, numeric tables."""
    found = rules(
        {"priority": 512, "src": "all", "dst": "10.0.0.224", "table": "main"},
        {"priority": 1024, "src": "all", "fwmark": "0x80", "fwmask": "0x80", "table": "254"},
        {"priority": 1536, "src": "10.0.0.0", "srclen": 16, "table": "2"},
        {"priority": 10, "src": "all", "iif": "vlan.eth.1", "table": 101},
        {"not": None, "priority": 1023, "src": "all", "dst": "10.0.0.0", "dstlen": 16, "table": "main"},
        {"priority": 32764, "src": "all", "goto": 32766},
        {},
    )
    assert found == (
        Rule(priority=512, table="main", dst=ip_network("10.0.0.224")),
        Rule(priority=1024, table="main", fwmark="0x80/0x80"),
        Rule(priority=1536, table="2", src=ip_network("10.0.0.0/16")),
        Rule(priority=10, table="101", iif="vlan.eth.1"),
        Rule(priority=1023, table="main", dst=ip_network("10.0.0.0/16"), inverted=True),
        Rule(priority=32764, table=""),
    )


def test_duplicate_rules_stay() -> None:
    """Two equal rules are two: a duplicate is a finding."""
    rule = {"priority": 1536, "src": "10.0.0.9", "table": "2"}
    assert len(rules(rule, rule)) == 2


def test_routes() -> None:
    """Default, host and network routes; kinds; `via`; a route of several next hops is one route for each."""
    found = routes(
        {"dst": "default", "gateway": "10.0.0.1", "dev": "eth1", "table": "2", "flags": []},
        {"dst": "10.0.0.1", "dev": "eth1", "table": "2", "scope": "link"},
        {"dst": "10.0.0.0/24", "dev": "eth0", "protocol": "kernel"},
        {"type": "blackhole", "dst": "10.9.0.0/16"},
        {"dst": "default", "via": {"family": "inet", "host": "10.0.0.2"}, "dev": "eth0"},
        {"dst": "default", "nexthops": [{"gateway": "10.0.0.3", "dev": "eth0", "weight": 1}, {"gateway": "10.0.1.3", "dev": "eth1"}]},
        {},
    )
    assert found == (
        Route(table="2", device="eth1", gateway=ip_address("10.0.0.1")),
        Route(table="2", device="eth1", dst=ip_network("10.0.0.1")),
        Route(table="main", device="eth0", dst=ip_network("10.0.0.0/24")),
        Route(table="main", device="", dst=ip_network("10.9.0.0/16"), kind="blackhole"),
        Route(table="main", device="eth0", gateway=ip_address("10.0.0.2")),
        Route(table="main", device="eth0", gateway=ip_address("10.0.0.3")),
        Route(table="main", device="eth1", gateway=ip_address("10.0.1.3")),
    )


def test_each_file_gives_its_own_family() -> None:
    """`ip route show table all` prints both families: routes of the other one are not counted twice."""
    six = {"dst": "fe80::/64", "dev": "eth0", "pref": "medium"}
    default_six = {"dst": "default", "dev": "eth0", "pref": "medium"}
    seen = seen_of({routing.ROUTES[4]: json.dumps([*ROUTES, six, default_six]).encode(), routing.ROUTES[6]: json.dumps([six, default_six]).encode()})
    found = value("routing", seen).routes
    assert [route.dst.version if route.dst else 0 for route in found] == [4, 6, 0]


def test_a_missing_part_is_named() -> None:
    """A part that failed stands in `incomplete` with its reason; what was seen is kept."""
    seen = {
        **seen_of({routing.RULES[4]: json.dumps(RULES).encode(), routing.ROUTES[4]: b"[]"}),
        routing.RULES[6]: capture(routing.RULES[6], exit=2, detail="Address family not supported"),
    }
    found = value("routing", seen)
    assert found.rules == (Rule(priority=0, table="local"),)
    assert found.incomplete == (
        "ipv4 routes: malformed (no route, not even the kernel's own)",
        "ipv6 rules: malformed (exit 2 Address family not supported)",
        "ipv6 routes: not collected",
    )


def test_nothing_seen_is_unobserved() -> None:
    """Where all four failed the reading says why, and one that was tried goes before one that was not."""
    assert refusal("routing", {routing.ROUTES[6]: capture(routing.ROUTES[6], failure=Why.NOT_INSTALLED)}).why is Why.NOT_INSTALLED


def test_recorded_rules_follow_the_pool() -> None:
    """On a real node every assigned address has its rule 512, a rule 1536 where its ENI has a table of its own, and its route."""
    seen = recorded("v1.23.0-healthy-busy")
    found = value("routing", seen)
    assert found.incomplete == ()
    for pool in value("ipam", seen).pools:
        for eni in pool.enis:
            for address in (a for c in eni.cidrs for a in c.addresses if a.assigned):
                host = ip_network(address.ip)
                assert [r.table for r in found.rules if r.priority == 512 and r.dst == host] == ["main"]
                assert [r.table for r in found.rules if r.priority == 1536 and r.src == host] == ([] if eni.is_primary else [str(eni.route_table)])
                assert [r.device[:3] for r in found.routes if r.table == "main" and r.dst == host] == ["eni"]


def test_recorded_links_follow_imds() -> None:
    """On a real node each ENI's MAC belongs to one link that is up and bears the ENI's own address."""
    seen = recorded("v1.23.0-healthy-busy")
    for eni in value("metadata", seen).enis:
        (link,) = (link for link in value("links", seen) if link.mac == eni.mac)
        assert link.up and eni.ipv4[0] in link.addresses and link.mtu == 9001


def test_sysctls() -> None:
    """Paths and values as text; dotted names are turned into paths."""
    assert sysctls.decode(b'{"net/ipv4/conf/eth0.5/rp_filter":"2\\n","net.ipv4.ip_forward":1}') == {
        "net/ipv4/conf/eth0.5/rp_filter": "2",
        "net/ipv4/ip_forward": "1",
    }
    assert value("sysctls", recorded("v1.23.0-healthy-busy"))["net/ipv4/conf/eth0/rp_filter"] == "2"


@pytest.mark.parametrize("data", [b"{}", b"[]", b'{"a":null}', b'{"a":{}}', b'{"a":true}'])
def test_other_sysctls_are_malformed(data: bytes) -> None:
    """Nothing, and values that are none."""
    assert refusal("sysctls", seen_of({sysctls.FILE: data})).why is Why.MALFORMED
