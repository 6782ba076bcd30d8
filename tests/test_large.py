"""Large sweeps: what is read, computed and stored of a run does not grow with the number of the others."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import about, frame, reading, rows, timings

from lrsweep.analysis import curves
from lrsweep.analysis.cost import cost
from lrsweep.analysis.curves import Read, portions
from lrsweep.analysis.diagnosis import diagnose
from lrsweep.analysis.ranking import rank
from lrsweep.plan import make_plan, planned
from lrsweep.plan.acting import acting
from lrsweep.report.page.shown import mean_curves
from lrsweep.spec import load_spec
from lrsweep.store import DATABASE, Store
from lrsweep.store.tables import AT_ONCE, by_column, run_columns
from lrsweep.vocabulary import CURVE_COLUMNS, NUMERICS, Outcome

GRID = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, None], 1.0: [0.2, 0.3, 0.4]}
FILE = """
dataset: iris
width: [4, 8]
learning_rate: {log: [1e-3, 1], num: 4}
schedule: [constant, {name: cosine, warmup: [0.1, 3]}]
layer_rates: [1, {decay: 0.5}]
epochs: 2
batch_size: 32
seeds: SEEDS
blocks:
  - optimizer: [sgd, adam]
    exclude: [{optimizer: adam, width: 8}]
  - {optimizer: momentum, zip: [[width, learning_rate]], width: [4, 8], learning_rate: [0.1, 0.01]}
  - {optimizer: sgd, width: 4}
"""


def sweep() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Runs of three settings, of which one is longer than the others, and their uneven curves."""
    random, found = np.random.default_rng(0), []
    runs = frame(rows(GRID, optimizer="sgd"), rows(GRID, optimizer="adam"), rows(GRID, optimizer="lion"))
    runs["epochs_done"] = np.where(runs["optimizer"] == "adam", 13.0, 5.0)
    runs.loc[runs["status"] != "finished", "epochs_done"] = 2.0
    for one in runs.itertuples():
        n = int(one.epochs_done) + 1
        losses = np.geomspace(2.0, 0.3 if np.isnan(one.val_loss) else one.val_loss, n) * (
            1 + 0.1 * random.random((2, n))
        )
        losses[:, 2] *= (
            0.01 if one.learning_rate == 0.001 else 1
        )  # below the target, before the best rate in the ranking
        found.append(
            pd.DataFrame(
                {"run_id": one.run_id, "epoch": range(n), "step": 10 * np.arange(n), "learning_rate": one.learning_rate}
                | {"train_loss": losses[0], "val_loss": losses[1], "val_accuracy": random.random(n)}
            )
        )
    return runs, pd.concat(found, ignore_index=True)


def told(runs: pd.DataFrame, read: Read, **known: Any) -> pd.DataFrame:
    """What comes of the curves, of each row of the ranking."""
    of = about(runs, **known)
    ranking = rank(runs, of)
    return diagnose(ranking, runs, read, of).join(cost(ranking, runs, read, timings(runs), of))


@pytest.mark.parametrize("objective", ["val_loss", "val_accuracy"])
@pytest.mark.parametrize("most", [1, 7, 20, 33, 100])
def test_what_comes_of_curves_is_the_same_to_the_bit_however_few_are_read_at_a_time(
    most: int, objective: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the seeds of a rate are parted, of which the mean is taken."""
    runs, every = sweep()
    whole = told(runs, reading(every), objective=objective)
    assert whole["epochs_to_target"].notna().any()
    monkeypatch.setattr(curves, "PORTION", most)
    assert len(portions(runs)) > 1
    pd.testing.assert_frame_equal(told(runs, reading(every), objective=objective), whole, check_exact=True)


def test_the_means_that_are_drawn_are_the_same_to_the_bit_however_few_are_read_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, every = sweep()
    own = runs[runs["learning_rate"] == 0.01]
    names = ["val_loss", "train_loss"]
    whole = mean_curves(own, reading(every), names)
    picked = [every[every["run_id"] == run_id]["val_loss"].to_numpy()[:6] for run_id in own["run_id"]]
    np.testing.assert_array_equal(whole["val_loss"], np.mean(picked, axis=0))
    monkeypatch.setattr(curves, "PORTION", 20)
    for name, values in mean_curves(own, reading(every), names).items():
        np.testing.assert_array_equal(values, whole[name])


def test_no_more_rows_are_read_at_a_time_than_a_portion_has_and_none_three_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, every = sweep()
    read: list[int] = []

    def noting(run_ids: Sequence[str]) -> pd.DataFrame:
        found = reading(every)(run_ids)
        read.append(len(found))
        return found

    monkeypatch.setattr(curves, "PORTION", 40)
    told(runs, noting)
    assert max(read) <= 40
    assert sum(read) <= 2 * len(every)


def test_a_run_that_is_longer_than_a_portion_is_read_alone() -> None:
    runs = pd.DataFrame({"run_id": ["a", "b", "c", "d", "e"], "epochs_done": [3, 99, 2, 2, np.nan]})
    assert [part.tolist() for part in portions(runs, 8)] == [[0], [1], [2, 3, 4]]
    assert portions(runs[:0]) == []


def test_the_memory_of_an_answer_does_not_grow_with_the_length_of_its_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """60 runs of 2,000 epochs have 2.9 MB in three columns, and are measured a tenth at a time."""
    few = rows({0.01: [0.5] * 30, 0.1: [0.4] * 30})
    runs = frame(few).assign(epochs_done=2000.0)
    epoch = np.arange(2001)

    def made(run_ids: Sequence[str]) -> pd.DataFrame:
        n = len(run_ids)
        losses = np.tile(2.0 / (1 + epoch), n)
        return pd.DataFrame({"epoch": np.tile(epoch, n), "step": np.tile(epoch, n), "train_loss": losses}).assign(
            run_id=np.repeat(run_ids, len(epoch)), val_loss=losses, learning_rate=0.1
        )

    def peak(portion: int) -> int:
        monkeypatch.setattr(curves, "PORTION", portion)
        tracemalloc.start()
        try:
            told(runs, made)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert 4 * peak(6 * 2001) < peak(10**9)


def ids(path: Path, seeds: int) -> list[planned.PlannedRun]:
    path.write_text(FILE.replace("SEEDS", str(seeds)))
    return list(make_plan(load_spec(path)).runs)


def test_run_ids_are_those_of_each_run_by_itself(tmp_path: Path) -> None:
    """SHA-256 over the JSON of the whole run, though runs of a setting share most of that text."""
    found = ids(tmp_path / "a.yaml", 3)
    for one in found:
        text = json.dumps({"numerics": NUMERICS, "data": one.data.fingerprint, **acting(one.run)}, sort_keys=True)
        assert one.run_id == "r" + hashlib.sha256(text.encode()).hexdigest()[:12]
    assert len({one.run_id for one in found}) == len(found) == 3 * (3 * 2 * 3 * 4 + 3 * 2 * 2)


def test_what_the_runs_of_a_setting_share_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[Any] = []
    own: Callable[..., Any] = planned.acting
    monkeypatch.setattr(planned, "acting", lambda run: counted.append(run) or own(run))
    few = ids(tmp_path / "a.yaml", 1)
    settings = len(counted)
    many = ids(tmp_path / "b.yaml", 20)
    assert len(many) == 20 * len(few)
    assert len(counted) == 2 * settings
    assert settings < len(few)


def test_columns_are_the_same_whether_rows_are_taken_together_or_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that come late, are missing for a while, or stand in another order, before and after a thousand rows."""
    random = np.random.default_rng(0)
    keys = [["a", "b"], ["b", "a"], ["a"], ["a", "b", "c"], []]
    records = [dict.fromkeys(keys[int(random.integers(5)) if i % 700 < 20 else 0], i) for i in range(2 * AT_ONCE)]
    done = ["finished" if i % 3 else None for i in range(len(records))]
    told_of = [
        (f"r{i}", status, "", {"width": i}, one) for i, (status, one) in enumerate(zip(done, records, strict=True))
    ]
    together = by_column(records, ["z"]), run_columns(told_of)
    assert list(together[0]) == ["z", "a", "b", "c"]
    assert together[0]["a"] == [one.get("a") for one in records]
    assert together[1]["c"] == [one.get("c") for one, status in zip(records, done, strict=True) if status]
    assert together[1]["width"] == [i for i, status in enumerate(done) if status]
    monkeypatch.setattr("lrsweep.store.tables.AT_ONCE", 1)
    assert (by_column(records, ["z"]), run_columns(told_of)) == together


def test_storing_a_stack_takes_as_many_steps_however_many_runs_are_stored(tmp_path: Path) -> None:
    """Steps of SQLite's machine: seconds would depend on the machine's load."""
    steps = [0]

    def count() -> int:
        steps[0] += 1
        return 0

    curve = np.zeros((2, len(CURVE_COLUMNS)))
    names = [f"r{hashlib.sha256(str(i).encode()).hexdigest()[:12]}" for i in range(2020)]
    stacks = [[Outcome(name, "finished", "", {}, curve) for name in names[at : at + 20]] for at in range(0, 2020, 20)]
    taken = []
    with Store.create(tmp_path / "a") as store:
        store.set_plan([(name, {}) for name in names], {})
        store._database.set_progress_handler(count, 10)
        for stack in stacks:
            before = steps[0]
            store.add(stack)
            taken.append(steps[0] - before)
    assert max(taken[-10:]) < 1.2 * taken[0]


def test_curves_on_demand_are_those_of_the_runs_asked_for_in_that_order(tmp_path: Path) -> None:
    """While the sweep is written, a run that is not there has none."""
    with Store.create(tmp_path / "a") as store:
        store.set_plan([(f"r{i}", {}) for i in range(4)], {})
        store.add([Outcome(f"r{i}", "finished", "", {}, np.full((i, len(CURVE_COLUMNS)), float(i))) for i in range(4)])
        found = store.curves(["r3", "gone", "r0", "r2"])
        assert found["run_id"].tolist() == ["r3"] * 3 + ["r2"] * 2
        assert found["val_loss"].tolist() == [3.0] * 3 + [2.0] * 2
        assert store.curves([]).columns.tolist() == store.curves().columns.tolist()
        assert len(store.curves()) == 6
    assert (tmp_path / "a" / DATABASE).exists()
