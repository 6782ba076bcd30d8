"""Data: where it comes from, the cache that keeps it, its nested stratified split, its scaling.

    Source → load → RawData (memory-mapped from the cache) → prepare → Data

The parent calls `load`, which reads, checks and caches; a worker calls `cached`, which needs NumPy alone.
scikit-learn and pandas take 1.6 s and 0.5 s to import, so only functions that run when the cache has no answer do it.
"""

from lrsweep.datasets.cache import MissingError, cached, load
from lrsweep.datasets.readers import DATASETS, Dataset
from lrsweep.datasets.split import data_key, prepare, split_sizes
from lrsweep.datasets.tables import did_you_mean

__all__ = [
    "DATASETS",
    "Dataset",
    "MissingError",
    "cached",
    "data_key",
    "did_you_mean",
    "load",
    "prepare",
    "split_sizes",
]
