"""The ranking counts what was lost, and calls a tie only what it cannot tell apart.

Expected numbers are worked out by hand, or by SciPy, which the package does not use.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sweeps_made_up import about, frame, rows

from lrsweep.analysis.ranking import by_setting, rank, t_quantile
from lrsweep.vocabulary import FAILED, UsageError

VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7]}


def ranked(*settings: list[dict[str, Any]], **told: Any) -> pd.DataFrame:
    runs = frame(*settings)
    return rank(runs, about(runs, **told))


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


def test_of_equal_means_the_lower_rate_is_the_better() -> None:
    """Rates may differ in the order in which the same losses are summed up, which changes the last digit."""
    values = {0.1: [0.1, 0.7, 0.3], 1.0: [0.7, 0.3, 0.1], 10.0: [0.3, 0.1, 0.7], 100.0: [0.3, 0.1, 0.7 - 1e-9]}
    table = ranked(rows(values))
    assert len({*table["objective_mean"][:3]}) > 1
    assert table["rank"].tolist() == [2, 3, 4, 1]


def test_mean_spread_and_interval_over_seeds() -> None:
    """Of 1, 2 and 3 the t interval reaches 4.303 / √3 = 2.484 to each side, of a loss by a factor of e^(2.484 / 2)."""
    [row] = ranked(rows({0.1: [1.0, 2.0, 3.0]})).to_dict("records")
    assert (row["objective_mean"], row["objective_std"]) == (2.0, 1.0)
    assert row["objective_high"] == pytest.approx(2 * 3.463, abs=0.001)
    assert row["objective_low"] == pytest.approx(2 / 3.463, abs=0.001)


def test_the_interval_of_a_score_ends_where_scores_do() -> None:
    """Of 0.5, 0.6 and 0.7 it reaches 0.2484 to each side; of 0, 0.5 and 1 it would reach 1.242."""
    values = {0.1: [0.5, 0.6, 0.7], 1.0: [0.0, 0.5, 1.0]}
    near, wide = ranked(rows(values, "val_macro_f1"), objective="val_macro_f1").to_dict("records")
    assert (near["objective_low"], near["objective_high"]) == pytest.approx((0.3516, 0.8484), abs=0.0001)
    assert (wide["objective_low"], wide["objective_high"]) == (0, 1)


def test_r2_has_no_lower_end() -> None:
    [row] = ranked(rows({1.0: [-1.0, 0.5, 1.0]}, "val_r2"), objective="val_r2").to_dict("records")
    assert row["objective_low"] < -2
    assert row["objective_high"] == 1


def test_a_loss_of_zero_has_an_interval() -> None:
    [row] = ranked(rows({0.1: [0.0, 0.0]})).to_dict("records")
    assert (row["objective_low"], row["objective_high"]) == (0, 0)


def test_other_metrics_are_averaged_where_every_seed_has_them() -> None:
    runs = rows({0.1: [0.5, 0.6], 1.0: [0.4, None]})
    for seed, row in enumerate(runs):
        row["max_grad_norm"], row["val_macro_f1"] = 2.0 + seed, 0.5
    table = ranked(runs)
    assert table["max_grad_norm_mean"].iloc[0] == 2.5
    assert table["val_macro_f1_mean"].iloc[0] == 0.5
    assert table["test_loss_mean"].iloc[0] == pytest.approx(0.55)
    assert table[["max_grad_norm_mean", "val_macro_f1_mean", "test_loss_mean"]].iloc[1].isna().all()


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
    counts = [table[f"n_{one}"].tolist() for one in ("lost", "failed", "shaky", "diverged")]
    assert counts == [[0, 1], [0, 1], [0, 1], [0, 0]]


def test_a_rate_that_is_unstable_is_not_tied() -> None:
    """Seeds that spread over decades would pass any test of means."""
    runs = rows({0.1: [0.5, 0.6, 0.55], 1.0: [0.6, 50.0, 2.0]})
    for row in runs[3:]:
        row["train_loss"] = row["val_loss"]
    assert ranked(runs)["tied"].tolist() == [True, False]


@pytest.mark.parametrize("towards", [1, -1], ids=["above", "below"])
def test_ties_are_those_of_the_paired_t_test_with_a_pooled_variance(towards: int) -> None:
    """By hand: the neighbour's differences .01 .02 .03 have t = 3.46 < 4.303 with 2 degrees of freedom: tied.

    The next one's, .01 .03 .05, have t = 2.60 alone, which would be tied; with both variances pooled, .00025,
    t = 3.29 > 2.776 with 4.
    """
    best = [0.90, 0.80, 0.70]
    values = {1.0: best, 10.0**towards: [0.89, 0.78, 0.67], 100.0**towards: [0.89, 0.77, 0.65]}
    table = ranked(rows(values, "val_macro_f1"), objective="val_macro_f1")
    assert table["tied"].tolist()[::towards] == [True, True, False]


def test_what_is_unstable_is_not_pooled() -> None:
    """A rate with wild seeds between the best and another must not make that other one a tie."""
    runs = rows({0.01: [0.10, 0.11, 0.12], 0.1: [0.2, 90.0, 9.0], 1.0: [0.21, 0.22, 0.23]})
    for row in runs[3:6]:
        row["train_loss"] = row["val_loss"]
    assert ranked(runs)["tied"].tolist() == [True, False, False]


def test_ties_agree_with_scipy() -> None:
    random = np.random.default_rng(0)
    scores = 0.8 + 0.02 * random.standard_normal((60, 5))
    table = ranked(rows(dict(enumerate(scores.tolist(), start=1)), "val_macro_f1"), objective="val_macro_f1")
    best = int(scores.mean(axis=1).argmax())
    expected = []
    for at in range(60):
        between = [i for i in range(min(at, best), max(at, best) + 1) if i != best]
        pooled = np.mean([np.var(scores[i] - scores[best], ddof=1) for i in between]) if between else 0
        limit = stats.t.ppf(0.975, 4 * len(between)) * math.sqrt(pooled / 5) if between else 0
        expected.append(bool(abs((scores[at] - scores[best]).mean()) <= limit))
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


def test_the_positions_of_each_settings_rows() -> None:
    runs = frame(rows({0.1: [1.0]}, width=64), rows({0.1: [1.0]}, width=16), rows({1.0: [1.0]}, width=64))
    told = about(runs)
    assert [rows.tolist() for rows in by_setting(runs, told)] == [[0, 2], [1]]
    assert [rows.tolist() for rows in by_setting(rank(runs, told), told)] == [[0, 1], [2]]
    assert by_setting(runs[:0], told) == []


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
