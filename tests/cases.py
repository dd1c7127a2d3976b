"""Cases for the rules' and laws' tests: recorded ones, read once, and ones with a reading withheld."""

from __future__ import annotations

import functools
import pathlib
import tempfile

import msgspec

from eniagent import sources
from eniagent.edge.captures import read_series
from eniagent.model.reading import Unobserved, Why
from eniagent.model.snapshot import Case, NodeSnapshot
from tests.recorded import truths, unpack


@functools.cache
def recorded_case(name: str) -> Case:
    """The case of one recording, as `diagnose --from` makes it."""
    with tempfile.TemporaryDirectory() as directory:
        series = read_series(str(unpack(name, pathlib.Path(directory) / "node")), since_s=3600.0)
        snapshots = [sources.snapshot(o.seen, o.span, told=o.told) for o in series]
    return Case(now=snapshots[-1], before=tuple(snapshots[:-1]))


def all_recorded() -> list[str]:
    """The names of all recordings."""
    return sorted(truths())


def withhold(case: Case, field: str, why: Why) -> Case:
    """The case in which nobody saw a reading, now or before."""
    return Case(now=_without(case.now, field, why), before=tuple(_without(s, field, why) for s in case.before))


def _without(snapshot: NodeSnapshot, field: str, why: Why) -> NodeSnapshot:
    unseen = Unobserved(why=why, source=getattr(snapshot, field).source, detail="withheld by a test")
    return msgspec.structs.replace(snapshot, **{field: unseen})
