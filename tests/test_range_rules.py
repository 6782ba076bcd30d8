"""The published rules give the values that are known of them, and agree with slow versions on random curves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

import numpy as np
import pytest

from lrsweep.analysis import range_rules
from lrsweep.analysis.range_rules import RULES, stopped, suggestions
from lrsweep.vocabulary import Array

RATES = 1e-7 * 1e8 ** (np.arange(101) / 100)
X = np.log10(RATES)
KNOWN = 2.3 - 1.6 / (1 + np.exp(-4 * (X + 2.2))) + np.minimum((RATES / 0.35) ** 2, 50)
"""A loss that falls round 10^-2.2 and comes back round 0.5."""


@pytest.mark.parametrize(
    ("rule", "rate"),
    [
        ("valley", "1.584893e-04"),
        ("slide", "3.019952e-05"),
        ("minimum", "5.754399e-03"),
        ("steep", "5.248075e-03"),
        ("lightning", "3.019952e-03"),
        ("pytorch_lr_finder", "6.309573e-03"),
    ],
)
def test_known_values_to_all_digits(rule: str, rate: str) -> None:
    assert f"{suggestions(RATES, KNOWN)[rule]:.6e}" == rate


def test_the_known_curve_stops_where_it_does() -> None:
    assert (stopped(KNOWN), f"{RATES[stopped(KNOWN) - 1]:.6f}") == (86, "0.630957")


def random_curves(n: int, count: int = 60) -> list[Array]:
    """Losses (n,) of all sorts: noise, noisy falls, and steps with many equal values."""
    random = np.random.default_rng(n)
    noise = random.standard_normal((count, n))
    fall = np.linspace(2, 0, n)
    return [*(noise[: count // 3]), *(fall + 0.5 * noise[: count // 3]), *np.round(noise[: count // 3])]


def longest_falls(losses: Array) -> list[tuple[int, ...]]:
    """All longest strictly decreasing subsequences, as indices, by trying every choice of places."""
    for size in range(len(losses), 0, -1):
        found = [
            places
            for places in combinations(range(len(losses)), size)
            if all(losses[a] > losses[b] for a, b in pairwise(places))
        ]
        if found:
            return found
    return []


@pytest.mark.parametrize("n", [2, 3, 6, 10])
def test_valley_is_in_the_longest_fall(n: int) -> None:
    rates = 10.0 ** np.arange(n)
    for losses in random_curves(n):
        falls = longest_falls(losses)
        size, end = len(falls[0]), min(fall[-1] for fall in falls)
        place = end - size + size // 3 + size // 6  # int(t/2) of t = size/3
        expected = None if size == 1 else rates[max(0, place)]
        assert range_rules.valley(rates, losses) == expected


def gradient(losses: Array, at: Array) -> list[float]:
    """Slopes by parabolas through three neighbours, and by straight lines at the ends."""
    slopes = [(losses[1] - losses[0]) / (at[1] - at[0])]
    for i in range(1, len(losses) - 1):
        before, after = at[i] - at[i - 1], at[i + 1] - at[i]
        left, right = (losses[i] - losses[i - 1]) / before, (losses[i + 1] - losses[i]) / after
        slopes.append((after * left + before * right) / (before + after))
    return [*slopes, (losses[-1] - losses[-2]) / (at[-1] - at[-2])]


def slide_by_hand(rates: Array, losses: Array) -> float | None:
    slopes = gradient(losses, np.arange(len(losses)))
    if len(losses) < 16:
        return None
    found = len(losses) - 16
    for steps in range(len(losses) - 15):
        right, left = len(losses) - 1 - steps, len(losses) - 16 - steps
        if abs(slopes[right] - slopes[left]) <= 0.005:
            break
        found = left
    return float(rates[found])


def by_hand(place: Callable[[Array], Array]) -> Callable[[Array, Array], float | None]:
    """The rate with the lowest slope by what `place` makes of the rates; None where nothing falls."""

    def rule(rates: Array, losses: Array) -> float | None:
        slopes = gradient(losses, place(rates))
        return float(rates[slopes.index(min(slopes))]) if any(b < a for a, b in pairwise(losses)) else None

    return rule


@pytest.mark.parametrize(
    ("rule", "slow"),
    [
        (range_rules.slide, slide_by_hand),
        (range_rules.pytorch_lr_finder, by_hand(lambda rates: np.arange(len(rates)))),
        (range_rules.lightning, by_hand(lambda rates: rates)),
    ],
)
@pytest.mark.parametrize("n", [2, 15, 16, 17, 40])
def test_rules_agree_with_slow_versions(rule: Callable[..., float], slow: Callable[..., float], n: int) -> None:
    rates = 1e-3 * 2.0 ** np.arange(n)  # powers of two: differences of them are exact
    for losses in random_curves(n)[:40]:  # without those whose slopes are equal but for rounding
        assert rule(rates, losses) == slow(rates, losses)


def test_slide_goes_left_while_slopes_differ_by_more_than_its_threshold() -> None:
    """A kink: slopes left of it are -0.1, right of it 0, so pairs of places differ while the kink is between them."""
    losses = np.concatenate([2 - 0.1 * np.arange(20), np.full(20, 0.1)])
    assert range_rules.slide(np.arange(40.0), losses) == 24
    left = np.concatenate([np.full(30, 2.0), 2 - 0.1 * np.arange(1, 13)])  # falls to the end
    assert range_rules.slide(np.arange(42.0), left) == 14


def test_steep_is_by_the_logarithm_from_one_rate_to_the_next() -> None:
    rates = np.array([0.001, 0.01, 0.02, 0.2, 2.0])
    losses = np.array([5.0, 4.0, 3.5, 2.2, 2.1])  # per e-fold 0.43, 0.72, 0.56, 0.04
    assert range_rules.steep(rates, losses) == 0.01


def test_minimum_is_a_tenth_of_the_rate_with_the_first_lowest_loss() -> None:
    assert range_rules.minimum(np.array([1.0, 2.0, 3.0]), np.array([5.0, 4.0, 4.0])) == pytest.approx(0.2)


@pytest.mark.parametrize("losses", [[], [1.0], [1.0, 2.0, 3.0], [1.0] * 30])
def test_what_does_not_fall_has_no_valley_and_no_slope(losses: list[float]) -> None:
    rates = 10.0 ** np.arange(len(losses))
    for name in ("valley", "steep", "pytorch_lr_finder", "lightning"):
        assert RULES[name].rate(rates, np.array(losses)) is None


@pytest.mark.parametrize(
    ("losses", "count"),
    [
        ([2.0, 1.0, 4.0, 4.1, 9.0], 4),  # the first above 4 × 1 is still met
        ([2.0, 7.9, 8.0, 1.9, 7.7], 5),  # 4 × the best so far, not of all
        ([1.0, np.inf, 0.5], 1),
        ([np.nan, 1.0], 0),
        ([1.0, 5.0, np.nan], 2),
        ([], 0),
    ],
)
def test_a_ramp_stops_at_four_times_the_best_or_before_what_is_not_finite(losses: list[float], count: int) -> None:
    assert stopped(np.array(losses)) == count


@pytest.mark.parametrize(
    ("rule", "first", "last"),
    [("minimum", 20, -5), ("slide", 20, -5), ("pytorch_lr_finder", 10, -5), ("lightning", 10, -1)],
)
def test_the_cut_is_that_of_the_library(rule: str, first: int, last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the steps and the last 5 met in fastai; 10 and 5 in pytorch-lr-finder, 10 and 1 in Lightning."""
    seen = []
    spy = range_rules.Rule(lambda rates, losses: seen.append((rates, losses)), RULES[rule].start, RULES[rule].end)
    monkeypatch.setitem(RULES, rule, spy)
    rates, losses = np.geomspace(1e-7, 10, 200), np.concatenate([np.full(150, 1.0), np.full(50, np.nan)])
    suggestions(rates, losses)
    [(cut, values)] = seen
    assert cut.tolist() == rates[:150][first:last].tolist()
    assert len(values) == len(cut)


@pytest.mark.parametrize("met", [0, 1, 9, 12, 16, 40])
def test_a_ramp_that_ends_early_raises_nothing(met: int) -> None:
    losses = np.where(np.arange(101) < met, KNOWN, np.nan)
    told = suggestions(RATES, losses)
    assert list(told) == ["valley", "slide", "minimum", "steep", "pytorch_lr_finder", "lightning"]
    assert met > 12 or set(told.values()) <= {None, told["lightning"]}
