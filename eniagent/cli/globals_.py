"""The global options of one run, and the settings that they lead to.

Refuses to read the environment more than once: settings are loaded when a command first needs them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Optional

import msgspec

if TYPE_CHECKING:
    from eniagent.edge.settings import Settings


class Globals(msgspec.Struct, frozen=True, kw_only=True):
    """What stood on the command line outside the command's own options. `flags`: setting -> text, None where not given."""

    flags: dict[str, Any]
    config_path: Optional[str] = None
    quiet: bool = False
    verbose: bool = False

    def settings(self, **flags: Any) -> Settings:
        """The effective settings with a command's own flags. Raises `ConfigError` with every problem at once."""
        from eniagent.edge import settings

        return settings.load({**self.flags, **flags}, os.environ, self.config_path)
