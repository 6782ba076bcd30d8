"""The advice says what to do, how far to trust it, and what to doubt; what cannot be said is left out, with the reason.

Expected numbers are worked out by hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sweeps_made_up import VALLEY, about, answered, document, entries, entry, frame, rows

from lrsweep.analysis.fit import Fit
from lrsweep.analysis.ranking import rank
from lrsweep.analysis.recommend import extendable, open_edge, recommend
from lrsweep.vocabulary import FAILED


def test_settings_with_few_runs_come_last_until_all_are_trained() -> None:
    runs = frame(rows(VALLEY, optimizer="sgd"), rows({0.01: [0.0001]}, optimizer="adam"))
    told = about(runs)
    order = [[one["setting"]["optimizer"] for one in document(runs, told, missing)["settings"]] for missing in (0, 8)]
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
    """The logarithms of the means, 0.0953, -2.2073 and -0.5108 a decade apart, have their minimum 0.0758 above -2.

    The seeds leave 0.028 decades open; the grid 1.96 · 0.3, in squares 0.589 with it.
    """
    runs = frame(rows(VALLEY))
    found = document(runs, about(runs), diagnosis="good")
    [one] = found.pop("settings")
    assert found == {"schema_version": 1, "sweep": "made-up", "objective": "val_loss"}
    approximate = {"objective_mean": 0.11, "test_loss": 0.11, "test_accuracy": 0.81}
    expected = {
        "setting": {},
        "best_rate": 0.01,
        "tie_interval": [0.01, 0.01],
        "fitted_rate": 0.01191,
        "fitted_interval": [0.003065, 0.04626],
        "edge": "none",
        "bracketed": True,
        "highest_stable_rate": 0.1,
        "best_over_highest_stable": 0.1,
        "objective_mean": 0.11,
        "n_seeds": 3,
        "test_loss": 0.11,
        "test_accuracy": 0.81,
        "diagnosis": "good",
        "advice": "Use adam at 0.01 (no neighbour ties with it at 3 seeds; fitted 0.012, 95% 0.0031 to 0.046).",
    }
    assert [*one] == [*expected]
    assert one == expected | {key: pytest.approx(value) for key, value in approximate.items()}


def test_the_sentence_to_act_on_names_the_tied_rates() -> None:
    found = entry(rows({0.001: [0.5, 0.5], 0.01: [0.2, 0.3], 0.1: [0.3, 0.2], 1.0: [0.9, 0.9]}))
    assert found["advice"].startswith("Use adam at 0.01 (0.001 to 1 cannot be told from it at 2 seeds; fitted 0.032, ")


@pytest.mark.parametrize(
    ("interval", "says"),
    [
        ((0.001, 0.1), "fitted 0.012, no surer than the grid"),  # from the lowest to the highest rate tried
        ((0.001, 0.099), "fitted 0.012, 95% 0.001 to 0.099"),
        ((0.0005, 0.1), "fitted 0.012, but its 95% interval spans 2.3 decades"),
    ],
)
def test_an_interval_that_says_nothing_is_not_told(interval: tuple[float, float], says: str) -> None:
    runs = frame(rows(VALLEY))
    told = about(runs)
    [found] = recommend(rank(runs, told), told, [Fit(0.012, interval, np.zeros(2))])["settings"]
    assert f"{says})." in found["advice"]
    assert found["fitted_interval"] == list(interval)


def test_the_grid_of_an_interval_is_without_lost_rates() -> None:
    runs = frame(rows(VALLEY | {1.0: [None, None, None]}))
    told = about(runs)
    [found] = recommend(rank(runs, told), told, [Fit(0.012, (0.001, 0.1), np.zeros(2))])["settings"]
    assert "fitted 0.012, no surer than the grid)." in found["advice"]


def test_one_seed_has_a_fitted_rate_and_no_interval() -> None:
    found = entry(rows({0.01: [0.2], 0.1: [0.1], 1.0: [0.2]}))
    assert (found["fitted_rate"], found["fitted_interval"]) == (0.1, None)
    assert found["advice"].startswith("Use adam at 0.1 (fitted 0.1).\nOne seed tells nothing about ties, spread or how")
    assert "interval" not in found["advice"]


def test_a_rate_that_cannot_be_fitted_has_its_reason() -> None:
    found = entry(rows({0.0001: [0.2, 0.3], 0.01: [0.1, 0.2], 1.0: [0.2, 0.3]}))
    assert (found["fitted_rate"], found["fitted_interval"]) == (None, None)
    assert "No rate is fitted: no rate within 1.5 decades below the best was tried." in found["advice"]


def test_a_fitted_rate_without_an_interval_has_the_reason() -> None:
    found = entry(rows({0.01: [0.8, 0.8], 0.1: [0.9, 0.9], 1.0: [0.8, 0.8]}, "val_macro_f1"), objective="val_macro_f1")
    assert (found["fitted_rate"], found["fitted_interval"]) == (0.1, None)
    assert "The fitted rate has no interval: the seeds are too much alike to tell how sure it is." in found["advice"]


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


def added(*rates: float, why: str) -> dict[str, Any]:
    return {"setting": {}, "rates": [*rates], "why": why}


@pytest.mark.parametrize(
    ("rates", "missing", "says"),
    [
        ((10.0, 100.0), 0, "so it is not bracketed, as far as extend may go: raise its max_decades (2)."),
        ((10.0,), 0, "so it is not bracketed, and extending does not help."),  # it had not come to its end
        ((10.0, 100.0), 1, "so it is not bracketed: add 1000."),  # it may not have come to its end
    ],
)
def test_an_edge_that_extending_did_not_leave_is_told_as_that(rates: Sequence[float], missing: int, says: str) -> None:
    runs = frame(rows({rate: [0.5 / rate, 0.6 / rate] for rate in (0.1, 1.0, *rates)}))
    told = about(runs, extend={"max_decades": 2.0}, additions=[added(rate, why="extend") for rate in rates])
    [found] = document(runs, told, missing)["settings"]
    assert says in found["advice"]


def test_between_rates_that_do_nothing_and_rates_that_break_extending_farther_is_not_advised() -> None:
    runs = frame(rows({1e-8: [2.3, 2.3], 1e-7: [2.3, 2.3], 100.0: [None, None]}))
    [found] = document(runs, about(runs, extend={"max_decades": 2.0}))["settings"]
    assert "add rates between 1e-07 and 100." in found["advice"]
    assert "max_decades" not in found["advice"]
    assert not extendable(found, [1e-8, 1e-7, 100.0], about(runs, extend={"max_decades": 2.0}))


SPANS = "The fitted rate's interval spans 1.2 decades; refine asks for 0.2"
SEEDS = f"{SPANS}, and more rates hardly shorten it: use more seeds."


@pytest.mark.parametrize(
    ("asked", "missing", "rates", "says"),
    [
        (0.2, 0, [0.01], SEEDS),
        (0.2, 0, [], f"{SPANS}, but found no rate to add."),
        (0.2, 0, [0.001, 0.01], f"{SPANS} with no more than 2 rates: raise its max_rates, or use more seeds."),
        (2.0, 0, [0.01], None),
        (0.2, 1, [0.01], None),
        (None, 0, [], None),
    ],
)
def test_why_refining_ended_with_a_long_interval_is_said(
    asked: float | None, missing: int, rates: Sequence[float], says: str | None
) -> None:
    """The interval of VALLEY spans 1.18 decades. What was added to bracket it does not count."""
    runs = frame(rows(VALLEY))
    refine = None if asked is None else {"decades": asked, "max_rates": 2}
    additions = [added(0.001, 0.1, why="extend"), *[added(rate, why="refine") for rate in rates]]
    [found] = document(runs, about(runs, refine=refine, additions=additions), missing)["settings"]
    assert [line for line in found["advice"].split("\n") if "spans" in line] == ([says] if says else [])


def test_what_learned_nothing_is_not_called_unrefined() -> None:
    runs = frame(rows(VALLEY))
    told = about(runs, refine={"decades": 0.2, "max_rates": 2})
    for diagnosis, says in (("good", True), ("collapsed", False)):
        [found] = document(runs, told, diagnosis=diagnosis)["settings"]
        assert ("spans" in found["advice"]) == says


def test_above_a_highest_rate_that_breaks_training_none_are_added() -> None:
    """Rates that train worse yet the lower they are: nothing speaks for higher ones but the order."""
    losses = {0.1: [3.0, 3.1], 1.0: [2.9, 3.0], 10.0: [2.5, 2.6]}
    found = entry(rows(losses), diagnosis="unstable")
    assert (found["edge"], open_edge(found)) == ("high", None)
    assert "add" not in found["advice"]
    assert "try lower rates" in found["advice"]


def test_below_a_lowest_rate_that_breaks_training_more_are_added() -> None:
    found = entry(rows({0.1: [2.5, 2.6], 1.0: [2.9, 3.0], 10.0: [3.0, 3.1]}), diagnosis="unstable")
    assert open_edge(found) == "low"
    assert "add 0.01." in found["advice"]


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


def test_one_seed_of_several_needs_no_other_remedy_than_they_do() -> None:
    """Where seeds are lost or not trained yet, more of them are asked for already."""
    lost = entry(rows({0.01: [0.9, None, None], 0.1: [0.5, None, None]}))
    runs = frame(rows({0.01: [0.9], 0.1: [0.5], 1.0: [0.7]}))
    [early] = document(runs, about(runs), missing=6)["settings"]
    for found in (lost, early):
        assert "One seed tells nothing about ties, spread or how sure a fitted rate is." in found["advice"]
    assert early["advice"].endswith("\n6 runs of the sweep are not trained yet.")


def test_the_last_run_that_is_not_trained_is_one() -> None:
    runs = frame(rows(VALLEY))
    [found] = document(runs, about(runs), missing=1)["settings"]
    assert found["advice"].endswith("\n1 run of the sweep is not trained yet.")


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


def test_missing_test_metrics_are_told() -> None:
    runs = frame(rows(VALLEY)).drop(columns=["test_loss", "test_accuracy"])
    [found] = document(runs, about(runs))["settings"]
    assert (found["test_loss"], found["test_accuracy"]) == (None, None)
    assert "The runs have no test metrics." in found["advice"]


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


def test_a_setting_that_is_a_mapping_is_told_by_what_tells_it_apart() -> None:
    values = {0.01: [0.5, 0.6], 0.1: [0.3, 0.4], 1.0: [0.7, 0.8]}
    grown = [f"{{at_epoch: 5, to_width: 64, rate: {rate}}}" for rate in ("keep", "warmup")]
    told = answered(*(rows(values, growth=growth) for growth in grown)).entries[0]
    assert told["advice"].startswith("Use growth keep at 0.1")
    assert told["setting"]["growth"] == grown[0]
