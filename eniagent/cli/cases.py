"""The case that a command speaks of: this node now, or the captures of one.

Refuses to outlast the deadline, and to ask EC2 unless the command was told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Optional

import msgspec

from eniagent.cli.exit_codes import Code
from eniagent.cli.limit import HardLimit, OutOfTime
from eniagent.cli.log import Log
from eniagent.edge.errors import AgentError

if TYPE_CHECKING:
    from eniagent.edge.bundle_kept import Look
    from eniagent.edge.look import Keeper
    from eniagent.edge.settings import Settings
    from eniagent.model.capture import Seen
    from eniagent.model.snapshot import Case


class Looked(msgspec.Struct, frozen=True):
    """A case, the captures that *now* was read from, and whether the deadline came before all was seen."""

    case: Case
    seen: Seen
    cut_off: bool
    looks: tuple[Look, ...] = ()
    """Of captures: what each look saw. Of this node they are with the keeper."""
    redaction: str = ""
    """How a bundle was redacted that the case comes from."""


class Late(AgentError):
    """The deadline came before anything could be told."""

    exit_code = Code.DEADLINE


def case_in_time(settings: Settings, *, path: Optional[str], log: Log, fields: Optional[Sequence[str]] = None) -> Looked:
    """The case of captures, or of this node. Raises `Late` where even the net below the looks' own deadlines had to end it."""
    try:
        with HardLimit(settings.deadline_s * 1.25 + 1.0):
            return case_of(path, settings) if path is not None else case_here(settings, log=log, fields=fields)
    except OutOfTime:
        raise Late(f"the deadline of {settings.deadline_s:g} s came first; raise --deadline, or narrow the window with --since") from None


def case_of(path: str, settings: Settings) -> Looked:
    """The case that captures, a bundle or a collector's archive hold: the last of a series is *now*. Raises `CapturesError`."""
    from eniagent.edge import archives
    from eniagent.edge.bundle_kept import Look

    door = archives.open_path(path, since_s=settings.since_s, always=settings.origin("since_s") != "default")
    looks = tuple(Look(opened.span, seen=opened.seen) for opened in door.series)
    return Looked(case=door.case(), seen=door.series[-1].seen, cut_off=False, looks=looks, redaction=door.redaction)


def limit_s(settings: Settings, *, confirm: bool) -> float:
    """The deadline of the whole run: a second look lifts it."""
    from eniagent.edge import second_look

    return max(settings.deadline_s, second_look.DEADLINE_S) if confirm else settings.deadline_s


def case_here(
    settings: Settings, *, log: Log, aws: bool = False, confirm: bool = False, fields: Optional[Sequence[str]] = None, keeper: Optional[Keeper] = None
) -> Looked:
    """The case of this node now; with `aws` EC2's view too, with `confirm` a second look a minute later. `fields`: the readings wanted, None for all.

    `keeper` is handed what was looked at.
    """
    from eniagent.edge import clock, look, restraint, second_look
    from eniagent.model.snapshot import ON_REQUEST, READINGS, Case
    from eniagent.sources import Span

    for failed in restraint.lower_self():
        log.event("restraint_failed", step=failed)
    begun_s, until = clock.ticks_s(), clock.now()
    whole_s = limit_s(settings, confirm=confirm)
    # What is kept back is for the rules and the rendering.
    deadline = clock.Deadline(whole_s).before_end(min(1.0, whole_s * 0.1))
    span = Span(until=until, since=until - timedelta(seconds=settings.since_s))
    wanted = (*(READINGS if fields is None else fields), *(ON_REQUEST if aws else ()))
    live = look.observe(settings, span, deadline.within(settings.deadline_s), fields=wanted, keeper=keeper)
    case, missed = Case(now=live.snapshot), live.missed
    if confirm:
        found = second_look.confirm(live, settings, deadline, begun_s=begun_s, fields=wanted, keeper=keeper)
        case, live, missed = found.case, found.live, found.missed
        if found.why:
            log.event("second_look_omitted", why=found.why)
    if missed:
        log.event("deadline_reached", missed=list(missed), deadline_s=whole_s)
    return Looked(case=_asked(case) if aws else case, seen=live.seen, cut_off=bool(missed))


def _asked(case: Case) -> Case:
    """EC2 was asked for and could not be asked: said so, for otherwise nobody would know that it is missing."""
    from eniagent.model.reading import Unobserved, Why

    ec2 = case.now.ec2
    if not isinstance(ec2, Unobserved) or ec2.detail:
        return case
    told = Unobserved(why=Why.NOT_COLLECTED, source=ec2.source, at=case.now.taken_at, detail="IMDS did not say which instance this is, so EC2 was not asked")
    return msgspec.structs.replace(case, now=msgspec.structs.replace(case.now, ec2=told))
