"""What the engine's tests share: runs, small made datasets, and the two great comparisons.

A run must match the slow reference, and a run in a stack must equal the run alone to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any
from unittest import mock

import numpy as np
import reference

from lrsweep.engine import train as module
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import Group, train
from lrsweep.vocabulary import (
    FINISHED,
    Array,
    Choice,
    Data,
    Growth,
    LayerRates,
    Outcome,
    Run,
    Scalar,
    Source,
    Stack,
    Task,
)


def optimizer(name: str, **changes: Scalar) -> Choice:
    """An optimizer with its defaults, but for the changes."""
    return _choice(name, OPTIMIZERS[name], {}, changes)


def schedule(name: str, **changes: Scalar) -> Choice:
    """A schedule with its defaults and no warm-up, but for the changes."""
    return _choice(name, SCHEDULES[name], {"warmup": 0}, changes)


def _choice(name: str, kind: Any, extra: dict[str, Scalar], changes: dict[str, Scalar]) -> Choice:
    settings = {**{field.name: field.default for field in fields(kind)}, **extra}
    assert settings.keys() >= changes.keys(), f"{name} has no setting {changes.keys() - settings.keys()}"
    return Choice(name, tuple(sorted({**settings, **changes}.items())))


RUN = Run(
    dataset=Source("name", "made"),
    task="classification",
    subset=1.0,
    validation=0.2,
    test=0.2,
    split_seed=0,
    standardize=True,
    width=6,
    depth=1,
    activation="relu",
    parametrization="standard",
    base_width=64,
    optimizer=optimizer("momentum"),
    learning_rate=0.03,
    layer_rates=LayerRates(),
    schedule=schedule("constant"),
    batch_size=16,
    epochs=3,
    clip_norm=None,
    growth=None,
    precision="float64",
    noise=(),
    seed=0,
)
"""What the tests change one thing in. Its batches leave a remainder of one row: `made` has 49 rows."""

PEAKS = {"adadelta": 1.0, "prodigy": 1.0}
"""Rates at which a rule learns the made data in a few epochs, where 0.03 is not one."""


def peak(name: str) -> float:
    """A rate that suits the rule."""
    return PEAKS.get(name, 0.03)


LIVELY: dict[str, dict[str, Scalar]] = {
    "plateau": {"factor": 0.5, "patience": 0, "threshold": 0.05, "cooldown": 1, "end": 0.1, "rise": 1.7},
    "bold_driver": {"up": 1.3},
}
"""Settings with which the schedules that react do so within a few epochs."""


GROWTH = Growth(at_epoch=2, to_width=9)

ODDS: tuple[dict[str, Any], ...] = (
    {},
    {"schedule": schedule("plateau", **LIVELY["plateau"]), "growth": replace(GROWTH, rate="restart"), "clip_norm": 0.5},
    {"schedule": schedule("bold_driver"), "growth": replace(GROWTH, rate="scale", scale=0.3), "seed": 4},
    {"learning_rate": 0, "schedule": schedule("cosine"), "growth": replace(GROWTH, rate="warmup"), "seed": 4},
    {"growth": replace(GROWTH, rate="scale", scale=0), "seed": 5, "layer_rates": LayerRates(0.5, 2.0, 0.1)},
    {"schedule": schedule("triangular", warmup=3), "growth": replace(GROWTH, rate="new_neurons_only")},
    {"schedule": schedule("warm_restarts", warmup=0.2), "growth": replace(GROWTH, rate="restart"), "seed": 5},
    {"schedule": schedule("bold_driver"), "growth": replace(GROWTH, rate="warmup"), "layer_rates": LayerRates(decay=2)},
)
"""What runs of one stack may differ in. A zero stands for a number that makes the run diverge: at once, or grown."""


def motley(run: Run, huge: float) -> list[Run]:
    """The runs of ODDS, of which the fourth diverges in the first epoch, and the fifth in the first after it grew."""
    runs = [replace(run, **odd) for odd in ODDS]
    runs[3] = replace(runs[3], learning_rate=huge)
    runs[4] = replace(runs[4], growth=replace(GROWTH, rate="scale", scale=huge))
    return runs


def made(task: Task = "classification", precision: str = "float64", n_train: int = 49, n_outputs: int = 3) -> Data:
    """A small noisy dataset of 5 features that a linear model learns in part, with 23 validation and 17 test rows."""
    random = np.random.default_rng(7)
    x = random.standard_normal((n_train + 40, 5))
    signal = x @ random.standard_normal((5, n_outputs)) + 0.5 * random.standard_normal((len(x), n_outputs))
    y: Array = signal.argmax(axis=1)
    if task == "regression":
        n_outputs, y = 1, signal[:, 0].astype(precision)
    x = x.astype(precision)
    cuts = n_train, n_train + 23
    (x_train, x_val, x_test), (y_train, y_val, y_test) = np.split(x, cuts), np.split(y, cuts)
    return Data(x_train, y_train, x_val, y_val, x_test, y_test, task, n_outputs)


def data_for(run: Run, **changes: Any) -> Data:
    """The made dataset in the run's task and precision."""
    return made(**{"task": run.task, "precision": run.precision, **changes})


def variants(run: Run, **columns: Sequence[Any]) -> list[Run]:
    """Runs that differ in the named fields, which are read down the columns.

    >>> [(run.learning_rate, run.seed) for run in variants(RUN, learning_rate=(0.1, 0.2), seed=(3, 4))]
    [(0.1, 3), (0.2, 4)]
    """
    return [replace(run, **dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def stack_of(runs: Sequence[Run]) -> Stack:
    """The runs as a stack, with the ids r0, r1, …"""
    return Stack(tuple(runs), tuple(f"r{i}" for i in range(len(runs))), "")


def train_fully(runs: Sequence[Run], data: Data) -> list[tuple[Outcome, Array | None]]:
    """Trains the runs as one stack; each one's outcome, and the parameters (P,) it is measured at, if it has any."""
    groups = []

    class Kept(Group):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            groups.append(self)

    with mock.patch.object(module, "Group", Kept):
        outcomes = train(stack_of(runs), data)
    (group,) = groups
    ends = iter(group.optimizer.evaluated(group.params, group.state) if group.runs else [])
    return [(one, next(ends) if one.status == FINISHED else None) for one in outcomes]


def assert_matches_reference(runs: Sequence[Run], data: Data) -> list[Outcome]:
    """The runs, trained as one stack, have the reference's curves and final parameters; returns their outcomes."""
    trained = train_fully(runs, data)
    for run, (outcome, params) in zip(runs, trained, strict=True):
        curve, final = reference.train(run, data)
        np.testing.assert_allclose(outcome.curve, curve, rtol=1e-9, atol=1e-12)
        assert deviation(params, final) < 1e-9
    return [outcome for outcome, _ in trained]


def assert_stack_equals_alone(runs: Sequence[Run], data: Data) -> list[Outcome]:
    """Status, curve, metrics and parameters of every run, to the last bit; returns the stack's outcomes."""
    stacked = train_fully(runs, data)
    for run, (outcome, params) in zip(runs, stacked, strict=True):
        ((alone, own_params),) = train_fully([run], data)
        assert (outcome.status, outcome.reason) == (alone.status, alone.reason)
        np.testing.assert_array_equal(outcome.curve, alone.curve)
        assert outcome.metrics.keys() == alone.metrics.keys()
        np.testing.assert_array_equal([*outcome.metrics.values()], [*alone.metrics.values()])
        if alone.status == FINISHED:
            np.testing.assert_array_equal(params, own_params)
    return [outcome for outcome, _ in stacked]


def deviation(found: Array | None, expected: Array) -> float:
    """The largest difference relative to the largest expected value; inf if either is not finite, or none is found."""
    if found is None:
        return np.inf
    with np.errstate(invalid="ignore"):
        difference = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    return difference if difference < np.inf else np.inf
