"""Measuring runs on rows they do not learn from: losses, predictions, scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lrsweep.engine.model import Network, with_ones
from lrsweep.vocabulary import Array, Task

CHUNK = 64
"""Rows measured at a time: enough for a fast product, few enough that activations stay in the cache."""


@dataclass(frozen=True)
class Rows:
    """A part of the data, ready to be measured on: targets (N,) and the inputs in chunks (S, D + 1, up to CHUNK).

    All runs share the inputs (S = 1), or R/S consecutive runs do.
    """

    targets: Array
    chunks: Iterable[Array]

    @classmethod
    def of(cls, x: Array, y: Array) -> Rows:
        """From inputs (N, D) that all runs share."""
        return cls(y, [columns(x[None, start : start + CHUNK]) for start in range(0, len(y), CHUNK)])


def columns(x: Array) -> Array:
    """Inputs (S, B, D) as a network takes them, (S, D + 1, B), with their row of ones."""
    return np.ascontiguousarray(with_ones(x).transpose(0, 2, 1))


def measure(rows: Rows, weights: Sequence[Array], network: Callable[[int], Network], task: Task) -> tuple[Array, Array]:
    """The mean loss (R,) in float64 and the predicted classes or values (R, N) of every run."""
    total = np.zeros((len(weights[0]), CHUNK))
    predictions = []
    for i, x in enumerate(rows.chunks):
        size = x.shape[2]
        workspace = network(size)
        workspace.forward(weights, x)
        outputs = workspace.outputs
        predictions.append(first_largest(outputs) if task == "classification" else outputs[0].copy())
        total[:, :size] += workspace.loss(rows.targets[None, i * CHUNK : i * CHUNK + size])
    return total.sum(axis=1) / len(rows.targets), np.concatenate(predictions, axis=1)


def first_largest(outputs: Array) -> Array:
    """The class of the largest output, (R, B) for outputs (C, R, B); the last class where they are not numbers.

    NumPy's argmax takes seven times as long along the first axis.
    """
    n_outputs = len(outputs)
    marks = (outputs == outputs.max(axis=0)).astype(np.int8 if n_outputs < 128 else np.int64)
    marks *= np.arange(n_outputs, 0, -1, dtype=marks.dtype)[:, None, None]
    predicted: Array = n_outputs - np.maximum(marks.max(axis=0), 1)
    return predicted


def accuracy(predicted: Array, targets: Array) -> Array:
    """The share of right classes, (R,), for predictions (R, N)."""
    share: Array = (predicted == targets).mean(axis=1)
    return share


def r2(loss: Array, targets: Array) -> Array:
    """The coefficient of determination, (R,), from mean squared errors (R,)."""
    return 1 - loss / np.var(targets, dtype=np.float64)


def macro_f1_and_balanced_accuracy(predicted: Array, targets: Array, n_classes: int) -> tuple[Array, Array]:
    """The mean F1 score over classes, and the mean recall over those present: (R,) each.

    A class that is neither present nor predicted does not count, as in scikit-learn.
    """
    n_runs = len(predicted)
    cells = np.arange(n_runs)[:, None] * n_classes**2 + targets * n_classes + predicted
    confusion = np.bincount(cells.ravel(), minlength=n_runs * n_classes**2).reshape(n_runs, n_classes, n_classes)
    right = np.diagonal(confusion, axis1=1, axis2=2)
    actual, guessed = confusion.sum(axis=2), confusion.sum(axis=1)
    present, counted = actual > 0, actual + guessed > 0
    f1 = 2 * right / np.where(counted, actual + guessed, 1)
    recall = right / np.where(present, actual, 1)
    return f1.sum(axis=1) / counted.sum(axis=1), recall.sum(axis=1) / present.sum(axis=1)


def score_name(task: Task) -> str:
    """What a task's columns call its score: `accuracy`, or `r2` in regression."""
    return "accuracy" if task == "classification" else "r2"


def score(loss: Array, predicted: Array, targets: Array, task: Task) -> Array:
    """Accuracy or R², (R,)."""
    return accuracy(predicted, targets) if task == "classification" else r2(loss, targets)
