"""Readers: each returns a Table or raises DataError. The registry of datasets stands at the end."""

from __future__ import annotations

import gzip
import re
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lrsweep.datasets.tables import Table, did_you_mean, from_frame
from lrsweep.vocabulary import Array, DataError, Source, Task

if TYPE_CHECKING:
    import pandas as pd

IDX_FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def read(source: Source) -> Table:
    """The source's table, by its reader."""
    if source.kind == "idx":
        return read_idx(Path(source.location))
    if source.kind == "file":
        return read_file(Path(source.location), source.target)
    if source.location.startswith("openml:"):
        return read_openml(source.location)
    if source.location in DATASETS:
        return DATASETS[source.location].read()
    hint = did_you_mean(source.location, DATASETS)
    raise DataError(f"is no known dataset; choose from {', '.join(DATASETS)}, or openml:NAME{hint}")


def read_bundled(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = bunch.get("target_names")  # none in regression
    return bunch.data, bunch.target if names is None else names[bunch.target]


def read_moons() -> Table:
    from sklearn.datasets import make_moons

    return make_moons(n_samples=1000, noise=0.2, random_state=0)  # type: ignore[no-any-return]


def read_circles() -> Table:
    from sklearn.datasets import make_circles

    return make_circles(n_samples=1000, noise=0.1, factor=0.5, random_state=0)  # type: ignore[no-any-return]


def read_openml(location: str) -> Table:
    from http.client import HTTPException

    from sklearn.datasets import fetch_openml

    match = re.fullmatch(r"openml:([\w.()+-]+)(?:@(\d+))?", location)
    if not match:
        raise DataError("must be openml:NAME or openml:NAME@VERSION, VERSION a whole number")
    version = int(match[2]) if match[2] else "active"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # each retry warns, and so does each older version
            bunch = fetch_openml(match[1], version=version, as_frame=True, cache=False, n_retries=1)
    except (OSError, HTTPException) as error:
        raise DataError(
            f"no connection to openml.org, or no data from it ({error}); "
            "go online once (the data is then cached), or give a file: {file: PATH, target: COLUMN}"
        ) from error
    except ValueError as error:
        raise DataError(f"OpenML cannot provide it ({error}); look its name up on openml.org") from error
    if len(bunch.target_names) != 1:
        raise DataError(f"has {len(bunch.target_names)} targets and needs one; download it and name its target")
    return from_frame(bunch.frame, bunch.target_names[0])


def read_file(path: Path, target: str) -> Table:
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".csv":
        return from_frame(read_csv(path), target)
    if path.suffix == ".parquet":
        return from_frame(read_parquet(path), target)
    raise DataError(f"the ending {path.suffix!r} is unknown; use .csv, .parquet or .npz")


@contextmanager
def parsing(remedy: str) -> Iterator[None]:
    """Turns whatever a parser raises into a DataError with the remedy."""
    try:
        yield
    except Exception as error:  # on damaged and foreign files parsers raise nearly anything
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"cannot be read ({message}); {remedy}") from error


def read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    with parsing("save it as comma-separated UTF-8 text with a line of column names"), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # given where cells would be dropped
        # The names are read apart, because pandas would rename a second `a` to `a.1`.
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
        frame = pd.read_csv(path, index_col=False, low_memory=False)
    if (header == "").any():
        raise DataError("a column has no name (a saved row index?); name it, or save with index=False")
    frame.columns = pd.Index(header)
    return frame


def read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    if find_spec("pyarrow") is None:
        raise DataError(".parquet needs pyarrow; pip install pyarrow")
    with parsing("write it again, for example with pandas' to_parquet"):
        return pd.read_parquet(path, engine="pyarrow")


def read_npz(path: Path) -> Table:
    with parsing("write it with np.savez(file, x=x, y=y)"), path.open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biufU":
        raise DataError(f"x is {x.dtype} and y is {y.dtype}; x must be numbers, y numbers or text")
    return (x if x.dtype == np.uint8 else x.astype(np.float64)), (y if y.dtype.kind == "U" else y.astype(np.float64))


def read_idx(folder: Path) -> Table:
    arrays = [read_idx_file(path) for path in idx_files(folder)]
    with parsing("train and t10k images must be of one size"):
        return np.concatenate(arrays[0::2]), np.concatenate(arrays[1::2])


def idx_files(folder: Path) -> list[Path]:
    """The folder's IDX files in the order of IDX_FILES, gzipped or not; t10k may be missing as a whole."""
    found = {name: path for name in IDX_FILES for path in (folder / f"{name}.gz", folder / name) if path.is_file()}
    missing = [name for name in IDX_FILES if name not in found]
    if missing and missing != IDX_FILES[2:]:
        raise DataError(f"lacks {', '.join(missing)} (or the same with .gz); name the folder that holds them")
    return list(found.values())


def read_idx_file(path: Path) -> Array:
    """An IDX file of unsigned bytes: two zeros, the type 8, the number of axes, their big-endian lengths, the bytes."""
    with parsing(f"download {path.name} again"):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):  # not by its name: browsers unpack and keep the .gz
            content = gzip.decompress(content)
        zeros, kind, n_axes = struct.unpack_from(">HBB", content)
        if (zeros, kind) != (0, 8):
            raise ValueError("not an IDX file of unsigned bytes")
        shape = struct.unpack_from(f">{n_axes}I", content, 4)
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)


@dataclass(frozen=True)
class Dataset:
    """A dataset that needs no file and no connection: how it is read, and what `lrsweep list datasets` says of it."""

    read: Callable[[], Table]
    task: Task
    description: str
    source: str


DATASETS = {
    "digits": Dataset(
        partial(read_bundled, "digits"),
        "classification",
        "1797 handwritten digits of 8×8 pixels, 10 classes",
        "Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49",
    ),
    "iris": Dataset(
        partial(read_bundled, "iris"),
        "classification",
        "150 flowers, 4 measures, 3 species",
        "Fisher 1936, https://doi.org/10.24432/C56C76",
    ),
    "wine": Dataset(
        partial(read_bundled, "wine"),
        "classification",
        "178 wines, 13 chemical measures, 3 cultivars",
        "Aeberhard & Forina 1992, https://doi.org/10.24432/C5PC7J",
    ),
    "breast_cancer": Dataset(
        partial(read_bundled, "breast_cancer"),
        "classification",
        "569 tumours, 30 measures of cell nuclei, benign or malignant",
        "Wolberg et al. 1993, https://doi.org/10.24432/C5DW2B",
    ),
    "diabetes": Dataset(
        partial(read_bundled, "diabetes"),
        "regression",
        "442 patients, 10 measures, progression after a year",
        "Efron et al. 2004, https://doi.org/10.1214/009053604000000067",
    ),
    "moons": Dataset(
        read_moons,
        "classification",
        "1000 made points, 2 interleaved half circles, noise 0.2",
        "scikit-learn's make_moons",
    ),
    "circles": Dataset(
        read_circles,
        "classification",
        "1000 made points, 2 concentric circles, noise 0.1",
        "scikit-learn's make_circles",
    ),
}
