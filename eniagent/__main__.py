"""`python -m eniagent`: the same as the console script."""

from __future__ import annotations

from eniagent.cli import main

if __name__ == "__main__":
    main()
