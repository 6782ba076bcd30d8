"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import PAGE, NoResultsError, Say, Store, check_writable, curves_of, silent
from lrsweep.store.folder import (
    check_folder,
    check_new,
    check_place,
    is_backup,
    next_backup,
    replaceable,
    write_file,
    write_new,
)
from lrsweep.store.health import BESIDE, mend
from lrsweep.store.hold import Hold
from lrsweep.store.ranges import check_room, make_room, read_ranges, write_ranges
from lrsweep.store.schema import DATABASE, SAMPLE
from lrsweep.store.trouble import ANOTHER, explained, present

__all__ = [
    "ANOTHER",
    "BESIDE",
    "DATABASE",
    "PAGE",
    "SAMPLE",
    "Hold",
    "NoResultsError",
    "Say",
    "Store",
    "check_folder",
    "check_new",
    "check_place",
    "check_room",
    "check_writable",
    "curves_of",
    "explained",
    "is_backup",
    "make_room",
    "mend",
    "next_backup",
    "present",
    "read_ranges",
    "replaceable",
    "silent",
    "write_file",
    "write_new",
    "write_ranges",
]
