"""From a spec to the list of its runs, and from the runs that are missing to stacks of them."""

from lrsweep.plan.mistakes import over_half_of_memory
from lrsweep.plan.plan import Plan, Preview, make_plan
from lrsweep.plan.planned import PlannedRun, identity, pause_bytes, run_bytes, table_bytes
from lrsweep.plan.shorter import resized, sample_of, shortened, smaller
from lrsweep.plan.stacks import STACK_BYTES, estimate, make_stacks, shape

__all__ = [
    "STACK_BYTES",
    "Plan",
    "PlannedRun",
    "Preview",
    "estimate",
    "identity",
    "make_plan",
    "make_stacks",
    "over_half_of_memory",
    "pause_bytes",
    "resized",
    "run_bytes",
    "sample_of",
    "shape",
    "shortened",
    "smaller",
    "table_bytes",
]
