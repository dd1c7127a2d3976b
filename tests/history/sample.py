"""Makes the sample file of the present schema: `python -m tests.history.sample`, once for each schema that is released.

Refuses to overwrite one: a released sample is what users have on their disks.
"""

from __future__ import annotations

import gzip
import sqlite3
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from eniagent.edge.history import Gap, History, Transition
from eniagent.edge.history_ground import SCHEMA
from eniagent.model.chronicle import Failure
from eniagent.model.net import PodName
from eniagent.model.reading import Why
from tests.build import healthy_snapshot, without

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "history"
START = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def fill(path: Path) -> None:
    """What the sample holds. The test of the sample says the same in its own words."""
    with History.open(path) as history:
        for number in range(4):
            at = START + timedelta(seconds=30 * number)
            snapshot = healthy_snapshot(pods=3 + number)
            if number == 3:
                snapshot = without(snapshot, "ipam", why=Why.REFUSED)
            failures = [Failure(PodName("default/web"), f"{number:02x}" * 32, at, "no-address", ("kubelet",), "uid-1", "add cmd: failed to assign an IP address to container")]
            failures += [Failure(PodName("default/old"), "", at, "not-ready", ("kubelet", "containerd"))] if number == 1 else []
            history.store_cycle(
                type(snapshot)(**{**{f: getattr(snapshot, f) for f in snapshot.__struct_fields__}, "taken_at": at}),
                failures=failures, transitions=[Transition(at, "verdict-changed", "", "healthy", "critical", "d")], gaps=[Gap("vacuumed", START, at, 7, "g")],
                cursors={"journal": f"cursor-{number}"},
            )  # fmt: skip
        ended = history.open_incident("subnet-exhausted", subject="subnet-1", at=START, severity="critical", since=START, summary="s", finding='{"code":1}')
        history.resolve_incident(history.note_bundle(ended, moment="opened", path="/b/1"), at=START + timedelta(minutes=5))
        standing = history.open_incident("ec2-throttled", subject="node", at=START + timedelta(minutes=1))
        history.stale_incident(standing, at=START + timedelta(minutes=2))
        history.post("/b/1", target="https://bucket.example/key?secret", at=START)


if __name__ == "__main__":
    target = SAMPLES / f"schema-{SCHEMA}.db.gz"
    if target.exists():
        raise SystemExit(f"{target} exists: a released sample is never made again")
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory) / "h.db"
        fill(made)
        with sqlite3.connect(made, isolation_level=None) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        SAMPLES.mkdir(exist_ok=True)
        target.write_bytes(gzip.compress(made.read_bytes(), 9, mtime=0))
