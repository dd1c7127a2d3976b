"""Texts as programs print them, one situation each: what triage names, whatever frame, wrap or cut the text came in."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from eniagent import report
from eniagent.diagnose import diagnose
from eniagent.model.snapshot import Case
from eniagent.sources.pasted import read_pasted

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
SANDBOX = "3f1c" * 16
NO_ADDRESS = f'Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "{SANDBOX}": plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to assign an IP address to container'
SDK2 = "operation error EC2: {call}, https response error StatusCode: {status}, RequestID: 0c54f7d7-583b-4105-8ed5-546a7b30b5f8, api error {code}: {words}"


def told(text: str) -> dict[str, Any]:
    """The JSON answer to one text."""
    document: dict[str, Any] = json.loads(report.render(diagnose(Case(now=read_pasted([("stdin", text.encode())], now=NOW))), format_name="json"))
    assert not document.get("faults")
    return document


def zap(message: str, *, level: str = "error", at: str = "2026-03-30T14:29:56.583Z", caller: str = "awsutils/awsutils.go:917") -> str:
    """One line of ipamd.log since 1.6.1."""
    return json.dumps({"level": level, "ts": at, "caller": caller, "msg": message}, separators=(",", ":"))


def cni(inner: str) -> str:
    """A sandbox event with this inner error."""
    return f'  Warning  FailedCreatePodSandBox  30s (x2 over 41s)  kubelet  Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "{SANDBOX}": {inner}\n'


NAMED = {
    "subnet-exhausted": [
        zap("Failed to CreateNetworkInterface for subnet subnet-0a: " + SDK2.format(call="CreateNetworkInterface", status=400, code="InsufficientFreeAddressesInSubnet", words="The specified subnet does not have enough free addresses to satisfy the request.")),
        "2026-03-30T14:29:56Z [ERROR] Failed to CreateNetworkInterface InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy the request.\n\tstatus code: 400, request id: 88f1",
    ],
    "subnet-fragmented": [
        zap("Failed to allocate a private IP/Prefix addresses on ENI eni-0aeac170bf4a0f1e9: " + SDK2.format(call="AssignPrivateIpAddresses", status=400, code="InsufficientCidrBlocks", words="There are not enough free cidr blocks in the specified subnet to satisfy the request.")),
    ],
    "ec2-throttled": [
        zap("Failed to call ec2:DescribeNetworkInterfaces for [eni-0aeac170bf4a0f1e9]: " + SDK2.format(call="DescribeNetworkInterfaces", status=503, code="RequestLimitExceeded", words="Request limit exceeded.")),
        zap("Failed to attach ENI eni-0aeac170bf4a0f1e9: RequestLimitExceeded: Request limit exceeded.\n\tstatus code: 503, request id: 0c54f7d7"),
        '"eventName": "AttachNetworkInterface",\n"errorCode": "Client.RequestLimitExceeded",\n"errorMessage": "Request limit exceeded."',
    ],
    "iam-denied": [
        zap("Failed to CreateNetworkInterface for subnet subnet-0a: " + SDK2.format(call="CreateNetworkInterface", status=403, code="UnauthorizedOperation", words="You are not authorized to perform this operation.")),
        zap("Failed to retrieve credentials: WebIdentityErr: failed to retrieve credentials\ncaused by: AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity\n\tstatus code: 403, request id: ec512999"),
        "Warning  MissingIAMPermissions  30s (x2 over 41s)  aws-node  Unauthorized operation: failed to call ec2:CreateTags due to missing permissions. Please refer https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/iam-policy.md",
    ],
    "eni-attach-failed": [
        zap("Failed to CreateNetworkInterface for subnet subnet-0a: " + SDK2.format(call="CreateNetworkInterface", status=400, code="SecurityGroupsPerInterfaceLimitExceeded", words="The maximum number of security groups per interface has been reached.")),
    ],
    "aws-api-unreachable": [
        zap("Failed to call ec2:DescribeNetworkInterfaces for [eni-06c4336b7a696f211]: operation error EC2: DescribeNetworkInterfaces, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post \"https://ec2.eu-west-1.amazonaws.com/\": dial tcp 203.0.113.8:443: i/o timeout"),
    ],
    "apiserver-unreachable": [
        zap("Unable to reach API Server: Get \"https://10.100.0.1:443/version?timeout=5s\": dial tcp 10.100.0.1:443: i/o timeout", caller="k8sapi/k8sutils.go:180"),
        "Failed to communicate with K8S Server. Please check instance security groups or http proxy setting",
    ],
    "imds-unreachable": [
        zap("Failed to retrieve region data from instance metadata operation error ec2imds: GetRegion, exceeded maximum number of attempts, 3, request send failed, Get \"http://169.254.169.254/latest/dynamic/instance-identity/document\": dial tcp 169.254.169.254:80: connect: connection refused", caller="awsutils/awsutils.go:432"),
        cni('plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unknown desc = failed to retrieve operation error ec2imds: GetMetadata, exceeded maximum number of attempts, 3, http response error StatusCode: 401'),
        # scylladb/scylladb#3630: cloud-init, after a minute of trying.
        "[   97.451190] cloud-init[1874]: 2018-07-25 10:00:40,864 - url_helper.py[WARNING]: Calling 'http://169.254.169.254/2009-04-04/meta-data/instance-id' failed [65/120s]: unexpected error ['NoneType' object has no attribute 'status_code']",
    ],
    "eniconfig-invalid": [
        zap('error while retrieving eniconfig: ENIConfig.crd.k8s.amazonaws.com "eu-west-1a" not found', caller="ipamd/ipamd.go:889"),
        "2026-05-08T15:00:47.366Z [ERROR]\tFailed to get pod ENI config",
    ],
    "ipamd-unreachable": [
        cni('plugin type="aws-cni" name="aws-cni" failed (add): add cmd: Error received from AddNetwork gRPC call: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /var/run/aws-node/ipamd.sock: connect: no such file or directory"'),
        cni('add cmd: Error received from AddNetwork gRPC call: rpc error: code = FailedPrecondition desc = wrong client version "v1.15.0" (!= "v1.18.1")'),
    ],
    "ipamd-crashing": [
        "NAME             READY   STATUS             RESTARTS        AGE\naws-node-pmsdm   0/1     CrashLoopBackOff   17 (2m ago)     72m\n",
        "panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n\ngoroutine 1 [running]:\ngithub.com/aws/amazon-vpc-cni-k8s/pkg/ipamd.New()\n",
        "kernel: Out of memory: Killed process 4242 (aws-k8s-agent) total-vm:1300000kB, anon-rss:90000kB",
    ],
    "ipamd-not-ready": [
        'Warning  Unhealthy  113s (x1044 over 5h29m)   kubelet  Readiness probe errored: rpc error: code = DeadlineExceeded desc = failed to exec in container: timeout 10s exceeded, command "/app/grpc-health-probe -addr=:50051 -connect-timeout=5s"',
    ],
    "cni-not-initialized": [
        "Nov 20 08:58:13 ip-10-0-0-1 kubelet[2331]: E1120 08:58:13.477179    2331 kubelet.go:2855] \"Container runtime network not ready\" networkReady=\"NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized\"",
    ],
    "cni-binary-broken": [
        cni('plugin type="aws-cni" name="aws-cni" failed (add): failed to find plugin "aws-cni" in path [/opt/cni/bin]'),
        cni('plugin type="aws-cni" failed (add): netplugin failed with no error message: fork/exec /opt/cni/bin/aws-cni: exec format error'),
    ],
    "host-local-exhausted": [
        cni('plugin type="egress-cni" name="egress-cni" failed (add): running IPAM plugin failed: failed to allocate for range 0: no IP addresses available in range set: 169.254.172.1-169.254.175.254'),
    ],
    "pod-network-setup-failed": [
        cni('plugin type="aws-cni" name="aws-cni" failed (add): add command: failed to setup network: SetupPodNetwork: failed to setup veth pair: failed to generate Unique MAC addr for host side veth'),
    ],
    "network-policy-agent-down": [
        cni('plugin type="aws-cni" name="aws-cni" failed (add): add cmd: failed to setup network policy'),
        # pulumi/pulumi-aws#3589
        'E0307 19:47:48.587114       1 reflector.go:147] pkg/mod/k8s.io/client-go@v0.28.4/tools/cache/reflector.go:229: Failed to watch *v1alpha1.PolicyEndpoint: failed to list *v1alpha1.PolicyEndpoint: policyendpoints.networking.k8s.aws is forbidden: User "system:serviceaccount:kube-system:aws-node" cannot list resource "policyendpoints" in API group "networking.k8s.aws" at the cluster scope',
        # aws/aws-network-policy-agent#74
        "        message: back-off 5m0s restarting failed container=aws-eks-nodeagent pod=aws-node-29l5n_kube-system(15ae1d23-9545-47b3-983d-5ba8784a6ae8)\n        reason: CrashLoopBackOff\n",
    ],
    "branch-eni-unavailable": [
        "Warning  FailedScheduling  2m  default-scheduler  0/3 nodes are available: 3 Insufficient vpc.amazonaws.com/pod-eni.",
        zap("Send AddNetworkReply: failed to get Branch ENI resource", level="info", caller="rpc/rpc.pb.go:713"),
        # aws/amazon-vpc-cni-k8s#1245: the event's message without its row.
        f"failed to allocate branch ENI to pod: cannot create new eni entry already exist, older entry : [0xc0002c2310]\n{NO_ADDRESS}",
    ],
    "instance-limits-unknown": [
        zap("Failed to get ENI limits from file:vpc_ip_limits or EC2 for m9x.large: vpc ip resource(eni ip limit): unknown instance type", caller="ipamd/ipamd.go:437"),
        # aws/amazon-vpc-resource-controller-k8s#111
        "failed to load instance details: unsupported instance type, couldn't find ENI Limit for instance i4i.large",
    ],
    "eni-lost": [
        zap("Force removing eni eni-0aeac170bf4a0f1e9 with 4 assigned pods", level="warn", caller="datastore/data_store.go:1191"),
    ],
    "imds-out-of-sync": [
        # aws/amazon-vpc-cni-k8s#2497
        'awscni_aws_api_error_count{api="DescribeNetworkInterfaces",error="InvalidNetworkInterfaceID.NotFound"} 83\nawscni_aws_api_error_count{api="IMDSMetaDataOutOfSync",error="InvalidNetworkInterfaceID.NotFound"} 84\n',
        zap("Failed to increase pool size: Unable to discover attached ENI from metadata service giving up trying to retrieve ENIs from metadata service", caller="ipamd/ipamd.go:1087"),
    ],
    "not-ip-related": [
        cni('plugin type="calico" failed (add): error getting ClusterInformation: connection is unauthorized: Unauthorized'),
        cni('plugin type="flannel" name="cbr0" failed (add): open /run/flannel/subnet.env: no such file or directory'),
        '  Warning  FailedCreatePodSandBox  2m  kubelet  Failed to create pod sandbox: rpc error: code = Unknown desc = failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: can\'t get final child\'s PID from pipe: EOF: unknown',
        "  Warning  FailedMount  2m (x9 over 12m)  kubelet  MountVolume.SetUp failed for volume \"certs\" : secret \"web-tls\" not found",
        '  Warning  FailedCreatePodSandBox  2m  kubelet  Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container: something nobody has seen before',
        # awslabs/amazon-eks-ami#2366: a runtime's error without kubelet's wrapping.
        "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: error setting cgroup config for procHooks process: unable to freeze: unknown",
        # NVIDIA/nvidia-container-runtime#143: a logrus line within an event's message.
        'Failed to create pod sandbox: rpc error: code = Unknown desc = container create failed: time="2021-07-02T18:07:43+02:00" level=error msg="container_linux.go:370: starting container process caused: error adding seccomp rule for syscall socket: permission denied"',
        # projectcalico/cni-plugin#48: Calico's first plugin, in Python; its words on IPv6 are not ipamd's.
        '2016-02-02 10:41:07,791 3359 [default/mfb-pdf-ois1r] ERROR No IPv6 address returned, exiting\n2016-02-02 10:41:07,791 3359 [default/mfb-pdf-ois1r] DEBUG IPAM response (rc=100): {"msg": "No IPv6 addresses available in pool", "code": 100, "details": ""}',
        # kubernetes/autoscaler#3592: another controller's credentials, told by its klog frame.
        "F0118 16:40:34.650058       1 aws_cloud_provider.go:369] Failed to generate AWS EC2 Instance Types: NoCredentialProviders: no valid providers in chain. Deprecated.",
        # containerd/cri#1014
        "Jan 02 06:50:10 node1 kubelet[250135]: I0102 06:42:00.569834  250135 kubelet.go:1771] skipping pod synchronization - [container runtime is down PLEG is not healthy: pleg was last seen active 66h20m49.039936615s ago; threshold is 3m0s]",
    ],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in NAMED.items() for text in texts])
def test_a_program_own_words_name_the_cause(code: str, text: str) -> None:
    """The first cause is the one that the words stand for."""
    document = told(text)
    assert [cause["code"] for cause in document["causes"]][:1] == [code], (document["verdict"], document["next_looks"])


UNDECIDED = [
    NO_ADDRESS,
    f"Warning  FailedCreatePodSandBox  3m5s (x1642 over 6h)  kubelet  (combined from similar events): {NO_ADDRESS}",
    zap("DataStore has no available IP/Prefix addresses", caller="datastore/data_store.go:682"),
    zap("Initialization failure: ipamd init: failed to retrieve attached ENIs info", caller="aws-k8s-agent/main.go:30"),
    'time="2026-04-07T20:54:20Z" level=error msg="Failed to wait for IPAM daemon to complete" error="exit status 1"',
    zap("AssignPodIPv4Address: IP address pool stats: total 0, assigned 0", level="debug", caller="datastore/data_store.go:607"),
    NO_ADDRESS[:150],
]


SEEN_IN_PART = [
    # aws/amazon-vpc-cni-k8s#2045, cut before EC2's answer
    (zap("Prefix target is 1, short of 1 prefixes, free 0 prefixes", level="debug", caller="ipamd/ipamd.go:2128"), "subnet-fragmented"),
    # aws/amazon-vpc-cni-k8s#1712
    ("# ip rule list\n0:      from all lookup local \n512:    from all to 10.204.166.124 lookup main \n1536:   from 10.204.166.124 lookup 3 \n32766:  from all lookup main \n\n# ip route show table 3\n< blank > \n", "pod-route-missing"),
]


@pytest.mark.parametrize(("text", "code"), SEEN_IN_PART)
def test_what_was_seen_in_part_is_asked_for(text: str, code: str) -> None:
    """Lines that show trouble of one kind and not its cause are answered with a look that decides it, and with no cause."""
    document = told(text)
    assert document["verdict"] == "inconclusive" and document["causes"] == []
    assert code in {decided for look in document["next_looks"][:3] for decided in look["decides"]}


@pytest.mark.parametrize("text", UNDECIDED)
def test_the_effect_alone_is_answered_with_looks(text: str) -> None:
    """Words that many causes print name none above possible, and the looks that would decide are few and have commands."""
    document = told(text)
    assert document["verdict"] == "inconclusive"
    assert all(cause["confidence"] == "possible" for cause in document["causes"])
    looks = document["next_looks"]
    assert 1 <= len(looks) <= 3 and all(look["command"] and 1 <= len(look["decides"]) <= 6 for look in looks)
    assert len({code for look in looks for code in look["decides"]}) <= 12


HEALTHY = [
    zap("Successfully Reconciled ENI/IP pool", level="debug"),
    zap("IP stats for Network Card 0 - total IPs: 28, assigned IPs: 3, cooldown IPs: 0", level="debug"),
    zap("Send AddNetworkReply: IPv4Addr 10.0.0.12, IPv6Addr: , DeviceNumber: 0, err: <nil>", level="info", caller="rpc/rpc.pb.go:713"),
    zap("UnassignPodIPAddress: Failed to find sandbox _migrated-from-cri/1b0b/unknown", level="warn", caller="ipamd/rpc_handler.go:230"),
    zap("Reading ipam state from backing store", level="info"),
    'time="2026-04-07T20:54:20Z" level=info msg="Checking for IPAM connectivity... "\ntime="2026-04-07T20:54:22Z" level=info msg="Copying config file... "\ntime="2026-04-07T20:54:22Z" level=info msg="Successfully copied CNI plugin binary and config file."',
    'time="2026-04-07T20:54:20Z" level=error msg="failed to load cni during init, please check CRI plugin status before setting up network for pods" error="cni config load failed: no network config found in /etc/cni/net.d: cni plugin not initialized: failed to load cni config"',
    "Jan 23 07:57:16 ip-10-0-0-1 kubelet[297]: E0123 07:57:16.123570     297 cpu_manager.go:394] \"RemoveStaleState: removing container\" podUID=\"fcc9f9f6\" containerName=\"aws-node\"",
    "I0123 07:57:16.123632  297 pod_startup_latency_tracker.go:104] \"Observed pod startup duration\" pod=\"default/web-1\" podStartSLOduration=2.1",
    "awscni_assigned_ip_addresses 11\nawscni_total_ip_addresses 28\nawscni_eni_max 3\n",
    # Kubelet's first pass after its start. aws/amazon-vpc-cni-k8s#236
    "I1121 00:33:29.628732    2441 kubelet.go:1799] skipping pod synchronization - [container runtime is down PLEG is not healthy: pleg was last seen active 2562047h47m16.854775807s ago; threshold is 3m0s]",
    # A few disagreements are what every ENI that comes or goes gives.
    'awscni_aws_api_error_count{api="IMDSMetaDataOutOfSync",error="InvalidNetworkInterfaceID.NotFound"} 3\n',
    # cloud-init's first try.
    "cloud-init[1874]: url_helper.py[WARNING]: Calling 'http://169.254.169.254/2009-04-04/meta-data/instance-id' failed [0/120s]: bad status code [404]",
    "",
    "nothing that any program of a node prints",
]


@pytest.mark.parametrize("text", HEALTHY)
def test_ordinary_output_raises_nothing(text: str) -> None:
    """No cause is named for lines that healthy nodes print."""
    assert told(text)["causes"] == []


ANOTHER_PROGRAM = [
    # coroot/coroot#402
    "panic: runtime error: invalid memory address or nil pointer dereference\n[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1bbfd5c]\n\ngoroutine 242 [running]:\ngithub.com/coroot/coroot-node-agent/containers.(*Process).Close(0xc001d06380)\n\t/tmp/src/containers/process.go:105 +0x3c\n",
    # tensult/cloud-reports#74
    "[ERROR] aws.ec2.EC2InstancesCollector failed UnauthorizedOperation: You are not authorized to perform this operation.\n    at Request.extractError (/home/ec2-user/cloud-reports/node_modules/aws-sdk/lib/services/ec2.js:50:35)\n",
    # awslabs/amazon-eks-ami#1798: a CSI driver's panic after its klog lines
    'E0513 08:41:32.470244       1 main.go:154] "Could not determine region from any metadata service. The region can be manually supplied via the AWS_REGION environment variable." err="error getting instance data from ec2 metadata or kubernetes api"\npanic: error getting instance data from ec2 metadata or kubernetes api\n',
]


@pytest.mark.parametrize("text", ANOTHER_PROGRAM)
def test_what_another_program_prints_is_not_said_of_ipamd(text: str) -> None:
    """A panic or a refusal whose trace or frame names another program accuses neither ipamd nor its role."""
    assert {cause["code"] for cause in told(text)["causes"]} <= {"not-ip-related"}


def test_libraries_in_a_trace_name_no_program() -> None:
    """A trace cut to the frames of libraries stays a panic of ipamd, in whose place it was pasted."""
    text = "panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nk8s.io/client-go/tools/cache.(*processorListener).run(0xc0009508c0)\n\t/go/pkg/mod/k8s.io/client-go/tools/cache/shared_informer.go:774 +0x194\n"
    assert [cause["code"] for cause in told(text)["causes"]] == ["ipamd-crashing"]


def frames(message: str) -> dict[str, str]:
    """One line of ipamd in every frame in which people paste it."""
    line = zap(message)
    return {
        "zap": line,
        "seelog": f"2026-03-30T14:29:56.583Z [ERROR]\t{message}",
        "old seelog": f"2026-03-30T14:29:56Z [ERROR] {message}",
        "bare": message,
        "k9s": f"│ aws-node {line}",
        "stern": f"aws-node-x2x9q aws-node {line}",
        "kubectl --prefix": f"[pod/aws-node-x2x9q/aws-node] {line}",
        "grep -Hn": f"/var/log/aws-routed-eni/ipamd.log:117:{line}",
        "tail of several": f"==> /var/log/aws-routed-eni/ipamd.log <==\n{line}",
        "docker json": json.dumps({"log": line + "\n", "stream": "stderr", "time": "2026-03-30T14:29:56.600Z"}),
        "fluent bit": json.dumps({"date": "2026-03-30T14:29:56Z", "log": line, "kubernetes": {"container_name": "aws-node"}}),
        "cri": f"2026-03-30T14:29:56.583000000Z stderr F {line}",
        "two on a line": zap("Starting to increase pool size", level="debug") + ", " + line,
        "half": line[:-2],
        "carriage returns": line + "\r\n",
        "coloured": f"\x1b[31m{line}\x1b[0m",
        "utf-16": line,
    }


REFUSAL = "Failed to CreateNetworkInterface InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses to satisfy the request."


@pytest.mark.parametrize("frame", sorted(frames(REFUSAL)))
def test_the_frame_does_not_matter(frame: str) -> None:
    """The same refusal is named in every frame; its time is read where the frame has one."""
    text = frames(REFUSAL)[frame]
    data = text.encode("utf-16") if frame == "utf-16" else text.encode()
    snapshot = read_pasted([("stdin", data)], now=NOW)
    document = json.loads(report.render(diagnose(Case(now=snapshot)), format_name="json"))
    assert [cause["code"] for cause in document["causes"]] == ["subnet-exhausted"]
    assert snapshot.timeless == (frame == "bare")
    if frame != "bare":
        assert snapshot.taken_at.replace(microsecond=0, second=0) == datetime(2026, 3, 30, 14, 29, tzinfo=timezone.utc)


KUBELET = f'"Error syncing pod, skipping" err="failed to \\"CreatePodSandbox\\" for \\"web-1_shop(378be17e-2404-4ca2-8a3b-e58e7c0ca6a4)\\" with CreatePodSandboxError: \\"Failed to create sandbox for pod \\\\\\"web-1_shop(378be17e-2404-4ca2-8a3b-e58e7c0ca6a4)\\\\\\": rpc error: code = Unknown desc = failed to setup network for sandbox \\\\\\"{SANDBOX}\\\\\\": plugin type=\\\\\\"aws-cni\\\\\\" name=\\\\\\"aws-cni\\\\\\" failed (add): add cmd: failed to assign an IP address to container\\"" pod="shop/web-1" podUID="378be17e-2404-4ca2-8a3b-e58e7c0ca6a4"'
HEAD = "E0425 14:55:39.199839    8402 pod_workers.go:1298] "
JOURNALS = {
    "klog": HEAD + KUBELET,
    "short": "Apr 25 14:55:39 ip-10-0-0-1.ec2.internal kubelet[8402]: " + HEAD + KUBELET,
    "short-iso": "2026-04-25T14:55:39+0000 ip-10-0-0-1.ec2.internal kubelet[8402]: " + HEAD + KUBELET,
    "short-full": "Sat 2026-04-25 14:55:39 UTC ip-10-0-0-1.ec2.internal kubelet[8402]: " + HEAD + KUBELET,
    "rfc5424": "2026-04-25T14:55:39.199839+00:00 node kubelet 8402 - -  " + HEAD + KUBELET,
    "journal json": json.dumps({"MESSAGE": HEAD + KUBELET, "SYSLOG_IDENTIFIER": "kubelet", "__REALTIME_TIMESTAMP": "1777128939199839"}),
    "file name": "[/var/log/messages]\t" + HEAD + KUBELET,
    "snap": "Apr 25 14:55:39 ip-10-0-0-1 kubelet-eks.daemon[332]: " + HEAD + KUBELET,
    "no severity": "14:55:39.199839    8402 pod_workers.go:1298] " + KUBELET,
    "wrapped": (HEAD + KUBELET)[:100] + "\n" + (HEAD + KUBELET)[100:200] + "\n" + (HEAD + KUBELET)[200:],
}


@pytest.mark.parametrize("form", sorted(JOURNALS))
def test_a_kubelet_line_in_any_form_is_one_failure_of_one_pod(form: str) -> None:
    """Pod, sandbox and error are read from every form; one attempt is counted once, however often it is told."""
    twice = JOURNALS[form] + "\n" + JOURNALS[form].replace("pod_workers.go:1298", "kuberuntime_manager.go:1172") + "\n"
    document = told(twice)
    assert document["impact"]["pods"] == 1 and document["impact"]["failures"] == 1
    assert document["impact"]["affected"][0]["pod"] == "shop/web-1"
    assert document["verdict"] == "inconclusive"
    assert "eni-limit-reached" in {code for look in document["next_looks"] for code in look["decides"]}


def test_an_event_counts_as_often_as_its_age_column_says() -> None:
    """`(x17 over 5m43s)` is seventeen attempts, and the describe above the table names the pod."""
    text = f"Name:         web-1\nNamespace:    shop\nEvents:\n  Type     Reason                  Age                     From     Message\n  ----     ------                  ----                    ----     -------\n  Warning  FailedCreatePodSandBox  2m16s (x17 over 5m43s)  kubelet  (combined from similar events): {NO_ADDRESS}\n"
    document = told(text)
    assert document["impact"]["failures"] == 17
    assert [a["pod"] for a in document["impact"]["affected"]] == ["shop/web-1"]


def test_a_pod_that_started_since_fails_no_more() -> None:
    """A `Started` row younger than the failure ends the wait."""
    text = f"Name:         web-1\nNamespace:    shop\nEvents:\n  Warning  FailedCreatePodSandBox  2m16s  kubelet  {NO_ADDRESS}\n  Normal   Started                 90s    kubelet  Started container web\n"
    document = told(text)
    assert document["impact"]["waiting"] == 0


def test_a_cut_print_of_the_pool_is_no_pool() -> None:
    """Half a `/v1/enis` gives no pool: what is missing at its ends is unknown, and is said to be."""
    text = '{\n  "TotalIPs": 28,\n  "AssignedIPs": 3,\n  "ENIs": {\n    "eni-0b465b713c6a78c0a": {\n      "ID": "eni-0b465b713c6a78c0a",\n      "IsPrimary": true,\n'
    document = told(text)
    assert document["numbers"]["addresses"]["total"] is None
    assert ("ipamd introspection", "truncated") in {(u["source"], u["why"]) for u in document["unobserved"]}


def test_a_whole_print_of_the_pool_is_read_behind_a_prompt_and_curl() -> None:
    """The document is found between a prompt and curl's progress table, and recomputed."""
    document = {"TotalIPs": 2, "AssignedIPs": 1, "ENIs": {"eni-0b465b713c6a78c0a": {"ID": "eni-0b465b713c6a78c0a", "IsPrimary": True, "IsTrunk": False, "IsEFA": False, "DeviceNumber": 0, "AvailableIPv4Cidrs": {f"10.0.0.{n}/32": {"Cidr": {"IP": f"10.0.0.{n}", "Mask": "/////w=="}, "IPAddresses": {}, "IsPrefix": False, "AddressFamily": ""} for n in (4, 5)}, "IPv6Cidrs": {}}}}
    table = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current\n100  3020    0  3020    0     0  2949k      0 --:--:-- --:--:-- --:--:-- 2949k\n"
    for indent in (None, 4):
        answer = told("$ curl http://localhost:61679/v1/enis\n" + table + json.dumps(document, indent=indent) + "\n")
        assert answer["numbers"]["addresses"]["total"] == 2 and answer["numbers"]["addresses"]["assigned"] == 0


def test_the_newest_time_of_the_text_is_now() -> None:
    """A failure of a quarter of an hour before the newest line is over; without times all stands."""
    old = "Apr 25 14:40:00 ip-10-0-0-1 kubelet[8402]: E0425 14:40:00.199839    8402 pod_workers.go:1298] " + KUBELET
    new = "Apr 25 14:55:39 ip-10-0-0-1 kubelet[8402]: I0425 14:55:39.199839    8402 kubelet.go:10] \"SyncLoop ADD\" source=\"api\""
    assert told(old + "\n" + new + "\n")["impact"]["waiting"] == 0
    assert told(old + "\n")["impact"]["waiting"] == 1
    assert told(NO_ADDRESS)["impact"]["waiting"] == 1
