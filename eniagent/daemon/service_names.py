"""Names of the service's files, for those who read them without being the service.

Refuses to import anything: commands that only read start fast.
"""

from __future__ import annotations

HISTORY = "history.db"
WAITS = "outbox.waits"
"""Is there while the outbox holds something: what the uploading unit waits for."""
