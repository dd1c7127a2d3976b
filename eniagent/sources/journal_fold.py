"""Folds a journal, entry by entry, into per-pod troubles: exact counts, the newest example of each pod, bounded memory.

Refuses to count one failed attempt twice. The rule:
- a line with a sandbox id (64 hex digits) is one attempt per id, whatever number of lines quote it; one that names no pod waits
  for a later line with the same id that does;
- a line without an id belongs to the pod's last attempt when it comes within `ATTEMPT_US` of it and from a source that prints
  later in the attempt than those heard so far (runtime, sandbox, manager, worker; the event recorder at any place); else it is
  a new attempt. kubelet waits 10 s and more between attempts of one pod, and prints each of these lines once per attempt.
Order of the journal, not its clock, decides what came after what: the clock may have been stepped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, Optional

from eniagent.knowledge.signatures import failure_fields, scan_line
from eniagent.model.net import PodName
from eniagent.model.record import Event, Journal, PodStart, PodTrouble
from eniagent.sources import sandbox_errors
from eniagent.sources.kubelet_starts import parse_start
from eniagent.sources.sandbox_errors import Kinds, Pod, Tail

RUNTIME, SANDBOX, MANAGER, WORKER, RECORDER = range(5)
"""The sources of a failure line, in the order in which one attempt makes them print."""

ATTEMPT_US = 2_000_000
IDS_KEPT = 1 << 17
"""Ids that are remembered, newest first out last: lines about one attempt stand within seconds of each other."""
STARTS_KEPT = 4096
PODS_KEPT = 20_000
UNNAMED_KEPT = 4096
EVENT_LIMIT = 1000
TEARDOWN = "sandbox-teardown-failed"
START = "pod-started"

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Heard(NamedTuple):
    """A failed attempt's first line."""

    at_us: int
    sandbox: bytes
    signature: str
    tail: Tail
    ref: bytes


class _Trouble:
    """What is known of one pod. `heard`: bits of the sources that told of the last attempt."""

    __slots__ = ("failures", "first_us", "last_us", "signatures", "newest", "uid", "heard", "recovered_us", "gone_us", "over")

    def __init__(self) -> None:
        self.failures = 0
        self.first_us = self.last_us = 0
        self.signatures: dict[str, int] = {}
        self.newest: Optional[Heard] = None
        self.uid = b""
        self.heard = 0
        self.recovered_us = self.gone_us = 0
        self.over = False


class Fold:
    """The state of one journal's fold. `program` names whose journal it is."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.pods: dict[bytes, _Trouble] = {}
        self.counts: dict[str, int] = {}
        self.failures = self.entries = 0
        self.since_us = self.until_us = 0
        self.cursor = b""
        self._by_uid: dict[bytes, _Trouble] = {}
        self._without_uid = 0
        self._ids: set[int] = set()
        self._id_order: deque[int] = deque()
        self._unnamed: dict[int, Heard] = {}
        self._starts: deque[tuple[int, bytes]] = deque(maxlen=STARTS_KEPT)
        self._events: dict[str, list[Event]] = {}
        self._kinds = Kinds()

    def failed(self, message: bytes, *, at_us: int, source: int, ref: bytes) -> None:
        """A line about a sandbox that failed."""
        sandbox = sandbox_errors.sandbox_of(message)
        if not sandbox:
            self._failed_without_id(message, at_us=at_us, source=source, ref=ref)
            return
        key = int(sandbox[:16], 16)
        if key in self._ids:
            if source == WORKER and self._without_uid:
                self._learn_uid(message)
            return
        waiting = self._unnamed.get(key)
        if waiting is None and sandbox_errors.is_teardown(message):
            self.count(TEARDOWN)
            return
        pod = sandbox_errors.pod_of(message)
        if pod is None:
            if waiting is None:
                self._wait_for_name(key, self._heard(message, at_us=at_us, sandbox=sandbox, ref=ref))
            return
        if waiting is not None:
            del self._unnamed[key]
        self._remember(key)
        trouble = self._trouble(pod)
        joins = trouble.newest is not None and not trouble.newest.sandbox and self._joins(trouble, at_us, source)
        if joins:
            trouble.heard |= 1 << source
            return
        trouble.heard = 1 << source
        self._attempt(trouble, waiting or self._heard(message, at_us=at_us, sandbox=sandbox, ref=ref))

    def _failed_without_id(self, message: bytes, *, at_us: int, source: int, ref: bytes) -> None:
        if sandbox_errors.is_teardown(message):
            self.count(TEARDOWN)
            return
        pod = sandbox_errors.pod_of(message)
        if pod is None:
            return
        trouble = self._trouble(pod)
        if trouble.failures and self._joins(trouble, at_us, source):
            trouble.heard |= 1 << source
            return
        trouble.heard = 1 << source
        self._attempt(trouble, self._heard(message, at_us=at_us, sandbox=b"", ref=ref))

    @staticmethod
    def _joins(trouble: _Trouble, at_us: int, source: int) -> bool:
        """Whether a line can belong to the pod's last attempt."""
        if abs(at_us - trouble.last_us) > ATTEMPT_US:
            return False
        later = trouble.heard if source == RECORDER else trouble.heard & ~(1 << RECORDER)
        return later >> source == 0

    def _heard(self, message: bytes, *, at_us: int, sandbox: bytes, ref: bytes) -> Heard:
        tail = sandbox_errors.tail(message)
        return Heard(at_us, sandbox, self._kinds.of(tail), tail, ref)

    def _attempt(self, trouble: _Trouble, heard: Heard) -> None:
        """Count one failed attempt; what had ended for the pod has begun again."""
        self.failures += 1
        trouble.failures += 1
        signature = heard.signature
        trouble.signatures[signature] = trouble.signatures.get(signature, 0) + 1
        self.counts[signature] = self.counts.get(signature, 0) + 1
        if trouble.failures == 1 or heard.at_us < trouble.first_us:
            trouble.first_us = heard.at_us
        if heard.at_us > trouble.last_us or trouble.failures == 1:
            trouble.last_us = heard.at_us
        trouble.newest = heard
        trouble.recovered_us = trouble.gone_us = 0
        trouble.over = False

    def _trouble(self, pod: Pod) -> _Trouble:
        trouble = self.pods.get(pod.key)
        if trouble is None:
            if len(self.pods) >= PODS_KEPT:
                self._forget_pods()
            trouble = self.pods[pod.key] = _Trouble()
            self._without_uid += 1
        if pod.uid and trouble.uid != pod.uid:
            self._without_uid -= not trouble.uid
            trouble.uid = pod.uid
            self._by_uid[pod.uid] = trouble
        return trouble

    def _learn_uid(self, message: bytes) -> None:
        """Of an attempt's lines only the last carries the pod's uid."""
        pod = sandbox_errors.pod_of(message)
        if pod is not None and pod.uid and pod.key in self.pods:
            self._trouble(pod)

    def _forget_pods(self) -> None:
        """Drop an eighth of the pods: those that are over first, then those that failed longest ago. Totals stay exact."""
        order = sorted(self.pods, key=lambda key: (not self.pods[key].over, self.pods[key].last_us))
        for key in order[: PODS_KEPT // 8]:
            dropped = self.pods.pop(key)
            self._by_uid.pop(dropped.uid, None)
            self._without_uid -= not dropped.uid
            self.count("pods-not-kept")

    def _remember(self, key: int) -> None:
        self._ids.add(key)
        self._id_order.append(key)
        if len(self._id_order) > IDS_KEPT:
            self._ids.discard(self._id_order.popleft())

    def _wait_for_name(self, key: int, heard: Heard) -> None:
        if len(self._unnamed) >= UNNAMED_KEPT:
            oldest = next(iter(self._unnamed))
            self._count_unnamed(oldest, self._unnamed.pop(oldest))
        self._unnamed[key] = heard

    def _count_unnamed(self, key: int, heard: Heard) -> None:
        self._remember(key)
        self._attempt(self._trouble(Pod(b"", b"")), heard)

    def is_failed(self, sandbox: bytes) -> bool:
        """Whether this sandbox (its id in hex) is known to have failed."""
        return int(sandbox[:16], 16) in self._ids

    def recovered(self, pod: bytes, *, at_us: int) -> None:
        """The pod's containers started, or a sandbox of it came up."""
        trouble = self.pods.get(pod)
        if trouble is not None and not trouble.recovered_us:
            trouble.recovered_us, trouble.over = at_us or 1, True

    def gone(self, pod: bytes, *, at_us: int) -> None:
        """The pod is being deleted or has been removed."""
        self._gone(self.pods.get(pod), at_us)

    def gone_uid(self, uid: bytes, *, at_us: int) -> None:
        """What was left of the pod with this uid has been cleaned up."""
        self._gone(self._by_uid.get(uid), at_us)

    @staticmethod
    def _gone(trouble: Optional[_Trouble], at_us: int) -> None:
        if trouble is not None and not trouble.gone_us:
            trouble.gone_us, trouble.over = at_us or 1, True

    def started(self, pod: bytes, body: bytes, *, at_us: int) -> None:
        """kubelet observed that the pod runs; `body` carries the durations."""
        self.count(START)
        self._starts.append((at_us, body[:400]))
        if pod in self.pods:
            self.recovered(pod, at_us=at_us)

    def count(self, what: str) -> None:
        """One more of `what`."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def event(self, message: bytes, *, at_us: int, ref: bytes) -> None:
        """A line that may concern the node: kept when a signature names it, first and newest of each."""
        text = message[: 4 * EVENT_LIMIT].decode("utf-8", "replace")
        match = scan_line(self.program, text)
        if match is None:
            return
        name = match.signature.id
        self.count(name)
        found = Event(name, time_of(at_us), match.fields, text[:EVENT_LIMIT], ref.decode("ascii", "replace"), self.program)
        kept = self._events.setdefault(name, [found])
        kept[1:] = [found] if kept[0] is not found else []

    def finish(self, *, garbled: int, cut: str) -> Journal:
        """The journal as far as it was read."""
        for key, heard in list(self._unnamed.items()):
            self._count_unnamed(key, heard)
        self._unnamed.clear()
        events = sorted((e for kept in self._events.values() for e in kept), key=lambda e: (e.at is not None, e.at or _EPOCH, e.signature))
        return Journal(
            program=self.program,
            pods=tuple(self._told(pod, trouble) for pod, trouble in self._failed_pods()),
            starts=tuple(start for start in (parse_start(body, at=time_of(at_us)) for at_us, body in self._starts) if start is not None),
            events=tuple(events),
            counts=dict(sorted(self.counts.items())),
            failures=self.failures,
            since=time_of(self.since_us),
            until=time_of(self.until_us),
            entries=self.entries,
            garbled=garbled,
            cursor=self.cursor.decode("ascii", "replace"),
            cut=cut,
        )

    def _failed_pods(self) -> Iterable[tuple[bytes, _Trouble]]:
        return sorted((pod, trouble) for pod, trouble in self.pods.items() if trouble.failures)

    def _told(self, pod: bytes, trouble: _Trouble) -> PodTrouble:
        heard = trouble.newest
        assert heard is not None, "a trouble without an attempt"
        text = sandbox_errors.plain(heard.tail)
        fields = {"sandbox": heard.sandbox.decode(), "uid": trouble.uid.decode(), **failure_fields(heard.signature, text)}
        newest = Event(
            heard.signature, time_of(heard.at_us), {k: v for k, v in fields.items() if v}, text, heard.ref.decode("ascii", "replace"), self.program
        )
        return PodTrouble(
            pod=PodName(pod.decode("utf-8", "replace")), failures=trouble.failures, first_at=time_of(trouble.first_us), last_at=time_of(trouble.last_us),
            signatures=dict(sorted(trouble.signatures.items())), newest=newest,
            recovered_at=_ended(trouble.recovered_us, trouble), gone_at=_ended(trouble.gone_us, trouble),
        )


def _ended(at_us: int, trouble: _Trouble) -> Optional[datetime]:
    """The end of a trouble is never told before its last failure: a clock that was stepped back must not undo it."""
    return time_of(max(at_us, trouble.last_us)) if at_us else None


def time_of(at_us: int) -> Optional[datetime]:
    """Microseconds since 1970 as an aware UTC time; None for 0 and for what no calendar holds."""
    if at_us <= 1:
        return None
    try:
        return _EPOCH + timedelta(microseconds=at_us)
    except OverflowError:
        return None


__all__ = ["MANAGER", "RECORDER", "RUNTIME", "SANDBOX", "WORKER", "Fold", "PodStart", "time_of"]
