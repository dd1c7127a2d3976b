"""The runbook of a code: what it means, what proves it, what refutes it, what to run and what not; made from its rule.

Refuses to hold words of its own about a cause: what is printed stands in the rule, so that the two cannot drift apart.
Only the two words that no rule says, `healthy` and `undetermined`, are worded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

import msgspec

from eniagent.case.facts import Facts
from eniagent.model.finding import Command, Remedy
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.report import phrases, verdict
from eniagent.report.markdown import code as as_code
from eniagent.report.markdown import escaped
from eniagent.report.plain import plain
from eniagent.rules import registry
from eniagent.rules.rule import GUIDE, Look, Rule
from eniagent.rules.situations import POOL, REFUSALS, WHOLE_LINE

SCHEMA, LIST_SCHEMA = "eniagent.runbook/1", "eniagent.runbooks/1"
TO_FILL_IN = "Words in capitals are to be filled in; `eniagent diagnose` on the node prints the commands with the node's own ids."
_NO_NODE = Facts(Case(now=NodeSnapshot(taken_at=datetime(1970, 1, 1, tzinfo=timezone.utc))))
"""A case of which nothing is known: what a remedy says for it holds for any node."""


class Runbook(msgspec.Struct, frozen=True, kw_only=True):
    """One code. `class`: cause, symptom, advice, or verdict for the two words without a rule. `looks` decide the code, `remedy` heals it."""

    schema: str = SCHEMA
    code: str
    kind: str = msgspec.field(name="class")
    severity: str = ""
    scope: str = ""
    summary: str
    meaning: str
    proof: str
    refutation: str
    looks: tuple[Command, ...]
    remedy: Remedy
    explains: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    reference: str


def runbooks() -> tuple[Runbook, ...]:
    """All of them: causes, symptoms, advice, then the words without a rule."""
    rules = registry()
    return (*(_of_rule(rule, rules) for rule in rules), *_without_rule())


def _of_rule(rule: Rule, rules: Sequence[Rule]) -> Runbook:
    return Runbook(
        code=rule.code, kind=rule.kind, severity=rule.severity, scope=rule.scope.value, summary=rule.summary, meaning=rule.meaning,
        proof=rule.proof, refutation=rule.refutation, looks=tuple(_look(look) for look in rule.looks), remedy=rule.remedy(_NO_NODE),
        explains=rule.explains, explained_by=tuple(r.code for r in rules if rule.code in r.explains), reference=rule.reference,
    )


def _look(look: Look) -> Command:
    rights = {"node": "root", "kubectl": "get"}.get(look.where, "")
    return Command(run=look.command, where=look.where, effect="read", rights=rights)


def _without_rule() -> tuple[Runbook, ...]:
    again = Command(run="eniagent diagnose", where="node", effect="read", rights="root")
    looks = tuple(_look(Look(look.command, look.where)) for look in (REFUSALS, POOL, WHOLE_LINE))
    return (
        Runbook(
            code="healthy", kind="verdict", summary="Nothing stands, and all that is essential to say so was seen",
            meaning="ipamd serves, the pool has addresses, no pod waits for one, and no rule fires.",
            proof="ipamd's pool, a kubelet or containerd journal over the whole window, IMDS's list of ENIs and the type's limits were all seen.",
            refutation="A cause that stands, or one of these sources unseen: then the verdict is inconclusive, never healthy.",
            looks=(again,), remedy=Remedy(text="Nothing to do.", commands=(again,)), reference=GUIDE,
        ),
        Runbook(
            code="undetermined", kind="verdict", summary="Pods fail, and what was seen does not decide why",
            meaning="The words `failed to assign an IP address to container` alone decide nothing: a full node, a full subnet, missing rights, throttling, "
            "cooling addresses, leaks and a late ENI all print them, and the source that tells them apart was not seen.",
            proof="Pods wait for their address, and no rule fires on two independent sources or on one that is authoritative.",
            refutation="The first look of the diagnosis decides it.",
            looks=looks, remedy=Remedy(text="Take the first look that the diagnosis lists, then diagnose again.", commands=(again,)), reference=GUIDE,
        ),
    )


def as_json(found: Runbook) -> bytes:
    """One runbook as JSON, ending in a newline."""
    return msgspec.json.encode(found) + b"\n"


def list_as_json(found: Sequence[Runbook]) -> bytes:
    """The list of codes as JSON, ending in a newline."""
    rows = [{"code": b.code, "class": b.kind, "severity": b.severity, "summary": b.summary} for b in found]
    return msgspec.json.encode({"schema": LIST_SCHEMA, "runbooks": rows}) + b"\n"


def listing(found: Sequence[Runbook]) -> str:
    """All codes by class, one line each."""
    width = max(len(book.code) for book in found)
    lines: list[str] = []
    for kind in dict.fromkeys(book.kind for book in found):
        lines.append(f"{kind}:")
        lines += [f"  {book.code:<{width}}  {plain(book.summary)}" for book in found if book.kind == kind]
    return "\n".join([*lines, "eniagent explain CODE prints its runbook", ""])


def list_as_markdown(found: Sequence[Runbook]) -> str:
    """All codes as one table."""
    rows = (f"| {as_code(book.code)} | {escaped(book.kind)} | {escaped(book.summary)} |" for book in found)
    return "\n".join(["| code | class | in one line |", "|---|---|---|", *rows, ""])


def as_text(found: Runbook) -> str:
    """One runbook as ASCII text, ending in a newline."""
    return "\n".join([*_text(found), ""])


def _circumstances(found: Runbook) -> str:
    parts = (found.kind, found.severity, f"scope {found.scope}" if found.scope else "")
    return ", ".join(part for part in parts if part)


def _text(found: Runbook) -> Iterator[str]:
    yield f"{found.code}: {plain(found.summary)}"
    yield f"  {_circumstances(found)}"
    for title, words in (("meaning", found.meaning), ("what proves it", found.proof), ("what refutes it", found.refutation)):
        yield from ("", title, f"  {plain(words, limit=4000)}")
    if found.looks:
        yield from ("", "looks that decide", *(f"  {verdict.command_line(command)}" for command in found.looks))
    yield from ("", "remedy", f"  {plain(found.remedy.text, limit=4000)}")
    yield from (f"  {verdict.command_line(command)}" for command in found.remedy.commands)
    yield from (f"  {phrases.warning(text)}" for text in found.remedy.do_not)
    if found.remedy.recovers_by:
        yield f"  heals: {plain(found.remedy.recovers_by)}"
    if found.explains:
        yield from ("", "what follows from it", f"  {', '.join(found.explains)}")
    if found.explained_by:
        yield from ("", "what can be behind it", f"  {', '.join(found.explained_by)}")
    yield from ("", TO_FILL_IN, f"more: {plain(found.reference)}")


def as_markdown(found: Runbook) -> str:
    """One runbook as Markdown, ending in a newline."""
    return "\n".join([*_markdown(found), ""])


def _markdown(found: Runbook) -> Iterator[str]:
    yield from (f"# {escaped(found.code)}: {escaped(found.summary)}", "", escaped(_circumstances(found)), "")
    for title, words in (("Meaning", found.meaning), ("What proves it", found.proof), ("What refutes it", found.refutation)):
        yield from (f"## {title}", "", escaped(words, limit=4000), "")
    if found.looks:
        yield from ("## Looks that decide", "", *(_bullet(command) for command in found.looks), "")
    yield from ("## Remedy", "", escaped(found.remedy.text, limit=4000), "")
    yield from (_bullet(command) for command in found.remedy.commands)
    yield from (f"- **{escaped(phrases.warning(text))}**" for text in found.remedy.do_not)
    if found.remedy.recovers_by:
        yield f"- Heals: {escaped(found.remedy.recovers_by)}"
    for title, codes in (("What follows from it", found.explains), ("What can be behind it", found.explained_by)):
        if codes:
            yield from ("", f"## {title}", "", ", ".join(as_code(code) for code in codes))
    yield from ("", escaped(TO_FILL_IN), "", f"More: <{plain(found.reference)}>")


def _bullet(command: Command) -> str:
    return f"- {as_code(command.run)} ({escaped(phrases.command_note(command))})"
