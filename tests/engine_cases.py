"""Builders for the engine's tests: runs, small made datasets, and training that also hands back the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import count
from typing import Any
from unittest import mock

import numpy as np

from lrsweep.engine import train as module
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import Group, train
from lrsweep.vocabulary import Array, Choice, Data, Outcome, Run, Scalar, Source, Stack, Task, float_type


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
    optimizer=optimizer("momentum"),
    learning_rate=0.03,
    schedule=schedule("constant"),
    batch_size=16,
    epochs=3,
    clip_norm=None,
    precision="float64",
    seed=0,
)
"""What the tests change one thing in. Its batches leave a remainder of one row: `made` has 49 rows."""


def made(task: Task = "classification", precision: str = "float64", n_train: int = 49, n_outputs: int = 3) -> Data:
    """A small noisy dataset of 5 features that a linear model learns in part, with 23 validation and 17 test rows."""
    random = np.random.default_rng(7)
    x = random.standard_normal((n_train + 40, 5))
    signal = x @ random.standard_normal((5, n_outputs)) + 0.5 * random.standard_normal((len(x), n_outputs))
    y: Array = signal.argmax(axis=1)
    if task == "regression":
        n_outputs, y = 1, signal[:, 0].astype(float_type(precision))
    x = x.astype(float_type(precision))
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
    """Trains the runs as one stack; each one's outcome, and its parameters (P,) where it did not diverge."""
    groups = []

    class Kept(Group):
        def __init__(self, runs: Sequence[Run], data: Data) -> None:
            super().__init__(runs, data)
            groups.append(self)

    with mock.patch.object(module, "Group", Kept):
        outcomes = train(stack_of(runs), data)
    place = count()
    return [(one, groups[0].params[next(place)] if one.status == "finished" else None) for one in outcomes]


def deviation(found: Array, expected: Array) -> float:
    """The largest difference relative to the largest expected value; inf if either is not finite."""
    with np.errstate(invalid="ignore"):
        difference = float(np.max(np.abs(found - expected)) / np.max(np.abs(expected)))
    return difference if difference < np.inf else np.inf
