"""The coordinate check: whether a few steps move activations as much in a wide network as in a narrow one.

Where they do, a rate found at one width serves the others (Yang et al. 2021, Tensor Programs V, appendix D.1).
Activations go as some power of the width; the check asks whether that power, the slope on log scales, is near zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from lrsweep.engine import model
from lrsweep.engine.group import Group
from lrsweep.vocabulary import Array, Data, Run

PASSES, BORDERLINE, FAILS = "passes", "borderline", "fails"

SAME, OTHER = 0.1, 0.3
"""Sizes of slopes: below the first it passes, above the second it fails."""

ROWS = 256
"""The training rows that activations are measured on: the first, which hold the classes in proportion."""


def activations(runs: Sequence[Run], data: Data, steps: int) -> Array:
    """Mean absolute activations (R, steps, depth + 1) after each step: of the hidden layers, and of the logits.

    The runs are a stack. Their steps are those of a training, but that the output weights start at zero: in muP the
    logits that random ones make shrink with the width, which would hide what the steps do to them.
    """
    with np.errstate(all="ignore"):  # what is not finite is a finding, not an accident
        group = Group(runs, data)
        silence(group)
        x = np.ascontiguousarray(group.inputs[:ROWS].T[None])
        seen = []
        for step, rows in enumerate(islice(batches(group), steps)):
            group.gradient(rows)
            group.update(step)
            seen.append(measure(group, x))
        return np.stack(seen, axis=1)


def silence(group: Group) -> None:
    """Sets the output weights to zero, also in what an optimizer remembers of the parameters."""
    points = [array for name, array in zip(group.rule.state, group.state, strict=True) if name in group.rule.points]
    for flat in (group.params, *points):
        model.layers(flat, group.units)[-1][...] = 0


def batches(group: Group) -> Iterator[Array]:
    """The rows (S, B) of each step of a training, epoch after epoch."""
    while True:
        order = group.draw_order()
        for i in range(group.steps):
            yield order[:, i * group.batch : (i + 1) * group.batch]


def measure(group: Group, x: Array) -> Array:
    """Mean absolute activations (R, depth + 1) over rows (1, D + 1, B), in float64."""
    point = group.optimizer.evaluated(group.params, group.state)
    network = group.network(x.shape[2])
    network.forward(model.layers(point, group.units), x)
    layers = [*(hidden[:, :-1] for hidden in network.hidden), network.outputs.transpose(1, 0, 2)]
    return np.stack([np.abs(layer).mean(axis=(1, 2), dtype=np.float64) for layer in layers], axis=1)


def slopes(widths: Sequence[int], sizes: Array) -> Array:
    """The powers of the width, (steps, L), that sizes (W, steps, L) go as, by least squares; nan where one has no log.

    >>> slopes([16, 32, 64], np.array([[[1.0, 8.0]], [[2.0, 4.0]], [[4.0, 2.0]]])).round(3)
    array([[ 1., -1.]])
    """
    x = np.log(np.asarray(widths, np.float64))
    x -= x.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(np.isfinite(sizes) & (sizes > 0), np.log(sizes), np.nan)
    powers: Array = np.tensordot(x, y, axes=1) / (x @ x)
    return powers


def largest(slopes: Array) -> float:
    """The slope of the largest size of a layer's slopes after each step, (steps,); nan where any is."""
    return float(slopes[np.abs(slopes).argmax()])


def verdict(slope: float) -> str:
    """Whether a layer keeps its size, from the largest of its slopes; what cannot be told fails.

    >>> [verdict(slope) for slope in (-0.05, 0.2, -0.9, np.nan)]
    ['passes', 'borderline', 'fails', 'fails']
    """
    return PASSES if abs(slope) < SAME else BORDERLINE if abs(slope) <= OTHER else FAILS
