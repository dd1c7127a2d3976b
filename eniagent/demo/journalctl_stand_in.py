"""Stands in for journalctl in a replay: prints recorded entries as `journalctl -o export` does.

Refuses what it cannot do as a journalctl without PCRE2 does: `--grep` is an error. Runs by itself, with the file of entries first.
"""

from __future__ import annotations

import json
import os
import re
import sys
from datetime import datetime, timezone
from typing import Any, Optional

VERSION = "systemd 252 (stand-in of a replay)\n-PCRE2\n"
ADDRESS_FIELDS = ("__CURSOR", "__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP", "_BOOT_ID")
LONG = {"-u": "--unit", "-t": "--identifier", "-S": "--since", "-U": "--until", "-o": "--output", "-g": "--grep", "-n": "--lines", "-D": "--directory"}
VALUED = {*LONG.values(), "--output-fields", "--file", "--cursor", "--after-cursor", "--priority"}


def to_export(entry: dict[str, Any]) -> bytes:
    """One entry in journal export format; text with line breaks and bytes in the length-prefixed form.

    Source: systemd, Journal Export Formats.
    """
    pieces = []
    for name, value in entry.items():
        if value is None:
            continue
        data = bytes(value) if isinstance(value, list) else str(value).encode("utf-8")
        if b"\n" in data or isinstance(value, list):
            pieces.append(name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n")
        else:
            pieces.append(name.encode() + b"=" + data + b"\n")
    return b"".join(pieces) + b"\n"


def parse(words: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Options with all their values, and the matches. Of unknown options only the name is kept."""
    options: dict[str, list[str]] = {}
    matches: list[str] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            matches.append(word)
            continue
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            name, equals, value = word[:2], word[2:], word[2:]
        name = LONG.get(name, name)
        if name in VALUED and not equals:
            value = left.pop(0) if left else ""
        options.setdefault(name, []).append(value)
    return options, matches


def moment_us(text: str) -> Optional[int]:
    """`@seconds` or `YYYY-MM-DD HH:MM:SS[.ffffff] [UTC]` in microseconds; None for a form it does not know."""
    if text.startswith("@"):
        seconds, _, fraction = text[1:].partition(".")
        return int(seconds) * 1000000 + int((fraction + "000000")[:6])
    found = re.match(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{6})?)", text)
    if not found:
        return None
    return int(datetime.fromisoformat(f"{found[1]}T{found[2]}").replace(tzinfo=timezone.utc).timestamp() * 1000000)


def wanted(entry: dict[str, Any], options: dict[str, list[str]], matches: list[str]) -> bool:
    """Whether an entry is of one of the units, identifiers or matches asked for, and in the window."""
    pairs = [("_SYSTEMD_UNIT", unit if "." in unit else f"{unit}.service") for unit in options.get("--unit", [])]
    pairs += [("SYSLOG_IDENTIFIER", name) for name in options.get("--identifier", [])]
    pairs += [tuple(match.split("=", 1)) for match in matches if "=" in match]  # type: ignore[misc]
    if pairs and not any(entry.get(field) == value for field, value in pairs):
        return False
    at = int(entry["__REALTIME_TIMESTAMP"])
    since, until = (moment_us(options[name][-1]) if name in options else None for name in ("--since", "--until"))
    return (since is None or at >= since) and (until is None or at <= until)


def main(words: list[str]) -> int:
    """Answers one call. `words[0]` is the file of entries."""
    options, matches = parse(words[1:])
    if "--version" in options:
        sys.stdout.write(VERSION)
        return 0
    if "--grep" in options:
        sys.stderr.write("Compiled without pattern matching support\n")
        return 1
    if options.get("--output", [""])[-1] != "export":
        sys.stderr.write("a replay without journal files prints the export format only\n")
        return 1
    kept = {name for value in options.get("--output-fields", []) for name in value.split(",")}
    with open(words[0], encoding="utf-8") as file:
        found = [entry for entry in map(json.loads, file) if wanted(entry, options, matches)]
    if "--lines" in options:
        found = found[-int(options["--lines"][-1]) :]
    try:
        for entry in found:
            shown = {name: entry[name] for name in entry if not kept or name in kept or name in ADDRESS_FIELDS}
            sys.stdout.buffer.write(to_export(shown))
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has what it wanted; what is still buffered must not be complained about at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
