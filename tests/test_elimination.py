"""Which rates a sample or a rung drops: trials made by hand, properties of any, and models whose best is known."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lrsweep.analysis.elimination import Decision, Halving, Trial, halved, rungs, screened, stage_objective, trial
from lrsweep.vocabulary import CURVE_COLUMNS

LOST = math.nan
CHANCE = 2.3


def made_up(values: Any, losses: Any = None, **others: Any) -> Trial:
    """A trial of rates 1, 2, 4, …; values (K, S), or (K,) for one seed; training losses that went from 2.5 to 1."""
    table = np.array(values, float).reshape(len(values), -1)
    ends = np.ones(table.shape) if losses is None else np.array(losses, float).reshape(table.shape)
    plain = {"lower_is_better": True, "validated": False, "chance": CHANCE, "share": 0.1}
    grid = {"rates": 2.0 ** np.arange(len(table)), "places": np.arange(len(table))}
    return Trial(values=table, losses=ends, untrained=np.full(table.shape, 2.5), **(grid | plain | others))


def kept(decisions: tuple[Decision, ...]) -> list[int]:
    """The places of those that stay."""
    return [k for k, decision in enumerate(decisions) if decision.kept]


def curve(train: list[float], val: list[float], accuracy: list[float]) -> np.ndarray:
    """A run's curve from epoch 0."""
    table = np.zeros((len(train), len(CURVE_COLUMNS)))
    for name, column in (("train_loss", train), ("val_loss", val), ("val_accuracy", accuracy)):
        table[:, CURVE_COLUMNS.index(name)] = column
    return table


CURVE = curve([2.5, 2.0, 1.5], [2.6, 1.0, 1.2], [0.1, 0.8, 0.7])


@pytest.mark.parametrize(
    ("objective", "column"),
    [
        *(("val_loss", "val_loss"), ("best_val_loss", "val_loss"), ("train_loss", "train_loss")),
        *(("val_accuracy", "val_accuracy"), ("best_val_r2", "val_accuracy"), ("val_r2", "val_accuracy")),
        *(("test_loss", "val_loss"), ("noisy_accuracy@0.1", "val_loss"), ("val_balanced_accuracy", "val_loss")),
    ],
)
def test_the_column_that_stands_for_the_objective(objective: str, column: str) -> None:
    assert stage_objective(objective) == column


@pytest.mark.parametrize(
    ("objective", "select", "value"),
    [
        *(("val_loss", "final", 1.2), ("val_loss", "best", 1.0), ("best_val_loss", "final", 1.0)),
        *(("val_accuracy", "final", 0.7), ("val_accuracy", "best", 0.8), ("train_loss", "final", 1.5)),
    ],
)
def test_a_trial_takes_the_objective_at_its_end_or_the_best_so_far(objective: str, select: str, value: float) -> None:
    found = trial([0.1], [3], [[CURVE]], objective, select, CHANCE, 0.1)
    assert (found.values, found.losses, found.untrained, found.places) == (value, 1.5, 2.5, 3)
    assert found.lower_is_better == objective.endswith("loss")
    assert found.validated == (objective != "train_loss")


def test_the_untrained_objective_is_not_the_best_so_far() -> None:
    worse = curve([2.5, 3.0], [0.5, 0.9], [0.1, 0.1])
    assert trial([0.1], [0], [[worse]], "val_loss", "best", CHANCE, 0.1).values == 0.9


def test_none_a_shorter_curve_and_one_that_ends_in_nan_are_lost() -> None:
    broken = CURVE.copy()
    broken[-1, 3:] = np.nan
    found = trial([0.1], [0], [[CURVE, None, CURVE[:2], broken]], "val_loss", "best", CHANCE, 0.1)
    np.testing.assert_array_equal(np.isnan(found.values), [[False, True, True, True]])


def test_a_trial_is_ordered_by_rate() -> None:
    other = curve([2.5, 2.0, 1.9], [2.6, 2.0, 1.9], [0.1, 0.2, 0.3])
    found = trial([0.4, 0.1], [7, 2], [[other], [CURVE]], "val_loss", "final", CHANCE, 0.1)
    assert (found.rates.tolist(), found.places.tolist(), found.values.tolist()) == ([0.1, 0.4], [2, 7], [[1.2], [1.9]])


def test_a_trial_in_which_all_runs_are_lost_keeps_its_shape() -> None:
    found = trial([0.1, 0.2], [0, 1], [[None, None], [None, None]], "val_loss", "final", CHANCE, 0.1)
    assert found.values.shape == (2, 2)
    assert kept(halved(found, Halving(3, guard=0))) == [0]
    assert kept(screened(found)) == [0, 1]


def test_one_in_factor_goes_on_and_the_others_hear_why() -> None:
    decisions = halved(made_up([9, 8, 7, 6, 1, 2, 3, 4, 5]), Halving(3, guard=0))
    assert kept(decisions) == [4, 5, 6]
    assert decisions[0].reason == "rank 9 of 9, 9 times the leader's loss; the best 3 go on"
    assert [decision.rank for decision in decisions] == [9, 8, 7, 6, 1, 2, 3, 4, 5]
    assert [decision.margin for decision in decisions] == pytest.approx([9, 8, 7, 6, 1, 2, 3, 4, 5])


def test_of_scores_the_highest_goes_on() -> None:
    decisions = halved(made_up([0.5, 0.9, 0.8], lower_is_better=False), Halving(3, guard=0))
    assert kept(decisions) == [1]
    assert decisions[0].reason == "rank 3 of 3, 0.4 below the leader; the best one goes on"
    assert decisions[2].margin == pytest.approx(0.1)


def test_rates_that_are_level_with_the_leader_are_said_to_be() -> None:
    losses = halved(made_up([1.0, 1.004, 1.006]), Halving(3, guard=0))
    scores = halved(made_up([0.9, 0.9, 0.899], lower_is_better=False), Halving(3, guard=0))
    assert [one.reason for one in losses[1:]] == [
        "rank 2 of 3, within 1% of the leader's loss; the best one goes on",
        "rank 3 of 3, 1.01 times the leader's loss; the best one goes on",
    ]
    assert [one.reason for one in scores[1:]] == [
        "rank 2 of 3, level with the leader; the best one goes on",
        "rank 3 of 3, 0.001 below the leader; the best one goes on",
    ]


def test_stable_rates_within_the_guard_stay_and_no_others() -> None:
    losses = [1, 1, 1, 1, 2.6, 1, 1]  # place 4 is above its untrained loss
    decisions = halved(made_up([6, 7, 1, 3, 4, 5, 8], losses), Halving(factor=7, guard=3))
    assert kept(decisions) == [2, 3, 5]
    assert decisions[5].reason == "3 steps above the leader and stable"
    assert decisions[3].reason == "1 step above the leader and stable"


def test_a_loss_that_has_not_moved_is_stable() -> None:
    assert kept(halved(made_up([1, 2], [1, 2.5]), Halving(factor=2, guard=1))) == [0, 1]


def test_the_guard_counts_steps_of_the_whole_grid() -> None:
    decisions = halved(made_up([1, 2, 3], places=np.array([4, 7, 8])), Halving(3, guard=3))
    assert kept(decisions) == [0, 1]


def test_a_lost_seed_is_behind_every_rate_without_and_ends_the_guard() -> None:
    decisions = halved(made_up([[1, 1], [0.1, LOST], [5, 5]]), Halving(3, guard=3))
    assert [decision.rank for decision in decisions] == [1, 3, 2]
    assert kept(decisions) == [0, 2]
    assert decisions[1].reason == "rank 3 of 3, 1 of 2 seeds lost; the best one goes on"
    assert (decisions[1].value, decisions[1].margin) == (math.inf, None)


def test_rates_are_ranked_by_their_means_and_equal_ones_the_lower_first() -> None:
    decisions = halved(made_up([[0.3, 0.3], [0.1 + 0.2, 0.3], [0.1, 0.4], [1, 1]]), Halving(guard=0))
    assert [decision.rank for decision in decisions] == [2, 3, 1, 4]
    assert [decision.value for decision in decisions] == pytest.approx([0.3, 0.3, 0.25, 1])


def test_nothing_is_so_many_times_a_loss_of_zero() -> None:
    decisions = halved(made_up([0, 1]), Halving(guard=0))
    assert (decisions[1].margin, decisions[1].reason) == (None, "rank 2 of 2; the best one goes on")


def test_a_stable_rate_that_can_catch_up_stays_where_validation_decides() -> None:
    """After a quarter of the steps: rates down to a quarter of the leader's, which is two steps of this grid."""
    values, losses = [4, 3, 2.5, 2, 1, 5], [1, 1, 1, 2.6, 1, 1]
    plain, validated = (made_up(values, losses, share=0.25, validated=told) for told in (False, True))
    assert kept(halved(plain, Halving(factor=6, guard=0))) == [4]
    decisions = halved(validated, Halving(factor=6, guard=0))
    assert kept(decisions) == [2, 4]
    assert decisions[2].reason == "2 steps below the leader: the rest of the run takes it to where the leader is now"


@pytest.mark.parametrize(("share", "left"), [(0.4, [3]), (0.5, [2, 3]), (0.8, [2, 3])])
def test_at_the_last_rung_the_next_below_the_leader_stays(share: float, left: list[int]) -> None:
    """From half of the run on, the next rung of a factor of 2 would be its end."""
    found = made_up([4, 5, 9, 1, 2, 3], share=share)
    decisions = halved(found, Halving(2, guard=0))
    assert kept(decisions) == sorted({*left, 4, 5})
    assert decisions[2].reason.startswith("next below" if 2 in left else "rank 6 of 6, 9 times")
    found.losses[2] = 2.6
    assert kept(halved(found, Halving(2, guard=0))) == [3, 4, 5]


def test_the_next_below_the_leader_is_so_in_the_whole_grid() -> None:
    found = made_up([9, 1, 2, 3], share=0.5, places=np.array([2, 4, 5, 6]))
    assert kept(halved(found, Halving(2, guard=0))) == [1, 2]


@pytest.mark.parametrize(
    ("halving", "full", "expected"),
    [
        *((Halving(), 20, [1, 2, 4, 8, 16]), (Halving(3, min=3), 27, [3, 9]), (Halving(min=5), 20, [5, 10])),
        *((Halving(min=20), 20, []), (Halving(), 1, []), (Halving(min=0.25, factor=2), 20, [5, 10])),
        *((Halving(3, "subset"), 1079, [107, 321]), (Halving(3, "subset", min=0.001), 90, [1, 3, 9, 27])),
        *(
            (Halving(resource="subset", min=60), 90, [60]),
            (Halving(resource="subset", min=45, factor=2), 180, [45, 90]),
        ),
    ],
)
def test_rungs(halving: Halving, full: int, expected: list[int]) -> None:
    assert rungs(halving, full) == expected


VALUES = st.floats(1e-3, 1e3) | st.just(LOST)


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    """Any trial: some rates of a grid, seeds, losses above and below the untrained ones, lost runs."""
    places = sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=12)))
    n = draw(st.integers(1, 4))
    rows = st.lists(st.lists(VALUES, min_size=n, max_size=n), min_size=len(places), max_size=len(places))
    values, losses = np.array(draw(rows)), np.array(draw(rows))
    told = {"lower_is_better": draw(st.booleans()), "validated": draw(st.booleans())}
    share = draw(st.floats(0.001, 1))
    return made_up(values, losses, places=np.array(places), rates=1.7 ** np.array(places), share=share, **told)


@settings(max_examples=60)
@given(trials(), st.integers(2, 5), st.integers(0, 4))
def test_every_rung(found: Trial, factor: int, guard: int) -> None:
    """Order, number and guard, against the rules said again, slowly."""
    decisions = halved(found, Halving(factor=factor, guard=guard))
    sign = 1 if found.lower_is_better else -1
    finite = [[value for value in row if not math.isnan(value)] for row in found.values.tolist()]
    gone = [found.values.shape[1] - len(row) for row in finite]
    for a, one in enumerate(decisions):
        for b, other in enumerate(decisions):
            if gone[a] < gone[b]:
                assert one.rank < other.rank
            elif gone[a] == gone[b] and finite[a] and finite[b]:
                ahead, behind = sign * statistics.fmean(finite[a]), sign * statistics.fmean(finite[b])
                assert one.rank < other.rank or behind < ahead or behind == pytest.approx(ahead) or a == b
    assert sorted(decision.rank for decision in decisions) == [*range(1, len(decisions) + 1)]
    leader = next(k for k, decision in enumerate(decisions) if decision.rank == 1)
    for k, decision in enumerate(decisions):
        steady = not gone[k] and all(found.losses[k] <= found.untrained[k] * (1 + 1e-5))
        above = found.places[k] - found.places[leader]
        best, safe = decision.rank <= math.ceil(len(decisions) / factor), steady and 0 < above <= guard
        near = found.validated and steady and above < 0 and found.rates[k] >= found.rates[leader] * found.share
        last = steady and above == -1 and found.share * factor >= 1
        assert decision.kept == (best or safe or near or last)
        assert decision.kept or decision.reason


@settings(max_examples=60)
@given(trials())
def test_a_sample_drops_ends_and_never_the_middle(found: Trial) -> None:
    decisions = screened(found)
    places = kept(decisions)
    assert places
    assert places == [*range(places[0], places[-1] + 1)]
    assert all(decision.reason for decision in decisions if not decision.kept)


@settings(max_examples=60)
@given(trials(), st.randoms(use_true_random=False))
def test_the_order_of_the_seeds_changes_nothing(found: Trial, random: Any) -> None:
    order = [*range(found.values.shape[1])]
    random.shuffle(order)
    arrays = {name: getattr(found, name)[:, order] for name in ("values", "losses", "untrained")}
    other = Trial(**{**vars(found), **arrays})
    assert halved(other, Halving()) == halved(found, Halving())
    assert screened(other) == screened(found)


def test_a_sample_drops_what_fails_at_the_top_and_hardly_moves_at_the_bottom() -> None:
    values = [1, 1, 1, 1, 1, 1, 1, 1, [LOST]]
    losses = [2.5, 2.49, 2.3, 1.5, 0.5, 1.0, 2.29, 2.6, LOST]
    decisions = screened(made_up([np.ravel(one) for one in values], losses, share=0.5))
    assert kept(decisions) == [3, 4, 5]
    assert [decision.reason for decision in decisions] == [
        *["hardly moves, and would not go far in the full run"] * 3,
        *["", "", ""],
        "at chance on the sample",
        "above its untrained loss on the sample",
        "diverged or failed on the sample",
    ]


def test_what_fails_in_the_middle_stays() -> None:
    assert kept(screened(made_up([1] * 4, [1, 9, 1, 9]))) == [0, 1, 2]


def test_a_lost_rate_at_the_bottom_moves_nothing_and_goes_as_lost() -> None:
    decisions = screened(made_up([1, LOST, 1, 1], [2.5, LOST, 1.0, 0.5], share=0.9))
    assert kept(decisions) == [3]
    assert [decision.reason[:8] for decision in decisions] == ["hardly m", "diverged", "hardly m", ""]


def test_the_full_run_takes_a_small_rate_further() -> None:
    """A rate of 1 in 8 times the steps goes as far as 8 does in the sample, of which this is a share of 1 / 8."""
    losses = [2.5, 2.49, 2.45, 2.3, 1.9, 0.5]
    assert [kept(screened(made_up([1] * 6, losses, share=share)))[0] for share in (1, 1 / 2, 1 / 8, 1 / 32)] == [
        5,
        4,
        2,
        0,
    ]


@pytest.mark.parametrize(
    ("losses", "told"), [([2.6, 3, 9], "every rate fails on the sample"), ([2.5, 2.49, 2.48], "every rate fails")]
)
def test_where_all_rates_fail_all_stay(losses: list[float], told: str) -> None:
    decisions = screened(made_up([1, 1, 1], losses))
    assert kept(decisions) == [0, 1, 2]
    assert all(decision.reason.startswith(told) for decision in decisions)


def test_where_none_moves_all_stay() -> None:
    decisions = screened(made_up([1, 1, 1], [2.5, 2.49, 2.47], chance=3.0))
    assert kept(decisions) == [0, 1, 2]
    assert decisions[0].reason == "no rate moves on the sample: nothing is dropped"


def descent(rates: np.ndarray, steps: int) -> np.ndarray:
    """Losses of gradient descent on ½x² from x = 2 after so many steps, exactly; it is unstable from rate 2 on."""
    with np.errstate(over="ignore"):
        return np.minimum(0.5 * (2 * np.abs(1 - rates) ** steps) ** 2, 1e300)


@pytest.mark.parametrize("floor", [1e-9, 1e-3, 0.1])
@pytest.mark.parametrize("steps", [3, 12, 60])
def test_the_sample_of_a_descent_keeps_its_best_rate(steps: int, floor: float) -> None:
    """With noise that leaves a floor in proportion to the rate, as that of batches does."""
    rates, full = 10 ** np.linspace(-5, 1, 25), 680
    ends = descent(rates, full) + floor * rates
    seen = descent(rates, steps) + floor * rates
    found = made_up(seen, seen, rates=rates, share=steps / full, chance=2.0)
    found.untrained[:] = 2.0
    left = kept(screened(found))
    assert int(ends.argmin()) in left
    assert len(left) < 20


@pytest.mark.parametrize("share", [0.05, 0.15, 0.45])
def test_where_only_rate_times_steps_counts_the_best_rate_can_catch_up(share: float) -> None:
    """In the limit of small rates a stage's best is above the full run's by the share: the reach ends right there."""
    rates = 10 ** np.linspace(-4, 0, 25)
    values = [[1 + np.log10(rates * steps / 0.01) ** 2] for steps in (share, 1)]
    seen, ends = (np.array(one).T for one in values)
    ours = made_up(seen, 0.5 * np.ones(seen.shape), rates=rates, share=share, validated=True)
    decisions = halved(ours, Halving(factor=25, guard=0))
    assert abs(kept(decisions)[0] - int(ends.argmin())) <= 1
