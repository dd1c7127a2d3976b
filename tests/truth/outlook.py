"""Holds the outlook against what ipamd then did: over the transitions of all recorded series, and at every look of its pool manager.

Two counts, because series are short. *Transitions*: the prediction from snapshot i against the first pool action that ipamd.log
shows until snapshot i + 1, or nothing. A growth that only later ADDs made due is not the prediction's to know: it counts as
nothing where, at the snapshot, the free addresses stood at or above the mark that ipamd printed when it grew (or above
WARM_IP_TARGET, where that is set). *Looks*: the datastore is rebuilt from ipamd.log line by line; at each look of the manager
the prediction from that state, made one second earlier, is held against what ipamd did before its next look. Looks whose
rebuilt numbers differ from those that ipamd prints are not counted, and their number is told.
Beside both stands the score of a predictor that always says *nothing*. `python -m tests.truth.outlook` prints them.
"""

from __future__ import annotations

import pathlib
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple, Optional

import msgspec

from eniagent import sources
from eniagent.case.facts import Facts
from eniagent.case.outlook import outlook
from eniagent.edge.captures import Opened, read_series
from eniagent.model.ipam import Ipam
from eniagent.model.reading import Observed
from eniagent.model.record import Event, Log
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.sources.frames import Frame
from eniagent.sources.log_fold import make_event
from tests.recorded import truths, unpack
from tests.truth import pool_log

NOTHING = "nothing"


class Judged(NamedTuple):
    """One prediction and what came."""

    name: str
    at: datetime
    predicted: str
    shown: str

    @property
    def right(self) -> bool:
        """Whether it came as predicted."""
        return self.predicted == self.shown


class Score(NamedTuple):
    """All judged predictions of one kind. `left_out`: those that could not be judged."""

    judged: tuple[Judged, ...]
    left_out: int = 0

    @property
    def share(self) -> float:
        """Of all, how many came as predicted."""
        return sum(j.right for j in self.judged) / len(self.judged)

    @property
    def share_of_nothing(self) -> float:
        """What a predictor scores that always says *nothing*."""
        return sum(j.shown == NOTHING for j in self.judged) / len(self.judged)

    def of(self, shown: str) -> tuple[int, int]:
        """Right and all, among those in which this was shown."""
        found = [j for j in self.judged if j.shown == shown]
        return sum(j.right for j in found), len(found)


def predicted(snapshot: NodeSnapshot, before: tuple[NodeSnapshot, ...], *, until: datetime) -> str:
    """The action that the outlook says will be seen until a time; one that is due later will not."""
    told = outlook(Facts(Case(now=snapshot, before=before)))
    if told is None:
        return "none told"
    return NOTHING if told.due_at is not None and told.due_at > until else told.next_action


def series_of(name: str, target: pathlib.Path) -> list[Opened]:
    """The looks of one recording."""
    return read_series(str(unpack(name, target)), since_s=3600.0)


def snapshots_of(series: list[Opened]) -> list[NodeSnapshot]:
    """What the sources read from each look."""
    return [sources.snapshot(look.seen, look.span, told=look.told) for look in series]


def log_of(look: Opened) -> list[pool_log.Line]:
    """The lines of ipamd.log in one look, rotations first."""
    files = sorted(f for f in look.seen if f.startswith("logs/ipamd") and look.seen[f].about.failure is None)
    return [line for f in files for line in pool_log.lines(look.seen[f].body())]


def transitions(name: str, series: list[Opened]) -> Iterator[Judged]:
    """The prediction from each snapshot against what is shown until the next."""
    snapshots = snapshots_of(series)
    for i in range(len(series) - 1):
        begin, end = snapshots[i].taken_at, snapshots[i + 1].taken_at
        later = [line for line in log_of(series[i + 1]) if begin < line.at <= end]
        shown = _shown(snapshots[i], later)
        yield Judged(name, snapshots[i].taken_at, predicted(snapshots[i], tuple(snapshots[:i]), until=end), shown)


def _shown(snapshot: NodeSnapshot, later: list[pool_log.Line]) -> str:
    """The first pool action that later ADDs, DELs and removals do not explain; ipamd's restart ends the search."""
    settings = Facts(Case(now=snapshot)).settings
    changed, mark = False, None
    for line in later:
        if pool_log.starts(line):
            return NOTHING
        changed = changed or pool_log.changes_pool(line)
        mark = pool_log.low_mark(line) if pool_log.low_mark(line) is not None else mark
        action = pool_log.action_of(line, prefix=bool(settings.prefix))
        if action:
            floor = mark if mark is not None else settings.warm_ip
            explained = changed and (action not in pool_log.GROWTH or floor is None or _free(snapshot) >= floor)
            return NOTHING if explained else action
    return NOTHING


def _free(snapshot: NodeSnapshot) -> int:
    """Addresses of the snapshot that no pod holds, cooling ones included, as ipamd counts."""
    assert isinstance(snapshot.ipam, Observed)
    cidrs = [c for p in snapshot.ipam.value.pools for e in p.enis for c in e.cidrs]
    return sum(c.size - sum(a.assigned for a in c.addresses) for c in cidrs)


def at_looks(name: str, series: list[Opened]) -> tuple[list[Judged], int]:
    """The prediction at every look of the pool manager against what it did until the next one."""
    snapshots, found = snapshots_of(series), log_of(series[-1])
    base = next((s for s in snapshots if isinstance(s.environment, Observed)), snapshots[-1])
    metadata = next((s.metadata.value for s in snapshots if isinstance(s.metadata, Observed)), None)
    primary = next((e.id for e in metadata.enis if e.mac == metadata.identity.primary_mac), "") if metadata else ""
    store, taken, judged, left_out = pool_log.Store(primary), 0, [], 0
    events = [(i, e) for i, line in enumerate(found) if (e := _event(line, i)) is not None]
    prefix, open_ = bool(Facts(Case(now=base)).settings.prefix), False
    for look in pool_log.looks(found):
        for line in found[taken : look.first]:
            store.apply(line)
            open_ = pool_log.serves(line) or (open_ and not pool_log.starts(line))
        taken = look.first
        if not open_:
            continue
        ipam = store.ipam()
        if _numbers(ipam, prefix=prefix) != (look.total, look.assigned):
            left_out += 1
            continue
        snapshot = _at(base, ipam, tuple(e for i, e in events if i < look.first), at=look.at - timedelta(seconds=1))
        actions = (pool_log.action_of(line, prefix=prefix) for line in found[look.first : look.end])
        shown = next((a for a in actions if a), NOTHING)
        judged.append(Judged(name, look.at, predicted(snapshot, (), until=look.at + timedelta(seconds=0.5)), shown))
    return judged, left_out


def _event(line: pool_log.Line, number: int) -> Optional[Event]:
    return make_event("ipamd", Frame(at=line.at, level="", message=line.text, form="zap"), f"logs/ipamd.log:{number + 1}")


def _numbers(ipam: Ipam, *, prefix: bool) -> tuple[int, int]:
    cidrs = [c for p in ipam.pools for e in p.enis for c in e.cidrs if c.is_prefix == prefix]
    return sum(c.size for c in cidrs), sum(a.assigned for c in cidrs for a in c.addresses)


def _at(base: NodeSnapshot, ipam: Ipam, events: tuple[Event, ...], *, at: datetime) -> NodeSnapshot:
    log = Log(program="ipamd", events=events, counts=dict(Counter(e.signature for e in events)), form="zap")
    return msgspec.structs.replace(
        base, taken_at=at, ipam=Observed(value=ipam, source="ipamd /v1/enis", at=at), ipamd_log=Observed(value=log, source="logs/ipamd.log", at=at)
    )


def scores() -> tuple[Score, Score]:
    """Transitions and looks, over all recordings."""
    moves: list[Judged] = []
    turns: list[Judged] = []
    left_out = 0
    for name in sorted(truths()):
        with tempfile.TemporaryDirectory() as directory:
            series = series_of(name, pathlib.Path(directory))
            moves += transitions(name, series)
            judged, odd = at_looks(name, series)
            turns += judged
            left_out += odd
    return Score(tuple(moves)), Score(tuple(turns), left_out)


def table(title: str, score: Score) -> str:
    """The score, the score of *nothing*, and right of all for each action shown."""
    lines = [f"{title}: {score.share:.1%} of {len(score.judged)} as predicted; always `nothing`: {score.share_of_nothing:.1%}; not judged: {score.left_out}"]
    for shown in sorted({j.shown for j in score.judged}):
        right, every = score.of(shown)
        lines.append(f"  {shown:15} {right:4} of {every:4}")
    lines += [f"  wrong: {j.name} {j.at:%H:%M:%S} predicted {j.predicted}, shown {j.shown}" for j in score.judged if not j.right]
    return "\n".join(lines)


def main() -> None:
    """Print both scores."""
    moves, turns = scores()
    sys.stdout.write(table("outlook, transitions between snapshots", moves) + "\n" + table("outlook, looks of the pool manager", turns) + "\n")


if __name__ == "__main__":
    main()
