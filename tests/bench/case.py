"""What is trained: a case's sweep file, and its random draws for the rivals, which know nothing of lrsweep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lrsweep.plan import make_plan, make_stacks
from lrsweep.spec import load_spec
from lrsweep.vocabulary import Array, Data, Stack

RATES = tuple(float(f"{rate:.6g}") for rate in np.geomspace(1e-4, 0.3, 20))
CHECKED = 11
"""Where in RATES stands a good one for every case: there all who train should end with the same accuracy."""

FEW_RATES = RATES[CHECKED % 4 :: 4]
"""For rivals that train one run after the other."""

WORKERS = 2

Measured = tuple[dict[str, float], float]
"""Milliseconds per run by the way of training, and the mean final validation accuracy at the checked rate."""


@dataclass(frozen=True)
class Case:
    """A sweep of digits: the product of rates and seeds, with one network and one optimizer."""

    optimizer: str
    width: int
    depth: int = 1
    batch: int = 32
    epochs: int = 20
    rates: tuple[float, ...] = field(default=RATES, repr=False)
    n_seeds: int = 20

    @property
    def n_runs(self) -> int:
        return len(self.rates) * self.n_seeds

    def units(self, data: Data) -> tuple[int, ...]:
        """Units per layer, inputs and outputs included."""
        return (data.x_train.shape[1], *[self.width] * self.depth, data.n_outputs)

    def write(self, folder: Path) -> Path:
        """Its sweep file."""
        path = folder / f"{self.optimizer}-{self.width}-{self.n_runs}.yaml"
        keys = {"dataset": "digits", "optimizer": self.optimizer, "width": self.width, "depth": self.depth}
        keys |= {"batch_size": self.batch, "epochs": self.epochs, "seeds": self.n_seeds}
        keys |= {"learning_rate": list(self.rates)}
        path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
        return path

    def stacks(self, folder: Path) -> list[Stack]:
        """The stacks that `lrsweep run` makes of it for two workers."""
        return make_stacks(make_plan(load_spec(self.write(folder))).runs, WORKERS)


def evenly(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of the items, at even distances.

    >>> evenly(range(10), 3)
    [0, 3, 6]
    """
    count = min(most, len(items))
    return [items[len(items) * i // count] for i in range(count)]


def weights(units: Sequence[int], seed: int) -> Iterator[Array]:
    """A seed's initial weights, (out, in) by layer, of the deviations that lrsweep gives them: √2/√in, 1/√in last."""
    random = np.random.default_rng(seed)
    for i, (ins, outs) in enumerate(pairwise(units)):
        gain = 2**0.5 if i < len(units) - 2 else 1
        yield (random.standard_normal((outs, ins)) * gain / ins**0.5).astype(np.float32)


def orders(n_rows: int, epochs: int, seed: int) -> Array:
    """A seed's order of the rows in each epoch, (epochs, N)."""
    random = np.random.default_rng([seed, 1])
    return np.stack([random.permutation(n_rows) for _ in range(epochs)])
