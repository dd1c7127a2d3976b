"""journalctl's export format in pieces of any size, with every form of field, and places taken apart."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from eniagent.edge.follower_lines import Lines
from eniagent.edge.follower_place import DAMAGED, Place, between, confessed, crossed, is_before, jumped
from eniagent.sources.journal_entries import LIMIT_BYTES

NAMES = {b"kubelet.service": "kubelet", b"containerd": "containerd"}
AT = 1795621575718817


def entry(number: int, message: bytes, *, unit: bytes = b"kubelet.service", foreign: bool = False) -> bytes:
    """One entry as journalctl prints it; `foreign`: with a field that nobody asked for, length-prefixed."""
    head = b"__CURSOR=s=a;i=%x\n__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=1\n_BOOT_ID=b\n" % (number, AT + number)
    head += b"ODD\n" + (3).to_bytes(8, "little") + b"\n\n\n\n" if foreign else b""
    body = b"MESSAGE=" + message + b"\n" if b"\n" not in message else b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n"
    return head + body + b"_SYSTEMD_UNIT=" + unit + b"\n\n"


messages = st.one_of(st.binary(max_size=40), st.sampled_from([b"", b"\n\n", b"a\n\n__CURSOR=x\n", b"x=1", b"\xff\xfe", b"MESSAGE=no", b"A\nB\n"]))


@given(bodies=st.lists(st.tuples(messages, st.booleans()), max_size=12), cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_pieces_make_no_difference(bodies: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """However the stream is cut, each entry comes once with its own message, whatever bytes that holds."""
    data = b"".join(entry(number, body, foreign=foreign) for number, (body, foreign) in enumerate(bodies))
    lines, found, begin = Lines(NAMES), [], 0
    for cut in [*sorted(min(cut, len(data)) for cut in cuts), len(data)]:
        found += lines.feed(data[begin:cut]) if cut > begin else []
        begin = cut
    assert [(line[0], line[1], line[2], line[3]) for line in found] == [
        (b"s=a;i=%x" % number, AT + number, "kubelet", body) for number, (body, _) in enumerate(bodies)
    ]
    assert lines.garbled == 0


def test_whose_line_it_is() -> None:
    """By unit, else by identifier; what neither tells belongs to nobody."""
    lines = Lines(NAMES)
    data = entry(1, b"m", unit=b"other.service").replace(b"\n\n", b"\nSYSLOG_IDENTIFIER=containerd\n\n") + entry(2, b"m", unit=b"other.service")
    assert [line[2] for line in lines.feed(data)] == ["containerd", ""]


def test_garbage_costs_itself_alone() -> None:
    """Blocks that are no entries are counted, and the next entry is read; an entry without an end is dropped at a bound."""
    lines = Lines(NAMES)
    assert [line[3] for line in lines.feed(b"nonsense\n\n" + entry(1, b"good"))] == [b"good"]
    assert lines.garbled == 1
    assert lines.feed(b"__CURSOR=" + b"x" * (LIMIT_BYTES + 10)) == [] and lines.garbled == 2
    assert [line[3] for line in lines.feed(b"\n\n" + entry(2, b"after"))][-1:] == [b"after"]


def test_random_bytes_never_raise() -> None:
    """Any bytes give entries or none."""
    rng = random.Random(4)
    for _ in range(300):
        data = bytearray(b"".join(entry(number, rng.randbytes(20)) for number in range(4)))
        for _ in range(rng.randrange(8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        lines = Lines(NAMES)
        lines.feed(bytes(data[: len(data) // 2]))
        lines.feed(bytes(data[len(data) // 2 :]))


def place(series: str, number: int, at_us: int) -> Place:
    """A place with journald's own numbers."""
    return Place(f"s={series};i={number:x};b=b;m=1;t={at_us:x};x=1".encode(), at_us)


def test_gaps_are_bounded_by_journalds_own_numbers() -> None:
    """What lies between two places is the difference of their numbers; across series nobody knows; nothing between is no gap."""
    last = place("a", 100, AT)
    assert between(last, place("a", 111, AT + 5)) == 10
    assert between(last, place("b", 111, AT + 5)) is None
    assert jumped(last, place("a", 101, AT + 5)) is None
    assert jumped(last, place("a", 50, AT - 5)) is None, "told again, not lost"
    gap = jumped(last, place("a", 151, AT + 5))
    assert gap is not None and gap.at_most == 50 and gap.since and gap.until and gap.since < gap.until
    unknown = jumped(last, place("b", 1, AT + 5))
    assert unknown is not None and unknown.at_most is None


def test_clocks_do_not_decide_what_came_first() -> None:
    """Within one series the numbers decide, whatever the clock did; only without them the time does."""
    assert is_before(place("a", 1, AT + 100), place("a", 2, AT))
    assert not is_before(place("a", 2, AT), place("a", 1, AT + 100))
    assert is_before(place("a", 9, AT), place("b", 1, AT + 1))


def test_a_crossing_without_a_hole_is_no_gap() -> None:
    """Neighbours in a storm lie microseconds apart: other programs' entries between them are no loss."""
    last = place("a", 100, AT)
    assert crossed(last, place("a", 140, AT + 10)) is None
    assert crossed(last, place("a", 140, AT + 5_000_000)) is not None


def test_journald_says_that_it_replaced_a_file() -> None:
    """A file that was corrupted or not closed: noted, with the last entry before it as its beginning."""
    text = b"File /var/log/journal/x/system.journal corrupted or uncleanly shut down, renaming and replacing."
    gap = confessed(text, at_us=AT, last_us=AT - 10, units=(b"kubelet.service",))
    assert gap is not None and gap.why == DAMAGED and gap.at_most is None
    assert confessed(b"Journal started", at_us=AT, last_us=AT, units=()) is None
