"""Results: the database, which is the truth, its CSV views, and the folder that holds them."""

from lrsweep.store.database import DATABASE, Store
from lrsweep.store.folder import next_backup, set_aside, write_file

__all__ = ["DATABASE", "Store", "next_backup", "set_aside", "write_file"]
