"""Axes: lists and grids of values, counted before they are made.

So a sweep of 10^30 runs is refused, not expanded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Number = int | float


@dataclass(frozen=True)
class Axis:
    """The values of a key; `count` is known, `make` makes them."""

    count: int
    make: Callable[[], list[Any]]

    @classmethod
    def of(cls, *values: Any) -> Axis:
        """An axis of known values."""
        return cls(len(values), lambda: list(values))

    @classmethod
    def chained(cls, axes: Sequence[Axis]) -> Axis:
        """One axis after the other."""
        return cls(sum(axis.count for axis in axes), lambda: [value for axis in axes for value in axis.make()])

    @classmethod
    def product(cls, axes: dict[str, Axis], build: Callable[[dict[str, Any]], Any]) -> Axis:
        """Every combination of named axes, built into one value each, the last axis fastest."""

        def make() -> list[Any]:
            combinations = itertools.product(*(axis.make() for axis in axes.values()))
            return [build(dict(zip(axes, values, strict=True))) for values in combinations]

        return cls(math.prod(axis.count for axis in axes.values()), make)


def log(low: Number, high: Number, num: int) -> list[float]:
    """Evenly spaced in the logarithm.

    >>> log(1e-3, 1, 4)
    [0.001, 0.01, 0.1, 1.0]
    """
    return tidy(low, high, np.geomspace(float(low), float(high), num).tolist())


def linear(low: Number, high: Number, num: int) -> list[float]:
    """Evenly spaced.

    >>> linear(0, 1, 5)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    return tidy(low, high, np.linspace(float(low), float(high), num).tolist())


def doubling(low: Number, high: Number, num: int) -> list[float]:
    """Each value twice the one before.

    >>> doubling(0.1, 0.4, 3)
    [0.1, 0.2, 0.4]
    """
    return tidy(low, high, [math.ldexp(low, k) for k in range(num)])


def log_uniform(low: Number, high: Number, num: int) -> list[float]:
    """Both ends, and between them values drawn evenly in the logarithm: always the same ones, in order."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0)))
    return placed(low, high, random.random(num - 2).tolist())


def halton(low: Number, high: Number, num: int) -> list[float]:
    """Both ends, and between them the base-2 Halton sequence (van der Corput) in the logarithm, in order.

    >>> halton(1e-4, 1, 5)
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    """
    return placed(low, high, [int(f"{i:b}"[::-1], 2) / 2 ** i.bit_length() for i in range(1, num - 1)])


def placed(low: Number, high: Number, shares: Iterable[float]) -> list[float]:
    """The ends, and the values at the given shares of the way between them, in the logarithm."""
    start, way = math.log(low), math.log(high) - math.log(low)
    return tidy(low, high, [low, *(math.exp(start + share * way) for share in sorted(shares)), high])


def tidy(low: Number, high: Number, values: Sequence[Number]) -> list[float]:
    """The values in six significant digits, none outside the ends."""
    return [min(max(rounded(value), low), high) for value in values]


def rounded(value: float) -> float:
    """To six significant digits, so that 1e-3 is 0.001."""
    return float(f"{value:.6g}")


MAKERS: dict[str, Callable[[Number, Number, int], list[float]]] = {
    "log": log,
    "linear": linear,
    "doubling": doubling,
    "log_uniform": log_uniform,
    "halton": halton,
}


def whole(name: str, low: int, high: int, num: int) -> list[int]:
    """A grid of whole numbers: the ends as they are, the values between rounded.

    >>> whole("log", 1, 100, 3), whole("doubling", 16, 64, 3)
    ([1, 10, 100], [16, 32, 64])
    """
    if name == "doubling":
        return [low << k for k in range(num)]
    return [low, *(round(value) for value in MAKERS[name](low, high, num)[1:-1]), high]


def grid(name: str, low: Number, high: Number, num: int) -> Axis:
    """The named grid of `num` values from low to high, both in; of whole numbers where both ends are whole."""
    if isinstance(low, int) and isinstance(high, int):
        return Axis(num, lambda: whole(name, low, high, num))
    return Axis(num, lambda: MAKERS[name](low, high, num))


def per_decade(low: Number, high: Number, each: int) -> int:
    """How many values a grid has with so many to the decade, both ends in.

    >>> per_decade(1e-4, 1, 3)
    13
    """
    return max(2, round(each * (math.log10(high) - math.log10(low))) + 1)


def doublings(low: Number, high: Number) -> int | None:
    """How many values a doubling from low to high has, or None where it does not arrive there.

    >>> doublings(16, 256), doublings(16, 200)
    (5, None)
    """
    exact = math.log2(high) - math.log2(low)
    times = round(exact)
    whole_ends = isinstance(low, int) and isinstance(high, int)
    arrives = low << times == high if whole_ends else abs(exact - times) < 1e-9  # type: ignore[operator]
    return times + 1 if arrives else None
