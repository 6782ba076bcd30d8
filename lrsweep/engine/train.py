"""The training loop: a stack of runs in, an outcome per run out.

Every run's numbers are its own: nothing here sums, gathers or branches across runs, so that a run in a stack equals
the run alone bit for bit. A run that is no longer finite leaves the stack at the end of the epoch; a large loss ends
nothing, since it can come back.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence

import numpy as np

from lrsweep.engine import evaluate, model, optimizers, schedules
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, Array, Data, Outcome, Run, Stack, float_type

EPOCH, STEP, RATE, TRAIN_LOSS, VAL_LOSS, VAL_SCORE, GRAD_NORM, UPDATE_RATIO = range(len(CURVE_COLUMNS))
"""Where CURVE_COLUMNS stand in a curve."""

FLUSH_STEPS = 64
"""Steps between two looks for decayed state: 0.9⁶⁴ of what the look before left is still far from subnormal."""


def batch_rows(batch_size: int | str, n_train: int) -> int:
    """B: rows per batch, never more than there are."""
    return n_train if batch_size == "full" else min(int(batch_size), n_train)


def steps_per_epoch(batch_size: int | str, n_train: int) -> int:
    """Batches per epoch. The last one may be smaller, and counts as a step like the others.

    >>> steps_per_epoch(32, 1079), steps_per_epoch("full", 1079)
    (34, 1)
    """
    return -(-n_train // batch_rows(batch_size, n_train))


def norms(flat: Array) -> Array:
    """L2 norms (R, 1) of the rows of (R, P)."""
    lengths: Array = np.sqrt(np.matmul(flat[:, None, :], flat[:, :, None]))
    return lengths[:, 0]


def sharing(seeds: Sequence[int]) -> Sequence[int]:
    """The seeds whose orders of the data are drawn: one for so many runs in a row where that comes out even, else all.

    >>> sharing([0, 0, 1, 1]), sharing([0, 0, 1])
    ([0, 1], [0, 0, 1])
    """
    distinct = list(dict.fromkeys(seeds))
    each = len(seeds) // len(distinct)
    return distinct if seeds == [seed for seed in distinct for _ in range(each)] else seeds


class Group:
    """The runs of a stack that are still training, and their arrays."""

    def __init__(self, runs: Sequence[Run], data: Data) -> None:
        first = runs[0]
        self.runs, self.data, self.dtype = list(runs), data, float_type(first.precision)
        n_train, n_features = data.x_train.shape
        self.units = model.sizes(n_features, first.width, first.depth, data.n_outputs)
        self.inputs = model.with_ones(data.x_train)
        self.batch = batch_rows(first.batch_size, n_train)
        self.steps = steps_per_epoch(first.batch_size, n_train)
        self.streams = {run.seed: model.stream(run.seed, model.ORDER) for run in runs}
        initial = {seed: model.initial(self.units, first.activation, seed) for seed in self.streams}
        self.params = np.stack([initial[run.seed] for run in runs]).astype(self.dtype)
        self.state = [np.zeros_like(self.params) for _ in optimizers.OPTIMIZERS[first.optimizer.name].state]
        self.prepare()

    def prepare(self) -> None:
        """All that follows from the present runs, parameters and state."""
        first = self.runs[0]
        settings = [dict(run.optimizer.settings) for run in self.runs]
        self.optimizer = optimizers.build(first.optimizer.name, settings, self.dtype)
        self.rates = schedules.rate_table(self.runs, self.steps * first.epochs)
        # A column per step, ready to be multiplied with (R, P).
        self.columns = np.ascontiguousarray(self.rates.T[:, :, None]).astype(self.dtype)
        self.clip_norm = None
        if first.clip_norm is not None:
            self.clip_norm = np.array([[run.clip_norm] for run in self.runs], self.dtype)
        self.grads, self.scratch = np.empty_like(self.params), np.empty_like(self.params)
        self.weights, self.slots = model.layers(self.params, self.units), model.layers(self.grads, self.units)
        shape = (self.units, first.activation, self.data.task, len(self.runs))
        self.seeds = sharing([run.seed for run in self.runs])
        # Made as partials, not lambdas over self: a cycle would keep a trained stack's arrays until it is collected.
        self.learner = functools.cache(functools.partial(model.Learner, *shape, len(self.seeds), self.dtype))
        self.network = functools.cache(functools.partial(model.Network, *shape, self.dtype))

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask (R,) go; the others do not change by one bit."""
        self.runs = [run for run, kept in zip(self.runs, mask, strict=True) if kept]
        self.params = self.params[mask]
        self.state = [array[mask] for array in self.state]
        if self.runs:
            self.prepare()

    def draw_order(self) -> Array:
        """The rows' orders for the next epoch, (S, N): R/S consecutive runs share one."""
        drawn = {seed: stream.permutation(len(self.inputs)) for seed, stream in self.streams.items()}
        return np.stack([drawn[seed] for seed in self.seeds])

    def epoch(self, number: int) -> tuple[Array, Array, Array]:
        """Trains one epoch, counted from 1.

        Returns (R,) each: the mean loss of its rows as they were met, the norm of its last gradient before clipping,
        and the norm of its last update over that of the weights.
        """
        order = self.draw_order()
        total = np.zeros((len(self.runs), self.batch))
        for i in range(self.steps):
            rows = order[:, i * self.batch : (i + 1) * self.batch]
            total[:, : rows.shape[1]] += self.gradient(rows)
            if i == self.steps - 1:
                grad_norm, before = norms(self.grads), self.params.copy()
            self.update((number - 1) * self.steps + i)
        moved = norms(self.params - before) / norms(before)
        return total.sum(axis=1) / len(self.inputs), grad_norm[:, 0], moved[:, 0]

    def gradient(self, rows: Array) -> Array:
        """The losses (R, B) of the rows (S, B); their mean's gradient goes into `grads`."""
        learner = self.learner(rows.shape[1])
        return learner.differentiate(self.weights, self.slots, self.inputs, self.data.y_train, rows)

    def update(self, step: int) -> None:
        """Clips the gradient where asked, and takes the optimizer's step, counted from 0."""
        if self.clip_norm is not None:
            self.grads *= np.minimum(1, self.clip_norm / norms(self.grads))
        self.optimizer.step(self.params, self.grads, self.state, self.columns[step], step + 1, self.scratch)
        if (step + 1) % FLUSH_STEPS == 0:
            self.flush()

    def flush(self) -> None:
        """Sets decayed state to zero before it becomes subnormal, where a step takes about ten times as long."""
        smallest = np.finfo(self.dtype).tiny * 1e8
        for array in self.state:
            array[np.abs(array) < smallest] = 0

    def score(self, rows: evaluate.Rows) -> tuple[Array, Array, Array]:
        """Losses (R,), accuracies or R² (R,), and predictions (R, N)."""
        loss, predicted = evaluate.measure(rows, self.weights, self.network, self.data.task)
        return loss, evaluate.score(loss, predicted, rows.targets, self.data.task), predicted

    def finite(self, *losses: Array) -> Array:
        """Which runs still have finite losses and weights, (R,). Comparisons are such that NaN fails them."""
        mask: Array = np.abs(self.params).max(axis=1) < np.inf
        for loss in losses:
            mask &= loss < np.inf
        return mask


def time_epoch(stack: Stack, data: Data, steps: int = 3) -> float:
    """Seconds that an epoch of a stack takes, from a few steps and one evaluation whose results are thrown away."""
    with np.errstate(all="ignore"):
        group = Group(stack.runs, data)
        rows = group.draw_order()[:, : group.batch]
        validation = evaluate.Rows.of(data.x_val, data.y_val)
        group.gradient(rows)  # makes the buffers
        group.score(validation)
        start = time.perf_counter()
        count = min(steps, len(group.columns))
        for step in range(count):
            group.gradient(rows)
            group.update(step)
        stepped = time.perf_counter()
        group.score(validation)
        return (stepped - start) / count * group.steps + time.perf_counter() - stepped


def train(stack: Stack, data: Data) -> list[Outcome]:
    """Trains the runs of a stack together; an outcome for each, in the stack's order."""
    with np.errstate(all="ignore"):  # a run that overflows is an outcome, not an accident
        group = Group(stack.runs, data)
        record = Record(len(stack.runs), stack.runs[0].epochs)
        training, validation = evaluate.Rows.of(data.x_train, data.y_train), evaluate.Rows.of(data.x_val, data.y_val)
        train_loss, _, _ = group.score(training)
        record.untrained(train_loss, *group.score(validation)[:2])
        for number in range(1, stack.runs[0].epochs + 1):
            finite = train_epoch(group, record, validation, number)
            if not finite.all():
                record.keep(finite)
                group.keep(finite)
                if not group.runs:
                    break
        ends = final_scores(group, training, validation) if group.runs else []
        scores = dict(zip(record.live.tolist(), ends, strict=True))
        return [outcome(run_id, group, record, r, scores.get(r)) for r, run_id in enumerate(stack.ids)]


class Record:
    """What is noted of a stack's runs as they train: their curves, seconds, and which of them are left."""

    def __init__(self, n_runs: int, epochs: int) -> None:
        self.curves = np.full((n_runs, epochs + 1, len(CURVE_COLUMNS)), np.nan)
        self.epochs_done = np.zeros(n_runs, int)
        self.seconds = np.zeros(n_runs)
        self.live = np.arange(n_runs)

    def untrained(self, train_loss: Array, val_loss: Array, val_score: Array) -> None:
        """Epoch 0, (R,) each; what follows from training stays NaN."""
        self.curves[:, 0, [EPOCH, STEP]] = 0
        self.curves[:, 0, [TRAIN_LOSS, VAL_LOSS, VAL_SCORE]] = np.stack([train_loss, val_loss, val_score], axis=1)

    def epoch(self, number: int, seconds: float, values: Sequence[float | Array]) -> None:
        """An epoch of the runs that are left; `values`, numbers or (R,), are the columns of a curve."""
        self.curves[self.live, number] = np.stack(np.broadcast_arrays(*values), axis=1)
        self.epochs_done[self.live] = number
        self.seconds[self.live] += seconds / len(self.live)

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask, (R,) of those left, go."""
        self.live = self.live[mask]


def train_epoch(group: Group, record: Record, validation: evaluate.Rows, number: int) -> Array:
    """Trains, measures and notes an epoch, counted from 1; tells which runs are still finite, (R,)."""
    start = time.perf_counter()
    loss, grad_norm, moved = group.epoch(number)
    val_loss, val_score, _ = group.score(validation)
    finite = group.finite(loss, val_loss)
    step = number * group.steps
    score = np.where(finite, val_score, np.nan)  # the class that NaN outputs point at is no prediction
    values = (number, step, group.rates[:, step - 1], loss, val_loss, score, grad_norm, moved)
    record.epoch(number, time.perf_counter() - start, values)
    return finite


def final_scores(group: Group, training: evaluate.Rows, validation: evaluate.Rows) -> list[dict[str, float]]:
    """What the trained runs score on each part of the data, a dict per run with the keys of `score_columns`."""
    data, columns = group.data, []
    for rows in (training, validation, evaluate.Rows.of(data.x_test, data.y_test)):
        if len(rows.targets):
            loss, score, predicted = group.score(rows)
            columns += [loss, score]
            if rows is validation and data.task == "classification":
                columns += evaluate.macro_f1_and_balanced_accuracy(predicted, rows.targets, data.n_outputs)
    return [dict(zip(score_columns(data), values, strict=True)) for values in np.stack(columns, axis=1).tolist()]


def score_columns(data: Data) -> list[str]:
    """The columns of runs.csv that are measured on the trained network, in order."""
    name = evaluate.score_name(data.task)
    extra = ["val_macro_f1", "val_balanced_accuracy"] if data.task == "classification" else []
    tests = ["test_loss", f"test_{name}"] if len(data.x_test) else []
    return ["train_loss", f"train_{name}", "val_loss", f"val_{name}", *extra, *tests]


def outcome(run_id: str, group: Group, record: Record, r: int, end: dict[str, float] | None) -> Outcome:
    """The r-th run's outcome; `end` are its final scores, None where it diverged."""
    epochs = int(record.epochs_done[r])
    curve = record.curves[r, : epochs + 1]
    trained = curve[1:]
    val_loss = np.where(np.isfinite(trained[:, VAL_LOSS]), trained[:, VAL_LOSS], np.inf)
    best = int(val_loss.argmin()) if val_loss.min() < np.inf else None
    n_train = len(group.data.x_train)
    metrics: dict[str, float] = {
        "n_train": n_train,
        "n_parameters": model.n_parameters(group.units),
        "steps": epochs * group.steps,
        "epochs_done": epochs,
        "examples_seen": epochs * n_train,
        **(end or dict.fromkeys(score_columns(group.data), np.nan)),
        "best_val_loss": np.nan if best is None else float(val_loss[best]),
        f"best_val_{evaluate.score_name(group.data.task)}": float(np.fmax.reduce(trained[:, VAL_SCORE])),
        "best_epoch": np.nan if best is None else best + 1,
        "initial_loss": float(curve[0, TRAIN_LOSS]),
        "max_grad_norm": float(np.fmax.reduce(trained[:, GRAD_NORM])),
    }
    reason = "" if end else f"loss or weights not finite in epoch {epochs}"
    timing = {"seconds": float(record.seconds[r])}
    return Outcome(run_id, FINISHED if end else DIVERGED, reason, metrics, curve, timing)
