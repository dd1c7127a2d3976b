"""What the documents show is what a reader gets: every `console` block is run, and its output is as printed."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys
from typing import NamedTuple

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
DOCUMENTS = ("README.md",)
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Step(NamedTuple):
    """One command of a block, and the output shown below it. `...` in the output stands for anything."""

    where: str
    command: str
    shown: str


def steps(document: str) -> list[Step]:
    """All commands of a document's blocks, in order."""
    text = (TOP / document).read_text(encoding="utf-8")
    found = []
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        pieces = re.split(r"^\$ (.*)\n", block[1], flags=re.MULTILINE)[1:]
        found += [Step(f"{document}:{line}", command, shown) for command, shown in zip(pieces[::2], pieces[1::2])]
    return found


def pattern(shown: str) -> re.Pattern[str]:
    """Output as shown; a line `...` stands for any lines, `...` within a line for any characters of it."""
    lines = []
    for line in shown.rstrip("\n").split("\n"):
        if line == "...":
            lines.append(r"(?:.*\n)*?")
        else:
            lines.append(".*".join(re.escape(part) for part in line.split("...")) + r"[ ]*\n")
    return re.compile("".join(lines))


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    """A directory that looks like the checkout and may be written to."""
    for entry in TOP.iterdir():
        if not entry.name.startswith(".") and entry.name != "build":
            (tmp_path / entry.name).symlink_to(entry)
    return tmp_path


@pytest.mark.sockets
@pytest.mark.parametrize("document", DOCUMENTS)
def test_examples(document: str, place: pathlib.Path) -> None:
    """Each command prints what the document shows below it, as a reader runs them: from top to bottom, eniagent on PATH."""
    bin_directory = str(pathlib.Path(sys.executable).parent)
    environment = {"PATH": f"{bin_directory}:{os.environ['PATH']}", "HOME": str(place), "LC_ALL": "C.UTF-8", "COLUMNS": "110"}
    wrong = []
    for step in steps(document):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=place,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )
        if not (pattern(step.shown).fullmatch(done.stdout) if step.shown.strip() else done.returncode == 0):
            wrong.append(f"{step.where}: $ {step.command}\n{done.stdout}")
    assert not wrong, "\n".join(wrong)


def test_the_readme_shows_examples() -> None:
    """The check above is vacuous without blocks."""
    assert len(steps("README.md")) >= 4


def test_exit_codes_are_told_as_they_are() -> None:
    """The README's table of exit codes has every code of the contract, and no other."""
    from eniagent.cli.exit_codes import Code

    table = (TOP / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    told = {int(code) for row in re.findall(r"^\| ([0-9, ]+) \|", table, re.MULTILINE) for code in row.split(",")}
    assert told == {code.value for code in Code}
