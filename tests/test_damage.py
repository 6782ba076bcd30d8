"""Whatever happens to the files of a results folder: the answer is right, or the damage is told and what can be had."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from damage_cases import SAME, SAMPLES, content, copy, database, make, views
from typer.testing import CliRunner

from lrsweep import finding, sweep
from lrsweep.cli import app
from lrsweep.store import DATABASE, DamagedError, Hold, Store, mend, mending
from lrsweep.store.health import sound
from lrsweep.store.salvage import whole_runs
from lrsweep.store.schema import ROWS, connect, seal
from lrsweep.vocabulary import Outcome, StoreError, UsageError

GOLDEN = Path(__file__).parent / "golden" / "results"

PAGE_BYTES = 4096

Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep file of a sweep that nothing happened to."""
    return make(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def spec(whole: Path, tmp_path: Path) -> Path:
    """The sweep file of a copy of it, which a test may damage."""
    return copy(whole, tmp_path)


def lrsweep(*words: str | Path) -> tuple[int, str, str]:
    """A command's exit code and what it says, on stdout and on stderr."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout, result.stderr


def run(spec: Path, **options: object) -> sweep.Result:
    """The sweep again."""
    return sweep.run(spec, results=spec.parent, workers=0, **options)  # type: ignore[arg-type]


def recover(spec: Path) -> list[str]:
    """What recovering the sweep's folder says; nothing is trained."""
    with Hold(spec.parent / "small") as hold:
        return mend(hold.folder)


def overwrite(path: Path, at: int, content: bytes) -> None:
    """Puts bytes into a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def refusal(damaged: Path) -> StoreError | None:
    """What is said of a database; None where it is taken for whole."""
    try:
        with Store.open(damaged.parent):
            return None
    except StoreError as error:
        return error


def is_told(damaged: Path, right: list[list[object]]) -> bool:
    """Whether a damaged database is refused, with a line, and what it would recover is true; else it must be right."""
    start = time.process_time()
    said = refusal(damaged)
    assert time.process_time() - start < 5  # it takes a fiftieth of a second: no endless loop
    if said is None:
        assert content(damaged) == right
        return False
    assert (said.exit_code, "\n" in str(said)) == (3, False)
    assert {*whole_runs(damaged)} <= {*right[2]}
    return True


# Damage of every kind, at every place


@pytest.mark.parametrize("times", [300, pytest.param(10_000, marks=pytest.mark.soak)])
def test_bytes_changed_at_random_places_never_give_another_answer(whole: Path, tmp_path: Path, times: int) -> None:
    """Each place in a copy of its own: one bit, one byte, or a burst of up to 64 bytes."""
    original, right, dice = database(whole).read_bytes(), content(database(whole)), np.random.default_rng(6)
    damaged, told = tmp_path / DATABASE, 0
    for number in range(times):
        at, length = int(dice.integers(len(original))), (1, 1, int(dice.integers(2, 65)))[number % 3]
        old = original[at : at + length]
        new = bytes([old[0] ^ 1 << int(dice.integers(8))]) if number % 3 == 0 else dice.bytes(len(old))
        damaged.write_bytes(original[:at] + new + original[at + length :])
        told += is_told(damaged, right)
    assert times / 3 < told < times  # the others hit what is not in use


@pytest.mark.parametrize("kind", ["zeros", "ones", "random", "the one before"])
def test_a_page_that_holds_something_else_never_gives_another_answer(whole: Path, tmp_path: Path, kind: str) -> None:
    original, right, dice = database(whole).read_bytes(), content(database(whole)), np.random.default_rng(7)
    n_pages, told = len(original) // PAGE_BYTES, 0
    for number in range(n_pages):
        start = number * PAGE_BYTES
        before = original[start - PAGE_BYTES : start] or original[-PAGE_BYTES:]
        new = {
            "zeros": bytes(PAGE_BYTES),
            "ones": b"\xff" * PAGE_BYTES,
            "random": dice.bytes(PAGE_BYTES),
            "the one before": before,
        }[kind]
        (tmp_path / DATABASE).write_bytes(original[:start] + new + original[start + PAGE_BYTES :])
        told += is_told(tmp_path / DATABASE, right)
    assert told == n_pages


def test_a_schema_with_other_letters_never_gives_another_answer(whole: Path, tmp_path: Path) -> None:
    """SQLite cites what it cannot read, of whatever bytes: what is told is a line all the same."""
    original, right = database(whole).read_bytes(), content(database(whole))
    for at in range(original.index(b"CREATE"), PAGE_BYTES, 67):
        for letter in (b"\x92", b"\n", b"\x1b", b"Q"):
            (tmp_path / DATABASE).write_bytes(original[:at] + letter + original[at + 1 :])
            is_told(tmp_path / DATABASE, right)


@pytest.mark.parametrize("marks", [(3, 1), (1, 3), (2, 1), (1, 2), (0, 0)])
def test_a_header_that_would_have_sqlite_write_another_journal_or_nothing_is_told(
    spec: Path, marks: tuple[int, int]
) -> None:
    runs, before = content(database(spec))[2], sorted(database(spec).parent.iterdir())
    overwrite(database(spec), 18, bytes(marks))
    with pytest.raises(DamagedError, match="its header is not as it was written"):
        Store.create(database(spec).parent)
    assert sorted({*database(spec).parent.iterdir()} - {database(spec).parent / ".lock"}) == [
        path for path in before if path.name != ".lock"
    ]
    recover(spec)
    assert content(database(spec))[2] == runs


def test_a_database_that_lost_its_tables_is_not_taken_for_a_new_one(spec: Path) -> None:
    runs = content(database(spec))[2]
    overwrite(database(spec), 103, b"\x00\x00")  # so many tables and views, says the first page
    for way in (Store.open, Store.create):
        with pytest.raises(DamagedError):
            way(database(spec).parent)
    recover(spec)
    assert content(database(spec))[2] == runs


def test_a_database_that_a_tool_gave_another_journal_is_read_and_written(spec: Path) -> None:
    right = content(database(spec))
    with closing(sqlite3.connect(database(spec))) as tool:
        assert tool.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",)
    assert not is_told(database(spec), right)
    with Store.create(database(spec).parent):
        pass
    assert database(spec).read_bytes()[18:20] == b"\x01\x01"


def test_a_database_cut_off_anywhere_never_gives_another_answer(whole: Path, tmp_path: Path) -> None:
    original, right = database(whole).read_bytes(), content(database(whole))
    lengths = {*range(0, len(original), PAGE_BYTES), *range(1, len(original), 1777), 99, 100, 101, len(original) - 1}
    for length in lengths:
        (tmp_path / DATABASE).write_bytes(original[:length])
        assert is_told(tmp_path / DATABASE, right)


def test_what_follows_a_database_does_not_matter(spec: Path) -> None:
    right = content(database(spec))
    with database(spec).open("ab") as file:
        file.write(b"rubbish" * 1000)
    assert not is_told(database(spec), right)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET curve = zeroblob(length(curve)) WHERE rowid = 3",
        "UPDATE runs SET metrics = replace(metrics, '1', '2') WHERE rowid = 3",
        "UPDATE runs SET status = 'finished'",
        "UPDATE runs SET status = CAST(status AS BLOB) WHERE rowid = 3",
        "UPDATE plan SET settings = replace(settings, '0.1', '0.2')",
        "UPDATE meta SET value = replace(value, 'val_loss', 'val_lass') WHERE key = 'about'",
        "DROP VIEW stale",
        "CREATE TABLE more (x)",
        "UPDATE runs SET run_id = run_id || 'x', checksum = seal(run_id, numerics, status, reason, settings, "
        "metrics, timing, curve) WHERE rowid = 3",
    ],
)
def test_what_another_program_changes_is_found(spec: Path, change: str) -> None:
    """Of this SQLite's own integrity check knows nothing."""
    with connect(database(spec), "rw") as other:
        other.execute(change)
        other.commit()
        assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    with pytest.raises(DamagedError, match="is damaged"):
        Store.open(database(spec).parent)


def test_an_index_that_says_other_than_its_table_is_found(spec: Path) -> None:
    path = database(spec)
    with closing(sqlite3.connect(path)) as other:
        root = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'run_status'").fetchone()[0]
    page = path.read_bytes()[(root - 1) * PAGE_BYTES : root * PAGE_BYTES]
    overwrite(path, (root - 1) * PAGE_BYTES + page.index(b"diverged"), b"finished")
    with pytest.raises(DamagedError):
        Store.open(path.parent)
    assert len({*whole_runs(path)}) == len(content(path)[2])


# A journal that a killed writer left


def torn(spec: Path, which: str = "true") -> bytes:
    """Leaves a sweep's database half written, and returns the journal that would mend it."""
    path, aside = database(spec), spec.parent / "aside"
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA cache_size = 1")  # so that changed pages go to the disk before the commit
        other.execute(f"UPDATE runs SET status = 'torn', curve = zeroblob(100000) WHERE {which}")  # noqa: S608
        shutil.copytree(path.parent, aside)
        other.rollback()
    shutil.copytree(aside, path.parent, dirs_exist_ok=True)
    shutil.rmtree(aside)
    return path.with_name(f"{DATABASE}-journal").read_bytes()


def test_a_journal_mends_what_a_killed_writer_left(spec: Path) -> None:
    right = content(database(spec))
    torn(spec)
    assert not is_told(database(spec), right)


@pytest.mark.parametrize("share", [0, 0.001, 0.01, 0.3, 0.7, 0.99])
def test_a_journal_that_is_cut_off_mends_all_or_it_is_told(spec: Path, share: float) -> None:
    right, journal = content(database(spec)), torn(spec)
    database(spec).with_name(f"{DATABASE}-journal").write_bytes(journal[: int(share * len(journal))])
    is_told(database(spec), right)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_journal_mends_all_or_it_is_told(spec: Path, seed: int) -> None:
    right, journal, dice = content(database(spec)), torn(spec), np.random.default_rng(seed)
    path = database(spec).with_name(f"{DATABASE}-journal")
    for _ in range(4):
        overwrite(path, int(dice.integers(len(journal) if seed % 2 else 512)), dice.bytes(8))
    is_told(database(spec), right)


def test_a_journal_of_another_database_does_no_silent_harm(spec: Path, whole: Path, tmp_path: Path) -> None:
    right, other = content(database(spec)), copy(whole, tmp_path / "other")
    with Store.create(other.parent / "small") as store:  # of the same sweep, some runs ago
        store.forget([run_id for run_id, _ in [*store.statuses().items()][::2]])
    journal = torn(other)
    database(spec).with_name(f"{DATABASE}-journal").write_bytes(journal)
    is_told(database(spec), right)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_place_of_a_database_is_told_and_not_waited_for(spec: Path, make: Damage) -> None:
    database(spec).unlink()
    make(database(spec))
    for words in (("report", "small"), ("plan", spec), ("run", spec), ("run", spec, "--recover")):
        code, said, why = lrsweep(*words, "--results", spec.parent)
        assert (code, said, why.count("\n")) == (3, "", 1)
        assert f"{database(spec)} is there and no plain file; remove it" in why


# What is said, and what comes back


def in_a_run(path: Path) -> None:
    """Changes one digit of a run's metrics."""
    at = path.read_bytes().rindex(b'"val_loss": ')
    overwrite(path, at + 14, b"7" if path.read_bytes()[at + 14 : at + 15] != b"7" else b"8")


def in_the_first_page(path: Path) -> None:
    overwrite(path, 0, bytes(PAGE_BYTES))


def in_the_header(path: Path) -> None:
    overwrite(path, 60, (77).to_bytes(4))


def in_the_middle(path: Path) -> None:
    overwrite(path, path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES, b"\xaa" * 3 * PAGE_BYTES)


def at_the_end(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 5 * PAGE_BYTES - 100)


def in_the_plan(path: Path) -> None:
    """Changes settings in the plan, not those that its runs have copied."""
    with closing(sqlite3.connect(path)) as other:
        root = other.execute("SELECT rootpage FROM sqlite_master WHERE name = 'plan'").fetchone()[0]
    overwrite(path, root * PAGE_BYTES - 40, b"\x00" * 40)


DAMAGES = [in_a_run, in_the_first_page, in_the_header, in_the_middle, at_the_end, in_the_plan]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_by_every_command_in_one_line_and_recovered_to_the_byte(
    spec: Path, damage: Damage, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, results = spec.parent / "small", ("--results", spec.parent)
    right = views(folder)
    damage(database(spec))
    before = database(spec).read_bytes()
    for words in (("report", "small"), ("plan", spec), ("run", spec, "--workers", "0")):
        code, said, why = lrsweep(*words, *results)
        assert (code, said) == (3, "")
        assert why.startswith(f"lrsweep: {folder / DATABASE} is damaged (")
        assert " --recover keeps these, trains the others again" in why
        assert why.count("\n") == 1
    assert database(spec).read_bytes() == before
    code, _, why = lrsweep("run", spec, "--workers", "0", "--recover", *results)
    assert code == 0
    assert "runs recovered" in why
    assert views(folder) == right
    kept = spec.parent / "small.bak-1"
    assert (kept / DATABASE).read_bytes() == before
    assert (kept / "runs.csv").read_bytes() == right["runs.csv"]
    assert lrsweep("report", "small", *results)[0] == 0
    assert run(spec).trained == 0


def test_a_damaged_sample_is_told_and_recovered_to_the_byte(spec: Path) -> None:
    folder = spec.parent / "small"
    right = views(folder)
    in_a_run(folder / "sample" / DATABASE)
    with pytest.raises(DamagedError, match=rf"{folder / 'sample' / DATABASE} is damaged .+ 7 of the 8 runs"):
        run(spec)
    result = run(spec, recover=True)
    assert (result.trained, views(folder)) == (0, right)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("harm", [emptied, zeroed])
def test_a_sample_beyond_repair_keeps_nobody_from_the_sweep(spec: Path, harm: Damage) -> None:
    folder, results = spec.parent / "small", ("--results", spec.parent)
    right, sample = views(folder), folder / "sample" / DATABASE
    harm(sample)
    with pytest.raises(DamagedError, match="no run in it can be read as it was stored; lrsweep run SPEC --recover"):
        run(spec)
    code, _, why = lrsweep("run", spec, "--workers", "0", "--recover", *results)
    assert (code, f"{sample}: 0 runs recovered\n" in why) == (0, True)
    assert views(folder) == right
    assert content(database(spec))[2] == content(spec.parent / "small.bak-1" / DATABASE)[2]


@pytest.mark.parametrize("harm", [in_a_run, zeroed])
def test_what_a_sweep_with_a_damaged_sample_took_is_not_told(spec: Path, harm: Damage) -> None:
    right, told = sweep.report("small", results=spec.parent), list[str]()
    harm(spec.parent / "small" / "sample" / DATABASE)
    answer = sweep.report("small", results=spec.parent, say=told.append)
    preview = sweep.plan(spec, results=spec.parent, workers=0, say=told.append)
    assert answer.ranking.equals(right.ranking)
    assert (right.spent is None, answer.spent, preview.sampling) == (False, None, True)
    assert [line.split("; ")[-1] for line in told] == [
        "what the sweep took in all cannot be told",
        "planned as if it were not there",
    ]
    for words in (("report", "small"), ("plan", spec)):
        code, said, why = lrsweep(*words, "--results", spec.parent)
        assert (code, "small" in said, "nan" in said, why.count("is damaged (")) == (0, True, False, 1)
        assert "is damaged" not in lrsweep(*words, "--results", spec.parent, "--quiet")[2]


def test_samples_outlive_the_sweeps_own_runs(spec: Path) -> None:
    folder = spec.parent / "small"
    right, samples = views(folder), content(folder / "sample" / DATABASE)[2]
    zeroed(database(spec))
    with pytest.raises(DamagedError, match="no run in it can be read as it was stored; lrsweep run SPEC --recover"):
        run(spec)
    assert recover(spec)[0] == f"{database(spec)}: 0 runs recovered"
    run(spec)
    assert views(folder) == right
    assert content(folder / "sample" / DATABASE)[2] == samples


def test_a_damaged_sample_of_format_1_starts_empty(tmp_path: Path) -> None:
    """It has no checksums that would tell what of it is whole."""
    folder = tmp_path / "golden"
    shutil.copytree(GOLDEN / "format-1", folder)
    sample = folder / "sample" / DATABASE
    with closing(sqlite3.connect(sample)) as other:
        [n_runs] = other.execute("SELECT count(*) FROM runs").fetchone()
        other.execute("UPDATE runs SET metrics = '{' WHERE rowid = 2")
        other.commit()
    told = refusal(sample)
    assert "no checksums that would tell which of its runs are whole; lrsweep run SPEC --recover" in str(told)
    result = sweep.run(GOLDEN / "golden.yaml", results=tmp_path, workers=0, recover=True)
    assert (result.trained, result.answer.counts["done"]) == (0, 16)
    with Store.open(folder / "sample") as store:
        assert len(store.statuses()) == n_runs


def test_a_damaged_first_page_costs_no_run(spec: Path) -> None:
    runs = content(database(spec))[2]
    in_the_first_page(database(spec))
    assert recover(spec)[0] == f"{database(spec)}: {len(runs)} runs recovered"
    assert content(database(spec))[2] == runs


def test_only_what_is_damaged_is_trained_again(spec: Path) -> None:
    in_a_run(database(spec))
    n_runs = len(content(database(spec))[2])
    with pytest.raises(DamagedError, match=f"; {n_runs - 1} of the {n_runs} runs that can be counted in it are whole;"):
        run(spec)
    assert run(spec, recover=True).trained <= 1


def test_a_database_that_is_cut_off_tells_how_many_runs_its_plan_has(tmp_path: Path) -> None:
    """The table and its index are cut off with it: counted there, nothing would be lost."""
    runs = [f"r{i}" for i in range(144)]
    with Store.create(tmp_path) as store:
        store.set_plan([(run_id, {"width": 1}) for run_id in runs], {})
        for run_id in runs:
            store.add([Outcome(run_id, "finished", "", {}, np.ones((60, 8)))])
    os.truncate(tmp_path / DATABASE, (tmp_path / DATABASE).stat().st_size // 3)
    with pytest.raises(
        DamagedError, match=r"; (\d\d) of the (\1|144) runs .+ are whole(, of 144 in its plan)?;"
    ) as told:
        Store.open(tmp_path)
    assert "144" in str(told.value)


def test_where_not_even_a_plan_can_be_read_it_is_told_that_more_may_be_lost(spec: Path) -> None:
    in_the_first_page(database(spec))
    assert "are whole, and more may be lost; " in str(refusal(database(spec)))


@pytest.mark.parametrize(("table", "columns"), [("plan", "run_id"), ("meta", "key, value, checksum")])
def test_a_view_without_end_in_place_of_a_table_is_not_read_for_ever(spec: Path, table: str, columns: str) -> None:
    with closing(sqlite3.connect(database(spec))) as other:
        rows = f"SELECT {columns} FROM was UNION ALL SELECT {columns} FROM t"  # noqa: S608
        other.execute(f"ALTER TABLE {table} RENAME TO was")
        other.execute(f"CREATE VIEW {table} AS WITH RECURSIVE t({columns}) AS ({rows}) SELECT * FROM t")  # noqa: S608
        other.commit()
    assert "runs that can be counted in it are whole" in str(refusal(database(spec)))


def test_a_row_that_was_made_to_mislead_is_no_whole_run(tmp_path: Path) -> None:
    """Its checksum stands, and its text is none."""
    with Store.create(tmp_path) as store:
        store.set_plan([("r1", {}), ("r2", {})], {})
        store.add(
            [Outcome("r1", "finished", "", {}, np.ones((1, 8))), Outcome("r2", "failed", "", {}, np.ones((1, 8)))]
        )
    path = tmp_path / DATABASE
    with closing(sqlite3.connect(path)) as other:
        other.text_factory = bytes
        columns = ", ".join(ROWS["runs"])
        [row] = other.execute(f"SELECT {columns} FROM runs WHERE run_id = 'r2'").fetchall()  # noqa: S608
        other.execute(
            "UPDATE runs SET reason = CAST(x'ff' AS TEXT), checksum = ? WHERE run_id = 'r2'",
            [seal(*row[:3], b"\xff", *row[4:])],
        )
        other.commit()
    assert [run_id for run_id, *_ in whole_runs(path)] == ["r1"]


def test_large_rows_that_fill_many_pages_are_recovered(tmp_path: Path) -> None:
    curves = [np.random.default_rng(epochs).random((epochs, 8)) for epochs in (0, 1, 50, 61, 62, 63, 64, 500, 4000)]
    with Store.create(tmp_path) as store:
        store.set_plan([(f"r{i}", {}) for i in range(len(curves))], {})
        store.add([Outcome(f"r{i}", "finished", "", {}, curve) for i, curve in enumerate(curves)])
    rows = content(tmp_path / DATABASE)[2]
    in_the_first_page(tmp_path / DATABASE)
    assert sorted(whole_runs(tmp_path / DATABASE)) == rows


def test_the_later_of_two_rows_of_a_run_is_recovered(spec: Path) -> None:
    """The earlier one, of a run that was stopped or failed and then trained on, may lie in a free page."""
    rows = [row for row in content(database(spec))[2] if row[2] == "finished"]
    finished, *_ = rows
    failed = (*finished[:2], "failed", "once", *finished[4:8])
    for order in ([failed, finished], [finished, failed]):
        found = [(*row[:8], seal(*row[:8])) for row in order]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mending, "whole_runs", lambda _, found=found: iter(found))
            assert mending.keep_whole_runs(database(spec), spec.parent / "new.db") == 1
        assert content(spec.parent / "new.db")[2] == [finished]
        (spec.parent / "new.db").unlink()


def test_where_nothing_can_be_read_a_fresh_start_is_named(spec: Path) -> None:
    folder = spec.parent / "small"
    for path in (database(spec), folder / "sample" / DATABASE):
        path.write_bytes(np.random.default_rng(1).bytes(50_000))
    right = views(folder)
    for options in ({}, {"recover": True}):
        with pytest.raises(DamagedError, match=r"no run in it can be .+; lrsweep run SPEC --fresh starts anew"):
            run(spec, **options)
    assert not [*spec.parent.glob("*.bak-*")]
    run(spec, fresh=True)
    assert views(spec.parent / "small") == right


def test_an_empty_database_beside_views_is_damage_and_alone_a_new_one(spec: Path) -> None:
    right = views(spec.parent / "small")
    os.truncate(database(spec), 0)
    with pytest.raises(DamagedError, match=r"it is empty, and runs\.csv beside it is not"):
        run(spec)
    for path in [*database(spec).parent.glob("*.csv")]:
        path.unlink()
    with pytest.raises(StoreError, match="holds no results"):
        sweep.report("small", results=spec.parent)
    assert sweep.plan(spec, results=spec.parent, workers=0).counts()["new"] == 4  # the sample knows of the others
    run(spec)
    assert views(spec.parent / "small") == right


def test_chains_of_pages_that_lead_nowhere_are_not_followed_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page has a hundred records as long as the file, all of them on one page that follows upon itself."""
    n_pages = 50
    head = bytes([len(ROWS["runs"]) + 2, *[13] * (len(ROWS["runs"]) + 1)])  # as many values as a row of runs has
    length = n_pages * PAGE_BYTES - 10
    local = (PAGE_BYTES - 12) * 32 // 255 - 23
    local += (length - local) % (PAGE_BYTES - 4)
    local = local if local <= PAGE_BYTES - 35 else (PAGE_BYTES - 12) * 32 // 255 - 23
    varint = bytes([length >> 14 | 128, length >> 7 & 127 | 128, length & 127])
    cell = varint + b"\1" + head.ljust(local, b"\0") + (2).to_bytes(4)
    rows = bytes([13, 0, 0, *(100).to_bytes(2), 0, 0, 0]) + (PAGE_BYTES - len(cell)).to_bytes(2) * 100
    page = rows.ljust(PAGE_BYTES - len(cell), b"\0") + cell
    (tmp_path / "made.db").write_bytes(page + (2).to_bytes(4).ljust(PAGE_BYTES, b"\0") + page * (n_pages - 2))
    reads = []
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda *given: reads.append(given) or real(*given))
    assert [*whole_runs(tmp_path / "made.db")] == []
    assert n_pages * 4 < len(reads) < n_pages * 20


def test_views_without_their_database_are_told_and_no_reason_to_stop(spec: Path) -> None:
    folder, results = spec.parent / "small", ("--results", spec.parent)
    right = views(folder)
    line = f"no sweep.db beside {folder / 'runs.csv'}: all runs are trained anew\n"
    database(spec).unlink()
    for words, times in ((("plan", spec), 1), (("run", spec), 1), (("plan", spec), 0)):
        code, _, why = lrsweep(*words, "--workers", "0", *results)
        assert (code, why.count(line)) == (0, times)
    assert views(folder) == right


def test_views_without_their_database_are_kept_by_a_fresh_start(spec: Path) -> None:
    before = (spec.parent / "small" / "runs.csv").read_bytes()
    database(spec).unlink()
    run(spec, fresh=True)
    assert (spec.parent / "small.bak-1" / "runs.csv").read_bytes() == before


@pytest.mark.parametrize(("harmed", "other"), [(".", "sample"), ("sample", ".")])
def test_the_backup_of_a_recovered_folder_is_never_written_again(spec: Path, harmed: str, other: str) -> None:
    """SQLite writes a database in its place: one that is whole must not be the same file under two names."""
    folder = spec.parent / "small"
    in_the_first_page(folder / harmed / DATABASE)
    recover(spec)
    backup = spec.parent / "small.bak-1" / other / DATABASE
    before = backup.read_bytes()
    run(spec, overrides=["seeds=3"])
    assert (folder / other / DATABASE).read_bytes() != before
    assert backup.read_bytes() == before


def test_recovering_what_is_whole_says_so_and_changes_nothing(spec: Path) -> None:
    before = database(spec).read_bytes()
    assert recover(spec) == [f"nothing in {spec.parent / 'small'} is damaged"]
    assert database(spec).read_bytes() == before
    assert not [*spec.parent.glob("*.bak-*")]


def test_recovering_and_starting_anew_are_not_one(spec: Path) -> None:
    with pytest.raises(UsageError, match="leave one of them out"):
        run(spec, recover=True, fresh=True)


@pytest.mark.parametrize("sample", [in_the_header, zeroed])
@pytest.mark.parametrize(
    ("broken", "at"),
    [
        *(("keep_whole_runs", at) for at in (1, 2)),
        *(("link_or_copy", at) for at in (1, 9)),
        *(("put_in_place", at) for at in (1, 2, 3)),  # the backup, the database, the sample's
    ],
)
def test_recovering_that_is_broken_off_can_be_begun_again(
    spec: Path, monkeypatch: pytest.MonkeyPatch, sample: Damage, broken: str, at: int
) -> None:
    folder = spec.parent / "small"
    right = content(database(spec))[2]
    in_the_first_page(database(spec))
    sample(folder / "sample" / DATABASE)
    real, calls = getattr(mending, broken), iter(range(1, 99))

    def breaking(*given: object) -> object:
        if next(calls) == at:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(mending, broken, breaking)
    with pytest.raises(KeyboardInterrupt):
        recover(spec)
    assert not [*folder.rglob("*.tmp")]
    assert [*spec.parent.glob("*.bak-*")] == [spec.parent / "small.bak-1"] * (broken == "put_in_place" and at > 1)
    monkeypatch.setattr(mending, broken, real)
    with pytest.raises(DamagedError, match="--recover"):
        run(spec)
    recover(spec)
    assert content(database(spec))[2] == right
    with Store.open(folder / "sample"):
        pass


def test_a_journal_of_the_damaged_database_does_not_get_into_the_new_one(spec: Path) -> None:
    right = content(database(spec))[2]
    torn(spec, "rowid % 3")
    in_the_first_page(database(spec))
    journal = database(spec).with_name(f"{DATABASE}-journal")
    overwrite(journal, 0, b"\x00" * 28)
    recover(spec)
    assert not journal.exists()
    assert {*content(database(spec))[2]} <= {*right}


def test_the_backup_is_a_copy_where_a_disk_knows_no_links(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    in_a_run(database(spec))
    damaged = database(spec).read_bytes()
    recover(spec)
    assert (spec.parent / "small.bak-1" / DATABASE).read_bytes() == damaged


def full(*_: object, **__: object) -> None:
    """Room for nothing."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_the_backup_of_damaged_databases_takes_no_room(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "copy2", full)
    in_a_run(database(spec))
    in_a_run(spec.parent / "small" / "sample" / DATABASE)
    recover(spec)
    assert run(spec).trained <= 1


def test_a_backup_without_room_is_told_and_is_none(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_run(database(spec))
    damaged = database(spec).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", full)
        with pytest.raises(StoreError, match="no space is left there; finished runs are safe; free space"):
            recover(spec)
    assert (database(spec).read_bytes(), [*spec.parent.glob("*.bak-*")]) == (damaged, [])
    assert recover(spec)[-1] == f"the damaged folder is kept as {spec.parent / 'small.bak-1'}"


def test_a_backup_that_was_killed_half_way_is_made_anew(spec: Path) -> None:
    in_a_run(database(spec))
    (spec.parent / ".small.bak-1" / "sample").mkdir(parents=True)
    (spec.parent / ".small.bak-1" / DATABASE).write_bytes(b"half")
    damaged = database(spec).read_bytes()
    recover(spec)
    assert [*spec.parent.glob("*.bak-*")] == [spec.parent / "small.bak-1"]
    assert (spec.parent / "small.bak-1" / DATABASE).read_bytes() == damaged


def test_what_is_not_ours_in_a_folder_keeps_nobody_from_recovering_it(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else's files, which cannot be read, nor linked where the kernel protects them."""
    folder = spec.parent / "small"
    (folder / "notes.txt").touch()
    os.mkfifo(folder / "pipe")
    os_link, copy2 = os.link, shutil.copy2

    def forbidden(real: Callable[..., object]) -> Callable[..., object]:
        def tried(source: Path, target: Path, **options: object) -> object:
            if Path(source).name in ("notes.txt", "pipe", "runs.csv"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(source, target, **options)

        return tried

    monkeypatch.setattr(os, "link", forbidden(os_link))
    monkeypatch.setattr(shutil, "copy2", forbidden(copy2))
    in_a_run(database(spec))
    recover(spec)
    kept = {path.name for path in (spec.parent / "small.bak-1").iterdir()}
    assert (kept >= {DATABASE, "curves.csv", "sample"}, "runs.csv" in kept) == (True, False)
    assert (folder / "notes.txt").exists()


def test_links_stay_links_and_what_they_lead_to_is_recovered_and_kept(spec: Path) -> None:
    folder, elsewhere = spec.parent / "small", spec.parent / "elsewhere"
    right = [content(database(spec))[2], content(folder / "sample" / DATABASE)[2]]
    (folder / "sample").rename(elsewhere)
    (folder / "sample").symlink_to("../elsewhere")
    database(spec).rename(elsewhere / "own.db")
    database(spec).symlink_to("../elsewhere/own.db")
    in_the_first_page(database(spec))
    in_the_first_page(elsewhere / DATABASE)
    damaged = [(elsewhere / name).read_bytes() for name in ("own.db", DATABASE)]
    recover(spec)
    assert (database(spec).is_symlink(), (folder / "sample").is_symlink()) == (True, True)
    assert [content(elsewhere / name)[2] for name in ("own.db", DATABASE)] == right
    kept = spec.parent / "small.bak-1"
    assert [(kept / DATABASE).read_bytes(), (kept / "sample" / DATABASE).read_bytes()] == damaged
    assert not [path for path in kept.rglob("*") if path.is_symlink()]


@pytest.mark.parametrize("option", ["recover", "fresh"])
def test_a_dangling_link_where_a_backup_would_be_is_passed_over(spec: Path, option: str) -> None:
    (spec.parent / "small.bak-1").symlink_to("nowhere")
    in_a_run(database(spec))
    run(spec, **{option: True})
    assert (spec.parent / "small.bak-2" / DATABASE).is_file()


# A disk that cannot read a page


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Pages, counted from 0, that from now on cannot be read of any file."""
    pages: set[int] = set()
    real = os.pread

    def pread(file: int, length: int, at: int) -> bytes:
        if at // PAGE_BYTES in pages:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(file, length, at)

    monkeypatch.setattr(os, "pread", pread)
    return pages


def test_a_page_that_cannot_be_read_costs_its_runs_alone(spec: Path, unreadable: set[int]) -> None:
    rows, n_pages = {*whole_runs(database(spec))}, database(spec).stat().st_size // PAGE_BYTES
    lost = []
    for page in range(n_pages):
        unreadable.add(page)
        found = {*whole_runs(database(spec))}
        assert found <= rows
        lost.append(len(rows - found))
        unreadable.clear()
    assert 0 < max(lost) < len(rows) / 2
    in_the_first_page(database(spec))
    unreadable |= {0, lost.index(max(lost))}
    assert "(the disk cannot read its first page)" in str(refusal(database(spec)))
    assert recover(spec)[0] == f"{database(spec)}: {len(rows) - max(lost)} runs recovered"


def test_a_page_that_sqlite_cannot_read_is_damage(spec: Path) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_CORRUPTFS"
    with pytest.raises(DamagedError, match="--recover"), sound(database(spec)):
        raise error


# Views, which are no truth


def removed(path: Path) -> None:
    path.unlink()


def edited(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"0", b"9"))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def rubbish(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def linked(path: Path) -> None:
    path.unlink()
    path.symlink_to(f"elsewhere-{path.name}")


@pytest.mark.parametrize("harm", [removed, edited, cut_off, rubbish, linked])
def test_views_are_written_anew_and_nobody_is_misled_by_them(spec: Path, harm: Damage) -> None:
    folder = spec.parent / "small"
    right, answer = views(folder), sweep.report("small", results=spec.parent).document()
    source, notes = (folder / "spec.yaml").read_bytes(), (folder / "provenance.json").read_bytes()
    for name in (*SAME, *SAMPLES, "timings.csv", "spec.yaml", "provenance.json"):
        if (name, harm) != ("provenance.json", edited):  # which nobody can tell: it is no view of the database
            harm(folder / name)
    assert sweep.report("small", results=spec.parent).document() == answer
    assert lrsweep("run", spec, "--workers", "0", "--results", spec.parent)[0] == 0
    assert views(folder) == right
    assert (folder / "spec.yaml").read_bytes() == source
    assert json.loads((folder / "provenance.json").read_text()).keys() == json.loads(notes).keys()


@pytest.mark.parametrize("name", [*SAME, "timings.csv", "spec.yaml", "provenance.json"])
def test_a_folder_in_place_of_a_view_is_left_alone_and_told(spec: Path, name: str) -> None:
    path = spec.parent / "small" / name
    path.unlink()
    path.mkdir()
    answer = sweep.report("small", results=spec.parent)
    assert answer.entries
    code, _, why = lrsweep("run", spec, "--workers", "0", "--results", spec.parent)
    assert (code, path.is_dir()) == (3, True)
    assert f"{path} is there and no plain file; remove it" in why


@pytest.fixture(scope="module")
def ranged(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep's folder with the files of a range test of it, which are no views: who damages them mends them."""
    place = tmp_path_factory.mktemp("ranged")
    finding.find(copy(whole, place), results=place, confirm=False, steps=20)
    assert sweep.report("small", results=place).ranges is not None
    return place / "small"


@pytest.fixture(params=["ranges.csv", "ramps.csv"])
def table(request: pytest.FixtureRequest, ranged: Path) -> Iterator[Path]:
    """One of the two files, which is as it was after the test."""
    path = ranged / request.param
    before = path.read_bytes()
    yield path
    path.unlink(missing_ok=True)
    path.write_bytes(before)


def no_number(path: Path) -> None:
    """Puts a word where a number must be."""
    head, first, *others = path.read_text().splitlines(keepends=True)
    at = head.rstrip().split(",").index("interval_low" if path.name == "ranges.csv" else "smoothed")
    cells = first.split(",")
    path.write_text("".join([head, ",".join([*cells[:at], "many", *cells[at + 1 :]]), *others]))


@pytest.mark.parametrize("harm", [rubbish, no_number])
def test_a_range_tests_file_that_cannot_be_read_is_told(table: Path, harm: Damage) -> None:
    harm(table)
    with pytest.raises(StoreError, match=rf"{table} .+remove it, and lrsweep find writes it anew"):
        sweep.report(table.parent)


def test_a_pipe_in_place_of_a_range_tests_file_is_told_and_not_waited_for(table: Path) -> None:
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(StoreError, match=rf"{table} is there and no plain file; remove it"):
        sweep.report(table.parent)


@pytest.mark.parametrize("harm", [removed, linked])
def test_without_one_of_its_files_there_was_no_range_test(table: Path, harm: Damage) -> None:
    harm(table)
    assert sweep.report(table.parent).ranges is None


def test_a_range_tests_file_that_is_cut_off_or_edited_is_read_or_told(table: Path) -> None:
    before, dice = table.read_bytes(), np.random.default_rng(3)
    for number in range(10):
        at = int(dice.integers(len(before)))
        table.write_bytes(before[:at] + (b"" if number % 2 else dice.bytes(3) + before[at + 3 :]))
        with contextlib.suppress(StoreError):
            sweep.report(table.parent).document()
