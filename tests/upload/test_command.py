"""`eniagent upload` as users and the unit run it: what it prints, how it exits, and what it never says."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import signal
import sqlite3
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Optional

import pytest

from eniagent.edge.history import History
from tests.cli import command
from tests.upload import sigv4
from tests.upload.authority import Authority
from tests.upload.conftest import BUCKET, Store, credentials
from tests.upload.connect_proxy import ConnectProxy
from tests.upload.front import Front

pytestmark = pytest.mark.sockets

SECRETS = (sigv4.TOKEN, sigv4.SECRET, sigv4.ACCESS, "X-Amz-Credential=", "X-Amz-Signature=", "header-secret", "proxy-password")


class Run:
    """One run of the command. `out`, `err` as text, `code`."""

    def __init__(self, *words: str, state: pathlib.Path, extra: Optional[dict[str, str]] = None, **more: Any) -> None:
        environment = {"PATH": command.PATH, **credentials(), "ENIAGENT_STATE_DIR": str(state), **(extra or {})}
        done = command.run("upload", *words, environment=environment, **more)
        self.code, self.out, self.err = done.returncode, done.stdout.decode("ascii"), done.stderr.decode("ascii")
        self.first = dict(re.findall(r"(\w+)=(\S+)", self.out.splitlines()[0])) if self.out.startswith("ENIAGENT-UPLOAD ") else {}


@pytest.fixture
def state(tmp_path: pathlib.Path) -> pathlib.Path:
    """A state directory that is not there yet."""
    return tmp_path / "state"


def spoken(run: Run, state: pathlib.Path) -> str:
    """All that a run left to be read."""
    kept = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file()) if state.exists() else b""
    return run.out + run.err + kept.decode("latin-1")


def test_a_delivery_is_one_line_and_silence(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """Exit 0, one line of at most 512 bytes, nothing on stderr, the file still there, nothing written."""
    run = Run(str(bundle), "--to", sigv4.presign(f"{front.url}/{BUCKET}/k"), "--ca-file", trust.ca_file, state=state)
    assert (run.code, run.err, run.out.count("\n")) == (0, "", 1)
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    told = {name: run.first[name] for name in ("path", "to", "upload", "sha256", "size_bytes", "verified", "attempts")}
    assert told == {"path": str(bundle), "to": f"{front.url}/{BUCKET}/k", "upload": "ok", "sha256": digest, "size_bytes": "400000", "verified": "md5", "attempts": "1"}
    assert len(run.out) <= 512 and bundle.exists() and not state.exists()


def test_a_failure_names_the_path_and_exits_6(front: Front, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """The reason on stdout; on stderr the reason, the remedy, and where the bundle is; a presigned address is not kept for later."""
    front.clock_ahead_s = 10_000
    run = Run(str(bundle), "--to", sigv4.presign(f"{front.url}/{BUCKET}/k"), "--ca-file", trust.ca_file, state=state)
    assert (run.code, run.first["upload"], run.first["reason"], "upload=ok" in run.out) == (6, "failed", "expired", False)
    assert "ask for a new presigned address" in run.err and f"the bundle is kept at {bundle}" in run.err
    assert "not be tried again by itself" in run.err and not state.exists() and bundle.exists()


@pytest.mark.parametrize("fault", ["ok", "503", "redirect", "deny", "echo", "garbled"])
def test_no_secret_is_ever_said(front: Front, trust: Authority, bundle: pathlib.Path, state: pathlib.Path, fault: str) -> None:
    """With --verbose and JSON logs, in success and failure, when the server quotes the request back, and in the outbox."""
    address = sigv4.presign(f"{front.url}/{BUCKET}/k", headers={"x-amz-meta-case": "header-secret"})
    front.lasting = True
    if fault == "echo":
        front.canned["PUT"] = (400, {"x-echo": address}, sigv4.error("Odd", f"You asked for {address.replace('&', ' ')} with header-sec"))
    elif fault == "garbled":
        address = address[:-2]
    else:
        front.faults = [fault]
    words = [str(bundle), "--to", "-", "--header", "x-amz-meta-case: header-secret", "--ca-file", trust.ca_file, "--deadline", "2", "--verbose", "--log-format", "json"]
    read, write = os.pipe()
    os.write(write, address.encode() + b"\n")
    os.close(write)
    run = Run(*words, state=state, extra={"ENIAGENT_UPLOAD_TO": address}, stdin=read)
    os.close(read)
    assert run.code == (0 if fault == "ok" else 6)
    said = spoken(run, state)
    assert [secret for secret in (*SECRETS, *re.findall(r"X-Amz-(?:Signature|Credential)=([^&]+)", address)) if secret in said] == []
    assert f"{front.url}/{BUCKET}/k" in said


def test_an_address_is_told_by_config_show_without_its_secret(tmp_path: pathlib.Path) -> None:
    """What people paste into tickets."""
    address = "https://user:proxy-password@host/k?X-Amz-Signature=abcdef0123456789"
    for words in (["config", "show"], ["config", "show", "--verbose"]):
        done = command.run(*words, environment={"PATH": command.PATH, "ENIAGENT_UPLOAD_TO": address})
        assert done.returncode == 0 and b"https://host/k" in done.stdout
        assert not [word for word in (b"abcdef", b"proxy-password") if word in done.stdout + done.stderr]
    wrong = command.run("config", "check", environment={"PATH": command.PATH, "ENIAGENT_UPLOAD_TO": "http://host/k?X-Amz-Signature=abcdef0123456789"})
    assert wrong.returncode == 2 and b"abcdef" not in wrong.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name one BUNDLE"),
        (["{b}", "--outbox"], "name one BUNDLE"),
        (["{b}"], "the address is missing"),
        (["{b}", "--to", "http://host/k?X-Amz-Signature=1"], "plain http"),
        (["{b}", "--to", "host/k"], "no address"),
        (["/nonexistent/b.tar.gz", "--to", "https://127.0.0.1:1/k"], "no such file"),
        (["/etc", "--to", "https://127.0.0.1:1/k"], "is a directory"),
        (["{b}", "--to", "https://127.0.0.1:1/k", "--ca-file", "/nonexistent"], "--ca-file"),
        (["{b}", "--to", "https://127.0.0.1:1/k", "--kms-key", "aws"], "--kms-key goes with s3://"),
        (["{b}", "--to", "s3://bucket/p", "--header", "a: b"], "--header goes with https://"),
        (["{b}", "--to", "https://127.0.0.1:1/k", "--header", "host: x"], "--header host"),
        (["{b}", "--to", "https://127.0.0.1:1/k", "--checksum", "perhaps"], "perhaps"),
        (["{b}", "--to", "https://127.0.0.1:1/k", "--deadline", "soon"], "soon"),
        (["--outbox", "--to", "https://127.0.0.1:1/k"], "leave --to"),
    ],
)
def test_what_makes_no_sense_exits_2(bundle: pathlib.Path, state: pathlib.Path, words: list[str], said: str) -> None:
    """One line on stderr, nothing on stdout, nothing written."""
    run = Run(*(word.replace("{b}", str(bundle)) for word in words), state=state)
    assert (run.code, run.out, said in run.err, state.exists()) == (2, "", True, False)


def test_s3_without_boto3_says_how_to_get_it(bundle: pathlib.Path, state: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """An interpreter that cannot import boto3: exit 2, the extra's name, and the way that needs none."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without/boto3.py").write_text("raise ImportError('No module named boto3')\n")
    run = Run(str(bundle), "--to", "s3://bucket/p", state=state, extra={"PYTHONPATH": str(tmp_path / "without")})
    assert run.code == 2
    assert "eniagent[aws]" in run.err and "presigned" in run.err


def test_a_server_that_drips_its_answer_does_not_hold_the_command(front: Front, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """Each byte comes in time, the answer never: the run ends a few seconds after the deadline, as failed."""
    front.faults, front.lasting = ["drip"], True
    began_s = time.monotonic()
    run = Run(str(bundle), "--to", sigv4.presign(f"{front.url}/{BUCKET}/k"), "--ca-file", trust.ca_file, "--deadline", "1", state=state)
    assert (run.code, run.first["reason"]) == (6, "timed-out")
    assert time.monotonic() - began_s < 12


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_leaves_no_parts(front: Front, store: Store, trust: Authority, tmp_path: pathlib.Path, state: pathlib.Path, number: int) -> None:
    """The signal comes while the second part waits for its answer: exit 143 or 130, and the upload is aborted."""
    large = tmp_path / "large.tar.gz"
    large.write_bytes(bytes(20 << 20))
    front.faults = ["ok", "silent"]
    environment = {"PATH": command.PATH, **credentials(), "ENIAGENT_STATE_DIR": str(state), "AWS_ENDPOINT_URL_S3": front.url}
    running = command.start("upload", str(large), "--to", f"s3://{BUCKET}/p", "--ca-file", trust.ca_file, environment=environment)
    until_s = time.monotonic() + 30
    while len(front.puts()) < 2 and time.monotonic() < until_s:
        time.sleep(0.05)
    assert len(store.unfinished()) == 1
    running.send_signal(number)
    out, _ = running.communicate(timeout=20)
    assert (running.returncode, b"upload=ok" in out) == (128 + number, False)
    assert (store.unfinished(), store.keys()) == ([], [])


def test_the_outbox_is_filled_and_emptied(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """An upload that fails is left there, is not tried before its time, and arrives with the run after it, as `upload --outbox`."""
    extra = {"AWS_ENDPOINT_URL_S3": "https://127.0.0.1:1", "ENIAGENT_UPLOAD_CA_FILE": trust.ca_file}
    run = Run(str(bundle), "--to", f"s3://{BUCKET}/p", "--deadline", "1", state=state, extra=extra)
    assert (run.code, run.first["reason"], "next_try_at" in run.first) == (6, "unreachable", True)
    assert "it is in the outbox, due again at" in run.err
    run = Run("--outbox", state=state, extra=extra)
    assert (run.code, run.out.startswith("outbox: 1 waiting, the next is due at "), run.err) == (0, True, "")
    make_due(state)
    run = Run("--outbox", "--deadline", "1", state=state, extra=extra)
    assert (run.code, run.first["upload"], f"kept at {bundle}" in run.err) == (6, "failed", True)
    make_due(state)
    run = Run("--outbox", state=state, extra={**extra, "AWS_ENDPOINT_URL_S3": front.url})
    assert (run.code, run.first["upload"], run.first["verified"], run.err) == (0, "ok", "sha256", "")
    assert "outbox: 0 waiting" in run.out
    assert store.get(f"p/{bundle.name}") == bundle.read_bytes() and bundle.exists()


def make_due(state: pathlib.Path) -> None:
    """As if the pause were over."""
    connection = sqlite3.connect(state / "history.db")
    connection.execute("UPDATE outbox SET next_us=0")
    connection.commit()
    connection.close()


def test_the_daemons_parcels_go_to_the_configured_address(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """What the daemon posts has no query; the unit finds the whole address in the configuration, and without it says what was refused."""
    address = sigv4.presign(f"{front.url}/{BUCKET}/k")
    state.mkdir()
    with History.open(state / "history.db") as history:
        history.post(str(bundle), target=address, at=_past())
    run = Run("--outbox", state=state, extra={"ENIAGENT_UPLOAD_CA_FILE": trust.ca_file})
    assert (run.code, run.first["reason"]) == (6, "denied")
    make_due(state)
    run = Run("--outbox", state=state, extra={"ENIAGENT_UPLOAD_CA_FILE": trust.ca_file, "ENIAGENT_UPLOAD_TO": address})
    assert (run.code, run.first["upload"]) == (0, "ok")
    assert store.get("k") == bundle.read_bytes()


def _past() -> datetime:
    return datetime.now(timezone.utc) - timedelta(minutes=5)


def test_one_target_that_is_down_costs_one_attempt(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """Of three bundles for a target that refuses one is tried, a fourth for another target arrives, a fifth whose file is gone is given up."""
    state.mkdir()
    with History.open(state / "history.db") as history:
        for number in range(3):
            copy = bundle.with_name(f"copy{number}.tar.gz")
            copy.write_bytes(bundle.read_bytes())
            history.post(str(copy), target="https://127.0.0.1:1/in/", at=_past())
        history.post(str(bundle), target=f"{front.url}/in/", at=_past())
        history.post("/nonexistent/gone.tar.gz", target="s3://other/p", at=_past())
    front.canned["PUT"] = (201, {}, b"")
    front.checks_signatures = False
    run = Run("--outbox", "--deadline", "1", state=state, extra={"ENIAGENT_UPLOAD_CA_FILE": trust.ca_file})
    uploads = re.findall(r"path=(\S+) to=\S+ upload=(\S+)", run.out)
    assert run.code == 6
    assert uploads == [(str(bundle.with_name("copy0.tar.gz")), "failed"), (str(bundle), "ok"), ("/nonexistent/gone.tar.gz", "given-up")]
    assert "outbox: 3 waiting" in run.out and "/nonexistent/gone.tar.gz: given up" in run.err
    with History.read(state / "history.db") as history:
        assert sorted(each.what for each in history.transitions()) == ["bundle-uploaded", "upload-given-up"]


def test_an_empty_outbox_is_no_failure(state: pathlib.Path) -> None:
    """Nothing there: exit 0, nothing made."""
    run = Run("--outbox", state=state)
    assert (run.code, run.out, run.err, state.exists()) == (0, "outbox: 0 waiting\n", "", False)


def test_a_delivery_by_hand_takes_the_row_out(front: Front, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """What has arrived is not sent again."""
    state.mkdir()
    with History.open(state / "history.db") as history:
        history.post(str(bundle), target=f"s3://{BUCKET}/p", at=_past())
    run = Run(str(bundle), "--to", f"s3://{BUCKET}/p", "--ca-file", trust.ca_file, state=state, extra={"AWS_ENDPOINT_URL_S3": front.url})
    assert run.code == 0
    with History.read(state / "history.db") as history:
        assert history.parcels() == []


def test_a_proxy_of_the_environment_is_used_and_its_password_never_said(front: Front, store: Store, trust: Authority, bundle: pathlib.Path, state: pathlib.Path) -> None:
    """In success and in failure."""
    with ConnectProxy(front.port) as proxy:
        extra = {"HTTPS_PROXY": f"http://user:proxy-password@{proxy.address}"}
        address = sigv4.presign(f"https://bundles.test/{BUCKET}/k")
        run = Run(str(bundle), "--to", address, "--ca-file", trust.ca_file, "--verbose", state=state, extra=extra)
        assert (run.code, len(proxy.asked)) == (0, 1)
        failed = Run(str(bundle), "--to", address, "--verbose", state=state, extra=extra)
        assert (failed.code, failed.first["reason"]) == (6, "tls")
        assert "proxy-password" not in run.out + run.err + failed.out + failed.err


def test_help_is_light() -> None:
    """Neither the HTTP library nor the SDK is loaded to tell how to call the command."""
    done = command.run("upload", "--help", environment={"PATH": command.PATH, "PYTHONPROFILEIMPORTTIME": "1"})
    loaded = set(re.findall(rb"\| +(\S+)$", done.stderr, re.MULTILINE))
    assert done.returncode == 0 and b"--outbox" in done.stdout
    assert b"typer" in loaded and not loaded & {b"httpx", b"boto3", b"botocore", b"ssl", b"sqlite3", b"urllib.request", b"structlog"}
