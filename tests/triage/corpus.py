"""The field cases that the project keeps, and the judgement of an answer to one.

A right answer names the label where the text decides it, says what would decide where it does not, and raises nothing on a
healthy node or another owner's failure.
"""

from __future__ import annotations

import gzip
import json
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

NEGATIVE = {"healthy", "not-ip-related"}
NAMES = {"kubelet": "kubelet.log", "containerd": "containerd.log", "event": "events.txt", "ipamd_log": "ipamd.log", "plugin_log": "plugin.log", "v1_enis": "enis.json", "metrics": "metrics.txt", "imds": "imds.txt"}
PATH = pathlib.Path(__file__).resolve().parent.parent / "data" / "corpus.jsonl.gz"


class Judged(NamedTuple):
    """`right`: acceptable. `false_alarm`: an address cause named where there is none. `named`: not-ip-related said in so many words."""

    right: bool
    false_alarm: bool
    named: bool
    why: str


def cases() -> list[dict[str, Any]]:
    """All cases, in the file's order."""
    with gzip.open(PATH, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def as_files(case: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """One file per input, named by its kind."""
    return [(f"{n}-{NAMES.get(item['kind'], 'other.txt')}", _ended(item["text"]).encode()) for n, item in enumerate(case["inputs"])]


def as_stream(case: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """All inputs as one text, with blank lines between."""
    return [("stdin", "".join(_ended(item["text"]) + "\n" for item in case["inputs"]).encode())]


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def judge(case: Mapping[str, Any], answer: Mapping[str, Any]) -> Judged:
    """One answer (its JSON form) against the label."""
    label = case["root_cause"]
    ok = {label, *(case.get("also_acceptable") or [])}
    causes = [c["code"] for c in answer["causes"]]
    firm = [c["code"] for c in answer["causes"] if c["confidence"] != "possible"]
    primary = causes[0] if causes else None
    decides = _decides(answer)
    inconclusive = answer["verdict"] == "inconclusive"
    decidable = case.get("decidable", "yes")
    if label == "undetermined":
        right = (inconclusive and not firm and bool(decides)) or primary in ok
    elif label in NEGATIVE:
        right = not firm or primary in ok
    elif decidable == "yes":
        right = primary in ok
    elif decidable == "partly":
        right = primary in ok or (primary is None and bool(decides & ok))
    else:
        right = inconclusive and not firm and bool((decides | set(causes)) & ok) and bool(decides)
    alarm = label in NEGATIVE and bool(set(firm) - ok - NEGATIVE)
    return Judged(right and not alarm, alarm, label == "not-ip-related" and primary == label, f"got {causes or answer['verdict']}, looks {sorted(decides)}")


def _decides(answer: Mapping[str, Any]) -> set[str]:
    """What the first three looks can decide; a look for everything decides nothing."""
    found: set[str] = set()
    for look in answer["next_looks"][:3]:
        if look["command"] and len(look["decides"]) <= 6:
            found |= set(look["decides"])
    return found if len(found) <= 12 else set()


def group(case: Mapping[str, Any]) -> str:
    """The group in which a case counts."""
    return "negative" if case["root_cause"] in NEGATIVE else f"decidable-{case.get('decidable', 'yes')}"
