"""Cards compare settings that differ in nothing else, say what cannot be told or compared, and allow for many.

Expected numbers are so by construction, by hand, or by SciPy, which the package does not use.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cards_made_up import GRID, column, dealt, failed, found, noisy, said, valley
from scipy import stats
from sweeps_made_up import rows

from lrsweep.analysis.cards.compare import Difference, difference, significant
from lrsweep.analysis.cards.effects import is_wider
from lrsweep.analysis.cards.options import options
from lrsweep.analysis.cards.phrases import LONGEST, change
from lrsweep.analysis.cards.ranges import wider_by
from lrsweep.analysis.cards.standings import boards

SEEDS = (-0.1, 0.0, 0.1)
LOSSES = (0.20, 0.30, 0.40)
WIDTHS = (16, 32, 64)


def flat(by: float, **setting: Any) -> list[dict[str, Any]]:
    """A setting whose best rate, 0.1, has LOSSES times this, with a spread of a few per cent over the seeds."""
    best = [one * by * (1 + 0.01 * i * (by != 1)) for i, one in enumerate(LOSSES)]
    return rows({0.01: [5.0] * 3, 0.1: best, 1.0: [6.0] * 3}, **setting)


def scores(by_seed: list[float], worst: float = 0.1, **setting: Any) -> list[dict[str, Any]]:
    """A setting whose best rate, 0.1, has these accuracies."""
    values = {0.01: [worst] * len(by_seed), 0.1: by_seed, 1.0: [worst] * len(by_seed)}
    return rows(values, "val_accuracy", validation=0.2, **setting)


# What differs in nothing else


def test_a_value_that_loses_every_pair_does_not_help_by_the_best_setting_of_all() -> None:
    """mup is worse at both widths, but its wide network is better than standard's narrow one."""
    settings = [
        flat(by, parametrization=name, width=width)
        for name, width, by in (("standard", 16, 1.0), ("mup", 16, 1.3), ("standard", 64, 0.3), ("mup", 64, 0.6))
    ]
    card = dealt(*settings)["parametrization"]
    assert card.title.startswith("mup harms at 2 of 2 widths: val_loss × 2.0")
    assert "mup is ahead of standard at 0 of 2 widths (0 told each by itself) and behind at 2 (2 told)" in said(card)


def test_the_table_and_json_have_the_pairs_of_each_family() -> None:
    pairs = (("sgd", "constant", 2), ("sgd", "step", 1), ("adam", "constant", 0.9), ("adam", "step", 2.7))
    settings = [flat(by, optimizer=optimizer, schedule=name) for optimizer, name, by in pairs]
    card = dealt(*settings)["schedule"]
    assert column(card, "optimizer") == ["adam", "adam", "sgd", "sgd"]
    assert column(card, "schedule") == ["constant", "step", "step", "constant"]
    ratios = [column(card, "against constant")[i] for i in (1, 2)]
    assert ratios == pytest.approx([3.0, 0.5], rel=0.03)
    sgd = card.numbers["families"][1]
    assert sgd["setting"] == {"optimizer": "sgd"}
    assert sgd["values"][0]["against_reference"]["ratio"] == pytest.approx(ratios[1], rel=1e-5)


def test_optimizers_that_disagree_are_both_told() -> None:
    settings = [
        flat(by, optimizer=optimizer, layer_rates=rates)
        for optimizer, rates, by in (
            *(("adam", "1", 0.5), ("adam", "{first: 3}", 0.4)),
            *(("sgd", "1", 1.0), ("sgd", "{first: 3}", 1.5)),
        )
    ]
    title = dealt(*settings)["layer_rates"].title
    assert title.startswith(
        "Setting rates by layer helps with 1 of 2 optimizers and harms with 1: first 3 has val_loss × "
    )
    assert title.endswith(" of uniform with adam; first 3 × 1.51 (95% 1.48 to 1.55) with sgd.")


def test_the_value_that_is_told_to_help_is_named_even_if_a_vague_one_has_a_lower_loss() -> None:
    vague = rows({0.01: [5.0] * 3, 0.1: [0.05, 0.3, 0.2], 1.0: [6.0] * 3}, schedule="step")
    title = dealt(flat(1.0, schedule="constant"), flat(0.8, schedule="cosine"), vague)["schedule"].title
    assert title.startswith("A schedule helps: cosine has val_loss × 0.8")


def test_numbers_are_named_by_their_axis() -> None:
    settings = [flat(by, epochs=n, width=w) for n, w, by in ((5, 1, 1.0), (20, 1, 0.5), (5, 2, 0.4), (20, 2, 0.8))]
    card = dealt(*settings)["epochs"]
    assert card.title.startswith(
        "epochs 5 is best at 1 of 2 widths, epochs 20 at 1: with width 2, epochs 5 has val_loss"
    )
    assert "epochs 20 is ahead of epochs 5 at 1 of 2 widths (1 told each by itself)" in said(card)


def test_a_value_in_no_pair_is_not_compared() -> None:
    card = dealt(flat(1, optimizer="a", width=1), flat(2, optimizer="b", width=1), flat(3, optimizer="c", width=2))
    assert "c: in no setting that differs in nothing else, so not compared." in card["optimizer"].sentences
    unlike = (("a", 1, 1), ("b", 1, 2), ("b", 2, 3))
    lone = dealt(*[flat(1, optimizer=name, depth=depth, width=width) for name, depth, width in unlike])
    assert lone["width"].title == "No two settings differ in width alone, so nothing can be said of it."


def test_rules_of_growth_are_compared_with_keep() -> None:
    rules = {"keep": 0.5, "{scale: 3}": 0.4}
    settings = [flat(by, growth=f"{{at_epoch: 5, to_width: 64, rate: {rule}}}") for rule, by in rules.items()]
    card = dealt(flat(1.0, growth=None), *settings)["growth"]
    assert "Rules for the rate against keep: scale 3 × 0.80 (95% 0.80 to 0.80)." in card.sentences


# What cannot be told, or not compared


def test_a_failed_run_is_no_defeat_but_divergence_is() -> None:
    lucky = rows({0.01: [5.0] * 3, 0.1: [0.05, 0.1, None], 1.0: [6.0, 6.0, None]}, optimizer="adam")
    lucky[2]["status"], lucky[2]["val_loss"] = "diverged", None
    both = [flat(1.0, optimizer="sgd"), flat(1.5, optimizer="lion")]
    assert dealt(*both, failed(lucky))["optimizer"].title.startswith(
        "sgd is best: val_loss 0.3; adam cannot be compared with it"
    )
    assert dealt(*both, lucky)["optimizer"].title.startswith("sgd is best: val_loss 0.3, better than all others")


def test_without_a_common_seed_nothing_is_compared() -> None:
    other = [{**row, "seed": row["seed"] + 10} for row in flat(2.0, optimizer="adam")]
    assert "adam cannot be compared with it" in dealt(flat(1.0, optimizer="sgd"), other)["optimizer"].title


@pytest.mark.parametrize(("diagnosis", "says"), [("unstable", "ends worse than untrained"), ("collapsed", "no better")])
def test_the_best_of_useless_values_does_not_win(diagnosis: str, says: str) -> None:
    card = dealt(flat(20.0, optimizer="sgd"), flat(30.0, optimizer="adam"), diagnosis=diagnosis)["optimizer"]
    assert card.title.startswith("No optimizer tried is of use: even the best, sgd, ends")
    assert says in card.title


def test_two_seeds_that_differ_by_the_same_number_of_rows_tell_nothing() -> None:
    """359 validation rows; without the rounding the t test has no spread, and p = 0."""
    row = 1 / 359
    title = dealt(
        scores([0.9, 0.8], optimizer="sgd"), scores([0.9 + row, 0.8 + row], optimizer="adam"), objective="val_accuracy"
    )["optimizer"].title
    assert "so they cannot be told apart" in title
    found = difference(np.array([0.9, 0.8]) + row, np.array([0.9, 0.8]), row)
    assert found is not None
    assert found.p == pytest.approx(2 * stats.t.sf(row / (row / math.sqrt(6) / math.sqrt(2)), 1), rel=1e-6)


def test_where_no_error_is_left_there_is_no_power_law() -> None:
    settings = [[r | {"n_train": n} for r in scores(own, subset=n)] for n, own in ((100, [0.99] * 3), (200, [1.0] * 3))]
    card = dealt(*settings, objective="val_accuracy")["subset"]
    assert "What more rows bring cannot be told: at some size no error is left." in card.sentences


def test_an_interval_beyond_a_thousandfold_says_nothing() -> None:
    assert change(Difference(4.6, 20.0, (-226.0, 235.0), 3), lower=True) == "× 99.5 (95% wider than 1000-fold)"
    assert change(Difference(0.5, 0.1, (0.1, 0.9), 3), lower=False) == "+0.500 (95% +0.100 to +0.900)"


def test_no_highest_stable_rate_in_both_is_no_pair() -> None:
    """Every rate ends above the untrained loss."""
    settings = [[row | {"train_loss": 9.0} for row in flat(20.0, optimizer=name)] for name in ("sgd", "adam")]
    assert "highest stable rate" not in said(dealt(*settings)["optimizer"])


def test_warm_ups_go_by_their_length() -> None:
    settings = [flat(1.0, schedule="cosine", **{"schedule.warmup": steps}) for steps in (0, 100, 20)]
    words = said(dealt(*settings)["schedule"])
    assert words.index("With warm-up 20, ") < words.index("With warm-up 100, ")


# Many comparisons


def test_of_equal_values_hardly_any_is_told_from_the_best() -> None:
    """The best was picked by the same data: of 150 sweeps of 6 equal values, at most one in ten may name a loser."""
    random = np.random.default_rng(0)
    settings = [
        rows({0.1: np.exp(random.normal(0, 0.1, 5)).tolist()}, batch_size=sweep, optimizer=name)
        for sweep in range(1, 151)
        for name in "abcdef"
    ]
    [board] = boards(found(*settings))
    [axis] = [axis for axis in board.axes() if axis.name == "optimizer"]
    contests = options(board, axis).contests
    told = [any(one.behind.told == "worse" for one in contest.options) for contest in contests]
    alone = [[one.behind.difference.p for one in contest.options if one.behind.difference] for contest in contests]
    assert len(contests) == 150
    assert np.mean(told) <= 0.1
    assert np.mean([any(map(significant, p)) for p in alone]) > 0.3


def test_of_many_ranges_the_widest_needs_more_to_be_told() -> None:
    assert is_wider(0.04, 2)
    assert is_wider(0.008, 4)
    assert not is_wider(0.009, 4)


def test_ranges_within_their_error_are_not_told_apart() -> None:
    random = np.random.default_rng(3)
    settings = [rows(noisy(random, valley(-2, seeds=SEEDS), 0.2), optimizer=name) for name in ("sgd", "adam")]
    assert "; no optimizer can be told to have a wider range of good rates (0." in dealt(*settings)["optimizer"].title


def test_the_jackknifes_error_is_the_spread_over_new_seeds() -> None:
    random = np.random.default_rng(0)
    settings = [
        rows(noisy(random, valley(-2, seeds=[0.0] * 8), 0.1), batch_size=sweep, optimizer=name)
        for sweep in range(1, 61)
        for name in ("sgd", "adam")
    ]
    [board] = boards(found(*settings))
    pairs = zip(board.standings[::2], board.standings[1::2], strict=True)
    gaps = [gap for one, other in pairs if (gap := wider_by(board, one, other)) is not None]
    assert len(gaps) == 60
    assert np.mean([gap.error for gap in gaps]) == pytest.approx(np.std([gap.mean for gap in gaps]), rel=0.35)


# Sizes


def ladder(slope: float, widths: tuple[int, ...] = WIDTHS, **setting: Any) -> list[list[dict[str, Any]]]:
    """Widths whose best rate follows a power law."""
    return [rows(valley(-1.5 + slope * math.log10(w / 16), 0.1, SEEDS), width=w, **setting) for w in widths]


def test_the_title_has_the_exponents_of_all_of_few_families() -> None:
    settings = [
        one for name, slope in (("sgd", -0.6), ("adam", -0.4), ("lion", 0.5)) for one in ladder(slope, optimizer=name)
    ]
    title = dealt(*settings)["width"].title
    assert title.startswith("When adding neurons, lower the rate: exponent ")
    for words in ("-0.60 with sgd", "-0.40 with adam", "; raise it: 0.50 with lion."):
        assert words in title


def test_of_many_families_the_title_has_the_range_of_exponents() -> None:
    settings = [one for size in range(1, 9) for one in ladder(-0.3 - 0.05 * size, batch_size=size)]
    title = dealt(*settings)["width"].title
    assert title == "When adding neurons, lower the rate in 8 of 8 settings (exponents -0.70 to -0.35)."
    assert len(title) <= LONGEST


def test_errors_of_two_exponents_add_up_in_squares() -> None:
    random = np.random.default_rng(5)
    settings = [
        rows(noisy(random, valley(-1.5 + slope * math.log10(w / 16), 0.1, SEEDS), 0.03), parametrization=name, width=w)
        for name, slope in (("standard", -0.6), ("mup", -0.1))
        for w in WIDTHS
    ]
    card = dealt(*settings)["width"]
    own = {family["setting"]["parametrization"]: family for family in card.numbers["families"]}
    ours, theirs = own["mup"], own["standard"]
    gap = ours["exponent"] - theirs["exponent"]
    half = math.sqrt(sum((one["exponent_interval"][1] - one["exponent"]) ** 2 for one in (ours, theirs)))
    assert f"mup's exponent less standard's: {gap:.2f} (95% {gap - half:.2f} to {gap + half:.2f})." in card.sentences


def test_the_smallest_width_that_trained_gives_the_rate() -> None:
    dead = rows({rate: [None] * 3 for rate in GRID}, width=8)
    card = dealt(dead, *ladder(-0.5, (16, 64)))["width"]
    assert column(card, "loss with width 16's rate") == [None, None, 1.0]
    assert "Cost of width 16's rate (0.0215) at width 64" in said(card)


def test_a_reused_rate_that_loses_every_seed_is_said_to() -> None:
    small = rows({0.01: [1.0] * 3, 0.1: [0.5] * 3, 1.0: [2.0] * 3}, subset=100)
    large = rows({0.001: [0.3] * 3, 0.01: [0.2] * 3, 0.1: [None] * 3, 1.0: [None] * 3}, subset=800)
    settings = [[row | {"n_train": row["subset"]} for row in one] for one in (small, large)]
    title = dealt(*settings)["subset"].title
    assert title == "The best rate of 100 rows is 0.1, of 800 rows 0.01: worse there, all 3 seeds lost."


@pytest.mark.parametrize(
    ("lost", "verdict"),
    [
        ([0.1, 0.11, 0.12], "worse there"),
        ([0.0, 0.001, 0.002], "as good there"),
        ([0.0, 0.02, 0.04], "as good there or not"),
    ],
)
def test_a_samples_rate_is_judged_by_its_score(lost: list[float], verdict: str) -> None:
    small = rows({0.01: [0.5] * 3, 0.1: [0.6] * 3, 1.0: [0.1] * 3}, "val_accuracy", subset=100)
    reused = [0.8 - one for one in lost]
    large = rows({0.001: [0.3] * 3, 0.01: [0.8] * 3, 0.1: reused, 1.0: [0.1] * 3}, "val_accuracy", subset=800)
    settings = [[row | {"n_train": row["subset"]} for row in one] for one in (small, large)]
    assert f"of 800 rows 0.01: {verdict}, " in dealt(*settings, objective="val_accuracy")["subset"].title


def test_a_size_where_every_run_failed_has_its_rows_from_the_file_and_is_the_reason() -> None:
    dead = [row | {"n_train": None} for row in failed(rows({0.01: [None], 0.1: [None], 1.0: [None]}, subset=50))]
    large = [row | {"n_train": 800} for row in rows({0.01: [0.5], 0.1: [0.2], 1.0: [0.5]}, subset=800)]
    card = dealt(dead, large)["subset"]
    assert column(card, "training rows") == [50, 800]
    assert "With 50 training rows no run finished." in card.sentences


def test_an_edge_without_an_exponent_leaves_none_out() -> None:
    card = dealt(*[rows(valley(-5, seeds=SEEDS), width=width) for width in WIDTHS])["width"]
    assert "the best rate is the lowest tried (0.0001, 0.0001 and 0.0001); the best may lie below." in said(card)
    assert "leaves it out" not in said(card)


def test_a_learning_curve_by_one_seed_says_so() -> None:
    settings = [[r | {"n_train": n} for r in rows(valley(-2, n**-0.5), subset=n)] for n in (100, 800)]
    words = said(dealt(*settings)["subset"])
    assert "exponent -0.50 (no interval); two points and too few seeds tell nothing about how sure that is." in words


def test_noise_that_does_nothing_makes_no_other_rate_better() -> None:
    """The loss prefers 0.1, the accuracy 1, with noise and without."""
    values = {0.01: [0.9] * 3, 0.1: [0.1] * 3, 1.0: [0.2] * 3}
    by_rate = {0.01: 0.5, 0.1: 0.8, 1.0: 0.95}
    runs = [row | {"val_accuracy": by_rate[row["learning_rate"]] + row["seed"] / 100} for row in rows(values)]
    same = [row | {"noisy_accuracy@0.5": row["val_accuracy"]} for row in runs]
    card = dealt(same)["noise"]
    assert card.title.startswith(
        "Under noise of 0.5 no rate can be told to have a better accuracy than rate 1, the best by accuracy"
    )
    assert card.numbers["settings"][0]["best_rate"] == 1.0


def test_the_pairs_of_the_best_with_others_are_corrected_for_all_pairs() -> None:
    """p of 0.02 is told of one of two, but not of one of three pairs."""
    best, gap = np.array(LOSSES), np.array([0.09, 0.11, 0.15])
    worse, vague = best * np.exp(gap), best * np.exp([0.5, -0.2, 0.9])
    assert 0.05 / 3 < stats.ttest_1samp(gap, 0).pvalue < 0.05 / 2
    values = {"a": best, "b": worse, "c": vague}
    settings = [rows({0.01: [9.0] * 3, 0.1: own, 1.0: [9.0] * 3}, optimizer=name) for name, own in values.items()]
    assert dealt(*settings)["optimizer"].title.startswith("a is best: val_loss 0.3, but it cannot be told from any")


def test_what_helps_in_each_of_several_settings_by_a_little_is_not_told() -> None:
    better = (np.array(LOSSES) * np.exp([-0.09, -0.12, -0.17])).tolist()
    settings = []
    for width in (16, 32, 64, 128):
        settings.append(flat(1.0, schedule="constant", width=width))
        settings.append(rows({0.01: [9.0] * 3, 0.1: better, 1.0: [9.0] * 3}, schedule="step", width=width))
    card = dealt(*settings)["schedule"]
    assert card.title.startswith("No schedule can be told to help at any of 4 widths: step has val_loss × 0.8")
    assert "step is ahead of constant at 4 of 4 widths (4 told each by itself)" in said(card)


def test_the_range_of_a_perfect_rate_ends_where_rows_are_lost() -> None:
    """One row off is twice an error of half a row; a decade to each side, the root of the logarithm goes straight."""
    settings = [scores([1.0] * 3, 1 - 1 / 359, optimizer=name) for name in ("sgd", "adam")]
    card = dealt(*settings, objective="val_accuracy")["optimizer"]
    assert column(card, "good decades")[0] == pytest.approx(2 * math.sqrt(math.log(1.1) / math.log(2)), rel=1e-6)


def test_a_width_without_a_run_is_the_reason_for_no_exponent() -> None:
    dead = rows({rate: [None] * 3 for rate in GRID}, width=8)
    title = dealt(dead, *ladder(-0.5, (16,)))["width"].title
    assert title == "Best rate against width: no trend can be told, since at 1 of 2 sizes no run finished."
