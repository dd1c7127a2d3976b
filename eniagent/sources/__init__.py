"""One module per source of truth: `plan(seen)` names the looks to take, `read(seen, span)` turns their bytes into a Reading.

Pure: no module here touches the world. `read` never raises, whatever the bytes (law L4).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Optional, Protocol

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.probe import Probe
from eniagent.model.reading import Reading, Unobserved, Why
from eniagent.model.snapshot import ON_REQUEST, READINGS, NodeSnapshot


class Span(msgspec.Struct, frozen=True):
    """The window: `since` (None: everything there is) to `until`, which is *now*."""

    until: datetime
    since: Optional[datetime] = None


class Source(Protocol):
    """What every module of this room offers."""

    def plan(self, seen: Seen) -> Sequence[Probe]:
        """The looks still to take, given what has been seen; empty when there is nothing more to ask."""

    def read(self, seen: Seen, span: Span) -> Reading[Any]:
        """The reading that the captures give. Never raises."""


MODULES: dict[str, str] = {
    "ipam": "introspection",
    "settings": "settings",
    "metrics": "metrics",
    "environment": "environment",
    "checkpoint": "checkpoint",
    "ipamd_log": "ipamd_log",
    "plugin_log": "plugin_log",
    "kubelet": "kubelet",
    "containerd": "containerd",
    "metadata": "imds",
    "release": "release",
    "links": "links",
    "routing": "routing",
    "sysctls": "sysctls",
    "processes": "processes",
    "kubelet_config": "kubelet_config",
    "cni_config": "cni_config",
    "sandboxes": "sandboxes",
    "ec2": "ec2",
}
"""Field of NodeSnapshot -> module of this room."""


def source(field: str) -> Source:
    """The module that fills a field of NodeSnapshot."""
    return importlib.import_module(f"eniagent.sources.{MODULES[field]}")


def read_field(field: str, seen: Seen, span: Span) -> Reading[Any]:
    """One reading. A reader that raises all the same is told as malformed: an unread source never looks healthy."""
    try:
        return source(field).read(seen, span)
    except Exception as error:  # noqa: BLE001 - law L4 holds even against our own mistakes
        return Unobserved(why=Why.MALFORMED, source=field, at=span.until, detail=f"reader failed: {type(error).__name__}: {error}")


def snapshot(seen: Seen, span: Span, *, told: Optional[dict[str, str]] = None) -> NodeSnapshot:
    """All readings of one set of captures."""
    readings: dict[str, Any] = {field: read_field(field, seen, span) for field in (*READINGS, *ON_REQUEST)}
    return NodeSnapshot(taken_at=span.until, since=span.since, told=told or {}, **readings)
