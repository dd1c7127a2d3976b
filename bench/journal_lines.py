"""What kubelet, containerd and docker print when a pod sandbox fails: one builder per generation, and healthy noise.

Refuses to know how the agent reads them: the wordings follow the programs, so that a reader can be wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

KUBELET, CONTAINERD = "kubelet", "containerd"
ADDRESS = "add cmd: failed to assign an IP address to container"
RANGE = "failed to allocate for range 0: no IP addresses available in range set: 169.254.172.1-169.254.175.254"
REFUSED = 'add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:50051: connect: connection refused"'


class Attempt(NamedTuple):
    """One failed ADD."""

    namespace: str
    name: str
    uid: str
    sandbox: str
    text: str


class Line(NamedTuple):
    """One journal entry to be: `head` is klog's file and line, "" for containerd; `severity` klog's letter."""

    program: str
    severity: str
    head: str
    text: str


def quoted(text: str) -> str:
    """Go's %q, for the ASCII that these lines hold."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def setup_network(a: Attempt) -> list[Line]:
    """kubelet 1.4 to 1.6: SetupNetworkError. No sandbox id."""
    full = f"{a.name}_{a.namespace}({a.uid})"
    inner = f'Failed to setup network for pod "{full}" using network plugins "cni": {a.text}; Skipping pod'
    return [
        Line(KUBELET, "E", "cni.go:209", f"Error while adding to cni network: {a.text}"),
        Line(KUBELET, "E", "docker_manager.go:2201", inner),
        Line(KUBELET, "E", "pod_workers.go:184", f'Error syncing pod {a.uid}, skipping: failed to "SetupNetwork" for "{a.name}_{a.namespace}" with SetupNetworkError: {quoted(inner)}'),
    ]


def _text_lines(a: Attempt, error: str) -> list[Line]:
    full = f"{a.name}_{a.namespace}({a.uid})"
    inner = f"CreatePodSandbox for pod {quoted(full)} failed: {error}"
    return [
        Line(KUBELET, "E", "remote_runtime.go:92", f"RunPodSandbox from runtime service failed: {error}"),
        Line(KUBELET, "E", "kuberuntime_sandbox.go:54", inner),
        Line(KUBELET, "E", "kuberuntime_manager.go:646", "c" + inner[1:]),
        Line(KUBELET, "E", "pod_workers.go:186", f'Error syncing pod {a.uid} ("{full}"), skipping: failed to "CreatePodSandbox" for "{full}" with CreatePodSandboxError: {quoted(inner)}'),
    ]


def docker_text(a: Attempt) -> list[Line]:
    """kubelet 1.8 to 1.13 with docker. No sandbox id."""
    return _text_lines(a, f'rpc error: code = Unknown desc = NetworkPlugin cni failed to set up pod "{a.name}_{a.namespace}" network: {a.text}')


def docker_sandbox(a: Attempt) -> list[Line]:
    """kubelet 1.14 to 1.20 with docker: sandbox id, and the clean-up's error in the same brackets."""
    network = f'network for pod "{a.name}": networkPlugin cni failed to'
    return _text_lines(
        a,
        f'rpc error: code = Unknown desc = [failed to set up sandbox container "{a.sandbox}" {network} set up pod "{a.name}_{a.namespace}" network: {a.text}, '
        f'failed to clean up sandbox container "{a.sandbox}" {network} teardown pod "{a.name}_{a.namespace}" network: {a.text}]',
    )


def containerd_text(a: Attempt) -> list[Line]:
    """kubelet to 1.20 with containerd to 1.5: klog text, no plugin named."""
    return [_runtime(a, f'failed to setup network for sandbox "{a.sandbox}": {a.text}'), *_text_lines(a, f'rpc error: code = Unknown desc = failed to setup network for sandbox "{a.sandbox}": {a.text}')]


def _structured(a: Attempt, error: str, remote: str, uid: str) -> list[Line]:
    full = f"{a.name}_{a.namespace}({a.uid})"
    wrapped = f"Failed to create sandbox for pod {quoted(full)}: {error}"
    worker = f'failed to "CreatePodSandbox" for {quoted(full)} with CreatePodSandboxError: {quoted(wrapped)}'
    pod = f'pod="{a.namespace}/{a.name}"'
    return [
        Line(KUBELET, "E", remote, f'"RunPodSandbox from runtime service failed" err={quoted(error)}'),
        Line(KUBELET, "E", "kuberuntime_sandbox.go:72", f'"Failed to create sandbox for pod" err={quoted(error)} {pod}'),
        Line(KUBELET, "E", "kuberuntime_manager.go:1182", f'"CreatePodSandbox for pod failed" err={quoted(error)} {pod}'),
        Line(KUBELET, "E", "pod_workers.go:1300", f'"Error syncing pod, skipping" err={quoted(worker)} {pod} {uid}'),
    ]


def structured_old(a: Attempt) -> list[Line]:
    """kubelet 1.21 to 1.23 with containerd 1.4, structured klog, podUID bare."""
    error = f'failed to setup network for sandbox "{a.sandbox}": {a.text}'
    return [_runtime(a, error), *_structured(a, f"rpc error: code = Unknown desc = {error}", "remote_runtime.go:116", f"podUID={a.uid}")]


def structured_plugin(a: Attempt) -> list[Line]:
    """kubelet 1.24 to 1.29 with containerd 1.6 and later: the plugin is named."""
    error = f'plugin type="aws-cni" name="aws-cni" failed (add): {a.text}'
    error = f'failed to setup network for sandbox "{a.sandbox}": {error}'
    return [_runtime(a, error), *_structured(a, f"rpc error: code = Unknown desc = {error}", "remote_runtime.go:193", f'podUID="{a.uid}"')]


def structured_cri_client(a: Attempt) -> list[Line]:
    """kubelet 1.30 and later: the first line comes from cri-client's log.go; the recorder's combined event follows."""
    error = f'plugin type="aws-cni" name="aws-cni" failed (add): {a.text}'
    error = f'failed to setup network for sandbox "{a.sandbox}": {error}'
    event = f"(combined from similar events): Failed to create pod sandbox: rpc error: code = Unknown desc = {error}"
    lines = [_runtime(a, error), *_structured(a, f"rpc error: code = Unknown desc = {error}", "log.go:32", f'podUID="{a.uid}"')]
    return [*lines, Line(KUBELET, "I", "event.go:389", f'"Event occurred" object="{a.namespace}/{a.name}" fieldPath="" kind="Pod" apiVersion="v1" type="Warning" reason="FailedCreatePodSandBox" message={quoted(event)}')]


def _runtime(a: Attempt, error: str) -> Line:
    meta = f"&PodSandboxMetadata{{Name:{a.name},Uid:{a.uid},Namespace:{a.namespace},Attempt:0,}}"
    return Line(CONTAINERD, "E", "", f'level=error msg="RunPodSandbox for {meta} failed, error" error={quoted(error)}')


GENERATIONS: dict[str, Callable[[Attempt], list[Line]]] = {
    "setup-network": setup_network,
    "docker-text": docker_text,
    "docker-sandbox": docker_sandbox,
    "containerd-text": containerd_text,
    "structured-old": structured_old,
    "structured-plugin": structured_plugin,
    "structured-cri-client": structured_cri_client,
}
WITHOUT_SANDBOX = ("setup-network", "docker-text")


def _hex(rng: random.Random, digits: int) -> str:
    return f"{rng.getrandbits(digits * 4):0{digits}x}"


def _uid(rng: random.Random) -> str:
    raw = _hex(rng, 32)
    return f"{raw[:8]}-{raw[8:12]}-4{raw[13:16]}-a{raw[17:20]}-{raw[20:]}"


def attempt(rng: random.Random, pods: Sequence[tuple[str, str, str]], texts: Sequence[str]) -> Attempt:
    """A failed ADD of one of `pods` (namespace, name, uid)."""
    namespace, name, uid = rng.choice(pods)
    return Attempt(namespace, name, uid, _hex(rng, 64), rng.choice(texts))


def some_pods(rng: random.Random, count: int, prefix: str) -> list[tuple[str, str, str]]:
    """Pods as a Deployment names them."""
    return [(rng.choice(("default", "payments", "team-a")), f"{prefix}-{_hex(rng, 10)}-{i:05d}", _uid(rng)) for i in range(count)]


def kubelet_noise(rng: random.Random, pods: Sequence[tuple[str, str, str]]) -> Line:
    """A healthy line, as often as a busy node prints it."""
    namespace, name, uid = rng.choice(pods)
    pod, where, dice = f'pod="{namespace}/{name}"', f'podUID="{uid}"', rng.random()
    if dice < 0.18:
        return Line(KUBELET, "I", "reconciler_common.go:258", f'"operationExecutor.VerifyControllerAttachedVolume started for volume \\"kube-api-access-{_hex(rng, 5)}\\" (UniqueName: \\"kubernetes.io/projected/{uid}-kube-api-access\\") pod \\"{name}\\" (UID: \\"{uid}\\") " {pod}')
    if dice < 0.36:
        return Line(KUBELET, "I", "operation_generator.go:721", f'"MountVolume.SetUp succeeded for volume \\"kube-api-access-{_hex(rng, 5)}\\" (UniqueName: \\"kubernetes.io/projected/{uid}\\") pod \\"{name}\\" (UID: \\"{uid}\\") " {pod}')
    if dice < 0.50:
        kind = "ContainerStarted" if dice < 0.43 else "ContainerDied"
        return Line(KUBELET, "I", "kubelet.go:2453", f'"SyncLoop (PLEG): event for pod" {pod} event={{"ID":"{uid}","Type":"{kind}","Data":"{_hex(rng, 64)}"}}')
    if dice < 0.58:
        return Line(KUBELET, "E", "dns.go:153", '"Nameserver limits exceeded" err="Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 10.0.0.2 10.0.1.2 10.0.2.2"')
    if dice < 0.66:
        return Line(KUBELET, "E", "pod_workers.go:1300", f'"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"app\\" with CrashLoopBackOff: \\"back-off 5m0s restarting failed container=app pod={name}_{namespace}({uid})\\"" {pod} {where}')
    if dice < 0.74:
        return Line(KUBELET, "I", "scope.go:117", f'"RemoveContainer" containerID="{_hex(rng, 64)}"')
    if dice < 0.80:
        return Line(KUBELET, "I", "prober.go:107", f'"Probe failed" probeType="Readiness" {pod} {where} containerName="app" probeResult="failure" output="HTTP probe failed with statuscode: 503"')
    if dice < 0.84:
        return Line(KUBELET, "I", "kubelet.go:2421", f'"SyncLoop UPDATE" source="api" pods=["{namespace}/{name}"]')
    if dice < 0.88:
        return Line(KUBELET, "I", "pod_startup_latency_tracker.go:104", f'"Observed pod startup duration" {pod} podStartSLOduration={1 + rng.random() * 3:.9f} podStartE2EDuration="{2 + rng.random() * 3:.9f}s" podCreationTimestamp="2026-11-25 14:14:23 +0000 UTC" firstStartedPulling="0001-01-01 00:00:00 +0000 UTC" lastFinishedPulling="0001-01-01 00:00:00 +0000 UTC" observedRunningTime="2026-11-25 14:14:24.336770000 +0000 UTC" watchObservedRunningTime="2026-11-25 14:14:24.336776000 +0000 UTC"')
    if dice < 0.94:
        return Line(KUBELET, "I", "kubelet_volumes.go:163", f'"Cleaned up orphaned pod volumes dir" {where} path="/var/lib/kubelet/pods/{uid}/volumes"')
    return Line(KUBELET, "I", "kuberuntime_container_linux.go:167", f'"No swap cgroup controller present" swapBehavior="" {pod} containerName="app"')


def containerd_noise(rng: random.Random, pods: Sequence[tuple[str, str, str]]) -> Line:
    """A healthy line of containerd."""
    namespace, name, uid = rng.choice(pods)
    dice = rng.random()
    if dice < 0.05:
        meta = f"&PodSandboxMetadata{{Name:{name},Uid:{uid},Namespace:{namespace},Attempt:0,}}"
        return Line(CONTAINERD, "I", "", f'level=info msg="RunPodSandbox for {meta} returns sandbox id \\"{_hex(rng, 64)}\\""')
    if dice < 0.6:
        return Line(CONTAINERD, "I", "", f'level=info msg="StartContainer for \\"{_hex(rng, 64)}\\" returns successfully"')
    return Line(CONTAINERD, "I", "", f'level=info msg="CreateContainer within sandbox \\"{_hex(rng, 64)}\\" for &ContainerMetadata{{Name:app,Attempt:1,}} returns container id \\"{_hex(rng, 64)}\\""')
