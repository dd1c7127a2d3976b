"""What became different between two bundles: verdict, causes, numbers, pods, settings.

Refuses to read anything but their reports and manifests: both are told as they were told then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from eniagent.edge.bundle_verify import REPORT, manifest_of, read
from eniagent.edge.errors import CapturesError

NUMBERS = (
    ("enis", "attached"), ("enis", "limit"), ("addresses", "total"), ("addresses", "assigned"), ("addresses", "cooling"),
    ("addresses", "assignable"), ("addresses", "limit"), ("max_pods", "configured"), ("max_pods", "computed"),
)  # fmt: skip


class Change(NamedTuple):
    """One thing that is different. None: it was not told there."""

    what: str
    was: Any
    became: Any


class Compared(NamedTuple):
    """Two bundles, by the times at which their cases were taken, and what is different. `comparable` False: pseudonyms differ."""

    before: str
    after: str
    changes: list[Change]
    note: str = ""


def compare(before: str, after: str) -> Compared:
    """The changes from one bundle to another. Raises `CapturesError`."""
    first, second = _papers(before), _papers(after)
    strengths = [papers[1].get("redaction", {}).get("strength", "") for papers in (first, second)]
    note = "" if strengths[0] == strengths[1] else f"redacted differently ({strengths[0]} and {strengths[1]}): names and addresses may differ for that alone"
    return Compared(str(first[0].get("taken_at", "")), str(second[0].get("taken_at", "")), list(_changes(first[0], second[0])), note)


def _papers(path: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found = read(path, for_secrets=False)
    manifest = manifest_of(path, found)
    try:
        report = msgspec.json.decode(found.papers.get(REPORT, b""))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CapturesError(f"{path}: {REPORT} cannot be used: {error}") from error
    if not isinstance(report, dict):
        raise CapturesError(f"{path}: {REPORT} is no report")
    return report, manifest


def _changes(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Change]:
    for name in ("verdict", "headline"):
        if first.get(name) != second.get(name):
            yield Change(name, first.get(name), second.get(name))
    yield from _of_entries("node", first.get("node"), second.get("node"))
    for name in ("causes", "past", "symptoms", "advice"):
        yield from _findings(name, first, second)
    for group, name in NUMBERS:
        was, became = _number(first, group, name), _number(second, group, name)
        if was != became:
            yield Change(f"{group} {name}", was, became)
    yield from _pods(first, second)
    was_seen, now_seen = _unseen(first), _unseen(second)
    yield from (Change(f"seen: {source}", was_seen.get(source, "seen"), now_seen.get(source, "seen")) for source in sorted({*was_seen, *now_seen}) if was_seen.get(source) != now_seen.get(source))


def _of_entries(what: str, first: Any, second: Any) -> Iterator[Change]:
    was, became = first if isinstance(first, dict) else {}, second if isinstance(second, dict) else {}
    for name in sorted({*was, *became}):
        if was.get(name) != became.get(name):
            yield Change(f"{what} {name}", was.get(name), became.get(name))


def _findings(name: str, first: dict[str, Any], second: dict[str, Any]) -> Iterator[Change]:
    was, became = ({(f.get("code"), f.get("subject")): f for f in _dicts(report.get(name))} for report in (first, second))
    word = {"causes": "cause", "past": "past cause", "symptoms": "symptom"}.get(name, name)
    for key in [*was, *(key for key in became if key not in was)]:
        label = f"{word} {key[0]}" + (f" ({key[1]})" if key[1] else "")
        if key not in became:
            yield Change(label, "stood", "gone")
        elif key not in was:
            yield Change(label, "not there", "stands")
        elif was[key].get("confidence") != became[key].get("confidence"):
            yield Change(f"{label} confidence", was[key].get("confidence"), became[key].get("confidence"))


def _pods(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Change]:
    was, became = ({pod.get("pod"): pod for pod in _dicts((report.get("impact") or {}).get("affected"))} for report in (first, second))
    for pod in sorted({*was, *became}, key=str):
        states = [_state(there.get(pod)) for there in (was, became)]
        if states[0] != states[1]:
            yield Change(f"pod {pod}", *states)


def _state(pod: Any) -> str:
    if pod is None:
        return "no failure"
    return f"{pod.get('failures')} failures, {'recovered' if pod.get('recovered_at') else 'not recovered'}"


def _unseen(report: dict[str, Any]) -> dict[str, str]:
    return {str(entry.get("source")): str(entry.get("why")) for entry in _dicts(report.get("unobserved"))}


def _number(report: dict[str, Any], group: str, name: str) -> Any:
    numbers = report.get("numbers")
    inner = numbers.get(group) if isinstance(numbers, dict) else None
    return inner.get(name) if isinstance(inner, dict) else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
