"""ipamd's environment: the allow-listed variables of the aws-k8s-agent process.

Refuses every name that is not on the list: an environment holds tokens and customers' own data (`ADDITIONAL_ENI_TAGS`,
proxies with passwords), and no rule needs them.
Source: amazon-vpc-cni-k8s v1.23.1, README and ipamd.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eniagent.model.capture import Seen
from eniagent.model.cni import Environment
from eniagent.model.probe import Probe, ReadEnvironment
from eniagent.model.reading import Observed, Reading, T, Unobserved, Why
from eniagent.sources import Span
from eniagent.sources.captured import Malformed, as_text, json_value, object_of, reading

SOURCE = "ipamd environment"
FILE = "ipamd/env.json"
PROCESS = "aws-k8s-agent"

ALLOWED: tuple[str, ...] = (
    "ANNOTATE_POD_IP",
    "AWS_EC2_ENDPOINT",
    "AWS_EXTERNAL_SERVICE_CIDRS",
    "AWS_MANAGE_ENIS_NON_SCHEDULABLE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_VPC_CNI_NODE_PORT_SUPPORT",
    "AWS_VPC_ENI_MTU",
    "AWS_VPC_K8S_CNI_BACKING_STORE",
    "AWS_VPC_K8S_CNI_CONFIGURE_RPFILTER",
    "AWS_VPC_K8S_CNI_CONNMARK",
    "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG",
    "AWS_VPC_K8S_CNI_EXCLUDE_SNAT_CIDRS",
    "AWS_VPC_K8S_CNI_EXTERNALSNAT",
    "AWS_VPC_K8S_CNI_LOGLEVEL",
    "AWS_VPC_K8S_CNI_LOG_FILE",
    "AWS_VPC_K8S_CNI_RANDOMIZESNAT",
    "AWS_VPC_K8S_CNI_VETHPREFIX",
    "AWS_VPC_K8S_EGRESS_V4_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_EGRESS_V6_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_FILE",
    "AWS_VPC_K8S_PLUGIN_LOG_LEVEL",
    "CLUSTER_ENDPOINT",
    "CLUSTER_NAME",
    "DISABLE_INTROSPECTION",
    "DISABLE_LEAKED_ENI_CLEANUP",
    "DISABLE_METRICS",
    "DISABLE_NETWORK_RESOURCE_PROVISIONING",
    "DISABLE_POD_V6",
    "DISABLE_TCP_EARLY_DEMUX",
    "ENABLE_BANDWIDTH_PLUGIN",
    "ENABLE_IMDS_ONLY_MODE",
    "ENABLE_IPv4",
    "ENABLE_IPv6",
    "ENABLE_MULTI_NIC",
    "ENABLE_NFTABLES",
    "ENABLE_POD_ENI",
    "ENABLE_PREFIX_DELEGATION",
    "ENABLE_SUBNET_DISCOVERY",
    "ENABLE_V4_EGRESS",
    "ENABLE_V6_EGRESS",
    "ENI_CONFIG_ANNOTATION_DEF",
    "ENI_CONFIG_LABEL_DEF",
    "HTTP_TIMEOUT",
    "INTROSPECTION_BIND_ADDRESS",
    "IP_COOLDOWN_PERIOD",
    "MANAGE_UNTAGGED_ENI",
    "MAX_ENI",
    "MINIMUM_IP_TARGET",
    "MY_NODE_NAME",
    "MY_POD_NAME",
    "NETWORK_POLICY_ENFORCING_MODE",
    "NO_PROXY",
    "POD_MTU",
    "POD_SECURITY_GROUP_ENFORCING_MODE",
    "VPC_CNI_VERSION",
    "WARM_ENI_TARGET",
    "WARM_IP_TARGET",
    "WARM_PREFIX_TARGET",
)

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
"""What Go's `strconv.ParseBool` takes for true."""


def plan(seen: Seen) -> Sequence[Probe]:
    """The environment of the running ipamd."""
    return () if FILE in seen else (ReadEnvironment(file=FILE, process=PROCESS, allowed=ALLOWED),)


def read(seen: Seen, span: Span) -> Reading[Environment]:
    """The allowed variables. An environment without any of them is not ipamd's, thus malformed."""
    return reading(seen, file=FILE, source=SOURCE, decode=decode)


def decode(data: bytes) -> Environment:
    """A JSON object of names and values. Raises `Malformed`."""
    document = object_of(json_value(data), what="environment")
    values = {name: as_text(document[name]) for name in ALLOWED if name in document}
    if not values:
        raise Malformed("holds none of ipamd's variables")
    return Environment(values=values)


def is_true(values: Mapping[str, str], name: str) -> bool:
    """A boolean variable as ipamd reads it; absent or not a boolean is false."""
    return values.get(name, "") in _TRUE


def or_disabled(found: Reading[T], seen: Seen, *, switch: str) -> Reading[T]:
    """`found`, or *disabled* where the port refused and ipamd's own environment says that it should."""
    if not isinstance(found, Unobserved) or found.why is not Why.REFUSED:
        return found
    told = reading(seen, file=FILE, source=SOURCE, decode=decode)
    if isinstance(told, Observed) and is_true(told.value.values, switch):
        return Unobserved(why=Why.DISABLED, source=found.source, at=found.at, detail=f"{switch}=true")
    return found
