"""The fitted rate is the minimum of the parabola round the best rate, its interval is as wide as the seeds deserve.

Expected numbers are known in advance, or found by NumPy's polynomial fit and SciPy's t, one resample after the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy import stats

from lrsweep.analysis.fit import REPLICATES, Fit, fit, resamples
from lrsweep.analysis.profiles import Profile
from lrsweep.vocabulary import Array

THIRDS = np.arange(-12, 1) / 3
"""Thirteen rates over four decades, by their logarithms."""


def profile(decades: Sequence[float] | Array, values: Array, stopped: Sequence[int] = ()) -> Profile:
    """Losses or scores (K, S); the runs at the places that are `stopped` were."""
    values = np.asarray(values, dtype=float)
    told = np.log(values, where=values > 0, out=np.full_like(values, np.nan))
    gone = np.isin(np.arange(len(values)), stopped)
    return Profile({}, 10.0 ** np.asarray(decades), np.arange(values.shape[1]), values, told, gone)


def scores(decades: Array, at: Sequence[float]) -> Array:
    """One exact parabola per seed, with its maximum at `at`: (K, S)."""
    return 0.9 - 0.1 * (decades[:, None] - np.asarray(at)) ** 2


def by_heights(heights: Sequence[float], per_decade: int = 3) -> Profile:
    """Losses with these logarithms, the same for three seeds."""
    return profile(np.arange(len(heights)) / per_decade, np.exp(np.tile(np.asarray(heights, float)[:, None], 3)))


def half_width(seeds: float, reach: float = 1 / 3) -> float:
    """Of the interval, in decades: what the seeds leave open, and three tenths of the window's reach in squares."""
    return math.hypot(seeds, stats.norm.ppf(0.975) * 0.3 * reach**2)


def noisy(seeds: int, decades: Array = THIRDS, spread: float = 0.2) -> Profile:
    """Lopsided losses with their minimum near a rate of 0.01."""
    random = np.random.default_rng(seeds)
    u = decades[:, None] + 2 + 0.1 * random.standard_normal(seeds)
    return profile(decades, np.exp(u**2 + 0.3 * u**3 / 3 + spread * random.standard_normal(u.shape)))


def numbers(found: Fit) -> Array:
    """All that a fit found."""
    assert found.rate is not None
    assert found.interval is not None
    return np.concatenate([[found.rate, *found.interval], found.samples])


@pytest.mark.parametrize("at", [-2.0, -1.9, -2.1])
def test_the_minimum_of_an_exact_parabola_of_the_log_loss(at: float) -> None:
    losses = np.exp((THIRDS - at) ** 2)[:, None] * [0.1, 0.2, 0.4]
    assert fit(profile(THIRDS, losses), lower_is_better=True).rate == pytest.approx(10**at)


def test_the_maximum_of_a_score() -> None:
    assert fit(profile(THIRDS, scores(THIRDS, [-2.1])), lower_is_better=False).rate == pytest.approx(10**-2.1)


def test_the_fit_is_that_of_the_mean_and_not_of_the_mean_logarithm() -> None:
    """Seeds with a tenth of the loss hardly count, as in the ranking."""
    near, far = (np.exp((THIRDS - at) ** 2) for at in (-2.0, -1.7))
    found = fit(profile(THIRDS, np.stack([near, 1e-6 * far], axis=1)), lower_is_better=True)
    assert found.rate == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_the_interval_of_parabolas_is_the_t_interval_of_their_maxima(n: int) -> None:
    """The mean of parabolas of one width has its maximum at the mean of theirs."""
    at = -2 + 0.1 * np.random.default_rng(n).standard_normal(n)
    found = fit(profile(THIRDS, scores(THIRDS, at)), lower_is_better=False)
    half = half_width(stats.t.ppf(0.975, n - 1) * at.std(ddof=1) / math.sqrt(n))
    assert found.interval is not None
    ends = max(at.mean() - half, THIRDS[0]), min(at.mean() + half, THIRDS[-1])
    assert np.log10(found.interval) == pytest.approx(ends, abs=0.2 * half)


def test_rate_and_samples_agree_with_polyfit() -> None:
    """The window: a third of a decade to each side of each resample's own best."""
    case = noisy(5)
    found = fit(case, lower_is_better=True)

    def slowly(weights: Array) -> float:
        y = np.log(case.values @ weights)
        best = int(y.argmin())
        window = slice(best - 1, best + 2)
        c, b, _ = np.polyfit(THIRDS[window], y[window], 2)
        return float(-b / (2 * c))

    assert found.rate is not None
    assert math.log10(found.rate) == pytest.approx(slowly(np.full(5, 0.2)))
    expected = [slowly(weights) for weights in resamples(5)]
    assert np.ptp(expected) > 0.1
    assert found.samples == pytest.approx(expected)


def test_the_interval_has_the_bootstraps_standard_error_widened_for_few_seeds() -> None:
    found = fit(noisy(3), lower_is_better=True)
    half = half_width(stats.t.ppf(0.975, 2) * math.sqrt(3 / 2) * np.std(found.samples))
    assert found.rate is not None
    assert found.interval == pytest.approx((found.rate / 10**half, found.rate * 10**half), rel=1e-3)


@pytest.mark.parametrize("per_decade", [1, 2, 3])
def test_however_many_the_seeds_the_parabola_is_not_the_profile(per_decade: int) -> None:
    """A lopsided profile with its minimum at 0.01, between two rates: the parabola's is off, and the interval says so.

    With the logarithm e^1.5u - 1.5u - 1 the loss rises the faster the higher the rate.
    """
    decades = np.arange(-4, 0.01, 1 / per_decade) + 0.3 / per_decade
    u = decades[:, None] + 2 + 0.001 * np.random.default_rng(0).standard_normal((1, 50))
    found = fit(profile(decades, np.exp(np.exp(1.5 * u) - 1.5 * u - 1)), lower_is_better=True)
    assert found.rate is not None
    assert found.interval is not None
    off = abs(math.log10(found.rate) + 2)
    assert off > 20 * found.samples.std()
    assert found.interval[0] < 0.01 < found.interval[1]
    assert found.grid_error == pytest.approx(0.3 / per_decade**2)
    assert np.ptp(np.log10(found.interval)) == pytest.approx(2 * half_width(0, 1 / per_decade), rel=0.01)


def test_seeds_that_agree_do_not_tell_how_sure_the_rate_is() -> None:
    """Accuracies of few rows are often the same for all seeds."""
    found = fit(profile(THIRDS, scores(THIRDS, [-2.1] * 3)), lower_is_better=False)
    assert found.rate == pytest.approx(10**-2.1)
    assert (found.interval, len(found.samples)) == (None, 0)
    assert "alike" in found.reason


def test_what_differs_in_the_last_digit_is_equal() -> None:
    """Three rates with one mean but for rounding: the lowest is the best, here at the edge."""
    values = np.array([[0.3, 0.5], [0.3 - 1e-14, 0.5], [0.3, 0.5]])
    assert "edge" in fit(profile([-2, -1, 0], values), lower_is_better=True).reason
    values[1, 0] -= 1e-9
    assert fit(profile([-2, -1, 0], values), lower_is_better=True).rate == pytest.approx(0.1)


def test_on_an_uneven_grid_the_farther_neighbour_is_the_windows_reach() -> None:
    found = fit(profile([-1.5, -1.0, 0.0], np.array([[2.0], [1.0], [2.0]])), lower_is_better=True)
    assert found.grid_error == pytest.approx(0.3)


def test_the_interval_ends_where_the_rates_do() -> None:
    decades = np.array([-2.4, -2.0, -1.6])
    found = fit(profile(decades, scores(decades, [-2.2, -1.8])), lower_is_better=False)
    assert found.interval == pytest.approx((10**-2.4, 10**-1.6))


def test_the_same_every_time() -> None:
    first, second = (fit(noisy(4), lower_is_better=True) for _ in range(2))
    assert (first.rate, first.interval) == (second.rate, second.interval)


def test_settings_with_as_many_seeds_resample_the_same_positions() -> None:
    case = noisy(5)
    narrow = fit(case, lower_is_better=True)
    wide = fit(profile(THIRDS + 1, case.values), lower_is_better=True)
    assert len(narrow.samples) == REPLICATES
    assert wide.samples - narrow.samples == pytest.approx(np.ones(REPLICATES))


def test_resamples_are_shares_of_the_seeds() -> None:
    shares = resamples(7)
    assert shares.shape == (REPLICATES, 7)
    assert shares.sum(axis=1) == pytest.approx(np.ones(REPLICATES))
    assert shares.mean(axis=0) == pytest.approx(np.full(7, 1 / 7), abs=0.03)


def test_what_is_far_from_the_best_has_no_say() -> None:
    case = noisy(3)
    other = case.values.copy()
    other[:2] *= 2
    other[-2:] *= 5
    assert numbers(fit(profile(THIRDS, other), True)) == pytest.approx(numbers(fit(case, True)))


def test_exploded_rates_have_no_say() -> None:
    """A neighbour whose loss is 120 times the best's is left out, and so is one with 1e30 times."""
    some, more = ([2.0, 1.0, 0.3, 0.0, 0.2, height, 5.0] for height in (math.log(120), math.log(1e30)))
    assert fit(by_heights(some), True).rate == fit(by_heights(more), True).rate


def test_lost_rates_have_no_say() -> None:
    case = noisy(3)
    known, lost = case.values.copy(), case.values.copy()
    known[-1], lost[-1, 1] = np.exp(9.0), np.nan
    found, expected = (fit(profile(THIRDS, values), True) for values in (lost, known))
    assert numbers(found) == pytest.approx(numbers(expected))


def test_a_coarse_grid_is_fitted_through_its_neighbours() -> None:
    decades = np.array([-4.0, -3.0, -2.0, -1.0, 0.0])
    found = fit(profile(decades, np.exp((decades + 2.2) ** 2)[:, None]), lower_is_better=True)
    assert found.rate == pytest.approx(10**-2.2)


def test_a_fine_grid_uses_all_that_is_near() -> None:
    decades = np.linspace(-3, -1, 81)
    random = np.random.default_rng(0)
    y = (decades + 2) ** 2 + 0.01 * random.standard_normal(81)
    inside = np.abs(decades - decades[y.argmin()]) < 0.41
    c, b, _ = np.polyfit(decades[inside], y[inside], 2)
    assert fit(profile(decades, np.exp(y)[:, None]), True).rate == pytest.approx(10 ** (-b / (2 * c)))


def test_one_seed_has_a_rate_without_an_interval() -> None:
    found = fit(noisy(1), lower_is_better=True)
    assert found.rate is not None
    assert (found.interval, len(found.samples)) == (None, 0)
    assert "one seed" in found.reason


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (by_heights([0.0]), "edge"),
        (by_heights([0.0, 1.0]), "edge"),
        (by_heights([0.0, 1.0, 2.0]), "edge"),
        (by_heights([2.0, 1.0, 0.0]), "edge"),
        (by_heights([np.nan, np.nan, np.nan]), "no rate trained with all of its seeds"),
        (by_heights([2.0, 1.0, 0.0, np.nan, np.nan, np.nan]), "just above the best, runs did not finish"),
        (by_heights([2.0, 1.0, 0.0, 20.0, 40.0, 60.0]), "just above the best, the loss is over 100 times as high"),
        (by_heights([40.0, 20.0, 0.0, 1.0, 2.0]), "just below the best, the loss is over 100 times as high"),
        (
            profile([-4.0, -2.0, 0.0], np.array([[2.0], [1.0], [2.0]])),
            "no rate within 1.5 decades below the best was tried",
        ),
        (
            profile([-1.0, 0.0, 2.0], np.array([[2.0], [1.0], [2.0]])),
            "no rate within 1.5 decades above the best was tried",
        ),
        (profile([-1.0, 0.0, 1.0, 2.0], np.array([[2.0], [1.0], [np.nan], [2.0]])), "above the best, runs did not"),
        (by_heights([0.0, 0.0, 0.0]), "edge"),
        (by_heights([0.02, 1.0, 0.0, 1.0, 0.01], per_decade=6), "does not bend upwards"),
        (by_heights([0.5, 1.3, 0.0, 0.5, 0.5], per_decade=6), "outside"),
    ],
)
def test_where_nothing_can_be_fitted_the_reason_is_told(case: Profile, reason: str) -> None:
    found = fit(case, lower_is_better=True)
    assert (found.rate, found.interval, len(found.samples)) == (None, None, 0)
    assert reason in found.reason


def test_a_score_that_falls_off_has_its_own_reason() -> None:
    """R² knows no lower end."""
    found = fit(profile([-1.0, 0.0, 1.0], np.array([[0.5], [0.9], [-9.0]])), lower_is_better=False)
    assert found.reason == "just above the best, the score is lower by over 4.6"


def test_a_resample_without_a_minimum_counts_with_its_best_rate() -> None:
    """One of three seeds is best at the lowest rate: where it is alone in a resample, that is what it says."""
    decades = np.arange(5) / 3
    found = fit(profile(decades, scores(decades, [0.9, 1.0, -0.5])), lower_is_better=False)
    assert found.rate is not None
    alone = resamples(3)[:, 2] == 1
    assert alone.any()
    assert (found.samples[alone] == 0).all()


def test_many_seeds_take_little_memory() -> None:
    """20 rates and 500 seeds, resampled: the resamples themselves, not rates × seeds × resamples."""
    import tracemalloc

    case = noisy(500, np.linspace(-4, 0, 20))
    tracemalloc.start()
    fit(case, lower_is_better=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def followed(x: Array, y: Array, reach: float) -> float:
    """The minimum of the parabola over what is within `reach` of it, found from the best rate; slowly."""
    centre = x[y.argmin()]
    for window in (0.41, *[reach] * 4):
        inside = np.abs(x - centre) <= window
        c, b, _ = np.polyfit(x[inside] - centre, y[inside], 2)
        centre += -b / (2 * c)
    return float(centre)


def test_of_many_rates_the_window_follows_the_minimum() -> None:
    """Noise makes a rate the best that is far from the middle of the valley."""
    decades = np.linspace(-3, -1, 49)
    y = (decades + 2) ** 2 + 0.001 * np.random.default_rng(1).standard_normal(49)
    y[decades.searchsorted(-1.8)] = -0.01
    found = fit(profile(decades, np.exp(y)[:, None]), lower_is_better=True).rate
    assert found is not None
    assert math.log10(found) == pytest.approx(followed(decades, y, 0.41), abs=1e-9)
    assert abs(math.log10(found) + 2) < 0.02 < abs(decades[y.argmin()] + 2)


@pytest.mark.parametrize("per_decade", [3, 4])
def test_of_few_rates_the_window_is_the_bests(per_decade: int) -> None:
    decades = np.arange(-4 * per_decade, 1) / per_decade
    case = noisy(5, decades)
    at = int(np.log(case.values.mean(axis=1)).argmin())
    c, b, _ = np.polyfit(decades[at - 1 : at + 2], np.log(case.values.mean(axis=1))[at - 1 : at + 2], 2)
    found = fit(case, lower_is_better=True)
    assert found.rate == pytest.approx(10 ** (-b / (2 * c)))
    assert found.grid_error == pytest.approx(0.3 / per_decade**2)


def test_rates_added_round_the_best_make_seeds_that_agree_surer() -> None:
    """The parabola goes through the nearest five, which are within 0.14 decades, instead of those within 0.41."""
    decades = np.sort(np.append(np.arange(-4, 0.01, 1 / 3), -2 + np.array([-0.12, -0.06, 0.06, 0.12])))
    case = profile(decades, scores(decades, [-2.001, -2.0, -1.999]))
    found = fit(case, lower_is_better=False)
    assert found.grid_error == pytest.approx(0.3 * 0.12**2, rel=0.02)
    assert found.interval is not None
    assert np.ptp(np.log10(found.interval)) == pytest.approx(2 * half_width(0, 0.12), rel=0.2)


def test_seeds_that_disagree_are_not_made_surer_by_a_narrow_window() -> None:
    decades = np.arange(-48, 1) / 12
    found = fit(profile(decades, scores(decades, [-2.3, -2.0, -1.7])), lower_is_better=False)
    assert found.grid_error == pytest.approx(0.3 / 3**2, rel=0.6)
    assert found.grid_error > 0.3 * 0.29**2
