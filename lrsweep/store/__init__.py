"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import DATABASE, PAGE, Store
from lrsweep.store.folder import explained, next_backup, replaceable, set_aside, write_file

__all__ = ["DATABASE", "PAGE", "Store", "explained", "next_backup", "replaceable", "set_aside", "write_file"]
