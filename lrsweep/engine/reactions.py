"""Schedules that react to the run: after each epoch its loss moves a factor of the rate.

The rules see a stack at once: settings, losses, factors and memory are (R,) arrays of the runs that follow a rule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Protocol

import numpy as np

from lrsweep.vocabulary import Array, Run, setting

Memory = dict[str, Array]
"""What a rule remembers of each run, (R,) arrays by name."""


class Reacting(Protocol):
    """A schedule whose table is constant: after each epoch it makes a factor of what it `watches`.

    `memory` names what it remembers of a run, with the first value.
    """

    watches: ClassVar[str]
    memory: ClassVar[dict[str, float]]
    source: ClassVar[str]
    moves: ClassVar[tuple[str, ...]] = ()

    def shape(self, progress: Array) -> Array:
        """The factor of the peak rate, (T,), before any reaction."""
        return np.ones_like(progress)

    def react(self, loss: Array, factor: Array, memory: Memory) -> Array:
        """The factors (R,) of the next epoch, from those of this one and its losses; `memory` moves on."""


@dataclass(frozen=True)
class Plateau(Reacting):
    """Constant, until the validation loss stands still for `patience` epochs; may rise while that falls."""

    factor: float = setting(0.1, "what a standstill multiplies the rate by", gt=0, lt=1)
    patience: int = setting(10, "epochs without a better loss that are borne", ge=0)
    threshold: float = setting(1e-4, "share by which a loss must be lower to be better", ge=0, lt=1)
    cooldown: int = setting(0, "epochs after a drop in which no standstill is counted", ge=0)
    end: float = setting(0.0, "lowest factor of the peak", ge=0, le=1)
    rise: float = setting(1.0, "what steady improvement multiplies the rate by, up to the peak; 1 never raises", ge=1)
    watches: ClassVar[str] = "val_loss"
    memory: ClassVar[dict[str, float]] = {"best": np.inf, "bad": 0, "good": 0, "wait": 0}
    source: ClassVar[str] = "torch.optim.lr_scheduler.ReduceLROnPlateau; the rise is ours"

    def react(self, loss: Array, factor: Array, memory: Memory) -> Array:
        better = loss < memory["best"] * (1 - self.threshold)
        memory["best"] = np.where(better, loss, memory["best"])
        waiting = memory["wait"] > 0
        memory["wait"] = np.maximum(memory["wait"] - 1, 0)
        bad = np.where(better | waiting, 0, memory["bad"] + 1)
        good = np.where(better, memory["good"] + 1, 0)
        lower = bad > self.patience
        higher = (good > self.patience) & (np.asarray(self.rise) > 1)
        changed = lower | higher
        memory["bad"], memory["good"] = np.where(changed, 0, bad), np.where(changed, 0, good)
        memory["wait"] = np.where(lower, self.cooldown, memory["wait"])
        factor = np.where(lower, np.maximum(factor * self.factor, self.end), factor)
        return np.where(higher, np.minimum(factor * self.rise, 1), factor)


@dataclass(frozen=True)
class BoldDriver(Reacting):
    """The rate grows a little after each epoch whose training loss fell, and shrinks by much after one that rose."""

    up: float = setting(1.05, "what a fall of the loss multiplies the rate by", ge=1)
    down: float = setting(0.5, "what a rise of the loss multiplies the rate by", gt=0, le=1)
    watches: ClassVar[str] = "train_loss"
    memory: ClassVar[dict[str, float]] = {"last": np.nan}
    source: ClassVar[str] = "Vogl et al. 1988; Battiti 1989"

    def react(self, loss: Array, factor: Array, memory: Memory) -> Array:
        last, memory["last"] = memory["last"], loss
        return factor * np.where(loss < last, self.up, np.where(loss > last, self.down, 1))


REACTING: dict[str, type[Reacting]] = {"plateau": Plateau, "bold_driver": BoldDriver}


class Reaction:
    """The runs of a stack that follow one of the rules: what they remember, and the factors of their rates."""

    def __init__(self, name: str, runs: Sequence[Run]) -> None:
        self.kind = REACTING[name]
        self.rows = np.array([i for i, run in enumerate(runs) if run.schedule.name == name], int)
        settings = [dict(runs[i].schedule.settings) for i in self.rows]
        names = [f.name for f in fields(self.kind)]  # type: ignore[arg-type]  # a protocol that dataclasses follow
        self.settings = {name: np.array([run[name] for run in settings]) for name in names}
        self.factor = np.empty(len(self.rows))
        self.memory: Memory = {}
        self.forget(np.ones(len(runs), bool))

    def forget(self, mask: Array) -> None:
        """Starts anew for the runs of the stack in the mask, (R,)."""
        fresh = mask[self.rows]
        self.factor = np.where(fresh, 1.0, self.factor)
        for name, first in self.kind.memory.items():
            self.memory[name] = np.where(fresh, first, self.memory.get(name, first))

    def paused(self) -> list[dict[str, float]]:
        """Of each run that follows the rule: its factor, and what it remembers."""
        columns = {"factor": self.factor, **self.memory}
        return [dict(zip(columns, row, strict=True)) for row in np.stack([*columns.values()], axis=1).tolist()]

    def resume(self, paused: Sequence[Mapping[str, float]]) -> None:
        """Takes up what `paused` told, of every run of the stack."""
        own = [paused[i] for i in self.rows]
        self.factor, *memory = (np.array([one[name] for one in own]) for name in ("factor", *self.kind.memory))
        self.memory = dict(zip(self.kind.memory, memory, strict=True))

    def keep(self, mask: Array) -> None:
        """Lets the runs of the stack outside the mask, (R,), go."""
        kept = mask[self.rows]
        self.rows = (np.cumsum(mask) - 1)[self.rows[kept]]
        self.factor = self.factor[kept]
        self.settings = {name: column[kept] for name, column in self.settings.items()}
        self.memory = {name: column[kept] for name, column in self.memory.items()}

    def react(self, train_loss: Array, val_loss: Array) -> None:
        """Moves the factors on by an epoch with these losses, (R,) of the whole stack."""
        loss = (train_loss if self.kind.watches == "train_loss" else val_loss)[self.rows]
        self.factor = self.kind(**self.settings).react(loss, self.factor, self.memory)


class Reactions:
    """All that reacts in a stack; `factor` (R,) is what each run's rate is multiplied by now."""

    def __init__(self, runs: Sequence[Run]) -> None:
        present = {run.schedule.name for run in runs}
        self.parts = [Reaction(name, runs) for name in REACTING if name in present]
        self.n_runs = len(runs)

    @property
    def factor(self) -> Array:
        """(R,) in float64, 1 for runs that do not react."""
        factor = np.ones(self.n_runs)
        for part in self.parts:
            factor[part.rows] = part.factor
        return factor

    def paused(self) -> list[dict[str, float]]:
        """What each run's schedule needs to go on, as numbers by name: none where it does not react."""
        told: list[dict[str, float]] = [{} for _ in range(self.n_runs)]
        for part in self.parts:
            for row, own in zip(part.rows, part.paused(), strict=True):
                told[row] = own
        return told

    def resume(self, paused: Sequence[Mapping[str, float]]) -> None:
        """Takes up what `paused` told of each run."""
        for part in self.parts:
            part.resume(paused)

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask, (R,), go."""
        self.n_runs = int(mask.sum())
        for part in self.parts:
            part.keep(mask)

    def forget(self, mask: Array) -> None:
        """Starts anew for the runs in the mask, (R,)."""
        for part in self.parts:
            part.forget(mask)

    def react(self, train_loss: Array, val_loss: Array) -> None:
        """Moves the factors on by an epoch with these losses, (R,)."""
        for part in self.parts:
            part.react(train_loss, val_loss)
