"""Which rates are added is a function of the runs alone, and it comes to an end.

Expected rates are worked out by hand. What a setting comes to at a rate is made up by a function of the rate, so that
sweeps can be played to their end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import UNTRAINED, about, frame, rows

from lrsweep.analysis.additions import Addition, Extend, Refine, additions
from lrsweep.analysis.profiles import profiles
from lrsweep.vocabulary import FAILED, STOPPED

Landscape = Callable[[float], Sequence[float | None]]
"""rate → the loss by seed; None where the run diverges."""

TWO_DECADES = Extend()
HALVES = (0.01, 0.0316228, 0.1)
"""Two steps of half a decade."""


def valley(at: float, seeds: int = 3, spread: float = 0.0, breaks: float = math.inf) -> Landscape:
    """Losses below chance, lowest at a rate, by seed up to `spread` decades aside, that break from a rate on."""

    def losses(rate: float) -> list[float | None]:
        own = np.linspace(-spread, spread, seeds)
        u = math.log10(rate / at) - own
        return [None] * seeds if rate >= breaks else [2.1 * (1 - 0.95 / (1 + x * x)) for x in u.tolist()]

    return losses


def chance(rate: float) -> list[float | None]:
    """No rate does anything, whatever it is."""
    return [2.3 - 1e-9 * rate] * 2


def lost(rate: float) -> list[float | None]:
    return [None] * 2


def runs_of(
    landscape: Landscape, rates: Sequence[float], dropped: Sequence[float] = (), **setting: Any
) -> pd.DataFrame:
    """The runs at some rates, those `dropped` on a sample without anything but their status."""
    runs = frame(rows({rate: landscape(rate) for rate in sorted(rates)}, **setting)).assign(epochs_done=20.0)
    gone = runs["learning_rate"].isin(dropped)
    runs.loc[gone, ["status", "reason"]] = STOPPED, "hardly moves on the sample"
    runs.loc[gone, ["val_loss", "train_loss", "initial_loss", "val_accuracy", "test_loss", "epochs_done"]] = math.nan
    return runs


def asked(
    runs: pd.DataFrame,
    grid: Sequence[float],
    extend: Extend | None = TWO_DECADES,
    refine: Refine | None = None,
    **told: Any,
) -> list[float]:
    """What is to be added to the only setting of these runs."""
    found = additions(runs, about(runs, **told), {(): tuple(grid)}, extend, refine)
    return list(found[0].rates) if found else []


def played(landscape: Landscape, grid: Sequence[float], **how: Any) -> list[list[float]]:
    """The additions of a sweep, round by round, until there are none."""
    rates, rounds = list(grid), []
    while new := asked(runs_of(landscape, rates), grid, **how):
        assert not {*new} & {*rates}
        rates += new
        rounds.append(new)
        assert len(rounds) < 50
    return rounds


@pytest.mark.parametrize(
    ("at", "added"),
    [
        (0.03, []),
        (0.1, [0.316228]),
        (2.0, [0.316228, 1.0, 3.16228, 10.0]),
        (0.01, [0.00316228]),
        (0.0005, [0.00316228, 0.001, 0.000316228, 0.0001]),
    ],
)
def test_an_edge_is_left_by_the_grids_own_step_until_the_best_is_bracketed(at: float, added: list[float]) -> None:
    """The last rate added is the first that is worse than the one before."""
    assert played(valley(at), HALVES) == [[rate] for rate in added]


@pytest.mark.parametrize(("most", "last"), [(2.0, 10.0), (1.0, 1.0), (0.4, None), (0.5, 0.316228)])
def test_it_ends_so_many_decades_beyond_the_grid_of_the_file(most: float, last: float | None) -> None:
    rounds = played(valley(1e6), HALVES, extend=Extend(most))
    assert (rounds[-1] if rounds else [None]) == [last]


def test_scores_are_extended_to_where_they_are_higher() -> None:
    runs = frame(rows({0.01: [0.5, 0.5], 0.1: [0.7, 0.7]}, "val_macro_f1"))
    assert asked(runs, (0.01, 0.1), objective="val_macro_f1") == [1.0]


def test_an_uneven_grid_goes_on_by_its_last_step() -> None:
    grid = [0.01, 0.02, 0.1, 0.3]
    assert played(valley(2.0), grid)[:2] == [[0.9], [2.7]]
    assert played(valley(0.004), grid)[:2] == [[0.005], [0.0025]]


def test_a_rate_alone_is_extended_to_both_sides_by_half_decades() -> None:
    assert played(valley(0.1), [0.1]) == [[0.0316228, 0.316228]]
    assert played(valley(1.0), [0.1]) == [[0.0316228, 0.316228], [1.0], [3.16228]]


def test_many_steps_stay_tidy() -> None:
    """The step is measured on rates of six digits: its error does not add up."""
    rounds = played(valley(1e9), [1e-5, 3.16228e-5, 1e-4], extend=Extend(5))
    assert rounds[1::2] == [[0.001], [0.01], [0.1], [1.0], [10.0]]


def test_rates_end_where_those_of_float32_do() -> None:
    above = played(valley(1e300), [1e36, 1e37], extend=Extend(9))
    below = played(valley(1e-300), [1e-36, 1e-35], extend=Extend(9))
    assert (above, below) == ([[1e38]], [[1e-37]])


def test_where_every_run_diverged_lower_rates_are_added() -> None:
    assert played(valley(0.001, breaks=0.005), HALVES) == [[0.00316228], [0.001], [0.000316228]]
    assert played(lost, HALVES, extend=Extend(1)) == [[0.00316228], [0.001]]


def test_where_nothing_moved_higher_rates_are_added() -> None:
    """All end at chance, in a tie that the lowest rate wins."""

    def learns_late(rate: float) -> list[float | None]:
        return chance(rate) if rate < 1 else valley(1.0, 2)(rate)

    assert played(learns_late, HALVES) == [[0.316228], [1.0], [3.16228]]


def test_at_chance_below_rates_that_break_there_is_nothing_to_extend() -> None:
    """What is between the two is not beyond an edge."""

    def gap(rate: float) -> list[float | None]:
        return [None] * 2 if rate > 0.05 else [UNTRAINED] * 2

    assert played(gap, HALVES) == []


def test_dead_at_chance_below_rates_that_break_lower_ones_are_added() -> None:
    """Chance is 2.303; the lowest rate has moved there, from 2.6."""

    def dead(rate: float) -> list[float | None]:
        return [None] * 2 if rate > 0.05 else [2.303] * 2

    runs = runs_of(dead, HALVES).assign(initial_loss=2.6)
    assert asked(runs, HALVES) == [0.00316228]


def test_above_a_best_rate_that_breaks_training_nothing_is_added() -> None:
    runs = runs_of(lambda rate: [1.0 - rate] * 2, HALVES)
    runs.loc[runs["learning_rate"] == 0.1, "train_loss"] = 9.0
    assert asked(runs, HALVES) == []


def test_runs_that_failed_ask_for_nothing() -> None:
    runs = runs_of(lost, HALVES).assign(status=FAILED)
    assert asked(runs, HALVES, refine=Refine()) == []


def test_dropped_neighbours_are_taken_up_before_others() -> None:
    """A sample dropped the two lowest and the highest, and the best is at 0.1."""
    grid = [0.001, 0.00316228, 0.01, 0.0316228, 0.1, 0.316228]
    assert asked(runs_of(valley(0.1), grid, [0.001, 0.00316228, 0.316228]), grid) == [0.316228]
    assert asked(runs_of(valley(0.01), grid, [0.001, 0.00316228, 0.316228]), grid) == [0.00316228]
    assert asked(runs_of(valley(0.0316228), grid, [0.001, 0.00316228, 0.316228]), grid) == []
    assert asked(runs_of(valley(0.316228), grid, [0.001, 0.00316228]), grid) == [1.0]


def test_what_was_taken_up_does_not_count_as_decades_beyond() -> None:
    grid = [0.01, 0.1, 1.0]
    assert asked(runs_of(valley(10.0), grid, [1.0]), grid, Extend(0.1)) == [1.0]
    assert asked(runs_of(valley(10.0), grid), grid, Extend(0.1)) == []


def test_a_rate_stopped_after_some_epochs_brackets_the_best() -> None:
    runs = runs_of(valley(0.1), [0.01, 0.1, 1.0], [1.0])
    runs.loc[runs["learning_rate"] == 1.0, "epochs_done"] = 3.0
    assert asked(runs, [0.01, 0.1, 1.0]) == []


def test_each_setting_is_asked_for_by_itself() -> None:
    """One at its low edge, one bracketed, one of another grid at its high edge."""
    parts = [
        runs_of(valley(0.005), HALVES, optimizer="sgd"),
        runs_of(valley(0.03), HALVES, optimizer="adam"),
        runs_of(valley(9.0), [0.1, 1.0], optimizer="nadam"),
    ]
    runs = pd.concat(parts, ignore_index=True)
    runs["run_id"] = [f"r{i}" for i in range(len(runs))]
    grids = {("sgd",): HALVES, ("adam",): HALVES, ("nadam",): (0.1, 1.0)}
    found = additions(runs, about(runs), grids, Extend(), None)
    assert found == [
        Addition({"optimizer": "sgd"}, (0.00316228,), "extend"),
        Addition({"optimizer": "nadam"}, (10.0,), "extend"),
    ]


def test_the_order_of_the_runs_does_not_matter() -> None:
    runs = runs_of(valley(0.03, spread=0.3), HALVES)
    shuffled = runs.sample(frac=1, random_state=1).reset_index(drop=True)
    assert asked(runs, HALVES, refine=Refine()) == asked(shuffled, HALVES, refine=Refine()) != []


def interval(landscape: Landscape, rates: Sequence[float]) -> float:
    """How many decades the fitted rate's interval has."""
    from lrsweep.analysis.fit import fit

    runs = runs_of(landscape, rates)
    ends = fit(profiles(runs, about(runs))[0], lower_is_better=True).interval
    return math.log10(ends[1] / ends[0]) if ends else math.inf


DECADES = [0.0001, 0.001, 0.01, 0.1, 1.0]


def test_a_coarse_grid_is_refined_until_the_interval_is_as_asked() -> None:
    """Seeds that agree to a hundredth of a decade: the grid alone makes the interval long."""
    landscape = valley(0.013, spread=0.01)
    rounds = played(landscape, DECADES, refine=Refine())
    rates = [*DECADES, *(rate for new in rounds for rate in new)]
    assert interval(landscape, DECADES) > 1
    assert interval(landscape, rates) <= 0.2
    assert 1 <= len(rounds) <= 3
    assert all(0.005 < rate < 0.03 for rate in rates[5:])


def test_an_interval_that_is_short_enough_is_left_alone() -> None:
    grid = [float(f"{10 ** (k / 4):.6g}") for k in range(-12, 1)]
    assert interval(valley(0.02, spread=0.01), grid) < 0.2
    assert played(valley(0.02, spread=0.01), grid, refine=Refine()) == []


def test_seeds_that_disagree_end_the_refining() -> None:
    """Minima half a decade apart: no rate between makes them agree, which one round shows."""
    grid = [float(f"{10 ** (k / 3):.6g}") for k in range(-12, 1)]
    rounds = played(valley(0.01, spread=0.5), grid, refine=Refine())
    assert len(rounds) == 1


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_rates_are_added_than_asked_for(most: int) -> None:
    rounds = played(valley(0.013, spread=0.01), DECADES, refine=Refine(0.01, most))
    assert sum(map(len, rounds)) == most


def test_without_a_fit_rates_are_added_until_there_is_one() -> None:
    """Just above the best, all seeds diverge."""
    landscape = valley(0.013, spread=0.05, breaks=0.09)
    rounds = played(landscape, DECADES, refine=Refine(0.5))
    assert interval(landscape, DECADES) == math.inf
    assert interval(landscape, [*DECADES, *(rate for new in rounds for rate in new)]) < math.inf
    assert all(rate < 0.09 for new in rounds for rate in new)


def noisy(at: float, seeds: int, key: int) -> Landscape:
    """A valley whose minimum is elsewhere by a tenth of a decade for each seed, and losses that spread by 5%."""

    def losses(rate: float) -> list[float | None]:
        own = [
            np.random.default_rng([key, seed, round(1e6 * (5 + math.log10(rate)))]).normal() for seed in range(seeds)
        ]
        off = [np.random.default_rng([key, seed]).normal() / 10 for seed in range(seeds)]
        u = [math.log10(rate / at) - one for one in off]
        return [2.1 * (1 - 0.95 / (1 + x * x)) * math.exp(one / 20) for x, one in zip(u, own, strict=True)]

    return losses


@pytest.mark.parametrize("per_decade", [1, 2, 3])
def test_more_seeds_or_a_finer_interval_mostly_ask_for_the_same_rates(per_decade: int) -> None:
    """Of all rates that are added with 3 seeds, with 4 and to half the decades as well."""
    grid = [float(f"{10 ** (k / per_decade):.6g}") for k in range(-4 * per_decade, 1)]
    kept: dict[str, list[bool]] = {"seeds": [], "decades": []}
    for key in range(8):
        at = 10 ** (-2.4 + key / 10)
        first, seeds, finer = (
            {rate for new in played(noisy(at, n, key), grid, refine=refine) for rate in new}
            for n, refine in ((3, Refine()), (4, Refine()), (3, Refine(0.1, 12)))
        )
        kept["seeds"] += [rate in seeds for rate in first][: 100 * bool(seeds)]
        kept["decades"] += [rate in finer for rate in first]
    assert {name: np.mean(found) > 0.6 for name, found in kept.items()} == {"seeds": True, "decades": True}


def test_refined_rates_halve_the_gaps_of_the_files_grid() -> None:
    """At one rate per decade they lie at eighths of a decade."""
    rounds = played(valley(0.013, spread=0.01), DECADES, refine=Refine(0.05))
    places = np.array([8 * math.log10(rate) for new in rounds for rate in new])
    assert len(places) > 2
    np.testing.assert_allclose(places, places.round(), atol=1e-4)


@pytest.mark.parametrize(
    ("train", "val", "some"), [(0.1, 0.0, True), (2.25, 0.0, False), (0.1, 2.25, False), (9.0, 0.0, False)]
)
def test_round_a_best_that_learned_nothing_no_rates_are_added(train: float, val: float, some: bool) -> None:
    """Chance is 2.303: the training loss at the best ends there, the validation loss above it, or it broke."""
    runs = runs_of(valley(0.013, spread=0.01), DECADES)
    runs.loc[runs["learning_rate"] == 0.01, "train_loss"] = train
    runs["val_loss"] += val
    assert bool(asked(runs, DECADES, refine=Refine())) == some


def test_one_seed_has_no_interval_to_shorten() -> None:
    assert played(valley(0.013, seeds=1), DECADES, refine=Refine()) == []


def test_an_edge_is_left_before_anything_is_refined() -> None:
    """And where it may not be left, there is nothing to refine."""
    landscape = valley(0.2, spread=0.01)
    grid = [0.001, 0.01, 0.1]
    runs = runs_of(landscape, grid)
    found = additions(runs, about(runs), {(): tuple(grid)}, Extend(), Refine())
    assert [(one.why, one.rates) for one in found] == [("extend", (1.0,))]
    assert asked(runs, grid, None, Refine()) == []
    rounds = played(landscape, grid, refine=Refine())
    assert rounds[0] == [1.0]
    assert len(rounds) > 1


def test_refined_rates_are_found_again_beside_those_beyond_the_grid() -> None:
    """A finished sweep asks for nothing, whatever is looked at in between; so it does with the rounds so far."""
    landscape, grid = valley(0.2, spread=0.01), [0.001, 0.01, 0.1]
    rounds = played(landscape, grid, refine=Refine(0.05, 4))
    rates = list(grid)
    for new in rounds:
        assert asked(runs_of(landscape, rates[::-1]), grid, refine=Refine(0.05, 4)) == new
        rates += new
    assert asked(runs_of(landscape, rates), grid, refine=Refine(0.05, 4)) == []


def test_nothing_is_asked_for_where_nothing_is_set() -> None:
    assert asked(runs_of(valley(9.0), HALVES), HALVES, None, None) == []
