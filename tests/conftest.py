"""What the whole suite shares: which tests this machine can run, and the count of those that met the real thing.

Refuses to skip: a test that cannot run here is left out and named in the summary; with `--whole` it is an error instead.
"""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Generator
from typing import Callable, Optional

import pytest

JOURNAL_REMOTE = ("/lib/systemd/systemd-journal-remote", "/usr/lib/systemd/systemd-journal-remote")


def _missing_journald() -> Optional[str]:
    if not shutil.which("journalctl"):
        return "journalctl (package systemd)"
    return None if any(map(os.path.exists, JOURNAL_REMOTE)) else "systemd-journal-remote (package of that name)"


def _missing_netns() -> Optional[str]:
    if not (shutil.which("ip") and shutil.which("unshare")):
        return "ip and unshare (packages iproute2, util-linux)"
    return None if os.geteuid() == 0 else "root"


@functools.lru_cache(maxsize=1)
def _missing_mountns() -> Optional[str]:
    if not shutil.which("unshare"):
        return "unshare (package util-linux)"
    ended = subprocess.run(["unshare", "--map-root-user", "--mount", "true"], stderr=subprocess.DEVNULL, check=False)
    return None if ended.returncode == 0 else "the right to a user and mount namespace"


def _missing_nspawn() -> Optional[str]:
    if not (shutil.which("systemd-nspawn") and shutil.which("debootstrap")):
        return "systemd-nspawn and debootstrap (packages systemd-container, debootstrap)"
    return None if os.geteuid() == 0 else "root"


def _missing_browser() -> Optional[str]:
    return None if shutil.which("chromium") else "chromium (package of that name)"


def _missing_promtool() -> Optional[str]:
    return None if shutil.which("promtool") else "promtool (package prometheus)"


def _missing_packages() -> Optional[str]:
    wanted = {"rpmbuild": "rpm", "rpm2cpio": "rpm2cpio", "cpio": "cpio", "lintian": "lintian", "rpmlint": "rpmlint", "dpkg-deb": "dpkg"}
    missing = [package for command, package in wanted.items() if not shutil.which(command)]
    missing += [] if shutil.which("kubectl") or shutil.which("kustomize") else ["kubectl or kustomize"]
    return f"packages {', '.join(missing)}" if missing else None if os.geteuid() == 0 else "root"


NEEDS: dict[str, Callable[[], Optional[str]]] = {
    "journald": _missing_journald,
    "netns": _missing_netns,
    "mountns": _missing_mountns,
    "nspawn": _missing_nspawn,
    "browser": _missing_browser,
    "packages": _missing_packages,
    "promtool": _missing_promtool,
}
"""Marker -> what this machine lacks for such tests, or None."""

REAL = {"journald": "read a real journald's files", "netns": "ran in a network namespace", "sockets": "used real sockets"}
"""Markers whose tests are counted, and what the count says."""

ran: Counter[str] = Counter()
left_out: Counter[tuple[str, str]] = Counter()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--whole`: nothing may be left out, and nothing may be skipped."""
    parser.addoption("--whole", action="store_true", help="fail when a test is skipped or cannot run on this machine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out measurements unless asked for, and what cannot run here."""
    asked_for_bench = "bench" in (config.getoption("-m") or "")
    lacks = {marker: missing for marker, look in NEEDS.items() if (missing := look())}
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        unmet = [(marker, lacks[marker]) for marker in lacks if item.get_closest_marker(marker)]
        left_out.update(unmet)
        bench = item.get_closest_marker("bench") is not None and not asked_for_bench
        (dropped if bench or (unmet and not config.getoption("--whole")) else kept).append(item)
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """With `--whole`, a test whose need is unmet fails and says which."""
    for marker, look in NEEDS.items():
        if item.get_closest_marker(marker) and (missing := look()):
            pytest.fail(f"a test marked {marker} needs {missing}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Count the tests that ran to their end, by what they used."""
    report = yield
    if report.when == "call" and report.passed:
        ran.update(marker for marker in REAL if item.get_closest_marker(marker))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests met the real thing, and which kinds were left out."""
    terminalreporter.write_line("real: " + ", ".join(f"{ran[marker]} {words}" for marker, words in REAL.items()))
    for (marker, missing), count in sorted(left_out.items()):
        terminalreporter.write_line(f"left out: {count} tests marked {marker}: this machine lacks {missing}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With `--whole`, a skip is a failure: a test that did not run proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--whole") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def top() -> pathlib.Path:
    """The top of the checkout."""
    return pathlib.Path(__file__).resolve().parent.parent
