"""plugin.log: what the CNI plugin was asked and answered. Source: amazon-vpc-cni-k8s v1.0.0 to v1.23.1.

Shared by concurrent plugin processes: lines of several sandboxes interleave.
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
    """plugin.log and its rotations."""
    if any(f.startswith("logs/plugin") for f in seen):
        return ()
    return (ReadLogs(directory="logs", path="/var/log/aws-routed-eni/plugin.log", pattern="/var/log/aws-routed-eni/plugin[-.]*log*"),)


def read(seen: Seen, span: Span) -> Reading[Log]:
    """Events of the plugin in order of time."""
    return read_log("plugin", "plugin", seen, span)
