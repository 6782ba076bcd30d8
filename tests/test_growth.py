"""Growth: the function stays, what was learnt stays, what is new starts from random weights, and rates as they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import (
    LIVELY,
    RUN,
    assert_matches_reference,
    data_for,
    deviation,
    optimizer,
    peak,
    schedule,
    stack_of,
    train_fully,
    variants,
)

from lrsweep.engine import evaluate, model
from lrsweep.engine.group import Group
from lrsweep.engine.growth import grown, widened
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.scaling import only_new
from lrsweep.engine.train import train
from lrsweep.vocabulary import Array, Growth, Run

# As in the training loop: what a rule divides by zero without harm is no warning.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

POLICIES = ("keep", "restart", "scale", "new_neurons_only", "warmup")
GROWTHS = [Growth(2, 10, policy, scale=0.3) for policy in POLICIES]


def growing(name: str, depth: int = 2, **changes: object) -> Run:
    """Six units that become ten after two of five epochs, by a rule at its rate."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), learning_rate=peak(name), depth=depth, epochs=5)
    return replace(run, growth=GROWTHS[0], **changes)  # type: ignore[arg-type]


def trained(run: Run, epochs: int = 2) -> Group:
    """The run's group after some epochs."""
    group = Group([run], data_for(run))
    for number in range(1, epochs + 1):
        group.epoch(number)
    return group


def old_part(flat: Array, before: tuple[int, ...], units: tuple[int, ...]) -> Array:
    """What a grown network (R, P) has in the places of the old one, (R, fewer)."""
    return flat[:, only_new(before, units) == 0]


# --- What the growth itself does.


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_function_stays(name, depth, precision):
    """Outputs on the validation rows, at the parameters that are trained and at those that are measured."""
    run = growing(name, depth, precision=precision)
    group = trained(run)
    x = np.ascontiguousarray(model.with_ones(data_for(run).x_val).T[None])
    outputs = []
    for _ in range(2):
        for point in (group.params, group.optimizer.evaluated(group.params, group.state)):
            network = group.network(x.shape[2])
            network.forward(model.layers(point, group.units), x)
            outputs.append(network.outputs.copy())
        if len(outputs) == 2:
            group.grow()
    limit = 1e-14 if precision == "float64" else 5e-6
    assert deviation(outputs[2], outputs[0]) < limit
    assert deviation(outputs[3], outputs[1]) < limit


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_measured_before_and_after_is_the_same(name):
    run = growing(name)
    group, rows = trained(run), evaluate.Rows.of(data_for(run).x_val, data_for(run).y_val)
    loss, score, predicted = group.score(rows)
    group.grow()
    again, its_score, its_predicted = group.score(rows)
    np.testing.assert_allclose(again, loss, rtol=1e-14)
    np.testing.assert_array_equal(its_score, score)
    np.testing.assert_array_equal(its_predicted, predicted)


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_old_state_is_carried_and_new_state_is_zero(name, depth):
    """Points grow like the parameters: they are weights, not averages. Scalars and the count of steps go on."""
    group = trained(growing(name, depth))
    before, params, state = group.units, group.params, group.state
    scalars = [column.copy() for column in group.scalars]
    group.grow()
    fresh = only_new(before, group.units) == 1
    drawn = group.draw_weights(model.GROWTH)
    np.testing.assert_array_equal(old_part(group.params, before, group.units), params)
    for array, old, new in zip(group.rule.state, state, group.state, strict=True):
        assert old.any(), f"{array} is not yet in use"
        np.testing.assert_array_equal(old_part(new, before, group.units), old)
        wanted = group.params if array in group.rule.points else np.zeros_like(new)
        np.testing.assert_array_equal(new[:, fresh], wanted[:, fresh])
    for now, then in zip(group.scalars, scalars, strict=True):
        np.testing.assert_array_equal(now, then)
    assert group.params.shape == drawn.shape == group.grads.shape == group.scratch.shape


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_new_weight_is_where_it_belongs(depth):
    """Layer by layer: old weights, zeros from new inputs to old units, the drawn rows of new units, biases of zero."""
    random = np.random.default_rng(0)
    before = (5, *[3] * depth, 2)
    units = widened(before, 7)
    assert units == (5, *[7] * depth, 2)
    flat, drawn = (random.standard_normal((2, model.n_parameters(sizes))) for sizes in (before, units))
    old, fresh, new = (
        model.layers(array, sizes)
        for array, sizes in ((flat, before), (drawn, units), (grown(flat, before, 7, drawn), units))
    )
    for i in range(depth + 1):
        outs, ins = before[i + 1], before[i]
        np.testing.assert_array_equal(new[i][:, :outs, :ins], old[i][..., :-1])
        np.testing.assert_array_equal(new[i][:, :outs, -1], old[i][..., -1])
        assert not new[i][:, :outs, ins:-1].any()
        np.testing.assert_array_equal(new[i][:, outs:], fresh[i][:, outs:])
    assert drawn is not new[0].base


def test_new_neurons_are_drawn_as_first_weights_are():
    """By the same function from another stream of the seed: not those of the first draw, each seed its own."""
    group = Group(variants(growing("sgd"), seed=(0, 1)), data_for(RUN))
    group.grow()
    for r, seed in enumerate((0, 1)):
        drawn = model.layers(model.initial(group.units, "relu", seed, key=model.GROWTH)[None], group.units)
        for layer, new in zip(drawn[:-1], model.layers(group.params, group.units)[:-1], strict=True):
            np.testing.assert_array_equal(new[r, 6:], layer[0, 6:])
            assert not new[r, 6:, -1].any()
    first = model.layers(model.initial(group.units, "relu", 0)[None], group.units)[0]
    assert (model.layers(group.params, group.units)[0][0, 6:, :-1] != first[0, 6:, :-1]).all()
    assert (group.params[0] != group.params[1]).any()


def test_the_parameters_are_counted_after_the_growth():
    run = growing("adam")
    ((outcome, params),) = train_fully([run], data_for(run))
    assert outcome.metrics["n_parameters"] == len(params) == 10 * 6 + 10 * 11 + 3 * 11


# --- What comes after it.


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_growth_matches_the_reference(name, depth):
    """The five policies as one stack, with weight decay, warm-up and seeds; and through that growth two more epochs."""
    run = growing(name, depth, schedule=schedule("cosine", warmup=0.15))
    runs = variants(run, growth=GROWTHS, seed=(0, 0, 1, 1, 0))
    outcomes = assert_matches_reference(runs, data_for(run))
    ends = {one.metrics["train_loss"] for one, its in zip(outcomes, runs, strict=True) if its.seed == 0}
    assert len(ends) == 3, "policies that come to the same"


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("choice", ["one_cycle", "plateau", "bold_driver", "triangular"])
def test_growth_under_other_schedules_matches_the_reference(choice, warmup):
    """What restarts: the momentum's cycle, the memory of what reacts."""
    run = growing("adam", schedule=schedule(choice, warmup=warmup, **LIVELY.get(choice, {})))
    growths = [replace(growth, at_epoch=5) for growth in GROWTHS]
    runs = variants(replace(run, epochs=11, learning_rate=0.1), growth=growths)
    assert_matches_reference(runs, data_for(run))


@pytest.mark.parametrize("at_epoch", [1, 4])
def test_growth_at_the_ends_of_a_run_matches_the_reference(at_epoch):
    """After the first epoch, and before the last."""
    growths = [replace(growth, at_epoch=at_epoch) for growth in GROWTHS]
    runs = variants(growing("momentum", 3, clip_norm=0.5, batch_size=7), growth=growths)
    assert_matches_reference(runs, data_for(RUN))


def test_growth_from_a_narrow_to_a_wide_network_matches_the_reference():
    """Where the gradient of the output layer becomes another product on the way."""
    growths = [replace(growth, to_width=model.WIDE + 9) for growth in GROWTHS]
    assert_matches_reference(variants(growing("adam"), growth=growths), data_for(RUN))


@pytest.mark.parametrize("name", ["momentum", "adam", "prodigy", "schedule_free"])
def test_growth_in_regression_matches_the_reference(name):
    run = growing(name, 1, task="regression", activation="tanh")
    assert_matches_reference(variants(run, growth=GROWTHS), data_for(run))


@pytest.mark.parametrize("policy", POLICIES)
def test_up_to_the_growth_all_policies_are_one_run(policy):
    run = growing("adamw", schedule=schedule("cosine", warmup=0.15))
    grown_run = replace(run, growth=Growth(2, 10, policy, 0.3))
    curves = [train(stack_of([one]), data_for(run))[0].curve for one in (grown_run, replace(run, growth=None))]
    np.testing.assert_array_equal(curves[0][:3], curves[1][:3])
    assert (curves[0][3:, 3] != curves[1][3:, 3]).all()


@pytest.mark.parametrize("name", ["adam", "adamw", "amsgrad"])
def test_the_first_step_of_a_new_parameter_has_the_size_of_the_rate(name):
    """As its averages are corrected for their own age; with the run's, it would go several times as far."""
    run = replace(growing(name), learning_rate=0.01, optimizer=optimizer(name, weight_decay=0.0, eps=1e-30))
    group = Group([run], data_for(run))
    for number in range(1, run.growth.at_epoch + 1):
        group.epoch(number)
    group.grow()
    before = group.params.copy()
    group.gradient(group.draw_order()[:, : group.batch])
    told = (group.grads != 0) & (group.pacer.pace.young == 1)
    group.update(run.growth.at_epoch * group.steps)
    moved = np.abs(group.params - before)[told]
    assert len(moved) > 5
    np.testing.assert_allclose(moved, 0.01, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_new_neurons_only_leaves_the_old_parameters_to_the_bit(name):
    """Weight decay included, beside a run of another policy; the new ones move, all but dead units' weights."""
    run = growing(name)
    group = Group(variants(run, growth=(GROWTHS[3], GROWTHS[0])), data_for(run))
    for number in (1, 2):
        group.epoch(number)
    learnt, before = group.params.copy(), group.units
    group.grow()
    at_growth, fresh = group.params.copy(), only_new(before, group.units) == 1
    for number in (3, 4, 5):
        group.epoch(number)
    ends = old_part(group.params, before, group.units)
    np.testing.assert_array_equal(ends[0], learnt[0])
    assert (ends[1] != learnt[1]).mean() > 0.9
    assert (group.params[:, fresh] != at_growth[:, fresh]).mean() > 0.5


def test_only_what_is_new_is_new():
    """New rows in full; in old rows the columns of new inputs; the inputs of the network are never new."""
    units = widened((2, 1, 1, 2), 2)
    first, hidden, last = (layer[0].tolist() for layer in model.layers(only_new((2, 1, 1, 2), units)[None], units))
    assert first == [[0, 0, 0], [1, 1, 1]]
    assert hidden == [[0, 1, 0], [1, 1, 1]]
    assert last == [[0, 1, 0], [0, 1, 0]]


def test_a_grown_network_goes_on_to_learn():
    """Each policy ends below the loss at which it grew."""
    runs = [replace(run, epochs=30) for run in variants(growing("momentum"), growth=GROWTHS)]
    for outcome in train(stack_of(runs), data_for(RUN)):
        assert outcome.curve[-1, 3] < 0.97 * outcome.curve[2, 3]
