"""The advice says what to do, how far to trust it, and what to doubt; what cannot be said is left out, with the reason.

Expected numbers are worked out by hand.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import UNTRAINED, about, answered, frame, rows

from lrsweep.analysis.fit import Fit, fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import lower_is_better, objective_column, rank
from lrsweep.analysis.recommend import recommend
from lrsweep.vocabulary import FAILED

VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7]}


def document(runs: pd.DataFrame, told: dict[str, Any], complete: bool = True, diagnosis: str = "") -> dict[str, Any]:
    """recommendation.json of some runs; with a diagnosis, every rate has it."""
    ranking = rank(runs, told).assign(**{"diagnosis": diagnosis} if diagnosis else {})
    lower = lower_is_better(objective_column(told))
    return recommend(ranking, told, [fit(profile, lower) for profile in profiles(runs, told)], complete)


def entries(*settings: list[dict[str, Any]], diagnosis: str = "", **told: Any) -> list[dict[str, Any]]:
    runs = frame(*settings)
    found: list[dict[str, Any]] = document(runs, about(runs, **told), diagnosis=diagnosis)["settings"]
    return found


def entry(*settings: list[dict[str, Any]], **told: Any) -> dict[str, Any]:
    return entries(*settings, **told)[0]


def doubts(*settings: list[dict[str, Any]], **told: Any) -> list[str]:
    advice: str = entry(*settings, **told)["advice"]
    return advice.split("\n")[1:]


def test_settings_with_few_runs_come_last_until_all_are_trained() -> None:
    runs = frame(rows(VALLEY, optimizer="sgd"), rows({0.01: [0.0001]}, optimizer="adam"))
    told = about(runs)
    order = [
        [one["setting"]["optimizer"] for one in document(runs, told, complete)["settings"]]
        for complete in (True, False)
    ]
    assert order == [["adam", "sgd"], ["sgd", "adam"]]


def test_a_setting_that_does_not_apply_is_a_setting_of_its_own() -> None:
    momentum = {"optimizer": "momentum", "optimizer.momentum": 0.9}
    answer = answered(rows(VALLEY, optimizer="sgd", **{"optimizer.momentum": None}), rows(VALLEY, **momentum))
    assert [one["setting"]["optimizer.momentum"] for one in answer.entries] == [None, 0.9]
    assert [len(answer.rows(answer.runs, one)) for one in answer.entries] == [9, 9]


def test_settings_keep_the_types_of_the_sweep_file() -> None:
    runs = frame(rows(VALLEY, subset=0.5), rows(VALLEY, subset=100))
    told = about(runs)
    told["axes"]["subset"] = [0.5, 100]
    found = [one["setting"]["subset"] for one in document(runs, told)["settings"]]
    assert sorted(map(repr, found)) == ["0.5", "100"]


def test_runs_that_all_failed_have_no_metrics_and_no_best_rate() -> None:
    runs = frame(rows(VALLEY)).drop(columns=["val_loss", "train_loss", "initial_loss", "test_loss", "test_accuracy"])
    runs["status"] = FAILED
    told = about(runs)
    [one] = document(runs, told)["settings"]
    assert one["best_rate"] is None
    assert "9 of 9 runs failed or crashed" in one["advice"]


def test_no_runs_yet_give_no_settings() -> None:
    runs = frame(rows(VALLEY))
    told = about(runs)
    assert document(runs[:0], told)["settings"] == []


def test_the_document_of_a_valley() -> None:
    """The logarithms of the means, 0.0953, -2.2073 and -0.5108 a decade apart, have their minimum 0.0758 above -2."""
    runs = frame(rows(VALLEY))
    found = document(runs, about(runs), diagnosis="good")
    [one] = found.pop("settings")
    assert found == {"schema_version": 1, "sweep": "made-up", "objective": "val_loss"}
    approximate = {"objective_mean": 0.11, "test_loss": 0.11, "test_accuracy": 0.81, "best_over_highest_stable": 0.1}
    expected = {
        "setting": {},
        "best_rate": 0.01,
        "tie_interval": [0.01, 0.01],
        "fitted_rate": 0.01191,
        "fitted_interval": [0.01115, 0.01271],
        "edge": "none",
        "bracketed": True,
        "highest_stable_rate": 0.1,
        "best_over_highest_stable": 0.1,
        "objective_mean": 0.11,
        "n_seeds": 3,
        "test_loss": 0.11,
        "test_accuracy": 0.81,
        "diagnosis": "good",
        "advice": "Use adam at 0.01 (no neighbour ties with it at 3 seeds; fitted 0.0119, 95% 0.0112 to 0.0127).",
    }
    assert [*one] == [*expected]
    assert one == expected | {key: pytest.approx(value) for key, value in approximate.items()}


def test_the_sentence_to_act_on_names_the_tied_rates() -> None:
    found = entry(rows({0.001: [0.5, 0.5], 0.01: [0.2, 0.3], 0.1: [0.3, 0.2], 1.0: [0.9, 0.9]}))
    assert found["advice"].startswith("Use adam at 0.01 (0.001 to 1 cannot be told from it at 2 seeds; fitted 0.0316, ")


def test_one_seed_has_a_fitted_rate_and_no_interval() -> None:
    found = entry(rows({0.01: [0.2], 0.1: [0.1], 1.0: [0.2]}))
    assert (found["fitted_rate"], found["fitted_interval"]) == (0.1, None)
    assert found["advice"].startswith("Use adam at 0.1 (fitted 0.1).\nOne seed tells nothing about ties, spread or how")


def test_a_rate_that_cannot_be_fitted_has_its_reason() -> None:
    found = entry(rows({0.0001: [0.2, 0.3], 0.01: [0.1, 0.2], 1.0: [0.2, 0.3]}))
    assert (found["fitted_rate"], found["fitted_interval"]) == (None, None)
    assert (
        "No rate is fitted: next to the best, training breaks down, or no rate lies within 1.5 dec" in found["advice"]
    )


def test_a_fit_is_not_told_of_a_best_rate_at_the_edge() -> None:
    """Where runs are missing, the fit leaves rates out that are ranked."""
    runs = frame(rows({0.01: [0.2, 0.3], 0.1: [0.1, 0.2], 1.0: [0.2, 0.3], 10.0: [0.05]}))
    [found] = document(runs, about(runs))["settings"]
    assert (found["best_rate"], found["edge"], found["fitted_rate"]) == (10.0, "high", None)


def test_fitted_rates_have_four_digits() -> None:
    runs = frame(rows(VALLEY))
    told = about(runs)
    [found] = recommend(rank(runs, told), told, [Fit(0.0123456, (0.0111111, 1.99999), np.zeros(2))])["settings"]
    assert (found["fitted_rate"], found["fitted_interval"]) == (0.01235, [0.01111, 2.0])


def test_the_tie_interval_ends_at_the_first_rate_that_is_told_apart() -> None:
    values = {
        0.001: [0.11, 0.21, 0.33],
        0.01: [0.9, 0.9, 0.9],
        0.1: [0.1, 0.2, 0.3],
        1.0: [0.3, 0.2, 0.2],
        10.0: [1, 1, 1],
    }
    assert entry(rows(values))["tie_interval"] == [0.1, 1.0]


@pytest.mark.parametrize(
    ("losses", "edge", "says"),
    [
        ([0.9, 0.5, 0.1], "high", "highest tried (0.1), so it is not bracketed: add 0.316 and 1."),
        ([0.1, 0.5, 0.9], "low", "lowest tried (0.01), so it is not bracketed: add 0.00316 and 0.001."),
    ],
)
def test_a_best_rate_at_the_edge_is_not_bracketed(losses: list[float], edge: str, says: str) -> None:
    rates = (0.01, 0.0316228, 0.1)
    found = entry(rows({rate: [loss, loss + 0.01] for rate, loss in zip(rates, losses, strict=True)}))
    assert (found["edge"], found["bracketed"]) == (edge, False)
    assert says in found["advice"]


def test_a_single_rate_has_nothing_to_compare_with() -> None:
    found = entry(rows({0.1: [0.5, 0.6]}))
    nulls = ("edge", "tie_interval", "fitted_rate", "fitted_interval")
    assert (found["best_rate"], found["bracketed"], *(found[key] for key in nulls)) == (0.1, False, *[None] * 4)
    assert found["advice"].startswith("Use adam at 0.1.\nOnly one rate was tried")


@pytest.mark.parametrize(
    ("grid", "added"),
    [
        ([0.003, 1.0], "10"),
        ([1.0, 10.0, 1000.0], "10000"),
        ([0.1, 0.2, 0.4], "0.8, 1.6 and 3.2"),
        ([0.1, 0.101, 0.102], "0.181, 0.323, 0.574 and 1.02"),
    ],
)
def test_what_is_added_beyond_an_edge_is_about_a_decade_in_no_step_above_one(grid: list[float], added: str) -> None:
    found = entry(rows({rate: [1.0 / place, 1.1 / place] for place, rate in enumerate(grid, start=1)}))
    assert f"is not bracketed: add {added}." in found["advice"]


def test_one_seed_says_nothing_about_ties() -> None:
    found = entry(rows({0.01: [0.9], 0.1: [0.5], 1.0: [0.7]}))
    assert found["tie_interval"] is None
    assert "One seed tells nothing" in found["advice"]


def test_rates_that_cannot_be_told_apart_are_called_so() -> None:
    found = entry(rows({0.01: [0.5, 0.6], 0.1: [0.6, 0.5], 1.0: [0.5, 0.7]}))
    assert "No rate can be told from the best by 2 seeds" in found["advice"]


def test_where_everything_diverged_nothing_is_recommended() -> None:
    found = entry(rows({0.1: [None, None], 1.0: [None, None]}), diagnosis="diverged")
    nulls = (
        "best_rate",
        "tie_interval",
        "fitted_rate",
        "edge",
        "highest_stable_rate",
        "objective_mean",
        "test_loss",
        "diagnosis",
    )
    assert [found[key] for key in nulls] == [None] * len(nulls)
    assert found["advice"] == "No run finished, so no rate can be recommended: try lower ones, like 0.01."


def test_a_rate_too_low_to_move_is_stable() -> None:
    """The untrained loss and that of weights which hardly changed differ by rounding, and not always downwards."""
    found = entry(rows({1e-9: [UNTRAINED * (1 + 1e-7)] * 2, 0.1: [0.1, 0.2], 1.0: [0.5, 0.6]}))
    assert found["highest_stable_rate"] == 1.0


def test_stable_ends_where_a_seed_trains_to_worse_than_untrained() -> None:
    found = entry(rows({0.01: [0.9, 0.9], 0.1: [0.1, 0.2], 1.0: [0.5, 2.4], 10.0: [0.5, 0.6]}))
    assert found["highest_stable_rate"] == 0.1
    assert found["best_over_highest_stable"] == 1.0
    assert "on the edge of stability (training is unstable at 1): try warm-up or clipping." in found["advice"]


def test_a_best_rate_well_below_instability_is_not_on_its_edge() -> None:
    found = entry(rows({0.01: [0.1, 0.2], 0.1: [0.6, 0.6], 1.0: [None, None]}))
    assert "stability" not in found["advice"]


def test_a_failed_run_says_nothing_about_stability() -> None:
    runs = rows({0.1: [0.5, 0.5], 1.0: [0.6, 0.6]})
    runs[2]["status"] = runs[3]["status"] = FAILED
    found = entry(runs)
    assert found["highest_stable_rate"] == 0.1
    assert "stability" not in found["advice"]
    assert "2 of 4 runs failed or crashed" in found["advice"]


def test_stability_that_comes_back_is_told() -> None:
    found = entry(rows({0.01: [0.1, 0.2], 0.1: [0.3, 0.4], 1.0: [0.5, None], 10.0: [0.6, 0.7]}))
    assert found["highest_stable_rate"] == 0.1
    assert "Training is unstable at 1 but stable again at 10: chance decides there." in found["advice"]


def test_no_stable_rate_has_its_reason() -> None:
    found = entry(rows({0.01: [0.1, 3.0], 0.1: [2.5, 3.0], 1.0: [2.9, 3.0]}))
    assert (found["highest_stable_rate"], found["best_over_highest_stable"]) == (None, None)
    assert "Not even the lowest rate (0.01) trains stably" in found["advice"]


@pytest.mark.parametrize(
    ("values", "other"),
    [
        (
            {0.01: [0.10, 0.11], 0.1: [0.50, 0.51], 1.0: [0.105, 0.107], 10.0: [0.9, 0.9]},
            "1 cannot be told from the best",
        ),
        ({0.01: [0.10], 0.1: [0.50], 1.0: [0.103], 10.0: [0.9]}, "1 is nearly as good as the best"),
        ({0.01: [0.103], 0.1: [0.50], 1.0: [0.10], 10.0: [0.9]}, "0.01 is nearly as good as the best"),
    ],
)
def test_two_minima_are_told(values: dict[float, list[float]], other: str) -> None:
    expected = f"There may be two minima: {other}, but 0.1 between them is worse: use more seeds."
    assert expected in doubts(rows(values))


def test_two_maxima_of_a_score_are_told() -> None:
    values = {0.01: [0.90, 0.91], 0.1: [0.80, 0.81], 1.0: [0.905, 0.90], 10.0: [0.5, 0.5]}
    assert any("two minima: 1 " in one for one in doubts(rows(values, "val_macro_f1"), objective="val_macro_f1"))


@pytest.mark.parametrize("middle", [0.102, 0.107])
def test_a_ripple_is_no_second_minimum(middle: float) -> None:
    assert "minima" not in entry(rows({0.01: [0.10], 0.1: [middle], 1.0: [0.103], 10.0: [0.9]}))["advice"]


@pytest.mark.parametrize(
    ("diagnosis", "says"),
    [
        ("collapsed", "No rate tried is of use to adam: even the best, 0.01, ends no better than chance."),
        ("unstable", "No rate tried is of use to adam: even the best, 0.01, ends worse than untrained."),
        ("too_slow", "the loss is still falling at the end: train longer"),
        ("oscillating", "the loss swings"),
        ("overfitting", "the validation loss rises again"),
    ],
)
def test_what_ails_the_best_rate_is_told_with_a_remedy(diagnosis: str, says: str) -> None:
    found = entry(rows(VALLEY), diagnosis=diagnosis)
    assert says in found["advice"]
    assert len(found["advice"].split("\n")) == 2
    assert found["best_rate"] == 0.01


def test_nothing_ails_a_good_rate() -> None:
    assert doubts(rows(VALLEY), diagnosis="good") == []


def test_missing_test_metrics_are_told() -> None:
    runs = frame(rows(VALLEY)).drop(columns=["test_loss", "test_accuracy"])
    [found] = document(runs, about(runs))["settings"]
    assert (found["test_loss"], found["test_accuracy"]) == (None, None)
    assert "The runs have no test metrics." in found["advice"]


def test_lost_seeds_at_the_best_rate_are_told() -> None:
    found = entry(rows({0.01: [0.5, 0.6, None], 0.1: [0.9, None, None]}))
    assert found["best_rate"] == 0.01
    assert found["objective_mean"] is None
    assert "1 of 3 seeds did not finish even at the best rate" in found["advice"]


def test_settings_come_best_first() -> None:
    worse = {rate: [value + 1 for value in values] for rate, values in VALLEY.items()}
    lost = {0.01: [None, 0.001]}
    found = entries(rows(lost, optimizer="lion"), rows(worse, optimizer="sgd"), rows(VALLEY, optimizer="adam"))
    assert [one["setting"]["optimizer"] for one in found] == ["adam", "sgd", "lion"]


def test_datasets_are_not_compared_with_each_other() -> None:
    hard = {rate: [value + 1 for value in values] for rate, values in VALLEY.items()}
    found = entries(rows(hard, dataset="hard"), rows(VALLEY, dataset="easy"))
    assert [one["setting"]["dataset"] for one in found] == ["hard", "easy"]
    assert found[0]["advice"].startswith("For hard use adam at 0.01")


def test_regression_reports_r2() -> None:
    runs = frame(rows(VALLEY)).rename(columns=lambda column: column.replace("accuracy", "r2"))
    told = about(runs)
    told["datasets"]["digits"] = {**told["datasets"]["digits"], "task": "regression"}
    [found] = document(runs, told)["settings"]
    assert found["test_r2"] == pytest.approx(0.81)
    assert "test_accuracy" not in found


def test_the_document_is_plain_json() -> None:
    answer = answered(rows({0.1: [None, None], 1.0: [0.5, 0.6]}, width=16), rows({0.1: [None, None]}, width=32))
    assert json.loads(json.dumps(answer.document(), allow_nan=False)) == answer.document()


def test_an_answer_at_the_prompt_is_its_sentence() -> None:
    assert repr(answered(rows(VALLEY))) == f"<Answer of made-up: {entry(rows(VALLEY))['advice'].splitlines()[0]}>"
