"""Redacts typed values by their types: snapshots, cases and diagnoses. Law L2: diagnose(redact(case)) == redact(diagnose(case)).

Refuses to touch codes, times, counts and verdicts: what is left is all that a diagnosis is made from.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from eniagent.model.finding import Diagnosis
from eniagent.model.reading import Observed
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.redact.addresses import Network
from eniagent.redact.pseudonyms import Pseudonyms
from eniagent.redact.scrubber import Scrubber
from eniagent.redact.walk import Visit, change

T = TypeVar("T")
_AWS_ID = re.compile(r"[a-z-]+-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}")
_ACCOUNT = re.compile(r"[0-9]{12}")


def redact_snapshot(snapshot: NodeSnapshot, *, by: Scrubber) -> NodeSnapshot:
    """The snapshot with secrets removed and, in strength `identifiers`, identities replaced. `by` has learnt from it."""
    return _typed(snapshot, by)


def redact_case(case: Case, *, by: Scrubber) -> Case:
    """All snapshots of a case."""
    return _typed(case, by)


def redact_diagnosis(diagnosis: Diagnosis, *, by: Scrubber) -> Diagnosis:
    """A diagnosis; its field `redaction` tells the strength."""
    return msgspec.structs.replace(_typed(diagnosis, by), redaction=by.strength)


def scrubber_for(case: Case, *, strength: str, key: bytes, services: tuple[Network, ...] = ()) -> Scrubber:
    """A scrubber that knows the case's names and its VPC's ranges. `services`: the cluster's service CIDRs, which stay readable."""
    if strength != "identifiers":
        return Scrubber(strength)
    scrubber = Scrubber(strength, Pseudonyms(key, services=services, networks=_vpc_ranges(case)))
    scrubber.learn_case(case)
    return scrubber


def _vpc_ranges(case: Case) -> tuple[Network, ...]:
    found: list[Network] = []
    for snapshot in (case.now, *case.before):
        if isinstance(snapshot.metadata, Observed):
            found += (net for eni in snapshot.metadata.value.enis for net in (*eni.vpc_ipv4, *eni.subnet_ipv6))
    return tuple(dict.fromkeys(found))


def _typed(value: T, by: Scrubber) -> T:
    if by.strength == "none":
        return value
    told: T = change(value, lambda seen: _told(seen, by))
    return told


def _told(seen: Visit, by: Scrubber) -> Any:
    """One value, redacted by its kind; a text by what stands in it."""
    value, names = seen.value, by.names
    if seen.kind == "dict":
        return _entries(value, by)
    if names is None:
        return by.text(value) if isinstance(value, str) else value
    if seen.kind == "address":
        return names.address(value)
    if seen.kind == "network":
        return names.network(value)
    if seen.kind == "PodName":
        return names.pod(value) if value else value
    if seen.kind == "SandboxId":
        return names.hex_id(value) if value else value
    if seen.kind == "Mac" and _MAC.fullmatch(value):
        return names.mac(value)
    if seen.kind in ("EniId", "InstanceId", "SubnetId") and _AWS_ID.fullmatch(value):
        return names.aws_id(value)
    if seen.field == "account_id" and _ACCOUNT.fullmatch(value):
        return names.account(value)
    return by.text(value)


def _entries(value: Any, by: Scrubber) -> Any:
    """A dictionary or list of texts: settings, labels, fields of a line, what a bundle says of itself."""
    if isinstance(value, dict):
        return {by.text(k) if isinstance(k, str) else k: by.pair(k, v) if isinstance(v, str) else _entries(v, by) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_entries(item, by) for item in value)
    return by.text(value) if isinstance(value, str) else value
