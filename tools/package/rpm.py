"""Builds the rpm for Amazon Linux 2023: one for each architecture, with libraries for its Python 3.9.

Refuses rpmbuild's own dependency search: the tree under /opt provides nothing to others, and what it requires stands in the spec.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from datetime import datetime, timezone

from tools.package import tree
from tools.package.deb import MAINTAINER, RELEASE
from tools.package.licences import copyright_file, licence
from tools.package.locks import GLIBC, TOP
from tools.package.wheels import Wheel, version

TAGS = ("cp39",)
PLACE = tree.Place(units="usr/lib/systemd/system")


def build(target: pathlib.Path, *, work: pathlib.Path, own: Wheel, store: pathlib.Path, architecture: str, epoch: int, made: dict[str, bytes], release: int = RELEASE) -> pathlib.Path:
    """Write the rpm into the directory `target`; returns its path. `made`: the pages, from a tree that this Python can run."""
    top = tree.fresh(work / f"rpm-{architecture}")
    root = top / "tree"
    laid = tree.lay_out_libraries(root, own=own, store=store, tags=TAGS, architecture=architecture)
    tree.lay_out_rest(root, made=made, place=PLACE)
    tree.write(root / PLACE.doc / "copyright", copyright_file(laid).encode())
    tree.write(root / PLACE.doc / "CHANGELOG.md", (TOP / "CHANGELOG.md").read_bytes())
    tree.fix(root, epoch=epoch)
    (top / "files").write_text("\n".join(_entries(root)) + "\n", encoding="utf-8")
    (top / "eniagent.spec").write_text(_spec(top, root, laid, epoch=epoch, release=release), encoding="utf-8")
    words = ["rpmbuild", "-bb", "--quiet", "--target", f"{architecture}-linux", "--define", f"_topdir {top}", "--define", f"_rpmdir {top}"]
    words += ["--define", "_rpmfilename out.rpm", str(top / "eniagent.spec")]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch), "LC_ALL": "C"}
    done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"rpmbuild failed:\n{done.stdout[-3000:]}")
    path = target / f"eniagent-{version()}-{release}.{architecture}.rpm"
    (top / "out.rpm").replace(path)
    return path


def _entries(root: pathlib.Path) -> list[str]:
    """The %files list: our own directories, and every file with its kind."""
    ours = [root / "opt/eniagent", *(path for path in (root / "opt/eniagent").rglob("*") if path.is_dir()), root / "etc/eniagent", root / PLACE.doc]
    lines = [f"%attr(0755,root,root) %dir /{path.relative_to(root)}" for path in sorted(ours)]
    for path in tree.files(root):
        told = f"/{path.relative_to(root)}"
        mode = "-" if path.is_symlink() else f"0{path.stat().st_mode & 0o777:o}"
        kind = "%config(noreplace) " if told.startswith("/etc/") else "%license " if told.endswith("/copyright") else ""
        kind = "%doc " if told.startswith(("/usr/share/man/", f"/{PLACE.doc}/")) and not kind else kind
        lines.append(f'%attr({mode},root,root) {kind}"{told}"')
    return lines


def _spec(top: pathlib.Path, root: pathlib.Path, laid: list[Wheel], *, epoch: int, release: int) -> str:
    text = tree.script(tree.PACKAGING / "rpm/eniagent.spec")
    told = [licence(wheel) for wheel in laid if wheel.locked.name != "eniagent"]
    terms = sorted({"Apache-2.0", *(term for expression in told for term in expression.split(" AND "))})
    marks = {
        "VERSION": version(),
        "RELEASE": str(release),
        "LICENCE": " AND ".join(f"({one})" if " OR " in one else one for one in terms),
        "GLIBC": ".".join(map(str, GLIBC)),
        "ROOT": str(root),
        "FILES": str(top / "files"),
        "DATE": f"{datetime.fromtimestamp(epoch, timezone.utc):%a %b %d %Y}",
        "MAINTAINER": MAINTAINER,
    }
    for mark, value in marks.items():
        text = text.replace(f"@{mark}@", value)
    return text
