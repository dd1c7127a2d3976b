"""What becomes of a pod that failed: it came up, it went away, it fails again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import pytest

from bench.journal_lines import Attempt, Line, docker_text, structured_plugin
from eniagent.model.record import PodTrouble
from eniagent.sources import kubelet
from tests.journal import reading


def _kubelet(text: str, head: str = "kubelet.go:2421") -> Line:
    return Line("kubelet", "I", head, text)


def _started(one: Attempt) -> Line:
    return _kubelet(
        f'"Observed pod startup duration" pod="{one.namespace}/{one.name}" podStartSLOduration=2.5 podStartE2EDuration="1m3.5s" podCreationTimestamp="2026-11-25 14:14:20 +0000 UTC"',
        "pod_startup_latency_tracker.go:104",
    )


ENDS: dict[str, Callable[[Attempt], Line]] = {
    "started": _started,
    "structured PLEG": lambda a: _kubelet(f'"SyncLoop (PLEG): event for pod" pod="{a.namespace}/{a.name}" event={{"ID":"{a.uid}","Type":"ContainerStarted","Data":"{"ab" * 32}"}}'),
    "PLEG of 1.21": lambda a: _kubelet(f'"SyncLoop (PLEG): event for pod" pod="{a.namespace}/{a.name}" event=&{{ID:{a.uid} Type:ContainerStarted Data:{"ab" * 32}}}'),
    "text PLEG": lambda a: _kubelet(f'SyncLoop (PLEG): "{a.name}_{a.namespace}({a.uid})", event: &pleg.PodLifecycleEvent{{ID:"{a.uid}", Type:"ContainerStarted", Data:"{"ab" * 32}"}}'),
}
GOES: dict[str, Callable[[Attempt], Line]] = {
    "DELETE": lambda a: _kubelet(f'"SyncLoop DELETE" source="api" pods=["kube-system/x-1","{a.namespace}/{a.name}"]'),
    "REMOVE": lambda a: _kubelet(f'"SyncLoop REMOVE" source="api" pods=[{a.namespace}/{a.name}]'),
    "text DELETE": lambda a: _kubelet(f'SyncLoop (DELETE, "api"): "{a.name}_{a.namespace}({a.uid})"'),
    "volumes": lambda a: _kubelet(f'"Cleaned up orphaned pod volumes dir" podUID="{a.uid}" path="/var/lib/kubelet/pods/{a.uid}/volumes"', "kubelet_volumes.go:163"),
}


def _trouble(*steps: tuple[float, list[Line]], program: str = "kubelet") -> PodTrouble:
    entries = [entry for start_s, lines in steps for entry in reading.entries([line for line in lines if line.program == program], start_s=start_s)]
    found = reading.journal(reading.as_json(entries), program=program)
    assert len(found.pods) == 1
    return found.pods[0]


@pytest.mark.parametrize("end", ENDS)
def test_a_pod_that_came_up_is_recovered(end: str) -> None:
    """Each line by which kubelet tells that a pod's containers run ends its trouble, at that line's time."""
    one = reading.attempts(1)[0]
    trouble = _trouble((0, structured_plugin(one)), (20, [ENDS[end](one)]))
    assert (trouble.recovered_at, trouble.gone_at) == (reading.at(20), None)


@pytest.mark.parametrize("end", GOES)
def test_a_pod_that_went_away_is_gone(end: str) -> None:
    """Each line by which kubelet tells that a pod is deleted ends its trouble without calling it recovered."""
    one = reading.attempts(1)[0]
    trouble = _trouble((0, structured_plugin(one)), (20, [GOES[end](one)]))
    assert (trouble.recovered_at, trouble.gone_at) == (None, reading.at(20))


@pytest.mark.parametrize("end", [*ENDS.values(), *GOES.values()], ids=[*ENDS, *GOES])
def test_a_pod_that_fails_again_is_neither(end: Callable[[Attempt], Line]) -> None:
    """A failure after the end opens the trouble again."""
    first, second = reading.attempts(2, pods=1)
    trouble = _trouble((0, structured_plugin(first)), (20, [end(first)]), (40, structured_plugin(second)))
    assert (trouble.failures, trouble.recovered_at, trouble.gone_at) == (2, None, None)


def test_the_start_of_a_failed_sandbox_recovers_nothing() -> None:
    """docker lists a sandbox as started although its network failed."""
    one = reading.attempts(1)[0]
    line = _kubelet(f'"SyncLoop (PLEG): event for pod" pod="{one.namespace}/{one.name}" event={{"ID":"{one.uid}","Type":"ContainerStarted","Data":"{one.sandbox}"}}')
    assert _trouble((0, structured_plugin(one)), (1, [line])).recovered_at is None


def test_other_pods_recover_nothing() -> None:
    """Another pod's start leaves the trouble as it is."""
    one, other = reading.attempts(2, pods=2)
    assert _trouble((0, docker_text(one)), (20, [_started(other)])).recovered_at is None


def test_containerd_tells_that_a_later_sandbox_came_up() -> None:
    """`returns sandbox id` of the same pod ends its trouble in containerd's journal."""
    one = reading.attempts(1)[0]
    meta = f"&PodSandboxMetadata{{Name:{one.name},Uid:{one.uid},Namespace:{one.namespace},Attempt:0,}}"
    up = Line("containerd", "I", "", f'level=info msg="RunPodSandbox for {meta} returns sandbox id \\"{"cd" * 32}\\""')
    assert _trouble((0, structured_plugin(one)), (12, [up]), program="containerd").recovered_at == reading.at(12)


def test_order_decides_where_the_clock_was_stepped_back() -> None:
    """The start stands after the failure in the journal but carries an earlier time: recovered, and not before the failure."""
    one = reading.attempts(1)[0]
    trouble = _trouble((3600, structured_plugin(one)), (20, [_started(one)]))
    assert trouble.recovered_at is not None and trouble.last_at is not None
    assert trouble.recovered_at >= trouble.last_at


@pytest.mark.parametrize(
    ("text", "slo", "e2e"),
    [
        ('podStartSLOduration=2.5 podStartE2EDuration="1m3.5s" podCreationTimestamp="2026-11-25 14:14:20 +0000 UTC"', 2.5, 63.5),
        ('podStartSLOduration="2.5s" podStartE2EDuration="850ms" podCreationTimestamp="2026-11-25 14:14:20 +0000 UTC"', 2.5, 0.85),
        ('podStartSLOduration=1.9 pod.CreationTimestamp="2026-11-25 14:14:20 +0000 UTC"', 1.9, None),
    ],
)
def test_start_durations_are_read_as_kubelet_logged_them(text: str, slo: float, e2e: Optional[float]) -> None:
    """All wordings of the tracker give the same fields."""
    line = _kubelet(f'"Observed pod startup duration" pod="default/web-1" {text}', "pod_startup_latency_tracker.go:104")
    (start,) = reading.journal(reading.as_json(reading.entries([line]))).starts
    assert (start.pod, start.slo_s, start.e2e_s) == ("default/web-1", slo, e2e)
    assert start.created_at is not None and start.created_at.isoformat() == "2026-11-25T14:14:20+00:00"


@pytest.mark.parametrize("end", [end for end in (*ENDS, *GOES) if end not in ("structured PLEG", "volumes")])
def test_the_prefilter_keeps_the_ends(end: str) -> None:
    """journalctl's pattern lets through what ends a trouble (of PLEG's events only the forms of kubelets without a start tracker)."""
    import re

    line = ({**ENDS, **GOES})[end](reading.attempts(1)[0])
    assert re.match(kubelet.GREP.encode(), reading.entries([line])[0].message)
