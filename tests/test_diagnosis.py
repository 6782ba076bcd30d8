"""A rate's diagnosis is what a person would say of its curves, and the evidence gives the numbers that person sees.

The curves below are made up, with numbers that are easily checked; those of the golden file are of real sweeps, and
were labelled by eye.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from studies.labels import said
from sweeps_made_up import Curve, about, reading, trained

from lrsweep.analysis.curves import by_length
from lrsweep.analysis.diagnosis import LONGEST, diagnose
from lrsweep.analysis.ranking import rank
from lrsweep.provenance import chance
from lrsweep.vocabulary import RawData

GOLDEN = Path(__file__).parent / "golden" / "labelled_curves.json"

BEST = ([2.4, 1.0, 0.5, 0.3, 0.2, 0.16, 0.14, 0.12, 0.1], [2.4, 1.1, 0.6, 0.4, 0.3, 0.26, 0.24, 0.22, 0.2])
"""Eight epochs, so that the end of training is the last three."""

CHANCE = {"n_rows": 100, "n_train": 60, "task": "classification", "n_features": 4, "n_classes": 10}

Diagnosed = Mapping[float, tuple[str | None, str]]


def both(losses: Sequence[float]) -> Curve:
    """A curve whose validation loss is its training loss."""
    return losses, losses


def diagnosed(by_rate: Mapping[float, Sequence[Curve | str]], **data: Any) -> Diagnosed:
    """rate → diagnosis and evidence; `data` is told of the dataset."""
    runs, curves = trained(by_rate)
    runs.loc[runs["status"] == "stopped", "reason"] = "rank 9 of 9; 3 go on"
    known = about(runs) | {"datasets": {"digits": {**CHANCE, **data}}}
    ranking = rank(runs, known)
    found = diagnose(ranking, runs, reading(curves), known)
    return dict(zip(ranking["learning_rate"], zip(found["diagnosis"], found["evidence"], strict=True), strict=True))


@pytest.mark.parametrize(
    ("rate", "curve", "diagnosis", "evidence"),
    [
        (0.01, BEST, "good", "the best rate, validation loss 0.2"),
        (
            0.001,
            both([2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.2, 1.1, 1.0]),
            "too_slow",
            "validation loss 1, 5 × the best rate's, still falling by 29% in the last 3 epochs",
        ),
        (
            0.001,  # flat, as under a schedule that has come to its end
            both([2.4, 2.2, 2.0, 1.8, 1.6, 1.0, 1.0, 1.0, 1.0]),
            "too_slow",
            "validation loss 1, 5 × the best rate's",
        ),
        (
            0.0001,
            both([2.7, 2.69, 2.68, 2.67, 2.66, 2.65, 2.64, 2.63, 2.62]),
            "too_slow",
            "training loss 2.62 after 8 epochs, chance is 2.3",
        ),
        (
            0.1,
            both([2.4, 2.35, 2.3, 2.31, 2.3, 2.31, 2.3, 2.31, 2.3]),
            "collapsed",
            "the seed ends with a training loss of 2.3, chance is 2.3",
        ),
        (
            0.1,
            both([2.4, 1.0, 0.5, 0.4, 0.3, 0.3, 0.6, 0.3, 0.6]),
            "oscillating",
            "training loss rose in 2 of the last 3 epochs, by a factor of up to 2",
        ),
        (
            0.1,
            both([2.4, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.6, 0.4]),
            "oscillating",
            "training loss 0.4, 4 × the best rate's, after a peak of 50 in epoch 1",
        ),
        (
            0.1,
            (BEST[0], [2.4, 0.4, 0.2, 0.2, 0.25, 0.3, 0.3, 0.4, 0.4]),
            "overfitting",
            "validation loss 0.4, 2 × that in epoch 3, while training loss fell",
        ),
        (
            0.1,
            ([2.4, 0.3, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.05], [2.4, 0.5, *[0.4] * 7]),
            "overfitting",
            "validation loss 0.4, 2 × the best rate's; training loss 0.05, 0.5 ×",
        ),
        (
            0.1,  # never below untrained: thrown there by the rate
            ([2.4, 60.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.1], [2.4, 40.0, *[30.0] * 7]),
            "overfitting",
            "validation loss 30, 150 × the best rate's; training loss 0.1, 1 ×, peak 60",
        ),
        (
            0.1,
            ([2.4, 60.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.8, 0.7], [2.4, 40.0, *[3.0] * 7]),
            "oscillating",
            "training loss 0.7, 7 × the best rate's, after a peak of 60 in epoch 1",
        ),
        (
            1.0,
            both([2.4, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]),
            "unstable",
            "the seed ends with a training loss of 10, 2.4 untrained",
        ),
        (1.0, both([2.4, 1e9, np.nan]), "diverged", "the seed diverged in epoch 2"),
        (0.001, (BEST[0], [*BEST[1][:-1], 0.21]), "good", "validation loss 0.21, 1.05 × the best rate's"),
    ],
)
def test_each_fault_is_named_with_its_evidence(rate: float, curve: Curve, diagnosis: str, evidence: str) -> None:
    assert diagnosed({0.01: [BEST]} | {rate: [curve]})[rate] == (diagnosis, evidence)


LOST = both([2.4, 9.0, np.nan])
WILD = both([2.4, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0])
DEAD = both([2.4, *[2.3] * 8])
RISING = BEST[0], [2.4, 0.4, 0.2, 0.2, 0.2, 0.22, 0.24, 0.26, 0.26]


@pytest.mark.parametrize(
    ("seeds", "diagnosis", "evidence"),
    [
        ([BEST, WILD, LOST], "diverged", "1 of 3 seeds diverged in epoch 2"),
        ([LOST, BEST, both([2.4, np.nan])], "diverged", "2 of 3 seeds diverged, the first in epoch 1"),
        ([BEST, WILD, DEAD], "unstable", "1 of 3 seeds ends with a training loss of 10, 2.4 untrained"),
        ([WILD, WILD, DEAD], "unstable", "2 of 3 seeds end with a training loss of up to 10, 2.4 untrained"),
        ([BEST, BEST, DEAD], "collapsed", "1 of 3 seeds ends with a training loss of 2.3, chance is 2.3"),
        ([BEST, BEST, RISING], "good", "validation loss 0.22, 1.1 × the best rate's"),
        (
            [RISING, BEST, RISING],
            "overfitting",
            "validation loss 0.26, 1.3 × that in epoch 3, while training loss fell",
        ),
        (["failed", "crashed", "failed"], None, "all 3 seeds failed or crashed"),
        (["stopped", "stopped", "stopped"], "stopped", "rank 9 of 9; 3 go on"),
        (["failed", "stopped", "stopped"], "stopped", "rank 9 of 9; 3 go on; 1 of 3 seeds failed"),
        (["stopped", LOST, "stopped"], "diverged", "1 of 3 seeds diverged in epoch 2; 2 stopped"),
        (["failed", BEST, BEST], "good", "validation loss 0.2, 1 × the best rate's; 1 of 3 seeds failed"),
        (["crashed", LOST, "failed"], "diverged", "1 of 3 seeds diverged in epoch 2; 2 of 3 seeds failed"),
    ],
)
def test_one_seed_decides_where_it_is_lost_and_the_middle_one_else(
    seeds: Sequence[Curve | str], diagnosis: str | None, evidence: str
) -> None:
    assert diagnosed({0.01: [BEST] * 3, 0.1: seeds})[0.1] == (diagnosis, evidence)


@pytest.mark.parametrize("epochs", [1, 2])
def test_too_few_epochs_show_neither_swings_nor_overfitting(epochs: int) -> None:
    up = both([2.4, 0.5, 0.9, 0.5][: epochs + 1])
    label, evidence = diagnosed({0.01: [up], 0.1: [LOST]})[0.01]
    said_of_epochs = "1 epoch cannot show more" if epochs == 1 else "2 epochs cannot show more"
    assert label == "good"
    assert evidence.endswith(said_of_epochs)


def test_after_one_epoch_a_rate_below_the_best_is_too_slow_and_has_not_overfitted() -> None:
    """The mean over the first epoch is nearly the same at both rates, the networks that it leaves behind are not."""
    runs, curves = trained({0.01: [([2.4, 1.1], [2.4, 0.8])], 0.1: [([2.4, 1.0], [2.4, 0.4])]})
    runs["train_loss"] = [0.9, 0.4]
    known = about(runs)
    found = diagnose(rank(runs, known), runs, reading(curves), known)
    evidence = "validation loss 0.8, 2 × the best rate's, still falling by 67% in the last epoch"
    assert found.iloc[0].tolist() == ["too_slow", evidence]


def test_a_rate_below_the_best_that_trains_no_slower_needs_epochs_to_overfit() -> None:
    below = ([2.4, 0.3], [2.4, 0.8])
    assert diagnosed({0.01: [below], 0.1: [([2.4, 0.3], [2.4, 0.4])]})[0.01][0] == "too_slow"
    assert diagnosed({0.1: [([2.4, 0.3], [2.4, 0.4])], 1.0: [below]})[1.0] == (
        "good",
        "validation loss 0.8, 2 × the best rate's; 1 epoch cannot show more",
    )


def test_the_training_loss_is_that_of_the_trained_network() -> None:
    """An epoch's loss is the mean of its batches: 0.15 for a network that ends with the best rate's 0.1."""
    runs, curves = trained({0.01: [BEST], 0.1: [([*BEST[0][:-1], 0.15], [2.4, 0.5, *[0.4] * 7])]})
    runs["train_loss"] = 0.1
    known = about(runs)
    evidence = "validation loss 0.4, 2 × the best rate's; training loss 0.1, 1 ×"
    assert diagnose(rank(runs, known), runs, reading(curves), known).iloc[1].tolist() == ["overfitting", evidence]


def test_a_training_loss_near_0_is_called_so_where_it_is_some_times_the_best_rates() -> None:
    best = ([*BEST[0][:-1], 0.001], BEST[1])
    tiny = ([2.4, 0.3, 0.1, 0.09, 0.06, 0.05, 0.04, 0.03, 0.02], [2.4, 0.5, *[0.4] * 7])
    found = diagnosed({0.001: [tiny], 0.01: [best], 0.1: [tiny]})
    assert found[0.1] == ("overfitting", "validation loss 0.4, 2 × the best rate's; training loss 0.02 near 0, 20 ×")
    assert found[0.001] == ("too_slow", "validation loss 0.4, 2 × the best rate's")


FALLING = [2.4, 1.6, 1.3, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6]
FLAT = [2.4, 1.5, 0.9, 0.7, *[0.6] * 5]


@pytest.mark.parametrize(
    ("curve", "diagnosis"),
    [
        ((FLAT, FLAT), "good"),  # 3 times the best rate's, and no more than its own training loss
        ((FLAT, [2.4, 1.5, 1.0, 0.95, *[0.95] * 5]), "overfitting"),
        ((FALLING, FALLING), "too_slow"),
    ],
)
def test_who_is_behind_a_lucky_best_has_not_overfitted_for_that(curve: Curve, diagnosis: str) -> None:
    """The best rate's validation loss is far below its training loss."""
    best = ([2.4, *[0.6] * 8], [2.4, *[0.2] * 8])
    assert diagnosed({0.01: [best], 0.1: [curve], 1.0: [LOST]})[0.1][0] == diagnosis


@pytest.mark.parametrize(
    ("above", "diagnosis"), [({}, "too_slow"), ({1.0: [LOST]}, "good")], ids=["the highest", "not the highest"]
)
def test_the_best_at_the_high_edge_that_still_falls_is_not_good(above: dict[float, Any], diagnosis: str) -> None:
    falling = both([2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.2, 1.1, 1.0])
    slower = both([2.4, 2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7, 1.6])
    found = diagnosed({0.01: [slower], 0.1: [falling]} | above)[0.1]
    evidence = "the highest rate tried, validation loss 1, still falling by 29% in the last 3 epochs"
    assert found == (diagnosis, "the best rate, validation loss 1" if above else evidence)


def test_the_best_at_the_high_edge_that_has_come_to_its_end_is_good() -> None:
    done = both([2.4, 1.0, 0.5, 0.3, 0.2, 0.102, 0.101, 0.1005, 0.1])
    slower = both([2.4, 2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7, 1.6])
    assert diagnosed({0.01: [slower], 0.1: [done]})[0.1] == ("good", "the best rate, validation loss 0.1")


def test_where_even_the_best_rate_only_rises_it_overfits() -> None:
    rising = ([2.4, 2.0, 1.5, 1.0, 0.8, 0.6, 0.4, 0.3, 0.2], [2.4, 2.5, 2.6, 2.7, 2.8, 2.9, 3.0, 3.0, 3.0])
    evidence = "validation loss 3, 1.25 × that before training, while training loss fell"
    assert diagnosed({0.01: [rising]})[0.01] == ("overfitting", evidence)


def test_a_rise_with_the_rate_is_a_restart_and_no_swing() -> None:
    """The same losses under a constant rate oscillate."""
    runs, curves = trained({0.01: [both([2.4, 1.0, 0.5, 0.4, *[0.3, 0.5] * 6])]})
    restarts = curves.assign(learning_rate=[np.nan, 0.1, 0.05, 0.1, *[0.05, 0.1] * 6])
    known = about(runs)
    found = [diagnose(rank(runs, known), runs, reading(one), known)["diagnosis"].item() for one in (curves, restarts)]
    assert found == ["oscillating", "good"]


def test_who_is_far_above_chance_while_training_has_not_collapsed() -> None:
    """An epoch's loss is the mean of its batches; the network that it leaves behind may be a good one."""
    runs, curves = trained({0.01: [BEST], 0.1: [both([2.4, 40.0, 5.0, 40.0, 5.0, 40.0, 5.0, 40.0, 5.0])]})
    runs.loc[runs["learning_rate"] == 0.1, "train_loss"] = 0.5
    known = about(runs)
    assert diagnose(rank(runs, known), runs, reading(curves), known)["diagnosis"].tolist() == ["good", "oscillating"]


def test_one_bump_as_of_new_neurons_is_no_swing() -> None:
    bump = both([2.4, 1.0, 0.5, 0.3, 0.2, 0.15, 0.12, 0.5, 0.1])
    assert diagnosed({0.01: [bump]})[0.01][0] == "good"


def test_losses_as_good_as_zero_may_swing() -> None:
    tiny = both([2.4, 1.0, 0.1, 1e-3, 1e-5, 1e-3, 1e-5, 1e-3, 1e-5])
    assert diagnosed({0.01: [tiny]})[0.01] == ("good", "the best rate, validation loss 1e-05")


def test_who_only_knows_the_frequencies_of_unequal_classes_has_collapsed() -> None:
    """Nine of ten rows in one class: the entropy is 0.325, far below ln 2 = 0.693."""
    majority, best = both([0.7, *[0.325] * 8]), both([0.7, 0.5, 0.3, 0.2, 0.15, 0.12, 0.1, 0.1, 0.1])
    label, evidence = diagnosed({0.01: [best], 0.1: [majority]}, n_classes=2, chance=0.325)[0.1]
    assert (label, evidence) == ("collapsed", "the seed ends with a training loss of 0.325, chance is 0.325")


@pytest.mark.parametrize(("standardize", "variance"), [(True, 1.0), (False, 50.0)])
def test_in_regression_chance_is_the_variance(standardize: bool, variance: float) -> None:
    flat, best = both([2 * variance, *[variance] * 8]), both([2 * variance, *np.linspace(variance, 0.3 * variance, 8)])
    runs, curves = trained({0.01: [best], 0.1: [flat]}, standardize=standardize)
    data = {"n_rows": 100, "n_train": 60, "task": "regression", "n_features": 4, "n_classes": 0, "chance": 50.0}
    known = about(runs) | {"datasets": {"digits": data}}
    ranking = rank(runs, known)
    assert diagnose(ranking, runs, reading(curves), known)["diagnosis"].tolist() == ["good", "collapsed"]


def test_chance_is_the_entropy_of_the_classes_or_the_variance_of_the_target() -> None:
    """-(0.9 ln 0.9 + 0.1 ln 0.1) = 0.3251, also where a class has no rows; the variance of 1, 1, 4, 4 is 2.25."""
    x = np.zeros((10, 1))
    classes = RawData(x, np.array([0] * 9 + [2]), "classification", ("a", "b", "c"), "")
    target = RawData(x[:4], np.array([1.0, 1.0, 4.0, 4.0]), "regression", (), "")
    assert [chance(classes), chance(target)] == pytest.approx([0.3251, 2.25], abs=1e-4)


def test_huge_losses_are_unstable() -> None:
    huge = both([2.4, 1e100, 1e200, 1e300, 1e299, 1e300])
    assert diagnosed({0.01: [BEST], 1.0: [huge] * 3})[1.0] == (
        "unstable",
        "all 3 seeds end with a training loss of up to 1e+300, 2.4 untrained",
    )


def test_without_validation_loss_training_loss_is_compared() -> None:
    slow = [2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.2, 1.1, 1.0]
    runs, curves = trained({0.001: [both(slow)], 0.01: [BEST]})
    runs, known = runs.drop(columns="val_loss"), about(runs) | {"objective": "train_loss"}
    ranking = rank(runs, known)
    found = diagnose(ranking, runs, reading(curves.drop(columns="val_loss")), known)
    evidence = "training loss 1, 10 × the best rate's, still falling by 29% in the last 3 epochs"
    assert found.iloc[0].tolist() == ["too_slow", evidence]


def test_a_rate_is_compared_with_the_best_of_its_own_setting() -> None:
    """At width 16 nothing is better than a loss of 1, at width 32 that is five times too much."""
    ones = both([2.4, 2.2, 2.0, 1.8, 1.6, 1.4, 1.2, 1.1, 1.0])
    narrow, wide = trained({0.01: [ones]}, width=16), trained({0.01: [ones], 0.1: [BEST], 1.0: [LOST]}, width=32)
    wide = wide[0].assign(run_id="w" + wide[0]["run_id"]), wide[1].assign(run_id="w" + wide[1]["run_id"])
    runs, curves = (pd.concat(parts, ignore_index=True) for parts in zip(narrow, wide, strict=True))
    known = about(runs)
    found = diagnose(rank(runs, known), runs, reading(curves), known)
    assert found["diagnosis"].tolist() == ["good", "too_slow", "good", "diverged"]


def test_curves_are_those_of_their_runs() -> None:
    """Whatever the order and the lengths; runs without a curve and curves without a run are left out."""
    lengths = {"a": 3, "b": 5, "c": 3, "d": 1, "stranger": 3}
    parts = [
        pd.DataFrame({"run_id": name, "epoch": range(n), "val_loss": np.arange(n) + 10.0 * i})
        for i, (name, n) in enumerate(lengths.items())
    ]
    runs = pd.DataFrame({"run_id": ["c", "crashed", "b", "a", "d"]})
    found = {}
    for at, values in by_length(runs, lambda _: pd.concat(parts), ("val_loss", "missing")):
        assert np.isnan(values[1]).all()
        found |= dict(zip(runs["run_id"].iloc[at], values[0].tolist(), strict=True))
    assert found == {"a": [0, 1, 2], "b": [10, 11, 12, 13, 14], "c": [20, 21, 22], "d": [30]}


def test_no_runs_have_no_diagnosis() -> None:
    runs, curves = trained({0.01: [BEST]})
    known = about(runs)
    assert diagnose(rank(runs, known)[:0], runs[:0], reading(curves[:0]), known).empty


ACCEPTED = {
    37: ("overfitting", "good"),  # validation loss rises by 10% amid noise
    39: ("good", "too_slow"),  # one seed of three is far behind, and with it the mean
    55: ("overfitting", "oscillating"),  # has not come back from its peak yet, and its validation loss never will
}
"""Golden case → its label, and what the diagnosis says instead."""


def test_it_agrees_with_the_labels_of_real_curves() -> None:
    golden = json.loads(GOLDEN.read_text())
    told = enumerate(zip((case["label"] for case in golden["cases"]), said(golden), strict=True))
    assert {i: pair for i, pair in told if pair[0] != pair[1]} == ACCEPTED


def test_the_evidence_is_short() -> None:
    """Even where every number is long."""
    slow = both(np.geomspace(2.345e4, 1.234e3, 1001).tolist())
    best = both(np.geomspace(2.345e4, 1.234e-9, 1001).tolist())
    found = diagnosed({0.00123: [slow, "failed", slow], 0.0123: [best, "failed", best]}, chance=1e4)
    assert [len(evidence) <= LONGEST for _, evidence in found.values()] == [True, True]
    assert found[0.00123] == ("too_slow", "validation loss 1230, over 1000 × the best rate's; 1 of 3 seeds failed")
