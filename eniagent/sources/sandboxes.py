"""Pod sandboxes and container images that the runtime knows: from crictl, else from `ctr`, which has tables and no pod names.

Refuses to call a sandbox ready because it is listed: `ctr` lists dead ones too, so without its tasks the reading stays unobserved.
Source: cri-tools (`crictl pods -o json`, `crictl ps -o json`), containerd's ctr.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Optional, Union

import msgspec

from eniagent.model.capture import Seen
from eniagent.model.host import Sandbox, Sandboxes
from eniagent.model.net import PodName, SandboxId
from eniagent.model.probe import Probe, RunCommand
from eniagent.model.reading import Observed, Reading, Unobserved, Why
from eniagent.sources import Span, go_time
from eniagent.sources.captured import Malformed, Unusable, body, json_value, object_of, reading, shaped

SOURCE = "container runtime"
PODS = "runtime/pods.json"
CONTAINERS = "runtime/containers.json"
TASKS = "runtime/tasks.txt"
IMAGES = "runtime/images.json"

_CRICTL = ("crictl", "--runtime-endpoint", "unix:///run/containerd/containerd.sock")
_CTR = ("ctr", "-n", "k8s.io")
_CNI_REPOSITORY = "amazon-k8s-cni"


class _Metadata(msgspec.Struct):
    name: str = ""
    namespace: str = ""


class _Pod(msgspec.Struct):
    id: str
    state: str
    metadata: _Metadata
    createdAt: Union[str, int] = ""


class _Pods(msgspec.Struct):
    items: Optional[list[_Pod]]


class _Image(msgspec.Struct):
    image: str = ""
    userSpecifiedImage: str = ""


class _Container(msgspec.Struct):
    metadata: _Metadata
    image: Optional[_Image] = None
    imageRef: str = ""


class _Containers(msgspec.Struct):
    containers: Optional[list[_Container]]


class _Stored(msgspec.Struct):
    id: str = ""
    repoTags: Optional[list[str]] = None


class _Images(msgspec.Struct):
    images: Optional[list[_Stored]]


def plan(seen: Seen) -> Sequence[Probe]:
    """Sandboxes and running containers; then the tasks where only `ctr` was there, and the tags where an image is told by its id."""
    looks: list[Probe] = []
    if PODS not in seen:
        filtered = (*_CTR, "containers", "ls", 'labels."io.cri-containerd.kind"==sandbox')
        looks.append(RunCommand(file=PODS, argvs=((*_CRICTL, "pods", "-o", "json"), filtered)))
    elif TASKS not in seen and _is_table(seen, PODS):
        looks.append(RunCommand(file=TASKS, argvs=((*_CTR, "tasks", "ls"),)))
    if CONTAINERS not in seen:
        looks.append(RunCommand(file=CONTAINERS, argvs=((*_CRICTL, "ps", "-o", "json"), (*_CTR, "containers", "ls"))))
    elif IMAGES not in seen and images(seen).get("aws-node", "").startswith("sha256:"):
        looks.append(RunCommand(file=IMAGES, argvs=((*_CRICTL, "images", "-o", "json"),)))
    return looks


def _is_table(seen: Seen, file: str) -> bool:
    found = reading(seen, file=file, source=SOURCE, decode=bytes)
    return isinstance(found, Observed) and found.value.lstrip().startswith(b"CONTAINER")


def read(seen: Seen, span: Span) -> Reading[Sandboxes]:
    """All sandboxes, ready or not. `images` is empty where the containers were not seen."""
    at = seen[PODS].about.at if PODS in seen else None
    try:
        data = body(seen, file=PODS)
        pods = _from_ctr(data, seen) if data.lstrip().startswith(b"CONTAINER") else decode(data)
    except Unusable as error:
        return Unobserved(why=error.why, source=SOURCE, at=at, detail=error.detail)
    except Malformed as error:
        return Unobserved(why=Why.MALFORMED, source=SOURCE, at=at, detail=str(error))
    return Observed(value=Sandboxes(pods=pods, images=images(seen)), source=SOURCE, at=at)


def decode(data: bytes) -> tuple[Sandbox, ...]:
    """`crictl pods -o json`. Raises `Malformed`."""
    wire = shaped(object_of(json_value(data), what="crictl pods"), _Pods, what="crictl pods")
    return tuple(
        Sandbox(
            id=SandboxId(pod.id),
            pod=PodName(f"{pod.metadata.namespace}/{pod.metadata.name}".lstrip("/")),
            ready=pod.state == "SANDBOX_READY",
            created_at=_created(pod.createdAt),
        )
        for pod in wire.items or ()
    )


def _created(value: Union[str, int]) -> Optional[datetime]:
    """Nanoseconds, as text in CRI's JSON."""
    if isinstance(value, str):
        if value and not (value.isascii() and value.isdigit() and len(value) < 20):
            raise Malformed(f"createdAt {value[:40]!r}")
        value = int(value or 0)
    return go_time.from_nanoseconds(value)


def _from_ctr(data: bytes, seen: Seen) -> tuple[Sandbox, ...]:
    if TASKS not in seen:
        raise Unusable(Why.NOT_COLLECTED, "ctr lists sandboxes, but whether they run was not seen")
    running = {row[0] for row in _rows(body(seen, file=TASKS), title="TASK") if row[-1] == "RUNNING"}
    ids = [row[0] for row in _rows(data, title="CONTAINER")]
    return tuple(Sandbox(id=SandboxId(i), pod=PodName(""), ready=i in running) for i in ids)


def _rows(data: bytes, *, title: str) -> Iterator[list[str]]:
    """The rows of one of ctr's tables. Raises `Malformed` on another table."""
    lines = data.decode("utf-8", "replace").split("\n")
    if not lines[0].startswith(title):
        raise Malformed(f"no table of {title}")
    for line in lines[1:]:
        cells = line.split()
        if cells:
            yield cells


def images(seen: Seen) -> dict[str, str]:
    """Container name -> image of the running containers; empty where they were not seen. A bare id stays `sha256:...`."""
    found = reading(seen, file=CONTAINERS, source=SOURCE, decode=_decode_containers)
    if isinstance(found, Unobserved):
        return {}
    stored = reading(seen, file=IMAGES, source=SOURCE, decode=_decode_images)
    tags = stored.value if isinstance(stored, Observed) else {}
    return {name: tags.get(image, image) for name, image in found.value.items()}


def _decode_containers(data: bytes) -> dict[str, str]:
    if data.lstrip().startswith(b"CONTAINER"):
        return dict(_ctr_images(data))
    wire = shaped(object_of(json_value(data), what="crictl ps"), _Containers, what="crictl ps")
    return {c.metadata.name: _image(c) for c in wire.containers or () if c.metadata.name}


def _image(container: _Container) -> str:
    image = container.image or _Image()
    for told in (image.userSpecifiedImage, image.image):
        if told and not told.startswith("sha256:"):
            return told
    return image.image or container.imageRef


def _ctr_images(data: bytes) -> Iterator[tuple[str, str]]:
    """ctr names no containers; the CNI's image tells that it is aws-node's."""
    for row in _rows(data, title="CONTAINER"):
        if len(row) > 1 and row[1].partition("@")[0].rpartition("/")[2].partition(":")[0] == _CNI_REPOSITORY:
            yield "aws-node", row[1]


def _decode_images(data: bytes) -> dict[str, str]:
    wire = shaped(object_of(json_value(data), what="crictl images"), _Images, what="crictl images")
    return {image.id: image.repoTags[0] for image in wire.images or () if image.repoTags}


