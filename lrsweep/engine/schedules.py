"""How the rate moves over a run: pure functions of progress, evaluated once into a table before training.

A schedule maps progress (T,) in [0, 1) to a factor (T,) of the peak rate. Progress is t / T at step t, counted after
the warm-up, so a schedule means the same for short runs and long ones. To add one, write its class and name it in
SCHEDULES. The schedules of `reactions` multiply the table by what they make of each epoch's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from lrsweep.engine.reactions import REACTING
from lrsweep.vocabulary import Array, Choice, Run, setting


class Schedule(Protocol):
    """What the table asks of a schedule.

    Where it also has a `momentum`, `moves` names the settings that this goes between, the lower one first.
    """

    source: ClassVar[str]
    moves: ClassVar[tuple[str, ...]] = ()

    def shape(self, progress: Array) -> Array:
        """The factor of the peak rate, (T,), at each progress, (T,)."""


def fall(progress: Array) -> Array:
    """Half a cosine, from 1 at progress 0 to 0 at progress 1."""
    return 0.5 * (1 + np.cos(np.pi * progress))


def whole(place: Array) -> Array:
    """The whole part of a place, (T,). A step exactly on a border must not fall below it by a rounding error."""
    return np.floor(place + 1e-9)


@dataclass(frozen=True)
class Constant(Schedule):
    """The peak rate throughout."""

    source: ClassVar[str] = "the baseline"

    def shape(self, progress: Array) -> Array:
        return np.ones_like(progress)


@dataclass(frozen=True)
class Step(Schedule):
    """Multiplied by `factor` at `drops` points that divide the run evenly."""

    factor: float = setting(0.1, "what each drop multiplies the rate by", gt=0, le=1)
    drops: int = setting(2, "how many drops; 2 fall at one and two thirds of the run", ge=1)
    source: ClassVar[str] = "He et al. 2016; torch.optim.lr_scheduler.StepLR"

    def shape(self, progress: Array) -> Array:
        return self.factor ** whole(progress * (self.drops + 1))


@dataclass(frozen=True)
class Exponential(Schedule):
    """A constant percentage each step, down to `end`."""

    end: float = setting(0.01, "factor at the end of the run", gt=0, le=1)
    source: ClassVar[str] = "torch.optim.lr_scheduler.ExponentialLR with gamma = end^(1/T)"

    def shape(self, progress: Array) -> Array:
        return self.end**progress


@dataclass(frozen=True)
class Linear(Schedule):
    """A straight line down to `end`."""

    end: float = setting(0.0, "factor at the end of the run", ge=0, le=1)
    source: ClassVar[str] = "Goyal et al. 2017; torch.optim.lr_scheduler.LinearLR"

    def shape(self, progress: Array) -> Array:
        return 1 + (self.end - 1) * progress


@dataclass(frozen=True)
class Polynomial(Schedule):
    """Down to `end` as a power of what is left of the run."""

    power: float = setting(0.9, "of the share of the run that is left; 1 is a straight line", gt=0)
    end: float = setting(0.0, "factor at the end of the run", ge=0, le=1)
    source: ClassVar[str] = "Chen et al. 2018; torch.optim.lr_scheduler.PolynomialLR"

    def shape(self, progress: Array) -> Array:
        return self.end + (1 - self.end) * (1 - progress) ** self.power


@dataclass(frozen=True)
class InverseTime(Schedule):
    """1 / (1 + decay·progress)."""

    decay: float = setting(9.0, "how far the rate falls: to 1 / (1 + decay)", ge=0)
    source: ClassVar[str] = "Robbins & Monro 1951; Darken & Moody 1990"

    def shape(self, progress: Array) -> Array:
        return 1 / (1 + self.decay * progress)


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """√(timescale / (timescale + progress)): after a warm-up of W steps, a timescale of W/(T − W) makes it √(W/t)."""

    timescale: float = setting(0.1, "share of the run after which the rate has fallen to 1/√2", gt=0)
    source: ClassVar[str] = "Vaswani et al. 2017; Zhai et al. 2022"

    def shape(self, progress: Array) -> Array:
        return np.sqrt(self.timescale / (self.timescale + progress))


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine down to `end`."""

    end: float = setting(0.0, "factor at the end of the run", ge=0, le=1)
    source: ClassVar[str] = "Loshchilov & Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingLR"

    def shape(self, progress: Array) -> Array:
        return self.end + (1 - self.end) * fall(progress)


@dataclass(frozen=True)
class WarmRestarts(Schedule):
    """A cosine that starts again at the peak; each cycle is `multiplier` times as long as the one before."""

    cycles: int = setting(3, "how many cycles the run has", ge=1, le=1000)
    multiplier: float = setting(2.0, "length of a cycle over that of the one before", ge=1)
    end: float = setting(0.0, "factor at the end of each cycle", ge=0, le=1)
    source: ClassVar[str] = "Loshchilov & Hutter 2017; torch.optim.lr_scheduler.CosineAnnealingWarmRestarts"

    def shape(self, progress: Array) -> Array:
        # As shares of the last cycle, since multiplier^cycles may be too large for a number.
        lengths = self.multiplier ** np.arange(1.0 - self.cycles, 1)
        starts = np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()
        cycle = np.clip(np.searchsorted(starts, progress + 1e-9, side="right") - 1, 0, self.cycles - 1)
        done = (progress - starts[cycle]) / np.maximum(starts[cycle + 1] - starts[cycle], 1e-300)
        return self.end + (1 - self.end) * fall(np.clip(done, 0, 1))


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to the peak and down again, by cosines, while the optimizer's momentum goes down and up again."""

    start: float = setting(0.04, "factor at the start: the peak over 25", ge=0, le=1)
    end: float = setting(4e-6, "factor at the end: the start over 10,000", ge=0, le=1)
    rise: float = setting(0.3, "share of the run until the peak", gt=0, lt=1)
    base_momentum: float = setting(0.85, "momentum (beta1 in Adam's family) at the peak", ge=0, lt=1)
    max_momentum: float = setting(0.95, "momentum at the start and at the end", ge=0, lt=1)
    source: ClassVar[str] = "Smith & Topin 2019; torch.optim.lr_scheduler.OneCycleLR"
    moves: ClassVar[tuple[str, ...]] = ("base_momentum", "max_momentum")

    def shape(self, progress: Array) -> Array:
        up, down = self.phases(progress)
        rising = 1 + (self.start - 1) * up
        falling = self.end + (1 - self.end) * down
        return np.where(progress < self.rise, rising, falling)

    def phases(self, progress: Array) -> tuple[Array, Array]:
        """From 1 to 0 over the rise, and from 1 to 0 over the rest."""
        rest = (progress - self.rise) / (1 - self.rise)
        return fall(np.minimum(progress / self.rise, 1)), fall(np.clip(rest, 0, 1))

    def momentum(self, progress: Array) -> Array:
        """The momentum, (T,), at each progress, (T,)."""
        up, down = self.phases(progress)
        high = np.where(progress < self.rise, up, 1 - down)
        return self.base_momentum + (self.max_momentum - self.base_momentum) * high


@dataclass(frozen=True)
class Triangular(Schedule):
    """Straight up to the peak and down again, several times; the peaks may halve (triangular2) or decay (exp_range)."""

    mode: str = setting("triangular", "what the peaks do", choices=("triangular", "triangular2", "exp_range"))
    cycles: int = setting(3, "how many cycles the run has", ge=1)
    start: float = setting(0.25, "factor at the foot of each cycle", ge=0, le=1)
    end: float = setting(0.1, "factor of the height at the end of the run, in exp_range", gt=0, le=1)
    source: ClassVar[str] = "Smith 2017; torch.optim.lr_scheduler.CyclicLR"

    def shape(self, progress: Array) -> Array:
        place = progress * self.cycles
        cycle = whole(place)
        height = 1 - np.abs(2 * (place - cycle) - 1)
        if self.mode == "triangular2":
            height *= 0.5**cycle
        elif self.mode == "exp_range":
            height *= self.end**progress
        factor: Array = self.start + (1 - self.start) * np.maximum(height, 0)
        return factor


SCHEDULES: dict[str, type[Schedule]] = {
    "constant": Constant,
    "step": Step,
    "exponential": Exponential,
    "linear": Linear,
    "polynomial": Polynomial,
    "inverse_time": InverseTime,
    "inverse_sqrt": InverseSqrt,
    "cosine": Cosine,
    "warm_restarts": WarmRestarts,
    "one_cycle": OneCycle,
    "triangular": Triangular,
    **REACTING,
}


def moves_momentum(schedule: Choice) -> bool:
    """Whether a schedule moves the momentum of an optimizer that has one."""
    return bool(SCHEDULES[schedule.name].moves)


def warmup_steps(warmup: float, total: int) -> int:
    """Steps of warm-up: a whole number is steps, anything else a fraction of all steps.

    >>> warmup_steps(0.1, 500), warmup_steps(30, 500)
    (50, 30)
    """
    return warmup if isinstance(warmup, int) else round(warmup * total)


def parts(schedule: Choice, total: int) -> tuple[Any, int, Array]:
    """A schedule with its settings, the W steps of its warm-up, and the progress (T − W,) of those that follow."""
    settings = dict(schedule.settings)
    warm = warmup_steps(settings.pop("warmup", 0), total)  # type: ignore[arg-type]
    progress = np.arange(total - warm) / max(total - warm, 1)
    return SCHEDULES[schedule.name](**settings), warm, progress


def climb(warm: int) -> Array:
    """The shares (W,) of a warm-up, which climbs evenly such that step W would be the first at 1."""
    return np.arange(1, warm + 1) / (warm + 1)


def factors(schedule: Choice, total: int) -> Array:
    """What each of T steps multiplies the peak rate by, (T,) in float64. A warm-up leads to the schedule's own start.

    >>> factors(Choice("linear", (("end", 0.0), ("warmup", 1))), 5)
    array([0.5 , 1.  , 0.75, 0.5 , 0.25])
    """
    kind, warm, progress = parts(schedule, total)
    shape = kind.shape(progress)
    return np.concatenate([climb(warm) * shape[:1], shape])


def momenta(schedule: Choice, total: int) -> Array:
    """The momentum at each of T steps, (T,), of a schedule that moves it; in a warm-up it waits at the first."""
    kind, warm, progress = parts(schedule, total)
    cycle: Array = kind.momentum(progress)
    return np.concatenate([np.full(warm, cycle[0]), cycle])


def over_run(make: Callable[[Choice, int], Array], run: Run, total: int) -> Array:
    """What `make` says of each of a run's T steps, (T,); made anew for those after a growth that restarts."""
    table = make(run.schedule, total)
    if run.growth is not None and run.growth.rate == "restart":
        left = total - total // run.epochs * run.growth.at_epoch
        table[-left:] = make(run.schedule, left)
    return table


def rates(run: Run, total: int) -> Array:
    """A run's rate at each of its T steps, (T,) in float64; where its network grows, as its policy says."""
    table = run.learning_rate * over_run(factors, run, total)
    if run.growth is not None:
        grown = table[total // run.epochs * run.growth.at_epoch :]
        if run.growth.rate == "scale":
            grown *= run.growth.scale
        elif run.growth.rate == "warmup":
            warm = min(len(grown), parts(run.schedule, total)[1] or total // run.epochs)
            grown[:warm] *= climb(warm)
    return table


def rate_table(runs: Sequence[Run], total: int) -> Array:
    """Every run's rate at every step, (R, T) in float64."""
    return np.stack([rates(run, total) for run in runs])


def momentum_table(runs: Sequence[Run], total: int, setting: str) -> Array | None:
    """Every run's momentum at every step, (R, T), where a schedule moves any; `setting` is what the rule calls it."""
    moving = [bool(setting) and moves_momentum(run.schedule) for run in runs]
    if not any(moving):
        return None
    table = np.empty((len(runs), total))
    for row, run, moves in zip(table, runs, moving, strict=True):
        row[:] = over_run(momenta, run, total) if moves else dict(run.optimizer.settings)[setting]
    return table
