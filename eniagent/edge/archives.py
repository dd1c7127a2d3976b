"""The doors in: our bundles of any schema, other collectors' archives, captures, each packed or unpacked, all opened as one kind of case.

Refuses what is hostile, damaged or none of these. What is read from an archive waits without a name and is gone when the process ends.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, Callable, NamedTuple, Optional

import msgspec

from eniagent.edge import archives_layouts as layouts
from eniagent.edge.archives_read import Refused, is_archive
from eniagent.edge.archives_store import Item, check_digests, place_of, stored, walk
from eniagent.edge.captures import MANIFEST, PLACES, Listed, Opened, assemble, read_series
from eniagent.edge.errors import CapturesError
from eniagent.edge.names import original, shown
from eniagent.model.capture import Capture, CaptureCut, Circumstances
from eniagent.model.reading import Why
from eniagent.model.snapshot import Case, NodeSnapshot

BUNDLES = frozenset((1,))
"""Schemas of bundles that can be read: every one that was released."""
PAPER_BYTES = 64 << 20


class Door(NamedTuple):
    """What stands behind a path. `kind`: captures, bundle or collector. `manifest`: a bundle's own. `redaction`: how it was redacted, "" unknown."""

    series: list[Opened]
    kind: str
    manifest: Mapping[str, Any] = {}
    redaction: str = ""

    def case(self) -> Case:
        """The case: the last of the series is *now*."""
        *before, now = (snapshot_of(opened) for opened in self.series)
        return Case(now=now, before=tuple(before))


def snapshot_of(opened: Opened) -> NodeSnapshot:
    """The readings of one look; those that its own run could not take stay as it told them."""
    from eniagent import sources

    read = sources.snapshot(opened.seen, opened.span, told=opened.told)
    known = {field: reading for field, reading in opened.unread.items() if field in sources.MODULES}
    return msgspec.structs.replace(read, **known) if known else read


def open_path(path: str, *, since_s: float, always: bool = False) -> Door:
    """Whatever stands at a path. The window is a bundle's own, `since_s` elsewhere and where `always`. Raises `CapturesError`."""
    if os.path.isdir(path):
        names = os.listdir(path)
        if not any(layouts.MARKS.match(f"{name}/") for name in names) and not _is_bundle(_read_json(path, MANIFEST)):
            return Door(read_series(path, since_s=since_s, always=always), "captures")
        return _door(path, list(walk(path)), since_s=since_s, always=always, checked=False)
    if not os.path.exists(path):
        raise CapturesError(f"{path}: there is no such file or directory")
    if not is_archive(path):
        raise CapturesError(f"{path}: is no directory and no tar archive; give a captures directory, a bundle or a collector's archive")
    return _door(path, stored(path), since_s=since_s, always=always, checked=True)


def _read_json(path: str, name: str) -> Any:
    try:
        with open(f"{path}/{name}", "rb") as file:
            return msgspec.json.decode(file.read(PAPER_BYTES))
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _is_bundle(document: Any) -> bool:
    return isinstance(document, dict) and str(document.get("schema", "")).startswith("eniagent.bundle/")


def _door(path: str, items: list[Item], *, since_s: float, always: bool, checked: bool) -> Door:
    for item in items:
        if item.name.count("/") <= 1 and item.name.rsplit("/", 1)[-1] == MANIFEST:
            manifest = _json(path, item)
            if _is_bundle(manifest):
                return _bundle(path, items, manifest, top=item.name[: -len(MANIFEST)], since_s=since_s, always=always, checked=checked)
    if any(layouts.MARKS.match(item.name) for item in items):
        return _collector(path, items, since_s=since_s)
    return _captures(path, items, since_s=since_s, always=always)


def _json(path: str, item: Item) -> Any:
    if item.size_bytes > PAPER_BYTES:
        raise Refused(f"{path}: refused at {shown(item.name)}: is larger than {PAPER_BYTES >> 20} MiB")
    try:
        return msgspec.json.decode(b"".join(item.read()))
    except (msgspec.MsgspecError, ValueError, RecursionError, CaptureCut):
        return None


def _bundle(path: str, items: list[Item], manifest: dict[str, Any], *, top: str, since_s: float, always: bool, checked: bool) -> Door:
    number = str(manifest["schema"]).rpartition("/")[2]
    if not number.isdecimal() or int(number) not in BUNDLES:
        raise CapturesError(f"{path}: is a bundle of schema {manifest['schema']}, which eniagent learnt to read later; install a newer release")
    if checked:
        check_digests(path, items, top=top)
    below = [item._replace(name=original(item.name[len(top) :])) for item in items if item.name.startswith(f"{top}captures/")]
    strength = manifest.get("redaction")
    told = str(strength.get("strength", "")) if isinstance(strength, dict) else ""
    if not below:
        raise CapturesError(f"{path}: holds the report alone, no captures; read it with: eniagent bundle show")
    return Door(_captures(path, below, since_s=since_s, always=always).series, "bundle", manifest, told)


def _captures(path: str, items: list[Item], *, since_s: float, always: bool) -> Door:
    """Captures directories by the directory they stand in, in name order."""
    found: dict[str, list[Listed]] = {}
    manifests: dict[str, Any] = {}
    for item in items:
        place = place_of(item.name)
        if place is None:
            continue
        if place[1] == MANIFEST:
            manifests[place[0]] = _json(path, item)
        else:
            found.setdefault(place[0], []).append(Listed(place[1], item.size_bytes, item.modified_at, _inflated(item.read)))
    tops = sorted({*found, *(top for top, manifest in manifests.items() if _tells_captures(manifest))})
    if not tops:
        raise CapturesError(f"{path}: holds no captures: neither {MANIFEST} nor one of {', '.join(sorted(PLACES))} stands in it")
    opened = []
    for top in tops:
        manifest = manifests.get(top)
        usable = manifest if isinstance(manifest, dict) else {} if top not in manifests else {"problem": f"{MANIFEST} cannot be used"}
        opened.append(assemble(sorted(found.get(top, [])), usable, since_s=since_s, always=always))
    return Door(opened, "captures")


def _tells_captures(manifest: Any) -> bool:
    return isinstance(manifest, dict) and isinstance(manifest.get("captures"), list)


def _inflated(read: Callable[[], Iterator[bytes]]) -> Callable[[], Iterator[bytes]]:
    """A rotated log may stand there packed."""
    from eniagent.edge.gunzip import MAGIC, inflate

    def pieces() -> Iterator[bytes]:
        source = read()
        first = next(source, b"")
        stream = _chain(first, source)
        yield from inflate(stream) if first[:2] == MAGIC else stream

    return pieces


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _collector(path: str, items: list[Item], *, since_s: float) -> Door:
    """Another collector's files, under the names of ours."""
    listed: dict[str, Listed] = {}
    abouts: list[dict[str, Any]] = []
    node: dict[str, str] = {}
    for item in items:
        key = layouts.told(item.name)
        if key:
            node[key] = b"".join(item.read())[:200].decode("utf-8", "replace").strip()
        for row, file in layouts.rows(item.name):
            if file in listed:
                continue
            about = {"probe": f"{item.name} of the collector", "file": file, "at": msgspec.to_builtins(_time(item.modified_at))}
            body = _turned(item, row)
            if body is not None and body != b"":
                read = _inflated(item.read) if row.turn is None else Capture(Circumstances(probe="", file=""), body).chunks
                listed[file] = Listed(file, item.size_bytes, item.modified_at, read)
            elif file.split("/")[0] != "logs":
                about["failure"], about["detail"] = Why.NOT_COLLECTED.value, f"{item.name} is empty or of an unknown form"
            abouts.append(about)
    if not listed:
        raise CapturesError(f"{path}: is a collector's archive of which nothing can be read")
    newest = max(entry.modified_at for entry in listed.values())
    manifest = {"taken_at": msgspec.to_builtins(_time(newest)), "node": node, "captures": abouts}
    return Door([assemble(sorted(listed.values()), manifest, since_s=since_s)], "collector")


def _turned(item: Item, row: layouts.Row) -> Optional[bytes]:
    """The content in our form; for what stays as it is only whether there is any."""
    if row.turn is None:
        return b"there" if item.size_bytes else b""
    if item.size_bytes > layouts.TEXT_BYTES:
        return None
    return row.turn(b"".join(item.read()).decode("utf-8", "replace"))


def _time(at_s: float) -> Any:
    from eniagent.edge import clock

    return clock.from_epoch(at_s)
