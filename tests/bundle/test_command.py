"""`bundle create|show|verify|diff` and `diagnose --bundle` as users run them, against a node on loopback."""

from __future__ import annotations

import fcntl
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time
from typing import Optional

import pytest

from eniagent.demo.replay import Stage
from tests.bundle.making import create, document, make, members, told
from tests.cli.command import PATH, run


def node_words(staged: Stage) -> list[str]:
    return staged.options()


def environment(staged: Stage) -> dict[str, str]:
    return {"PATH": f"{staged.directory / 'bin'}:{PATH}", "ENIAGENT_BUNDLE_DIR": "/bundles"}


def bundles(staged: Stage) -> list[str]:
    """What stands in the bundle directory, which is below the node's root."""
    directory = staged.directory / "root/bundles"
    return sorted(os.listdir(directory)) if directory.exists() else []


@pytest.mark.sockets
def test_create_on_a_node(staged: Stage) -> None:
    """The verdict's line, the bundle's line, exit 0, two files; and what the node said is what the bundle says elsewhere."""
    ended = run("bundle", "create", *node_words(staged), environment=environment(staged))
    assert (ended.returncode, ended.stderr) == (0, b"")
    lines = ended.stdout.decode("ascii").splitlines()
    assert lines[0].startswith("ENIAGENT verdict=critical cause=subnet-exhausted")
    path, sha256, more = told(ended.stdout)
    assert " profile=case" in more and "partial" not in more
    assert subprocess.run(["sha256sum", path], check=True, capture_output=True).stdout.decode().split()[0] == sha256
    assert bundles(staged) == sorted([os.path.basename(path), f"{os.path.basename(path)}.sha256"])
    found = members(path)
    again = document(run("diagnose", "--from", path, "--format", "json", "--ledger").stdout)
    assert again == document(found["report.json"])
    assert again["redaction"] == "secrets"
    assert "captures/journal/kubelet.jsonl" in found and "captures/logs/ipamd.log" in found
    assert found["journal/kubelet.jsonl"].count(b"\n") >= found["captures/journal/kubelet.jsonl"].count(b"\n") - 2
    assert {"system/uname.txt", "net/links.json"} & set(found)


@pytest.mark.sockets
def test_the_verdict_comes_before_the_bundle(staged: Stage) -> None:
    """`diagnose --bundle` prints and flushes its answer first; the bundle's line is the last."""
    process = subprocess.Popen(
        [str(pathlib.Path(run.__globals__["SCRIPT"])), "diagnose", "--bundle", *node_words(staged)], env=environment(staged), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    before = [name for name in bundles(staged) if name.endswith(".sha256")]
    rest, problems = process.communicate(timeout=60)
    assert (process.returncode, problems) == (0, b"")
    assert first.startswith(b"ENIAGENT verdict=critical") and before == []
    assert rest.splitlines()[-1].startswith(b"ENIAGENT-BUNDLE path=")
    assert rest.count(b"ENIAGENT-BUNDLE") == 1


@pytest.mark.sockets
def test_json_is_one_document_that_tells_of_the_bundle(staged: Stage) -> None:
    """Path, digest and size stand in it, and nothing else on stdout."""
    ended = run("diagnose", "--bundle", "--format", "json", *node_words(staged), environment=environment(staged))
    report = document(ended.stdout)
    assert report["bundle"]["upload"] == "none" and report["bundle"]["profile"] == "case"
    assert pathlib.Path(report["bundle"]["path"]).stat().st_size == report["bundle"]["size_bytes"]
    assert report["ledger"] is None
    inner = document(members(report["bundle"]["path"])["report.json"])
    assert {**inner, "ledger": None} == {**report, "bundle": None}


def test_none_asks_for_yes(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Exit code 2, no prompt, nothing written; with `--yes` the first line of the report says it."""
    refused = create(tmp_path / "out", "--from", str(sick), "--redact", "none")
    assert (refused.returncode, refused.stdout, list((tmp_path / "out").iterdir())) == (2, b"", [])
    assert b"--yes" in refused.stderr
    path, _, _ = told(create(tmp_path / "out", "--from", str(sick), "--redact", "none", "--yes").stdout)
    assert members(path)["REPORT.txt"].startswith(b"NOT REDACTED")
    assert run("diagnose", "--from", str(sick), "--redact", "none").returncode == 2


def test_a_second_run_finds_the_lock(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Exit code 9 and nothing written; `diagnose` answers all the same and says 9 for its bundle."""
    directory = tmp_path / "out"
    directory.mkdir(mode=0o700)
    holder = os.open(directory, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    ended = create(directory, "--from", str(sick))
    assert ended.returncode == 9 and b"another run" in ended.stderr
    beside = run("diagnose", "--from", str(sick), "--bundle", environment={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(directory)})
    assert beside.returncode == 9 and beside.stdout.startswith(b"ENIAGENT verdict=critical")
    os.close(holder)
    assert list(directory.iterdir()) == []
    assert create(directory, "--from", str(sick)).returncode == 0


def test_a_directory_that_cannot_be_written_is_7(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A file in its place, or a directory that everybody may write to; the verdict of `diagnose` comes first."""
    (tmp_path / "file").write_text("x")
    ended = run("bundle", "create", "--from", str(sick), environment={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(tmp_path / "file")})
    assert ended.returncode == 7 and b"bundle_dir" in ended.stderr
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    beside = run("diagnose", "--from", str(sick), "--bundle", "--fail-on", "critical", environment={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(tmp_path / "open")})
    assert beside.returncode == 7 and beside.stdout.startswith(b"ENIAGENT verdict=critical") and b"others may write" in beside.stderr


AS_NOBODY = """
import os, sys
from eniagent.cli import main
warm, path = sys.argv[1:]
os.environ["ENIAGENT_BUNDLE_DIR"] = warm
assert main(["bundle", "create", "--from", path]) == 0  # every module is loaded while it may be read
del os.environ["ENIAGENT_BUNDLE_DIR"]
os.setgroups([]); os.setgid(65533); os.setuid(65533)
print("NOW", flush=True)
sys.exit(main(["bundle", "create", "--from", path]))
"""


@pytest.mark.netns
def test_unprivileged_runs_write_to_a_private_directory(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Nobody but the user can look into it, and the bundle's line says where it is."""
    copy = pathlib.Path(subprocess.run(["mktemp", "-d"], check=True, capture_output=True).stdout.decode().strip())
    directory: Optional[pathlib.Path] = None
    try:
        subprocess.run(["cp", "-r", str(sick), str(copy / "node")], check=True)
        subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
        ended = subprocess.run([sys.executable, "-c", AS_NOBODY, str(tmp_path / "warm"), str(copy / "node")], capture_output=True, cwd="/", timeout=60)
        assert ended.returncode == 0, ended.stderr
        path, _, _ = told(ended.stdout.partition(b"NOW")[2])
        directory = pathlib.Path(path).parent
        assert directory.parent in (pathlib.Path("/var/tmp"), pathlib.Path("/tmp"))
        assert (directory.stat().st_uid, stat.S_IMODE(directory.stat().st_mode)) == (65533, 0o700)
    finally:
        shutil.rmtree(copy)
        if directory is not None:
            shutil.rmtree(directory)


def test_old_bundles_go_first(sick: pathlib.Path, healthy: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """One quota of count and of bytes; the newest stays whatever the quota, other files stay too."""
    out = tmp_path / "out"
    made = []
    for path, profile in ((sick, "case"), (healthy, "case"), (sick, "mini")):
        made.append(told(create(out, "--from", str(path), "--profile", profile, environment={"ENIAGENT_BUNDLE_KEEP": "2"}).stdout)[0])
        time.sleep(0.02)
    (out / "notes.txt").write_text("mine")
    assert sorted(name.name for name in out.iterdir() if name.suffix == ".gz") == sorted(os.path.basename(path) for path in made[1:])
    assert not pathlib.Path(f"{made[0]}.sha256").exists()
    last = told(create(out, "--from", str(healthy), "--profile", "mini", environment={"ENIAGENT_BUNDLE_QUOTA": "1k"}).stdout)[0]
    assert sorted(name.name for name in out.iterdir()) == sorted([os.path.basename(last), f"{os.path.basename(last)}.sha256", "notes.txt"])


def test_a_deadline_is_kept(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Exit code 10, the partial bundle written, and said on stdout."""
    begun = time.monotonic()
    ended = create(tmp_path / "out", "--from", str(sick), "--deadline", "0.05")
    assert time.monotonic() - begun < 10
    path, _, more = told(ended.stdout)
    assert ended.returncode == 10 and "partial=deadline" in more
    assert b"bundle: partial: the deadline came first" in ended.stdout
    assert document(members(path)["manifest.json"])["partial"] == "deadline"


def test_show_and_verify(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """`show` lists every member; `verify` says sound, and finds a digest beside the archive that is not its own."""
    written = make(sick, tmp_path / "out")
    path = written.archive.path
    shown = run("bundle", "show", path).stdout.decode("ascii")
    assert all(f"  {name}" in shown for name in members(path))
    assert "verdict critical; causes subnet-exhausted" in shown
    assert document(run("bundle", "show", path, "--format", "json").stdout)["schema"] == "eniagent.bundle/1"
    sound = run("bundle", "verify", path)
    assert sound.returncode == 0 and sound.stdout.startswith(b"sound: ") and b"its captures give the verdict" in sound.stdout
    pathlib.Path(f"{path}.sha256").write_text("0" * 64 + "  x\n", encoding="ascii")
    unsound = run("bundle", "verify", path, "--format", "json")
    assert unsound.returncode == 2 and not document(unsound.stdout)["sound"]


def test_verify_finds_what_redaction_left(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A bundle that says it holds no secrets, and holds one, is unsound; the member is named, the secret is not."""
    node = tmp_path / "node"
    subprocess.run(["cp", "-r", str(sorted(p for p in sick.iterdir() if p.is_dir())[-1]), str(node)], check=True)
    secret = "AKIA" + "IOSFODNN7EXAMPLE"
    with (node / "logs/ipamd.log").open("a", encoding="ascii") as log:
        log.write(f'{{"level":"debug","ts":"2026-11-25T14:00:00Z","msg":"key {secret}"}}\n')
    clean, leaky = make(node, tmp_path / "clean"), make(node, tmp_path / "leaky", redact="none")
    assert secret.encode() not in b"".join(members(clean.archive.path).values())
    assert run("bundle", "verify", clean.archive.path).returncode == 0
    pretended = pretend(leaky.archive.path, tmp_path)
    ended = run("bundle", "verify", pretended)
    assert ended.returncode == 2
    assert b"captures/logs/ipamd.log: still holds what looks like a secret" in ended.stdout and secret.encode() not in ended.stdout


def pretend(path: str, into: pathlib.Path) -> str:
    """The same bundle, saying that secrets were removed, with digests that fit."""
    import hashlib
    import io
    import tarfile

    found = members(path)
    found["manifest.json"] = found["manifest.json"].replace(b'"strength": "none"', b'"strength": "secrets"')
    found["SHA256SUMS"] = b"".join(f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode() for name, data in found.items() if name != "SHA256SUMS")
    target = into / "pretended.tar.gz"
    with tarfile.open(target, "w:gz") as archive:
        for name, data in found.items():
            info = tarfile.TarInfo(f"top/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(target)


def test_diff_says_what_changed(sick: pathlib.Path, healthy: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Verdict, causes, numbers and pods; a bundle against itself has no change."""
    one, two = make(healthy, tmp_path / "one").archive.path, make(sick, tmp_path / "two").archive.path
    changes = {change["what"]: change for change in document(run("bundle", "diff", one, two, "--format", "json").stdout)["changes"]}
    assert (changes["verdict"]["was"], changes["verdict"]["became"]) == ("healthy", "critical")
    assert any(what.startswith("cause subnet-exhausted") and change["became"] == "stands" for what, change in changes.items())
    assert changes["addresses assignable"]["became"] == 0
    assert any(what.startswith("pod ") for what in changes)
    assert b"nothing changed" in run("bundle", "diff", one, one).stdout
    assert run("bundle", "diff", one, str(sick / "none")).returncode == 2


def test_no_progress_off_a_terminal_and_some_on_it(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """stderr is silent in a pipe; on a terminal it names members and clears the line."""
    assert create(tmp_path / "out", "--from", str(sick)).stderr == b""
    ours, theirs = os.openpty()
    ended = create(tmp_path / "out", "--from", str(sick), stderr=theirs)
    os.close(theirs)
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    assert ended.returncode == 0
    assert b"captures/" in shown and shown.endswith(b"\r\x1b[K")
