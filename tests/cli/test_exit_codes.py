"""Exit codes: which leads, what an exception comes to, and what a real process ends with on a wrong command line."""

from __future__ import annotations

import ast
import importlib
import pathlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import eniagent
from eniagent.cli.app import hoist
from eniagent.cli.exit_codes import FOREIGN, PRECEDENCE, Code, Interrupted, UsageError, code_of, leading, words_of
from eniagent.edge.errors import AgentError, ConfigError, Problem
from tests.cli.command import run

FORBIDDEN = {126, 127, 137, 168, 194, 255}
def ours() -> Iterator[type[BaseException]]:
    """Every exception class that the package defines."""
    for module in pkgutil.walk_packages(eniagent.__path__, "eniagent."):
        if module.name.endswith("__main__") or "stand_in" in module.name:
            continue
        for thing in vars(importlib.import_module(module.name)).values():
            if isinstance(thing, type) and issubclass(thing, BaseException) and thing.__module__ == module.name:
                yield thing


def caught() -> set[str]:
    """Names of all exceptions that some `except` clause of the package names, or that some line tells apart by `isinstance`."""
    kinds: list[ast.expr] = []
    for file in pathlib.Path(eniagent.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler) and node.type is not None:
                kinds.append(node.type)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
                kinds.append(node.args[1])
    parts = [part for kind in kinds for part in ast.walk(kind)]
    return {part.id for part in parts if isinstance(part, ast.Name)} | {part.attr for part in parts if isinstance(part, ast.Attribute)}


def test_every_exception_of_ours_owns_an_exit_code_or_is_caught() -> None:
    """An exception class of the package either belongs to the tree that owns exit codes or is caught by name within it."""
    defined = set(ours())
    assert {kind.__name__ for kind in defined} >= {"ConfigError", "CapturesError", "UsageError", "OutputError", "OutOfTime"}
    loose = {kind.__name__ for kind in defined if not issubclass(kind, (AgentError, Interrupted))}
    assert loose <= caught()
    assert all(Code(kind.exit_code) in PRECEDENCE for kind in defined if issubclass(kind, AgentError))


def test_no_code_belongs_to_ssm_or_a_shell() -> None:
    """Codes that SSM and shells give a meaning of their own are never ours, and each of ours but 0 has a place in the order."""
    assert not FORBIDDEN & set(Code)
    assert set(PRECEDENCE) == set(Code) - {Code.OK}


@given(st.lists(st.sampled_from([int(code) for code in Code])))
def test_leading_is_the_first_of_the_order(codes: list[int]) -> None:
    """Of several codes the contract's first leads, whatever the order in which they came; none means 0."""
    order = [130, 143, 2, 1, 9, 7, 6, 10, 3, 4, 5, 8]
    expected = min((code for code in codes if code), key=order.index, default=0)
    assert leading(codes) == expected
    assert leading(reversed(codes)) == expected


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KeyboardInterrupt(), 130),
        (Interrupted(Code.TERMINATED), 143),
        (UsageError("x"), 2),
        (ConfigError(()), 2),
        (MemoryError(), 1),
        (RecursionError(), 1),
        (ModuleNotFoundError("no httpx"), 1),
        (ZeroDivisionError("x"), 1),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_what_an_exception_comes_to(error: BaseException, code: int) -> None:
    """Each kind of exception comes to the contract's code."""
    assert code_of(error) == code


def test_an_unknown_exception_is_told_as_our_own_fault() -> None:
    """A fault names its kind, the version and how to report it, in one printable line; the node is not blamed."""
    (line,) = words_of(ZeroDivisionError("a\nb\x1b[31m"), version="1.2.3")
    assert "ZeroDivisionError" in line
    assert "eniagent 1.2.3" in line
    assert "not of the node" in line
    assert "--verbose" in line
    assert line.isascii()
    assert line.isprintable()


def test_each_problem_has_its_line_with_the_flag_that_was_used() -> None:
    """Several wrong settings are told in as many lines, named as the user wrote them, with the remedy."""
    lines = words_of(ConfigError((Problem("since_s", "flag", "is odd", "give 1h"), Problem("x", "file /f", "is unknown", "remove it"))), version="")
    assert lines == ["--since (flag): is odd; give 1h", "x (file /f): is unknown; remove it"]
    assert all(words for _, _, words in FOREIGN)


USAGE = [
    ((), "Missing command"),
    (("bogus",), "bogus"),
    (("diagnose", "--bogus"), "--bogus"),
    (("diagnose", "--since", "yesterday"), "--since"),
    (("diagnose", "--since", "-1h"), "--since"),
    (("diagnose", "--since", "0s"), "--since"),
    (("diagnose", "--since", "99999999999999999d"), "--since"),
    (("diagnose", "--deadline", "soon"), "--deadline"),
    (("diagnose", "--format", "yaml"), "--format"),
    (("diagnose", "--fail-on", "healthy"), "--fail-on"),
    (("diagnose", "extra"), "extra"),
    (("diagnose", "--from", "/nonexistent/captures"), "/nonexistent/captures"),
    (("diagnose", "--output", "/nonexistent/place/x"), "/nonexistent/place"),
    (("diagnose", "--output", "/tmp"), "directory"),
    (("diagnose", "--ipamd-url", "ftp://x"), "--ipamd-url"),
    (("--config", "/nonexistent.toml", "diagnose"), "/nonexistent.toml"),
    (("diagnose", "--config"), "--config"),
    (("diagnose", "--root", "relative"), "--root"),
    (("demo", "nowhere"), "nowhere"),
]


@pytest.mark.parametrize(("words", "named"), USAGE)
def test_usage_errors_end_with_2_and_name_what_is_wrong(words: tuple[str, ...], named: str) -> None:
    """A command line that cannot be followed ends with 2, says on stderr what is wrong, and prints nothing on stdout."""
    ended = run(*words)
    assert ended.returncode == 2
    assert ended.stdout == b""
    told = ended.stderr.decode("ascii")
    assert named in told
    assert told.startswith("eniagent: ")
    assert "Traceback" not in told


def test_all_problems_of_the_configuration_come_at_once(tmp_path: object) -> None:
    """Flag, environment and file each have a fault: one run tells all three."""
    file = f"{tmp_path}/config.toml"
    with open(file, "w", encoding="ascii") as made:
        made.write('colour = "blue"\n')
    ended = run("config", "check", "--root", "relative", "--config", file, environment={"ENIAGENT_DEADLINE_S": "soon"})
    assert ended.returncode == 2
    told = ended.stderr.decode("ascii")
    assert [word in told for word in ("--root (flag)", "ENIAGENT_DEADLINE_S", "colour")] == [True] * 3


def test_config_show_tells_each_origin() -> None:
    """Flag goes before environment, and each value says where it came from."""
    ended = run("config", "show", "--imds-url", "127.0.0.1:1", environment={"ENIAGENT_IMDS_URL": "127.0.0.1:2", "ENIAGENT_METRICS_URL": "127.0.0.1:3"})
    assert ended.returncode == 0
    told = ended.stdout.decode("ascii").splitlines()
    assert [line for line in told if line.startswith("imds_url")][0].endswith('"http://127.0.0.1:1"  # flag')
    assert [line for line in told if line.startswith("metrics_url")][0].endswith('"http://127.0.0.1:3"  # environment ENIAGENT_METRICS_URL')


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["diagnose", "--root", "/h", "--strict"], ["--root", "/h", "diagnose", "--strict"]),
        (["diagnose", "--root=/h", "-v"], ["--root=/h", "-v", "diagnose"]),
        (["--quiet", "diagnose"], ["--quiet", "diagnose"]),
        (["triage", "--", "--root"], ["triage", "--", "--root"]),
    ],
)
def test_global_options_count_before_and_after_the_command(written: list[str], read: list[str]) -> None:
    """A global option is heard wherever it stands, up to `--`."""
    assert hoist(written) == read


def test_a_mistyped_command_is_hinted_at_once() -> None:
    """The nearest command is named, and named once."""
    words = [sys.executable, "-c", "import sys; from eniagent.cli import main; sys.exit(main(['diagnoze']))"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("Did you mean") == 1
