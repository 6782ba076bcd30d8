"""JAX: the whole training of many runs as one compiled function, vmap over rates and seeds, scan over steps.

Signals keep the batch last, as in lrsweep: compiled, that was up to 1.7 times as fast here as with the batch first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from case import CHECKED, RATES, Case, Measured, orders, weights

from lrsweep.vocabulary import Data

WAYS = ("with compiling", "warm")
STACKED_SEEDS = (1, 5)
"""Seeds trained at once by each device, each with all rates; the faster counts."""

_compiled: dict[tuple[Case, int], tuple[Any, float]] = {}
"""The compiled training of a case and a number of seeds, and the seconds that compiling took."""


def milliseconds(case: Case, data: Data, seeds: Sequence[int], devices: int) -> Measured:
    """Compiled already, and with the compiling shared by the case's runs. One device may use all cores, two one each.

    A process has one number of devices for good: JAX reads it when it is imported.
    """
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    taken, reached = [], 0.0
    for n_seeds in STACKED_SEEDS:
        n_runs = devices * n_seeds * len(RATES)
        arguments = draws(case, data, range(seeds[0], seeds[0] + devices * n_seeds), devices)
        if (case, n_seeds) not in _compiled:
            start = time.perf_counter()
            compiled = stacked(case, data, devices).lower(*arguments).compile()
            _compiled[case, n_seeds] = compiled, time.perf_counter() - start
        trained, compiling = _compiled[case, n_seeds]
        start = time.perf_counter()
        accuracies = np.asarray(trained(*arguments)[2])  # (…, rates, epochs)
        taken.append(((time.perf_counter() - start) / n_runs, compiling / case.n_runs))
        reached = float(accuracies[..., CHECKED, -1].mean())
    seconds = min(map(sum, taken)), min(warm for warm, _ in taken)
    return {way: 1e3 * best for way, best in zip(WAYS, seconds, strict=True)}, reached


def draws(case: Case, data: Data, seeds: Sequence[int], devices: int) -> tuple[Any, ...]:
    """Initial layers, rates and orders: what `train` is given, with leading axes for devices (if many) and seeds."""
    import jax

    layers = [[(w, np.zeros((len(w), 1), np.float32)) for w in weights(case.units(data), seed)] for seed in seeds]
    order = [orders(len(data.x_train), case.epochs, seed).astype(np.int32) for seed in seeds]
    lead = (devices, -1) if devices > 1 else (-1,)
    params, order = jax.tree.map(
        lambda *leaves: np.stack(leaves).reshape(*lead, *leaves[0].shape), *zip(layers, order, strict=True)
    )
    return params, np.array(RATES, np.float32), order


def stacked(case: Case, data: Data, devices: int) -> Any:
    """`train` for all rates of many seeds, on one device or each one's share on several."""
    import jax

    over_rates = jax.vmap(training(case, data), in_axes=(None, 0, None))
    over_seeds = jax.vmap(over_rates, in_axes=(0, None, 0))
    return jax.jit(over_seeds) if devices == 1 else jax.pmap(over_seeds, in_axes=(0, None, 0))


def training(case: Case, data: Data) -> Callable[..., Any]:
    """The training of one run as a function of initial layers, rate and order."""
    import jax
    import jax.numpy as jnp

    x, y, x_val, y_val = (jnp.asarray(array) for array in (data.x_train, data.y_train, data.x_val, data.y_val))
    move, state_arrays = (adam, 2) if case.optimizer == "adam" else (momentum, 1)

    def forward(params: Any, rows: Any) -> Any:  # (B, D) -> logits (C, B)
        signal = rows.T
        for layer, bias in params[:-1]:
            signal = jax.nn.relu(layer @ signal + bias)
        return params[-1][0] @ signal + params[-1][1]

    def losses(logits: Any, labels: Any) -> Any:  # (C, B), (B,) -> (B,)
        return -(jax.nn.log_softmax(logits, axis=0) * jax.nn.one_hot(labels, data.n_outputs, axis=0)).sum(axis=0)

    def objective(params: Any, rows: Any) -> Any:
        of_rows = losses(forward(params, x[rows]), y[rows])
        return of_rows.mean(), of_rows.sum()

    def train(params: Any, rate: Any, order: Any) -> Any:  # order (epochs, N)
        def step(carry: Any, rows: Any) -> Any:
            params, state, t = carry
            grads, loss = jax.grad(objective, has_aux=True)(params, rows)
            params, state = move(params, grads, state, rate, t + 1)
            return (params, state, t + 1), loss

        def epoch(carry: Any, rows: Any) -> Any:
            whole = len(rows) // case.batch * case.batch
            carry, of_batches = jax.lax.scan(step, carry, rows[:whole].reshape(-1, case.batch))
            carry, of_last = step(carry, rows[whole:]) if whole < len(rows) else (carry, 0.0)
            logits = forward(carry[0], x_val)
            accuracy = (logits.argmax(axis=0) == y_val).mean()
            return carry, ((of_batches.sum() + of_last) / len(rows), losses(logits, y_val).mean(), accuracy)

        state = [jax.tree.map(jnp.zeros_like, params) for _ in range(state_arrays)]
        return jax.lax.scan(epoch, (params, state, 0), order)[1]

    return train


def momentum(params: Any, grads: Any, state: Any, rate: Any, t: Any) -> Any:
    """v ← 0.9·v + g; p ← p − rate·v."""
    import jax

    velocity = jax.tree.map(lambda v, g: 0.9 * v + g, state[0], grads)
    return jax.tree.map(lambda p, v: p - rate * v, params, velocity), [velocity]


def adam(params: Any, grads: Any, state: Any, rate: Any, t: Any) -> Any:
    """The averages of g and g², and the step that they make when debiased."""
    import jax
    import jax.numpy as jnp

    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state[0], grads)
    squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state[1], grads)
    shrink, widen = rate / (1 - 0.9**t), 1 / (1 - 0.999**t)
    moved = jax.tree.map(lambda p, m, v: p - shrink * m / (jnp.sqrt(v * widen) + 1e-8), params, mean, squares)
    return moved, [mean, squares]
