"""Schedules: the table of rates follows the formulas, and warm-up, borders and ends are where they are promised."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import reference
from engine_cases import RUN, optimizer, schedule, variants

from lrsweep.engine.reactions import REACTING
from lrsweep.engine.schedules import (
    SCHEDULES,
    factors,
    momenta,
    momentum_table,
    moves_momentum,
    rate_table,
    rates,
    warmup_steps,
)
from lrsweep.vocabulary import Array, Choice, Growth, Run

FROM_BELOW = {"one_cycle": 0.04, "triangular": 0.25}
"""Schedules that start below the peak, and the factor they start at."""

UP_AGAIN = {"one_cycle", "triangular", "warm_restarts"}
"""Schedules that do not only fall."""

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "step": [{"drops": 4, "factor": 0.5}],
    "polynomial": [{"power": 2.0, "end": 0.1}],
    "inverse_time": [{"decay": 0.0}, {"decay": 99.0}],
    "warm_restarts": [{"cycles": 1}, {"cycles": 4, "multiplier": 1.0, "end": 0.2}, {"multiplier": 1.5}],
    "one_cycle": [{"rise": 0.5, "start": 0.5, "end": 0.0}, {"rise": 0.001}, {"rise": 0.999}],
    "triangular": [{"mode": mode, "cycles": cycles} for mode in ("triangular2", "exp_range") for cycles in (1, 4)],
}
"""Beside the defaults."""

CASES = [(name, changes) for name in SCHEDULES for changes in ({}, *SETTINGS.get(name, []))]


def expected(run: Run, total: int) -> list[float]:
    return [reference.rate_at(run, step, total, total // run.epochs) for step in range(total)]


@pytest.mark.parametrize("total", [2, 50, 333])
@pytest.mark.parametrize("warmup", [0, 0.1, 0.35, 1])
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_the_table_follows_the_formulas(name, changes, warmup, total):
    run = replace(RUN, schedule=schedule(name, warmup=warmup, **changes), learning_rate=0.3, epochs=1)
    np.testing.assert_allclose(rates(run, total), expected(run, total), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_climbs_evenly_to_where_the_schedule_starts(name):
    """With W = 4: 1/5, 2/5, 3/5, 4/5 of the first factor, then step W is the first at it."""
    table = factors(schedule(name, warmup=4), 20)
    np.testing.assert_allclose(table[:5] / FROM_BELOW.get(name, 1.0), [0.2, 0.4, 0.6, 0.8, 1.0], rtol=1e-12)
    assert (np.diff(table[4:]) <= 0).all() == (name not in UP_AGAIN)


@pytest.mark.parametrize("name", SCHEDULES)
def test_after_the_warm_up_comes_the_schedule_of_the_steps_that_are_left(name):
    table = factors(schedule(name, warmup=30), 100)
    np.testing.assert_array_equal(table[30:], factors(schedule(name), 70))


@pytest.mark.parametrize("name", [n for n, kind in SCHEDULES.items() if {"end"} <= {f.name for f in fields(kind)}])
def test_the_rate_would_reach_its_end_one_step_after_the_last(name):
    """`plateau` and the peaks of `triangular` have an end too, but not that one."""
    shape = SCHEDULES[name](end=0.05).shape(np.array([0.0, 1.0]))  # type: ignore[call-arg]
    foot = FROM_BELOW.get(name, 1.0)
    last = {"plateau": 1.0, "triangular": foot}.get(name, 0.05)
    np.testing.assert_allclose(shape, [foot, last], rtol=1e-12)
    assert factors(schedule(name, end=0.05), 1000)[-1] == pytest.approx(last, abs=0.006)


@pytest.mark.parametrize("name", ["constant", *REACTING])
def test_what_does_not_move_by_itself_is_the_peak_at_every_step(name):
    np.testing.assert_array_equal(rates(replace(RUN, schedule=schedule(name), learning_rate=0.07), 9), np.full(9, 0.07))


@pytest.mark.parametrize("drops", [1, 2, 9, 21, 22])
def test_steps_drop_at_even_points(drops):
    """Not a step late through rounding: 15/22 of 22 is below 15 in float64."""
    table = factors(schedule("step", drops=drops), 10 * (drops + 1))
    np.testing.assert_allclose(table, np.repeat(0.1 ** np.arange(drops + 1), 10), rtol=1e-12)


# --- Cycles.


@pytest.mark.parametrize(
    ("cycles", "multiplier", "starts"),
    [
        (3, 2.0, [0, 10, 30]),
        (1, 2.0, [0]),
        (4, 1.0, [0, 10, 20, 30]),
        (3, 3.0, [0, 10, 40]),
        (7, 1.0, range(0, 70, 10)),
    ],
)
@pytest.mark.parametrize("scale", [1, 3, 7])
def test_a_warm_restart_is_back_at_the_peak_at_the_first_step_of_its_cycle(cycles, multiplier, starts, scale):
    """Also where the border is a share of the run that float64 does not have: 1/7, 3/7."""
    total = scale * 10 * int(sum(multiplier**i for i in range(cycles)))
    table = factors(schedule("warm_restarts", cycles=cycles, multiplier=multiplier), total)
    peaks = [step for step in range(total) if table[step] == pytest.approx(1, abs=1e-12)]
    assert peaks == [scale * start for start in starts]
    rising = np.flatnonzero(np.diff(table) > 0) + 1
    assert [*rising] == peaks[1:], "it only rises at a restart"


def test_a_cosine_is_a_restart_that_never_comes():
    run = schedule("warm_restarts", cycles=1, end=0.2)
    np.testing.assert_allclose(factors(run, 40), factors(schedule("cosine", end=0.2), 40), rtol=1e-12)


def test_a_thousand_doubling_cycles_are_a_finite_table():
    table = factors(schedule("warm_restarts", cycles=1000), 200)
    assert ((table >= 0) & (table <= 1)).all()


def test_triangles_have_their_feet_and_tops_where_they_are_promised():
    """Three cycles of 20 steps from 0.25: the top is half way; halved or decayed tops keep the foot."""
    foot, tops = [0, 20, 40], [10, 30, 50]
    plain, halved, decayed = (
        factors(schedule("triangular", mode=mode, end=0.01), 60) for mode in ("triangular", "triangular2", "exp_range")
    )
    for table in (plain, halved, decayed):
        np.testing.assert_allclose(table[foot], 0.25, rtol=1e-12)
        assert {step for step in range(1, 59) if table[step] > max(table[step - 1], table[step + 1])} == {*tops}
    np.testing.assert_allclose(plain[tops], [1, 1, 1], rtol=1e-12)
    np.testing.assert_allclose(plain[[5, 15]], [0.625, 0.625], rtol=1e-12)
    np.testing.assert_allclose(halved[tops], 0.25 + 0.75 * np.array([1, 0.5, 0.25]), rtol=1e-12)
    np.testing.assert_allclose(decayed[tops], 0.25 + 0.75 * 0.01 ** (np.array(tops) / 60), rtol=1e-12)


def test_the_end_of_triangles_matters_in_exp_range_only():
    for mode in ("triangular", "triangular2", "exp_range"):
        low, high = (factors(schedule("triangular", mode=mode, end=end), 60) for end in (0.01, 0.5))
        assert (low != high).any() == (mode == "exp_range")


# --- One-cycle's momentum.


def test_the_momentum_is_lowest_where_the_rate_is_highest():
    """0.95 through the warm-up and at the start, 0.85 at the peak, 0.95 one step after the last."""
    one_cycle = schedule("one_cycle", warmup=10)
    rate, momentum = factors(one_cycle, 110), momenta(one_cycle, 110)
    np.testing.assert_array_equal(momentum[:11], np.full(11, 0.95))
    assert momentum.argmin() == rate[10:].argmax() + 10 == 40
    assert momentum[40] == pytest.approx(0.85, rel=1e-12)
    assert momentum[-1] == pytest.approx(0.95, abs=1e-4)
    rise = (rate[10:40] - 0.04) / (1 - 0.04)
    np.testing.assert_allclose(0.95 - momentum[10:40], 0.1 * rise, atol=1e-12)
    sunk = (rate[40:] - 4e-6) / (1 - 4e-6)
    np.testing.assert_allclose(0.95 - momentum[40:], 0.1 * sunk, atol=1e-12)


def test_the_momentum_table_follows_the_reference():
    """Also where growth restarts the cycle over the steps that are left, and beside a run whose momentum stays."""
    policies = [Growth(2, 9, rate) for rate in ("keep", "restart", "restart", "restart")]
    choices = [schedule("one_cycle", warmup=warmup, rise=0.4) for warmup in (0.2, 0.2, 3)]
    run = replace(RUN, optimizer=optimizer("adam", beta1=0.7), epochs=5)
    runs = variants(run, growth=policies, schedule=[*choices, schedule("cosine")])
    table = momentum_table(runs, 50, "beta1")
    assert table is not None
    for row, run in zip(table, runs, strict=True):
        wanted = [reference.settings_at(run, step, 50, 10)["beta1"] for step in range(50)]
        np.testing.assert_allclose(row, wanted, rtol=1e-12)
    np.testing.assert_array_equal(table[1, 20:26], np.full(6, 0.95))
    assert table[0, 20] < 0.9
    np.testing.assert_array_equal(table[3], np.full(50, 0.7))


def test_there_is_no_momentum_table_where_nothing_moves():
    """Neither without a schedule that moves it, nor in a rule that has none."""
    assert momentum_table([RUN, replace(RUN, schedule=schedule("cosine"))], 50, "momentum") is None
    assert momentum_table([replace(RUN, schedule=schedule("one_cycle"))], 50, "") is None


def test_only_one_cycle_moves_a_momentum():
    assert [name for name in SCHEDULES if moves_momentum(schedule(name))] == ["one_cycle"]


# --- Growth, warm-up, tables.


def grown(policy: str, choice: Choice, scale: float = 1.0) -> Array:
    """The factors of a run of 5 epochs of 10 steps that grows after the second."""
    run = replace(RUN, learning_rate=1.0, epochs=5, schedule=choice, growth=Growth(2, 9, policy, scale))
    return rates(run, 50)


@pytest.mark.parametrize("warmup", [0, 0.1, 7])
@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("policy", ["keep", "restart", "scale", "warmup", "new_neurons_only"])
def test_the_table_of_a_run_that_grows_follows_the_reference(policy, name, warmup):
    growth = Growth(2, 9, policy, 0.3)
    run = replace(RUN, learning_rate=0.3, epochs=5, schedule=schedule(name, warmup=warmup), growth=growth)
    np.testing.assert_allclose(rates(run, 50), expected(run, 50), rtol=1e-12, atol=1e-15)


def test_before_the_growth_all_policies_are_one():
    cosine = schedule("cosine", warmup=0.2)
    for policy in ("keep", "restart", "scale", "warmup", "new_neurons_only"):
        np.testing.assert_array_equal(grown(policy, cosine, scale=0.3)[:20], factors(cosine, 50)[:20])


def test_after_the_growth_each_policy_does_what_it_says():
    cosine, plain = schedule("cosine", warmup=0.2), schedule("cosine")
    np.testing.assert_array_equal(grown("keep", cosine), factors(cosine, 50))
    np.testing.assert_array_equal(grown("new_neurons_only", cosine), factors(cosine, 50))
    np.testing.assert_array_equal(grown("restart", cosine)[20:], factors(cosine, 30))
    np.testing.assert_allclose(grown("scale", cosine, scale=0.3)[20:], 0.3 * factors(cosine, 50)[20:], rtol=1e-15)
    climb = np.minimum(np.arange(1, 31) / 11, 1)  # ten steps: the schedule's own warm-up, and an epoch
    np.testing.assert_allclose(grown("warmup", cosine)[20:], climb * factors(cosine, 50)[20:], rtol=1e-15)
    np.testing.assert_allclose(grown("warmup", plain)[20:], climb * factors(plain, 50)[20:], rtol=1e-15)


def test_a_warm_up_after_growth_is_never_longer_than_what_remains():
    """20 steps of warm-up, of which 10 remain: they climb evenly over all ten."""
    run = replace(RUN, learning_rate=1.0, epochs=5, schedule=schedule("constant", warmup=20))
    table = rates(replace(run, growth=Growth(4, 9, "warmup")), 50)
    np.testing.assert_allclose(table[40:], np.arange(1, 11) / 11, rtol=1e-15)


def test_a_warm_up_is_steps_if_whole_and_else_a_share():
    assert [warmup_steps(w, 200) for w in (0, 1, 7, 0.0, 0.25, 0.999)] == [0, 1, 7, 0, 50, 200]


def test_each_run_of_a_table_has_its_own_schedule_and_peak():
    choices = [schedule("step", factor=0.5, drops=3), schedule("cosine", end=0.1, warmup=5), schedule("constant")]
    runs = variants(RUN, schedule=choices, learning_rate=(1.0, 0.1, 0.01))
    table = rate_table(runs, 40)
    assert table.shape == (3, 40)
    assert table.dtype == np.float64
    for row, run in zip(table, runs, strict=True):
        np.testing.assert_array_equal(row, rates(run, 40))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_setting_says_what_it_means(name):
    kind = SCHEDULES[name]
    assert kind.__doc__
    assert kind.source
    for setting in fields(kind):
        bounds = setting.metadata
        assert bounds["meaning"], setting.name
        if isinstance(setting.default, str):
            assert setting.default in bounds["choices"]
        else:
            assert bounds.get("ge", -np.inf) <= setting.default <= bounds.get("le", np.inf), setting.name
            assert bounds.get("gt", -np.inf) < setting.default < bounds.get("lt", np.inf), setting.name


@pytest.mark.parametrize("name", sorted({*SCHEDULES} - {*REACTING}))
def test_every_setting_moves_something(name):
    """No setting is read and then forgotten; those of what reacts are tested there."""
    usual = dict(schedule(name, **({"mode": "exp_range"} if name == "triangular" else {})).settings)
    for key, value in usual.items():
        other = "triangular" if key == "mode" else value + 1 if isinstance(value, int) else 0.5 * value + 0.3
        changed = Choice(name, tuple(sorted({**usual, key: other}.items())))
        tables = momenta if "momentum" in key else factors
        assert (tables(changed, 50) != tables(Choice(name, tuple(usual.items())), 50)).any(), key
