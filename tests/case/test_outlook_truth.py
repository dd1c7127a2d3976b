"""The outlook is right about what ipamd did next, over all recordings, and by far more often than one that always says *nothing*."""

from __future__ import annotations

import sys

import pytest

from tests.truth.outlook import Score, scores, table


@pytest.fixture(scope="module")
def both() -> tuple[Score, Score]:
    """Transitions between snapshots, and looks of the pool manager."""
    return scores()


def test_transitions_come_as_predicted(both: tuple[Score, Score]) -> None:
    """Of all transitions of all series at least 90 % come as predicted, more than an always-`nothing` predictor scores."""
    moves = both[0]
    sys.stdout.write("\n" + table("outlook, transitions between snapshots", moves) + "\n")
    assert len(moves.judged) >= 70
    assert moves.share >= 0.9
    assert moves.share > moves.share_of_nothing


def test_looks_come_as_predicted(both: tuple[Score, Score]) -> None:
    """At every look of the pool manager at least 95 % come as predicted, of each kind of action at least 90 %; the rebuilt store is ipamd's own."""
    turns = both[1]
    sys.stdout.write("\n" + table("outlook, looks of the pool manager", turns) + "\n")
    assert len(turns.judged) >= 800
    assert turns.left_out <= len(turns.judged) // 50
    assert turns.share >= 0.95
    for shown in ("assign-address", "assign-prefix", "create-eni", "nothing"):
        right, every = turns.of(shown)
        assert every >= 5
        assert right >= 0.9 * every
    assert turns.share_of_nothing <= 0.8
