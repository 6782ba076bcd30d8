"""Grids: both ends in, counts kept, six digits, and values known from elsewhere."""

import math
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrsweep.spec import grids
from lrsweep.spec.grids import MAKERS, Axis

ENDS = st.tuples(
    st.floats(1e-12, 1e6).map(grids.rounded), st.floats(1.01, 1e9)
).map(lambda pair: (pair[0], grids.rounded(pair[0] * pair[1])))  # fmt: skip


@pytest.mark.parametrize("name", ["log", "linear", "log_uniform", "halton"])
@given(ends=ENDS, num=st.integers(2, 60))
def test_a_grid_has_its_count_and_both_ends_and_rises(name: str, ends: tuple[float, float], num: int) -> None:
    values = grids.grid(name, *ends, num).make()
    assert len(values) == num
    assert (values[0], values[-1]) == ends
    assert all(low <= high for low, high in pairwise(values))


@pytest.mark.parametrize("name", ["log", "linear", "log_uniform", "halton"])
@given(low=st.integers(1, 10**6), way=st.integers(1, 10**6), num=st.integers(2, 60))
def test_a_grid_between_whole_numbers_is_whole_and_has_its_ends(name: str, low: int, way: int, num: int) -> None:
    values = grids.grid(name, low, low + way, num).make()
    assert all(type(value) is int for value in values)
    assert (values[0], values[-1], len(values)) == (low, low + way, num)
    assert values == sorted(values)


@pytest.mark.parametrize("name", MAKERS)
@given(ends=ENDS, num=st.integers(2, 30))
def test_floats_have_six_digits(name: str, ends: tuple[float, float], num: int) -> None:
    low, high = (ends[0], ends[0] * 2 ** (num - 1)) if name == "doubling" else ends
    for value in grids.grid(name, low, high, num).make()[:-1]:
        assert value == float(f"{value:.5e}")


@given(low=st.floats(1e-6, 1), each=st.integers(1, 9), decades=st.integers(1, 8))
def test_per_decade_counts_the_steps_of_every_decade(low: float, each: int, decades: int) -> None:
    assert grids.per_decade(low, low * 10**decades, each) == each * decades + 1


@given(low=st.integers(1, 10**9), times=st.integers(1, 60))
def test_doublings_are_exact_for_whole_numbers(low: int, times: int) -> None:
    high = low << times
    assert grids.doublings(low, high) == times + 1
    assert grids.grid("doubling", low, high, times + 1).make() == [low * 2**k for k in range(times + 1)]
    assert grids.doublings(low, high + 1) is None


@pytest.mark.parametrize(
    ("name", "low", "high", "num", "values"),
    [
        ("log", 1e-4, 1.0, 5, [0.0001, 0.001, 0.01, 0.1, 1.0]),
        ("log", 0.1, 1.0, 4, [0.1, 0.215443, 0.464159, 1.0]),  # 10^(1/3) = 2.15443, 10^(2/3) = 4.64159
        ("log", 1, 100, 3, [1, 10, 100]),
        ("log", 1, 1000, 7, [1, 3, 10, 32, 100, 316, 1000]),
        ("linear", 0.0, 1.0, 4, [0.0, 0.333333, 0.666667, 1.0]),
        ("linear", 8, 32, 4, [8, 16, 24, 32]),
        ("linear", 1_000_000, 2_000_001, 2, [1_000_000, 2_000_001]),
        ("doubling", 16, 256, 5, [16, 32, 64, 128, 256]),
        ("doubling", 0.05, 0.4, 4, [0.05, 0.1, 0.2, 0.4]),
        ("log_uniform", 0.1, 1.0, 2, [0.1, 1.0]),
        ("halton", 0.1, 1.0, 2, [0.1, 1.0]),
    ],
)
def test_known_values(name: str, low: float, high: float, num: int, values: list[float]) -> None:
    assert grids.grid(name, low, high, num).make() == values


def test_halton_is_the_van_der_corput_sequence() -> None:
    """1/2, 1/4, 3/4, 1/8, 5/8, 3/8, 7/8, … (van der Corput 1935), here of 16 powers of ten, in order."""
    sequence = [Fraction(n, d) for n, d in [(1, 2), (1, 4), (3, 4), (1, 8), (5, 8), (3, 8), (7, 8), (1, 16), (9, 16)]]
    expected = [1e-8, *sorted(10 ** float(16 * share - 8) for share in sequence), 1e8]
    assert grids.grid("halton", 1e-8, 1e8, 11).make() == pytest.approx(expected, rel=1e-5)


@given(num=st.integers(10, 200))
def test_halton_leaves_no_wide_gap(num: int) -> None:
    """A low-discrepancy sequence of n points leaves gaps of 2/n at most; uniform draws leave log(n)/n and more."""
    exponents = [math.log10(value) for value in grids.grid("halton", 1.0, 10.0, num).make()]
    assert max(high - low for low, high in pairwise(exponents)) <= 2 / (num - 2) + 1e-4


def test_log_uniform_is_the_same_everywhere() -> None:
    """Frozen: other values under the same text would turn every finished run stale."""
    values = grids.grid("log_uniform", 1e-4, 1.0, 6).make()
    shares = [0.01652764, 0.04097352, 0.26978671, 0.63696169]  # default_rng(0).random(4), sorted
    assert values == pytest.approx([1e-4, *(10 ** (4 * share - 4) for share in shares), 1.0], rel=6e-6)
    code = "from lrsweep.spec import grids; print(grids.grid('log_uniform', 1e-4, 1.0, 6).make())"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == f"{values}\n".encode()
    )


def test_log_uniform_is_even_in_the_logarithm() -> None:
    exponents = [math.log10(value) for value in grids.grid("log_uniform", 1e-4, 1.0, 4000).make()]
    counts = [sum(decade <= exponent < decade + 1 for exponent in exponents) for decade in (-4, -3, -2, -1)]
    assert max(counts) - min(counts) < 150  # 1000 each; the deviation of a count is 27


@pytest.mark.parametrize("name", MAKERS)
def test_the_widest_floats_do_not_overflow(name: str) -> None:
    low, high, num = (2.0**-1000, 2.0**1000, 2001) if name == "doubling" else (1e-300, 1e300, 50)
    values = grids.grid(name, low, high, num).make()
    assert all(low <= value <= high for value in values)
    assert values == sorted(values)


def test_axes_are_counted_without_being_made() -> None:
    axis = grids.grid("log", 1e-4, 1.0, 10**30)
    product = Axis.product({"a": axis, "b": Axis.chained([axis, Axis.of(1, 2)])}, lambda values: values)
    assert product.count == 10**30 * (10**30 + 2)  # of more there is neither memory nor time


def test_a_product_has_its_last_axis_fastest() -> None:
    made = Axis.product({"a": Axis.of(1, 2), "b": Axis.of("x", "y")}, lambda values: f"{values['a']}{values['b']}")
    assert made.make() == ["1x", "1y", "2x", "2y"]
    assert Axis.chained([made, Axis.of("z")]).make() == ["1x", "1y", "2x", "2y", "z"]
