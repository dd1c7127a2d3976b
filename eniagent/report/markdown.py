"""The diagnosis as Markdown, to paste into a ticket or a chat.

Refuses raw HTML, live markup and links from the node: each value is escaped or stands in a code span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from eniagent.model.finding import Diagnosis, Finding
from eniagent.report import phrases, verdict
from eniagent.report.plain import plain
from eniagent.report.timeline import entry_line, path_lines

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&@])")
_TICKS = re.compile(r"`+")
_SCHEME = re.compile(r"(?i)\b(https?|ftp|mailto|javascript|data):")


def render(diagnosis: Diagnosis) -> str:
    """ASCII Markdown, ending in a newline."""
    return "\n".join([*_lines(diagnosis), ""])


def escaped(text: str, *, limit: int = 1000) -> str:
    """`text` so that it renders as itself, on one line; addresses of the web become no links."""
    return _SCHEME.sub(r"\1&#58;", _MARKUP.sub(r"\\\1", plain(text, limit=limit)))


def code(text: str, *, limit: int = 4000) -> str:
    """`text` as a code span whose fence is longer than any run of ticks in it."""
    shown = plain(text, limit=limit) or " "
    longest = max((len(run) for run in _TICKS.findall(shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _lines(diagnosis: Diagnosis) -> Iterator[str]:
    now = diagnosis.taken_at
    yield f"# {escaped(diagnosis.verdict.value)}: {escaped(diagnosis.headline)}"
    yield ""
    yield code(verdict.first_line(diagnosis))
    yield ""
    yield f"- **Node:** {escaped(phrases.numbers(diagnosis.numbers))}"
    yield f"- **Impact:** {escaped(phrases.impact(diagnosis))}"
    title = phrases.outlook_title(diagnosis)
    if diagnosis.outlook is not None and title:
        yield f"- **{title}:** {escaped(phrases.outlook(diagnosis.outlook, now=now))}"
    yield f"- **Taken at:** {phrases.moment(now)}"
    groups = (
        ("Causes", diagnosis.causes),
        ("Symptoms", diagnosis.symptoms),
        ("Past", diagnosis.past),
        ("Advice", diagnosis.advice),
    )
    for name, findings in groups:
        if findings:
            yield from ("", f"## {name}")
        for finding in findings:
            yield from _finding(finding, diagnosis=diagnosis)
    yield from _lists(diagnosis)


def _finding(finding: Finding, *, diagnosis: Diagnosis) -> Iterator[str]:
    yield from ("", f"### {escaped(phrases.title(finding))}", "", escaped(finding.summary), "")
    if finding.evidence:
        yield from ("| fact | observed | expected | source | at |", "|---|---|---|---|---|")
    for fact in finding.evidence:
        expected = "" if fact.expected is None else escaped(phrases.figure(fact.expected))
        at = "" if fact.at is None else f"{phrases.moment(fact.at)} ({phrases.age(fact.at, now=diagnosis.taken_at)})"
        source = escaped(f"{fact.source} {fact.ref}".strip())
        yield f"| {escaped(fact.fact)} | {escaped(phrases.figure(fact.observed))} | {expected} | {source} | {escaped(at)} |"
    if finding.explains:
        yield from ("", f"Explains: {escaped(', '.join(finding.explains))}")
    if finding.remedy is not None:
        yield from ("", f"**Fix:** {escaped(finding.remedy.text)}", "")
        for command in finding.remedy.commands:
            yield f"- {code(command.run)} ({escaped(phrases.command_note(command))})"
        yield from (f"- **{escaped(phrases.warning(text))}**" for text in finding.remedy.do_not)
        if finding.remedy.recovers_by:
            yield f"- **Heals:** {escaped(finding.remedy.recovers_by)}"


def _lists(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.pod is not None:
        yield from ("", "## Pod", "", *(f"- {escaped(line.strip())}" for line in path_lines(diagnosis.pod)), "")
        yield from (f"- {code(entry_line(entry, with_pod=False))}" for entry in diagnosis.pod.timeline)
    if diagnosis.next_looks:
        yield from ("", "## Next looks", "")
    for look in diagnosis.next_looks:
        yield f"- {code(look.command)} ({escaped(look.where)}: decides {escaped(', '.join(look.decides))})"
    if diagnosis.ruled_out:
        yield from ("", "## Ruled out", "")
    yield from (f"- {escaped(out.code)}: {escaped(out.because)}" for out in diagnosis.ruled_out)
    if diagnosis.unobserved:
        yield from ("", "## Not seen", "")
    for seen in diagnosis.unobserved:
        yield f"- {escaped(seen.source)}: {escaped(seen.why)} {escaped(seen.detail)}".rstrip()
    if diagnosis.impact.affected:
        yield from ("", "## Affected pods", "", "| pod | failures | first | last | recovered |", "|---|---|---|---|---|")
    for hit in diagnosis.impact.affected:
        times = " | ".join(phrases.moment(at) for at in (hit.first_at, hit.last_at))
        recovered = "not yet" if hit.recovered_at is None else phrases.moment(hit.recovered_at)
        yield f"| {escaped(hit.pod)} | {hit.failures} | {times} | {recovered} |"
