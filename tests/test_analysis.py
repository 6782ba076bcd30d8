"""The ranking counts what was lost, calls a tie only what it cannot tell apart, and the advice says what to doubt.

Expected numbers are worked out by hand, or by SciPy, which the package does not use.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sweeps_made_up import about, answered, frame, rows

from lrsweep.analysis.ranking import rank, t_quantile
from lrsweep.analysis.recommend import recommend
from lrsweep.vocabulary import FAILED, UsageError

VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7]}


def ranked(*settings: list[dict[str, Any]], **told: Any) -> pd.DataFrame:
    runs = frame(*settings)
    return rank(runs, about(runs, **told))


def entry(*settings: list[dict[str, Any]], **told: Any) -> dict[str, Any]:
    first: dict[str, Any] = answered(*settings, **told).entries[0]
    return first


@pytest.mark.parametrize(
    ("df", "published"),
    [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (5, 2.571),
        (9, 2.262),
        (30, 2.042),
        (10**5, 1.960),
    ],
)
def test_the_t_quantile_is_the_tables(df: int, published: float) -> None:
    assert t_quantile(df) == pytest.approx(published, abs=0.0005)


def test_losses_go_down_and_scores_go_up() -> None:
    values = {0.01: [0.2, 0.3], 0.1: [0.6, 0.7]}
    by_loss = ranked(rows(values))
    by_score = ranked(rows(values, "val_macro_f1"), objective="val_macro_f1")
    assert by_loss["rank"].tolist() == [1, 2]
    assert by_score["rank"].tolist() == [2, 1]


def test_select_best_ranks_by_the_best_epoch() -> None:
    values = rows({0.01: [0.2, 0.3], 0.1: [0.6, 0.7]})
    for row in values:
        row["best_val_loss"] = 1 - row["val_loss"]
    assert ranked(values, select="best")["rank"].tolist() == [2, 1]


def test_mean_spread_and_interval_over_seeds() -> None:
    [row] = ranked(rows({0.1: [1.0, 2.0, 3.0]})).to_dict("records")
    assert (row["objective_mean"], row["objective_std"]) == (2.0, 1.0)
    assert row["objective_high"] - 2 == pytest.approx(4.303 / math.sqrt(3), abs=0.001)
    assert 2 - row["objective_low"] == pytest.approx(4.303 / math.sqrt(3), abs=0.001)


def test_one_seed_has_no_spread() -> None:
    [row] = ranked(rows({0.1: [1.0]})).to_dict("records")
    assert np.isnan([row["objective_std"], row["objective_low"], row["objective_high"]]).all()


def test_a_lost_seed_puts_a_rate_behind_all_without() -> None:
    table = ranked(rows({0.1: [9.0, 9.0, 9.0], 1.0: [0.1, 0.1, None]}))
    assert table["rank"].tolist() == [1, 2]
    assert table["n_diverged"].tolist() == [0, 1]
    assert table["n_seeds"].tolist() == [3, 3]
    assert table["objective_mean"].tolist() == [9.0, math.inf]


def test_a_lost_seed_is_infinitely_bad_for_a_score_too() -> None:
    table = ranked(rows({0.1: [0.1, 0.1], 1.0: [0.9, None]}, "val_macro_f1"), objective="val_macro_f1")
    assert table["objective_mean"].tolist() == [0.1, -math.inf]


def test_among_rates_with_lost_seeds_fewer_count_first_and_then_the_rest() -> None:
    table = ranked(rows({0.1: [0.1, None, None], 1.0: [0.5, 0.5, None], 10.0: [0.3, 0.3, None]}))
    assert table["rank"].tolist() == [3, 2, 1]


@pytest.mark.parametrize("status", ["diverged", "failed", "crashed"])
def test_whatever_did_not_finish_is_lost(status: str) -> None:
    values = rows({0.1: [0.5, 0.5], 1.0: [0.1, 0.1]})
    values[-1]["status"] = status
    assert ranked(values)["rank"].tolist() == [1, 2]


def test_a_finished_run_without_a_finite_objective_is_lost() -> None:
    assert ranked(rows({0.1: [0.5, 0.5], 1.0: [0.1, math.inf]}))["n_lost"].tolist() == [0, 1]


def test_a_failed_run_is_lost_but_did_not_diverge() -> None:
    runs = rows({0.1: [0.5, 0.5], 1.0: [0.6, 0.6]})
    runs[3]["status"] = FAILED
    table = ranked(runs)
    assert (table["n_lost"].tolist(), table["n_diverged"].tolist()) == ([0, 1], [0, 0])
    assert "stability" not in entry(runs)["advice"]


def test_a_rate_that_is_unstable_is_not_tied() -> None:
    """Seeds that spread over decades would pass any test of means."""
    runs = rows({0.1: [0.5, 0.6, 0.55], 1.0: [0.6, 50.0, 2.0]})
    for row in runs[3:]:
        row["train_loss"] = row["val_loss"]
    assert ranked(runs)["tied"].tolist() == [True, False]


def test_settings_with_few_runs_come_last_until_all_are_trained() -> None:
    runs = frame(rows(VALLEY, optimizer="sgd"), rows({0.01: [0.0001]}, optimizer="adam"))
    told = about(runs)
    order = [
        [one["setting"]["optimizer"] for one in recommend(rank(runs, told), runs, told, complete)["settings"]]
        for complete in (True, False)
    ]
    assert order == [["adam", "sgd"], ["sgd", "adam"]]


def test_ties_are_those_of_the_paired_t_test_by_hand() -> None:
    best = [0.90, 0.80, 0.70]
    # Differences .01 .02 .03: mean .02, deviation .01, t = 3.46 < 4.303; .02 .03 .04: t = 5.20.
    values = {0.01: best, 0.1: [0.89, 0.78, 0.67], 1.0: [0.88, 0.77, 0.66]}
    table = ranked(rows(values, "val_macro_f1"), objective="val_macro_f1")
    assert table["tied"].tolist() == [True, True, False]


def test_ties_agree_with_scipy() -> None:
    random = np.random.default_rng(0)
    scores = 0.8 + 0.02 * random.standard_normal((60, 5))
    table = ranked(rows(dict(enumerate(scores.tolist(), start=1)), "val_macro_f1"), objective="val_macro_f1")
    best = scores[scores.mean(axis=1).argmax()]
    with np.errstate(invalid="ignore"):
        expected = [bool((one == best).all() or stats.ttest_rel(one, best).pvalue > 0.05) for one in scores]
    assert 5 < sum(expected) < 55
    assert table["tied"].tolist() == expected


def test_losses_are_compared_as_ratios() -> None:
    """Plain differences to 0.1 of 10, 100 and 1000 have t = 1.17, as if the two were alike."""
    table = ranked(rows({0.01: [0.10, 0.11, 0.12], 1.0: [10.0, 100.0, 1000.0]}))
    assert table["tied"].tolist() == [True, False]


def test_with_one_common_seed_only_equals_are_tied() -> None:
    assert ranked(rows({0.1: [0.5], 1.0: [0.5], 10.0: [0.500001]}))["tied"].tolist() == [True, True, False]


def test_a_rate_with_lost_seeds_is_not_tied_with_one_without() -> None:
    assert ranked(rows({0.1: [0.5, 0.6, 0.7], 1.0: [0.5, 0.6, None]}))["tied"].tolist() == [True, False]


def test_rates_with_lost_seeds_can_be_tied_with_each_other() -> None:
    assert ranked(rows({0.1: [0.5, 0.6, None], 1.0: [0.51, 0.59, None]}))["tied"].tolist() == [True, True]


def test_settings_are_ranked_apart_in_order_of_appearance() -> None:
    table = ranked(rows(VALLEY, optimizer="sgd"), rows(dict(reversed(VALLEY.items())), optimizer="adam"))
    assert table["optimizer"].tolist() == ["sgd"] * 3 + ["adam"] * 3
    assert table["learning_rate"].tolist() == [0.001, 0.01, 0.1] * 2
    assert table["rank"].tolist() == [3, 1, 2] * 2


def test_a_setting_that_does_not_apply_is_a_setting_of_its_own() -> None:
    momentum = {"optimizer": "momentum", "optimizer.momentum": 0.9}
    answer = answered(rows(VALLEY, optimizer="sgd", **{"optimizer.momentum": None}), rows(VALLEY, **momentum))
    assert [one["setting"]["optimizer.momentum"] for one in answer.entries] == [None, 0.9]
    assert [len(answer.rows(answer.runs, one)) for one in answer.entries] == [9, 9]


def test_settings_keep_the_types_of_the_sweep_file() -> None:
    runs = frame(rows(VALLEY, subset=0.5), rows(VALLEY, subset=100))
    told = about(runs)
    told["axes"]["subset"] = [0.5, 100]
    found = [one["setting"]["subset"] for one in recommend(rank(runs, told), runs, told)["settings"]]
    assert sorted(map(repr, found)) == ["0.5", "100"]


def test_a_noisy_score_is_the_better_the_higher() -> None:
    values = {0.1: [0.5, 0.6], 1.0: [0.8, 0.9]}
    table = ranked(rows(values, "noisy_accuracy@0.1"), objective="noisy_accuracy@0.1")
    assert table["rank"].tolist() == [2, 1]


def test_an_unknown_objective_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"val_r2 is not a column.*val_accuracy"):
        ranked(rows(VALLEY), objective="val_r2")
    noisy = [row | {"noisy_accuracy@0.1": 0.5} for row in rows(VALLEY)]
    with pytest.raises(UsageError, match=r"noisy_accuracy@1 is not a column.*noisy_accuracy@0.1"):
        ranked(noisy, objective="noisy_accuracy@1")


def test_runs_that_all_failed_have_no_metrics_and_no_best_rate() -> None:
    runs = frame(rows(VALLEY)).drop(columns=["val_loss", "train_loss", "initial_loss", "test_loss", "test_accuracy"])
    runs["status"] = FAILED
    told = about(runs)
    [one] = recommend(rank(runs, told), runs, told)["settings"]
    assert one["best_rate"] is None
    assert "9 of 9 runs failed or crashed" in one["advice"]


def test_no_runs_yet_give_no_settings() -> None:
    runs = frame(rows(VALLEY))
    told = about(runs)
    assert recommend(rank(runs[:0], told), runs[:0], told)["settings"] == []


def test_the_document_of_a_valley() -> None:
    document = answered(rows(VALLEY)).recommendation
    [found] = document.pop("settings")
    assert document == {"schema_version": 1, "sweep": "made-up", "objective": "val_loss"}
    assert found.pop("objective_mean") == pytest.approx(0.11)
    assert found.pop("test_loss") == pytest.approx(0.11)
    assert found.pop("test_accuracy") == pytest.approx(0.81)
    assert found.pop("best_over_highest_stable") == pytest.approx(0.1)
    assert found == {
        "setting": {},
        "best_rate": 0.01,
        "tie_interval": [0.01, 0.01],
        "edge": "none",
        "bracketed": True,
        "highest_stable_rate": 0.1,
        "n_seeds": 3,
        "advice": "Use adam at 0.01 (no neighbouring rate will do as well at 3 seeds).",
    }


def test_the_sentence_to_act_on_names_the_tied_rates() -> None:
    found = entry(rows({0.001: [0.5, 0.5], 0.01: [0.2, 0.3], 0.1: [0.3, 0.2], 1.0: [0.9, 0.9]}))
    assert found["advice"].startswith("Use adam at 0.01 (0.001 to 1 will do as well at 2 seeds).")


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
    assert (found["best_rate"], found["edge"], found["bracketed"], found["tie_interval"]) == (0.1, None, False, None)
    assert "Only one rate was tried" in found["advice"]


def test_one_seed_says_nothing_about_ties() -> None:
    found = entry(rows({0.01: [0.9], 0.1: [0.5], 1.0: [0.7]}))
    assert found["tie_interval"] is None
    assert "One seed tells nothing" in found["advice"]


def test_rates_that_cannot_be_told_apart_are_called_so() -> None:
    found = entry(rows({0.01: [0.5, 0.6], 0.1: [0.6, 0.5], 1.0: [0.5, 0.7]}))
    assert "No rate can be told from the best by 2 seeds" in found["advice"]


def test_where_everything_diverged_nothing_is_recommended() -> None:
    found = entry(rows({0.1: [None, None], 1.0: [None, None]}))
    nulls = ("best_rate", "tie_interval", "edge", "highest_stable_rate", "objective_mean", "test_loss", "test_accuracy")
    assert [found[key] for key in nulls] == [None] * len(nulls)
    assert found["advice"] == "No run finished, so no rate can be recommended: try lower ones, like 0.01."


def test_stable_ends_where_a_seed_trains_to_worse_than_untrained() -> None:
    found = entry(rows({0.01: [0.9, 0.9], 0.1: [0.1, 0.2], 1.0: [0.5, 2.4], 10.0: [0.5, 0.6]}))
    assert found["highest_stable_rate"] == 0.1
    assert found["best_over_highest_stable"] == 1.0
    assert "on the edge of stability (training is unstable at 1): try warm-up or clipping." in found["advice"]


def test_a_best_rate_well_below_instability_is_not_on_its_edge() -> None:
    found = entry(rows({0.01: [0.1, 0.2], 0.1: [0.6, 0.6], 1.0: [None, None]}))
    assert "stability" not in found["advice"]


def test_lost_seeds_at_the_best_rate_are_told() -> None:
    found = entry(rows({0.01: [0.5, 0.6, None], 0.1: [0.9, None, None]}))
    assert found["best_rate"] == 0.01
    assert found["objective_mean"] is None
    assert "1 of 3 seeds did not finish even at the best rate" in found["advice"]


def test_settings_come_best_first() -> None:
    worse = {rate: [value + 1 for value in values] for rate, values in VALLEY.items()}
    lost = {0.01: [None, 0.001]}
    answer = answered(rows(lost, optimizer="lion"), rows(worse, optimizer="sgd"), rows(VALLEY, optimizer="adam"))
    assert [one["setting"]["optimizer"] for one in answer.entries] == ["adam", "sgd", "lion"]


def test_datasets_are_not_compared_with_each_other() -> None:
    hard = {rate: [value + 1 for value in values] for rate, values in VALLEY.items()}
    answer = answered(rows(hard, dataset="hard"), rows(VALLEY, dataset="easy"))
    assert [one["setting"]["dataset"] for one in answer.entries] == ["hard", "easy"]
    assert answer.entries[0]["advice"].startswith("For hard use adam at 0.01")


def test_regression_reports_r2() -> None:
    runs = frame(rows(VALLEY)).rename(columns=lambda column: column.replace("accuracy", "r2"))
    told = about(runs)
    told["datasets"]["digits"] = {**told["datasets"]["digits"], "task": "regression"}
    table = rank(runs, told)
    [found] = recommend(table, runs, told)["settings"]
    assert {"val_r2_mean", "test_r2_mean"} <= {*table}
    assert found["test_r2"] == pytest.approx(0.81)
    assert "test_accuracy" not in found


def test_the_document_is_plain_json() -> None:
    answer = answered(rows({0.1: [None, None], 1.0: [0.5, 0.6]}, width=16), rows({0.1: [None, None]}, width=32))
    assert json.loads(json.dumps(answer.document(), allow_nan=False)) == answer.document()


def test_an_answer_at_the_prompt_is_its_sentence() -> None:
    assert repr(answered(rows(VALLEY))) == f"<Answer of made-up: {entry(rows(VALLEY))['advice'].splitlines()[0]}>"
