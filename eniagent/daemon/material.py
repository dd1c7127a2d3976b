"""What differs between two snapshots in a way that a diagnosis could notice.

Pure. Refuses to call it a change that time has passed: ends of logs, places in journals, latencies and counters of calls.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eniagent.model.cni import Metrics
from eniagent.model.reading import Observed, Reading
from eniagent.model.record import Journal, Log
from eniagent.model.snapshot import READINGS, NodeSnapshot

_PASSING = ("latency", "_api_req_count", "process_cpu", "process_resident", "process_virtual", "process_open", "process_network", "reconcile_count")


def changed(one: NodeSnapshot, other: NodeSnapshot) -> tuple[str, ...]:
    """The fields that differ."""
    return tuple(field for field in READINGS if not _alike(getattr(one, field), getattr(other, field)))


def _alike(one: Reading[Any], other: Reading[Any]) -> bool:
    if not isinstance(one, Observed) or not isinstance(other, Observed):
        return type(one) is type(other) and (one.why, one.detail) == (other.why, other.detail)  # type: ignore[union-attr]
    return one.value is other.value or bool(_lasting(one.value) == _lasting(other.value))


def _lasting(value: Any) -> Any:
    if isinstance(value, Journal):
        return msgspec.structs.replace(value, since=None, until=None, entries=0, cursor="")
    if isinstance(value, Log):
        # ipamd tells its numbers every few seconds: a line is news only where it says what none said before it.
        return value.form, frozenset((event.signature, event.text) for event in value.events)
    if isinstance(value, Metrics):
        return [sample for sample in value.samples if not any(word in sample.name for word in _PASSING)]
    return value
