"""The moving window tells what a single fold over the same entries tells, however it was cut into batches, lives and times."""

from __future__ import annotations

import random
import re
from datetime import timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.model.record import Journal
from eniagent.sources import containerd, journal_window, kubelet
from eniagent.sources.journal_fold import Fold, time_of
from eniagent.sources.journal_window import GONE, RECOVERED, Memory, Window
from tests.follower.lines import Cluster, Told

START_US = 1795616063_000000
KEEPS = {name: re.compile(grep.encode()).match for name, grep in (("kubelet", kubelet.GREP), ("containerd", containerd.GREP))}
TELLS = {"kubelet": kubelet.fold_line, "containerd": containerd.fold_line}
Entry = tuple[int, Told]


def entries(*, attempts: int, pods: int, seed: int, step_us: int = 250_000) -> list[Entry]:
    """A journal of kubelet: failures, noise, pods that start, pods that go."""
    cluster, rng, found, at = Cluster(pods=pods, seed=seed, nameless=True), random.Random(seed), [], START_US
    for _ in range(attempts):
        at += rng.randrange(step_us)
        pod, _, lines = cluster.attempt(at_us=at)
        found += [(at + 20 * i, line) for i, line in enumerate(lines) if line.identifier == "kubelet"]
        if rng.random() < 0.3:
            found.append((at + 300, cluster.noise()))
        if rng.random() < 0.1:
            found.append((at + 400, Told("kubelet", b'I1125 14:00:00.000000    711 kubelet.go:2437] "SyncLoop DELETE" source="api" pods=["%s"]' % pod.encode())))
        elif rng.random() < 0.1:
            body = b'"Observed pod startup duration" pod="%s" podStartSLOduration=1.5 podStartE2EDuration="1.5s" podCreationTimestamp="2026-11-25 14:14:23 +0000 UTC"' % pod.encode()
            found.append((at + 400, Told("kubelet", b"I1125 14:00:00.000000    711 pod_startup_latency_tracker.go:104] " + body)))
    return found


def tell(fold: Fold, item: Entry) -> None:
    """One entry, as the follower hands it over."""
    at_us, line = item
    if isinstance(fold, Window):
        fold.until_us = at_us
    if KEEPS[line.identifier](line.message):
        TELLS[line.identifier](fold, line.message, at_us, b"ref-%d" % at_us)
    if isinstance(fold, Window):
        fold.seen(1, at_us=at_us, cursor=b"ref-%d" % at_us)
    else:
        fold.entries, fold.until_us, fold.cursor = fold.entries + 1, at_us, b"ref-%d" % at_us


def failed(number: int, pod: str) -> bytes:
    """A line of kubelet about a sandbox of its own."""
    wrapped = f'failed to setup network for sandbox \\"{number:016x}{0:048x}\\": plugin type=\\"aws-cni\\" name=\\"aws-cni\\" failed (add): add cmd: failed to assign an IP address to container'
    return f'E1125 14:00:00.000000     711 kuberuntime_sandbox.go:72] "Failed to create sandbox for pod" err="{wrapped}" pod="a/{pod}"'.encode()


def whole(items: list[Entry]) -> Journal:
    """What a single fold tells."""
    fold = Fold("kubelet")
    for item in items:
        tell(fold, item)
    return fold.finish(garbled=0, cut="")


def told_by(window: Window, *, since_us: int = 0) -> Journal:
    """What the window tells."""
    return window.journal(since_us=since_us, garbled=0, cut="")


def test_a_window_over_everything_equals_one_fold() -> None:
    """With nothing before the window's start, both tell the same: pods, counts, starts, events."""
    items = entries(attempts=400, pods=30, seed=2)
    window = Window("kubelet")
    for item in items:
        tell(window, item)
        if item[0] % 5 == 0:
            told_by(window)
    one = whole(items)
    assert one.failures > 300 and one.starts and any(p.gone_at for p in one.pods)
    assert told_by(window) == one


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_lives_add_up_to_one(seed: int, cuts: list[int]) -> None:
    """Stopped after any entry and gone on with from what was stored, the window ends as if it had never stopped."""
    items = entries(attempts=60, pods=8, seed=seed, step_us=900_000)
    window, failures = Window("kubelet"), []
    for number, item in enumerate(items):
        tell(window, item)
        if number in cuts:
            learned, _ = window.take_learned()
            failures += learned
            memory = msgspec.json.decode(msgspec.json.encode(window.memory()), type=Memory)
            journal = told_by(window)
            window = Window("kubelet")
            window.restore(journal, failures, memory)
    learned, _ = window.take_learned()
    failures += learned
    one, other = whole(items), told_by(window)
    assert len({(f.pod, f.sandbox or f.at) for f in failures}) == len(failures) == one.failures
    assert [_stable(p) for p in other.pods] == [_stable(p) for p in one.pods]
    assert (other.failures, other.counts, other.starts, other.entries) == (one.failures, one.counts, one.starts, one.entries)


def _stable(trouble: object) -> object:
    """Without the uid, which kubelet tells in the last line of an attempt: a failure may have been stored before that."""
    fields = msgspec.to_builtins(trouble)
    fields["newest"]["fields"].pop("uid", None)
    return fields


def test_what_is_before_the_window_is_forgotten() -> None:
    """The window at its end tells what a fold over its entries alone tells, and holds no pod that only failed before."""
    items = entries(attempts=600, pods=40, seed=5)
    opens_us = items[len(items) // 2][0]
    window = Window("kubelet")
    for item in items:
        tell(window, item)
    mine = told_by(window, since_us=opens_us)
    begun = [item for item in items if item[0] >= opens_us]
    one = whole(begun)
    counts = {p.pod: p.failures for p in one.pods}
    # An attempt whose lines lie on both sides of the start belongs to its first line.
    assert sum(abs(counts.get(p.pod, 0) - p.failures) for p in mine.pods) <= 1
    assert all(p.first_at and p.first_at >= time_of(opens_us) for p in mine.pods)  # type: ignore[operator]
    later = told_by(window, since_us=items[-1][0] + 3600_000_000)
    assert (later.pods, later.failures, later.starts, later.counts, later.entries) == ((), 0, (), {}, 0)
    assert not window.pods and not window._kept.minutes


def test_attempts_are_handed_over_once_and_in_order() -> None:
    """Each attempt is told in exactly one batch; ends of troubles are told as transitions."""
    items = entries(attempts=200, pods=10, seed=9)
    window, told, ends = Window("kubelet"), [], []
    for item in items:
        tell(window, item)
        failures, transitions = window.take_learned()
        told += failures
        ends += transitions
    assert len(told) == whole(items).failures
    assert {end.what for end in ends} == {RECOVERED, GONE}
    assert [f.at for f in told] == sorted(f.at for f in told if f.at)


def test_a_storm_moves_the_beginning_and_says_so() -> None:
    """Beyond the bound of attempts the window begins later: what it tells stays exact from there on, and memory stays bounded."""
    kept = 20_000
    window = Window("kubelet", attempts_kept=kept)
    window.since_us = START_US
    for number in range(kept + 1000):
        at_us = START_US + number * 1000
        window.until_us = at_us
        window.failed(failed(number, f"p{number % 500}"), at_us=at_us, source=1, ref=b"")
        if number % 1000 == 0:
            window.take_learned()
    told = told_by(window, since_us=START_US)
    assert told.since and told.since > time_of(START_US)  # type: ignore[operator]
    expected = sum((time_of(START_US + number * 1000) or told.since) >= told.since for number in range(kept + 1000))
    assert told.failures == expected
    assert window._kept.total <= kept
    assert len(window._ids) <= journal_window.IDS_KEPT


def test_more_pods_than_are_kept_stay_counted() -> None:
    """Pods beyond the bound are dropped by name, and their attempts stay in the totals."""
    window = Window("kubelet")
    number = journal_window.PODS_KEPT + 500
    for i in range(number):
        window.until_us = START_US + i
        window.failed(failed(i, f"p{i}"), at_us=START_US + i, source=1, ref=b"")
    told = told_by(window)
    assert len(told.pods) <= journal_window.PODS_KEPT and told.failures == number
    assert told.counts["pods-not-kept"] == number - len(told.pods)


def test_a_clock_that_was_ahead_leaves_nothing_standing() -> None:
    """A failure stamped years ahead leaves the window an hour after it arrived."""
    window = Window("kubelet")
    window.now_us = START_US
    ahead = START_US + 10**13
    window.until_us = ahead
    window.failed(failed(7, "p"), at_us=ahead, source=1, ref=b"")
    assert told_by(window, since_us=START_US - 1).failures == 1
    after = time_of(START_US)
    assert after is not None
    assert told_by(window, since_us=START_US + int(timedelta(hours=1).total_seconds() * 1e6)).failures == 0
