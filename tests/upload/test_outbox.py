"""The outbox: what is left for later, when it is tried again, when it is given up, and that nothing secret lies in it."""

from __future__ import annotations

import os
import pathlib
import sqlite3
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from eniagent.daemon import service_names
from eniagent.edge import settings as edge_settings
from eniagent.edge import upload_outbox
from eniagent.edge.history import History
from eniagent.edge.history_ground import HistoryError
from eniagent.edge.history_outbox import Parcel
from eniagent.edge.settings import Settings
from eniagent.edge.upload import Receipt, Wanted
from eniagent.edge.upload_errors import KINDS, UploadFailed
from eniagent.edge.upload_file import FileError
from eniagent.edge.upload_outbox import FIRST_S, GIVE_UP, MOST_S, NEVER, OutboxBusy, is_due, only_one, opened, pause_s, whole, why_not_kept

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
PRESIGNED = "https://user:pass-word@bucket.s3.amazonaws.com/k?X-Amz-Credential=AKIA&X-Amz-Signature=SECRET-SIGNATURE"
LATER = UploadFailed("server", "503")


@pytest.fixture
def settings(tmp_path: pathlib.Path) -> Settings:
    """A state directory that is not there yet."""
    return edge_settings.load({}, {"ENIAGENT_STATE_DIR": str(tmp_path / "var/state")}, None)


def configured(settings: Settings, **more: Any) -> Settings:
    """The same, with more said in the configuration."""
    return msgspec.structs.replace(settings, **more)


def test_an_upload_is_left_for_later_and_taken_up_again(settings: Settings) -> None:
    """Through closing and opening; each failure counts, waits longer and keeps its reason; a delivery ends it and enters the history."""
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        due_at = outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        assert FIRST_S / 2 <= (due_at - NOW).total_seconds() <= FIRST_S
    with opened(settings) as outbox:
        assert outbox is not None
        (parcel,) = outbox.waiting()
        assert (parcel.path, parcel.target, parcel.attempts, parcel.problem, parcel.next_try_at) == ("/b.tar.gz", "s3://bucket/p", 1, "server: 503", due_at)
        assert not is_due(parcel, now=NOW) and is_due(parcel, now=due_at)
        later_at = outbox.failed(parcel, LATER, now=due_at)
        assert later_at is not None and later_at > due_at + timedelta(seconds=FIRST_S)
        (parcel,) = outbox.waiting()
        outbox.delivered(parcel, Receipt("/b.tar.gz", "s3://bucket/p/b.tar.gz", "ab", 1, "sha256", "", 1, 0.1), now=NOW)
        assert outbox.waiting() == []
    history = History.read(f"{settings.state_dir}/history.db")
    assert [(each.what, each.subject) for each in history.transitions()] == [("bundle-uploaded", "/b.tar.gz")]
    history.close()


def test_pauses_grow_up_to_six_hours() -> None:
    """Doubled each time, with jitter, never below half nor above the bound, for any count."""
    for attempts in (0, 1, 5, 20, 10_000):
        bound_s = min(MOST_S, FIRST_S * 2.0 ** min(attempts, 16))
        drawn = [pause_s(attempts) for _ in range(50)]
        assert bound_s / 2 <= min(drawn) and max(drawn) <= bound_s and len(set(drawn)) > 10


@pytest.mark.parametrize("failure", [*(UploadFailed(kind, "told") for kind in sorted(NEVER)), FileError("/b.tar.gz: no such file")], ids=lambda error: getattr(error, "kind", "file"))
def test_what_time_does_not_cure_is_given_up(settings: Settings, failure: Any) -> None:
    """At once, and the history says of which file."""
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        assert outbox.failed(outbox.waiting()[0], failure, now=NOW) is None
        assert outbox.waiting() == []
    history = History.read(f"{settings.state_dir}/history.db")
    assert [(each.what, each.subject) for each in history.transitions()] == [("upload-given-up", "/b.tar.gz")]
    history.close()


@pytest.mark.parametrize("kind", sorted(set(KINDS) - NEVER))
def test_all_else_is_tried_for_seven_days(settings: Settings, kind: str) -> None:
    """A policy may be put right, a configured address be renewed; then it ends."""
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        (parcel,) = outbox.waiting()
        assert outbox.failed(parcel, UploadFailed(kind, "told"), now=NOW + GIVE_UP - timedelta(seconds=1)) is not None
        assert outbox.failed(parcel, UploadFailed(kind, "told"), now=NOW + GIVE_UP) is None


def test_no_secret_reaches_the_file(settings: Settings) -> None:
    """Neither query nor password, by whichever way a parcel is posted, nor by what a server quoted."""
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        outbox.post("/b.tar.gz", address=PRESIGNED, failed=LATER, now=NOW)
    with History.open(f"{settings.state_dir}/history.db") as history:
        history.post("/c.tar.gz", target=PRESIGNED, at=NOW)
        assert {parcel.target for parcel in history.parcels()} == {"https://bucket.s3.amazonaws.com/k"}
    held = b"".join(path.read_bytes() for path in pathlib.Path(settings.state_dir).iterdir())
    assert b"/c.tar.gz" in held
    assert not [word for word in (b"SECRET-SIGNATURE", b"AKIA", b"pass-word") if word in held]


def test_only_what_can_be_sent_again_is_kept(settings: Settings) -> None:
    """A secret or a flag is not there later; the configuration is."""
    fleet = configured(settings, upload_to=PRESIGNED, upload_ca_file="/ca.pem", upload_kms_key="aws")
    same = Wanted(ca_file="/ca.pem", kms_key="aws")
    assert "presigned" in why_not_kept(PRESIGNED, Wanted(), settings)
    assert "presigned" in why_not_kept(PRESIGNED + "2", same, fleet)
    assert why_not_kept(PRESIGNED, same, fleet) == ""
    assert why_not_kept("s3://bucket/p", Wanted(), settings) == why_not_kept("https://host/in/", Wanted(), settings) == ""
    assert "--ca-file" in why_not_kept("https://host/in/", Wanted(ca_file="/other.pem"), settings)
    assert "--kms-key" in why_not_kept("s3://bucket/p", Wanted(kms_key="aws"), settings)
    assert "--header" in why_not_kept("https://host/in/", Wanted(headers=(("authorization", "x"),)), settings)
    parcel = Parcel(1, "/b", "https://bucket.s3.amazonaws.com/k", NOW)
    assert (whole(parcel, fleet), whole(parcel, settings)) == (PRESIGNED, parcel.target)


def test_a_time_that_lies_too_far_ahead_is_due() -> None:
    """A clock that was years ahead when the pause was drawn must not hold a bundle for years."""
    parcel = Parcel(1, "/b", "s3://b/p", NOW, 1, NOW + timedelta(days=400))
    assert is_due(parcel, now=NOW)
    assert is_due(msgspec.structs.replace(parcel, next_try_at=None), now=NOW)
    assert not is_due(msgspec.structs.replace(parcel, next_try_at=NOW + timedelta(hours=5)), now=NOW)


def test_two_runs_do_not_empty_it_at_once(settings: Settings) -> None:
    """The second exits with 9; the lock goes with its holder; where there is no outbox, there is nothing to lock and nothing is made."""
    with only_one(settings), only_one(settings):
        assert not os.path.exists(settings.state_dir)
    os.makedirs(settings.state_dir)
    with only_one(settings):
        with pytest.raises(OutboxBusy) as raised, only_one(settings):
            raise AssertionError("two at once")
        assert raised.value.exit_code == 9
    with only_one(settings), opened(settings) as outbox:
        assert outbox is None


def test_it_works_beside_the_daemon(settings: Settings) -> None:
    """The daemon keeps its history open, posts, and sees what became of its parcel."""
    os.makedirs(settings.state_dir)
    with History.open(f"{settings.state_dir}/history.db") as history:
        history.post("/b.tar.gz", target="s3://bucket/p", at=NOW)
        with opened(settings) as outbox:
            assert outbox is not None
            (parcel,) = outbox.waiting()
            assert is_due(parcel, now=NOW)
            outbox.failed(parcel, LATER, now=NOW)
        assert [each.attempts for each in history.parcels()] == [1]
        with opened(settings) as outbox:
            assert outbox is not None
            outbox.settle("/b.tar.gz", address="s3://bucket/p?x")
        assert history.parcels() == [] and history.state.ok


def test_the_units_condition_holds_while_something_waits(settings: Settings) -> None:
    """The file that starts the unit is there from the first posting until nothing waits any more, under the name that the daemon uses."""
    flag = pathlib.Path(settings.state_dir) / service_names.WAITS
    with opened(settings, create=True) as outbox:
        assert outbox is not None and not flag.exists()
        outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        assert len(outbox.tidy()) == 1 and flag.exists()
        outbox.settle("/b.tar.gz", address="s3://bucket/p")
        assert outbox.tidy() == [] and not flag.exists()
    assert (upload_outbox.FILE, upload_outbox.WAITS) == (service_names.HISTORY, service_names.WAITS)


def test_a_history_that_cannot_be_used_is_an_error_and_stays_as_it_is(settings: Settings) -> None:
    """Damaged or locked for long: said, never replaced by an empty one; that is the daemon's to decide."""
    os.makedirs(settings.state_dir)
    path = pathlib.Path(settings.state_dir) / "history.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(HistoryError), opened(settings):
        raise AssertionError("opened")
    assert path.read_bytes() == b"no database at all" * 100
    path.unlink()
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HistoryError, match="locked"):
            outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        holder.close()


def test_what_root_leaves_belongs_to_the_daemon(settings: Settings) -> None:
    """The file is its owner's alone, and its owner is the directory's."""
    os.makedirs(settings.state_dir, mode=0o700)
    root = os.geteuid() == 0
    if root:
        os.chown(settings.state_dir, 65534, 65534)
    with opened(settings, create=True) as outbox:
        assert outbox is not None
        outbox.post("/b.tar.gz", address="s3://bucket/p", failed=LATER, now=NOW)
        for name in os.listdir(settings.state_dir):
            status = os.stat(f"{settings.state_dir}/{name}")
            assert (status.st_mode & 0o777, status.st_uid) == (0o600, 65534 if root else os.geteuid()), name
    assert upload_outbox.FILE in os.listdir(settings.state_dir)
