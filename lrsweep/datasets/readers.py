"""Readers: each returns a Table or raises DataError. The registry of datasets stands at the end."""

from __future__ import annotations

import gzip
import math
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from lrsweep.datasets.tables import (
    Table,
    brief,
    check_shapes,
    did_you_mean,
    from_frame,
    refuse_long,
    refuse_too_large,
)
from lrsweep.vocabulary import Array, DataError, Source, Task

if TYPE_CHECKING:
    import pandas as pd

CSV_MEMORY, PARQUET_MEMORY, COLUMN_MEMORY = 4, 48, 3000
"""Bytes of memory that it takes to read a byte of a .csv file, a cell of a .parquet file, and a column of either;
measured on 55 MB of numbers and on 100,000 columns."""

IDX_FILES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def read(source: Source) -> Table:
    """The source's table, by its reader."""
    if source.kind == "idx":
        return read_idx(Path(source.location))
    if source.kind == "file":
        return read_file(Path(source.location), source.target)
    if source.location.startswith("openml:"):
        from lrsweep.datasets.openml import read_openml  # 30 ms that only it needs

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


def read_file(path: Path, target: str) -> Table:
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix == ".csv":
        return from_frame(read_csv(path), target, partial(missing_marks, path))
    if path.suffix == ".parquet":
        return from_frame(read_parquet(path), target)
    raise DataError(f"the ending {path.suffix!r} is unknown; use .csv, .parquet or .npz")


@contextmanager
def parsing(remedy: str) -> Iterator[None]:
    """Turns whatever a parser raises into a DataError with the remedy."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # on damaged and foreign files parsers raise nearly anything
        message = " ".join(f"{type(error).__name__}: {error}".split())
        raise DataError(f"cannot be read ({message}); {remedy}") from error


def read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    with path.open("rb") as file:
        n_columns = file.readline().count(b",") + 1
    n_bytes = CSV_MEMORY * path.stat().st_size + COLUMN_MEMORY * n_columns
    refuse_too_large(f"its {n_columns:,} columns would take" if n_columns > 1000 else "to read it would take", n_bytes)
    refuse_no_text(path)
    with parsing_csv(path), warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # given where cells would be dropped
        # The names are read apart, because pandas would rename a second `a` to `a.1`.
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False).iloc[0]
        if len(header) == 1 and (other := next((sign for sign in ";\t|" if sign in header[0]), "")):
            raise DataError(
                f"its columns are separated by {other!r}; save it with commas, and 1.5 written with a point"
            )
        frame = pd.read_csv(path, index_col=False, low_memory=False)
    if (header == "").any():
        raise DataError("a column has no name (a saved row index?); name it, or save with index=False")
    frame.columns = pd.Index(header)
    return frame


@contextmanager
def parsing_csv(path: Path) -> Iterator[None]:
    """Tells what pandas raises of a file, in our words and with the line where it knows it."""
    from pandas.errors import EmptyDataError, ParserError, ParserWarning

    with parsing("save it as comma-separated UTF-8 text with a line of column names"):
        try:
            yield
        except EmptyDataError as error:
            raise DataError("is empty; give it a line of column names, and rows") from error
        except UnicodeDecodeError as error:
            raise DataError(f"is not UTF-8: {foreign_byte(path)}; save it as UTF-8") from error
        except ParserWarning as error:
            told = "its rows have more cells than line 1 has names; give each column its name there"
            raise DataError(told) from error
        except ParserError as error:
            if long := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
                few, line, many = long.groups()
                told = f"line {line} has {many} cells, more than the {few} above it; remove some, or quote its commas"
                raise DataError(told) from error
            if torn := re.search(r"EOF inside string starting at row (\d+)", str(error)):  # it counts from 0
                raise DataError(f"a quote opens in line {int(torn[1]) + 1} and is never closed; close it") from error
            raise


def foreign_byte(path: Path) -> str:
    """The first byte that is not UTF-8, and its line."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"byte 0x{line[error.start]:02x} in line {number}"
    return "it ends within a sign"


def missing_marks(path: Path, columns: list[int]) -> list[str]:
    """The texts, in order, that pandas takes for missing values in columns of a CSV file; empty cells have none."""
    import pandas as pd

    found: set[str] = set()
    options: dict[str, Any] = {"index_col": False, "usecols": columns, "dtype": str, "chunksize": 10_000}
    pairs = zip(pd.read_csv(path, **options), pd.read_csv(path, keep_default_na=False, **options), strict=True)
    for values, texts in pairs:
        found.update(texts.to_numpy()[values.isna().to_numpy()])
    return sorted(filter(None, found))


def refuse_no_text(path: Path) -> None:
    """Raises DataError where a file is packed, or has NUL bytes: pandas would cut cells off at them."""
    with path.open("rb") as file:
        if file.read(4).startswith((b"\x1f\x8b", b"PK\x03\x04")):
            raise DataError("is packed, or a spreadsheet; unpack it, or save the table as .csv")
        file.seek(0)
        if any(b"\0" in chunk for chunk in iter(partial(file.read, 1 << 20), b"")):
            raise DataError("has NUL bytes, as UTF-16 has and UTF-8 text has not; save it as UTF-8")


def read_parquet(path: Path) -> pd.DataFrame:
    import pandas as pd

    if find_spec("pyarrow") is None:
        raise DataError(".parquet needs pyarrow; pip install pyarrow")
    from pyarrow import parquet

    with parsing("write it again, for example with pandas' to_parquet"):
        size = parquet.read_metadata(path)  # what a few bytes unpack to
        what = f"its {size.num_rows:,} rows of {size.num_columns:,} columns would take"
        refuse_too_large(what, (PARQUET_MEMORY * size.num_rows + COLUMN_MEMORY) * size.num_columns)
        return pd.read_parquet(path, engine="pyarrow")


def read_npz(path: Path) -> Table:
    with parsing("write it with np.savez(file, x=x, y=y)"), zipfile.ZipFile(path) as archive:
        check_shapes(*[read_npz_shape(archive, name) for name in "xy"])  # before either is unpacked
        x, y = (read_npz_array(archive, name) for name in "xy")
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biufU":
        types = brief(f"x is {x.dtype} and y is {y.dtype}")
        raise DataError(f"{types}; x must be numbers, y numbers or text")
    return (x if x.dtype == np.uint8 else floats("x", x)), (y if y.dtype.kind == "U" else floats("y", y))


def read_npz_shape(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape of an array in an .npz file, by its head. Raises where there is no room for it, or it is torn."""
    member = f"{name}.npy"
    if member not in archive.namelist():
        raise ValueError(f"{name} is not a file in the archive")
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_head(file)
        n_bytes, head = math.prod(shape) * dtype.itemsize, file.tell()
    refuse_too_large(
        f"its {name}, {brief(str(shape))} of {brief(str(dtype))}, would take", n_bytes + 8 * math.prod(shape)
    )
    if not dtype.hasobject and archive.getinfo(member).file_size != head + n_bytes:
        raise ValueError(f"{name} is not as long as its head says")
    return tuple(shape)


def read_npz_array(archive: zipfile.ZipFile, name: str) -> Array:
    """An array of an .npz file."""
    with archive.open(f"{name}.npy") as file:
        values: Array = np.lib.format.read_array(file, allow_pickle=False)
    return values


def floats(name: str, values: Array) -> Array:
    """Numbers as float64."""
    with np.errstate(over="ignore"):  # longer floats become infinite, which is told
        converted = values.astype(np.float64)
    if values.dtype.kind in "iu":
        refuse_long(name, converted)
    return converted


def read_idx(folder: Path) -> Table:
    paths = idx_files(folder)
    arrays = [read_idx_file(path) for path in paths]
    for at in range(0, len(paths), 2):  # each part for itself: what is too much in one may be too little in the other
        images, labels = arrays[at : at + 2]
        if len(images) != len(labels):
            said = f"{paths[at].name} has {len(images):,} images and {paths[at + 1].name} {len(labels):,} labels"
            raise DataError(f"{said}; download both again")
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
    with parsing(f"download {path.name} again"), path.open("rb") as packed:
        is_packed = packed.read(2) == b"\x1f\x8b"  # not by its name: browsers unpack and keep the .gz
        packed.seek(0)
        file: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=packed) if is_packed else packed
        zeros, kind, n_axes = struct.unpack(">HBB", file.read(4))
        if (zeros, kind) != (0, 8):
            raise ValueError("not an IDX file of unsigned bytes")
        shape = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
        n_bytes = math.prod(shape)
        refuse_too_large(f"its {brief(str(shape))} bytes would take", 2 * n_bytes)
        content = file.read(n_bytes + 1)  # no more is unpacked than its head tells
        if len(content) != n_bytes:
            raise ValueError(f"it has {'more' if len(content) > n_bytes else 'fewer'} bytes than its head says")
        return np.frombuffer(content, dtype=np.uint8).reshape(shape)


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
