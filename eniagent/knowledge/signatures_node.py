"""Signatures of the node's own lines: plugin.log, kubelet and containerd lines that concern no single pod, aws-node's output."""

from __future__ import annotations

from eniagent.knowledge.signature import RUNTIMES, C, K, N, P, Role, Signature

_C, _E, _S, _OK, _NO = Role.CAUSE, Role.EFFECT, Role.STATE, Role.SUCCESS, Role.NOISE

NODE: tuple[Signature, ...] = (
    # plugin.log
    Signature("plugin-add", (P,), r"Received CNI add request: ContainerID\((?P<sandbox>[0-9a-f]+)\)(?:.*K8S_POD_NAMESPACE=(?P<namespace>[\w.-]+))?(?:.*K8S_POD_NAME=(?P<name>[\w.-]+))?", _S),
    Signature("plugin-ok", (P,), r"Received add network response from ipamd for container (?P<sandbox>[0-9a-f]+) interface .*Success:\s?true", _OK),
    Signature("plugin-no-address", (P,), r"Failed to assign an IP address to (?:container|pod) (?P<sandbox>[0-9a-f]*)", _E, "allocation-failures"),
    Signature("policy-agent-noise", (P,), r"Failed to connect to network policy agent: .* might not be running", _NO, versions="1.19"),
    Signature("plugin-policy", (P,), r"[Ff]ailed to set ?up (?:default )?network policy|Network ?[Pp]olicy agent (?:is )?not|network policy agent: context deadline exceeded", _C, "network-policy-agent-down"),
    Signature("plugin-ipamd-refused", (P,), r"Error received from (?P<call>Add|Del)Network (?:gRPC|grpc) call.*(?:connection refused|connect: no such file or directory|connection is unavailable|TransientFailure|wrong client version)|Failed to connect to backend server", _C, "ipamd-unreachable"),
    Signature("plugin-ipamd-timeout", (P,), r"Error received from (?P<call>Add|Del)Network (?:gRPC|grpc) call.*(?:i/o timeout|DeadlineExceeded)", _E, "ipamd-not-ready"),
    Signature("plugin-rpc", (P,), r"Error received from AddNetwork (?:gRPC|grpc) call for (?:containerID|pod) (?P<sandbox>[0-9a-f]+)(?P<detail>.*)", _E, "allocation-failures"),
    Signature("plugin-del-rpc", (P,), r"Error received from DelNetwork (?:gRPC|grpc) call(?P<detail>.*)", _E, "address-leaked"),
    Signature("plugin-setup", (P,), r"Failed SetupPodNetwork for container|add command: failed to setup network", _C, "pod-network-setup-failed"),
    Signature("plugin-release-failed", (P,), r"Failed to release IP of container", _C, "address-leaked"),
    Signature("egress-ipam", (P,), r"failed to get one ip address from host-local ipam|running IPAM plugin failed", _C, "host-local-exhausted"),
    # kubelet and containerd, of the node
    # containerd says so at every boot, before aws-node has written its file: no failure.
    Signature("boot-noise", RUNTIMES, r"failed to load cni during init", _NO),
    Signature("conflist-broken", RUNTIMES, r"error parsing configuration list|10-aws\.conflist.*unexpected end of JSON input", _S, "cni-not-initialized"),
    Signature("network-not-ready", RUNTIMES, r"NetworkPluginNotReady|[Nn]etwork plugin is not ready|cni plugin not initialized|cni config uninitialized", _E, "cni-not-initialized"),
    Signature("no-networks", RUNTIMES, r"[Nn]o networks? (?:config )?found in /etc/cni/net\.d|Unable to update cni config|cni config load failed", _E, "cni-not-initialized"),
    Signature("probe-failed", (K, "event"), r"(?P<probe>Readiness|Liveness) probe (?:failed|errored): .*(?::50051|ipamd\.sock|aws-node|failed to connect service|grpc_health)|(?P<probe2>Readiness|Liveness) probe .*aws-node|Probe failed\" probeType=\"(?P<probe3>Readiness|Liveness|Startup)\" pod=\"kube-system/aws-node-", _E, "ipamd-not-ready"),
    Signature("aws-node-backoff", (K, "event"), r"(?i:back-off) .*restarting failed container[= ]?\"?(?P<container>aws-node|aws-vpc-cni-init)|BackOff \S*aws-node-\w+ |container \"?aws-node\"? .*(?:CrashLoopBackOff|exit code 137)", _E, "ipamd-crashing"),
    Signature("aws-node-oom", (K, "kernel", "event"), r"(?:oom-kill|Out of memory|Killed process|OOMKilled).*(?:aws-k8s-agent|aws-node)", _C, "ipamd-crashing"),
    Signature("too-many-pods", (K, "event"), r"Too many pods|Insufficient pods|Node didn't have enough resource: pods|OutOfpods", _S, "max-pods-mismatch"),
    # Before its first pass kubelet prints 2562047h: no trouble.
    Signature("pleg", (K,), r"PLEG is not healthy(?:$|[^:]|: pleg was last seen active (?:\d{1,4}h)?(?:\d+m)?[\d.]+s)", _C, "not-ip-related"),
    Signature("shim-lost", (C,), r"shim disconnected|failed to (?:create|start) shim|shim exited", _S, "not-ip-related"),
    # aws-node's container output
    Signature("entrypoint-waiting", (N,), r"Retrying waiting for IPAM-D|Checking for IPAM connectivity|Waiting for IPAM", _S, "ipamd-not-ready"),
    Signature("entrypoint-stopped", (N,), r"Failed to wait for IPAM daemon|IPAMD stopped hence exiting|Timed out waiting for IPAM", _E, "ipamd-not-ready"),
    Signature("entrypoint-install-failed", (N,), r"Failed to install CNI binaries|Failed to copy 10-aws\.conflist|cp: .*(?:opt/cni/bin|10-aws)", _C, "cni-binary-broken"),
    Signature("entrypoint-imds", (N,), r"failed to retrieve local-ipv4 address in imds metadata", _C, "imds-unreachable"),
    Signature("entrypoint-copied", (N,), r"Successfully copied CNI plugin binary and config file|Copying config file", _OK),
)

