"""The journals of one directory read as `diagnose` reads them, as a process of its own: what the bench measures by itself.

Prints `{"impact": {"failures": N}}`, kubelet and containerd joined by pod as the case joins them.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import datetime, timedelta, timezone

from eniagent.edge.clock import Deadline
from eniagent.edge.journal import capture_journal
from eniagent.model.probe import ReadJournal
from eniagent.model.reading import Observed, Reading
from eniagent.model.record import Journal
from eniagent.sources import Span, containerd, kubelet

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def main(directory: str, since_us: str, until_us: str) -> int:
    """Both journals at once, each in a thread."""
    span = Span(until=EPOCH + timedelta(microseconds=int(until_us)), since=EPOCH + timedelta(microseconds=int(since_us)))
    found: dict[str, Reading[Journal]] = {}

    def read(module: object) -> None:
        assert module in (kubelet, containerd)
        source = kubelet if module is kubelet else containerd
        for probe in source.plan({}):
            assert isinstance(probe, ReadJournal)
            capture = capture_journal(probe, span=span, journal_dir=directory, deadline=Deadline(60.0))
            found[source.FILE] = source.read({source.FILE: capture}, span)

    threads = [threading.Thread(target=read, args=(module,)) for module in (kubelet, containerd)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pods: dict[str, int] = {}
    for reading in found.values():
        if isinstance(reading, Observed):
            for trouble in reading.value.pods:
                pods[trouble.pod] = max(trouble.failures, pods.get(trouble.pod, 0))
    print(json.dumps({"impact": {"failures": sum(pods.values()), "pods": len(pods)}}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
