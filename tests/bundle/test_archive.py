"""What a bundle looks like from outside: the order of its members, names, modes, digests, manifest, and its sizes."""

from __future__ import annotations

import gzip
import hashlib
import pathlib
import re
import stat
import subprocess
import tarfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eniagent.edge import deflated, names
from eniagent.edge.spool import Spool, in_memory
from tests.bundle.making import document, make, members


@pytest.fixture(scope="module")
def bundle(sick: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """One bundle of the sick node."""
    return pathlib.Path(make(sick, tmp_path_factory.mktemp("bundle") / "out").archive.path)


def test_what_people_open_first_comes_first(bundle: pathlib.Path) -> None:
    """REPORT.txt and manifest.json lead, so that a reader of the stream has them at once; the name tells instance and time."""
    with tarfile.open(bundle, "r:gz") as archive:
        entries = archive.getmembers()
    top = bundle.name[: -len(".tar.gz")]
    assert [entry.name for entry in entries[:4]] == [f"{top}/{name}" for name in ("REPORT.txt", "manifest.json", "SHA256SUMS", "report.json")]
    assert re.fullmatch(r"eniagent_i-[0-9a-f]{17}_\d{8}T\d{6}Z_[0-9a-f]{8}", top)
    assert {entry.mode for entry in entries} == {0o600}
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
    assert all(re.fullmatch(r"[A-Za-z0-9./_+=@,~%-]+", entry.name) for entry in entries)


def test_files_are_for_their_owner_alone(bundle: pathlib.Path) -> None:
    """Archive and digest, both 0600, and nothing else beside them."""
    assert sorted(path.name for path in bundle.parent.iterdir()) == [bundle.name, f"{bundle.name}.sha256"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in bundle.parent.iterdir()} == {0o600}
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert pathlib.Path(f"{bundle}.sha256").read_text(encoding="ascii") == f"{digest}  {bundle.name}\n"


def test_common_tools_read_it(bundle: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """gzip's own check, tar, and sha256sum agree with what it says of itself."""
    subprocess.run(["gzip", "-t", str(bundle)], check=True)
    subprocess.run(["tar", "xzf", str(bundle), "-C", str(tmp_path)], check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], check=True, cwd=next(tmp_path.iterdir()))
    subprocess.run(["sha256sum", "--quiet", "-c", f"{bundle.name}.sha256"], check=True, cwd=bundle.parent)


def test_gzip_header_tells_the_case(bundle: pathlib.Path) -> None:
    """Its time is the case's, and it has no name."""
    head = bundle.read_bytes()[:10]
    taken_at = document(members(str(bundle))["manifest.json"])["taken_at"]
    assert head[3] == 0
    assert int.from_bytes(head[4:8], "little") == int(zlib_time(taken_at))


def zlib_time(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_the_manifest_names_every_member(bundle: pathlib.Path) -> None:
    """Path, source, state, sizes, digest; every member but itself and the list of digests, and no other."""
    found = members(str(bundle))
    manifest = document(found["manifest.json"])
    listed = {entry["path"]: entry for entry in manifest["members"]}
    assert set(listed) == set(found) - {"manifest.json", "SHA256SUMS"}
    for path, entry in listed.items():
        assert (entry["sha256"], entry["bytes_out"]) == (hashlib.sha256(found[path]).hexdigest(), len(found[path]))
        assert entry["source"] and entry["state"]
    captured = [entry for path, entry in listed.items() if path.startswith("captures/0002/ipamd/") and "manifest" not in path]
    assert captured and all("at" in entry and "bytes_in" in entry and "redactions" in entry for entry in captured)
    assert manifest["schema"] == "eniagent.bundle/1"
    assert manifest["redaction"]["strength"] == "secrets"


def test_the_report_says_how_it_is_redacted(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Strength `none` stands on the first line, in words that nobody overlooks, and in the manifest."""
    open_ = members(make(sick, tmp_path / "open", redact="none").archive.path)
    closed = members(make(sick, tmp_path / "closed").archive.path)
    assert open_["REPORT.txt"].splitlines()[0].startswith(b"NOT REDACTED")
    assert document(open_["manifest.json"])["redaction"]["strength"] == "none"
    assert not closed["REPORT.txt"].startswith(b"NOT REDACTED")
    assert b"redaction: secrets" in closed["REPORT.txt"].splitlines()[0]


def test_ledger_and_timeline_are_there(bundle: pathlib.Path) -> None:
    """The ledger has a line for each row of the report's; the timeline is one JSON object a line, in order of time."""
    found = members(str(bundle))
    rows = found["ledger.csv"].decode().splitlines()
    assert len(rows) == 1 + len(document(found["report.json"])["ledger"])
    assert rows[0].startswith("kind,subject,card,eni,pod,state")
    times = [entry["at"] for entry in map(document, found["timeline.jsonl"].splitlines()) if entry["at"]]
    assert times and times == sorted(times)


@given(st.lists(st.binary(max_size=3000), max_size=6), st.integers(0, 2**32 - 1))
def test_bodies_join_to_one_sound_stream(bodies: list[bytes], mtime: int) -> None:
    """Bodies that were deflated one by one are one gzip stream in any order and number, checksum included."""
    packed = [deflated.packed([body[:100], body[100:]], "/var/tmp", guard=lambda size: None) for body in bodies]
    assert [b"".join(deflated.plain(body)) for body in packed] == bodies
    whole = b"".join(deflated.joined(packed, mtime=mtime))
    assert gzip.decompress(whole) == b"".join(bodies)


@given(st.binary(max_size=200), st.binary(max_size=5000))
def test_checksums_combine_as_zlibs(first: bytes, second: bytes) -> None:
    """Where isal is absent our own arithmetic gives what zlib gives for the whole."""
    assert deflated.crc32_combine(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.text(min_size=1, max_size=60).filter(lambda text: "\0" not in text))
def test_names_come_back(name: str) -> None:
    """Any name of a file is stored in letters that every system takes, and comes back as it was."""
    assert names.original(names.stored(name)) == name
    assert re.fullmatch(r"[A-Za-z0-9./_+=@,~%-]+", names.stored(name))


def test_a_spool_has_no_name(tmp_path: pathlib.Path) -> None:
    """Whatever is in it, the directory stays empty; and it reads back what was written."""
    spool = Spool(str(tmp_path))
    pieces = [bytes([number]) * 30_000 for number in range(20)]
    for piece in pieces:
        spool.write(piece)
        assert list(tmp_path.iterdir()) == []
    assert b"".join(spool.pieces()) == b"".join(pieces)
    spool.close()


def test_memory_is_told_from_disk() -> None:
    """A file system in memory is no place for bodies to wait."""
    assert in_memory("/dev/shm")
    assert not in_memory("/var/tmp")
