"""The training loop: a stack of runs in, an outcome per run out.

A run that is no longer finite leaves the stack at the end of the epoch; a large loss ends nothing, since it can come
back.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from lrsweep.engine import evaluate, model
from lrsweep.engine.group import Group
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, Array, Data, Outcome, Run, Stack

EPOCH, STEP, RATE, TRAIN_LOSS, VAL_LOSS, VAL_SCORE, GRAD_NORM, UPDATE_RATIO = range(len(CURVE_COLUMNS))
"""Where CURVE_COLUMNS stand in a curve."""


def time_epoch(stack: Stack, data: Data, steps: int = 3) -> float:
    """Seconds that an epoch of a stack takes, from a few steps and one evaluation whose results are thrown away."""
    with np.errstate(all="ignore"):
        group = Group(stack.runs, data)
        rows = group.draw_order()[:, : group.batch]
        validation = evaluate.Rows.of(data.x_val, data.y_val)
        group.gradient(rows)  # makes the buffers
        group.score(validation)
        start = time.perf_counter()
        count = min(steps, group.steps * stack.runs[0].epochs)
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
        growth = stack.runs[0].growth
        for number in range(1, stack.runs[0].epochs + 1):
            if growth is not None and number == growth.at_epoch + 1:
                group.grow()
            finite = train_epoch(group, record, validation, number)
            if not finite.all():
                record.keep(finite)
                group.keep(finite)
                if not group.runs:
                    break
        ends = final_scores(group, training, validation) if group.runs else []
        scores = dict(zip(record.live.tolist(), ends, strict=True))
        each = zip(stack.ids, stack.runs, strict=True)
        return [outcome(run_id, run, group, record, r, scores.get(r)) for r, (run_id, run) in enumerate(each)]


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
    values = (number, step, group.pacer.rates_at(step - 1), loss, val_loss, score, grad_norm, moved)
    group.pacer.reactions.react(loss, val_loss)
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
    columns += [group.score(rows)[1] for rows in group.noisy()]
    names = score_columns(data) + noisy_columns(data, group.runs[0])
    return [dict(zip(names, values, strict=True)) for values in np.stack(columns, axis=1).tolist()]


def score_columns(data: Data) -> list[str]:
    """The columns of runs.csv that are measured on the trained network, in order."""
    name = evaluate.score_name(data.task)
    extra = ["val_macro_f1", "val_balanced_accuracy"] if data.task == "classification" else []
    tests = ["test_loss", f"test_{name}"] if len(data.x_test) else []
    return ["train_loss", f"train_{name}", "val_loss", f"val_{name}", *extra, *tests]


def noisy_columns(data: Data, run: Run) -> list[str]:
    """The columns of runs.csv that are measured on inputs with noise, in order."""
    return [f"noisy_{evaluate.score_name(data.task)}@{deviation:g}" for deviation in run.noise]


def outcome(run_id: str, run: Run, group: Group, record: Record, r: int, end: dict[str, float] | None) -> Outcome:
    """The r-th run's outcome; `end` are its final scores, None where it diverged."""
    epochs = int(record.epochs_done[r])
    curve = record.curves[r, : epochs + 1]
    trained = curve[1:]
    val_loss = np.where(np.isfinite(trained[:, VAL_LOSS]), trained[:, VAL_LOSS], np.inf)
    best = int(val_loss.argmin()) if val_loss.min() < np.inf else None
    n_train, n_features = group.data.x_train.shape
    grew = run.growth is not None and epochs > run.growth.at_epoch
    width = run.growth.to_width if run.growth is not None and grew else run.width
    noisy = noisy_columns(group.data, run)
    scores = end or dict.fromkeys(score_columns(group.data) + noisy, np.nan)
    metrics: dict[str, float] = {
        "n_train": n_train,
        "n_parameters": model.n_parameters(model.sizes(n_features, width, run.depth, group.data.n_outputs)),
        "steps": epochs * group.steps,
        "epochs_done": epochs,
        "examples_seen": epochs * n_train,
        **{column: scores[column] for column in score_columns(group.data)},
        "best_val_loss": np.nan if best is None else float(val_loss[best]),
        f"best_val_{evaluate.score_name(group.data.task)}": float(np.fmax.reduce(trained[:, VAL_SCORE])),
        "best_epoch": np.nan if best is None else best + 1,
        "initial_loss": float(curve[0, TRAIN_LOSS]),
        "max_grad_norm": float(np.fmax.reduce(trained[:, GRAD_NORM])),
        **{column: scores[column] for column in noisy},
    }
    reason = "" if end else f"loss or weights not finite in epoch {epochs}"
    timing = {"seconds": float(record.seconds[r])}
    return Outcome(run_id, FINISHED if end else DIVERGED, reason, metrics, curve, timing)
