"""Cards of choices, the noise card and the tables: paired differences, the range of good rates, warm-up, robustness.

Expected numbers are so by construction, by hand, by brute force, or by SciPy, which the package does not use.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cards_made_up import GRID, column, dealt, said, valley
from scipy import stats
from sweeps_made_up import reading, rows

from lrsweep.analysis.cards.compare import difference, holm, significant
from lrsweep.analysis.cards.ranges import WITHIN, range_of
from lrsweep.analysis.cards.tables import epochs_table, rates_table
from lrsweep.analysis.ranking import LEVEL

SEEDS = (-0.05, 0.0, 0.05)
RATES = (0.01, 0.1, 1.0)


def flat(best: list[float | None], **setting: Any) -> list[dict[str, Any]]:
    """A setting whose best rate, 0.1, has these losses by seed."""
    return rows({0.01: [5.0] * len(best), 0.1: best, 1.0: [6.0] * len(best)}, **setting)


def test_a_difference_is_the_paired_t_test() -> None:
    random = np.random.default_rng(0)
    ours, theirs = random.normal(0, 1, (2, 6))
    found = difference(ours, theirs)
    test = stats.ttest_rel(ours, theirs)
    reach = test.confidence_interval(LEVEL)
    assert found is not None
    assert found.p == pytest.approx(test.pvalue, abs=1e-9)
    assert found.interval == pytest.approx((reach.low, reach.high), rel=1e-6)
    assert significant(found.p) == (test.pvalue < 0.05)


def test_lost_seeds_are_left_out_of_pairs() -> None:
    found = difference(np.array([1.0, np.nan, 3.0, 5.0]), np.array([0.5, 1.0, 2.0, np.nan]))
    assert found is not None
    assert (found.n, found.mean) == (2, 0.75)
    assert difference(np.array([np.nan]), np.array([1.0])) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])
    assert holm([]) == []


def test_values_are_compared_with_the_reference_in_pairs_of_seeds() -> None:
    constant, cosine = [0.20, 0.40, 0.30], [0.15, 0.31, 0.22]
    card = dealt(flat(cosine, schedule="cosine"), flat(constant, schedule="constant"))["schedule"]
    gap = np.log(cosine) - np.log(constant)
    reach = stats.t.interval(0.95, 2, gap.mean(), stats.sem(gap))
    assert column(card, "schedule") == ["cosine", "constant"]
    assert column(card, "against constant") == [pytest.approx(math.exp(gap.mean())), None]
    assert column(card, "95% interval")[0] == pytest.approx(tuple(np.exp(reach)), rel=1e-6)
    assert column(card, "verdict") == ["better", "reference"]
    assert card.title.startswith("A schedule helps: cosine has val_loss × 0.75")


def test_many_comparisons_need_more_to_tell() -> None:
    """p of 0.03 alone is told; the least of five such is not."""
    constant = np.array([0.20, 0.40, 0.30])
    better = constant * np.exp([-0.09, -0.12, -0.17])
    assert stats.ttest_rel(np.log(better), np.log(constant)).pvalue == pytest.approx(0.034, abs=0.01)
    others = ("cosine", "linear", "step", "exponential", "polynomial")

    def card(*schedules: str) -> Any:
        settings = [flat(better.tolist(), schedule=name) for name in schedules]
        return dealt(flat(constant.tolist(), schedule="constant"), *settings)["schedule"]

    assert "better" in column(card("cosine"), "verdict")
    assert "better" not in column(card(*others), "verdict")


def test_what_is_worse_than_the_reference_does_not_help() -> None:
    growing = flat([0.40, 0.80, 0.61], growth="{at_epoch: 5, to_width: 64, rate: keep}")
    card = dealt(flat([0.20, 0.40, 0.30], growth=None), growing)["growth"]
    assert card.title.startswith("Growing harms: growth at epoch 5, to 64 has val_loss × 2.01")


def test_growth_is_compared_with_the_final_width_from_the_start() -> None:
    grown = "{at_epoch: 5, to_width: 64, rate: keep}"
    small = flat([0.4, 0.5, 0.6], width=16, growth=None)
    wide = flat([0.1, 0.2, 0.3], width=64, growth=None)
    card = dealt(small, flat([0.2, 0.4, 0.6], width=16, growth=grown), wide)["growth"]
    assert card.title.endswith("of width 16 throughout.")
    assert "growth at epoch 5, to 64 has val_loss × 2.00" in card.sentences[0]
    assert card.sentences[0].endswith("of width 64 throughout.")


def test_the_best_optimizer_and_those_that_cannot_be_told_from_it() -> None:
    best, alike, worse = [0.10, 0.20, 0.30], [0.11, 0.19, 0.31], [0.20, 0.41, 0.60]
    settings = [flat(v, optimizer=name) for name, v in (("sgd", worse), ("adam", best), ("adamw", alike))]
    card = dealt(*settings)["optimizer"]
    assert card.title.startswith("adam is best: val_loss 0.2; adamw cannot be told from it")
    assert column(card, "optimizer") == ["adam", "adamw", "sgd"]
    assert column(card, "verdict")[2] == "reference"


def test_one_seed_tells_nothing() -> None:
    card = dealt(flat([0.1], optimizer="adam"), flat([0.5], optimizer="sgd"))["optimizer"]
    assert "sgd has × 5.00 (one seed) of that, so they cannot be told apart" in card.title
    assert column(card, "verdict") == ["reference", "one seed"]


def test_lost_seeds_at_the_best_rate_are_never_a_gain() -> None:
    lucky = rows({rate: [0.01, 0.01, None] for rate in RATES}, schedule="cosine")
    card = dealt(flat([0.2, 0.4, 0.3], schedule="constant"), lucky)["schedule"]
    assert column(card, "schedule")[0] == "constant"
    assert column(card, "verdict") == ["reference", "worse"]
    assert "Seeds are lost even at the best rate of cosine" in said(card)


def test_pairs_of_settings_are_counted() -> None:
    settings = []
    for width, gain in ((16, 0.5), (32, 0.6), (64, 1.0), (128, 1.5)):
        for schedule, by in (("constant", 1.0), ("cosine", gain)):
            losses = [
                one * by * (1 + tiny * (by != 1)) for one, tiny in zip((0.2, 0.4, 0.3), (0, 0.01, 0.02), strict=True)
            ]
            settings.append(flat([*losses], schedule=schedule, width=width))
    card = dealt(*settings)["schedule"]
    assert column(card, "ahead in")[0] == "2 of 4"
    told = "cosine is ahead of constant at 2 of 4 widths (2 told each by itself) and behind at 1 (1 told)"
    assert told in said(card)
    assert card.title.startswith("A schedule helps at 2 of 4 widths, harms at 1 and cannot be told to help at 1")


def test_a_schedule_with_its_settings_is_one_value() -> None:
    values = (("constant", 0, None), ("cosine", 0.1, None), ("one_cycle", 0, 0.3), ("one_cycle", 0, 0.5))
    settings = [
        rows(valley(-1.0, 0.1 + i / 100, SEEDS), schedule=name, **{"schedule.warmup": warmup, "schedule.rise": rise})
        for i, (name, warmup, rise) in enumerate(values)
    ]
    cards = dealt(*settings)
    assert list(cards) == ["schedule"]
    assert [one["value"]["schedule.rise"] for one in cards["schedule"].numbers["values"]] == [None, None, 0.3, 0.5]
    assert cards["schedule"].numbers["reference"]["schedule"] == "constant"
    assert cards["schedule"].charts[0].data["value"].tolist()[0] == "cosine, warmup 0.1"


def test_warm_up_is_judged_in_pairs_of_the_same_schedule() -> None:
    """In one pair it raises the highest stable rate, in the other the grid ends first."""
    settings = []
    for schedule, warmup, last in (
        ("constant", 0, None),
        ("constant", 0.1, 5.0),
        ("cosine", 0, 5.0),
        ("cosine", 0.1, 5.0),
    ):
        values = {0.01: [0.5] * 3, 0.1: [0.2, 0.3, 0.4], 1.0: [last] * 3}
        own = rows(values, schedule=schedule, **{"schedule.warmup": warmup})
        settings.append([row | {"train_loss": 0.1} for row in own])
    card = dealt(*settings)["schedule"]
    assert (
        "With warm-up 0.1 the highest stable rate rises in 1 of 2 pairs, falls in 0, stays in 1, 1 of them beyond"
        in said(card)
    )
    assert card.title.endswith("warm-up raises the highest stable rate in 1 of 2 pairs.")


def brute_range(rates: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """The good rates by looking at 100,000 points between the grid's ends."""
    x = np.linspace(math.log10(rates[0]), math.log10(rates[-1]), 100_001)
    y = np.interp(x, np.log10(rates), np.sqrt(np.log(error / error.min())))
    good = y <= math.sqrt(math.log(WITHIN))
    best = int(np.abs(x - math.log10(rates[error.argmin()])).argmin())
    low = best - int((~good[: best + 1][::-1]).argmax()) + 1 if not good[: best + 1].all() else 0
    high = best + int((~good[best:]).argmax()) - 1 if not good[best:].all() else len(x) - 1
    return 10 ** x[low], 10 ** x[high]


def test_the_range_of_good_rates_is_that_of_brute_force() -> None:
    random = np.random.default_rng(0)
    rates = np.array(GRID)
    for _ in range(50):
        error = np.exp(0.3 * random.standard_normal(13).cumsum())
        found = range_of(rates, error, np.full(13, True), np.full(13, False))
        assert found is not None
        assert (found.low, found.high) == pytest.approx(brute_range(rates, error), rel=1e-3)


def test_a_range_ends_at_a_rate_that_is_not_steady_and_is_open_at_the_grids_end() -> None:
    none = np.full(3, False)
    found = range_of(np.array([0.01, 0.1, 1.0]), np.array([1.05, 1.0, 1.0]), np.array([True, True, False]), none)
    assert found is not None
    assert (found.low, found.high, found.open) == (0.01, 0.1, (True, False))
    assert range_of(np.array([0.1]), np.array([1.0]), np.array([False]), none[:1]) is None


def test_a_range_is_open_next_to_a_rate_that_was_dropped() -> None:
    """How good it would have become is not known."""
    rates, error = np.array([0.01, 0.1, 1.0, 10.0]), np.array([np.nan, 1.0, 1.05, np.nan])
    steady, stopped = np.array([False, True, True, False]), np.array([True, False, False, True])
    found = range_of(rates, error, steady, stopped)
    assert found is not None
    assert (found.low, found.high, found.open) == (0.1, 1.0, (True, True))


def test_a_wider_range_is_told() -> None:
    def slope(steep: float, optimizer: str) -> list[dict[str, Any]]:
        values = {rate: [0.1 * math.exp(steep * (math.log10(rate) + 2 - off) ** 2) for off in SEEDS] for rate in GRID}
        return rows(values, optimizer=optimizer)

    card = dealt(slope(4.0, "sgd"), slope(0.25, "adam"))["optimizer"]
    widths = dict(zip(column(card, "optimizer"), column(card, "good decades"), strict=True))
    assert widths["adam"] == pytest.approx(2 * math.sqrt(math.log(1.1) / 0.25), abs=0.1)
    assert widths["sgd"] == pytest.approx(2 * math.sqrt(math.log(1.1) / 4), abs=0.03)
    assert "adam (1.2 decades) has a wider range of good rates than sgd (0.3)" in card.title


def test_an_axis_of_numbers_has_an_exponent() -> None:
    settings = [rows(valley(-2.5 + math.log10(size / 16), seeds=SEEDS), batch_size=size) for size in (16, 32, 64, 128)]
    assert "Exponent of the best rate against batch_size: 1.0" in said(dealt(*settings)["batch_size"])


def test_the_document_is_json_and_epochs_to_target_are_in_it() -> None:
    card = dealt(flat([0.1, 0.2], optimizer="adam"), rows({rate: [None, None] for rate in RATES}, optimizer="sgd"))[
        "optimizer"
    ]
    document = json.loads(json.dumps(card.document(), allow_nan=False))
    [first, second] = document["families"][0]["values"]
    assert first["epochs_to_target"] == 3.0
    assert second["best_rate"] is None
    assert "No run finished with sgd." in card.sentences


def noise_rows(clean: dict[float, list[float]], noisy: dict[float, list[float]]) -> list[dict[str, Any]]:
    """Runs whose loss is best where they are best without noise, under noise of 0.5."""
    runs = rows({rate: [1 - one for one in own] for rate, own in clean.items()})
    scores = [one for own in clean.values() for one in own]
    under = [one for own in noisy.values() for one in own]
    return [
        row | {"val_accuracy": score, "noisy_accuracy@0.5": other}
        for row, score, other in zip(runs, scores, under, strict=True)
    ]


def test_another_rate_is_better_under_noise() -> None:
    clean = {0.01: [0.90, 0.91, 0.92], 0.1: [0.95, 0.96, 0.97], 1.0: [0.90, 0.90, 0.91]}
    noisy = {0.01: [0.50, 0.51, 0.52], 0.1: [0.60, 0.62, 0.61], 1.0: [0.80, 0.81, 0.82]}
    card = dealt(noise_rows(clean, noisy))["noise"]
    assert card.title.startswith("Under noise of 0.5 rate 1 has +0.200 ")
    assert card.title.endswith(" accuracy over rate 0.1, the best by accuracy without noise.")
    assert column(card, "noise 0.5") == pytest.approx([0.51, 0.61, 0.81])
    assert column(card, "change at 0.5") == pytest.approx([-0.4, -0.35, -0.0933], abs=1e-4)
    json.dumps(card.document(), allow_nan=False)


def test_the_pick_of_the_best_rate_under_noise_is_allowed_for() -> None:
    """A gain with a p value of 0.034 of its own is no finding where it is the better of two."""
    clean = {0.01: [0.90, 0.91, 0.92], 0.1: [0.95, 0.96, 0.97], 1.0: [0.90, 0.90, 0.91]}
    noisy = {0.01: [0.5] * 3, 0.1: [0.60] * 3, 1.0: [0.609, 0.612, 0.617]}
    gain = np.array(noisy[1.0]) - 0.6
    assert 0.025 < stats.ttest_1samp(gain, 0).pvalue < 0.05
    assert dealt(noise_rows(clean, noisy))["noise"].title.startswith("Under noise of 0.5 no rate can be told")


def test_measures_against_the_rate() -> None:
    ranking = pd.DataFrame(
        {
            **{
                "learning_rate": [0.1, 1.0],
                "n_lost": [0, 1],
                "n_stopped": [0, 0],
                "val_loss_mean": [0.5, np.nan],
                "val_r2_mean": [0.9, np.nan],
            },
            **{"val_macro_f1_mean": [np.nan, np.nan], "seconds_mean": [2.0, 1.0], "max_grad_norm_mean": [3.0, np.nan]},
        }
    )
    found = {one.title: (list(one.values), one.kind) for one in rates_table(ranking)}
    assert list(found) == ["rate", "val_loss", "R²", "time", "largest gradient", "seeds lost"]
    assert found["time"] == ([2.0, 1.0], "seconds")
    found = {one.title: list(one.values) for one in rates_table(ranking.assign(n_lost=[2, 3], n_stopped=[0, 3]))}
    assert (found["seeds lost"], found["seeds dropped"]) == ([2, 0], [0, 3])


def test_accuracy_by_epoch_is_the_mean_over_seeds_that_all_got_there() -> None:
    runs = pd.DataFrame(
        {"run_id": ["a", "b", "c", "d"], "learning_rate": [0.1, 0.1, 1.0, 1.0], "epochs_done": [4, 4, 4, 2]}
    )
    curves = pd.DataFrame(
        [
            {"run_id": run, "epoch": epoch, "learning_rate": 0.05, "val_accuracy": score + epoch / 10}
            for run, score, last in (("a", 0.1, 4), ("b", 0.3, 4), ("c", 0.5, 4), ("d", 0.1, 2))
            for epoch in range(last + 1)
        ]
    )
    found = {one.title: list(one.values) for one in epochs_table(runs, reading(curves))}
    assert found["rate"] == [0.1, 1.0]
    assert found["epoch 2"] == pytest.approx([0.4, 0.5])
    assert found["epoch 4"] == pytest.approx([0.6, math.nan], nan_ok=True)
    assert "epoch 0" not in found


def test_no_curves_have_no_table_by_epoch() -> None:
    runs = pd.DataFrame({"run_id": ["a"], "learning_rate": [0.1], "epochs_done": [0]})
    assert epochs_table(runs, reading(pd.DataFrame({"run_id": [], "epoch": [], "val_accuracy": []}))) == []


def test_what_only_the_correction_leaves_untold_says_so() -> None:
    """p is 0.04 for each of two values: told by itself, not told of two."""
    sgd = [1.0] * 4
    worse = [math.exp(by) for by in (0.1, 0.1, 0.3, 0.3)]
    settings = [flat(v, optimizer=name) for name, v in (("sgd", sgd), ("adam", worse), ("adamw", worse))]
    assert stats.ttest_1samp(np.log(worse), 0).pvalue == pytest.approx(0.0405, abs=1e-4)
    card = dealt(*settings)["optimizer"]
    assert column(card, "verdict") == ["reference", "not told (Holm)", "not told (Holm)"]
    note = "Verdicts allow for the number of values compared (Holm's correction); intervals do not."
    assert note in card.sentences


def test_counts_for_json_are_named_as_uncorrected() -> None:
    card = dealt(flat([0.2, 0.3], schedule="cosine"), flat([0.4, 0.6], schedule="constant"))["schedule"]
    assert "pairs_each_by_itself" in card.numbers["values"][0]


def test_a_figure_of_gains_keeps_the_name_of_its_column() -> None:
    settings = [flat(v, optimizer=n) for n, v in (("sgd", [1.0, 1.1]), ("adam", [0.5, 0.6]), ("adamw", [0.7, 0.6]))]
    [chart] = dealt(*settings)["optimizer"].charts
    assert chart.title.startswith("val_loss over that of sgd: ")


def test_a_highest_stable_rate_at_the_grids_end_is_a_bound() -> None:
    beyond = rows({0.01: [0.5] * 2, 0.1: [0.2] * 2, 1.0: [0.7] * 2}, optimizer="sgd")
    within = rows({0.01: [0.5] * 2, 0.1: [0.1] * 2, 1.0: [None] * 2}, optimizer="adam")
    assert column(dealt(beyond, within)["optimizer"], "stable to") == [(0.1, False), (1.0, True)]
