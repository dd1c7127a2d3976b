"""kubelet's "Observed pod startup duration" line: how long a pod took from its creation to running.

Refuses to compute a duration: what kubelet logged is what is told.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Optional

from eniagent.model.net import PodName
from eniagent.model.record import PodStart
from eniagent.sources.frames import parse_stamp

_SLO = re.compile(rb"podStartSLOduration=\"?([0-9][^ \"]*)")
_E2E = re.compile(rb"podStartE2EDuration=\"?([0-9][^ \"]*)")
_CREATED = re.compile(rb"pod\.?CreationTimestamp=\"([^\"]+)\"")
_PART = re.compile(rb"([0-9.]+)(ns|us|\xc2\xb5s|ms|s|m|h)")
_UNIT_S = {b"ns": 1e-9, b"us": 1e-6, b"\xc2\xb5s": 1e-6, b"ms": 1e-3, b"s": 1.0, b"m": 60.0, b"h": 3600.0}


def pod_started(body: bytes) -> bytes:
    """The pod's key, b"" where the line names none."""
    at = body.find(b' pod="')
    return body[at + 6 : body.find(b'"', at + 6)] if at >= 0 else b""


def parse_start(body: bytes, *, at: Optional[datetime]) -> Optional[PodStart]:
    """The line's fields. Source: kubernetes v1.29, pkg/kubelet/util/pod_startup_latency_tracker.go."""
    pod = pod_started(body)
    if not pod:
        return None
    created = _CREATED.search(body)
    return PodStart(
        pod=PodName(pod.decode("utf-8", "replace")),
        at=at,
        created_at=parse_stamp(created[1].decode("ascii", "replace")) if created else None,
        e2e_s=_seconds(_E2E.search(body)),
        slo_s=_seconds(_SLO.search(body)),
    )


def _seconds(found: Optional[re.Match[bytes]]) -> Optional[float]:
    """A number of seconds, or Go's `1m3.5s`."""
    if found is None:
        return None
    try:
        parts = _PART.findall(found[1])
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts) if parts else float(found[1])
    except ValueError:
        return None
