"""What the packages hold: exactly the locked libraries, the product's own files, licences; nothing for tests, nothing compiled here."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import pathlib
import re
import subprocess
import zipfile

import pytest

from tests.packaging.conftest import Built, run
from tools.package import locks, tree
from tools.package.licences import licence
from tools.package.wheels import stored, version

pytestmark = [pytest.mark.packages]

MESS = re.compile(r"__pycache__|\.py[co]$|/tests?/|/testdata/|conftest\.py|\.pyi$|\.orig$|~$|/\.git")
ELSEWHERE = {
    "etc/eniagent/config.toml",
    "opt/eniagent/bin/eniagent",
    "usr/bin/eniagent",
    "usr/share/bash-completion/completions/eniagent",
    "usr/share/man/man1/eniagent.1.gz",
}
DOCS = {
    "deb": {"usr/share/doc/eniagent/copyright", "usr/share/doc/eniagent/changelog.gz", "usr/share/doc/eniagent/changelog.Debian.gz", "usr/share/lintian/overrides/eniagent"},
    "rpm": {"usr/share/doc/eniagent/copyright", "usr/share/doc/eniagent/CHANGELOG.md"},
}
TAGS = {"deb": locks.TAGS, "rpm": ("cp39",)}


@pytest.fixture(scope="module", params=[(kind, architecture) for kind in ("deb", "rpm") for architecture in locks.ARCHITECTURES], ids="-".join)
def laid(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, pathlib.Path]:
    """Kind, architecture and the unpacked files of a package."""
    kind, architecture = request.param
    place = tmp_path_factory.mktemp("laid")
    if kind == "deb":
        run("dpkg-deb", "-x", built.deb(architecture), place)
    else:
        archive = subprocess.run(["rpm2cpio", str(built.rpm(architecture))], check=True, stdout=subprocess.PIPE).stdout
        subprocess.run(["cpio", "-idm", "--quiet", "--no-absolute-filenames"], input=archive, cwd=place, check=True)
    return kind, architecture, place


def names(place: pathlib.Path) -> set[str]:
    """Every file below a root."""
    return {str(path.relative_to(place)) for path in tree.files(place)}


def test_nothing_but_what_belongs(laid: tuple[str, str, pathlib.Path]) -> None:
    """Outside the libraries stand only the files named here and what systemd/ holds; nowhere tests, compiled files or leftovers."""
    kind, _, place = laid
    found = names(place)
    assert not [name for name in found if MESS.search(f"/{name}")]
    units = "lib/systemd/system" if kind == "deb" else "usr/lib/systemd/system"
    belongs = ELSEWHERE | DOCS[kind] | {target for _, target in tree.systemd_files(units)}
    assert {name for name in found if not name.startswith("opt/eniagent/lib/")} == belongs


def test_libraries_are_the_locked_ones_byte_for_byte(laid: tuple[str, str, pathlib.Path], built: Built) -> None:
    """Every library of each interpreter is there, each file with the digest that its own wheel's RECORD tells."""
    kind, architecture, place = laid
    lib = place / "opt/eniagent/lib"
    own = next((built.work / "own").glob("*.whl"))
    told: set[pathlib.Path] = set()
    for tag in TAGS[kind]:
        for wheel in [own, *(built.work / "wheels" / wheel.file for wheel in locks.pick(tag, architecture))]:
            home = next(side for side in (lib / tag, lib / "common") if (side / _info(wheel)).is_dir())
            told |= _check_record(wheel, home)
    assert {path for path in lib.rglob("*") if path.is_file()} == told


def _info(wheel: pathlib.Path) -> str:
    return "-".join(wheel.name.split("-")[:2]) + ".dist-info"


def _check_record(wheel: pathlib.Path, home: pathlib.Path) -> set[pathlib.Path]:
    """The files of a wheel that are laid out at `home`, after their digests were compared."""
    found = set()
    with zipfile.ZipFile(wheel) as archive:
        record = archive.read(f"{_info(wheel)}/RECORD").decode()
    for name, digest, _ in csv.reader(io.StringIO(record)):
        path = home / name
        if digest and path.is_file():
            plain = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            assert digest == f"sha256={plain}", path
            found.add(path)
        elif digest:
            assert re.search(r"/tests/|\.pyi$|\.p(yx|xd)$|\.[ch]$", name), f"{name} is missing"
    return found


def test_the_demo_comes_along(laid: tuple[str, str, pathlib.Path]) -> None:
    """The demo's recordings and the data that rules read are product data."""
    _, _, place = laid
    package = place / "opt/eniagent/lib/common/eniagent"
    assert len(list((package / "demo/recordings").glob("*.tar.xz"))) >= 5
    assert (package / "knowledge/instance_limits.tsv").stat().st_size > 10_000
    assert (package / "report/diagnosis.schema.json").is_file()


def test_licences_of_all_that_is_carried(laid: tuple[str, str, pathlib.Path], built: Built) -> None:
    """Each library's licence is named in the copyright file, and its text is in the package."""
    kind, architecture, place = laid
    text = (place / "usr/share/doc/eniagent/copyright").read_text(encoding="utf-8")
    for tag in TAGS[kind]:
        for locked in locks.pick(tag, architecture):
            wheel = stored(locked, built.work / "wheels")
            assert f"{locked.name} {locked.version}, {licence(wheel)}" in text
            assert wheel.licences, f"{locked.file} brings no licence"


def test_modes_and_owners(built: Built) -> None:
    """All is root's, nobody else may write any of it, and only the launcher can be executed."""
    listing = run("dpkg-deb", "-c", built.deb()).stdout.splitlines()
    assert len(listing) > 300
    for line in listing:
        mode, owner, *_ = line.split()
        assert owner == "root/root"
        assert mode in ("drwxr-xr-x", "-rw-r--r--", "lrwxrwxrwx") or (mode == "-rwxr-xr-x" and line.endswith("./opt/eniagent/bin/eniagent")), line


def test_configuration_is_kept(built: Built) -> None:
    """Both families treat the configuration as the administrator's."""
    assert run("dpkg-deb", "-f", built.deb(), "Conffiles").stdout.strip() == ""
    control = run("dpkg-deb", "--ctrl-tarfile", built.deb(), environment={"PATH": "/usr/bin:/bin"}, check=False)
    assert control.returncode == 0
    assert run("dpkg-deb", "-I", built.deb(), "conffiles").stdout.split() == ["/etc/eniagent/config.toml"]
    assert run("rpm", "-qp", "--configfiles", built.rpm()).stdout.split() == ["/etc/eniagent/config.toml"]
    flags = run("rpm", "-qp", "--qf", "[%{filenames} %{fileflags:fflags}\n]", built.rpm()).stdout
    assert "/etc/eniagent/config.toml cn\n" in flags


@pytest.mark.parametrize("architecture", locks.ARCHITECTURES)
def test_the_packages_say_what_they_need(built: Built, architecture: str) -> None:
    """Version from the one place, the architecture in each family's words, and only dependencies that a stock node has."""
    fields = run("dpkg-deb", "-f", built.deb(architecture), "Version", "Architecture", "Depends").stdout
    assert fields == (
        f"Version: {version()}-1\nArchitecture: {'amd64' if architecture == 'x86_64' else 'arm64'}\n"
        "Depends: python3 (>= 3.9), python3 (<< 3.14), libc6 (>= 2.28)\n"
    )
    asked = set(run("rpm", "-qp", "--requires", built.rpm(architecture)).stdout.splitlines())
    ours = {line for line in asked if not line.startswith("rpmlib(")}
    assert ours == {"/bin/sh", "/usr/bin/python3", "glibc >= 2.28", "iproute", "python(abi) = 3.9", "systemd"}
    assert run("rpm", "-qp", "--qf", "%{version} %{arch}", built.rpm(architecture)).stdout == f"{version()} {architecture}"


def test_the_one_file_holds_the_locked_wheels(built: Built) -> None:
    """Sets for each interpreter and architecture, every wheel once and byte for byte, and no more than the stub beside them."""
    with zipfile.ZipFile(built.pyz) as archive:
        members = set(archive.namelist())
        expected = {f"sets/{tag}-{architecture}" for tag in locks.TAGS for architecture in locks.ARCHITECTURES}
        files = {wheel.file: wheel.sha256 for tag in locks.TAGS for wheel in locks.read(tag)}
        own = next((built.work / "own").glob("*.whl")).name
        stub = {"__main__.py", "zipapp_door.py", "zipapp_boot.py", "zipapp_unpack.py", "LICENSE"}
        assert members == expected | {f"wheels/{file}" for file in [*files, own]} | stub
        for file, digest in files.items():
            assert hashlib.sha256(archive.read(f"wheels/{file}")).hexdigest() == digest
    assert built.pyz.stat().st_size < 20_000_000
