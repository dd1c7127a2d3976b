"""Builds the deb: one for each architecture, with libraries for every supported interpreter.

Refuses debhelper: what it would do to vendored libraries (strip, compile, move) is what must not happen to them.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
from datetime import datetime, timezone
from email.utils import format_datetime

from tools.package import tree
from tools.package.licences import copyright_file
from tools.package.locks import GLIBC, TAGS, TOP
from tools.package.wheels import Wheel, version

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
PLACE = tree.Place(units="lib/systemd/system")
"""Debian 11 and Ubuntu 20.04 may still have a /lib of their own, and /lib leads to /usr/lib on the others."""

MAINTAINER = "eniagent contributors <eniagent@packages.invalid>"
RELEASE = 1
SOURCE = tree.PACKAGING / "deb"
SCRIPTLETS = ("postinst", "prerm", "postrm")

CONTROL = """Package: eniagent
Version: {version}-{release}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: python3 (>= 3.9), python3 (<< 3.14), libc6 (>= {glibc})
Recommends: iproute2, systemd
Section: net
Priority: optional
Description: names why pods on an Amazon EKS node get no address
 eniagent runs on an Amazon EKS worker with the AWS VPC CNI, looks at all that
 the node itself knows, and names the cause: since when, who is affected, which
 fact proves it, what was ruled out, and the next command. It only reads.
 .
 Its libraries are carried along, for CPython 3.9 to 3.13.
"""


def build(target: pathlib.Path, *, work: pathlib.Path, own: Wheel, store: pathlib.Path, architecture: str, epoch: int, made: dict[str, bytes], release: int = RELEASE) -> pathlib.Path:
    """Write the deb into the directory `target`; returns its path. `made`: the pages, from a tree that this Python can run."""
    root = tree.fresh(work / f"deb-{architecture}")
    laid = tree.lay_out_libraries(root, own=own, store=store, tags=TAGS, architecture=architecture)
    tree.lay_out_rest(root, made=made, place=PLACE)
    doc = root / PLACE.doc
    tree.write(doc / "copyright", copyright_file(laid).encode())
    tree.write(doc / "changelog.Debian.gz", tree.gzipped(_changelog(epoch, release).encode()))
    tree.write(doc / "changelog.gz", tree.gzipped((TOP / "CHANGELOG.md").read_bytes()))
    tree.write(root / "usr/share/lintian/overrides/eniagent", (SOURCE / "lintian-overrides").read_bytes())
    _control(root, architecture=architecture, release=release)
    tree.fix(root, epoch=epoch)
    path = target / f"eniagent_{version()}-{release}_{ARCHITECTURE[architecture]}.deb"
    words = ["dpkg-deb", "--root-owner-group", "-Zxz", "-z9", "--threads-max=1", "--build", str(root), str(path)]
    if not _knows("--threads-max"):
        words.remove("--threads-max=1")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    subprocess.run(words, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return path


def _knows(option: str) -> bool:
    return option in subprocess.run(["dpkg-deb", "--help"], stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout


def _changelog(epoch: int, release: int) -> str:
    at = format_datetime(datetime.fromtimestamp(epoch, timezone.utc))
    return f"eniagent ({version()}-{release}) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {at}\n"


def _control(root: pathlib.Path, *, architecture: str, release: int) -> None:
    """DEBIAN/: control, conffiles, md5sums and the scriptlets."""
    import hashlib

    inner = [path for path in tree.files(root) if path.is_file() and not path.is_symlink()]
    size = sum((path.stat().st_size + 1023) // 1024 for path in inner)
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in inner)  # noqa: S324 - the format's own
    control = CONTROL.format(
        version=version(),
        release=release,
        architecture=ARCHITECTURE[architecture],
        maintainer=MAINTAINER,
        size=size,
        glibc=".".join(map(str, GLIBC)),
    )
    tree.write(root / "DEBIAN/control", control.encode())
    tree.write(root / "DEBIAN/conffiles", b"/etc/eniagent/config.toml\n")
    tree.write(root / "DEBIAN/md5sums", sums.encode())
    for name in SCRIPTLETS:
        tree.write(root / "DEBIAN" / name, tree.script(SOURCE / name).encode(), mode=0o755)
