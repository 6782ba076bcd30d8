"""The contract that every rule in OPTIMIZERS keeps, and the limits that theory sets."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields
from typing import Any

import engine_cases
import numpy as np
import pytest

from lrsweep.engine.optimizers import OPTIMIZERS, build
from lrsweep.vocabulary import Array

LIMITS = {
    "sgd": lambda beta: 2,
    "momentum": lambda beta: 2 * (1 + beta),
    "nesterov": lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
}
"""Rate times curvature beyond which a rule diverges on ½λx², as a function of its momentum."""

UNIT_FIRST_STEP = ("adam", "adamw", "adagrad")
"""Rules whose first step has the size of the rate, whatever the gradient's."""


def descend(name: str, rates: Any, curvature: Any, start: Any, steps: int, **changes: Any) -> Array:
    """Where a run for each rate (R,) gets in `steps` steps from `start` (P,) on ½·Σ curvature·x², (R, P)."""
    column = np.asarray(rates, np.float64)[:, None]
    params = np.tile(np.asarray(start, np.float64), (len(column), 1))
    rule = build(name, [dict(engine_cases.optimizer(name, **changes).settings)] * len(column), np.float64)
    state = [np.zeros_like(params) for _ in rule.state]
    scratch = np.empty_like(params)
    with np.errstate(all="ignore"):
        for t in range(1, steps + 1):
            rule.step(params, np.asarray(curvature) * params, state, column, t, scratch)
    return params


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reaches_the_minimum_of_a_quadratic_bowl(name):
    """At one of thirteen rates over three decades, ½(x² + 10y² + 100z²) falls by a factor of a million."""
    curvature, start = np.array([1.0, 10.0, 100.0]), np.array([1.0, -1.0, 0.5])
    ends = descend(name, np.geomspace(1e-3, 1, 13), curvature, start, 1500, weight_decay=0.0)
    heights = (curvature * ends**2).sum(axis=1)
    assert np.nanmin(heights) < 1e-6 * (curvature * start**2).sum()


@pytest.mark.parametrize("beta", [0.5, 0.9])
@pytest.mark.parametrize("curvature", [0.1, 8.0])
@pytest.mark.parametrize("name", LIMITS)
def test_stability_limit(name, curvature, beta):
    """On ½λx² a rule converges 2% below its limit and diverges 2% above it: 2/λ for sgd, 2(1 + β)/λ with momentum."""
    limit = LIMITS[name](beta) / curvature
    changes = {} if name == "sgd" else {"momentum": beta}
    below, above = np.abs(descend(name, [0.98 * limit, 1.02 * limit], curvature, [1.0], 1500, **changes))[:, 0]
    assert below < 1e-6
    assert above > 1e3


@pytest.mark.parametrize("gradient", [1e-3, -1.0, 1e4])
@pytest.mark.parametrize("name", UNIT_FIRST_STEP)
def test_first_step_has_the_size_of_the_rate(name, gradient):
    moved = descend(name, [0.02], curvature=gradient, start=[1.0], steps=1, weight_decay=0.0)[0, 0] - 1
    assert moved == pytest.approx(-0.02 * np.sign(gradient), rel=2e-5)


def test_rmsprops_first_step_is_the_rate_over_the_root_of_what_is_new():
    """Without a bias correction the first average holds 1 − alpha of the first square: ten times Adam's step."""
    moved = descend("rmsprop", [0.02], curvature=5.0, start=[1.0], steps=1)[0, 0] - 1
    assert moved == pytest.approx(-0.2, rel=1e-6)


def test_adamws_decay_is_not_rescaled_by_the_averages():
    """Where the gradient is zero, AdamW shrinks by rate·weight_decay a step; Adam's L2 penalty takes a full step."""
    decoupled = descend("adamw", [0.1], curvature=0.0, start=[1.0], steps=3, weight_decay=0.5)
    penalized = descend("adam", [0.1], curvature=0.0, start=[1.0], steps=1, weight_decay=0.5)
    np.testing.assert_allclose(decoupled, [[0.95**3]], rtol=1e-12)
    np.testing.assert_allclose(penalized, [[0.9]], rtol=1e-6)


def rule_and_arrays(name: str, dtype: Any, n_params: int = 50) -> tuple[Any, Array, Array, list[Array]]:
    """The rule with weight decay for three runs, made parameters and gradients, and its state, all (R, P)."""
    random = np.random.default_rng(0)
    rule = build(name, [dict(engine_cases.optimizer(name, weight_decay=0.1).settings)] * 3, dtype)
    params, grads = random.standard_normal((2, 3, n_params)).astype(dtype)
    return rule, params, grads, [np.zeros_like(params) for _ in rule.state]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_of_zero_moves_nothing(name):
    rule, params, grads, state = rule_and_arrays(name, np.float32)
    before = params.copy()
    for t in (1, 2, 3):
        rule.step(params, grads.copy(), state, np.zeros((3, 1), np.float32), t, np.empty_like(params))
    np.testing.assert_array_equal(params, before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_scratch_holds_does_not_matter(name):
    ends = []
    for rubbish in (0.0, np.nan):
        rule, params, grads, state = rule_and_arrays(name, np.float64)
        for t in (1, 2):
            rule.step(params, grads.copy(), state, np.full((3, 1), 0.01), t, np.full_like(params, rubbish))
        ends.append(params)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_allocates_no_array_of_the_parameters_size(name):
    """Fresh arrays cost 2 to 10 times the arithmetic on them, and float64 columns would bring float64 ones."""
    rule, params, grads, state = rule_and_arrays(name, np.float32, n_params=100_000)
    rate, scratch = np.full((3, 1), 0.01, np.float32), np.empty_like(params)
    tracemalloc.start()
    rule.step(params, grads, state, rate, 1, scratch)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.2 * params.nbytes


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_near_float64(name):
    """Settings, rates and corrections keep their meaning when rounded."""
    ends = []
    for dtype in (np.float32, np.float64):
        rule, params, grads, state = rule_and_arrays(name, dtype)
        for t in range(1, 11):
            rule.step(params, grads * dtype(0.9**t), state, np.full((3, 1), 0.01, dtype), t, np.empty_like(params))
        assert {params.dtype, *(array.dtype for array in state)} == {np.dtype(dtype)}
        ends.append(params)
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_are_each_runs_own(name):
    """A stack whose runs differ in every setting moves each run as its settings alone would."""
    settings = [dict(engine_cases.optimizer(name).settings) for _ in range(2)]
    for key, value in settings[1].items():
        settings[1][key] = 0.5 * value if value else 0.3
    start = np.array([[0.7, -1.3, 2.0]])
    ends = []
    for group in (settings, settings[:1], settings[1:]):
        rule, params = build(name, group, np.float64), np.repeat(start, len(group), axis=0)
        state = [np.zeros_like(params) for _ in rule.state]
        for t in (1, 2, 3):
            rule.step(params, np.sin(params), state, np.full((len(group), 1), 0.05), t, np.empty_like(params))
        ends.append(params)
    np.testing.assert_array_equal(ends[0], np.concatenate(ends[1:]))
    assert (ends[1] != ends[2]).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_says_what_it_means(name):
    """Help, schema and validation are made from this."""
    rule = OPTIMIZERS[name]
    assert rule.__doc__
    assert rule.source
    for field in fields(rule):
        assert field.metadata["meaning"], field.name
        bounds = field.metadata
        assert bounds.get("ge", -np.inf) <= field.default, field.name
        assert bounds.get("gt", -np.inf) < field.default < bounds.get("lt", np.inf), field.name
