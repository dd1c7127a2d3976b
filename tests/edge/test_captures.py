"""Captures directories: what is written is read again, and what is wrong with one is said or does no harm."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import resource
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from eniagent import sources
from eniagent.edge.captures import read_series
from eniagent.edge.captures_out import write_captures
from eniagent.edge.errors import CapturesError
from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.reading import Observed, Why
from tests.fakes.ipamd import ENIS

NOW = datetime(2026, 11, 25, 14, 11, 35, tzinfo=timezone.utc)


def capture(file: str, content: Any = b"", **about: Any) -> Capture:
    """A capture of NOW."""
    return Capture(Circumstances(probe=f"look {file}", file=file, at=NOW, **about), content)


def directory(path: pathlib.Path, **files: bytes) -> str:
    """A directory with these files, made by hand."""
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)


def test_what_is_written_is_read_again(tmp_path: pathlib.Path) -> None:
    """Bytes, circumstances, node and time survive; failures stay failures, streams are written whole."""
    lines = [b'{"level":"info","ts":"2026-11-25T14:09:55.064Z","msg":"x"}\n' * 1000] * 20

    def stream() -> Iterator[bytes]:
        yield from lines

    seen = {
        "ipamd/enis.json": capture("ipamd/enis.json", ENIS, status=200, took_s=0.01),
        "ipamd/metrics.txt": capture("ipamd/metrics.txt", failure=Why.REFUSED, detail="connection refused"),
        "imds/tree.json": capture("imds/tree.json", b'{"api/token":{"failure":"timed out"}}', failure=Why.TIMED_OUT, detail="no token"),
        "host/ip-link.json": capture("host/ip-link.json", b"[]", exit=0),
        "logs/ipamd.log": capture("logs/ipamd.log", stream),
        "logs/plugin.log": capture("logs/plugin.log", b""),
    }
    write_captures(str(tmp_path / "c"), seen, taken_at=NOW, node={"name": "ip-10-0-0-62"})
    (opened,) = read_series(str(tmp_path / "c"), since_s=1800)
    assert (opened.span.until, opened.span.since) == (NOW, NOW - timedelta(minutes=30))
    assert opened.told == {"name": "ip-10-0-0-62"}
    assert set(opened.seen) == set(seen)
    for file, kept in opened.seen.items():
        assert kept.body() == seen[file].body()
        for name in ("probe", "file", "at", "took_s", "status", "exit", "failure", "detail", "truncated"):
            assert getattr(kept.about, name) == getattr(seen[file].about, name), (file, name)


def test_a_snapshot_is_the_same_before_and_after(tmp_path: pathlib.Path) -> None:
    """The readings of the written captures equal those of the live ones."""
    span = sources.Span(until=NOW, since=NOW - timedelta(hours=1))
    seen = {"ipamd/enis.json": capture("ipamd/enis.json", ENIS, status=200)}
    write_captures(str(tmp_path / "c"), seen, taken_at=NOW)
    (opened,) = read_series(str(tmp_path / "c"), since_s=3600)
    assert isinstance(sources.read_field("ipam", opened.seen, opened.span), Observed)
    assert sources.read_field("ipam", opened.seen, opened.span) == sources.read_field("ipam", seen, span)


def test_written_files_are_for_their_owner_alone(tmp_path: pathlib.Path) -> None:
    """Directories 0700, files 0600, and a directory that holds something is left alone."""
    target = tmp_path / "c"
    write_captures(str(target), {"ipamd/enis.json": capture("ipamd/enis.json", ENIS)}, taken_at=NOW)
    assert {path.stat().st_mode & 0o777 for path in target.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (target, target / "ipamd")} == {0o700}
    with pytest.raises(CapturesError, match="not empty"):
        write_captures(str(target), {}, taken_at=NOW)


@pytest.mark.parametrize("file", ["../x", "/etc/x", "ipamd/../../x", "elsewhere/x", "manifest.json", "logs//x"])
def test_no_name_leads_out(tmp_path: pathlib.Path, file: str) -> None:
    """A capture whose name points elsewhere is not written."""
    with pytest.raises(CapturesError):
        write_captures(str(tmp_path / "c"), {file: capture(file, b"x")}, taken_at=NOW)
    assert not (tmp_path / "x").exists()


def test_a_stream_that_breaks_off_is_told(tmp_path: pathlib.Path) -> None:
    """What came is kept and marked as cut; where nothing came the reason is the failure."""

    def half() -> Iterator[bytes]:
        yield b"line\n"
        raise CaptureCut(Why.TIMED_OUT, "deadline")

    def none() -> Iterator[bytes]:
        raise CaptureCut(Why.FORBIDDEN, "no right")
        yield b""

    seen = {"journal/kubelet.jsonl": capture("journal/kubelet.jsonl", half), "journal/containerd.jsonl": capture("journal/containerd.jsonl", none)}
    write_captures(str(tmp_path / "c"), seen, taken_at=NOW)
    (opened,) = read_series(str(tmp_path / "c"), since_s=3600)
    pieces = opened.seen["journal/kubelet.jsonl"].chunks()
    assert (next(pieces), opened.seen["journal/kubelet.jsonl"].about.truncated) == (b"line\n", True)
    with pytest.raises(CaptureCut) as cut:
        next(pieces)
    assert (cut.value.why, cut.value.detail) == (Why.TIMED_OUT, "deadline")
    assert opened.seen["journal/containerd.jsonl"].about.failure is Why.FORBIDDEN


def test_a_directory_made_by_hand_is_read_by_names(tmp_path: pathlib.Path) -> None:
    """No manifest: files speak for themselves, the newest one says when it was."""
    path = directory(tmp_path, **{"ipamd/enis.json": ENIS, "notes.txt": b"mine", "elsewhere/x": b"y", "logs/ipamd.log.gz": gzip.compress(b"line\n")})
    os.utime(tmp_path / "ipamd/enis.json", (NOW.timestamp(), NOW.timestamp()))
    os.utime(tmp_path / "logs/ipamd.log.gz", (NOW.timestamp() - 60, NOW.timestamp() - 60))
    (opened,) = read_series(path, since_s=3600)
    assert opened.span.until == NOW
    assert {file: kept.body() for file, kept in opened.seen.items()} == {"ipamd/enis.json": ENIS, "logs/ipamd.log": b"line\n"}


def test_a_series_is_read_in_order_of_names(tmp_path: pathlib.Path) -> None:
    """Sub-directories by name, oldest first, each with its own time; what is none of them is left alone."""
    for number, name in enumerate(("01-now", "00-before")):
        manifest = {"taken_at": (NOW + timedelta(minutes=number)).isoformat()}
        directory(tmp_path, **{f"{name}/manifest.json": json.dumps(manifest).encode(), f"{name}/ipamd/enis.json": name.encode()})
    directory(tmp_path, **{"truth.json": b"{}", "other/readme": b""})
    opened = read_series(str(tmp_path), since_s=3600)
    assert [one.seen["ipamd/enis.json"].body() for one in opened] == [b"00-before", b"01-now"]
    assert [one.span.until for one in opened] == [NOW + timedelta(minutes=1), NOW]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"captures": 5, "node": [], "taken_at": "soon"}', b"[" * 100_000], ids=["empty", "half", "list", "binary", "kinds", "deep"])
def test_a_broken_manifest_costs_only_itself(tmp_path: pathlib.Path, content: bytes) -> None:
    """Whatever the manifest holds, the files are read."""
    (opened,) = read_series(directory(tmp_path, **{"manifest.json": content, "ipamd/enis.json": ENIS}), since_s=3600)
    assert opened.seen["ipamd/enis.json"].body() == ENIS


def test_entries_of_a_manifest_that_are_wrong_cost_only_themselves(tmp_path: pathlib.Path) -> None:
    """Entries with foreign words or paths: a failure stays a failure, a path that leads out is no capture."""
    entries = [
        {"probe": "a", "file": "ipamd/enis.json", "failure": "exploded"},
        {"probe": "b", "file": "ipamd/metrics.txt", "failure": "refused", "at": 7},
        {"probe": "c", "file": "../../etc/passwd", "failure": "refused"},
        {"probe": 5, "file": "ipamd/eni-configs.json", "status": "200"},
        "text",
        {"file": ["x"]},
    ]
    path = directory(tmp_path, **{"manifest.json": json.dumps({"captures": entries}).encode(), "ipamd/eni-configs.json": b'""'})
    (opened,) = read_series(path, since_s=3600)
    assert set(opened.seen) == {"ipamd/enis.json", "ipamd/metrics.txt", "ipamd/eni-configs.json"}
    assert opened.seen["ipamd/enis.json"].about.failure is Why.MALFORMED
    assert opened.seen["ipamd/metrics.txt"].about.failure is Why.REFUSED


def test_links_are_not_followed(tmp_path: pathlib.Path) -> None:
    """A link in an archive could show any file of the reader's machine; it is no capture, nor is what is behind a linked directory."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"planted")
    inside = tmp_path / "c"
    directory(inside, **{"ipamd/enis.json": ENIS})
    (inside / "ipamd/metrics.txt").symlink_to(tmp_path / "outside/secret")
    (inside / "logs").symlink_to(tmp_path / "outside")
    os.mkfifo(inside / "ipamd/eni-configs.json")
    (opened,) = read_series(str(inside), since_s=3600)
    assert set(opened.seen) == {"ipamd/enis.json"}


def test_what_is_no_captures_directory_is_named(tmp_path: pathlib.Path) -> None:
    """An empty directory, a file and a missing path are refused with their name: none of them is a quiet node."""
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name in ("file", "empty", "missing"):
        with pytest.raises(CapturesError, match=name) as error:
            read_series(str(tmp_path / name), since_s=3600)
        assert error.value.exit_code == 2


def test_a_large_file_is_streamed(tmp_path: pathlib.Path) -> None:
    """200 MB go through without being held."""
    path = tmp_path / "logs/ipamd.log"
    path.parent.mkdir()
    with path.open("wb") as out:
        out.truncate(200 << 20)
    (opened,) = read_series(str(tmp_path), since_s=3600)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(map(len, opened.seen["logs/ipamd.log"].chunks())) == 200 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 32 << 10
