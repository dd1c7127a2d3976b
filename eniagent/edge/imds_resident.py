"""IMDS for a process that stays: a thread of its own asks it, slowly, and the newest tree is there for every cycle.

Refuses haste: at most 20 requests a second, no bursts. Each round asks for what changes (which ENIs, and their addresses); all
of it only where something else changed, and now and then. It inherits the list of keys that may never be asked for.
"""

from __future__ import annotations

import threading
from typing import Any, Optional

import msgspec

from eniagent.edge import clock
from eniagent.edge.clock import Deadline, TokenBucket
from eniagent.edge.imds import MACS, PER_SECOND, Imds, Unanswered, read_imds
from eniagent.model.capture import Capture
from eniagent.model.probe import ReadImds
from eniagent.model.reading import Why

FULL_S = 900.0
"""Every key is asked for again after this time, whatever happened."""
SOON_S = 5.0
"""A change is looked into after this time: IMDS learns of it a little later than the kernel."""
ROUND_S = 45.0
"""How long a round may take: 15 ENIs are about 240 keys, 12 s at 20 a second."""
BURST = 2
RETRY_MOST_S = 600.0
ADDRESSES = ("local-ipv4s", "ipv4-prefix", "ipv6-prefix", "ipv6s")
"""What changes while an ENI stays attached. Of the IPv6 lists only those that were there are asked for."""


class ResidentImds:
    """Asks every `poll_s`; `capture` is the newest answer, None before the first. A round that fails doubles the time to the next."""

    def __init__(self, file: str, *, base_url: str, poll_s: float, full_s: float = FULL_S) -> None:
        self._file, self._base_url, self._poll_s, self._full_s = file, base_url, poll_s, full_s
        self._bucket = TokenBucket(burst=BURST, per_second=PER_SECOND)
        self._capture: Optional[Capture] = None
        self._tree: dict[str, dict[str, Any]] = {}
        self._full_at_s, self._failures = float("-inf"), 0
        self._wake = threading.Condition()
        self._wanted = self._closed = False
        self._thread = threading.Thread(target=self._run, name="imds", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def close(self) -> None:
        """Ask no more. A round in hand is not waited for."""
        with self._wake:
            self._closed = True
            self._wake.notify_all()

    @property
    def capture(self) -> Optional[Capture]:
        """The newest answer, whole; what came of the last round where it failed."""
        return self._capture

    def changed(self) -> None:
        """Something changed that IMDS tells of: look at all of it soon."""
        with self._wake:
            self._wanted = True
            self._wake.notify_all()

    def wait(self, timeout_s: float) -> Optional[Capture]:
        """The first answer, waited for at most so long."""
        with self._wake:
            self._wake.wait_for(lambda: self._capture is not None or self._closed, timeout=timeout_s)
        return self._capture

    def _run(self) -> None:
        while not self._closed:
            full = self._wanted or clock.ticks_s() - self._full_at_s >= self._full_s or not self._tree
            self._wanted = False
            capture = self._look_fully() if full else self._look_lightly()
            with self._wake:
                self._capture = capture
                self._failures = self._failures + 1 if capture.about.failure is not None else 0
                self._wake.notify_all()
            self._pause()

    def _pause(self) -> None:
        """Until the next round is due; a change brings it forward, but never to at once."""
        pause_s = min(self._poll_s * (1 << min(self._failures, 4)), max(RETRY_MOST_S, self._poll_s))
        with self._wake:
            if self._wake.wait_for(lambda: self._wanted or self._closed, timeout=pause_s):
                self._wake.wait_for(lambda: self._closed, timeout=min(SOON_S, self._poll_s))

    def _look_fully(self) -> Capture:
        capture = read_imds(ReadImds(self._file, timeout_s=ROUND_S), base_url=self._base_url, deadline=Deadline(ROUND_S), bucket=self._bucket)
        self._tree = {}
        if capture.about.failure is None:
            tree = msgspec.json.decode(capture.body(), type=dict[str, dict[str, Any]])
            if not any("failure" in entry for entry in tree.values()):
                self._tree, self._full_at_s = tree, clock.ticks_s()
        return capture

    def _look_lightly(self) -> Capture:
        """The list of ENIs and their addresses, into the tree of the last full round; that round again where the list changed."""
        known, tree = sorted({key[len(MACS) :].split("/")[0] for key in self._tree if key.startswith(MACS)}), dict(self._tree)
        at, began_s = clock.now(), clock.ticks_s()
        imds = Imds(self._base_url, deadline=Deadline(ROUND_S), bucket=self._bucket)
        try:
            if imds.fetch_token() != 200 or _listed(imds) != known:
                return self._look_fully()
            for key in self._changing(known):
                reply = imds.get(key)
                tree[key] = {"status": 200, "body": reply.body.decode("utf-8", "replace")} if reply.status == 200 else {"status": reply.status}
                if reply.status == 404 and self._tree.get(key) is None:
                    del tree[key]
        except Unanswered:
            # The full round tells what fails, and how.
            return self._look_fully()
        finally:
            imds.close()
        self._tree = tree
        body = msgspec.json.encode({key: tree[key] for key in sorted(tree)})
        assert self._capture is not None, "a light round before a full one"
        about = msgspec.structs.replace(self._capture.about, at=at, took_s=round(clock.ticks_s() - began_s, 4), size_bytes=len(body))
        return Capture(about, body)

    def _changing(self, macs: list[str]) -> list[str]:
        keys = [f"{MACS}{mac}/{key}" for mac in macs for key in ADDRESSES]
        return [key for key in keys if key in self._tree or not key.rpartition("/")[2].startswith("ipv6")]


def _listed(imds: Imds) -> list[str]:
    """The MACs that are attached. Raises `Unanswered`."""
    reply = imds.get(MACS)
    if reply.status != 200:
        raise Unanswered(Why.MALFORMED, f"HTTP {reply.status} for the list of MACs")
    return sorted(line.strip().rstrip("/") for line in reply.body.decode("utf-8", "replace").splitlines() if line.strip())
