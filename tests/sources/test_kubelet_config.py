"""kubelet's effective max-pods."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from eniagent.model.capture import Capture
from eniagent.model.probe import ReadFile, ReadFiles, ReadProcesses
from eniagent.model.reading import Observed, Why
from eniagent.sources import kubelet_config, processes
from tests.sources.recorded_captures import capture, read, recorded, refusal, seen_of, value

JSON = b'{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","maxPods":29,"containerRuntimeEndpoint":"unix:///run/containerd/containerd.sock"}'
CONFIG, AL2, BOTTLEROCKET = kubelet_config.CONFIGS
DROP_IN = f"{kubelet_config.DROP_INS}/40-nodeadm.conf"
LINE = b"/usr/bin/kubelet\n--config=/etc/kubernetes/kubelet/config.json\n--config-dir\n/etc/kubernetes/kubelet/config.json.d\n"
RUNS = b'{"booted_at":null,"running":[]}'


def absent(*files: str) -> dict[str, Capture]:
    """Looks that found no such file."""
    return {file: capture(file, failure=Why.NOT_INSTALLED) for file in files}


def max_pods(files: dict[str, bytes]) -> tuple[Optional[int], str]:
    """max-pods and where it is from."""
    found = value("kubelet_config", seen_of(files))
    return found.max_pods, found.origin


def test_flags_beat_drop_ins_beat_the_file() -> None:
    """Each layer overrides the one below it; drop-ins in name order."""
    files = {CONFIG: JSON}
    assert max_pods(files) == (29, CONFIG)
    files |= {DROP_IN: b'{"kind":"KubeletConfiguration","maxPods":58}', f"{kubelet_config.DROP_INS}/50-mine.conf": b'{"kind":"KubeletConfiguration","maxPods":70}'}
    assert max_pods(files) == (70, f"{kubelet_config.DROP_INS}/50-mine.conf")
    assert max_pods({**files, kubelet_config.CMDLINE: LINE}) == (70, f"{kubelet_config.DROP_INS}/50-mine.conf")
    for flag in (b"--max-pods=110", b"--max-pods\n110", b'--max-pods="110"'):
        assert max_pods({**files, kubelet_config.CMDLINE: LINE + flag + b"\n"}) == (110, "flag --max-pods")


def test_drop_ins_need_their_flag() -> None:
    """A kubelet whose flags name no drop-in directory does not read one."""
    files = {CONFIG: JSON, DROP_IN: b'{"kind":"KubeletConfiguration","maxPods":58}', kubelet_config.CMDLINE: b"kubelet\0--config=/x\0"}
    assert max_pods(files) == (29, CONFIG)


def test_the_default_needs_both() -> None:
    """110 is named only where configuration and command line were seen and neither says otherwise."""
    silent = b'{"kind":"KubeletConfiguration"}'
    assert max_pods({CONFIG: silent}) == (None, "")
    assert max_pods({CONFIG: silent, kubelet_config.CMDLINE: LINE}) == (110, "kubelet's default")


def test_other_systems() -> None:
    """AL2's file, Bottlerocket's YAML and the snap's flags."""
    assert value("kubelet_config", {**absent(CONFIG), **seen_of({AL2: JSON})}).origin == AL2
    yaml = b"---\nkind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\nmaxPods: 58\n"
    found = value("kubelet_config", {**absent(CONFIG, AL2), **seen_of({BOTTLEROCKET: yaml})})
    assert (found.max_pods, found.origin) == (58, f"{BOTTLEROCKET} (YAML line)")
    snap = value("kubelet_config", {**absent(CONFIG, AL2, BOTTLEROCKET), **seen_of({kubelet_config.SNAP_ARGS: b'--max-pods="17"\n--hostname-override=n1\n'})})
    assert (snap.max_pods, snap.node_name) == (17, "n1")


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"kind":"Pod"}', b'{"kind":"KubeletConfiguration","maxPods":[1]}', b'{"maxPods":-1}', b'{"maxPods":true}', b"maxPods: 3\n", b"\xff\xfe"]
)
def test_a_file_that_kubelet_would_not_take(data: bytes) -> None:
    """A broken file or drop-in is malformed; only the flag, which beats both, still tells."""
    assert refusal("kubelet_config", seen_of({CONFIG: data})).why is Why.MALFORMED
    assert refusal("kubelet_config", seen_of({CONFIG: JSON, DROP_IN: data})).why is Why.MALFORMED
    assert max_pods({CONFIG: data, kubelet_config.CMDLINE: b"kubelet\n--max-pods=20\n"}) == (20, "flag --max-pods")


def test_no_kubelet_at_all() -> None:
    """No file anywhere and no flags: not installed. A file that may not be read: forbidden."""
    assert refusal("kubelet_config", absent(CONFIG, AL2, BOTTLEROCKET, kubelet_config.CMDLINE)).why is Why.NOT_INSTALLED
    assert refusal("kubelet_config", {CONFIG: capture(CONFIG, failure=Why.FORBIDDEN)}).why is Why.FORBIDDEN


def files_of(seen: Any) -> list[str]:
    """The files or paths that the plan asks for."""
    found = []
    for probe in kubelet_config.plan(seen):
        assert isinstance(probe, (ReadFile, ReadFiles, ReadProcesses))
        found.append(probe.path if isinstance(probe, ReadFile) else probe.pattern if isinstance(probe, ReadFiles) else probe.file)
    return found


def test_plan_in_steps() -> None:
    """First the usual file and the processes; other systems' files only where it is absent; then the file that the flags name."""
    assert files_of({}) == [processes.FILE, "/etc/kubernetes/kubelet/config.json", "/etc/kubernetes/kubelet/config.json.d/*.conf"]
    base = seen_of({processes.FILE: RUNS, DROP_IN: b""})
    assert files_of({**base, **seen_of({CONFIG: JSON, kubelet_config.CMDLINE: LINE})}) == []
    others = ["/etc/kubernetes/kubelet/kubelet-config.json", "/etc/kubernetes/kubelet/config"]
    assert files_of({**base, **absent(CONFIG)}) == [*others, "/var/snap/kubelet-eks/current/args"]
    named = seen_of({CONFIG: JSON, kubelet_config.CMDLINE: b"kubelet\n--config\n/opt/kubelet.json\n"})
    assert files_of({**base, **named}) == ["/opt/kubelet.json"]
    assert value("kubelet_config", {**named, **seen_of({kubelet_config.NAMED: b'{"kind":"KubeletConfiguration","maxPods":8}'})}).max_pods == 8


def test_recorded_nodes() -> None:
    """Real captures, without a command line: the file's value."""
    for name, pods in {"v1.23.0-healthy-busy": 29, "v1.23.0-healthy-prefix": 110}.items():
        found = read("kubelet_config", recorded(name))
        assert isinstance(found, Observed) and found.value.max_pods == pods
