"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import DATABASE, PAGE, SAMPLE, Store
from lrsweep.store.folder import explained, next_backup, replaceable, set_aside, write_file
from lrsweep.store.ranges import make_room, read_ranges, write_ranges

__all__ = [
    "DATABASE",
    "PAGE",
    "SAMPLE",
    "Store",
    "explained",
    "make_room",
    "next_backup",
    "read_ranges",
    "replaceable",
    "set_aside",
    "write_file",
    "write_ranges",
]
