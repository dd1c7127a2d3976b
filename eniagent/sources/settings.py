"""Effective settings that ipamd's introspection tells: two env-settings endpoints and the ENIConfig in use.

Refuses to fill in defaults: a key that no endpoint names is absent. `MINIMUM_IP_TARGET`, prefix delegation and `MAX_ENI` are
in no endpoint of any release; the environment has them.
Source: amazon-vpc-cni-k8s v1.23.1, introspect.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eniagent.model.capture import Seen
from eniagent.model.cni import Settings
from eniagent.model.probe import HttpGet, Probe
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span, environment
from eniagent.sources.captured import Malformed, as_text, kind_of, last_json_value, object_of, reading

SOURCE = "ipamd settings"
IPAMD = "ipamd/ipamd-env-settings.json"
NETWORK = "ipamd/networkutils-env-settings.json"
ENI_CONFIGS = "ipamd/eni-configs.json"

_PATHS = {
    IPAMD: "/v1/ipamd-env-settings",
    NETWORK: "/v1/networkutils-env-settings",
    ENI_CONFIGS: "/v1/eni-configs",
}


def plan(seen: Seen) -> Sequence[Probe]:
    """Three GETs."""
    return tuple(HttpGet(file=file, service="introspection", path=path) for file, path in _PATHS.items() if file not in seen)


def read(seen: Seen, span: Span) -> Reading[Settings]:
    """What the endpoints say together. Observed as soon as one of the env-settings answered; `incomplete` names the others."""
    tables = [reading(seen, file=file, source=SOURCE, decode=decode_table) for file in (IPAMD, NETWORK)]
    config = reading(seen, file=ENI_CONFIGS, source=SOURCE, decode=decode_eni_config)
    told = [table for table in tables if isinstance(table, Observed)]
    if not told:
        # A look that was tried says more than one that nobody took.
        refusals = [table for table in tables if isinstance(table, Unobserved)]
        first = min(refusals, key=lambda refusal: refusal.why is Why.NOT_COLLECTED)
        return environment.or_disabled(first, seen, switch="DISABLE_INTROSPECTION")
    values: dict[str, str] = {}
    for table in told:
        values.update(table.value)
    looks: list[tuple[str, Reading[Any]]] = [*zip((IPAMD, NETWORK), tables), (ENI_CONFIGS, config)]
    return Observed(
        value=Settings(
            values=values,
            eni_config=config.value if isinstance(config, Observed) else None,
            incomplete=tuple(_missing(_PATHS[file], found) for file, found in looks if isinstance(found, Unobserved)),
        ),
        source=SOURCE,
        at=told[0].at,
    )


def _missing(path: str, found: Unobserved) -> str:
    return f"{path}: {found.why.value}" + (f" ({found.detail})" if found.detail else "")


def decode_table(data: bytes) -> dict[str, str]:
    """One env-settings document as text values. Raises `Malformed`."""
    document = object_of(last_json_value(data), what="env-settings")
    if "AvailableCommands" in document:
        raise Malformed("the root document (AvailableCommands) came instead of env-settings")
    if not document:
        raise Malformed("env-settings names no setting")
    return {key: as_text(value) for key, value in document.items()}


def decode_eni_config(data: bytes) -> str:
    """The ENIConfig's name: a bare string since 1.8, `MyENI` of an object before. Raises `Malformed`."""
    document = last_json_value(data)
    if isinstance(document, dict) and "AvailableCommands" not in document and isinstance(document.get("MyENI"), str):
        return str(document["MyENI"])
    if not isinstance(document, str):
        raise Malformed(f"eni-configs: a name was expected, not {kind_of(document)}")
    return document
