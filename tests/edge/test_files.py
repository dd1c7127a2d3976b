"""Files below a root: what is read, what is refused, and that nothing blocks or leads out."""

from __future__ import annotations

import json
import os
import pathlib

import pytest

from eniagent.edge.files import read_file, read_files, read_sysctls
from eniagent.edge.rooted import resolve
from eniagent.model.probe import ReadFile, ReadFiles, ReadSysctls
from eniagent.model.reading import Why
from tests.edge.conftest import unprivileged


def file_of(path: str, **limits: int) -> ReadFile:
    """A look at one file."""
    return ReadFile(file="kubelet/config.json", path=path, **limits)


def test_a_file_is_read_below_the_root(tmp_path: pathlib.Path) -> None:
    """The host's path is looked for below the root and nowhere else."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/hostname").write_bytes(b"node\n")
    capture = read_file(file_of("/etc/hostname"), root=str(tmp_path))
    assert capture.body() == b"node\n"
    assert read_file(file_of("/etc/passwd"), root=str(tmp_path)).about.failure is Why.NOT_INSTALLED


def test_links_are_followed_inside_the_root_only(tmp_path: pathlib.Path) -> None:
    """`/var/run -> /run` and `../..` mean the host's own directories, not those of the machine that looks."""
    (tmp_path / "var").mkdir()
    (tmp_path / "run/aws-node").mkdir(parents=True)
    (tmp_path / "run/aws-node/ipam.json").write_bytes(b"{}")
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "escape").symlink_to("../../../../../../etc")
    root = str(tmp_path)
    assert read_file(file_of("/var/run/aws-node/ipam.json"), root=root).body() == b"{}"
    assert read_file(file_of("/escape/passwd"), root=root).about.failure is Why.NOT_INSTALLED
    assert resolve("/../../etc/passwd", root=root) == f"{root}/etc/passwd"


def test_a_loop_of_links_ends(tmp_path: pathlib.Path) -> None:
    """Links that lead to each other are told as malformed."""
    (tmp_path / "a").symlink_to("/b")
    (tmp_path / "b").symlink_to("/a")
    assert read_file(file_of("/a"), root=str(tmp_path)).about.failure is Why.MALFORMED


def test_what_is_no_regular_file_is_never_opened(tmp_path: pathlib.Path) -> None:
    """A FIFO without a writer, a device and a directory are told as such, at once."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    for name in ("fifo", "directory"):
        assert read_file(file_of(f"/{name}"), root=str(tmp_path)).about.failure is Why.MALFORMED
    assert read_file(file_of("/dev/zero"), root="/").about.failure is Why.MALFORMED


def test_a_file_without_right_is_forbidden(tmp_path: pathlib.Path) -> None:
    """A missing right is told apart from a missing file."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "secret").chmod(0)
    for directory in (tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)
    with unprivileged():
        assert read_file(file_of(f"{tmp_path}/secret"), root="/").about.failure is Why.FORBIDDEN
        assert read_file(file_of(f"{tmp_path}/none"), root="/").about.failure is Why.NOT_INSTALLED


def test_a_file_over_its_limit_is_truncated_and_a_tail_is_not(tmp_path: pathlib.Path) -> None:
    """The limit keeps the beginning and says so; a tail was asked for and is whole."""
    (tmp_path / "long").write_bytes(b"0123456789")
    over = read_file(file_of("/long", limit_bytes=4), root=str(tmp_path))
    assert (over.about.failure, over.about.truncated, over.body()) == (Why.TRUNCATED, True, b"0123")
    tail = read_file(file_of("/long", tail_bytes=3), root=str(tmp_path))
    assert (tail.about.failure, tail.about.truncated, tail.body()) == (None, False, b"789")


def test_a_glob_gives_each_file_under_its_name(tmp_path: pathlib.Path) -> None:
    """Every match becomes `directory/<name>`; one that fails does not cost the others."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run/ipam.json").write_bytes(b"{}")
    (tmp_path / "run/ipam-nic-1.json").write_bytes(b"[]")
    os.mkfifo(tmp_path / "run/ipam-nic-2.json")
    found = read_files(ReadFiles(directory="ipamd/checkpoint", pattern="/run/ipam*.json"), root=str(tmp_path))
    assert set(found) == {f"ipamd/checkpoint/{name}.json" for name in ("ipam", "ipam-nic-1", "ipam-nic-2")}
    assert found["ipamd/checkpoint/ipam.json"].body() == b"{}"
    assert found["ipamd/checkpoint/ipam-nic-2.json"].about.failure is Why.MALFORMED


def test_a_glob_without_match_says_so(tmp_path: pathlib.Path) -> None:
    """No file is a fact with a reason, not silence."""
    found = read_files(ReadFiles(directory="ipamd/checkpoint", pattern="/run/ipam*.json"), root=str(tmp_path))
    assert [capture.about.failure for capture in found.values()] == [Why.NOT_INSTALLED]


def test_names_alone_are_listed_without_reading(tmp_path: pathlib.Path) -> None:
    """A listing names what is there; an empty directory is an empty list, a missing one is not installed."""
    look = ReadFiles(directory="cni/bin.json", pattern="/opt/cni/bin/*", names_only=True)
    assert read_files(look, root=str(tmp_path))["cni/bin.json"].about.failure is Why.NOT_INSTALLED
    (tmp_path / "opt/cni/bin").mkdir(parents=True)
    assert read_files(look, root=str(tmp_path))["cni/bin.json"].body() == b"[]"
    os.mkfifo(tmp_path / "opt/cni/bin/aws-cni")
    assert json.loads(read_files(look, root=str(tmp_path))["cni/bin.json"].body()) == ["aws-cni"]


def test_kernel_settings_are_values_by_path() -> None:
    """The running kernel's own values come back, with interfaces expanded."""
    capture = read_sysctls(ReadSysctls(file="host/sysctl.json", patterns=("net/ipv4/conf/*/rp_filter", "net/ipv4/ip_forward")), root="/")
    values = json.loads(capture.body())
    assert values["net/ipv4/ip_forward"] == pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text().strip()
    assert {"net/ipv4/conf/all/rp_filter", "net/ipv4/conf/lo/rp_filter"} <= set(values)


def test_no_kernel_setting_is_no_empty_answer(tmp_path: pathlib.Path) -> None:
    """Where nothing matches the look failed."""
    capture = read_sysctls(ReadSysctls(file="host/sysctl.json", patterns=("net/ipv4/ip_forward",)), root=str(tmp_path))
    assert capture.about.failure is Why.NOT_INSTALLED


@pytest.mark.parametrize("pattern", ["/etc/*", "/etc/host*", "/etc/hostname"])
def test_globs_below_a_root_equal_globs_of_the_host(pattern: str) -> None:
    """Own globbing finds what the standard library finds where there is no root to mind."""
    import glob

    from eniagent.edge.rooted import matches

    assert matches(pattern, root="/") == sorted(glob.glob(pattern))
