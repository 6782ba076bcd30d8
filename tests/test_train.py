"""Training is exact: it matches a slow reference and PyTorch, and no run changes another by one bit."""

from __future__ import annotations

import gc
import json
import math
import weakref
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import threadpoolctl
from engine_cases import RUN, data_for, deviation, made, optimizer, schedule, stack_of, train_fully, variants
from golden import problem

from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS, is_zero
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import Group, batch_rows, steps_per_epoch, time_epoch, train
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, Array, Data, Run

# --- Against the reference.


def assert_matches_reference(run: Run, data: Data) -> None:
    """Four runs at two rates and two seeds, trained as one stack: the whole curves and the final parameters."""
    runs = variants(run, learning_rate=(0.01, 0.03, 0.03, 0.01), seed=(0, 1, 0, 1))
    for one, (outcome, params) in zip(runs, train_fully(runs, data), strict=True):
        curve, final = reference.train(one, data)
        np.testing.assert_allclose(outcome.curve, curve, rtol=1e-9, atol=1e-12)
        assert deviation(params, final) < 1e-9


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_matches_the_reference(name, weight_decay):
    run = replace(RUN, optimizer=optimizer(name, weight_decay=weight_decay), schedule=schedule("linear", warmup=2))
    assert_matches_reference(run, data_for(run))


@pytest.mark.parametrize("warmup", [0, 0.2])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_matches_the_reference(name, warmup):
    run = replace(RUN, schedule=schedule(name, warmup=warmup), optimizer=optimizer("nesterov"))
    assert_matches_reference(run, data_for(run))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_network_matches_the_reference(activation, depth, task):
    run = replace(RUN, activation=activation, depth=depth, task=task, optimizer=optimizer("adam"))
    assert_matches_reference(run, data_for(run))


@pytest.mark.parametrize("batch_size", [1, 7, 16, 48, 49, 500, "full"])
def test_every_batch_size_matches_the_reference(batch_size):
    """Batches that leave a remainder, that do not, that are as large as the data, and larger."""
    run = replace(RUN, batch_size=batch_size)
    assert_matches_reference(run, data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_matches_the_reference(name):
    """The bound is a norm that the gradient crosses on its way: some steps are clipped. Weight decay comes after."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), epochs=6)
    data = data_for(run)
    norms = reference.train(run, data)[0][1:, 6]
    assert_matches_reference(replace(run, clip_norm=float(np.median(norms))), data)


def test_two_classes_match_the_reference():
    assert_matches_reference(RUN, made(n_outputs=2))


def test_runs_of_one_stack_may_differ_in_all_that_the_reference_knows_of_a_run():
    """Rates, schedules, settings, clipping and seeds together, each run still its own."""
    settings = ((0.9, 0), (0, 0.1), (0.5, 1))
    runs = variants(
        RUN,
        learning_rate=(0.01, 0.05, 0.02),
        schedule=(schedule("step", drops=1), schedule("cosine", warmup=3), schedule("constant")),
        optimizer=[optimizer("adamw", beta1=beta, weight_decay=decay) for beta, decay in settings],
        clip_norm=(0.5, 1.0, 1e9),
        seed=(5, 5, 6),
    )
    data = data_for(RUN)
    for run, (outcome, params) in zip(runs, train_fully(runs, data), strict=True):
        curve, final = reference.train(run, data)
        np.testing.assert_allclose(outcome.curve, curve, rtol=1e-9, atol=1e-12)
        assert deviation(params, final) < 1e-9


# --- Against PyTorch.

RECORDED = json.loads(Path(__file__).with_name("golden").joinpath("torch.json").read_text("utf-8"))


@pytest.mark.parametrize("case", problem.CASES)
def test_the_loss_of_every_step_is_pytorchs(case):
    """50 steps from the same weights over the same batches; recorded by tests/golden/record.py."""
    expected = np.array(RECORDED["losses"][case])
    assert len(expected) == problem.STEPS
    np.testing.assert_allclose(problem.engine_losses(problem.CASES[case]), expected, rtol=1e-9)


def test_every_rule_and_schedule_that_names_pytorch_is_recorded():
    rules = {run.optimizer.name for run in problem.CASES.values()}
    schedules = {run.schedule.name for run in problem.CASES.values()}
    assert {name for name, rule in OPTIMIZERS.items() if "torch.optim" in rule.source} <= rules
    assert {name for name, kind in SCHEDULES.items() if "torch.optim" in kind.source} <= schedules


# --- A stack changes nothing.

RATES = (0.003, 0.3, 0.03)
SHAPES: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "float64": {"precision": "float64"},
    "one row a batch": {"batch_size": 1, "epochs": 1},
    "full batch": {"batch_size": "full"},
    "clipped": {"clip_norm": 0.5},
    "width 1": {"width": 1},
    "depth 0": {"depth": 0},
    "depth 3": {"depth": 3, "width": 17},
    "regression": {"task": "regression"},
    "regression, depth 0, one row": {"task": "regression", "depth": 0, "batch_size": 1, "epochs": 1},
    "regression, width 1, float64": {"task": "regression", "width": 1, "precision": "float64"},
    "wide": {"width": 130, "batch_size": 32},
    **{name: {"activation": name} for name in ACTIVATIONS},
}


def assert_stack_equals_alone(runs: list[Run], data: Data) -> None:
    """Status, curve, metrics and parameters of every run, to the last bit."""
    stacked = train_fully(runs, data)
    for run, (outcome, params) in zip(runs, stacked, strict=True):
        ((alone, own_params),) = train_fully([run], data)
        assert (outcome.status, outcome.reason) == (alone.status, alone.reason)
        np.testing.assert_array_equal(outcome.curve, alone.curve)
        assert outcome.metrics.keys() == alone.metrics.keys()
        np.testing.assert_array_equal([*outcome.metrics.values()], [*alone.metrics.values()])
        if alone.status == FINISHED:
            np.testing.assert_array_equal(params, own_params)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_in_a_stack_equals_the_run_alone(name, shape):
    """Neighbours at other rates do not change a run by one bit, whatever the shapes."""
    run = replace(RUN, **{"precision": "float32", "optimizer": optimizer(name), **SHAPES[shape]})
    runs = variants(run, learning_rate=RATES)
    assert_stack_equals_alone(runs, data_for(run))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_diverging_neighbour_changes_nothing(name, precision, task):
    """It leaves the stack, whose arrays move together, and the others end as if it had never been there."""
    run = replace(RUN, optimizer=optimizer(name), precision=precision, task=task, epochs=4, depth=2)
    late, soon = (1e9, 1e38) if precision == "float32" else (1e60, 1e300)
    runs = variants(run, learning_rate=(0.01, soon, 0.02, late, 0.03))
    data = data_for(run)
    assert train(stack_of(runs), data)[1].status == DIVERGED
    assert_stack_equals_alone(runs, data)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_seeds_may_be_mixed_in_a_stack(name):
    """Also when those that are left after a divergence share their seed."""
    run = replace(RUN, optimizer=optimizer(name), precision="float32")
    runs = variants(run, learning_rate=(0.01, 0.03, 1e38, 0.02), seed=(3, 3, 4, 3))
    assert_stack_equals_alone(runs, data_for(run))
    assert_stack_equals_alone(variants(run, learning_rate=(0.01, 1e38, 0.01), seed=(3, 4, 5)), data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_may_be_mixed_in_a_stack(name):
    """A run without weight decay beside one with it, and beside one that diverges."""
    choices = [optimizer(name, weight_decay=decay) for decay in (0.0, 0.1, 0.1, 0.0)]
    runs = variants(replace(RUN, precision="float32"), optimizer=choices, learning_rate=(0.01, 0.01, 1e38, 1e38))
    assert_stack_equals_alone(runs, data_for(runs[0]))


def test_two_classes_in_a_stack():
    assert_stack_equals_alone(variants(RUN, learning_rate=RATES), made(n_outputs=2))


def test_the_order_of_the_runs_does_not_matter():
    runs = variants(RUN, learning_rate=(0.01, 1e300, 0.02, 0.03), seed=(0, 1, 2, 0))
    there, back = (train_fully(order, data_for(RUN)) for order in (runs, runs[::-1]))
    for (outcome, _), (other, _) in zip(there, reversed(back), strict=True):
        np.testing.assert_array_equal(outcome.curve, other.curve)


# --- Failure is data.


def test_a_diverged_run_says_so():
    data = data_for(RUN)
    fine, lost = train(stack_of(variants(replace(RUN, epochs=6), learning_rate=(0.01, 1e200))), data)
    assert (fine.status, fine.reason, fine.run_id) == (FINISHED, "", "r0")
    assert (lost.status, lost.run_id) == (DIVERGED, "r1")
    epochs = lost.metrics["epochs_done"]
    assert lost.reason == f"loss or weights not finite in epoch {epochs}"
    assert 1 <= epochs < 6
    assert lost.curve.shape == (epochs + 1, len(CURVE_COLUMNS))
    assert math.isnan(lost.curve[-1, 5]), "a share of right answers by a network of NaN"
    assert fine.curve.shape == (7, len(CURVE_COLUMNS))
    assert lost.metrics["steps"] == epochs * 4
    assert lost.metrics["examples_seen"] == epochs * 49
    assert lost.metrics.keys() == fine.metrics.keys()
    finals = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "val_macro_f1", "test_loss", "test_accuracy")
    assert all(math.isnan(lost.metrics[name]) for name in finals)
    assert not any(math.isnan(fine.metrics[name]) for name in finals)
    assert lost.metrics["initial_loss"] == lost.curve[0, 3] < np.inf


def test_a_stack_of_which_nothing_is_left_ends():
    outcomes = train(stack_of(variants(replace(RUN, epochs=50), learning_rate=(1e200, 1e250))), data_for(RUN))
    assert [one.status for one in outcomes] == [DIVERGED] * 2
    assert all(len(one.curve) < 50 for one in outcomes)


def test_a_run_is_alive_while_its_losses_and_weights_are_finite():
    """However large; NaN fails as infinity does, in either."""
    group = Group([RUN] * 6, data_for(RUN))
    group.params[:3, 4] = np.nan, -np.inf, 1e300
    fine, lost = np.ones(6), np.array([1, 1, 1e300, np.nan, np.inf, 1])
    np.testing.assert_array_equal(group.finite(fine, lost), [False, False, True, False, False, True])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_absurd_rate_is_reported_and_raises_nothing(name):
    run = replace(RUN, optimizer=optimizer(name), learning_rate=1e38, precision="float32", depth=2)
    (outcome,) = train(stack_of([run]), data_for(run))
    assert outcome.status == DIVERGED


def slope_one() -> Data:
    """y = x at x = ±1: the mean squared error of a line has curvature 2 in both its parameters."""
    x = np.array([[-1.0], [1.0]])
    return Data(x, x[:, 0], x, x[:, 0], x[:0], x[:0, 0], "regression", 1)


LINE = replace(RUN, task="regression", depth=0, batch_size="full", optimizer=optimizer("sgd"))


@pytest.mark.parametrize(("share", "status"), [(0.98, FINISHED), (1.1, DIVERGED)])
@pytest.mark.parametrize(("name", "limit"), [("sgd", 1.0), ("momentum", 1.9)])
def test_stability_limit_in_training(name, limit, share, status):
    """At curvature λ = 2 sgd is stable below 2/λ, momentum below 2(1 + β)/λ; above it a run is reported as diverged."""
    run = replace(LINE, learning_rate=share * limit, optimizer=optimizer(name), epochs=3000, precision="float32")
    data = slope_one()
    data = replace(data, **{f.name: getattr(data, f.name).astype(np.float32) for f in fields(data)[:6]})
    (outcome,) = train(stack_of([run]), data)
    assert outcome.status == status
    if status == FINISHED:
        assert outcome.metrics["val_loss"] < 1e-10


def test_a_loss_that_rises_far_and_comes_back_is_not_diverged():
    """For half the run a rate of 1.5, beyond the limit of 1, doubles the error every step; then 0.375 quarters it."""
    run = replace(LINE, learning_rate=1.5, schedule=schedule("step", drops=1, factor=0.25), epochs=200)
    (outcome,) = train(stack_of([run]), slope_one())
    losses = outcome.curve[:, 4]
    assert losses.max() > 1e50 * losses[0]
    assert outcome.status == FINISHED
    assert outcome.metrics["val_loss"] < 1e-3 * losses[0]
    assert outcome.metrics["best_val_loss"] == losses[1:].min()


# --- What a curve holds.


def test_a_curve_starts_untrained_and_counts_epochs_and_steps():
    (outcome,) = train(stack_of([RUN]), data_for(RUN))
    np.testing.assert_array_equal(outcome.curve[:, :2], [[0, 0], [1, 4], [2, 8], [3, 12]])
    assert np.isnan(outcome.curve[0, [2, 6, 7]]).all()
    assert np.isfinite(outcome.curve[1:]).all()
    assert outcome.metrics["initial_loss"] == outcome.curve[0, 3]
    assert outcome.metrics["max_grad_norm"] == outcome.curve[1:, 6].max()
    assert outcome.metrics["best_epoch"] == np.argmin(outcome.curve[1:, 4]) + 1
    assert outcome.metrics["best_val_accuracy"] == outcome.curve[1:, 5].max()
    assert outcome.metrics["n_parameters"] == 6 * 6 + 3 * 7


def test_without_test_rows_there_are_no_test_metrics():
    data = data_for(RUN)
    data = replace(data, x_test=data.x_test[:0], y_test=data.y_test[:0])
    (outcome,) = train(stack_of([RUN]), data)
    assert not [name for name in outcome.metrics if name.startswith("test")]


def test_training_twice_gives_the_same_bits():
    first, second = (train(stack_of([RUN]), data_for(RUN))[0] for _ in range(2))
    np.testing.assert_array_equal(first.curve, second.curve)


def test_float32_follows_float64():
    """From the same weights and batches."""
    single, double = (
        train(stack_of([replace(RUN, precision=p)]), made(precision=p))[0].curve[:, 3] for p in ("float32", "float64")
    )
    np.testing.assert_allclose(single, double, rtol=1e-5)


# --- The group.


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_stays_in_the_runs_precision(name, precision):
    run = replace(RUN, precision=precision, clip_norm=1.0, optimizer=optimizer(name))
    group = Group([run], data_for(run))
    group.epoch(1)
    learner = group.learner(16)
    arrays = [group.params, group.grads, group.scratch, group.columns, group.inputs, learner.flat, learner.x]
    settings = [column for column in vars(group.optimizer).values() if not is_zero(column)]
    arrays += [*group.state, *learner.hidden, *learner.deltas, *settings]
    assert {array.dtype.name for array in arrays} == {precision}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_of_zero_leaves_the_run_untrained(name):
    run = replace(RUN, learning_rate=0.0, optimizer=optimizer(name))
    ((outcome, params),) = train_fully([run], data_for(run))
    np.testing.assert_array_equal(params, Group([run], data_for(run)).params[0])
    np.testing.assert_array_equal(outcome.curve[:, 4], np.full(4, outcome.curve[0, 4]))
    np.testing.assert_allclose(outcome.curve[1:, 3], outcome.curve[0, 3], rtol=1e-12)
    assert not outcome.curve[1:, 7].any()


def test_flushing_takes_what_is_about_to_be_subnormal_and_nothing_else():
    group = Group([replace(RUN, precision="float32")], data_for(replace(RUN, precision="float32")))
    (velocity,) = group.state
    velocity[0, :8] = [1e-45, -1e-40, 1e-38, -2e-30, 1e-20, -0.5, np.inf, 3e38]
    group.flush()
    np.testing.assert_array_equal(velocity[0, :8], np.array([0, 0, 0, -2e-30, 1e-20, -0.5, np.inf, 3e38], np.float32))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_that_decays_is_never_subnormal(name):
    """What a dead unit leaves in it shrinks every step, and would stay just above zero for good."""
    run = replace(RUN, precision="float32", optimizer=optimizer(name), epochs=300)
    group = Group([run], data_for(run))
    for array in group.state:
        array[0] = np.geomspace(1e-28, 1, array.shape[1])
    for step in range(1000):
        group.grads[...] = 0  # a step may overwrite it
        group.update(step)
        for array in group.state:
            assert not ((array != 0) & (np.abs(array) < np.finfo(np.float32).tiny)).any(), step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_flushing_changes_no_result(name, monkeypatch):
    run = replace(RUN, precision="float32", optimizer=optimizer(name), batch_size=1)  # 147 steps
    ((_, flushed),) = train_fully([run], data_for(run))
    monkeypatch.setattr(Group, "flush", lambda self: None)
    ((_, left),) = train_fully([run], data_for(run))
    np.testing.assert_array_equal(flushed, left)


def test_a_trained_stack_leaves_nothing_behind():
    """Without waiting for the cyclic collector: its arrays may be gigabytes."""
    gc.disable()
    try:
        group = Group([RUN], data_for(RUN))
        group.epoch(1)
        gone = [weakref.ref(group), weakref.ref(group.learner(16)), weakref.ref(group.network(23))]
        del group
        assert [ref() for ref in gone] == [None] * 3
    finally:
        gc.enable()


def test_every_row_is_met_once_an_epoch():
    orders = Group(variants(RUN, seed=(0, 1)), data_for(RUN)).draw_order()
    assert orders.shape == (2, 49)
    np.testing.assert_array_equal(np.sort(orders), np.tile(np.arange(49), (2, 1)))
    assert (orders[0] != orders[1]).any()


def test_the_order_is_the_seeds_own_and_new_every_epoch():
    """Whoever else is in the stack, and not the same rows in the same batches again."""
    pair, alone = Group(variants(RUN, seed=(0, 1)), data_for(RUN)), Group([replace(RUN, seed=1)], data_for(RUN))
    epochs: list[Array] = []
    for _ in range(3):
        epochs.append(alone.draw_order()[0])
        np.testing.assert_array_equal(pair.draw_order()[1], epochs[-1])
    assert (epochs[0] != epochs[1]).any()


def test_batches_and_steps():
    assert [batch_rows(size, 49) for size in (16, 49, 50, "full")] == [16, 49, 49, 49]
    assert [steps_per_epoch(size, 49) for size in (1, 16, 48, 49, 50, "full")] == [49, 4, 2, 1, 1, 1]


def test_timing_steps_takes_time_and_trains_nothing():
    assert time_epoch(stack_of([replace(RUN, epochs=1, batch_size="full")]), data_for(RUN)) > 0


def test_blas_has_one_thread():
    """Two would change bits and take up to twenty times as long on products this small."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)
