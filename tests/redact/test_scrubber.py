"""The scrubber around the rules: strengths, streams that end badly, and that it fails closed."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.model.capture import CaptureCut
from eniagent.model.reading import Why
from eniagent.redact import Pseudonyms, Scrubber
from eniagent.redact.blocks import LINE_LIMIT_BYTES, TooLong, whole_lines

KEY = b"0123456789abcdef"


def test_unknown_strength_and_missing_key_are_refused() -> None:
    """A strength that is none, and identifiers without a key, are errors, never a weaker redaction."""
    with pytest.raises(ValueError):
        Scrubber("some")
    with pytest.raises(ValueError):
        Scrubber("identifiers")
    with pytest.raises(ValueError):
        Pseudonyms(b"short")


def test_none_passes_everything_through() -> None:
    """Strength none changes nothing and counts nothing."""
    by = Scrubber("none")
    data = [b"password=hunter2 10.0.0.1", b"\x1f\x8b\x00"]
    assert list(by.scrub_chunks(data, kind="x")) == data and by.text("password=hunter2") == "password=hunter2"
    assert by.counts == {}


def test_a_line_without_end_is_left_out_and_the_rest_stays() -> None:
    """What is longer than the bound goes to its end, is named with its size, and costs no memory to speak of."""
    long = LINE_LIMIT_BYTES + (5 << 20)

    def stream() -> object:
        yield b"before\n"
        for _ in range(long >> 16):
            yield b"x" * (1 << 16)
        yield b" password=hunter2\nafter\n"

    by = Scrubber("secrets")
    out = b"".join(by.scrub_chunks(stream(), kind="logs/ipamd.log"))  # type: ignore[arg-type]
    assert out.startswith(b"before\n[left out: ") and out.endswith(b"\nafter\n") and len(out) < 200
    assert [(entry.kind, entry.size_bytes >= long) for entry in by.left_out] == [("logs/ipamd.log", True)]


@pytest.mark.parametrize("data", [gzip.compress(b"password=hunter2"), "password=hunter2".encode("utf-16"), b"PK\x03\x04password=hunter2", b"(\xb5/\xfdpassword=hunter2"])
def test_what_no_pattern_can_read_is_left_out(data: bytes) -> None:
    """Compressed and wide-character bytes are left out whole and named."""
    by = Scrubber("secrets")
    out = b"".join(by.scrub_chunks([data[:5], data[5:], b"more\n"], kind="cni/net.d/x"))
    assert b"hunter2" not in out and b"more" not in out and out.startswith(b"[left out: ")
    assert by.left_out and by.left_out[0].kind == "cni/net.d/x"


def test_an_error_within_leaves_the_block_out() -> None:
    """A fault of our own never lets a block pass: it is left out, named, and the stream goes on."""

    class Broken(Pseudonyms):
        def mac(self, text: str) -> str:
            raise RuntimeError("a fault")

    by = Scrubber("identifiers", Broken(KEY))
    out = b"".join(by.scrub_chunks([b"link 0a:89:02:c4:42:69 up\n"], kind="host/ip-link.json"))
    assert b"0a:89" not in out and out.startswith(b"[left out: 26 bytes")
    assert by.left_out[0].why == "RuntimeError: a fault"
    assert "0a:89" not in by.text("mac 0a:89:02:c4:42:69")


def test_a_stream_that_breaks_off_raises_after_what_came_before() -> None:
    """What was read is redacted and passed on; then the break is told, as without redaction."""

    def stream() -> object:
        yield b"one password=hunter2\ntwo"
        raise CaptureCut(Why.TRUNCATED, "the disk went away")

    out = []
    with pytest.raises(CaptureCut):
        for piece in Scrubber("secrets").scrub_chunks(stream(), kind="x"):  # type: ignore[arg-type]
            out.append(piece)
    assert b"".join(out) == b"one password=[removed:password]\ntwo"


@given(st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"q", b"\n")), max_size=30), st.integers(1, 200))
@settings(max_examples=200)
def test_blocks_are_whole_lines_and_lose_nothing(chunks: list[bytes], limit: int) -> None:
    """Blocks join to the stream again; only lines beyond the bound are gone, and every block but the last ends a line."""
    blocks = list(whole_lines(chunks, line_limit_bytes=limit))
    data = b"".join(chunks)
    kept = [b for b in blocks if isinstance(b, bytes)]
    if not any(isinstance(b, TooLong) for b in blocks):
        assert b"".join(kept) == data
    assert sum(len(b) if isinstance(b, bytes) else b.size_bytes for b in blocks) == len(data)
    assert all(b.endswith(b"\n") or isinstance(blocks[min(i + 1, len(blocks) - 1)], TooLong) or i == len(blocks) - 1 for i, b in enumerate(blocks) if isinstance(b, bytes))


def test_the_key_alone_tells_a_value() -> None:
    """In a dictionary the key gives a secret away; ordinary settings pass."""
    by = Scrubber("secrets")
    assert by.pair("DB_PASSWORD", "hunter two") == "[removed:password]"
    assert by.pair("WARM_IP_TARGET", "5") == "5" and by.pair("AWS_VPC_K8S_CNI_LOGLEVEL", "DEBUG") == "DEBUG"
    assert by.counts == {"secret:password": 1}
