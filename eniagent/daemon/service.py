"""The service itself: cycles one after the other, signals, the manager's watchdog, reloads, and an orderly end.

Refuses to die of a cycle that fails, and to tell its manager that it lives when none succeeds.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import FrameType
from typing import Any, Callable, Optional

import msgspec

from eniagent import __version__
from eniagent.daemon.cycle import Cycle, Outcome
from eniagent.daemon.errands import Done, Errands
from eniagent.daemon.exposition import Exposition
from eniagent.daemon.incidents import Watch
from eniagent.daemon.log import Log
from eniagent.daemon.observer import Observer
from eniagent.daemon.outbox_flag import OutboxFlag
from eniagent.daemon.pace import Pace
from eniagent.daemon.service_names import HISTORY, WAITS
from eniagent.daemon.status import Standing, Status, remove_status, write_status
from eniagent.daemon.tally import Tally
from eniagent.edge import clock
from eniagent.edge.errors import ConfigError
from eniagent.edge.follower import Follower
from eniagent.edge.history import History, Limits
from eniagent.edge.lock import Lock
from eniagent.edge.notify import Manager
from eniagent.edge.settings import Settings


class _Ended(BaseException):
    """SIGTERM came while the node was looked at: this look is given up. No `Exception`, so that nobody takes it for a failure."""


class Service:
    """`load` gives the effective settings anew. `capture`: the command that makes a bundle."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], log: Log, *, manager: Manager, capture: Sequence[str] = ()) -> None:
        self._settings, self._load, self._log, self._manager, self._capture = settings, load, log, manager, capture
        self._exposition, self._watch, self._tally = Exposition(), Watch(), Tally()
        self._started_at, self._cycles, self._failed = clock.now(), 0, 0
        self._ending = self._reload = self._looking = False
        self._unready = True
        self._refused: tuple[str, ...] = ()
        self._outbox = OutboxFlag(f"{settings.state_dir}/{WAITS}")
        self._wake, self._bell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> int:
        """Until SIGTERM or SIGINT. Raises `AlreadyRunning`, `ConfigError`."""
        with Lock(self._settings.run_dir):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, self._receive)
            signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
            self._log.event("service_started", version=__version__, pid=os.getpid(), poll_s=self._settings.poll_s, watchdog_s=self._manager.watchdog_s)
            try:
                self._serve()
            finally:
                signal.set_wakeup_fd(-1)
                remove_status(self._settings.run_dir)
            self._log.event("service_stopped", cycles=self._cycles, failed=self._failed)
        return 0

    def _receive(self, number: int, _frame: Optional[FrameType]) -> None:
        if number == signal.SIGHUP:
            self._reload = True
            return
        self._ending = True
        if self._looking:
            self._looking = False
            raise _Ended

    def _serve(self) -> None:
        """Cycles until the end, with everything that lasts as long as the settings do."""
        while not self._ending:
            with contextlib.ExitStack() as lasting:
                cycle = self._make(lasting)
                pace = Pace(self._settings.poll_s, watchdog_s=self._manager.watchdog_s)
                self._cycle_until_reload(cycle, pace)
            if self._reload and not self._ending:
                self._read_settings_again()
        self._manager.stopping()

    def _make(self, lasting: contextlib.ExitStack) -> Cycle:
        settings = self._settings
        history = lasting.enter_context(History.open(f"{settings.state_dir}/{HISTORY}", limits=Limits(age_s=settings.history_age_s, size_bytes=settings.history_size)))
        observer = Observer(settings, Follower.resume(history, journal_dir=settings.journal_dir, window_s=settings.since_s))
        lasting.callback(observer.close)
        errands = Errands(self._capture if settings.capture == "on" else ())
        lasting.callback(errands.close)
        try:
            self._exposition.listen(settings.metrics_listen)
            lasting.callback(self._exposition.close)
        except OSError as error:
            self._log.event("metrics_refused", level="warning", where=settings.metrics_listen, why=error.strerror or str(error))
        if settings.textfile is not None:
            lasting.callback(self._exposition.remove, settings.textfile)
        return Cycle(observer, history, errands, watch=self._watch, tally=self._tally)

    def _cycle_until_reload(self, cycle: Cycle, pace: Pace) -> None:
        while not (self._ending or self._reload):
            begun_s = clock.ticks_s()
            outcome = self._cycle(cycle)
            self._finish_errands(cycle)
            due_s = pace.due_s(begun_s)
            if outcome is not None:
                self._tell(cycle, outcome, pace, begun_s=begun_s, due_s=due_s)
            self._sleep(due_s)

    def _cycle(self, cycle: Cycle) -> Optional[Outcome]:
        """One cycle behind the one catch-all; None where it did not come to its end."""
        self._cycles += 1
        try:
            with self._interruptible():
                cycle.observe()
            return cycle.conclude()
        except _Ended:
            return None
        except Exception as error:  # noqa: BLE001 - the next cycle may well succeed, and the watchdog counts the ones that do
            self._failed += 1
            self._log.fault("cycle_failed", error, cycle=self._cycles)
            return None

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        self._looking = True
        try:
            if self._ending:
                raise _Ended
            yield
        finally:
            self._looking = False

    def _tell(self, cycle: Cycle, outcome: Outcome, pace: Pace, *, begun_s: float, due_s: float) -> None:
        """Metrics, status, the one line, and the ping: in this order, so that who hears the ping finds the rest done."""
        self._exposition.gauges = outcome.gauges
        self._try("textfile", lambda: self._exposition.write(self._settings.textfile) if self._settings.textfile else None)
        self._try("status", lambda: write_status(self._status(cycle, outcome, pace, due_s=due_s), self._settings.run_dir))
        self._log.event("cycle_done", **_told(cycle, outcome, number=self._cycles, took_s=clock.ticks_s() - begun_s, slowed=pace.slowed))
        words = f"{outcome.diagnosis.verdict.value}, {len(outcome.incidents)} incidents, cycle {self._cycles}"
        if self._unready:
            # What was made at the start stays; the collector need not walk it again and again.
            gc.collect()
            gc.freeze()
            self._manager.ready(words)
            self._unready = False
        self._manager.alive(words)

    def _try(self, what: str, act: Callable[[], Any]) -> None:
        """A place that cannot be written costs itself alone."""
        try:
            act()
        except OSError as error:
            self._log.event("write_failed", level="warning", what=what, why=error.strerror or str(error))

    def _status(self, cycle: Cycle, outcome: Outcome, pace: Pace, *, due_s: float) -> Status:
        found, state, now = outcome.diagnosis, cycle.history.state, clock.now()
        return Status(
            version=__version__, pid=os.getpid(), started_at=self._started_at, cycle=self._cycles, cycle_at=now,
            next_at=now + timedelta(seconds=max(0.0, due_s - clock.ticks_s())), cycle_s=round(outcome.gauges.cycle_s, 4),
            verdict=found.verdict.value, headline=found.headline, causes=tuple(f.code for f in found.causes), waiting=found.impact.waiting,
            incidents=tuple(Standing(i.cause, i.subject, i.state, i.severity, i.opened_at, i.summary) for i in outcome.incidents),
            unobserved={seen.source: seen.why for seen in found.unobserved}, journal_lag_s=round(outcome.lag_s, 1),
            history="ok" if state.ok else f"{state.degraded}: {state.detail}", failed_cycles=self._failed, slowed=round(pace.slowed, 2),
            capture=cycle.errands.at_work, refused=self._refused,
        )  # fmt: skip

    def _finish_errands(self, cycle: Cycle) -> None:
        """Bundles that became ready, and those that did not."""
        try:
            self._outbox.look_after(cycle.history)
            done = cycle.errands.go_on()
            if done is not None:
                self._note(cycle, done)
        except Exception as error:  # noqa: BLE001 - a bundle is worth less than the next cycle
            self._log.fault("capture_failed", error)

    def _note(self, cycle: Cycle, done: Done) -> None:
        incident, moment = done.errand
        if not done.path:
            self._log.event("capture_failed", level="warning", cause=incident.cause, moment=moment, why=done.problem, took_s=round(done.took_s, 1))
            return
        known = next((i for i in cycle.history.incidents(since=incident.opened_at) if (i.cause, i.subject, i.opened_at) == (incident.cause, incident.subject, incident.opened_at)), incident)
        cycle.history.note_bundle(known, moment=moment, path=done.path)
        if self._settings.upload_to is not None:
            cycle.history.post(done.path, target=self._settings.upload_to, at=clock.now())
            self._outbox.put_up()
        self._log.event("capture_done", cause=incident.cause, moment=moment, path=done.path, took_s=round(done.took_s, 1))

    def _sleep(self, due_s: float) -> None:
        """Until the next cycle is due, or a signal comes."""
        while not (self._ending or self._reload):
            left_s = due_s - clock.ticks_s()
            if left_s <= 0:
                return
            ready, _, _ = select.select([self._wake], [], [], left_s)
            if ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake, 4096)

    def _read_settings_again(self) -> None:
        """SIGHUP: the new configuration, or the old one with why the new one is not in force."""
        self._reload = False
        self._manager.reloading()
        try:
            fresh = self._load()
        except ConfigError as error:
            self._refused = tuple(str(problem) for problem in error.problems)
            self._log.event("configuration_refused", level="warning", why="; ".join(self._refused))
        else:
            changed = sorted(n for n in fresh.__struct_fields__ if n != "origins" and getattr(fresh, n) != getattr(self._settings, n))
            if fresh.run_dir != self._settings.run_dir:
                self._log.event("setting_kept", level="warning", setting="run_dir", why="the lock is there; restart the service to move it")
                fresh = msgspec.structs.replace(fresh, run_dir=self._settings.run_dir)
            self._settings, self._refused = fresh, ()
            self._log.event("configuration_read", changed=changed)
        self._unready = True


def _told(cycle: Cycle, outcome: Outcome, *, number: int, took_s: float, slowed: float) -> dict[str, Any]:
    """The data of `cycle_done`."""
    found, up = outcome.diagnosis, outcome.gauges.sources
    state = cycle.history.state
    return {
        "cycle": number, "verdict": found.verdict.value, "cause": [f.code for f in found.causes], "waiting": found.impact.waiting or None,
        "new_failures": outcome.failures or None, "sources": f"{sum(up.values())}/{len(up)}", "unseen": [name for name, seen in up.items() if not seen],
        "changed": [] if outcome.changed == ("everything",) else outcome.changed, "diagnosed": outcome.diagnosed or None,
        "incidents": [f"{i.cause}={i.state}" for i in outcome.incidents], **_steps(outcome), "gaps": outcome.gaps or None,
        "lag_s": round(outcome.lag_s, 1) or None, "history": state.degraded, "slowed": round(slowed, 1) if slowed > 1 else None,
        "faults": found.faults, "took_s": round(took_s, 3),
    }  # fmt: skip


def _steps(outcome: Outcome) -> dict[str, list[str]]:
    return {step.what: [s.cause for s in outcome.steps if s.what == step.what] for step in outcome.steps}
