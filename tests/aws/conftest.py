"""A small account on a moto server: a VPC, a subnet of 11 addresses, an instance with two ENIs, and the IMDS that tells of it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from tests.aws.front import Front
from tests.fakes.imds import FakeImds

REGION, ZONE = "us-west-2", "us-west-2a"


class Node(msgspec.Struct, frozen=True):
    """What moto made."""

    url: str
    vpc: str
    subnet: str
    other_subnet: str
    instance: str
    enis: tuple[str, ...]


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's own variables, and none of this machine's."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")


@pytest.fixture(scope="session")
def account() -> Iterator[Node]:
    """A moto server on a real socket, filled through its API."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield _filled(f"http://{host}:{port}")
    finally:
        server.stop()


def _filled(url: str) -> Node:
    import boto3

    ec2: Any = boto3.client("ec2", region_name=REGION, endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/28", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    other = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.16.0/20", AvailabilityZone=ZONE)["Subnet"]["SubnetId"]
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.32.0/20", AvailabilityZone="us-west-2b")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=subnet)["Instances"][0]
    eni = ec2.create_network_interface(SubnetId=subnet, SecondaryPrivateIpAddressCount=3, Description="aws-K8S-test")["NetworkInterface"]
    ec2.attach_network_interface(NetworkInterfaceId=eni["NetworkInterfaceId"], InstanceId=instance["InstanceId"], DeviceIndex=1)
    first = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    return Node(url, vpc, subnet, other, instance["InstanceId"], (first, eni["NetworkInterfaceId"]))


@pytest.fixture
def front(account: Node, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """The account behind a server that can refuse; the SDK finds it by its own variable."""
    with Front(account.url) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def imds(account: Node) -> Iterator[FakeImds]:
    """The instance's metadata."""
    mac = "02:00:00:49:8a:c9"
    at = f"meta-data/network/interfaces/macs/{mac}/"
    keys = {
        "meta-data/instance-id": account.instance,
        "meta-data/instance-type": "m5.large",
        "meta-data/mac": mac,
        "meta-data/local-ipv4": "10.0.0.4",
        "meta-data/placement/availability-zone": ZONE,
        "meta-data/placement/region": REGION,
        f"{at}device-number": "0",
        f"{at}interface-id": account.enis[0],
        f"{at}local-ipv4s": "10.0.0.4",
        f"{at}subnet-id": account.subnet,
        f"{at}vpc-id": account.vpc,
    }
    with FakeImds({key: {"status": 200, "body": body} for key, body in keys.items()}) as server:
        yield server
