"""What the packages carry of others: name, version, licence and its text, as Debian's copyright file and for the SBOM.

Refuses to guess: a library whose metadata tells no licence stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tools.package.wheels import Wheel

BY_CLASSIFIER = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "ISC License (ISCL)": "ISC",
}
LOOSE = {"MIT": "MIT", "MIT License": "MIT", "Apache 2.0": "Apache-2.0", "BSD-3-Clause": "BSD-3-Clause", "MPL-2.0": "MPL-2.0", "ISC License": "ISC"}

LINKED_IN = {
    "google-re2": (("abseil-cpp", "Apache-2.0"), ("pybind11", "BSD-3-Clause"), ("re2", "BSD-3-Clause")),
    "isal": (("isa-l", "BSD-3-Clause"),),
}
"""Libraries in C that are linked into a wheel and that its metadata does not name."""


def licence(wheel: Wheel) -> str:
    """The SPDX expression that the wheel's metadata comes to. Raises `ValueError` where it tells none."""
    told = wheel.metadata
    if told["License-Expression"]:
        return str(told["License-Expression"])
    if told["License"] and told["License"].strip() in {**LOOSE, "Apache-2.0": "", "PSF-2.0": ""}:
        return LOOSE.get(told["License"].strip(), told["License"].strip())
    for classifier in told.get_all("Classifier") or ():
        words = classifier.rpartition(" :: ")[2]
        if classifier.startswith("License ::") and words in BY_CLASSIFIER:
            return BY_CLASSIFIER[words]
    raise ValueError(f"{wheel.path.name}: its metadata tells no licence that is known here")


def copyright_file(wheels: Iterable[Wheel]) -> str:
    """The machine-readable copyright file. Source: Debian's copyright-format 1.0."""
    paragraphs = ["Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: eniagent"]
    paragraphs.append(
        "Files: *\nCopyright: The eniagent contributors\nLicense: Apache-2.0\n"
        " Licensed under the Apache License, Version 2.0. On Debian systems its text is in\n /usr/share/common-licenses/Apache-2.0."
    )
    seen = set()
    for wheel in wheels:
        name = wheel.locked.name
        key = (name, wheel.locked.version, tuple(member.data for member in wheel.licences))
        if name == "eniagent" or key in seen:
            continue
        seen.add(key)
        text = "\n".join(_text(member.data) for member in wheel.licences) or "(no text in the wheel)"
        holders = re.findall(r"^\s*(Copyright (?:\(c\)|©|[0-9]).*)$", text, re.MULTILINE | re.IGNORECASE) or [f"The {name} contributors"]
        folders = " ".join(f"opt/eniagent/lib/*/{folder}/*" for folder in tops(wheel))
        body = "\n".join(f" {line.rstrip()}" if line.strip() else " ." for line in text.splitlines())
        label = f"{licence(wheel)}-{name}-{wheel.locked.version}".replace(" ", "-")
        inner = LINKED_IN.get(name, ())
        linked = "; linked in: " + ", ".join(f"{part} ({terms})" for part, terms in inner) if inner else ""
        paragraphs.append(f"Files: {folders}\nCopyright: {' '.join(holders[0].split())}\nComment: {name} {wheel.locked.version}, {licence(wheel)}{linked}\nLicense: {label}\n{body}")
    return "\n\n".join(paragraphs) + "\n"


def _text(data: bytes) -> str:
    """A licence's text; Debian wants the long common ones named and not repeated."""
    text = data.decode("utf-8", "replace")
    if "Apache License" in text and "Version 2.0, January 2004" in text:
        return "The Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0 on Debian, and beside the library."
    return text


def tops(wheel: Wheel) -> list[str]:
    """The first parts of the paths that a wheel brings."""
    return sorted({member.path.split("/")[0] for member in wheel.tree})
