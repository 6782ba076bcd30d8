"""A slow, readable oracle: one run, trained in float64 as the papers write it.

It shares with the engine the random numbers (the initial weights, those of a grown network, the order of the data, the
noise), and nothing else: rows lie along the first axis, weights (in, out) and biases (out,) are apart, and the rate of
each step comes from its formula. Rules and schedules are in the files beside this one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from reference_rules import POINTS, RULES, Memory, Settings
from reference_schedules import FACTORS, rate_at, reaction, settings_at

from lrsweep.engine import model
from lrsweep.vocabulary import Array, Data, Growth, Run

__all__ = ["FACTORS", "RULES", "noisy_score", "rate_at", "train"]

# --- Activations: the function and its derivative at z.


def sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(z / 2))


def gelu_inner(z: Array) -> Array:
    return math.sqrt(8 / math.pi) * (z + 0.044715 * z**3)  # ½(1 + tanh u) is the sigmoid of 2u


def gelu_slope(z: Array) -> Array:
    s = sigmoid(gelu_inner(z))
    return s + z * s * (1 - s) * math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * z**2)


ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array], Array]]] = {
    "relu": (lambda z: np.where(z > 0, z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "logistic": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "gelu": (lambda z: z * sigmoid(gelu_inner(z)), gelu_slope),
}

# --- The network: tensors are the weights (in, out) and the biases (out,) of every layer in turn.


def sizes(run: Run, data: Data, width: int) -> list[int]:
    """Units of every layer, inputs and outputs included."""
    return [data.x_train.shape[1], *[width] * run.depth, data.n_outputs]


def unflatten(flat: Array, units: Sequence[int]) -> list[Array]:
    """The tensors of parameters (P,) in the engine's order."""
    tensors = []
    for ins, outs in pairwise(units):
        block, flat = flat[: outs * (ins + 1)].reshape(outs, ins + 1), flat[outs * (ins + 1) :]
        tensors += [block[:, :ins].T.copy(), block[:, ins].copy()]
    assert flat.size == 0
    return tensors


def times_wider(run: Run) -> float:
    """muP's m, the width over the base width; 1 where muP changes nothing."""
    return run.width / run.base_width if run.parametrization == "mup" and run.depth > 0 else 1.0


def first_tensors(run: Run, data: Data) -> list[Array]:
    """The untrained network; muP leaves the output weights at the base width's deviation."""
    units = sizes(run, data, run.width)
    tensors = unflatten(model.initial(units, run.activation, run.seed), units)
    tensors[-2] = tensors[-2] * math.sqrt(times_wider(run))
    return tensors


def flatten(tensors: list[Array]) -> Array:
    """The tensors in the engine's order: neuron by neuron, its weights and then its bias."""
    pairs = zip(tensors[::2], tensors[1::2], strict=True)
    return np.concatenate([np.append(w[:, j], b[j]) for w, b in pairs for j in range(len(b))])


def outputs(tensors: list[Array], x: Array, run: Run) -> tuple[Array, list[Array], list[Array]]:
    """Logits or predictions (B, C), and each layer's input (B, in) and sums (B, out)."""
    inputs, sums = [], []
    for layer, (w, b) in enumerate(zip(tensors[::2], tensors[1::2], strict=True)):
        inputs.append(x / times_wider(run) if layer == run.depth else x)
        sums.append(inputs[-1] @ w + b)
        x = ACTIVATIONS[run.activation][0](sums[-1])
    return sums[-1], inputs, sums


def losses_and_errors(out: Array, y: Array, run: Run) -> tuple[Array, Array]:
    """Each row's loss (B,), and its derivative by the outputs (B, C)."""
    losses, errors = np.empty(len(y)), np.empty_like(out)
    for row, target in enumerate(y):
        if run.task == "regression":
            losses[row] = (out[row, 0] - target) ** 2
            errors[row] = 2 * (out[row] - target)
        else:
            powers = [math.exp(logit - out[row, target]) for logit in out[row]]  # relative to the right class
            losses[row] = math.log(math.fsum(powers))
            errors[row] = np.array(powers) / math.fsum(powers)
            errors[row, target] -= 1
    return losses, errors


def gradients(tensors: list[Array], x: Array, y: Array, run: Run) -> tuple[float, list[Array]]:
    """The sum of the rows' losses, and the gradient of their mean by every tensor."""
    out, inputs, sums = outputs(tensors, x, run)
    losses, delta = losses_and_errors(out, y, run)
    delta = delta / len(y)
    found: list[Array] = []
    for layer in reversed(range(len(sums))):
        found = [inputs[layer].T @ delta, delta.sum(axis=0), *found]
        if layer:
            delta = (delta @ tensors[2 * layer].T) * ACTIVATIONS[run.activation][1](sums[layer - 1])
            delta = delta / times_wider(run) if layer == run.depth else delta
    return math.fsum(losses), found


def length(tensors: list[Array]) -> float:
    return math.sqrt(math.fsum(float((tensor**2).sum()) for tensor in tensors))


def measure(tensors: list[Array], x: Array, y: Array, run: Run) -> tuple[float, float]:
    """The mean loss, and the accuracy or R²."""
    out, _, _ = outputs(tensors, x, run)
    loss = math.fsum(losses_and_errors(out, y, run)[0]) / len(y)
    if run.task == "regression":
        return loss, 1 - loss / float(np.mean((y - y.mean()) ** 2))
    return loss, sum(int(np.argmax(row)) == target for row, target in zip(out, y, strict=True)) / len(y)


# --- What a tensor's movement is multiplied by.

SGD_FAMILY = {"sgd", "momentum", "nesterov"}


def mup_multipliers(run: Run) -> list[float]:
    """For weights and biases of every layer in turn: Tensor Programs V (Yang et al. 2022), tables 3 and 8."""
    m, found = times_wider(run), []
    for layer in range(run.depth + 1):
        first, last = layer == 0, layer == run.depth
        if run.optimizer.name in SGD_FAMILY:
            found += [m if first or last else 1.0, 1.0 if last else m]
        else:
            found += [1.0 if first or last else 1 / m, 1.0]
    return found


def layer_multipliers(run: Run) -> list[float]:
    """The run's `layer_rates`, for weights and biases of every layer in turn."""
    rates, found = run.layer_rates, []
    for layer in range(run.depth + 1):
        group = rates.last if layer == run.depth else rates.first if layer == 0 else rates.hidden
        found += [group * rates.decay ** (run.depth - layer)] * 2
    return found


# --- Growth.


def enlarged(old: Array, fresh: Array) -> Array:
    """`fresh` with the old values in its old part, and zeros where old units meet new inputs."""
    new = fresh.copy()
    new[..., : old.shape[-1]] = 0
    new[tuple(slice(size) for size in old.shape)] = old
    return new


def newcomers(old: Array, fresh: Array) -> Array:
    """1 for what the growth added to a tensor, 0 for what was there before."""
    mask = np.ones(fresh.shape)
    mask[tuple(slice(size) for size in old.shape)] = 0
    return mask


def enlarged_memory(memory: Memory, old: Array, fresh: Array) -> Memory:
    """Averages start from zero for what is new, points from its weights; numbers stay."""
    room = np.zeros(fresh.shape)
    return {
        name: enlarged(value, fresh if name in POINTS else room) if np.shape(value) == old.shape else value
        for name, value in memory.items()
    }


# --- Training.


class Walk:
    """A run's way through weight space.

    The rule moves z by gradients at y, and x is measured. They are one, but in schedule_free: there x is the average of
    the z so far, and y lies between the two.
    """

    def __init__(self, run: Run, data: Data) -> None:
        self.run, self.data = run, data
        self.x = self.y = self.z = first_tensors(run, data)
        self.memories: list[Memory] = [{} for _ in self.z]
        self.common: Memory = {}
        self.trainable: list[Array | float] = [1.0 for _ in self.z]
        self.ages = [np.zeros(z.shape, int) for z in self.z]  # steps that each parameter has taken
        self.top = self.total_weight = 0.0

    def step(self, grads: list[Array], rate: float, settings: Settings) -> None:
        """The next step. In muP the rate times the weight decay is what it would be without."""
        self.ages = [age + 1 for age in self.ages]
        mup, rule = mup_multipliers(self.run), RULES[self.run.optimizer.name]
        own = [{**settings, "weight_decay": settings["weight_decay"] / factor} for factor in mup]
        moves = rule(self.y, grads, self.memories, self.common, rate, self.ages, own)
        factors = zip(mup, layer_multipliers(self.run), self.trainable, strict=True)
        scaled = [a * b * c * move for (a, b, c), move in zip(factors, moves, strict=True)]
        self.z = [z - move for z, move in zip(self.z, scaled, strict=True)]
        if self.run.optimizer.name == "schedule_free":
            self.average(rate, settings["beta1"])
        else:
            self.x = self.y = self.z

    def average(self, rate: float, beta: float) -> None:
        """Weights the newest z by the square of the highest rate so far, as the authors' package."""
        self.top = max(self.top, rate)
        self.total_weight += self.top**2
        c = self.top**2 / self.total_weight if self.total_weight > 0 else 0.0
        self.x = [x + moves * c * (z - x) for moves, x, z in zip(self.trainable, self.x, self.z, strict=True)]
        self.y = [(1 - beta) * z + beta * x for x, z in zip(self.x, self.z, strict=True)]

    def grow(self, growth: Growth) -> None:
        """Draws a network of the new size and puts the old one into it; what it computes stays the same."""
        units = sizes(self.run, self.data, growth.to_width)
        drawn = unflatten(model.initial(units, self.run.activation, self.run.seed, key=model.GROWTH), units)
        memories = zip(self.memories, self.z, drawn, strict=True)
        self.memories = [enlarged_memory(memory, old, fresh) for memory, old, fresh in memories]
        self.ages = [enlarged(age, np.zeros(fresh.shape, int)) for age, fresh in zip(self.ages, drawn, strict=True)]
        if growth.rate == "new_neurons_only":
            self.trainable = [newcomers(old, fresh) for old, fresh in zip(self.z, drawn, strict=True)]
        self.x, self.y, self.z = (
            [enlarged(old, fresh) for old, fresh in zip(point, drawn, strict=True)]
            for point in (self.x, self.y, self.z)
        )


def batches(run: Run, n_rows: int) -> Iterator[list[Array]]:
    """For each epoch its batches of row numbers; the last of them may be smaller."""
    order = model.stream(run.seed, model.ORDER)
    size = n_rows if run.batch_size == "full" else run.batch_size
    for _ in range(run.epochs):
        rows = order.permutation(n_rows)
        yield [rows[start : start + size] for start in range(0, n_rows, size)]


def train(run: Run, data: Data) -> tuple[Array, Array]:
    """The run's curve, with the columns of CURVE_COLUMNS, and its final parameters (P,) in the engine's order."""
    walk, reacting = Walk(run, data), reaction(run)
    plan = list(batches(run, len(data.x_train)))
    steps = len(plan[0]) * len(plan), len(plan[0])  # in all, and per epoch
    untrained = measure(walk.x, data.x_train, data.y_train, run)[0]
    curve = [[0, 0, math.nan, untrained, *measure(walk.x, data.x_val, data.y_val, run), math.nan, math.nan]]
    t = 0
    for number, epoch in enumerate(plan, start=1):
        if run.growth is not None and number == run.growth.at_epoch + 1:
            walk.grow(run.growth)
            reacting = reaction(run) if run.growth.rate == "restart" else reacting
        met = 0.0
        for rows in epoch:
            loss, grads = gradients(walk.y, data.x_train[rows], data.y_train[rows], run)
            met += loss
            norm, before = length(grads), walk.y
            if run.clip_norm is not None and norm > run.clip_norm:
                grads = [g * run.clip_norm / norm for g in grads]
            rate = rate_at(run, t, *steps) * reacting.factor
            walk.step(grads, rate, settings_at(run, t, *steps))
            t += 1
        moved = length([new - old for new, old in zip(walk.y, before, strict=True)]) / length(before)
        mean, scores = met / len(data.x_train), measure(walk.x, data.x_val, data.y_val, run)
        curve.append([number, t, rate, mean, *scores, norm, moved])
        reacting.after_epoch(mean, scores[0])
    return np.array(curve), flatten(walk.x)


def noisy_score(run: Run, data: Data, final: Array, deviation: float) -> float:
    """The accuracy or R² of final parameters (P,) on validation inputs with noise of this deviation."""
    noise = model.stream(run.seed, model.NOISE).standard_normal(data.x_val.shape)
    tensors = unflatten(final, sizes(run, data, run.growth.to_width if run.growth else run.width))
    return measure(tensors, data.x_val + deviation * noise, data.y_val, run)[1]
