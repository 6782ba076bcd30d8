"""Wider hidden layers in the middle of a run, without a change of the function.

New neurons get random incoming weights and no outgoing ones. The other way, copies of old neurons that share their
outgoing weights (Net2Wider; Chen, Goodfellow & Shlens 2016), keeps the function as well, but a copy has its model's
gradients and stays its copy, unless noise is added, which changes the function. What starts unconnected learns first
what to be used for, and is told apart from the others by its random weights from the first step on.
"""

from __future__ import annotations

from collections.abc import Sequence

from lrsweep.engine.model import layers
from lrsweep.vocabulary import Array


def widened(units: Sequence[int], to_width: int) -> tuple[int, ...]:
    """Units per layer after the growth.

    >>> widened((64, 16, 16, 10), 32)
    (64, 32, 32, 10)
    """
    return (units[0], *[to_width] * (len(units) - 2), units[-1])


def grown(flat: Array, units: Sequence[int], to_width: int, drawn: Array) -> Array:
    """Parameters (R, P) of networks of wider layers that compute what those of `flat` do, bit for bit or nearly.

    `drawn` (R, P) are networks of the new size, from which the new neurons have their incoming weights. Old neurons
    get zeros for their new inputs. Of an array of zeros as `drawn` the rest is zero: so an optimizer's state grows.
    """
    new = drawn.copy()
    old_layers, new_layers = layers(flat, units), layers(new, widened(units, to_width))
    for old, layer in zip(old_layers, new_layers, strict=True):
        outs, ins = old.shape[1], old.shape[2] - 1
        layer[:, :outs] = 0
        layer[:, :outs, :ins] = old[..., :-1]
        layer[:, :outs, -1] = old[..., -1]
    return new
