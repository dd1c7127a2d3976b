"""The bill of materials: every wheel that any package carries, with its digests and licence, as CycloneDX 1.5 JSON.

Refuses what differs between two builds of the same sources: the serial number comes from the content, the time from SOURCE_DATE_EPOCH.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import uuid
from datetime import datetime, timezone
from typing import Any

from tools.package.licences import LINKED_IN, licence
from tools.package.locks import TAGS, Locked, read
from tools.package.wheels import Wheel, stored, version


def sets() -> dict[Locked, list[str]]:
    """Each wheel, and the interpreters that get it."""
    found: dict[Locked, list[str]] = {}
    for tag in TAGS:
        for wheel in read(tag):
            found.setdefault(wheel, []).append(tag)
    return found


def build(target: pathlib.Path, *, own: Wheel, store: pathlib.Path, epoch: int) -> pathlib.Path:
    """Write the file into the directory `target`; returns its path. Source: CycloneDX 1.5."""
    components = [_component(stored(locked, store), tags) for locked, tags in sorted(sets().items())]
    root = {"type": "application", "bom-ref": "eniagent", "name": "eniagent", "version": version(), "purl": f"pkg:generic/eniagent@{version()}"}
    root["licenses"] = [{"license": {"id": "Apache-2.0"}}]  # type: ignore[assignment]
    root["hashes"] = [{"alg": "SHA-256", "content": own.locked.sha256}]  # type: ignore[assignment]
    content = json.dumps([root, components], sort_keys=True).encode()
    bom = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {"timestamp": f"{datetime.fromtimestamp(epoch, timezone.utc):%Y-%m-%dT%H:%M:%SZ}", "component": root},
        "components": components,
        "dependencies": [{"ref": "eniagent", "dependsOn": [component["bom-ref"] for component in components]}],
    }
    path = target / f"eniagent-{version()}.cdx.json"
    path.write_text(json.dumps(bom, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _component(wheel: Wheel, tags: list[str]) -> dict[str, Any]:
    locked = wheel.locked
    expression = licence(wheel)
    properties = [{"name": "eniagent:interpreters", "value": " ".join(tags)}]
    properties += [{"name": "eniagent:linked-in", "value": f"{part} ({terms})"} for part, terms in LINKED_IN.get(locked.name, ())]
    return {
        "type": "library",
        "bom-ref": locked.file,
        "name": locked.name,
        "version": locked.version,
        "purl": f"pkg:pypi/{locked.name}@{locked.version}?file_name={locked.file}",
        "hashes": [{"alg": "SHA-256", "content": locked.sha256}],
        "licenses": [{"expression": expression}] if " " in expression else [{"license": {"id": expression}}],
        "properties": properties,
    }
