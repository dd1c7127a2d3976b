"""The diagnosis as one compact JSON document, `eniagent.diagnosis/1`.

Refuses to leave a field out: what is not set is null, so that a reader can tell it from a field it does not know.
"""

from __future__ import annotations

from typing import Any

import msgspec

from eniagent.model.codec import to_builtin
from eniagent.model.finding import Diagnosis


def render(diagnosis: Diagnosis) -> bytes:
    """UTF-8, one line, ending in a newline."""
    try:
        return msgspec.json.encode(diagnosis, enc_hook=to_builtin) + b"\n"
    except UnicodeEncodeError:  # a file name that is no UTF-8 came in as lone surrogates
        return msgspec.json.encode(_encodable(msgspec.to_builtins(diagnosis, enc_hook=to_builtin))) + b"\n"


def _encodable(value: Any) -> Any:
    """The same value with each lone surrogate spelled as `\\udcff`."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value
