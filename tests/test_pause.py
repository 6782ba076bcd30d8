"""A run that pauses and goes on, once or often and in any company, has the bits of one that was trained in one go."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from engine_cases import (
    GROWTH,
    LIVELY,
    RUN,
    data_for,
    motley,
    optimizer,
    peak,
    schedule,
    stack_of,
    variants,
)

from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.engine.train import train
from lrsweep.vocabulary import (
    CURVE_COLUMNS,
    DIVERGED,
    FINISHED,
    PAUSED,
    Data,
    Growth,
    LayerRates,
    Outcome,
    Pause,
    Run,
    Stack,
)

# --- In legs as in one go.


def part_of(stack: Stack, places: Sequence[int], **changes: Any) -> Stack:
    """Some of a stack's runs, in this order."""
    return replace(stack, runs=tuple(stack.runs[r] for r in places), ids=tuple(stack.ids[r] for r in places), **changes)


def in_legs(stack: Stack, data: Data, cuts: Sequence[int], n_parts: int = 1) -> list[Outcome]:
    """The stack's outcomes where its runs pause after the epochs of the cuts.

    On each leg those that are left go on in the opposite order, dealt to so many stacks, and their pauses go through a
    pipe.
    """
    outcomes = dict(enumerate(train(replace(stack, until=cuts[0]), data)))
    for until in (*cuts[1:], None):
        left = [r for r in reversed(outcomes) if outcomes[r].status == PAUSED]
        for places in filter(None, (left[i::n_parts] for i in range(n_parts))):
            pauses = tuple(pickle.loads(pickle.dumps(outcomes[r].pause)) for r in places)  # noqa: S301  our own
            outcomes |= zip(places, train(part_of(stack, places, until=until, pauses=pauses), data), strict=True)
    return [outcomes[r] for r in range(len(stack.runs))]


def assert_pausing_changes_nothing(
    runs: Sequence[Run], data: Data, cuts: Sequence[int], n_parts: int = 1
) -> list[Outcome]:
    """Status, reason, curve and metrics, to the last bit; returns the outcomes."""
    stack = stack_of(runs)
    outcomes = in_legs(stack, data, cuts, n_parts)
    for paused, through in zip(outcomes, train(stack, data), strict=True):
        assert (paused.run_id, paused.status, paused.reason) == (through.run_id, through.status, through.reason)
        np.testing.assert_array_equal(paused.curve, through.curve)
        assert [*paused.metrics] == [*through.metrics]
        np.testing.assert_array_equal([*paused.metrics.values()], [*through.metrics.values()])
        assert paused.pause is None
    return outcomes


@pytest.mark.parametrize("cuts", [(1,), (2,), (3,), (1, 2, 4, 6)])
@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_motley_stack_may_pause(name, precision, clip_norm, cuts):
    """Before it grows, just then and after; seeds, schedules that react, layer rates, divergence, policies, noise."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), precision=precision, epochs=7, depth=2)
    run = replace(run, growth=GROWTH, noise=(0.1, 1.0), clip_norm=clip_norm)
    runs = motley(run, 1e38 if precision == "float32" else 1e300)
    if clip_norm is None:
        runs = [replace(one, clip_norm=None) for one in runs]
    outcomes = assert_pausing_changes_nothing(runs, data_for(run), cuts, n_parts=2)
    assert [r for r, one in enumerate(outcomes) if one.status == DIVERGED] == [3, 4]


@pytest.mark.parametrize("warmup", [0, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_may_pause(name, warmup):
    """After each epoch of fourteen, in which those that react do so."""
    choice = schedule(name, warmup=warmup, **LIVELY.get(name, {}))
    run = replace(RUN, schedule=choice, optimizer=optimizer("nesterov"), epochs=14)
    runs = variants(run, learning_rate=(0.1, 0.01, 0.3), seed=(0, 0, 1))
    outcomes = assert_pausing_changes_nothing(runs, data_for(run), range(1, 14), n_parts=2)
    assert name == "constant" or len(set(outcomes[0].curve[1:, 2])) > 2


@pytest.mark.parametrize("cut", range(1, 12))
@pytest.mark.parametrize("name", LIVELY)
def test_a_schedule_that_reacts_goes_on_reacting(name, cut):
    """Beside those that react otherwise, and one that starts anew where the network grows."""
    run = replace(RUN, epochs=12, learning_rate=0.1, growth=replace(GROWTH, at_epoch=6))
    lively = schedule(name, **LIVELY[name])
    patient = schedule("plateau", patience=1, cooldown=2, factor=0.5, threshold=0.1, rise=1.5)
    restarts = replace(GROWTH, at_epoch=6, rate="restart")
    columns = [(lively, run.growth), (patient, run.growth), (schedule("cosine"), run.growth), (lively, restarts)]
    runs = variants(run, **dict(zip(("schedule", "growth"), zip(*columns, strict=True), strict=True)))
    assert_pausing_changes_nothing(runs, data_for(run), (cut,), n_parts=2)


@pytest.mark.parametrize("policy", ["keep", "restart", "new_neurons_only"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_cycles_momentum_goes_on(name, policy):
    """Where it moves it; before and after growth."""
    run = replace(RUN, optimizer=optimizer(name, weight_decay=0.1), epochs=6, growth=replace(GROWTH, rate=policy))
    choices = [schedule("one_cycle", **own) for own in ({}, {"warmup": 3}, {"base_momentum": 0.2})]
    runs = variants(run, schedule=choices, learning_rate=(peak(name), peak(name) / 3, peak(name)), seed=(0, 1, 1))
    assert_pausing_changes_nothing(runs, data_for(run), (1, 4), n_parts=2)


@pytest.mark.parametrize("cut", [1, 2, 3, 5])
@pytest.mark.parametrize("rate", ["keep", "restart", "scale", "warmup", "new_neurons_only"])
@pytest.mark.parametrize("name", ["momentum", "adam", "prodigy", "schedule_free"])
def test_every_policy_of_growth_may_pause(name, rate, cut):
    """Alone, so that nothing else in the stack tells that the network has grown."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), schedule=schedule("cosine"), epochs=6)
    run = replace(run, depth=2, growth=replace(GROWTH, rate=rate, scale=0.3 if rate == "scale" else 1.0))
    assert_pausing_changes_nothing([run], data_for(run), (cut,))


SHAPES: dict[str, dict[str, Any]] = {
    "one row a batch": {"batch_size": 1, "epochs": 2},
    "full batch": {"batch_size": "full"},
    "width 1": {"width": 1},
    "depth 0": {"depth": 0},
    "depth 0, regression": {"depth": 0, "task": "regression"},
    "depth 3": {"depth": 3, "width": 17},
    "muP": {"parametrization": "mup", "depth": 2, "width": 12, "base_width": 5},
    "layer rates": {"depth": 2, "layer_rates": LayerRates(decay=0.4)},
    "regression": {"task": "regression", "precision": "float32"},
    "muP, grown": {"parametrization": "mup", "depth": 2, "width": 12, "base_width": 5, "growth": Growth(1, 20)},
    **{name: {"activation": name} for name in ACTIVATIONS},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_networks_of_every_shape_may_pause(name, shape):
    run = replace(RUN, **{"optimizer": optimizer(name, weight_decay=0.1), "epochs": 4, **SHAPES[shape]})
    runs = variants(run, learning_rate=[peak(name) * r for r in (0.1, 1, 1)], seed=(0, 1, 2))
    assert_pausing_changes_nothing(runs, data_for(run), range(1, run.epochs), n_parts=2)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_that_decays_below_all_numbers_is_flushed_in_the_same_steps(name):
    """A run of 240 steps, in which that is done three times, paused off their beat."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), precision="float32", epochs=60)
    assert_pausing_changes_nothing([run], data_for(run), (15, 17, 33))


@pytest.mark.parametrize("trial", range(12))
def test_any_runs_may_pause_at_any_epochs_in_any_company(trial):
    """Drawn at random: rules, schedules, growth, rates that may diverge, cuts, and how the runs are dealt to stacks."""
    random = np.random.default_rng(trial)
    name, epochs = random.choice([*OPTIMIZERS]), int(random.integers(3, 12))
    run = replace(RUN, optimizer=optimizer(name), epochs=epochs, depth=int(random.integers(3)))
    run = replace(run, precision=random.choice(["float32", "float64"]), noise=(0.5,))
    at_epoch, to_width = int(random.integers(1, epochs)), 9 if random.random() < 0.5 and run.depth else 0
    runs = [
        replace(
            run,
            learning_rate=float(10 ** random.uniform(-4, 3)),
            schedule=schedule(kind, **LIVELY.get(kind, {})),
            growth=Growth(at_epoch, to_width, random.choice(["keep", "restart", "warmup"])) if to_width else None,
            seed=int(random.integers(3)),
        )
        for kind in random.choice([*{*SCHEDULES} - {"one_cycle"}], 7)
    ]
    cuts = sorted(random.choice(np.arange(1, epochs), random.integers(1, epochs), replace=False).tolist())
    assert_pausing_changes_nothing(runs, data_for(run), cuts, n_parts=int(random.integers(1, 5)))


# --- What a pause is.

ADAM = replace(RUN, optimizer=optimizer("adam"), epochs=5)


@pytest.mark.parametrize("until", [None, 5, 6, 100])
def test_until_the_end_is_to_the_end(until):
    data = data_for(ADAM)
    (told,), (through,) = (train(replace(stack_of([ADAM]), until=n), data) for n in (until, None))
    assert (told.status, told.pause) == (FINISHED, None)
    np.testing.assert_array_equal(told.curve, through.curve)


def test_a_paused_run_tells_what_its_curve_tells():
    """Its last epoch stands for the end; what is measured on the trained network alone is not known."""
    run = replace(ADAM, noise=(0.1,))
    (paused,) = train(replace(stack_of([run]), until=3), data_for(run))
    (through,) = train(stack_of([run]), data_for(run))
    (short,) = train(stack_of([replace(run, epochs=3)]), data_for(run))  # at a constant rate it is the same three
    assert (paused.status, paused.reason) == (PAUSED, "")
    np.testing.assert_array_equal(paused.curve, through.curve[:4])
    assert [*paused.metrics] == [*through.metrics]
    measured = {"train_loss", "train_accuracy", "val_macro_f1", "val_balanced_accuracy", "test_loss", "test_accuracy"}
    unknown = {name for name, value in paused.metrics.items() if np.isnan(value)}
    assert unknown == measured | {"noisy_accuracy@0.1"}
    assert all(value == short.metrics[name] for name, value in paused.metrics.items() if name not in unknown)


def test_before_it_grows_a_paused_network_is_not_counted_as_grown():
    """(5 + 1)·6 + (6 + 1)·3 parameters after the second epoch, (5 + 1)·9 + (9 + 1)·3 after the third."""
    run = replace(RUN, growth=GROWTH, epochs=5)
    counts = [train(replace(stack_of([run]), until=n), data_for(run))[0] for n in (2, 3)]
    assert [one.metrics["n_parameters"] for one in counts] == [57, 84]
    assert [one.pause.params.size for one in counts if one.pause] == [57, 84]


def test_a_run_that_diverges_in_the_epoch_of_the_pause_is_not_paused():
    runs = variants(ADAM, learning_rate=(0.01, 1e300))
    fine, lost = train(replace(stack_of(runs), until=1), data_for(ADAM))
    assert (fine.status, lost.status, lost.pause) == (PAUSED, DIVERGED, None)
    assert lost.metrics["epochs_done"] == 1


def test_a_pause_holds_numbers_of_its_own_and_nothing_else():
    """No view of a stack's arrays, which would keep them alive; P parameters, twice P of state, four rows of curve."""
    runs = variants(replace(ADAM, precision="float32"), learning_rate=np.geomspace(1e-3, 1e-1, 40).tolist())
    pause = train(replace(stack_of(runs), until=3), data_for(runs[0]))[0].pause
    assert pause is not None
    arrays = (pause.params, *pause.state, pause.curve)
    assert [array.base for array in arrays] == [None] * 4
    assert [(array.shape, array.dtype) for array in arrays[:3]] == [((57,), np.float32)] * 3
    assert pause.curve.shape == (4, len(CURVE_COLUMNS))
    assert len(pickle.dumps(pause)) < sum(array.nbytes for array in arrays) + 2000


@pytest.mark.parametrize(
    ("choice", "remembered"),
    [
        (schedule("cosine"), set()),
        (schedule("plateau"), {"factor", "best", "bad", "good", "wait"}),
        (schedule("bold_driver"), {"factor", "last"}),
    ],
)
def test_a_pause_remembers_what_the_schedule_reacts_by(choice, remembered):
    pauses = [one.pause for one in train(replace(stack_of([replace(RUN, schedule=choice)]), until=1), data_for(RUN))]
    assert [{*pause.reactions} for pause in pauses if pause] == [remembered]


def test_going_on_twice_from_one_pause_gives_the_same_bits():
    stack = stack_of([replace(ADAM, schedule=schedule("plateau", **LIVELY["plateau"]))])
    (paused,) = train(replace(stack, until=2), data_for(ADAM))
    first, second = (train(replace(stack, pauses=(paused.pause,)), data_for(ADAM))[0] for _ in range(2))
    np.testing.assert_array_equal(first.curve, second.curve)


def test_the_seconds_before_a_pause_count():
    stack = stack_of([ADAM])
    (paused,) = train(replace(stack, until=2), data_for(ADAM))
    late = replace(paused.pause, seconds=1000.0)
    (ended,) = train(replace(stack, pauses=(late,)), data_for(ADAM))
    assert paused.pause.seconds == paused.timing["seconds"] > 0
    assert 1000 < ended.timing["seconds"] < 1100


def test_a_run_may_pause_before_its_first_epoch():
    """With what it had untrained; and it ends like the others."""
    (paused,) = train(replace(stack_of([ADAM]), until=0), data_for(ADAM))
    assert (paused.status, paused.metrics["epochs_done"], paused.curve.shape) == (PAUSED, 0, (1, len(CURVE_COLUMNS)))
    assert np.isnan(paused.metrics["best_epoch"])
    assert_pausing_changes_nothing([ADAM], data_for(ADAM), (0, 3))


def paused_at(epoch: int) -> Pause:
    """A pause of the run."""
    pause = train(replace(stack_of([ADAM]), until=epoch), data_for(ADAM))[0].pause
    assert pause is not None
    return pause


@pytest.mark.parametrize("epochs", [(1, 2), (1,)])
def test_the_runs_of_a_stack_have_a_pause_each_all_of_one_epoch(epochs):
    pauses = tuple(paused_at(epoch) for epoch in epochs)
    with pytest.raises(ValueError, match=r"unpack|argument"):
        train(replace(stack_of([ADAM, ADAM]), pauses=pauses), data_for(ADAM))
