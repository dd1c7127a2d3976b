"""The rules of the house that no linter holds: import directions, pure rooms, words, and what files may not name."""

from __future__ import annotations

import ast
import pathlib
import re
from collections.abc import Iterator

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = TOP / "eniagent"

FLOORS: tuple[tuple[str, ...], ...] = (
    ("model",),
    ("knowledge",),
    ("sources",),
    ("case",),
    ("rules",),
    ("diagnose",),
    ("redact", "report"),
    ("edge",),
    ("daemon", "demo"),
    ("cli",),
)
"""Rooms, lowest first. A room imports itself and rooms of lower floors; two rooms of one floor do not know each other."""

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
PURE = tuple(room for room in FLOOR if FLOOR[room] < FLOOR["edge"])
IMPURE_MODULES = ("httpx", "psutil", "subprocess", "sqlite3", "socket", "http.client", "urllib.request", "threading", "asyncio")
IMPURE_CALLS = ("time.time", "time.monotonic", "datetime.now", "datetime.utcnow", "os.environ", "os.getenv")

TEXT = {".py", ".md", ".toml", ".sh", ".json", ".yaml", ".yml", ".tsv", ".txt", ".jsonl", ""}
NOT_OURS = {".git", ".venv", "build", "dist", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}


def room_of(path: pathlib.Path) -> str:
    """The room that a module stands in; "" for the package itself."""
    first = path.relative_to(PACKAGE).parts[0]
    return "" if first == "__init__.py" else pathlib.PurePath(first).stem


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that the source imports, at module level or below, under its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> list[pathlib.Path]:
    """All modules of the package."""
    return sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)


def project_files() -> Iterator[pathlib.Path]:
    """Every text file of the checkout that is the project's own."""
    for path in sorted(TOP.rglob("*")):
        parts = path.relative_to(TOP).parts
        foreign = NOT_OURS.intersection(parts) or any(part.startswith(".venv") or part.endswith(".egg-info") for part in parts)
        if path.is_file() and path.suffix in TEXT and not foreign:
            yield path


def short(path: pathlib.Path) -> str:
    """The path as a test's name."""
    return str(path.relative_to(TOP))


@pytest.mark.parametrize("path", modules(), ids=short)
def test_imports_run_one_way(path: pathlib.Path) -> None:
    """A room imports only itself and rooms below it, and every room has its floor."""
    room = room_of(path)
    if room == "__main__":
        room = "cli"
    assert room == "" or room in FLOOR, f"{room} is a room without a floor"
    for name in imported(ast.parse(path.read_text(encoding="utf-8"))):
        if not name.startswith("eniagent."):
            continue
        other = name.split(".")[1]
        if other not in FLOOR:
            assert other == "__version__", f"{name} is in no room"
        elif room != other:
            assert room, "the package itself imports nothing of ours"
            assert FLOOR[other] < FLOOR[room], f"{room} imports {name}"


@pytest.mark.parametrize("path", [path for path in modules() if room_of(path) in PURE], ids=short)
def test_pure_rooms_touch_nothing(path: pathlib.Path) -> None:
    """Below the edge nothing imports what touches the world, and no lint mark lets it through."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    names = set(imported(tree))
    assert not names.intersection(IMPURE_MODULES)
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not [use for use in used if use.endswith(IMPURE_CALLS)]
    assert not re.search(r"noqa:.*(TID251|T20)", source)


@pytest.mark.parametrize("path", [path for path in modules() if path.stat().st_size], ids=short)
def test_modules_say_what_they_are(path: pathlib.Path) -> None:
    """Every module opens with a docstring whose first line is one sentence, and stays short enough for one idea."""
    source = path.read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(source))
    assert docstring, "no docstring"
    assert docstring.splitlines()[0].rstrip().endswith((".", ":", "?")), "the first line is no sentence"
    assert source.count("\n") <= 400


def test_files_name_nothing_of_one_machine() -> None:
    """No file names the place where it was written, or a package registry's host: both differ elsewhere."""
    # The words are put together here so that this file does not name them either.
    words = ["/" + "work/", "." + "library", "/" + "farm/", "/tmp/" + "studio", "before" + "-stop", "pypi" + ".org", "pythonhosted" + ".org"]
    words += ["deb." + "debian.org", "security." + "debian.org"]
    found = [
        f"{short(path)}: {word}" for path in project_files() for word in words if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert not found


def test_no_promises_and_no_pretence() -> None:
    """No postponed work in the product, and no test that skips or patches its way to green."""
    promises = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b|pragma: no " + r"cover|raise NotImplemented" + r"Error")
    pretence = re.compile(r"mock\." + r"patch|unittest\." + r"mock|pytest\." + r"skip|mark\." + r"skip|mark\." + r"xfail|importor" + r"skip")
    found = [short(path) for path in modules() if promises.search(path.read_text(encoding="utf-8"))]
    found += [short(path) for path in (TOP / "tests").rglob("*.py") if pretence.search(path.read_text(encoding="utf-8"))]
    assert not found


def test_there_are_modules_to_check() -> None:
    """The rules above are vacuous when the package is not where this file looks for it."""
    assert len(modules()) > 30
    assert {room_of(path) for path in modules()} >= {"model", "knowledge", "sources"}


@pytest.mark.parametrize("path", sorted((PACKAGE / "cli").glob("*.py")), ids=short)
def test_commands_keep_their_options_on_python_3_9(path: pathlib.Path) -> None:
    """typer on 3.9 reads `Annotated` options from evaluated annotations only, so such a module must not postpone them."""
    source = path.read_text(encoding="utf-8")
    if re.search(r"Annotated\[.*typer\.", source):
        assert "from __future__ import annotations" not in re.sub(r"#.*", "", source)
