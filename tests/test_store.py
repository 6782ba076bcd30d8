"""The store loses nothing, mixes nothing up, and tells the user in one line what is wrong with a folder."""

from __future__ import annotations

import csv
import errno
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrsweep.store import DATABASE, PAGE, Store, sharing, write_file
from lrsweep.store.schema import connect
from lrsweep.store.trouble import explained, explanation, reading
from lrsweep.vocabulary import CURVE_COLUMNS, FORMAT, NUMERICS, Array, BusyError, Outcome, StoreError

VIEWS = ("runs.csv", "curves.csv", "timings.csv")
ODD = (math.nan, math.inf, -math.inf, 5e-324, 0.1, -0.0, 1e22, 1.7976931348623157e308)
PLAN = [(f"r{i}", {"width": 16, "learning_rate": 10.0**-i}) for i in range(6)]
ABOUT = {"task": "classification", "axes": ["learning_rate"]}

WRITER = """
import sys
import time
import numpy as np
from pathlib import Path
from lrsweep.store import Store
from lrsweep.vocabulary import Outcome

STACKS, SIZE = 2000, 3
ids = [[f"s{stack}-{run}" for run in range(SIZE)] for stack in range(STACKS)]
with Store.create(Path(sys.argv[1])) as store:
    store.set_plan([(run_id, {}) for stack in ids for run_id in stack], {})
    have = store.statuses()
    print("ready", flush=True)
    for stack in ids:
        if stack[0] not in have:
            store.add([Outcome(run_id, "finished", "", {}, np.ones((500, 8))) for run_id in stack])
            print(*stack, flush=True)
            time.sleep(0.01)  # a sweep computes between its stacks; without a pause readers wait for long
"""


def outcome(run_id: str, status: str = "finished", **metrics: float) -> Outcome:
    curve = np.arange(2.0 * len(CURVE_COLUMNS)).reshape(2, -1)
    return Outcome(run_id, status, "", metrics or {"val_loss": 0.5}, curve, {"seconds": 0.25, "worker": 1})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "results" / "digits"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    with Store.create(folder) as store:
        store.set_plan(PLAN, ABOUT)
        yield store


def writer(folder: Path) -> subprocess.Popen[str]:
    """Another process that has taken the folder and adds stacks of three."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> list[str]:
    """Kill without warning; the run_ids that it had said were stored."""
    process.kill()
    said, _ = process.communicate()
    return said[: said.rfind("\n") + 1].split()


def made_newer(database: Path) -> None:
    """What a later lrsweep might make of a database."""
    with closing(sqlite3.connect(database)) as newer:
        newer.execute("ALTER TABLE runs ADD COLUMN mood TEXT")
        newer.execute("UPDATE meta SET value = ? WHERE key = 'format'", [str(FORMAT + 1)])
        newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
        newer.commit()


def failing_with(code: int) -> Callable[..., None]:
    """A function of the system that always fails."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


# What goes in comes out


def test_odd_floats_come_back_exactly_from_the_frames(store: Store) -> None:
    curve = np.tile(np.array(ODD), (3, 1))
    curve[:, :2] = [[0, 0], [1, 50], [2, 100]]
    metrics = {f"m{i}": value for i, value in enumerate(ODD)}
    store.add([Outcome("r0", "finished", "", metrics, curve)])
    curves = store.curves()
    assert store.runs()[list(metrics)].to_numpy().tobytes() == np.array([ODD]).tobytes()
    assert curves[list(CURVE_COLUMNS)].to_numpy(dtype=float).tobytes() == curve.tobytes()
    assert curves["run_id"].tolist() == ["r0"] * 3


def test_odd_floats_come_back_exactly_from_the_csv_files(store: Store) -> None:
    curve = np.array([[0, 0, *ODD[:6]], [1, 7, *ODD[:6]]])
    store.add([Outcome("r0", "finished", "", {"m": 5e-324, "steps": 1000}, curve)])
    store.write_views()
    [run], [_, point] = rows(store.folder / "runs.csv"), rows(store.folder / "curves.csv")
    assert (run["m"], run["steps"]) == ("5e-324", "1000")
    assert list(point.values()) == ["r0", "1", "7", "nan", "inf", "-inf", "5e-324", "0.1", "-0.0"]


def test_what_training_makes_is_empty_before_training(store: Store) -> None:
    curve = np.array([[0, 0, math.nan, 2.3, 2.4, math.nan, math.nan, math.nan]])
    store.add([Outcome("r0", "finished", "", {}, curve)])
    store.write_views()
    [point] = rows(store.folder / "curves.csv")
    assert list(point.values()) == ["r0", "0", "0", "", "2.3", "2.4", "nan", "", ""]


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda curve: curve.astype(">f8"), lambda curve: np.repeat(curve, 2, axis=0)[::2]]
)
def test_a_curve_is_stored_whatever_its_layout_in_memory(store: Store, layout: Callable[[Array], Array]) -> None:
    curve = np.arange(16.0).reshape(2, 8)
    store.add([Outcome("r0", "finished", "", {}, layout(curve))])
    np.testing.assert_array_equal(store.curves()[list(CURVE_COLUMNS)].to_numpy(), curve)


def test_what_is_told_of_the_sweep_is_kept(store: Store, folder: Path) -> None:
    with Store.open(folder) as reader:
        assert reader.about() == ABOUT


def test_a_new_folder_has_headers_and_empty_frames(store: Store) -> None:
    store.write_views()
    assert (store.folder / "runs.csv").read_text() == "run_id,status,reason,width,learning_rate\n"
    assert (store.folder / "curves.csv").read_text() == "run_id," + ",".join(CURVE_COLUMNS) + "\n"
    assert [len(store.runs()), len(store.curves()), len(store.timings())] == [0, 0, 0]


def test_the_files_and_the_frames_have_the_same_columns(store: Store) -> None:
    store.add([outcome("r1"), outcome("r0")])
    store.write_views()
    for name, frame in zip(VIEWS, (store.runs(), store.curves(), store.timings()), strict=True):
        found = rows(store.folder / name)
        assert list(found[0]) == list(frame.columns)
        assert [row["run_id"] for row in found] == frame["run_id"].tolist()


def test_the_files_do_not_depend_on_the_order_of_adding(tmp_path: Path) -> None:
    outcomes = [outcome(run_id, val_loss=float(i), steps=i) for i, (run_id, _) in enumerate(PLAN)]
    forwards, backwards = tmp_path / "forwards", tmp_path / "backwards"
    for folder, stacks in (forwards, [outcomes]), (backwards, [[one] for one in reversed(outcomes)]):
        with Store.create(folder) as store:
            store.set_plan(PLAN, ABOUT)
            for stack in stacks:
                store.add(stack)
            store.write_views()
    assert [(forwards / name).read_bytes() for name in VIEWS] == [(backwards / name).read_bytes() for name in VIEWS]


def test_curves_of_all_lengths_lie_under_one_another(store: Store) -> None:
    curves = {"r0": np.empty((0, 8)), "r2": np.full((3, 8), 2.0), "r1": np.full((1, 8), 1.0)}
    store.add([Outcome(run_id, "finished", "", {}, curve) for run_id, curve in curves.items()])
    frame = store.curves()
    assert frame["run_id"].tolist() == ["r1", "r2", "r2", "r2"]
    assert frame[list(CURVE_COLUMNS)].to_numpy().tolist() == [[1.0] * 8, *[[2.0] * 8] * 3]
    assert [str(frame[column].dtype) for column in ("epoch", "step", "val_loss")] == ["int64", "int64", "float64"]


def test_rows_follow_the_plan_and_columns_its_settings_then_the_metrics(store: Store) -> None:
    store.set_plan([("r9", {"optimizer": "sgd", "seed": 1}), ("r1", {"optimizer": "adam", "optimizer.beta1": 0.9})], {})
    noisy = Outcome("r1", "finished", "", {"val_loss": 1.0, "noisy_accuracy@0.1": 0.5}, np.empty((0, 8)))
    store.add([noisy, outcome("r9", val_loss=2.0)])
    store.write_views()
    assert (store.folder / "runs.csv").read_text() == (
        "run_id,status,reason,optimizer,seed,optimizer.beta1,val_loss,noisy_accuracy@0.1\n"
        "r9,finished,,sgd,1,,2.0,\n"
        "r1,finished,,adam,,0.9,1.0,0.5\n"
    )


def test_regression_curves_have_r2_in_place_of_accuracy(store: Store) -> None:
    store.set_plan(PLAN, {"task": "regression"})
    store.add([outcome("r0")])
    assert "val_r2" in store.curves()
    assert "val_accuracy" not in store.curves()


@pytest.mark.parametrize(
    ("text", "cell"),
    [("=1+1", "'=1+1"), ("+x", "'+x"), ("-x", "'-x"), ("@x", "'@x"), ('a "b",\nc', 'a "b",\nc'), ("é", "é")],
)
def test_free_text_cannot_be_read_as_a_formula_or_break_a_row(store: Store, text: str, cell: str) -> None:
    store.set_plan([("r0", {"dataset": text, "shift": -1.5, "limit": -math.inf, "clip_norm": None, "on": True})], {})
    store.add([Outcome("r0", "failed", text, {}, np.empty((0, 8)))])
    store.write_views()
    [run] = rows(store.folder / "runs.csv")
    assert (run["reason"], run["dataset"]) == (cell, cell)
    assert (run["shift"], run["limit"], run["clip_norm"], run["on"]) == ("-1.5", "-inf", "", "true")
    assert store.runs()["reason"].tolist() == [text]


# Plans, stale runs, retried runs, numerics


def test_counts_of_the_plan_by_status(store: Store) -> None:
    store.add([outcome("r0"), outcome("r1", "diverged"), outcome("r2", "crashed"), outcome("r3")])
    store.set_plan(PLAN[1:], ABOUT)
    by_status = {"finished": 1, "diverged": 1, "stopped": 0, "failed": 0, "crashed": 1}
    assert store.counts() == {"done": 3, "new": 2, "stale": 1, "other_numerics": 0, **by_status}


def test_a_run_out_of_the_plan_is_stale_and_keeps_the_settings_it_came_with(store: Store) -> None:
    store.add([outcome("r0"), outcome("r1")])
    store.set_plan([("r1", {"depth": 2})], ABOUT)
    assert store.runs()[["run_id", "depth"]].to_numpy().tolist() == [["r1", 2]]
    assert store.runs(stale=True)[["run_id", "width", "learning_rate"]].to_numpy().tolist() == [["r0", 16, 1.0]]
    assert store.curves()["run_id"].unique().tolist() == ["r1"]
    assert store.statuses() == {"r0": "finished", "r1": "finished"}


def test_a_stale_run_is_done_again_once_the_plan_has_it_again(store: Store) -> None:
    store.add([outcome("r0")])
    store.set_plan(PLAN[1:], ABOUT)
    store.set_plan(PLAN, ABOUT)
    assert store.runs()["run_id"].tolist() == ["r0"]


def test_a_retried_run_replaces_its_row(store: Store) -> None:
    store.add([outcome("r0", "crashed")])
    store.add([outcome("r0", "finished", val_loss=0.125)])
    assert store.runs()[["status", "val_loss"]].to_numpy().tolist() == [["finished", 0.125]]
    assert len(store.curves()) == 2


def test_a_run_that_is_not_in_the_plan_is_refused_with_its_whole_stack(store: Store) -> None:
    with pytest.raises(StoreError):
        store.add([outcome("r0"), outcome("unknown")])
    assert store.statuses() == {}


def test_results_of_other_numerics_are_kept_but_never_taken_for_done(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add([outcome("r0")])
    monkeypatch.setattr("lrsweep.store.database.NUMERICS", NUMERICS + 1)
    store.set_plan(PLAN, ABOUT)
    assert store.statuses() == {}
    assert store.runs().empty
    assert store.runs(stale=True)["run_id"].tolist() == ["r0"]
    assert (store.counts()["done"], store.counts()["new"], store.counts()["stale"]) == (0, len(PLAN), 1)


# Files of the answer, which hold only as long as there is no run more


@pytest.fixture
def answered(store: Store) -> Store:
    """A store whose answer is written."""
    store.add([outcome("r0")])
    store.write_answer({"setting": ["=a", None], "mean": [math.inf, math.nan]}, {"best": math.nan, "name": "é"})
    write_file(store.folder / PAGE, ["the page"])
    return store


def test_the_answers_files(answered: Store) -> None:
    assert (answered.folder / "ranking.csv").read_text() == "setting,mean\n'=a,inf\n,nan\n"
    assert (answered.folder / "recommendation.json").read_text("utf-8") == '{\n  "best": null,\n  "name": "é"\n}\n'


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.add([outcome("r1")]),
        lambda store: store.set_plan(PLAN[1:], ABOUT),
        lambda store: store.set_plan(PLAN, ABOUT | {"objective": "val_accuracy"}),
    ],
)
def test_the_answers_files_go_when_what_they_rest_on_changes(answered: Store, change: Callable[[Store], None]) -> None:
    change(answered)
    assert not {"ranking.csv", "recommendation.json", PAGE} & {path.name for path in answered.folder.iterdir()}


def test_an_answers_file_that_is_a_link_stays_one(answered: Store) -> None:
    ranking, target = answered.folder / "ranking.csv", answered.folder.parent / "elsewhere.csv"
    ranking.rename(target)
    ranking.symlink_to(target)
    answered.add([outcome("r1")])
    assert ranking.is_symlink()
    assert not target.exists()


def test_the_answers_files_stay_while_the_plan_is_the_same(answered: Store) -> None:
    answered.set_plan(PLAN, ABOUT)
    answered.write_views()
    assert {"ranking.csv", "recommendation.json", PAGE} <= {path.name for path in answered.folder.iterdir()}


# One writer, any number of readers, and sudden death


def test_a_second_writer_is_told_who_holds_the_folder_until_that_one_is_killed(folder: Path) -> None:
    process = writer(folder)
    try:
        with pytest.raises(
            BusyError, match=rf"{folder} is already being written by pid {process.pid} on host .+ since"
        ):
            Store.create(folder)
    finally:
        kill(process)
    with Store.create(folder) as store:
        assert store.counts()["new"] > 0


def test_the_folder_is_free_once_the_store_is_closed(store: Store, folder: Path) -> None:
    with store:
        pass
    with Store.create(folder) as again:
        assert again.about() == ABOUT


def test_a_writer_killed_at_any_time_leaves_whole_stacks_and_all_that_it_had_finished(folder: Path) -> None:
    for _ in range(4):
        process = writer(folder)
        assert process.stdout is not None
        first = process.stdout.readline().split()
        finished = first + kill(process)
        with Store.open(folder) as reader:
            stored = set(reader.statuses())
            assert set(finished) <= stored
            assert all(f"{run_id[:-1]}{other}" in stored for run_id in stored for other in range(3))
            assert set(reader.curves()["run_id"]) == stored


def test_a_reader_rolls_back_what_a_killed_writer_left_half_done(store: Store, folder: Path, tmp_path: Path) -> None:
    store.add([outcome("r0")])
    torn = tmp_path / "torn"
    with closing(sqlite3.connect(folder / DATABASE)) as other:
        other.execute("PRAGMA cache_size = 1")  # so that changed pages go to the disk before the commit
        other.execute("UPDATE runs SET status = 'torn', curve = zeroblob(1000000)")
        shutil.copytree(folder, torn)
        assert (torn / f"{DATABASE}-journal").stat().st_size > 0
        other.rollback()
    with Store.open(torn) as reader:
        assert reader.statuses() == {"r0": "finished"}
    assert not (torn / f"{DATABASE}-journal").exists()


def test_a_reader_sees_whole_stacks_while_another_process_writes(folder: Path) -> None:
    process = writer(folder)
    try:
        with Store.open(folder) as reader:
            seen = [reader.counts()["done"]]
            while len(seen) < 40 or seen[-1] == seen[0]:  # the writer ends by itself, in half a minute or more
                seen.append(reader.counts()["done"])
                assert process.poll() is None
    finally:
        kill(process)
    assert all(done % 3 == 0 for done in seen)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for another program says so at once."""
    monkeypatch.setattr(sharing, "PATIENCE", 0)
    monkeypatch.setattr(sharing, "TRY_SECONDS", 0.01)


@pytest.mark.usefixtures("impatient")
def test_what_is_read_together_is_of_one_moment(store: Store, folder: Path) -> None:
    store.add([outcome("r0")])
    with Store.open(folder) as reader, reader.one_moment():
        runs = reader.runs()
        store._say = interrupted
        with pytest.raises(KeyboardInterrupt):
            store.add([outcome("r1")])
        assert reader.curves()["run_id"].unique().tolist() == runs["run_id"].tolist()
    store.add([outcome("r1")])
    assert store.counts()["done"] == 2


def interrupted(_: str) -> None:
    """Who waits is told to end."""
    raise KeyboardInterrupt


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("begin", ["BEGIN; SELECT count(*) FROM runs", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_writer_waits_for_another_program_and_says_so_once(store: Store, folder: Path, begin: str) -> None:
    """Whether that reads or writes, and however long it is suspended: what was trained is worth it."""
    said = []

    def say(line: str) -> None:
        said.append(line)
        threading.Timer(0.1, other.rollback).start()

    store._say = say
    with closing(sqlite3.connect(folder / DATABASE, check_same_thread=False)) as other:
        for statement in begin.split("; "):
            other.execute(statement).fetchone()
        store.add([outcome("r0")])
    assert said == [f"{folder / DATABASE} is held by another program; waiting until that ends"]
    assert store.counts()["done"] == 1


@pytest.mark.usefixtures("impatient")
def test_who_waits_gives_up_once_the_deadline_is_over(folder: Path) -> None:
    with (
        Store.create(folder, deadline=time.perf_counter()) as store,
        closing(sqlite3.connect(folder / DATABASE)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="held by another program; close that and run the same command again"):
            store.set_plan(PLAN, ABOUT)


@pytest.mark.usefixtures("impatient")
def test_a_database_that_a_tool_has_open_as_a_wal_is_looked_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not wait for that tool, and to read a database from end to end may take minutes."""
    with Store.create(folder) as store:
        store.set_plan(PLAN, ABOUT)
    looked, tries = [], []
    monkeypatch.setattr("lrsweep.store.database.upgrade", lambda *_: looked.append(1))
    with closing(sqlite3.connect(folder / DATABASE)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("SELECT * FROM runs").fetchall()
        monkeypatch.setattr(sharing.time, "sleep", lambda _: tries.append(1) if len(tries) < 3 else other.close())
        with Store.create(folder) as store:
            assert store.about() == ABOUT
    assert (len(looked), len(tries)) == (1, 3)


@pytest.mark.usefixtures("impatient")
def test_who_begins_to_write_waits_for_another_program_too(folder: Path) -> None:
    with Store.create(folder) as store:
        store.set_plan(PLAN, ABOUT)
    said = []

    def say(line: str) -> None:
        said.append(line)
        threading.Timer(0.1, other.rollback).start()

    with closing(sqlite3.connect(folder / DATABASE, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with Store.create(folder, say=say) as store:
            assert store.about() == ABOUT
    assert len(said) == 1


def test_a_large_stack_stays_in_memory_until_it_is_committed(store: Store, folder: Path) -> None:
    """What goes to the file before, SQLite waits with for every reader, a minute for each row, and says nothing."""
    sizes = []

    def large() -> Iterator[Outcome]:
        for run_id, _ in PLAN:
            yield Outcome(run_id, "finished", "", {}, np.ones((20_000, len(CURVE_COLUMNS))))
            sizes.append((folder / DATABASE).stat().st_size)

    store.add(large())
    assert len(set(sizes)) == 1
    assert (folder / DATABASE).stat().st_size > sizes[0] + 6 * 10**6


def test_a_reader_in_the_same_process_leaves_a_writer_its_lock(store: Store, folder: Path) -> None:
    """Who closes a file loses the locks that the process has on it: so the header of one that is open is not read."""
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    with store._transaction():
        with Store.open(folder) as reader:
            assert reader.about() == ABOUT
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder / DATABASE)], capture_output=True, text=True, check=False
        )
    assert "database is locked" in done.stderr


def test_a_database_that_this_process_has_closed_is_looked_at_again(store: Store, folder: Path) -> None:
    with store:
        pass
    (folder / "runs.csv").touch()
    (folder / DATABASE).write_bytes(b"")
    with pytest.raises(StoreError, match=r"is damaged \(it is empty"):
        Store.open(folder)


def test_a_reader_cannot_write(store: Store, folder: Path) -> None:
    with Store.open(folder) as reader, pytest.raises(StoreError, match="cannot be opened or written"):
        reader.add([outcome("r0")])


# Folders and databases that cannot be used


@pytest.mark.parametrize("name", ["file", "file/below", "dangling", "loop"])
def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=rf"^{tmp_path / name.split('/')[0]}: .+; "):
        Store.create(tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("code", "remedy"), [(errno.EACCES, "change its permissions"), (errno.EROFS, "its disk is read-only; .+ make it")]
)
def test_a_folder_that_may_not_be_written_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    """Simulated, since the tests may run as root, whom nothing is forbidden."""
    monkeypatch.setattr(os, "mkdir", failing_with(code))
    with pytest.raises(StoreError, match=remedy):
        Store.create(folder)


def test_reading_where_there_is_nothing_is_refused_and_makes_nothing(folder: Path) -> None:
    with pytest.raises(StoreError, match="holds no results"):
        Store.open(folder)
    assert not folder.exists()


def test_reading_what_a_writer_has_only_just_begun_is_refused(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / DATABASE).touch()
    with pytest.raises(StoreError, match="holds no results"):
        Store.open(folder)


@pytest.mark.parametrize("way", [Store.create, Store.open])
def test_a_folder_of_a_newer_version_is_refused_and_left_alone(folder: Path, way: Callable[[Path], Store]) -> None:
    with Store.create(folder):
        pass
    made_newer(folder / DATABASE)
    before = (folder / DATABASE).read_bytes()
    with pytest.raises(StoreError, match=rf"newer lrsweep \(format {FORMAT + 1}.+; upgrade lrsweep"):
        way(folder)
    assert (folder / DATABASE).read_bytes() == before


@pytest.mark.parametrize("way", [Store.create, Store.open])
def test_a_file_that_is_no_database_is_refused_and_left_alone(folder: Path, way: Callable[[Path], Store]) -> None:
    folder.mkdir(parents=True)
    (folder / DATABASE).write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreError, match=r"is damaged .+ --fresh"):
        way(folder)
    assert (folder / DATABASE).read_bytes() == b"garbage" * 1000


@pytest.mark.parametrize("way", [Store.create, Store.open])
def test_a_database_of_another_program_is_refused(folder: Path, way: Callable[[Path], Store]) -> None:
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / DATABASE)) as other:
        other.execute("CREATE TABLE runs (id)")
    with pytest.raises(StoreError, match="not a database of lrsweep"):
        way(folder)


@pytest.mark.parametrize(
    ("damage", "read"),
    [
        ("UPDATE runs SET metrics = '{\"val_loss\": '", Store.runs),
        ("UPDATE plan SET settings = x'ff'", Store.runs),
        ("UPDATE runs SET curve = x'00'", Store.curves),
        ("UPDATE runs SET timing = ''", Store.timings),
    ],
)
def test_a_row_that_cannot_be_decoded_is_told_as_damage(
    store: Store, folder: Path, damage: str, read: Callable[[Store], object]
) -> None:
    store.add([outcome("r0")])
    with closing(sqlite3.connect(folder / DATABASE)) as other, other:
        other.execute(damage)
    with pytest.raises(StoreError, match="is damaged"):
        read(store)


def test_a_damaged_page_is_told_as_damage(store: Store, folder: Path) -> None:
    store.add([outcome(run_id) for run_id, _ in PLAN])
    size = (folder / DATABASE).stat().st_size
    with (folder / DATABASE).open("r+b") as file:
        file.seek(4096)  # the first page holds the schema
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(StoreError, match="is damaged"):
        Store.open(folder)


# Full disks


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_good_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    write_file(tmp_path / "runs.csv", ["old"])
    monkeypatch.setattr(os, call, failing_with(errno.ENOSPC))
    with pytest.raises(StoreError, match=r"runs\.csv cannot be written: no space is left there; .+ safe; free space"):
        write_file(tmp_path / "runs.csv", ["new"])
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("runs.csv", "old")]


def test_a_file_is_on_the_disk_before_its_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(name: str) -> Callable[..., object]:
        original = getattr(os, name)
        return lambda *given: calls.append(name) or original(*given)  # type: ignore[func-returns-value]

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, noted(name))
    write_file(tmp_path / "runs.csv", ["new"])
    assert calls == ["fsync", "replace", "fsync"]


def test_content_that_fails_half_way_leaves_the_good_file_and_no_other(tmp_path: Path) -> None:
    def lines() -> Iterator[str]:
        yield "new"
        raise KeyboardInterrupt

    write_file(tmp_path / "runs.csv", b"old")
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "runs.csv", lines())
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("runs.csv", "old")]


def test_a_full_disk_loses_the_stack_at_hand_and_nothing_before_or_after(store: Store) -> None:
    store.add([outcome("r0")])
    [pages] = store._database.execute("PRAGMA page_count").fetchone()
    store._database.execute(f"PRAGMA max_page_count = {pages}")
    big = Outcome("r2", "finished", "", {}, np.ones((1000, 8)))
    with pytest.raises(StoreError, match="no space is left"):
        store.add([outcome("r1"), big])
    assert store.statuses() == {"r0": "finished"}
    store._database.execute("PRAGMA max_page_count = 1000000")
    store.add([outcome("r1"), big])
    assert sorted(store.statuses()) == ["r0", "r1", "r2"]


@pytest.mark.parametrize(("name", "age", "kept"), [("runs.csv", 0, 0), ("report.html", 0, 1), ("report.html", 7200, 0)])
def test_the_next_writer_removes_what_killed_ones_left_but_no_page_that_may_be_in_the_making(
    folder: Path, name: str, age: float, kept: bool
) -> None:
    folder.mkdir(parents=True)
    leftover = folder / f".{name}.0123abcd.tmp"
    leftover.touch()
    os.utime(leftover, (time.time() - age, time.time() - age))
    with Store.create(folder):
        assert leftover.exists() == kept


def test_the_next_writer_removes_nothing_but_what_a_writer_leaves(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in (".notes.tmp", ".runs.csv.bak.tmp", ".notes.0123abcd.tmp"):
        (folder / name).touch()
    (folder / ".report.html.0123abcd.tmp").symlink_to("nowhere")
    (folder / ".runs.csv.0123abcd.tmp").mkdir()
    before = {*folder.iterdir()}
    with Store.create(folder):
        assert before < {*folder.iterdir()}


def test_a_page_that_is_put_in_its_place_meanwhile_does_not_stop_a_writer(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(parents=True)
    leftover, real = folder / ".report.html.0123abcd.tmp", Path.lstat
    leftover.touch()

    def gone_first(path: Path) -> os.stat_result:
        if path == leftover:
            leftover.unlink()
        return real(path)

    monkeypatch.setattr(Path, "lstat", gone_first)
    with Store.create(folder):
        assert not leftover.exists()


# What is told


@pytest.mark.parametrize("say", [explained, reading])
def test_only_where_rows_are_read_is_a_wrong_value_damage(tmp_path: Path, say: Callable[[Path], Any]) -> None:
    """Elsewhere it is a mistake of ours, for which --recover is no remedy."""
    with pytest.raises(StoreError if say is reading else ValueError, match="no number") as told, say(tmp_path):
        raise ValueError("no number")
    assert ("is damaged" in str(told.value)) == (say is reading)


def test_a_view_that_cannot_be_encoded_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_file(tmp_path / "x.csv", iter(["\udc00"]))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS"])
@pytest.mark.parametrize(("options", "safe"), [((), 1), (("another file with --output",), 1), (("another place",), 0)])
def test_that_runs_are_safe_is_said_of_results_alone(code: str, options: tuple[str, ...], safe: int) -> None:
    said = explanation(Path("x"), OSError(getattr(errno, code), "no"), *options)
    assert said.count("finished runs are safe") == safe
    assert "; ;" not in said


def test_a_path_that_sqlite_takes_no_more_is_told(tmp_path: Path) -> None:
    folder = tmp_path.joinpath(*["x" * 100] * 5)
    with pytest.raises(StoreError, match=r"sweep\.db: the name is too long for SQLite; shorten it, or name another"):
        Store.create(folder)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("path", "said"), [("gone", "gone cannot be written: it was removed"), ("no/way", "no does not exist, or no more")]
)
def test_what_is_gone_is_named(tmp_path: Path, path: str, said: str) -> None:
    assert said in explanation(tmp_path / path, OSError(errno.ENOENT, "no"))


def test_who_may_not_roll_back_what_a_killed_writer_left_is_told_who_may(store: Store, folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as other:
        other.execute("PRAGMA cache_size = 1")
        other.execute("UPDATE meta SET value = zeroblob(1000000)")
        shutil.copytree(folder, torn := folder.with_name("torn"))
    path = torn / DATABASE
    line = "killed, and who may write it has to run `lrsweep report` once; finished runs are safe"
    with connect(path, "ro") as database, pytest.raises(StoreError, match=line), explained(path):
        database.execute("SELECT * FROM meta")


# What a new file must not take the place of


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for name, text in (("old", "old"), ("new", None)):
        (tmp_path / name).symlink_to(f"there/{name}")
        if text:
            (tmp_path / "there" / name).write_text(text)
        write_file(tmp_path / name, ["written"])
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "there" / name).read_text() == "written"
    assert len([*tmp_path.rglob("*")]) == 5


@pytest.mark.parametrize("through", [False, True])
def test_a_pipe_a_folder_and_a_loop_are_refused_and_left_alone(tmp_path: Path, through: bool) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    for path in before:
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(path.name)
        with pytest.raises(StoreError, match="is there and no plain file; remove it, or name another folder with"):
            write_file(tmp_path / "link" if through else path, ["new"])
        assert (tmp_path / "link").is_symlink()
    (tmp_path / "link").unlink()
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "loop").is_symlink()


def test_a_folder_with_signs_of_an_address_in_its_name_works(tmp_path: Path) -> None:
    with Store.create(tmp_path / "50% ?#é") as store:
        store.set_plan(PLAN, ABOUT)
    assert (tmp_path / "50% ?#é" / DATABASE).is_file()


def test_the_store_does_not_import_pandas() -> None:
    code = "import sys, lrsweep.store; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
