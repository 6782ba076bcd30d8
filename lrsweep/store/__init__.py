"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import NoResultsError, Store, curves_of
from lrsweep.store.files import PAGE, check_writable
from lrsweep.store.folder import (
    check_folder,
    check_new,
    check_place,
    is_backup,
    replaceable,
    write_file,
    write_new,
)
from lrsweep.store.health import BESIDE, DamagedError
from lrsweep.store.hold import Hold
from lrsweep.store.mending import mend
from lrsweep.store.ranges import RANGES, check_ranges_writable, make_folder, read_ranges, write_ranges
from lrsweep.store.schema import DATABASE, SAMPLE
from lrsweep.store.trouble import ANOTHER, explained, present

__all__ = [
    "ANOTHER",
    "BESIDE",
    "DATABASE",
    "PAGE",
    "RANGES",
    "SAMPLE",
    "DamagedError",
    "Hold",
    "NoResultsError",
    "Store",
    "check_folder",
    "check_new",
    "check_place",
    "check_ranges_writable",
    "check_writable",
    "curves_of",
    "explained",
    "is_backup",
    "make_folder",
    "mend",
    "present",
    "read_ranges",
    "replaceable",
    "write_file",
    "write_new",
    "write_ranges",
]
