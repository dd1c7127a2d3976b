"""Fits sections into a number of bytes: every section keeps its head, items are added in turn while there is room.

Refuses to cut an item: an item stands whole or is counted in `and N more`, for half a command is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Section(msgspec.Struct, frozen=True):
    """One part of the verdict. `rank` 0 gets its items first; `inline` puts all on the head's line. All text is ASCII.

    `unlisted`: items beyond those given, so that nobody writes out a thousand of which ten can be shown.
    """

    title: str
    head: str
    items: tuple[str, ...] = ()
    rank: int = 9
    inline: bool = False
    unlisted: int = 0


def lines(section: Section, *, shown: int) -> list[str]:
    """The section with its first `shown` items and the number of those left out."""
    label = f"{section.title}: " if section.title else ""
    left = len(section.items) - shown + section.unlisted
    if section.inline:
        parts = [part for part in (section.head, *section.items[:shown]) if part]
        if left:
            parts.append(f"{'and ' if shown else ''}{left} {'more ' if shown else ''}below")
        return [f"{label}{'; '.join(parts)}"]
    more = [f"  and {left} more below" if shown else f"  {left} below"] if left else []
    return [f"{label}{section.head}".rstrip(), *(f"  {item}" for item in section.items[:shown]), *more]


def size_bytes(section: Section, *, shown: int) -> int:
    """What the section takes, newlines included."""
    return sum(len(line) + 1 for line in lines(section, shown=shown))


def fit(sections: Sequence[Section], *, room_bytes: int) -> list[list[str]]:
    """The lines of every section, in the order given, together at most `room_bytes` where the heads alone are."""
    shown = [0] * len(sections)
    used = sum(size_bytes(section, shown=0) for section in sections)
    open_ = sorted(range(len(sections)), key=lambda index: sections[index].rank)
    while open_:
        for index in list(open_):
            section = sections[index]
            wider = shown[index] + 1
            grown = size_bytes(section, shown=min(wider, len(section.items))) - size_bytes(section, shown=shown[index])
            if wider > len(section.items) or used + grown > room_bytes:
                open_.remove(index)
            else:
                shown[index], used = wider, used + grown
    return [lines(section, shown=count) for section, count in zip(sections, shown)]
