"""A multilayer perceptron over stacks: layout, initial weights, forward and backward pass.

The parameters of R runs are one buffer (R, P). A layer is a view (R, out, in + 1) into it whose last column is the
bias, and every activation (R, in + 1, B) ends in a row of ones: a bias costs no operation of its own, either way.
Activations keep the batch last and logits the class first, (C, R·B): what the softmax sums over is then whole rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from lrsweep.vocabulary import Array

WEIGHTS, ORDER, NOISE, GROWTH = range(4)
"""Keys of a seed's random streams: the initial weights, the order of the data, the noise of inputs, new neurons."""

SPARE = 8
"""Unused columns beside the logits. Without them NumPy would see one run with one row as a vector, take another path
through its matrix product and its sums, and end in other bits than the same run in a stack."""


WIDE = 80
"""Inputs of the output layer above which its gradient is cheaper as a product of arrays in their own order: half the
time at 256, after a copy of the small one of them. Measured with OpenBLAS on AVX-512."""


def stream(seed: int, key: int) -> np.random.Generator:
    """A seed's random numbers for one purpose; they depend on nothing else."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(key,))))


@dataclass(frozen=True)
class Activation:
    """`apply(z, slope, zeros)` turns z into its activation in place, and writes the derivative to slope, if not None.

    `zeros` are like z. `gain` is the factor of the initial weights that keeps the signal's size (He et al. 2015).
    """

    apply: Callable[[Array, Array | None, Array], None]
    gain: float
    slope_type: type[np.generic] | None = None


def relu(z: Array, slope: Array | None, zeros: Array) -> None:
    """max(z, 0); its slope is a mask."""
    if slope is not None:
        np.greater(z, 0, out=slope)
    np.maximum(z, zeros, out=z)  # twice as fast as with the number 0


def tanh(z: Array, slope: Array | None, zeros: Array) -> None:
    """tanh z; slope 1 − tanh² z."""
    np.tanh(z, out=z)
    if slope is not None:
        np.square(z, out=slope)
        np.subtract(1, slope, out=slope)


def logistic(z: Array, slope: Array | None, zeros: Array) -> None:
    """1 / (1 + exp(−z)); slope s·(1 − s)."""
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += 1
    np.reciprocal(z, out=z)
    if slope is not None:
        np.subtract(1, z, out=slope)
        slope *= z


def gelu(z: Array, slope: Array | None, zeros: Array) -> None:
    """½z·(1 + tanh u) with u = √(2/π)·(z + 0.044715z³): Hendrycks & Gimpel's tanh form, since NumPy has no erf."""
    root = np.sqrt(2 / np.pi).astype(z.dtype)
    square = z * z
    t = np.tanh(root * z * (1 + z.dtype.type(0.044715) * square))
    if slope is not None:
        slope[...] = 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * root * (1 + z.dtype.type(3 * 0.044715) * square)
    z *= 0.5 * (1 + t)


ACTIVATIONS: dict[str, Activation] = {
    "relu": Activation(relu, gain=2**0.5, slope_type=np.bool_),
    "tanh": Activation(tanh, gain=1),
    "gelu": Activation(gelu, gain=2**0.5),
    "logistic": Activation(logistic, gain=1),
}


def sizes(n_features: int, width: int, depth: int, n_outputs: int) -> tuple[int, ...]:
    """Units per layer, inputs and outputs included.

    >>> sizes(64, 16, 2, 10)
    (64, 16, 16, 10)
    """
    return (n_features, *[width] * depth, n_outputs)


def n_parameters(units: Sequence[int]) -> int:
    """P, biases included.

    >>> n_parameters((64, 16, 10))
    1210
    """
    return sum(outs * (ins + 1) for ins, outs in pairwise(units))


def layers(flat: Array, units: Sequence[int]) -> list[Array]:
    """Views (R, out, in + 1) into a buffer (R, P), input layer first."""
    views, start = [], 0
    for ins, outs in pairwise(units):
        end = start + outs * (ins + 1)
        views.append(flat[:, start:end].reshape(len(flat), outs, ins + 1))
        start = end
    return views


def initial(units: Sequence[int], activation: str, seed: int, key: int = WEIGHTS) -> Array:
    """Initial parameters (P,) in float64: normal weights of deviation gain/√in, zero biases.

    The output layer has gain 1: its logits start small, and the untrained loss near chance.
    """
    flat = np.zeros((1, n_parameters(units)))
    random = stream(seed, key)
    hidden = layers(flat, units)
    for i, layer in enumerate(hidden):
        _, outs, columns = layer.shape
        gain = ACTIVATIONS[activation].gain if i < len(hidden) - 1 else 1.0
        layer[0, :, :-1] = random.standard_normal((outs, columns - 1)) * gain / np.sqrt(columns - 1)
    first: Array = flat[0]
    return first


def with_ones(x: Array) -> Array:
    """x (…, N, D) with a column of ones, (…, N, D + 1), which the bias multiplies."""
    return np.concatenate([x, np.ones((*x.shape[:-1], 1), x.dtype)], axis=-1)


def product(left: Array, right: Array, out: Array) -> None:
    """out[r] = left[r] @ right[s] for left (R, m, k) and right (S, k, n), where R/S consecutive runs share an s."""
    n_shared = len(right)
    left, out = (array.reshape(n_shared, -1, *array.shape[1:]) for array in (left, out))
    np.matmul(left, right[:, None], out=out)


@dataclass(frozen=True)
class Design:
    """What the networks of a stack have in common. Of the output layer's weighted sum, `share` counts (muP)."""

    units: tuple[int, ...]
    activation: str
    task: str
    dtype: Any
    share: float = 1.0


class Network:
    """Workspace in which R runs pass over B rows: nothing of any size is allocated on the way."""

    def __init__(self, design: Design, n_runs: int, n_rows: int) -> None:
        units, dtype, self.share = design.units, design.dtype, design.share
        self.activation, self.task = ACTIVATIONS[design.activation], design.task
        self.hidden = [np.empty((n_runs, n + 1, n_rows), dtype) for n in units[1:-1]]
        self.slopes: list[Array | None] = [None] * len(self.hidden)
        # Zeros that nobody writes to are one page of memory, and so cost no room in the cache.
        self.zeros = [np.zeros(z.shape, dtype) for z in self.hidden]
        columns = n_runs * n_rows
        self.flat = np.zeros((units[-1], columns + SPARE), dtype)
        self.outputs = self.flat[:, :columns].reshape(units[-1], n_runs, n_rows)
        self.places = np.arange(columns).reshape(n_runs, n_rows)
        # A probability below 1e-13 moves nothing, but as a subnormal number it made a step of a run at a high rate,
        # whose logits lie far apart, up to three times as long, and so did the squares of gradients that come of it.
        # The loss is of the logits as they are.
        self.lowest = np.asarray(0.35 * np.log(np.finfo(dtype).tiny), dtype)

    def forward(self, weights: Sequence[Array], x: Array) -> None:
        """Leaves logits or predictions in `outputs` (C, R, B); x is (S, D + 1, B) with its row of ones."""
        signal = x
        for layer, z, slope, zeros in zip(weights, self.hidden, self.slopes, self.zeros, strict=False):
            product(layer, signal, out=z[:, :-1])  # (R, H, in + 1) @ (R, in + 1, B) -> (R, H, B)
            self.activation.apply(z, slope, zeros)
            z[:, -1] = 1
            signal = z
        if self.share != 1:
            signal[:, -1] = 1 / self.share  # the bias counts in full
        product(weights[-1], signal, out=self.outputs.transpose(1, 0, 2))
        if self.share != 1:
            self.flat *= self.share

    def loss(self, targets: Array) -> Array:
        """The loss of each row, (R, B), for targets (1 or R, B); `outputs` are left on the way to its derivative."""
        return self.cross_entropy(targets) if self.task == "classification" else self.squared_error(targets)

    def slope(self, scale: Array | float) -> None:
        """After `loss`: `outputs` become the derivative of each row's loss, times a scale, a number or (R, 1)."""
        if self.task == "classification":
            total = self.total[: self.places.size].reshape(self.places.shape)
            np.divide(scale, total, out=total)
            self.flat *= self.total  # with the spare columns, since a contiguous pass is four times as fast
            self.flat.reshape(-1)[self.chosen] -= scale
        else:
            self.outputs *= 2 * scale

    def cross_entropy(self, labels: Array) -> Array:
        """Each row's −ln p(label), (R, B), for labels (1 or R, B); leaves exponentials in `outputs`."""
        flat = self.flat
        flat -= flat.max(axis=0)
        self.chosen = labels * flat.shape[1] + self.places
        logit = flat.take(self.chosen, mode="clip")
        np.maximum(flat, self.lowest, out=flat)
        np.exp(flat, out=flat)
        self.total = flat.sum(axis=0)
        loss: Array = np.log(self.total[: self.places.size]).reshape(self.places.shape) - logit
        return loss

    def squared_error(self, targets: Array) -> Array:
        """Each row's squared error, (R, B), for targets (1 or R, B); leaves the errors in `outputs`."""
        self.outputs -= targets
        loss: Array = np.square(self.outputs[0])
        return loss


class Learner(Network):
    """A network with the room to go back: R runs over batches of B rows, in S orders of the data.

    R/S consecutive runs share an order, and so their batches.
    """

    def __init__(self, design: Design, n_runs: int, n_orders: int, n_rows: int) -> None:
        super().__init__(design, n_runs, n_rows)
        units, dtype = design.units, design.dtype
        self.slopes = [np.empty(h.shape, self.activation.slope_type or dtype) for h in self.hidden]
        self.output_slopes = np.empty((n_runs, n_rows, units[-1]), dtype)
        self.x = np.empty((n_orders, n_rows, units[0] + 1), dtype)
        self.x_transposed = np.empty((n_orders, units[0] + 1, n_rows), dtype)

    def differentiate(
        self,
        weights: Sequence[Array],
        grads: Sequence[Array],
        inputs: Array,
        targets: Array,
        rows: Array,
        unit: Array | float = 1.0,
    ) -> Array:
        """The loss of each row, (R, B), and into `grads` the gradient of its mean times a unit, a number or (R, 1).

        The rows (S, B) are those of inputs (N, D + 1) and targets (N,).
        """
        inputs.take(rows, axis=0, out=self.x, mode="clip")
        self.x_transposed[...] = self.x.transpose(0, 2, 1)  # a product reads it faster in this order than as a view
        self.forward(weights, self.x_transposed)
        loss = self.loss(targets.take(rows).repeat(len(self.places) // len(rows), axis=0))
        self.backward(weights, grads, self.share / self.x.shape[1] * unit)
        return loss

    def backward(self, weights: Sequence[Array], grads: Sequence[Array], scale: Array | float) -> None:
        """From what `loss` left in `outputs` to every layer's gradient of the sum times a scale, into `grads`."""
        self.slope(scale)
        delta = self.outputs.transpose(1, 0, 2)
        for i in reversed(range(len(self.hidden))):
            z = self.hidden[i]
            if i == len(self.hidden) - 1 and z.shape[1] > WIDE:
                np.copyto(self.output_slopes, self.outputs.transpose(1, 2, 0))
                np.matmul(z, self.output_slopes, out=grads[i + 1].transpose(0, 2, 1))  # (R, in + 1, B) @ (R, B, out)
            else:
                np.matmul(delta, z.transpose(0, 2, 1), out=grads[i + 1])  # (R, out, B) @ (R, B, in + 1)
            # What is passed back takes the place of the activation, which has served: it is in the cache.
            np.matmul(weights[i + 1].transpose(0, 2, 1), delta, out=z)  # (R, in + 1, out) @ (R, out, B)
            z *= self.slopes[i]
            delta = z[:, :-1]
        product(delta, self.x, out=grads[0])


def gradients(units: Sequence[int], params: Array, inputs: Array, labels: Array) -> Array:
    """The gradients (R, P) of runs (R, P) that share a batch (B, D + 1)."""
    grads = np.empty_like(params)
    design = Design(tuple(units), "relu", "classification", params.dtype)
    learner = Learner(design, len(params), 1, len(inputs))
    rows = np.arange(len(inputs))[None]
    learner.differentiate(layers(params, units), layers(grads, units), inputs, labels, rows)
    return grads


def stacking_is_exact() -> bool:
    """Whether, on this machine, the gradients of runs in a stack have the bits of each run's alone. Takes some ms."""
    random = np.random.default_rng(0)
    for units, n_rows in [((64, 64, 10), 32), ((13, 31, 16, 3), 7), ((4, 2), 1)]:
        for dtype in (np.float32, np.float64):
            params = random.standard_normal((3, n_parameters(units))).astype(dtype)
            batch = with_ones(random.standard_normal((n_rows, units[0])).astype(dtype)), np.zeros(n_rows, int)
            alone = [gradients(units, params[r : r + 1], *batch) for r in range(3)]
            if not np.array_equal(gradients(units, params, *batch), np.concatenate(alone)):
                return False
    return True
