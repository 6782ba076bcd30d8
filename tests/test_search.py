"""The search: how far rates are trained does not depend on how a sweep was executed, and nothing is done twice."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from search_cases import SEARCHES, TEXT, Broken, broken_at, course, rows_by_id, run, table, views

from lrsweep import sweep
from lrsweep.execute import training
from lrsweep.live import View
from lrsweep.search import known, work
from lrsweep.search import search as search_module
from lrsweep.vocabulary import Data, Outcome, Stack

HALVING = SEARCHES["epochs"]
STAGES = ["screen", "rung 1", "rung 2"]
BLOCKS = """\
{dataset: iris, width: 4, optimizer: sgd, learning_rate: 1, epochs: 9,
 blocks: [{learning_rate: [0.01, 0.1, 1], seeds: 2}, {learning_rate: [0.3, 3], seeds: [5]}]}
"""
OUTCOME = ["value", "margin", "kept", "reason"]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep of 44 runs on iris, some of which diverge."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("workers", [1, 2])
def test_files_do_not_depend_on_the_workers(spec: Path, search: str, workers: int) -> None:
    usual = views(run(spec, "a", overrides=SEARCHES[search]).folder)
    assert views(run(spec, "b", overrides=SEARCHES[search], workers=workers).folder) == usual


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.soak), 4])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_sweep_that_is_broken_off_anywhere_goes_on_to_the_same_bytes(
    spec: Path, search: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = SEARCHES[search]
    with broken_at(0, monkeypatch) as count:
        usual = views(run(spec, overrides=overrides).folder)
    for number in range(step, count[0] + 1, step):
        folder = f"broken-{number}"
        with broken_at(number, monkeypatch), pytest.raises(Broken):
            run(spec, folder, overrides=overrides)
        assert views(run(spec, folder, overrides=overrides).folder) == usual, number


@pytest.mark.parametrize("search", SEARCHES)
def test_a_finished_search_trains_and_touches_nothing(spec: Path, search: str) -> None:
    folder = run(spec, overrides=SEARCHES[search]).folder
    (folder / "report.html").write_text("a page")
    before = views(folder)
    again = run(spec, overrides=SEARCHES[search])
    assert (again.trained, again.answer.counts["stale"]) == (0, 0)
    assert (views(folder), (folder / "report.html").exists()) == (before, True)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_plan_of_a_finished_search_has_nothing_to_do(spec: Path, search: str) -> None:
    folder = run(spec, overrides=SEARCHES[search]).folder
    counts = sweep.plan(spec, results=folder.parent, overrides=SEARCHES[search], workers=0).counts()
    assert counts == {"done": len(table(folder / "runs.csv")), "new": 0, "stale": 0, "failed": 0}


def test_a_plan_tells_of_samples_until_they_are_trained_and_of_runs_that_were_dropped(spec: Path) -> None:
    def told() -> tuple[bool, int]:
        found = sweep.plan(spec, results=spec.parent / "results", overrides=SEARCHES["screen"], workers=0).document()
        return found["sampling"], found["dropped"]

    assert told() == (True, 0)
    stopped = run(spec, overrides=SEARCHES["screen"]).answer.counts["stopped"]
    assert told() == (False, stopped)


# Survivors, and those who are stopped


@pytest.mark.parametrize("schedule", ["constant", "{name: cosine, warmup: 5}", "bold_driver"])
def test_a_survivor_of_halving_is_the_run_of_the_whole_grid(spec: Path, schedule: str) -> None:
    own = ["optimizer=[sgd, adam]", f"schedule={schedule}"]
    whole, halved = (run(spec, name, overrides=more + own).folder for name, more in (("a", []), ("b", HALVING)))
    for name in ("runs.csv", "curves.csv"):
        all_of_them, left = rows_by_id(whole, name), rows_by_id(halved, name)
        finished = [row["run_id"] for row in table(halved / "runs.csv") if row["status"] == "finished"]
        assert 0 < len(finished) < len(all_of_them) / 2
        assert [left[run_id] for run_id in finished] == [all_of_them[run_id] for run_id in finished]


def test_a_stopped_run_has_the_start_of_its_curve_and_says_why(spec: Path) -> None:
    whole, halved = run(spec, "a").folder, run(spec, "b", overrides=HALVING).folder
    curves, cut = rows_by_id(whole, "curves.csv"), rows_by_id(halved, "curves.csv")
    stopped = [row for row in table(halved / "runs.csv") if row["status"] == "stopped"]
    assert {row["epochs_done"] for row in stopped} == {"1", "3"}
    for row in stopped:
        assert cut[row["run_id"]] == curves[row["run_id"]][: int(row["epochs_done"]) + 1]
        assert row["reason"].startswith(f"rung {1 if row['epochs_done'] == '1' else 2} ({row['epochs_done']} epoch")
        assert float(row["val_loss"]) == float(cut[row["run_id"]][-1]["val_loss"])


def test_what_a_sample_drops_is_never_trained(spec: Path) -> None:
    folder = run(spec, overrides=SEARCHES["screen"]).folder
    stopped = [row for row in table(folder / "runs.csv") if row["status"] == "stopped"]
    curves = rows_by_id(folder, "curves.csv")
    assert stopped
    for row in stopped:
        assert row["reason"].startswith("screen (45 rows, 2 epochs): ")
        assert (row["val_loss"], row["epochs_done"], row["run_id"] in curves) == ("", "", False)


def test_elimination_csv_tells_every_decision(spec: Path) -> None:
    folder = run(spec, overrides=SEARCHES["both"]).folder
    rows = table(folder / "elimination.csv")
    assert list(rows[0]) == [
        "width",
        "learning_rate",
        *["stage", "stage_epochs", "n_train", "n_seeds", "rank", "of"],
        *OUTCOME,
    ]
    first = [row for row in rows if row["width"] == "4"]
    assert [row["stage"] for row in first] == sorted((row["stage"] for row in first), key=STAGES.index)
    for before, after in itertools.pairwise(STAGES):
        kept = [row["learning_rate"] for row in first if row["stage"] == before and row["kept"] == "true"]
        assert [row["learning_rate"] for row in first if row["stage"] == after] == kept
    gone = {(row["width"], row["learning_rate"]) for row in rows if row["kept"] == "false"}
    runs = table(folder / "runs.csv")
    assert {(row["width"], row["learning_rate"]) for row in runs if row["status"] == "stopped"} == gone


def test_rungs_have_the_size_that_they_say(spec: Path) -> None:
    rows = table(run(spec, overrides=SEARCHES["subset"]).folder / "elimination.csv")
    sample = table(spec.parent / "results" / "small" / "sample" / "runs.csv")
    sizes = {int(row["n_train"]) for row in rows}
    assert sizes == {int(row["n_train"]) for row in sample}
    for size in sizes:
        seen = {(row["width"], row["learning_rate"]) for row in sample if int(row["n_train"]) == size}
        assert seen == {(row["width"], row["learning_rate"]) for row in rows if int(row["n_train"]) == size}


def test_the_folder_of_samples_is_one_like_any(spec: Path) -> None:
    folder = run(spec, overrides=SEARCHES["screen"]).folder
    answer = sweep.report(folder / "sample", results=folder.parent)
    assert (answer.about["name"], answer.counts["new"], answer.about["elimination"]) == ("small-sample", 0, None)
    assert {(row["subset"], row["epochs"]) for row in table(folder / "sample" / "runs.csv")} == {("0.5", "2")}


# What may happen in the middle


@pytest.mark.parametrize("search", ["screen", "epochs", "subset"])
def test_a_failed_run_is_mended_by_retrying(spec: Path, search: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = run(spec, "a", overrides=SEARCHES[search]).folder
    real = training.train

    def faulty(stack: Stack, data: Data) -> list[Outcome]:
        if any(run.seed == 1 and run.width == 8 for run in stack.runs):
            raise RuntimeError("made to fail")
        return real(stack, data)

    monkeypatch.setattr(training, "train", faulty)
    run(spec, "b", overrides=SEARCHES[search])
    monkeypatch.setattr(training, "train", real)
    assert run(spec, "b", overrides=SEARCHES[search]).trained == 0
    mended = run(spec, "b", overrides=SEARCHES[search], retry_failed=True)
    assert (mended.answer.counts["failed"], course(mended.folder, usual)) == (0, course(usual))


@pytest.mark.parametrize("search", SEARCHES)
def test_a_time_limit_in_the_middle_decides_nothing_on_half_a_race(
    spec: Path, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = views(run(spec, "a", overrides=SEARCHES[search]).folder)
    for n_stacks in range(1, 30, 2):
        left = iter([1.0] * n_stacks)
        monkeypatch.setattr(training, "left", lambda deadline, left=left: next(left, 0.0))
        found = run(spec, "b", overrides=SEARCHES[search], time_limit=3)
        told = decisions(found.folder)
        assert told.items() <= decisions(spec.parent / "a" / "small").items()
        if views(found.folder) == usual:
            return
    raise AssertionError("it does not come to its end")


def decisions(folder: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """The rows of elimination.csv, by what they are about."""
    path = folder / "elimination.csv"
    rows = table(path) if path.exists() else []
    return {(row["width"], row["learning_rate"], row["stage"]): row for row in rows}


def test_fail_fast_ends_a_sweep_on_its_samples(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda stack, data: 1 / 0)
    result = run(spec, overrides=SEARCHES["screen"], fail_fast=True)
    assert (result.trained, len(result.runs)) == (0, 0)


def test_a_report_of_half_a_search_tells_what_is_left(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_at(12, monkeypatch), pytest.raises(Broken):
        run(spec, overrides=SEARCHES["both"])
    answer = sweep.report("small", results=spec.parent / "results")
    assert answer.counts["new"] > 0


def test_races_in_batches_hold_fewer_pauses_and_come_to_the_same(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = noted(monkeypatch)
    usual, most = views(run(spec, "a", overrides=SEARCHES["both"]).folder), max(held)
    monkeypatch.setattr(search_module, "RACING_BYTES", 1)
    held.clear()
    assert views(run(spec, "b", overrides=SEARCHES["both"]).folder) == usual
    assert 0 < max(held) < most


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_race_that_is_too_large_holds_some_of_its_pauses_and_comes_to_the_same(
    spec: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = noted(monkeypatch)
    usual, most = views(run(spec, "a", overrides=HALVING).folder), max(held)
    monkeypatch.setattr(known, "RACING_BYTES", share * most)
    held.clear()
    assert views(run(spec, "b", overrides=HALVING).folder) == usual
    assert (max(held) > 0, max(held) <= share * most) == (share > 0, True)


def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of all pauses in memory, whenever outcomes came in."""
    held, real = [0], known.Known.add

    def add(self: known.Known, outcomes: Iterable[Outcome]) -> None:
        real(self, outcomes)
        pauses = [one.pause for one in self.paused.values() if one.pause]
        held.append(sum(array.nbytes for pause in pauses for array in (pause.curve, pause.params, *pause.state)))
        assert self.held == held[-1]

    monkeypatch.setattr(known.Known, "add", add)
    return held


@pytest.mark.parametrize("search", ["both", "subset"])
def test_where_stacking_is_not_exact_races_come_to_the_same(
    spec: Path, search: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = views(run(spec, "a", overrides=SEARCHES[search]).folder)
    sizes = []
    real = training.train

    def noted(stack: Stack, data: Data) -> list[Outcome]:
        sizes.append(len(stack.runs))
        return real(stack, data)

    monkeypatch.setattr(work, "stacking_is_exact", lambda: False)
    monkeypatch.setattr(training, "train", noted)
    assert (views(run(spec, "b", overrides=SEARCHES[search]).folder), {*sizes}) == (usual, {1})


def test_rates_without_a_common_seed_do_not_race(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(BLOCKS)
    answer = run(spec, overrides=HALVING, view=View(quiet=False)).answer
    assert (answer.counts["finished"], answer.counts["stopped"], answer.decisions) == (8, 0, None)
    _, *lines = capsys.readouterr().err.splitlines()
    assert lines == ["sgd: its rates share no seed, so that all are trained in full"]
    run(spec, overrides=HALVING, view=View(quiet=False))
    run(spec, "plain", view=View(quiet=False))
    assert "share" not in capsys.readouterr().err


def test_rates_race_on_the_seeds_that_all_have(spec: Path) -> None:
    spec.write_text(BLOCKS.replace("[5]", "[1, 5]"))
    result = run(spec, overrides=["elimination={halving: {factor: 3, min: 1, guard: 0}}"])
    assert {row["n_seeds"] for row in table(result.folder / "elimination.csv")} == {"1"}
    stopped = {row["learning_rate"] for row in table(result.folder / "runs.csv") if row["status"] == "stopped"}
    gone = {row["learning_rate"] for row in table(result.folder / "elimination.csv") if row["kept"] == "false"}
    assert stopped == gone != set()


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("screen", [r"screened 22 rates on 45 rows, 2 epochs: \d+ go on"]),
        (
            "epochs",
            [r"rung 1 of 2 \(1 epoch\): \d+ of 22 rates go on", r"rung 2 of 2 \(3 epochs\): \d+ of \d+ rates go on"],
        ),
        (
            "extend",
            [
                r"extended width 4 beyond 0.1: 0.316",
                r"extended width 8 beyond 0.1: 0.316",
                "extended width 4 beyond 0.316: 1",
            ],
        ),
    ],
)
def test_a_line_is_said_of_every_stage(
    spec: Path, search: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(spec, overrides=SEARCHES[search], view=View(quiet=False))
    begun, *lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"small  \d\d runs: 0 done, \d\d to train", begun)
    for line, pattern in zip(lines, said, strict=False):
        assert re.fullmatch(pattern, line), line
    run(spec, overrides=SEARCHES[search], view=View(quiet=False))
    assert re.fullmatch(r"small  (\d\d) runs: \1 done, 0 to train\n", capsys.readouterr().err)


def test_a_resumed_search_tells_nothing_that_it_told_before(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = [*SEARCHES["both"], "learning_rate={log: [0.01, 0.1], per_decade: 2}"]
    run(spec, overrides=own)
    run(spec, overrides=[*own, "extend=true"], view=View(quiet=False))
    _, *lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("extended ") for line in lines), lines


def test_what_is_added_names_the_dataset_where_there_are_several(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["dataset=[iris, wine]", "width=4", "learning_rate=[0.01, 0.03]", "seeds=1"]
    run(spec, overrides=[*own, "extend=true"], view=View(quiet=False))
    _, *lines = capsys.readouterr().err.splitlines()
    assert {line.partition(" beyond ")[0] for line in lines} == {"extended sgd on iris", "extended sgd on wine"}


def test_what_was_spent_is_what_was_trained(spec: Path) -> None:
    """By hand: the examples of all runs and samples, over those of the grid in full."""
    whole = {row["run_id"]: int(row["examples_seen"]) for row in table(run(spec, "a").folder / "runs.csv")}
    result = run(spec, "b", overrides=SEARCHES["both"])
    rows = table(result.folder / "runs.csv")
    seen = sum(int(row["examples_seen"] or 0) for row in [*rows, *table(result.folder / "sample" / "runs.csv")])
    full = sum(9 * 90 if row["status"] == "stopped" else whole[row["run_id"]] for row in rows)
    told = json.loads((result.folder / "recommendation.json").read_text())["spent"]
    assert told == pytest.approx(seen / full, rel=1e-5)
    assert "spent" not in json.loads((spec.parent / "a" / "small" / "recommendation.json").read_text())


def test_samples_of_an_earlier_elimination_are_not_counted_as_spent(spec: Path) -> None:
    run(spec, overrides=SEARCHES["screen"])
    result = run(spec, overrides=HALVING)
    rows = table(result.folder / "runs.csv")
    whole = {row["run_id"]: int(row["examples_seen"]) for row in table(run(spec, "a").folder / "runs.csv")}
    seen = sum(int(row["examples_seen"]) for row in rows)
    full = sum(9 * 90 if row["status"] == "stopped" else whole[row["run_id"]] for row in rows)
    assert result.answer.spent == pytest.approx(seen / full)
