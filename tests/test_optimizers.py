"""The contract that every rule in OPTIMIZERS keeps, and the limits that theory sets."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import engine_cases
import numpy as np
import pytest
from engine_cases import peak

from lrsweep.engine.optimizers import OPTIMIZERS, Pace, Rule, build
from lrsweep.vocabulary import Array, Scalar

# As in the training loop: what a rule divides by zero without harm is no warning.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@dataclass
class Mover:
    """A rule that moves runs (R, P), with the state and the scratch buffer that a stack would give it."""

    rule: Rule
    params: Array
    state: list[Array] = field(default_factory=list)
    t: int = 0

    @classmethod
    def of(cls, name: str, params: Array, settings: Sequence[dict[str, Scalar]]) -> Mover:
        rule = build(name, settings, params.dtype.type)
        arrays = [params.copy() if array in rule.points else np.zeros_like(params) for array in rule.state]
        return cls(rule, params, [*arrays, *(np.zeros((len(params), 1)) for _ in rule.scalars)])

    def step(self, grads: Array, rate: Any, rubbish: float = np.nan) -> None:
        """A step with the gradients (R, P) at the rate, a number or (R, 1)."""
        self.t += 1
        column = np.broadcast_to(np.asarray(rate, self.params.dtype), (len(self.params), 1))
        self.rule.step(self.params, grads, self.state, Pace(column), self.t, np.full_like(self.params, rubbish))


def descend(name: str, rates: Any, curvature: Any, start: Any, steps: int, **changes: Any) -> Array:
    """Where a run for each rate (R,) gets in `steps` steps from `start` (P,) on ½·Σ curvature·x², (R, P)."""
    column = np.asarray(rates, np.float64)[:, None]
    params = np.tile(np.asarray(start, np.float64), (len(column), 1))
    mover = Mover.of(name, params, [dict(engine_cases.optimizer(name, **changes).settings)] * len(column))
    for _ in range(steps):
        mover.step(np.asarray(curvature) * params, column)
    return mover.rule.evaluated(params, mover.state)


@dataclass(frozen=True)
class Bowl:
    """The rates at which a rule is to find the minimum of a bowl, and the steps that it may take."""

    lowest: float = 1e-3
    highest: float = 1.0
    steps: int = 1500


BOWLS = {
    "adadelta": Bowl(steps=15_000),  # its first steps are a thousandth of the rate, and grow slowly
    "lion": Bowl(1e-4, 1e-3, steps=15_000),  # its steps have the size of the rate to the end
}
"""Where a rule needs other rates or more steps than the others, and why."""


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_reaches_the_minimum_of_a_quadratic_bowl(name):
    """At one of thirteen rates, over three decades for most, ½(x² + 10y² + 100z²) falls by a factor of a million."""
    curvature, start, bowl = np.array([1.0, 10.0, 100.0]), np.array([1.1, -0.93, 0.47]), BOWLS.get(name, Bowl())
    ends = descend(name, np.geomspace(bowl.lowest, bowl.highest, 13), curvature, start, bowl.steps, weight_decay=0.0)
    heights = (curvature * ends**2).sum(axis=1)
    assert np.nanmin(heights) < 1e-6 * (curvature * start**2).sum()


LIMITS = {
    "sgd": lambda beta: 2,
    "momentum": lambda beta: 2 * (1 + beta),
    "nesterov": lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
}
"""Rate times curvature beyond which a rule diverges on ½λx², as a function of its momentum."""


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


MU = [0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (1, 2)]
"""NAdam's momentum in its first two steps."""

FIRST_STEPS = {
    **dict.fromkeys(("adagrad", "adam", "adamw", "amsgrad", "lion", "schedule_free"), 1.0),
    "nadam": 1 + 0.1 * MU[1] / (1 - MU[0] * MU[1]),  # the gradient in full, and its share of the look ahead
    "rmsprop": 1 / 0.01**0.5,  # without a bias correction the first average holds 1 − alpha of the first square
    "adadelta": (1e-6 / 0.1) ** 0.5,  # the step of the root of eps that starts it, over the same share of a square
    "prodigy": 1e-6 * 0.1 / 0.001**0.5,  # the first distance; no bias correction of either average
}
"""What a first step is in rates, whatever the gradient's size. In the other rules it grows with the gradient."""


@pytest.mark.parametrize("gradient", [1e-3, -1.0, 1e4])
@pytest.mark.parametrize("name", FIRST_STEPS)
def test_first_step_has_the_size_of_the_rate(name, gradient):
    if abs(gradient) < 1 and FIRST_STEPS[name] != 1:
        gradient *= 1e3  # their eps stands beside a small share of the square, and would show
    moved = descend(name, [0.02], curvature=gradient, start=[1.0], steps=1, weight_decay=0.0)[0, 0] - 1
    assert moved == pytest.approx(-0.02 * FIRST_STEPS[name] * np.sign(gradient), rel=2e-5)


SHRINKING = {"adamw": 0.1 * 0.5, "lion": 0.1 * 0.5, "prodigy": 1e-6 * 0.1 * 0.5}
"""Rate times decay of the rules whose decay is decoupled; Prodigy's is also times its distance."""


@pytest.mark.parametrize("name", SHRINKING)
def test_decoupled_decay_is_not_rescaled_by_the_averages(name):
    """Where the gradient is zero, a parameter shrinks by rate·weight_decay a step."""
    decayed = descend(name, [0.1], curvature=0.0, start=[1.0], steps=3, weight_decay=0.5)
    np.testing.assert_allclose(1 - decayed, [[1 - (1 - SHRINKING[name]) ** 3]], rtol=1e-9)


@pytest.mark.parametrize("name", sorted({*FIRST_STEPS} - {*SHRINKING, "schedule_free"}))
def test_an_l2_penalty_is_a_gradient_like_any_other(name):
    """Where the loss has none, weight decay takes the step that a rule takes for a gradient of its size."""
    penalized = descend(name, [0.1], curvature=0.0, start=[1.0], steps=4, weight_decay=0.5)
    np.testing.assert_array_equal(penalized, descend(name, [0.1], 0.5, [1.0], steps=4, weight_decay=0.0))


def test_radam_is_momentum_until_the_squares_are_known():
    """With beta2 = 0.999 it moves by rate·m̂ for five steps, which grows with the gradient, and then by its root."""
    settings = [dict(engine_cases.optimizer("radam").settings)]
    movers = [Mover.of("radam", np.ones((1, 1)), settings) for _ in range(2)]
    for t in range(1, 8):
        before = [mover.params.copy() for mover in movers]
        for mover, gradient in zip(movers, (1.0, 7.0), strict=True):
            mover.step(np.full((1, 1), gradient), 0.01)
        moves = [float((old - mover.params)[0, 0]) for old, mover in zip(before, movers, strict=True)]
        assert moves[1] == pytest.approx(moves[0] * (7 if t <= 5 else 1), rel=1e-6)
        assert t > 5 or moves[0] == pytest.approx(0.01, rel=1e-9)


def test_prodigys_distance_never_shrinks_and_finds_the_right_size():
    """From a millionth to the order of the way to the minimum, which is 3 in each of two parameters."""
    params = np.zeros((1, 2))
    mover = Mover.of("prodigy", params, [dict(engine_cases.optimizer("prodigy").settings)])
    distances = []
    for _ in range(200):
        mover.step(params - 3.0, 1.0)
        distances.append(float(mover.state[4][0, 0]))
    assert distances[0] == 1e-6
    assert (np.diff(distances) >= 0).all()
    assert 0.3 < distances[-1] < 6


def test_a_momentum_that_stays_is_carried_to_the_last_bit():
    """Beside a run whose momentum moves it is multiplied by β, not by β·(1 − β)/(1 − β), which may be its neighbour."""
    for dtype in (np.float32, np.float64):
        beta = np.linspace(0, 0.999, 1000, dtype=dtype)[:, None]
        assert (beta * (1 - beta) / (1 - beta) != beta).any()
        np.testing.assert_array_equal(Pace(beta, momentum=beta, last_momentum=beta.copy()).carried(0.5), beta)


def test_a_momentum_that_moves_keeps_the_average():
    """(1 − β)·M, of the sum M that is carried, is m ← βₜ·m + (1 − βₜ)·g for any course of β."""
    random = np.random.default_rng(0)
    total = average = np.zeros((1, 1))
    before = beta = np.full((1, 1), 0.95)
    for _ in range(50):
        gradient = random.standard_normal((1, 1))
        total = total * Pace(beta, momentum=beta, last_momentum=before).carried(0.5) + gradient
        average = beta * average + (1 - beta) * gradient
        np.testing.assert_allclose((1 - beta) * total, average, rtol=1e-12)
        before, beta = beta, random.uniform(0, 0.99, (1, 1))
    assert Pace(beta).carried(0.5) == Pace(beta).moved(0.5) == 0.5


def rule_and_arrays(name: str, dtype: Any, n_params: int = 50) -> tuple[Mover, Array]:
    """The rule with weight decay for three runs of made parameters, and made gradients, (R, P)."""
    random = np.random.default_rng(0)
    params, grads = random.standard_normal((2, 3, n_params)).astype(dtype)
    return Mover.of(name, params, [dict(engine_cases.optimizer(name, weight_decay=0.1).settings)] * 3), grads


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_of_zero_moves_nothing(name):
    mover, grads = rule_and_arrays(name, np.float32)
    before = mover.params.copy()
    for _ in range(3):
        mover.step(grads.copy(), 0.0)
    np.testing.assert_array_equal(mover.params, before)
    np.testing.assert_array_equal(mover.rule.evaluated(mover.params, mover.state), before)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_scratch_holds_does_not_matter(name):
    ends = []
    for rubbish in (0.0, np.nan):
        mover, grads = rule_and_arrays(name, np.float64)
        for _ in range(2):
            mover.step(grads.copy(), peak(name), rubbish)
        ends.append(mover.params)
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_allocates_no_array_of_the_parameters_size(name):
    """Fresh arrays cost 2 to 10 times the arithmetic on them, and float64 columns would bring float64 ones."""
    mover, grads = rule_and_arrays(name, np.float32, n_params=100_000)
    pace, scratch = Pace(np.full((3, 1), peak(name), np.float32)), np.empty_like(mover.params)
    pace.factors, pace.decay = np.full_like(mover.params, 0.5), np.full_like(mover.params, 2)
    pace.momentum, pace.last_momentum = np.full((2, 3, 1), 0.9, np.float32)
    peaks = []
    for t in range(1, 8):
        tracemalloc.start()
        mover.rule.step(mover.params, grads, mover.state, pace, t, scratch)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert max(peaks) < 0.2 * mover.params.nbytes


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_float32_stays_near_float64(name):
    """Settings, rates and corrections keep their meaning when rounded; no array of a step changes its precision."""
    ends = []
    for dtype in (np.float32, np.float64):
        mover, grads = rule_and_arrays(name, dtype)
        for t in range(1, 11):
            mover.step(grads * dtype(0.9**t), 0.3 * peak(name))
        arrays = mover.state[: len(mover.rule.state)]
        assert {mover.params.dtype, *(array.dtype for array in arrays)} == {np.dtype(dtype)}
        assert all(column.dtype == np.float64 for column in mover.state[len(arrays) :])
        measured = mover.rule.evaluated(mover.params, mover.state)
        assert measured.dtype == dtype
        ends.append(measured)
    np.testing.assert_allclose(*ends, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_are_each_runs_own(name):
    """A stack whose runs differ in every setting moves each run as its settings alone would."""
    settings = [dict(engine_cases.optimizer(name).settings) for _ in range(2)]
    for key, value in settings[1].items():
        settings[1][key] = 0.5 * float(value) if value else 0.3
    start = np.array([[0.7, -1.3, 2.0]])
    ends = []
    for group in (settings, settings[:1], settings[1:]):
        mover = Mover.of(name, np.repeat(start, len(group), axis=0), group)
        for _ in range(8):
            mover.step(np.sin(mover.params), peak(name))
        ends.append(mover.rule.evaluated(mover.params, mover.state))
    np.testing.assert_array_equal(ends[0], np.concatenate(ends[1:]))
    assert (ends[1] != ends[2]).any()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_moves_something(name):
    """No setting is read and then forgotten: with another value, a run ends elsewhere."""
    usual = dict(engine_cases.optimizer(name, weight_decay=0.1).settings)
    gradients = np.random.default_rng(0).normal(1, 2, (8, 1, 30))
    ends = []
    for changed in (None, *usual):
        settings = {key: value * (0.5 if key == changed else 1) for key, value in usual.items()}
        mover = Mover.of(name, np.ones((1, 30)), [settings])
        for grads in gradients:
            mover.step(grads.copy(), peak(name))
        ends.append(mover.rule.evaluated(mover.params, mover.state))
    for changed, end in zip(usual, ends[1:], strict=True):
        assert (end != ends[0]).any(), changed


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_says_what_it_means(name):
    """Help, schema and validation are made from this."""
    rule = OPTIMIZERS[name]
    assert rule.__doc__
    assert rule.source
    assert {*rule.points} <= {*rule.state}
    assert rule.family in ("sgd", "adam")
    assert not rule.cycled or rule.cycled in {setting.name for setting in fields(rule)}
    for setting in fields(rule):
        assert setting.metadata["meaning"], setting.name
        bounds = setting.metadata
        assert bounds.get("ge", -np.inf) <= setting.default, setting.name
        assert bounds.get("gt", -np.inf) < setting.default < bounds.get("lt", np.inf), setting.name
