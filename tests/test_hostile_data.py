"""Data that nobody wants, through the command itself: refused at the door in a line, or trained on and right."""

from __future__ import annotations

import gzip
import os
import resource
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import data_cases
import numpy as np
import pandas as pd
import pytest
from data_cases import CSV, FINE, IDX, NPZ, PARQUET, ROWS, Trap, X, Y
from engine_cases import RUN
from typer.testing import CliRunner

from lrsweep import room
from lrsweep.cli import app
from lrsweep.datasets import cached, load, prepare
from lrsweep.datasets.split import mean_and_std
from lrsweep.datasets.tables import CLOSEST
from lrsweep.execute import execute
from lrsweep.plan import make_plan, make_stacks
from lrsweep.spec import load_spec
from lrsweep.vocabulary import FINISHED, DataError, Outcome, RawData, Source

runner = CliRunner()

SHORT = "width: 4\nlearning_rate: [0.01, 0.1]\nepochs: 2\nseeds: 2\n"


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a current folder of the test's own."""
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(dataset: str, command: str = "run") -> str:
    """What `lrsweep run` says to a sweep over a dataset: nothing, or why it refuses."""
    Path("s.yaml").write_text(f"dataset: {dataset}\n{SHORT}")
    workers = ["--workers", "0"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = runner.invoke(app, [command, "s.yaml", *workers, "-q"], catch_exceptions=False)
    assert result.exit_code in (0, 2), result.output
    assert Path("results").exists() is (result.exit_code == 0 and command == "run")
    assert bool(result.stderr) is (result.exit_code == 2)
    return result.stderr


def trained(dataset: str) -> list[Outcome]:
    """What becomes of a sweep's runs, without a results folder."""
    Path("s.yaml").write_text(f"dataset: {dataset}\n{SHORT}")
    stacks = make_stacks(make_plan(load_spec(Path("s.yaml"))).runs, 0)
    return [outcome for outcomes in execute(stacks, 0) for outcome in outcomes]


def check(dataset: str, words: str) -> None:
    """The file is refused with the words, in one line with its place in the sweep file; or it is trained on."""
    if words == FINE:
        for outcome in trained(dataset):
            assert outcome.status == FINISHED, outcome.reason
            assert np.isfinite([*outcome.metrics.values()]).all()
        return
    first, *source = sweep(dataset).splitlines()
    assert first.startswith("s.yaml:1:10: ")
    assert words in first
    assert ";" in first, "what can be done"
    assert len(first) < 600
    assert len(source) == 2


def both(cases: Mapping[str, tuple[bytes, str]]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A test for each of the cases."""
    return pytest.mark.parametrize(("content", "words"), cases.values(), ids=[*cases])


@both(CSV)
def test_a_csv_file_is_refused_or_trained_on(content: bytes, words: str) -> None:
    Path("t.csv").write_bytes(content)
    check("{file: t.csv, target: y}", words)


@both(NPZ)
def test_an_npz_file_is_refused_or_trained_on(content: bytes, words: str) -> None:
    Path("d.npz").write_bytes(content)
    check("{file: d.npz}", words)


@both(PARQUET)
def test_a_parquet_file_is_refused_or_trained_on(content: bytes, words: str) -> None:
    Path("t.parquet").write_bytes(content)
    check("{file: t.parquet, target: y}", words)


@both(IDX)
def test_an_idx_folder_is_refused_or_trained_on(content: bytes, words: str) -> None:
    Path("train-images-idx3-ubyte").write_bytes(content)
    Path("train-labels-idx1-ubyte").write_bytes(data_cases.idx((ROWS,), bytes([0, 1] * (ROWS // 2))))
    check("{idx: .}", words)


# --- What is trained on is right


def test_constant_columns_are_zero_and_leave_the_others_as_they_are() -> None:
    Path("one.csv").write_bytes(data_cases.table(b=None))
    Path("more.csv").write_bytes(data_cases.table(b=[7] * ROWS, c=["k"] * ROWS))
    plain, wide = (
        prepare(load(Source("file", str(Path(name).absolute()), "y")), RUN) for name in ("one.csv", "more.csv")
    )
    for few, many in ((plain.x_train, wide.x_train), (plain.x_val, wide.x_val), (plain.x_test, wide.x_test)):
        np.testing.assert_array_equal(many, np.column_stack([few, np.zeros((len(few), 2))]))


@pytest.mark.parametrize("spread", [1e-320, 1e-160])
def test_a_column_that_hardly_varies_counts_as_constant(spread: float) -> None:
    """The squares of its deviations have no digits: divided by what remains of them, it would be infinite."""
    x = np.arange(ROWS)[:, None] * spread
    raw = RawData(x, np.arange(ROWS) % 2, "classification", ("0", "1"), "0" * 16)
    data = prepare(raw, RUN)
    assert np.abs(data.x_train).max() < 1e-100


@pytest.mark.parametrize("name", ["t.csv", "d.npz", "t.parquet"])
def test_a_file_of_each_kind_is_swept_from_start_to_end(name: str) -> None:
    content = {"t.csv": data_cases.GOOD, "d.npz": data_cases.npz(x=X, y=Y), "t.parquet": data_cases.parquet()}[name]
    Path(name).write_bytes(content)
    assert sweep(f"{{file: {name}, target: y}}") == ""
    assert pd.read_csv("results/s/runs.csv")["status"].tolist() == [FINISHED] * 4


@pytest.mark.parametrize("target", ["", ", task: regression"])
def test_what_the_scaling_would_take_for_constant_is_refused(target: str) -> None:
    """The door is stricter than the scaling by more than what a few odd rows among very many can make up for."""
    odd = np.zeros((1000, 1))
    odd[0] = 1
    for factor in (1.0, 1e-100, CLOSEST, np.nextafter(CLOSEST, 0), 1e-300, 5e-324):
        x, y = (odd, odd[:, 0] * factor) if target else (odd * factor, odd[:, 0])
        np.savez("d.npz", x=np.column_stack([np.arange(1000) % 7, x]), y=y)
        source = Source("file", str(Path("d.npz").absolute()), task="regression" if target else "")
        if factor >= CLOSEST:
            assert mean_and_std(odd * factor)[1] < 1
            load(source, source.task or None)
        else:
            with pytest.raises(DataError, match=r"has a spread below 1e-140 in (column 1|the target); rescale it"):
                load(source, source.task or None)


def test_the_heads_of_an_npz_file_are_compared_before_it_is_read() -> None:
    np.savez_compressed("d.npz", x=np.zeros((3_000_000, 1)), y=Y)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"x is \(3000000, 1\) and y is \(40,\); x must be"):
        load(Source("file", str(Path("d.npz").absolute())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


def test_words_that_stand_for_missing_values_are_named_wherever_they_are() -> None:
    """Also far down, in names that are odd, and beside cells that are empty."""
    n = 25_000
    words = ["", "NA", *["DE"] * (n - 4), "null", "None"]
    Path("t.csv").write_bytes(data_cases.table(rows=n, b=data_cases.of([1], n), **{"usecols ": words}))
    said = (
        "has missing values in 'usecols ' (4), written 'NA', 'None', 'null'; fill them in, or drop the rows or "
        "columns, or write another word where 'NA' means itself"
    )
    check("{file: t.csv, target: y}", said)


# --- What would not fit, or is no file


def test_a_table_whose_text_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """40 rows of 20 texts of 40 values take 40 columns each: 256,000 bytes from some 5,000."""
    monkeypatch.setattr(room, "memory", lambda: 500_000)
    Path("t.csv").write_bytes(data_cases.table(**{f"c{i}": data_cases.numbered("t{}") for i in range(20)}))
    words = "40 rows of 801 columns, one for each value of text, need about 256 kB, over half of the machine's 500 kB"
    check("{file: t.csv, target: y}", words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", data_cases.GOOD, "to read it would take about"),
        ("t.csv", data_cases.table(**{f"c{i}": ["1"] * 40 for i in range(2000)}), "its 2,002 columns would take about"),
        ("t.parquet", data_cases.dense(100_000), "its 100,000 rows of 2 columns would take about 9.6 MB, over half"),
        (
            "d.npz",
            data_cases.npz(x=np.zeros((1000, 10)), y=Y),
            "its x, (1000, 10) of float64, would take about 160 kB",
        ),
    ],
)
def test_a_file_is_compared_with_the_memory_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, words: str
) -> None:
    monkeypatch.setattr(room, "memory", lambda: 1000)
    Path(name).write_bytes(content)
    check(f"{{file: {name}, target: y}}", words)


@pytest.mark.parametrize("kind", ["npz", "idx"])
def test_no_more_is_unpacked_than_a_head_tells(kind: str) -> None:
    """20 MB of zeros, packed into 20 kB."""
    if kind == "npz":
        Path("d.npz").write_bytes(data_cases.bomb("(10, 1)", bytes(20_000_000)))
        source = Source("file", str(Path("d.npz").absolute()))
    else:
        Path("train-images-idx3-ubyte").write_bytes(gzip.compress(data_cases.IMAGES + bytes(20_000_000)))
        Path("train-labels-idx1-ubyte").write_bytes(data_cases.idx((ROWS,), bytes([0, 1] * (ROWS // 2))))
        source = Source("idx", str(Path().absolute()))
    tracemalloc.start()
    with pytest.raises(DataError, match="head says"):
        load(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000


@pytest.mark.parametrize(
    "dataset", ["{file: pipe.csv, target: y}", "{file: zero.csv, target: y}", "{file: folder.csv, target: y}"]
)
def test_what_is_no_file_is_refused_and_not_waited_for(dataset: str) -> None:
    os.mkfifo("pipe.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    Path("folder.csv").mkdir()
    check(dataset, "is no regular file; name one")


def test_a_container_and_a_limit_of_the_shell_count_as_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of cgroup 2 and 1: the least limit from a process's own group up to the root counts."""
    monkeypatch.setattr(room, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(room, "GROUPS", tmp_path / "groups")
    for path, limit in {
        "memory.max": "90000000",
        "job/memory.max": "max",
        "job/step/memory.max": "80000000",
        "job/other/memory.max": "1",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/job/memory.limit_in_bytes": "2000000",
        "memory/job/step/memory.limit_in_bytes": "3000000",
        "cpu/memory.limit_in_bytes": "1",
    }.items():
        (tmp_path / "groups" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "groups" / path).write_text(limit)
    assert memory_in(tmp_path, "0::/job/step\n") == 80_000_000
    assert memory_in(tmp_path, "0::/job\n") == 90_000_000
    assert memory_in(tmp_path, "0::/not/seen/here\n") == 90_000_000
    assert memory_in(tmp_path, "5:cpu:/job\n4:name=systemd:/\n3:hugetlb,memory:/job/step\n") == 2_000_000
    for nothing in ("", "7:memory:/unlimited\n", "rubbish"):
        assert memory_in(tmp_path, nothing) > 100_000_000
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_000_000, 1_000_000))
    assert memory_in(tmp_path, "0::/job\n") == 1_000_000
    room.memory.cache_clear()


def memory_in(folder: Path, groups: str) -> int:
    """The memory of a process in control groups."""
    (folder / "own").write_text(groups)
    room.memory.cache_clear()
    return room.memory()


# --- Nothing is unpickled


def test_a_pickle_in_an_npz_file_is_never_opened(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")] * ROWS, dtype=object)
    for arrays in ({"x": trap[:, None], "y": Y}, {"x": X, "y": trap}):
        np.savez("d.npz", **arrays)
        check("{file: d.npz}", "cannot be read (ValueError: Object arrays cannot be loaded when allow_pickle=False)")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_a_pickle_in_the_cache_is_never_opened(tmp_path: Path, name: str) -> None:
    raw = load(Source("name", "iris"))
    path = tmp_path / "cache" / raw.fingerprint / name
    np.save(path, np.array([Trap(tmp_path / "sprung")], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="is missing or damaged"):
        cached(raw.fingerprint)
    assert load(Source("name", "iris")).fingerprint == raw.fingerprint
    assert not (tmp_path / "sprung").exists()


# --- The cache


def flip(path: Path, place: int = -1) -> None:
    """Turns one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["x.npy", "y.npy"])
def test_a_bit_that_turned_in_the_cache_is_found_and_read_again(tmp_path: Path, name: str) -> None:
    """It would change all results in silence."""
    source = Source("name", "iris")
    fingerprint = load(source).fingerprint
    path = tmp_path / "cache" / fingerprint / name
    good = path.read_bytes()
    flip(path)
    assert load(source).fingerprint == fingerprint
    assert path.read_bytes() == good


def test_an_entry_of_the_cache_in_the_place_of_another_is_found_and_read_again(tmp_path: Path) -> None:
    iris, wine = (load(Source("name", name)) for name in ("iris", "wine"))
    cache, expected = tmp_path / "cache", np.array(iris.x)
    for name in ("x.npy", "y.npy", "meta.json"):
        (cache / iris.fingerprint / name).write_bytes((cache / wine.fingerprint / name).read_bytes())
    np.testing.assert_array_equal(load(Source("name", "iris")).x, expected)


@pytest.mark.parametrize(
    "meta", ["[]", "{}", "null", '{"task": 1, "classes": 2}', '{"task": "x", "classes": ["a"]}', "\0"]
)
def test_rubbish_in_the_cache_is_written_again(tmp_path: Path, meta: str) -> None:
    raw = load(Source("name", "iris"))
    (tmp_path / "cache" / raw.fingerprint / "meta.json").write_text(meta)
    assert load(Source("name", "iris")).classes == raw.classes


@pytest.mark.parametrize("pointer", ["../../etc", "/etc/passwd", "a" * 10_000, "x\0y", "\n"])
def test_a_pointer_to_elsewhere_is_written_again(tmp_path: Path, pointer: str) -> None:
    raw = load(Source("name", "iris"))
    [path] = (tmp_path / "cache" / "sources").iterdir()
    path.write_text(pointer)
    assert load(Source("name", "iris")).fingerprint == raw.fingerprint
    assert path.read_text() == raw.fingerprint


def test_a_temporary_cache_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LRSWEEP_CACHE")
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"lrsweep-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="belongs to someone else; set LRSWEEP_CACHE"):
        load(Source("name", "iris"))
    assert not any((tmp_path / "elsewhere").iterdir())
