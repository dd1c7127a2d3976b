"""Caps: what readings cite survives any of them, line numbers stay true, and whatever is left out is said."""

from __future__ import annotations

import json
import pathlib
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.diagnose import diagnose
from eniagent.edge import bundle_create, bundle_members
from eniagent.edge.archives import open_path
from eniagent.edge.bundle_extras import Ends
from eniagent.edge.bundle_fit import Fit, Room, whole_lines
from eniagent.edge.bundle_members import Profile
from eniagent.model.reading import Observed
from tests.bundle.making import document, make, members

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=timezone.utc)
CHATTER = b'{"level":"debug","ts":"%s","caller":"ipamd/ipamd.go:%d","msg":"chatter %s"}\n'
FAILURE = b'{"level":"error","ts":"%s","caller":"ipamd/ipamd.go:900","msg":"Failed to increase pool size due to not enough free addresses in subnet: InsufficientFreeAddressesInSubnet: %d"}\n'


def stamp(number: int) -> bytes:
    return (NOW - timedelta(seconds=3000) + timedelta(milliseconds=number)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3].encode() + b"Z"


def log_lines(count: int, *, every: int, seed: int = 1) -> Iterator[bytes]:
    """Chatter that packs badly, and a line that a reader uses now and then."""
    chance = random.Random(seed)
    for number in range(count):
        if number % every == every // 2:
            yield FAILURE % (stamp(number), number)
        else:
            yield CHATTER % (stamp(number), number % 977, chance.randbytes(40).hex().encode())


def node_with(log: bytes, path: pathlib.Path) -> pathlib.Path:
    """Captures of which the log is all there is."""
    (path / "logs").mkdir(parents=True)
    (path / "logs/ipamd.log").write_bytes(log)
    manifest = {"schema": "eniagent.captures/1", "taken_at": NOW.isoformat(), "node": {}, "captures": [{"probe": "read", "file": "logs/ipamd.log"}]}
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="ascii")
    return path


def make_within(path: pathlib.Path, into: pathlib.Path, archive_bytes: int) -> bundle_create.Written:
    """A bundle in a profile of that size."""
    return make(path, into, profile=Profile("tight", archive_bytes, 100_000, 1 << 30, 0, 1 << 16))


def test_a_log_beyond_its_share_keeps_all_that_a_reader_uses(tmp_path: pathlib.Path) -> None:
    """Head and tail verbatim; between them the lines that count, each at its own number; so the diagnosis is the same."""
    lines = list(log_lines(60_000, every=500))
    node = node_with(b"".join(lines), tmp_path / "node")
    written = make_within(node, tmp_path / "out", 1_200_000)
    assert written.archive.size_bytes <= 1_200_000
    found = members(written.archive.path)
    kept = found["captures/logs/ipamd.log"].split(b"\n")
    assert len(kept) == len(lines) + 1
    assert [number for number, line in enumerate(kept[:-1]) if line and line + b"\n" != lines[number]] == []
    assert {number for number, line in enumerate(lines) if b"Insufficient" in line} <= {number for number, line in enumerate(kept) if line}
    assert kept[0] and kept[-2] and sum(1 for line in kept if not line) > 10_000
    manifest = document(found["manifest.json"])
    entry = next(entry for entry in manifest["members"] if entry["path"] == "captures/logs/ipamd.log")
    assert "other lines are left out" in entry["truncated"] and manifest["incomplete"] == []
    assert diagnose(open_path(written.archive.path, since_s=60).case()) == diagnose(open_path(str(node), since_s=3600).case())


def test_a_storm_beyond_its_share_keeps_what_readings_cite(tmp_path: pathlib.Path) -> None:
    """Where even the lines that count are too many, cited ones stay, the member says how many are lost, and it reads as truncated."""
    chance = random.Random(3)
    lines = [FAILURE % (stamp(number), number) if number % 2 else CHATTER % (stamp(number), 5, chance.randbytes(60).hex().encode()) for number in range(60_000)]
    lines = [line.replace(b"InSubnet: ", b"InSubnet: request " + chance.randbytes(30).hex().encode()) for line in lines]
    node = node_with(b"".join(lines), tmp_path / "node")
    written = make_within(node, tmp_path / "out", 1_200_000)
    assert written.archive.size_bytes <= 1_200_000
    manifest = document(members(written.archive.path)["manifest.json"])
    assert manifest["incomplete"] == ["logs/ipamd.log"]
    before, after = (open_path(path, since_s=3600).case().now.ipamd_log for path in (str(node), written.archive.path))
    assert isinstance(before, Observed) and isinstance(after, Observed)
    assert after.value.events == before.value.events


def test_a_capture_that_does_not_fit_reads_as_truncated(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It is named, nothing healthy comes of it, and no cause is invented."""
    written = make_within(sick, tmp_path / "out", 130_000)
    manifest = document(members(written.archive.path)["manifest.json"])
    assert manifest["incomplete"] or manifest["left_out"]
    told = diagnose(open_path(written.archive.path, since_s=60).case())
    whole = diagnose(open_path(str(sick), since_s=3600).case())
    assert {cause.code for cause in told.causes} <= {cause.code for cause in whole.causes}
    assert told.verdict.value in ("inconclusive", whole.verdict.value)


def test_the_deadline_leaves_a_bundle_that_says_so(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """No time at all: the report is there, everything else is named, and opening it invents nothing."""
    written = make(sick, tmp_path / "out", deadline_s=0.0)
    assert written.partial == "deadline"
    found = members(written.archive.path)
    manifest = document(found["manifest.json"])
    assert manifest["partial"] == "deadline"
    assert {"why": "deadline", "path": "captures/0002/ipamd/enis.json", "detail": ""} in manifest["left_out"]
    assert b"Left out of this bundle" in found["REPORT.txt"] and b"partial" in found["REPORT.txt"]
    assert document(found["report.json"])["causes"][0]["code"] == "subnet-exhausted"
    assert diagnose(open_path(written.archive.path, since_s=60).case()).verdict.value == "inconclusive"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"", b"chatter\n", b"x" * 3000 + b"\n", b"InsufficientFreeAddressesInSubnet\n", b"Failed to increase pool size\n"]), max_size=400),
    st.integers(1, 60_000), st.integers(1, 60_000), st.sets(st.integers(1, 400), max_size=8), st.booleans(),
)  # fmt: skip
def test_fitting_keeps_numbers_and_citations(parts: list[bytes], plain: int, packed: int, cited: set[int], newline: bool) -> None:
    """Whatever the room: as many lines as before, each line its own or empty, first, last and cited ones there, the count exact."""
    data = b"".join(parts) if newline else b"".join(parts).rstrip(b"\n")
    fit = Fit("logs/ipamd.log", size=len(data), room=Room(plain, packed), cited=[str(number).encode() for number in cited])
    fitted = b"".join(fit.pieces([data[at : at + 700] for at in range(0, len(data), 700)]))
    before, after = data.split(b"\n"), fitted.split(b"\n")
    assert len(before) == len(after)
    assert all(new in (b"", old) for old, new in zip(before, after))
    for number in {1, *(n for n in cited if n <= len(before))}:
        assert after[number - 1] == before[number - 1]
    gone = sum(1 for old, new in zip(before, after) if old != new)
    assert fit.told.lost + fit.told.dropped == gone
    assert bool(gone) == bool(fit.told.how)
    if len(data) <= min(plain, packed):
        assert fitted == data


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(1, 50))
def test_blocks_are_whole_lines(chunks: list[bytes], size: int) -> None:
    """Nothing is lost, and all blocks but the last end where a line ends."""
    blocks = list(whole_lines(chunks, size=size))
    assert b"".join(blocks) == b"".join(chunks)
    assert all(block.endswith(b"\n") for block in blocks[:-1])


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(0, 200), st.integers(0, 200), st.integers(1, 50))
def test_ends_are_whole_entries(sizes: list[int], head: int, tail: int, chunk: int) -> None:
    """A prefix and a suffix of the entries, and the bytes between them counted."""
    entries = [b"E%d=" % number + b"x" * size + b"\n\n" for number, size in enumerate(sizes)]
    data = b"".join(entries)
    ends = Ends(head, tail)
    kept = b"".join(ends.pieces(iter([data[at : at + chunk] for at in range(0, len(data), chunk)])))
    assert len(kept) + ends.left_out_bytes == len(data)
    assert any(kept == b"".join(entries[:first] + entries[last:]) for first in range(len(entries) + 1) for last in range(first, len(entries) + 1))


def test_profiles_are_the_contracts() -> None:
    """150 MB and 5 MB."""
    assert (bundle_members.CASE.archive_bytes, bundle_members.MINI.archive_bytes) == (150_000_000, 5_000_000)
