"""`eniagent bundle create|show|verify|diff|reveal`: one file for support, what stands in it, whether it is sound, what changed.

Refuses to unpack anything: what is asked of an archive is read from it where it is.
"""

# No `from __future__ import annotations` here: on Python 3.9 typer reads options from evaluated annotations only.

import enum
from typing import Annotated, Any, Optional

import typer

from eniagent.cli import bundling
from eniagent.cli.diagnose import Redact, Wanted, answer_of, exit_code
from eniagent.cli.exit_codes import Code, UsageError, leading
from eniagent.cli.globals_ import Globals
from eniagent.cli.log import Log
from eniagent.cli.output import say
from eniagent.report.plain import plain

app = typer.Typer(help="Write, list, check and compare bundles.", rich_markup_mode=None)


class Size(str, enum.Enum):
    """The words of `--profile`."""

    CASE = "case"
    MINI = "mini"


class Form(str, enum.Enum):
    """The words of `--format` here."""

    TEXT = "text"
    JSON = "json"


BUNDLE = typer.Argument(metavar="BUNDLE", help="A bundle's archive")


@app.command("create")
def create(
    ctx: typer.Context,
    profile: Annotated[Size, typer.Option("--profile", help="case: at most 150 MB; mini: at most 5 MB")] = Size.CASE,
    redact: Annotated[Optional[Redact], typer.Option("--redact", help="What to remove [secrets]")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm --redact none")] = False,
    since: Annotated[Optional[str], typer.Option(metavar="DURATION", help="How far back to read, as 30s, 15m, 1h, 2d [1h]")] = None,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="PATH", help="A bundle, captures, or a collector's archive, instead of this node")] = None,
    deadline: Annotated[Optional[str], typer.Option(metavar="SECONDS", help="Be done by then, with what there is [120]")] = None,
    confirm: Annotated[bool, typer.Option("--confirm", help="Look again after 60 s, for views that agree only in time")] = False,
    upload: Annotated[Optional[str], typer.Option("--upload", metavar="URL", help="Upload it too: see eniagent upload --to")] = None,
) -> int:
    """Look at this node and write one archive: the verdict, what it was made from, and what support will ask for."""
    from eniagent.report.verdict import first_line

    given: Globals = ctx.obj
    settings = given.settings(since_s=since, deadline_s=deadline, redact=redact.value if redact is not None else None)
    bundling.check_redaction(settings, yes=yes)
    log = Log(verbose=given.verbose and not given.quiet, log_format=settings.log_format)
    work = bundling.Bundling(settings, profile=profile.value, log=log, quiet=given.quiet, upload_to=upload)
    with work.locked():
        answer = answer_of(work.look_settings if from_ is None else settings, path=from_, log=log, wanted=Wanted(bundle=True, confirm=confirm), keeper=work.keeper)
        say(f"{first_line(bundling.redacted(answer, settings))}\n".encode("ascii"))
        code, made = work.finish(answer, live=from_ is None, beside_s=bundling.CREATE_S)
    sent = work.send(made)
    if made is not None:
        say(bundling.bundle_line(made))
    return leading([code, sent, exit_code(answer, fail_on=None, strict=False)])


@app.command("show")
def show(path: Annotated[str, BUNDLE], format_: Annotated[Form, typer.Option("--format", help="Form of the answer")] = Form.TEXT) -> int:
    """Say what a bundle tells and list its members."""
    from eniagent.edge import bundle_verify

    found = bundle_verify.read(path, for_secrets=False)
    manifest = bundle_verify.manifest_of(path, found)
    if format_ is Form.JSON:
        _say_json(manifest)
        return Code.OK
    say("".join(f"{line}\n" for line in _shown(manifest, found.digests)).encode("ascii"))
    return Code.OK


def _shown(manifest: dict[str, Any], digests: dict[str, tuple[str, int]]) -> list[str]:
    node, strength = manifest.get("node") or {}, (manifest.get("redaction") or {}).get("strength")
    lines = [
        f"{plain(manifest.get('name', ''))}",
        f"taken at {plain(manifest.get('taken_at', ''))}; verdict {plain(manifest.get('verdict', ''))}; causes {plain(', '.join(manifest.get('causes') or ['none']))}",
        f"node {plain(node.get('name', ''))}, {plain(node.get('instance_id', ''))}, {plain(node.get('instance_type', ''))}",
        f"profile {plain(manifest.get('profile', ''))}; redaction {plain(str(strength))}; {plain(manifest.get('schema', ''))}",
        *(f"note: {plain(note)}" for note in manifest.get("notes") or ()),
        f"{len(digests)} members:",
    ]
    told = {entry.get("path"): entry for entry in manifest.get("members") or () if isinstance(entry, dict)}
    for name, (_, size) in sorted(digests.items()):
        entry = told.get(name, {})
        more = [f"truncated: {entry['truncated']}"] if entry.get("truncated") else []
        more += [f"{entry['redactions']} redactions"] if entry.get("redactions") else []
        lines.append(f"  {size:>12}  {plain(name, limit=300)}{'  (' + plain('; '.join(more), limit=300) + ')' if more else ''}")
    absent = [entry for entry in manifest.get("left_out") or () if isinstance(entry, dict)]
    lines += [f"left out: {plain(str(entry.get('path')))}: {plain(str(entry.get('why')))}" for entry in absent]
    return lines


@app.command("verify")
def verify(path: Annotated[str, BUNDLE], format_: Annotated[Form, typer.Option("--format", help="Form of the answer")] = Form.TEXT) -> int:
    """Check digests, members, size, names, leftovers of secrets, and that the captures give the verdict; exit code 2 where it is unsound."""
    from eniagent.edge import bundle_verify

    checked = bundle_verify.verify(path)
    if format_ is Form.JSON:
        _say_json({"path": path, "sound": not checked.problems, "problems": checked.problems, "notes": checked.notes, "members": checked.members, "size_bytes": checked.size_bytes})
    else:
        told = [f"problem: {plain(problem, limit=400)}" for problem in checked.problems] + [f"note: {plain(note, limit=400)}" for note in checked.notes]
        verdict = "sound" if not checked.problems else "UNSOUND"
        say("".join(f"{line}\n" for line in [f"{verdict}: {checked.members} members, {checked.size_bytes} bytes", *told]).encode("ascii"))
    return Code.OK if not checked.problems else Code.USAGE


@app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="The older bundle")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="The newer bundle")],
    format_: Annotated[Form, typer.Option("--format", help="Form of the answer")] = Form.TEXT,
) -> int:
    """Say what changed from one bundle to another: verdict, causes, numbers, pods."""
    from eniagent.edge import bundle_diff

    compared = bundle_diff.compare(before, after)
    if format_ is Form.JSON:
        _say_json({"before": compared.before, "after": compared.after, "note": compared.note, "changes": [change._asdict() for change in compared.changes]})
        return Code.OK
    lines = [f"from {plain(compared.before)} to {plain(compared.after)}", *([f"note: {plain(compared.note)}"] if compared.note else [])]
    lines += [f"  {plain(change.what)}: {_word(change.was)} -> {_word(change.became)}" for change in compared.changes] or ["  nothing changed"]
    say("".join(f"{line}\n" for line in lines).encode("ascii"))
    return Code.OK


def _word(value: Any) -> str:
    return "not told" if value is None else plain(str(value), limit=300)


@app.command("reveal")
def reveal(ctx: typer.Context, words: Annotated[list[str], typer.Argument(metavar="PSEUDONYM...|FILE", help="Names as they stand in a bundle, or one text file with such names")]) -> int:
    """Turn pseudonyms back, on the node that made them."""
    import os

    from eniagent.edge import redaction_keys

    given: Globals = ctx.obj
    settings = given.settings()
    if len(words) == 1 and os.path.isfile(words[0]):
        with open(words[0], "rb") as file:
            say(redaction_keys.reveal_text(settings, file.read(64 << 20)))
        return Code.OK
    unknown = []
    for word in words:
        original = redaction_keys.reveal(settings, word)
        if original is None:
            unknown.append(word)
        else:
            say(f"{plain(word)} {plain(original)}\n".encode("ascii"))
    if unknown:
        raise UsageError(f"not known on this node: {', '.join(unknown)}; names are turned back on the node that made the bundle")
    return Code.OK


def _say_json(value: Any) -> None:
    import msgspec

    say(msgspec.json.encode(value) + b"\n")
