"""The range test's ramp: the rate climbs exponentially, a batch a step, and the losses are noted.

Source: Smith 2017, Cyclical learning rates for training neural networks; the exponential ramp is fastai's.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Literal

import numpy as np

from lrsweep.engine import schedules
from lrsweep.engine.coordinates import batches
from lrsweep.engine.group import Group, steps_per_epoch
from lrsweep.vocabulary import Array, Choice, Data, Run, Stack

Layers = Literal["first", "hidden", "last"]
"""A group of layers, as `layer_rates` has them."""


def exponential(low: float, high: float, steps: int) -> Array:
    """The rates (T,) of a ramp, both ends included.

    >>> exponential(0.001, 10, 5).round(6).tolist()
    [0.001, 0.01, 0.1, 1.0, 10.0]
    """
    return np.geomspace(low, high, steps)


def layer_groups(depth: int) -> tuple[Layers, ...]:
    """The groups of layers that a network has; the only layer of a linear model is its output layer.

    >>> layer_groups(0), layer_groups(1)
    (('last',), ('first', 'last'))
    """
    return ("last",) if depth == 0 else ("first", "last") if depth == 1 else ("first", "hidden", "last")


def only(run: Run, layers: Layers) -> Run:
    """The run in which one group of layers learns, with the multipliers that it has, while the others stay as drawn."""
    kept = {name: 0.0 for name in ("first", "hidden", "last") if name != layers}
    return replace(run, layer_rates=replace(run.layer_rates, **kept))


def steps_at_peak(run: Run, n_train: int) -> float:
    """How far a run's schedule lets it go, in steps at its peak rate: the sum of what multiplies that at its steps."""
    total = steps_per_epoch(run.batch_size, n_train) * run.epochs
    return float(schedules.rates(run, total).sum() / run.learning_rate)


def ramp(stack: Stack, data: Data, rates: Array) -> Array:
    """The losses (R, T) that runs meet as the rate climbs through rates (T,); nan from where they are not finite.

    Each is the mean over the step's batch before the update at that step's rate. The runs' own rates, schedules,
    growth and noise play no part; all else does. It has its own copy of everything, so nothing of it changes a later
    run, and a run's losses do not depend on its neighbours.
    """
    losses = np.full((len(stack.runs), len(rates)), np.nan)
    with np.errstate(all="ignore"):  # a ramp ends where its runs overflow
        group = Group([ramped(run, data, len(rates)) for run in stack.runs], data)
        group.pacer.rates = np.tile(np.asarray(rates, np.float64), (len(stack.runs), 1))
        group.pacer.prepare()
        alive = np.ones(len(stack.runs), bool)
        for step, rows in enumerate(islice(batches(group), len(rates))):
            loss = group.gradient(rows).mean(axis=1, dtype=np.float64)
            alive &= group.finite(loss)
            losses[alive, step] = loss[alive]
            if not alive.any():
                break
            group.update(step)
    return losses


def ramped(run: Run, data: Data, steps: int) -> Run:
    """The run without what plays no part. At a rate of 1 the gradients of linear rules are not scaled by any."""
    epochs = -(-steps // steps_per_epoch(run.batch_size, len(data.x_train)))
    constant = Choice("constant", (("warmup", 0),))
    return replace(run, learning_rate=1.0, schedule=constant, growth=None, noise=(), epochs=epochs)
