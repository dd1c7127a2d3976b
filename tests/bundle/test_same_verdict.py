"""Law L5: a bundle opened elsewhere yields exactly the diagnosis that it was made with, in every strength and profile."""

from __future__ import annotations

import pathlib
from typing import Any

import msgspec
import pytest

from eniagent.diagnose import diagnose
from eniagent.edge import archives
from eniagent.report.json_ import render
from tests.bundle.making import document, make, members
from tests.cases import all_recorded
from tests.recorded import unpack

CHOSEN = all_recorded()[::5]


def without_order(report: dict[str, Any]) -> dict[str, Any]:
    """A report in an order that does not depend on identities (law L2)."""
    rows = sorted(report["ledger"] or [], key=lambda row: msgspec.json.encode(row))
    return {**report, "ledger": rows}


@pytest.mark.parametrize("redact", ["none", "secrets", "identifiers"])
@pytest.mark.parametrize("name", CHOSEN)
def test_the_captures_of_a_bundle_give_its_report(name: str, redact: str, tmp_path: pathlib.Path) -> None:
    """Field for field, evidence and references included."""
    written = make(unpack(name, tmp_path / "node"), tmp_path / "out", redact=redact)
    report = document(members(written.archive.path)["report.json"])
    # Another window is asked for: the bundle's own is what counts.
    again = document(render(diagnose(archives.open_path(written.archive.path, since_s=60.0).case(), with_ledger=True)))
    assert without_order({**again, "redaction": redact}) == without_order(report)
    assert not document(members(written.archive.path)["manifest.json"])["incomplete"]


@pytest.mark.parametrize("name", CHOSEN[:4])
def test_the_small_profile_gives_it_as_well(name: str, tmp_path: pathlib.Path) -> None:
    """What is small enough is whole in `mini`."""
    written = make(unpack(name, tmp_path / "node"), tmp_path / "out", profile="mini")
    report = document(members(written.archive.path)["report.json"])
    assert document(render(diagnose(archives.open_path(written.archive.path, since_s=60.0).case(), with_ledger=True))) == {**report, "redaction": "none"}
    assert written.archive.size_bytes <= 5_000_000


def test_an_unpacked_bundle_gives_it_too(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A person may have unpacked it first."""
    written = make(sick, tmp_path / "out")
    for name, data in members(written.archive.path).items():
        path = tmp_path / "unpacked" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packed, unpacked = (diagnose(archives.open_path(path, since_s=60.0).case()) for path in (written.archive.path, str(tmp_path / "unpacked")))
    assert packed == unpacked
    assert packed.causes[0].code == "subnet-exhausted"


def test_a_bundle_of_a_bundle_is_the_same_case(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Captures go through any number of hands."""
    first = make(sick, tmp_path / "one")
    second = make(pathlib.Path(first.archive.path), tmp_path / "two")
    reports = [document(members(written.archive.path)["report.json"]) for written in (first, second)]
    assert reports[0] == reports[1]


def test_same_case_same_bytes(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Nothing of the clock, of the process or of chance is in a bundle; another strength is another bundle."""
    one, two = make(sick, tmp_path / "one"), make(sick, tmp_path / "two")
    assert pathlib.Path(one.archive.path).read_bytes() == pathlib.Path(two.archive.path).read_bytes()
    assert pathlib.Path(one.archive.path).name == pathlib.Path(two.archive.path).name
    assert make(sick, tmp_path / "three", redact="identifiers").archive.sha256 != one.archive.sha256
