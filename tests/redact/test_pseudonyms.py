"""Names and ids: form and relations stay, what is public stays readable, and no two identities become one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.case.kernel import veth_name
from eniagent.redact.permute import Secret
from eniagent.redact.pseudonyms import MOST, Collision, Pseudonyms
from eniagent.redact.reveal import revealed

KEY = b"a key of redaction, for tests..."
HEX = st.text("0123456789abcdef", min_size=1, max_size=70)


@given(HEX, HEX)
def test_hex_ids_are_permuted(one: str, other: str) -> None:
    """As many digits as before, and two ids stay two."""
    secret = Secret(KEY)
    told = [secret.permuted_hex("x", text) for text in (one, other)]
    assert [len(t) for t in told] == [len(one), len(other)]
    assert len(one) != len(other) or (told[0] == told[1]) == (one == other)


@given(st.integers(2, 24), st.data())
def test_the_permutation_is_one(bits: int, data: st.DataObject) -> None:
    """Distinct numbers of any width, odd ones too, stay distinct and in range."""
    values = data.draw(st.sets(st.integers(0, (1 << bits) - 1), max_size=50))
    told = {Secret(KEY).permuted("x", value, bits=bits) for value in values}
    assert len(told) == len(values) and all(0 <= t < 1 << bits for t in told)


@given(st.sampled_from(("eni", "i", "subnet", "sg", "vpc", "eni-attach")), st.sampled_from((8, 17)), st.data())
def test_aws_ids_keep_prefix_and_length(prefix: str, size: int, data: st.DataObject) -> None:
    """Parsers and rules read a pseudonym as the id that it stands for."""
    digits = data.draw(st.text("0123456789abcdef", min_size=size, max_size=size))
    told = Pseudonyms(KEY).aws_id(f"{prefix}-{digits}")
    assert told.rpartition("-")[0] == prefix and len(told) == len(prefix) + 1 + size
    assert size == 8 or told.rpartition("-")[2][0] == digits[0]


@given(st.sets(st.integers(0, 10**12 - 1).map("{:012d}".format), max_size=40))
def test_accounts_are_twelve_digits_and_distinct(accounts: set[str]) -> None:
    """An account stays an account."""
    names = Pseudonyms(KEY)
    told = {names.account(a) for a in accounts}
    assert len(told) == len(accounts) and all(len(t) == 12 and t.isdigit() for t in told)


@given(st.lists(st.from_regex(r"[a-z0-9]{1,12}(-[a-z0-9]{1,10}){0,3}", fullmatch=True), unique=True, max_size=30))
def test_a_pods_link_is_named_after_its_pseudonym(pods: list[str]) -> None:
    """What the kernel calls the pod's link matches what a rule computes from the pod's pseudonym (law L2), for further cards too."""
    names = Pseudonyms(KEY)
    told = [names.pod(f"shop-1/{name}") for name in pods]
    assert len(set(told)) == len(pods)
    for name, pseudonym in zip(pods, told):
        for prefix in ("eni", "vlan"):
            assert names.veth(veth_name(f"shop-1/{name}", prefix)) == veth_name(pseudonym, prefix)
            assert names.veth(veth_name(f"shop-1/{name}.1", prefix)) == veth_name(f"{pseudonym}.1", prefix)


def test_what_is_public_stays_readable() -> None:
    """EKS's own namespaces, workloads and registries are told as they are."""
    names = Pseudonyms(KEY)
    for pod in ("kube-system/aws-node-x7k2p", "kube-system/coredns-57ff979f67-qqbdh", "kube-system/kube-proxy-abcde"):
        assert names.pod(pod) == pod
        assert names.veth(veth_name(pod, "eni")) == veth_name(pod, "eni")
    assert names.namespace("default") == "default" and names.account("602401143452") == "602401143452"


def test_pods_of_one_workload_are_seen_to_be() -> None:
    """Relations stay: the workload's part is shared, the pod's own is not; a bare name is the same pod's."""
    names = Pseudonyms(KEY)
    one, other, third = (names.pod(f"shop/{n}") for n in ("web-7d4b9c6f5-x2x9z", "web-7d4b9c6f5-abcde", "api-7d4b9c6f5-x2x9z"))
    assert one.rpartition("-")[0] == other.rpartition("-")[0] != third.rpartition("-")[0] and one != other
    assert names.pod("web-7d4b9c6f5-x2x9z") == one.partition("/")[2]


def test_hosts_keep_their_form() -> None:
    """ip-10-0-1-2 becomes a host name of the address's pseudonym."""
    names = Pseudonyms(KEY)
    import ipaddress

    assert names.host("ip-10-0-1-2") == "ip-" + str(names.address(ipaddress.ip_address("10.0.1.2"))).replace(".", "-")
    with pytest.raises(ValueError):
        names.host("worker-1")


def test_the_same_key_gives_the_same_names_and_another_key_others() -> None:
    """Two bundles of one node can be compared; two nodes' bundles share nothing."""
    told = [(n.pod("a-1/b-2"), n.aws_id("eni-0123456789abcdef0"), n.mac("0a:89:02:c4:42:69"), n.name("prod-1"), n.node("worker-1"), n.hex_id("ab" * 32)) for n in (Pseudonyms(KEY), Pseudonyms(KEY), Pseudonyms(KEY[::-1]))]
    assert told[0] == told[1] and not set(told[0]) & set(told[2])


def test_a_collision_raises() -> None:
    """Two originals under one pseudonym are an error, never a merged identity."""
    names = Pseudonyms(KEY)
    names.mapping[names.name("one")] = "another"
    with pytest.raises(Collision):
        Pseudonyms.name(_forgetful(names), "one")


def _forgetful(names: Pseudonyms) -> Pseudonyms:
    fresh = Pseudonyms(KEY)
    fresh.mapping = names.mapping
    return fresh


def test_the_mapping_turns_everything_back_and_is_bounded() -> None:
    """Every pseudonym given is found in the mapping; millions of request ids do not fill the memory."""
    names = Pseudonyms(KEY)
    originals = ["shop-1/web-7d4b9c6f5-x2x9z", "eni-0123456789abcdef0", "0a:89:02:c4:42:69", "111122223333", "8dd9ec31-8c53-484f-b762-2d125cce0bd8"]
    told = [names.pod(originals[0]), names.aws_id(originals[1]), names.mac(originals[2]), names.account(originals[3]), names.hex_id(originals[4])]
    assert revealed(" and ".join(told), names.mapping) == " and ".join(originals)
    for number in range(MOST + 1000):
        names.hex_id(f"{number:032x}")
    assert len(names.mapping) <= MOST + 100 and names.unmapped >= 1000
