"""The ramp takes the steps of a training at rates of its own, each run for itself, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import reference
from engine_cases import GROWTH, RUN, data_for, optimizer, schedule, stack_of, variants

from lrsweep.engine import ramp as module
from lrsweep.engine.group import Group
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.ramp import exponential, layer_groups, only, ramp, steps_at_peak
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import train
from lrsweep.vocabulary import Array, LayerRates, Run

RATES = exponential(1e-4, 0.1, 11)
"""Two epochs and three quarters of the made data, the batch of one row included."""


def ramped(run: Run, rates: Array = RATES, seeds: Sequence[int] = (0,), **changes: Any) -> Array:
    """The losses (S, T) of a run's seeds."""
    return ramp(stack_of([replace(run, seed=seed) for seed in seeds]), data_for(run, **changes), rates)


def by_the_book(run: Run, rates: Array) -> list[float]:
    """The losses that the slow reference meets at these rates."""
    data = data_for(run)
    walk, met = reference.Walk(run, data), []
    long = replace(run, epochs=len(rates))
    rows = [batch for epoch in reference.batches(long, len(data.x_train)) for batch in epoch]
    for batch, rate in zip(rows, rates.tolist(), strict=False):
        total, grads = reference.gradients(walk.y, data.x_train[batch], data.y_train[batch], run)
        met.append(total / len(batch))
        if run.clip_norm is not None:
            norm = reference.length(grads)
            grads = [grad * min(1.0, run.clip_norm / norm) for grad in grads]
        walk.step(grads, rate, dict(run.optimizer.settings))
    return met


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_matches_the_reference(name: str) -> None:
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), depth=2)
    [losses] = ramped(run)
    np.testing.assert_allclose(losses, by_the_book(run, RATES), rtol=1e-9)
    assert len(set(losses)) == len(RATES)


@pytest.mark.parametrize(
    "changes",
    [
        {"clip_norm": 0.3},
        {"parametrization": "mup", "width": 12, "base_width": 3, "depth": 2},
        {"layer_rates": LayerRates(first=0.1, last=3.0)},
        {"layer_rates": LayerRates(decay=0.4), "depth": 3},
        {"depth": 0},
        {"task": "regression"},
        {"batch_size": "full"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_what_is_no_part_of_the_schedule_acts(name: str, changes: dict[str, Any]) -> None:
    run = replace(RUN, optimizer=optimizer(name), **changes)
    [losses] = ramped(run)
    np.testing.assert_allclose(losses, by_the_book(run, RATES), rtol=1e-9)


@pytest.mark.parametrize(
    "changes",
    [
        *({"schedule": schedule(name, warmup=3)} for name in SCHEDULES),
        {"growth": GROWTH},
        {"growth": replace(GROWTH, rate="restart")},
        {"noise": (0.1, 1.0)},
        {"epochs": 50},
        {"learning_rate": 1e-8},
        {"learning_rate": 3e7},
    ],
    ids=str,
)
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_what_plays_no_part_changes_nothing(precision: str, changes: dict[str, Any]) -> None:
    run = replace(RUN, precision=precision)
    assert np.array_equal(ramped(replace(run, **changes)), ramped(run))


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_in_a_stack_equals_the_run_alone(name: str, precision: str) -> None:
    """Neighbours that overflow included: the last one starts at layers' rates far too high."""
    base = replace(RUN, optimizer=optimizer(name), precision=precision)
    runs = variants(
        base, seed=(3, 3, 4, 5), layer_rates=[LayerRates(), LayerRates(0.5), LayerRates(), LayerRates(1e30)]
    )
    data = data_for(base)
    stacked = ramp(stack_of(runs), data, RATES)
    alone = [ramp(stack_of([run]), data, RATES)[0] for run in runs]
    np.testing.assert_array_equal(stacked, alone)


def test_nothing_of_it_changes_a_later_run() -> None:
    """Neither the data, nor the global random state, nor NumPy's error state, nor what a training gives."""
    runs = variants(RUN, seed=(0, 1))
    data, stack = data_for(RUN), stack_of(runs)
    before = [outcome.curve for outcome in train(stack, data)]
    arrays = [array.copy() for array in (data.x_train, data.y_train, data.x_val, data.y_val)]
    random, errors = np.random.get_state()[1].copy(), np.geterr()  # noqa: NPY002  what is looked at is the global one
    first = ramp(stack, data, RATES)
    assert np.array_equal(ramp(stack, data, RATES), first)
    assert np.array_equal(np.random.get_state()[1], random)  # noqa: NPY002
    assert np.geterr() == errors
    for array, copy in zip((data.x_train, data.y_train, data.x_val, data.y_val), arrays, strict=True):
        assert np.array_equal(array, copy)
    for curve, outcome in zip(before, train(stack, data), strict=True):
        np.testing.assert_array_equal(outcome.curve, curve)


def test_a_loss_is_that_before_the_update_at_its_rate() -> None:
    """Rates of nearly 0 move nothing, a huge rate at the end shows in no loss, and one before it in the next."""
    still = ramped(RUN, np.array([1e-30, 1e-30, 1e-30, 1e30]))
    [first, *_] = ramped(RUN)
    assert still[0, 0] == first[0]
    [moved] = ramped(RUN, np.array([1e-30, 1e-30, 1.0, 1e-30]))
    assert np.array_equal(moved[:3], still[0, :3])
    assert moved[3] != still[0, 3]


def test_what_is_not_finite_is_nan_from_there_on_and_ends_the_ramp(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    update = Group.update
    monkeypatch.setattr(Group, "update", lambda group, step: (steps.append(step), update(group, step)))
    data = data_for(RUN)
    runs = [RUN, replace(RUN, seed=1, layer_rates=LayerRates(1e60, 1e60, 1e60))]
    losses = ramp(stack_of(runs), data, np.geomspace(1e-3, 1e250, 40))
    ends = np.isfinite(losses).sum(axis=1)
    assert 0 < ends[1] < ends[0] < 40
    assert all(
        np.isfinite(row[:end]).all() and np.isnan(row[end:]).all() for row, end in zip(losses, ends, strict=True)
    )
    assert len(steps) == ends[0]


def test_a_run_that_was_not_finite_stays_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its loss: weights that are not finite may hide behind units that are never active."""
    looks = iter(range(20))
    monkeypatch.setattr(Group, "finite", lambda group, *losses: np.array([next(looks) != 4, True]))
    losses = ramp(stack_of(variants(RUN, seed=(0, 1))), data_for(RUN), RATES)
    assert np.isnan(losses).tolist() == [[step >= 4 for step in range(len(RATES))], [False] * len(RATES)]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("depth", "layers"), [(depth, each) for depth in (1, 3) for each in layer_groups(depth)])
def test_only_one_group_of_layers_moves(name: str, depth: int, layers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = []

    class Kept(Group):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            groups.append(self)

    monkeypatch.setattr(module, "Group", Kept)
    run = replace(RUN, depth=depth, optimizer=optimizer(name, weight_decay=0.01), layer_rates=LayerRates(0.5, 0.5, 0.5))
    rates = exponential(0.01, 0.1, 9)
    ramped(only(run, layers), rates)
    [group] = groups
    drawn = Group([run], data_for(run))
    moved = [not np.array_equal(old, new) for old, new in zip(drawn.weights, group.weights, strict=True)]
    middle = [layers == "hidden"] * (depth - 1)
    assert moved == [layers == "first", *middle, layers == "last"]


def test_the_only_layer_of_a_linear_model_is_the_last() -> None:
    run = replace(RUN, depth=0)
    assert [np.array_equal(ramped(only(run, each)), ramped(run)) for each in ("first", "last")] == [False, True]  # type: ignore[arg-type]


def test_the_groups_of_layers_that_a_network_has() -> None:
    assert [layer_groups(depth) for depth in range(4)] == [
        ("last",),
        ("first", "last"),
        ("first", "hidden", "last"),
        ("first", "hidden", "last"),
    ]


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, 12.0),  # 49 rows are 4 batches of at most 16, in 3 epochs
        ({"batch_size": "full"}, 3.0),
        ({"schedule": schedule("linear")}, sum(1 - t / 12 for t in range(12))),
        ({"schedule": schedule("constant", warmup=3)}, 0.25 + 0.5 + 0.75 + 9),
        ({"growth": replace(GROWTH, rate="scale", scale=0.5)}, 8 + 4 * 0.5),
        ({"schedule": schedule("plateau")}, 12.0),
    ],
    ids=str,
)
def test_steps_at_the_peak_are_the_sum_of_the_schedule(changes: dict[str, Any], steps: float) -> None:
    assert steps_at_peak(replace(RUN, **changes), 49) == pytest.approx(steps)


def test_rates_climb_by_one_factor_from_end_to_end() -> None:
    rates = exponential(1e-7, 10, 100)
    assert (len(rates), rates[0], rates[-1]) == (100, 1e-7, 10)
    np.testing.assert_allclose(rates[1:] / rates[:-1], 1e8 ** (1 / 99), rtol=1e-12)


def test_batches_are_those_of_a_training() -> None:
    """Epoch after epoch: where the rate is as good as 0, the mean of the first epoch's losses is a training's."""
    data, rates = data_for(RUN), np.full(8, 1e-30)
    [losses] = ramp(stack_of([RUN]), data, rates)
    rows = [len(batch) for epoch in islice(reference.batches(RUN, 49), 2) for batch in epoch]
    [outcome] = train(stack_of([replace(RUN, learning_rate=1e-30, epochs=1)]), data)
    assert np.average(losses[:4], weights=rows[:4]) == pytest.approx(outcome.curve[1, 3])
    assert not np.array_equal(losses[:4], losses[4:])
