"""eniagent.pyz as a process: where it unpacks, what it refuses, and that nothing is left behind.

Each test has a mount namespace of its own with an empty /var/cache, so this machine's is never touched.
"""

from __future__ import annotations

import ast
import os
import pathlib
import shlex
import subprocess
import time

import pytest

from tests.packaging.conftest import PATH, Built
from tools.package.wheels import version

pytestmark = [pytest.mark.packages, pytest.mark.netns]

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PRIVATE = ("/run", "/var/tmp", "/tmp", "/dev/shm")
CACHE = "/var/cache/eniagent"


def inside(script: str, *, cache: str = "", user: str = "") -> subprocess.CompletedProcess[str]:
    """Run a shell script where /var/cache is an empty file system with these mount options, with PATH as its only variable."""
    options = f"-o {cache}" if cache else ""
    prepared = f"mount -t tmpfs {options} tmpfs /var/cache\n{script}"
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", prepared]
    return subprocess.run(words, env={"PATH": PATH}, cwd="/usr/bin", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def answered(done: subprocess.CompletedProcess[str], times: int = 1) -> None:
    """The version was told, and nothing else."""
    assert (done.returncode, done.stdout, done.stderr) == (0, f"eniagent {version()}\n" * times, "")


@pytest.fixture
def pyz(built: Built) -> str:
    """The file's path, for a shell."""
    return shlex.quote(str(built.pyz))


def noexec(*places: str) -> str:
    """Script lines that forbid execution below these directories, and keep what is in them."""
    return "\n".join(f"mount --bind {place} {place}; mount -o remount,bind,noexec {place}" for place in places)


def left_behind() -> list[str]:
    """Private directories of runs, wherever they may be."""
    return [str(path) for place in PRIVATE for path in pathlib.Path(place).glob("eniagent-????????") if (path / "eniagent").exists()]


def gone() -> bool:
    """Whether no private directory is left; waits a moment for the one that removes them."""
    deadline = time.monotonic() + 10
    while left_behind():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize("home", ["unset HOME", "export HOME=/nowhere", "mount -t tmpfs -o ro tmpfs /root; export HOME=/root"])
def test_runs_without_a_home(pyz: str, home: str) -> None:
    """The first and the second run work with no HOME, one that does not exist, and one that is read-only."""
    answered(inside(f"{home}\n{pyz} --version; {pyz} --version"), times=2)


@pytest.mark.parametrize("how", ["{}", "python3 {}", "python3 -I {}", "sh {}", "cp {} /var/cache/e; cd /var/cache; ./e", "cp {} /var/cache/e; PATH=$PATH:/var/cache; e"])
def test_runs_however_it_is_started(pyz: str, how: str) -> None:
    """By its own name and by a Python that is named."""
    answered(inside(f"bash -c {shlex.quote(how.format(pyz) + ' --version')}"))


def test_the_tree_is_ours_alone_and_written_once(pyz: str) -> None:
    """One tree, named by a sha256, directories 0700 and files 0600; a second run of other commands changes nothing in it."""
    look = f"cd {CACHE}; find . -printf '%m %U %T@ %p\\n' | sort -k4"
    done = inside(f"{pyz} --version >/dev/null; {look}; echo ==; {pyz} explain >/dev/null; {pyz} demo --list >/dev/null; {look}")
    assert done.stderr == ""
    first, _, second = done.stdout.partition("==\n")
    assert first == second
    rows = [line.split(" ", 3) for line in first.splitlines()]
    assert {(mode, owner) for mode, owner, _, _ in rows} == {("700", "0"), ("600", "0")}
    tops = [path for *_, path in rows if path.count("/") == 1]
    assert len(tops) == 1
    assert len(tops[0]) == len("./") + 64


def test_the_demo_runs(pyz: str) -> None:
    """The main job as a whole: native libraries, product data and a child process of the same libraries."""
    done = inside(f"{pyz} --quiet demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ENIAGENT verdict=critical cause=subnet-exhausted ")


@pytest.mark.parametrize("file", ["eniagent/__init__.py", "msgspec/_core*.so"])
def test_an_altered_file_is_not_imported(pyz: str, file: str) -> None:
    """One byte more in a module or a library: exit 1 and the file's name; the tree is gone, and the next run works."""
    target = f"{CACHE}/*/{file}" if file.endswith(".so") else f"{CACHE}/*/eniagent/__pycache__/__init__.*.pyc"
    done = inside(f"{pyz} --version >/dev/null; for f in {target}; do echo >> $f; done; {pyz} explain >/dev/null || echo code $?; ls {CACHE}; {pyz} --version")
    assert done.stdout == f"code 1\neniagent {version()}\n"
    assert "is not as it was unpacked" in done.stderr
    assert "run the same command again" in done.stderr


@pytest.mark.parametrize(
    "prepared",
    [
        f"mkdir -m 0755 {CACHE}",
        f"mkdir -m 0700 {CACHE}; chown 65534 {CACHE}",
        f"mkdir -m 0700 /var/cache/other; ln -s /var/cache/other {CACHE}",
        f"touch {CACHE}",
    ],
    ids=["open", "another's", "link", "file"],
)
def test_a_shared_place_is_not_used(pyz: str, prepared: str) -> None:
    """Where the cache is open to others, another user's, a link or no directory, nothing is put there and the run works all the same."""
    done = inside(f"{prepared}; {pyz} --version; find /var/cache -mindepth 2")
    answered(done)
    assert gone()


@pytest.mark.parametrize("file", ["digests", "eniagent/__pycache__/__init__.*.pyc"])
def test_another_users_file_is_not_imported(pyz: str, file: str) -> None:
    """A file of the tree that belongs to somebody else, or that others may write, is not imported."""
    for change in ("chown 65534", "chmod o+w"):
        done = inside(f"{pyz} --version >/dev/null; {change} {CACHE}/*/{file}; {pyz} --version || true; {pyz} --version")
        assert done.stdout.endswith(f"eniagent {version()}\n")
        assert "not this user's alone" in done.stderr or file == "digests"


@pytest.mark.parametrize("cache", ["ro", "noexec", "size=2m"])
def test_a_cache_that_cannot_hold_it(pyz: str, cache: str) -> None:
    """Read-only, noexec or full: the run works from a private directory, and nothing is left there nor in the cache."""
    done = inside(f"{pyz} --version; find /var/cache -mindepth 2 -type f", cache=cache)
    answered(done)
    assert gone()


def test_the_next_place_is_tried(pyz: str) -> None:
    """Places that may not execute are passed over."""
    answered(inside(f"{noexec('/run', '/var/tmp', '/tmp')}\npython3 {pyz} --version", cache="noexec"))
    assert gone()


def test_no_place_at_all(pyz: str) -> None:
    """Where no place may execute: exit 1, each place with its reason, the remedy, and no traceback."""
    done = inside(f"{noexec(*PRIVATE)}\npython3 {pyz} --version", cache="ro")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{CACHE}: Read-only file system" in done.stderr
    assert all(f"{place}: mounted noexec" in done.stderr for place in PRIVATE)
    assert "TMPDIR=" in done.stderr
    assert "Traceback" not in done.stderr
    assert gone()


def test_an_unprivileged_user(pyz: str, built: Built) -> None:
    """Without root it runs from a private directory that is gone afterwards."""
    done = inside(f"cp {pyz} /var/cache/e.pyz; setpriv --reuid=65534 --regid=65534 --clear-groups python3 /var/cache/e.pyz --version")
    answered(done)
    assert gone()


def test_killed_at_once(pyz: str) -> None:
    """SIGKILL to the whole process group, as SSM ends a command, leaves no private directory."""
    waiting = "for i in $(seq 300); do ls -d /run/eniagent-????????/digests 2>/dev/null && break; sleep 0.1; done"
    script = f"setsid {pyz} demo >/dev/null 2>&1 & {waiting}; pkill -KILL -s $!; echo killed"
    done = inside(script, cache="ro")
    assert "/run/eniagent-" in done.stdout
    assert "killed" in done.stdout
    assert gone()


def test_first_runs_at_once(pyz: str) -> None:
    """Four first runs at the same time all work, and leave one tree."""
    done = inside(f"for i in 1 2 3 4; do {pyz} --version & done; wait; ls -A {CACHE} | wc -l")
    lines = done.stdout.splitlines()
    assert lines[:4] == [f"eniagent {version()}"] * 4
    assert lines[4:] == ["1"]


def test_older_trees_go(pyz: str) -> None:
    """The first run of a release removes what other releases left, but not what a running one holds."""
    made = f"mkdir -m 0700 {CACHE} {CACHE}/old {CACHE}/held; (flock -s 9; sleep 5) 9<{CACHE}/held & sleep 0.3"
    done = inside(f"{made}; {pyz} --version >/dev/null; ls {CACHE}")
    assert "held" in done.stdout.split()
    assert "old" not in done.stdout.split()


def test_a_damaged_download(pyz: str) -> None:
    """A file whose wheels are damaged is not unpacked, and says so."""
    damage = "python3 -c \"import re,sys; p='/var/cache/e.pyz'; d=open(p,'rb').read(); i=d.index(b'h11/_connection.py')+500; open(p,'wb').write(d[:i]+bytes([d[i]^1])+d[i+1:])\""
    done = inside(f"cp {pyz} /var/cache/e.pyz; {damage}; python3 /var/cache/e.pyz --version")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is damaged (" in done.stderr
    assert "Traceback" not in done.stderr


def test_old_pythons_can_read_the_door() -> None:
    """What has to tell an old Python that it is too old uses no syntax that it cannot read."""
    source = (TOP / "packaging/zipapp/zipapp_door.py").read_text(encoding="ascii")
    ast.parse(source, feature_version=(3, 4))
    assert "f\"" not in source
    assert os.access(TOP / "packaging/zipapp/zipapp_door.py", os.R_OK)
