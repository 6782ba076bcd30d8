"""The conductor: what is trained, what is kept, and that the files do not depend on how they came about."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from search_cases import table

from lrsweep import live, plan, sweep
from lrsweep.execute import training
from lrsweep.result import write_page
from lrsweep.search import View, Wave, work
from lrsweep.store import DATABASE, Store
from lrsweep.vocabulary import Data, Outcome, SpecError, Stack, StoreError, json_text

TEXT = """\
dataset: iris
width: [4, 8]
optimizer: [sgd, adam]
learning_rate: [0.01, 0.1, 1000]
batch_size: 16
epochs: 3
seeds: 2
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    """A sweep of 24 runs on iris, some of which diverge."""
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


ANSWER = ("ranking.csv", "recommendation.json")


def views(folder: Path) -> list[bytes]:
    """The files that must not depend on how a sweep was executed."""
    return [(folder / name).read_bytes() for name in ("runs.csv", "curves.csv", *ANSWER)]


def run(spec: Path, folder: str = "results", **options: object) -> sweep.Result:
    """The sweep, run in this process beside its file."""
    return sweep.run(spec, results=spec.parent / folder, **{"workers": 0, **options})  # type: ignore[arg-type]


def test_a_sweep_trains_every_run_once(spec: Path) -> None:
    result = run(spec)
    rows = table(result.folder / "runs.csv")
    assert result.trained == 24
    assert len({row["run_id"] for row in rows}) == 24
    assert [row["learning_rate"] for row in rows[:6]] == ["0.01", "0.01", "0.1", "0.1", "1000.0", "1000.0"]


def test_a_second_run_trains_nothing_and_changes_nothing(spec: Path) -> None:
    first = run(spec)
    before = views(first.folder)
    assert run(spec).trained == 0
    assert views(first.folder) == before


@pytest.mark.parametrize("workers", [1, 2])
def test_files_do_not_depend_on_the_workers(spec: Path, workers: int) -> None:
    assert views(run(spec, "a").folder) == views(run(spec, "b", workers=workers).folder)


@pytest.mark.parametrize("stack_bytes", [1, 10_000, 10**9])
def test_files_do_not_depend_on_the_stacking(spec: Path, stack_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = views(run(spec, "a").folder)
    monkeypatch.setattr(plan, "STACK_BYTES", stack_bytes)
    assert views(run(spec, "b").folder) == usual


def test_a_machine_where_stacking_is_not_exact_trains_alone(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, notes = [], []
    monkeypatch.setattr(work, "stacking_is_exact", lambda: False)

    class Looking(View):
        def say(self, line: str) -> None:
            pass

        def begin(self, planned: plan.Plan, stale: int, missing: int, note: str) -> None:
            notes.append(note)

        def trained(self, outcomes: list[Outcome]) -> None:
            sizes.append(len(outcomes))

        def wave(self, wave: Wave, stacks: Sequence[Stack]) -> None:
            pass

    run(spec, view=Looking())
    assert sizes == [1] * 24
    assert notes == [work.INEXACT]


def test_a_changed_file_keeps_what_still_stands(spec: Path) -> None:
    run(spec)
    spec.write_text(TEXT.replace("[0.01, 0.1, 1000]", "[0.03, 0.1, 1000]"))
    result = run(spec)
    assert result.trained == 8
    assert result.answer.counts["stale"] == 8
    assert {row["learning_rate"] for row in table(result.folder / "runs.csv")} == {"0.03", "0.1", "1000.0"}


def test_a_restored_file_finds_its_stale_runs_again(spec: Path) -> None:
    before = views(run(spec).folder)
    run(spec, overrides=["learning_rate=0.5"])
    result = run(spec)
    assert (result.trained, views(result.folder)) == (0, before)


def test_fresh_keeps_the_old_folder_and_says_where(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(spec)
    before, said = views(first.folder), []
    monkeypatch.setattr(live.View, "say", lambda _, line: said.append(line))
    assert run(spec, fresh=True, view=live.View(quiet=True)).trained == 24
    backup = first.folder.with_name("small.bak-1")
    assert views(backup) == before
    assert said == [f"the old folder is kept as {backup}"]


def test_deleted_views_come_back(spec: Path) -> None:
    folder = run(spec).folder
    before = views(folder)
    (folder / "runs.csv").unlink()
    (folder / "curves.csv").write_text("torn")
    (folder / "ranking.csv").unlink()
    run(spec)
    assert views(folder) == before


def test_failed_runs_are_kept_until_asked_for(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = training.train

    def faulty(stack: Stack, data: Data) -> list[Outcome]:
        if any(run.seed == 1 and run.width == 8 for run in stack.runs):
            raise RuntimeError("made to fail")
        return real(stack, data)

    monkeypatch.setattr(training, "train", faulty)
    broken = run(spec)
    assert (broken.answer.counts["failed"], broken.exit_code) == (6, 1)
    monkeypatch.setattr(training, "train", real)
    assert run(spec).trained == 0
    mended = run(spec, retry_failed=True)
    assert (mended.trained, mended.answer.counts["failed"], mended.exit_code) == (6, 0, 0)
    assert views(mended.folder) == views(run(spec, "undisturbed").folder)


def test_fail_fast_stops_at_the_first_failure(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda stack, data: 1 / 0)
    result = run(spec, fail_fast=True)
    assert 0 < result.trained < 24


def test_a_time_limit_keeps_what_is_done(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([2.0, 1.0, 0.0])
    monkeypatch.setattr(training, "left", lambda deadline: next(seconds))
    result = run(spec, time_limit=3)
    monkeypatch.undo()
    assert 0 < result.trained < 24
    assert run(spec).trained == 24 - result.trained


@pytest.mark.parametrize("workers", [0, 2])
def test_a_time_limit_of_nothing_trains_nothing(spec: Path, workers: int) -> None:
    result = run(spec, time_limit=0, workers=workers)
    assert (result.trained, result.answer.entries) == (0, [])


def test_a_time_limit_ends_workers_in_the_middle(spec: Path) -> None:
    spec.write_text(TEXT.replace("epochs: 3", "epochs: 100000"))
    start = time.monotonic()
    run(spec, time_limit=1, workers=2)
    assert time.monotonic() - start < 40  # of minutes


def test_provenance_tells_of_those_who_trained(spec: Path) -> None:
    provenance = run(spec).folder / "provenance.json"
    before = provenance.read_bytes()
    run(spec, workers=1)
    assert provenance.read_bytes() == before


def test_two_targets_of_one_file_are_two_datasets(spec: Path) -> None:
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]},{'xyz'[i % 3]}" for i in range(60)]
    (spec.parent / "t.csv").write_text("p,q,a,b\n" + "\n".join(rows))
    files = "[{file: t.csv, target: a}, {file: t.csv, target: b}]"
    result = run(spec, overrides=[f"dataset={files}", "width=4", "optimizer=sgd"])
    assert [entry["setting"]["dataset"] for entry in result.answer.entries] == ["t.csv:a", "t.csv:b"]


def test_the_sweep_file_is_kept_to_the_byte(spec: Path) -> None:
    assert (run(spec).folder / "spec.yaml").read_bytes() == spec.read_bytes()


def test_provenance_names_versions_machine_and_data(spec: Path) -> None:
    document = json.loads((run(spec, overrides=["epochs=2"]).folder / "provenance.json").read_text())
    assert {"python", "numpy", "lrsweep"} <= document["versions"].keys()
    assert document["overrides"] == ["epochs=2"]
    assert document["data"].keys() == {"iris"}
    assert {"blas", "cpu", "platform", "git_commit", "numerics", "format"} <= document.keys()


def test_a_file_whose_name_is_no_text_is_swept(spec: Path) -> None:
    odd = spec.rename(spec.parent / os.fsdecode(b"b\xffd.yaml"))
    result = run(odd, overrides=["name=odd", "width=4"])
    assert (result.trained, sweep.report("odd", results=result.folder.parent).about["spec_path"]) == (12, str(odd))


def test_a_page_of_such_a_file_can_be_written(spec: Path) -> None:
    pytest.importorskip("plotly")
    odd = spec.rename(spec.parent / os.fsdecode(b"b\xffd.yaml"))
    assert write_page(run(odd, overrides=["name=odd", "width=4"]).answer).read_text("utf-8").startswith("<!doctype")


def test_a_page_of_fewer_runs_than_there_are_by_now_does_not_stay(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would remove one that is written after a sweep's last stack."""
    monkeypatch.setattr("lrsweep.result.check_plotly", lambda: None)
    monkeypatch.setitem(sys.modules, "lrsweep.report.page", SimpleNamespace(page=lambda *_, **__: "page"))
    early = run(spec, time_limit=0).answer
    page = write_page(early)
    with pytest.raises(KeyboardInterrupt):
        run(spec, view=Ending(quiet=True))
    assert write_page(early).exists()  # whoever goes on with the sweep removes it
    late = run(spec).answer
    with pytest.raises(StoreError, match="withdrawn, since its sweep ended while it was drawn; run lrsweep report"):
        write_page(early)
    assert not page.exists()
    elsewhere = spec.parent / "page.html"
    assert [path.exists() for path in (write_page(late), write_page(early, elsewhere))] == [True, True]


def test_the_arguments_that_provenance_notes_may_be_no_text(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argument = os.fsdecode(b"b\xffd.yaml")
    monkeypatch.setattr(sys, "argv", ["lrsweep", argument])
    document = json.loads((run(spec, overrides=["width=4"]).folder / "provenance.json").read_text("ascii"))
    assert document["arguments"] == [argument]


def test_a_mistake_in_the_file_leaves_the_results_alone(spec: Path) -> None:
    spec.write_text(TEXT + "widht: 3\n")
    with pytest.raises(SpecError):
        run(spec)
    assert not (spec.parent / "results").exists()


# The answer's files


def test_ranking_csv_has_the_contracts_columns(spec: Path) -> None:
    rows = table(run(spec).folder / "ranking.csv")
    runs = list(table(spec.parent / "results" / "small" / "runs.csv")[0])
    settings = runs[runs.index("dataset") : runs.index("learning_rate")]
    measured = "objective_mean objective_std objective_low objective_high val_loss_mean val_accuracy_mean"
    told = "test_accuracy_mean diagnosis evidence epochs_to_target examples_to_target"
    expected = f"learning_rate rank tied n_seeds n_diverged {measured} {told}".split()
    assert list(rows[0]) == [*settings, *expected]
    assert len(rows) == 12


def test_ranking_csv_says_what_runs_csv_says(spec: Path) -> None:
    """A row of it by hand: the mean and the deviation of the two seeds, and the settings spelled as there."""
    folder = run(spec).folder
    ours = table(folder / "ranking.csv")[0]
    runs = table(folder / "runs.csv")[:2]
    losses = [float(row["val_loss"]) for row in runs]
    assert {key: ours[key] for key in ours if key in runs[0]} == {key: runs[0][key] for key in ours if key in runs[0]}
    assert float(ours["objective_mean"]) == float(ours["val_loss_mean"]) == pytest.approx(np.mean(losses))
    assert float(ours["objective_std"]) == pytest.approx(np.std(losses, ddof=1))
    assert (ours["n_seeds"], ours["n_diverged"], ours["standardize"], ours["clip_norm"]) == ("2", "0", "true", "")
    assert ours["tied"] in ("true", "false")


def test_ranking_csv_spells_out_what_is_lost(spec: Path) -> None:
    lost = [row for row in table(run(spec).folder / "ranking.csv") if row["n_diverged"] == "2"]
    assert lost
    for row in lost:
        assert (row["objective_mean"], row["objective_std"], row["val_loss_mean"]) == ("inf", "nan", "nan")
        assert (row["diagnosis"], row["epochs_to_target"], row["examples_to_target"]) == ("diverged", "", "")


def test_ranking_csv_has_whole_numbers_and_no_formulas(spec: Path) -> None:
    (spec.parent / "=t.csv").write_text("p,q,a\n" + "\n".join(f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)))
    clipped = ["clip_norm=none,1", "dataset={file: =t.csv, target: a}", "width=4", "optimizer=sgd"]
    rows = table(run(spec, overrides=[*clipped, "schedule=constant,{name: cosine, warmup: 2}"]).folder / "ranking.csv")
    assert {row["dataset"] for row in rows} == {"'=t.csv:a"}
    assert {row["clip_norm"] for row in rows} == {"", "1.0"}
    assert {row["schedule.warmup"] for row in rows} == {"0", "2"}
    assert all(row["epochs_to_target"].isdigit() for row in rows if row["rank"] == "1")


def test_regression_is_ranked_with_r2(spec: Path) -> None:
    spec.write_text("{dataset: diabetes, width: 4, learning_rate: [0.01, 0.1], epochs: 2, seeds: 2}")
    result = run(spec)
    columns = list(table(result.folder / "ranking.csv")[0])
    assert {"val_r2_mean", "test_r2_mean"} < {*columns}
    assert not any("accuracy" in column for column in columns)


def test_without_test_rows_the_columns_stay(spec: Path) -> None:
    rows = table(run(spec, overrides=["test=0"]).folder / "ranking.csv")
    assert {row["test_accuracy_mean"] for row in rows} <= {"", "nan"}


def test_recommendation_json_is_the_documents_without_what_only_this_execution_knows(spec: Path) -> None:
    result = run(spec)
    document = json.loads((result.folder / "recommendation.json").read_text())
    printed = json.loads(json_text(result.answer.document()))
    assert printed.keys() - document.keys() == {"counts", "expect"}
    assert document == {key: printed[key] for key in document}
    assert list(document) == ["schema_version", "sweep", "objective", "settings", "cards"]


def test_a_sweep_without_runs_has_a_heading_and_no_settings(spec: Path) -> None:
    folder = run(spec, time_limit=0).folder
    assert table(folder / "ranking.csv") == []
    assert json.loads((folder / "recommendation.json").read_text())["settings"] == []


def test_the_answer_of_a_changed_file_replaces_the_old_one(spec: Path) -> None:
    run(spec)
    rows = table(run(spec, overrides=["learning_rate=0.1"]).folder / "ranking.csv")
    assert {row["learning_rate"] for row in rows} == {"0.1"}


def test_an_answer_that_cannot_be_found_leaves_no_old_one(spec: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(spec).folder
    monkeypatch.setattr(sweep, "read_answer", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(spec, overrides=["learning_rate=0.1"])
    assert not any((folder / name).exists() for name in ANSWER)
    assert len(table(folder / "runs.csv")) == 8


def test_what_is_expected_decides_the_exit_code_and_trains_nothing(spec: Path) -> None:
    good = run(spec, overrides=["expect={diverged: '>= 1', best_val_loss: < 9}"])
    poor = run(spec, overrides=["expect={diverged: < 1, best_val_loss: < 9}"])
    assert [(one.exit_code, one.trained) for one in (good, poor)] == [(0, 24), (1, 0)]
    assert [check.met for check in poor.answer.checks] == [False, True]
    assert sweep.report("small", results=poor.folder.parent).checks == poor.answer.checks


@pytest.mark.parametrize(("status", "code"), [("failed", 1), ("crashed", 1), ("diverged", 0), ("stopped", 0)])
def test_failed_and_crashed_runs_decide_the_exit_code(spec: Path, status: str, code: int) -> None:
    result = run(spec, overrides=["width=4", "learning_rate=0.01"])
    answer = replace(result.answer, counts={**result.answer.counts, status: 1})
    assert (result.exit_code, replace(result, answer=answer).exit_code) == (0, code)


# From Python


def test_a_result_holds_frames(spec: Path) -> None:
    result = run(spec)
    assert [len(frame) for frame in (result.runs, result.ranking, result.recommendation)] == [24, 12, 4]
    assert len(result.curves) == sum(result.runs["epochs_done"] + 1)
    first, entry = result.recommendation.iloc[0], result.answer.entries[0]
    assert (first["width"], first["optimizer"]) == (entry["setting"]["width"], entry["setting"]["optimizer"])
    assert [first["tie_low"], first["tie_high"]] == entry["tie_interval"]
    assert (first["best_rate"], first["advice"]) == (entry["best_rate"], entry["advice"])
    assert "setting" not in result.recommendation


def test_a_result_is_short_as_text_and_a_table_in_a_notebook(spec: Path) -> None:
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]},{'xyz'[i % 3]}" for i in range(60)]
    (spec.parent / "<b>.csv").write_text("p,q,a,b\n" + "\n".join(rows))
    files = "[{file: <b>.csv, target: a}, {file: <b>.csv, target: b}]"
    result = run(spec, overrides=[f"dataset={files}", "width=4", "optimizer=sgd"])
    assert repr(result) == f"<Result of small in {result.folder}: {result.answer.sentence}>"
    assert result.answer.sentence.startswith("For <b>.csv:a ")
    shown = result._repr_html_()
    assert "<p>For &lt;b&gt;.csv:a " in shown
    assert shown.count("<tr") == 3
    assert "<b>" not in shown


def test_a_result_without_runs_can_be_shown(spec: Path) -> None:
    result = run(spec, time_limit=0)
    assert result.recommendation.empty
    assert "no run is trained yet" in result._repr_html_()


@pytest.mark.parametrize("how", ["name", "folder", "file", "newest"])
def test_a_report_finds_its_sweep(spec: Path, how: str) -> None:
    folder = run(spec).folder
    named = {"name": "small", "folder": folder, "file": spec, "newest": None}[how]
    assert sweep.report(named, results=folder.parent).about["name"] == "small"


def test_a_report_of_nothing_says_what_there_is(spec: Path) -> None:
    results = run(spec).folder.parent
    with pytest.raises(StoreError, match="it holds small"):
        sweep.report("other", results=results)
    (results / "small" / DATABASE).unlink()
    with pytest.raises(StoreError, match=r"small has lost its sweep\.db; lrsweep run SPEC trains its runs anew"):
        sweep.report("small", results=results)


def test_a_backup_is_no_sweep_but_where_it_is_named(spec: Path) -> None:
    folder = run(spec).folder
    backup = folder.with_name("small.bak-1")
    shutil.copytree(folder, backup)
    os.utime(backup / DATABASE, (time.time() + 60, time.time() + 60))
    assert sweep.report(results=folder.parent).folder == str(folder)
    with pytest.raises(StoreError, match=r"it holds small$"):
        sweep.report("other", results=folder.parent)
    assert sweep.report("small.bak-1", results=folder.parent).folder == str(backup)


def test_a_folder_that_cannot_be_looked_into_is_not_taken_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated, since the tests may run as root, whom nothing is forbidden."""
    (tmp_path / "closed").mkdir()
    real = Path.stat

    def closed(path: Path, **options: bool) -> os.stat_result:
        if path.parent.name == "closed":
            raise PermissionError(errno.EACCES, "closed")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(StoreError, match=r"closed/sweep\.db cannot be opened or written; change its permissions"):
        sweep.report(results=tmp_path)


def test_a_report_of_a_folder_without_a_plan_says_so(spec: Path) -> None:
    """As a sweep leaves it that was killed at once."""
    results = spec.parent / "results"
    with Store.create(results / "small"):
        pass
    with pytest.raises(StoreError, match="small holds no plan yet; lrsweep run SPEC makes one"):
        sweep.report("small", results=results)


def test_a_plan_writes_nothing(spec: Path) -> None:
    preview = sweep.plan(spec, results=spec.parent / "results", workers=1)
    assert preview.counts() == {"done": 0, "new": 24, "stale": 0, "failed": 0}
    assert list(spec.parent.iterdir()) == [spec]


def test_a_plan_after_a_change_counts_as_run_will(spec: Path) -> None:
    results = run(spec).folder.parent
    preview = sweep.plan(spec, results=results, overrides=["learning_rate=0.1,0.3"], workers=1)
    assert preview.counts() == {"done": 8, "new": 8, "stale": 16, "failed": 0}


# What may happen in the middle


class Ending(live.View):
    """Ends the sweep when the first runs are stored."""

    def trained(self, outcomes: list[Outcome]) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sweep_that_is_ended_leaves_no_answer_of_fewer_runs(spec: Path, workers: int) -> None:
    earlier = run(spec, overrides=["width=4", "learning_rate=0.1"])
    folder = earlier.folder
    assert all((folder / name).exists() for name in ANSWER)
    with pytest.raises(KeyboardInterrupt):
        run(spec, workers=workers, view=Ending(quiet=True))
    assert not any((folder / name).exists() for name in ANSWER)
    with Store.open(folder) as store:
        assert earlier.trained < len(store.statuses()) < 24
