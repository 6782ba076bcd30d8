"""Schedules that react: what an epoch's loss makes of the factor, in what order, and that each run keeps its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import reference_schedules
from engine_cases import LIVELY, RUN, assert_matches_reference, data_for, optimizer, schedule, train_fully, variants

from lrsweep.engine.reactions import REACTING, Reactions
from lrsweep.vocabulary import Growth


def course(name: str, losses: Sequence[float], **changes: Any) -> list[float]:
    """The factor of each epoch, the first to the one after the last, for the losses that the epochs ended with."""
    reactions = Reactions([replace(RUN, schedule=schedule(name, **changes))])
    found = [float(reactions.factor[0])]
    for loss in losses:
        reactions.react(np.array([loss]), np.array([loss]))
        found.append(float(reactions.factor[0]))
    return found


def plateau(losses: Sequence[float], **changes: Any) -> list[float]:
    """The course with short patience and factors that are exact."""
    return course("plateau", losses, **{"factor": 0.5, "patience": 1, "threshold": 0.1, **changes})


# --- Plateau.


@pytest.mark.parametrize("patience", [0, 1, 3, 10])
def test_the_rate_drops_when_patience_is_over(patience):
    """The first epoch sets the mark; `patience` more that do not beat it are borne, and the next one is too many."""
    factors = plateau([1.0] * (patience + 2), patience=patience)
    assert factors == [1.0] * (patience + 2) + [0.5]


def test_a_better_loss_in_time_starts_the_count_again():
    assert plateau([1, 1, 0.5, 0.5, 0.5]) == [1, 1, 1, 1, 1, 0.5]


def test_only_what_is_lower_by_the_threshold_is_better():
    """With 0.25, of 1 exactly 0.75 is not better. Slow progress is measured from the last mark, not the last loss."""
    assert plateau([1, 0.75, 0.75], threshold=0.25) == [1, 1, 1, 0.5]
    assert plateau([1, 0.74, 0.74], threshold=0.25) == [1, 1, 1, 1]
    assert plateau([1, 0.9, 0.8, 0.7], threshold=0.25, patience=1) == [1, 1, 1, 0.5, 0.5]
    assert plateau([1, 0.9, 0.8, 0.7], threshold=0.25, patience=2) == [1, 1, 1, 1, 1]


def test_epochs_of_a_cooldown_are_not_counted():
    """A drop after every two bad epochs; with a cooldown of 2 the two that follow a drop are free."""
    assert plateau([1.0] * 9) == [1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625]
    assert plateau([1.0] * 9, cooldown=2) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]


def test_a_better_loss_in_a_cooldown_still_moves_the_mark():
    """0.5 in the cooldown is the new mark, so that 0.6 after it is no progress."""
    assert plateau([1, 1, 1, 0.5, 0.6, 0.6], cooldown=1) == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


def test_the_factor_has_a_floor():
    assert plateau([1.0] * 7, patience=0, end=0.2) == [1, 1, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2]
    assert plateau([1.0] * 4, patience=0, end=1.0) == [1] * 5


def test_steady_progress_raises_the_rate_again_but_not_above_the_peak():
    """Better once too often in a row, as many as are borne; then the count starts again."""
    losses = [1, 1, 1, 0.8, 0.6, 0.4, 0.3, 0.2]
    assert plateau(losses, rise=1.5) == [1, 1, 1, 0.5, 0.5, 0.75, 0.75, 1, 1]
    assert plateau(losses, rise=1.0) == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]


def test_progress_that_is_interrupted_raises_nothing():
    assert plateau([1, 1, 1, 0.8, 0.8, 0.6, 0.6, 0.4], rise=1.5) == [1, 1, 1] + [0.5] * 6


def test_a_loss_that_is_not_finite_is_not_better():
    assert plateau([math.nan, math.inf, math.nan]) == [1, 1, 0.5, 0.5]
    assert plateau([1, math.nan, math.inf]) == [1, 1, 1, 0.5]


def test_plateau_watches_the_validation_loss():
    reactions = Reactions([replace(RUN, schedule=schedule("plateau", patience=0))])
    for train_loss, val_loss, factor in ((1, 1, 1), (2, 0.5, 1), (0.1, 0.5, 0.1)):
        reactions.react(np.array([train_loss]), np.array([val_loss]))
        np.testing.assert_allclose(reactions.factor, [factor])


# --- Bold driver.


def test_bold_driver_grows_with_a_fall_and_shrinks_with_a_rise():
    """The first epoch is compared with nothing; an equal loss changes nothing; the factor may exceed 1."""
    assert course("bold_driver", [3, 2, 1, 1, 2], up=2.0, down=0.25) == [1, 1, 2, 4, 4, 1]


def test_bold_driver_watches_the_training_loss_of_the_epoch_before():
    """Not the best one so far, and not the validation loss."""
    reactions = Reactions([replace(RUN, schedule=schedule("bold_driver", up=2.0))])
    for train_loss, val_loss, factor in ((1, 9, 1), (3, 8, 0.5), (2, 9, 1), (1.5, 10, 2)):
        reactions.react(np.array([train_loss]), np.array([val_loss]))
        np.testing.assert_array_equal(reactions.factor, [factor])


# --- Both.


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", REACTING)
def test_random_losses_move_a_stack_as_they_move_the_reference(name, seed):
    """Each of 20 runs by its own settings and losses, over 60 epochs, while some of them leave."""
    random = np.random.default_rng(seed)
    changes = [
        {
            "factor": float(random.uniform(0.3, 0.9)),
            "patience": int(random.integers(0, 4)),
            "threshold": float(random.choice([0.0, 0.05, 0.3])),
            "cooldown": int(random.integers(0, 4)),
            "end": float(random.choice([0.0, 0.3])),
            "rise": float(random.choice([1.0, 1.3])),
        }
        if name == "plateau"
        else {"up": float(random.uniform(1, 1.5)), "down": float(random.uniform(0.3, 1))}
        for _ in range(20)
    ]
    runs = variants(RUN, schedule=[schedule(name, **each) for each in changes])
    stack, singles = Reactions(runs), [reference_schedules.reaction(run) for run in runs]
    seen: set[float] = set()
    for epoch in range(60):
        losses = np.round(random.uniform(0.5, 1.5, (2, len(singles))) * 0.98**epoch, 2)  # equal ones among them
        stack.react(*losses)
        for single, train_loss, val_loss in zip(singles, *losses.tolist(), strict=True):
            single.after_epoch(train_loss, val_loss)
        np.testing.assert_allclose(stack.factor, [single.factor for single in singles], rtol=1e-12)
        if epoch % 10 == 9:
            mask = random.random(len(singles)) < 0.8
            stack.keep(mask)
            singles = [single for single, kept in zip(singles, mask, strict=True) if kept]
        seen.update(stack.factor.tolist())
    assert len(seen) > 20, "the factors hardly move"


def test_a_run_keeps_its_own_factor_after_a_neighbour_left():
    """Reacting runs of both kinds among others, and the first and a middle one leave."""
    names = ("plateau", "constant", "bold_driver", "plateau", "cosine", "bold_driver", "plateau")
    changes = {"plateau": {"patience": 0}, "bold_driver": {"up": 2.0}}
    reactions = Reactions(variants(RUN, schedule=[schedule(name, **changes.get(name, {})) for name in names]))
    loss = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 1.0])
    reactions.react(loss, loss)
    after = np.array([1.0, 1.0, 0.5, 0.5, 0.5, 4.0, 2.0])
    reactions.react(after, after)
    np.testing.assert_allclose(reactions.factor, [0.1, 1, 2, 1, 1, 0.5, 0.1])
    reactions.keep(np.array([False, True, True, False, True, True, True]))
    np.testing.assert_allclose(reactions.factor, [1, 2, 1, 0.5, 0.1])
    again = np.array([1.0, 0.4, 1.0, 5.0, 0.5])
    reactions.react(again, again)
    np.testing.assert_allclose(reactions.factor, [1, 4, 1, 0.25, 0.1])
    reactions.keep(np.array([True, False, True, False, False]))
    np.testing.assert_array_equal(reactions.factor, [1, 1])
    reactions.react(loss[:2], loss[:2])
    np.testing.assert_array_equal(reactions.factor, [1, 1])


@pytest.mark.parametrize("name", REACTING)
def test_who_forgets_starts_anew_and_the_others_do_not(name):
    reactions = Reactions([replace(RUN, schedule=schedule(name, **LIVELY[name]))] * 2)
    for loss in (1.0, 2.0, 2.0):
        reactions.react(np.full(2, loss), np.full(2, loss))
    before = reactions.factor
    reactions.forget(np.array([True, False]))
    np.testing.assert_array_equal(reactions.factor, [1.0, before[1]])
    reactions.react(np.full(2, 9.0), np.full(2, 9.0))
    assert reactions.factor[0] == 1, "the first epoch is compared with nothing"
    assert reactions.factor[1] < before[1]


@pytest.mark.parametrize("name", REACTING)
def test_every_setting_moves_something(name):
    losses = [1, 0.93, 1, 1, 1, 1, 1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.4, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
    usual = {"patience": 1, "cooldown": 1, "end": 0.01, "rise": 1.5} if name == "plateau" else {}
    other = {"factor": 0.3, "patience": 0, "threshold": 0.08, "cooldown": 0, "end": 0.2, "rise": 1.0}
    other |= {"up": 1.2, "down": 0.9}
    for setting in fields(REACTING[name]):
        changed = {**usual, setting.name: other[setting.name]}
        assert course(name, losses, **changed) != course(name, losses, **usual), setting.name


@pytest.mark.parametrize("warmup", [0, 6])
@pytest.mark.parametrize("name", REACTING)
def test_the_factor_holds_from_the_next_epochs_first_step(name, warmup):
    """The rate that an epoch notes is that of its last step, which its own losses have not moved; warm-up included."""
    choice = schedule(name, warmup=warmup, **LIVELY[name])
    run = replace(RUN, schedule=choice, learning_rate=0.1, epochs=10, optimizer=optimizer("nesterov"))
    (outcome,) = assert_matches_reference([run], data_for(run))
    driver = reference_schedules.reaction(run)
    climb = np.minimum(np.arange(1, 41) / (warmup + 1), 1)
    for number, row in enumerate(outcome.curve[1:], start=1):
        assert row[2] == pytest.approx(0.1 * climb[4 * number - 1] * driver.factor, rel=1e-12)
        driver.after_epoch(row[3], row[4])


@pytest.mark.parametrize("policy", ["keep", "restart", "scale", "warmup", "new_neurons_only"])
@pytest.mark.parametrize("name", REACTING)
def test_growth_makes_those_forget_that_restart(name, policy):
    growth, choice = Growth(4, 9, policy, 0.5), schedule(name, warmup=2, **LIVELY[name])
    run = replace(RUN, schedule=choice, growth=growth, learning_rate=0.1, epochs=9, optimizer=optimizer("nesterov"))
    assert_matches_reference(variants(run, seed=(0, 1), schedule=(choice, schedule("cosine"))), data_for(run))


def test_a_reacting_run_keeps_its_rate_when_the_stack_shrinks():
    """Its recorded rates are those it has alone: the driver's factor is not a neighbour's."""
    runs = variants(
        replace(RUN, epochs=8, optimizer=optimizer("sgd")),
        schedule=[schedule("bold_driver"), schedule("bold_driver", up=1.5), schedule("plateau", **LIVELY["plateau"])],
        learning_rate=(1e300, 0.1, 0.1),
    )
    stacked = train_fully(runs, data_for(RUN))
    assert stacked[0][0].status == "diverged"
    for run, (outcome, _) in zip(runs[1:], stacked[1:], strict=True):
        ((alone, _),) = train_fully([run], data_for(RUN))
        np.testing.assert_array_equal(outcome.curve, alone.curve)
        assert len(set(outcome.curve[1:, 2])) > 2
