"""The diagnosis as one self-contained HTML file: no script, no link to anywhere, readable on paper and in the dark.

Refuses to let a value become markup: each one is neutralised, then escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from eniagent.model.finding import Diagnosis, Finding
from eniagent.report import phrases, verdict
from eniagent.report.plain import plain
from eniagent.report.timeline import entry_line, path_lines

_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:0 auto;padding:1rem}"
    "code,pre{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere;white-space:pre-wrap}"
    "table{border-collapse:collapse;width:100%;table-layout:fixed}th,td{border:1px solid #8886;padding:.3rem .5rem;"
    "text-align:left;vertical-align:top;overflow-wrap:anywhere}h1{border-left:.5rem solid #888;padding-left:.6rem}"
    "h1.critical{border-color:#c22}h1.warning{border-color:#b80}h1.healthy{border-color:#282}h1.inconclusive{border-color:#84c}"
)


def render(diagnosis: Diagnosis) -> str:
    """A whole ASCII document, ending in a newline."""
    title = f"eniagent: {diagnosis.verdict.value}: {phrases.cause_word(diagnosis)}"
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escaped(title)}</title><style>{_STYLE}</style></head><body><main>",
            *_body(diagnosis),
            "</main></body></html>",
            "",
        ]
    )


def escaped(text: str, *, limit: int = 1000) -> str:
    """`text` as it is read, never as markup."""
    return html.escape(plain(text, limit=limit), quote=True)


def _body(diagnosis: Diagnosis) -> Iterator[str]:
    now = diagnosis.taken_at
    yield f'<h1 class="{diagnosis.verdict.value}">{escaped(diagnosis.verdict.value)}: {escaped(diagnosis.headline)}</h1>'
    yield f"<p><code>{escaped(verdict.first_line(diagnosis))}</code></p>"
    yield f"<p><b>Node:</b> {escaped(phrases.numbers(diagnosis.numbers))}</p>"
    yield f"<p><b>Impact:</b> {escaped(phrases.impact(diagnosis))}</p>"
    title = phrases.outlook_title(diagnosis)
    if diagnosis.outlook is not None and title:
        yield f"<p><b>{title}:</b> {escaped(phrases.outlook(diagnosis.outlook, now=now))}</p>"
    groups = (
        ("Causes", diagnosis.causes),
        ("Symptoms", diagnosis.symptoms),
        ("Past", diagnosis.past),
        ("Advice", diagnosis.advice),
    )
    for name, findings in groups:
        if findings:
            yield f"<h2>{name}</h2>"
        for finding in findings:
            yield from _finding(finding, diagnosis=diagnosis)
    yield from _lists(diagnosis)
    yield f"<footer><p>Taken at {phrases.moment(now)} by eniagent {escaped(diagnosis.agent.get('version', 'unknown'))}</p></footer>"


def _finding(finding: Finding, *, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"<section><h3>{escaped(phrases.title(finding))}</h3><p>{escaped(finding.summary)}</p>"
    if finding.evidence:
        yield _table(
            ("fact", "observed", "expected", "source", "at"),
            (
                (
                    fact.fact,
                    phrases.figure(fact.observed),
                    "" if fact.expected is None else phrases.figure(fact.expected),
                    f"{fact.source} {fact.ref}",
                    "" if fact.at is None else f"{phrases.moment(fact.at)} ({phrases.age(fact.at, now=diagnosis.taken_at)})",
                )
                for fact in finding.evidence
            ),
        )
    if finding.remedy is not None:
        yield f"<p><b>Fix:</b> {escaped(finding.remedy.text)}</p><ul>"
        for command in finding.remedy.commands:
            yield f"<li><code>{escaped(command.run, limit=4000)}</code> ({escaped(phrases.command_note(command))})</li>"
        yield from (f"<li><b>{escaped(phrases.warning(text))}</b></li>" for text in finding.remedy.do_not)
        if finding.remedy.recovers_by:
            yield f"<li><b>Heals:</b> {escaped(finding.remedy.recovers_by)}</li>"
        yield "</ul>"
    yield "</section>"


def _lists(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.pod is not None:
        yield "<h2>Pod</h2><ul>" + "".join(f"<li>{escaped(line)}</li>" for line in path_lines(diagnosis.pod)) + "</ul>"
        yield _table(("what happened",), ((entry_line(entry, with_pod=False),) for entry in diagnosis.pod.timeline))
    if diagnosis.next_looks:
        looks = ((look.command, look.where, ", ".join(look.decides)) for look in diagnosis.next_looks)
        yield "<h2>Next looks</h2>" + _table(("command", "where", "decides"), looks, limit=4000)
    if diagnosis.ruled_out:
        yield "<h2>Ruled out</h2>" + _table(("code", "because"), ((out.code, out.because) for out in diagnosis.ruled_out))
    if diagnosis.unobserved:
        unseen = ((seen.source, seen.why, seen.detail) for seen in diagnosis.unobserved)
        yield "<h2>Not seen</h2>" + _table(("source", "why", "detail"), unseen)
    if diagnosis.impact.affected:
        yield "<h2>Affected pods</h2>" + _table(("pod", "failures", "first", "last", "recovered"), _affected(diagnosis))


def _affected(diagnosis: Diagnosis) -> Iterator[tuple[str, ...]]:
    for hit in diagnosis.impact.affected:
        recovered = "not yet" if hit.recovered_at is None else phrases.moment(hit.recovered_at)
        yield (hit.pod, str(hit.failures), phrases.moment(hit.first_at), phrases.moment(hit.last_at), recovered)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]], *, limit: int = 1000) -> str:
    head = "".join(f'<th scope="col">{escaped(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escaped(cell, limit=limit)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
