"""Redaction: secrets removed, identities replaced by keyed pseudonyms that keep every relation a diagnosis needs.

Pure: a key and bytes or values in, bytes or values out. Keys and mappings are kept by `eniagent.edge.redaction_keys`.
"""

from __future__ import annotations

from eniagent.redact.pseudonyms import Pseudonyms
from eniagent.redact.scrubber import STRENGTHS, LeftOut, Scrubber
from eniagent.redact.typed import redact_case, redact_diagnosis, redact_snapshot, scrubber_for

__all__ = ["STRENGTHS", "LeftOut", "Pseudonyms", "Scrubber", "redact_case", "redact_diagnosis", "redact_snapshot", "scrubber_for"]
