"""A run of the plan: what it is called, what stands in its columns, how many steps and bytes it takes."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from lrsweep import datasets
from lrsweep.engine import model
from lrsweep.engine.group import batch_rows, steps_per_epoch
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import moves_momentum
from lrsweep.plan.acting import acting
from lrsweep.vocabulary import (
    CURVE_COLUMNS,
    NUMERICS,
    Choice,
    Growth,
    LayerRates,
    RawData,
    Run,
    Scalar,
    Source,
)

SETTINGS = tuple(f.name for f in fields(Run) if f.name not in ("task", "learning_rate", "seed"))
"""A run's settings in the order of their CSV columns; the rate and the seed follow them."""

Pieces = tuple[str, str, str]
"""A text in three."""

PAUSE_BYTES = 2000
"""Of a pause beside its numbers: its objects, and the heads of up to six arrays."""

RATE_MARK, SEED_MARK = "\0rate", "\0seed"
"""What stands in the text of a setting where a run has its rate and its seed; no setting has such a value."""


@dataclass(frozen=True, eq=False)
class Shared:
    """What the runs of a setting share: all of a `run` but its rate and its seed, and the data.

    What follows from that is computed once for all of them, since there may be 100,000: equal ones are the same object.
    """

    run: Run
    data: RawData

    def planned(self, rate: float, seed: int) -> PlannedRun:
        """The run at a rate and a seed."""
        run = Run(**(vars(self.run) | {"learning_rate": rate, "seed": seed}))
        return PlannedRun(run_id(self._text, rate, seed), run, self.data, self)

    @functools.cached_property
    def _text(self) -> Pieces:
        return pieces(self.run, self.data.fingerprint)


written = functools.lru_cache(maxsize=100_000, typed=True)(json.dumps)
"""A rate or a seed as JSON; a sweep has few of them in very many runs."""


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run with its identity and the data that it needs; `shared` is what it shares with others."""

    run_id: str
    run: Run
    data: RawData
    shared: Shared

    @property
    def n_train(self) -> int:
        """Its training rows."""
        return datasets.split_sizes(len(self.data.y), self.run)[0]

    def steps(self, after: int = 0) -> int:
        """T, all its steps; or only those that follow so many epochs."""
        return steps_per_epoch(self.run.batch_size, self.n_train) * (self.run.epochs - after)

    @property
    def width(self) -> int:
        """Units per hidden layer at the end, where it grows."""
        return max(self.run.width, self.run.growth.to_width if self.run.growth else 0)

    @property
    def momentum_moves(self) -> bool:
        """Whether its schedule moves its optimizer's momentum."""
        return bool(OPTIMIZERS[self.run.optimizer.name].cycled) and moves_momentum(self.run.schedule)


def planned_run(run: Run, data: RawData) -> PlannedRun:
    """A run that shares nothing with others."""
    return Shared(run, data).planned(run.learning_rate, run.seed)


def identity(run: Run, fingerprint: str) -> str:
    """A run's id: `r` and the first 12 hex digits of SHA-256 over its settings, its data and the numerics number.

    Settings that cannot act are not in it, nor is where the data lies and what it is called; what it holds is.
    """
    return run_id(pieces(run, fingerprint), run.learning_rate, run.seed)


def pieces(run: Run, fingerprint: str) -> Pieces:
    """The JSON that a run's id is made of, before, between and after its rate and its seed."""
    acts = acting(run) | {"learning_rate": RATE_MARK, "seed": SEED_MARK}
    text = json.dumps({"numerics": NUMERICS, "data": fingerprint, **acts}, sort_keys=True)
    start, rest = text.split(written(RATE_MARK))
    middle, end = rest.split(written(SEED_MARK))
    return start, middle, end


def run_id(text: Pieces, rate: float, seed: int) -> str:
    """The id of a run, from the pieces of its text."""
    start, middle, end = text
    return "r" + hashlib.sha256(f"{start}{written(rate)}{middle}{written(seed)}{end}".encode()).hexdigest()[:12]


def settings(run: Run, named: Sequence[str]) -> dict[str, Scalar | None]:
    """A setting by CSV column, from any of its runs; `named` are those of optimizers and schedules that the file names.

    The run's rate and its seed follow in the columns of runs.csv.
    """
    row: dict[str, Scalar | None] = {}
    for key in SETTINGS:
        value = getattr(run, key)
        row[key] = told(value)
        for column in named:
            if column.startswith(f"{key}."):
                row[column] = dict(value.settings).get(column.removeprefix(f"{key}."))
    return row


def told(value: Any) -> Scalar | None:
    """A setting's value as it stands in its column.

    >>> told(LayerRates(decay=0.5)), told((0.1, 1.0)), told(())
    ('{decay: 0.5}', '0.1 1', None)
    """
    match value:
        case Choice():
            return value.name
        case Source() | LayerRates() | Growth():
            return str(value)
        case tuple():
            return " ".join(f"{number:g}" for number in value) or None
    scalar: Scalar | None = value
    return scalar


def table_bytes(planned: PlannedRun) -> int:
    """The rates, the momenta where they move, and the curve of one run."""
    tables = 2 if planned.momentum_moves else 1
    return 20 * tables * planned.steps() + 8 * len(CURVE_COLUMNS) * (planned.run.epochs + 1)


def multipliers(run: Run) -> int:
    """Arrays of multipliers, shaped like the parameters, that a run needs: of its rates, and with muP of its decays."""
    if run.parametrization == "mup" and run.width != run.base_width:
        return 2
    return int(run.layer_rates != LayerRates() or (run.growth is not None and run.growth.rate == "new_neurons_only"))


def n_parameters(planned: PlannedRun) -> int:
    """P, at the width that it has in the end."""
    run, width = planned.run, planned.width
    n_features, n_outputs = planned.data.x[0].size, max(1, len(planned.data.classes))
    # Counted by formula, not by building the list of layers: a depth of 10^9 is refused, not allocated.
    inner = (width + 1) * width * max(0, run.depth - 1)
    return inner + model.n_parameters((n_features, width, n_outputs) if run.depth else (n_features, n_outputs))


def run_bytes(planned: PlannedRun) -> int:
    """The working set of one run: parameters, gradients, state and scratch; a batch's activations, both ways."""
    run, n_outputs = planned.run, max(1, len(planned.data.classes))
    arrays = 3 + len(OPTIMIZERS[run.optimizer.name].state) + multipliers(run)
    activations = 2 * run.depth * (planned.width + 1) + 2 * n_outputs
    return np.dtype(run.precision).itemsize * (
        n_parameters(planned) * arrays + activations * batch_rows(run.batch_size, planned.n_train)
    )


def pause_bytes(planned: PlannedRun) -> int:
    """What a run's `Pause` takes, at most: parameters, state and curve, and the objects that hold them."""
    arrays = 1 + len(OPTIMIZERS[planned.run.optimizer.name].state)
    numbers = np.dtype(planned.run.precision).itemsize * n_parameters(planned) * arrays
    return numbers + 8 * len(CURVE_COLUMNS) * (planned.run.epochs + 1) + PAUSE_BYTES
