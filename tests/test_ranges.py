"""The range test finds its landmarks without lag, keeps within its ramp, and tells nothing of hopeless ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from ramps_made_up import RATES, STAY, X, noisy, ramp_of, told_of

from lrsweep.analysis import ranges
from lrsweep.analysis.range_rules import DIVERGED
from lrsweep.analysis.range_trust import document, trust
from lrsweep.analysis.ranges import RULES, range_test
from lrsweep.vocabulary import Array

# Smoothing


def averaged(losses: Array, weight: float = 0.98) -> Array:
    """The exponential average that libraries smooth with, corrected for its start."""
    mean, told = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean = weight * mean + (1 - weight) * loss
        told.append(mean / (1 - weight**i))
    return np.array(told)


def test_smoothing_does_not_lag_where_an_exponential_average_does() -> None:
    """The steepest point and the minimum of a curve that is known."""
    losses = ramp_of()
    smooth = np.exp(ranges.smooth(X, np.log(losses)))
    lagging = averaged(losses)
    steepest = [X[np.gradient(curve[:75], X[:75]).argmin()] for curve in (losses, smooth, lagging)]
    lowest = [X[curve.argmin()] for curve in (losses, smooth, lagging)]
    for own, found, late in (steepest, lowest):
        assert abs(found - own) < 0.09  # a step of the ramp is 0.08 decades
        assert late - own > 0.5


def test_smoothing_is_symmetric() -> None:
    """Reading the ramp from the other end gives the same curve: what no average over the past can do."""
    losses = noisy(ramp_of(), 0)
    there, back = ranges.smooth(X, losses), ranges.smooth(-X[::-1], losses[::-1])[::-1]
    np.testing.assert_allclose(there, back, rtol=1e-9)


def test_smoothing_is_a_weighted_straight_line_at_each_place() -> None:
    y = np.random.default_rng(1).standard_normal(100)
    expected = [
        np.polyval(np.polyfit(X - at, y, 1, w=np.sqrt(np.exp(-0.5 * ((X - at) / ranges.BANDWIDTH) ** 2))), 0)
        for at in X
    ]
    np.testing.assert_allclose(ranges.smooth(X, y), expected, atol=2e-3)  # the kernel is cut at four deviations


def test_smoothing_keeps_a_straight_line_to_its_ends() -> None:
    np.testing.assert_allclose(ranges.smooth(X, 3 - 0.5 * X), 3 - 0.5 * X, rtol=1e-12)


def test_few_steps_over_many_decades_are_smoothed_over_their_neighbours() -> None:
    x = np.linspace(-7, 1, 9)
    assert np.isfinite(ranges.smooth(x, np.arange(9.0))).all()


# Landmarks and the interval


@pytest.mark.parametrize(("fall", "rise"), [(-2.2, -0.3), (-4.0, -1.0), (-3.0, 0.2)])
def test_landmarks_are_where_they_are(fall: float, rise: float) -> None:
    found = told_of(ramp_of(fall, rise)).landmarks
    assert found is not None
    assert found.half == pytest.approx(fall, abs=0.06)
    assert found.back == pytest.approx(rise, abs=0.06)
    assert found.rises


def test_a_dip_before_the_fall_is_no_landmark() -> None:
    dip = 1.4 * np.exp(-0.5 * ((X + 5.5) / 0.2) ** 2)
    plain, dipped = told_of(ramp_of()).landmarks, told_of(ramp_of() - dip).landmarks
    assert plain is not None
    assert dipped is not None
    assert dipped.half == pytest.approx(plain.half, abs=0.01)


def test_a_crossing_lies_between_two_places() -> None:
    x = np.array([0.0, 1.0, 3.0])
    assert ranges.crossing(x, np.array([-1.0, -1.0, 3.0])) == 1.5
    assert ranges.crossing(x, np.array([1.0, -1.0, 3.0])) == 0
    assert ranges.crossing(x, np.array([-3.0, -2.0, -1.0])) is None


@pytest.mark.parametrize("steps", [60.0, 300.0, 30_000.0])
def test_the_interval_is_the_landmarks_times_powers_of_the_length(steps: float) -> None:
    test = told_of(ramp_of(-3.0, -0.3), steps=steps)
    assert test.interval is not None
    assert test.suggestion is not None
    low, high = test.interval
    assert math.log10(low) == pytest.approx(math.log10(10e-3 * STAY / steps), abs=0.08)
    assert math.log10(high) == pytest.approx(math.log10(1.6 * 10**-0.3 * math.sqrt(STAY / steps)), abs=0.08)
    assert math.log10(test.suggestion) == pytest.approx(0.575 * math.log10(low) + 0.425 * math.log10(high), abs=0.05)


def test_an_interval_is_a_decade_at_least_below_the_upper_end() -> None:
    """Where the ramp falls late, runs would have to go faster than is stable."""
    narrow = told_of(ramp_of(-0.8, -0.3), steps=60).interval
    assert narrow is not None
    assert narrow[1] / narrow[0] == pytest.approx(10, rel=0.12)
    assert math.log10(narrow[1]) == pytest.approx(math.log10(1.6 * 10**-0.3 * math.sqrt(STAY / 60)), abs=0.08)


@pytest.mark.parametrize("rise", [-0.3, 0.55, 2.0])
def test_however_few_the_steps_no_end_is_beyond_where_the_ramp_falls_and_breaks(rise: float) -> None:
    """With as many as it takes the ends are those landmarks, and with fewer no others; the ramp ends at 10."""
    losses = ramp_of(rise=rise)
    for steps in (0.5, 1.0, 4.0, 12.0):
        test = told_of(losses, steps=steps)
        assert test.interval is not None
        low, high = test.interval
        assert high <= min(10.0, 10 ** (rise + 0.02))
        assert math.log10(high) == pytest.approx(min(rise, 1.0), abs=0.06)
        assert math.log10(low) == pytest.approx(-2.2, abs=0.08)
        assert low < test.suggestion < high  # type: ignore[operator]


def test_runs_that_are_too_short_for_the_ramp_are_doubted() -> None:
    """Shorter than ten of its stays at a rate: 54 steps."""
    told = {steps: told_of(ramp_of(), ramp_of(), steps=steps).doubts for steps in (4.0, 53.0, 54.0)}
    said = "the runs go 4 steps, and the ramp can tell of 54 or more: the interval is extrapolated"
    assert told[4.0] == (said,)
    assert told[53.0] == (said.replace("go 4", "go 53"),)
    assert told[54.0] == ()


def test_the_ends_are_what_is_shown_of_them_and_hold_the_exact_ones() -> None:
    for seed in range(20):
        test = told_of(noisy(ramp_of(), seed))
        assert test.interval is not None
        assert test.landmarks is not None
        low, high = test.interval
        exact = test.landmarks.interval(300 / ranges.stay(X))
        assert [low, high] == [float(f"{low:.2g}"), float(f"{high:.2g}")]
        assert math.log10(low) <= exact[0] + 1e-9 < math.log10(low) + 0.042
        assert math.log10(high) >= exact[1] - 1e-9 > math.log10(high) - 0.042


@pytest.mark.parametrize("power", [-9, -7, -3, 0, 1, 5])
def test_a_rate_of_two_digits_is_not_rounded_further(power: int) -> None:
    for i in range(10, 100):
        rate = float(f"{i}e{power}")
        assert ranges.two_digits(rate, math.floor) == ranges.two_digits(rate, math.ceil) == rate
        assert ranges.two_digits(1.0001 * rate, math.floor) == rate
        assert ranges.two_digits(0.9999 * rate, math.ceil) == rate


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_loss_does_not_matter(scale: float) -> None:
    own, scaled = told_of(ramp_of()).interval, told_of(scale * ramp_of()).interval
    assert own == pytest.approx(scaled)


@pytest.mark.parametrize("huge", [1e9, 1e300, np.inf, np.nan])
def test_how_far_a_loss_overflows_does_not_matter(huge: float) -> None:
    """Beyond the ceiling all losses are one, so none reaches back through the smoothing."""
    losses = ramp_of()
    beyond = losses > 1.05 * ranges.CEILING * losses[:10].mean()
    assert 5 < beyond.sum() < 20
    assert told_of(np.where(beyond, huge, losses)).interval == pytest.approx(told_of(losses).interval)


def test_the_interval_is_near_that_of_the_curve_without_noise() -> None:
    exact = np.log10(told_of(ramp_of()).interval)
    for seed in range(20):
        found = told_of(*(noisy(ramp_of(), 3 * seed + i) for i in range(3))).interval
        assert found is not None
        assert np.abs(np.log10(found) - exact).max() < 0.25


def test_what_was_met_is_told_as_it_was_met() -> None:
    losses = np.stack([noisy(ramp_of(), 0), np.where(X < 0, noisy(ramp_of(), 1), np.inf)])
    given = losses.copy()
    test = told_of(*losses, layers="first")
    np.testing.assert_array_equal(losses, given)
    np.testing.assert_array_equal(test.losses, np.where(np.isfinite(given), given, np.nan))
    np.testing.assert_array_equal(np.isnan(test.smoothed), ~np.isfinite(given))
    assert np.isfinite(test.mean).all()
    assert (test.rates.tolist(), test.seeds, test.layers) == (RATES.tolist(), (0, 1), "first")


def test_a_loss_after_one_that_was_not_finite_is_not_met() -> None:
    losses = ramp_of()
    losses[60] = np.nan
    assert np.isnan(told_of(losses).losses[0, 60:]).all()


def test_a_seed_that_is_lost_early_lowers_the_upper_end() -> None:
    whole = told_of(ramp_of(), ramp_of(), ramp_of()).interval
    lost = told_of(ramp_of(), ramp_of(), np.where(X < -1.2, ramp_of(), np.nan)).interval
    assert whole is not None
    assert lost is not None
    assert lost[1] < 0.8 * whole[1]


# Seeds and rules


def test_the_band_is_that_of_the_suggestions_of_single_seeds() -> None:
    shifts = (0.0, 0.4, -0.24)
    test = told_of(*(ramp_of(-2.2 + shift, -0.3 + shift) for shift in shifts))
    assert test.seed_band is not None
    low, high = np.log10(test.seed_band)
    assert high - low == pytest.approx(0.64, abs=0.02)
    alone = told_of(ramp_of(-2.2, -0.3)).suggestion
    assert alone is not None
    assert low == pytest.approx(math.log10(alone) - 0.24, abs=0.02)


def test_the_band_holds_the_suggestion() -> None:
    """Also of seeds whose mean tells another rate than any of them: it has the depth of none."""
    for seed in range(20):
        test = told_of(*(noisy(ramp_of(depth=0.9), 3 * seed + i, 0.2) for i in range(3)))
        assert test.seed_band is not None
        assert test.seed_band[0] <= test.suggestion <= test.seed_band[1]  # type: ignore[operator]


@pytest.mark.parametrize("losses", [[ramp_of()], [ramp_of(), np.full(100, 2.3), np.full(100, 2.3)]])
def test_one_seed_has_no_band(losses: list[Array]) -> None:
    test = told_of(*losses)
    assert test.suggestion is not None
    assert test.seed_band is None
    assert test.doubts


def test_the_rules_are_read_off_the_mean_and_disagree_by_their_spread() -> None:
    test = told_of(*(noisy(ramp_of(), seed) for seed in range(3)))
    assert tuple(test.rules) == RULES
    assert test.rules["minimum"] == RATES[10:][test.mean[10:90].argmin()] / 10
    known = [rate for rate in test.rules.values() if rate is not None]
    assert test.disagreement_decades == pytest.approx(math.log10(max(known) / min(known)))


# Hopeless ramps

FLAT = np.full(100, 2.3)
HOPELESS: dict[str, tuple[Callable[[int], Array], str]] = {
    "flat": (lambda seed: FLAT, "flat"),
    "noise": (lambda seed: noisy(FLAT, seed, 0.3), "flat"),
    "zero": (lambda seed: 0 * FLAT, "flat"),
    "never falls": (lambda seed: noisy(FLAT, seed, 0.01) * (1 + 10 ** (X + 1)), "never falls"),
    "never falls, and breaks near the start": (
        lambda seed: noisy(FLAT, seed, 0.01) * (1 + 10 ** (X + 5)),
        "start the ramp lower",
    ),
    "diverges at once": (lambda seed: noisy(FLAT * 10 ** np.arange(100.0), seed), "diverges at once"),
    "not finite at once": (lambda seed: np.where(np.arange(100) < 2, 2.3, np.nan), "diverges at once"),
    "not finite after a flat part": (
        lambda seed: np.where(np.arange(100) < 60, noisy(FLAT, seed), np.nan),
        "never falls",
    ),
    "falls at once": (lambda seed: np.where(np.arange(100) < 1, 2.3, 0.1), "falls with the first steps and no further"),
    "nan from the start": (lambda seed: np.full(100, np.nan), "not finite from the first step on"),
    "inf": (lambda seed: np.full(100, np.inf), "not finite from the first step on"),
}


REMEDIES = {
    **{"flat": "higher", "noise": "higher", "zero": "higher", "never falls": "finer"},
    **{"never falls, and breaks near the start": "lower", "diverges at once": "lower", "not finite at once": "lower"},
    **{"not finite after a flat part": "finer", "falls at once": "lower", "nan from the start": "", "inf": ""},
}


@pytest.mark.parametrize("n_seeds", [1, 3])
@pytest.mark.parametrize("kind", HOPELESS)
def test_a_hopeless_ramp_has_a_reason_and_nothing_else(kind: str, n_seeds: int) -> None:
    losses, reason = HOPELESS[kind]
    test = told_of(*(losses(seed) for seed in range(n_seeds)))
    assert reason in test.reason
    assert test.remedy == REMEDIES[kind]
    assert (test.interval, test.suggestion, test.seed_band, test.disagreement_decades) == (None,) * 4
    assert set(test.rules.values()) == {None}
    assert trust(test, None) == ("none", test.reason)
    told = document(test, None)
    assert (told["interval"], told["suggestion"], told["trust"], told["reason"]) == (None, None, "none", test.reason)
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("count", [0, 1, 2, 19])
def test_a_ramp_of_few_steps_is_too_short(count: int) -> None:
    test = range_test({}, RATES[:count], ramp_of()[None, :count], [0], 300)
    assert "too short" in test.reason
    assert test.interval is None


def test_noise_alone_suggests_nothing() -> None:
    """Of 200 ramps of batches whose loss scatters by 20%."""
    told = [told_of(*(noisy(FLAT, 3 * seed + i, 0.2) for i in range(3))).suggestion for seed in range(200)]
    assert sum(rate is not None for rate in told) <= 2


def test_a_small_fall_is_told_by_more_seeds() -> None:
    """A regression whose loss falls by a fifth, in batches that scatter by 30%."""
    shallow = ramp_of(depth=0.6)
    alone = [told_of(noisy(shallow, seed, 0.3)).suggestion for seed in range(10)]
    together = told_of(*(noisy(shallow, seed, 0.3) for seed in range(10)))
    assert None in alone
    assert together.suggestion is not None


def test_the_ceiling_is_where_libraries_call_a_ramp_diverged() -> None:
    assert ranges.CEILING == DIVERGED
