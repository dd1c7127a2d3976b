"""A call of ipamd to EC2 that was begun and never answered: the mark of silent retries (SDK v1) or a slow EC2."""

from __future__ import annotations

from datetime import timedelta
from typing import Optional

from eniagent.case.facts import Facts
from eniagent.model.record import Event

SILENT_S = 45
"""A create and attach takes seconds; a call without a word for this long is stuck."""
_TRIES = ("eni-create-try", "address-try")
_ANSWERS = ("eni-created", "eni-attached", "addresses-allocated", "ec2-refused", "subnet-lacks", "pool-grown", "eniconfig-missing", "iam-event", "ipamd-start", "init-failed")


def unanswered(facts: Facts) -> Optional[Event]:
    """The newest try with no answer after it, old enough to be called silent."""
    tries = facts.events(*_TRIES)
    if not tries or tries[-1].at is None:
        return None
    newest = tries[-1]
    if any(e.at and newest.at and e.at >= newest.at for e in facts.events(*_ANSWERS)):
        return None
    return newest if newest.at and facts.at - newest.at > timedelta(seconds=SILENT_S) else None
