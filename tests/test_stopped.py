"""A rate that was eliminated is behind what was trained to the end, and of it nothing is claimed that it did not show.

Expected numbers are worked out by hand.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import VALLEY, about, counts, curves, document, frame, reading, rows, timings, trained

from lrsweep.analysis.answer import Answer, answer
from lrsweep.analysis.cost import cost, cost_sentences
from lrsweep.analysis.diagnosis import diagnose
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import rank
from lrsweep.vocabulary import DIVERGED, FAILED, STOPPED

REASON = "rank 9 of 9; the best 3 go on"
MEASURED = ("val_loss", "val_accuracy", "train_loss", "initial_loss", "test_loss", "test_accuracy")


def stopped(runs: pd.DataFrame, at: dict[float, int], **how: Any) -> pd.DataFrame:
    """The runs, those at some rates stopped after so many epochs; after 0 they were dropped on a sample."""
    runs = runs.assign(epochs_done=20.0)
    for rate, epochs in at.items():
        mine = runs["learning_rate"] == rate
        runs.loc[mine, ["status", "reason"]] = STOPPED, REASON
        runs.loc[mine, "epochs_done"] = epochs or math.nan
        late = ["test_loss", "test_accuracy"] if epochs else [*MEASURED]
        runs.loc[mine, late] = math.nan
    return runs.assign(**how)


def valley(**at: int) -> pd.DataFrame:
    """The runs of four rates, best at 0.01; `a` to `d` are after how many epochs those from the lowest were stopped."""
    names = dict(zip("abcd", (0.001, 0.01, 0.1, 1.0), strict=True))
    runs = frame(rows(VALLEY | {1.0: [0.9, 0.8, 0.7]}))
    return stopped(runs, {names[name]: epochs for name, epochs in at.items()})


def by_rate(runs: pd.DataFrame) -> pd.DataFrame:
    return rank(runs, about(runs)).set_index("learning_rate")


def advice(runs: pd.DataFrame, **told: Any) -> str:
    [entry] = document(runs, about(runs, **told))["settings"]
    text: str = entry["advice"]
    return text


def whole(runs: pd.DataFrame, curve_rows: pd.DataFrame | None = None) -> Answer:
    noted = curves(runs[runs["val_loss"].notna()]) if curve_rows is None else curve_rows
    counted = counts(runs) | {"stopped": int((runs["status"] == STOPPED).sum())}
    return answer(runs, reading(noted), timings(runs), about(runs), counted)


def test_a_stopped_rate_is_behind_every_one_that_finished_however_good_it_was() -> None:
    """At 0.01, the best, runs were stopped: what they had shown by then is no final objective."""
    table = by_rate(valley(b=9))
    assert table["rank"].tolist() == [3, 4, 1, 2]
    assert table["n_stopped"].tolist() == [0, 3, 0, 0]
    assert not table.loc[0.01, "tied"]


def test_what_a_stopped_rate_would_have_come_to_is_not_known() -> None:
    table = by_rate(valley(d=9))
    measured = [name for name in table if name.startswith("objective_") or name.endswith("_mean")]
    assert table.loc[1.0, measured].isna().all()
    assert table.loc[0.1, measured].drop(["max_grad_norm_mean"], errors="ignore").notna().all()


def test_a_rate_that_lost_one_seed_is_better_than_one_that_was_stopped() -> None:
    runs = valley(d=9)
    runs.loc[(runs["learning_rate"] == 0.1) & (runs["seed"] == 0), ["status", "val_loss"]] = DIVERGED, math.nan
    assert by_rate(runs)["rank"].tolist() == [2, 1, 3, 4]


def test_of_stopped_rates_the_farther_and_then_the_better_comes_first_and_diverged_ones_last() -> None:
    """0.0001 was dropped on a sample, 0.001 and 0.1 stopped after 3 epochs, 1 after 9; 0.0003 and 10 diverged."""
    told = {0.0001: [0.0], 0.0003: [None], 0.001: [0.5], 0.01: [0.1], 0.1: [0.4], 1.0: [0.9], 10.0: [None]}
    runs = stopped(frame(rows(told)), {0.0001: 0, 0.001: 3, 0.1: 3, 1.0: 9})
    table = by_rate(runs)
    assert table["rank"].tolist() == [5, 6, 4, 1, 3, 2, 7]
    assert table["stopped_after"].tolist() == pytest.approx([0, math.nan, 3, math.nan, 3, 9, math.nan], nan_ok=True)


def test_of_stopped_scores_the_higher_comes_first() -> None:
    runs = frame(rows({0.01: [0.9], 0.1: [0.3], 1.0: [0.4]}, "val_macro_f1"))
    runs = stopped(runs, {0.1: 3, 1.0: 3})
    assert rank(runs, about(runs, objective="val_macro_f1"))["rank"].tolist() == [1, 3, 2]


def test_a_stopped_rate_with_a_diverged_seed_is_as_bad_as_any_with_one() -> None:
    runs = valley(c=9, d=9)
    runs.loc[(runs["learning_rate"] == 1.0) & (runs["seed"] == 0), ["status", "val_loss"]] = DIVERGED, math.nan
    table = by_rate(runs)
    assert table["objective_mean"].tolist()[2:] == pytest.approx([math.nan, math.inf], nan_ok=True)
    assert table["rank"].tolist() == [2, 1, 3, 4]


def test_stopped_seeds_do_not_tie() -> None:
    """Of either rate one seed is lost, so that counts alone would not tell them apart."""
    runs = frame(rows({0.01: [0.1, 0.2, None], 0.1: [0.11, 0.2, 0.3]}))
    runs.loc[runs["val_loss"] == 0.3, "status"] = STOPPED
    assert by_rate(runs)["tied"].tolist() == [True, False]


@pytest.mark.parametrize("epochs", [1, 4])
def test_half_a_curve_is_not_judged(epochs: int) -> None:
    """Cut off it would be too slow, unstable or at chance."""
    full = [2.4, 1.0, 0.5, 0.3, 0.2, 0.15, 0.12, 0.1, 0.1]
    halves = {0.001: [2.4, 2.39, 2.38, 2.37, 2.36], 0.1: [2.4, 5.0, 9.0, 8.0, 9.9], 1.0: [2.4, 2.3, 2.3, 2.3, 2.3]}
    cut = {rate: [(half[: epochs + 1],) * 2] for rate, half in halves.items()}
    runs, noted = trained({0.01: [(full, full)]} | cut)
    runs = runs.sort_values("learning_rate", ignore_index=True)
    late = runs["learning_rate"] != 0.01
    runs.loc[late, ["status", "reason"]] = STOPPED, REASON
    known = about(runs)
    found = diagnose(rank(runs, known), runs, reading(noted), known)
    assert found["diagnosis"].tolist() == [STOPPED, "good", STOPPED, STOPPED]
    assert set(found["evidence"][late]) == {REASON}


def test_the_cost_of_a_stopped_rate_is_not_told_and_its_silence_neither() -> None:
    """0.1 does not get there; 1 might have."""
    runs, noted = trained({rate: [([2.0, end, end],) * 2] for rate, end in ((0.01, 0.1), (0.1, 0.5), (1.0, 0.6))})
    runs.loc[runs["learning_rate"] == 1.0, ["status", "reason"]] = STOPPED, REASON
    noted = noted[(noted["run_id"] != "r2") | (noted["epoch"] < 2)]
    known = about(runs)
    ranking = rank(runs, known)
    ranking = ranking.join(cost(ranking, runs, reading(noted), timings(runs), known))
    assert ranking["epochs_to_target"].tolist() == pytest.approx([1, math.nan, math.nan], nan_ok=True)
    assert cost_sentences(ranking, "val_loss")[-1] == "0.1 does not get there."


@pytest.mark.parametrize(
    ("at", "side"), [({"a": 3}, "below"), ({"a": 0}, "below"), ({"c": 3}, "above"), ({"c": 0, "d": 0}, "above")]
)
def test_a_fit_without_a_neighbour_says_that_it_was_stopped(at: dict[str, int], side: str) -> None:
    runs = valley(**at)
    [profile] = profiles(runs, about(runs))
    assert fit(profile, lower_is_better=True).reason == f"just {side} the best, runs were stopped"


def test_a_neighbour_dropped_on_a_sample_is_doubted() -> None:
    said = "0.001, next to the best, was dropped on a sample and never trained in full: run with -o elimination=none"
    assert said in advice(valley(a=0))
    both = "0.001 and 0.1, next to the best, were dropped on a sample"
    assert both in advice(valley(a=0, c=0, d=0))
    assert "dropped" not in advice(valley(d=0))  # 0.1 lies between


def test_what_stands_on_a_rung_alone_is_said() -> None:
    text = advice(valley(c=3, d=1))
    said = "No rate above the best was trained to its end: that 0.1 is no better is what its first 3 epochs tell."
    assert said in text
    assert "dropped" not in text
    assert "to its end" not in advice(valley(c=3))  # 1 was
    assert "that 0.001 is no better is what its first epoch tells." in advice(valley(a=1))


def test_whether_a_dropped_neighbour_ties_is_not_said() -> None:
    assert "no neighbour ties with it" in advice(valley(d=3))
    for dropped in ({"a": 3}, {"c": 3, "d": 3}, {"a": 3, "c": 3, "d": 3}):
        assert "neighbour" not in advice(valley(**dropped))


def test_a_stopped_rate_beyond_it_brackets_the_best() -> None:
    runs = stopped(frame(rows({0.01: [0.1, 0.11], 0.1: [0.3, 0.31], 1.0: [0.5, 0.5]})), {0.1: 3, 1.0: 3})
    runs = pd.concat([runs, runs[runs["learning_rate"] == 0.1].assign(learning_rate=0.001)], ignore_index=True)
    [entry] = document(runs, about(runs))["settings"]
    assert (entry["best_rate"], entry["edge"], entry["bracketed"]) == (0.01, "none", True)


def test_being_stopped_says_nothing_about_stability() -> None:
    """1 is not known to be unstable, so the best is not at the edge of stability; 10 diverged."""
    runs = frame(rows(VALLEY | {1.0: [0.9, 0.8, 0.7], 10.0: [None] * 3}))
    [entry] = document(stopped(runs, {0.1: 3, 1.0: 3}), about(runs))["settings"]
    assert (entry["best_rate"], entry["highest_stable_rate"]) == (0.01, 0.01)
    assert "edge of stability" not in entry["advice"]
    assert "not known" not in entry["advice"]


def test_where_all_below_an_unstable_best_was_stopped_no_rate_is_known_to_be_stable() -> None:
    runs = stopped(frame(rows({0.01: [0.5, 0.5], 0.1: [0.1, 0.1], 1.0: [None, None]})), {0.01: 3})
    runs.loc[runs["learning_rate"] == 0.1, "train_loss"] = 9.0
    [entry] = document(runs, about(runs))["settings"]
    assert entry["highest_stable_rate"] is None
    assert "Below 0.1 every rate was stopped before its end, so there is no highest stable rate." in entry["advice"]


def test_as_long_as_only_stopped_runs_are_there_nothing_is_recommended() -> None:
    runs = valley(a=3, b=3, c=3, d=3)
    [entry] = document(runs, about(runs), missing=5)["settings"]
    assert (entry["best_rate"], entry["objective_mean"]) == (None, None)
    assert entry["advice"].startswith("No run finished, so no rate can be recommended.\n5 runs of the sweep are not")


def test_a_setting_without_a_finished_run_comes_last() -> None:
    first = valley(a=3, b=3, c=3, d=3).assign(optimizer="sgd")
    runs = pd.concat([first, valley()], ignore_index=True)
    runs["run_id"] = [f"r{i}" for i in range(len(runs))]
    found = document(runs, about(runs))["settings"]
    assert [one["setting"]["optimizer"] for one in found] == ["adam", "sgd"]


@pytest.mark.parametrize("at", [{"a": 3, "d": 9}, {"a": 0, "d": 0}, {"a": 0, "c": 9, "d": 1}])
def test_the_whole_answer_bears_curves_that_end_early_and_runs_without(at: dict[str, int]) -> None:
    """Screened runs have no row in curves.csv; the files and cards are made all the same."""
    runs = valley(**at)
    noted = curves(runs[runs["val_loss"].notna()])
    short = runs.loc[(runs["status"] == STOPPED) & runs["val_loss"].notna(), "run_id"]
    noted = noted[~noted["run_id"].isin(short) | (noted["epoch"] < 2)]
    found = whole(runs, noted)
    assert found.entries[0]["best_rate"] == 0.01
    columns = found.ranking_columns()
    told = dict(zip(columns["learning_rate"], columns["diagnosis"], strict=True))
    names = dict(zip("abcd", (0.001, 0.01, 0.1, 1.0), strict=True))
    assert {rate for rate, label in told.items() if label == STOPPED} == {names[name] for name in at}
    assert np.isnan(columns["objective_mean"]).sum() == len(at)


def test_failed_runs_count_as_before_beside_stopped_ones() -> None:
    runs = valley(d=3)
    runs.loc[runs["learning_rate"] == 0.001, ["status", *MEASURED]] = FAILED, *[math.nan] * len(MEASURED)
    text = advice(runs)
    assert "Whether training is stable at 0.001 is not known: every run failed there." in text
    assert "3 of 12 runs failed or crashed" in text
