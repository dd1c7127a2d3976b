"""Packs recordings (directories of captures, with truth.json) as one small .tar.xz each, the same bytes every time.

Refuses to pack what is no captures file. Usage: `python tools/pack_recordings.py DIR`: the scenarios that the demo offers go
to eniagent/demo/recordings, the others to tests/data/recordings; what is true of each goes to tests/data/recordings/truth.json.
"""

from __future__ import annotations

import io
import json
import lzma
import pathlib
import sys
import tarfile
from typing import Any

TOP = pathlib.Path(__file__).resolve().parent.parent
SHIPPED = TOP / "eniagent" / "demo" / "recordings"
KEPT = TOP / "tests" / "data" / "recordings"


def pack(recording: pathlib.Path) -> bytes:
    """The recording without its truth, as .tar.xz: names sorted, no owner, no time, so that equal input gives equal bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path in sorted(recording.rglob("*")):
            if not path.is_file() or path.name == "truth.json":
                continue
            member = tarfile.TarInfo(str(path.relative_to(recording)))
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as file:
                archive.addfile(member, file)
    return lzma.compress(plain.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def main(arguments: list[str]) -> int:
    """Packs every recording below the one directory given."""
    if len(arguments) != 1:
        raise SystemExit(__doc__)
    offered = {entry["recording"] for entry in json.loads((TOP / "eniagent" / "demo" / "scenarios.json").read_text())}
    truths: dict[str, Any] = {}
    total = 0
    for truth in sorted(pathlib.Path(arguments[0]).glob("*/truth.json")):
        recording = truth.parent
        truths[recording.name] = json.loads(truth.read_text(encoding="utf-8"))
        data = pack(recording)
        target = (SHIPPED if recording.name in offered else KEPT) / f"{recording.name}.tar.xz"
        target.write_bytes(data)
        total += len(data)
    (KEPT / "truth.json").write_text(json.dumps(truths, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(truths)} recordings, {total} bytes\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
