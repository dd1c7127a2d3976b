"""What cannot be uploaded at all is told before anybody is connected to."""

from __future__ import annotations

import os
import pathlib

import pytest

from eniagent.edge.upload_file import FileError, Outgoing


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "is a directory"),
        (lambda path: os.mkfifo(path), "no regular file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.symlink_to("/nonexistent"), "no such file"),
        (lambda path: path.symlink_to(path.name), "too many levels"),
    ],
    ids=["missing", "directory", "fifo", "empty", "dangling", "loop"],
)
def test_what_is_no_file_is_refused_with_its_path(tmp_path: pathlib.Path, make: object, words: str) -> None:
    """Exit code 2, the path, and what is wrong with it; a FIFO does not hold the command."""
    path = tmp_path / "b.tar.gz"
    make(path)  # type: ignore[operator]
    with pytest.raises(FileError, match=words) as raised:
        Outgoing(str(path))
    assert str(path) in str(raised.value)
    assert raised.value.exit_code == 2


def test_what_may_not_be_read_is_refused_with_a_remedy(tmp_path: pathlib.Path) -> None:
    """A bundle is its owner's alone: whoever else tries is told to be root."""
    path = tmp_path / "b.tar.gz"
    path.write_bytes(b"x")
    path.chmod(0)
    root = os.geteuid() == 0
    for directory in (tmp_path, *list(tmp_path.parents)[:2]):
        directory.chmod(0o755)
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(FileError, match="permission denied.*root"):
            Outgoing(str(path))
    finally:
        if root:
            os.seteuid(0)


def test_nothing_is_left_open(tmp_path: pathlib.Path) -> None:
    """A file that is refused, and one that was sent, cost no descriptor."""
    path = tmp_path / "b.tar.gz"
    path.write_bytes(b"x")
    before = len(os.listdir("/proc/self/fd"))
    for name in (str(path), str(tmp_path), str(tmp_path / "none")):
        try:
            Outgoing(name).close()
        except FileError:
            continue
    assert len(os.listdir("/proc/self/fd")) == before
