"""The range test's card, and the files that it is made from: read back as they were, matched to the right settings."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cards_made_up import column, found, said, valley
from sweeps_made_up import rows

from lrsweep.analysis.cards import Card
from lrsweep.analysis.cards.range_test import plain, range_test_cards
from lrsweep.analysis.ranges import RULES
from lrsweep.store import read_ranges, write_ranges
from lrsweep.vocabulary import StoreError

SEEDS = (0.0, 0.05)
ADAM, SGD = rows(valley(-2, seeds=SEEDS)), rows(valley(-1, seeds=SEEDS), optimizer="sgd")
"""Sweeps from 0.0001 to 1 with their best rates at 0.01 and 0.1."""

RATES = [10.0 ** (-3 + i / 20) for i in range(100)]


def row(interval: tuple[float, float] | None, optimizer: str = "adam", **told: Any) -> dict[str, Any]:
    """A row of ranges.csv; its rules say 0.01, but for the minimum, which says 1."""
    low, high = interval or (None, None)
    middle = math.sqrt(low * high) if low and high else None
    return {
        **{"dataset": "digits", "optimizer": optimizer, "layers": None, "interval_low": low, "interval_high": high},
        **{"suggestion": middle, **dict.fromkeys(RULES, 0.01), "minimum": 1.0, "disagreement_decades": 2.0},
        **{"trust": "high" if interval else "none", "reason": "it is flat", **told},
    }


def card(*ranges: dict[str, Any], sweep: list[list[dict[str, Any]]] | None = None) -> Card:
    """The card of a made-up sweep, its ramps 1 and 3 in the first two seeds at every rate."""
    ramps = [
        {"optimizer": one["optimizer"], "layers": one["layers"], "seed": seed, "learning_rate": rate}
        | {"loss": 2.0, "smoothed": 1.0 + 2 * seed if rate < 1 else None}
        for one in ranges
        for seed in (0, 1)
        for rate in RATES
    ]
    tables = {"ranges": pd.DataFrame(ranges), "ramps": pd.DataFrame(ramps)}
    [one] = range_test_cards(replace(found(*(sweep or [ADAM, SGD])), **tables))
    return one


def test_a_sweep_without_range_test_has_no_card() -> None:
    assert range_test_cards(found(ADAM, SGD)) == ()


def test_it_says_in_how_many_settings_the_best_rate_is_inside() -> None:
    one = card(row((0.001, 0.03)), row((0.2, 1.0), "sgd"))
    assert one.title == "The sweep's best rate lies in the range test's interval in 1 of 2 settings."
    assert "sgd: the sweep's best rate, 0.1, is 0.3 decades below it (0.2 to 1)." in one.sentences
    assert (column(one, "inside"), column(one, "sweep's best")) == (["yes", "no"], [0.01, 0.1])


def test_with_one_setting_it_gives_the_rates() -> None:
    one = card(row((0.001, 0.03)), sweep=[ADAM])
    assert one.title == "The range test proposes 0.001 to 0.03; the sweep's best rate, 0.01, is in it."
    assert one.sentences[0] == (
        "Within half a decade of the sweep's best rate: the suggestion, valley, slide, steep, pytorch-lr-finder and "
        "lightning."
    )


def test_above_is_told_as_well() -> None:
    assert "0.5 decades above it" in card(row((0.0005, 0.00316)), sweep=[ADAM]).title
    assert "is just above it" in card(row((0.0005, 0.0099)), sweep=[ADAM]).title


def test_a_sweep_of_the_interval_alone_says_nothing_of_it() -> None:
    """Its best rate lies inside whatever it is."""
    one = card(row((0.0001, 1.0)), sweep=[ADAM])
    assert one.title == "The range test proposes 0.0001 to 1."
    assert "No rate beyond the interval was tried, so the sweep says nothing of its ends there." in one.sentences
    one = card(row((0.0001, 1.0)), row((0.01, 1.0), "sgd"))
    assert one.title == "The range test proposes 0.01 to 1 for sgd; the sweep's best rate, 0.1, is in it."
    assert "No rate beyond the interval was tried in 1 setting, so the sweep" in said(one)


def test_rates_beyond_one_end_are_enough_to_tell() -> None:
    assert "is in it" in card(row((0.00001, 0.03)), sweep=[ADAM]).title
    assert "is in it" in card(row((0.001, 3.0)), sweep=[ADAM]).title


def test_how_often_each_rule_is_near() -> None:
    """Within half a decade of 0.01 and 0.1: the suggestions 0.01 and 0.1 twice, 0.01 once, 1 never."""
    one = card(row((0.001, 0.1)), row((0.01, 1.0), "sgd"))
    assert "of 2 settings: the suggestion in 2, valley in 1, slide in 1," in said(one)
    assert "minimum in 0." in said(one)


def test_where_nothing_was_found_it_says_why() -> None:
    one = card(row(None), row(None, "sgd"))
    assert one.title == "The range test found no interval of usable rates in 2 settings."
    assert "sgd: trust none, since it is flat." in one.sentences
    assert column(one, "interval") == [None, None]


def test_layers_are_in_the_table_and_do_not_count() -> None:
    one = card(row((0.001, 0.03)), row((0.1, 1.0), layers="first"), row((0.1, 1.0), layers="last"), sweep=[ADAM])
    assert column(one, "layers") == ["all", "first", "last"]
    assert column(one, "inside") == ["yes", None, None]
    assert one.title.startswith("The range test proposes 0.001 to 0.03; ")


def test_rows_of_settings_that_the_sweep_is_without_are_left_out() -> None:
    one = card(row((0.001, 0.03)), row((0.1, 1.0), "lion"), row((0.1, 1.0), "sgd", dataset="iris"))
    assert column(one, "setting") == ["adam"]
    assert "ranges.csv has 2 rows more, of settings that the sweep is without." in one.sentences
    ranges = pd.DataFrame([row((0.1, 1.0), "lion")])
    assert range_test_cards(replace(found(ADAM, SGD), ranges=ranges, ramps=pd.DataFrame())) == ()


def test_the_chart_has_mean_and_range_over_seeds_where_all_seeds_are() -> None:
    [chart] = card(row((0.001, 0.03)), row((0.1, 1.0), "sgd")).charts
    assert list(dict.fromkeys(chart.data["setting"])) == ["adam", "sgd"]
    assert chart.data[["loss", "low", "high"]].drop_duplicates().to_numpy().tolist() == [[2.0, 1.0, 3.0]]
    assert chart.data["learning_rate"].max() < 1
    assert chart.data.groupby("setting").size().max() <= 40


def test_the_numbers_are_plain() -> None:
    [first, second] = card(row((0.001, 0.03)), row(None, "sgd")).numbers["settings"]
    assert first["setting"] == {"optimizer": "adam"}
    assert (first["interval"], first["inside"], first["tried_beyond"]) == ([0.001, 0.03], True, True)
    assert (second["interval"], second["inside"], second["tried_beyond"]) == (None, None, False)


# The files


@pytest.mark.parametrize("value", [64, 0.5, True, False, "1", "{decay: 0.5}", "=adam", "-x", "full", None, "0.1 1"])
def test_a_value_is_matched_after_it_was_written_and_read(value: Any, tmp_path: Path) -> None:
    table: dict[str, list[Any]] = {"key": [value], "layers": [None], "interval_low": [0.1], "interval_high": [1.0]}
    table |= {"suggestion": [0.3], "trust": ["high"], "reason": ["=because"]}
    ramps: dict[str, list[Any]] = {name: [1] for name in ("layers", "seed", "learning_rate", "loss", "smoothed")}
    write_ranges(tmp_path, table, ramps)
    ranges, _ = read_ranges(tmp_path)
    assert ranges is not None
    assert plain(ranges["key"][0]) == plain(value)
    assert ranges["reason"][0] == "=because"


def test_both_files_or_none(tmp_path: Path) -> None:
    assert read_ranges(tmp_path) == (None, None)
    (tmp_path / "ranges.csv").write_text("layers\n")
    assert read_ranges(tmp_path) == (None, None)


@pytest.mark.parametrize("content", [b"", b"optimizer,layers\nadam,\n", b"\xff\xfe\x00", b'"'])
def test_a_damaged_file_is_told(content: bytes, tmp_path: Path) -> None:
    for name in ("ranges.csv", "ramps.csv"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StoreError, match=r"ranges.csv .*; remove it, and lrsweep find writes it anew"):
        read_ranges(tmp_path)
