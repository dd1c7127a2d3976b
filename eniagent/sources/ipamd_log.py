"""ipamd.log: what the address manager did, was refused and waits for. Source: amazon-vpc-cni-k8s v1.0.0 to v1.23.1.

Read back to the last pool action even when that is older than the window: the decisive line may be minutes old.
"""

from __future__ import annotations

from collections.abc import Sequence

from eniagent.model.capture import Seen
from eniagent.model.probe import Probe, ReadLogs
from eniagent.model.reading import Reading
from eniagent.model.record import Log
from eniagent.sources import Span
from eniagent.sources.log_fold import read_log


def plan(seen: Seen) -> Sequence[Probe]:
    """ipamd.log and its rotations (lumberjack's `ipamd-<time>.log.gz`, seelog's hourly files)."""
    if any(f.startswith("logs/ipamd") for f in seen):
        return ()
    return (ReadLogs(directory="logs", path="/var/log/aws-routed-eni/ipamd.log", pattern="/var/log/aws-routed-eni/ipamd[-.]*log*"),)


def read(seen: Seen, span: Span) -> Reading[Log]:
    """Events of ipamd in order of time."""
    return read_log("ipamd", "ipamd", seen, span)
