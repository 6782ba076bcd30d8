"""lrsweep: which learning rate should I use, and how sure can I be?

>>> import lrsweep
>>> result = lrsweep.run("sweeps/smoke.yaml")  # doctest: +SKIP
>>> result.recommendation[["optimizer", "best_rate"]]  # doctest: +SKIP
  optimizer  best_rate
0      adam       0.01
1  momentum       0.10
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module `typing` takes longer than all else before the command can heed a signal
    from typing import Any

__version__ = "0.1.0"
__all__ = ["find", "run"]

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""What keeps BLAS to one thread per process, if it is in the environment before NumPy is imported: two threads cost up
to 20 times the time on products of this size, and change bits."""


def __getattr__(name: str) -> Any:
    """The Python API, imported on first use: starting a worker must not pull in the world."""
    if name == "run":
        from lrsweep.sweep import run

        return run
    if name == "find":
        from lrsweep.finding import find

        return find
    raise AttributeError(f"module 'lrsweep' has no attribute {name!r}")
