"""Results of every format that was ever are read and upgraded, of a newer one refused, of other numerics kept apart."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lrsweep import sweep
from lrsweep.cli import app
from lrsweep.store import DATABASE, SAMPLE, Store
from lrsweep.store.health import DamagedError
from lrsweep.store.schema import connect, layout, layout_of
from lrsweep.vocabulary import FORMAT, NUMERICS, StoreError, json_text

GOLDEN = Path(__file__).parent / "golden" / "results"
FORMATS = range(1, FORMAT + 1)
EXACT = ("runs.csv", "curves.csv", "timings.csv", "elimination.csv", "sample/runs.csv", "sample/curves.csv")
"""Views of what is stored alone."""

UPGRADE = """
import os, signal, sys
from pathlib import Path
from lrsweep.store.schema import connect, upgrade
with connect(Path(sys.argv[1]), "rw") as database:
    database.execute("PRAGMA cache_size = 1")  # so that changed pages go to the disk before the commit
    steps = int(sys.argv[2])
    if steps:
        database.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), steps)
    upgrade(database, 1)
"""


def copied(number: int, place: Path) -> Path:
    """A copy of the golden folder of a format, beside its sweep file; returns the folder."""
    shutil.copytree(GOLDEN / f"format-{number}", place / "golden")
    shutil.copy(GOLDEN / "golden.yaml", place)
    return place / "golden"


@pytest.fixture(params=FORMATS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A golden folder of each format."""
    return copied(request.param, tmp_path)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """The golden folder of format 1."""
    return copied(1, tmp_path)


def run(folder: Path, **options: Any) -> sweep.Result:
    """The sweep of a golden folder."""
    return sweep.run(folder.parent / "golden.yaml", results=folder.parent, workers=0, **options)


def files(folder: Path) -> dict[str, bytes]:
    """All that is in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def parsed(name: str, text: bytes) -> Any:
    """What a view says: of CSV the rows, of JSON the document."""
    return json.loads(text) if name.endswith(".json") else [*csv.DictReader(text.decode().splitlines())]


def alike(found: Any, wanted: Any) -> bool:
    """Whether two documents are the same but for the last bits of their numbers, which a mathematical library has."""
    if found == wanted:
        return True
    if isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(alike(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(alike, found, wanted))
    try:
        return math.isclose(float(found), float(wanted), rel_tol=1e-6)
    except (TypeError, ValueError):
        return False


def number_of(path: Path) -> int:
    """The format that a database says it is."""
    with closing(sqlite3.connect(path)) as database:
        [number] = database.execute("PRAGMA user_version").fetchone()
    return int(number)


# Reading


def test_every_format_has_its_golden_folder() -> None:
    assert [number_of(GOLDEN / f"format-{number}" / DATABASE) for number in FORMATS] == [*FORMATS]
    assert [number_of(GOLDEN / f"format-{number}" / SAMPLE / DATABASE) for number in FORMATS] == [*FORMATS]


def test_golden_folders_hold_every_kind_of_run(folder: Path) -> None:
    answer = sweep.report(folder, stale=True)
    by_status = {"finished": 3, "diverged": 2, "stopped": 10, "failed": 1, "crashed": 0}
    assert answer.counts == {"done": 16, "new": 0, "stale": 2, "other_numerics": 0, **by_status}
    assert answer.stale is not None
    assert len(answer.stale) == 2
    assert answer.decisions is not None


def test_a_report_is_as_it_was_and_writes_nothing(folder: Path) -> None:
    before = files(folder)
    answer = sweep.report(folder)
    assert files(folder) == before
    rows = parsed("runs.csv", before["runs.csv"])
    assert alike(json.loads(json_text(answer.file())), parsed("recommendation.json", before["recommendation.json"]))
    assert answer.runs["run_id"].tolist() == [row["run_id"] for row in rows]
    losses = [float(row["val_loss"] or "nan") for row in rows]
    assert answer.runs["val_loss"].fillna(-1).tolist() == [-1 if math.isnan(loss) else loss for loss in losses]


@contextmanager
def read_only(number: int) -> Iterator[Path]:
    """A golden folder that this process may not write."""
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as place:
        folder = copied(number, Path(place))
        Path(place).chmod(0o755)
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if user == 0:  # whom nothing is forbidden
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
                path.chmod(0o755)


@pytest.mark.parametrize("number", FORMATS)
def test_a_report_needs_no_right_to_write(number: int) -> None:
    sweep.report(GOLDEN / f"format-{number}")  # imports what it needs, which the other user may not
    with read_only(number) as folder:
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        assert sweep.report(folder).counts["done"] == 16


# Upgrading


def test_a_run_upgrades_trains_nothing_and_writes_the_same_views(folder: Path) -> None:
    before = files(folder)
    assert run(folder).trained == 0
    assert [number_of(folder / DATABASE), number_of(folder / SAMPLE / DATABASE)] == [FORMAT, FORMAT]
    after = files(folder)
    assert {name: after[name] for name in EXACT} == {name: before[name] for name in EXACT}
    for name in ("ranking.csv", "recommendation.json"):
        assert alike(parsed(name, after[name]), parsed(name, before[name]))
    assert run(folder).trained == 0


def test_an_upgraded_database_is_laid_out_like_a_new_one(first: Path, tmp_path: Path) -> None:
    with Store.create(first), Store.create(tmp_path / "new"):
        pass
    with connect(first / DATABASE, "rw") as upgraded, connect(tmp_path / "new" / DATABASE, "rw") as new:
        assert layout(upgraded) == layout(new) == layout_of(FORMAT)


def test_after_an_upgrade_damage_is_found(first: Path) -> None:
    with Store.create(first):
        pass
    with closing(sqlite3.connect(first / DATABASE)) as other:
        other.execute("UPDATE runs SET metrics = replace(metrics, '1', '2')")
        other.commit()
    with pytest.raises(DamagedError):
        Store.open(first)


def test_an_upgrade_that_is_killed_at_any_time_has_done_all_or_nothing(first: Path) -> None:
    """After so many steps of SQLite's machine, of which the whole takes some 1,500."""
    right, ends = sweep.report(first).document(), []
    pristine = (first / DATABASE).read_bytes()
    for steps in (1, 40, 300, 700, 1000, 1300, 0):
        (first / DATABASE).write_bytes(pristine)
        command = [sys.executable, "-c", UPGRADE, str(first / DATABASE), str(steps)]
        ends.append(subprocess.run(command, check=False).returncode)
        assert sweep.report(first).document() == right
        assert number_of(first / DATABASE) == (FORMAT if ends[-1] == 0 else 1)
    assert ends[0] == -9
    assert ends.count(-9) >= 3
    assert ends[-1] == 0


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE runs SET metrics = '{' WHERE rowid = 2",
        "UPDATE runs SET curve = zeroblob(65) WHERE rowid = 2",
        "UPDATE plan SET settings = 'x'",
        "UPDATE runs SET settings = CAST(x'ff' AS TEXT) WHERE rowid = 2",
    ],
)
def test_what_cannot_be_read_of_format_1_is_told_and_never_upgraded(first: Path, change: str) -> None:
    """It has no checksums: a row that can be read is taken for whole, and none can be told whole in a damaged one."""
    with closing(sqlite3.connect(first / DATABASE)) as other:
        other.execute(change)
        other.commit()
    before = (first / DATABASE).read_bytes()
    if "plan" not in change:  # which a run writes anew
        with pytest.raises(StoreError, match=r"no checksums that would tell which of its runs are whole; .+ --fresh"):
            run(first, recover=True)
    with pytest.raises(StoreError, match=r"is damaged .+no checksums"):
        sweep.report(first)
    assert (first / DATABASE).read_bytes() == before


# A newer format


@pytest.fixture
def newer(tmp_path: Path) -> Path:
    """A folder as a later lrsweep might have left it."""
    folder = copied(FORMAT, tmp_path)
    with closing(sqlite3.connect(folder / DATABASE)) as database:
        database.execute("ALTER TABLE runs ADD COLUMN mood TEXT")
        database.execute("UPDATE meta SET value = ? WHERE key = 'format'", [str(FORMAT + 1)])
        database.execute(f"PRAGMA user_version = {FORMAT + 1}")
        database.commit()
    return folder


@pytest.mark.parametrize("command", ["run", "run --recover", "report", "plan", "find"])
def test_a_newer_format_is_refused_and_left_alone(newer: Path, command: str) -> None:
    before = files(newer)
    spec = "golden" if command == "report" else str(newer.parent / "golden.yaml")
    result = CliRunner().invoke(app, [*command.split(), spec, "--results", str(newer.parent)])
    assert (result.exit_code, result.stdout) == (3, "")
    assert f"was written by a newer lrsweep (format {FORMAT + 1}; this one reads up to {FORMAT})" in result.stderr
    assert {name: text for name, text in files(newer).items() if name != ".lock"} == before


def test_a_newer_format_may_be_set_aside(newer: Path) -> None:
    before = (newer / DATABASE).read_bytes()
    assert run(newer, fresh=True).trained > 0
    assert (newer.parent / "golden.bak-1" / DATABASE).read_bytes() == before


# Other numerics


@pytest.fixture
def older_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that other training code left: to this one, since its number went up."""
    folder = copied(FORMAT, tmp_path)
    for module in ("lrsweep.plan.planned", "lrsweep.store.database"):
        monkeypatch.setattr(f"{module}.NUMERICS", NUMERICS + 1)
    return folder


def test_runs_by_other_training_code_are_told_of_in_every_command(older_numbers: Path) -> None:
    spec, results = str(older_numbers.parent / "golden.yaml"), str(older_numbers.parent)
    planned = CliRunner().invoke(app, ["plan", spec, "--results", results])
    assert "done 0   new 16   stale 18 (18 by other training code)" in " ".join(planned.stdout.split("\n"))
    reported = CliRunner().invoke(app, ["report", "golden", "--results", results])
    assert "18 runs by training code other than this lrsweep's" in reported.stdout
    trained = CliRunner().invoke(app, ["run", spec, "--results", results, "--workers", "0"])
    assert "18 stale" in trained.stderr
    assert "18 of the stale runs are by other training code, whose numbers differ: kept, but trained" in trained.stderr


def test_runs_by_other_training_code_are_kept_and_never_mixed_with_others(older_numbers: Path) -> None:
    with connect(older_numbers / DATABASE, "rw") as database:
        before = {*database.execute("SELECT * FROM runs")}
    counts = run(older_numbers).answer.counts
    assert (counts["done"], counts["stale"], counts["other_numerics"]) == (16, 18, 18)
    with connect(older_numbers / DATABASE, "rw") as database:
        after = {*database.execute("SELECT * FROM runs")}
        mixed = database.execute("SELECT DISTINCT runs.numerics FROM runs JOIN plan USING (run_id)").fetchall()
    assert before < after
    assert mixed == [(NUMERICS + 1,)]
    assert run(older_numbers).trained == 0


def test_runs_by_the_same_training_code_are_not_told_of(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["plan", str(copied(FORMAT, tmp_path).parent / "golden.yaml"), "--results", str(tmp_path)]
    )
    assert "stale 2   failed 1" in result.stdout
    assert "training code" not in result.stdout
