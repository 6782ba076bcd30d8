"""The training loop: a stack of runs in, an outcome per run out.

A run that is no longer finite leaves the stack at the end of the epoch; a large loss ends nothing, since it can come
back. Runs may pause after an epoch, and go on from their pauses in another stack, process and company: they end as if
they had been trained in one go, bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lrsweep.engine import evaluate, model
from lrsweep.engine.group import Group
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, PAUSED, Array, Data, Outcome, Pause, Run, Stack

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


def train(stack: Stack, data: Data, watch: Callable[[], object] | None = None) -> list[Outcome]:
    """Trains the runs of a stack together, to the end or to their pause; an outcome for each, in the stack's order.

    `watch` is called after every step, and ends the training by raising.
    """
    with np.errstate(all="ignore"):  # a run that overflows is an outcome, not an accident
        group, record = Group(stack.runs, data, stack.pauses, watch), Record(stack)
        training, validation = evaluate.Rows.of(data.x_train, data.y_train), evaluate.Rows.of(data.x_val, data.y_val)
        if not stack.pauses:
            train_loss, _, _ = group.score(training)
            record.untrained(train_loss, *group.score(validation)[:2])
        train_epochs(group, record, validation, last_epoch(stack))
        ends = dict(zip(record.live.tolist(), endings(group, record, training, validation), strict=True))
        each = zip(stack.ids, stack.runs, strict=True)
        return [outcome(run_id, run, group, record, r, ends.get(r)) for r, (run_id, run) in enumerate(each)]


def last_epoch(stack: Stack) -> int:
    """The epoch up to which a stack is trained."""
    epochs = stack.runs[0].epochs
    return epochs if stack.until is None else min(stack.until, epochs)


class Record:
    """What is noted of a stack's runs as they train: their curves, seconds, and which of them are left."""

    def __init__(self, stack: Stack) -> None:
        n_runs, self.epochs = len(stack.runs), stack.runs[0].epochs
        self.curves = np.full((n_runs, self.epochs + 1, len(CURVE_COLUMNS)), np.nan)
        self.epochs_done = np.zeros(n_runs, int)
        self.seconds = np.zeros(n_runs)
        self.live = np.arange(n_runs)
        if stack.pauses:
            self.resume(stack.pauses)

    def resume(self, pauses: Sequence[Pause]) -> None:
        """Takes up what was noted before the runs paused."""
        self.curves[:, : pauses[0].epoch + 1] = [pause.curve for pause in pauses]
        self.epochs_done[:] = [pause.epoch for pause in pauses]
        self.seconds[:] = [pause.seconds for pause in pauses]

    @property
    def reached(self) -> int:
        """The epoch that the runs which are left have come to."""
        return int(self.epochs_done.max())

    def curve(self, r: int) -> Array:
        """The curve of a run of the stack, (epochs_done + 1, C)."""
        return self.curves[r, : self.epochs_done[r] + 1]

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


def train_epochs(group: Group, record: Record, validation: evaluate.Rows, last: int) -> None:
    """Trains epoch after epoch up to the last, unless no run is left before."""
    growth = group.runs[0].growth
    for number in range(record.reached + 1, last + 1):
        if growth is not None and number == growth.at_epoch + 1:
            group.grow()
        finite = train_epoch(group, record, validation, number)
        if not finite.all():
            record.keep(finite)
            group.keep(finite)
            if not group.runs:
                return


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


def endings(
    group: Group, record: Record, training: evaluate.Rows, validation: evaluate.Rows
) -> Sequence[dict[str, float] | Pause]:
    """What each run that is left comes to: its final scores where it was trained to the end, else its pause."""
    if group.runs and record.reached == record.epochs:
        return final_scores(group, training, validation)
    return group.pauses([record.curve(r) for r in record.live.tolist()], record.seconds[record.live].tolist())


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


def outcome(
    run_id: str, run: Run, group: Group, record: Record, r: int, end: dict[str, float] | Pause | None
) -> Outcome:
    """The r-th run's outcome; `end` is what `endings` tells of it, None where it diverged."""
    curve, timing = record.curve(r), {"seconds": float(record.seconds[r])}
    if isinstance(end, Pause):
        last = {"val_loss": curve[-1, VAL_LOSS], f"val_{evaluate.score_name(group.data.task)}": curve[-1, VAL_SCORE]}
        return Outcome(run_id, PAUSED, "", metrics(run, group, curve, last), end.curve, timing, end)
    if end is None:
        reason = f"loss or weights not finite in epoch {len(curve) - 1}"
        return Outcome(run_id, DIVERGED, reason, metrics(run, group, curve, {}), curve, timing)
    return Outcome(run_id, FINISHED, "", metrics(run, group, curve, end), curve, timing)


def metrics(run: Run, group: Group, curve: Array, scores: Mapping[str, float]) -> dict[str, float]:
    """Metrics by column of runs.csv, in their order, from a run's curve and its scores; nan where one is missing."""
    epochs, trained, data = len(curve) - 1, curve[1:], group.data
    val_loss = np.where(np.isfinite(trained[:, VAL_LOSS]), trained[:, VAL_LOSS], np.inf)
    best = int(val_loss.argmin()) if val_loss.min(initial=np.inf) < np.inf else None
    n_train, n_features = data.x_train.shape
    grew = run.growth is not None and epochs > run.growth.at_epoch
    width = run.growth.to_width if run.growth is not None and grew else run.width
    return {
        "n_train": n_train,
        "n_parameters": model.n_parameters(model.sizes(n_features, width, run.depth, data.n_outputs)),
        "steps": epochs * group.steps,
        "epochs_done": epochs,
        "examples_seen": epochs * n_train,
        **{column: float(scores.get(column, np.nan)) for column in score_columns(data)},
        "best_val_loss": np.nan if best is None else float(val_loss[best]),
        f"best_val_{evaluate.score_name(data.task)}": float(np.fmax.reduce(trained[:, VAL_SCORE], initial=np.nan)),
        "best_epoch": np.nan if best is None else best + 1,
        "initial_loss": float(curve[0, TRAIN_LOSS]),
        "max_grad_norm": float(np.fmax.reduce(trained[:, GRAD_NORM], initial=np.nan)),
        **{column: float(scores.get(column, np.nan)) for column in noisy_columns(data, run)},
    }
