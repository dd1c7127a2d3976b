"""kubelet's effective configuration: config file, drop-ins in name order, and the flags, which beat both.

Refuses to name kubelet's default (110 pods) unless both the configuration and the command line were seen: what was not read may set it.
Source: kubelet's --config-dir (Kubernetes 1.28 on); amazon-eks-ami (AL2023 config.json and config.json.d, AL2 kubelet-config.json),
Bottlerocket (YAML in /etc/kubernetes/kubelet/config), Ubuntu's snap kubelet-eks (flags in its args file).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.cni import KubeletConfig
from eniagent.model.probe import Probe, ReadFile, ReadFiles
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span, processes
from eniagent.sources.captured import Malformed, Unusable, below, body, json_value, kind_of, object_of, reading, shown

SOURCE = "kubelet configuration"
CMDLINE = "kubelet/cmdline.txt"
SNAP_ARGS = "kubelet/args"
NAMED = "kubelet/named-config"
DROP_INS = "kubelet/config.json.d"
DROP_INS_PATH = "/etc/kubernetes/kubelet/config.json.d"
DEFAULT_MAX_PODS = 110

CONFIGS = {
    "kubelet/config.json": "/etc/kubernetes/kubelet/config.json",
    "kubelet/kubelet-config.json": "/etc/kubernetes/kubelet/kubelet-config.json",
    "kubelet/config": "/etc/kubernetes/kubelet/config",
}
"""File in the captures -> path on the host: AL2023, AL2 and Ubuntu, Bottlerocket."""

_FIRST = "kubelet/config.json"
_SNAP_PATH = "/var/snap/kubelet-eks/current/args"
_LIMIT_BYTES = 1 << 20
_YAML_LINE = re.compile(r"^(maxPods|containerRuntimeEndpoint):[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)
_YAML_KIND = re.compile(r"^kind:[ \t]*[\"']?KubeletConfiguration\b", re.MULTILINE)


class _Setting(msgspec.Struct):
    """One value and the file or flag that gave it."""

    value: Any
    origin: str


def plan(seen: Seen) -> Sequence[Probe]:
    """Processes (the look that brings kubelet's command line) and the usual file; then other systems' files, and what flags name."""
    return tuple(probe for probe in _looks(seen) if (probe.directory if isinstance(probe, ReadFiles) else probe.file) not in seen)


def _looks(seen: Seen) -> Iterator[Any]:
    yield processes.probe()
    yield ReadFile(file=_FIRST, path=CONFIGS[_FIRST], limit_bytes=_LIMIT_BYTES)
    if not below(seen, DROP_INS):
        yield ReadFiles(directory=DROP_INS, pattern=f"{DROP_INS_PATH}/*.conf", limit_bytes=_LIMIT_BYTES)
    if _FIRST in seen and isinstance(reading(seen, file=_FIRST, source=SOURCE, decode=bytes), Unobserved):
        yield from (ReadFile(file=f, path=path, limit_bytes=_LIMIT_BYTES) for f, path in CONFIGS.items() if f != _FIRST)
        if _flags(seen) is None:
            yield ReadFile(file=SNAP_ARGS, path=_SNAP_PATH, limit_bytes=_LIMIT_BYTES)
    named = (_flags(seen) or {}).get("config")
    if named is not None and named.value.startswith("/") and named.value not in CONFIGS.values():
        yield ReadFile(file=NAMED, path=named.value, limit_bytes=_LIMIT_BYTES)


def read(seen: Seen, span: Span) -> Reading[KubeletConfig]:
    """Flags over drop-ins over the file. A file that cannot be read in full leaves max-pods to the flag alone, else to nobody."""
    flags = _flags(seen)
    refusal: Optional[Unobserved] = None
    settings: dict[str, _Setting] = {}
    complete = False
    try:
        settings, complete = _merged_files(seen, flags)
    except Unusable as error:
        refusal = Unobserved(why=error.why, source=SOURCE, at=_at(seen), detail=error.detail)
    for name, setting in (flags or {}).items():
        settings[name] = setting
    if "maxPods" not in settings:
        if refusal is not None:
            return refusal
        if complete and flags is not None:
            settings["maxPods"] = _Setting(DEFAULT_MAX_PODS, "kubelet's default")
    try:
        return Observed(value=_config(settings), source=SOURCE, at=_at(seen))
    except Malformed as error:
        return Unobserved(why=Why.MALFORMED, source=SOURCE, at=_at(seen), detail=str(error))


def _config(settings: dict[str, _Setting]) -> KubeletConfig:
    pods = settings.get("maxPods")
    return KubeletConfig(
        max_pods=_number(pods) if pods is not None else None,
        origin=pods.origin if pods is not None else "",
        node_name=_text(settings.get("hostname-override")),
        container_runtime_endpoint=_text(settings.get("containerRuntimeEndpoint")),
    )


def _number(setting: _Setting) -> int:
    value = setting.value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 9:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 31:
        raise Malformed(f"maxPods in {setting.origin}: {str(value)[:40]!r}")
    return value


def _text(setting: Optional[_Setting]) -> str:
    return setting.value if setting is not None and isinstance(setting.value, str) else ""


def _at(seen: Seen) -> Any:
    times = [seen[f].about.at for f in (NAMED, *CONFIGS, CMDLINE, SNAP_ARGS) if f in seen]
    return next((time for time in times if time is not None), None)


def _merged_files(seen: Seen, flags: Optional[dict[str, _Setting]]) -> tuple[dict[str, _Setting], bool]:
    """The config file under its drop-ins, and whether there is one at all besides the command line. Raises `Unusable`."""
    settings = _config_file(seen)
    if isinstance(settings, Unusable):
        if flags is None or settings.why is not Why.NOT_COLLECTED:
            raise settings
        return {}, False
    # kubelet reads drop-ins only from the directory that its flags name.
    if flags is None or "config-dir" in flags:
        for file in below(seen, DROP_INS):
            if seen[file].about.failure is not Why.NOT_INSTALLED:
                settings.update(_decoded(seen, file))
    return settings, True


def _config_file(seen: Seen) -> Union[dict[str, _Setting], Unusable]:
    """The first config file that is there; else why there is none. Raises `Unusable` for one that is there and cannot be read."""
    refusals: list[Unusable] = []
    for file in (NAMED, *CONFIGS):
        try:
            return _decoded(seen, file)
        except Unusable as error:
            if error.why in (Why.MALFORMED, Why.TRUNCATED, Why.FORBIDDEN):
                raise
            refusals.append(error)
    return next((error for error in refusals if error.why is not Why.NOT_COLLECTED), refusals[0])


def _decoded(seen: Seen, file: str) -> dict[str, _Setting]:
    data = body(seen, file=file)
    try:
        return decode(data, file=file)
    except Malformed as error:
        raise Unusable(Why.MALFORMED, f"{file}: {error}") from error


def decode(data: bytes, *, file: str) -> dict[str, _Setting]:
    """The settings of one configuration file, JSON or the few lines of YAML that matter here. Raises `Malformed`."""
    if not data.lstrip().startswith(b"{"):
        return _decode_yaml(data, file=file)
    document = object_of(json_value(data), what="configuration")
    if document.get("kind") != "KubeletConfiguration" and "maxPods" not in document:
        raise Malformed("no KubeletConfiguration")
    found = {}
    for name in ("maxPods", "containerRuntimeEndpoint"):
        if document.get(name) is not None:
            value = document[name]
            if not isinstance(value, (int, str)):
                raise Malformed(f"{name}: a value was expected, not {kind_of(value)}")
            found[name] = _Setting(value, file)
    return found


def _decode_yaml(data: bytes, *, file: str) -> dict[str, _Setting]:
    text = data.decode("utf-8", "replace")
    if not _YAML_KIND.search(text):
        raise Malformed(f"no KubeletConfiguration: {shown(data)!r}")
    return {name: _Setting(value, f"{file} (YAML line)") for name, value in _YAML_LINE.findall(text)}


_FLAGS = {"max-pods": "maxPods", "container-runtime-endpoint": "containerRuntimeEndpoint"}


def _flags(seen: Seen) -> Optional[dict[str, _Setting]]:
    """Flags of the running kubelet, else of the snap's args file; None where no command line was seen."""
    for file in (CMDLINE, SNAP_ARGS):
        found = reading(seen, file=file, source=SOURCE, decode=decode_flags)
        if isinstance(found, Observed):
            return found.value
    return None


def decode_flags(data: bytes) -> dict[str, _Setting]:
    """`--name=value` and `--name value`, NUL- or blank-separated. Raises `Malformed` where nothing looks like a flag."""
    text = data.decode("utf-8", "replace")
    words = [word.strip("\"'") for word in (text.split("\0") if "\0" in text else text.split())]
    flags: dict[str, _Setting] = {}
    for position, word in enumerate(words):
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        if not equals and position + 1 < len(words) and not words[position + 1].startswith("--"):
            value = words[position + 1]
        if name in ("max-pods", "container-runtime-endpoint", "hostname-override", "config", "config-dir"):
            flags[_FLAGS.get(name, name)] = _Setting(value.strip("\"'"), f"flag --{name}")
    if not any(word.startswith("--") for word in words):
        raise Malformed(f"no flags: {shown(data)!r}")
    return flags
