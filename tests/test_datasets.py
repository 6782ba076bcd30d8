"""Sources, cache, split and scaling."""

import errno
import gzip
import hashlib
import os
import struct
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import engine_cases
import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from lrsweep.datasets import DATASETS, MissingError, cached, load, prepare, split_sizes
from lrsweep.datasets.cache import cache_folder
from lrsweep.datasets.split import split_order
from lrsweep.vocabulary import Data, DataError, RawData, Source, StoreError

DIGITS = Source("name", "digits")
RUN = replace(engine_cases.RUN, dataset=DIGITS)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("LRSWEEP_CACHE", str(folder))
    return folder


def numbered(counts: list[int]) -> RawData:
    """A dataset whose one feature is the row's number, with so many rows of each class, sorted by class."""
    y = np.repeat(np.arange(len(counts)), counts)
    return RawData(np.arange(len(y), dtype=np.float64)[:, None], y, "classification", tuple("abcdefgh"), "0" * 16)


def rows(raw: RawData, **settings: object) -> tuple[set[float], set[float], set[float]]:
    """The numbers of the training, validation and test rows of a `numbered` dataset."""
    data = prepare(raw, replace(RUN, standardize=False, **settings))
    return set(data.x_train.ravel()), set(data.x_val.ravel()), set(data.x_test.ravel())


def table(tmp_path: Path, **columns: object) -> Source:
    """A CSV file of 20 rows with a number, a two-valued target `y`, and the columns given; None drops one."""
    number = np.arange(20)
    content = {"size": number / 4, "y": np.where(number % 2, "odd", "even")} | columns
    pd.DataFrame({k: v for k, v in content.items() if v is not None}).to_csv(tmp_path / "t.csv", index=False)
    return Source("file", str(tmp_path / "t.csv"), "y")


# --- Split


def test_the_parts_are_disjoint_and_cover_every_row() -> None:
    parts = rows(numbered([70, 20, 10]))
    assert [len(part) for part in parts] == [60, 20, 20]
    assert set.union(*parts) == set(range(100))


def test_a_smaller_subset_lies_within_a_larger_one() -> None:
    trained = [rows(numbered([700, 200, 100]), subset=subset)[0] for subset in (1, 7, 0.05, 0.1, 0.5, 600, 1.0)]
    assert [len(part) for part in trained] == [1, 7, 30, 60, 300, 600, 600]
    assert all(smaller <= larger for smaller, larger in pairwise(trained))


def test_validation_and_test_rows_do_not_depend_on_the_subset() -> None:
    raw = numbered([70, 20, 10])
    assert rows(raw, subset=0.1)[1:] == rows(raw, subset=1.0)[1:]


def test_test_rows_do_not_depend_on_the_validation_fraction() -> None:
    raw = numbered([70, 20, 10])
    assert rows(raw, validation=0.1)[2] == rows(raw, validation=0.5)[2]


@pytest.mark.parametrize("subset", [0.1, 0.5, 1.0])
def test_every_part_has_the_classes_in_proportion(subset: float) -> None:
    data = prepare(numbered([700, 200, 100]), replace(RUN, subset=subset))
    for y in (data.y_train, data.y_val, data.y_test):
        assert np.abs(np.bincount(y, minlength=3) - len(y) * np.array([0.7, 0.2, 0.1])).max() <= 1


def test_classes_of_one_size_take_turns_in_random_order() -> None:
    """Equal sizes tie at every place; a fixed order of ties would favour the first class in small subsets."""
    raw = numbered([50, 50])
    firsts = {int(prepare(raw, replace(RUN, subset=1, split_seed=seed)).y_train[0]) for seed in range(20)}
    assert firsts == {0, 1}


def test_another_split_seed_splits_otherwise() -> None:
    assert rows(numbered([70, 30]), split_seed=0)[2] != rows(numbered([70, 30]), split_seed=1)[2]


def test_regression_rows_are_shuffled() -> None:
    raw = replace(numbered([100]), task="regression", classes=(), y=np.arange(100.0))
    assert sorted(rows(raw)[2]) != sorted(rows(raw, split_seed=1)[2])
    assert abs(prepare(raw, replace(RUN, standardize=False)).y_test.mean() - 49.5) < 20


def test_the_split_of_digits_is_frozen() -> None:
    """Another order under the same settings would mix old results with new ones; if it must change, raise NUMERICS."""
    order = split_order(load(DIGITS).y, seed=0)
    assert hashlib.sha256(order.astype("<i8").tobytes()).hexdigest()[:16] == "1e34aa00728bcc7b"


def test_the_test_part_may_be_empty() -> None:
    data = prepare(numbered([70, 30]), replace(RUN, test=0.0))
    assert data.x_test.shape == (0, 1)
    assert data.y_test.shape == (0,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"validation": 0.01}, "validation 0.01 of 20 rows is no row; raise validation"),
        ({"test": 0.01}, "test 0.01 of 20 rows is no row; raise test, or set it to 0"),
        ({"validation": 0.5, "test": 0.5}, "leave none of 20 rows for training; lower them"),
        ({"subset": 13}, "subset 13 is more than the 12 training rows; lower subset"),
    ],
)
def test_an_impossible_split_is_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(DataError, match=f"^digits: .*{message}$"):
        split_sizes(20, replace(RUN, **settings))


def test_split_sizes_are_those_of_the_split() -> None:
    run = replace(RUN, subset=0.3, validation=0.15, test=0.25)
    data = prepare(numbered([61, 40]), run)
    assert split_sizes(101, run) == (len(data.y_train), len(data.y_val), len(data.y_test))


# --- Scaling


def test_training_rows_of_the_subset_get_mean_0_and_std_1() -> None:
    data = prepare(load(Source("name", "wine")), replace(RUN, subset=0.5))
    np.testing.assert_allclose(data.x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_train.std(axis=0), 1)


def test_validation_rows_are_scaled_by_the_training_rows() -> None:
    raw = numbered([70, 30])
    plain, scaled = prepare(raw, replace(RUN, standardize=False)), prepare(raw, RUN)
    expected = (plain.x_val - plain.x_train.mean()) / plain.x_train.std()
    np.testing.assert_allclose(scaled.x_val, expected)


def test_a_constant_column_becomes_zero() -> None:
    """The mean of many 0.1 is not 0.1, so the naive standard deviation is 1e-17 and would blow the column up."""
    raw = replace(numbered([700, 300]), x=np.full((1000, 2), 0.1))
    data = prepare(raw, RUN)
    np.testing.assert_allclose(data.x_train, 0, atol=1e-12)


def test_the_regression_target_is_standardized() -> None:
    data = prepare(load(Source("name", "diabetes")), RUN)
    assert data.y_train.std() == pytest.approx(1)
    assert data.n_outputs == 1


def test_unscaled_values_are_as_they_are() -> None:
    data = prepare(load(Source("name", "diabetes")), replace(RUN, standardize=False, test=0.0, precision="float32"))
    raw = load(Source("name", "diabetes"))
    assert {*data.y_train, *data.y_val} == set(raw.y)
    assert data.x_train.max() <= np.float32(raw.x.max())


@pytest.mark.parametrize("name", ["digits", "diabetes"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_arrays_have_the_promised_types(name: str, precision: str) -> None:
    data = prepare(load(Source("name", name)), replace(RUN, precision=precision))
    for x, y in ((data.x_train, data.y_train), (data.x_val, data.y_val), (data.x_test, data.y_test)):
        assert type(x) is type(y) is np.ndarray
        assert x.dtype == precision
        assert x.flags.c_contiguous
        assert y.dtype == (np.int64 if name == "digits" else precision)


def test_a_class_without_training_rows_still_has_its_output() -> None:
    assert prepare(load(DIGITS), replace(RUN, subset=3)).n_outputs == 10


def test_values_beyond_the_precision_are_refused() -> None:
    raw = replace(numbered([20]), x=np.full((20, 1), 1e300))
    with pytest.raises(DataError, match="too large for float32"):
        prepare(raw, replace(RUN, standardize=False, precision="float32"))


# --- Registered names


@pytest.mark.parametrize("name", DATASETS)
def test_every_registered_dataset_loads_with_its_task(name: str) -> None:
    raw = load(Source("name", name))
    assert raw.task == DATASETS[name].task
    assert len(raw.classes) == (len(np.unique(raw.y)) if raw.task == "classification" else 0)
    assert isinstance(prepare(raw, RUN), Data)


def test_registered_classes_bear_their_names() -> None:
    assert load(Source("name", "iris")).classes == ("setosa", "versicolor", "virginica")
    assert load(DIGITS).classes == tuple("0123456789")


def test_the_task_can_be_overridden() -> None:
    raw = load(DIGITS, "regression")
    assert (raw.task, raw.y.dtype, raw.classes) == ("regression", np.float64, ())


def test_an_unknown_name_is_answered_with_a_guess() -> None:
    with pytest.raises(DataError, match=r"^digit: is no known dataset; choose from digits, .*; did you mean digits\?$"):
        load(Source("name", "digit"))


# --- OpenML


def served(monkeypatch: pytest.MonkeyPatch, answer: object) -> list[tuple[object, ...]]:
    """Lets scikit-learn answer (or raise) so, and records what it is asked."""
    asked = []

    def fetch_openml(name: str, version: object, **_: object) -> object:
        asked.append((name, version))
        warnings.warn("Retrying...", stacklevel=1)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch_openml)
    return asked


FRAME = pd.DataFrame({"weight": np.arange(12.0), "kind": pd.Categorical(["a", "b", "c"] * 4), "class": ["x", "y"] * 6})


@pytest.mark.parametrize(
    ("location", "question"), [("openml:tiny", ("tiny", "active")), ("openml:tiny@3", ("tiny", 3))]
)
def test_openml_is_asked_once(monkeypatch: pytest.MonkeyPatch, location: str, question: tuple[object, ...]) -> None:
    asked = served(monkeypatch, SimpleNamespace(frame=FRAME, target_names=["class"]))
    for _ in range(2):
        raw = load(Source("name", location))
    assert asked == [question]
    assert raw.x.shape == (12, 4)
    assert raw.classes == ("x", "y")


@pytest.mark.parametrize(
    ("location", "answer", "message"),
    [
        ("openml:tiny", URLError("name not known"), "openml.org gave no data .*name not known.*go online once"),
        ("openml:tinny", ValueError("No active dataset tinny found."), "No active dataset.*look its name up"),
        ("openml:tiny@last", None, "VERSION a whole number"),
        ("openml:", None, "must be openml:NAME"),
        ("openml:tiny", SimpleNamespace(frame=FRAME, target_names=["kind", "class"]), "has 2 targets and needs one"),
    ],
)
def test_openml_refusals(monkeypatch: pytest.MonkeyPatch, location: str, answer: object, message: str) -> None:
    served(monkeypatch, answer)
    with pytest.raises(DataError, match=message):
        load(Source("name", location))


# --- Tables


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_text_and_truth_values_become_indicator_columns_in_place(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    frame = pd.DataFrame(
        {"colour": ["red", "blue"] * 6, "n": range(12), "old": [True] * 3 + [False] * 9, "y": ["p", "q"] * 6}
    )
    frame.to_csv(path, index=False) if suffix == ".csv" else frame.to_parquet(path)
    raw = load(Source("file", str(path), "y"))
    assert raw.x[:4].tolist() == [[0, 1, 0, 0, 1], [1, 0, 1, 0, 1], [0, 1, 2, 0, 1], [1, 0, 3, 1, 0]]
    assert (raw.y[:4].tolist(), raw.classes) == ([0, 1, 0, 1], ("p", "q"))


def test_csv_and_parquet_give_the_same_fingerprint(tmp_path: Path) -> None:
    source = table(tmp_path, third=np.arange(20) / 3)
    pd.read_csv(source.location).to_parquet(tmp_path / "t.parquet")
    assert load(source).fingerprint == load(replace(source, location=str(tmp_path / "t.parquet"))).fingerprint


def test_csv_numbers_are_read_exactly(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=20)
    assert load(table(tmp_path, size=values)).x.ravel().tolist() == values.tolist()


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (["b", "a"] * 10, "classification", ("a", "b")),
        ([True, False] * 10, "classification", ("False", "True")),
        ([10, 9] * 10, "classification", ("9", "10")),
        ([1.0, 2.0] * 10, "classification", ("1", "2")),
        ([0.5, 2.0] * 10, "regression", ()),
    ],
)
def test_the_target_suggests_the_task(tmp_path: Path, y: list[object], task: str, classes: tuple[str, ...]) -> None:
    raw = load(table(tmp_path, y=y))
    assert (raw.task, raw.classes) == (task, classes)


def test_whole_numbers_of_many_values_are_regression_unless_overridden(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.arange(120.0)[:, None], y=np.arange(120) % 51)
    source = Source("file", str(tmp_path / "d.npz"))
    assert load(source).task == "regression"
    assert len(load(source, "classification").classes) == 51


@pytest.mark.parametrize(
    ("columns", "task", "message"),
    [
        ({"y": [0.5, 2.0] * 10}, "classification", "target is not whole numbers, so the task is not classification"),
        ({}, "regression", "target is text ('even'), so the task is not regression"),
        ({"y": ["a"] * 20}, None, "target is always a; add rows"),
        ({"size": None}, None, "has no column but its target 'y'"),
        ({"y": None, "Y": range(20)}, None, "has no target column 'y'; it has size, Y"),
        ({"y": None, "yy": range(20)}, None, "did you mean yy?"),
        ({"a": [None] * 3 + [1] * 17, "b": [None, *"c" * 19]}, None, "has missing values in a (3), b (1); fill"),
        ({"a": [float("inf")] + [1] * 19}, None, "has infinite values in a (1); fill"),
    ],
)
def test_a_table_that_teaches_nothing_is_refused(
    tmp_path: Path, columns: dict[str, object], task: str | None, message: str
) -> None:
    with pytest.raises(DataError) as refusal:
        load(table(tmp_path, **columns), task)
    assert message in str(refusal.value)


def test_a_text_column_of_many_values_is_refused(tmp_path: Path) -> None:
    lines = ["name,y", *(f"n{i},{i % 2}" for i in range(51))]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match="text column 'name' has 51 different values, more than 50; group or drop it"):
        load(Source("file", str(tmp_path / "t.csv"), "y"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; give it a line of column names"),
        (b"a,y\n\xff\xfe,1\n", "is not UTF-8: byte 0xff in line 2; save it as UTF-8"),
        (b"a,y\n" + b"1,2,3\n" * 12, "its rows have more cells than line 1 has names; give each"),
        (b"a,a,y\n" + b"1,2,3\n" * 12, "has several columns a; rename them"),
        (b",a,y\n" + b"1,2,3\n" * 12, "a column has no name .*index=False"),
        (b"a,y\n", "has 0 rows and needs 10 at least"),
        (b"a,y\n1,2\n", "has 1 rows and needs 10 at least"),
        (b"a;y\n1;2\n", "columns are separated by ';'; save it with commas"),
    ],
)
def test_a_bad_csv_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(Source("file", str(tmp_path / "t.csv"), "y"))


def test_a_column_named_NA_and_a_byte_order_mark_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfNA,y\n" + b"1,0\n2,1\n" * 6)
    assert load(Source("file", str(tmp_path / "t.csv"), "NA")).x.ravel().tolist() == [0, 1] * 6


def test_a_column_of_dates_is_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=12), "y": range(12)})
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column 'when' is datetime64.*; turn it into numbers or text"):
        load(Source("file", str(tmp_path / "t.parquet"), "y"))


def test_parquet_without_pyarrow_is_answered_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="pip install pyarrow"):
        load(Source("file", str(tmp_path / "t.parquet"), "y"))


@pytest.mark.parametrize("suffix", [".parquet", ".npz"])
@pytest.mark.parametrize("content", [b"", b"PAR1", b"PK\x03\x04 broken", b"\x00" * 100])
def test_a_damaged_binary_file_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    (tmp_path / f"t{suffix}").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read"):
        load(Source("file", str(tmp_path / f"t{suffix}"), "y"))


@pytest.mark.parametrize(("name", "message"), [("t.txt", "the ending '.txt' is unknown"), ("no.csv", "No such file")])
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "t.txt").write_text("a,y")
    with pytest.raises(DataError, match=message):
        load(Source("file", str(tmp_path / name), "y"))


# --- .npz


def test_npz_images_are_flattened_and_stay_bytes(tmp_path: Path) -> None:
    images = np.arange(12 * 2 * 3, dtype=np.uint8).reshape(12, 2, 3)
    np.savez(tmp_path / "d.npz", x=images, y=["cat", "dog"] * 6)
    raw = load(Source("file", str(tmp_path / "d.npz")))
    assert (raw.x.dtype, raw.x.shape, raw.classes) == (np.uint8, (12, 6), ("cat", "dog"))


def test_column_major_arrays_are_stored_by_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.asfortranarray(np.random.default_rng(0).normal(size=(12, 3))), y=[0, 1] * 6)
    raw = load(Source("file", str(tmp_path / "d.npz")))
    assert raw.x.flags.c_contiguous


X, Y = np.arange(24.0).reshape(12, 2), np.arange(12) % 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "y is not a file in the archive.*np.savez"),
        ({"x": X, "y": Y[:11]}, r"x is \(12, 2\) and y is \(11,\)"),
        ({"x": X, "y": Y[:, None]}, r"y is \(12, 1\); x must be \(rows, columns\) and y \(rows,\)"),
        ({"x": X[:, 0], "y": Y}, r"x is \(12,\)"),
        ({"x": np.where(X == 5, np.nan, X), "y": Y}, r"missing values in column 1 \(1\)"),
        ({"x": np.where(X == 4, np.inf, X), "y": Y}, r"infinite values in column 0 \(1\)"),
        ({"x": X, "y": np.where(Y, np.nan, 1)}, r"missing values in the target \(6\)"),
        ({"x": X.astype(str), "y": Y}, "x must be numbers"),
        ({"x": X.astype(complex), "y": Y}, "x must be numbers"),
        ({"x": X.astype(object), "y": Y}, "cannot be read .*allow_pickle"),
    ],
)
def test_an_unfit_npz_is_refused(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(DataError, match=message):
        load(Source("file", str(tmp_path / "d.npz")))


# --- IDX


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


IMAGES, LABELS = np.arange(12 * 4).reshape(12, 2, 2), np.arange(12) % 3


def idx_folder(folder: Path, parts: tuple[str, ...] = ("train", "t10k"), packed: bool = False) -> Source:
    for part in parts:
        for name, array in (("images-idx3", IMAGES), ("labels-idx1", LABELS)):
            content = idx(array + (100 if part == "t10k" and array is IMAGES else 0))
            path = folder / f"{part}-{name}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(content) if packed else content)
    return Source("idx", str(folder))


@pytest.mark.parametrize("packed", [False, True])
def test_idx_parts_are_joined(tmp_path: Path, packed: bool) -> None:
    raw = load(idx_folder(tmp_path, packed=packed))
    assert (raw.x.dtype, raw.x.shape, raw.classes) == (np.uint8, (24, 4), ("0", "1", "2"))
    assert raw.x[[0, 12]].tolist() == [[0, 1, 2, 3], [100, 101, 102, 103]]
    assert raw.y.tolist() == [*LABELS, *LABELS]


def test_idx_without_the_test_part(tmp_path: Path) -> None:
    assert load(idx_folder(tmp_path, parts=("train",))).x.shape == (12, 4)


def test_bytes_are_scaled_only_by_prepare(tmp_path: Path) -> None:
    data = prepare(load(idx_folder(tmp_path)), replace(RUN, standardize=False, precision="float32"))
    assert data.x_train.dtype == np.float32
    assert data.x_train.max() > 100


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", idx(IMAGES)[:-1], "cannot be read .*download train-images-idx3-ubyte again"),
        ("train-images-idx3-ubyte", b"", "cannot be read"),
        ("train-images-idx3-ubyte", b"<html>not found</html>", "not an IDX file of unsigned bytes"),
        ("train-images-idx3-ubyte", gzip.compress(idx(IMAGES), mtime=0)[:-9], "cannot be read"),
        ("train-labels-idx1-ubyte", idx(LABELS[:11]), "ubyte has 12 images and .* 11 labels; download both"),
        ("t10k-images-idx3-ubyte", idx(IMAGES.reshape(12, 4, 1)), "images must be of one size"),
        ("train-labels-idx1-ubyte", None, r"lacks train-labels-idx1-ubyte \(or the same with .gz\)"),
        ("t10k-labels-idx1-ubyte", None, "lacks t10k-labels-idx1-ubyte"),
    ],
)
def test_damaged_idx_files_are_refused(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    source = idx_folder(tmp_path)
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(source)


# --- Cache


def test_the_fingerprint_covers_values_task_and_classes(tmp_path: Path) -> None:
    fingerprints = [load(DIGITS, task).fingerprint for task in ("classification", "regression")]
    for columns in ({}, {"size": np.arange(20)}, {"y": ["a", "b"] * 10}, {"y": ["b", "a"] * 10}):
        fingerprints.append(load(table(tmp_path, **columns)).fingerprint)
    assert len(set(fingerprints)) == len(fingerprints)
    assert all(len(f) == 16 and set(f) <= set("0123456789abcdef") for f in fingerprints)


def test_cached_arrays_are_mapped_and_read_only() -> None:
    raw = cached(load(DIGITS).fingerprint)
    assert isinstance(raw.x, np.memmap)
    assert not raw.x.flags.writeable


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    before = load(table(tmp_path))
    assert load(table(tmp_path, size=np.arange(20) + 1)).x[0] != before.x[0]


def test_a_cache_hit_and_a_worker_import_neither_scikit_learn_nor_pandas(tmp_path: Path) -> None:
    source = table(tmp_path)
    fingerprints = [load(DIGITS).fingerprint, load(source).fingerprint]
    code = f"""
import sys
from lrsweep.datasets import cached, load
from lrsweep.vocabulary import Source
assert [load({DIGITS!r}).fingerprint, load({source!r}).fingerprint] == {fingerprints}
cached({fingerprints[0]!r})
assert not {{"sklearn", "pandas", "scipy"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["x.npy", "y.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "foreign"])
def test_a_damaged_entry_is_refused_by_cached_and_rebuilt_by_load(cache: Path, name: str, damage: str) -> None:
    source = Source("name", "iris")
    raw = load(source)
    path = cache / raw.fingerprint / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "foreign": b"[1]"}[damage])
    with pytest.raises(DataError, match=r"is missing or damaged .*; run the sweep again"):
        cached(raw.fingerprint)
    np.testing.assert_array_equal(load(source).x, sklearn.datasets.load_iris().data)
    assert path.read_bytes() == whole


def test_a_cache_that_cannot_be_used_is_missing_data_and_want_of_memory_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is no run's failure, the second may be."""

    def no_memory(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    fingerprint = load(Source("name", "iris")).fingerprint
    with monkeypatch.context() as patched:
        patched.setattr(np, "load", no_memory)
        with pytest.raises(MemoryError, match="Cannot allocate memory"):
            cached(fingerprint)
    (tmp_path / "file").touch()
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "file"))
    with pytest.raises(MissingError, match="cannot be used"):
        cached(fingerprint)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"0123456789abcdef"])
def test_a_damaged_pointer_is_written_again(cache: Path, content: bytes) -> None:
    raw = load(Source("name", "iris"))
    (pointer,) = (cache / "sources").iterdir()
    pointer.write_bytes(content)
    assert load(Source("name", "iris")).fingerprint == raw.fingerprint
    assert pointer.read_text() == raw.fingerprint


def test_a_write_that_fails_leaves_nothing_behind(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot be written .*No space left.*set LRSWEEP_CACHE"):
        load(Source("name", "iris"))
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_processes_that_load_at_once_agree(cache: Path) -> None:
    code = """
from lrsweep.datasets import load
from lrsweep.vocabulary import Source
print(load(Source("name", "moons")).x.sum())
"""
    started = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
    printed = {process.communicate()[0] for process in started}
    assert [process.returncode for process in started] == [0, 0]
    assert printed == {f"{load(Source('name', 'moons')).x.sum()}\n".encode()}
    assert not list(cache.rglob(".*"))


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("LRSWEEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "lrsweep"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "lrsweep"


def test_a_cache_that_is_named_must_be_usable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="cannot be used"):
        cache_folder()


def test_without_a_writable_place_the_cache_is_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.delenv("LRSWEEP_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_folder() == tmp_path / f"lrsweep-{os.getuid()}"
    assert load(Source("name", "iris")).x.shape == (150, 4)
