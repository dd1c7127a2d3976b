"""The deb and the rpm in real trees of Debian 12 (Python 3.11) and 11 (3.9): installed, used, upgraded, removed, purged.

Debian 11 stands in for Amazon Linux 2023: the same Python, an older glibc. Its rpm database is this machine's rpm's.
"""

from __future__ import annotations

import hashlib
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from tests import trees
from tests.packaging.conftest import Built, run
from tools.package import tree
from tools.package.wheels import version

pytestmark = [pytest.mark.packages, pytest.mark.nspawn]

PYTHONS = {"bookworm": "cp311", "bullseye": "cp39"}
CONFIG = "etc/eniagent/config.toml"
IGNORED = ("var/lib/dpkg/", "var/log/dpkg.log", "var/lib/rpm/", "tmp/", "var/cache/ldconfig/")
"""The package managers' own books."""


@pytest.fixture(params=sorted(PYTHONS))
def root(request: pytest.FixtureRequest) -> Iterator[pathlib.Path]:
    """A throw-away system of a release."""
    with trees.layer(trees.kept_tree(request.param)) as layer:
        (layer / "tmp").chmod(0o1777)
        yield layer


@pytest.fixture
def tag(root: pathlib.Path) -> str:
    """The interpreter that the system has."""
    return inside(root, "/usr/bin/python3", "-c", "import sys; print('cp%d%d' % sys.version_info[:2])").strip()


def inside(root: pathlib.Path, *words: str, check: bool = True) -> str:
    """stdout of a command run in the system, in namespaces of its own with a /proc."""
    done = run("unshare", "--mount", "--pid", "--fork", "--propagation", "private", f"--root={root}", "--mount-proc", *words, check=check)
    return done.stdout


def dpkg(root: pathlib.Path, *words: str) -> str:
    """dpkg in the system, answering every question about a configuration file as dpkg does by itself."""
    return inside(root, "env", "DEBIAN_FRONTEND=noninteractive", "dpkg", "--force-confold", "--force-depends", *words)


def rpm(root: pathlib.Path, *words: object) -> str:
    """This machine's rpm on the system's tree; its packages are Debian's, so none of what is required can be found."""
    careless = [] if words[0] == "-q" else ["--nodeps"]
    return run("rpm", f"--root={root}", "--dbpath=/var/lib/rpm", *words, *careless).stdout


def held(root: pathlib.Path) -> dict[str, str]:
    """Path -> what it is: the digest, the link or the mode of everything in the system but the package managers' books."""
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if name.startswith(("proc/", "sys/", "dev/", *IGNORED)):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.is_dir():
            found[name] = oct(path.stat().st_mode)
    return found


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """The paths that differ."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def works(root: pathlib.Path, tag: str) -> None:
    """The command answers, does its main job, and writes nothing into its own tree."""
    own = {name: what for name, what in held(root).items() if name.startswith("opt/eniagent")}
    assert inside(root, "env", "-i", "/usr/bin/eniagent", "--version") == f"eniagent {version()}\n"
    shown = inside(root, "env", "-i", "PATH=/usr/bin:/bin:/usr/sbin:/sbin", "/usr/bin/eniagent", "--quiet", "demo")
    assert shown.startswith("ENIAGENT verdict=critical cause=subnet-exhausted ")
    assert "the configuration is sound" in inside(root, "/usr/bin/eniagent", "config", "check")
    assert own == {name: what for name, what in held(root).items() if name.startswith("opt/eniagent")}
    compiled = [name for name in own if name.endswith(".pyc")]
    assert compiled, "not compiled: every start would compile anew"
    assert {name.split("/")[3] for name in compiled} == {"common", tag}, "compiled for this system's Python alone"


def enabled(root: pathlib.Path) -> list[str]:
    """Links below /etc/systemd that lead to our units."""
    return [str(path) for path in (root / "etc/systemd").rglob("*") if path.is_symlink() and "eniagent" in str(path.readlink())]


def test_deb(root: pathlib.Path, tag: str, built: Built) -> None:
    """Install, use, upgrade with a changed configuration, remove, purge: works each time, enables nothing, leaves nothing."""
    before = held(root)
    for release in (1, 2):
        shutil.copy(built.deb(release=release), root / "tmp")
    dpkg(root, "--install", f"/tmp/{built.deb().name}")
    works(root, tag)
    assert not enabled(root)
    own = root / CONFIG
    own.write_text('since_s = "2h"\n', encoding="ascii")
    gone = root / "opt/eniagent/lib/common/eniagent/__pycache__/of_a_former_release.cpython-3x.pyc"
    gone.write_bytes(b"")
    dpkg(root, "--install", f"/tmp/{built.deb(release=2).name}")
    assert f"{version()}-2" in dpkg(root, "--status", "eniagent")
    assert own.read_text(encoding="ascii") == 'since_s = "2h"\n'
    assert not gone.exists()
    works(root, tag)
    dpkg(root, "--remove", "eniagent")
    assert own.exists()
    assert not (root / "opt/eniagent").exists()
    assert not (root / "usr/bin/eniagent").is_symlink()
    _as_if_used(root)
    dpkg(root, "--purge", "eniagent")
    left = {name for name in changed(before, held(root)) if not _allowed(name)}
    assert not left


def _as_if_used(root: pathlib.Path) -> None:
    """What a daemon leaves on a node."""
    for place in ("var/lib/eniagent/redact", "var/log/support", "run/eniagent"):
        (root / place).mkdir(parents=True, exist_ok=True)
    (root / "var/lib/eniagent/history.sqlite").write_bytes(b"x")
    (root / "var/log/support/eniagent_i-1_20260101T000000Z_0a1b2c3d.tar.gz").write_bytes(b"x")
    (root / "var/log/support/eks-log-collector.tar.gz").write_bytes(b"x")


def _allowed(name: str) -> bool:
    """What may differ: directories that the purge empties but shares with others, another tool's file, and books about users."""
    books = ("etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/subuid", "etc/subgid", "etc/.pwd.lock", "var/log/lastlog", "var/log/faillog")
    shared = ("var/log/support", "var/log/support/eks-log-collector.tar.gz", "var/cache/ldconfig", "opt", "tmp", "run", "etc", "var/lib", "var/lib/rpm", "var/log")
    return name in shared or name.startswith(books)


def test_purge_leaves_no_user_but_shared_files(built: Built) -> None:
    """Purging removes the user that the package made, and never another tool's archive beside our bundles."""
    with trees.layer(trees.kept_tree("bookworm")) as root:
        shutil.copy(built.deb(), root / "tmp")
        dpkg(root, "--install", f"/tmp/{built.deb().name}")
        inside(root, "sh", "-c", "getent passwd eniagent >/dev/null || useradd --system --home-dir / eniagent")
        _as_if_used(root)
        dpkg(root, "--purge", "eniagent")
        assert "eniagent" not in (root / "etc/passwd").read_text(encoding="utf-8")
        assert "eniagent" not in (root / "etc/group").read_text(encoding="utf-8")
        assert (root / "var/log/support/eks-log-collector.tar.gz").exists()


def test_rpm(built: Built) -> None:
    """The same for the rpm on Python 3.9, as on Amazon Linux 2023; its configuration and state stay, as rpm's habit is."""
    with trees.layer(trees.kept_tree("bullseye")) as root:
        before = held(root)
        rpm(root, "-i", built.rpm())
        works(root, "cp39")
        assert not enabled(root)
        own = root / CONFIG
        own.write_text('since_s = "2h"\n', encoding="ascii")
        former = root / "opt/eniagent/lib/common/eniagent/former/__pycache__"
        former.mkdir(parents=True)
        (former / "x.cpython-39.pyc").write_bytes(b"")
        rpm(root, "-U", built.rpm(release=2))
        assert rpm(root, "-q", "eniagent").strip() == f"eniagent-{version()}-2.{built.rpm().name.split('.')[-2]}"
        assert own.read_text(encoding="ascii") == 'since_s = "2h"\n'
        assert not former.parent.exists()
        works(root, "cp39")
        _as_if_used(root)
        rpm(root, "-e", "eniagent")
        assert not (root / "opt/eniagent").exists()
        assert (root / "etc/eniagent/config.toml.rpmsave").exists()
        assert (root / "var/lib/eniagent/history.sqlite").exists()
        left = {name for name in changed(before, held(root)) if not _allowed(name)}
        assert {name for name in left if not name.startswith(("var/lib/eniagent", "etc/eniagent", "run/eniagent", "var/log/support/eniagent_"))} == set()


def test_units_are_where_systemd_looks(built: Built) -> None:
    """Every unit of the checkout is installed, passes systemd's own check with the command in place, and none is enabled."""
    with trees.layer(trees.kept_tree("bookworm")) as root:
        shutil.copy(built.deb(), root / "tmp")
        dpkg(root, "--install", f"/tmp/{built.deb().name}")
        for source, target in tree.systemd_files("lib/systemd/system"):
            assert (root / target).read_bytes() == source.read_bytes()
        for unit in tree.unit_names():
            told = run("unshare", "--mount", "--pid", "--fork", f"--root={root}", "--mount-proc", "systemd-analyze", "verify", "--man=no", unit, check=False)
            assert unit not in told.stderr, told.stderr
        assert not enabled(root)


def test_the_pages(built: Built) -> None:
    """man formats the page without a warning, and the completion offers commands, options and values."""
    with trees.layer(trees.kept_tree("bookworm")) as root:
        shutil.copy(built.deb(), root / "tmp")
        dpkg(root, "--install", f"/tmp/{built.deb().name}")
        page = run("sh", "-c", f"zcat {root}/usr/share/man/man1/eniagent.1.gz").stdout
        assert page.startswith('.TH ENIAGENT 1 "')
        script = 'source /usr/share/bash-completion/completions/eniagent; COMP_WORDS=(eniagent {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _eniagent; echo "${{COMPREPLY[@]}}"'
        for typed, offered in (("dia", "diagnose"), ("diagnose --form", "--format"), ("diagnose --format j", "json"), ("config s", "show"), ("--log-format c", "console")):
            assert inside(root, "bash", "-c", script.format(typed)).strip() == offered
