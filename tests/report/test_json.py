"""The JSON document is the contract's: its names, its words, and a schema that is current and true."""

from __future__ import annotations

import json
import pathlib
import re
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

import eniagent.report
from eniagent.model.codec import decode
from eniagent.model.finding import Confidence, Diagnosis, NodeFacts, NotSeen, Verdict
from eniagent.report import render, schema
from tests.report.diagnoses import any_diagnosis, subnet_exhausted

SCHEMA_FILE = pathlib.Path(eniagent.report.__file__).with_name("diagnosis.schema.json")
CONTRACT: dict[str, set[str]] = {
    "": {"schema", "agent", "taken_at", "window", "node", "verdict", "headline", "causes", "past", "symptoms", "advice", "ruled_out", "unobserved",
         "impact", "numbers", "outlook", "ledger", "bundle", "redaction", "next_looks"},
    "window": {"since", "until"},
    "node": {"instance_id", "instance_type", "availability_zone", "region", "name", "cni_version"},
    "causes": {"code", "class", "severity", "confidence", "summary", "subject", "since", "evidence", "explains", "remedy", "scope", "reference"},
    "causes.evidence": {"fact", "observed", "expected", "source", "ref", "at"},
    "causes.remedy": {"text", "commands", "do_not", "recovers_by"},
    "causes.remedy.commands": {"run", "where", "effect", "rights"},
    "ruled_out": {"code", "because", "evidence"},
    "unobserved": {"source", "why", "detail"},
    "impact": {"pods", "failures", "first_at", "last_at", "affected"},
    "impact.affected": {"pod", "failures", "first_at", "last_at", "recovered_at"},
    "numbers.enis": {"attached", "limit"},
    "numbers.addresses": {"total", "assigned", "cooling", "assignable", "limit"},
    "numbers.max_pods": {"configured", "computed"},
    "outlook": {"short_by", "next_action", "target", "blocked_by", "due_at", "basis"},
    "next_looks": {"command", "decides"},
}  # fmt: skip


def at_path(document: Any, path: str) -> Any:
    """The value at a dotted path, the first element of each list on the way."""
    for name in [part for part in path.split(".") if part]:
        document = document[name]
        if isinstance(document, list):
            document = document[0]
    return document


@pytest.mark.parametrize("path", sorted(CONTRACT))
def test_names_of_the_contract(path: str) -> None:
    """Every name that the contract promises is there, at its place."""
    document = json.loads(render(subnet_exhausted(), format_name="json"))
    assert CONTRACT[path] <= set(at_path(document, path))


def test_words_and_nulls() -> None:
    """Enumerations are their words, times RFC 3339 in UTC, unset optionals null, and the document is one line."""
    data = render(subnet_exhausted(), format_name="json")
    assert data.count(b"\n") == 1
    document = json.loads(data)
    assert document["schema"] == "eniagent.diagnosis/1"
    assert document["verdict"] == "critical"
    assert document["causes"][0]["confidence"] == "confirmed"
    assert document["causes"][0]["scope"] == "subnet"
    assert document["ledger"] is None
    assert document["bundle"] is None
    assert document["causes"][0]["evidence"][1]["at"] is None
    assert re.fullmatch(r"2026-03-04T12:45:10Z", document["taken_at"])


def test_schema_file_is_current() -> None:
    """The shipped schema is what the structs give. To renew it, write `eniagent.report.schema.text()` to the file."""
    assert SCHEMA_FILE.read_text(encoding="ascii") == schema.text()


def test_schema_is_a_schema_that_can_fail() -> None:
    """The schema is valid, closed in its words, and refuses a document that lacks a field or has a wrong type."""
    jsonschema.Draft202012Validator.check_schema(schema.document())
    validator = jsonschema.Draft202012Validator(schema.document(), format_checker=jsonschema.FormatChecker())
    good = json.loads(render(subnet_exhausted(), format_name="json"))
    assert validator.is_valid(good)
    for spoil in ({"verdict": "fine"}, {"causes": None}, {"schema": "eniagent.diagnosis/2"}, {"impact": {"pods": 1}}, {"taken_at": 5}):
        assert not validator.is_valid({**good, **spoil})
    for name in good:
        assert not validator.is_valid({key: value for key, value in good.items() if key != name})
    words = schema.document()["$defs"]
    assert set(words["Verdict"]["enum"]) == {verdict.value for verdict in Verdict}
    assert set(words["Confidence"]["enum"]) == {confidence.value for confidence in Confidence}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(any_diagnosis)
def test_any_document_is_valid_and_reads_back(diagnosis: Diagnosis) -> None:
    """Any diagnosis gives one valid document, and a reader gets back what was written."""
    data = render(diagnosis, format_name="json")
    document = json.loads(data)
    jsonschema.Draft202012Validator(schema.document()).validate(document)
    again = decode(data, Diagnosis)
    assert render(again, format_name="json") == data


def test_a_name_that_is_no_utf8_does_not_break_the_document() -> None:
    """A file name that is no UTF-8 reaches a detail as a lone surrogate; it is spelled, and the rest is unharmed."""
    odd = msgspec.structs.replace(
        subnet_exhausted(), node=NodeFacts(name="node-\udcff"), unobserved=(NotSeen(source="logs/\udc80.log", why="malformed"),)
    )
    document = json.loads(render(odd, format_name="json"))
    assert document["node"]["name"] == "node-\\udcff"
    assert document["unobserved"][0]["source"] == "logs/\\udc80.log"
    assert document["causes"][0]["code"] == "subnet-exhausted"
