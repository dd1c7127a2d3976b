"""Churn: how pods came and went on a node, counted from ipamd's own log."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

import msgspec


class Churn(msgspec.Struct, frozen=True):
    """Over `since` to `until`, the log's first and last line. An arrival is a pod that asks for an address, its retries not counted.

    `burst`: most arrivals within `burst_s`, the newest such moment in `burst_at`; `minute`: most within 60 s. `resting`: most addresses
    freed within `rest_s`, the cooldown. `above`: how many addresses more than at the end were in use at the fullest moment.
    """

    arrivals: int
    granted: int
    freed: int
    burst: int
    burst_s: float
    minute: int
    resting: int
    rest_s: float
    above: int
    since: Optional[datetime] = None
    until: Optional[datetime] = None
    burst_at: Optional[datetime] = None

    @property
    def minutes(self) -> float:
        """How long the log covers."""
        return (self.until - self.since).total_seconds() / 60 if self.since and self.until else 0.0
