"""Noise in place of a journal is malformed, never a quiet journal."""

from __future__ import annotations

import random
from datetime import datetime, timezone

import pytest

from eniagent.model.capture import Capture, Circumstances
from eniagent.model.reading import Unobserved, Why
from eniagent.sources import Span, read_field

NOW = datetime(2026, 3, 9, tzinfo=timezone.utc)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_are_malformed(seed: int) -> None:
    """Whatever lines noise happens to split into, the reading says that it is no journal."""
    noise = random.Random(seed).randbytes(5000)
    seen = {"journal/kubelet.jsonl": Capture(Circumstances("journal kubelet", "journal/kubelet.jsonl"), noise)}
    reading = read_field("kubelet", seen, Span(NOW))
    assert isinstance(reading, Unobserved)
    assert reading.why is Why.MALFORMED
