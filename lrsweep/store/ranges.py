"""What the range test found, as files of the results folder: they depend on no run, and no run withdraws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lrsweep.store.folder import check_folder, write_file
from lrsweep.store.health import refuse_newer
from lrsweep.store.tables import FORMULA, csv_text
from lrsweep.store.trouble import explained, explanation, refusal
from lrsweep.vocabulary import Scalar, StoreError

if TYPE_CHECKING:
    import pandas as pd

RANGES, RAMPS = "ranges.csv", "ramps.csv"

NEEDED = {
    RANGES: {"layers", "interval_low", "interval_high", "suggestion", "trust", "reason"},
    RAMPS: {"layers", "seed", "learning_rate", "loss", "smoothed"},
}
"""Columns without which a file is none of ours."""

NUMBERS = {"interval_low", "interval_high", "suggestion", "seed", "learning_rate", "loss", "smoothed"}
"""Columns that hold numbers alone."""

Table = Mapping[str, Sequence[Scalar | None]]


def check_ranges_writable(folder: Path) -> None:
    """Raises StoreError where ranges.csv and ramps.csv could not be written, or a newer lrsweep wrote the folder.

    Before anything takes time. Makes nothing.
    """
    check_folder(folder, replaced=NEEDED)
    refuse_newer(folder)


def make_folder(folder: Path) -> None:
    """Makes the folder, and raises StoreError where its disk takes no file."""
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if refused := refusal(folder):
        raise StoreError(explanation(folder, refused))


def write_ranges(folder: Path, ranges: Table, ramps: Table) -> None:
    """Writes ranges.csv and ramps.csv, from their columns, each of them whole or not at all."""
    texts = {RAMPS: csv_text(ramps), RANGES: csv_text(ranges)}
    for name, text in texts.items():
        write_file(folder / name, text)


def read_ranges(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame] | tuple[None, None]:
    """The content of ranges.csv and ramps.csv; None and None where there was no range test."""
    if not all((folder / name).exists() for name in NEEDED):
        return None, None
    for name in NEEDED:
        if not (folder / name).is_file():
            raise StoreError(f"{folder / name} is there and no plain file; remove it, and lrsweep find writes it anew")
    return read_table(folder / RANGES), read_table(folder / RAMPS)


def read_table(path: Path) -> pd.DataFrame:
    """A file as a frame: what does not apply is nan, and text is as it was before it was kept from being a formula."""
    import pandas as pd

    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
        if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what is too much for names of the rows
            raise ValueError("its rows are longer than its header")
    except (OSError, ValueError) as error:
        said = f"{path} cannot be read ({' '.join(str(error).split())})"
        raise StoreError(f"{said}; remove it, and lrsweep find writes it anew") from error
    if lacks := NEEDED[path.name] - {*frame.columns}:
        said = f"{path} has no column {', '.join(sorted(lacks))}"
        raise StoreError(f"{said}; remove it, and lrsweep find writes it anew")
    frame = frame.astype(dict.fromkeys(NEEDED[path.name] - NUMBERS, object))  # one that is empty is text all the same
    if text := NUMBERS & {*frame.select_dtypes(exclude="number")} if len(frame) else set():
        said = f"{path} has what is no number in column {', '.join(sorted(text))}"
        raise StoreError(f"{said}; remove it, and lrsweep find writes it anew")
    for column in frame.select_dtypes(exclude="number"):
        cells = [
            cell[1:] if isinstance(cell, str) and cell.startswith("'") and cell[1:].startswith(FORMULA) else cell
            for cell in frame[column]
        ]
        frame[column] = pd.Series(cells, dtype=object)
    return frame
