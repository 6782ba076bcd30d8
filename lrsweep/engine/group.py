"""The runs of a stack that are training, and their arrays: drawing batches, gradients, steps, measures.

Every run's numbers are its own: nothing here sums, gathers or branches across runs, so that a run in a stack equals
the run alone bit for bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lrsweep.engine import evaluate, growth, model, optimizers, scaling
from lrsweep.engine.pacing import Pacer
from lrsweep.vocabulary import Array, Data, Pause, Run

FLUSH_STEPS = 64
"""Steps between two looks for decayed state: 0.9⁶⁴ is 1/848, so what the look before left is not yet subnormal."""


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
    """L2 norms (R, 1) of the rows of (R, P), in float64."""
    lengths: Array = np.sqrt(np.matmul(flat[:, None, :], flat[:, :, None]))[:, 0].astype(np.float64)
    limits = np.finfo(flat.dtype)
    doubtful = np.isinf(lengths[:, 0]) | (lengths[:, 0] < np.sqrt(limits.tiny) / limits.eps)
    if doubtful.any():  # squares leave the range of numbers long before these do
        rows = flat[doubtful].astype(np.float64)
        largest = np.abs(rows).max(axis=1, keepdims=True)
        exact = largest * np.sqrt(np.square(rows / largest).sum(axis=1, keepdims=True))
        lengths[doubtful] = np.where((largest > 0) & (largest < np.inf), exact, largest)
    return lengths


def sharing(seeds: Sequence[int]) -> Sequence[int]:
    """The seeds whose orders of the data are drawn: one for so many runs in a row where that comes out even, else all.

    >>> sharing([0, 0, 1, 1]), sharing([0, 0, 1])
    ([0, 1], [0, 0, 1])
    """
    distinct = list(dict.fromkeys(seeds))
    each = len(seeds) // len(distinct)
    return distinct if seeds == [seed for seed in distinct for _ in range(each)] else seeds


class Group:
    """The runs of a stack that are still training: from their start, or from where they paused."""

    def __init__(
        self,
        runs: Sequence[Run],
        data: Data,
        pauses: Sequence[Pause] = (),
        watch: Callable[[], object] | None = None,
    ) -> None:
        first = runs[0]
        self.runs, self.data, self.dtype, self.watch = list(runs), data, np.dtype(first.precision).type, watch
        self.rule = optimizers.OPTIMIZERS[first.optimizer.name]
        n_train, n_features = data.x_train.shape
        self.units = model.sizes(n_features, first.width, first.depth, data.n_outputs)
        self.inputs = model.with_ones(data.x_train)
        self.batch = batch_rows(first.batch_size, n_train)
        self.steps = steps_per_epoch(first.batch_size, n_train)
        self.pacer = Pacer(runs, self.rule, self.units, self.steps, self.dtype)
        self.streams = {run.seed: model.stream(run.seed, model.ORDER) for run in runs}
        if pauses:
            self.resume(pauses)
        else:
            self.begin()
        self.prepare()

    def begin(self) -> None:
        """Random parameters, and an optimizer that has seen nothing."""
        self.params = self.draw_weights(model.WEIGHTS)
        blank = np.zeros_like(self.params)
        self.state = [(self.params if name in self.rule.points else blank).copy() for name in self.rule.state]
        self.scalars = [np.zeros((len(self.runs), 1)) for _ in self.rule.scalars]

    def resume(self, pauses: Sequence[Pause]) -> None:
        """Takes up what the runs' pauses hold. All else follows from the runs and from the epoch, which they share."""
        (epoch,) = {pause.epoch for _, pause in zip(self.runs, pauses, strict=True)}
        self.params = np.stack([pause.params for pause in pauses])
        self.state = [np.stack(arrays) for arrays in zip(*(pause.state for pause in pauses), strict=True)]
        self.scalars = [np.array(column)[:, None] for column in zip(*(p.scalars for p in pauses), strict=True)]
        for _ in range(epoch):
            self.draw()
        grows = self.runs[0].growth
        if grows is not None and epoch > grows.at_epoch:
            self.units = growth.widened(self.units, grows.to_width)
            self.pacer.grow(self.units)
        self.pacer.reactions.resume([pause.reactions for pause in pauses])

    def pauses(self, curves: Sequence[Array], seconds: Sequence[float]) -> list[Pause]:
        """What each run needs to go on, with its curve (epochs + 1, C) and its seconds so far; copies, as arrays go."""
        held = zip(curves, self.params, self.pacer.reactions.paused(), seconds, strict=True)
        return [
            Pause(
                epoch=len(curve) - 1,
                curve=curve.copy(),
                params=params.copy(),
                state=tuple(array[r].copy() for array in self.state),
                scalars=tuple(float(column[r, 0]) for column in self.scalars),
                reactions=reactions,
                seconds=spent,
            )
            for r, (curve, params, reactions, spent) in enumerate(held)
        ]

    def draw_weights(self, key: int) -> Array:
        """Random parameters (R, P) of networks of the present size, each seed's own."""
        first, drawn = self.runs[0], {}
        for seed in {run.seed for run in self.runs}:
            flat = model.initial(self.units, first.activation, seed, key)
            model.layers(flat[None], self.units)[-1][..., :-1] *= scaling.width_ratio(first) ** 0.5
            drawn[seed] = flat.astype(self.dtype)
        return np.stack([drawn[run.seed] for run in self.runs])

    def prepare(self) -> None:
        """All that follows from the present runs, parameters and state."""
        first = self.runs[0]
        settings = [dict(run.optimizer.settings) for run in self.runs]
        self.optimizer = optimizers.build(first.optimizer.name, settings, self.dtype)
        self.clip_norm = None
        if first.clip_norm is not None:
            self.clip_norm = np.array([[run.clip_norm] for run in self.runs], self.dtype)
        self.grads, self.scratch, self.last_params = (np.empty_like(self.params) for _ in range(3))
        self.weights, self.slots = model.layers(self.params, self.units), model.layers(self.grads, self.units)
        share = 1 / scaling.width_ratio(first)
        design = model.Design(self.units, first.activation, self.data.task, self.dtype, share)
        self.seeds = sharing([run.seed for run in self.runs])
        # Made as partials, not lambdas over self: a cycle would keep a trained stack's arrays until it is collected.
        self.learner = functools.cache(functools.partial(model.Learner, design, len(self.runs), len(self.seeds)))
        self.network = functools.cache(functools.partial(model.Network, design, len(self.runs)))

    def keep(self, mask: Array) -> None:
        """Lets the runs outside the mask (R,) go; the others do not change by one bit."""
        self.runs = [run for run, kept in zip(self.runs, mask, strict=True) if kept]
        self.params = self.params[mask]
        self.state, self.scalars = ([array[mask] for array in arrays] for arrays in (self.state, self.scalars))
        self.pacer.keep(mask)
        if self.runs:
            self.prepare()

    def grow(self) -> None:
        """Gives every hidden layer the width that the runs grow to; what the networks compute stays the same.

        Averages of the optimizer carry on for the old neurons and start at zero for the new ones.
        """
        old, first = self.units, self.runs[0].growth
        assert first is not None  # noqa: S101  the loop grows runs that are told to
        self.units = growth.widened(old, first.to_width)
        drawn = self.draw_weights(model.GROWTH)
        blank = np.zeros_like(drawn)
        self.params = growth.grown(self.params, old, first.to_width, drawn)
        self.state = [
            growth.grown(array, old, first.to_width, drawn if name in self.rule.points else blank)
            for name, array in zip(self.rule.state, self.state, strict=True)
        ]
        self.pacer.grow(self.units)
        self.prepare()

    def draw(self) -> dict[int, Array]:
        """Each seed's order of the rows, (N,), for the next epoch."""
        return {seed: stream.permutation(len(self.inputs)) for seed, stream in self.streams.items()}

    def draw_order(self) -> Array:
        """The rows' orders for the next epoch, (S, N): R/S consecutive runs share one."""
        drawn = self.draw()
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
                grad_norm, length = norms(self.grads) / self.pacer.unit, norms(self.params)
                np.copyto(self.last_params, self.params)
            self.update((number - 1) * self.steps + i)
            if self.watch:
                self.watch()
        np.subtract(self.params, self.last_params, out=self.last_params)
        moved = norms(self.last_params) / length
        return total.sum(axis=1) / len(self.inputs), grad_norm[:, 0], moved[:, 0]

    def gradient(self, rows: Array) -> Array:
        """The losses (R, B) of the rows (S, B); their mean's gradient, times the unit, goes into `grads`."""
        learner = self.learner(rows.shape[1])
        return learner.differentiate(self.weights, self.slots, self.inputs, self.data.y_train, rows, self.pacer.unit)

    def update(self, step: int) -> None:
        """Clips the gradient where asked, and takes the optimizer's step, counted from 0."""
        if self.clip_norm is not None:
            share = self.pacer.unit.astype(np.float64) * self.clip_norm / norms(self.grads)
            self.grads *= np.minimum(1, share).astype(self.dtype)
        memory = [*self.state, *self.scalars]
        self.optimizer.step(self.params, self.grads, memory, self.pacer.at(step), step + 1, self.scratch)
        if (step + 1) % FLUSH_STEPS == 0:
            self.flush()

    def flush(self) -> None:
        """Sets decayed state to zero before it becomes subnormal, where a step takes about ten times as long."""
        smallest = np.finfo(self.dtype).tiny * 1e3
        for name, array in zip(self.rule.state, self.state, strict=True):
            if name not in self.rule.points:
                np.abs(array, out=self.scratch)
                array *= self.scratch >= smallest

    def score(self, rows: evaluate.Rows) -> tuple[Array, Array, Array]:
        """Losses (R,), accuracies or R² (R,), and predictions (R, N)."""
        point = self.optimizer.evaluated(self.params, self.state)
        weights = self.weights if point is self.params else model.layers(point, self.units)
        loss, predicted = evaluate.measure(rows, weights, self.network, self.data.task)
        return loss, evaluate.score(loss, predicted, rows.targets, self.data.task), predicted

    def noisy(self) -> Iterator[evaluate.Rows]:
        """The validation rows with noise of each deviation in turn: a seed's own noise, the same for all its rates."""
        for deviation in self.runs[0].noise:
            yield evaluate.Rows(self.data.y_val, self.noisy_chunks(deviation))

    def noisy_chunks(self, deviation: float) -> Iterator[Array]:
        """The chunks of validation inputs with noise, drawn when they are needed, for all of it would fill memory."""
        clean, streams = self.data.x_val, [model.stream(seed, model.NOISE) for seed in self.seeds]
        for start in range(0, len(clean), evaluate.CHUNK):
            rows = clean[start : start + evaluate.CHUNK]
            noise = np.stack([stream.standard_normal(rows.shape) for stream in streams])
            yield evaluate.columns((rows + deviation * noise).astype(self.dtype))

    def finite(self, *losses: Array) -> Array:
        """Which runs still have finite losses and weights, (R,). Comparisons are such that NaN fails them."""
        mask: Array = np.asarray(np.isfinite(self.params).all(axis=1))
        for loss in losses:
            mask &= loss < np.inf
        return mask
