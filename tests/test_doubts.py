"""What stands against the answer is told: instability, second minima, ailing rates, means that one seed makes.

Expected numbers are worked out by hand.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sweeps_made_up import UNTRAINED, VALLEY, about, document, doubts, entries, entry, frame, rows

from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import rank
from lrsweep.analysis.recommend import recommend
from lrsweep.analysis.rivals import untold
from lrsweep.vocabulary import FAILED


def test_a_rate_too_low_to_move_is_stable() -> None:
    """The untrained loss and that of weights which hardly changed differ by rounding, and not always downwards."""
    found = entry(rows({1e-9: [UNTRAINED * (1 + 1e-7)] * 2, 0.1: [0.1, 0.2], 1.0: [0.5, 0.6]}))
    assert found["highest_stable_rate"] == 1.0


def test_stable_ends_where_a_seed_trains_to_worse_than_untrained() -> None:
    found = entry(rows({0.01: [0.9, 0.9], 0.1: [0.1, 0.2], 1.0: [0.5, 2.4], 10.0: [0.5, 0.6]}))
    assert found["highest_stable_rate"] == 0.1
    assert found["best_over_highest_stable"] == 1.0
    assert "on the edge of stability (training is unstable at 1): try warm-up or clipping." in found["advice"]


def test_a_best_rate_well_below_instability_is_not_on_its_edge() -> None:
    found = entry(rows({0.01: [0.1, 0.2], 0.1: [0.6, 0.6], 1.0: [None, None]}))
    assert "stability" not in found["advice"]


def test_a_failed_run_says_nothing_about_stability() -> None:
    runs = rows({0.1: [0.5, 0.5], 1.0: [0.6, 0.6]})
    runs[2]["status"] = runs[3]["status"] = FAILED
    found = entry(runs)
    assert found["highest_stable_rate"] == 0.1
    assert "stability" not in found["advice"]
    assert "Whether training is stable at 1 is not known: every run failed there.\n" in found["advice"]
    assert "2 of 4 runs failed or crashed" in found["advice"]


def test_what_failed_below_a_stable_rate_is_passed_over() -> None:
    runs = rows({0.01: [0.9], 0.1: [0.7], 1.0: [0.5], 10.0: [3.0]})
    runs[1]["status"] = FAILED
    found = entry(runs)
    assert (found["highest_stable_rate"], found["best_over_highest_stable"]) == (1.0, 1.0)
    assert "Whether training is stable at 0.1 is not known" in found["advice"]
    assert "training is unstable at 10" in found["advice"]


def test_where_everything_below_failed_there_is_no_stable_rate() -> None:
    runs = rows({0.01: [0.9], 0.1: [0.7], 1.0: [3.0]})
    runs[0]["status"] = runs[1]["status"] = FAILED
    found = entry(runs)
    assert found["highest_stable_rate"] is None
    assert "Whether training is stable at 0.01 and 0.1 is not known" in found["advice"]
    assert "so there is no highest stable rate" in found["advice"]


def test_stability_that_comes_back_is_told() -> None:
    found = entry(rows({0.01: [0.1, 0.2], 0.1: [0.3, 0.4], 1.0: [0.5, None], 10.0: [0.6, 0.7]}))
    assert found["highest_stable_rate"] == 0.1
    assert "Training is unstable at 1 but stable again at 10: chance decides there." in found["advice"]


def test_what_learned_nothing_is_not_stable_again() -> None:
    runs = frame(rows({0.01: [0.1, 0.2], 0.1: [0.3, 0.4], 1.0: [0.5, None], 10.0: [2.2, 2.2], 100.0: [0.6, 0.7]}))
    told = about(runs)
    ranking = rank(runs, told).assign(diagnosis=["good", "good", "diverged", "collapsed", "good"])
    fits = [fit(profile, True) for profile in profiles(runs, told)]
    [found] = recommend(ranking, told, fits)["settings"]
    assert "Training is unstable at 1 but stable again at 100:" in found["advice"]


def test_stability_that_comes_back_far_above_the_best_is_not_told() -> None:
    """0.1 can be told from the best, so what 1 does is of no concern."""
    far = {0.01: [0.1, 0.11], 0.1: [0.8, 0.81], 1.0: [0.5, None], 10.0: [1.6, 1.7]}
    assert "again" not in entry(rows(far))["advice"]


def test_at_the_high_edge_higher_rates_come_before_longer_training() -> None:
    falling = {0.01: [0.9, 0.91], 0.1: [0.5, 0.51], 1.0: [0.1, 0.11]}
    [doubt] = doubts(rows(falling), diagnosis="too_slow")
    said = "The best rate is the highest tried (1), so it is not bracketed"
    assert doubt == f"{said}: add 10."


BY_OPTIMIZER = {
    "best": [0.10, 0.11, 0.12],
    "like it": [0.11, 0.12, 0.11],
    "told": [0.20, 0.22, 0.24],
    "lost": [0.10, 0.11, None],
    "noisy": [0.05, 0.30, 0.15],
}
"""The losses of settings at their best rate, by seed: all twice the best's, with hardly a spread, are told from it."""


def settings(*names: str, **setting: str) -> list[list[dict[str, Any]]]:
    """The ends of the grid lose a seed, so that the middle is the best even where it loses one too."""
    worse = {0.01: [1.0, 1.0, None], 1.0: [1.0, 1.0, None]}
    return [rows(worse | {0.1: BY_OPTIMIZER[name]}, optimizer=name, **setting) for name in names]


@pytest.mark.parametrize(
    ("others", "says"),
    [
        (["told"], []),
        (["lost", "told"], []),
        (["like it"], ["The other setting cannot be told from this one by 3 seeds."]),
        (["like it", "noisy"], ["Neither of the 2 other settings can be told from this one by 3 seeds."]),
        (["told", "like it"], ["1 of the 2 other settings cannot be told from this one by 3 seeds."]),
        ([*BY_OPTIMIZER][1:], ["2 of the 4 other settings cannot be told from this one by 3 seeds."]),
    ],
)
def test_settings_that_cannot_be_told_from_the_best_are_counted(others: list[str], says: list[str]) -> None:
    found = entries(*settings("best", *others))
    assert [one for one in found[0]["advice"].split("\n") if "from this one" in one] == says
    assert all("from this one" not in one["advice"] for one in found[1:])


def test_settings_are_counted_by_dataset() -> None:
    found = entries(*settings("best", "like it", dataset="a"), *settings("best", "told", "noisy", dataset="b"))
    counted = ["from this one" in one["advice"] for one in found]
    assert counted == [True, False, True, False, False]
    assert "\n1 of the 2 other settings" in found[2]["advice"]


def test_one_seed_tells_no_settings_apart() -> None:
    told = entries(rows({0.1: [0.1]}, optimizer="a"), rows({0.1: [0.5]}, optimizer="b"))
    assert ["One seed cannot tell settings apart." in one["advice"] for one in told] == [True, False]


def test_settings_without_common_seeds_are_not_told_apart() -> None:
    runs = frame(*settings("best", "told"))
    runs.loc[runs["optimizer"] == "told", "seed"] += 3
    advice = document(runs, about(runs))["settings"][0]["advice"]
    assert "The other setting cannot be told from this one by 3 seeds." in advice


def test_as_many_settings_are_not_told_as_the_paired_t_test_says() -> None:
    random = np.random.default_rng(5)
    values = random.standard_normal((200, 4)) + np.linspace(0, 3, 200)[:, None]
    expected = (stats.ttest_rel(values[1:], values[:1], axis=1).pvalue > 0.05).sum()
    assert 20 < expected < 180
    assert untold(values, np.zeros(200)) == expected


def test_the_doubt_about_settings_comes_after_those_about_stability() -> None:
    unstable = {0.01: [0.9, 0.9], 0.1: [0.1, 0.2], 1.0: [None, None]}
    told = doubts(rows(unstable, optimizer="a"), rows(unstable, optimizer="b"))
    places = [next(i for i, one in enumerate(told) if part in one) for part in ("edge of", "other setting", "No rate")]
    assert places == [0, 1, 2]


def test_what_failed_is_not_stable_again() -> None:
    runs = rows({0.1: [0.5], 1.0: [3.0], 10.0: [0.9]})
    runs[2]["status"] = FAILED
    assert "stable again" not in entry(runs)["advice"]


def test_above_an_unstable_lowest_rate_nothing_is_stable_again() -> None:
    assert "again" not in entry(rows({0.01: [3.0, 3.0], 0.1: [0.1, 0.2], 1.0: [0.3, 0.4]}))["advice"]


def test_no_stable_rate_has_its_reason() -> None:
    found = entry(rows({0.01: [0.1, 3.0], 0.1: [2.5, 3.0], 1.0: [2.9, 3.0]}))
    assert (found["highest_stable_rate"], found["best_over_highest_stable"]) == (None, None)
    assert "Not even the lowest rate (0.01) trains stably" in found["advice"]


@pytest.mark.parametrize(
    ("values", "other"),
    [
        (
            {0.01: [0.10, 0.11], 0.1: [0.50, 0.51], 1.0: [0.105, 0.107], 10.0: [0.9, 0.9]},
            "1 cannot be told from the best",
        ),
        ({0.01: [0.10], 0.1: [0.50], 1.0: [0.103], 10.0: [0.9]}, "1 is nearly as good as the best"),
        ({0.01: [0.103], 0.1: [0.50], 1.0: [0.10], 10.0: [0.9]}, "0.01 is nearly as good as the best"),
    ],
)
def test_two_minima_are_told(values: dict[float, list[float]], other: str) -> None:
    expected = f"There may be two minima: {other}, but 0.1 between them is worse: use more seeds."
    assert expected in doubts(rows(values))


def test_two_maxima_of_a_score_are_told() -> None:
    values = {0.01: [0.90, 0.91], 0.1: [0.80, 0.81], 1.0: [0.905, 0.90], 10.0: [0.5, 0.5]}
    assert any("two minima: 1 " in one for one in doubts(rows(values, "val_macro_f1"), objective="val_macro_f1"))


@pytest.mark.parametrize("middle", [0.102, 0.107])
def test_a_ripple_is_no_second_minimum(middle: float) -> None:
    assert "minima" not in entry(rows({0.01: [0.10], 0.1: [middle], 1.0: [0.103], 10.0: [0.9]}))["advice"]


@pytest.mark.parametrize(
    ("diagnosis", "says"),
    [
        ("collapsed", "No rate tried is of use to adam: even the best, 0.01, ends no better than chance."),
        ("unstable", "No rate tried is of use to adam: even the best, 0.01, ends worse than untrained."),
        ("too_slow", "the loss is still falling at the end: train longer"),
        ("oscillating", "the loss swings"),
        ("overfitting", "the validation loss rises again"),
    ],
)
def test_what_ails_the_best_rate_is_told_with_a_remedy(diagnosis: str, says: str) -> None:
    found = entry(rows(VALLEY), diagnosis=diagnosis)
    assert says in found["advice"]
    assert len(found["advice"].split("\n")) == 2
    assert found["best_rate"] == 0.01


def test_nothing_ails_a_good_rate() -> None:
    assert doubts(rows(VALLEY), diagnosis="good") == []


@pytest.mark.parametrize(("low", "told"), [(0.19, True), (0.21, False)])
def test_one_seed_that_makes_the_mean_is_told(low: float, told: bool) -> None:
    """Next to the best the losses are half of 0.19 or 0.21 twice, and the rest of 1."""
    values = {0.01: [0.5, 0.5, 0.5], 0.1: [0.1, 0.1, 0.1], 1.0: [low / 2, low / 2, 1 - low], 10.0: [1e-3, 1e-3, 2.2]}
    says = "At 1 one seed makes nearly all of the mean loss, so chance decides the order: use more seeds."
    assert (says in doubts(rows(values))) == told


def test_one_seed_of_an_unstable_rate_is_told_by_that() -> None:
    values = {0.01: [0.5, 0.5, 0.5], 0.1: [0.1, 0.1, 0.1], 1.0: [0.1, 0.1, 9.0]}
    assert "one seed" not in entry(rows(values))["advice"]


def test_a_score_is_made_by_all_seeds() -> None:
    values = {0.01: [0.1, 0.1], 0.1: [0.01, 0.5], 1.0: [0.0, 0.1]}
    assert "one seed" not in entry(rows(values, "val_macro_f1"), objective="val_macro_f1")["advice"]


def test_lost_seeds_at_the_best_rate_are_told() -> None:
    found = entry(rows({0.01: [0.5, 0.6, None], 0.1: [0.9, None, None]}))
    assert found["best_rate"] == 0.01
    assert found["objective_mean"] is None
    assert "1 of 3 seeds did not finish even at the best rate" in found["advice"]
