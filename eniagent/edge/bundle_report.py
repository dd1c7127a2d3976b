"""The papers of a bundle: REPORT.txt, the reports, ledger and timeline as files, and the manifest that names every member.

Refuses to say more than the redacted diagnosis says, and to hide what is missing: each member that is left out is named on both.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from eniagent import __version__, report
from eniagent.case.facts import Facts
from eniagent.case.timeline import timeline
from eniagent.edge.bundle_members import Members
from eniagent.edge.bundle_write import SUMS, ordered
from eniagent.model.codec import encode, to_builtin
from eniagent.model.finding import Diagnosis
from eniagent.model.snapshot import Case
from eniagent.report.plain import plain, token

SCHEMA = "eniagent.bundle/1"
_CONTENTS = """\
What is where
  report.json, report.html   this report for programs and for browsers
  manifest.json, SHA256SUMS  every member: its source, what became of it, its digest
  captures/                  what was seen, as bytes; `eniagent diagnose --from` this archive reads them again
  ledger.csv                 each ENI and address over all views
  timeline.jsonl             what programs said and what changed, merged
  journal/, logs/, pods/     lines of the window beyond what the verdict was made from
  net/, system/              state of network and machine
"""


def run_id(diagnosis: Diagnosis, *, profile: str) -> str:
    """Eight digits that stand for this case in this form."""
    return hashlib.sha256(encode(diagnosis) + profile.encode()).hexdigest()[:8]


def bundle_name(diagnosis: Diagnosis, *, profile: str) -> str:
    """`eniagent_<instance>_<time>Z_<run>[.redacted]`, from the redacted diagnosis."""
    instance = token(diagnosis.node.instance_id, limit=40) or "unknown"
    redacted = ".redacted" if diagnosis.redaction == "identifiers" else ""
    return f"eniagent_{''.join(c if c.isalnum() or c == '-' else '-' for c in instance)}_{diagnosis.taken_at:%Y%m%dT%H%M%S}Z_{run_id(diagnosis, profile=profile)}{redacted}"


def add_reports(members: Members, diagnosis: Diagnosis, *, case: Case) -> None:
    """report.json and report.html, ledger.csv, timeline.jsonl. `diagnosis` is redacted, the case is not."""
    made = {"source": "eniagent", "state": "made"}
    members.add_made("report.json", report.render(diagnosis, format_name="json"), told=dict(made))
    members.add_made("report.html", report.render(diagnosis, format_name="html"), told=dict(made))
    members.add_made("ledger.csv", _ledger(diagnosis), told=dict(made))
    lines = b"".join(msgspec.json.encode(entry, enc_hook=to_builtin) + b"\n" for entry in timeline(Facts(case)).entries)
    members.add("timeline.jsonl", [lines], told=dict(made), always=True)


def _ledger(diagnosis: Diagnosis) -> bytes:
    rows = diagnosis.ledger or ()
    views = sorted({view for row in rows for view in row.views})
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["kind", "subject", "card", "eni", "pod", "state", "confirmed", *views])
    for row in rows:
        told = [row.kind, row.subject, row.card, row.eni, row.pod, row.state, row.confirmed, *(row.views.get(view, "") for view in views)]
        writer.writerow([_cell(value) for value in told])
    return out.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Any) -> str:
    """A cell that no spreadsheet takes for a formula."""
    text = str(value)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") and len(text) > 1 else text


def report_text(diagnosis: Diagnosis, *, members: Members, name: str, notes: Iterable[str]) -> bytes:
    """REPORT.txt: how it is redacted, the whole text report, what is missing, what is where."""
    first = f"eniagent bundle {name}; redaction: {diagnosis.redaction}"
    if diagnosis.redaction == "none":
        first = f"NOT REDACTED: this bundle holds secrets and identities as they are. {first}"
    told = [first, *(f"note: {plain(note)}" for note in notes), "", report.render(diagnosis, format_name="text").decode("ascii")]
    if members.absent:
        told.append("Left out of this bundle:")
        told += [f"  {plain(gone.path, limit=200)}: {gone.why}{': ' + plain(gone.detail, limit=300) if gone.detail else ''}" for gone in members.absent]
        told.append("")
    counts = members.redaction.counts
    told.append("Redaction: " + (", ".join(f"{rule} ({count} x)" for rule, count in sorted(counts.items())) or "nothing was found to remove") + "\n")
    return "\n".join([*told, _CONTENTS]).encode("ascii", "backslashreplace")


def manifest(diagnosis: Diagnosis, *, members: Members, name: str, notes: Iterable[str], options: Mapping[str, Any], incomplete: Iterable[str]) -> bytes:
    """manifest.json. It names every member but itself and SHA256SUMS."""
    by = members.redaction
    told = {
        "schema": SCHEMA,
        "name": name,
        "agent": {"version": __version__},
        "run_id": name.split("_")[-1].split(".")[0],
        "taken_at": diagnosis.taken_at,
        "window": diagnosis.window,
        "node": diagnosis.node,
        "verdict": diagnosis.verdict,
        "causes": [found.code for found in diagnosis.causes],
        "profile": members.profile.name,
        "limits": {"archive_bytes": members.profile.archive_bytes},
        "options": dict(options),
        "redaction": {"strength": by.strength, "counts": [{"rule": rule, "count": count} for rule, count in by.counts.items()]},
        "partial": members.partial or None,
        "notes": list(notes),
        "incomplete": sorted(set(incomplete)),
        "members": [
            {"path": member.path, **member.told, "bytes_out": member.body.size, "sha256": member.body.sha256}
            for member in ordered(members.members)
            if member.path != SUMS
        ],
        "left_out": [msgspec.to_builtins(gone) for gone in members.absent],
    }
    return msgspec.json.format(msgspec.json.encode(told, enc_hook=to_builtin), indent=1) + b"\n"
