"""What the page's figures draw, against the frames that they are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from page_cases import VALLEY, answered, read, three_optimizers, variants
from sweeps_made_up import reading, rows, timings

from lrsweep.analysis.answer import Answer, answer
from lrsweep.analysis.cards import Card, Chart
from lrsweep.report.page import document, page

TIED = {
    0.001: [1.0, 1.5, 1.2],
    0.01: [0.20, 0.60, 0.30],
    0.1: [0.25, 0.50, 0.31],
    0.3: [1.9, 1.8, 1.7],
    1.0: [9.0, 8.0, 7.0],
    10.0: [None] * 3,
}
"""The two best rates differ by less than seeds do; 1 ends worse than untrained, and 10 diverges."""


@pytest.fixture(scope="module", autouse=True)
def little_plotly() -> Iterator[None]:
    """Plotly's script is 5 MB that these tests need not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_plotly", lambda: "const Plotly = {};")
        yield


def drawn(given: Answer, name: str) -> list[dict[str, Any]]:
    """The pictures of a figure on the page."""
    return variants(read(page(given, {}, "")), name)


def traces(picture: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    """The traces of a picture in which all this is so."""
    return [trace for trace in picture["data"] if all(trace.get(key) == value for key, value in wanted.items())]


@pytest.fixture(scope="module")
def tied() -> Answer:
    """One setting, with all that can happen to a rate."""
    return answered(rows(TIED))


@pytest.fixture(scope="module")
def objective(tied: Answer) -> dict[str, Any]:
    """Its figure."""
    [picture] = drawn(tied, "objective")
    return picture


def test_the_mean_line_is_the_ranking() -> None:
    given = three_optimizers()
    [picture] = drawn(given, "objective")
    line = next(trace for trace in picture["data"] if trace.get("name") == "sgd" and trace.get("showlegend"))
    ranked = given.ranking[given.ranking["optimizer"] == "sgd"]
    assert line["x"] == ranked["learning_rate"].tolist()
    means = [value if np.isfinite(value) else None for value in ranked["objective_mean"]]
    assert line["y"] == [value if value is None else pytest.approx(value, rel=1e-4) for value in means]


def test_every_lost_seed_is_marked() -> None:
    [picture] = drawn(three_optimizers(), "objective")
    marks = [trace for trace in picture["data"] if trace.get("marker", {}).get("symbol") == "x"]
    told = sorted(text.split("<br>")[1] for trace in marks for text in trace["hovertext"])
    assert told == ["1 of 3 seeds lost (seed 2)"] * 2 + ["3 of 3 seeds lost (seed 0, 1, 2)"] * 2


def test_the_band_goes_along_the_low_ends_and_back_along_the_high_ones(tied: Answer, objective: dict[str, Any]) -> None:
    [band] = traces(objective, meta="band")
    ranked = tied.ranking[tied.ranking["objective_low"].notna()].sort_values("learning_rate")
    rates, low, high = (ranked[name].tolist() for name in ("learning_rate", "objective_low", "objective_high"))
    floor = 10 ** objective["layout"]["yaxis"]["range"][0] / 10
    assert band["x"] == [*rates, *rates[::-1], None]
    wanted = [*np.maximum(low, floor), *high[::-1]]
    assert band["y"].pop() is None
    assert band["y"] == pytest.approx(wanted, rel=1e-4)


def test_hovering_over_a_mean_tells_its_interval_low_end_first(tied: Answer, objective: dict[str, Any]) -> None:
    [mean] = traces(objective, name="adam", mode="lines+markers")
    row = tied.ranking[tied.ranking["learning_rate"] == 0.3].iloc[0]
    told = f"val_loss 1.80 (95%: {row['objective_low']:.2f} to {row['objective_high']:.2f})"
    assert told in mean["hovertext"][mean["x"].index(0.3)]


def test_ties_reach_to_both_sides_of_the_interval(tied: Answer, objective: dict[str, Any]) -> None:
    [ties] = [trace for trace in traces(objective, yaxis="y3") if trace.get("line", {}).get("width") == 6]
    assert ties["x"] == tied.entries[0]["tie_interval"] == [0.01, 0.1]


def test_unstable_rates_are_shaded_from_half_way_before_the_first(objective: dict[str, Any]) -> None:
    """Half way by ratio: between 0.3 and 1 from √0.3, between 1 and 10 from √10; beyond that all seeds are lost."""
    shades = [(trace["x"][0], trace["x"][1]) for trace in traces(objective, yaxis="y2", fill="toself")]
    assert shades[0] == pytest.approx((0.3**0.5, 10**0.5))
    assert shades[1][0] == pytest.approx(10**0.5)
    [told] = traces(objective, yaxis="y2", mode="text", meta="wide")
    assert told["text"] == ["  unstable from 1, diverged from 10  "]


def test_curves_are_means_over_seeds_each_in_the_panel_of_its_loss(tied: Answer) -> None:
    [picture] = drawn(tied, "curves")
    ids = tied.runs.loc[tied.runs["learning_rate"] == 0.01, "run_id"]
    means = tied.curves[tied.curves["run_id"].isin(ids)].groupby("epoch")[["train_loss", "val_loss"]].mean()
    titles = {one["xref"].split(" ")[0]: one["text"] for one in picture["layout"]["annotations"]}
    assert titles["x"] == "validation loss"
    assert titles["x2"] == "training loss"
    for axis, loss in (("x", "val_loss"), ("x2", "train_loss")):
        [line] = traces(picture, name="0.01", xaxis=axis)
        assert line["yaxis"] == axis.replace("x", "y")
        assert line["x"] == means.index.tolist()
        assert line["y"] == pytest.approx(means[loss].tolist(), rel=1e-4)


def scheduled(noted: dict[float, list[float]]) -> Answer:
    """A sweep of 0.1 and 1, the higher one better, with the rate of each epoch's last step as noted."""
    made = answered(rows({0.1: [0.9], 1.0: [0.5]}))
    curves = made.curves[made.curves["epoch"] < 4].copy()
    curves["learning_rate"] = [one for rate in noted for one in [np.nan, *noted[rate]]]
    return answer(made.runs, reading(curves), timings(made.runs), made.about, made.counts)


def test_the_schedule_is_that_of_the_best_rate_and_changes_where_an_epoch_begins() -> None:
    """The rate that an epoch ends with is drawn from the end of the epoch before to its own."""
    [picture] = drawn(scheduled({0.1: [0.1, 0.05, 0.02], 1.0: [1.0, 0.5, 0.2]}), "curves")
    [line] = traces(picture, xaxis="x3")
    assert (line["x"], line["y"]) == ([0, 1, 2, 3], [1.0, 1.0, 0.5, 0.2])
    assert line["line"]["shape"] == "vh"  # first up or down, then along to the point
    assert "schedule of 1, the best rate" in [one["text"] for one in picture["layout"]["annotations"]]


def without_curves() -> Answer:
    """Two settings, of which the second has no curves, and is lost."""
    made = answered(rows(VALLEY), rows({rate: [None] * 3 for rate in VALLEY}, optimizer="sgd"))
    kept = made.curves[made.curves["run_id"].isin(made.runs.loc[made.runs["optimizer"] == "adam", "run_id"])]
    return answer(made.runs, reading(kept), timings(made.runs), made.about, made.counts)


def test_a_setting_without_curves_leaves_the_others_theirs() -> None:
    first, second = drawn(without_curves(), "curves")
    assert traces(first, name="0.01")
    assert second["data"] == []
    assert second["title"] == "sgd: no curve was stored"


def test_a_setting_that_is_lost_has_a_place_among_the_others() -> None:
    told = read(page(without_curves(), {}, ""))
    assert "sgd" in told.one("section", id="rates").one("table").text
    details = told.all("div", data_part="setting")
    assert [len(one.all("tr", class_="best")) for one in details] == [1, 0]


def test_names_stand_where_they_have_room_or_not_at_all() -> None:
    """A best rate at the low edge with an interval to the high one leaves no room for a name on either side."""
    long = "an_optimizer_with_a_name_that_is_as_long_as_possible"
    wide = {rate: [0.5, 0.8, 0.3] for rate in (0.001, 0.01, 0.1, 1.0)}
    [picture] = drawn(answered(rows(wide, optimizer=long), rows(VALLEY)), "objective")
    names = [trace for trace in traces(picture, yaxis="y3", mode="text") if long[:9] in trace["text"][0]]
    low, high = picture["layout"]["xaxis"]["range"]
    for trace in names:
        along = (np.log10(trace["x"][0]) - low) / (high - low)
        assert (1 - along if trace["textposition"].endswith("right") else along) > 0.3
    assert traces(picture, yaxis="y3", mode="text", meta="wide")


def test_marks_say_which_settings_have_them() -> None:
    [picture] = drawn(three_optimizers(), "objective")
    names = {key["group"]: key["name"] for key in picture["legend"]}
    groups = {mark["name"]: [names[group] for group in mark["groups"]] for mark in picture["marks"]}
    assert sorted(groups["lost seeds"]) == ["adam", "sgd"]
    assert groups["not tried"] == []


def test_lines_of_a_card_that_go_by_numbers_have_a_noun() -> None:
    data = pd.DataFrame({"epoch": [1, 2] * 2, "loss": [0.5, 0.4, 0.3, 0.2], "layer_rate": [0.5, 0.5, 1.0, 1.0]})
    chart = Chart("lines", data, "epoch", "loss", "Finding", "Words of it", "epoch", "loss", by="layer_rate")
    told = replace(three_optimizers(), cards=(Card("epochs", "Finding", charts=[chart]),))
    [picture] = drawn(told, "card-1-1")
    assert [key["name"] for key in picture["legend"]] == ["layer rate 0.5", "layer rate 1"]


def test_lines_of_a_card_stand_beside_each_other_at_a_word() -> None:
    """At the same place their intervals would hide each other; numbers stay where they are."""
    data = pd.DataFrame({"kind": ["a", "b"] * 2, "size": [1, 2] * 2, "loss": 0.5, "low": 0.4, "high": 0.6})
    data["of"] = ["p", "p", "q", "q"]
    charts = [
        Chart("lines", data, x, "loss", "Finding", "Words", x, "loss", by="of", low="low", high="high")
        for x in ("kind", "size")
    ]
    told = replace(three_optimizers(), cards=(Card("kind", "Finding", charts=charts),))
    [by_word], [by_number] = drawn(told, "card-1-1"), drawn(told, "card-1-2")
    assert [one["x"] for one in by_word["data"] if one["hoverinfo"] == "text"] == [[-0.05, 0.95], [0.05, 1.05]]
    assert [one["x"] for one in by_word["data"] if one.get("meta") == "band"][2] == [0.05, 0.05]
    assert by_word["layout"]["xaxis"]["ticktext"] == ["a", "b"]
    assert [one["x"] for one in by_number["data"] if one["hoverinfo"] == "text"] == [[1, 2]] * 2


def test_where_no_run_finished_there_is_no_chart() -> None:
    lost = {rate: [None] * len(values) for rate, values in VALLEY.items()}
    told = read(page(answered(rows(lost, optimizer="sgd"), rows(lost)), {}, ""))
    assert not told.all("figure", id="objective")
    assert "No run finished at any rate." in told.one("section", id="rates").text


def test_what_is_switched_on_is_named_without_what_it_shares() -> None:
    """Eight widths of adam are better than those of sgd."""
    better = [rows(VALLEY, width=width) for width in range(16, 24)]
    worse = {rate: [None if v is None else v + 0.2 for v in values] for rate, values in VALLEY.items()}
    [picture] = drawn(answered(*better, rows(worse, width=16, optimizer="sgd")), "objective")
    names = [key["name"] for key in picture["legend"]]
    assert sorted(names[:8]) == [f"width {width}" for width in range(16, 24)]
    assert "sgd" in names[8]
    assert "named without what they share" in picture["note"]
