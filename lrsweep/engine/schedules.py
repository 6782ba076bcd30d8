"""How the rate moves over a run: pure functions of progress, evaluated once into a table before training.

A schedule maps progress (T,) in [0, 1) to a factor (T,) of the peak rate. Progress is t / T at step t, counted after
the warm-up, so a schedule means the same for short runs and long ones. To add one, write its class and name it in
SCHEDULES.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from lrsweep.vocabulary import Array, Choice, Run, setting


class Schedule(Protocol):
    """What the table asks of a schedule."""

    source: ClassVar[str]

    def shape(self, progress: Array) -> Array:
        """The factor of the peak rate, (T,), at each progress, (T,)."""


@dataclass(frozen=True)
class Constant:
    """The peak rate throughout."""

    source: ClassVar[str] = "the baseline"

    def shape(self, progress: Array) -> Array:
        return np.ones_like(progress)


@dataclass(frozen=True)
class Step:
    """Multiplied by `factor` at `drops` points that divide the run evenly."""

    factor: float = setting(0.1, "what each drop multiplies the rate by", gt=0, le=1)
    drops: int = setting(2, "how many drops; 2 fall at one and two thirds of the run", ge=1)
    source: ClassVar[str] = "He et al. 2016; torch.optim.lr_scheduler.StepLR"

    def shape(self, progress: Array) -> Array:
        # A step at which progress is exactly k/(drops + 1) must not fall below it by a rounding error.
        return self.factor ** np.floor(progress * (self.drops + 1) + 1e-9)


@dataclass(frozen=True)
class Exponential:
    """A constant percentage each step, down to `end`."""

    end: float = setting(0.01, "factor at the end of the run", gt=0, le=1)
    source: ClassVar[str] = "torch.optim.lr_scheduler.ExponentialLR with gamma = end^(1/T)"

    def shape(self, progress: Array) -> Array:
        return self.end**progress


@dataclass(frozen=True)
class Linear:
    """A straight line down to `end`."""

    end: float = setting(0.0, "factor at the end of the run", ge=0, le=1)
    source: ClassVar[str] = "Goyal et al. 2017; torch.optim.lr_scheduler.LinearLR"

    def shape(self, progress: Array) -> Array:
        return 1 + (self.end - 1) * progress


@dataclass(frozen=True)
class Cosine:
    """Half a cosine down to `end`."""

    end: float = setting(0.0, "factor at the end of the run", ge=0, le=1)
    source: ClassVar[str] = "Loshchilov & Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingLR"

    def shape(self, progress: Array) -> Array:
        return self.end + (1 - self.end) * 0.5 * (1 + np.cos(np.pi * progress))


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "linear": Linear,
    "cosine": Cosine,
}


def warmup_steps(warmup: float, total: int) -> int:
    """Steps of warm-up: a whole number is steps, anything else a fraction of all steps.

    >>> warmup_steps(0.1, 500), warmup_steps(30, 500)
    (50, 30)
    """
    return warmup if isinstance(warmup, int) else round(warmup * total)


def rates(schedule: Choice, peak: float, total: int) -> Array:
    """The rate at every step, (T,) in float64. A warm-up of W steps climbs evenly and step W is the first at the peak.

    >>> rates(Choice("linear", (("end", 0.0), ("warmup", 1))), 1.0, 5)
    array([0.5 , 1.  , 0.75, 0.5 , 0.25])
    """
    settings = dict(schedule.settings)
    warm = warmup_steps(settings.pop("warmup", 0), total)  # type: ignore[arg-type]
    climb = np.arange(1, warm + 1) / (warm + 1)
    progress = np.arange(total - warm) / max(total - warm, 1)
    return peak * np.concatenate([climb, SCHEDULES[schedule.name](**settings).shape(progress)])


def rate_table(runs: Sequence[Run], total: int) -> Array:
    """Every run's rate at every step, (R, T) in float64."""
    return np.stack([rates(run.schedule, run.learning_rate, total) for run in runs])
