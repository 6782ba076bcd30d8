"""Cards of sizes: the exponent of the rate and its interval, the price of a reused rate, the learning curve.

Expected numbers are so by construction, by hand, or by SciPy, which the package does not use.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from cards_made_up import GRID, column, dealt, found, noisy, said, valley
from scipy import stats
from sweeps_made_up import rows

from lrsweep.analysis.cards import deal
from lrsweep.analysis.cards.subset import ranked, spearman
from lrsweep.analysis.cards.trend import trend

WIDTHS = (16, 32, 64, 128, 256)
SEEDS = (-0.1, 0.0, 0.1)


def centre(width: int, slope: float, at_first: float = -1.2) -> float:
    return at_first + slope * math.log10(width / WIDTHS[0])


def test_the_slope_and_its_interval_are_scipys() -> None:
    x, y = np.log10(WIDTHS), np.array([-1.0, -1.2, -1.3, -1.4, -1.7])
    theirs = stats.linregress(x, y)
    half = stats.t.ppf(0.975, 3) * theirs.stderr
    ours = trend(x, y, None, 1)
    assert ours.slope == pytest.approx(theirs.slope)
    assert ours.interval == pytest.approx((theirs.slope - half, theirs.slope + half), rel=1e-6)


def test_two_points_rest_on_the_seeds_alone() -> None:
    x, y = np.array([1.0, 2.0]), np.array([-1.0, -1.5])
    replicates = np.array([[-1.0, -1.0, -1.0, -1.0], [-1.6, -1.5, -1.5, -1.4]])
    ours = trend(x, y, replicates, n_seeds=3)
    half = stats.t.ppf(0.975, 2) * np.std([-0.6, -0.5, -0.5, -0.4]) * math.sqrt(3 / 2)
    assert ours.interval == pytest.approx((-0.5 - half, -0.5 + half), rel=1e-6)


def test_two_points_and_one_seed_have_no_interval() -> None:
    ours = trend(np.array([1.0, 2.0]), np.array([-1.0, -1.5]), None, 1)
    assert ours.slope == pytest.approx(-0.5)
    assert ours.interval is None
    assert ours.verdict == "none"


def test_equal_rates_of_a_coarse_grid_are_not_known_exactly() -> None:
    x, rough = np.log10(WIDTHS), np.full(5, 0.2)
    [low, high] = trend(x, np.full(5, -1.0), None, 1, rough).interval or (0, 0)
    deviation = 0.2 / math.sqrt(((x - x.mean()) ** 2).sum())
    assert (low, high) == pytest.approx((-1.96 * deviation, 1.96 * deviation), rel=1e-3)


def test_an_exponent_is_found_and_says_what_to_do() -> None:
    settings = [rows(valley(centre(width, -0.5), seeds=SEEDS), width=width) for width in WIDTHS]
    card = dealt(*settings)["width"]
    [family] = card.numbers["families"]
    assert family["exponent"] == pytest.approx(-0.5, abs=0.02)
    assert card.title.startswith("When adding neurons, lower the rate: it falls by a factor of 1.4")


def test_a_rate_that_stays_is_said_to_serve_all_widths() -> None:
    random = np.random.default_rng(0)
    settings = [rows(noisy(random, valley(-1.5, seeds=SEEDS), 0.01), width=width) for width in WIDTHS]
    card = dealt(*settings)["width"]
    assert card.title.startswith("One rate serves all widths: exponent")
    assert "lower" not in card.title


def test_what_cannot_be_told_is_not_told() -> None:
    random = np.random.default_rng(1)
    settings = [rows(noisy(random, valley(random.normal(-1.5, 0.5), seeds=SEEDS), 0.1), width=w) for w in WIDTHS]
    assert dealt(*settings)["width"].title.startswith("Best rate against width: no trend can be told, exponent")


def test_what_cannot_be_told_of_several_settings_gives_no_advice() -> None:
    random = np.random.default_rng(1)
    settings = [
        rows(noisy(random, valley(centre, seeds=SEEDS), 0.1), optimizer=name, width=w)
        for name in ("sgd", "adam")
        for w, centre in zip(WIDTHS, (-1.5, -2.3, -0.9, -2.0, -1.4), strict=True)
    ]
    assert dealt(*settings)["width"].title.startswith("Best rate against width: no trend can be told, exponent ")


@pytest.mark.parametrize("n_seeds", [3, 5])
def test_the_interval_holds_the_true_exponent(n_seeds: int) -> None:
    """60 sweeps, told apart by their batch size; a width's own rate is off the power law by a tenth of a decade."""
    random = np.random.default_rng(n_seeds)
    settings = []
    for sweep in range(1, 61):
        for width in WIDTHS:
            at = random.normal(centre(width, -0.5), 0.1)
            values = noisy(random, valley(at, seeds=random.normal(0, 0.1, n_seeds).tolist()), 0.05)
            settings.append(rows(values, batch_size=sweep, width=width))
    families = dealt(*settings)["width"].numbers["families"]
    intervals = np.array([one["exponent_interval"] for one in families], dtype=float)
    assert len(families) == 60
    assert ((intervals[:, 0] <= -0.5) & (intervals[:, 1] >= -0.5)).mean() >= 0.9
    assert np.median(np.ptp(intervals, axis=1)) < 1.0


def test_fitted_and_best_rates_are_not_mixed() -> None:
    """At the last width all above the best rate diverges, so nothing is fitted there: the best rates are compared."""
    settings = [rows(valley(centre(width, -0.5), seeds=SEEDS), width=width) for width in WIDTHS[:-1]]
    cliff = {rate: own if rate < 0.01 else [None] * 3 for rate, own in valley(-1.2, seeds=SEEDS).items()}
    card = dealt(*settings, rows(cliff, width=256))["width"]
    best = np.log10(column(card, "best rate"))
    assert column(card, "fitted rate")[-1] is None
    assert card.numbers["families"][0]["exponent"] == pytest.approx(stats.linregress(np.log10(WIDTHS), best).slope)
    assert "At width 256 no rate could be fitted, so the exponent is that of the best rates tried." in card.sentences
    assert card.charts[0].data["rate"].tolist() == column(card, "best rate")


def test_a_width_at_the_edge_is_told_and_left_out() -> None:
    settings = [rows(valley(centre(width, -0.5), seeds=SEEDS), width=width) for width in WIDTHS]
    card = dealt(*settings, rows(valley(-5, seeds=SEEDS), width=512))["width"]
    assert card.numbers["families"][0]["exponent"] == pytest.approx(-0.5, abs=0.02)
    assert "At width 512 the best rate is the lowest tried (0.0001)" in said(card)
    assert column(card, "note")[-1] == "at the low edge"


def test_an_exponent_that_could_be_anything_is_none() -> None:
    x, replicates = np.array([1.0, 1.3]), np.array([[-1.0, -1.0], [-1.5, -0.5]])
    ours = trend(x, np.array([-1.0, -1.0]), replicates, n_seeds=3)
    assert ours.slope is None
    assert ours.reason == "the exponent's 95% interval is wider than 4"


def test_all_at_the_edge_have_no_exponent() -> None:
    card = dealt(*[rows(valley(-5, seeds=SEEDS), width=width) for width in WIDTHS])["width"]
    assert card.title.startswith("Best rate against width: no trend can be told, since at 5 of 5 sizes")
    assert card.numbers["families"][0]["exponent"] is None


def test_the_price_of_the_smallest_widths_rate_is_paired() -> None:
    few = (0.01, 0.1, 1.0)
    small = {few[0]: [1.0, 1.0, 1.0], few[1]: [0.5, 0.5, 0.5], few[2]: [2.0, 2.0, 2.0]}
    own, reused = [0.10, 0.30, 0.20], [0.11, 0.36, 0.25]
    large = {few[0]: own, few[1]: reused, few[2]: [2.0, 2.0, 2.0]}
    card = dealt(rows(small, width=16), rows(large, width=32))["width"]
    difference = np.log(reused) - np.log(own)
    reach = stats.t.interval(0.95, 2, difference.mean(), stats.sem(difference))
    assert column(card, "loss with width 16's rate")[1] == pytest.approx(math.exp(difference.mean()))
    assert column(card, "95%")[1] == pytest.approx(tuple(np.exp(reach)), rel=1e-6)


def test_a_reused_rate_that_was_not_tried_is_the_nearest() -> None:
    small = rows({0.01: [1.0, 1.0], 0.1: [0.5, 0.5], 1.0: [2.0, 2.0]}, width=16)
    large = rows({0.02: [0.2, 0.2], 0.08: [0.4, 0.4], 0.5: [1.0, 1.0]}, width=32)
    card = dealt(small, large)["width"]
    assert column(card, "loss with width 16's rate")[1] == pytest.approx(2.0)
    assert "at 0.08, the nearest tried" in said(card)


def test_the_same_rate_has_no_price() -> None:
    values = {0.01: [0.5, 0.6], 0.1: [0.9, 0.8], 1.0: [0.2, 0.1]}
    settings = [rows(values, "val_accuracy", width=width) for width in (16, 32)]
    card = dealt(*settings, objective="val_accuracy")["width"]
    assert said(card).count("in val_accuracy against its own best rate: the same rate.") == 1
    assert column(card, "95%")[1] == (0.0, 0.0)


def test_the_same_rate_costs_exactly_nothing_of_a_score_that_is_counted_in_rows() -> None:
    values = {0.01: [0.5, 0.6], 0.1: [0.9, 0.8], 1.0: [0.2, 0.1]}
    counted = [[row | {"validation": 0.2} for row in rows(values, "val_accuracy", width=width)] for width in (16, 32)]
    assert column(dealt(*counted, objective="val_accuracy")["width"], "95%")[1] == (0.0, 0.0)


def test_figures_have_titles_of_one_line() -> None:
    small = [sample(n, -2, 1 / n) for n in (100, 800)]
    for card in (dealt(*[rows(valley(-2, seeds=SEEDS), width=w) for w in (16, 32)])["width"], dealt(*small)["subset"]):
        for chart in card.charts:
            assert len(chart.title) < 80
            assert chart.title != card.title


def test_a_table_that_leaves_out_settings_says_so() -> None:
    settings = [rows(valley(-2, seeds=SEEDS), batch_size=b, width=w) for b in range(1, 15) for w in (16, 32)]
    card = dealt(*settings)["width"]
    assert len(column(card, "best rate")) == 24
    assert "The table shows 24 of 28 settings, the best first; --json has all." in card.sentences


def test_a_reused_rate_that_diverges_has_no_ratio() -> None:
    small = rows({0.01: [1.0, 1.0], 0.1: [0.5, 0.5], 1.0: [2.0, 2.0]}, width=16)
    large = rows({0.01: [0.2, 0.2], 0.1: [0.1, None], 1.0: [None, None]}, width=32)
    card = dealt(small, large)["width"]
    assert column(card, "loss with width 16's rate")[1] is None
    assert "width 16's rate (0.1) at width 32, in val_loss against its own best rate: 1 of 2 seeds lost." in said(card)


def test_standard_stands_beside_mup() -> None:
    random = np.random.default_rng(0)
    settings = [
        rows(
            noisy(random, valley(centre(width, slope), floor, SEEDS), 0.005),
            parametrization=parametrization,
            width=width,
        )
        for parametrization, slope, floor in (("standard", -0.7, 0.2), ("mup", 0.0, 0.1))
        for width in WIDTHS
    ]
    card = dealt(*settings)["width"]
    assert card.title == "When adding neurons, lower the rate: exponent -0.70; under mup it hardly moves: 0.00."
    assert card.charts[0].data["setting"].unique().tolist() == ["standard", "mup"]


def test_a_setting_without_a_run_that_finished_spoils_nothing() -> None:
    settings = [rows(valley(centre(width, -0.5), seeds=SEEDS), width=width) for width in WIDTHS]
    card = dealt(*settings, rows({rate: [None] * 3 for rate in GRID}, width=512))["width"]
    assert card.numbers["families"][0]["exponent"] == pytest.approx(-0.5, abs=0.02)
    assert "At width 512 no run finished." in card.sentences


def test_axes_that_vary_as_one_have_one_card_that_says_so() -> None:
    settings = [rows(valley(-2, seeds=SEEDS), batch_size=width, width=width) for width in WIDTHS]
    cards = dealt(*settings)
    assert list(cards) == ["width"]
    assert "batch_size varied together with width, so this is the effect of both." in cards["width"].sentences


def test_datasets_are_not_mixed() -> None:
    settings = [
        rows(valley(centre(width, slope), seeds=SEEDS), dataset=dataset, width=width)
        for dataset, slope in (("digits", -0.5), ("iris", 0.5))
        for width in WIDTHS
    ]
    digits, iris = deal(found(*settings))
    assert digits.title.startswith("digits: when adding neurons, lower the rate")
    assert iris.title.startswith("iris: when adding neurons, raise the rate")


def test_the_heat_map_is_capped_at_the_untrained_loss() -> None:
    settings = [rows({0.01: [0.5, 0.5], 0.1: [99.0, 99.0], 1.0: [None, 3.0]}, width=width) for width in (16, 32)]
    heat = dealt(*settings)["width"].charts[1]
    assert heat.data["objective"].tolist() == pytest.approx([0.5, 2.3, 2.3] * 2)


def sample(n_train: int, at: float, floor: float, seeds: tuple[float, ...] = SEEDS) -> list[dict[str, object]]:
    return [row | {"n_train": n_train} for row in rows(valley(at, floor, seeds), subset=n_train)]


def test_the_learning_curve_has_the_exponent_that_it_was_made_with() -> None:
    card = dealt(*[sample(n, -2, n**-0.5) for n in (100, 200, 400, 800)])["subset"]
    assert card.numbers["families"][0]["learning_exponent"] == pytest.approx(-0.5, abs=1e-5)
    assert "val_loss falls by a factor of 1.41 per doubling of the rows" in said(card)


def test_the_learning_curves_interval_is_over_the_slopes_of_the_seeds() -> None:
    few, many = [0.50, 0.44, 0.62], [0.10, 0.13, 0.12]
    settings = [
        [row | {"n_train": n} for row in rows({0.01: [9.0] * 3, 0.1: own, 1.0: [9.0] * 3}, subset=n)]
        for n, own in ((100, few), (1000, many))
    ]
    numbers = dealt(*settings)["subset"].numbers["families"][0]
    slope = math.log10(np.mean(many) / np.mean(few))
    half = stats.t.ppf(0.975, 2) * stats.sem(np.log10(many) - np.log10(few))
    assert numbers["learning_exponent"] == pytest.approx(slope, rel=1e-5)
    assert numbers["learning_exponent_interval"] == pytest.approx([slope - half, slope + half], rel=1e-5)


def test_a_sample_that_finds_the_same_rate_is_said_to() -> None:
    card = dealt(sample(100, -2.05, 1.0), sample(800, -2.05, 0.1))["subset"]
    assert card.title == "A sample of 100 rows finds the same best rate as 800 rows do: 0.01."
    assert column(card, "Spearman")[0] == pytest.approx(1.0)


def test_a_sample_with_another_rate_costs() -> None:
    random = np.random.default_rng(0)
    settings = [
        [row | {"n_train": n} for row in rows(noisy(random, valley(at, 0.1, SEEDS), 0.002), subset=n)]
        for n, at in ((100, -1.0), (800, -2.0))
    ]
    card = dealt(*settings)["subset"]
    assert card.title.startswith("The best rate of 100 rows is 0.1, of 800 rows 0.01: worse there, val_loss × 2.7")


def test_spearman_is_scipys_with_ties_too() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        x, y = random.integers(0, 6, (2, 9)).astype(float)
        x[0] = y[1] = math.inf
        assert ranked(x) + 1 == pytest.approx(stats.rankdata(x))
        assert spearman(x, y) == pytest.approx(stats.spearmanr(stats.rankdata(x), stats.rankdata(y)).statistic)


def test_a_score_has_its_error_for_a_learning_curve_and_differences_for_prices() -> None:
    def scores(error: float, best: float) -> list[dict[str, object]]:
        values = {rate: [1 - error * (2 if rate != best else 1)] * 2 for rate in (0.01, 0.1, 1.0, 10.0)}
        return [row | {"n_train": round(1 / error**2)} for row in rows(values, "val_macro_f1", subset=error)]

    card = dealt(scores(0.1, 0.1), scores(0.05, 1.0), objective="val_macro_f1")["subset"]
    assert card.numbers["families"][0]["learning_exponent"] == pytest.approx(-0.5)
    assert column(card, "its rate on 400 rows")[0] == pytest.approx(-0.05)


@pytest.mark.parametrize("values", [{0.1: [0.5]}, {0.1: [None]}, {0.01: [0.5], 0.1: [0.4], 1.0: [None]}])
def test_little_is_known_of_little_and_json_can_say_it(values: dict[float, list[float | None]]) -> None:
    for axis in ("width", "subset", "optimizer"):
        card = dealt(rows(values, **{axis: 1}), rows(values, **{axis: 2}))[axis]
        assert card.title
        json.dumps(card.document(), allow_nan=False)


def test_a_sweep_of_one_setting_has_no_cards() -> None:
    assert dealt(rows(valley(-2))) == {}
