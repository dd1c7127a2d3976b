"""Pseudonyms of addresses: networks stay networks, nothing collides, and each class keeps to itself."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.redact.addresses import KEPT_BITS, OWN_V4, OWN_V6, READABLE_V4, Address, Addresses
from eniagent.redact.permute import Secret

SERVICE = ipaddress.ip_network("10.200.0.0/16")
KEYS = [bytes([n]) * 32 for n in range(4)]
BY_KEY = [Addresses(Secret(key), services=[SERVICE]) for key in KEYS]

V4 = st.one_of(
    st.integers(0, 2**32 - 1),
    *(st.integers(int(net[0]), int(net[-1])) for net in map(ipaddress.ip_network, (*OWN_V4, *READABLE_V4, "10.0.0.0/24", "10.200.0.0/15", "10.100.0.0/28"))),
).map(ipaddress.IPv4Address)
V6 = st.one_of(
    *(st.integers(int(net[0]), int(net[-1])) for net in map(ipaddress.ip_network, (*OWN_V6, "2600:1f14:abc::/48", "2600:1f14:abc:de00:1::/80", "fe80::/64", "fd00:ec2::/32", "64:ff9b::/96", "::ffff:0:0/96", "::/0")))
).map(ipaddress.IPv6Address)
BY = st.sampled_from(BY_KEY)


def shared_bits(one: Address, other: Address) -> int:
    """How many leading bits two addresses share."""
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


def special(ip: Address) -> bool:
    """Addresses whose pseudonym is made from something else inside them: a MAC, an IPv4 address."""
    return ip.version == 6 and any(ip in ipaddress.ip_network(n) for n in ("fe80::/10", "::ffff:0:0/96", "64:ff9b::/96"))


@given(BY, V4, V4)
def test_ipv4_shares_as_many_bits_as_before(by: Addresses, one: ipaddress.IPv4Address, other: ipaddress.IPv4Address) -> None:
    """VPC, subnet and /28 relations survive: the length of the common prefix is the same. So two addresses never share a pseudonym."""
    assert shared_bits(by.address(one), by.address(other)) == shared_bits(one, other)


@given(BY, V6.filter(lambda ip: not special(ip)), V6.filter(lambda ip: not special(ip)))
def test_ipv6_shares_as_many_bits_as_before(by: Addresses, one: ipaddress.IPv6Address, other: ipaddress.IPv6Address) -> None:
    """The same for IPv6."""
    assert shared_bits(by.address(one), by.address(other)) == shared_bits(one, other)


@given(BY, V6, V6)
def test_no_two_ipv6_addresses_share_a_pseudonym(by: Addresses, one: ipaddress.IPv6Address, other: ipaddress.IPv6Address) -> None:
    """Also those made from a MAC or an IPv4 address."""
    assert (by.address(one) == by.address(other)) == (one == other)


@given(BY, st.one_of(V4, V6))
def test_the_offset_in_the_last_prefix_is_kept(by: Addresses, ip: Address) -> None:
    """The place inside a /28 or /80 is what ipamd's arithmetic is about."""
    if not special(ip):
        kept = (1 << KEPT_BITS[ip.version]) - 1
        assert int(by.address(ip)) & kept == int(ip) & kept


@given(BY, st.one_of(V4, V6))
def test_each_class_keeps_to_itself(by: Addresses, ip: Address) -> None:
    """A private address stays in its own range, a public one public; nothing becomes reserved."""
    told = by.address(ip)
    ranges = [ipaddress.ip_network(n) for n in (*OWN_V4, *OWN_V6, *READABLE_V4, "fe80::/10", "ff00::/8", "::ffff:0:0/96", "fd00:ec2::/32", "10.200.0.0/16")]
    assert [ip in n for n in ranges] == [told in n for n in ranges]
    assert (ip.is_private, ip.is_global, ip.is_multicast, ip.is_reserved, ip.is_loopback) == (told.is_private, told.is_global, told.is_multicast, told.is_reserved, told.is_loopback)


@given(BY, V4, st.integers(0, 32))
def test_networks_hold_the_pseudonyms_of_their_addresses(by: Addresses, ip: ipaddress.IPv4Address, length: int) -> None:
    """A CIDR's pseudonym is the CIDR of the pseudonyms."""
    net = ipaddress.ip_network((int(ip), length), strict=False)
    told = by.network(net)
    assert told.prefixlen == length and by.address(ip) in told
    assert by.network(ipaddress.ip_network(ip)) == ipaddress.ip_network(by.address(ip))


READABLE = ("127.0.0.1", "169.254.169.254", "169.254.1.1", "0.0.0.0", "255.255.255.255", "224.0.0.251", "10.100.0.1", "172.20.0.1", "10.200.3.4", "::", "::1", "fe80::1", "ff02::1", "fd00:ec2::254", "fd00:ec2::23")


@pytest.mark.parametrize("text", READABLE)
def test_what_identifies_nobody_stays_readable(text: str) -> None:
    """Loopback, link-local, metadata, multicast and service addresses under every key."""
    ip = ipaddress.ip_address(text)
    assert {by.address(ip) for by in BY_KEY} == {ip}


def test_a_service_address_inside_the_vpc_is_an_address_like_any_other() -> None:
    """Where the VPC itself has 10.100.0.0/16, its first address is no service."""
    ip = ipaddress.IPv4Address("10.100.0.1")
    told = {Addresses(Secret(key), networks=[ipaddress.ip_network("10.100.0.0/16")]).address(ip) for key in KEYS}
    assert ip not in told or len(told) > 1


def test_addresses_do_change_and_by_key() -> None:
    """A pseudonym is not the address, and another key gives another one."""
    for text in ("10.0.1.2", "172.31.5.6", "192.168.9.9", "100.64.3.4", "54.240.1.1", "2600:1f14:abc::1", "fd12:3456::1"):
        told = {by.address(ipaddress.ip_address(text)) for by in BY_KEY}
        assert len(told) >= 3 and sum(t == ipaddress.ip_address(text) for t in told) <= 1


@given(BY, st.integers(1, 2**48 - 1), st.integers(1, 2**48 - 1))
def test_macs_stay_apart_and_become_local(by: Addresses, one: int, other: int) -> None:
    """Locally administered MACs, as EC2's are, never collide; every unicast pseudonym is locally administered."""
    texts = [":".join(f"{value:012x}"[i : i + 2] for i in range(0, 12, 2)) for value in (one, other)]
    told = [by.mac(text) for text in texts]
    local = all(value >> 41 & 1 and not value >> 40 & 1 for value in (one, other))
    if local:
        assert (told[0] == told[1]) == (one == other)
    if not one >> 40 & 1:
        assert int(told[0][:2], 16) & 0b11 == 0b10
    else:
        assert told[0] == texts[0]


def test_a_link_local_address_follows_its_mac() -> None:
    """fe80 addresses of EUI-64 form tell the MAC, so they are those of its pseudonym."""
    by = BY_KEY[0]
    mac = by.mac("0a:89:02:c4:42:69").split(":")
    expected = f"fe80::{int(mac[0], 16) ^ 2:02x}{mac[1]}:{mac[2]}ff:fe{mac[3]}:{mac[4]}{mac[5]}"
    assert by.address(ipaddress.ip_address("fe80::889:2ff:fec4:4269")) == ipaddress.ip_address(expected)
    assert by.mac("0a-89-02-c4-42-69") == "-".join(mac) and by.mac("ff:ff:ff:ff:ff:ff") == "ff:ff:ff:ff:ff:ff"
