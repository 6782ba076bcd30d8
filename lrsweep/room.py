"""What there is room for, in memory and on a disk: asked before anything large is made."""

from __future__ import annotations

import functools
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from lrsweep.vocabulary import size

OWN_GROUPS, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")
"""Which control groups this process is in, and where Linux shows them."""


@functools.cache
def memory() -> int:
    """The bytes that this process may use: the machine's, or fewer where a container, a job or `ulimit -v` has less."""
    most = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for limits in group_limits():
        with suppress(OSError, ValueError):  # it has none, or it says `max`
            most.append(int(limits.read_text()))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        most.append(limit)
    return min(most)


def group_limits() -> Iterator[Path]:
    """Where the limits of this process's control groups and of all those above them may stand, of version 2 and 1.

    A container may have its own as the root, by a path of the machine that it cannot see.
    """
    with suppress(OSError, ValueError):
        for line in OWN_GROUPS.read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if not kinds or "memory" in kinds.split(","):
                root, name = (GROUPS / "memory", "memory.limit_in_bytes") if kinds else (GROUPS, "memory.max")
                own = root / path.lstrip("/")
                yield from (group / name for group in (own, *own.parents) if group.is_relative_to(root))


def over_memory(what: str, n_bytes: float) -> str:
    """That something needs so many bytes, where that is more than the machine's memory; else nothing."""
    said = f"{what} about {size(n_bytes)}, more than the machine's {size(memory())}"
    return said if n_bytes > memory() else ""


def over_half_of_memory(what: str, n_bytes: float) -> str:
    """Like `over_memory`, for what is to leave room for others: where it is over half of the memory."""
    said = f"{what} about {size(n_bytes)}, over half of the machine's {size(memory())}"
    return said if n_bytes > memory() / 2 else ""


def over_free_disk(what: str, n_bytes: float, folder: Path) -> str:
    """That something needs so many bytes, where the disk of a folder, which need not be there yet, has fewer free."""
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), Path("/"))
    try:
        disk = shutil.disk_usage(there)
    except OSError:  # a file system that does not tell: what happens on it is seen as it is written
        return ""
    said = f"{what} about {size(n_bytes)}, but the disk of {folder} has {size(disk.free)} free"
    return said if n_bytes > disk.free and disk.total else ""  # one of no size, such as /proc, does not tell either
