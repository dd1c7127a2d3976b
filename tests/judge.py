"""Judges a diagnosis against what is true of a recording.

Right means: the first cause is the root cause (or one that an honest tool may lead with), the verdict is no worse than
allowed, no code is named that must not be, and every cause carries evidence with source and observed value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SEVERITY = {"not-applicable": 0, "healthy": 0, "inconclusive": 1, "warning": 1, "critical": 2}


def faults(truth: Mapping[str, Any], document: Mapping[str, Any]) -> list[str]:
    """Everything that is wrong with the diagnosis (its JSON form), in words; empty where it is right."""
    causes = document.get("causes", [])
    root = truth["root_cause"]
    also = set(truth.get("also_acceptable") or ())
    explained = set(causes[0].get("explains") or ()) if causes else set()
    found = [f"{cause['code']} without evidence" for cause in causes if not _has_evidence(cause)]
    if root == "undetermined":
        return found + _faults_of_undetermined(also, document)
    codes = {cause["code"] for cause in causes}
    found += [f"names {code}" for code in sorted(codes - {root} - also - explained)]
    found += [f"must not name {code}" for code in sorted(codes & set(truth.get("not") or ()))]
    check = _faults_of_healthy if root == "healthy" else _faults_of_sick
    return found + check(truth, document, also=also)


def false_alarm(truth: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a healthy node was called critical, or a cause was named that nobody accepts."""
    if truth["root_cause"] != "healthy":
        return False
    named = {cause["code"] for cause in document.get("causes", [])}
    return document.get("verdict") == "critical" or bool(named - set(truth.get("also_acceptable") or ()) - {"healthy"})


def _has_evidence(cause: Mapping[str, Any]) -> bool:
    evidence = cause.get("evidence") or []
    return bool(evidence) and all(fact.get("source") and "observed" in fact for fact in evidence)


def _faults_of_healthy(truth: Mapping[str, Any], document: Mapping[str, Any], *, also: set[str]) -> list[str]:
    lenient = also or truth.get("advice_expected") or truth.get("max_verdict") == "warning"
    allowed = {"healthy", "warning"} if lenient else {"healthy"}
    verdict = document.get("verdict")
    found = [] if verdict in allowed else [f"verdict {verdict}, allowed {sorted(allowed)}"]
    return found + (["false alarm"] if false_alarm(truth, document) else [])


def _faults_of_undetermined(also: set[str], document: Mapping[str, Any]) -> list[str]:
    causes = document.get("causes", [])
    if causes and causes[0]["code"] in also:
        return []
    found = [f"claims {cause['code']}" for cause in causes if cause.get("confidence") != "possible"]
    if document.get("verdict") != "inconclusive":
        found.append(f"verdict {document.get('verdict')}, wanted inconclusive")
    return found if document.get("next_looks") else [*found, "no next look"]


def _faults_of_sick(truth: Mapping[str, Any], document: Mapping[str, Any], *, also: set[str]) -> list[str]:
    causes, verdict = document.get("causes", []), str(document.get("verdict"))
    first = causes[0]["code"] if causes else None
    found = [] if first in {truth["root_cause"], *also} else [f"leads with {first}, wanted {truth['root_cause']} or {sorted(also)}"]
    worst = SEVERITY[truth.get("max_verdict", "critical")]
    if verdict not in ("critical", "warning") or SEVERITY[verdict] > worst:
        found.append(f"verdict {verdict}, at most {truth.get('max_verdict', 'critical')}")
    return found
