"""Where a text says what a name is: `K8S_POD_NAME=...`, `namespace="..."`, `kubernetes.io/cluster/...`, klog's and containerd's forms.

One table serves both ends: learning which names a node has, and replacing a name that is also a common word where it is meant as one.
Refuses to take prose for such a place: a name follows `=`, `:` or a quote, never a blank alone.
"""

from __future__ import annotations

from typing import NamedTuple

SEP = r"""(?:\\*["']\s{0,3}[:=]\s{0,3}(?:\\*["'\[]){0,2}|(?:=|:\s?(?:\\*["'\[]))(?:\\*["'\[]){0,2}|:)"""
"""Between a key and its value. A bare colon and a blank are prose: `on this node: from release ...`."""
LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
POD = rf"(?:{LABEL}/)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?"
UID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Context(NamedTuple):
    """`kind`: what the value is. `before` leads to it, `value` is its form, `after` must follow."""

    kind: str
    before: str
    value: str
    after: str = ""


CONTEXTS: tuple[Context, ...] = (
    Context("namespace", rf"(?:K8S_POD_NAMESPACE|k8sPodNamespace|io\.kubernetes\.pod\.namespace|[Pp]od_?[Nn]amespace|POD_NAMESPACE|pod_ns|namespace|Namespace){SEP}", LABEL),
    Context("pod", rf"(?:K8S_POD_NAME|k8sPodName|io\.kubernetes\.pod\.name|[Pp]od_?[Nn]ame|POD_NAME|[^A-Za-z0-9_.-]pod|podRef|[Pp]od found){SEP}", POD),
    Context("pod", r"\bPod found ", POD),
    Context("pod", r"PodSandboxMetadata\{Name:", POD, ",Uid:"),
    Context("node", rf"(?:MY_NODE_NAME|nodeName|node_name|NODE_NAME|_HOSTNAME|hostname-override|local-hostname|[^A-Za-z0-9_.-]node){SEP}", HOST),
    Context("node", r"Get Node Info for: ", HOST),
    Context("name", rf"(?:CLUSTER_NAME|cluster-name|cluster_name|clusterName|cluster\.k8s\.amazonaws\.com/name|nodegroup|nodegroup-name|nodegroup_name|io\.kubernetes\.container\.name|GroupName|groupName|KeyName|[Uu]ser[Nn]ame|[Rr]oleName|instanceProfileName|eniconfig|ENIConfig|eniConfigName|eks:cluster-name){SEP}", r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"),
    Context("name", r"""[Ee][Nn][Ii]Config(?:s?\.crd\.k8s\.amazonaws\.com)?:?\s\\*["']""", r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"),
    Context("name", r"kubernetes\.io/cluster/", r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"),
    Context("name", r"iam/security-credentials/", r"[A-Za-z0-9+=,.@_-]+"),
    Context("name", r"""\\*"Key\\*"\s*:\s*\\*"(?:Name|[A-Za-z0-9:/._-]*[Nn]ame)\\*"\s*,\s*\\*"Value\\*"\s*:\s*\\*\"""", r"[^\"\\]+"),
    Context("image", r"""\\*"image(?:Ref)?\\*"\s*:\s*\\*\"""", r"[A-Za-z0-9][^\"\\\s]+"),
    Context("account", rf"(?i:(?:account|owner|requester)[_-]?id){SEP}", r"[0-9]{12}"),
    Context("account", r"(?:arn:aws[a-z-]*:[a-z0-9-]*:[a-z0-9-]*:)", r"[0-9]{12}"),
    Context("service", r"""--comment \\*["']?""", rf"{LABEL}/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"),
)

SCATTERED: tuple[tuple[str, str], ...] = (
    ("pods", r"""pods=\[[^\]]*\]"""),
    ("pod_ns", rf"[a-z0-9][a-z0-9.-]*_{LABEL}\({UID}\)"),
    ("ns_pod", rf"/var/log/(?:pods|containers)/{LABEL}_[a-z0-9][a-z0-9.-]*_{UID}"),
    ("registry", r"[0-9]{12}\.dkr\.ecr"),
)
"""Further places from which names are learnt; the names are then replaced wherever they stand."""
