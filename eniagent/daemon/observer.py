"""Makes one snapshot a cycle out of looks that are due, answers that still hold, followed logs and journals, and resident IMDS.

Refuses to take a look that cannot tell anything new, and to compare views of different ages: what ipamd and the kernel say of the
same addresses is asked for again together as soon as one of them changed.
"""

from __future__ import annotations

import contextlib
import os
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Optional

from eniagent.daemon.cadence import CHECKPOINT, IPAMD, KERNEL, TROUBLE, group_of, is_due
from eniagent.daemon.memo import Memo
from eniagent.edge import clock, look
from eniagent.edge.clock import Deadline
from eniagent.edge.follower import Batch, Follower
from eniagent.edge.imds_resident import ResidentImds
from eniagent.edge.kernel_watch import KernelWatch
from eniagent.edge.log_tail import LogTail
from eniagent.edge.logs import POOL_ACTION_NEEDLES
from eniagent.edge.process_watch import ProcessWatch
from eniagent.edge.rooted import matches, resolve
from eniagent.edge.runtime_files import runtime_captures
from eniagent.edge.settings import Settings
from eniagent.model.capture import Capture
from eniagent.model.probe import ReadLogs
from eniagent.model.reading import Observed, Reading
from eniagent.model.snapshot import READINGS, NodeSnapshot
from eniagent.sources import Span, imds, introspection, ipamd_log, plugin_log

LOGS = {"ipamd_log": ("ipamd", ipamd_log, POOL_ACTION_NEEDLES), "plugin_log": ("plugin", plugin_log, ())}
JOURNALS = ("kubelet", "containerd")
LOOKED_AT = tuple(field for field in READINGS if field not in (*LOGS, *JOURNALS, "metadata"))
CYCLE_S = 10.0
"""What is missing after this is told as missing, and comes with the next cycle."""
DRAIN_S = 3.0
FIRST_IMDS_S = 3.0
CHECKPOINTS = "/var/run/aws-node/*.json"


class Observation(NamedTuple):
    """One cycle's look. `batch` is to be stored with the snapshot and then settled."""

    snapshot: NodeSnapshot
    batch: Batch
    renewed: int


class Observer:
    """Keeps what must be kept between cycles. Its methods are for one thread, which must outlive it."""

    def __init__(self, settings: Settings, follower: Follower) -> None:
        self._settings, self.follower = settings, follower
        self._seen: dict[str, Capture] = {}
        self._taken_s: dict[str, float] = {}
        self._memo = Memo()
        self._kernel = KernelWatch()
        self._processes = ProcessWatch(root=settings.root)
        self._stamps: Any = None
        self._imds = ResidentImds(imds.FILE, base_url=settings.imds_url, poll_s=settings.imds_poll_s)
        self._imds.start()
        self._tails = {field: self._tail(*LOGS[field]) for field in LOGS}
        self._last_enis: Optional[Capture] = None
        self._enis: Optional[frozenset[str]] = None

    def close(self) -> None:
        """Let go of everything."""
        self._imds.close()
        self._kernel.close()
        self.follower.close()
        for tail in self._tails.values():
            tail.close()

    def _tail(self, program: str, source: Any, needles: tuple[bytes, ...]) -> LogTail:
        (probe,) = source.plan({})
        assert isinstance(probe, ReadLogs)
        return LogTail(probe, program=program, root=self._settings.root, needles=needles)

    def observe(self, *, trouble: bool) -> Observation:
        """`trouble`: pods wait or a cause stands, so some things are looked at more often."""
        deadline, renewed = Deadline(CYCLE_S), self._memo.renewed
        batch = self.follower.drain(max_s=DRAIN_S)
        until = clock.now()
        span = Span(until=until, since=until - timedelta(seconds=self._settings.since_s))
        self._look(span, deadline, trouble=trouble)
        readings: dict[str, Reading[Any]] = {field: self._memo.read(field, self._seen, span) for field in (*LOOKED_AT, "metadata")}
        readings.update({field: tail.read(span, deadline) for field, tail in self._tails.items()})
        readings.update(kubelet=batch.kubelet, containerd=batch.containerd)
        self._learn(readings)
        return Observation(NodeSnapshot(taken_at=until, since=span.since, told={}, timeless=False, **readings), batch, self._memo.renewed - renewed)

    def _look(self, span: Span, deadline: Deadline, *, trouble: bool) -> None:
        """Take the looks that are due. ipamd is asked first: what it says decides what else is worth asking."""
        happened = {word for word, did in ((TROUBLE, trouble), (KERNEL, self._kernel.changed()), (CHECKPOINT, self._checkpoint_written())) if did}
        enis = look.look(self._settings, span, deadline, fields=("ipam",))[introspection.FILE]
        if self._processes.changed() or self._is_another(enis):
            happened.add(IPAMD)
        self._last_enis = enis
        now_s = clock.ticks_s()
        fresh = {file: capture for file, capture in self._seen.items() if not self._is_due(file, frozenset(happened), now_s)}
        fresh[introspection.FILE] = enis
        fresh.update(self._beside(until=span.until))
        found = look.look(self._settings, span, deadline, fields=LOOKED_AT, known=fresh)
        again = {group_of(file) for file in found if file not in fresh}
        for file, capture in self._seen.items():
            # One file of a look that was not taken again, such as kubelet's command line without the process table, still holds.
            if file not in found and group_of(file) not in again:
                found[file] = capture
        self._taken_s = {file: self._taken_s.get(file, now_s) if file in fresh else now_s for file in found}
        self._seen = found

    def _is_due(self, file: str, happened: frozenset[str], now_s: float) -> bool:
        return is_due(file, age_s=now_s - self._taken_s[file], happened=happened, slack_s=self._settings.poll_s / 2)

    def _beside(self, *, until: datetime) -> dict[str, Capture]:
        """Captures that others take: the IMDS thread, and the unit that may speak to the container runtime."""
        found = runtime_captures(f"{self._settings.run_dir}-runtime", now=until)
        answer = self._imds.capture or (self._imds.wait(FIRST_IMDS_S) if not self._seen else None)
        if answer is not None:
            found[imds.FILE] = answer
        return found

    def _is_another(self, enis: Capture) -> bool:
        """Whether ipamd answers where it did not, or no longer does."""
        return self._last_enis is None or self._last_enis.about.failure is not enis.about.failure

    def _checkpoint_written(self) -> bool:
        stamps = {}
        with contextlib.suppress(OSError):
            for path in matches(CHECKPOINTS, root=self._settings.root):
                status = os.stat(resolve(path, root=self._settings.root))
                stamps[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
        was, self._stamps = self._stamps, stamps
        return bool(stamps != was)

    def _learn(self, readings: dict[str, Reading[Any]]) -> None:
        """What the next cycle watches: the processes that run, and for IMDS, whether ipamd's ENIs changed."""
        processes, ipam = readings["processes"], readings["ipam"]
        if isinstance(processes, Observed):
            self._processes.watch(process.pid for process in processes.value.running)
        if isinstance(ipam, Observed):
            enis = frozenset(eni.id for pool in ipam.value.pools for eni in pool.enis)
            if self._enis is not None and enis != self._enis:
                self._imds.changed()
            self._enis = enis
