"""Data files that nobody wants: what is in them, and what is to be said of it; or that they are none the worse."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROWS = 40
FINE = ""
"""What is said of a file that is trained on."""

Case = tuple[str, Callable[[Path], object], str]
"""A file's name, what writes it, and the words that refuse it."""


def table(*, rows: int = ROWS, **columns: list[Any] | None) -> bytes:
    """A CSV file of a number, the columns given, and a target `y` of two classes; None leaves a column out."""
    content = {"a": [f"{(7 * i) % 11}.5" for i in range(rows)], "y": [i % 2 for i in range(rows)]} | columns
    kept = {name: values for name, values in content.items() if values is not None}
    lines = [",".join(kept), *(",".join(map(str, row)) for row in zip(*kept.values(), strict=True))]
    return "".join(f"{line}\n" for line in lines).encode()


def once(odd: object, rest: object = 1, rows: int = ROWS) -> list[Any]:
    """A column with one odd cell."""
    return [odd] + [rest] * (rows - 1)


def numbered(form: str, rows: int = ROWS) -> list[str]:
    """A column of different values."""
    return [form.format(i) for i in range(rows)]


def of(values: list[Any], rows: int = ROWS) -> list[Any]:
    """A column of values in turn."""
    return [values[i % len(values)] for i in range(rows)]


def zipped(name: str, content: bytes) -> bytes:
    """A ZIP file of one file."""
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


GOOD = table(b=numbered("{}"))

CSV: dict[str, tuple[bytes, str]] = {
    # cells
    "nan": (table(b=once("nan")), "has missing values in b (1), written 'nan'; fill them in, or drop"),
    "an empty cell": (table(b=once("")), "has missing values in b (1); fill them in, or drop the rows or columns"),
    "NA": (table(b=once("NA")), "has missing values in b (1), written 'NA'; fill them in"),
    "None as a class": (table(y=of(["None", "a"])), "or columns, or write another word where 'None' means"),
    "null": (table(b=once("null")), "has missing values in b (1), written 'null'"),
    "a blank among numbers": (table(b=once(" ")), "has missing values in b (1)"),
    "a blank among words": (table(b=once("  ", "red")), "has missing values in b (1)"),
    "a blank among words, and an empty number": (
        table(a=once(""), b=once(" ", "red")),
        "has missing values in a (1), b (1); fill",
    ),
    "a question mark among numbers": (table(b=once("?")), "column b is text, though most of it is numbers, because of"),
    "a dash among numbers": (table(b=once("-")), "because of '-'; write numbers as in 1234.5 and fill in what is"),
    "a missing target": (table(y=["", *of([0, 1], ROWS - 1)]), "has missing values in y (1)"),
    "a question mark in the target": (table(y=["?", *of([0, 1], ROWS - 1)]), "column y is text, though most"),
    "infinity": (table(b=once("inf")), "has infinite values in b (1)"),
    "minus infinity": (table(b=once("-Infinity")), "has infinite values in b (1)"),
    "a number beyond float64": (table(b=once("1e999")), "has infinite values in b (1)"),
    "1e308": (table(b=once("1e308")), "has values beyond ±1e+38 in b; rescale it"),
    "numbers beyond float32": (table(b=numbered("{}e40")), "has values beyond ±1e+38 in b; rescale it"),
    "a target of 1e300": (table(y=of(["1e300", "2e300"])), "has values beyond ±1e+38 in y; rescale it"),
    "whole numbers just below 2^53": (table(b=numbered("90071992547409{}", 90)[-ROWS:]), FINE),
    "more digits than float64 has": (table(b=numbered("9007199254741{:03}")), "column b has whole numbers beyond"),
    "more digits than 64 bits have": (
        table(b=numbered("1180591620717411303{:03}")),
        "column b has whole numbers beyond",
    ),
    "long numbers as the target": (table(y=of([2**53, 2**53 + 2])), "column y has whole numbers beyond"),
    "decimal commas": (table(b=numbered('"{},5"')), "column b is text, though most of it is numbers, because of '0,5'"),
    "thousands apart": (table(b=once('"1,000"', '"2,000,000.5"')), "because of '1,000', '2,000,000.5'; write numbers"),
    "per cent": (table(b=numbered("{}%")), "column b is text, though most of it is numbers"),
    "prices": (table(b=numbered("${}.50")), "column b is text, though most of it is numbers, because of '$0.50'"),
    "nearly numbers": (
        table(b=["x", *numbered("{}", ROWS - 1)]),
        "column b is text, though most of it is numbers, because",
    ),
    "truth values and numbers": (table(b=of([True, False, 1, 0])), "column b is text, though most of it is numbers"),
    "free text": (
        table(b=numbered("t{}", 10_000), rows=10_000),
        "text column 'b' has 10000 different values, more than 50",
    ),
    "times": (table(b=numbered("2020-01-01T{}", 60), rows=60), "text column 'b' has 60 different values, more than 50"),
    "half of the cells are no numbers": (table(b=of([1, "red", "blue", "green"])), FINE),
    "denormal numbers": (table(b=numbered("{}e-320")), "has a spread below 1e-140 in b; rescale it"),
    "numbers whose squares are 0": (table(b=numbered("{}e-300")), "has a spread below 1e-140 in b; rescale it"),
    "such numbers as the target": (table(y=numbered("{}e-300")), "has a spread below 1e-140 in y; rescale it"),
    "one such number": (table(b=of(["1e-300"])), FINE),
    "small numbers": (table(b=numbered("{}e-42")), FINE),
    "minus zero": (table(b=of(["-0.0", "0.0"])), FINE),
    "a cell of 2 MB": (table(b=once("x" * 2_000_000, "z")), FINE),
    "truth values": (table(b=of([True, False])), FINE),
    "few days": (table(b=of(["2020-01-01", "2020-01-02"])), FINE),
    # rows, columns and classes
    "no rows": (table(rows=0), "has 0 rows and needs 10 at least; add rows"),
    "one row": (table(rows=1), "has 1 rows and needs 10 at least"),
    "two rows": (table(rows=2), "has 2 rows and needs 10 at least"),
    "nine rows": (table(rows=9), "has 9 rows and needs 10 at least"),
    "ten rows": (table(rows=10), FINE),
    "one class": (table(y=once(1)), "its target is always 1; add rows with another one"),
    "one class of text": (table(y=once("a", "a")), "its target is always a; add rows with another one"),
    "one number to predict": (table(y=once(0.5, 0.5)), "its target is always 0.5; add rows with another one"),
    "minus zero and zero as classes": (table(y=of(["-0.0", "0.0"])), "its target is always 0; add rows"),
    "a class to a row": (
        table(y=numbered("c{}")),
        "its target has 40 classes in 40 rows, most of them in one alone; name",
    ),
    "a number to a row": (
        table(y=numbered("{}")),
        "has 40 classes in 40 rows, most of them in one alone; set task: regression",
    ),
    "two rows to a class": (table(y=of(numbered("c{}", 20))), FINE),
    "a class of one row": (table(y=once("b", "a")[:2] + of(["a", "c"], ROWS - 2)), FINE),
    "numbers to predict": (table(y=numbered("{}.25")), FINE),
    "a constant column": (table(b=once(7, 7)), FINE),
    "a constant column of text": (table(b=once("k", "k")), FINE),
    "constant columns alone": (
        table(a=once(3, 3), b=once("k", "k")),
        "has the same values in all rows but for the target",
    ),
    "the target alone": (table(a=None), "has no column but its target 'y'; add columns"),
    "no target": (table(y=None, b=numbered("{}")), "has no target column 'y'; it has a, b"),
    "a target with a space": (
        table(y=None) .replace(b"a\n", b"a, y\n").replace(b".5\n", b".5,1\n"),
        "did you mean ' y'?",
    ),
    "a column twice": (GOOD.replace(b"a,y,b", b"a,y,a"), "has several columns a; rename them"),
    "the target twice": (GOOD.replace(b"a,y,b", b"a,y,y"), "has several columns y; rename them"),
    "columns named like ours": (GOOD.replace(b"a,y,b", b"learning_rate,y,run_id"), FINE),
    "a column named like a formula": (GOOD.replace(b"a,y,b", b"=cmd|'/c calc'!A0,y,b"), FINE),
    "a name with control characters": (table(**{"\x1b[31mred\u202e": once("")}), r"in '\x1b[31mred\u202e' (1)"),
    "a name of 1 MB": (table(**{"n" * 1_000_000: once("")}), "n… (1); fill them in"),
    # files
    "an empty file": (b"", "is empty; give it a line of column names, and rows"),
    "line ends": (b"\n\n\n", "is empty; give it a line of column names, and rows"),
    "other separators": (GOOD.replace(b",", b";"), "its columns are separated by ';'; save it with commas"),
    "other separators and commas": (GOOD.replace(b",", b";").replace(b".", b","), "its columns are separated by ';'"),
    "tabs": (GOOD.replace(b",", b"\t"), r"its columns are separated by '\t'; save it with commas"),
    "a torn quote at the end": (GOOD + b'"5,1,2\n', "a quote opens in line 42 and is never closed; close it"),
    "a torn quote at the start": (GOOD.replace(b"\n", b'\n"', 1), "a quote opens in line 2 and is never closed"),
    "too long a row": (GOOD + b"1,2,3,4,5\n", "line 42 has 5 cells, more than the 3 above it; remove"),
    "short rows": (GOOD + b"1,0\n", "has missing values in b (1)"),
    "a comment above the names": (b"# made by hand\n" + GOOD, "its rows have more cells than line 1 has names"),
    "a NUL in a cell": (GOOD + b"1\x00,0,5\n", "has NUL bytes, as UTF-16 has and UTF-8 text has not"),
    "a NUL in a name": (GOOD.replace(b"a", b"a\x00b"), "has NUL bytes"),
    "NULs alone": (bytes(5000), "has NUL bytes"),
    "UTF-16": (GOOD.decode().encode("utf-16"), "has NUL bytes, as UTF-16 has"),
    "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), "has NUL bytes, as UTF-16 has"),
    "Latin-1": (
        table(b=once("é", "e")).decode().encode("latin-1"),
        "is not UTF-8: byte 0xe9 in line 2; save it as UTF-8",
    ),
    "gzip": (gzip.compress(GOOD), "is packed, or a spreadsheet; unpack it"),
    "a spreadsheet": (zipped("xl/workbook.xml", GOOD), "is packed, or a spreadsheet; unpack it"),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD, FINE),
    "line ends of Windows": (GOOD.replace(b"\n", b"\r\n"), FINE),
    "line ends of old": (GOOD.replace(b"\n", b"\r"), FINE),
    "empty lines": (GOOD.replace(b"\n", b"\n\n"), FINE),
    "numbers in quotes": (table(b=numbered('"{}"')), FINE),
}  # fmt: skip
"""A table as bytes, and the words that refuse it."""

X, Y = np.arange(ROWS * 2.0).reshape(ROWS, 2), np.arange(ROWS) % 2


class Trap:
    """What must never be called: unpickling it makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def npz(**arrays: Any) -> bytes:
    """An .npz file."""
    np.savez(packed := io.BytesIO(), **arrays)
    return packed.getvalue()


def head(shape: str, kind: str = "<f8") -> bytes:
    """The head of an .npy file."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def bomb(shape: str, content: bytes = b"") -> bytes:
    """An .npz file whose x claims a shape."""
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", head(shape) + content)
        archive.writestr("y.npy", head("(10,)") + Y[:10].astype(float).tobytes())
    return packed.getvalue()


NPZ: dict[str, tuple[bytes, str]] = {
    "two columns": (npz(x=X, y=Y), FINE),
    "float16": (npz(x=X.astype(np.float16), y=Y), FINE),
    "long floats": (npz(x=X.astype(np.longdouble), y=Y), FINE),
    "big-endian numbers": (npz(x=X.astype(">f4"), y=Y.astype(">i2")), FINE),
    "truth values": (npz(x=X % 3 == 0, y=Y == 1), FINE),
    "more than float64 holds": (npz(x=X.astype(np.longdouble) * np.longdouble("1e400"), y=Y), "has infinite values in"),
    "more than float32 holds": (npz(x=X * 1e40, y=Y), "has values beyond ±1e+38 in column 0, column 1; rescale it"),
    "more digits than float64 has": (
        npz(x=X.astype(int) + 2**60, y=Y),
        "x has whole numbers beyond 9,007,199,254,740,992",
    ),
    "long numbers as the target": (npz(x=X, y=Y + 2**60), "y has whole numbers beyond 9,007,199,254,740,992"),
    "not a number": (npz(x=np.where(X == 5, np.nan, X), y=Y), "has missing values in column 1 (1)"),
    "infinity": (npz(x=np.where(X == 4, -np.inf, X), y=Y), "has infinite values in column 0 (1)"),
    "a target that is not a number": (npz(x=X, y=np.where(Y, np.nan, 1)), "has missing values in the target (20)"),
    "a blank target": (npz(x=X, y=["", *"ab" * 19, "b"]), "has missing values in the target (1)"),
    "objects": (npz(x=X, y=np.array([{}] * ROWS)), "cannot be read (ValueError: Object arrays cannot be loaded"),
    "complex numbers": (npz(x=X * 1j, y=Y), "x is complex128 and y is int64; x must be numbers, y numbers or text"),
    "times": (npz(x=X.astype("M8[s]"), y=Y), "x must be numbers, y numbers or text"),
    "bytes": (npz(x=X, y=Y.astype("S1")), "x must be numbers, y numbers or text"),
    "records": (npz(x=np.zeros((ROWS, 2), [("a", "f8"), ("b", "i4")]), y=Y), "x must be numbers, y numbers or text"),
    "one axis": (npz(x=X[:, 0], y=Y), "x must be (rows, columns) and y (rows,)"),
    "no axis": (npz(x=1.0, y=Y), "x must be (rows, columns) and y (rows,)"),
    "no columns": (npz(x=X[:, :0], y=Y), "x has no columns; add some"),
    "no rows": (npz(x=X[:0], y=Y[:0]), "has 0 rows and needs 10 at least"),
    "constant columns alone": (npz(x=X * 0 + 0.1, y=Y), "has the same values in all rows but for the target"),
    "fewer targets than rows": (npz(x=X, y=Y[:-1]), "x is (40, 2) and y is (39,)"),
    "a table as the target": (npz(x=X, y=X), "x is (40, 2) and y is (40, 2)"),
    "no x": (npz(y=Y), "cannot be read (ValueError: x is not a file in the archive)"),
    "a class to a row": (npz(x=X, y=np.arange(ROWS)), "has 40 classes in 40 rows"),
    "the end is missing": (npz(x=X, y=Y)[:-50], "cannot be read (BadZipFile"),
    "a head that claims 8 TB": (bomb("(1000000, 1000000)"), "would take about 16,000 GB, over half of the machine's"),
    "a head that claims more than there is": (bomb("(10, 1000)"), "x is not as long as its head says"),
    "a head that claims less than there is": (bomb("(10, 1)", bytes(1_000_000)), "x is not as long as its head says"),
    "a head that claims less than nothing": (bomb("(-10, 1)"), "cannot be read (ValueError"),
    "a head that is a program": (bomb("__import__('os').abort()"), "cannot be read (ValueError"),
    "an array without an archive": (head("(1000000000000, 1)"), "cannot be read (BadZipFile"),
    "nothing": (b"", "cannot be read (BadZipFile"),
}  # fmt: skip


def parquet(**columns: Any) -> bytes:
    """A .parquet file of a number, the columns given, and a target of two classes."""
    frame = pd.DataFrame({"a": np.arange(ROWS) / 3, "y": Y} | columns)
    frame.to_parquet(packed := io.BytesIO())
    return packed.getvalue()


def dense(rows: int) -> bytes:
    """A small .parquet file of so many equal rows."""
    pd.DataFrame({"a": np.zeros(rows, "i1"), "y": np.zeros(rows, "i1")}).to_parquet(packed := io.BytesIO())
    return packed.getvalue()


def torn(content: bytes) -> bytes:
    """The content with some of its middle overwritten."""
    return content[:60] + b"\xff" * 60 + content[120:]


PARQUET: dict[str, tuple[bytes, str]] = {
    "numbers and text": (parquet(b=of(["red", "blue"])), FINE),
    "categories": (parquet(b=pd.Categorical(of(["red", "blue"]))), FINE),
    "text of numbers": (parquet(b=of(["01", "02"])), FINE),
    "whole numbers that may be missing": (parquet(b=pd.array(of([1, 2]), "Int64")), FINE),
    "a missing whole number": (parquet(b=pd.array(once(None), "Int64")), "has missing values in b (1)"),
    "a missing word": (parquet(b=once(None, "red")), "has missing values in b (1)"),
    "a missing time": (parquet(b=once(None, pd.Timestamp("2020"))), "has missing values in b (1)"),
    "an empty word": (parquet(b=once("", "red")), "has missing values in b (1)"),
    "infinity": (parquet(b=once(np.inf, 1.0)), "has infinite values in b (1)"),
    "numbers beyond float32": (parquet(b=np.arange(ROWS) * 1e300), "has values beyond ±1e+38 in b; rescale it"),
    "more digits than float64 has": (parquet(b=np.arange(ROWS) + 2**60), "column b has whole numbers beyond"),
    "times": (
        parquet(b=pd.date_range("2020", periods=ROWS)),
        "column 'b' is datetime64[us]; turn it into numbers or text",
    ),
    "lists": (parquet(b=[[1, 2]] * ROWS), "column 'b' is"),
    "numbers with a question mark": (parquet(b=once("?", "1.5")), "column b is text, though most of it is numbers"),
    "one class": (parquet(y=Y * 0), "its target is always 0"),
    "a damaged page": (torn(parquet()), "cannot be read ("),
    "a damaged foot": (parquet()[:-20] + bytes(20), "cannot be read (ArrowInvalid"),
    "half of it": (parquet()[:400], "cannot be read (ArrowInvalid"),
    "nothing": (b"", "cannot be read (ArrowInvalid"),
}  # fmt: skip


def idx(shape: tuple[int, ...], content: bytes, kind: int = 8) -> bytes:
    """An IDX file that claims a shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + content


IMAGES = idx((ROWS, 2, 2), bytes(range(4 * ROWS)))
MOST = 2**32 - 1

IDX: dict[str, tuple[bytes, str]] = {
    "images": (IMAGES, FINE),
    "packed images": (gzip.compress(IMAGES), FINE),
    "a byte is missing": (IMAGES[:-1], "it has fewer bytes than its head says"),
    "a byte too many": (IMAGES + b"\0", "it has more bytes than its head says"),
    "a head that claims 10^12 bytes": (
        idx((10**6, 1000, 1000), b""),
        "would take about 2,000 GB, over half of the machine",
    ),
    "a head that claims more than numbers hold": (idx((MOST,) * 255, b""), "over half of the machine's"),
    "a head of 256 axes that ends": (IMAGES[:3] + b"\xff", "cannot be read (error: unpack requires"),
    "a head that ends": (IMAGES[:2], "cannot be read (error: unpack requires"),
    "no bytes": (idx((0, 2, 2), b""), "train-images-idx3-ubyte has 0 images and train-labels-idx1-ubyte 40 labels;"),
    "floats": (idx((ROWS, 1), bytes(4 * ROWS), 13), "not an IDX file of unsigned bytes"),
    "20 MB packed into 20 kB": (gzip.compress(IMAGES + bytes(20_000_000)), "it has more bytes than its head says"),
    "the packed end is missing": (gzip.compress(IMAGES)[:-9], "cannot be read (EOFError"),
    "a web page": (b"<html>not found</html>", "not an IDX file of unsigned bytes"),
    "images of one colour": (idx((ROWS, 2, 2), bytes(4 * ROWS)), "has the same values in all rows but for the target"),
    "nothing": (b"", "cannot be read (error: unpack requires"),
}  # fmt: skip
"""The images of a folder whose labels are fine."""
