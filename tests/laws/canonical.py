"""A diagnosis in an order that does not depend on identities: lists become sorted lists, also those inside a text."""

from __future__ import annotations

import json
import re
from typing import Any

from eniagent.model.codec import encode
from eniagent.model.finding import Diagnosis


def canonical(diagnosis: Diagnosis) -> Any:
    """The document with every list sorted by its content."""
    return _sorted(json.loads(encode(diagnosis)))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_sorted(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(value, str):
        return re.sub(r"[^\s,]+(?:, [^\s,]+)+", lambda found: ", ".join(sorted(found.group().split(", "))), value)
    return value
