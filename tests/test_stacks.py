"""Stacks: what is trained together, how large it is, and what it would take."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plan_cases import RUN, ids, planned, prepared

from lrsweep.engine.train import train
from lrsweep.plan import (
    STACK_BYTES,
    PlannedRun,
    estimate,
    make_stacks,
    pause_bytes,
    planned_run,
    run_bytes,
    shape,
    table_bytes,
)
from lrsweep.plan.stacks import cost, time_deviation
from lrsweep.vocabulary import Growth, LayerRates, Pause, Stack

MIXED = """
width: [8, 64]
depth: [0, 2]
optimizer: [sgd, {name: adam, weight_decay: [0, 0.1, 0.2]}]
learning_rate: {log: [1e-3, 1], num: 7}
schedule: [constant, cosine]
clip_norm: [none, 1]
"""


@pytest.mark.parametrize("stack_bytes", [1, 5_000, 10**9])
@pytest.mark.parametrize("workers", [0, 1, 2, 3, 8])
def test_no_stack_is_empty(tmp_path: Path, workers: int, stack_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.plan.stacks.STACK_BYTES", stack_bytes)
    runs = planned(tmp_path, "learning_rate: {log: [1e-3, 1], num: 5}\nseeds: 3").runs
    for n in range(1, len(runs) + 1):
        stacks = make_stacks(runs[:n], workers)
        assert all(stack.runs for stack in stacks)
        assert sum(len(stack.runs) for stack in stacks) == n


def test_rates_of_many_steps_keep_stacks_small(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "width: 2\nbatch_size: 1\nepochs: 100000\nlearning_rate: {log: [1e-3, 1], num: 20}\nseeds: 1"
    )
    assert max(len(stack.runs) for stack in make_stacks(plan.runs, 1)) <= 5


@pytest.mark.parametrize("workers", [0, 1, 2, 7])
def test_stacks_hold_every_run_once_and_share_shapes(tmp_path: Path, workers: int) -> None:
    plan = planned(tmp_path, MIXED)
    stacks = make_stacks(plan.runs, workers)
    by_id = {one.run_id: one for one in plan.runs}
    assert sorted(run_id for stack in stacks for run_id in stack.ids) == sorted(by_id)
    for stack in stacks:
        assert stack.runs == tuple(by_id[run_id].run for run_id in stack.ids)
        assert len({shape(by_id[run_id]) for run_id in stack.ids}) == 1
        same = {(r.width, r.depth, r.optimizer.name, r.batch_size, r.epochs, r.clip_norm is None) for r in stack.runs}
        assert len(same) == 1
        assert len({dict(r.optimizer.settings)["weight_decay"] == 0 for r in stack.runs}) == 1


@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("layer_rates: [1, {decay: [0.5, 2]}, {first: 0.1}]", 1),
        ("growth: {at_epoch: 3, to_width: 128, rate: [keep, restart, warmup, new_neurons_only, {scale: 2}]}", 1),
        ("growth: [none, {at_epoch: 3, to_width: [128, 256]}, {at_epoch: 4, to_width: 128}]", 4),
        ("parametrization: [standard, mup]", 2),
        ("blocks: [{base_width: 32}, {base_width: 64}]\nparametrization: mup", 2),
        ("schedule: [constant, cosine, one_cycle, plateau, {name: triangular, mode: [triangular, exp_range]}]", 2),
        ("schedule: [constant, one_cycle]\noptimizer: [sgd, adam, adagrad]", 4),
        ("schedule: {name: one_cycle, base_momentum: [0.8, 0.85]}", 1),
    ],
)
def test_what_runs_must_share_to_be_trained_together(tmp_path: Path, text: str, shapes: int) -> None:
    plan = planned(tmp_path, f"{text}\nseeds: 2")
    assert len({shape(one) for one in plan.runs}) == shapes
    assert len({shape(one) for one in planned(tmp_path, f"{text}\nseeds: 1", "learning_rate=0.1,1").runs}) == shapes


def test_stacks_keep_to_the_byte_limit_and_not_far_below_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 256\ndepth: 2\nlearning_rate: {log: [1e-3, 1], num: 100}\nseeds: 1")
    sizes = [len(stack.runs) * run_bytes(plan.runs[0]) for stack in make_stacks(plan.runs, 1)]
    assert len(sizes) > 1
    assert max(sizes) <= STACK_BYTES < 2 * min(sizes) + run_bytes(plan.runs[0])


def test_a_run_beyond_the_byte_limit_is_a_stack_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 2000\ndepth: 2")
    assert run_bytes(plan.runs[0]) > STACK_BYTES
    assert [len(stack.runs) for stack in make_stacks(plan.runs, 1)] == [1, 1, 1]


def test_one_shape_is_shared_among_the_workers_by_seed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 8\nlearning_rate: {log: [1e-3, 1], num: 10}\nseeds: 4")
    assert [len(stack.runs) for stack in make_stacks(plan.runs, 4)] == [10, 10, 10, 10]
    assert all(len({run.seed for run in stack.runs}) == 1 for stack in make_stacks(plan.runs, 4))
    assert len(make_stacks(plan.runs, 1)) == 1


def test_the_dearest_stack_comes_first(tmp_path: Path) -> None:
    stacks = make_stacks(planned(tmp_path, "width: [8, 256, 64]\nseeds: 1").runs, 1)
    assert [stack.runs[0].width for stack in stacks] == [256, 64, 8]


def test_no_runs_make_no_stacks() -> None:
    assert make_stacks([], 2) == []


# --- Runs that pause


def pause_of(one: PlannedRun, epoch: int) -> Pause:
    """A pause that is told by its only number."""
    return Pause(epoch, np.empty((0, 8)), np.array([float(one.run.seed)]), (), (), {}, 0.0)


@pytest.mark.parametrize("workers", [0, 3])
def test_stacks_hold_the_pause_of_each_run(tmp_path: Path, workers: int) -> None:
    plan = planned(tmp_path, "learning_rate: {log: [1e-3, 1], num: 4}\nseeds: 5")
    pauses = {one.run_id: pause_of(one, 3) for one in plan.runs}
    stacks = make_stacks(plan.runs[::2], workers, until=9, pauses=pauses)
    assert sorted(run_id for stack in stacks for run_id in stack.ids) == sorted(ids(plan)[::2])
    for stack in stacks:
        assert stack.until == 9
        assert [id(pause) for pause in stack.pauses] == [id(pauses[run_id]) for run_id in stack.ids]


def test_runs_in_different_epochs_are_not_in_one_stack(tmp_path: Path) -> None:
    """Nor are those that have not begun, be it beside some that paused before their first epoch."""
    plan = planned(tmp_path, "learning_rate: {log: [1e-3, 1], num: 4}\nseeds: 5")
    pauses = {one.run_id: pause_of(one, one.run.seed - 1) for one in plan.runs if one.run.seed}
    stacks = make_stacks(plan.runs, 1, pauses=pauses)
    told = {(tuple({run.seed for run in stack.runs}), tuple({p.epoch for p in stack.pauses})) for stack in stacks}
    assert told == {((0,), ()), ((1,), (0,)), ((2,), (1,)), ((3,), (2,)), ((4,), (3,))}
    assert {stack.until for stack in stacks} == {None}


def test_what_is_left_to_train_decides_which_stack_comes_first(tmp_path: Path) -> None:
    """Width 64 has one epoch to go, or two up to the ninth, and width 16 all of its ten."""
    plan = planned(tmp_path, "width: [64, 16]\nepochs: 10\nseeds: 1")
    wide = plan.runs[0]
    assert cost(wide) == pytest.approx(10 * cost(wide, after=9)) == pytest.approx(5 * cost(wide, after=7, until=9))
    first = make_stacks(plan.runs, 1, pauses={wide.run_id: pause_of(wide, 9)})[0]
    assert first.runs[0].width == 16
    assert make_stacks(plan.runs, 1, until=5)[0].runs[0].width == 64


@pytest.mark.parametrize(
    "text",
    [
        "optimizer: sgd\nwidth: 64",
        "optimizer: adam\ndepth: 2",
        "optimizer: prodigy\nprecision: float64",
        "optimizer: schedule_free\nschedule: plateau\nprecision: float64",
        "depth: 0\nschedule: bold_driver",
        "growth: {at_epoch: 2, to_width: 128}",
    ],
)
def test_the_bytes_of_a_pause_are_those_that_go_through_a_pipe(tmp_path: Path, text: str) -> None:
    plan = planned(tmp_path, f"{text}\nepochs: 30\nseeds: 1")
    [stack] = make_stacks(plan.runs, 1, until=29)
    [outcome] = train(stack, prepared(plan)(stack))
    sent = len(pickle.dumps(outcome.pause))
    assert sent < pause_bytes(plan.runs[0]) < sent + 2000


# --- Bytes


def test_a_batch_beyond_the_rows_is_the_whole_of_them(tmp_path: Path) -> None:
    huge, full = planned(tmp_path, "batch_size: [9007199254740992, full]\nseeds: 1").runs
    assert run_bytes(huge) == run_bytes(full)
    assert huge.n_train == 60


def test_the_bytes_of_a_run_are_those_that_its_arrays_take(tmp_path: Path) -> None:
    """P = (5 + 1)·8 + (8 + 1)·3 parameters in four arrays; 32 rows of two layers, both ways; 4 bytes each."""
    (one,) = planned(tmp_path, "width: 8\nseeds: 1").runs
    assert run_bytes(one) == 4 * (4 * (6 * 8 + 9 * 3) + 32 * (2 * 9 + 2 * 3))
    linear = planned_run(replace(one.run, depth=0, precision="float64"), one.data)
    assert run_bytes(linear) == 8 * (4 * 6 * 3 + 32 * 2 * 3)


def test_the_bytes_of_a_run_count_all_that_it_may_come_to_hold(tmp_path: Path) -> None:
    """Activations apart: four arrays of P parameters, and one or two of multipliers where these are not all 1."""

    def arrays(**changes: Any) -> float:
        run = replace(RUN, **{"batch_size": 1, "width": 8, **changes})
        wide = max(run.width, run.growth.to_width if run.growth else 0)
        activations = 2 * (wide + 1) + 2 * 3
        return (run_bytes(planned_run(run, raw)) / 4 - activations) / (6 * wide + (wide + 1) * 3)

    raw = planned(tmp_path).runs[0].data
    assert arrays() == arrays(growth=Growth(1, 16)) == arrays(parametrization="mup", base_width=8) == 4
    assert arrays(growth=Growth(1, 16, "restart")) == 4
    assert arrays(layer_rates=LayerRates(decay=0.5)) == arrays(growth=Growth(1, 16, "new_neurons_only")) == 5
    assert arrays(parametrization="mup") == arrays(parametrization="mup", layer_rates=LayerRates(first=2)) == 6


def test_a_momentum_that_moves_has_a_table_like_the_rates(tmp_path: Path) -> None:
    sgd, momentum, adagrad = planned(tmp_path, "optimizer: [sgd, adam, adagrad]\nschedule: one_cycle\nseeds: 1").runs
    assert table_bytes(momentum) - table_bytes(sgd) == 20 * sgd.steps()
    assert table_bytes(adagrad) == table_bytes(sgd)


def test_runs_with_rates_by_layer_bring_their_arrays_into_a_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "learning_rate: {log: [1e-3, 1], num: 100}\nseeds: 1\nlayer_rates: [1, {decay: 0.5}]"
    plan = planned(tmp_path, text)
    light, heavy = (run_bytes(plan.runs[i]) for i in (0, -1))
    monkeypatch.setattr("lrsweep.plan.stacks.STACK_BYTES", 20 * light)
    longest = max(len(stack.runs) for stack in make_stacks(plan.runs, 1))
    assert longest * heavy <= 20 * light < 20 * heavy


# --- Estimate


def test_the_estimate_is_positive_and_grows_with_the_work(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: [8, 64]\nepochs: 3")
    stacks = make_stacks(plan.runs, 1)
    one = estimate(stacks, 1, prepared(plan))
    assert (one.seconds > 0.6, one.disk_bytes > 0, one.shapes) == (True, True, 2)
    assert estimate(stacks, 1, prepared(plan)).disk_bytes == one.disk_bytes


def test_many_shapes_are_not_all_timed_and_the_others_count_like_their_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a run's epoch takes as many seconds as its network is wide, all widths together take their sum."""
    monkeypatch.setattr("lrsweep.plan.stacks.time_epoch", lambda stack, data: len(stack.runs) * stack.runs[0].width)
    plan = planned(tmp_path, "width: {linear: [1, 100], num: 100}\nepochs: 1\nseeds: 1")
    told = estimate(make_stacks(plan.runs, 1), 1, prepared(plan))
    assert told.shapes == 32
    assert told.seconds == pytest.approx(len(plan.runs) / 100 * sum(range(1, 101)), rel=0.05)


def test_what_is_not_timed_counts_like_what_has_its_optimizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {"sgd": 1.0, "adam": 100.0}
    monkeypatch.setattr(
        "lrsweep.plan.stacks.time_epoch", lambda stack, _: len(stack.runs) * costs[stack.runs[0].optimizer.name]
    )
    monkeypatch.setattr("lrsweep.plan.stacks.MOST_TIMED", 12)
    plan = planned(tmp_path, "optimizer: [sgd, adam]\nwidth: {linear: [1, 30], num: 30}\nepochs: 1\nseeds: 1")
    told = estimate(make_stacks(plan.runs, 1), 1, prepared(plan))
    assert told.seconds == pytest.approx(len(plan.runs) / 2 * 101, rel=0.01)


def test_growing_networks_are_timed_at_both_widths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[tuple[int, Growth | None]] = []

    def time_epoch(stack: Stack, data: Any) -> float:
        timed.append((stack.runs[0].width, stack.runs[0].growth))
        return stack.runs[0].width

    monkeypatch.setattr("lrsweep.plan.stacks.time_epoch", time_epoch)
    plan = planned(tmp_path, "width: 8\ngrowth: {at_epoch: 3, to_width: 32}\nepochs: 5\nseeds: 1")
    told = estimate(make_stacks(plan.runs, 1), 1, prepared(plan))
    assert timed == [(8, None), (32, None)]
    assert told.seconds == pytest.approx(3 * 8 + 2 * 32, abs=1)


def test_noise_counts_once_for_each_deviation_at_the_last_width(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[tuple[int, int]] = []

    def time_deviation(stack: Stack, data: Any) -> float:
        measured.append((stack.runs[0].width, len(stack.runs[0].noise)))
        return 10.0

    def told(text: str) -> Any:
        plan = planned(tmp_path, f"epochs: 5\nseeds: 1\nwidth: 8\n{text}")
        return estimate(make_stacks(plan.runs, 1), 1, prepared(plan))

    monkeypatch.setattr("lrsweep.plan.stacks.time_epoch", lambda *_: 1.0)
    monkeypatch.setattr("lrsweep.plan.stacks.time_deviation", time_deviation)
    quiet, noisy = told("noise: none"), told("noise: {linear: [0.1, 1], num: 30}")
    assert noisy.seconds - quiet.seconds == pytest.approx(300)
    assert noisy.disk_bytes - quiet.disk_bytes > 30 * 40
    grown = told("growth: {at_epoch: 3, to_width: 16}\nnoise: [0.1, 0.2]")
    assert grown.seconds == pytest.approx(5 + 20, abs=1)
    assert measured == [(8, 0), (8, 30), (8, 0), (16, 2)]


def test_a_deviation_takes_time_where_there_is_one(tmp_path: Path) -> None:
    def timed(noise: str) -> float:
        plan = planned(tmp_path, f"width: 8\nnoise: {noise}")
        [stack] = make_stacks(plan.runs, 1)
        return time_deviation(stack, prepared(plan)(stack))

    assert timed("none") == 0 < timed("[0.1, 1]")


def test_nothing_left_to_train_costs_nothing() -> None:
    stacks: list[Stack] = []
    assert estimate(stacks, 2, None).seconds == 0
