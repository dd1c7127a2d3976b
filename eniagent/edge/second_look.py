"""The second look: what IMDS and ipamd say once more a minute later, so that a disagreement of views that agree only in time can be told.

Refuses to outlast the deadline for it: where too little of it is left, the case keeps its one look, and why is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Optional

from eniagent.case.eventual import CONFIRM_S
from eniagent.edge import clock, look
from eniagent.edge.clock import Deadline
from eniagent.edge.look import Keeper, Live
from eniagent.edge.settings import Settings
from eniagent.model.snapshot import READINGS, Case
from eniagent.sources import Span

DEADLINE_S = 90.0
"""What `--confirm` lifts the deadline to (contract, Commands)."""
RESERVE_S = 5.0
"""A look that gets less than this is not begun: it would tell more of the deadline than of the node."""
SLACK_S = 0.5
"""Beyond the minute, for a wall clock that is slewed while we wait."""


class Confirmed(NamedTuple):
    """The case with its newest look. `missed`: fields that the deadline cut off; `why`: why there is no second look, "" where there is."""

    case: Case
    live: Live
    missed: tuple[str, ...]
    why: str = ""


def confirm(
    first: Live, settings: Settings, deadline: Deadline, *, begun_s: float, fields: Sequence[str] = READINGS, interval_s: float = CONFIRM_S,
    keeper: Optional[Keeper] = None,
) -> Confirmed:
    """`Case(now=second, before=(first,))`, the second taken `interval_s` after the first.

    `begun_s`: the monotonic clock when the first look's `taken_at` was read. Without room for it, the case of the first alone.
    """
    wait_s = begun_s + interval_s + SLACK_S - clock.ticks_s()
    if max(0.0, wait_s) + RESERVE_S > deadline.remaining_s:
        why = f"the deadline leaves {deadline.remaining_s:.0f} s, a second look needs {max(0.0, wait_s) + RESERVE_S:.0f} s"
        return Confirmed(Case(now=first.snapshot), first, (*first.missed, "second look"), why)
    clock.wait(wait_s)
    until = clock.now()
    second = look.observe(settings, Span(until=until, since=until - timedelta(seconds=settings.since_s)), deadline, fields=fields, keeper=keeper)
    return Confirmed(Case(now=second.snapshot, before=(first.snapshot,)), second, second.missed)
