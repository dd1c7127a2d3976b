"""The image's parts: there is no builder here, so the script that makes its root is run in a tree of its base system, and the root is used."""

from __future__ import annotations

import fnmatch
import json
import pathlib
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests import trees
from tests.conftest import JOURNAL_REMOTE
from tests.packaging.conftest import HERE, Built, run
from tools.package.wheels import version

pytestmark = [pytest.mark.packages, pytest.mark.nspawn]

CONTAINER = pathlib.Path(__file__).resolve().parent.parent.parent / "packaging/container"
WANTED = ("ca-certificates", "iproute2", "python3", "systemd")
ENTRY = b"""__REALTIME_TIMESTAMP=1767225600000000
__MONOTONIC_TIMESTAMP=1
_BOOT_ID=0123456789abcdef0123456789abcdef
MESSAGE=%s

"""


@pytest.fixture(scope="module")
def root(built: Built) -> Iterator[pathlib.Path]:
    """The image's root, made as its recipe makes it."""
    with trees.layer(trees.kept_tree("bookworm")) as layer:
        shutil.copy(built.deb(), layer / "tmp/eniagent.deb")
        shutil.copy(CONTAINER / "make_root.sh", layer / "tmp")
        run("unshare", "--mount", "--pid", "--fork", f"--root={layer}", "--mount-proc", "sh", "/tmp/make_root.sh", "/tmp/eniagent.deb", "/rootfs")
        yield layer / "rootfs"


def inside(root: pathlib.Path, *words: str, binds: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program of the image: its root read-only, as an unprivileged user, with the two capabilities that manifests give at the most."""
    script = f"""
mount --bind {root} {root}
{binds}
mount -t proc proc {root}/proc
mount -o remount,bind,ro {root}
exec setpriv --bounding-set=-all,+dac_read_search,+sys_ptrace,+sys_chroot --no-new-privs chroot {root} "$@"
"""
    words = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "sh", "-euc", script, "sh", *words)
    return run(*words, environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, check=check)


def test_it_runs(root: pathlib.Path, sick: pathlib.Path) -> None:
    """The command of the recipe answers, and judges captures, from a read-only root."""
    assert inside(root, "/usr/bin/eniagent", "--version").stdout == f"eniagent {version()}\n"
    told = inside(root, "/usr/bin/eniagent", "diagnose", "--from", "/host", binds=f"mount --bind {sick} {root}/host").stdout
    assert told.startswith("ENIAGENT verdict=critical cause=iam-denied ")


def test_the_nodes_own_tools_are_there(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """ip prints JSON, and journalctl reads a compressed journal."""
    assert isinstance(json.loads(inside(root, "/usr/bin/ip", "-j", "addr").stdout), list)
    journal = tmp_path / "host/var/log/journal/0123456789abcdef0123456789abcdef"
    journal.mkdir(parents=True)
    remote = next(path for path in JOURNAL_REMOTE if pathlib.Path(path).exists())
    long = b"a line of kubelet " * 200
    subprocess.run([remote, "-o", str(journal / "system.journal"), "--compress=yes", "-"], input=ENTRY % long, check=True, capture_output=True)
    told = inside(root, "/usr/bin/journalctl", "--directory", "/host/var/log/journal", "-o", "cat", "--no-pager", binds=f"mount --bind {tmp_path}/host {root}/host")
    assert told.stdout.strip() == long.decode().strip()


def test_nothing_else_is_there(root: pathlib.Path) -> None:
    """No shell, no package manager, no setuid file; one interpreter's libraries; less than 100 MB."""
    programs = {path.name for place in ("usr/bin", "usr/sbin") for path in (root / place).iterdir()}
    assert programs <= {"python3", "python3.11", "journalctl", "ip", "eniagent"}
    assert [path.name for path in (root / "opt/eniagent/lib").glob("cp*")] == ["cp311"]
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in files if path.stat().st_mode & 0o6000]
    assert sum(path.stat().st_size for path in files) < 100_000_000
    assert list((root / "usr/share/doc").glob("*/copyright"))


def test_the_recipe_names_what_there_is(built: Built) -> None:
    """Each COPY finds exactly one file for each architecture, what it installs is what the script needs, and the entry point is the command."""
    text = (CONTAINER / "Containerfile").read_text(encoding="utf-8")
    top = CONTAINER.parent.parent
    for pattern in re.findall(r"^COPY ((?!--from)\S+) ", text, re.MULTILINE):
        for architecture, name in (("amd64", "x86_64"), ("arm64", "aarch64")):
            wanted = pattern.replace("${TARGETARCH}", architecture)
            made = [f"dist/{built.deb(name).name}"]
            assert (top / wanted).is_file() or len(fnmatch.filter(made, wanted)) == 1, pattern
    assert set(WANTED) <= set(re.findall(r"[\w-]+", text.partition("--no-install-recommends")[2].partition("\n")[0]))
    assert 'ENTRYPOINT ["/usr/bin/eniagent"]' in text
    assert text.count("\nFROM ") == 2
    assert HERE in ("x86_64", "aarch64")
