"""The JSON Schema of the diagnosis, made from the structs and the descriptions below.

Refuses to be edited by hand: `diagnosis.schema.json` beside it is this module's output, and a test holds them equal.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from eniagent.model.finding import Diagnosis

NAME = "eniagent.diagnosis/1"

DESCRIPTIONS: dict[str, dict[str, str]] = {
    "Diagnosis": {
        "schema": "Name and version of this document's form.",
        "agent": "The agent that made it: its version.",
        "taken_at": "Now, for everything that the document says.",
        "verdict": "critical: a pod waits now and a cause stands. warning: a cause stands or stood, or advice needs a person. "
        "healthy: nothing stands and all that is essential was seen. inconclusive: it was not. not-applicable: no VPC CNI here.",
        "headline": "One sentence for people.",
        "causes": "What stands now; the first is the primary root cause. Empty when healthy or undetermined.",
        "past": "What stood within the window and is over, each with since and until.",
        "symptoms": "What the causes produce.",
        "advice": "Nothing is broken by it yet.",
        "ruled_out": "Causes that were checked and are excluded by a fact.",
        "unobserved": "Sources that were not seen. Unknown is never healthy.",
        "outlook": "What ipamd will do next, and when; null where it is not known.",
        "ledger": "One row per ENI and address over all views; null unless asked for.",
        "bundle": "Where the bundle is; null where none was written.",
        "redaction": "none, secrets or identifiers.",
        "next_looks": "Commands that would decide between causes.",
        "pod": "The path of the one pod that was asked about; null where none was.",
        "faults": "Rules that failed: the agent's own fault, never the node's.",
    },
    "Finding": {
        "code": "One of the canonical codes.",
        "class": "cause, symptom or advice.",
        "summary": "One sentence for people.",
        "subject": "The ENI, subnet or pod that it is about; empty for the node.",
        "since": "When it began to stand, as far as is known.",
        "until": "When it was over; null while it stands.",
        "explains": "Codes that follow from this one.",
        "reference": "Where to read more.",
    },
    "Evidence": {
        "fact": "What was looked at.",
        "observed": "What was found.",
        "expected": "What should have been found; null where there is no one expectation.",
        "source": "The view that told it.",
        "ref": "The place in it: JSON pointer, journal cursor, file and line.",
        "at": "When it was true.",
    },
    "Command": {
        "run": "The command, with this node's ids.",
        "where": "node, kubectl or aws.",
        "effect": "read, change or disruptive.",
        "rights": "The rights that it needs.",
    },
    "Outlook": {
        "short_by": "Addresses that ipamd lacks to its target; below zero it is over by so many; null where not known.",
        "next_action": "assign-address, assign-prefix, create-eni, free-address, free-eni, nothing, or unknown where a setting that decides is.",
        "blocked_by": "What stops it; empty where nothing does.",
        "due_at": "When the next try is due.",
        "basis": "What this is computed from.",
    },
    "PodPath": {
        "state": "waits, up, gone, failed (how it ended is not known) or not seen.",
        "signatures": "Failed attempts by the signature of their text.",
        "newest": "The newest failure's own words.",
        "sandboxes": "Sandboxes of the pod that were heard of, in order.",
        "table": "The route table of the ENI that carries the address; empty where not known.",
        "veth": "The host's end of the pod's link, by the CNI's own naming.",
        "veth_present": "Whether the kernel has it; null where the kernel was not seen.",
        "gaps": "Rules and routes of the address that the kernel lacks.",
        "capped": "What was counted and is not told line by line.",
        "near": "Pods that were seen and whose names are alike, where this one was not.",
    },
    "Wait": {
        "since": "The first failure.",
        "until": "The address, the start or the removal; null while it waits.",
        "seconds": "How long it was; while it waits, until now.",
        "ended_by": "address, start, gone, or empty.",
    },
    "Entry": {
        "program": "kubelet, containerd, plugin, ipamd, or state for a change between looks.",
        "what": "The signature of the line, or the kind of change.",
        "count": "Lines of the same kind that are folded into this entry.",
        "until": "The time of the last of them; null for one.",
    },
    "Impact": {
        "pods": "Pods that failed within the window.",
        "failures": "Failed attempts within the window.",
        "waiting": "Pods that have no address now.",
        "cut_off": "Pods that run and have lost their network; they failed no attempt.",
    },
}
"""Struct -> field -> what it means, where the name alone does not say it."""

_TIMES = ("taken_at", "since", "until", "at", "first_at", "last_at", "recovered_at", "due_at")


def document() -> dict[str, Any]:
    """The schema. Every field is required, because every field is always written; unknown ones are allowed."""
    (reference,), parts = msgspec.json.schema_components([Diagnosis], ref_template="#/$defs/{name}")
    for name, part in parts.items():
        part["description"] = part.get("description", "").replace("None:", "null:")
        if "properties" in part:
            _complete(part, DESCRIPTIONS.get(name, {}))
    parts["Diagnosis"]["properties"]["schema"]["const"] = NAME
    parts["Finding"]["properties"]["class"]["enum"] = ["cause", "symptom", "advice"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{NAME.replace('/', ':')}",
        "title": "A diagnosis by eniagent",
        **reference,
        "$defs": parts,
    }


def _complete(part: dict[str, Any], descriptions: dict[str, str]) -> None:
    for name, field in part["properties"].items():
        field.pop("default", None)
        for choice in field.get("anyOf", [field]):
            if name in _TIMES and choice.get("type") == "string":
                choice["format"] = "date-time"
        if "anyOf" in field:  # releases of msgspec differ in this order
            field["anyOf"].sort(key=lambda choice: json.dumps(choice, sort_keys=True))
        if name in descriptions:
            field["description"] = descriptions[name]
    unknown = set(descriptions) - set(part["properties"])
    if unknown:
        raise KeyError(f"{part.get('title')} has no field {sorted(unknown)}")
    part["required"] = sorted(part["properties"])


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(document(), indent=1, sort_keys=True, ensure_ascii=True) + "\n"
