"""Rates of their own for layers and neurons: layer_rates, the maximal update parametrization, growth's new neurons.

All are multipliers of the movement of each parameter, (P,), made once for a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lrsweep.engine.model import layers, n_parameters
from lrsweep.vocabulary import Array, LayerRates, Run


def width_ratio(run: Run) -> float:
    """muP's m, the width over the base width; 1 in the standard parametrization, and where there is no hidden layer."""
    return run.width / run.base_width if run.parametrization == "mup" and run.depth else 1.0


def by_layer(units: Sequence[int], layer_rates: LayerRates) -> Array:
    """The multipliers (P,) of `layer_rates`. The only layer of a linear model is its output layer."""
    flat = np.ones((1, n_parameters(units)))
    views = layers(flat, units)
    for i, layer in enumerate(views):
        distance = len(views) - 1 - i
        group = layer_rates.last if distance == 0 else layer_rates.first if i == 0 else layer_rates.hidden
        layer *= group * layer_rates.decay**distance
    return flat[0]  # type: ignore[no-any-return]


def by_width(units: Sequence[int], family: str, m: float) -> Array:
    """The multipliers (P,) of muP for a family of rules (Yang et al. 2021, Tensor Programs V, tables 3 and 8).

    sgd: m for the input weights, the hidden biases and the output weights; adam: 1/m for the hidden weights.
    """
    flat = np.ones((1, n_parameters(units)))
    first, *rest = layers(flat, units)
    if family == "sgd" and rest:
        first *= m
        rest[-1][..., :-1] *= m
        for hidden in rest[:-1]:
            hidden[..., -1] *= m
    elif rest:
        for hidden in rest[:-1]:
            hidden[..., :-1] /= m
    return flat[0]  # type: ignore[no-any-return]


def only_new(old: Sequence[int], units: Sequence[int]) -> Array:
    """1 for the parameters (P,) that a network of the old size does not have, else 0."""
    flat = np.ones((1, n_parameters(units)))
    for layer, (ins, outs) in zip(layers(flat, units), pairwise(old), strict=True):
        layer[:, :outs, :ins] = 0
        layer[:, :outs, -1] = 0
    return flat[0]  # type: ignore[no-any-return]


def factors(
    units: Sequence[int], family: str, m: float, layer_rates: LayerRates, before: Sequence[int]
) -> tuple[Array, Array]:
    """Multipliers (P,) of a run's movement and of its weight decay.

    `before` are the units of the network that has grown to `units`, where only what is new is to move, else the same
    units. Rate × decay does not depend on the width, so the decay is divided by what muP multiplies the rate by.
    """
    mup = by_width(units, family, m)
    movement = mup * by_layer(units, layer_rates)
    if before != units:
        movement *= only_new(before, units)
    return movement, 1 / mup
