"""The second look over real sockets: it waits, looks again, and leaves the case at one look where the deadline has no room."""

from __future__ import annotations

import pathlib
from datetime import timedelta

import pytest

from eniagent.case.eventual import CONFIRM_S
from eniagent.case.ledger import ledger
from eniagent.edge import clock, second_look
from eniagent.edge.clock import Deadline
from eniagent.edge.look import Live, observe
from eniagent.edge.settings import Settings
from eniagent.model.reading import Observed
from eniagent.sources import Span
from tests.fakes.imds import FakeImds
from tests.fakes.ipamd import ENIS, FakeIpamd

pytestmark = pytest.mark.sockets

FIELDS = ("ipam", "metadata")


def first_look(settings: Settings) -> tuple[Live, float]:
    """The first look, and the monotonic clock when it began."""
    begun_s, until = clock.ticks_s(), clock.now()
    return observe(settings, Span(until=until, since=until - timedelta(hours=1)), Deadline(5), fields=FIELDS), begun_s


def settings_for(root: pathlib.Path, *, ipamd: FakeIpamd, imds: FakeImds) -> Settings:
    """A node whose ipamd and IMDS are these."""
    return Settings(ipamd_url=ipamd.url, metrics_url=ipamd.url, imds_url=imds.url, root=str(root), origins={"ipamd_url": "flag"})


def test_it_looks_again_after_the_interval(tmp_path: pathlib.Path) -> None:
    """The case has the first look before the second, taken an interval later from the same doors, each asked anew."""
    changed = ENIS.replace(b"eni-0f0f19c557067cbbe", b"eni-00000000000000abc")
    with FakeIpamd({"/v1/enis": ENIS}) as before, FakeIpamd({"/v1/enis": changed}) as after, FakeImds() as imds:
        first, begun_s = first_look(settings_for(tmp_path, ipamd=before, imds=imds))
        later = settings_for(tmp_path, ipamd=after, imds=imds)
        found = second_look.confirm(first, later, Deadline(15), begun_s=begun_s, fields=FIELDS, interval_s=0.6)
    assert (found.why, found.missed) == ("", ())
    assert found.case.before == (first.snapshot,)
    assert found.case.now.taken_at - first.snapshot.taken_at >= timedelta(seconds=0.6)
    assert isinstance(first.snapshot.ipam, Observed) and isinstance(found.case.now.ipam, Observed)
    assert first.snapshot.ipam.value != found.case.now.ipam.value
    assert "eni-00000000000000abc" in {row.subject for row in ledger(found.case)}


def test_no_room_is_told(tmp_path: pathlib.Path) -> None:
    """Where the deadline comes before the second look could end, nobody waits: the first look stands alone, and the run is incomplete."""
    with FakeIpamd({"/v1/enis": ENIS}) as ipamd, FakeImds() as imds:
        settings = settings_for(tmp_path, ipamd=ipamd, imds=imds)
        first, begun_s = first_look(settings)
        started_s = clock.ticks_s()
        found = second_look.confirm(first, settings, Deadline(20), begun_s=begun_s, fields=FIELDS)
    assert clock.ticks_s() - started_s < 1
    assert found.case.before == ()
    assert found.case.now == first.snapshot
    assert "second look" in found.missed
    assert "deadline" in found.why


def test_the_lifted_deadline_has_room() -> None:
    """90 s hold a first look of the usual deadline's length, the minute, and a second look."""
    needed_s = Settings().deadline_s + CONFIRM_S + second_look.SLACK_S + second_look.RESERVE_S
    assert needed_s <= second_look.DEADLINE_S
