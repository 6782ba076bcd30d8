"""The network: gradients are those of its loss, initial weights are what they claim, a stack changes no bit."""

from __future__ import annotations

import numpy as np
import pytest

from lrsweep.engine import model
from lrsweep.engine.model import ACTIVATIONS, Learner, Network
from lrsweep.vocabulary import Array

# The padding row of a fresh buffer may hold anything; the training loop ignores what it raises.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UNITS = {0: (3, 2), 1: (3, 4, 2), 3: (3, 4, 4, 4, 2)}


def losses(units: tuple[int, ...], activation: str, task: str, params: Array, x: Array, y: Array) -> Array:
    """The mean loss, (R,), of the parameters (R, P) over the rows of x (B, D)."""
    network = Network(units, activation, task, len(params), params.dtype, len(x))
    network.forward(model.layers(params, units), np.ascontiguousarray(model.with_ones(x).T)[None])
    return network.loss(y[None]).mean(axis=1)


def gradient(units: tuple[int, ...], activation: str, task: str, params: Array, x: Array, y: Array) -> Array:
    """The gradient, (R, P), of the mean loss over all rows."""
    grads = np.full_like(params, np.nan)
    learner = Learner(units, activation, task, len(params), 1, params.dtype, len(x))
    weights, slots = model.layers(params, units), model.layers(grads, units)
    learner.differentiate(weights, slots, model.with_ones(x), y, np.arange(len(x))[None])
    return grads


@pytest.mark.parametrize("depth", UNITS)
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_finite_differences(activation, task, depth):
    """Every parameter's slope, from a stack whose runs differ in that one parameter by ±h."""
    random = np.random.default_rng(depth)
    units = UNITS[depth] if task == "classification" else (*UNITS[depth][:-1], 1)
    x = random.standard_normal((6, 3))
    y = np.array([0, 1, 1, 0, 1, 0]) if task == "classification" else random.standard_normal(6)
    params = model.initial(units, activation, seed=1) + 0.3 * random.standard_normal(model.n_parameters(units))
    h = 1e-5
    nudges = h * np.eye(len(params))
    up, down = (losses(units, activation, task, params + sign * nudges, x, y) for sign in (1, -1))
    found = gradient(units, activation, task, params[None], x, y)[0]
    np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_without_a_slope_is_the_same(name):
    """Measuring, which needs no slopes, sees the function that training sees."""
    z = np.linspace(-30, 30, 601)
    with_slope, without = z.copy(), z.copy()
    ACTIVATIONS[name].apply(with_slope, np.empty_like(z, ACTIVATIONS[name].slope_type))
    ACTIVATIONS[name].apply(without, None)
    np.testing.assert_array_equal(with_slope, without)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 2.0), ("tanh", 0.9640275800758169), ("logistic", 0.8807970779778823), ("gelu", 1.954597694087775)],
)
def test_an_activation_has_its_known_value_at_two(name, expected):
    z = np.array([2.0])
    ACTIVATIONS[name].apply(z, None)
    assert z[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size_have_a_finite_cross_entropy(dtype):
    """exp of a thousand would overflow: ln 2 for equal logits, 2000 for a sure mistake, 0 when it is right."""
    network = Network((1, 2), "relu", "classification", 1, dtype, 3)
    network.outputs[:, 0] = np.array([[1000, 1000, 1000], [1000, -1000, -1000]])
    np.testing.assert_allclose(network.cross_entropy(np.array([[0, 1, 0]])), [[np.log(2), 2000, 0]], rtol=1e-6)


def test_squared_error_is_not_halved():
    network = Network((1, 1), "relu", "regression", 1, np.float64, 2)
    network.outputs[0] = [[3.0, -1.0]]
    np.testing.assert_array_equal(network.squared_error(np.array([[1.0, 1.0]])), [[4.0, 4.0]])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_initial_weights_have_their_deviation_and_biases_are_zero(activation):
    """He et al.: √2/√in before a rectifier, 1/√in before what saturates and before the output."""
    units = (400, 300, 200)
    hidden, output = model.layers(model.initial(units, activation, seed=0)[None], units)
    gain = 2**0.5 if activation in ("relu", "gelu") else 1.0
    assert not hidden[..., -1].any()
    assert not output[..., -1].any()
    assert hidden[..., :-1].std() * 400**0.5 == pytest.approx(gain, rel=0.01)
    assert output[..., :-1].std() * 300**0.5 == pytest.approx(1, rel=0.02)
    assert abs(hidden[..., :-1].mean()) < 3e-4


def test_layers_cover_the_buffer_without_a_gap():
    flat = np.zeros((2, model.n_parameters((3, 4, 2))))
    views = model.layers(flat, (3, 4, 2))
    assert [view.shape for view in views] == [(2, 4, 4), (2, 2, 5)]
    for view in views:
        view += 1
    assert (flat == 1).all()


def test_a_seeds_streams_are_its_own():
    """Weights and order of one seed, and of two seeds, are four different sequences; each comes again."""
    draws = {(seed, key): model.stream(seed, key).random() for seed in (0, 1) for key in (model.WEIGHTS, model.ORDER)}
    assert len(set(draws.values())) == 4
    assert draws == {(seed, key): model.stream(seed, key).random() for seed, key in draws}


def test_this_machine_stacks_exactly():
    assert model.stacking_is_exact()


@pytest.mark.parametrize("case", range(60))
def test_gradients_in_a_stack_equal_those_alone(case):
    """Any shape, activation, task and precision: not one bit of loss or gradient depends on the neighbours."""
    random = np.random.default_rng(case)
    small, large = (1, 2, 3, 5, 8, 10, 17), (1, 4, 16, 31, 64, 100)
    width, n_runs = int(random.choice(large)), int(random.integers(2, 7))
    n_rows = int(random.choice((1, 2, 7, 32, 128)))
    activation, dtype = str(random.choice([*ACTIVATIONS])), random.choice([np.float32, np.float64])
    task = str(random.choice(["classification", "regression"]))
    n_outputs = int(random.choice(small[1:])) if task == "classification" else 1
    units = model.sizes(int(random.choice(large)), width, int(random.integers(0, 4)), n_outputs)
    x = random.standard_normal((n_rows, units[0])).astype(dtype)
    y = random.integers(0, n_outputs, n_rows) if task == "classification" else x[:, 0].copy()
    params = random.standard_normal((n_runs, model.n_parameters(units))).astype(dtype)
    together = gradient(units, activation, task, params, x, y)
    measured = losses(units, activation, task, params, x, y)
    for r in range(n_runs):
        np.testing.assert_array_equal(gradient(units, activation, task, params[r : r + 1], x, y)[0], together[r])
        np.testing.assert_array_equal(losses(units, activation, task, params[r : r + 1], x, y)[0], measured[r])
