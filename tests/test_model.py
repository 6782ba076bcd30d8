"""The network: gradients are those of its loss, initial weights are what they claim, a stack changes no bit."""

from __future__ import annotations

import numpy as np
import pytest

from lrsweep.engine import model
from lrsweep.engine.model import ACTIVATIONS, Design, Learner, Network
from lrsweep.vocabulary import Array

# The padding row of a fresh buffer may hold anything; the training loop ignores what it raises.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

UNITS = {depth: (3, *[4] * depth, 2) for depth in range(5)}


def losses(design: Design, params: Array, x: Array, y: Array) -> Array:
    """The mean loss, (R,), of the parameters (R, P) over the rows of x (B, D)."""
    network = Network(design, len(params), len(x))
    network.forward(model.layers(params, design.units), np.ascontiguousarray(model.with_ones(x).T)[None])
    return network.loss(y[None]).mean(axis=1)


def gradient(design: Design, params: Array, x: Array, y: Array) -> Array:
    """The gradient, (R, P), of the mean loss over all rows."""
    grads = np.full_like(params, np.nan)
    learner = Learner(design, len(params), 1, len(x))
    weights, slots = model.layers(params, design.units), model.layers(grads, design.units)
    learner.differentiate(weights, slots, model.with_ones(x), y, np.arange(len(x))[None])
    return grads


def activate(name: str, z: Array, slope: Array | None = None) -> Array:
    """z as the activation makes it, and into `slope` its derivative."""
    z = z.copy()
    ACTIVATIONS[name].apply(z, slope, np.zeros_like(z))
    return z


@pytest.mark.parametrize(
    ("depth", "share"),
    [(depth, share) for depth in UNITS for share in (1.0, 0.25, 3.0) if depth or share == 1],
)
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_equal_finite_differences(activation, task, depth, share):
    """Every parameter's slope, from a stack whose runs differ in that one parameter by ±h.

    With muP's share as well, but for linear models, which have no width.
    """
    random = np.random.default_rng(depth)
    units = UNITS[depth] if task == "classification" else (*UNITS[depth][:-1], 1)
    design = Design(units, activation, task, np.float64, share)
    x = random.standard_normal((6, 3))
    y = np.array([0, 1, 1, 0, 1, 0]) if task == "classification" else random.standard_normal(6)
    params = model.initial(units, activation, seed=1) + 0.3 * random.standard_normal(model.n_parameters(units))
    h = 1e-5
    nudges = h * np.eye(len(params))
    up, down = (losses(design, params + sign * nudges, x, y) for sign in (1, -1))
    np.testing.assert_allclose(gradient(design, params[None], x, y)[0], (up - down) / (2 * h), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_without_a_slope_is_the_same(name):
    """Measuring, which needs no slopes, sees the function that training sees."""
    z = np.linspace(-30, 30, 601)
    np.testing.assert_array_equal(activate(name, z, np.empty_like(z, ACTIVATIONS[name].slope_type)), activate(name, z))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("relu", 2.0), ("tanh", 0.9640275800758169), ("logistic", 0.8807970779778823), ("gelu", 1.954597694087775)],
)
def test_an_activation_has_its_known_value_at_two(name, expected):
    assert activate(name, np.array([2.0]))[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size_have_a_finite_cross_entropy(dtype):
    """exp of a thousand would overflow: ln 2 for equal logits, 2000 for a sure mistake, 0 when it is right."""
    network = Network(Design((1, 2), "relu", "classification", dtype), 1, 3)
    network.outputs[:, 0] = np.array([[1000, 1000, 1000], [1000, -1000, -1000]])
    np.testing.assert_allclose(network.cross_entropy(np.array([[0, 1, 0]])), [[np.log(2), 2000, 0]], rtol=1e-6)


def test_squared_error_is_not_halved():
    network = Network(Design((1, 1), "relu", "regression", np.float64), 1, 2)
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
    """Weights, order, noise and growth of two seeds are eight different sequences; each comes again."""
    keys = model.WEIGHTS, model.ORDER, model.NOISE, model.GROWTH
    draws = {(seed, key): model.stream(seed, key).random() for seed in (0, 1) for key in keys}
    assert len(set(draws.values())) == 8
    assert draws == {(seed, key): model.stream(seed, key).random() for seed, key in draws}


def test_this_machine_stacks_exactly():
    assert model.stacking_is_exact()


@pytest.mark.parametrize("case", range(60))
def test_gradients_in_a_stack_equal_those_alone(case):
    """Any shape, activation, task, share and precision: not one bit of loss or gradient depends on the neighbours."""
    random = np.random.default_rng(case)
    small, large = (1, 2, 3, 5, 8, 10, 17), (1, 4, 16, 31, 64, 100)
    width, n_runs = int(random.choice(large)), int(random.integers(2, 7))
    n_rows = int(random.choice((1, 2, 7, 32, 128)))
    activation, dtype = str(random.choice([*ACTIVATIONS])), random.choice([np.float32, np.float64])
    task = str(random.choice(["classification", "regression"]))
    n_outputs = int(random.choice(small[1:])) if task == "classification" else 1
    depth = int(random.integers(0, 4))
    units = model.sizes(int(random.choice(large)), width, depth, n_outputs)
    share = float(random.choice([1, 0.25, 1 / 3])) if depth else 1.0
    design = Design(units, activation, task, dtype, share)
    x = random.standard_normal((n_rows, units[0])).astype(dtype)
    y = random.integers(0, n_outputs, n_rows) if task == "classification" else x[:, 0].copy()
    params = random.standard_normal((n_runs, model.n_parameters(units))).astype(dtype)
    together = gradient(design, params, x, y)
    measured = losses(design, params, x, y)
    for r in range(n_runs):
        np.testing.assert_array_equal(gradient(design, params[r : r + 1], x, y)[0], together[r])
        np.testing.assert_array_equal(losses(design, params[r : r + 1], x, y)[0], measured[r])


def test_learning_again_starts_from_nothing():
    """A workspace that is used for other weights and rows in between gives the same gradient again, to the bit."""
    random = np.random.default_rng(0)
    design = Design((3, 4, 4, 2), "relu", "classification", np.float64, 0.5)
    params, other = random.standard_normal((2, 2, model.n_parameters(design.units)))
    inputs, y = model.with_ones(random.standard_normal((10, 3))), random.integers(0, 2, 10)
    learner, found = Learner(design, 2, 1, 5), []
    for flat, rows in ((params, range(5)), (other, range(5, 10)), (params, range(5))):
        grads = np.full_like(flat, np.nan)
        weights, slots = model.layers(flat, design.units), model.layers(grads, design.units)
        loss = learner.differentiate(weights, slots, inputs, y, np.array([rows]))
        found.append((loss.copy(), grads))
    for first, again in zip(found[0], found[2], strict=True):
        np.testing.assert_array_equal(first, again)
    assert (found[0][1] != found[1][1]).any()
