"""Where bundles stand: the directory, who may write there now, which old ones go, and how much of the disk may be used.

Refuses a directory that others can write to, and to take a node's disk below what kubelet evicts pods for.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator

import msgspec

from eniagent.edge.errors import AgentError
from eniagent.edge.rooted import resolve
from eniagent.edge.settings import Settings
from eniagent.edge.spool import PART, disk_place
from eniagent.model.capture import Seen
from eniagent.sources.captured import Unusable, below, body

NAME = re.compile(r"eniagent_[A-Za-z0-9._-]+\.tar\.gz")
DIGEST = ".sha256"
DEFAULT_EVICTION = "10%"
"""kubelet's default for `nodefs.available`. Source: Kubernetes, pkg/kubelet/apis/config/v1beta1/defaults_linux.go."""
ABOVE_EVICTION = 0.05
_PARTS = (PART, ".eniagent_")
_EVICTION = re.compile(r"nodefs\.available[\"']?\s*(?:<|:)\s*[\"']?([0-9.]+\s*(?:%|[KMGTP]i?|[eE]\d+)?)")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50}


class BundleError(AgentError):
    """The bundle could not be written. The message says why and what to do."""

    exit_code = 7


class Locked(AgentError):
    """Another run writes a bundle."""

    exit_code = 9


class DiskShort(Exception):
    """Going on would take the disk below its floor, or it is full already."""


class Place(msgspec.Struct, frozen=True):
    """A bundle directory. `private`: made for an unprivileged run. `spool`: where bodies wait, never memory."""

    directory: str
    spool: str
    private: bool = False


def choose(settings: Settings) -> Place:
    """The bundle directory, made where it is missing; for an unprivileged run a private one. Raises `BundleError`."""
    told = settings.origin("bundle_dir") != "default"
    try:
        directory = resolve(settings.bundle_dir, root=settings.root)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "permission denied")
        return _place(directory, private=False)
    except OSError as error:
        if told or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BundleError(f"{settings.bundle_dir}: {(error.strerror or str(error)).lower()}; name another directory with bundle_dir") from error
    return _place(_private(), private=True)


def _private() -> str:
    """A directory of this user's own, the same one each time. One that somebody else prepared is not used."""
    base = disk_place("/var/tmp", tempfile.gettempdir()) or tempfile.gettempdir()
    path = f"{base}/eniagent-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    status = os.lstat(path)
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return path if ours else tempfile.mkdtemp(prefix=f"eniagent-{os.geteuid()}-", dir=base)


def _place(directory: str, *, private: bool) -> Place:
    status = os.stat(directory)
    if status.st_uid not in (os.geteuid(), 0, _service_uid()) or status.st_mode & 0o022:
        raise BundleError(f"{directory}: others may write there; take that right away or name another directory with bundle_dir")
    spool = disk_place(directory, "/var/lib/eniagent", "/var/tmp", tempfile.gettempdir())
    if spool is None:
        raise BundleError(f"{directory}: no directory on a disk in which bodies could wait; name one with bundle_dir")
    return Place(directory, spool, private)


def _service_uid() -> int:
    """The user that the daemon runs as, to whom systemd's tmpfiles give the directory; -1 where there is none."""
    import pwd

    try:
        return pwd.getpwnam("eniagent").pw_uid
    except KeyError:
        return -1


@contextlib.contextmanager
def lock(place: Place) -> Iterator[None]:
    """The right to write and to remove bundles there, while in force. Raises `Locked`. The kernel lifts it with the process."""
    descriptor = os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Locked(f"{place.directory}: another run of eniagent writes a bundle there; try again when it is done") from error
        _sweep(place.directory)
        yield
    finally:
        os.close(descriptor)


def _sweep(directory: str) -> None:
    """Remove what a run that was killed left: half-named files, and digests whose archive is gone."""
    names = set(os.listdir(directory))
    for name in names:
        orphan = name.endswith(DIGEST) and NAME.fullmatch(name[: -len(DIGEST)]) and name[: -len(DIGEST)] not in names
        if orphan or (name.startswith(_PARTS) and name.endswith(".part")):
            with contextlib.suppress(OSError):
                os.unlink(f"{directory}/{name}")


def part_of(name: str) -> str:
    """The name that a file has for the instant before it gets its own."""
    return f".{name}.{os.getpid()}.part"


class Kept(msgspec.Struct, frozen=True):
    """One bundle on disk."""

    path: str
    size_bytes: int
    written_at: float


def kept(directory: str) -> list[Kept]:
    """The bundles in a directory, oldest first."""
    found = []
    for entry in os.scandir(directory):
        if NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
            status = entry.stat(follow_symlinks=False)
            found.append(Kept(entry.path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda bundle: (bundle.written_at, bundle.path))


def retain(place: Place, settings: Settings, *, newest: str) -> list[str]:
    """Remove the oldest bundles beyond the quota of count and bytes, the newest one never. Returns the paths removed."""
    bundles, gone = kept(place.directory), []
    total = sum(bundle.size_bytes for bundle in bundles)
    left = len(bundles)
    for bundle in bundles:
        if left <= settings.bundle_keep and total <= settings.bundle_quota:
            break
        if bundle.path == newest:
            continue
        with contextlib.suppress(FileNotFoundError):
            os.unlink(bundle.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(bundle.path + DIGEST)
        gone.append(bundle.path)
        total, left = total - bundle.size_bytes, left - 1
    return gone


class Disk:
    """How much of a file system may still be written. `threshold`: kubelet's word for `nodefs.available`."""

    def __init__(self, directory: str, *, threshold: str = DEFAULT_EVICTION) -> None:
        self._directory = directory
        status = os.statvfs(directory)
        capacity = status.f_blocks * status.f_frsize
        self.floor_bytes = int(_amount(threshold, capacity=capacity) + ABOVE_EVICTION * capacity)

    @property
    def room_bytes(self) -> int:
        """What may be written now; below zero where the floor is passed already."""
        status = os.statvfs(self._directory)
        return status.f_bavail * status.f_frsize - self.floor_bytes

    def require(self, size_bytes: int) -> None:
        """Raises `DiskShort` where so many bytes more would pass the floor."""
        room = self.room_bytes
        if size_bytes > room:
            raise DiskShort(f"{max(0, room) >> 20} MiB may be used above the floor of {self.floor_bytes >> 20} MiB that kubelet's eviction threshold + 5 % asks for")


def _amount(text: str, *, capacity: int) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)\s*(\S*)", text.strip()).groups()  # type: ignore[union-attr]
    if unit == "%":
        return capacity * float(number) / 100
    if unit[:1] in ("e", "E"):
        return float(f"{number}{unit}")
    return float(number) * _UNITS[unit]


def eviction_threshold(seen: Seen) -> str:
    """kubelet's effective hard threshold for `nodefs.available`: flag over drop-ins over file, else its default."""
    found = DEFAULT_EVICTION
    configs = ["kubelet/named-config", "kubelet/config", "kubelet/kubelet-config.json", "kubelet/config.json"]
    for file in (*configs, *below(seen, "kubelet/config.json.d"), "kubelet/args", "kubelet/cmdline.txt"):
        try:
            text = body(seen, file=file).decode("utf-8", "replace")
        except Unusable:
            continue
        # What comes before `evictionHard` may be a soft threshold of the same name.
        marks = [text.rfind(word) for word in ("evictionHard", "--eviction-hard")]
        told = _EVICTION.search(text, max(marks)) if max(marks) >= 0 else None
        found = told[1] if told is not None else found
    return found


def write_error(error: OSError, *, path: str) -> Exception:
    """What an error of writing means: a full disk is told apart, for less may still fit."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskShort("the disk is full" if error.errno != errno.EFBIG else "files may not grow so large here")
    return BundleError(f"{path}: {(error.strerror or str(error)).lower()}; name another directory with bundle_dir")
