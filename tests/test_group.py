"""A run in a stack equals the run alone to the last bit, whatever its neighbours are and do; and the group's parts."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import threadpoolctl
from engine_cases import (
    GROWTH,
    RUN,
    assert_stack_equals_alone,
    data_for,
    made,
    motley,
    optimizer,
    peak,
    schedule,
    stack_of,
    train_fully,
    variants,
)

from lrsweep.engine.group import FLUSH_STEPS, Group, batch_rows, norms, sharing, steps_per_epoch
from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS, is_zero
from lrsweep.engine.train import train
from lrsweep.vocabulary import DIVERGED, FINISHED, Array, Growth, LayerRates

# As in the training loop: a run that overflows is an outcome, not an accident.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

# --- A stack changes nothing.

SHAPES: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32"},
    "float64": {"precision": "float64"},
    "one row a batch": {"batch_size": 1, "epochs": 1},
    "full batch": {"batch_size": "full"},
    "clipped": {"clip_norm": 0.5},
    "width 1": {"width": 1},
    "depth 0": {"depth": 0},
    "depth 3": {"depth": 3, "width": 17},
    "muP": {"parametrization": "mup", "depth": 2, "width": 12, "base_width": 5},
    "layer rates": {"depth": 2, "layer_rates": LayerRates(decay=0.4)},
    "regression": {"task": "regression"},
    "regression, depth 0, one row": {"task": "regression", "depth": 0, "batch_size": 1, "epochs": 1},
    "regression, width 1, float64": {"task": "regression", "width": 1, "precision": "float64"},
    "wide": {"width": 130, "batch_size": 32},
    **{name: {"activation": name} for name in ACTIVATIONS},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_in_a_stack_equals_the_run_alone(name, shape):
    """Neighbours at other rates do not change a run by one bit, whatever the shapes."""
    run = replace(RUN, **{"precision": "float32", "optimizer": optimizer(name), **SHAPES[shape]})
    assert_stack_equals_alone(variants(run, learning_rate=[peak(name) * r for r in (0.1, 10, 1)]), data_for(run))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_diverging_neighbour_changes_nothing(name, precision, task):
    """It leaves the stack, whose arrays move together, and the others end as if it had never been there."""
    run = replace(RUN, optimizer=optimizer(name), precision=precision, task=task, epochs=4, depth=2)
    late, soon = (1e9, 1e38) if precision == "float32" else (1e60, 1e300)
    rate = peak(name)
    runs = variants(run, learning_rate=(rate / 3, soon, rate, late, rate / 9))
    assert assert_stack_equals_alone(runs, data_for(run))[1].status == DIVERGED


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_seeds_may_be_mixed_in_a_stack(name):
    """Also when those that are left after a divergence share their seed."""
    run, rate = replace(RUN, optimizer=optimizer(name), precision="float32"), peak(name)
    runs = variants(run, learning_rate=(rate / 3, rate, 1e38, rate / 2), seed=(3, 3, 4, 3))
    assert_stack_equals_alone(runs, data_for(run))
    assert_stack_equals_alone(variants(run, learning_rate=(rate, 1e38, rate), seed=(3, 4, 5)), data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_may_be_mixed_in_a_stack(name):
    """A run without weight decay beside one with it, and beside one that diverges."""
    choices = [optimizer(name, weight_decay=decay) for decay in (0.0, 0.1, 0.1, 0.0)]
    rates = (peak(name), peak(name), 1e38, 1e38)
    runs = variants(replace(RUN, precision="float32"), optimizer=choices, learning_rate=rates)
    assert_stack_equals_alone(runs, data_for(runs[0]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_setting_may_be_mixed_for_long(name):
    """Also when the neighbour that differs leaves, so that settings in columns become the same for all."""
    choices = []
    for share in (1.0, 0.97, 0.97, 0.9):
        settings = {key: value * share or 0.01 * share for key, value in optimizer(name).settings}
        choices.append(optimizer(name, **settings))
    run = replace(RUN, epochs=60, growth=Growth(at_epoch=30, to_width=8))
    runs = variants(run, optimizer=choices, learning_rate=(peak(name), peak(name) / 2, peak(name), 1e300))
    assert_stack_equals_alone(runs, data_for(run))


@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_motley_stack_equals_its_runs_alone(name, precision, clip_norm):
    """Seeds, schedules that react and do not, layer rates, policies of growth, divergence before and after it, noise.

    Only whether gradients are clipped is common to a stack.
    """
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), precision=precision, epochs=7, depth=2)
    run = replace(run, growth=GROWTH, noise=(0.1, 1.0), clip_norm=clip_norm)
    runs = motley(run, 1e38 if precision == "float32" else 1e300)
    if clip_norm is None:
        runs = [replace(one, clip_norm=None) for one in runs]
    outcomes = assert_stack_equals_alone(runs, data_for(run))
    assert [r for r, one in enumerate(outcomes) if one.status == DIVERGED] == [3, 4]
    assert [outcomes[r].metrics["epochs_done"] for r in (3, 4)] == [1, 3]
    assert len(set(outcomes[0].metrics) & {"noisy_accuracy@0.1", "noisy_accuracy@1"}) == 2


@pytest.mark.parametrize("policy", ["keep", "restart"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_cycles_of_a_stack_equal_those_alone(name, policy):
    """Each momentum has its own warm-up and its own bounds, beside one that diverges and one that stays."""
    settings = {"warmup": 0}, {"warmup": 0.2, "rise": 0.6}, {"warmup": 3}, {"base_momentum": 0.2, "max_momentum": 0.5}
    runs = variants(
        replace(RUN, optimizer=optimizer(name), precision="float32", epochs=6, growth=replace(GROWTH, rate=policy)),
        schedule=[*(schedule("one_cycle", **changes) for changes in settings), schedule("cosine")],
        learning_rate=(peak(name), peak(name), 1e38, peak(name), peak(name)),
        seed=(0, 1, 0, 1, 1),
    )
    assert_stack_equals_alone(runs, data_for(runs[0]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_wider_networks_in_mup_equal_those_alone(name):
    """With decay and layer rates, which its multipliers meet, and a neighbour that diverges."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), precision="float32", depth=3, epochs=4, clip_norm=1)
    run = replace(run, parametrization="mup", width=12, base_width=4)
    layer_rates = (LayerRates(), LayerRates(decay=0.4), LayerRates(), LayerRates(first=3.0))
    rates = (peak(name), peak(name), 1e38, peak(name) / 3)
    runs = variants(run, learning_rate=rates, seed=(0, 1, 1, 0), layer_rates=layer_rates)
    assert_stack_equals_alone(runs, data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_those_that_stay_keep_all_that_they_carry(name):
    """Parameters, state, scalars and factors after a neighbour left, and after growth, are those of the run alone."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), epochs=7, depth=2, growth=GROWTH)
    runs = [replace(one, clip_norm=None) for one in motley(run, 1e300)]
    data = data_for(run)
    stack, alone = Group(runs, data), [Group([one], data) for one in runs]
    left = list(range(len(runs)))
    for number, leaving in enumerate((3, 0, 6, 2), start=1):
        for group in (stack, *alone):
            loss, _, _ = group.epoch(number)
            group.pacer.reactions.react(loss, 0.9 * loss)
        stack.keep(np.array([r != leaving for r in left]))
        left.remove(leaving)
        if number == GROWTH.at_epoch:
            for group in (stack, *alone):
                group.grow()
        for place, r in enumerate(left):
            own = alone[r]
            pairs = [(stack.params, own.params), (stack.pacer.reactions.factor, own.pacer.reactions.factor)]
            pairs += [*zip(stack.state, own.state, strict=True), *zip(stack.scalars, own.scalars, strict=True)]
            for together, single in pairs:
                np.testing.assert_array_equal(together[place], single[0])


def test_two_classes_in_a_stack():
    assert_stack_equals_alone(variants(RUN, learning_rate=(0.003, 0.3, 0.03)), made(n_outputs=2))


def test_the_order_of_the_runs_does_not_matter():
    runs = variants(RUN, learning_rate=(0.01, 1e300, 0.02, 0.03), seed=(0, 1, 2, 0))
    there, back = (train_fully(order, data_for(RUN)) for order in (runs, runs[::-1]))
    for (outcome, _), (other, _) in zip(there, reversed(back), strict=True):
        np.testing.assert_array_equal(outcome.curve, other.curve)


# --- What a group holds.


def test_a_run_is_alive_while_its_losses_and_weights_are_finite():
    """However large; NaN fails as infinity does, in either."""
    group = Group([RUN] * 6, data_for(RUN))
    group.params[:3, 4] = np.nan, -np.inf, 1e300
    fine, lost = np.ones(6), np.array([1, 1, 1e300, np.nan, np.inf, 1])
    np.testing.assert_array_equal(group.finite(fine, lost), [False, False, True, False, False, True])


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_everything_stays_in_the_runs_precision(name, precision):
    """Before and after growth; only the scalars are double."""
    run = replace(RUN, precision=precision, clip_norm=1.0, optimizer=optimizer(name, weight_decay=0.1), depth=2)
    run = replace(run, schedule=schedule("bold_driver"), growth=GROWTH, layer_rates=LayerRates(decay=0.5))
    group = Group([run], data_for(run))
    for number in (1, 2):
        loss, _, _ = group.epoch(number)
        group.pacer.reactions.react(loss, loss)
        learner = group.learner(16)
        arrays = [
            group.params,
            group.grads,
            group.scratch,
            group.pacer.columns,
            group.inputs,
            *group.state,
            *learner.hidden,
        ]
        arrays += [
            array for array in vars(learner).values() if isinstance(array, np.ndarray) and array.dtype.kind == "f"
        ]
        arrays += [column for column in vars(group.optimizer).values() if not is_zero(column)]
        arrays += [
            group.pacer.pace.rate,
            group.pacer.pace.factors,
            group.optimizer.evaluated(group.params, group.state),
        ]
        assert {array.dtype.name for array in arrays} == {precision}
        assert all(column.dtype == np.float64 for column in group.scalars)
        if number == 1:
            group.grow()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_starts_at_zero_and_points_at_the_parameters(name):
    group = Group([replace(RUN, optimizer=optimizer(name))], data_for(RUN))
    for array, held in zip(group.rule.state, group.state, strict=True):
        np.testing.assert_array_equal(held, group.params if array in group.rule.points else np.zeros_like(held))
        assert not np.shares_memory(held, group.params)
    np.testing.assert_array_equal(group.optimizer.evaluated(group.params, group.state), group.params)


# --- One-cycle's momentum.


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_cycle_moves_the_momentum_where_there_is_one(name):
    """Held still at 0.7, it is the rule with a momentum of 0.7; where there is none, its bounds are of no account."""
    rule = OPTIMIZERS[name]
    still, moving = (schedule("one_cycle", base_momentum=low, max_momentum=0.7) for low in (0.7, 0.3))
    own = optimizer(name, **{rule.cycled: 0.7}) if rule.cycled else optimizer(name)
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name))
    ((_, held),), ((_, moved),) = (train_fully([replace(run, schedule=s)], data_for(run)) for s in (still, moving))
    group = Group([replace(run, optimizer=own, schedule=still)], data_for(run))
    group.pacer.moved = None
    for number in range(1, run.epochs + 1):
        group.epoch(number)
    np.testing.assert_allclose(held, group.optimizer.evaluated(group.params, group.state)[0], rtol=1e-9, atol=1e-12)
    assert (moved != held).any() == bool(rule.cycled)


def test_the_rules_with_a_momentum_are_those_of_pytorch():
    """Its OneCycleLR asks for `momentum` or `betas` among the settings. Lion's and schedule_free's betas average
    other things; Prodigy is to be left alone."""
    cycled = {name: rule.cycled for name, rule in OPTIMIZERS.items() if rule.cycled}
    family = dict.fromkeys(("adam", "adamw", "amsgrad", "nadam", "radam"), "beta1")
    assert cycled == {"momentum": "momentum", "nesterov": "momentum", **family}


# --- Numbers too small to matter.


def test_flushing_takes_what_is_about_to_be_subnormal_and_nothing_else():
    group = Group([replace(RUN, precision="float32")], data_for(replace(RUN, precision="float32")))
    (velocity,) = group.state
    velocity[0, :8] = [1e-45, -1e-40, 1e-38, -2e-30, 1e-20, -0.5, np.inf, 3e38]
    group.flush()
    np.testing.assert_array_equal(velocity[0, :8], np.array([0, 0, 0, -2e-30, 1e-20, -0.5, np.inf, 3e38], np.float32))


@pytest.mark.parametrize("name", [name for name, rule in OPTIMIZERS.items() if rule.points])
def test_flushing_leaves_points_alone(name):
    """They are weights, and may be as small as these."""
    group = Group([replace(RUN, optimizer=optimizer(name))], data_for(RUN))
    for array in group.state:
        array[...] = 1e-305
    group.flush()
    for array, held in zip(group.rule.state, group.state, strict=True):
        assert (held == (1e-305 if array in group.rule.points else 0)).all(), array


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_that_decays_is_never_subnormal(name):
    """What a dead unit leaves in it shrinks every step, and would stay just above zero for good."""
    run = replace(RUN, precision="float32", optimizer=optimizer(name), epochs=300)
    group = Group([run], data_for(run))
    decaying = [
        held for array, held in zip(group.rule.state, group.state, strict=True) if array not in group.rule.points
    ]
    for held in decaying:
        held[0] = np.geomspace(1e-28, 1, held.shape[1])
    for step in range(1000):
        group.grads[...] = 0  # a step may overwrite it
        group.update(step)
        for held in decaying:
            assert not ((held != 0) & (np.abs(held) < np.finfo(np.float32).tiny)).any(), step


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_flushing_changes_no_result(name, monkeypatch):
    run = replace(RUN, precision="float32", optimizer=optimizer(name), batch_size=1, learning_rate=peak(name))
    data = data_for(run)
    ((outcome, flushed),) = train_fully([run], data)
    assert outcome.metrics["steps"] > 2 * FLUSH_STEPS
    monkeypatch.setattr(Group, "flush", lambda self: None)
    ((_, left),) = train_fully([run], data)
    np.testing.assert_array_equal(flushed, left)


@pytest.mark.parametrize(("dtype", "top"), [(np.float32, 37), (np.float64, 306)])
def test_a_norm_is_finite_where_its_row_is(dtype, top):
    """Squares overflow at half the exponent. Rows of any size, and each to the last bit as it is alone."""
    random = np.random.default_rng(0)
    flat = (random.standard_normal((40, 30)) * 10.0 ** random.uniform(-top / 3, top, (40, 1))).astype(dtype)
    flat[7, 3], flat[8, 3], flat[9] = np.inf, np.nan, 0
    found = norms(flat)
    for row, norm in zip(flat, found, strict=True):
        np.testing.assert_array_equal(norms(row[None])[0], norm)
    np.testing.assert_allclose(found[:, 0], [math.hypot(*row) for row in flat.tolist()], rtol=1e-6)


# --- Batches, orders, memory.


def test_a_trained_stack_leaves_nothing_behind():
    """Without waiting for the cyclic collector: its arrays may be gigabytes. Also where it grew and reacted."""
    run = replace(RUN, growth=GROWTH, schedule=schedule("plateau"), layer_rates=LayerRates(decay=0.5))
    gc.disable()
    try:
        group = Group([run], data_for(run))
        group.epoch(1)
        gone = [weakref.ref(group), weakref.ref(group.learner(16)), weakref.ref(group.network(23))]
        group.grow()
        group.epoch(2)
        gone += [weakref.ref(group.learner(16)), weakref.ref(group.network(23))]
        del group
        assert [ref() for ref in gone] == [None] * 5
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


def test_runs_share_an_order_where_that_comes_out_even():
    assert [list(sharing(seeds)) for seeds in ([0], [1, 1], [0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1])] == [
        [0],
        [1],
        [0, 1],
        [0, 1, 0, 1],
        [0, 0, 1],
    ]


def test_batches_and_steps():
    assert [batch_rows(size, 49) for size in (16, 49, 50, "full")] == [16, 49, 49, 49]
    assert [steps_per_epoch(size, 49) for size in (1, 16, 48, 49, 50, "full")] == [49, 4, 2, 1, 1, 1]


def test_blas_has_one_thread():
    """Two would change bits and take up to twenty times as long on products this small."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    assert pools
    assert all(pool["num_threads"] == 1 for pool in pools)


def test_a_stack_that_shrinks_to_one_run_and_grows():
    """All neighbours gone before the growth, whose zeros and rows are then of a stack of one."""
    run = replace(RUN, epochs=5, growth=GROWTH, precision="float32")
    outcomes = train(stack_of(variants(run, learning_rate=(1e38, 0.03, 1e37))), data_for(run))
    assert [one.status for one in outcomes] == [DIVERGED, FINISHED, DIVERGED]
    (alone,) = train(stack_of([run]), data_for(run))
    np.testing.assert_array_equal(outcomes[1].curve, alone.curve)
