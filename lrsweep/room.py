"""What there is room for, in memory and on a disk: asked before anything large is made."""

from __future__ import annotations

import functools
import math
import os
import resource
import shutil
from contextlib import suppress
from pathlib import Path

CONTAINER = Path("/sys/fs/cgroup/memory.max")
"""Where a container's limit stands; a number, or `max`."""


@functools.cache
def memory() -> int:
    """The bytes that this process may use: the machine's, or fewer where a container or `ulimit -v` allows no more."""
    most = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    with suppress(OSError, ValueError):
        most.append(int(CONTAINER.read_text()))
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        most.append(limit)
    return min(most)


def over_memory(what: str, n_bytes: float) -> str:
    """That something needs so many bytes, where that is more than the machine's memory; else nothing."""
    said = f"{what} about {gigabytes(n_bytes)} GB, more than the machine's {gigabytes(memory())}"
    return said if n_bytes > memory() else ""


def over_half_of_memory(what: str, n_bytes: float) -> str:
    """The same of something that is to leave room for others: where it is over half of the memory."""
    said = f"{what} about {gigabytes(n_bytes)} GB, over half of the machine's {gigabytes(memory())}"
    return said if n_bytes > memory() / 2 else ""


def over_free_disk(what: str, n_bytes: float, folder: Path) -> str:
    """That something needs so many bytes, where the disk of a folder, which need not be there yet, has fewer free."""
    there = next((place for place in (folder, *folder.absolute().parents) if place.exists()), Path("/"))
    try:
        free = shutil.disk_usage(there).free
    except OSError:  # a file system that does not tell: what happens on it is seen as it is written
        return ""
    said = f"{what} about {gigabytes(n_bytes)} GB, but the disk of {folder} has {gigabytes(free)} free"
    return said if n_bytes > free else ""


def gigabytes(n_bytes: float) -> str:
    """Bytes in GB, as people write them.

    >>> gigabytes(3.84e11), gigabytes(2_500_000_000), gigabytes(4e7), gigabytes(10**400)
    ('384', '2.5', '0.04', '10^391')
    """
    if n_bytes > 1e21:
        return f"10^{math.log10(n_bytes) - 9:.0f}"
    size = n_bytes / 1e9
    return f"{size:,.0f}" if size >= 10 else f"{size:.2g}"
