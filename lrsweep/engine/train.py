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
        params = [model.initial(self.units, first.activation, run.seed) for run in runs]
        self.params = np.stack(params).astype(self.dtype)
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
        n_orders = 1 if len({run.seed for run in self.runs}) == 1 else len(self.runs)
        self.learner = functools.cache(lambda n_rows: model.Learner(*shape, n_rows, n_orders, self.dtype))
        self.network = functools.cache(lambda n_rows: model.Network(*shape, n_rows, self.dtype))

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask (R,) go; the others do not change by one bit."""
        self.runs = [run for run, kept in zip(self.runs, mask, strict=True) if kept]
        self.params = self.params[mask]
        self.state = [array[mask] for array in self.state]
        if self.runs:
            self.prepare()

    def draw_order(self) -> Array:
        """The rows' order for the next epoch, (S, N); S is 1 where the runs share a seed, else R."""
        drawn = {seed: stream.permutation(len(self.inputs)) for seed, stream in self.streams.items()}
        seeds = [run.seed for run in self.runs]
        return np.stack([drawn[seed] for seed in (seeds if len(set(seeds)) > 1 else seeds[:1])])

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


def time_steps(stack: Stack, data: Data, steps: int = 3) -> float:
    """Seconds per step of a stack, from a few steps whose results are thrown away."""
    with np.errstate(all="ignore"):
        group = Group(stack.runs, data)
        rows = group.draw_order()[:, : group.batch]
        group.gradient(rows)  # makes the buffers
        count = min(steps, len(group.columns))
        start = time.perf_counter()
        for step in range(count):
            group.gradient(rows)
            group.update(step)
        return (time.perf_counter() - start) / count


def train(stack: Stack, data: Data) -> list[Outcome]:
    """Trains the runs of a stack together; an outcome for each, in the stack's order."""
    with np.errstate(all="ignore"):
        return _train(stack, data)


def _train(stack: Stack, data: Data) -> list[Outcome]:
    group = Group(stack.runs, data)
    epochs = stack.runs[0].epochs
    validation = evaluate.Rows.of(data.x_val, data.y_val)
    training = evaluate.Rows.of(data.x_train, data.y_train)
    curves = np.full((len(stack.runs), epochs + 1, len(CURVE_COLUMNS)), np.nan)
    seconds = np.zeros(len(stack.runs))
    ends: dict[int, dict[str, float]] = {}
    live = np.arange(len(stack.runs))

    curves[:, 0, :2] = 0
    curves[:, 0, 3] = group.score(training)[0]
    curves[:, 0, 4], curves[:, 0, 5], _ = group.score(validation)
    for number in range(1, epochs + 1):
        start = time.perf_counter()
        loss, grad_norm, moved = group.epoch(number)
        val_loss, val_score, _ = group.score(validation)
        finite = group.finite(loss, val_loss)
        step = number * group.steps
        columns = (np.full(len(live), number), np.full(len(live), step), group.rates[:, step - 1], loss, val_loss)
        curves[live, number] = np.stack([*columns, np.where(finite, val_score, np.nan), grad_norm, moved], axis=1)
        seconds[live] += (time.perf_counter() - start) / len(live)
        if not finite.all():
            live = live[finite]
            group.keep(finite)
            if not len(live):
                break
    if len(live):
        ends = dict(zip(live.tolist(), final_scores(group, training, validation), strict=True))
    return [outcome(stack, data, group, r, curves[r], ends.get(r), seconds[r]) for r in range(len(stack.runs))]


def final_scores(group: Group, training: evaluate.Rows, validation: evaluate.Rows) -> list[dict[str, float]]:
    """What the trained runs score on each part of the data, a dict per run."""
    data, name = group.data, evaluate.score_name(group.data.task)
    columns: dict[str, Array] = {}
    for part, rows in (("train", training), ("val", validation), ("test", evaluate.Rows.of(data.x_test, data.y_test))):
        if len(rows.targets):
            columns[f"{part}_loss"], columns[f"{part}_{name}"], predicted = group.score(rows)
            if part == "val" and data.task == "classification":
                f1, balanced = evaluate.macro_f1_and_balanced_accuracy(predicted, rows.targets, data.n_outputs)
                columns["val_macro_f1"], columns["val_balanced_accuracy"] = f1, balanced
    return [dict(zip(columns, values, strict=True)) for values in np.stack([*columns.values()], axis=1).tolist()]


def outcome(
    stack: Stack, data: Data, group: Group, r: int, curve: Array, end: dict[str, float] | None, seconds: float
) -> Outcome:
    """The r-th run's outcome: its status, its row of runs.csv, and its curve up to where it ended."""
    name = evaluate.score_name(data.task)
    epochs = int(np.nanmax(curve[:, 0]))
    curve = curve[: epochs + 1]
    val_loss = np.where(np.isfinite(curve[1:, 4]), curve[1:, 4], np.inf)
    best = int(val_loss.argmin()) if val_loss.min() < np.inf else None
    tests = ("test_loss", f"test_{name}") if len(data.x_test) else ()
    extra = ("val_macro_f1", "val_balanced_accuracy") if data.task == "classification" else ()
    scores = ("train_loss", f"train_{name}", "val_loss", f"val_{name}", *extra, *tests)
    metrics: dict[str, float] = {
        "n_train": len(data.x_train),
        "n_parameters": model.n_parameters(group.units),
        "steps": epochs * group.steps,
        "epochs_done": epochs,
        "examples_seen": epochs * len(data.x_train),
        **{score: end[score] if end else np.nan for score in scores},
        "best_val_loss": np.nan if best is None else float(val_loss[best]),
        f"best_val_{name}": float(np.fmax.reduce(curve[1:, 5])),
        "best_epoch": np.nan if best is None else best + 1,
        "initial_loss": float(curve[0, 3]),
        "max_grad_norm": float(np.fmax.reduce(curve[1:, 6])),
    }
    reason = "" if end else f"loss or weights not finite in epoch {epochs}"
    status = FINISHED if end else DIVERGED
    return Outcome(stack.ids[r], status, reason, metrics, curve, {"seconds": seconds})
