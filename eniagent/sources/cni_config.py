"""What the container runtime finds in /etc/cni/net.d and /opt/cni/bin.

Refuses to read anything but network configurations there: other CNIs keep kubeconfigs with tokens beside them.
Source: containernetworking/cni v1.1, libcni/conf.go (files by name; `.conf`, `.conflist`, `.json`; the first one counts, broken or not).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from eniagent.model.capture import Seen
from eniagent.model.cni import CniConfig
from eniagent.model.probe import Probe, ReadFiles
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, Unusable, below, body, json_value, kind_of, list_of, object_of

SOURCE = "CNI configuration"
NET_D = "cni/net.d"
BIN = "cni/bin.json"

_SUFFIXES = (".conf", ".conflist", ".json")


def plan(seen: Seen) -> Sequence[Probe]:
    """The configurations with their content, the binaries by name."""
    looks: list[Probe] = []
    if not _looked(seen, NET_D):
        looks.append(ReadFiles(directory=NET_D, pattern="/etc/cni/net.d/*.conf*", limit_bytes=1 << 20))
        looks.append(ReadFiles(directory=NET_D, pattern="/etc/cni/net.d/*.json", limit_bytes=1 << 20))
    if not _looked(seen, BIN):
        looks.append(ReadFiles(directory=BIN, pattern="/opt/cni/bin/*", names_only=True))
    return looks


def _looked(seen: Seen, directory: str) -> bool:
    return directory in seen or bool(below(seen, directory))


def read(seen: Seen, span: Span) -> Reading[CniConfig]:
    """Files, binaries and the plugins of the first file. An empty directory is an answer; a broken first file is told in `error`."""
    at = next((seen[f].about.at for f in (*below(seen, NET_D), NET_D) if f in seen), None)
    try:
        names = _configurations(seen)
    except Unusable as error:
        return Unobserved(why=error.why, source=SOURCE, at=at, detail=error.detail)
    first = next((name for name in names if name.endswith(_SUFFIXES)), "")
    types, error_text = _types(seen, first) if first else ((), "")
    value = CniConfig(files=names, binaries=_binaries(seen), first=first, types=types, error=error_text)
    return Observed(value=value, source=SOURCE, at=at)


def _binaries(seen: Seen) -> Optional[tuple[str, ...]]:
    try:
        return _listed(body(seen, file=BIN))
    except Unusable as error:
        # No such directory, or nothing in it: no binaries. None is this field's word for "not seen".
        return () if error.why is Why.NOT_INSTALLED else None
    except Malformed:
        return None


def _configurations(seen: Seen) -> tuple[str, ...]:
    """Names of the files seen; none where both globs matched nothing. Raises `Unusable`."""
    names = []
    for file in below(seen, NET_D):
        if "*" not in file:
            names.append(file[len(NET_D) + 1 :])
        elif seen[file].about.failure is not Why.NOT_INSTALLED:
            body(seen, file=file)
    if not names and not below(seen, NET_D):
        # The directory itself stands for a look that could not list it.
        body(seen, file=NET_D)
    return tuple(names)


def _listed(data: bytes) -> tuple[str, ...]:
    """A listing: nothing, or a JSON array of names."""
    if not data.strip():
        return ()
    names = list_of(json_value(data), what="listing")
    if not all(isinstance(name, str) for name in names):
        raise Malformed("a listing holds something that is no name")
    return tuple(sorted(names))


def _types(seen: Seen, name: str) -> tuple[tuple[str, ...], str]:
    """The plugins of one configuration in order, and what is wrong with it."""
    try:
        return decode(body(seen, file=f"{NET_D}/{name}")), ""
    except Malformed as error:
        return (), f"{name}: {error}"
    except Unusable as error:
        return (), " ".join(filter(None, (f"{name}: {error.why.value}", error.detail)))


def decode(data: bytes) -> tuple[str, ...]:
    """The plugin types of a conflist, or of one plugin's own configuration. Raises `Malformed`."""
    document = object_of(json_value(data), what="configuration")
    plugins = list_of(document["plugins"], what="plugins") if "plugins" in document else [document]
    types = tuple(_type(plugin) for plugin in plugins)
    if not types:
        raise Malformed("no plugins")
    return types


def _type(plugin: Any) -> str:
    kind = object_of(plugin, what="plugin").get("type")
    if not isinstance(kind, str) or not kind:
        raise Malformed(f"a plugin's type is {kind_of(kind)}")
    return kind
