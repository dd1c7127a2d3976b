"""Processes, CNI files, the container runtime."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from eniagent.model.host import Process, Sandbox
from eniagent.model.net import PodName, SandboxId
from eniagent.model.probe import ReadFiles, ReadProcesses, RunCommand
from eniagent.model.reading import Why
from eniagent.sources import cni_config, processes, sandboxes
from tests.sources.recorded_captures import capture, refusal, seen_of, value

CONFLIST = b'{"cniVersion":"0.4.0","name":"aws-cni","plugins":[{"name":"aws-cni","type":"aws-cni"},{"type":"egress-cni"},{"type":"portmap"}]}'
AWS = f"{cni_config.NET_D}/10-aws.conflist"
PODS = b"""{"items":[
 {"id":"aa","metadata":{"name":"web-0","namespace":"default","uid":"u","attempt":0},"state":"SANDBOX_READY","createdAt":"1795616379726210145","labels":{}},
 {"id":"bb","metadata":{"name":"web-1","namespace":"default"},"state":"SANDBOX_NOTREADY","createdAt":""}]}"""
TABLE = b"CONTAINER    IMAGE    RUNTIME\naa    registry.k8s.io/pause:3.8    io.containerd.runc.v2\nbb    registry.k8s.io/pause:3.8    io.containerd.runc.v2\n"
TASKS = b"TASK    PID    STATUS\naa    4711    RUNNING\nbb    0    STOPPED\n"
IMAGE = "602401143452.dkr.ecr.us-west-2.amazonaws.com/amazon-k8s-cni:v1.19.3-eksbuild.1"


def test_processes() -> None:
    """Names, pids, start times and the boot; nothing of interest running is an answer."""
    data = b'{"booted_at":"2026-02-26T12:00:00+00:00","running":[{"name":"kubelet","pid":900,"started_at":"2026-02-26T12:00:09.5Z"},{"name":"containerd","pid":1,"started_at":null}]}'
    found = value("processes", seen_of({processes.FILE: data}))
    assert found.running == (
        Process(name="kubelet", pid=900, started_at=datetime(2026, 2, 26, 12, 0, 9, 500000, timezone.utc)),
        Process(name="containerd", pid=1),
    )
    assert found.booted_at == datetime(2026, 2, 26, 12, 0, tzinfo=timezone.utc)
    assert value("processes", seen_of({processes.FILE: b'{"running":[]}'})).running == ()


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"running":null}', b'{"running":[{"name":"kubelet"}]}', b'{"running":[],"booted_at":"soon"}'])
def test_other_process_tables_are_malformed(data: bytes) -> None:
    """What lacks the list, or a pid, is no process table."""
    assert refusal("processes", seen_of({processes.FILE: data})).why is Why.MALFORMED


def test_the_process_probe_is_shared() -> None:
    """kubelet's configuration begins with the very same look, so that it is taken once."""
    (probe,) = processes.plan({})
    assert isinstance(probe, ReadProcesses) and {"aws-k8s-agent", "kubelet"} <= set(probe.names)


def test_cni_configuration() -> None:
    """All files in name order; the runtime uses the first; the plugins in the order of the chain."""
    seen = seen_of({AWS: CONFLIST, f"{cni_config.NET_D}/99-loopback.conf": b'{"type":"loopback"}', cni_config.BIN: b'["portmap","aws-cni"]'})
    found = value("cni_config", seen)
    assert (found.files, found.first) == (("10-aws.conflist", "99-loopback.conf"), "10-aws.conflist")
    assert (found.types, found.binaries, found.error) == (("aws-cni", "egress-cni", "portmap"), ("aws-cni", "portmap"), "")


def test_an_empty_directory_is_an_answer() -> None:
    """Both globs matched nothing: no configuration, which is what the runtime complains of; likewise no binary."""
    globs = [f"{cni_config.NET_D}/*.conf*", f"{cni_config.NET_D}/*.json", cni_config.BIN]
    seen = {file: capture(file, failure=Why.NOT_INSTALLED) for file in globs}
    found = value("cni_config", seen)
    assert (found.files, found.first, found.binaries) == ((), "", ())
    assert cni_config.plan(seen) == []


def test_binaries_that_were_not_seen() -> None:
    """None is not "no binaries"."""
    assert value("cni_config", seen_of({AWS: CONFLIST})).binaries is None
    assert value("cni_config", seen_of({AWS: CONFLIST, cni_config.BIN: b"{"})).binaries is None


@pytest.mark.parametrize("data", [b"", b"{", b'{"plugins":[]}', b'{"plugins":[{"name":"x"}]}', b'{"name":"x"}', b'{"plugins":{}}'])
def test_a_broken_first_file(data: bytes) -> None:
    """The runtime stumbles over the first file although the second is sound: so the value says."""
    found = value("cni_config", seen_of({f"{cni_config.NET_D}/00-x.conflist": data, AWS: CONFLIST}))
    assert (found.first, found.types) == ("00-x.conflist", ())
    assert found.error.startswith("00-x.conflist: ")


def test_a_directory_that_may_not_be_read() -> None:
    """Forbidden is a reason, not an empty directory."""
    file = f"{cni_config.NET_D}/*.conf*"
    assert refusal("cni_config", {file: capture(file, failure=Why.FORBIDDEN)}).why is Why.FORBIDDEN


def test_only_network_configurations_are_read() -> None:
    """The globs match no kubeconfig beside them, and binaries are listed, not read."""
    looks = [probe for probe in cni_config.plan({}) if isinstance(probe, ReadFiles)]
    assert {probe.pattern for probe in looks if not probe.names_only} == {"/etc/cni/net.d/*.conf*", "/etc/cni/net.d/*.json"}
    assert [probe.pattern for probe in looks if probe.names_only] == ["/opt/cni/bin/*"]


def test_crictl() -> None:
    """Names, states and creation; a sandbox that is not ready is kept as such."""
    found = value("sandboxes", seen_of({sandboxes.PODS: PODS}))
    created = datetime(2026, 11, 25, 14, 19, 39, 726210, timezone.utc)
    assert found.pods == (
        Sandbox(id=SandboxId("aa"), pod=PodName("default/web-0"), ready=True, created_at=created),
        Sandbox(id=SandboxId("bb"), pod=PodName("default/web-1"), ready=False),
    )
    assert value("sandboxes", seen_of({sandboxes.PODS: b'{"items":[]}'})).pods == ()


def test_ctr() -> None:
    """Without crictl: ids from a table, readiness from the tasks; without those nothing is said."""
    assert refusal("sandboxes", seen_of({sandboxes.PODS: TABLE})).why is Why.NOT_COLLECTED
    found = value("sandboxes", seen_of({sandboxes.PODS: TABLE, sandboxes.TASKS: TASKS}))
    assert [(s.id, s.ready, s.pod) for s in found.pods] == [("aa", True, ""), ("bb", False, "")]
    (tasks,) = (p for p in sandboxes.plan(seen_of({sandboxes.PODS: TABLE, sandboxes.CONTAINERS: b""})) if isinstance(p, RunCommand))
    assert (tasks.file, tasks.argvs) == (sandboxes.TASKS, (("ctr", "-n", "k8s.io", "tasks", "ls"),))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"items":[{"id":"a"}]}', b'{"items":[{"id":"a","state":"S","metadata":{},"createdAt":"x"}]}', b"TASK PID\n"])
def test_other_sandbox_lists_are_malformed(data: bytes) -> None:
    """What is neither crictl's JSON nor ctr's table."""
    assert refusal("sandboxes", seen_of({sandboxes.PODS: data, sandboxes.TASKS: TASKS})).why is Why.MALFORMED


def test_images() -> None:
    """The image as crictl names it, as its list of images resolves an id, and as ctr's table shows the CNI's."""
    named = b'{"containers":[{"metadata":{"name":"aws-node"},"image":{"image":"%s"},"imageRef":"sha256:1"}]}' % IMAGE.encode()
    by_id = b'{"containers":[{"metadata":{"name":"aws-node"},"image":{"image":"sha256:1"},"imageRef":"sha256:1"}]}'
    stored = b'{"images":[{"id":"sha256:2","repoTags":["x:1"]},{"id":"sha256:1","repoTags":["%s"]},{"id":"sha256:3","repoTags":[]}]}' % IMAGE.encode()
    table = b"CONTAINER    IMAGE    RUNTIME\nf0    602/amazon-k8s-cni-init:v1.19.3    r\nf1    %s    r\n" % IMAGE.encode()
    assert sandboxes.images(seen_of({sandboxes.CONTAINERS: named})) == {"aws-node": IMAGE}
    assert sandboxes.images(seen_of({sandboxes.CONTAINERS: by_id})) == {"aws-node": "sha256:1"}
    assert sandboxes.images(seen_of({sandboxes.CONTAINERS: by_id, sandboxes.IMAGES: stored})) == {"aws-node": IMAGE}
    assert sandboxes.images(seen_of({sandboxes.CONTAINERS: table})) == {"aws-node": IMAGE}
    assert sandboxes.images({}) == {}


def test_tags_are_asked_for_only_where_an_id_hides_them() -> None:
    """The third command is run only on nodes whose runtime tells images by id."""
    by_id = b'{"containers":[{"metadata":{"name":"aws-node"},"imageRef":"sha256:1"}]}'
    planned = sandboxes.plan(seen_of({sandboxes.PODS: PODS, sandboxes.CONTAINERS: by_id}))
    assert [p.file for p in planned if isinstance(p, RunCommand)] == [sandboxes.IMAGES]
    assert sandboxes.plan(seen_of({sandboxes.PODS: PODS, sandboxes.CONTAINERS: TABLE})) == []
