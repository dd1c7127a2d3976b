"""A replay serves what was recorded, over real sockets, and the real diagnose names the cause."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timezone
from urllib.parse import urlsplit

import pytest

from eniagent.demo import journal, recording
from eniagent.demo.journalctl_stand_in import main as stand_in
from eniagent.demo.replay import Stage, stage
from tests.judge import faults
from tests.recorded import truths

SCENARIOS = [scenario.name for scenario in recording.scenarios()]


@pytest.fixture
def staged() -> Iterator[Stage]:
    """The default scenario in replay."""
    with ExitStack() as until:
        yield stage(recording.find(recording.DEFAULT), until=until)


def ask(url: str, method: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@pytest.mark.sockets
def test_introspection_answers_as_recorded(staged: Stage) -> None:
    """/v1/enis gives the recorded body; a path that ipamd does not know gives its list of commands."""
    status, body = ask(staged.urls.ipamd, "GET", "/v1/enis", {})
    assert (status, body) == (200, staged.look.body("ipamd/enis.json"))
    assert "AvailableCommands" in json.loads(ask(staged.urls.ipamd, "GET", "/v1/pods", {})[1])


@pytest.mark.sockets
def test_metadata_wants_a_token(staged: Stage) -> None:
    """Without a token 401, with one the recorded value, lists with slashes for directories, 404 for the rest."""
    url = staged.urls.imds
    assert ask(url, "GET", "/latest/meta-data/instance-type", {})[0] == 401
    assert ask(url, "PUT", "/latest/api/token", {})[0] == 400
    status, token = ask(url, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    assert status == 200
    headers = {"X-aws-ec2-metadata-token": token.decode()}
    assert ask(url, "GET", "/latest/meta-data/instance-type", headers) == (200, b"m5.large")
    assert ask(url, "GET", "/latest/meta-data/network/interfaces/macs/", headers)[1].endswith(b"/")
    assert ask(url, "GET", "/latest/meta-data/network/interfaces/macs/02:00:00:00:00:01/ipv4-prefix", headers)[0] == 404


@pytest.mark.sockets
def test_what_was_refused_refuses() -> None:
    """Where the recording says refused, nobody listens, and nobody else can take the port meanwhile."""
    with ExitStack() as until:
        staged = stage(recording.find("ipamd-killed"), until=until)
        address = (str(urlsplit(staged.urls.ipamd).hostname), int(urlsplit(staged.urls.ipamd).port or 0))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        with pytest.raises(OSError), socket.socket() as other:
            other.bind(address)


def test_the_recording_ends_now(tmp_path: pathlib.Path) -> None:
    """After the move the manifest, the log, the journal and the checkpoint all speak of the same, present minutes."""
    now = datetime.now(timezone.utc)
    look = recording.unpack(recording.find(recording.DEFAULT), tmp_path, now=now)
    assert abs((look.taken_at - now).total_seconds()) <= 1
    told = [int(entry["__REALTIME_TIMESTAMP"]) / 1e6 for entry in journal.entries(look)]
    told += [entry["allocationTimestamp"] / 1e9 for entry in json.loads(look.body("ipamd/checkpoint/ipam.json"))["allocations"]]
    last = json.loads(look.body("logs/ipamd.log").splitlines()[-1])["ts"]
    told.append(datetime.fromisoformat(last.replace("Z", "+00:00")).timestamp())
    assert all(now.timestamp() - 600 <= at <= now.timestamp() + 1 for at in told)


def test_nothing_is_left_behind() -> None:
    """The private directory goes when the replay ends."""
    with ExitStack() as until:
        directory = stage(recording.find("healthy-busy"), until=until).directory
        assert directory.is_dir()
    assert not directory.exists()


@pytest.mark.journald
def test_journal_files_hold_every_entry(tmp_path: pathlib.Path) -> None:
    """The real journalctl reads back every recorded message, in order, from the files that the replay makes."""
    look = recording.unpack(recording.find(recording.DEFAULT), tmp_path / "captures", now=datetime.now(timezone.utc))
    assert journal.lay_out(look, tmp_path / "journal", tmp_path / "bin") == journal.REAL_FILES
    words = ["journalctl", "--directory", str(tmp_path / "journal"), "--output", "json", "--all", "--no-pager"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [json.loads(line)["MESSAGE"] for line in lines] == [entry["MESSAGE"] for entry in journal.entries(look)]


@pytest.mark.journald
@pytest.mark.parametrize(
    "words",
    [
        ["_SYSTEMD_UNIT=kubelet.service"],
        ["--lines=1", "_SYSTEMD_UNIT=containerd.service"],
        ["--output-fields=MESSAGE", "SYSLOG_IDENTIFIER=kubelet", "SYSLOG_IDENTIFIER=containerd"],
        ["--since=@{middle}", "_SYSTEMD_UNIT=kubelet.service", "_SYSTEMD_UNIT=snap.kubelet-eks.daemon.service"],
        ["--until=@{middle}"],
    ],
)
def test_the_stand_in_answers_as_journalctl(words: list[str], tmp_path: pathlib.Path) -> None:
    """What the stand-in prints for the agent's questions is what the real journalctl prints from real files, cursors apart."""
    look = recording.unpack(recording.find(recording.DEFAULT), tmp_path / "captures", now=datetime.now(timezone.utc))
    journal.lay_out(look, tmp_path / "journal", tmp_path / "bin")
    journal.lay_out_stand_in(look, tmp_path / "other", tmp_path / "bin")
    told = journal.entries(look)
    middle = int(told[len(told) // 2]["__REALTIME_TIMESTAMP"]) / 1e6
    asked = ["--no-pager", "--output=export", *(word.format(middle=f"{middle:.6f}") for word in words)]
    real = subprocess.run(["journalctl", "--directory", str(tmp_path / "journal"), *asked], check=True, capture_output=True).stdout
    stood = subprocess.run([str(tmp_path / "bin/journalctl"), "--directory", "x", *asked], check=True, capture_output=True).stdout
    assert fields(real) == fields(stood) != []


def fields(export: bytes) -> list[set[bytes]]:
    """The entries of an export stream without line breaks in values, each as the set of its fields; cursors are each file's own."""
    own = (b"__CURSOR=", b"__SEQNUM", b"__MONOTONIC_TIMESTAMP=")
    return [{line for line in entry.split(b"\n") if line and not line.startswith(own)} for entry in export.split(b"\n\n") if entry]


def test_the_stand_in_refuses_grep(capsys: pytest.CaptureFixture[str]) -> None:
    """It says that it cannot match patterns, as a journalctl without PCRE2 does, so that the agent filters by itself."""
    assert stand_in(["entries.jsonl", "--version"]) == 0
    assert "-PCRE2" in capsys.readouterr().out
    assert stand_in(["entries.jsonl", "--grep=x", "--output=export"]) == 1


@pytest.mark.sockets
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_real_diagnose_names_the_cause(name: str) -> None:
    """Each scenario, looked at live over sockets, files, commands and the journal, comes to what is true of it."""
    truth = truths()[recording.find(name).recording]
    with ExitStack() as until:
        staged = stage(recording.find(name), until=until)
        words = [sys.executable, "-c", "import sys; from eniagent.cli import main; sys.exit(main(sys.argv[1:]))"]
        words += [*staged.options(), "diagnose", "--format", "json"]
        done = subprocess.run(words, env=staged.environment(), capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert faults(truth, json.loads(done.stdout)) == []


@pytest.mark.sockets
def test_the_replay_works_without_journal_files(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no journal files can be made, the stand-in's lines lead to the same cause, and the replay says which it was."""
    monkeypatch.setattr(journal, "REMOTE", (str(tmp_path / "absent"),))
    with ExitStack() as until:
        staged = stage(recording.find(recording.DEFAULT), until=until)
        assert staged.journal == journal.STANDING_IN
        words = [sys.executable, "-c", "import sys; from eniagent.cli import main; sys.exit(main(sys.argv[1:]))"]
        words += [*staged.options(), "diagnose", "--format", "json"]
        done = subprocess.run(words, env=staged.environment(), capture_output=True, timeout=60, check=False)
    document = json.loads(done.stdout)
    assert document["causes"][0]["code"] == "subnet-exhausted"
    assert document["impact"]["failures"] > 0


def test_settings_of_the_caller_do_not_reach_the_run(staged: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting in the caller's environment would point the run away from the replay."""
    monkeypatch.setenv("ENIAGENT_ROOT", "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://192.0.2.1")
    environment = staged.environment()
    assert "ENIAGENT_ROOT" not in environment and "AWS_EC2_METADATA_SERVICE_ENDPOINT" not in environment
    assert environment["PATH"].split(os.pathsep)[0] == str(staged.directory / "bin")
