"""Signatures of a failed sandbox: the inner error that kubelet, containerd, docker or an event quotes.

Refuses to read the outer wrapping (`RunPodSandbox ... failed`): every owner's failure looks alike there.
"""

from __future__ import annotations

from eniagent.knowledge.signature import RUNTIMES, P, Role, Signature

_C, _E = Role.CAUSE, Role.EFFECT
_R = (*RUNTIMES, P)
_OTHER_CNIS = r"calico|cilium|weave|flannel|multus|antrea|kube-router|ovn|azure|canal|romana|bridge|ptp|macvlan|ipvlan|host-device|sriov|whereabouts|istio-cni|linkerd-cni|portmap|bandwidth|tuning|generic-veth|mizar|kube-ovn|nuage|contiv|galaxy|terway|azure-vnet|gke|submariner|spiderpool|tungsten|contrail"

FAILURE: tuple[Signature, ...] = (
    Signature("plugin-missing", _R, r"failed to find plugin \\*\"(?P<plugin>[\w.-]+)\\*\"|no such file or directory: \S*/opt/cni/bin/aws-cni|fork/exec /opt/cni/bin/aws-cni: no such file", _C, "cni-binary-broken"),
    Signature("plugin-not-executable", _R, r"exec format error|fork/exec /opt/cni/bin/\S+: permission denied|text file busy|netplugin failed with no error message: (?:fork|exec)|version `GLIBC_\S+' not found|error while loading shared libraries", _C, "cni-binary-broken"),
    Signature("cni-uninitialized", _R, r"cni plugin not initialized|cni config uninitialized|[Nn]o networks? (?:config )?found in /etc/cni/net\.d|cni config load failed", _C, "cni-not-initialized"),
    Signature("policy-agent", _R, r"failed to setup network policy|failed to connect to network policy agent", _C, "network-policy-agent-down"),
    Signature("host-local-full", _R, r"failed to allocate for range \d+|no IP addresses available in range set", _C, "host-local-exhausted"),
    Signature("imds-in-add", _R, r"AddNetwork (?:gRPC|grpc) call.*(?:ec2imds|169\.254\.169\.254|instance metadata)", _C, "imds-unreachable"),
    Signature("version-skew-add", _R, r"wrong client version", _C, "ipamd-unreachable"),
    Signature("ipamd-never-served", _R, r"dial unix /var/run/aws-node/ipamd\.sock: connect: no such file or directory", _C, "ipamd-unreachable", versions=">=1.23"),
    Signature("ipamd-refused", _R, r"(?:dial tcp 127\.0\.0\.1:50051|dial unix /var/run/aws-node/ipamd\.sock): connect: (?:connection refused|permission denied)|127\.0\.0\.1:50051|aws-node/ipamd\.sock|AddNetwork (?:gRPC|grpc) call.*(?:code = Unavailable|connection is unavailable)|failed to connect to backend server|grpc: the connection is unavailable", _C, "ipamd-unreachable"),
    Signature("add-rpc-failed", _R, r"Error received from AddNetwork (?:gRPC|grpc) call(?P<detail>.*)", _E, "allocation-failures"),
    Signature("branch-eni-missing", _R, r"vpc\.amazonaws\.com/pod-eni|branch ENI|SetupBranchENIPodNetwork|failed to setup vlan", _C, "branch-eni-unavailable"),
    Signature("no-address", _R, r"add cmd: [Ff]ailed to assign an IP address to (?:container|pod)", _E, "allocation-failures"),
    Signature("setup-network", _R, r"add command: failed to setup network|SetupPodNetwork|setup NS network|setupNS|failed to setup veth pair|failed to move veth|failed to Statfs \\*\"/proc/\d+/ns|unknown FS magic on \\*\"/proc/\d+/ns", _C, "pod-network-setup-failed"),
    # Windows nodes: the address came from the VPC resource controller, the host network service refuses the endpoint.
    Signature("windows-setup", _R, r"hnsCall failed|HNS failed|hcsshim|failed to find endpoint|plugin type=\\*\"vpc-(?:shared-eni|branch-eni|bridge)", _C, "pod-network-setup-failed"),
    Signature("egress-setup", _R, r"plugin type=\\*\"egress-(?:cni|v4-cni)\\*\"", _C, "pod-network-setup-failed"),
    Signature("other-cni", _R, r"(?:plugin type=\\*\"|name=\\*\")(?P<cni>" + _OTHER_CNIS + r")|(?i:calico|cilium|weave-net|weave net|flannel|multus|antrea|kube-ovn|whereabouts)\b|127\.0\.0\.1:6784|/run/flannel/subnet\.env|/var/lib/calico/nodename|Failed to get IPv6 addresses for container veth", _C, "not-ip-related"),
    # What the runtime makes of a plugin's answer: versions that do not fit, or an answer that is empty.
    Signature("cni-result", _R, r"unsupported CNI result version|incompatible CNI versions|cannot convert: no valid IP addresses|failed to find network info for sandbox|error converting CNI result|network: unexpected end of JSON input|failed to parse CNI result", _C, "not-ip-related"),
    Signature("image", _R, r"failed to (?:get|pull)(?: and unpack)? (?:sandbox )?image|ImagePull|pause(?:-\w+)?:\d|failed pulling image|/v2/\S+/manifests/|no basic auth credentials|pull access denied|failed to resolve reference", _C, "not-ip-related"),
    Signature("oci-runtime", _R, r"OCI runtime|shim task|runc create|container init|seccomp|apparmor|cgroup|failed to start sandbox container|failed to create containerd task|failed to reserve sandbox name|shm|mount|no space left on device|getting the final child's pid|containerd: (?:container|context)|failed to (?:create|start) shim|shim (?:exited|disconnected)|user namespaces?|SELinux|hugetlb|no such device|disk quota|input/output error|too many open files|fork/exec \S*runc|cannot allocate memory|resource temporarily unavailable|failed to get runtime|no runtime for|RuntimeHandler|RuntimeClass", _C, "not-ip-related"),
    Signature("runtime-slow", _R, r"code = DeadlineExceeded|context deadline exceeded|operation timeout|name \S+ is reserved for", _C, "not-ip-related"),
    Signature("runtime-down", _R, r"containerd\.sock|docker\.sock|Cannot connect to the Docker daemon|is docker running|error reading from server: EOF|crio\.sock|transport is closing", _C, "not-ip-related"),
)
OTHER_FAILURE = "sandbox-failed"
"""The id for a failure text that no signature names."""
