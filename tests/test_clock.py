"""A clock that jumps: the system's time is corrected by hours, or by years, between runs and in the middle of one."""

from __future__ import annotations

import ast
import csv
import os
import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import count
from pathlib import Path
from typing import Self

import pytest
from typer.testing import CliRunner

import lrsweep
from lrsweep import sweep
from lrsweep.cli import app

PACKAGE = Path(lrsweep.__file__).parent

TEXT = "{name: small, dataset: iris, width: 4, optimizer: [sgd, adam], learning_rate: [0.01, 0.1], epochs: 2, seeds: 2}"

READS = {
    ("execute/training.py", "datetime.now"),  # when a run began and ended, for people
    ("provenance.py", "datetime.now"),
    ("store/hold.py", "datetime.now"),  # since when somebody has the folder, for people
    ("store/files.py", "time.time"),  # how old a leftover is, which stays if in doubt
}
"""Who asks for the system's time. Whoever measures asks a clock that never jumps."""


def reads_of_the_clock() -> set[tuple[str, str]]:
    """Each place in the package that asks for the system's time, and what it asks."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and re.fullmatch(
                r"time\.(time|time_ns|ctime|localtime|gmtime)|(datetime|date)\.(now|today|utcnow)|now|utcnow",
                asked := ast.unparse(node.func),
            ):
                found.add((str(path.relative_to(PACKAGE)), asked))
    return found


def test_the_systems_time_is_asked_for_dates_alone() -> None:
    assert reads_of_the_clock() == READS


HOURS = (0, -5, 24 * 365 * 9, -24 * 365 * 20, 1)


class Jumping(datetime):
    """A clock that jumps whenever it is read."""

    reads = count()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return super().now(tz) + timedelta(hours=HOURS[next(cls.reads) % len(HOURS)])


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of eight runs, in the current folder, where the clock jumps."""
    monkeypatch.chdir(tmp_path)
    now, reads = time.time, count()
    monkeypatch.setattr(Jumping, "reads", count())  # so that it jumps alike whatever tests ran before
    monkeypatch.setattr(time, "time", lambda: now() + 3600 * HOURS[next(reads) % len(HOURS)])
    for module in ("execute.training", "provenance", "store.hold"):
        monkeypatch.setattr(f"lrsweep.{module}.datetime", Jumping)
    path = Path("small.yaml")
    path.write_text(TEXT)
    return path


def lrsweep_says(*arguments: str) -> tuple[str, str]:
    """What the command prints on stdout and stderr, in this process."""
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, result.stderr


def test_a_clock_that_jumps_changes_neither_results_nor_durations(spec: Path) -> None:
    out, _ = lrsweep_says("run", "small.yaml", "--workers", "0", "--time-limit", "1000")
    with Path("results/small/timings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert any(row["ended"] < row["started"] for row in rows)  # it did jump
    assert all(0 <= float(row["seconds"]) < 100 for row in rows)
    assert re.search(r"8 runs in \d+(\.\d+)? m?s", out)
    with pytest.MonkeyPatch.context() as steady:
        steady.setattr("lrsweep.execute.training.datetime", datetime)
        undisturbed = sweep.run(spec, workers=0, results="undisturbed").folder
    names = ("runs.csv", "curves.csv", "ranking.csv", "recommendation.json")
    assert [Path("results/small", name).read_bytes() for name in names] == [
        (undisturbed / name).read_bytes() for name in names
    ]


@pytest.mark.parametrize("years", [-40, 40])
def test_files_from_another_time_are_read_like_any_other(spec: Path, years: int) -> None:
    pytest.importorskip("plotly")
    lrsweep_says("run", "small.yaml", "--workers", "0", "--html")
    then = datetime.now(UTC).timestamp() + years * 365 * 86400
    for name in ("sweep.db", "report.html"):
        os.utime(Path("results/small", name), (then, then))
    assert "Use " in lrsweep_says("report")[0]
    assert "none left to train" in lrsweep_says("run", "small.yaml", "--workers", "0")[0]
