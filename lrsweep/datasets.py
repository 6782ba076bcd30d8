"""Data: where it comes from, the cache that keeps it, its nested stratified split, its scaling.

    Source → load → RawData (memory-mapped from the cache) → prepare → Data

The parent calls `load`, which reads, checks and caches; a worker calls `cached`, which needs NumPy alone.
scikit-learn and pandas take 1.6 s and 0.5 s to import, so only functions that run when the cache has no answer do it.
"""

from __future__ import annotations

import difflib
import gzip
import hashlib
import json
import os
import re
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from lrsweep.vocabulary import Array, Data, DataError, RawData, Run, Scalar, Source, Task, float_type

if TYPE_CHECKING:
    import pandas as pd

CACHE_FORMAT = 1
"""Raised when the same source is to be read differently, so that older cache entries are left aside."""

FEWEST_ROWS = 10
MOST_INDICATORS = 50
"""Different values in a text column; more is a name or a free text, whose indicators would drown the other columns."""

MOST_INFERRED_CLASSES = 50
"""Different values up to which a whole-number target is taken for a class."""

MOST_CLASSES = 1000

IDX_FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]

SPLIT_STREAM = 100
"""Spawn key of the split's random numbers, so that a `seed` equal to the `split_seed` draws other ones."""

Table = tuple[Array, Array]
"""`x` (N, …) and `y` (N,), numbers or (y only) text: what every reader returns."""


def load(source: Source, task: str | None = None) -> RawData:
    """The data of `source`, from the cache or else read, checked and cached; `task` overrides what the target suggests.

    Raises DataError where it cannot be read or no model can be trained on it.
    """
    try:
        pointer = _cache() / "sources" / _key(source, task)
        with suppress(OSError, ValueError, DataError):  # absent or damaged: read it again
            return cached(pointer.read_text("utf-8"))
        raw = _checked(*_read(source), task)
        _store(raw, pointer)
        return cached(raw.fingerprint)
    except DataError as error:
        raise DataError(f"{source}: {error}") from error


def cached(fingerprint: str) -> RawData:
    """The data that an earlier `load` cached, memory-mapped and read-only. Raises DataError where it is not there."""
    folder = _cache() / fingerprint
    try:
        meta = json.loads((folder / "meta.json").read_text("utf-8"))
        x, y = (np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in "xy")
        return RawData(x, y, meta["task"], tuple(meta["classes"]), fingerprint)
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is missing or damaged ({error}); "
            "run the sweep again, on several machines with LRSWEEP_CACHE set to a folder that all of them see"
        ) from error


def data_key(run: Run) -> tuple[Scalar, ...]:
    """What of a run decides how its data is cut and scaled."""
    return (run.subset, run.validation, run.test, run.split_seed, run.standardize, run.precision)


def split_sizes(n_rows: int, run: Run) -> tuple[int, int, int]:
    """Rows for training (after the subset), validation and test. Raises DataError where a part would be empty."""
    n_val, n_test = round(run.validation * n_rows), round(run.test * n_rows)
    available = n_rows - n_val - n_test
    n_train = run.subset if isinstance(run.subset, int) else max(1, round(run.subset * available))
    if n_val < 1:
        raise DataError(f"{run.dataset}: validation {run.validation} of {n_rows} rows is no row; raise validation")
    if n_test < 1 and run.test > 0:
        raise DataError(f"{run.dataset}: test {run.test} of {n_rows} rows is no row; raise test, or set it to 0")
    if available < 1:
        raise DataError(
            f"{run.dataset}: validation {run.validation} and test {run.test} leave none of {n_rows} rows for training; "
            "lower them"
        )
    if n_train > available:
        raise DataError(f"{run.dataset}: subset {n_train} is more than the {available} training rows; lower subset")
    return n_train, n_val, n_test


def prepare(raw: RawData, run: Run) -> Data:
    """Split, cut to the run's subset, scaled and in the run's precision.

    The validation and test rows do not depend on the subset, and a smaller subset's rows are among a larger one's.
    Means and standard deviations come from the rows that the run trains on.
    Raises DataError where a part would be empty or a value is too large for the precision.
    """
    n_train, n_val, n_test = split_sizes(len(raw.y), run)
    strata = raw.y if raw.task == "classification" else np.zeros(len(raw.y), dtype=np.int64)
    test, val, train, _ = np.split(_split_order(strata, run.split_seed), np.cumsum([n_test, n_val, n_train]))
    parts = (train, val, test)
    x_train, x_val, x_test = _scaled(raw.x, parts, run)
    y_train, y_val, y_test = (
        [raw.y[rows] for rows in parts] if raw.task == "classification" else _scaled(raw.y, parts, run)
    )
    return Data(x_train, y_train, x_val, y_val, x_test, y_test, raw.task, n_outputs=max(1, len(raw.classes)))


def _split_order(strata: Array, seed: int) -> Array:
    """Row numbers (N,) in an order whose every contiguous segment holds the strata nearly in proportion.

    The i-th of a stratum's n rows, shuffled, goes to (i + 1/2) / n of the way.

    >>> strata = np.array([0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    >>> strata[_split_order(strata, seed=0)]
    array([0, 0, 1, 0, 0, 0, 0, 1, 0, 0])
    """
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(SPLIT_STREAM,))))
    place = np.empty(len(strata))
    for stratum in np.unique(strata):
        rows = random.permutation(np.flatnonzero(strata == stratum))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.lexsort((random.random(len(place)), place))  # strata of one size tie everywhere


def _scaled(values: Array, parts: tuple[Array, ...], run: Run) -> list[Array]:
    """The rows of each part, the first of which is the training part, in the run's precision and C-contiguous."""
    try:
        with np.errstate(over="raise", invalid="raise"):
            mean, std = _mean_and_std(values[parts[0]]) if run.standardize else (0.0, 1.0)
            return [((values[rows] - mean) / std).astype(float_type(run.precision), order="C") for rows in parts]
    except FloatingPointError as error:
        raise DataError(
            f"{run.dataset}: a value is too large for {run.precision} ({error}); rescale the column"
        ) from error


def _mean_and_std(values: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of each column in float64; 1 for a constant column.

    >>> _mean_and_std(np.array([[0, 0.1], [2, 0.1], [4, 0.1]]))[1].round(3)
    array([1.633, 1.   ])
    """
    std = values.std(axis=0, dtype=np.float64)
    constant = np.ptp(values, axis=0) == 0  # rounding can leave a constant column a std of 1e-17
    return values.mean(axis=0, dtype=np.float64), np.where(constant, 1.0, std)


# --- The cache: <fingerprint>/{x.npy, y.npy, meta.json}, and sources/<key> that holds a fingerprint.


def _cache() -> Path:
    """The cache's folder, made if need be: the user's, or a temporary one where that cannot be written."""
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(os.environ.get("LRSWEEP_CACHE") or Path(home, "lrsweep"))
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = Path(tempfile.gettempdir(), f"lrsweep-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _key(source: Source, task: str | None) -> str:
    """Names what `load` gives: it rests on a file's content or scikit-learn's version, not on a path."""
    from importlib.metadata import version  # 28 ms that workers can do without

    if source.kind == "name":
        content = [source.location, version("scikit-learn")]
    elif source.kind == "idx":
        content = [_digest(path) for path in _idx_files(Path(source.location))]
    else:
        content = [Path(source.location).suffix, _digest(Path(source.location))]
    return _hash(json.dumps([CACHE_FORMAT, source.kind, content, source.target, task]).encode())


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{error.strerror}; name a file that can be read") from error


def _hash(*chunks: bytes | memoryview) -> str:
    """First 16 hex digits of SHA-256 over the chunks."""
    digest = hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
    return digest.hexdigest()[:16]


def _store(raw: RawData, pointer: Path) -> None:
    """Caches `raw`. A file's content follows from its name, so two processes at once replace equal by equal."""
    folder = _cache() / raw.fingerprint
    try:
        for name, values in (("x.npy", raw.x), ("y.npy", raw.y)):
            with _replacing(folder / name) as file:
                np.save(file, values, allow_pickle=False)
        with _replacing(folder / "meta.json") as file:
            file.write(json.dumps({"task": raw.task, "classes": raw.classes}).encode())
        with _replacing(pointer) as file:
            file.write(raw.fingerprint.encode())
    except OSError as error:
        raise DataError(f"the cache {folder} cannot be written ({error}); free space, or set LRSWEEP_CACHE") from error


@contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` once it is complete: nobody ever sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    try:
        with scratch.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


# --- Readers: each returns a Table or raises DataError.


def _read(source: Source) -> Table:
    if source.kind == "idx":
        return _read_idx(Path(source.location))
    if source.kind == "file":
        return _read_file(Path(source.location), source.target)
    if source.location.startswith("openml:"):
        return _read_openml(source.location)
    if source.location in DATASETS:
        return DATASETS[source.location].read()
    hint = _did_you_mean(source.location, DATASETS)
    raise DataError(f"is no known dataset; choose from {', '.join(DATASETS)}, or openml:NAME{hint}")


def _read_bundled(name: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    names = bunch.get("target_names")  # none in regression
    return bunch.data, bunch.target if names is None else names[bunch.target]


def _read_moons() -> Table:
    from sklearn.datasets import make_moons

    return make_moons(n_samples=1000, noise=0.2, random_state=0)  # type: ignore[no-any-return]


def _read_circles() -> Table:
    from sklearn.datasets import make_circles

    return make_circles(n_samples=1000, noise=0.1, factor=0.5, random_state=0)  # type: ignore[no-any-return]


def _read_openml(location: str) -> Table:
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
    return _from_frame(bunch.frame, bunch.target_names[0])


def _read_file(path: Path, target: str) -> Table:
    if path.suffix == ".npz":
        return _read_npz(path)
    if path.suffix == ".csv":
        return _from_frame(_read_csv(path), target)
    if path.suffix == ".parquet":
        return _from_frame(_read_parquet(path), target)
    raise DataError(f"the ending {path.suffix!r} is unknown; use .csv, .parquet or .npz")


@contextmanager
def _parsing(remedy: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # on damaged and foreign files parsers raise nearly anything
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"cannot be read ({message}); {remedy}") from error


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    with _parsing("save it as comma-separated UTF-8 text with a line of column names"), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # given where cells would be dropped
        # The names are read apart, because pandas would rename a second `a` to `a.1`.
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
        frame = pd.read_csv(path, index_col=False, low_memory=False)
    if (header == "").any():
        raise DataError("a column has no name (a saved row index?); name it, or save with index=False")
    frame.columns = pd.Index(header)
    return frame


def _read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    if find_spec("pyarrow") is None:
        raise DataError(".parquet needs pyarrow; pip install pyarrow")
    with _parsing("write it again, for example with pandas' to_parquet"):
        return pd.read_parquet(path, engine="pyarrow")


def _read_npz(path: Path) -> Table:
    with _parsing("write it with np.savez(file, x=x, y=y)"), path.open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        x, y = arrays["x"], arrays["y"]
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biufU":
        raise DataError(f"x is {x.dtype} and y is {y.dtype}; x must be numbers, y numbers or text")
    return (x if x.dtype == np.uint8 else x.astype(np.float64)), (y if y.dtype.kind == "U" else y.astype(np.float64))


def _read_idx(folder: Path) -> Table:
    arrays = [_read_idx_file(path) for path in _idx_files(folder)]
    with _parsing("train and t10k images must be of one size"):
        return np.concatenate(arrays[0::2]), np.concatenate(arrays[1::2])


def _idx_files(folder: Path) -> list[Path]:
    """The folder's IDX files in the order of IDX_FILES, gzipped or not; t10k may be missing as a whole."""
    found = {name: path for name in IDX_FILES for path in (folder / f"{name}.gz", folder / name) if path.is_file()}
    missing = [name for name in IDX_FILES if name not in found]
    if missing and missing != IDX_FILES[2:]:
        raise DataError(f"lacks {', '.join(missing)} (or the same with .gz); name the folder that holds them")
    return list(found.values())


def _read_idx_file(path: Path) -> Array:
    """An IDX file of unsigned bytes: two zeros, the type 8, the number of axes, their big-endian lengths, the bytes."""
    with _parsing(f"download {path.name} again"):
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):  # not by its name: browsers unpack and keep the .gz
            content = gzip.decompress(content)
        zeros, kind, n_axes = struct.unpack_from(">HBB", content)
        if (zeros, kind) != (0, 8):
            raise ValueError("not an IDX file of unsigned bytes")
        shape = struct.unpack_from(f">{n_axes}I", content, 4)
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * n_axes).reshape(shape)


# --- From tables and arrays to numbers.


def _from_frame(frame: pd.DataFrame, target: str) -> Table:
    """The target column, and the others as float64 columns in their order, text as one indicator column per value."""
    frame = frame.set_axis(frame.columns.map(str), axis="columns")
    names = list(frame.columns)
    if not frame.columns.is_unique:
        raise DataError(f"has several columns {_listing(list(frame.columns[frame.columns.duplicated()]))}; rename them")
    if target not in names:
        raise DataError(f"has no target column {target!r}; it has {_listing(names)}{_did_you_mean(target, names)}")
    if len(names) == 1:
        raise DataError(f"has no column but its target {target!r}; add columns to predict it from")
    _refuse("missing", names, frame.isna().sum())
    _refuse("infinite", names, frame.isin([np.inf, -np.inf]).sum())
    y = _column(frame[target], target)
    return np.column_stack([_indicators(_column(frame[n], n), n) for n in names if n != target]), y


def _column(column: pd.Series, name: str) -> Array:
    """The values (N,): float64, or objects that are text. Raises DataError for anything else, dates for example."""
    from pandas import CategoricalDtype
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype, is_string_dtype

    if isinstance(column.dtype, CategoricalDtype) or is_bool_dtype(column) or is_string_dtype(column):
        return column.astype(str).to_numpy(dtype=object)
    if is_numeric_dtype(column) and not is_complex_dtype(column):
        return column.to_numpy(dtype=np.float64)
    raise DataError(f"column {name!r} is {column.dtype}; turn it into numbers or text, or drop it")


def _indicators(values: Array, name: str) -> Array:
    """Numbers as they are; text as (N, number of values) zeros and ones, the values in sorted order.

    >>> _indicators(np.array(["red", "blue"], dtype=object), "colour")
    array([[0., 1.],
           [1., 0.]])
    """
    if values.dtype != object:
        return values
    different, codes = np.unique(values, return_inverse=True)
    if len(different) > MOST_INDICATORS:
        raise DataError(
            f"text column {name!r} has {len(different)} different values, more than {MOST_INDICATORS}; group or drop it"
        )
    return np.eye(len(different))[codes]


def _checked(x: Array, y: Array, task: str | None) -> RawData:
    """What the reader returned as RawData. Raises DataError where no model can be trained on it."""
    if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
        raise DataError(f"x is {x.shape} and y is {y.shape}; x must be (rows, columns) and y (rows,)")
    if len(y) < FEWEST_ROWS:
        raise DataError(f"has {len(y)} rows and needs {FEWEST_ROWS} at least; add rows")
    x = np.ascontiguousarray(x.reshape(len(x), -1))
    for what, is_so in (("missing", np.isnan), ("infinite", np.isinf)):
        _refuse(what, (f"column {i}" for i in range(x.shape[1])), is_so(x).sum(axis=0))
        if y.dtype.kind == "f":
            _refuse(what, ["the target"], [is_so(y).sum()])
    y, kind, classes = _encoded(y, task)
    header = json.dumps([x.dtype.str, x.shape, y.dtype.str, y.shape, kind, classes]).encode()
    return RawData(x, y, kind, classes, fingerprint=_hash(header, x.data, y.data))


def _encoded(y: Array, task: str | None) -> tuple[Array, Task, tuple[str, ...]]:
    """The target as class indices (int64) with the classes' names, or as float64 without; with the task."""
    text = y.dtype.kind in "OU"
    whole = text or bool((y == np.floor(y)).all())
    values, codes = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"its target is always {values[0]}; add rows with another one")
    if task == "regression" or (task is None and not text and not (whole and len(values) <= MOST_INFERRED_CLASSES)):
        if text:
            raise DataError(f"its target is text ({values[0]!r}), so the task is not regression; drop the task")
        return y.astype(np.float64), "regression", ()
    if not whole:
        raise DataError("its target is not whole numbers, so the task is not classification; drop the task")
    if len(values) > MOST_CLASSES:
        raise DataError(f"its target has {len(values)} different values, more than {MOST_CLASSES}; group them")
    return codes.astype(np.int64), "classification", tuple(str(v) if text else str(int(v)) for v in values)


# --- Words for messages.


def _refuse(what: str, names: Iterable[str], counts: Iterable[int]) -> None:
    found = [f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count]
    if found:
        raise DataError(f"has {what} values in {_listing(found)}; fill them in, or drop the rows or columns")


def _listing(words: list[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    return "".join(f"; did you mean {choice}?" for choice in difflib.get_close_matches(word, list(choices), n=1))


# --- The registry.


@dataclass(frozen=True)
class Dataset:
    """A dataset that needs no file and no connection: how it is read, and what `lrsweep list datasets` says of it."""

    read: Callable[[], Table]
    task: Task
    description: str
    source: str


DATASETS = {
    "digits": Dataset(
        partial(_read_bundled, "digits"),
        "classification",
        "1797 handwritten digits of 8×8 pixels, 10 classes",
        "Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49",
    ),
    "iris": Dataset(
        partial(_read_bundled, "iris"),
        "classification",
        "150 flowers, 4 measures, 3 species",
        "Fisher 1936, https://doi.org/10.24432/C56C76",
    ),
    "wine": Dataset(
        partial(_read_bundled, "wine"),
        "classification",
        "178 wines, 13 chemical measures, 3 cultivars",
        "Aeberhard & Forina 1992, https://doi.org/10.24432/C5PC7J",
    ),
    "breast_cancer": Dataset(
        partial(_read_bundled, "breast_cancer"),
        "classification",
        "569 tumours, 30 measures of cell nuclei, benign or malignant",
        "Wolberg et al. 1993, https://doi.org/10.24432/C5DW2B",
    ),
    "diabetes": Dataset(
        partial(_read_bundled, "diabetes"),
        "regression",
        "442 patients, 10 measures, progression after a year",
        "Efron et al. 2004, https://doi.org/10.1214/009053604000000067",
    ),
    "moons": Dataset(
        _read_moons,
        "classification",
        "1000 made points, 2 interleaved half circles, noise 0.2",
        "scikit-learn's make_moons",
    ),
    "circles": Dataset(
        _read_circles,
        "classification",
        "1000 made points, 2 concentric circles, noise 0.1",
        "scikit-learn's make_circles",
    ),
}
