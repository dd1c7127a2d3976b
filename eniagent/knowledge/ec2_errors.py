"""EC2 and STS error codes as ipamd passes them on, with the root cause each stands for.

Refuses to guess: a code that is not here is told as it is, without a cause. Network failures carry no code at all.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Optional

CAUSE_OF_CODE: dict[str, str] = {
    "InsufficientFreeAddressesInSubnet": "subnet-exhausted",
    "InsufficientCidrBlocks": "subnet-fragmented",
    "AttachmentLimitExceeded": "eni-attach-failed",
    "NetworkInterfaceLimitExceeded": "eni-attach-failed",
    "SecurityGroupsPerInterfaceLimitExceeded": "eni-attach-failed",
    "RequestLimitExceeded": "ec2-throttled",
    "Throttling": "ec2-throttled",
    "ThrottlingException": "ec2-throttled",
    "EC2ThrottledException": "ec2-throttled",
    "UnauthorizedOperation": "iam-denied",
    "AccessDenied": "iam-denied",
    "AccessDeniedException": "iam-denied",
    "AuthFailure": "iam-denied",
    "InvalidClientTokenId": "iam-denied",
    "ExpiredToken": "iam-denied",
    "ExpiredTokenException": "iam-denied",
    "RequestExpired": "iam-denied",
    "SignatureDoesNotMatch": "iam-denied",
    "InvalidIdentityToken": "iam-denied",
    "WebIdentityErr": "iam-denied",
    "NoCredentialProviders": "iam-denied",
    "InvalidSubnetID.NotFound": "eniconfig-invalid",
    "InvalidGroup.NotFound": "eniconfig-invalid",
    "InvalidSecurityGroupID.NotFound": "eniconfig-invalid",
    "PrivateIpAddressLimitExceeded": "imds-out-of-sync",
    "InvalidNetworkInterfaceID.NotFound": "imds-out-of-sync",
}

_ZONE = re.compile(r"availability zone|same zone|different (?:zone|VPC)|different networks", re.IGNORECASE)
_SERVICE_FAULTS = frozenset(("InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable"))


def cause_of_code(code: str, call: str, text: str) -> str:
    """The root cause of a refused call, "" where the code stands for none.

    A code that the table lacks still says that the ENI did not come when it answers a create or attach.
    """
    if code in _SERVICE_FAULTS:  # EC2 did answer: for a call that brings an ENI, that it brought none.
        return "eni-attach-failed" if call in ("AttachNetworkInterface", "CreateNetworkInterface") else "aws-api-unreachable"
    if code in ("InvalidParameterCombination", "InvalidParameterValue", "InvalidSubnet.Conflict") and _ZONE.search(text):
        return "eniconfig-invalid"
    known = CAUSE_OF_CODE.get(code, "")
    if not known and call in ("AttachNetworkInterface", "CreateNetworkInterface"):
        return "eni-attach-failed"
    return known


_CODE = re.compile(
    r"api error (?P<v2>[A-Za-z][\w.]*):"
    r"|ErrorCode ?:(?P<awserr>[A-Za-z][\w.]*)"
    r"|\b(?!(?:AllocENI|FreeENI|DescribeAllENIs|RequestError)\b)(?P<v1>[A-Z][a-z]+[A-Za-z]*(?:\.[A-Z][A-Za-z]+)*): [^\n]*\s+status code: \d+, request id"
    r"|\b(?P<known>" + "|".join(re.escape(code) for code in sorted(CAUSE_OF_CODE, key=len, reverse=True)) + r")\b"
)
_PREFIX_SHORTAGE = re.compile(r"aren't sufficient free Ipv4 addresses or prefixes", re.IGNORECASE)
_OPERATION = re.compile(r"operation error EC2: (\w+)|ec2:(\w+)|Failed to (CreateNetworkInterface)|(AssignPrivateIpAddresses|AssignIpv6Addresses)")
_WORDED = (
    ("attach ENI", "AttachNetworkInterface"),
    ("attaching ENI", "AttachNetworkInterface"),
    ("create ENI", "CreateNetworkInterface"),
    ("create network interface", "CreateNetworkInterface"),
    ("allocate a private IP", "AssignPrivateIpAddresses"),
    ("IP addresses on ENI", "AssignPrivateIpAddresses"),
    ("Prefixes on ENI", "AssignPrivateIpAddresses"),
    ("prefix on ENI", "AssignPrivateIpAddresses"),
    ("describe subnets", "DescribeSubnets"),
    ("Failed to detach", "DetachNetworkInterface"),
    ("attached ENIs info", "DescribeNetworkInterfaces"),
)
_NETWORK = re.compile(
    r"dial tcp|no such host|i/o timeout|connection refused|connection reset|network is unreachable|TLS handshake timeout"
    r"|context deadline exceeded|exceeded maximum number of attempts|send request failed|request canceled|(?:Post|Get|Put) \"?https?://\S+ (?:unexpected )?EOF"
)


class Refusal(NamedTuple):
    """What EC2 answered. `code` is "" when the request never got an answer (`network` is then true)."""

    code: str
    operation: str
    network: bool


def refusal(text: str) -> Optional[Refusal]:
    """The refusal that a message of ipamd tells, from SDK v1 and v2 texts; None where it tells none."""
    found = _CODE.search(text)
    code = next((g for g in found.groups() if g), "") if found else ""
    if code in ("InvalidParameterValue", "") and _PREFIX_SHORTAGE.search(text):
        code = "InsufficientCidrBlocks"
    network = not code and bool(_NETWORK.search(text))
    if not code and not network:
        return None
    return Refusal(code, operation(text), network)


def operation(text: str) -> str:
    """The EC2 call a message speaks of, "" where it names none."""
    found = _OPERATION.search(text)
    if found:
        return next(g for g in found.groups() if g)
    return next((call for words, call in _WORDED if words in text), "")
