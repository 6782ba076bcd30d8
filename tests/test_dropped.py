"""Rates that were dropped before their end, as the terminal and the page show them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from page_cases import EPOCHS, Element, curves, read, variants
from summaries import printed, table
from sweeps_made_up import about, counts, frame, reading, rows, timings

from lrsweep.analysis.answer import Answer, answer
from lrsweep.report import drawing
from lrsweep.report.page import document, page
from lrsweep.vocabulary import STOPPED

GRID = (0.001, 0.01, 0.1, 1.0, 10.0, 100.0)
LOSSES = {0.001: 1.0, 0.01: 0.5, 0.1: 0.1, 1.0: 0.4, 10.0: 1.2}
RUNG = 3
WHY = "rank 5 of 6; the best 3 go on"


@pytest.fixture(scope="module", autouse=True)
def little_plotly() -> Iterator[None]:
    """Plotly's script is 5 MB that these tests need not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_plotly", lambda: "const Plotly = {};")
        yield


def setting(at_rung: Sequence[float] = (), on_sample: Sequence[float] = (), **told: Any) -> list[dict[str, Any]]:
    """Two seeds; 100 diverges. Rates are dropped at a rung, with what they were by then, or on a sample."""
    nothing = dict.fromkeys(("train_loss", "val_loss", "val_accuracy", "initial_loss", "n_train"))
    tested = dict.fromkeys(("test_loss", "test_accuracy"))
    made = rows({rate: [LOSSES[rate], 1.1 * LOSSES[rate]] if rate in LOSSES else [None] * 2 for rate in GRID}, **told)
    for row in made:
        row["epochs_done"] = EPOCHS
        if row["learning_rate"] in on_sample:
            row |= {"status": STOPPED, "reason": "hardly moved", "epochs_done": None, **nothing, **tested}
        elif row["learning_rate"] in at_rung:
            row |= {"status": STOPPED, "reason": WHY, "epochs_done": RUNG, **tested}
    return made


def searched(*settings: list[dict[str, Any]], **told: Any) -> Answer:
    """The answer, whose curves end where the runs do."""
    runs = frame(*settings)
    runs["epochs_done"] = runs["epochs_done"].astype(float)
    every = curves(runs)
    last = every["run_id"].map(runs.set_index("run_id")["epochs_done"]).fillna(-1)
    known = {"overrides": [], **about(runs.drop(columns="epochs_done")), **told}
    return answer(runs, reading(every[every["epoch"] <= last]), timings(runs), known, counts(runs))


def both_ends(**told: Any) -> Answer:
    return searched(setting(at_rung=[0.001, 0.01, 10.0]), **told)


def on_a_sample() -> Answer:
    return searched(setting(on_sample=[0.001, 0.01, 10.0, 100.0]))


def test_the_first_line_counts_the_runs_that_were_dropped() -> None:
    first = printed(both_ends(), seconds=1.4, trained=12).splitlines()[:2]
    assert " ".join(first).endswith("12 runs in 1.4 s, 2 diverged, 6 dropped early")
    assert "dropped" not in printed(searched(setting()))


def test_runs_that_a_sample_spared_are_not_taken_for_trained_before() -> None:
    assert "12 runs in 1.4 s, 8 dropped early" in printed(on_a_sample(), seconds=1.4, trained=4)
    assert "12 runs, 3 trained now in 1.4 s" in printed(on_a_sample(), seconds=1.4, trained=3)


def test_the_table_of_rates_has_a_sign_for_them_that_is_not_the_lost_ones() -> None:
    found = {line[0]: line for line in table(printed(both_ends(), 120), "rate")[1:7]}
    assert [found[rate][1] for rate in ("0.001", "0.01", "10", "100")] == ["○", "○", "○", "×"]
    assert ["dropped" in found[rate] for rate in ("0.001", "0.1", "100")] == [True, False, False]


def test_the_table_of_settings_counts_the_rates() -> None:
    answer = searched(setting(at_rung=[0.001], optimizer="sgd"), setting(optimizer="adam"))
    text = printed(answer, 200)
    cells = {line[0]: " ".join(line) for line in table(text, "optimizer")[1:3]}
    assert "1 of 6" in cells["sgd"]
    assert "rates dropped" in text
    assert "rates dropped" not in printed(searched(setting(optimizer="adam"), setting(optimizer="sgd")), 200)


def test_the_picture_marks_them_and_says_where_they_are() -> None:
    lines = printed(both_ends(), 120).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("val_loss against"))
    picture = "\n".join(lines[at : lines.index("", at)])
    assert picture.splitlines()[1].count(drawing.DROPPED) == 3
    assert picture.splitlines()[1].count(drawing.LOST) == 1
    assert "dropped to 0.01 and from 10" in picture
    assert "○ dropped early" in picture


def test_no_limit_of_stability_is_drawn_next_to_a_rate_that_was_dropped() -> None:
    assert drawing.LIMIT not in printed(both_ends())
    assert drawing.LIMIT in printed(searched(setting()))


def test_curves_are_chosen_among_the_rates_that_came_to_their_end() -> None:
    """Every rate is dropped but three: in place of each third of the twenty, the next ones are drawn."""
    grid = [10 ** (i / 4) / 1000 for i in range(20)]
    made = rows({rate: [0.1 + abs(i - 9)] for i, rate in enumerate(grid)})
    for i, row in enumerate(made):
        row |= {"epochs_done": EPOCHS} if 8 <= i <= 10 else {"epochs_done": 0, "status": STOPPED, "reason": WHY}
    lines = drawing.sparklines(searched(made), searched(made).entries[0], 80)
    assert [float(line.split()[0]) for line in lines[1:]] == pytest.approx(grid[7:12], rel=0.01)


def test_words_that_have_no_room_beside_the_picture_go_on_in_the_next_line() -> None:
    lines = drawing._broken("dropped to 0.000464 and from 0.316", 26)
    assert lines == ["dropped to 0.000464", " and from 0.316"]
    assert drawing._broken("dropped to 0.01 and from 10", 27) == ["dropped to 0.01 and from 10"]


@pytest.mark.parametrize(
    ("diagnoses", "words"),
    [
        (["stopped", "stopped", "good", "good", "stopped"], ["dropped to 2 and from 5"]),
        (["stopped", "good", "good", "stopped", "diverged"], ["dropped to 1 and from 4", "diverged from 5"]),
        (["stopped", "good", "good", "good", "good"], ["dropped to 1"]),
        (["good", "good", "unstable", "stopped", "stopped"], ["unstable from 3", "dropped from 4"]),
        (["stopped", "good", "stopped", "good", "stopped"], ["dropped at 3 rates"]),
        (["stopped", "stopped", "stopped", "stopped", "stopped"], ["dropped to 5"]),
    ],
)
def test_where_rates_were_dropped_in_words(diagnoses: Sequence[str], words: Sequence[str]) -> None:
    assert drawing.regions([1, 2, 3, 4, 5], diagnoses) == words


def test_the_curves_end_where_the_rate_was_dropped() -> None:
    lines = printed(both_ends()).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("val_loss by epoch"))
    drawn = {line.split()[0]: line for line in lines[at + 1 : lines.index("", at)]}
    bars = {rate: sum(sign in drawing.BLOCKS for sign in line) for rate, line in drawn.items()}
    assert bars == {"0.001": RUNG + 1, "0.01": RUNG + 1, "0.1": EPOCHS + 1, "1": EPOCHS + 1, "10": RUNG + 1}
    assert drawn["0.01"].endswith(f"dropped after epoch {RUNG}")


def test_a_short_curve_is_as_long_as_its_share_of_one_that_is_thinned_out() -> None:
    """Of 60 columns 30 are for the bars of 101 epochs, so 8 for 26."""
    made = both_ends()
    length = made.runs.set_index("run_id")["status"].map({STOPPED: 26}).fillna(101).astype(int)
    each = [pd.DataFrame({"run_id": run_id, "epoch": range(n), "val_loss": 1.0}) for run_id, n in length.items()]
    long = replace(made, read_curves=reading(pd.concat(each, ignore_index=True)))
    lines = drawing.sparklines(long, made.entries[0], 60)
    bars = {line.split()[0]: sum(sign in drawing.BLOCKS for sign in line) for line in lines[1:]}
    assert (bars["0.1"], bars["0.01"]) == (30, 8)


def test_a_sample_leaves_no_curves_and_the_others_are_drawn() -> None:
    lines = printed(on_a_sample()).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("val_loss by epoch"))
    assert [line.split()[0] for line in lines[at + 1 : lines.index("", at)]] == ["0.1", "1"]


def test_a_stable_rate_below_dropped_ones_is_a_lower_bound() -> None:
    sample = on_a_sample()
    assert "stable at least to 1" in printed(sample)
    two = searched(setting(at_rung=[10.0, 100.0], optimizer="adam"), setting(optimizer="sgd"))
    assert "≥ 1" in printed(two, 120)
    assert "higher ones were dropped" in read(page(sample, {}, "")).one("header").text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    for made in (both_ends(), on_a_sample()):
        assert max(map(len, printed(made, width, show_all=True).splitlines())) <= width


def test_a_console_without_the_signs_gets_others() -> None:
    text = printed(both_ends(), encoding="ascii")
    assert table(text, "rate")[1][:2] == ["0.001", "."]


def shown(answer: Answer) -> Element:
    return read(page(answer, {}, ""))


def test_the_figure_marks_them_in_the_row_above() -> None:
    [picture] = variants(shown(both_ends()), "objective")
    [marks] = [one for one in picture["data"] if one.get("marker", {}).get("symbol") == "circle-open"]
    assert marks["x"] == [0.001, 0.01, 10.0]
    assert all(WHY in text and "dropped early" in text for text in marks["hovertext"])
    assert "dropped early" in [mark["name"] for mark in picture["marks"]]
    assert "dropped to 0.01 and from 10" in picture["words"]


def shades(picture: dict[str, Any]) -> list[list[float]]:
    """Between which rates the row above is shaded."""
    return [one["x"] for one in picture["data"] if one.get("fill") == "toself" and one.get("yaxis") == "y2"]


def test_what_is_dropped_is_not_shaded_as_failing() -> None:
    [picture] = variants(shown(both_ends()), "objective")
    assert shades(picture)
    assert all(min(x) > 10 for x in shades(picture))
    [picture] = variants(shown(on_a_sample()), "objective")
    assert not shades(picture)


def test_the_heat_map_has_rings_in_the_cells_of_dropped_rates() -> None:
    runs = [setting(at_rung=[0.001, 10.0], width=16), setting(width=64)]
    page_of = shown(searched(*runs))
    pictures = [one for name in page_of.all("figure") for one in variants(page_of, name.attributes["id"])]
    [heat] = [one for one in pictures if any(trace["type"] == "heatmap" for trace in one["data"])]
    cells, rings = heat["data"]
    assert [(x, y) for x, y in zip(rings["x"], rings["y"], strict=True)] == [(0, 0), (0, 4)]
    assert [row[0] is None for row in cells["z"]] == [True, False, False, False, True, False]
    assert rings["hovertext"][1].endswith("dropped early")
    assert [mark["name"] for mark in heat["marks"]] == ["dropped early"]


def test_the_sample_is_among_the_files(tmp_path: Path) -> None:
    for there in (False, True):
        text = printed(replace(both_ends(), folder=str(tmp_path)))
        assert ("sample/" in text) == there
        (tmp_path / "sample").mkdir(exist_ok=True)


def test_lines_of_the_curves_end_with_a_sign() -> None:
    [picture] = variants(shown(both_ends()), "curves")
    ends = [one for one in picture["data"] if one.get("marker", {}).get("symbol") == "circle-open"]
    assert {tuple(one["x"]) for one in ends} == {(RUNG,)}
    assert any(f"dropped after epoch {RUNG}" in one["hovertext"] for one in ends)
    assert "the rate is dropped" in [mark["name"] for mark in picture["marks"]]
    assert f"in {RUNG} epochs, then dropped." in picture["words"]


def test_the_grid_of_diagnoses_has_a_cell_of_its_own_for_them() -> None:
    section = shown(both_ends()).one("section", id="diagnosis")
    cells = section.all("button", class_="d-stopped")
    assert [cell.text for cell in cells] == ["○"] * 3
    assert all(WHY in cell.attributes["aria-label"] for cell in cells)
    assert section.one("ul").all("span", class_="d-stopped")
    assert not shown(searched(setting())).one("section", id="diagnosis").all("span", class_="d-stopped")


def test_the_table_of_runs_has_the_reason() -> None:
    told = shown(both_ends()).one("section", id="runs").data("runs")
    columns = {one["title"]: one for one in told["columns"]}
    assert "stopped" in columns["status"]["texts"]
    assert WHY in columns["reason"]["texts"]


@pytest.mark.parametrize(
    "drops",
    [
        {"on_sample": [rate for rate in GRID if rate != 0.1]},
        {"at_rung": [rate for rate in GRID if rate != 0.1]},
        {"on_sample": GRID},
        {"at_rung": GRID},
        {"on_sample": GRID[:3], "at_rung": GRID[3:]},
    ],
)
def test_any_rates_may_be_dropped(drops: dict[str, Sequence[float]]) -> None:
    """All but one, or all, as while a sweep is not done; nothing breaks and nothing is made up."""
    for more in ([], [setting(optimizer="sgd")]):
        made = searched(setting(**drops), *more)
        text = printed(made, show_all=True)
        assert "nan" not in text
        assert "inf" not in text.replace("information", "")
        assert "NaN" not in page(made, {}, "").split("</header>")[0]
    alone = searched(setting(**drops))
    best = alone.entries[0]["best_rate"]
    assert best == (None if set(GRID) <= {*drops.get("on_sample", ()), *drops.get("at_rung", ())} else 0.1)
    assert best is None or not math.isnan(best)
