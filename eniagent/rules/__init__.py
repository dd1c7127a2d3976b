"""One file per root cause, symptom or advice. Each exports `RULE`; a rule judges a case's facts and keeps no memory."""

from __future__ import annotations

import functools
import importlib

from eniagent.rules.rule import Rule

CAUSES = (
    "subnet_exhausted", "subnet_fragmented", "eni_limit_reached", "max_pods_mismatch", "warm_pool_lag", "cooldown_starved",
    "ec2_throttled", "eni_attach_failed", "iam_denied", "imds_unreachable", "aws_api_unreachable", "apiserver_unreachable",
    "ipamd_not_ready", "ipamd_crashing", "ipamd_unreachable", "eniconfig_invalid", "branch_eni_unavailable",
    "instance_limits_unknown", "address_leaked", "imds_out_of_sync", "eni_lost", "cni_not_initialized", "cni_binary_broken",
    "host_local_exhausted", "pod_network_setup_failed", "pod_route_missing", "ipv6_misconfigured", "network_policy_agent_down",
    "not_ip_related", "warm_targets_misconfigured",
)
SYMPTOMS = ("allocation_failures", "pool_exhausted", "slow_pod_start")
ADVICE = ("prefix_mode_advised", "utilization_high")


@functools.lru_cache(maxsize=1)
def registry() -> tuple[Rule, ...]:
    """All rules. Their order carries no meaning (law L3)."""
    return tuple(importlib.import_module(f"eniagent.rules.{name}").RULE for name in (*CAUSES, *SYMPTOMS, *ADVICE))


def rule(code: str) -> Rule:
    """The rule of one code. Raises `KeyError`."""
    return {r.code: r for r in registry()}[code]
