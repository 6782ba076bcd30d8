"""The cards of what a sweep dropped early and of what it added, on made-up sweeps whose numbers can be told by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cards_made_up import column, found, said
from scipy.stats import spearmanr
from sweeps_made_up import UNTRAINED, rows

from lrsweep.analysis.cards import Card, Material, deal
from lrsweep.analysis.cards.compare import price
from lrsweep.analysis.cards.standings import boards
from lrsweep.analysis.cards.subset import kept_order
from lrsweep.vocabulary import STOPPED

GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
FINAL = {0.001: 2.0, 0.01: 0.5, 0.1: 0.1, 1.0: 0.2, 10.0: 0.4, 100.0: 0.9, 1000.0: 3.0}
FIRST = {0.001: 9.0, 0.01: 2.0, 0.1: 1.1, 1.0: 1.0, 10.0: 1.2, 100.0: 3.0, 1000.0: math.inf}
SECOND = {0.01: 0.6, 0.1: 0.3, 1.0: 0.32, 10.0: 0.5, 100.0: 1.5}


def setting(gone: Sequence[float] = (), final: Mapping[float, float] = FINAL, **told: Any) -> list[dict[str, Any]]:
    """Runs of two seeds, those at the rates that are gone stopped."""
    return [
        row | {"status": STOPPED, "reason": "rank 5 of 5", "val_loss": None, "train_loss": None}
        if row["learning_rate"] in gone
        else row
        for row in rows({rate: [value, value * 1.1] for rate, value in final.items()}, **told)
    ]


def stage(name: str, after: int, values: Mapping[float, float], kept: Sequence[float], **told: Any) -> pd.DataFrame:
    """What a stage decided, as the store has it; a rate is ranked by its value."""
    order = sorted(values, key=values.__getitem__)
    return pd.DataFrame(
        [
            {
                **{key: value for key, value in told.items() if key not in ("n_train", "n_seeds", "reasons")},
                **{"learning_rate": rate, "stage": name, "stage_epochs": after},
                **{"n_train": told.get("n_train", 1079), "n_seeds": told.get("n_seeds", 2)},
                **{"rank": order.index(rate) + 1, "of": len(values), "value": value},
                "margin": value / values[order[0]] if math.isfinite(value) else math.nan,
                "kept": rate in kept,
                "reason": told.get("reasons", {}).get(rate, "" if rate in kept else f"rank {order.index(rate) + 1}"),
            }
            for rate, value in values.items()
        ]
    )


def halved(**told: Any) -> pd.DataFrame:
    """Two rungs: the first drops 0.001 and 1000, the second 100 and 0.01."""
    return pd.concat(
        [
            stage("rung 1", 3, FIRST, [0.01, 0.1, 1.0, 10.0, 100.0], **told),
            stage("rung 2", 9, SECOND, [0.1, 1.0, 10.0], **told),
        ]
    )


HALVED = (0.001, 0.01, 100.0, 1000.0)


def material(decisions: pd.DataFrame | None, *settings: list[dict[str, Any]], **told: Any) -> Material:
    known = {key: told.pop(key) for key in ("spent",) if key in told}
    made = found(*([{**row, "epochs": 27, **row} for row in one] for one in settings), **told)
    return replace(made, decisions=decisions, **known)


def card(axis: str, made: Material) -> Card:
    return {one.axis: one for one in deal(made)}[axis]


def eliminated(spent: float | None = 0.284) -> Card:
    return card("elimination", material(halved(), setting(HALVED), spent=spent))


def test_without_decisions_there_is_no_card() -> None:
    for decisions in (None, halved().iloc[:0]):
        assert not any(one.axis == "elimination" for one in deal(material(decisions, setting())))


def test_the_title_tells_what_was_saved_and_how_many_rates_went() -> None:
    told = "With halving the sweep took 28% of the full grid's training: 4 of 7 rates went before their end."
    assert eliminated().title == told
    assert eliminated(spent=None).title == "With halving 4 of 7 rates went before their end."


def test_runs_that_are_more_than_the_grid_are_not_called_the_grid() -> None:
    made = material(halved(), setting(HALVED), spent=0.5)
    one = {"setting": {}, "rates": [100000.0], "why": "extend"}
    told = card("elimination", replace(made, about={**made.about, "additions": [one]})).title
    assert told.startswith("With halving the sweep took 50% of what all its runs would take in full: ")


def test_each_stage_tells_which_rates_it_dropped_and_their_ranks() -> None:
    told = "Rung 1 (3 epochs) dropped 0.001 and 1000 (ranks 6 to 7 of 7), rung 2 (9 epochs) dropped 0.01 and 100"
    assert f"{told} (ranks 4 to 5 of 5)." in eliminated().sentences


def test_a_rate_that_was_lost_before_it_was_dropped_is_not_counted_as_dropped() -> None:
    """1000 diverged, whatever the rung said of it afterwards."""
    diverged = [row | {"status": "diverged"} if row["learning_rate"] == 1000 else row for row in setting(HALVED)]
    told = card("elimination", material(halved(), diverged))
    assert "3 of 7 rates" in told.title
    assert "dropped 0.001 (rank 6 of 7)" in said(told)


def test_a_sample_tells_its_size_and_its_reasons() -> None:
    reasons = dict.fromkeys((0.001, 0.01), "hardly moved") | {1000.0: "exploded"}
    decisions = stage("screen", 2, FIRST, [0.1, 1.0, 10.0, 100.0], n_train=108, n_seeds=1, reasons=reasons)
    told = card("elimination", material(decisions, setting((0.001, 0.01, 1000.0)), spent=0.5))
    assert told.title.startswith("With screening the sweep took 50%")
    sentence = "The sample (108 rows, 2 epochs, 1 seed) dropped 0.001 to 0.01 (hardly moved); 1000 (exploded)."
    assert sentence in told.sentences


def test_the_correlation_is_that_of_the_rates_trained_in_full() -> None:
    """By SciPy; the rate that was dropped has no final place, however good it was at the rung."""
    decisions = stage("rung 1", 3, FIRST, [0.01, 0.1, 1.0, 10.0, 100.0])
    told = card("elimination", material(decisions, setting((0.001, 1000.0))))
    kept = [0.01, 0.1, 1.0, 10.0, 100.0]
    by_hand = spearmanr([FIRST[rate] for rate in kept], [FINAL[rate] for rate in kept]).statistic
    assert column(told, "Spearman") == [pytest.approx(by_hand, abs=1e-6)]
    assert column(told, "over") == [5]
    assert f"{by_hand:.2f} (5 rates) at rung 1" in said(told)


def test_of_scores_the_order_is_by_the_highest() -> None:
    scores = {rate: 1 - value / 10 for rate, value in FINAL.items()}
    decisions = stage("rung 1", 3, scores, [0.01, 0.1, 1.0, 10.0, 100.0])
    made = [row | {"val_accuracy": scores[row["learning_rate"]]} for row in setting((0.001, 1000.0))]
    for objective, sign in (("val_accuracy", 1), ("val_loss", -1)):
        told = card("elimination", material(decisions, made, objective=objective))
        assert column(told, "Spearman") == [pytest.approx(sign)]


def test_settings_of_several_datasets_are_told_apart() -> None:
    runs = [setting(HALVED, dataset=name) for name in ("iris", "wine")]
    told = card("elimination", material(pd.concat([halved(dataset="iris"), halved(dataset="wine")]), *runs))
    assert "With iris: rung 1" in said(told)


def test_too_few_rates_trained_in_full_correlate_with_nothing() -> None:
    told = eliminated()
    assert all(math.isnan(value) if value is not None else True for value in column(told, "Spearman"))
    assert "cannot be told: fewer than 4 rates of a stage were trained in full." in said(told)


def test_the_rate_that_came_nearest_to_staying_is_told() -> None:
    """0.01 was at 2 times the leader of the second rung, the others farther behind that of theirs."""
    assert "Nearest to staying was 0.01: its val_loss was 2.00 times the leader's at rung 2." in eliminated().sentences


def test_a_dropped_rate_that_was_trained_in_full_after_all_is_no_loss() -> None:
    told = card("elimination", material(halved(), setting((0.001, 0.01, 1000.0))))
    assert "3 of 7 rates" in told.title
    assert "Dropped, but trained in full by a run with other elimination or none: 100." in told.sentences
    assert "The best rate is not among them: elimination kept it." in told.sentences
    assert [one["dropped_but_trained"] for one in told.numbers["settings"][0]["stages"]] == [[], [100.0]]


def test_where_all_that_was_dropped_is_trained_in_full_it_is_checked() -> None:
    """0.001 to 0.01 and 100 to 1000 went in the rungs, and finished in a run without these."""
    told = card("elimination", material(halved(), setting(), spent=1.01))
    end = "4 of 7 rates were dropped, and then trained in full anyhow."
    assert told.title == f"With halving the sweep took 101% of the full grid's training: {end}"
    assert "none" not in told.title
    best = FINAL | {100.0: 0.01}
    missed = card("elimination", material(halved(), setting(final=best))).sentences
    assert "The best rate is among them, so elimination alone would have missed it: 100." in missed
    runs = [setting(optimizer="adam"), setting(final=best, optimizer="sgd")]
    both = pd.concat([halved(optimizer="adam"), halved(optimizer="sgd")])
    told = card("elimination", material(both, *runs))
    said = "The best rate is among them in 1 of 2 settings, so elimination alone would have missed it: 100 with sgd."
    assert said in told.sentences
    assert "lost 0" not in " ".join(told.sentences)


def test_rates_that_extending_took_up_are_told_from_those_of_another_run() -> None:
    more = added(([100.0], "extend"))
    told = card("elimination", material(halved(), setting((0.001, 1000.0)), additions=more)).sentences
    assert "Dropped, but trained in full as the best was next to them: 100." in told
    assert "Dropped, but trained in full by a run with other elimination or none: 0.01." in told


def test_a_score_that_reads_like_the_leaders_is_level_with_it() -> None:
    scores = {rate: 0.9 - (0.0001 if rate == 10.0 else 0.3 * (rate != 1.0)) for rate in GRID}
    decisions = stage("rung 1", 3, {rate: -value for rate, value in scores.items()}, [1.0])
    decisions = decisions.assign(value=-decisions["value"], margin=0.9 + decisions["value"])
    made = [row | {"val_accuracy": scores[row["learning_rate"]]} for row in setting([r for r in GRID if r != 1.0])]
    told = card("elimination", material(decisions, made, objective="val_accuracy"))
    assert "Nearest to staying was 10: its val_accuracy was level with the leader's at rung 1." in told.sentences


def test_a_correlation_of_few_rates_is_a_detail() -> None:
    """The page and JSON have it; with 5 rates trained in full the summary, too."""
    for gone, several in (((0.001, 1000.0), True), ((0.001, 100.0, 1000.0), False)):
        told = card("elimination", material(stage("rung 1", 3, FIRST, [0.01, 0.1, 1.0, 10.0]), setting(gone)))
        [line] = [line for line in told.document()["sentences"] if line.startswith("Spearman")]
        assert (line in told.sentences, line in told.details) == (several, not several)


def test_a_heat_map_leaves_dropped_rates_without_a_colour() -> None:
    """A lost rate has that of the untrained loss."""
    heats = []
    for gone in ((0.001, 0.01), ()):
        runs = [row for width in (16, 64) for row in setting(gone, width=width)]
        lost = [row | {"status": "diverged", "val_loss": None} if row["learning_rate"] == 1000 else row for row in runs]
        heats.append({one.axis: one for one in deal(found(lost))}["width"].charts[1])
    some, none = (heat.data[heat.data["size"] == 16] for heat in heats)
    assert some["objective"].isna().tolist() == some["dropped"].tolist() == [True, True, *[False] * 5]
    assert some["objective"].iloc[-1] == pytest.approx(UNTRAINED)
    assert not none["dropped"].any()
    assert ["ring" in heat.words for heat in heats] == [True, False]


def test_the_table_has_a_row_for_each_setting_and_stage() -> None:
    runs = [setting(HALVED, optimizer="sgd"), setting(HALVED, {r: v / 2 for r, v in FINAL.items()}, optimizer="adam")]
    both = pd.concat([halved(optimizer="sgd"), halved(optimizer="adam")])
    told = card("elimination", material(both, *runs))
    assert column(told, "optimizer") == ["adam", "adam", "sgd", "sgd"]
    assert column(told, "stage") == ["rung 1", "rung 2"] * 2
    assert column(told, "rates") == [7, 5, 7, 5]
    assert column(told, "kept") == [5, 3, 5, 3]
    assert column(told, "leader") == [1.0, 0.1, 1.0, 0.1]
    assert "8 of 14 rates in 2 settings" in told.title
    assert "Each setting lost 4 rates." in told.sentences


def test_a_setting_is_known_by_its_epochs_too() -> None:
    """The epochs of a stage are not those of the setting."""
    runs = [setting(HALVED, epochs=epochs) for epochs in (20, 40)]
    both = pd.concat([halved(epochs=20), halved(epochs=40)])
    told = card("elimination", material(both, *runs))
    assert column(told, "epochs") == [20, 20, 40, 40]
    assert column(told, "stage epochs") == [3, 9, 3, 9]


def test_how_far_each_rate_was_trained_is_drawn() -> None:
    """As a share of 27 epochs on all rows; the best setting is the last, which stands on top."""
    runs = [setting(HALVED, optimizer="sgd"), setting(HALVED, {r: v / 2 for r, v in FINAL.items()}, optimizer="adam")]
    both = pd.concat([halved(optimizer="sgd"), halved(optimizer="adam")])
    lines, cells = card("elimination", material(both, *runs)).charts
    assert cells.data["setting"].tolist() == ["sgd"] * 7 + ["adam"] * 7
    shares = [3 / 27, 9 / 27, 1.0, 1.0, 1.0, 9 / 27, 3 / 27]
    assert cells.data["share"].tolist()[:7] == pytest.approx(shares)
    assert set(lines.data["stage"]) == {"rung 1, 3 epochs", "rung 2, 9 epochs", "in full"}
    assert lines.data["value"].max() < 3 * UNTRAINED  # of the lost rate and of the exploded one nothing is drawn


def test_a_rate_that_was_dropped_elsewhere_is_not_lost_there() -> None:
    """Its price is that of the nearest rate that was trained in full."""
    [board] = boards(found(setting(HALVED, width=16), setting([*HALVED, 1.0], width=64)))
    cost = price(board, 1.0, board.standings[1])
    assert cost is not None
    assert (cost.rate, cost.nearest, cost.n_lost) == (0.1, True, 0)


def test_rates_that_one_size_dropped_are_left_out_where_orders_are_compared() -> None:
    reverse = {rate: 1 / value for rate, value in FINAL.items()} | {100.0: 0.01, 1000.0: 0.001}
    [board] = boards(found(setting((100.0, 1000.0), subset=0.1), setting(final=reverse, subset=1.0)))
    small, large = board.standings
    kept = [rate for rate in GRID if rate < 100]
    by_hand = spearmanr([FINAL[rate] for rate in kept], [reverse[rate] for rate in kept]).statistic
    assert kept_order(small, large)[0] == pytest.approx(by_hand)


def test_a_highest_stable_rate_below_dropped_ones_is_a_lower_bound() -> None:
    [board] = boards(found(setting(HALVED, width=16), setting(width=64)))
    assert [one.stable_to for one in board.standings] == [(10.0, True), (100.0, False)]


def added(*additions: tuple[Sequence[float], str], setting_: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    return [{"setting": dict(setting_ or {}), "rates": [*rates], "why": why} for rates, why in additions]


def test_rates_beyond_an_edge_are_told_with_their_number_and_end() -> None:
    more = added(([100.0], "extend"), ([1000.0], "extend"))
    told = card("extend", material(None, setting(), additions=more))
    assert told.title == "Extended upwards by 2 rates to 1000, until the best was bracketed (4 runs)."
    assert told.numbers["settings"][0]["rates"] == [100.0, 1000.0]


def test_a_best_rate_that_stays_at_the_edge_is_said_to() -> None:
    falling = {rate: 1 / (i + 1) for i, rate in enumerate(GRID)}
    told = card("extend", material(None, setting(final=falling), additions=added(([100.0, 1000.0], "extend"))))
    assert told.title == "Extended upwards by 2 rates to 1000, but the best is still at the edge (4 runs)."


def test_rates_that_extending_took_up_again_are_told_apart() -> None:
    decisions = stage("screen", 2, FIRST, [0.01, 0.1, 1.0], n_train=108)
    more = added(([10.0], "extend"))
    told = card("extend", material(decisions, setting((0.001, 100.0, 1000.0)), additions=more))
    assert told.title.startswith("Extended upwards by 1 rate to 10, which had been dropped")
    assert column(told, "rates before") == [(0.01, 1.0)]


def test_refining_tells_the_interval_before_and_after() -> None:
    """With a rate at a third of a decade to each side of the best one in place of a whole one."""
    spread = {0.01: 0.5, 0.0464: 0.16, 0.1: 0.1, 0.215: 0.15, 1.0: 0.4}
    random = np.random.default_rng(0)
    runs = rows({rate: (value * (1 + 0.02 * random.standard_normal(4))).tolist() for rate, value in spread.items()})
    made = material(None, runs, additions=added(([0.0464, 0.215], "refine")), refine={"decades": 0.2, "max_rates": 6})
    told = card("refine", made)
    [one] = told.numbers["settings"]
    after = made.recommendation["settings"][0]["fitted_interval"]
    assert one["fitted_interval"] == pytest.approx(after)
    before, now = (math.log10(high / low) for low, high in (one["fitted_interval_before"], after))
    assert before > 1.2 * now
    assert f"interval went from {before:.2g} to {now:.2g} decades" in told.title
    assert told.title.startswith("Refined by 2 rates round the fitted one (8 runs)")
    assert ("was asked for" in told.title) == (now > 0.2)


def test_cards_of_several_settings_name_each() -> None:
    more = [one for name in ("adam", "sgd") for one in added(([100.0, 1000.0], "extend"), setting_={"optimizer": name})]
    told = card("extend", material(None, setting(optimizer="adam"), setting(optimizer="sgd"), additions=more))
    assert told.title == "Extended 2 settings by 4 rates (8 runs): the best is bracketed in all of them."
    assert told.sentences == ["Upwards by 2 rates to 1000 with adam; upwards by 2 rates to 1000 with sgd."]


def test_the_cards_of_the_search_follow_those_of_the_axes() -> None:
    more = added(([1000.0], "extend"), setting_={"optimizer": "adam"})
    both = pd.concat([halved(optimizer="adam"), halved(optimizer="sgd")])
    runs = [setting(HALVED, optimizer="adam"), setting(HALVED, optimizer="sgd")]
    noisy = [[{**row, "noisy_accuracy@0.5": 0.8} for row in one] for one in runs]
    order = [one.axis for one in deal(material(both, *noisy, additions=more))]
    assert order == ["optimizer", "elimination", "extend", "noise"]
