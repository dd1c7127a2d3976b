"""The CNI's settings, metrics, release and configuration as seen on the node."""

from __future__ import annotations

from typing import Optional

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """Effective settings that introspection tells: ipamd-env-settings, networkutils-env-settings, eni-configs.

    None: the endpoint did not say. `values` keeps all keys as text, lists comma-joined. `incomplete` names endpoints that did
    not answer, with the reason: `/v1/eni-configs: malformed (HTTP 404)` means that ipamd cannot read its node object.
    """

    values: dict[str, str]
    eni_config: Optional[str] = None
    incomplete: tuple[str, ...] = ()


class Environment(msgspec.Struct, frozen=True):
    """Allow-listed variables of the aws-k8s-agent process."""

    values: dict[str, str]


class Sample(msgspec.Struct, frozen=True):
    """One sample of a metric."""

    name: str
    labels: dict[str, str]
    value: float


class Metrics(msgspec.Struct, frozen=True):
    """ipamd's own metrics (`awscni_*` and `process_*`)."""

    samples: tuple[Sample, ...]

    def value(self, name: str) -> Optional[float]:
        """Sum over all label sets of `name`; None where there is no such series."""
        found = [s.value for s in self.samples if s.name == name]
        return sum(found) if found else None


class Release(msgspec.Struct, frozen=True):
    """The CNI's release. `basis`: how it is known. `low`/`high` bound it where it is inferred ("" = open)."""

    version: str
    basis: str
    low: str = ""
    high: str = ""


class CniConfig(msgspec.Struct, frozen=True):
    """What /etc/cni/net.d and /opt/cni/bin hold. `first` is the file the runtime uses; `types` its plugins in order."""

    files: tuple[str, ...]
    binaries: Optional[tuple[str, ...]] = None
    first: str = ""
    types: tuple[str, ...] = ()
    error: str = ""


class KubeletConfig(msgspec.Struct, frozen=True):
    """kubelet's effective settings that matter here. `origin` says which file or flag gave `max_pods`."""

    max_pods: Optional[int] = None
    origin: str = ""
    node_name: str = ""
    container_runtime_endpoint: str = ""
