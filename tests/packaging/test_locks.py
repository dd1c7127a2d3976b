"""The locks: whole, fit for every supported machine, and as `pyproject.toml` allows."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement

from tools.package import locks

if sys.version_info >= (3, 11):
    import tomllib as toml
else:
    import tomli as toml


def wanted(top: pathlib.Path) -> list[Requirement]:
    """What the project says that it needs at run time."""
    return [Requirement(line) for line in toml.loads((top / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]]


@pytest.mark.parametrize("tag", locks.TAGS)
def test_a_lock_satisfies_the_project(top: pathlib.Path, tag: str) -> None:
    """Each library that the project needs on an interpreter is locked for it, at a release that the project allows."""
    held = {wheel.name: wheel.version for wheel in locks.read(tag)}
    version = f"{tag[2]}.{tag[3:]}"
    for requirement in wanted(top):
        if requirement.marker is None or requirement.marker.evaluate({"python_version": version, "python_full_version": f"{version}.0"}):
            name = re.sub(r"[-_.]+", "-", requirement.name).lower()
            assert name in held, f"{name} is not locked for {tag}"
            assert requirement.specifier.contains(held[name]), f"{name} {held[name]} in {tag}"


@pytest.mark.parametrize("tag", locks.TAGS)
def test_a_lock_serves_both_architectures_alike(tag: str) -> None:
    """x86_64 and arm64 get the same releases, each library exactly once, as wheels that the oldest supported glibc runs."""
    sides = [{wheel.name: wheel.version for wheel in locks.pick(tag, architecture)} for architecture in locks.ARCHITECTURES]
    assert sides[0] == sides[1]
    for architecture in locks.ARCHITECTURES:
        wheels = locks.pick(tag, architecture)
        assert len(wheels) == len({wheel.name for wheel in wheels})
        for wheel in wheels:
            if not wheel.pure:
                assert re.search(rf"-({tag}-{tag}|cp3[0-9]+-abi3)-", wheel.file), wheel.file
                minors = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)_", wheel.file)] + [17] * ("manylinux2014" in wheel.file)
                assert min(minors) <= locks.GLIBC[1]


@pytest.mark.parametrize("tag", [*locks.TAGS, "build"])
def test_a_lock_is_what_its_maker_writes(tag: str) -> None:
    """Reading and writing a lock gives the same text: files, digests and pins agree, and nothing else stands in it."""
    assert locks.render(tag, locks.read(tag)) == (locks.LOCKS / f"{tag}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", locks.TAGS)
def test_what_is_not_carried_is_not_locked(tag: str) -> None:
    """Libraries that the agent never uses are in no set."""
    assert not {wheel.name for wheel in locks.read(tag)} & set(locks.NOT_CARRIED)


def test_a_wheel_of_another_content_is_refused(tmp_path: pathlib.Path) -> None:
    """A file with the right name and the wrong bytes counts as missing."""
    wheel = locks.pick("cp39", "x86_64")[0]
    (tmp_path / wheel.file).write_bytes(b"PK\x05\x06")
    assert locks._missing([wheel], tmp_path)
