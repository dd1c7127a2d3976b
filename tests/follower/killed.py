"""A daemon in small, killed at random moments: `python -m tests.follower.killed JOURNAL-DIR HISTORY KILLS SEED`.

Refuses to end it in any other way than by SIGKILL. Each life is a process of its own, forked from one that has loaded the code.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from datetime import datetime, timezone

from eniagent.edge.follower import CURSOR, Follower
from eniagent.edge.history import History
from eniagent.model.snapshot import NodeSnapshot


def live(journal_dir: str, path: str) -> None:
    """Follow and store, until killed."""
    history = History.open(path)
    follower = Follower.resume(history, journal_dir=journal_dir)
    while True:
        batch = follower.drain(max_s=0.04)
        snapshot = NodeSnapshot(taken_at=datetime.now(timezone.utc), kubelet=batch.kubelet, containerd=batch.containerd)
        history.store_cycle(snapshot, failures=batch.failures, transitions=batch.transitions, gaps=batch.gaps, cursors={CURSOR: batch.bookmark})
        assert history.state.ok, history.state
        follower.settle(batch)


def main(journal_dir: str, path: str, kills: int, seed: int) -> None:
    """So many lives, none of which ends well."""
    rng = random.Random(seed)
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            try:
                live(journal_dir, path)
            finally:
                os._exit(1)
        # Some die while they open the history, some while journalctl starts, most at work.
        time.sleep(rng.choice((rng.uniform(0.0, 0.03), rng.uniform(0.04, 0.3))))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"a life ended by itself: {status}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
