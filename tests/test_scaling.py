"""Layer rates and the maximal update parametrization: every multiplier, and what whole runs make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import (
    RUN,
    assert_matches_reference,
    data_for,
    optimizer,
    peak,
    schedule,
    train_fully,
    variants,
)

from lrsweep.engine import model, scaling
from lrsweep.engine.group import Group
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.vocabulary import Array, LayerRates, Run

UNITS = {0: (5, 3), 1: (5, 4, 3), 2: (5, 4, 4, 3), 3: (5, 4, 4, 4, 3)}
"""Layers by depth."""


def by_tensor(flat: Array, units: tuple[int, ...]) -> list[tuple[float, float]]:
    """The one value of every layer's weights and of its biases, in an array (P,)."""
    pairs = []
    for layer in model.layers(flat[None], units):
        weights, biases = {*layer[..., :-1].ravel().tolist()}, {*layer[..., -1].ravel().tolist()}
        assert len(weights) == len(biases) == 1, "a tensor has one multiplier"
        pairs.append((weights.pop(), biases.pop()))
    return pairs


# --- Layer rates.


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        (0, ["last"]),
        (1, ["first", "last"]),
        (2, ["first", "hidden", "last"]),
        (3, ["first", "hidden", "hidden", "last"]),
    ],
)
def test_each_layer_is_of_one_group(depth, expected):
    """The only layer of a linear model is its output layer."""
    rates = {"first": 2.0, "hidden": 3.0, "last": 5.0}
    found = by_tensor(scaling.by_layer(UNITS[depth], LayerRates(**rates)), UNITS[depth])
    assert found == [(rates[group], rates[group]) for group in expected]


@pytest.mark.parametrize("depth", UNITS)
def test_decay_counts_from_the_output_layer(depth):
    found = by_tensor(scaling.by_layer(UNITS[depth], LayerRates(decay=0.5)), UNITS[depth])
    assert found == [(0.5**distance, 0.5**distance) for distance in reversed(range(depth + 1))]


@pytest.mark.parametrize("depth", UNITS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layer_rates_match_the_reference(name, depth):
    """Groups and decay in one stack, with weight decay and a schedule; one of them is clipped."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), schedule=schedule("linear", warmup=2), depth=depth)
    run = replace(run, learning_rate=peak(name), epochs=5)
    layer_rates = (LayerRates(0.3, 1.7, 0.6), LayerRates(decay=0.38), LayerRates(decay=1.5), LayerRates())
    runs = variants(run, layer_rates=layer_rates, seed=(0, 0, 1, 1), clip_norm=(1e9, 1e9, 0.4, 1e9))
    assert_matches_reference(runs, data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layer_rates_of_one_change_no_bit(name):
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), depth=2, learning_rate=peak(name))
    other = replace(run, layer_rates=LayerRates(decay=0.5))
    ((plain, params),) = train_fully([run], data_for(run))
    (beside, its), (changed, _) = train_fully([run, other], data_for(run))
    np.testing.assert_array_equal(plain.curve, beside.curve)
    np.testing.assert_array_equal(params, its)
    assert (changed.curve[1:, 3] != plain.curve[1:, 3]).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_layer_whose_multiplier_is_tiny_stays_and_the_others_move(name):
    """The multiplier meets all movement of a layer, decay and averages included, and nothing else."""
    layer_rates = LayerRates(first=1e-300)
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), depth=2, layer_rates=layer_rates, epochs=1)
    run = replace(run, learning_rate=peak(name))
    start = Group([run], data_for(run)).params
    ((_, params),) = train_fully([run], data_for(run))
    first, *rest = [
        np.abs(before - after).max() > 1e-290
        for before, after in zip(*(model.layers(flat, UNITS_OF_RUN) for flat in (start, params[None])), strict=True)
    ]
    assert not first
    assert all(rest)


UNITS_OF_RUN = (5, 6, 6, 3)

# --- muP.


def mup(width: int, base_width: int, depth: int, **changes: object) -> Run:
    return replace(RUN, parametrization="mup", width=width, base_width=base_width, depth=depth, **changes)  # type: ignore[arg-type]


def ratio(m: float, name: str, depth: int, **changes: object) -> tuple[list[tuple[float, float]], Group]:
    """What multiplies the movement of each tensor in a network that is m times as wide as its base, and its group."""
    run = mup(int(4 * m), 4, depth, optimizer=optimizer(name), **changes)
    group = Group([run], data_for(run))
    factors = group.pacer.pace.factors
    return by_tensor(np.ones(group.params.shape[1]) if factors is None else factors[0], group.units), group


@pytest.mark.parametrize("m", [0.5, 1, 4])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_table_of_rates(name, depth, m):
    """Tensor Programs V (Yang et al. 2022), tables 3 and 8, tensor by tensor."""
    found, _ = ratio(m, name, depth)
    assert OPTIMIZERS[name].family == ("sgd" if name in ("sgd", "momentum", "nesterov") else "adam")
    if OPTIMIZERS[name].family == "sgd":
        inputs, hidden, output = (m, m), (1, m), (m, 1)  # weights and biases
    else:
        inputs, hidden, output = (1, 1), (1 / m, 1), (1, 1)
    assert found == [inputs, *[hidden] * (depth - 1), output]


@pytest.mark.parametrize("m", [0.5, 4])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_the_table_of_first_weights(activation, depth, m):
    """Of the same random numbers: input and hidden weights as ever, output weights √m times as large, no biases."""
    run = mup(int(4 * m), 4, depth, activation=activation)
    scaled, plain = (Group([one], data_for(run)) for one in (run, replace(run, parametrization="standard")))
    pairs = zip(*(model.layers(group.params, group.units) for group in (scaled, plain)), strict=True)
    for i, (layer, usual) in enumerate(pairs):
        np.testing.assert_allclose(layer[..., :-1], usual[..., :-1] * (m**0.5 if i == depth else 1), rtol=1e-15)
        assert not layer[..., -1].any()


@pytest.mark.parametrize("m", [0.5, 4, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_forward_factor_is_on_the_output_weights_alone(depth, m):
    """Logits are W·h/m + b: a shift of the bias shows in full, and without it they are 1/m of the standard ones."""
    run = mup(int(4 * m), 4, depth)
    data = data_for(run)
    logits = []
    for one in (run, replace(run, parametrization="standard")):
        group = Group([one], data)
        x = np.ascontiguousarray(group.inputs.T[None])
        weights = model.layers(np.random.default_rng(0).standard_normal(group.params.shape), group.units)
        for bias in (0.0, 7.0):
            weights[-1][..., -1] = bias
            network = group.network(x.shape[2])
            network.forward(weights, x)
            logits.append(network.outputs.copy())
    scaled, shifted, plain, usual = logits
    np.testing.assert_allclose(scaled, plain / m, rtol=1e-13)
    np.testing.assert_allclose(shifted - scaled, 7.0, rtol=1e-12)
    np.testing.assert_allclose(usual - plain, 7.0, rtol=1e-12)


@pytest.mark.parametrize("m", [0.5, 1, 4])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rate_times_decay_does_not_depend_on_the_width(name, m):
    """Nor on what `layer_rates` does, which multiplies all movement, decay included."""
    layer_rates = LayerRates(0.5, 1.0, 2.0)
    _, group = ratio(m, name, 2, layer_rates=layer_rates)
    movement, decay = scaling.factors(group.units, OPTIMIZERS[name].family, m, layer_rates, group.units)
    np.testing.assert_allclose(movement * decay, scaling.by_layer(group.units, layer_rates), rtol=1e-15)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_at_the_base_width_mup_is_standard_to_the_last_bit(name):
    run = mup(6, 6, 3, optimizer=optimizer(name, weight_decay=0.1), learning_rate=peak(name), precision="float32")
    ends = [train_fully([one], data_for(run))[0] for one in (run, replace(run, parametrization="standard"))]
    (first, params), (second, others) = ends
    np.testing.assert_array_equal(first.curve, second.curve)
    np.testing.assert_array_equal(params, others)
    assert first.metrics == second.metrics


def test_a_linear_model_has_no_width_to_scale_with():
    run = mup(32, 4, 0)
    ((first, _),), ((second, _),) = (
        train_fully([one], data_for(run)) for one in (run, replace(run, parametrization="standard"))
    )
    np.testing.assert_array_equal(first.curve, second.curve)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize(("width", "base_width"), [(12, 4), (4, 12)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_mup_matches_the_reference(name, width, base_width, depth):
    """Wider and narrower than the base; with decay; one of the stack is clipped, and one has layer rates as well."""
    run = mup(width, base_width, depth, optimizer=optimizer(name, weight_decay=0.1), learning_rate=peak(name), epochs=4)
    layer_rates = (LayerRates(), LayerRates(), LayerRates(0.3, 1.7, 0.6))
    runs = variants(run, clip_norm=(1e9, 0.4, 0.4), seed=(0, 1, 0), layer_rates=layer_rates)
    assert_matches_reference(runs, data_for(run))


@pytest.mark.parametrize("activation", ["tanh", "gelu", "logistic"])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_mup_matches_the_reference_in_every_network(task, activation):
    run = mup(9, 3, 2, task=task, activation=activation, optimizer=optimizer("momentum"), batch_size=7)
    assert_matches_reference(variants(run, seed=(0, 1)), data_for(run))
