"""ipamd's checkpoint files: the assigned addresses with their container ids, one file for each card.

Refuses to join what it could only read in part: one bad file makes the reading malformed, because ipamd itself refuses to start
from it.
Source: amazon-vpc-cni-k8s v1.23.1, data_store.go (CheckpointData); `vpc-cni-ipam/1` in every release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Optional

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.ipam import Checkpoint, CheckpointEntry
from eniagent.model.net import IPAddress, PodName, SandboxId, parse_address
from eniagent.model.probe import Probe, ReadFiles
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span, go_time
from eniagent.sources.captured import Malformed, Unusable, below, body, json_value, object_of, shaped

SOURCE = "ipamd checkpoint"
DIRECTORY = "ipamd/checkpoint"
VERSION = "vpc-cni-ipam/1"

_CARD = re.compile(r"ipam-nic-([0-9]{1,3})\.json\Z")


class _Metadata(msgspec.Struct):
    k8sPodNamespace: str = ""
    k8sPodName: str = ""


class _Entry(msgspec.Struct):
    containerID: str
    ifName: str = ""
    ipv4: str = ""
    ipv6: str = ""
    allocationTimestamp: Annotated[int, msgspec.Meta(le=(1 << 63) - 1)] = 0
    metadata: Optional[_Metadata] = None


class _Checkpoint(msgspec.Struct):
    version: str
    allocations: Optional[list[_Entry]]


def plan(seen: Seen) -> Sequence[Probe]:
    """All checkpoint files of the host."""
    if DIRECTORY in seen or below(seen, DIRECTORY):
        return ()
    return (ReadFiles(directory=DIRECTORY, pattern="/var/run/aws-node/ipam*.json"),)


def read(seen: Seen, span: Span) -> Reading[Checkpoint]:
    """All cards joined; `at` is the oldest look."""
    files = [file for file in below(seen, DIRECTORY) if file.endswith(".json")] or [DIRECTORY]
    times = [seen[file].about.at for file in files if file in seen]
    at = min((time for time in times if time is not None), default=None)
    entries: list[CheckpointEntry] = []
    for file in files:
        try:
            entries.extend(decode(body(seen, file=file), file=file))
        except Unusable as error:
            return Unobserved(why=error.why, source=SOURCE, at=at, detail=error.detail)
        except Malformed as error:
            return Unobserved(why=Why.MALFORMED, source=SOURCE, at=at, detail=f"{file.rsplit('/', 1)[-1]}: {error}")
    return Observed(value=Checkpoint(entries=tuple(entries)), source=SOURCE, at=at)


def decode(data: bytes, *, file: str) -> Iterator[CheckpointEntry]:
    """The entries of one file; its name tells the card. Raises `Malformed`."""
    wire = shaped(object_of(json_value(data), what="checkpoint"), _Checkpoint, what="checkpoint")
    if wire.version != VERSION:
        raise Malformed(f"version {wire.version[:40]!r} is not {VERSION}")
    found = _CARD.search(file)
    card = int(found.group(1)) if found else 0
    for entry in wire.allocations or ():
        yield _entry(entry, card=card)


def _entry(wire: _Entry, *, card: int) -> CheckpointEntry:
    if not wire.ipv4 and not wire.ipv6:
        raise Malformed(f"allocation of {wire.containerID[:20]!r} has no address")
    pod = wire.metadata
    named = pod is not None and pod.k8sPodName
    return CheckpointEntry(
        sandbox=SandboxId(wire.containerID),
        interface=wire.ifName,
        ip=_address(wire.ipv4) if wire.ipv4 else None,
        ipv6=_address(wire.ipv6) if wire.ipv6 else None,
        pod=PodName(f"{pod.k8sPodNamespace}/{pod.k8sPodName}".lstrip("/")) if pod is not None and named else None,
        assigned_at=go_time.from_nanoseconds(wire.allocationTimestamp),
        card=card,
    )


def _address(text: str) -> IPAddress:
    try:
        return parse_address(text)
    except ValueError as error:
        raise Malformed(f"no address: {text[:60]!r}") from error
