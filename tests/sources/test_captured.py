"""From a capture to bytes, or to the reason why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

import pytest

from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.reading import Observed, Unobserved, Why
from eniagent.sources import captured
from tests.sources.recorded_captures import AT, capture


@pytest.mark.parametrize(
    ("status", "code", "why", "detail"),
    [
        (None, None, None, ""),
        (200, None, None, ""),
        (0, None, None, ""),
        (None, 0, None, ""),
        (401, None, Why.FORBIDDEN, "HTTP 401"),
        (404, None, Why.MALFORMED, "HTTP 404"),
        (500, None, Why.MALFORMED, "HTTP 500"),
        (None, 1, Why.MALFORMED, "exit 1"),
        (2, None, Why.MALFORMED, "exit 2"),
        (None, 126, Why.FORBIDDEN, "exit 126"),
        (None, 127, Why.NOT_INSTALLED, "exit 127"),
        (None, -9, Why.MALFORMED, "exit -9"),
    ],
)
def test_circumstances(status: Optional[int], code: Optional[int], why: Optional[Why], detail: str) -> None:
    """HTTP statuses and exit codes (which some manifests put under `status`) speak against the content or do not."""
    found = captured.failure(Circumstances(probe="t", file="f", status=status, exit=code))
    assert (found.why if found else None, found.detail if found else "") == (why, detail)


def test_a_failure_outweighs_the_content() -> None:
    """A look that failed is told with its reason and detail, whatever bytes came before it failed."""
    seen = {"f": capture("f", b"{}", failure=Why.REFUSED, detail="127.0.0.1:61679", status=200)}
    found = captured.reading(seen, file="f", source="s", decode=captured.json_value)
    assert found == Unobserved(why=Why.REFUSED, source="s", at=AT, detail="127.0.0.1:61679")


def test_a_stream_that_breaks_off() -> None:
    """A stream's own reason reaches the reading; a marked truncation does, too."""

    def broken() -> Iterator[bytes]:
        yield b"{"
        raise CaptureCut(Why.TIMED_OUT, "deadline")

    seen = {"f": Capture(Circumstances(probe="t", file="f"), broken), "g": capture("g", b"{}", truncated=True)}
    assert captured.reading(seen, file="f", source="s", decode=bytes) == Unobserved(why=Why.TIMED_OUT, source="s", detail="deadline")
    cut = captured.reading(seen, file="g", source="s", decode=bytes)
    assert isinstance(cut, Unobserved) and cut.why is Why.TRUNCATED


def test_an_observation_carries_its_time() -> None:
    """What was seen is told with the time of the look."""
    found = captured.reading({"f": capture("f", b"[1]")}, file="f", source="s", decode=captured.json_value)
    assert found == Observed(value=[1], source="s", at=AT)


@pytest.mark.parametrize("data", [b'{"a":1}{"a":2}', b' {"a":1}\n\n{"a":2}\n', b'"x"[]{"a":2}'])
def test_the_last_of_several_documents(data: bytes) -> None:
    """Appended documents: the last one counts."""
    assert captured.last_json_value(data) == {"a": 2}


@pytest.mark.parametrize("data", [b'{"a":1}{"a":', b'{"a":1}x', b"", b"x", b'{"a":1}\xff', b"[" * 50_000])
def test_a_spoiled_end_spoils_the_file(data: bytes) -> None:
    """Whatever follows the last whole document makes the file malformed: an older document is not the present."""
    with pytest.raises(captured.Malformed):
        captured.last_json_value(data)


def test_settings_as_text() -> None:
    """Values come out as ipamd's own variables spell them."""
    assert [captured.as_text(v) for v in (None, True, False, 128, ["10.0.0.0/8", "x"], "eni")] == ["", "true", "false", "128", "10.0.0.0/8,x", "eni"]


def test_a_glance_at_bytes_is_printable() -> None:
    """The excerpt of broken bytes in a detail is one short printable line."""
    assert captured.shown(b"\x1b[31mred\n\xff" + b"x" * 500).isprintable()
    assert len(captured.shown(b"x" * 500)) == 60
