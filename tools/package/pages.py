"""The man page, the bash completion and the default configuration, made from the program's own definitions.

Refuses to say anything that the commands do not say themselves, but for the frame that every man page has.
Usage: `python -m tools.package.pages man|completion|config`; eniagent has to be importable.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from eniagent import __version__
from tools.package.locks import TOP

FILES = (
    ("/etc/eniagent/config.toml", "settings; \\fBeniagent config show\\fR prints each with its origin"),
    ("/var/lib/eniagent/", "the daemon's history, and the keys of redaction"),
    ("/var/log/support/", "bundles"),
    ("/run/eniagent/", "the lock of a run that writes"),
)


class Command(NamedTuple):
    """One command: the words after `eniagent` ("" for the program itself), its help, its options and arguments."""

    words: str
    help: str
    options: list[tuple[str, str, str]]
    arguments: list[str]
    choices: dict[str, list[str]]


def commands() -> list[Command]:
    """All commands in the order of `--help`."""
    import typer

    from eniagent.cli.app import app

    return list(_walk(typer.main.get_command(app), ""))


def _walk(command: Any, words: str) -> Iterator[Command]:
    options, arguments, choices = [], [], {}
    for parameter in command.params:
        kinds = [str(choice) for choice in getattr(parameter.type, "choices", ())]
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name.upper()
            arguments.append(name if parameter.required else f"[{name.strip('[]')}]")
            continue
        if getattr(parameter, "hidden", False):
            continue
        value = "" if parameter.is_flag else parameter.metavar or "|".join(kinds) or parameter.name.strip("_").upper()
        names = [*parameter.opts, *parameter.secondary_opts]
        options.append((", ".join(names), value, parameter.help or ""))
        choices.update({name: kinds or ([] if parameter.is_flag else [value]) for name in names})
    yield Command(words, (command.help or "").strip(), options, arguments, choices)
    for name, inner in getattr(command, "commands", {}).items():
        if not inner.hidden:
            yield from _walk(inner, f"{words} {name}".strip())


def _roff(text: str) -> str:
    """Text as roff: its own signs escaped, so that no line is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


def _paragraphs(text: str) -> str:
    parts = [" ".join(part.split()) for part in re.split(r"\n\s*\n", text)]
    return "\n.PP\n".join(_roff(part) for part in parts)


def man() -> str:
    """eniagent(1) in roff."""
    at = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    known = commands()
    lines = [f'.TH ENIAGENT 1 "{at:%Y-%m-%d}" "eniagent {__version__}" "User Commands"', ".SH NAME"]
    lines += ["eniagent \\- names why pods on this Amazon EKS node get no address", ".SH SYNOPSIS"]
    for command in known:
        if command.words or len(known) == 1:
            tail = " ".join([*(["[\\fIOPTIONS\\fR]"] if command.options else []), *(_roff(name) for name in command.arguments)])
            lines += [f".B eniagent {_roff(command.words)}", tail, ".br"]
    lines += [".SH DESCRIPTION", _paragraphs(known[0].help), ".SH GLOBAL OPTIONS", *_options(known[0]), ".SH COMMANDS"]
    for command in known[1:]:
        lines += [f'.SS "eniagent {_roff(command.words)}"', _paragraphs(command.help), *_options(command)]
    lines += [".SH EXIT STATUS", *_exit_codes(), ".SH FILES"]
    for path, what in FILES:
        lines += [".TP", f".I {path}", what]
    return "\n".join([*lines, ".SH ENVIRONMENT", "\\fBENIAGENT_\\fR\\fISETTING\\fR sets the setting of that name.", ""])


def _options(command: Command) -> Iterator[str]:
    for names, value, told in command.options:
        yield ".TP"
        yield f".B {_roff(names)}" + (f" \\fI{_roff(value)}\\fR" if value else "")
        yield _roff(told)


def _exit_codes() -> Iterator[str]:
    """The exit codes as the README tells them."""
    table = (TOP / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    for codes, meaning in re.findall(r"^\| ([0-9, ]+) \| (.*) \|$", table, re.MULTILINE):
        yield ".TP"
        yield f".B {codes}"
        yield _roff(meaning.replace("`", ""))


def config() -> str:
    """The configuration file as delivered: every setting with its default, none of them set."""
    from eniagent.cli.config import _written
    from eniagent.edge.settings import KINDS, Settings

    defaults = Settings()
    lines = ["# Settings of eniagent; none has to be set. `eniagent config check` tells every problem at once.", ""]
    for name, kind in KINDS.items():
        value = getattr(defaults, name)
        lines += [f"# {name}: {kind.remedy}", f"#{name} = {_written(value) if value is not None else chr(34) * 2}", ""]
    return "\n".join(lines)


def completion() -> str:
    """A static bash completion: no Python is started at a TAB."""
    known = commands()
    tops = {command.words.split()[0]: [] for command in known if command.words}  # type: dict[str, list[str]]
    for command in known:
        first, _, second = command.words.partition(" ")
        if second:
            tops[first].append(second)
    lines = ["# bash completion for eniagent", "_eniagent() {", '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" word command=""']
    lines += ['    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', '        case "$command $word" in']
    lines += [f"            {' | '.join(repr(' ' + top) for top in tops)}) command=$word ;;"]
    inner = [repr(f"{top} {second}") for top, seconds in tops.items() for second in seconds]
    lines += [*([f'            {" | ".join(inner)}) command="$command $word" ;;'] if inner else []), "        esac", "    done"]
    lines += ['    case "$command:$previous" in', *_values(known), "    esac", '    case "$command" in']
    shared = " ".join(name for names, _, _ in known[0].options for name in names.split(", "))
    for command in known:
        own = " ".join(name for names, _, _ in command.options for name in names.split(", "))
        nexts = tops.get(command.words, []) if command.words else list(tops)
        offered = " ".join(filter(None, [" ".join(nexts), own, shared if command.words else "", "--help"]))
        lines.append(f'        "{command.words}") COMPREPLY=($(compgen -W "{offered}" -- "$current")) ;;')
    return "\n".join([*lines, "    esac", "} && complete -o default -F _eniagent eniagent", ""])


def _values(known: list[Command]) -> Iterator[str]:
    """What completes an option's value: its words, files and directories, or nothing."""
    for command in known:
        for name, kinds in command.choices.items():
            if not kinds:
                continue
            kind = "-f" if kinds in (["FILE"], ["PATH"]) else "-d" if kinds == ["DIR"] else f'-W "{" ".join(" ".join(kinds).split("|"))}"'
            reply = "COMPREPLY=()" if kind.startswith("-W") and kinds[0].isupper() else f'COMPREPLY=($(compgen {kind} -- "$current"))'
            scope = command.words if command.words else "*"
            yield f'        "{scope}:{name}") {reply}; return ;;' if scope != "*" else f'        *:"{name}") {reply}; return ;;'


if __name__ == "__main__":
    sys.stdout.write({"man": man, "completion": completion, "config": config}[sys.argv[1]]())
