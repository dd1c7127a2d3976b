"""A journal's fold whose window moves on: attempts, starts and counts fall out at its beginning, new ones are told one by one.

Refuses to hold entries or to grow with a storm: an attempt costs ten bytes, and where there are too many the window's beginning
moves up and says so. What it tells equals what a single fold over the same entries tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Optional

import msgspec

from eniagent.model.chronicle import Failure, Transition
from eniagent.model.net import PodName
from eniagent.model.record import Journal, PodStart, PodTrouble
from eniagent.sources.journal_fold import START, STARTS_KEPT, Fold, Heard, _Trouble, time_of
from eniagent.sources.journal_kept import ATTEMPTS_KEPT, Kept
from eniagent.sources.journal_text import micros
from eniagent.sources.kubelet_starts import parse_start
from eniagent.sources.sandbox_errors import Pod, Tail, plain

PODS_KEPT = 6_000
IDS_KEPT = 1 << 15
NAMED_US = 60_000_000
"""How long a sandbox without a pod's name waits for the line that names it."""
RECENT_US = 5_000_000
AHEAD_US = 60_000_000
"""How far an entry may be ahead of the time at which reading began."""
RECOVERED, GONE = "pod-recovered", "pod-gone"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """A failed sandbox that no line has named a pod for yet."""

    at_us: int
    sandbox: bytes
    signature: str
    text: bytes
    levels: int
    ref: bytes


class Memory(msgspec.Struct, frozen=True):
    """What the next line may still belong to: sandboxes without a name, and pods' last attempts: sources heard, time, sandbox."""

    waiting: tuple[Waiting, ...] = ()
    attempts: dict[str, tuple[int, int, str]] = {}


class Window(Fold):
    """One program's journal over a moving window."""

    def __init__(self, program: str, *, attempts_kept: int = ATTEMPTS_KEPT) -> None:
        super().__init__(program)
        self._attempts_kept = attempts_kept
        self.now_us = 0
        self.ever = False
        """Whether an entry of the program was ever seen."""
        self._kept = Kept()
        self._begun: deque[tuple[int, PodStart]] = deque(maxlen=STARTS_KEPT)
        self._learned: list[tuple[bytes, Heard]] = []
        self._ended: list[Transition] = []
        self._pod = b""

    def _trouble(self, pod: Pod) -> _Trouble:
        self._pod = pod.key
        if len(self.pods) >= PODS_KEPT and pod.key not in self.pods:
            self._shed_pods()
        return super()._trouble(pod)

    def _attempt(self, trouble: _Trouble, heard: Heard) -> None:
        super()._attempt(trouble, heard)
        self._keep(self._pod, heard.at_us, heard.signature)
        self._learned.append((self._pod, heard))

    def _keep(self, pod: bytes, at_us: int, signature: str) -> None:
        self._kept.add(pod, signature, at_us=self._arrived(at_us))
        if self._kept.total > self._attempts_kept:
            self._expire(self._kept.raise_floor())

    def _arrived(self, at_us: int) -> int:
        """An entry from a clock that was ahead is as old as its arrival: else it would stay until that time comes."""
        return self.now_us if not at_us or (self.now_us and at_us > self.now_us + AHEAD_US) else at_us

    def _remember(self, key: int) -> None:
        super()._remember(key)
        if len(self._id_order) > IDS_KEPT:
            self._ids.discard(self._id_order.popleft())

    def recovered(self, pod: bytes, *, at_us: int) -> None:
        """The pod's containers started, or a sandbox of it came up."""
        trouble = self.pods.get(pod)
        if trouble is not None and not trouble.recovered_us:
            self._end(pod, RECOVERED, at_us)
        super().recovered(pod, at_us=at_us)

    def gone(self, pod: bytes, *, at_us: int) -> None:
        """The pod is being deleted or has been removed."""
        trouble = self.pods.get(pod)
        if trouble is not None and not trouble.gone_us:
            self._end(pod, GONE, at_us)
        super().gone(pod, at_us=at_us)

    def gone_uid(self, uid: bytes, *, at_us: int) -> None:
        """What was left of the pod with this uid has been cleaned up."""
        trouble = self._by_uid.get(uid)
        if trouble is not None and not trouble.gone_us:
            self._end(next((pod for pod, known in self.pods.items() if known is trouble), b""), GONE, at_us)
        super().gone_uid(uid, at_us=at_us)

    def _end(self, pod: bytes, what: str, at_us: int) -> None:
        at = time_of(at_us) or time_of(self.now_us)
        if at is not None and pod:
            self._ended.append(Transition(at, what, pod.decode("utf-8", "replace")))

    def started(self, pod: bytes, body: bytes, *, at_us: int) -> None:
        """kubelet observed that the pod runs; `body` carries the durations."""
        self.count(START)
        start = parse_start(body[:400], at=time_of(at_us))
        if start is not None:
            self._begun.append((self._arrived(at_us), start))
        if pod in self.pods:
            self.recovered(pod, at_us=at_us)

    def count(self, what: str) -> None:
        """One more of `what`."""
        self._count(what, 1, self.until_us)

    def _count(self, what: str, number: int, at_us: int) -> None:
        self._kept.count(what, number, at_us=self._arrived(at_us))

    def seen(self, number: int, *, at_us: int, cursor: bytes) -> None:
        """So many entries of the program were read, the last of them this one."""
        self.ever, self.until_us, self.cursor = True, at_us, cursor
        self._count("", number, at_us)

    @property
    def learned(self) -> int:
        """How many attempts wait to be taken."""
        return len(self._learned)

    def take_learned(self) -> tuple[list[Failure], list[Transition]]:
        """Attempts and ends since the last time, in the journal's order."""
        failures = []
        for pod, heard in self._learned:
            known = self.pods.get(pod)
            failures.append(
                Failure(
                    PodName(pod.decode("utf-8", "replace")), heard.sandbox.decode(), time_of(heard.at_us), heard.signature, (self.program,),
                    known.uid.decode() if known is not None else "", plain(heard.tail),
                )  # fmt: skip
            )
        ended, self._learned, self._ended = self._ended, [], []
        return failures, ended

    def journal(self, *, since_us: int, garbled: int, cut: str) -> Journal:
        """The journal over the window. Sandboxes that waited too long for a pod's name are counted without one."""
        self._expire(max(since_us, self._kept.floor_us))
        for key, heard in [(k, h) for k, h in self._unnamed.items() if self.until_us - h.at_us > NAMED_US]:
            del self._unnamed[key]
            self._count_unnamed(key, heard)
        told = [self._told_pod(pod) for pod in self._kept.pods]
        counts = self._kept.counts()
        entries, uncounted = counts.pop("", 0), counts.pop("failures", 0)
        for name, number in ((name, number) for trouble in told for name, number in trouble.signatures.items()):
            counts[name] = counts.get(name, 0) + number
        events = sorted((e for kept in self._events.values() for e in kept), key=lambda e: (e.at is not None, e.at or _EPOCH, e.signature))
        return Journal(
            program=self.program, pods=tuple(told), starts=tuple(start for _, start in self._begun), events=tuple(events), counts=dict(sorted(counts.items())),
            failures=sum(trouble.failures for trouble in told) + uncounted, since=time_of(max(self.since_us, self._kept.floor_us)), until=time_of(self.until_us),
            entries=entries, garbled=garbled, cursor=self.cursor.decode("ascii", "replace"), cut=cut,
        )  # fmt: skip

    def _told_pod(self, pod: bytes) -> PodTrouble:
        kept, whole = self._kept.told(pod), self._told(pod, self.pods[pod])
        return msgspec.structs.replace(
            whole, failures=kept.failures, first_at=time_of(kept.first_us), last_at=time_of(kept.last_us), signatures=kept.signatures
        )

    def _expire(self, since_us: int) -> None:
        """Forget what lies before the window."""
        for pod in self._kept.expire(since_us):
            self._drop(pod)
        while self._begun and self._begun[0][0] < since_us:
            self._begun.popleft()
        opens = time_of(since_us)
        for name, events in list(self._events.items()):
            events[:] = [event for event in events if opens is None or (event.at is not None and event.at >= opens)]
            if not events:
                del self._events[name]

    def _drop(self, pod: bytes) -> None:
        dropped = self.pods.pop(pod, None)
        if dropped is not None:
            self._by_uid.pop(dropped.uid, None)
            self._without_uid -= not dropped.uid

    def _shed_pods(self) -> None:
        """Drop an eighth of the pods, those that are over first. Their attempts stay counted."""
        order = sorted(self.pods, key=lambda pod: (not self.pods[pod].over, self.pods[pod].last_us))
        for pod in order[: PODS_KEPT // 8]:
            self._kept.dissolve(pod)
            self._drop(pod)
            self.count("pods-not-kept")

    def memory(self) -> Memory:
        """What must outlive the process so that the next one goes on as this one would have."""
        recent = self.until_us - RECENT_US
        waiting = tuple(Waiting(h.at_us, h.sandbox, h.signature, h.tail.text, h.tail.levels, h.ref) for h in self._unnamed.values())
        attempts = {
            pod.decode("utf-8", "replace"): (trouble.heard, trouble.last_us, trouble.newest.sandbox.decode())
            for pod, trouble in self.pods.items()
            if trouble.last_us >= recent and trouble.newest is not None
        }
        return Memory(waiting, attempts)

    def restore(self, journal: Optional[Journal], failures: Iterable[Failure], memory: Memory) -> None:
        """Go on where an earlier process stopped: its last journal, the failures that it stored, and its memory."""
        for failure in failures:
            self._restore_failure(failure)
        for waiting in memory.waiting:
            heard = Heard(waiting.at_us, waiting.sandbox, waiting.signature, Tail(waiting.text, waiting.levels), waiting.ref)
            self._unnamed[int(waiting.sandbox[:16], 16)] = heard
        if journal is not None:
            self._restore_journal(journal)
        for pod, (heard_bits, last_us, _) in memory.attempts.items():
            trouble = self.pods.get(pod.encode())
            if trouble is not None:
                trouble.heard, trouble.last_us = heard_bits, last_us

    def _restore_failure(self, failure: Failure) -> None:
        at_us, pod, sandbox = micros(failure.at) if failure.at else 0, failure.pod.encode(), failure.sandbox.encode()
        trouble = self._trouble(Pod(pod, failure.uid.encode()))
        heard = Heard(at_us, sandbox, failure.signature, Tail(failure.text.encode(), 0), b"")
        if sandbox:
            self._remember(int(sandbox[:16], 16))
        trouble.failures += 1
        trouble.first_us = trouble.first_us or at_us
        if trouble.newest is None or at_us >= trouble.last_us:
            trouble.newest, trouble.last_us = heard, at_us
        self._keep(pod, at_us, failure.signature)
        self.ever = True

    def _restore_journal(self, journal: Journal) -> None:
        until_us = micros(journal.until) if journal.until else 0
        self.ever, self.until_us, self.cursor = True, until_us, journal.cursor.encode()
        for told in journal.pods:
            trouble = self.pods.get(told.pod.encode())
            if trouble is None or trouble.newest is None:
                continue
            newest, at_us = told.newest, micros(told.newest.at) if told.newest.at else 0
            trouble.newest = Heard(at_us, newest.fields.get("sandbox", "").encode(), newest.signature, Tail(newest.text.encode(), 0), newest.ref.encode())
            trouble.recovered_us = micros(told.recovered_at) if told.recovered_at else 0
            trouble.gone_us = micros(told.gone_at) if told.gone_at else 0
            trouble.over = bool(trouble.recovered_us or trouble.gone_us)
        self._begun.extend((micros(start.at) if start.at else until_us, start) for start in journal.starts)
        counted = {name for trouble in journal.pods for name in trouble.signatures}
        times = {event.signature: micros(event.at) for event in journal.events if event.at}
        for event in journal.events:
            self._events.setdefault(event.signature, []).append(event)
        for name, number in journal.counts.items():
            if name == START:
                for at_us, _ in self._begun:
                    self._count(START, 1, at_us)
            elif name not in counted:
                self._count(name, number, times.get(name, until_us))
        self._count("", journal.entries, until_us)


__all__ = ["GONE", "RECOVERED", "Memory", "Waiting", "Window"]
