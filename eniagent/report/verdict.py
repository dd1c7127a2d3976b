"""The first 2,400 bytes of the text output: all that an SSM summary field keeps, so all that must be said stands here.

Refuses to grow with the diagnosis: what does not fit is counted, and told in full in the details.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Callable, TypeVar

from eniagent.model.finding import Command, Diagnosis, Finding, NextLook, NotSeen, Remedy, RuledOut
from eniagent.report import phrases
from eniagent.report.fitting import Section, fit
from eniagent.report.plain import plain, token
from eniagent.report.timeline import path_lines

FIRST_LINE_BYTES = 512
VERDICT_BYTES = 2400
END = "-- details --"
MOST_ITEMS = 60
"""More items than this never fit into `VERDICT_BYTES`."""

T = TypeVar("T")


def first_line(diagnosis: Diagnosis) -> str:
    """The line that machines grep for: ASCII, at most 512 bytes without its newline, no hostile key in it."""
    confidence = diagnosis.causes[0].confidence.value if diagnosis.causes else "none"
    node = diagnosis.node
    return (
        f"ENIAGENT verdict={diagnosis.verdict.value} cause={token(phrases.cause_word(diagnosis), limit=60)}"
        f" confidence={confidence} node={token(node.name, limit=240)}"
        f" instance={token(node.instance_id, limit=40)} cni={token(node.cni_version, limit=40)}"
    )


def lines(diagnosis: Diagnosis) -> list[str]:
    """The whole verdict, first line included: at most 2,400 bytes with its newlines, whatever the diagnosis holds."""
    first = first_line(diagnosis)
    room = VERDICT_BYTES - len(first) - 1 - len(END) - 1
    return [first, *(line for part in fit(sections(diagnosis), room_bytes=room) for line in part), END]


def sections(diagnosis: Diagnosis) -> list[Section]:
    """The verdict's parts in the order in which they are read. The heads together stay under 1,800 bytes."""
    now = diagnosis.taken_at
    parts = [
        Section(title="", head=plain(diagnosis.headline, limit=260)),
        Section(title="Node", head=plain(phrases.numbers(diagnosis.numbers), limit=190)),
        _impact(diagnosis),
        *_why(diagnosis),
    ]
    title = phrases.outlook_title(diagnosis)
    if diagnosis.outlook is not None and title:
        told = plain(phrases.outlook(diagnosis.outlook, now=now), limit=250)
        parts.append(Section(title=title, head=told))
    parts += [*_fix(diagnosis), *_next_looks(diagnosis)]
    parts += _also(diagnosis)
    # Facts that are something go before facts that are nothing: "2 of 3 ENIs attached" says more than "no such line".
    excluded = sorted(diagnosis.ruled_out, key=lambda out: not any(fact.observed for fact in out.evidence))
    missing = diagnosis.unobserved
    parts.append(_listed("Ruled out", excluded, _excluded, rank=4, head="" if excluded else "nothing"))
    parts.append(_listed("Not seen", missing, _missing, rank=3, head="" if missing else "nothing is missing"))
    return parts


def _listed(title: str, things: Sequence[T], told: Callable[[T], str], *, rank: int, head: str = "", inline: bool = True) -> Section:
    """A section of the first things, which are all that could fit, and the number of the others."""
    items = tuple(told(thing) for thing in things[:MOST_ITEMS])
    return Section(title=title, head=head, items=items, rank=rank, inline=inline, unlisted=len(things) - len(items))


def _excluded(out: RuledOut) -> str:
    return f"{plain(out.code, limit=64)} ({plain(out.because, limit=70)})"


def _missing(seen: NotSeen) -> str:
    told = f": {plain(seen.detail, limit=60)}" if seen.detail else ""
    return f"{plain(seen.source, limit=40)} ({plain(seen.why, limit=20)}{told})"


def _impact(diagnosis: Diagnosis) -> Section:
    if diagnosis.pod is not None:
        first, *rest = path_lines(diagnosis.pod)
        return _listed("Pod", rest, lambda line: plain(line, limit=170), rank=0, head=plain(first.partition(" ")[2], limit=200), inline=False)
    waiting = [hit for hit in diagnosis.impact.affected if hit.recovered_at is None]
    names = list(diagnosis.impact.cut_off) or [hit.pod for hit in waiting or diagnosis.impact.affected]
    head = plain(phrases.impact(diagnosis), limit=160) + (": pods" if names else "")
    return _listed("Impact", names, lambda name: plain(name, limit=80), rank=6, head=head)


def _why(diagnosis: Diagnosis) -> list[Section]:
    if not diagnosis.causes:
        return []
    first, *others = diagnosis.causes
    now = diagnosis.taken_at
    head = _told(first, limit=230)
    parts = [_listed("Why", first.evidence, lambda fact: phrases.evidence(fact, now=now, limit=170), rank=0, head=head, inline=False)]
    if others:
        parts.append(_listed("Standing as well", others, lambda other: _told(other, limit=150), rank=2))
    return parts


def _told(finding: Finding, *, limit: int) -> str:
    return plain(f"{phrases.title(finding)}: {finding.summary}", limit=limit)


def _fix(diagnosis: Diagnosis) -> list[Section]:
    remedy = next((found.remedy for found in (*diagnosis.causes, *diagnosis.advice) if found.remedy is not None), None)
    if remedy is None:
        return []
    return [_listed("Fix", _steps(remedy), str, rank=1, head=plain(remedy.text, limit=220), inline=False)]


def _steps(remedy: Remedy) -> list[str]:
    """One command, then what not to do and what heals it, then the other commands: the order in which room is given."""
    commands = [command_line(command) for command in remedy.commands]
    warnings = [phrases.warning(text, limit=150) for text in remedy.do_not]
    heals = [f"heals: {plain(remedy.recovers_by, limit=150)}"] if remedy.recovers_by else []
    return [*commands[:1], *warnings[:1], *heals, *commands[1:], *warnings[1:]]


def command_line(command: Command) -> str:
    """`$ command  (where: effect, rights)`. A command is never cut: it is printed whole or not at all."""
    return f"$ {plain(command.run, limit=4000)}  ({phrases.command_note(command)})"


def _next_looks(diagnosis: Diagnosis) -> list[Section]:
    if not diagnosis.next_looks:
        return []
    return [_listed("Next look", diagnosis.next_looks, look_line, rank=1 if not diagnosis.causes else 5, inline=False)]


def look_line(look: NextLook) -> str:
    """`$ command  (where: decides codes)`, the command whole."""
    decides = plain(", ".join(look.decides[:MOST_ITEMS]), limit=80)
    return f"$ {plain(look.command, limit=4000)}  ({plain(look.where, limit=20)}: decides {decides})"


def _also(diagnosis: Diagnosis) -> list[Section]:
    """Symptoms, what is over, advice, and the agent's own faults: only where there are any."""

    def told(found: Finding) -> str:
        return _told(found, limit=140)

    parts = [_listed("Symptoms", diagnosis.symptoms, _symptom, rank=5)]
    parts += [_listed("Past", diagnosis.past, told, rank=5), _listed("Advice", diagnosis.advice, told, rank=5)]
    parts.append(_listed("The agent's own faults", diagnosis.faults, lambda text: plain(text, limit=80), rank=5))
    return [part for part in parts if part.items]


def _symptom(finding: Finding) -> str:
    if not finding.evidence:
        return plain(finding.code, limit=64)
    fact = finding.evidence[0]
    return f"{plain(finding.code, limit=64)} ({plain(f'{fact.fact}: {phrases.figure(fact.observed)}', limit=60)})"
