"""The text output of `diagnose`: the verdict within 2,400 bytes, then every detail.

Refuses anything but printable ASCII and newlines; colour is added only when the caller knows of a terminal that wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from eniagent.case.ledger import AGREED, disagreements
from eniagent.model.finding import Diagnosis, Finding, Verdict
from eniagent.report import phrases, verdict
from eniagent.report.plain import plain
from eniagent.report.timeline import entry_line, path_lines

_COLOURS = {
    Verdict.CRITICAL: "31",
    Verdict.WARNING: "33",
    Verdict.HEALTHY: "32",
    Verdict.INCONCLUSIVE: "35",
    Verdict.NOT_APPLICABLE: "36",
}


def first_line(diagnosis: Diagnosis) -> str:
    """The `ENIAGENT ...` line, without its newline."""
    return verdict.first_line(diagnosis)


def render(diagnosis: Diagnosis, *, colour: bool = False) -> str:
    """The whole output, ending in a newline."""
    told = verdict.lines(diagnosis)
    if colour:
        told = _painted(told, diagnosis)
    return "\n".join([*told, *_details(diagnosis), ""])


def _painted(told: list[str], diagnosis: Diagnosis) -> list[str]:
    """The headline in the verdict's colour, section titles bold. The first line stays as machines expect it."""
    first, headline, *rest = told
    painted = [first, f"\x1b[1;{_COLOURS[diagnosis.verdict]}m{headline}\x1b[0m"]
    for line in rest:
        title, colon, text = line.partition(":")
        is_title = bool(colon) and not line.startswith(" ")
        painted.append(f"\x1b[1m{title}:\x1b[0m{text}" if is_title else line)
    return painted


def _details(diagnosis: Diagnosis) -> Iterator[str]:
    """Everything, uncut; the longest lists last, for SSM keeps only the first 24,000 characters."""
    yield from _circumstances(diagnosis)
    if diagnosis.pod is not None:
        yield from path_lines(diagnosis.pod)
    groups = (("cause", diagnosis.causes), ("symptom", diagnosis.symptoms), ("past", diagnosis.past), ("advice", diagnosis.advice))
    for name, findings in groups:
        for finding in findings:
            yield from _finding(finding, name=name, now=diagnosis.taken_at)
    if diagnosis.next_looks:
        yield "next looks"
        for look in diagnosis.next_looks:
            yield f"  $ {plain(look.command, limit=4000)}"
            yield f"    {plain(look.where, limit=20)}: decides {plain(', '.join(look.decides))}"
    if diagnosis.ruled_out:
        yield "ruled out"
        for out in diagnosis.ruled_out:
            yield f"  {plain(out.code)}: {plain(out.because)}"
            yield from (f"    - {phrases.evidence(fact, now=diagnosis.taken_at)}" for fact in out.evidence)
    if diagnosis.unobserved:
        yield "not seen"
        for seen in diagnosis.unobserved:
            yield f"  {plain(seen.source)}: {plain(seen.why)}{': ' + plain(seen.detail) if seen.detail else ''}"
    yield from (f"agent fault: {plain(text)}" for text in diagnosis.faults)
    yield from _affected(diagnosis)
    yield from _pod_timeline(diagnosis)
    yield from _ledger(diagnosis)


def _pod_timeline(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.pod is not None and diagnosis.pod.timeline:
        yield f"timeline of {plain(diagnosis.pod.pod, limit=320)}, and what the node did around it"
        yield from (f"  {entry_line(entry, with_pod=False)}" for entry in diagnosis.pod.timeline)
        yield from (f"  not line by line: {plain(text)}" for text in diagnosis.pod.capped)


def _circumstances(diagnosis: Diagnosis) -> Iterator[str]:
    node = diagnosis.node
    facts = (node.name, node.instance_id, node.instance_type, node.availability_zone, f"CNI {node.cni_version or 'unknown'}")
    yield f"node: {', '.join(plain(fact, limit=260) for fact in facts if fact)}"
    window = diagnosis.window
    since = "the oldest record" if window.since is None else phrases.moment(window.since)
    yield f"window: {since} to {phrases.moment(window.until)}; taken at {phrases.moment(diagnosis.taken_at)}"
    yield f"agent: eniagent {plain(diagnosis.agent.get('version', 'unknown'), limit=40)}; redaction: {plain(diagnosis.redaction, limit=20)}"


def _finding(finding: Finding, *, name: str, now: datetime) -> Iterator[str]:
    yield f"{name}: {phrases.title(finding)}, {plain(finding.severity, limit=20)}, scope {finding.scope.value}"
    yield f"  {plain(finding.summary)}"
    yield from (f"  - {phrases.evidence(fact, now=now)}" for fact in finding.evidence)
    if finding.explains:
        yield f"  explains: {plain(', '.join(finding.explains))}"
    if finding.remedy is not None:
        yield f"  fix: {plain(finding.remedy.text)}"
        for command in finding.remedy.commands:
            yield f"    {verdict.command_line(command)}"
        yield from (f"    {phrases.warning(text)}" for text in finding.remedy.do_not)
        if finding.remedy.recovers_by:
            yield f"    heals: {plain(finding.remedy.recovers_by)}"
    if finding.reference:
        yield f"  reference: {plain(finding.reference)}"


def _affected(diagnosis: Diagnosis) -> Iterator[str]:
    if diagnosis.impact.cut_off:
        yield "running pods without network"
        yield from (f"  {plain(pod, limit=320)}" for pod in diagnosis.impact.cut_off)
    if diagnosis.impact.affected:
        yield "affected pods (failures, first, last, recovered)"
    for hit in diagnosis.impact.affected:
        recovered = "not yet" if hit.recovered_at is None else phrases.moment(hit.recovered_at)
        times = f"{phrases.moment(hit.first_at)}  {phrases.moment(hit.last_at)}"
        yield f"  {plain(hit.pod, limit=320)}  {hit.failures}  {times}  {recovered}"


def _ledger(diagnosis: Diagnosis) -> Iterator[str]:
    """One line for each row, those that disagree first."""
    if diagnosis.ledger is None:
        return
    rows = sorted(diagnosis.ledger, key=lambda row: row.state == AGREED)
    counts = ", ".join(f"{number} {kind}" for kind, number in disagreements(rows).items() if number)
    yield f"ledger: {len(rows)} rows; {counts or 'all views agree where they were seen'}"
    for row in rows:
        state = f"{row.state}{', confirmed' if row.confirmed else ''}"
        where = f" on {plain(row.eni, limit=40)}" if row.eni and row.eni != row.subject else ""
        pod = f" of {plain(row.pod, limit=320)}" if row.pod else ""
        views = "; ".join(f"{view}: {plain(text, limit=120)}" for view, text in row.views.items())
        yield f"  {state}: {row.kind} {plain(row.subject, limit=60)}{where}{pod}, card {row.card} | {views}"
