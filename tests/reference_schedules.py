"""The oracle's schedules: the rate of one step from its formula, and the factor of those that react to the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from reference_rules import Settings

from lrsweep.vocabulary import Run

# --- The factor of the peak rate at step k of n, from 0, after the warm-up.


def fall(u: float) -> float:
    """Half a cosine, from 1 at u = 0 to 0 at u = 1."""
    return math.cos(math.pi * u / 2) ** 2


def step(k: int, n: int, s: Settings) -> float:
    return s["factor"] ** sum(k * (s["drops"] + 1) >= n * i for i in range(1, s["drops"] + 1))


def warm_restarts(k: int, n: int, s: Settings) -> float:
    """Loshchilov & Hutter 2017; in exact fractions, so that a step on a boundary is in the cycle that begins there."""
    m = Fraction(str(s["multiplier"]))
    lengths = [m**i / sum(m**j for j in range(s["cycles"])) for i in range(s["cycles"])]
    into = Fraction(k, n)
    for length in lengths:
        if into < length:
            return s["end"] + (1 - s["end"]) * fall(into / length)
        into -= length
    raise AssertionError("the cycles fill the run")


def height(k: int, n: int, s: Settings) -> float:
    """How far one_cycle is up: 0 at the start, 1 after the share `rise` of the steps, 0 at the end."""
    p = k / n
    return 1 - fall(p / s["rise"]) if p < s["rise"] else fall((p - s["rise"]) / (1 - s["rise"]))


def one_cycle(k: int, n: int, s: Settings) -> float:
    """Smith & Topin 2018, with PyTorch's two phases."""
    bottom = s["start"] if k / n < s["rise"] else s["end"]
    return bottom + (1 - bottom) * height(k, n, s)


def triangular(k: int, n: int, s: Settings) -> float:
    """Smith 2017."""
    cycle, within = divmod(Fraction(k * s["cycles"], n), 1)
    up = 1 - abs(2 * within - 1)
    size = {"triangular": 1, "triangular2": 0.5**cycle, "exp_range": s["end"] ** (k / n)}[s["mode"]]
    return s["start"] + (1 - s["start"]) * float(up) * size


FACTORS: dict[str, Callable[[int, int, Settings], float]] = {
    "constant": lambda k, n, s: 1.0,
    "step": step,
    "exponential": lambda k, n, s: math.exp(math.log(s["end"]) * k / n),
    "linear": lambda k, n, s: (n - k) / n + s["end"] * k / n,
    "cosine": lambda k, n, s: s["end"] + (1 - s["end"]) * fall(k / n),
    "polynomial": lambda k, n, s: s["end"] + (1 - s["end"]) * ((n - k) / n) ** s["power"],
    "inverse_time": lambda k, n, s: n / (n + s["decay"] * k),
    "inverse_sqrt": lambda k, n, s: math.sqrt(n * s["timescale"] / (n * s["timescale"] + k)),
    "warm_restarts": warm_restarts,
    "one_cycle": one_cycle,
    "triangular": triangular,
}

# --- Schedules that react: after each epoch they look at its losses, and `factor` multiplies every rate from then on.


class Steady:
    """No reaction: what the schedules of FACTORS have."""

    factor = 1.0

    def __init__(self, s: Settings) -> None:
        self.s = s

    def after_epoch(self, train_loss: float, val_loss: float) -> None:
        pass


class Plateau(Steady):
    """Lowers the rate when the validation loss stalls, as PyTorch; may raise it while the loss goes on falling."""

    best, bad, good, cooldown = math.inf, 0, 0, 0

    def after_epoch(self, train_loss: float, val_loss: float) -> None:
        if val_loss < self.best * (1 - self.s["threshold"]):
            self.best, self.bad, self.good = val_loss, 0, self.good + 1
        else:
            self.bad, self.good = self.bad + 1, 0
        if self.cooldown > 0:
            self.cooldown, self.bad = self.cooldown - 1, 0
        if self.bad > self.s["patience"]:
            self.factor = max(self.factor * self.s["factor"], self.s["end"])
            self.bad, self.cooldown = 0, self.s["cooldown"]
        if self.good > self.s["patience"] and self.s["rise"] > 1:
            self.factor, self.good = min(self.factor * self.s["rise"], 1), 0


class BoldDriver(Steady):
    """Vogl et al. 1988: faster as long as the training loss falls, slower at once when it rises."""

    previous: float | None = None

    def after_epoch(self, train_loss: float, val_loss: float) -> None:
        if self.previous is not None and train_loss < self.previous:
            self.factor *= self.s["up"]
        elif self.previous is not None and train_loss > self.previous:
            self.factor *= self.s["down"]
        self.previous = train_loss


REACTIONS: dict[str, type[Steady]] = {"plateau": Plateau, "bold_driver": BoldDriver}


def reaction(run: Run) -> Steady:
    """A fresh one, with nothing seen yet."""
    return REACTIONS.get(run.schedule.name, Steady)(dict(run.schedule.settings))


# --- The rate and the momentum of a step, reactions apart.

CYCLED = {"momentum": "momentum", "nesterov": "momentum"} | dict.fromkeys(
    ("adam", "adamw", "amsgrad", "nadam", "radam"), "beta1"
)
"""The setting that one_cycle moves, by optimizer."""


def warmup_steps(run: Run, total: int) -> int:
    warmup = dict(run.schedule.settings)["warmup"]
    return warmup if isinstance(warmup, int) else round(warmup * total)


def growth_step(run: Run, total: int, per_epoch: int) -> int:
    """The first step of the grown network; never reached without growth."""
    if run.growth is None:
        return total
    assert per_epoch > 0, "growth comes after epochs, so their steps must be known"
    return run.growth.at_epoch * per_epoch


def counted(run: Run, step: int, total: int, per_epoch: int) -> tuple[int, int, int]:
    """Step, all steps and warm-up steps as the schedule counts them: anew after a growth that restarts it."""
    grown = growth_step(run, total, per_epoch)
    if run.growth is not None and run.growth.rate == "restart" and step >= grown:
        step, total = step - grown, total - grown
    return step, total, warmup_steps(run, total)


def growth_factor(run: Run, step: int, total: int, per_epoch: int) -> float:
    """What growth multiplies the rate by."""
    grown = growth_step(run, total, per_epoch)
    if run.growth is None or step < grown:
        return 1.0
    if run.growth.rate == "scale":
        return run.growth.scale
    if run.growth.rate == "warmup":
        warm = min(warmup_steps(run, total) or per_epoch, total - grown)
        return min((step - grown + 1) / (warm + 1), 1.0)
    return 1.0


def rate_at(run: Run, step: int, total: int, per_epoch: int = 0) -> float:
    """The rate at a step, from 0: an even climb over W steps, to the schedule's start at step W."""
    peak = run.learning_rate * growth_factor(run, step, total, per_epoch)
    step, total, warm = counted(run, step, total, per_epoch)
    factor = FACTORS["constant" if run.schedule.name in REACTIONS else run.schedule.name]
    climbed = min((step + 1) / (warm + 1), 1.0)
    return peak * climbed * factor(max(step - warm, 0), total - warm, dict(run.schedule.settings))


def settings_at(run: Run, step: int, total: int, per_epoch: int = 0) -> Settings:
    """The optimizer's settings at a step; one_cycle's momentum is low where its rate is high."""
    settings, s = dict(run.optimizer.settings), dict(run.schedule.settings)
    if run.schedule.name == "one_cycle" and run.optimizer.name in CYCLED:
        step, total, warm = counted(run, step, total, per_epoch)
        up = height(step - warm, total - warm, s) if step >= warm else 0.0
        settings[CYCLED[run.optimizer.name]] = s["max_momentum"] + (s["base_momentum"] - s["max_momentum"]) * up
    return settings
