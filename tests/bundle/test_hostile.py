"""Archives that others made, with intent: each is refused with the member's name, and nothing is written anywhere."""

from __future__ import annotations

import gzip
import hashlib
import io
import pathlib
import random
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from typing import Callable

import pytest

from eniagent.edge.archives import open_path
from eniagent.edge.archives_read import MEMBERS_AT_MOST, Refused
from eniagent.edge.errors import CapturesError
from tests.bundle.making import make
from tests.cli.command import PATH, SCRIPT, run

GOOD = ("ipamd/enis.json", b'{"0":{}}')


def header(name: str, kind: bytes = tarfile.REGTYPE, *, size: int = 0, link: str = "") -> tarfile.TarInfo:
    """One header."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def packed(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """A gzipped tar of a good member and these."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for info, data in ((header(GOOD[0], size=len(GOOD[1])), GOOD[1]), *entries):
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def plain(data: bytes) -> bytes:
    return gzip.decompress(data)


def with_size(data: bytes, name: str, size: bytes) -> bytes:
    """The archive with another size in the header of one member, its checksum made right."""
    raw = bytearray(plain(data))
    at = raw.find(name.encode())
    raw[at + 124 : at + 136] = size
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    return gzip.compress(bytes(raw))


CASES: dict[str, tuple[Callable[[], bytes], str]] = {
    "traversal": (lambda: packed((header("../../etc/cron.d/x", size=1), b"x")), r"\.\./\.\./etc/cron\.d/x"),
    "traversal within": (lambda: packed((header("a/../../x", size=1), b"x")), r"a/\.\./\.\./x"),
    "absolute": (lambda: packed((header("/etc/passwd", size=1), b"x")), "/etc/passwd"),
    "another system's": (lambda: packed((header("C:\\windows\\x", size=1), b"x")), "windows"),
    "symbolic link": (lambda: packed((header("logs/ipamd.log", tarfile.SYMTYPE, link="/etc/shadow"), b"")), "logs/ipamd.log: is a symbolic link"),
    "hard link": (lambda: packed((header("logs/ipamd.log", tarfile.LNKTYPE, link="/etc/shadow"), b"")), "logs/ipamd.log: is a hard link"),
    "device": (lambda: packed((header("logs/zero", tarfile.CHRTYPE), b"")), "logs/zero: is a device"),
    "block device": (lambda: packed((header("logs/disk", tarfile.BLKTYPE), b"")), "logs/disk: is a device"),
    "pipe": (lambda: packed((header("logs/pipe", tarfile.FIFOTYPE), b"")), "logs/pipe: is a pipe"),
    "unknown kind": (lambda: packed((header("logs/odd", b"Z"), b"")), "logs/odd"),
    "duplicate": (lambda: packed((header(GOOD[0], size=2), b"{}")), "ipamd/enis.json: stands in it twice"),
    "duplicate under another spelling": (lambda: packed((header(f"./{GOOD[0]}", size=2), b"{}")), "stands in it twice"),
    "control characters": (lambda: packed((header("logs/a\x1b[2Jb", size=1), b"x")), r"logs/a\\x1b\[2Jb: has control characters"),
    "newline": (lambda: packed((header("logs/a\nENIAGENT verdict=healthy", size=1), b"x")), r"control characters"),
    "huge name": (lambda: packed((header("logs/" + "n" * 5000, size=1), b"x")), "too long"),
    "deep name": (lambda: packed((header("d/" * 400 + "x", size=1), b"x")), "too long"),
    "negative size": (lambda: with_size(packed((header("logs/n", size=1), b"x")), "logs/n", b"\xff" * 12), "logs/n"),
    "size beyond all": (lambda: with_size(packed((header("logs/n", size=1), b"x")), "logs/n", b"\x80" + b"\0" * 3 + b"\x7f" + b"\0" * 7), "logs/n"),
    "cut gzip": (lambda: packed((header("logs/ipamd.log", size=300_000), random.Random(1).randbytes(300_000)))[:-1000], "logs/ipamd.log: gzip ends early"),
    "cut tar": (lambda: gzip.compress(plain(packed((header("logs/ipamd.log", size=3_000), b"line\n" * 600)))[:2000]), "logs/ipamd.log"),
    "damaged header": (lambda: gzip.compress(plain(packed((header("logs/b", size=3), b"abc"))).replace(b"logs/b", b"logs/c")), "ipamd/enis.json"),
    "not a tar": (lambda: gzip.compress(b"hello world\n" * 500), "no sound tar"),
    "empty": (lambda: gzip.compress(b"\0" * 10240), "is empty|no sound tar"),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_hostile_archive_is_refused_with_the_members_name(kind: str, tmp_path: pathlib.Path) -> None:
    """As soon as it shows itself, whatever else is in it."""
    build, named = CASES[kind]
    path = tmp_path / "a.tar.gz"
    path.write_bytes(build())
    with pytest.raises(CapturesError, match=named):
        open_path(str(path), since_s=3600.0)


def test_the_command_refuses_it_and_writes_nothing(tmp_path: pathlib.Path) -> None:
    """Exit code 2, one plain line on stderr, and no file anywhere that was not there before."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(packed((header("../../escaped", size=1), b"x"), (header("logs/a\x1b]0;x\x07", size=1), b"x")))
    watched = [pathlib.Path(place) for place in ("/tmp", "/var/tmp", str(tmp_path), "/")]
    before = {place: set(place.iterdir()) for place in watched}
    ended = run("diagnose", "--from", str(path))
    assert (ended.returncode, ended.stdout) == (2, b"")
    assert b"../../escaped" in ended.stderr
    ours = [name for place in watched for name in set(place.iterdir()) - before[place] if "eniagent" in name.name or "escaped" in name.name]
    assert ours == []
    assert run("bundle", "verify", str(path)).returncode == 2


def zeros(size: int) -> Iterator[bytes]:
    piece = b"\0" * (1 << 20)
    for _ in range(size >> 20):
        yield piece


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A log of zeros that says it has 4 GiB; half a GiB of them in half a MB."""
    path = tmp_path_factory.mktemp("bomb") / "bomb.tar.gz"
    size = 4 << 30
    gzipper = subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=path.open("wb"))
    assert gzipper.stdin is not None
    gzipper.stdin.write(header("logs/ipamd.log", size=size).tobuf(tarfile.GNU_FORMAT))
    for piece in zeros(512 << 20):
        gzipper.stdin.write(piece)
    gzipper.stdin.close()
    assert gzipper.wait() == 0
    return path


def test_a_bomb_is_refused_before_it_hurts(bomb: pathlib.Path) -> None:
    """By its ratio, with little memory and without its gigabytes on disk."""
    script = (
        "import resource, subprocess, sys\n"
        "r = subprocess.run(sys.argv[1:], capture_output=True)\n"
        "sys.stderr.buffer.write(r.stderr)\n"
        "print(r.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    free = shutil.disk_usage("/var/tmp").free
    ended = subprocess.run(["/usr/bin/env", "python3", "-c", script, SCRIPT, "diagnose", "--from", str(bomb)], env={"PATH": PATH}, capture_output=True, check=True, timeout=120)
    code, peak_mb = map(int, ended.stdout.split())
    assert code == 2
    assert b"logs/ipamd.log" in ended.stderr and b"times its size" in ended.stderr
    assert peak_mb < 150
    assert shutil.disk_usage("/var/tmp").free > free - (200 << 20)


def test_a_million_members_are_refused(tmp_path: pathlib.Path) -> None:
    """Long before the last of them."""
    path = tmp_path / "many.tar.gz"
    block = header("logs/x00000000").tobuf(tarfile.USTAR_FORMAT)
    at = block.find(b"x00000000") + 1

    def blocks() -> Iterator[bytes]:
        for number in range(1_000_000):
            data = bytearray(block)
            data[at : at + 8] = b"%08d" % number
            data[148:156] = b" " * 8
            data[148:156] = b"%06o\0 " % sum(data)
            yield bytes(data)

    with gzip.open(path, "wb", compresslevel=1) as out:
        batch = []
        for number, data in enumerate(blocks()):
            batch.append(data)
            if number > MEMBERS_AT_MOST + 2000:
                break
        out.write(b"".join(batch))
    with pytest.raises(Refused, match=f"more than {MEMBERS_AT_MOST} members"):
        open_path(str(path), since_s=3600.0)


def rewritten(bundle: str, into: pathlib.Path, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> str:
    """The bundle with members changed, dropped or added."""
    path = into / "changed.tar.gz"
    with tarfile.open(bundle, "r:gz") as source, tarfile.open(path, "w:gz") as target:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            for name, data in change(member.name, content.read()):
                target.addfile(header(name, size=len(data)), io.BytesIO(data))
    return str(path)


def altered(name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [(name, data.replace(b"eni-0", b"eni-1") if name.endswith("0002/ipamd/enis.json") else data)]


def dropped(name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [] if name.endswith("0002/imds/tree.json") else [(name, data)]


def added(name: str, data: bytes) -> list[tuple[str, bytes]]:
    top = name.partition("/")[0]
    return [(name, data), (f"{top}/captures/0002/ipamd/more.json", b"{}")] if name.endswith("REPORT.txt") else [(name, data)]


def sums_dropped(name: str, data: bytes) -> list[tuple[str, bytes]]:
    return [] if name.endswith("SHA256SUMS") else [(name, data)]


@pytest.mark.parametrize(
    ("change", "named"),
    [(altered, "0002/ipamd/enis.json"), (dropped, "0002/imds/tree.json"), (added, "0002/ipamd/more.json"), (sums_dropped, "SHA256SUMS")],
)
def test_a_bundle_that_was_changed_is_refused(change: Callable[[str, bytes], list[tuple[str, bytes]]], named: str, sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A member with other bytes, one less, one more: each by its name, by the door and by `verify`."""
    path = rewritten(make(sick, tmp_path / "out").archive.path, tmp_path, change)
    with pytest.raises(Refused, match=named):
        open_path(path, since_s=3600.0)
    ended = run("bundle", "verify", path)
    assert ended.returncode == 2
    assert named.encode() in ended.stdout


def test_a_bundle_of_a_later_schema_is_not_guessed_at(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """It says which release would be needed."""

    def later(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name.endswith("/manifest.json") and "captures" not in name:
            data = data.replace(b"eniagent.bundle/1", b"eniagent.bundle/9")
        if name.endswith("SHA256SUMS"):
            data = b""
        return [(name, data)]

    path = rewritten(make(sick, tmp_path / "out").archive.path, tmp_path, later)
    with pytest.raises(CapturesError, match="bundle/9.*newer release"):
        open_path(path, since_s=3600.0)


def test_digests_are_what_they_are_said_to_be(sick: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The check above can fail: an archive written anew with the same bytes is taken."""
    bundle = make(sick, tmp_path / "out").archive.path
    path = rewritten(bundle, tmp_path, lambda name, data: [(name, data)])
    assert open_path(path, since_s=3600.0).kind == "bundle"
    assert hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest() != hashlib.sha256(pathlib.Path(bundle).read_bytes()).hexdigest()
