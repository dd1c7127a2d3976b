"""The packages under the distributions' own checkers, built twice, and their bill of materials."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from tests.packaging.conftest import HERE, Built, run
from tools.package import locks
from tools.package.licences import licence
from tools.package.wheels import source_date_epoch, stored, version

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.mark.packages
def test_lintian(built: Built) -> None:
    """lintian finds nothing but what the overrides explain. The other architecture's deb differs in compiled libraries alone."""
    told = run("lintian", "--allow-root", "--fail-on", "error,warning,info", built.deb(), timeout_s=300, check=False)
    assert (told.returncode, told.stdout) == (0, "")


@pytest.mark.packages
@pytest.mark.parametrize("architecture", locks.ARCHITECTURES)
def test_rpmlint(built: Built, architecture: str) -> None:
    """rpmlint finds nothing but what the filters explain."""
    told = run("rpmlint", "-c", TOP / "packaging/rpm/rpmlint.toml", built.rpm(architecture), check=False)
    assert told.returncode == 0, told.stdout
    assert " 0 errors, 0 warnings" in told.stdout


@pytest.mark.packages
def test_every_override_is_explained() -> None:
    """Each override and each filter stands below a line that says why."""
    for file, is_rule in (("deb/lintian-overrides", "eniagent: "), ("rpm/rpmlint.toml", '    "')):
        explained = False
        for line in (TOP / "packaging" / file).read_text(encoding="utf-8").splitlines():
            if line.startswith(is_rule):
                assert explained, f"{file}: {line}"
            else:
                explained = line.lstrip().startswith("# ")


@pytest.mark.packages
def test_two_builds_give_the_same_bytes(built: Built, store: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Another directory, umask, time zone, language and moment: the same bytes."""
    work = tmp_path / "elsewhere"
    work.mkdir()
    (work / "wheels").symlink_to(store)
    environment = {
        **os.environ,
        "SOURCE_DATE_EPOCH": str(source_date_epoch()),
        "TZ": "Asia/Kathmandu",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "7",
    }
    words = [sys.executable, "-m", "tools.package", "build", "--target", str(tmp_path / "out"), "--work", str(work), "--architecture", HERE]
    subprocess.run(["sh", "-c", 'umask 077; exec "$@"', "sh", *words], cwd=TOP, env=environment, check=True, stdout=subprocess.DEVNULL)
    again = sorted((tmp_path / "out").iterdir())
    assert len(again) == 5
    for path in again:
        if path.name != "SHA256SUMS":
            first, second = ((place / path.name).read_bytes() for place in (built.directory, tmp_path / "out"))
            assert hashlib.sha256(first).hexdigest() == hashlib.sha256(second).hexdigest(), path.name


@pytest.mark.packages
def test_digests_of_what_was_built(built: Built) -> None:
    """SHA256SUMS names every file that the build made, with its digest."""
    lines = (built.directory / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    told = {name: digest for digest, name in (line.split("  ") for line in lines)}
    names = {built.pyz.name, built.sbom.name, *(made(architecture).name for made in (built.deb, built.rpm) for architecture in locks.ARCHITECTURES)}
    assert set(told) == names
    for name, digest in told.items():
        assert hashlib.sha256((built.directory / name).read_bytes()).hexdigest() == digest


@pytest.mark.packages
def test_the_bill_of_materials_is_valid(built: Built) -> None:
    """CycloneDX's own schema takes it."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_5).validate_str(built.sbom.read_text(encoding="utf-8")) is None


@pytest.mark.packages
def test_the_bill_of_materials_is_whole(built: Built) -> None:
    """Each locked wheel stands in it with its digest and licence, and nothing else does."""
    bom: dict[str, Any] = json.loads(built.sbom.read_text(encoding="utf-8"))
    assert bom["metadata"]["component"]["version"] == version()
    told = {
        component["bom-ref"]: (component["hashes"][0]["content"], component["licenses"][0].get("expression") or component["licenses"][0]["license"]["id"])
        for component in bom["components"]
    }
    locked = {wheel for tag in locks.TAGS for wheel in locks.read(tag)}
    assert told == {wheel.file: (wheel.sha256, licence(stored(wheel, built.work / "wheels"))) for wheel in locked}


def test_the_version_is_said_once() -> None:
    """No file but eniagent/__init__.py says the version of the packages."""
    places = [*(TOP / "packaging").rglob("*"), *(TOP / "tools/package").rglob("*.py"), TOP / "pyproject.toml"]
    said = [str(path) for path in places if path.is_file() and path.parent.name != "locks" and f'"{version()}"' in path.read_text(encoding="utf-8", errors="replace")]
    assert not said
