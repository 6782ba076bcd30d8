"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import PAGE, NoResultsError, Store, check_writable, curves_of
from lrsweep.store.folder import check_folder, check_new, next_backup, replaceable, write_file, write_new
from lrsweep.store.health import mend
from lrsweep.store.hold import Hold
from lrsweep.store.ranges import check_room, make_room, read_ranges, write_ranges
from lrsweep.store.schema import DATABASE, SAMPLE
from lrsweep.store.trouble import explained, present

__all__ = [
    "DATABASE",
    "PAGE",
    "SAMPLE",
    "Hold",
    "NoResultsError",
    "Store",
    "check_folder",
    "check_new",
    "check_room",
    "check_writable",
    "curves_of",
    "explained",
    "make_room",
    "mend",
    "next_backup",
    "present",
    "read_ranges",
    "replaceable",
    "write_file",
    "write_new",
    "write_ranges",
]
