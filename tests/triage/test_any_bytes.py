"""Any bytes give a snapshot and a diagnosis: pastes are cut, mixed, doubled and damaged."""

from __future__ import annotations

import random
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eniagent.diagnose import diagnose
from eniagent.model import codec
from eniagent.model.snapshot import Case, NodeSnapshot
from eniagent.sources.pasted import read_pasted
from tests.triage import corpus

NOW = datetime(2026, 7, 1, tzinfo=timezone.utc)
TEXTS = [data for case in corpus.cases() for _, data in corpus.as_stream(case)]


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_bytes_of_any_kind_are_read(data: bytes) -> None:
    """Nothing raises, and no bytes of chance make a firm cause."""
    assert not diagnose(Case(now=read_pasted([("stdin", data)], now=NOW))).faults


@given(st.sampled_from(TEXTS), st.integers(0, 4000), st.integers(0, 4000))
@settings(max_examples=150, deadline=None)
def test_a_text_cut_anywhere_is_read(data: bytes, start: int, end: int) -> None:
    """A case's text cut at both ends at any byte gives a diagnosis without a fault of the agent."""
    piece = data[start : max(len(data) - end, start)]
    assert not diagnose(Case(now=read_pasted([("stdin", piece)], now=NOW))).faults


@given(st.sampled_from(TEXTS), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_damaged_text_is_read(data: bytes, chance: random.Random) -> None:
    """Bytes flipped, dropped and doubled in a case's text are no fault of the agent."""
    damaged = bytearray(data)
    for _ in range(20):
        at = chance.randrange(len(damaged))
        damaged[at : at + chance.randrange(1, 4)] = bytes(chance.randrange(256) for _ in range(chance.randrange(4)))
        if not damaged:
            break
    assert not diagnose(Case(now=read_pasted([("stdin", bytes(damaged))], now=NOW))).faults


@pytest.mark.parametrize("case", corpus.cases(), ids=lambda case: str(case["id"]))
def test_files_and_one_stream_say_the_same(case: dict[str, object]) -> None:
    """Whether inputs come as files or joined by blank lines, the same causes, symptoms and looks come out."""
    one, other = (diagnose(Case(now=read_pasted(texts, now=NOW))) for texts in (corpus.as_files(case), corpus.as_stream(case)))
    for part in ("verdict", "next_looks", "impact"):
        assert getattr(one, part) == getattr(other, part)
    for part in ("causes", "past", "symptoms"):
        assert [f.code for f in getattr(one, part)] == [f.code for f in getattr(other, part)]


@pytest.mark.parametrize("data", TEXTS[::10])
def test_the_snapshot_survives_its_codec(data: bytes) -> None:
    """A pasted snapshot encodes and decodes to itself (law L1), so a bundle can hold it."""
    snapshot = read_pasted([("stdin", data)], now=NOW)
    assert codec.decode(codec.encode(snapshot), NodeSnapshot) == snapshot


HOSTILE = {
    "one long line": b"A" * 2_000_000,
    "quotes": b'"' * 200_000,
    "braces": b"{" * 100_000,
    "open objects": b'{"level":"error","msg":"' * 20_000,
    "deep list": b"[" * 50_000 + b"]" * 50_000,
    "blanks": b" " * 300_000 + b"\n",
    "words": b"Warning " * 60_000,
    "numbers": b"1m2s " * 60_000,
    "rows": b"Warning X 1m2s kubelet " * 40_000,
    "ages": b"1m2s 1m2s 1m2s " * 20 + b"Warning X " + b"1m2s (x2 over 3m) " * 40_000,
    "wraps": b"Warning FailedCreatePodSandBox 1s kubelet failed to create pod sandbox: \"\n" + b"x\n" * 50_000,
    "stamps": b"2026-01-01T00:00:00Z " * 20_000,
    "backslashes": b'"\\' * 100_000,
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_no_text_takes_long(name: str) -> None:
    """Texts made to be slow are read within seconds: no pattern backtracks without bound."""
    started = time.monotonic()
    read_pasted([("stdin", HOSTILE[name])], now=NOW)
    assert time.monotonic() - started < 5.0
