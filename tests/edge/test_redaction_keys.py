"""The redaction key and its mapping: kept apart from bundles, for their owner alone, whole or not at all."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys
import threading

import pytest

from eniagent.edge import redaction_keys
from eniagent.edge.redaction_keys import RedactionKeyError
from eniagent.edge.settings import Settings
from eniagent.redact import Pseudonyms
from eniagent.redact.permute import KEY_BYTES


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    """Settings whose places are below a directory of the test."""
    return Settings(state_dir=str(tmp_path / "state"), bundle_dir=str(tmp_path / "bundles"))


def directory(settings: Settings) -> pathlib.Path:
    """Where key and mapping are."""
    return pathlib.Path(settings.state_dir) / "redact"


def test_the_key_is_made_once_and_is_its_owners_alone(settings: Settings) -> None:
    """The same key each time, 0600 in a directory 0700, nothing else left beside it."""
    first = redaction_keys.key(settings)
    assert len(first) == KEY_BYTES and redaction_keys.key(settings) == first and redaction_keys.is_kept(settings)
    assert stat.S_IMODE(directory(settings).stat().st_mode) == 0o700
    assert [(p.name, stat.S_IMODE(p.stat().st_mode)) for p in directory(settings).iterdir()] == [("key", 0o600)]


def test_runs_at_the_same_time_agree_on_one_key(settings: Settings) -> None:
    """Many first uses at once: one key for all."""
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(redaction_keys.key(settings))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and len(set(found)) == 1
    assert os.listdir(directory(settings)) == ["key"]


def test_names_are_turned_back_on_the_node_that_made_them(settings: Settings) -> None:
    """What was remembered is revealed, word by word and in a text; what another node made is not."""
    names = Pseudonyms(redaction_keys.key(settings))
    told = f"{names.pod('shop/web-7d4b9c6f5-x2x9z')} on {names.aws_id('eni-0123456789abcdef0')} via {names.host('ip-10-0-1-2')}.us-west-2.compute.internal"
    assert redaction_keys.remember(settings, names.mapping)
    assert redaction_keys.reveal_text(settings, told.encode()) == b"shop/web-7d4b9c6f5-x2x9z on eni-0123456789abcdef0 via ip-10-0-1-2.us-west-2.compute.internal"
    assert redaction_keys.reveal(settings, names.aws_id("eni-0123456789abcdef0")) == "eni-0123456789abcdef0"
    assert redaction_keys.reveal(settings, "eni-0ffffffffffffffff") is None
    assert stat.S_IMODE((directory(settings) / "mapping.jsonl").stat().st_mode) == 0o600


def test_only_what_is_new_is_appended_and_half_a_line_harms_nothing(settings: Settings) -> None:
    """A second bundle of the same names adds nothing; after a crash within a line the next one begins on its own."""
    redaction_keys.key(settings)
    redaction_keys.remember(settings, {"app-1": "web"})
    file = directory(settings) / "mapping.jsonl"
    size = file.stat().st_size
    redaction_keys.remember(settings, {"app-1": "web"})
    assert file.stat().st_size == size
    with open(file, "ab") as half:
        half.write(b'["app-2","a')
    redaction_keys.remember(settings, {"ns-00000000": "shop", "ns-11111111": "\udcff\udc80"})
    assert redaction_keys.reveal(settings, "ns-00000000") == "shop"
    assert redaction_keys.reveal(settings, "ns-11111111") is not None


def test_the_mapping_does_not_grow_without_end(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full file becomes the older one; both are read."""
    monkeypatch.setattr(redaction_keys, "MAPPING_BYTES", 2000)
    redaction_keys.key(settings)
    for number in range(120):
        redaction_keys.remember(settings, {f"ns-{number:08x}": f"name-{number}"})
    assert sorted(os.listdir(directory(settings))) == ["key", "mapping.1.jsonl", "mapping.jsonl"]
    assert sum(p.stat().st_size for p in directory(settings).iterdir()) < 4200
    assert redaction_keys.reveal(settings, f"ns-{119:08x}") == "name-119"


@pytest.mark.parametrize("harm", ["open directory", "open key", "short key", "link for key", "link for directory", "fifo for key"])
def test_a_place_that_is_not_safe_is_refused(settings: Settings, tmp_path: pathlib.Path, harm: str) -> None:
    """Others may read it, it is a link, it is no file, it is damaged: the run says so and uses nothing of it."""
    place = directory(settings)
    place.mkdir(parents=True, mode=0o700)
    key = place / "key"
    if harm == "open directory":
        place.chmod(0o750)
    elif harm == "open key":
        key.write_bytes(b"k" * KEY_BYTES)
        key.chmod(0o644)
    elif harm == "short key":
        key.write_bytes(b"k")
        key.chmod(0o600)
    elif harm == "link for key":
        (tmp_path / "elsewhere").write_bytes(b"k" * KEY_BYTES)
        key.symlink_to(tmp_path / "elsewhere")
    elif harm == "fifo for key":
        os.mkfifo(key, 0o600)
    else:
        place.rmdir()
        (tmp_path / "other").mkdir(mode=0o700)
        place.symlink_to(tmp_path / "other")
    with pytest.raises(RedactionKeyError):
        redaction_keys.key(settings)


def test_never_beside_the_bundles(tmp_path: pathlib.Path) -> None:
    """A state directory below the bundles' is refused: their readers could turn names back."""
    bundles = tmp_path / "bundles"
    with pytest.raises(RedactionKeyError, match="set another state_dir"):
        redaction_keys.key(Settings(state_dir=str(bundles / "state"), bundle_dir=str(bundles)))
    assert not bundles.exists()


UNPRIVILEGED = """
import os, sys
from eniagent.edge import redaction_keys
from eniagent.edge.settings import Settings
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
s = Settings(state_dir=sys.argv[1], bundle_dir="/var/log/support")
one, two = redaction_keys.key(s), redaction_keys.key(s)
print(len(one), one == two, redaction_keys.is_kept(s), redaction_keys.remember(s, {"a": "b"}))
"""


def test_a_run_that_may_not_write_there_has_a_key_of_its_own(tmp_path: pathlib.Path) -> None:
    """Without the right to the place the key lasts for the run, and it says that names cannot be turned back."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    top = str(pathlib.Path(__file__).resolve().parents[2])
    ended = subprocess.run([sys.executable, "-c", UNPRIVILEGED, str(closed / "state")], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": top})
    assert (ended.stdout.split(), ended.stderr) == ([str(KEY_BYTES), "True", "False", "False"], "")
