"""Every recording of a real ipamd under a known fault is named right, and no healthy one raises a cause."""

from __future__ import annotations

import json
import pathlib

import pytest

from eniagent import sources
from eniagent.diagnose import diagnose
from eniagent.edge.captures import read_series
from eniagent.model.snapshot import Case
from eniagent.report import render
from tests.judge import false_alarm, faults
from tests.recorded import truths, unpack


@pytest.mark.parametrize("name", sorted(truths()))
def test_recording(name: str, tmp_path: pathlib.Path) -> None:
    """The diagnosis of the series names the root cause, with evidence, no worse than allowed, and nothing it must not."""
    series = unpack(name, tmp_path / "node")
    *before, now = (sources.snapshot(look.seen, look.span, told=look.told) for look in read_series(str(series), since_s=3600.0))
    document = json.loads(render(diagnose(Case(now=now, before=tuple(before))), format_name="json"))
    assert faults(truths()[name], document) == []
    assert not false_alarm(truths()[name], document)


def test_all_recordings_are_kept() -> None:
    """The set is whole: sick and healthy nodes of three releases."""
    assert len(truths()) >= 75
    assert {name.split("-")[0] for name in truths()} >= {"v1.15.5", "v1.19.3", "v1.23.0"}
    assert sum(truth["root_cause"] == "healthy" for truth in truths().values()) >= 10
