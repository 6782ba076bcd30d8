"""From a spec to the list of its runs, and from the runs that are missing to stacks of them."""

from lrsweep.plan.outlay import check_disk, check_memory
from lrsweep.plan.plan import Plan, Preview, make_plan
from lrsweep.plan.planned import PlannedRun, Shared, identity, pause_bytes, planned_run, run_bytes, table_bytes
from lrsweep.plan.shorter import resized, sample_of, shortened, smaller
from lrsweep.plan.stacks import STACK_BYTES, estimate, make_stacks, shape

__all__ = [
    "STACK_BYTES",
    "Plan",
    "PlannedRun",
    "Preview",
    "Shared",
    "check_disk",
    "check_memory",
    "estimate",
    "identity",
    "make_plan",
    "make_stacks",
    "pause_bytes",
    "planned_run",
    "resized",
    "run_bytes",
    "sample_of",
    "shape",
    "shortened",
    "smaller",
    "table_bytes",
]
