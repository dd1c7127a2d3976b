"""The CNI's effective settings, each with where it is known from.

Refuses to assume a default for what nothing told: such a setting is None, and rules that need it stay inconclusive.
"""

from __future__ import annotations

from typing import Optional

import msgspec

from eniagent.model.reading import Observed
from eniagent.model.snapshot import NodeSnapshot

COOLDOWN_DEFAULT_S = 30
"""IP_COOLDOWN_PERIOD's default, hard-coded before 1.15. Source: data_store.go."""


class Effective(msgspec.Struct, frozen=True):
    """None: nothing told. `origin`: setting -> where it is from."""

    warm_ip: Optional[int] = None
    minimum_ip: Optional[int] = None
    warm_eni: Optional[int] = None
    warm_prefix: Optional[int] = None
    max_eni: Optional[int] = None
    prefix: Optional[bool] = None
    ipv6: Optional[bool] = None
    custom_networking: Optional[bool] = None
    pod_eni: Optional[bool] = None
    subnet_discovery: Optional[bool] = None
    manage_non_schedulable: Optional[bool] = None
    provisioning_disabled: Optional[bool] = None
    policy_mode: str = ""
    veth_prefix: str = "eni"
    cooldown_s: int = COOLDOWN_DEFAULT_S
    origin: dict[str, str] = {}


_INTS = {"warm_ip": "WARM_IP_TARGET", "minimum_ip": "MINIMUM_IP_TARGET", "warm_eni": "WARM_ENI_TARGET", "warm_prefix": "WARM_PREFIX_TARGET", "max_eni": "MAX_ENI"}
_BOOLS = {
    "prefix": "ENABLE_PREFIX_DELEGATION",
    "ipv6": "ENABLE_IPv6",
    "custom_networking": "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "pod_eni": "ENABLE_POD_ENI",
    "subnet_discovery": "ENABLE_SUBNET_DISCOVERY",
    "manage_non_schedulable": "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    "provisioning_disabled": "DISABLE_NETWORK_RESOURCE_PROVISIONING",
}
_WHEN_UNSET: dict[str, int] = {"warm_ip": 0, "minimum_ip": 0, "warm_eni": 1, "warm_prefix": 0}
"""ipamd's own defaults, valid only where its whole environment was read. Source: ipamd.go."""
_POOL_MANAGER = {"warm_ip": "warm_ip", "warm_prefix": "warm_prefix", "warm_eni": "warm_eni", "minimum_ip": "minimum_ip"}


def parse_bool(text: str) -> Optional[bool]:
    """Go's ParseBool."""
    if text in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if text in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    return None


def _parse_int(text: str) -> Optional[int]:
    try:
        return int(text)
    except ValueError:
        return None


def effective(now: NodeSnapshot) -> Effective:
    """Environment first, then introspection, then the pool manager's log line, then what the pool's shape shows."""
    told: dict[str, object] = {}
    origin: dict[str, str] = {}

    def tell(name: str, value: object, source: str) -> None:
        if value is not None and name not in told:
            told[name], origin[name] = value, source

    if isinstance(now.environment, Observed):
        _from_environment(now.environment.value.values, tell)
    if isinstance(now.settings, Observed):
        _from_values(now.settings.value.values, tell, "ipamd settings endpoint")
    if isinstance(now.ipamd_log, Observed):
        for event in reversed(now.ipamd_log.value.events):
            if event.signature == "pool-manager":
                for name, field in _POOL_MANAGER.items():
                    tell(name, _parse_int(event.fields.get(field, "")), "ipamd.log")
                break
        told_custom = [e.fields.get("on", "true") for e in now.ipamd_log.value.events if e.signature == "custom-networking"]
        if told_custom:
            tell("custom_networking", "true" in told_custom, "ipamd.log")
    if isinstance(now.ipam, Observed):
        cidrs = [c for p in now.ipam.value.pools for e in p.enis for c in e.cidrs]
        if cidrs:
            tell("ipv6", any(c.network.version == 6 for c in cidrs), "ipamd /v1/enis")
            tell("prefix", all(c.is_prefix for c in cidrs), "ipamd /v1/enis")
    return Effective(origin=origin, **told)  # type: ignore[arg-type]


def _from_values(values: dict[str, str], tell: object, source: str) -> None:
    assert callable(tell)
    for name, variable in _INTS.items():
        if variable in values:
            tell(name, _parse_int(values[variable]), source)
    for name, variable in _BOOLS.items():
        if variable in values:
            tell(name, parse_bool(values[variable]), source)
    if values.get("AWS_VPC_K8S_CNI_VETHPREFIX"):
        tell("veth_prefix", values["AWS_VPC_K8S_CNI_VETHPREFIX"], source)


def _from_environment(values: dict[str, str], tell: object) -> None:
    assert callable(tell)
    source = "ipamd environment"
    _from_values(values, tell, source)
    if values.get("NETWORK_POLICY_ENFORCING_MODE"):
        tell("policy_mode", values["NETWORK_POLICY_ENFORCING_MODE"], source)
    tell("cooldown_s", _parse_int(values.get("IP_COOLDOWN_PERIOD", "")), source)
    for name, default in _WHEN_UNSET.items():
        tell(name, default, source + " (unset)")
    for name in ("prefix", "ipv6", "custom_networking", "pod_eni"):
        tell(name, False, source + " (unset)")
