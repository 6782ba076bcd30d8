"""The published rules that read a rate off a range test, each as its library has it.

A rule sees the losses L (T,) of a ramp at its rates l (T,), ascending, and names one of the rates; None where it has
nothing to say. The libraries' own ends are part of the rules: how the ramp stops, and which points are cut off. Their
smoothing is not: an exponential average of weight 0.98 lags by half a decade or more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lrsweep.vocabulary import Array

DIVERGED = 4
"""Times the best loss so far at which a ramp stops, in fastai (`LRFinder`) and Lightning (`early_stop_threshold`)."""

SLIDE_STEPS, SLIDE_CHANGE = 15, 0.005


def stopped(losses: Array) -> int:
    """How many of the losses (T,) a ramp meets: up to the first above 4 × the best, and before any not finite.

    >>> stopped(np.array([2.0, 1.0, 3.0, 5.0, 9.0])), stopped(np.array([2.0, np.nan, 1.0]))
    (4, 1)
    """
    lost = ~np.isfinite(losses)
    end = int(lost.argmax()) if lost.any() else len(losses)
    over = losses[:end] > DIVERGED * np.minimum.accumulate(losses[:end])
    return int(over.argmax()) + 1 if over.any() else end


def valley(rates: Array, losses: Array) -> float | None:
    """Half way through the longest valley: a strictly decreasing subsequence of n losses, of which e is the last.

    With s = e - n and t = (e - s)/3 it is the rate at s + int(t) + int(t/2). Among valleys of one length it is the one
    that ends first. None where no loss is below an earlier one.
    Source: fastai, `callback/schedule.py`, where it is the default; after ESRI's ArcGIS.
    """
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        lengths[i] = 1 + lengths[:i][losses[:i] > losses[i]].max(initial=0)
    if len(losses) == 0 or lengths.max() == 1:
        return None
    end, n = int(lengths.argmax()), int(lengths.max())
    third = n / 3
    return float(rates[max(0, end - n + int(third) + int(third / 2))])  # fastai's -1 would be the highest rate


def slide(rates: Array, losses: Array) -> float | None:
    """Where, from the right, the slope by index is no longer unlike that 15 places further left.

    With g the gradient by index, r = -1 and q = r - 15, both step left while |g[r] - g[q]| > 0.005; it is the last
    rate at q of which that held, the first q where it held of none.
    Source: fastai, `callback/schedule.py`; by A. Chang, Novetta.
    """
    right, left = len(losses) - 1, len(losses) - 1 - SLIDE_STEPS
    if left < 0:
        return None
    slope, found = np.gradient(losses), left
    while left >= 0 and abs(slope[right] - slope[left]) > SLIDE_CHANGE:
        found, right, left = left, right - 1, left - 1
    return float(rates[found])


def minimum(rates: Array, losses: Array) -> float | None:
    """A tenth of the rate with the lowest loss. Source: fastai, `callback/schedule.py`."""
    return float(rates[losses.argmin()]) / 10 if len(losses) else None


def steep(rates: Array, losses: Array) -> float | None:
    """Where the loss falls fastest by log l, from one rate to the next. Source: fastai, `callback/schedule.py`."""
    return _falling(rates, losses, np.diff(losses) / np.diff(np.log(rates)))


def pytorch_lr_finder(rates: Array, losses: Array) -> float | None:
    """Where the gradient of the loss by index is lowest. Source: pytorch-lr-finder, `LRFinder.plot`."""
    return _falling(rates, losses, np.gradient(losses)) if len(losses) > 1 else None


def lightning(rates: Array, losses: Array) -> float | None:
    """Where the gradient of the loss by the rate itself is lowest. Source: Lightning, `_LRFinder.suggestion`."""
    return _falling(rates, losses, np.gradient(losses, rates)) if len(losses) > 1 else None


def _falling(rates: Array, losses: Array, slopes: Array) -> float | None:
    """The rate with the lowest slope; None where no loss falls: neither a rise nor a rounding error names a rate."""
    return float(rates[slopes.argmin()]) if (np.diff(losses) < 0).any() else None


@dataclass(frozen=True)
class Rule:
    """A rule with what its library cuts off at the start, given the steps of the ramp, and at the end."""

    rate: Callable[[Array, Array], float | None]
    start: Callable[[int], int] = lambda steps: steps // 10
    end: int = 5


RULES: dict[str, Rule] = {
    "valley": Rule(valley),
    "slide": Rule(slide),
    "minimum": Rule(minimum),
    "steep": Rule(steep),
    "pytorch_lr_finder": Rule(pytorch_lr_finder, lambda steps: 10),
    "lightning": Rule(lightning, lambda steps: 10, 1),
}
"""By their names in JSON and in ranges.csv."""


def suggestions(rates: Array, losses: Array) -> dict[str, float | None]:
    """What each rule says of a ramp's losses (T,) at rates (T,), from where it starts to where it stops.

    >>> rates = 10 ** np.linspace(-5, 0, 51)
    >>> told = suggestions(rates, 2 - np.exp(-((np.log10(rates) + 2) ** 2)))
    >>> for name, rate in told.items():  # the loss is lowest at 0.01
    ...     print(f"{name} {rate:.3g}")
    valley 0.000398
    slide 3.16e-05
    minimum 0.001
    steep 0.00158
    pytorch_lr_finder 0.002
    lightning 0.000316
    """
    met = stopped(losses)
    return {
        name: rule.rate(*(part[rule.start(len(rates)) : max(0, met - rule.end)] for part in (rates, losses)))
        for name, rule in RULES.items()
    }
