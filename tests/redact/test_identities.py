"""Strength `identifiers`: no identity of a recorded node is left in any of its files, and the files tell the same verdict."""

from __future__ import annotations

import json
import pathlib
import re
import tempfile
from typing import NamedTuple

import msgspec
import pytest

from eniagent import sources
from eniagent.diagnose import diagnose
from eniagent.edge.captures import read_series
from eniagent.model.capture import Capture
from eniagent.model.snapshot import Case
from eniagent.redact import Pseudonyms, Scrubber, redact_diagnosis, scrubber_for
from eniagent.redact.reveal import revealed
from tests.cases import all_recorded
from tests.laws.canonical import canonical
from tests.recorded import unpack

KEY = b"one key for all recordings......"
READABLE = re.compile(rb"(?:127|169\.254|0|2[2-5]\d)\.|10\.100\.0\.1$|172\.20\.0\.1$")
FORMS = (
    rb"\b(?:eni|i|subnet|sg|vpc|ami)-[0-9a-f]{8,17}\b", rb"\b(?!00:00:00:00:00:00|ff:ff:ff:ff:ff:ff)(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", rb"\b[0-9a-f]{64}\b", rb"\beni[0-9a-f]{11}\b",
    rb"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", rb"\b2600:[0-9a-f:]+", rb"\bip-\d+-\d+-\d+-\d+\b",
)
IPV4 = re.compile(rb"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
POD = re.compile(rb'K8S_POD_NAME[=:]\W*([a-z0-9.-]+)|PodName"\s*:\s*"([^"]+)"')


class Redacted(NamedTuple):
    """A recording before and after: file -> bytes, of each look in turn."""

    case: Case
    raw: list[dict[str, bytes]]
    told: list[dict[str, bytes]]
    again: Case
    by: Scrubber


@pytest.fixture(scope="module", params=all_recorded())
def one(request: pytest.FixtureRequest) -> Redacted:
    """A recording's files through the scrubber, and the case that the result gives."""
    name: str = request.param
    with tempfile.TemporaryDirectory() as directory:
        series = read_series(str(unpack(name, pathlib.Path(directory) / "node")), since_s=3600.0)
        raw = [{file: b"".join(capture.chunks()) for file, capture in look.seen.items()} for look in series]
        snapshots = [sources.snapshot(look.seen, look.span, told=look.told) for look in series]
    case = Case(now=snapshots[-1], before=tuple(snapshots[:-1]))
    by = scrubber_for(case, strength="identifiers", key=KEY)
    for files in raw:
        for file, body in files.items():
            by.learn_chunks([body], kind=file)
    told, again = [], []
    for look, files in zip(series, raw):
        bodies = {by.file_name(file): b"".join(by.scrub_chunks([body], kind=file)) for file, body in files.items()}
        seen = {by.file_name(file): Capture(capture.about, bodies[by.file_name(file)]) for file, capture in look.seen.items()}
        told.append(bodies)
        again.append(sources.snapshot(seen, look.span, told={key: by.text(value) for key, value in look.told.items()}))
    return Redacted(case, raw, told, Case(now=again[-1], before=tuple(again[:-1])), by)


def identities(data: bytes) -> set[bytes]:
    """All identities in some bytes, found by other means than the product's."""
    found = {text for form in FORMS for text in re.findall(form, data)}
    found |= {ip for ip in IPV4.findall(data) if not READABLE.match(ip) and all(int(part) < 256 for part in ip.split(b"."))}
    pods = {a or b for a, b in POD.findall(data)}
    found |= {pod for pod in pods if not pod.startswith((b"aws-node", b"coredns", b"kube-proxy"))}
    return found | {b"111122223333", b"demo-cluster"} & {m for m in (b"111122223333", b"demo-cluster") if m in data}


def test_no_identity_of_a_recording_is_left(one: Redacted) -> None:
    """No instance, ENI, address, MAC, account, sandbox, link or pod of the node stands in any redacted file or file name."""
    before = b"\n".join(body for files in one.raw for body in files.values())
    after = b"\n".join(file.encode() + b"\n" + body for files in one.told for file, body in files.items())
    wanted = identities(before)
    assert len(wanted) > 20
    seen = [text for text in wanted if text in after]
    left = [text for text in seen if re.search(rb"(?<![0-9A-Za-z])" + re.escape(text) + rb"(?![0-9A-Za-z])", after)]
    assert left == [] and one.by.left_out == []


def test_redacted_files_tell_the_same_diagnosis(one: Redacted) -> None:
    """Read again, the redacted files give the redaction of the diagnosis made on the node: what support reads is what the node said."""
    on_node = redact_diagnosis(diagnose(one.case), by=one.by)
    elsewhere = msgspec.structs.replace(diagnose(one.again), redaction="identifiers")
    assert canonical(elsewhere) == canonical(on_node)


def test_the_node_can_turn_its_names_back(one: Redacted) -> None:
    """With the mapping, the redacted log is the log again."""
    for files, told in zip(one.raw, one.told):
        for file in ("logs/ipamd.log", "ipamd/enis.json", "host/ip-route.json"):
            if file in files:
                assert revealed(told[file].decode(), one.by.names.mapping if one.by.names else {}) == files[file].decode()


def scrubber(*names: str) -> Scrubber:
    """A scrubber that has learnt some pods."""
    by = Scrubber("identifiers", Pseudonyms(KEY))
    assert by.learner is not None
    for name in names:
        by.learner.pod(name)
    return by


def test_plain_words_are_replaced_where_they_are_names() -> None:
    """A namespace `payments` and a pod `redis` go where the text names them, and stay in sentences and keys."""
    by = scrubber("payments/redis", "payments/web-7d4b9c6f5-x2x9z")
    told = by.text('payments are due; K8S_POD_NAMESPACE=payments;K8S_POD_NAME=redis pod="payments/redis" {"namespace":"payments"} payments_redis_ web.payments.svc.cluster.local redis')
    assert told.startswith("payments are due; K8S_POD_NAMESPACE=ns-") and told.endswith(" redis")
    assert "=payments" not in told and "payments/" not in told and '"payments"' not in told and "payments_" not in told and ".payments." not in told
    assert "web-7d4b9c6f5-x2x9z" not in by.text("pod web-7d4b9c6f5-x2x9z of payments")


@pytest.mark.parametrize(
    "text",
    [
        "node ip-10-0-1-2.us-west-2.compute.internal at 10.0.1.2/24 via 10.0.1.1", "http%3A%2F%2F10.0.1.2%3A443 and %2010.0.1.2", 'escaped \\"10.0.1.2\\" \\n10.0.1.2\\t10.0.1.2',
        "mac 0a:89:02:c4:42:69 0A-89-02-C4-42-69 0a%3A89%3A02%3Ac4%3A42%3A69", "[2600:1f14:abc::5]:443 ::ffff:10.0.1.2 fe80::889:2ff:fec4:4269%eth0",
        "arn:aws:sts::111122223333:assumed-role/prod-node-role/i-0fc1f7cd5bb2e35cb is not authorized", "111122223333.dkr.ecr.us-west-2.amazonaws.com/x then 111122223333",
        "cluster kubernetes.io/cluster/prod-7 and prod-7", "AROAIOSFODNN7EXAMPLE12", "kubepods-pod8dd9ec31_8c53_484f_b762_2d125cce0bd8.slice",
    ],
)
def test_identities_in_every_spelling(text: str) -> None:
    """Escaped, URL-encoded, dashed, bracketed, in ARNs and registries: the original is gone, the spelling stays."""
    by = scrubber()
    by.learn_chunks([text.encode()], kind="x")
    told = by.text(text)
    for original in ("10.0.1.2", "10-0-1-2", "0a:89", "0a%3A89", "0A-89", "2600:1f14:abc", "889:2ff", "111122223333", "0fc1f7cd5bb2e35cb", "prod-node-role", "prod-7", "AROAIOSFODNN7EXAMPLE12", "8dd9ec31", "10.0.1.1"):
        assert original not in told, told
    assert len(re.findall(r"[^0-9A-Za-z]", told)) == len(re.findall(r"[^0-9A-Za-z]", text)) or "role" in text or "cluster" in text


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-25T14:10:29.448Z ipamd.go:413 version v1.23.0 1.15.5 took 12:30:45 5m30s 0x80/0x80", "sha256:5176c549c304bd3af332887eabe743b087f644980c86a7c05ebad957301b18ba",
        "127.0.0.1:50051 169.254.169.254 10.100.0.1 172.20.0.1 0.0.0.0/0 ::1 fe80::1 fd00:ec2::254 224.0.0.0/4 ::/0", "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.0",
        "kube-system/aws-node-x7k2p default kube-system coredns kube-proxy us-west-2a m5.large", "__MONOTONIC_TIMESTAMP 123456789012 rx 137438953472 bytes", "std::vector a::b Foo::Bar",
    ],
)
def test_what_is_no_identity_stays(text: str) -> None:
    """Times, versions, digests, counters, readable addresses and public names pass untouched."""
    assert scrubber().text(text) == text


def test_imds_names_are_learnt_from_their_keys() -> None:
    """A security group's name is told by IMDS's key alone, and is then replaced wherever it stands."""
    by = scrubber()
    body = json.dumps({"meta-data/network/interfaces/macs/02:aa:bb:cc:dd:ee/security-groups": {"status": 200, "body": "prod-nodes-sg\neks-remote-1"}, "meta-data/local-hostname": {"status": 200, "body": "worker-17.corp.example"}}).encode()
    by.learn_chunks([body], kind="imds/tree.json")
    out = b"".join(by.scrub_chunks([body], kind="imds/tree.json")) + by.text("group prod-nodes-sg of worker-17.corp.example").encode()
    assert not any(name in out for name in (b"prod-nodes-sg", b"eks-remote-1", b"worker-17", b"02:aa:bb"))
    assert list(json.loads(b"".join(by.scrub_chunks([body], kind="imds/tree.json"))))


@pytest.mark.parametrize(
    ("text", "gone", "kept"),
    [
        ('{"Tags":[{"Key":"Name","Value":"Prod Private A"},{"Key":"kubernetes.io/cluster/prod-7","Value":"owned"}],"Groups":[{"GroupName":"prod-nodes"}],"OwnerId":"111122223333"}', ("Prod Private A", "prod-7", "prod-nodes", "111122223333"), ('"owned"', '"Key":"Name"')),
        ('{"CloudTrailEvent":"{\\"userIdentity\\":{\\"principalId\\":\\"AROAIOSFODNN7EXAMPLE:i-0fc1f7cd5bb2e35cb\\",\\"accountId\\":\\"111122223333\\",\\"userName\\":\\"prod-role\\"}}"}', ("AROAIOSFODNN7EXAMPLE", "0fc1f7cd5bb2e35cb", "111122223333", "prod-role"), ("principalId",)),
        (
            '{"metadata":{"name":"x"},"image":{"image":"registry.corp.example/pay:1"},"labels":{"io.kubernetes.container.name":"pay-api","io.kubernetes.pod.name":"pay-7d4b9c6f5-x2x9z","io.kubernetes.pod.namespace":"payments"}}',
            ("corp.example", "pay-api", "pay-7d4b9c6f5-x2x9z", "payments"), ('"image":{"image":"',),
        ),
        ('{"image":{"image":"602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.0"},"labels":{"io.kubernetes.container.name":"aws-node"}}', (), ("602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.23.0", '"aws-node"')),
        ('-A KUBE-SERVICES -d 10.100.7.7/32 -m comment --comment "payments/pay-api:http cluster IP" -j KUBE-SVC-X', ("payments", "pay-api", "10.100.7.7"), (":http cluster IP",)),
        ("kubelet --hostname-override=worker-17.corp.example --node-labels=alpha.eksctl.io/cluster-name=prod-7,eks.amazonaws.com/nodegroup=ng-blue-2", ("worker-17", "prod-7", "ng-blue-2"), ("--hostname-override=", "cluster-name=")),
    ],
)
def test_names_in_what_other_programs_print(text: str, gone: tuple[str, ...], kept: tuple[str, ...]) -> None:
    """EC2's and CloudTrail's answers, crictl's lists, iptables' comments, kubelet's flags: names go, keys and public names stay."""
    by = scrubber()
    by.learn_chunks([text.encode()], kind="x")
    told = by.text(text)
    assert [name for name in gone if name in told] == [] and [word for word in kept if word not in told] == [], told
    if text.startswith("{"):
        assert list(json.loads(told)) == list(json.loads(text))
