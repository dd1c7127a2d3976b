"""Real journal files read by the real journalctl: with and without its own filter, damaged, stepped, empty, slow."""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import Optional

import pytest

from bench import journal_files, journal_lines
from bench.journal_files import Entry
from eniagent.demo.journal import entries as recorded_entries
from eniagent.demo.journalctl_stand_in import to_export
from eniagent.demo.recording import Look
from eniagent.edge import commands
from eniagent.edge.clock import Deadline
from eniagent.edge.journal import capture_journal
from eniagent.model.capture import Capture
from eniagent.model.probe import ReadJournal
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.model.record import Journal
from eniagent.sources import Span, kubelet
from tests import recorded
from tests.journal import reading

pytestmark = pytest.mark.journald

SPAN = Span(until=reading.NOW, since=reading.at(-3600))


def _noise(count: int, *, every_s: float = 1.0) -> list[Entry]:
    import random

    rng = random.Random(5)
    pods = journal_lines.some_pods(rng, 8, "calm")
    return [journal_files.entry(reading.START_US + int(i * every_s * 1e6) + 500, journal_lines.kubelet_noise(rng, pods)) for i in range(count)]


def _all_generations(*, start_s: float = 0.0, every_s: float = 30.0) -> list[Entry]:
    found: list[Entry] = []
    for turn, generation in enumerate(journal_lines.GENERATIONS):
        for one in reading.attempts(3, pods=3, seed=turn):
            start_s += every_s
            found += reading.entries(journal_lines.GENERATIONS[generation](one), start_s=start_s)
    return found


def _capture(directory: Path, *, program: str = "kubelet", span: Span = SPAN, deadline_s: float = 30.0) -> Capture:
    (probe,) = reading.MODULES[program].plan({})
    assert isinstance(probe, ReadJournal)
    return capture_journal(probe, span=span, journal_dir=str(directory), deadline=Deadline(deadline_s))


def _read(directory: Path, *, program: str = "kubelet", span: Span = SPAN) -> Reading[Journal]:
    capture = _capture(directory, program=program, span=span)
    return reading.MODULES[program].read({capture.about.file: capture}, span)


def _journal(directory: Path, *, program: str = "kubelet", span: Span = SPAN) -> Journal:
    found = _read(directory, program=program, span=span)
    assert isinstance(found, Observed), found
    return found.value


def _without_pcre2(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a journalctl before the real one that was built without PCRE2."""
    real = commands.locate("journalctl")
    directory.mkdir()
    wrapper = directory / "journalctl"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" --version "*) {real} --version | sed s/+PCRE2/-PCRE2/; exit;; *" -g"*|*" --grep"*) echo "Compiled without pattern matching support" >&2; exit 1;; esac\nexec {real} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setattr(commands, "PLACES", (str(directory), *commands.PLACES))


@pytest.fixture(params=["PCRE2", "no PCRE2"])
def journalctl(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of journalctl in turn."""
    if request.param == "no PCRE2":
        _without_pcre2(tmp_path / "bin", monkeypatch)
    return str(request.param)


def test_every_generation_counts_once(tmp_path: Path, journalctl: str) -> None:
    """Three attempts of each generation among healthy lines: all of them, once, in kubelet's and in containerd's journal."""
    entries = sorted([*_noise(700), *_all_generations()], key=lambda e: e.at_us)
    journal_files.write(tmp_path / "journal", entries)
    found = _journal(tmp_path / "journal")
    assert found.failures == 3 * len(journal_lines.GENERATIONS)
    assert (found.garbled, found.cut) == (0, "")
    assert found.cursor.startswith("s=")
    assert all(t.newest.ref.startswith("s=") for t in found.pods)
    assert _journal(tmp_path / "journal", program="containerd").failures == 3 * 4


def test_two_halves_are_the_whole(tmp_path: Path, journalctl: str) -> None:
    """A window that is read by two journalctl at once reads as the same lines in a short one, and nothing at the seam twice."""
    entries = sorted([*_noise(2400), *_all_generations(every_s=110.0)], key=lambda e: e.at_us)
    journal_files.write(tmp_path / "journal", entries)
    found = _journal(tmp_path / "journal")
    only = reading.journal(reading.as_json([e for e in entries if e.identifier == "kubelet"]))
    assert (found.failures, found.pods[0].failures, len(found.starts)) == (only.failures, only.pods[0].failures, len(only.starts))
    assert {(t.pod, t.first_at, t.last_at, t.signatures.__repr__()) for t in found.pods} == {(t.pod, t.first_at, t.last_at, t.signatures.__repr__()) for t in only.pods}


def test_a_stepped_clock_loses_nothing(tmp_path: Path) -> None:
    """The clock jumped an hour ahead and back: failures before, within and after the jump all count."""
    tried = reading.attempts(9, pods=9)
    entries: list[Entry] = []
    for number, one in enumerate(tried):
        offset_s = number * 300.0 + (3600.0 if number in (3, 4) else 0.0)
        told = reading.entries([line for line in journal_lines.structured_plugin(one) if line.program == "kubelet"], start_s=offset_s)
        entries += told
    directory = tmp_path / "journal"
    directory.mkdir()
    # The monotonic time goes on as if nothing had happened: only the wall clock was stepped.
    blocks = []
    for number, entry in enumerate(entries):
        block = journal_files.export(entry).split(b"\n")
        block[1] = b"__MONOTONIC_TIMESTAMP=%d" % (3_600_000_000 + number * 75_000_000)
        blocks.append(b"\n".join(block))
    _convert(b"".join(blocks), directory / "system.journal")
    assert _journal(directory).failures == 9


def _convert(export: bytes, target: Path) -> None:
    import subprocess

    subprocess.run([journal_files.remote_tool(), "--output", str(target), "-"], input=export, capture_output=True, check=True)


def test_messages_that_are_no_utf8(tmp_path: Path, journalctl: str) -> None:
    """Invalid bytes and line breaks in a failure's message cost neither it nor its neighbours."""
    entries = _all_generations()
    odd = [e._replace(message=e.message.replace(b"failed", b"failed\xff\xfe")) if i % 5 == 0 else e for i, e in enumerate(entries)]
    odd.append(Entry(odd[-1].at_us + 10, "kubelet.service", "kubelet", 2975, b"goroutine 1 [running]:\n\nmain.main()\n\tnetwork"))
    journal_files.write(tmp_path / "journal", odd)
    found = _journal(tmp_path / "journal")
    assert (found.failures, found.garbled) == (3 * len(journal_lines.GENERATIONS), 0)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    """A truncated file beside a whole one: what the whole one holds is read, and that something is missing is said."""
    journal_files.write(tmp_path / "journal", _all_generations())
    journal_files.write(tmp_path / "other", _noise(3000))
    data = (tmp_path / "other" / "system.journal").read_bytes()
    (tmp_path / "journal" / "system@old.journal").write_bytes(data[: len(data) // 2])
    found = _journal(tmp_path / "journal")
    assert found.failures == 3 * len(journal_lines.GENERATIONS)
    assert "truncated" in found.cut


@pytest.mark.parametrize("damage", ["garbage", "empty", "absent"])
def test_no_readable_journal_is_never_a_quiet_one(tmp_path: Path, damage: str) -> None:
    """Nothing that can be read: unobserved, with journalctl's own words where it has some."""
    directory = tmp_path / "journal"
    if damage != "absent":
        directory.mkdir()
    if damage == "garbage":
        (directory / "system.journal").write_bytes(b"no journal" * 1000)
    found = _read(directory)
    assert isinstance(found, Unobserved)
    assert found.why is (Why.MALFORMED if damage == "garbage" else Why.NOT_COLLECTED)
    assert "kubelet.service" in found.detail


def test_a_journal_without_the_unit_is_not_collected(tmp_path: Path) -> None:
    """Other programs' entries alone do not make kubelet's journal an observed one."""
    journal_files.write(tmp_path / "journal", [Entry(reading.START_US, "sshd.service", "sshd", 1, b"hello")])
    found = _read(tmp_path / "journal")
    assert isinstance(found, Unobserved) and found.why is Why.NOT_COLLECTED


@pytest.mark.parametrize(("unit", "identifier"), [("snap.kubelet-eks.daemon.service", "kubelet-eks.daemon"), ("session-1.scope", "kubelet")])
def test_kubelet_under_another_name_is_found(tmp_path: Path, unit: str, identifier: str) -> None:
    """The snap's unit, and a kubelet that only its identifier names."""
    entries = [e._replace(unit=unit, identifier=identifier) for e in _all_generations() if e.identifier == "kubelet"]
    journal_files.write(tmp_path / "journal", entries)
    assert _journal(tmp_path / "journal").failures == 3 * len(journal_lines.GENERATIONS)


def test_quiet_and_covered(tmp_path: Path) -> None:
    """kubelet printed nothing that matters in the window: observed, no failures, and the coverage is the whole journal's."""
    sshd = Entry(reading.START_US - 3_500_000_000, "sshd.service", "sshd", 1, b"hello")
    calm = Entry(reading.START_US, "kubelet.service", "kubelet", 1, b'I1125 14:14:23.000000       1 scope.go:117] "RemoveContainer"')
    journal_files.write(tmp_path / "journal", [sshd, calm])
    found = _journal(tmp_path / "journal", span=Span(until=reading.NOW, since=reading.at(-3000)))
    assert (found.failures, found.entries) == (0, 0)
    assert (found.since, found.until) == (reading.at(-3500), reading.at(0))


def test_a_short_journal_tells_that_it_is_short(tmp_path: Path) -> None:
    """Its first entry is later than the window's start: the reading's `since` says so."""
    journal_files.write(tmp_path / "journal", _noise(30))
    since = _journal(tmp_path / "journal").since
    assert since is not None and SPAN.since is not None and since > SPAN.since


def test_no_journalctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without journalctl: not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(commands, "PLACES", ())
    about = _capture(tmp_path).about
    assert (about.failure, about.detail) == (Why.NOT_INSTALLED, "journalctl: no such command")


def test_a_journalctl_that_hangs_ends_with_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers the first looks and then hangs: the reading comes with the deadline, says so, and no process is left."""
    real, directory = commands.locate("journalctl"), tmp_path / "bin"
    journal_files.write(tmp_path / "journal", _all_generations())
    directory.mkdir()
    mark = f"3{os.getpid()}.25"
    wrapper = directory / "journalctl"
    wrapper.write_text(f'#!/bin/sh\ncase " $* " in *" --quiet "*) {real} "$@"; sleep {mark};; esac\nexec {real} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(commands, "PLACES", (str(directory),))
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    began = time.monotonic()
    capture = _capture(tmp_path / "journal", deadline_s=2.0)
    found = kubelet.read({capture.about.file: capture}, SPAN)
    assert time.monotonic() - began < 5.0
    assert isinstance(found, Observed) and "deadline" in found.value.cut
    assert found.value.failures == 3 * len(journal_lines.GENERATIONS)
    assert not _running(mark)


def _running(word: str) -> list[str]:
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in line:
            found.append(pid)
    return found


def test_a_stream_that_nobody_reads_to_its_end_leaves_no_process(tmp_path: Path) -> None:
    """The reader that stops early ends journalctl."""
    journal_files.write(tmp_path / "journal", _noise(3000))
    stream = _capture(tmp_path / "journal").chunks()
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert not _running(str(tmp_path / "journal"))


def test_the_stream_can_be_opened_again(tmp_path: Path) -> None:
    """A bundle reads what the diagnosis has read before."""
    journal_files.write(tmp_path / "journal", _all_generations())
    capture = _capture(tmp_path / "journal")
    assert b"".join(capture.chunks()) == b"".join(capture.chunks())


@pytest.mark.parametrize("name", ["v1.23.0-subnet-exhausted", "v1.23.0-runtime-failure-not-ip", "v1.23.0-healthy-busy"])
def test_a_recorded_journal_reads_the_same_from_journal_files(tmp_path: Path, name: str, journalctl: str) -> None:
    """The recorded lines as journal files, through journalctl, give what the recorded lines give."""
    series = recorded.unpack(name, tmp_path / "series")
    captured = sorted(series.rglob("journal/kubelet.jsonl"))[-1]
    look = Look(captured.parent.parent, reading.NOW, {})
    directory = tmp_path / "journal"
    directory.mkdir()
    _convert(b"".join(map(to_export, recorded_entries(look))), directory / "system.journal")
    span = Span(until=reading.NOW)
    live, filed = _journal(directory, span=span), reading.journal(captured.read_bytes())
    assert _essence(live) == _essence(filed)


def _essence(found: Journal) -> object:
    return [(t.pod, t.failures, t.first_at, t.last_at, t.newest.text, t.recovered_at, t.gone_at) for t in found.pods], list(found.starts), found.failures


def test_shutil_finds_the_tools() -> None:
    """The tests above are vacuous without the real programs."""
    found: Optional[str] = shutil.which("journalctl")
    assert found and Path(journal_files.remote_tool()).exists()
