"""The recorded captures as the sources see them, and captures made of bytes."""

from __future__ import annotations

import functools
import json
import tarfile
from datetime import datetime, timezone
from typing import Any, Optional

import msgspec

from eniagent import sources
from eniagent.model.capture import Capture, Circumstances
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import MODULES, Span
from tests.recorded import packed

AT = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
SPAN = Span(until=AT)

FIELDS = tuple(field for field in MODULES if field not in ("ipamd_log", "plugin_log", "kubelet", "containerd", "ec2"))
"""Fields whose sources are tested here: all that read no log. EC2's answers have tests of their own."""

FILES: dict[str, tuple[str, ...]] = {
    "ipam": ("ipamd/enis.json",),
    "settings": ("ipamd/ipamd-env-settings.json", "ipamd/networkutils-env-settings.json", "ipamd/eni-configs.json"),
    "metrics": ("ipamd/metrics.txt",),
    "environment": ("ipamd/env.json",),
    "checkpoint": ("ipamd/checkpoint/ipam.json", "ipamd/checkpoint/ipam-nic-1.json"),
    "metadata": ("imds/tree.json",),
    "release": ("ipamd/env.json", "runtime/containers.json", "runtime/images.json", "ipamd/enis.json", "ipamd/metrics.txt"),
    "links": ("host/ip-addr.json",),
    "routing": ("host/ip-rule.json", "host/ip6-rule.json", "host/ip-route.json", "host/ip6-route.json"),
    "sysctls": ("host/sysctl.json",),
    "processes": ("host/processes.json",),
    "kubelet_config": ("kubelet/config.json", "kubelet/config.json.d/40-x.conf", "kubelet/cmdline.txt"),
    "cni_config": ("cni/net.d/10-aws.conflist", "cni/bin.json"),
    "sandboxes": ("runtime/pods.json", "runtime/containers.json", "runtime/images.json", "runtime/tasks.txt"),
}
"""What each source reads."""

REPRESENTATIVE = ("v1.15.5-healthy-busy", "v1.19.3-healthy-ipv6", "v1.23.0-healthy-prefix", "v1.23.0-healthy-busy")
"""Flat and card-keyed shapes, scrubbed and not; secondary addresses, prefixes and IPv6; one and three ENIs."""


def capture(
    file: str,
    data: bytes = b"",
    *,
    status: Optional[int] = None,
    exit: Optional[int] = None,
    failure: Optional[Why] = None,
    truncated: bool = False,
    detail: str = "",
) -> Capture:
    """One capture of now."""
    about = Circumstances(probe="test", file=file, at=AT, status=status, exit=exit, failure=failure, truncated=truncated, detail=detail)
    return Capture(about, data)


def seen_of(files: dict[str, bytes]) -> dict[str, Capture]:
    """Captures of these contents, without any trouble."""
    return {file: capture(file, data) for file, data in files.items()}


@functools.lru_cache(maxsize=8)
def recorded(name: str, step: int = -1) -> dict[str, Capture]:
    """One captures directory of a recording, by default the last."""
    with tarfile.open(packed(name), "r:xz") as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive.getmembers() if m.isfile()}  # type: ignore[union-attr]
    directory = sorted({path.split("/")[0] for path in files})[step]
    manifest = json.loads(files[f"{directory}/manifest.json"])
    seen = {}
    for entry in manifest["captures"]:
        about = msgspec.convert(entry, Circumstances)
        seen[about.file] = Capture(about, files.get(f"{directory}/{about.file}", b""))
    return seen


def read(field: str, seen: dict[str, Capture]) -> Reading[Any]:
    """The source's own `read`: no net beneath it."""
    return sources.source(field).read(seen, SPAN)


def value(field: str, seen: dict[str, Capture]) -> Any:
    """What the source observed. Fails the test where it observed nothing."""
    found = read(field, seen)
    assert isinstance(found, Observed), found
    return found.value


def refusal(field: str, seen: dict[str, Capture]) -> Unobserved:
    """Why the source observed nothing. Fails the test where it observed something."""
    found = read(field, seen)
    assert isinstance(found, Unobserved), found
    return found
