"""The door of eniagent.pyz: finds a Python that it can run on, says clearly where there is none.

Refuses to do more, and to use a syntax that older Pythons cannot read: this file has to work on those that are too old.
"""

import os
import sys

OLDEST = (3, 9)
NEWEST = (3, 13)
PLACES = ("/usr/bin", "/usr/local/bin")


def usable():
    """Whether the Python that runs this is one that the file carries libraries for."""
    return OLDEST <= sys.version_info[:2] <= NEWEST and sys.implementation.name == "cpython"


def trusted(path):
    """Whether a Python is root's or ours, and nobody else may write it: it is about to run with our rights."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022 and os.access(path, os.X_OK)


def run_another():
    """Run this file by another Python of the machine. Returns only where there is none."""
    archive = os.path.abspath(sys.argv[0])
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        for place in PLACES:
            path = "%s/python3.%d" % (place, minor)
            if trusted(path):
                os.execv(path, [path, "-IS", archive] + sys.argv[1:])
    sys.stderr.write(
        "eniagent: needs CPython 3.9 to 3.13; this is %s %d.%d (%s), and none is in %s.\n"
        % ((sys.implementation.name if sys.version_info[0] > 2 else "Python",) + sys.version_info[:2] + (sys.executable, " or ".join(PLACES)))
    )
    sys.exit(1)


if sys.version_info[0] < 3 or not usable():
    run_another()

from zipapp_boot import run  # noqa: E402 - older Pythons cannot read that file

run()
