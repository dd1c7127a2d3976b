"""However a run ends, nothing stays but whole bundles: killed, told to stop, the disk full, the disk near kubelet's threshold."""

from __future__ import annotations

import io
import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from eniagent.edge.bundle_place import Disk, DiskShort, eviction_threshold
from eniagent.model.capture import Capture, Circumstances
from tests.bundle.making import create, told
from tests.bundle.test_caps import log_lines, node_with
from tests.cli.command import PATH, SCRIPT, start


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A node with 60 MB of a log that packs badly: its bundle takes a while and some 25 MB."""
    path = tmp_path_factory.mktemp("large") / "node"
    return node_with(b"".join(log_lines(350_000, every=500)), path)


def names(directory: pathlib.Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def assert_whole(directory: pathlib.Path) -> None:
    """Nothing but archives with their digests, and each archive is the one its digest tells of."""
    found = names(directory)
    archives = [name for name in found if name.endswith(".tar.gz")]
    assert found == sorted([*archives, *(f"{name}.sha256" for name in archives)])
    for name in archives:
        subprocess.run(["sha256sum", "--quiet", "-c", f"{name}.sha256"], check=True, cwd=directory)


def test_killed_at_any_moment_it_leaves_nothing(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """kill -9 at moments spread over the run: no file appears before a bundle is whole, and the next run removes what there could be."""
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    environment = {"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(out)}
    begun = time.monotonic()
    assert create(out, "--from", str(large)).returncode == 0
    whole_s = time.monotonic() - begun
    for name in names(out):
        (out / name).unlink()
    chance = random.Random(7)
    for _ in range(8):
        process = start("bundle", "create", "--from", str(large), environment=environment)
        time.sleep(chance.uniform(0.1, whole_s * 1.05))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert [name for name in names(out) if not name.endswith((".tar.gz", ".sha256"))] == []
    (out / ".eniagent_x.tar.gz.99.part").write_bytes(b"half")
    (out / ".eniagent-abc.part").write_bytes(b"half")
    (out / "eniagent_i-1_20261125T141135Z_00000000.tar.gz.sha256").write_bytes(b"orphan")
    assert create(out, "--from", str(large)).returncode == 0
    assert_whole(out)
    assert len(names(out)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_it_cleans_up(number: signal.Signals, large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Exit code 143 or 130, and nothing is left, not even after the verdict was printed."""
    out = tmp_path / "out"
    out.mkdir(mode=0o700)
    process = start("bundle", "create", "--from", str(large), environment={"PATH": PATH, "ENIAGENT_BUNDLE_DIR": str(out)})
    assert process.stdout is not None and process.stdout.readline().startswith(b"ENIAGENT verdict")
    time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[number]
    assert names(out) == []


IN_A_SMALL_DISK = """
import json, os, pathlib, subprocess, sys
image, mount, left, words = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
subprocess.run(["mount", "-o", "loop", image, mount], check=True)
out = pathlib.Path(mount, "support")
out.mkdir(mode=0o700)
status = os.statvfs(mount)
with open(f"{mount}/ballast", "wb") as ballast:
    os.posix_fallocate(ballast.fileno(), 0, status.f_bavail * status.f_frsize - int(status.f_blocks * status.f_frsize * 0.15) - left)
ended = subprocess.run(words, env={"PATH": os.environ["PATH"], "ENIAGENT_BUNDLE_DIR": str(out)}, capture_output=True, cwd="/usr/bin")
status = os.statvfs(mount)
archives = [path.read_bytes().hex() for path in out.glob("*.tar.gz")]
print(json.dumps({
    "code": ended.returncode, "stdout": ended.stdout.decode(), "stderr": ended.stderr.decode(), "names": sorted(os.listdir(out)),
    "free": status.f_bavail / status.f_blocks, "archives": archives,
}))
subprocess.run(["umount", mount], check=True)
"""


class Ended(NamedTuple):
    """What became of a run on a small disk."""

    code: int
    stdout: str
    stderr: str
    names: list[str]
    free: float
    archives: list[str]

    @property
    def manifest(self) -> Any:
        """Of the only bundle."""
        (data,) = self.archives
        with tarfile.open(fileobj=io.BytesIO(bytes.fromhex(data)), mode="r:gz") as archive:
            content = next(archive.extractfile(member) for member in archive if member.name.endswith("/manifest.json"))
            assert content is not None
            return json.loads(content.read())


@pytest.fixture
def image(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A disk of 128 MB with an empty ext4 on it."""
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(path)], check=True)
    (tmp_path / "mount").mkdir()
    yield path


def on_a_small_disk(image: pathlib.Path, node: pathlib.Path, *, left: int) -> Ended:
    """`bundle create` into a disk on which so many bytes are left above kubelet's threshold and 5 %."""
    command = [sys.executable, "-c", IN_A_SMALL_DISK, str(image), str(image.parent / "mount"), str(left), SCRIPT, "bundle", "create", "--from", str(node)]
    ended = subprocess.run(["unshare", "--mount", *command], capture_output=True, check=True, env={"PATH": PATH}, timeout=120)
    return Ended(**json.loads(ended.stdout))


@pytest.mark.netns
def test_a_short_disk_gets_the_small_profile(large: pathlib.Path, image: pathlib.Path) -> None:
    """Room for `mini` alone: it is written, stdout and manifest say why, and the floor of threshold + 5 % holds."""
    found = on_a_small_disk(image, large, left=20 << 20)
    assert found.code == 0, found.stderr
    assert "profile=mini" in found.stdout and "no room for the profile case" in found.stdout
    assert found.manifest["profile"] == "mini" and "no room for the profile case" in found.manifest["notes"][0]
    assert found.free >= 0.15
    assert len(found.names) == 2


@pytest.mark.netns
def test_a_shorter_disk_gets_the_report_alone(large: pathlib.Path, image: pathlib.Path) -> None:
    """What nearly always fits is the report; it says that the captures are missing."""
    found = on_a_small_disk(image, large, left=1 << 20)
    assert found.code == 0, found.stderr
    assert "profile=report" in found.stdout
    assert found.manifest["members"][0]["path"] == "REPORT.txt" and found.manifest["incomplete"] == ["captures"]
    assert len(found.manifest["notes"]) == 2
    assert found.free >= 0.15


@pytest.mark.netns
def test_a_disk_at_its_floor_gets_nothing(large: pathlib.Path, image: pathlib.Path) -> None:
    """Exit code 7, said on stderr, and not a byte is left; the verdict was printed before."""
    found = on_a_small_disk(image, large, left=0)
    assert (found.code, found.names) == (7, [])
    assert found.stdout.startswith("ENIAGENT verdict=") and "make room" in found.stderr


def test_what_the_file_system_refuses_falls_back_too(large: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A write that fails half-way (here: files may not grow beyond 6 MB) costs the profile, not the bundle, and leaves nothing."""
    limit = 6 << 20
    ended = create(tmp_path / "out", "--from", str(large), preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert ended.returncode == 0, ended.stderr
    path, _, more = told(ended.stdout)
    assert "profile=mini" in more and b"files may not grow so large" in ended.stdout
    assert_whole(tmp_path / "out")
    assert os.stat(path).st_size <= 5_000_000


def seen(**files: str) -> dict[str, Capture]:
    found = {}
    for name, text in files.items():
        file = f"kubelet/{name.replace('__', '/').replace('_', '.')}"
        found[file] = Capture(Circumstances(probe="", file=file), text.encode())
    return found


@pytest.mark.parametrize(
    ("files", "threshold"),
    [
        ({}, "10%"),
        ({"config_json": '{"evictionHard": {"memory.available": "100Mi", "nodefs.available": "7%"}}'}, "7%"),
        ({"config_json": '{"evictionSoft": {"nodefs.available": "30%"}, "evictionHard": {"nodefs.available": "8Gi"}}'}, "8Gi"),
        ({"config": 'kind: KubeletConfiguration\nevictionHard:\n  memory.available: 100Mi\n  nodefs.available: "12%"\n'}, "12%"),
        ({"config_json": '{"evictionHard": {"nodefs.available": "7%"}}', "cmdline_txt": "kubelet\0--eviction-hard=memory.available<100Mi,nodefs.available<15%\0"}, "15%"),
        ({"config_json": '{"evictionHard": {"nodefs.available": "7%"}}', "config_json_d__20": '{"evictionHard": {"nodefs.available": "9%"}}'}, "9%"),
        ({"config_json": "not json"}, "10%"),
    ],
)
def test_kubelets_threshold_is_read(files: dict[str, str], threshold: str) -> None:
    """Flag over file, JSON or YAML, percent or quantity; kubelet's default where nothing is said."""
    assert eviction_threshold(seen(**files)) == threshold


def test_the_floor_is_threshold_and_five_percent(tmp_path: pathlib.Path) -> None:
    """In percent of the file system, or as a quantity; more than the room above it is refused."""
    status = os.statvfs(tmp_path)
    capacity = status.f_blocks * status.f_frsize
    assert Disk(str(tmp_path), threshold="10%").floor_bytes == int(capacity * 0.15)
    assert Disk(str(tmp_path), threshold="1Gi").floor_bytes == int((1 << 30) + capacity * 0.05)
    disk = Disk(str(tmp_path), threshold="0%")
    disk.require(1)
    with pytest.raises(DiskShort):
        disk.require(capacity)
