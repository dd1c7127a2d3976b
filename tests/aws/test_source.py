"""Reading EC2's answers: real shapes, the AWS CLI's output, and law L4 over any bytes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eniagent import sources
from eniagent.model.codec import decode, encode
from eniagent.model.ec2 import Ec2View
from eniagent.model.probe import AskAws, ReadImds
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.model.snapshot import NodeSnapshot
from eniagent.sources import ec2
from tests.sources.recorded_captures import SPAN, capture, read, recorded, seen_of

FILES = (ec2.SUBNETS, ec2.ENIS, ec2.TYPES, ec2.TRAIL)
SUBNET = {"SubnetId": "subnet-0a", "AvailableIpAddressCount": 7, "CidrBlock": "10.0.0.0/28", "Tags": [{"Key": "kubernetes.io/role/cni", "Value": "1"}]}
ENI = {
    "NetworkInterfaceId": "eni-0a", "Status": "in-use", "SubnetId": "subnet-0a", "Description": "aws-K8S-i-0a",
    "Attachment": {"DeviceIndex": 1, "NetworkCardIndex": 0, "Status": "attached"}, "Groups": [{"GroupId": "sg-0a", "GroupName": "x"}],
    "PrivateIpAddresses": [{"Primary": True, "PrivateIpAddress": "10.0.0.4"}], "Ipv4Prefixes": [{"Ipv4Prefix": "10.0.0.16/28"}],
    "TagSet": [{"Key": "node.k8s.amazonaws.com/no_manage", "Value": "true"}],
}
TYPE = {
    "InstanceType": "p5.48xlarge", "Hypervisor": "nitro", "BareMetal": False, "VCpuInfo": {"DefaultVCpus": 192},
    "NetworkInfo": {
        "NetworkCards": [{"NetworkCardIndex": n, "MaximumNetworkInterfaces": 4 - 2 * bool(n)} for n in range(32)], "MaximumNetworkInterfaces": 64,
        "DefaultNetworkCardIndex": 0, "Ipv4AddressesPerInterface": 50, "Ipv6AddressesPerInterface": 50,
    },
}
RECORD = {"eventName": "CreateNetworkInterface", "errorCode": "Client.InsufficientFreeAddressesInSubnet", "errorMessage": "none", "x": "i-0a"}
EVENT = {"EventId": "e1", "EventName": "CreateNetworkInterface", "EventTime": "2026-03-01T11:00:00+00:00", "CloudTrailEvent": json.dumps(RECORD)}
WHOLE: dict[str, Any] = {
    ec2.SUBNETS: {"Subnets": [SUBNET]}, ec2.ENIS: {"NetworkInterfaces": [ENI]}, ec2.TYPES: {"InstanceTypes": [TYPE]}, ec2.TRAIL: {"Events": [EVENT]},
}


def view(contents: dict[str, Any]) -> Ec2View:
    """What is read from these documents."""
    found = read("ec2", seen_of({file: json.dumps(document).encode() for file, document in contents.items()}))
    assert isinstance(found, Observed) and isinstance(found.value, Ec2View), found
    return found.value


@pytest.mark.parametrize("wrap", [lambda document: document, lambda document: [document, document]], ids=["one object", "an array"])
def test_the_clis_output_and_ours_read_alike(wrap: Any) -> None:
    """One document as the AWS CLI prints it, or an array of answers as we keep them: the same facts."""
    seen = view({file: wrap(document) for file, document in WHOLE.items()})
    assert isinstance(seen.subnets, Observed) and isinstance(seen.enis, Observed) and isinstance(seen.type, Observed) and isinstance(seen.calls, Observed)
    assert {(s.id, s.free, str(s.cidr)) for s in seen.subnets.value} == {("subnet-0a", 7, "10.0.0.0/28")}
    assert {(e.id, e.device_number, e.managed, len(e.prefixes)) for e in seen.enis.value} == {("eni-0a", 1, False, 1)}
    assert (seen.type.value.enis_per_card[0], len(seen.type.value.enis_per_card), seen.type.value.vcpus) == (4, 32, 192)
    (call,) = seen.calls.value
    assert (call.code, call.operation, call.ours) == ("InsufficientFreeAddressesInSubnet", "CreateNetworkInterface", False)


def test_a_call_is_ours_where_the_record_names_us() -> None:
    """The instance's id, or one of its ENIs', anywhere in the record makes the call ours; without them nobody's call is."""
    ours = {**seen_of({ec2.TRAIL: json.dumps({"Events": [EVENT]}).encode()}), **recorded("v1.23.0-healthy-busy")}
    known = sources.read_field("metadata", ours, SPAN)
    assert isinstance(known, Observed)
    for name, mine in ((known.value.identity.instance_id, True), (known.value.enis[0].id, True), ("i-0ffffffffffffffff", False)):
        event = {**EVENT, "CloudTrailEvent": json.dumps({**RECORD, "x": name})}
        found = read("ec2", {**ours, ec2.TRAIL: capture(ec2.TRAIL, json.dumps({"Events": [event]}).encode())})
        assert isinstance(found, Observed) and isinstance(found.value.calls, Observed)
        assert [call.ours for call in found.value.calls.value] == [mine]


def test_it_asks_imds_first_and_each_question_once() -> None:
    """Nothing is asked of EC2 before IMDS answered; then four questions about this instance; then none."""
    assert [type(probe) for probe in ec2.plan({})] == [ReadImds]
    seen = recorded("v1.23.0-healthy-busy")
    probes = [probe for probe in ec2.plan(seen) if isinstance(probe, AskAws)]
    assert [probe.file for probe in probes] == list(FILES)
    assert "i-" in probes[1].requests[0] and all(probe.region == "us-west-2" for probe in probes)
    assert ec2.plan({**seen, **seen_of(dict.fromkeys(FILES, b"{}"))}) == []
    assert ec2.plan({"imds/tree.json": capture("imds/tree.json", failure=Why.TIMED_OUT)}) == ()


@pytest.mark.parametrize("file", FILES)
def test_an_answer_of_another_shape_is_no_empty_answer(file: str) -> None:
    """An object without the list, or with another thing in its place, is malformed in its part alone: never 'no subnets'."""
    others: tuple[Any, ...] = ({}, {"Subnets": None}, {"Error": "x"}, [], [[]], {"Events": [{}]}, {"InstanceTypes": []}, "x", None)
    for other in others:
        seen = view({**WHOLE, file: other})
        assert [part.why for part in seen.unseen] == [Why.MALFORMED], other


def holds_law(reading: Reading[Any]) -> None:
    """A reading, and one that a record can hold."""
    assert isinstance(reading, (Observed, Unobserved))
    snapshot = msgspec.structs.replace(NodeSnapshot(taken_at=SPAN.until), ec2=reading)
    assert decode(encode(snapshot), NodeSnapshot) == snapshot


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*SUBNET, *ENI, *TYPE, *EVENT, "Subnets", "Events"]), inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(FILES), st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())), st.sampled_from(["whole", "item"]), JSON)
def test_any_bytes_give_a_reading(file: str, data: bytes, where: str, value: Any) -> None:
    """Any bytes, and any value in place of a field of a real item: a reading, never an exception."""
    contents = {name: json.dumps(document).encode() for name, document in WHOLE.items()}
    if where == "item":
        (key, (item,)) = next(iter(WHOLE[file].items()))
        data = json.dumps({key: [{**item, field: value} for field in item]}).encode()
    holds_law(read("ec2", seen_of({**contents, file: data})))


@pytest.mark.parametrize("why", [None, *Why])
def test_any_circumstances(why: Any) -> None:
    """A failure of each kind becomes the reading of its part; nobody looked: not collected."""
    for file in FILES:
        found = read("ec2", {**seen_of({name: json.dumps(d).encode() for name, d in WHOLE.items()}), file: capture(file, b"", failure=why, detail="x")})
        assert isinstance(found, Observed)
        assert [part.why for part in found.value.unseen] == [why or Why.MALFORMED]
    nobody = read("ec2", {})
    assert isinstance(nobody, Unobserved) and nobody.why is Why.NOT_COLLECTED
