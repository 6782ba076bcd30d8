"""Schedules: the table of rates follows the formulas, and warm-up and ends are where they are promised."""

from __future__ import annotations

from dataclasses import fields, replace

import engine_cases
import numpy as np
import pytest
import reference
from engine_cases import RUN, schedule

from lrsweep.engine.schedules import SCHEDULES, rate_table, rates, warmup_steps


@pytest.mark.parametrize("total", [2, 50, 333])
@pytest.mark.parametrize("warmup", [0, 0.1, 0.35, 1])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_table_follows_the_formulas(name, warmup, total):
    run = replace(RUN, schedule=schedule(name, warmup=warmup), learning_rate=0.3)
    expected = [reference.rate_at(run, step, total) for step in range(total)]
    np.testing.assert_allclose(rates(run.schedule, 0.3, total), expected, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_climbs_evenly_and_ends_at_the_peak(name):
    """With W = 4: 1/5, 2/5, 3/5, 4/5 of the peak, then step W is the first at the peak."""
    table = rates(schedule(name, warmup=4), 2.0, 20)
    np.testing.assert_allclose(table[:5], [0.4, 0.8, 1.2, 1.6, 2.0], rtol=1e-12)
    assert (np.diff(table[4:]) <= 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_after_the_warm_up_comes_the_schedule_of_the_steps_that_are_left(name):
    table = rates(schedule(name, warmup=30), 0.1, 100)
    np.testing.assert_array_equal(table[30:], rates(schedule(name), 0.1, 70))


@pytest.mark.parametrize("name", [name for name, kind in SCHEDULES.items() if "end" in {f.name for f in fields(kind)}])
def test_the_rate_would_reach_its_end_one_step_after_the_last(name):
    shape = SCHEDULES[name](end=0.05).shape(np.array([0.0, 1.0]))  # type: ignore[call-arg]
    np.testing.assert_allclose(shape, [1, 0.05], rtol=1e-12)
    assert rates(schedule(name, end=0.05), 1.0, 1000)[-1] == pytest.approx(0.05, abs=0.006)


def test_constant_is_the_peak_at_every_step():
    np.testing.assert_array_equal(rates(schedule("constant"), 0.07, 9), np.full(9, 0.07))


@pytest.mark.parametrize("drops", [1, 2, 9, 21, 22])
def test_steps_drop_at_even_points(drops):
    """Not a step late through rounding: 15/22 of 22 is below 15 in float64."""
    table = rates(schedule("step", drops=drops), 1.0, 10 * (drops + 1))
    np.testing.assert_allclose(table, np.repeat(0.1 ** np.arange(drops + 1), 10), rtol=1e-12)


def test_a_warm_up_is_steps_if_whole_and_else_a_share():
    assert [warmup_steps(w, 200) for w in (0, 1, 7, 0.0, 0.25, 0.999)] == [0, 1, 7, 0, 50, 200]


def test_each_run_of_a_table_has_its_own_schedule_and_peak():
    choices = [schedule("step", factor=0.5, drops=3), schedule("cosine", end=0.1, warmup=5), schedule("constant")]
    runs = engine_cases.variants(RUN, schedule=choices, learning_rate=(1.0, 0.1, 0.01))
    table = rate_table(runs, 40)
    assert table.shape == (3, 40)
    assert table.dtype == np.float64
    for row, run in zip(table, runs, strict=True):
        np.testing.assert_array_equal(row, rates(run.schedule, run.learning_rate, 40))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_setting_says_what_it_means(name):
    kind = SCHEDULES[name]
    assert kind.__doc__
    assert kind.source
    assert all(field.metadata["meaning"] for field in fields(kind))
