"""A slow, readable oracle: one run, trained in float64 as the papers write it.

It shares with the engine the initial weights and the order of the data, and nothing else: rows lie along the first
axis, weights (in, out) and biases (out,) are apart, rules are applied tensor by tensor with textbook bias correction,
and the rate of each step comes from its formula.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from lrsweep.engine import model
from lrsweep.vocabulary import Array, Data, Run

Settings = dict[str, Any]
Memory = dict[str, Array]

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

# --- Update rules: the new value of a tensor p with gradient g at step t (from 1), as its paper or PyTorch gives it.


def sgd(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    return p - rate * (g + s["weight_decay"] * p)


def momentum(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    memory["v"] = s["momentum"] * memory.get("v", 0) + g + s["weight_decay"] * p
    return p - rate * memory["v"]


def nesterov(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    g = g + s["weight_decay"] * p
    memory["v"] = s["momentum"] * memory.get("v", 0) + g
    return p - rate * (g + s["momentum"] * memory["v"])


def adagrad(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    g = g + s["weight_decay"] * p
    memory["s"] = memory.get("s", 0) + g**2
    return p - rate * g / (np.sqrt(memory["s"]) + s["eps"])


def rmsprop(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    g = g + s["weight_decay"] * p
    memory["s"] = s["alpha"] * memory.get("s", 0) + (1 - s["alpha"]) * g**2
    return p - rate * g / (np.sqrt(memory["s"]) + s["eps"])


def adam(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    g = g + s["weight_decay"] * p
    memory["m"] = s["beta1"] * memory.get("m", 0) + (1 - s["beta1"]) * g
    memory["v"] = s["beta2"] * memory.get("v", 0) + (1 - s["beta2"]) * g**2
    mean, square = memory["m"] / (1 - s["beta1"] ** t), memory["v"] / (1 - s["beta2"] ** t)
    return p - rate * mean / (np.sqrt(square) + s["eps"])


def adamw(p: Array, g: Array, memory: Memory, rate: float, t: int, s: Settings) -> Array:
    decayed = p - rate * s["weight_decay"] * p
    return adam(decayed, g, memory, rate, t, {**s, "weight_decay": 0})


RULES: dict[str, Callable[[Array, Array, Memory, float, int, Settings], Array]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}

# --- Schedules: the factor of the peak rate at step k of n, from 0, after the warm-up.

FACTORS: dict[str, Callable[[int, int, Settings], float]] = {
    "constant": lambda k, n, s: 1.0,
    "step": lambda k, n, s: s["factor"] ** sum(k * (s["drops"] + 1) >= n * i for i in range(1, s["drops"] + 1)),
    "exponential": lambda k, n, s: math.exp(math.log(s["end"]) * k / n),
    "linear": lambda k, n, s: (n - k) / n + s["end"] * k / n,
    "cosine": lambda k, n, s: s["end"] + (1 - s["end"]) * math.cos(math.pi * k / (2 * n)) ** 2,
}


def rate_at(run: Run, step: int, total: int) -> float:
    """The rate at a step, from 0: an even climb over W steps, of which step W would be the peak, then the schedule."""
    settings = dict(run.schedule.settings)
    warmup = settings["warmup"]
    warm = warmup if isinstance(warmup, int) else round(warmup * total)
    if step < warm:
        return run.learning_rate * (step + 1) / (warm + 1)
    return run.learning_rate * FACTORS[run.schedule.name](step - warm, total - warm, settings)


# --- The network.


def first_tensors(run: Run, data: Data) -> list[Array]:
    """[weights (in, out), biases (out,)] of every layer in turn."""
    units = [data.x_train.shape[1], *[run.width] * run.depth, data.n_outputs]
    flat = model.initial(units, run.activation, run.seed)
    tensors = []
    for ins, outs in pairwise(units):
        block, flat = flat[: outs * (ins + 1)].reshape(outs, ins + 1), flat[outs * (ins + 1) :]
        tensors += [block[:, :ins].T.copy(), block[:, ins].copy()]
    assert flat.size == 0
    return tensors


def flatten(tensors: list[Array]) -> Array:
    """The tensors in the engine's order: neuron by neuron, its weights and then its bias."""
    pairs = zip(tensors[::2], tensors[1::2], strict=True)
    return np.concatenate([np.append(w[:, j], b[j]) for w, b in pairs for j in range(len(b))])


def outputs(tensors: list[Array], x: Array, run: Run) -> tuple[Array, list[Array], list[Array]]:
    """Logits or predictions (B, C), and each layer's input (B, in) and sums (B, out)."""
    inputs, sums = [], []
    for w, b in zip(tensors[::2], tensors[1::2], strict=True):
        inputs.append(x)
        sums.append(x @ w + b)
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


# --- The training loop.


def batches(run: Run, n_rows: int) -> Iterator[list[Array]]:
    """For each epoch its batches of row numbers; the last of them may be smaller."""
    order = model.stream(run.seed, model.ORDER)
    size = n_rows if run.batch_size == "full" else run.batch_size
    for _ in range(run.epochs):
        rows = order.permutation(n_rows)
        yield [rows[start : start + size] for start in range(0, n_rows, size)]


def train(run: Run, data: Data) -> tuple[Array, Array]:
    """The run's curve, with the columns of CURVE_COLUMNS, and its final parameters (P,) in the engine's order."""
    tensors = first_tensors(run, data)
    memories: list[Memory] = [{} for _ in tensors]
    settings = dict(run.optimizer.settings)
    rule = RULES[run.optimizer.name]
    plan = list(batches(run, len(data.x_train)))
    total = sum(len(epoch) for epoch in plan)
    untrained = measure(tensors, data.x_train, data.y_train, run)[0]
    curve = [[0, 0, math.nan, untrained, *measure(tensors, data.x_val, data.y_val, run), math.nan, math.nan]]
    t = 0
    for number, epoch in enumerate(plan, start=1):
        met = 0.0
        for rows in epoch:
            loss, grads = gradients(tensors, data.x_train[rows], data.y_train[rows], run)
            met += loss
            rate, t = rate_at(run, t, total), t + 1
            norm, before = length(grads), tensors
            if run.clip_norm is not None and norm > run.clip_norm:
                grads = [g * run.clip_norm / norm for g in grads]
            each = zip(tensors, grads, memories, strict=True)
            tensors = [rule(p, g, memory, rate, t, settings) for p, g, memory in each]
        moved = length([new - old for new, old in zip(tensors, before, strict=True)]) / length(before)
        scores = measure(tensors, data.x_val, data.y_val, run)
        curve.append([number, t, rate, met / len(data.x_train), *scores, norm, moved])
    return np.array(curve), flatten(tensors)
