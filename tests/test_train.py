"""Training matches a slow reference and PyTorch; failure is data; what a curve holds.

Layer rates, muP, growth and what a stack may mix are in the tests of the files that make them.
"""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import reference
from engine_cases import (
    LIVELY,
    RUN,
    assert_matches_reference,
    data_for,
    made,
    optimizer,
    peak,
    schedule,
    stack_of,
    train_fully,
    variants,
)
from golden import problem

from lrsweep.engine.group import Group
from lrsweep.engine.model import ACTIVATIONS, WIDE
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import time_epoch, train
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, Data, Outcome, Run

# --- Against the reference.


def assert_four_match(run: Run, data: Data) -> list[Outcome]:
    """The run at its rate and a third of it, with two seeds, trained as one stack."""
    high, low = run.learning_rate, run.learning_rate / 3
    return assert_matches_reference(variants(run, learning_rate=(low, high, high, low), seed=(0, 1, 0, 1)), data)


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_matches_the_reference(name, weight_decay):
    """Over 24 steps, in which each learns: the deviation is not that of weights which hardly moved."""
    choices = {"optimizer": optimizer(name, weight_decay=weight_decay), "schedule": schedule("linear", warmup=2)}
    run = replace(RUN, **choices, learning_rate=peak(name), epochs=6, depth=2)
    outcomes = assert_four_match(run, data_for(run))
    assert all(one.metrics["train_loss"] < 0.95 * one.metrics["initial_loss"] for one in outcomes[1:3])


@pytest.mark.parametrize("warmup", [0, 0.2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_matches_the_reference(name, warmup):
    run = replace(RUN, schedule=schedule(name, warmup=warmup, **LIVELY.get(name, {})), optimizer=optimizer("nesterov"))
    run = replace(run, epochs=14, learning_rate=0.1)
    rates = [outcome.curve[1:, 2] for outcome in assert_four_match(run, data_for(run))]
    assert name == "constant" or all(len(set(row)) > 2 for row in rates), "the rates of epochs hardly differ"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_under_one_cycle_matches_the_reference(name):
    """Where it has a momentum, that moves against the rate; a momentum of its own is then of no account."""
    cycled = {OPTIMIZERS[name].cycled: 0.3} if OPTIMIZERS[name].cycled else {}
    choices = {"optimizer": optimizer(name, **cycled), "schedule": schedule("one_cycle", warmup=3, base_momentum=0.6)}
    run = replace(RUN, **choices, learning_rate=peak(name), epochs=5)
    assert_four_match(run, data_for(run))


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("depth", [0, 1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_network_matches_the_reference(activation, depth, task):
    run = replace(RUN, activation=activation, depth=depth, task=task, optimizer=optimizer("adam"))
    assert_four_match(run, data_for(run))


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("depth", [1, 2])
def test_wide_networks_match_the_reference(depth, task, parametrization):
    """Above a certain width the output layer's gradient is another product."""
    run = replace(RUN, width=WIDE + 9, depth=depth, task=task, parametrization=parametrization, base_width=32)
    assert_four_match(run, data_for(run))


@pytest.mark.parametrize("batch_size", [1, 7, 16, 48, 49, 500, "full"])
def test_every_batch_size_matches_the_reference(batch_size):
    """Batches that leave a remainder, that do not, that are as large as the data, and larger."""
    run = replace(RUN, batch_size=batch_size)
    assert_four_match(run, data_for(run))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_matches_the_reference(name):
    """The bound is a norm that the gradient crosses on its way: some steps are clipped. Weight decay comes after."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), epochs=6, learning_rate=peak(name))
    data = data_for(run)
    norms = reference.train(run, data)[0][1:, 6]
    assert_four_match(replace(run, clip_norm=float(np.median(norms))), data)


def test_two_classes_match_the_reference():
    assert_four_match(RUN, made(n_outputs=2))


def test_runs_of_one_stack_may_differ_in_all_that_the_reference_knows_of_a_run():
    """Rates, schedules, settings, clipping and seeds together, each run still its own."""
    settings = ((0.9, 0), (0, 0.1), (0.5, 1))
    runs = variants(
        RUN,
        learning_rate=(0.01, 0.05, 0.02),
        schedule=(schedule("step", drops=1), schedule("cosine", warmup=3), schedule("bold_driver")),
        optimizer=[optimizer("adamw", beta1=beta, weight_decay=decay) for beta, decay in settings],
        clip_norm=(0.5, 1.0, 1e9),
        seed=(5, 5, 6),
    )
    assert_matches_reference(runs, data_for(RUN))


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


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rate_of_zero_leaves_the_run_untrained(name):
    run = replace(RUN, learning_rate=0.0, optimizer=optimizer(name))
    ((outcome, params),) = train_fully([run], data_for(run))
    np.testing.assert_array_equal(params, Group([run], data_for(run)).params[0])
    np.testing.assert_array_equal(outcome.curve[:, 4], np.full(4, outcome.curve[0, 4]))
    np.testing.assert_allclose(outcome.curve[1:, 3], outcome.curve[0, 3], rtol=1e-12)
    assert not outcome.curve[1:, 7].any()


def test_timing_steps_takes_time_and_trains_nothing():
    assert time_epoch(stack_of([replace(RUN, epochs=1, batch_size="full")]), data_for(RUN)) > 0
