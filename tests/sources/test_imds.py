"""What IMDS says, from the tree of its keys."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from eniagent.model.metadata import AttachedEni
from eniagent.model.net import EniId, Mac, SubnetId
from eniagent.model.reading import Why
from eniagent.sources import imds
from tests.sources.recorded_captures import capture, recorded, refusal, seen_of, value

MAC = "0a:02:c4:42:69:da"
BASE = f"{imds.MACS}{MAC}/"


def tree(**keys: Any) -> dict[str, Any]:
    """A tree with one ENI; keys of the ENI by name with `_` for `-`, None to leave one out, a dict for another outcome."""
    texts: dict[str, Any] = {
        "interface_id": "eni-0aaa1",
        "device_number": "0",
        "subnet_id": "subnet-1",
        "local_ipv4s": "10.0.0.236\n10.0.0.10\n10.0.0.11",
        **keys,
    }
    entries = {f"{BASE}{name.replace('_', '-')}": text for name, text in texts.items() if text is not None}
    return {name: text if isinstance(text, dict) else {"status": 200, "body": text} for name, text in entries.items()}


def seen(keys: dict[str, Any], **circumstances: Any) -> dict[str, Any]:
    """The capture of a tree."""
    return {imds.FILE: capture(imds.FILE, json.dumps(keys).encode(), **circumstances)}


def test_one_eni() -> None:
    """Every key of an ENI; a missing network card is card 0, a missing prefix list none."""
    found = value(
        "metadata",
        seen(
            tree(
                vpc_id="vpc-1",
                security_group_ids="sg-1\nsg-2\n",
                ipv6s="2600::1",
                ipv6_prefix="2600:0:0:0:1::/80",
                ipv4_prefix={"status": 404},
                subnet_ipv4_cidr_block="10.0.0.0/24",
                vpc_ipv4_cidr_blocks="10.0.0.0/16\n100.64.0.0/16",
            )
        ),
    )
    assert found.incomplete == ()
    assert found.enis == (
        AttachedEni(
            mac=Mac(MAC),
            id=EniId("eni-0aaa1"),
            device_number=0,
            subnet=SubnetId("subnet-1"),
            vpc="vpc-1",
            security_groups=("sg-1", "sg-2"),
            ipv4=(ip_address("10.0.0.236"), ip_address("10.0.0.10"), ip_address("10.0.0.11")),
            ipv6=(ip_address("2600::1"),),
            ipv6_prefixes=(ip_network("2600:0:0:0:1::/80"),),
            subnet_ipv4=ip_network("10.0.0.0/24"),
            vpc_ipv4=(ip_network("10.0.0.0/16"), ip_network("100.64.0.0/16")),
        ),
    )


@pytest.mark.parametrize("name", ["network_card", "network_card_index"])
def test_both_names_of_the_card(name: str) -> None:
    """The card's key has two names."""
    assert value("metadata", seen(tree(**{name: "1"}))).enis[0].card == 1


@pytest.mark.parametrize("outcome", [{"status": 503}, {"failure": "timed out"}, {"status": 401}])
def test_a_key_that_was_not_read(outcome: dict[str, Any]) -> None:
    """A listed key without an answer is named on its ENI and in the whole, with the reason; the list is not "none"."""
    found = value("metadata", seen(tree(ipv4_prefix=outcome)))
    assert found.enis[0].partial == ("ipv4-prefix",)
    assert found.incomplete == (f"{BASE}ipv4-prefix: {outcome.get('failure') or 'HTTP ' + str(outcome['status'])}",)


@pytest.mark.parametrize("outcome", [None, {"status": 404}])
def test_an_eni_in_the_middle_of_its_coming(outcome: Any) -> None:
    """Without its id an ENI stays in the list, marked partial: a hot-plug race is no reason to lose it."""
    (eni,) = value("metadata", seen(tree(interface_id=outcome))).enis
    assert (eni.id, eni.mac, eni.partial) == ("", MAC, ("interface-id",))


@pytest.mark.parametrize(
    ("keys", "why", "word"),
    [
        ({}, Why.MALFORMED, "no ENI"),
        ({"meta-data/instance-id": {"status": 200, "body": "i-1"}}, Why.MALFORMED, "no ENI"),
        ({imds.MACS: {"status": 403}}, Why.FORBIDDEN, "HTTP 403"),
        ({imds.MACS: {"failure": "timed out"}, "meta-data/mac": {"status": 200, "body": MAC}}, Why.TIMED_OUT, "macs/: timed out"),
        ({"api/token": {"failure": "timed out"}, "meta-data/": {"status": 401}}, Why.TIMED_OUT, "api/token: timed out"),
        ({f"{imds.MACS}zz/device-number": {"status": 200, "body": "0"}}, Why.MALFORMED, "no MAC"),
        (tree(device_number="one"), Why.MALFORMED, "device-number"),
        (tree(local_ipv4s="10.0.0.1\nten"), Why.MALFORMED, "local-ipv4s"),
        ({**tree(), imds.DOCUMENT: {"status": 200, "body": "<html>"}}, Why.MALFORMED, "not JSON"),
    ],
)
def test_a_tree_that_is_no_answer(keys: dict[str, Any], why: Why, word: str) -> None:
    """An instance always has an ENI: a tree without any is unobserved, with the reason of the key that stopped it."""
    found = refusal("metadata", seen(keys))
    assert (found.why, word in found.detail) == (why, True), found


def test_reasons_told_apart() -> None:
    """Refused, forbidden, timed out, and a token that hangs while keys are forbidden: four different readings."""
    assert refusal("metadata", {imds.FILE: capture(imds.FILE, failure=Why.REFUSED)}).why is Why.REFUSED
    assert refusal("metadata", seen({"meta-data/": {"status": 401}}, status=401)).why is Why.FORBIDDEN
    assert refusal("metadata", {imds.FILE: capture(imds.FILE, failure=Why.TIMED_OUT)}).why is Why.TIMED_OUT
    hop_limit = refusal("metadata", recorded("v1.23.0-imds-token-hangs"))
    assert (hop_limit.why, "HTTP 401" in hop_limit.detail) == (Why.TIMED_OUT, True)
    assert refusal("metadata", recorded("v1.23.0-imds-unreachable")).why is Why.REFUSED


def test_recorded_instance() -> None:
    """A real tree: identity, three ENIs, and the addresses that ipamd holds behind each ENI's own."""
    found = value("metadata", recorded("v1.23.0-healthy-busy"))
    identity = found.identity
    assert (identity.instance_type, identity.region, identity.availability_zone) == ("m5.large", "us-west-2", "us-west-2a")
    assert (identity.account_id, identity.local_ipv4) == ("111122223333", ip_address("10.0.0.236"))
    assert sorted(eni.device_number for eni in found.enis) == [0, 1, 2]
    pools = value("ipam", recorded("v1.23.0-healthy-busy")).pools
    for eni in found.enis:
        (held,) = (e for pool in pools for e in pool.enis if e.id == eni.id)
        assert {c.network.network_address for c in held.cidrs} == set(eni.ipv4[1:])


def test_recorded_prefixes() -> None:
    """Delegated prefixes are the CIDRs of ipamd's pool, in both families of addresses."""
    for name in ("v1.23.0-healthy-prefix", "v1.19.3-healthy-ipv6"):
        (eni,) = value("metadata", recorded(name)).enis
        cidrs = {c.network for pool in value("ipam", recorded(name)).pools for e in pool.enis for c in e.cidrs}
        assert set(eni.ipv4_prefixes + eni.ipv6_prefixes) == cidrs


def test_one_look() -> None:
    """One conversation, once."""
    assert [probe.file for probe in imds.plan({})] == [imds.FILE]  # type: ignore[union-attr]
    assert imds.plan(seen_of({imds.FILE: b""})) == ()
