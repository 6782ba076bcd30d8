"""The cost of a rate is the first epoch at which the mean of its seeds is as good as the best rate ends.

Expected numbers are worked out by hand, or by a loop over runs and epochs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sweeps_made_up import Curve, about, frame, reading, rows, timings, trained

from lrsweep.analysis.cost import COSTS, cost, cost_sentences
from lrsweep.analysis.ranking import rank

NEVER = float("nan")


def both(losses: Sequence[float]) -> Curve:
    """A curve whose validation loss is its training loss."""
    return losses, losses


def costs(by_rate: Mapping[float, Sequence[Curve | str]], **told: Any) -> pd.DataFrame:
    """The costs of made-up runs, by rate; every run took a second."""
    runs, curves = trained(by_rate)
    known = about(runs, **told)
    ranking = rank(runs, known)
    return cost(ranking, runs, reading(curves), timings(runs), known).set_index(ranking["learning_rate"])


def scores(by_rate: Mapping[float, Sequence[float]], objective: str = "val_accuracy") -> pd.DataFrame:
    """The costs of rates of one seed, from the curve of a score."""
    runs = frame(rows({rate: [curve[-1]] for rate, curve in by_rate.items()}, objective)).assign(val_loss=0.5)
    parts = [
        pd.DataFrame({"run_id": run_id, "epoch": range(len(curve)), "step": range(len(curve)), objective: curve})
        for run_id, curve in zip(runs["run_id"], by_rate.values(), strict=True)
    ]
    known = about(runs, objective=objective)
    ranking = rank(runs, known)
    return cost(ranking, runs, reading(pd.concat(parts)), timings(runs), known).set_index(ranking["learning_rate"])


def test_the_target_is_five_percent_above_the_best_rates_final_loss() -> None:
    """The best rate ends at 1.00 and is within 1.05 in epoch 3; another gets there in epoch 2, the last one never."""
    found = costs(
        {
            0.001: [both([2.0, 1.9, 1.8, 1.7, 1.06])],
            0.01: [both([2.0, 1.5, 1.06, 1.04, 1.0])],
            0.1: [both([2.0, 1.2, 1.05, 1.3, 1.4])],
        }
    )
    assert found["epochs_to_target"].tolist() == pytest.approx([NEVER, 3, 2], nan_ok=True)


def test_it_is_the_mean_over_seeds_that_has_to_get_there() -> None:
    """Means 2, 1.5, 1.05, 1.0 although each seed for itself is there in epoch 1 or never."""
    seeds = [both([2.0, 1.0, 0.9, 0.8]), both([2.0, 2.0, 1.2, 1.2])]
    assert costs({0.01: seeds})["epochs_to_target"].tolist() == [2]


def test_what_the_epochs_are_in_steps_examples_and_seconds() -> None:
    """2 of 4 epochs, of 10 steps, 1,079 rows and a quarter of a second each."""
    found = costs({0.01: [both([2.0, 1.5, 1.04, 1.02, 1.0])] * 2})
    assert found.iloc[0].to_dict() == dict(zip(COSTS, (2, 20, 2158, 0.5, 1.0), strict=True))


def test_a_lost_seed_never_gets_there() -> None:
    lost, quick = both([2.0, np.nan]), both([2.0, 0.5, 0.5])
    found = costs({0.01: [both([2.0, 1.2, 1.0])] * 2, 0.1: [quick, lost], 1.0: [quick, "crashed"]})
    assert found["epochs_to_target"].tolist() == pytest.approx([2, NEVER, NEVER], nan_ok=True)


def test_no_target_is_known_where_the_best_rate_has_lost_seeds() -> None:
    lost = both([2.0, np.nan])
    assert costs({0.01: [both([2.0, 1.0]), lost], 0.1: [lost, lost]})["epochs_to_target"].isna().all()


def test_each_setting_has_its_own_target() -> None:
    """The losses of the wide one would be too much for the narrow one."""
    narrow = trained({0.01: [both([3.0, 2.5, 2.04, 2.0])]}, width=16)
    wide = trained({0.01: [both([3.0, 2.0, 1.04, 1.0])], 0.1: [both([3.0, 2.0, 2.0, 2.0])]}, width=32)
    wide = wide[0].assign(run_id="w" + wide[0]["run_id"]), wide[1].assign(run_id="w" + wide[1]["run_id"])
    runs, curves = (pd.concat(parts, ignore_index=True) for parts in zip(narrow, wide, strict=True))
    known = about(runs)
    found = cost(rank(runs, known), runs, reading(curves), timings(runs), known)
    assert found["epochs_to_target"].tolist() == pytest.approx([2, 2, NEVER], nan_ok=True)


def test_the_best_epoch_is_the_target_where_it_is_selected() -> None:
    """The lowest mean is 1.0; the curve ends at 1.5, which it is below from epoch 1 on."""
    runs, curves = trained({0.01: [both([2.0, 1.4, 1.0, 1.5])]})
    runs = runs.assign(best_val_loss=1.0)
    found = {}
    for select in ("final", "best"):
        known = about(runs, select=select)
        found[select] = cost(rank(runs, known), runs, reading(curves), timings(runs), known)["epochs_to_target"].item()
    assert found == {"final": 1, "best": 2}


@pytest.mark.parametrize(
    ("objective", "curve", "epochs"),
    [
        ("val_accuracy", [0.1, 0.854, 0.856, 0.9], 2),  # 0.95 × 0.9 = 0.855
        ("val_r2", [-1.0, -0.22, -0.205, -0.2], 2),  # -0.2 - 0.01 = -0.21
        ("val_r2", [-1.0, -0.5, -0.008, 0.001], 2),  # 0.001 - 0.01 = -0.009
    ],
)
def test_a_score_is_within_five_percent_or_a_hundredth(objective: str, curve: list[float], epochs: int) -> None:
    assert scores({0.01: curve}, objective)["epochs_to_target"].tolist() == [epochs]


def test_validation_loss_stands_in_for_an_objective_without_a_curve() -> None:
    """By F1 the higher rate is best; its loss ends at 1.0, where the other one is in epoch 1."""
    runs, curves = trained({0.01: [both([2.0, 1.0, 0.9])], 0.1: [both([2.0, 1.1, 1.0])]})
    runs = runs.assign(val_macro_f1=[0.8, 0.9])
    known = about(runs, objective="val_macro_f1")
    found = cost(rank(runs, known), runs, reading(curves), timings(runs), known)
    assert found["epochs_to_target"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("seconds", "mean"),
    [([1.0, 3.0], 2.0), ([0.0, 3.0], 3.0), ([np.nan, 3.0], 3.0), ([0.0, 0.0], NEVER), (None, NEVER)],
)
def test_seconds_are_of_the_runs_that_were_timed(seconds: list[float] | None, mean: float) -> None:
    runs, curves = trained({0.01: [both([2.0, 1.0, 1.0])] * 2})
    noted = timings(runs)[["run_id"]] if seconds is None else timings(runs).assign(seconds=seconds)
    known = about(runs)
    found = cost(rank(runs, known), runs, reading(curves), noted, known).iloc[0]
    assert found[["seconds_mean", "seconds_to_target"]].tolist() == pytest.approx([mean, mean / 2], nan_ok=True)


def test_it_is_what_a_loop_over_runs_and_epochs_finds() -> None:
    rng = np.random.default_rng(0)
    curves = {rate: 1 + rng.random((3, 9)) / np.arange(1, 10) for rate in (0.001, 0.01, 0.1, 1.0)}
    means = {rate: [sum(seed[epoch] for seed in seeds) / 3 for epoch in range(9)] for rate, seeds in curves.items()}
    target = 1.05 * min(mean[-1] for mean in means.values())
    expected = [next((i for i, value in enumerate(mean) if value <= target), NEVER) for mean in means.values()]
    found = costs({rate: [both(seed.tolist()) for seed in seeds] for rate, seeds in curves.items()})
    assert found["epochs_to_target"].tolist() == pytest.approx(expected, nan_ok=True)
    assert len({*expected}) > 2  # else it would not tell much


def sentences(epochs: Sequence[float], best: int, objective: str = "val_loss", **columns: Any) -> list[str]:
    """What is said of rates 0.001, 0.01, … that take so many epochs of 1,000 examples."""
    told = pd.DataFrame({"learning_rate": 10.0 ** np.arange(-3, len(epochs) - 3), "epochs_to_target": epochs})
    told = told.assign(
        rank=[1 if i == best else 2 for i in range(len(epochs))],
        examples_to_target=told["epochs_to_target"] * 1000,
        seconds_to_target=told["epochs_to_target"] * 0.00456,
        epochs=20,
        n_stopped=0,
    )
    return cost_sentences(told.assign(**columns), objective)


@pytest.mark.parametrize(
    ("epochs", "best", "said"),
    [
        ([9.0], 0, []),
        ([14.0, 9.0, 8.0], 1, ["The next rate below, 0.001, takes 14 (1.6 × as long); the next above, 0.1, takes 8."]),
        ([9.0, 14.0], 0, ["The next rate above, 0.01, takes 14 (1.6 × as long)."]),
        ([NEVER, 9.0, NEVER, NEVER], 1, ["0.001 and 0.1 to 1 do not get there in 20 epochs."]),
        ([9.0, NEVER], 0, ["0.01 does not get there in 20 epochs."]),
        (
            [9.0, 9.0, 7.0, 3.0],
            1,
            ["The next rate below, 0.001, takes 9; the next above, 0.1, takes 7; the fastest, 1, takes 3."],
        ),
    ],
)
def test_the_sentences_tell_what_a_second_best_rate_would_have_cost(
    epochs: list[float], best: int, said: list[str]
) -> None:
    use = f"At {10.0 ** (best - 3):g} val_loss is within 5% of its final value after 9 epochs"
    assert sentences(epochs, best) == [f"{use} (9,000 examples, 41 ms).", *said]


def test_the_sentences_tell_which_value_of_which_curve_is_meant() -> None:
    untimed = {"seconds_to_target": NEVER}
    assert sentences([1.0], 0, "best_val_accuracy", **untimed) == [
        "At 0.001 val_accuracy is within 5% of its best value after 1 epoch (1,000 examples)."
    ]
    assert sentences([1.0], 0, "test_accuracy", **untimed) == [
        "At 0.001 val_loss (test_accuracy has no curve) is within 5% of its final value after 1 epoch (1,000 examples)."
    ]


def test_nothing_is_said_where_the_best_rate_has_no_cost() -> None:
    assert sentences([3.0, NEVER], 1) == []


def test_nothing_is_said_where_the_best_rate_learned_nothing() -> None:
    """An untrained network is at the target already, or chance is."""
    assert sentences([0.0, 3.0], 0) == []
    for diagnosis, some in (("collapsed", False), ("unstable", False), ("good", True)):
        assert bool(sentences([2.0, 3.0], 0, diagnosis=diagnosis)) == some
