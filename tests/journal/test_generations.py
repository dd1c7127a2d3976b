"""Every generation of failure lines, in every form of a journal: one failure per attempt, the right pod, the uncut error."""

from __future__ import annotations

import random

import pytest

from bench import journal_lines
from bench.journal_files import Entry
from bench.journal_lines import ADDRESS, GENERATIONS, RANGE, REFUSED, WITHOUT_SANDBOX
from eniagent.knowledge.signatures import classify_failure
from eniagent.sources.kubelet import GREP
from tests.journal import reading

RUNTIME_TELLS = tuple(name for name in GENERATIONS if name not in (*WITHOUT_SANDBOX, "docker-sandbox"))


@pytest.mark.parametrize("form", reading.FORMS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_each_attempt_counts_once(generation: str, form: str) -> None:
    """Whatever number of lines tell of an attempt, and in whatever form the journal is, it is one failure of its pod."""
    tried = reading.attempts(9)
    found = reading.journal(reading.FORMS[form](reading.lines_of(generation, tried, program="kubelet")))
    assert found.failures == 9
    assert {(t.pod, t.failures) for t in found.pods} == {(f"{a.namespace}/{a.name}", 3) for a in tried}
    assert found.garbled == 0


@pytest.mark.parametrize("generation", RUNTIME_TELLS)
def test_containerd_tells_each_attempt_once(generation: str) -> None:
    """containerd's line names pod, uid and sandbox of each attempt."""
    tried = reading.attempts(6)
    found = reading.journal(reading.as_json(reading.lines_of(generation, tried, program="containerd")), program="containerd")
    assert found.failures == 6
    assert {(t.pod, t.newest.fields["uid"]) for t in found.pods} == {(f"{a.namespace}/{a.name}", a.uid) for a in tried}


@pytest.mark.parametrize("text", [ADDRESS, RANGE, REFUSED], ids=["address", "range", "refused"])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_inner_error_is_whole_and_plain(generation: str, text: str) -> None:
    """The newest failure holds the plugin's words without wrappings and escapes, and its signature is that of these words."""
    tried = reading.attempts(1, text=text)
    trouble = reading.journal(reading.as_json(reading.lines_of(generation, tried, program="kubelet"))).pods[0]
    assert trouble.newest.text.endswith(text)
    assert "\\" not in trouble.newest.text
    assert trouble.signatures == {classify_failure(text): 1}
    assert trouble.newest.signature == classify_failure(text)
    assert trouble.newest.fields.get("sandbox", "") == ("" if generation in WITHOUT_SANDBOX else tried[0].sandbox)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("seed", range(8))
def test_any_lines_of_an_attempt_may_be_missing(generation: str, seed: int) -> None:
    """Rate limits and vacuuming drop lines: an attempt of which one line with the pod's name is left still counts once."""
    rng = random.Random(seed)
    tried = reading.attempts(12)
    kept = []
    for number, one in enumerate(tried):
        told = [line for line in GENERATIONS[generation](one) if line.program == "kubelet"]
        named = [line for line in told if not line.head.startswith(("cni.go", "remote_runtime", "log.go"))]
        sure = rng.choice(named)
        kept += reading.entries([line for line in told if line is sure or rng.random() < 0.5], start_s=number * 12.0)
    found = reading.journal(reading.as_json(kept))
    assert found.failures == 12


@pytest.mark.parametrize("generation", GENERATIONS)
def test_attempts_of_one_pod_in_quick_turn_stay_apart(generation: str) -> None:
    """Two whole attempts of one pod within a second are two: each source prints once per attempt."""
    tried = reading.attempts(4, pods=1)
    found = reading.journal(reading.as_json(reading.lines_of(generation, tried, program="kubelet", every_s=0.2)))
    assert found.failures == 4


def test_interleaved_attempts_of_many_pods_stay_apart() -> None:
    """The lines of concurrent attempts mix in the journal; each attempt still counts once."""
    rng = random.Random(3)
    streams = []
    for generation in GENERATIONS:
        for one in reading.attempts(5, pods=5, seed=rng.randrange(1 << 30)):
            streams.append([line for line in GENERATIONS[generation](one) if line.program == "kubelet"])
    mixed = []
    while streams:
        stream = rng.choice(streams)
        mixed.append(stream.pop(0))
        streams = [s for s in streams if s]
    found = reading.journal(reading.as_json(reading.entries(mixed, step_us=900)))
    assert found.failures == 5 * len(GENERATIONS)
    assert len(found.pods) == 5 * len(GENERATIONS)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_the_prefilter_keeps_what_the_reader_counts(generation: str) -> None:
    """A journal through the pattern that journalctl is given counts as the whole journal does."""
    import re

    pattern = re.compile(GREP.encode())
    everything = reading.lines_of(generation, reading.attempts(5), program="kubelet")
    left = [entry for entry in everything if pattern.match(entry.message)]
    assert reading.journal(reading.as_json(left)).failures == 5


def test_a_sandbox_without_a_named_pod_is_told_without_one() -> None:
    """Only the runtime's line is left: the attempt counts, of a pod without a name."""
    tried = reading.attempts(2)
    lines = [line for one in tried for line in journal_lines.structured_plugin(one) if line.head.startswith("remote_runtime")]
    found = reading.journal(reading.as_json(reading.entries(lines)))
    assert found.failures == 2
    assert [(t.pod, t.failures) for t in found.pods] == [("", 2)]


def test_a_failed_teardown_is_no_failed_attempt() -> None:
    """A sandbox that could not be torn down had its address: no allocation failed."""
    one = reading.attempts(1)[0]
    error = f'rpc error: code = Unknown desc = failed to destroy network for sandbox "{one.sandbox}": plugin type="aws-cni" name="aws-cni" failed (delete): del cmd: failed to process delete request'
    inner = f'failed to "KillPodSandbox" for "{one.uid}" with KillPodSandboxError: {journal_lines.quoted(error)}'
    text = f'"Error syncing pod, skipping" err={journal_lines.quoted(inner)} pod="{one.namespace}/{one.name}" podUID="{one.uid}"'
    found = reading.journal(reading.as_json(reading.entries([journal_lines.Line("kubelet", "E", "pod_workers.go:1300", text)])))
    assert (found.failures, found.counts) == (0, {"sandbox-teardown-failed": 1})


def test_a_name_reserved_for_another_sandbox_counts_each_attempt() -> None:
    """The id in `is reserved for` is an older sandbox's: attempts that quote the same one are still several."""
    one = reading.attempts(1)[0]
    error = f'rpc error: code = Unknown desc = failed to reserve sandbox name "{one.name}_{one.namespace}_{one.uid}_0": name is reserved for "{one.sandbox}"'
    line = journal_lines.Line("kubelet", "E", "kuberuntime_manager.go:1168", f'"CreatePodSandbox for pod failed" err={journal_lines.quoted(error)} pod="{one.namespace}/{one.name}"')
    found = reading.journal(reading.as_json([*reading.entries([line]), *reading.entries([line], start_s=12)]))
    assert found.failures == 2


def test_json_logging_is_read_like_klog() -> None:
    """kubelet with --logging-format=json tells the same."""
    message = (
        b'{"ts":1690000000000.1,"caller":"kuberuntime/kuberuntime_manager.go:1172","msg":"CreatePodSandbox for pod failed","pod":{"name":"j1","namespace":"default"},'
        b'"err":"rpc error: code = Unknown desc = failed to setup network for sandbox \\"' + b"35" * 32 + b'\\": add cmd: failed to assign an IP address to container"}'
    )
    found = reading.journal(reading.as_json([Entry(reading.START_US, "kubelet.service", "kubelet", 1, message)]))
    assert [(t.pod, t.newest.text) for t in found.pods] == [("default/j1", ADDRESS)]


def test_a_line_that_a_pager_cut_still_counts() -> None:
    """`>` at the end, the id and the error gone: the pod's attempt is known all the same."""
    one = reading.attempts(1)[0]
    whole = journal_lines.structured_plugin(one)[-1]
    short = whole._replace(text=whole.text[: whole.text.index("with CreatePodSandboxError") + 60] + ">")
    found = reading.journal(reading.as_bare(reading.entries([short])))
    assert [(t.pod, t.failures) for t in found.pods] == [(f"{one.namespace}/{one.name}", 1)]
