"""lrsweep: which learning rate should I use, and how sure can I be?

>>> import lrsweep
>>> result = lrsweep.run("sweeps/smoke.yaml")  # doctest: +SKIP
>>> result.answer.recommendation["settings"][0]["best_rate"]  # doctest: +SKIP
0.1
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["plan", "report", "run"]


def __getattr__(name: str) -> Any:
    """The Python API, imported on first use: starting a worker must not pull in the world."""
    if name in __all__:
        from lrsweep import sweep

        return getattr(sweep, name)
    raise AttributeError(f"module 'lrsweep' has no attribute {name!r}")
