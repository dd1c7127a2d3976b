"""Signatures of kubectl events, of the cluster's controllers, and of other programs whose words look like the VPC CNI's.

Refuses to blame ipamd for what another owner prints: each entry names the program that it was read from.
"""

from __future__ import annotations

from eniagent.knowledge.signature import Role, Signature

_C, _E, _S, _NO = Role.CAUSE, Role.EFFECT, Role.STATE, Role.NOISE
EVENT, NPA, CILIUM, HELPER, OTHER = "event", "npa", "cilium", "metrics-helper", "other"
OTHER_CNI = "other-cni"

OTHERS: tuple[Signature, ...] = (
    # Events of the VPC resource controller: the pod's branch ENI and the node's trunk. Source: amazon-vpc-resource-controller-k8s.
    Signature("trunk-refused", (EVENT,), r"TrunkENICreationFailed|Failed to create trunk interface|NodeTrunkFailedInit|failed to (?:create|get|init\w*) trunk", _C, "branch-eni-unavailable"),
    Signature("branch-refused", (EVENT,), r"BranchENIAnnotationFailed|BranchAllocationFailed|failed to (?:annotate pod with|allocate|create) branch ENI|BranchENICoolDown|Insufficient vpc\.amazonaws\.com/pod-eni", _C, "branch-eni-unavailable"),
    Signature("branch-requested", (EVENT,), r"SecurityGroupRequested|Pod will get the following Security Groups", _S, "branch-eni-unavailable"),
    # The network policy agent, a container beside aws-node. Source: aws-network-policy-agent.
    Signature("npa-attach-failed", (NPA,), r"Failed to attach eBPF probes|failed to load progs|[Ff]ailed to [Ll]oad the prog|Not found any interface starting with prefixes|failed to load eBPF|unable to load eBPF|[Ff]ailed to (?:create|update|attach|pin)\b.*(?:BPF|bpf|map)|mount bpf|/sys/fs/bpf", _C, "network-policy-agent-down"),
    Signature("npa-stopped", (NPA,), r"Stopping and waiting for (?:non )?leader election runnables|problem running manager|unable to (?:set up|start) (?:manager|policy)|Wait completed, proceeding to shutdown", _C, "network-policy-agent-down"),
    Signature("npa-forbidden", (NPA,), r"policyendpoints\.networking\.k8s\.aws is forbidden|[Ff]ailed to (?:watch|list) \*v1alpha1\.PolicyEndpoint", _C, "network-policy-agent-down"),
    Signature("npa-backoff", (EVENT, "kubelet"), r"(?i:back-off) .*restarting failed container[= ]?\"?aws-eks-nodeagent", _C, "network-policy-agent-down"),
    # Cilium's ENI mode meets the same instance, with the same limits.
    Signature("eni-addresses-exceeded", (CILIUM, OTHER, "ipamd"), r"InvalidInterface\.IpAddressLimitExceeded|Address count \d+ on interface\S* exceeds the limit for (?P<type>[\w.]+)", _C, "eni-limit-reached"),
    # Events of a pod whose sandbox stands: volumes, images, containers.
    Signature("other-owner", (EVENT,), r"^(?:FailedMount|FailedAttachVolume|FailedMapVolume|ErrImage\w+|InspectFailed|Failed|FailedPostStartHook|FailedPreStopHook|Evicted|CreateContainer\w+) ", _C, "not-ip-related"),
    # Other CNIs' own daemons.
    Signature("other-cni-log", (CILIUM, OTHER_CNI), r"(?i:error|fail|refused|unable|unauthorized|no such|timed? ?out|cannot|panic)", _S, "not-ip-related"),
    # Controllers that use credentials of their own.
    Signature("other-credentials", (OTHER,), r"WebIdentityErr|AccessDenied|UnauthorizedOperation|NoCredentialProviders|is not authorized to perform", _C, "not-ip-related"),
    # Tables and documents of a paste, recognised by their shape and not by a pattern.
    Signature("pool-piece", (), r"\"TotalIPs\"", _S),
    Signature("counters-contradict", (), r"\"AssignedIPs\"", _C, "address-leaked"),
    Signature("ip-rule", (), r"lookup", _S),
    Signature("subnet-free", (), r"AvailableIpAddressCount", _S),
    Signature("node-cordoned", (), r"node\.kubernetes\.io/unschedulable", _S),
    Signature("aws-node-not-placed", (), r"aws-node-\S+ .* Pending", _C, "ipamd-not-ready"),
    Signature("aws-node-unready", (), r"aws-node-\S+ .* Running", _E, "ipamd-not-ready"),
)

FALLBACKS: tuple[Signature, ...] = (
    # Never matched: given where a failure text is whole and nobody's words are in it, or where it ends before its inner error.
    Signature("foreign-error", (), r"failed to set ?up network for sandbox", _C, "not-ip-related"),
    Signature("failure-cut", (), r"failed to set ?up network for sandbox", _E),
)
