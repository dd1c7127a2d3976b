"""The runbook of a root cause: what it means, what proves it, what refutes it, what to do; made from its rule.

Refuses to hold words of its own about a cause: what is printed stands in the rule, so that the two cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from eniagent.case.facts import Facts
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.report import phrases, verdict
from eniagent.report.plain import plain
from eniagent.rules.rule import Rule

WITHOUT_RULE = {
    "healthy": "Nothing stands, and everything that is essential to say so was seen.",
    "undetermined": "Pods fail, and what was seen does not decide why. The diagnosis lists the looks that would decide: take the first, "
    "then run eniagent again.",
}
"""Words of the first line that are no rule's."""


def listing(rules: Sequence[Rule]) -> str:
    """All codes by kind, one line each."""
    width = max(len(rule.code) for rule in rules)
    lines: list[str] = []
    for kind in dict.fromkeys(rule.kind for rule in rules):
        lines.append(f"{kind}:")
        lines += [f"  {rule.code:<{width}}  {plain(rule.summary)}" for rule in rules if rule.kind == kind]
    lines.append("without a cause:")
    lines += [f"  {code:<{width}}  {words.partition('.')[0]}." for code, words in WITHOUT_RULE.items()]
    return "\n".join([*lines, "eniagent explain CODE prints its runbook", ""])


def runbook(rule: Rule, *, now: datetime) -> str:
    """The runbook of one rule, for no node in particular: ids are words in capitals to fill in."""
    return "\n".join([*_lines(rule, now=now), ""])


def without_rule(code: str) -> str:
    """What a word means that is no rule's. Raises `KeyError`."""
    return f"{code}\n  {WITHOUT_RULE[code]}\n"


def _lines(rule: Rule, *, now: datetime) -> Iterator[str]:
    yield f"{rule.code}: {plain(rule.summary)}"
    yield f"  {rule.kind}, {rule.severity}, scope {rule.scope.value}"
    yield from ("", "meaning", f"  {plain(rule.meaning, limit=4000)}")
    yield from ("", "what proves it", f"  {plain(rule.proof, limit=4000)}")
    yield from ("", "what refutes it", f"  {plain(rule.refutation, limit=4000)}")
    if rule.looks:
        yield from ("", "looks that decide")
        yield from (f"  $ {plain(look.command, limit=4000)}  ({look.where})" for look in rule.looks)
    remedy = rule.remedy(Facts(Case(now=NodeSnapshot(taken_at=now))))
    yield from ("", "remedy", f"  {plain(remedy.text, limit=4000)}")
    yield from (f"  {verdict.command_line(command)}" for command in remedy.commands)
    yield from (f"  {phrases.warning(text)}" for text in remedy.do_not)
    if remedy.recovers_by:
        yield f"  heals: {plain(remedy.recovers_by)}"
    if rule.explains:
        yield from ("", "what follows from it", f"  {', '.join(rule.explains)}")
    yield from ("", f"more: {plain(rule.reference)}")
