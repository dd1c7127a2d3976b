"""`diagnose --aws` as users run it: on a staged node, with EC2 behind a real socket."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator

import pytest

from eniagent.demo.replay import Stage
from tests.aws.front import Front
from tests.cli.command import PATH, run
from tests.cli.conftest import environment, sick, staged

__all__ = ["environment", "sick", "staged"]
"""The staged node of the command line's tests, as fixtures of these."""

pytestmark = pytest.mark.sockets

SUBNET = "subnet-0873a0000c6d07ef7"
_FULL = (
    '<?xml version="1.0"?><DescribeSubnetsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><subnetSet><item>'
    f"<subnetId>{SUBNET}</subnetId><availableIpAddressCount>0</availableIpAddressCount><cidrBlock>10.0.0.0/24</cidrBlock>"
    "<availabilityZone>us-west-2a</availabilityZone></item></subnetSet></DescribeSubnetsResponse>"
)


@pytest.fixture
def cloud(environment: dict[str, str]) -> Iterator[tuple[Front, dict[str, str]]]:
    """An endpoint that answers DescribeSubnets alone, and the environment that leads there."""
    with Front() as front:
        front.canned["DescribeSubnets"] = _FULL
        front.refused = dict.fromkeys(("DescribeNetworkInterfaces", "DescribeInstanceTypes"), "UnauthorizedOperation")
        front.refused["LookupEvents"] = "AccessDeniedException"
        keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "planted-secret", "AWS_ENDPOINT_URL": front.url}
        yield front, {**environment, **keys}


def test_a_live_verdict_with_ec2s_word(cloud: tuple[Front, dict[str, str]], staged: Stage) -> None:
    """The cause carries EC2's count as evidence, each absent right is named under `unobserved`, and the secret is nowhere."""
    front, environment = cloud
    ended = run(*staged.options(), "diagnose", "--aws", "--format", "json", environment=environment)
    assert (ended.returncode, ended.stderr) == (0, b"")
    document = json.loads(ended.stdout)
    cause = document["causes"][0]
    assert cause["code"] == "subnet-exhausted" and cause["confidence"] == "confirmed"
    assert [(e["observed"], e["ref"]) for e in cause["evidence"] if e["source"] == "EC2 API"] == [(0, SUBNET)]
    forbidden = {seen["source"]: seen["detail"] for seen in document["unobserved"] if seen["why"] == "forbidden"}
    assert "ec2:DescribeInstanceTypes" in forbidden["EC2 DescribeInstanceTypes"]
    assert "cloudtrail:LookupEvents" in forbidden["CloudTrail LookupEvents"]
    assert b"planted-secret" not in ended.stdout + ended.stderr
    assert set(front.operations) == {"DescribeSubnets", "DescribeNetworkInterfaces", "DescribeInstanceTypes", "LookupEvents"}


def test_nobody_is_asked_without_the_flag(cloud: tuple[Front, dict[str, str]], staged: Stage) -> None:
    """Credentials and endpoint alone do nothing: without `--aws` no call is made and EC2 is not named as missing."""
    front, environment = cloud
    ended = run(*staged.options(), "diagnose", "--format", "json", environment=environment)
    assert ended.returncode == 0
    assert front.asked == []
    assert not [seen for seen in json.loads(ended.stdout)["unobserved"] if "EC2" in seen["source"]]


def test_without_boto3_it_says_what_to_install(tmp_path: pathlib.Path) -> None:
    """An install without the extra ends with 2 before the node is looked at, and names the remedy."""
    (tmp_path / "boto3.py").write_text("raise ModuleNotFoundError(\"No module named 'boto3'\", name='boto3')\n", encoding="ascii")
    ended = run("diagnose", "--aws", environment={"PATH": PATH, "PYTHONPATH": str(tmp_path)})
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"eniagent[aws]" in ended.stderr and b"boto3" in ended.stderr
    assert ended.stderr.count(b"\n") == 1


def test_captures_and_now_do_not_mix(sick: pathlib.Path) -> None:
    """`--from` tells of another time than EC2 would: together they are a usage error."""
    ended = run("diagnose", "--aws", "--from", str(sick))
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"--from" in ended.stderr
