"""The page as a file: whole, safe, the same each time, and honest about what it leaves out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from page_cases import HOSTILE, VALLEY, WORSE, Element, answered, hostile, read, three_optimizers, variants
from sweeps_made_up import rows

from lrsweep.analysis.answer import Answer
from lrsweep.analysis.cards import Card, Chart, Col
from lrsweep.analysis.expectations import Check
from lrsweep.report.page import document, look, page, runs

PROVENANCE = {
    "versions": {"lrsweep": "0.1.0", "numpy": "2.4.6"},
    "cpu": "a processor",
    "git_commit": "c0ffee",
    "data": {"digits": "f00d"},
}


@pytest.fixture(scope="module", autouse=True)
def little_plotly() -> Iterator[None]:
    """Plotly's script is 5 MB that these tests need not read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_plotly", lambda: "const Plotly = {};")
        yield


@pytest.fixture(scope="module")
def usual() -> Element:
    """The page of an ordinary sweep."""
    answer = three_optimizers(told={"overrides": ["seeds=3"]})
    return read(page(answer, PROVENANCE, "dataset: digits\nlearning_rate: [0.1]\n"))


def texts(value: Any) -> Iterator[str]:
    """Every text within."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from texts(one)


def test_the_answer_comes_first(usual: Element) -> None:
    head = usual.one("header")
    assert head.one("h1").text == "Use adam at 0.01"
    assert head.text.index("made-up") < head.text.index("Which of 3 to 5 learning rates") < head.text.index("Use adam")


def test_doubts_of_the_answer_are_told() -> None:
    rising = {0.1: [0.9, 0.91, 0.92], 1.0: [0.5, 0.51, 0.52]}
    head = read(page(answered(rows(rising)), {}, "")).one("header")
    assert "not bracketed" in head.one("ul", class_="doubts").text


def test_expectations_that_are_not_met_are_told() -> None:
    checks = (Check("at_edge", "false", "true", False), Check("diverged", "<= 4", "2", True))
    head = read(page(replace(three_optimizers(), checks=checks), {}, "")).one("header")
    assert [one.text for one in head.all("li", class_="unmet")] == ["Expected at_edge false, found true."]


def test_every_run_is_in_the_table() -> None:
    answer = three_optimizers()
    table = read(page(answer, {}, "")).one("section", id="runs").data("runs")
    columns = {column["title"]: column for column in table["columns"]}
    assert table["n"] == len(answer.runs)
    assert [columns["run"]["texts"][i] for i in columns["run"]["values"]] == answer.runs["run_id"].tolist()
    losses = [None if np.isnan(value) else pytest.approx(value) for value in answer.runs["val_loss"]]
    assert columns["val_loss"]["values"] == losses


def test_figures_have_a_finding_named_axes_and_words(usual: Element) -> None:
    for element in usual.all("figure"):
        assert element.one("h3").text
        assert len(element.one("div", class_="canvas").attributes["aria-label"]) > 40
        for picture in element.data("variants"):
            axes = [axis for key, axis in picture["layout"].items() if re.fullmatch(r"[xy]axis\d*", key)]
            titled = [axis["title"]["text"] for axis in axes if axis.get("visible", True) and axis["title"].get("text")]
            assert len(titled) >= 2


def test_a_description_keeps_its_lines_and_its_signs() -> None:
    told = answered(rows(VALLEY), told={"description": "one\u00a0of\ntwo 👩\u200d💻\u202e\x07"})
    said, *_ = read(page(told, {}, "")).one("header").all("p", class_="asked")
    assert said.text == "one oftwo 👩\u200d💻��"
    assert len(said.all("br")) == 1


def test_a_long_reason_is_cut_where_it_stands_beside_much_else() -> None:
    runs = rows(VALLEY)
    runs[-1] |= {"status": "failed", "reason": "x" * 3000}
    text = page(answered(runs), {}, "")
    assert "x" * 150 in text
    assert "x" * 201 not in text


def test_settings_that_are_no_product_are_counted_as_such() -> None:
    """Two optimizers, two widths, three settings."""
    runs = [rows(VALLEY, optimizer=name, width=w) for name, w in (("adam", 16), ("adam", 32), ("sgd", 32))]
    asked = read(page(answered(*runs), {}, "")).one("p", class_="question").text
    assert asked == "Which of 5 learning rates is best, for each of 3 settings, on digits?"
    whole = [rows(VALLEY, optimizer=name, width=w) for name in ("adam", "sgd") for w in (16, 32)]
    asked = read(page(answered(*whole), {}, "")).one("p", class_="question").text
    assert asked == "Which of 5 learning rates is best, for each of 2 optimizers × 2 widths, on digits?"


def test_what_is_fitted_stands_among_the_facts_alone() -> None:
    """One seed has ties and intervals of nothing."""
    head = read(page(answered(rows({0.01: [0.9], 0.1: [0.3], 1.0: [0.8]})), {}, "")).one("header")
    assert "fitted rate" in head.one("dl").text
    assert "–" not in head.one("dl").text
    assert not head.all("p", class_="as-well")


def test_users_texts_stay_texts() -> None:
    """As many scripts and other elements as with harmless names; and nowhere in a figure a tag that is not ours."""
    bad, good = (read(page(answer, {"cpu": HOSTILE}, HOSTILE)) for answer in (hostile(), two_harmless()))
    assert [one.tag for one in bad.all()] == [one.tag for one in good.all()]
    assert HOSTILE in bad.one("footer").text
    allowed = re.compile(r"</?b>|<br>")
    for element in bad.all("figure"):
        drawn = [[picture["data"], picture["layout"]] for picture in element.data("variants")]
        assert not [text for text in texts(drawn) if "<" in allowed.sub("", text)]


def two_harmless() -> Answer:
    runs = [rows(VALLEY, dataset="mine", optimizer=name) for name in ("adam", "sgd")]
    return answered(*runs, told={"description": "two", "spec_path": "x.yaml", "overrides": ["a=b"]})


def test_the_policy_allows_the_pages_own_scripts_and_nothing_else(usual: Element) -> None:
    told = usual.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    policy = dict(part.split(" ", 1) for part in told.split("; "))
    scripts = [one.text for one in usual.all("script") if "type" not in one.attributes]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy.pop("script-src").split() == [f"'sha256-{digest}'" for digest in digests]
    assert policy.pop("style-src") == "'unsafe-inline'"
    assert policy.pop("img-src") == "data: blob:"
    assert set(policy.values()) == {"'none'"}
    assert {"default-src", "base-uri", "form-action"} == set(policy)


def test_nothing_is_loaded(usual: Element) -> None:
    links = {one.attributes[key] for one in usual.all() for key in ("href", "src") if key in one.attributes}
    assert links == {"data:,", "runs.csv"}


def test_the_runs_are_linked_from_where_the_page_is() -> None:
    told = read(page(three_optimizers(), {}, "", runs_csv="../my results/a#b/runs.csv"))
    assert told.one("section", id="runs").one("a").attributes["href"] == "../my%20results/a%23b/runs.csv"


def test_nothing_is_loaded_by_styles(usual: Element) -> None:
    assert not re.search(r"url\(|@import|https?:", usual.one("style").text)


def test_the_page_is_the_same_each_time() -> None:
    assert page(three_optimizers(), PROVENANCE, "a") == page(three_optimizers(), PROVENANCE, "a")


def test_where_the_numbers_are_from(usual: Element) -> None:
    foot = usual.one("footer").text
    for told in (
        "lrsweep 0.1.0, numpy 2.4.6",
        "a processor",
        "c0ffee",
        "digits f00d",
        "lrsweep run sweeps/made-up.yaml -o seeds=3",
        "learning_rate: [0.1]",
    ):
        assert told in foot


def test_without_provenance_the_page_says_so() -> None:
    assert "No provenance is stored" in read(page(three_optimizers(), {}, "")).one("footer").text


REGRESSION = {0.01: [0.4, 0.5, 0.6], 0.1: [0.1, 0.2, 0.15], 1.0: [-3.0, 0.1, None]}
LOST: dict[float, list[float | None]] = {rate: [None] * 3 for rate in VALLEY}
STATES = {
    "one rate": (lambda: answered(rows({0.01: [0.1, 0.2, 0.3]})), "Only one rate was tried"),
    "one seed": (lambda: answered(rows({0.01: [0.1], 0.1: [0.3], 1.0: [0.5]})), "One seed"),
    "all diverged": (lambda: answered(rows({0.1: [None] * 3, 1.0: [None] * 3})), "No rate can be recommended"),
    "unfinished": (lambda: answered(rows(VALLEY), new=4), "4 runs not trained yet"),
    "a score": (lambda: answered(rows(REGRESSION, "val_f1"), told={"objective": "val_f1"}), "higher is better"),
    "one setting lost": (lambda: answered(rows(VALLEY), rows(LOST, optimizer="sgd")), "sgd (no run finished)"),
    "all lost on one dataset": (
        lambda: answered(rows(VALLEY, dataset="iris"), rows(LOST, dataset="wine")),
        "For wine no rate can be recommended",
    ),
    "a loss of zero": (lambda: answered(rows({0.01: [0.5, 0.6], 0.1: [0.0, 0.0], 1.0: [0.2, 0.3]})), "Use adam at 0.1"),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_its_page(state: str) -> None:
    make, sentence = STATES[state]
    assert sentence in read(page(make(), {}, "")).one("body").text


def test_nothing_trained_yet() -> None:
    empty = three_optimizers()
    none = {"settings": [], "sweep": "made-up", "objective": "val_loss", "schema_version": 1}
    frames = {name: getattr(empty, name).iloc[:0] for name in ("runs", "timings", "ranking")}
    counted = {**dict.fromkeys(empty.counts, 0), "new": 45}
    told = read(page(replace(empty, **frames, recommendation=none, cards=(), counts=counted), {}, ""))
    assert told.one("h1").text == "No run is trained yet"
    assert not told.all("figure")


def test_one_setting_needs_no_legend_and_no_choice() -> None:
    told = read(page(answered(rows(VALLEY)), {}, ""))
    assert variants(told, "objective")[0]["legend"] == []
    assert not told.all("select", data_choice="setting")


def test_datasets_are_drawn_apart_since_their_losses_do_not_compare() -> None:
    runs_of = [rows(of, dataset=name) for name, of in (("iris", VALLEY), ("wine", WORSE))]
    told = read(page(answered(*runs_of), {}, ""))
    assert [picture["label"] for picture in variants(told, "objective")] == ["iris", "wine"]
    assert [one.text for one in told.one("select", data_choice="dataset").all("option")] == ["iris", "wine"]
    assert [one.text for one in told.all("h1")] == ["For iris use adam at 0.01", "For wine use adam at 0.01"]


def test_of_many_settings_the_best_are_shown_and_the_rest_is_told_of() -> None:
    many = [
        rows({rate: [value * (1 + i / 100) for value in (0.5, 0.6)] for rate in (0.01, 0.1)}, width=i + 1)
        for i in range(60)
    ]
    told = read(page(answered(*many), {}, ""))
    [picture] = variants(told, "objective")
    assert [key["name"] for key in picture["legend"]] == [f"width {i + 1}" for i in range(40)]
    assert [key["on"] for key in picture["legend"]] == [True] * 8 + [False] * 32
    assert "40 best of 60 settings" in picture["note"]
    assert "20 more settings in recommendation.json" in told.one("section", id="rates").text
    assert len(told.one("table", class_="grid").one("tbody").all("tr")) == 50


def test_of_many_runs_whole_seeds_are_kept_and_the_rest_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_RUNS", 35)
    section = read(page(three_optimizers(), {}, "")).one("section", id="runs")
    table = {column["title"]: column["values"] for column in section.data("runs")["columns"]}
    assert sorted(set(table["seed"])) == [0, 1]
    assert "26 of 39 runs: those of the first 2 seeds" in section.text


def test_of_many_seeds_some_are_drawn_and_the_rest_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.report.page.objective.MOST_DOTS", 26)
    [picture] = variants(read(page(three_optimizers(), {}, "")), "objective")
    dots = [text for trace in picture["data"] if trace.get("meta") == "seeds" for text in trace["hovertext"]]
    assert {re.search(r"seed (\d)", text)[1] for text in dots} == {"0", "1"}  # type: ignore[index]
    assert "first 2 of 3 seeds" in picture["note"]


def test_of_many_rates_and_epochs_some_are_drawn_the_best_among_them() -> None:
    grid = {round(0.001 * 1.2**i, 9): [abs(i - 13) + 0.5] for i in range(30)}
    [picture] = variants(read(page(answered(rows(grid)), {}, "")), "curves")
    assert len(picture["legend"]) == 12
    assert sum(key["name"].endswith("best") for key in picture["legend"]) == 1
    assert "12 of 30 rates" in picture["note"]


def test_a_mean_curve_ends_where_its_first_seed_does() -> None:
    told = variants(read(page(answered(rows(VALLEY)), {}, "")), "curves")[0]["data"]
    lengths = {trace["name"]: len(trace["x"]) for trace in told if trace.get("showlegend")}
    assert lengths == {"0.001": 9, "0.01": 9, "0.1": 9, "1": 2, "10": 2}


def test_a_card_is_shown_with_its_sentences_table_and_charts() -> None:
    data = pd.DataFrame(
        {"width": [16, 32] * 2, "rate": [0.1, 0.1, 1.0, 1.0], "loss": [0.5, 0.4, 0.0, np.nan], "with": ["adam"] * 4}
    )
    heat = Chart(
        "heat",
        data,
        "width",
        "rate",
        "Heat finding",
        "Words of it",
        "width",
        "rate",
        by="with",
        colour="loss",
        colour_title="loss",
        log_colour=True,
    )
    line = Chart(
        "lines",
        data,
        "width",
        "loss",
        "Line finding",
        "Words of it",
        "width",
        "loss",
        by="with",
        log_x=True,
        log_y=True,
    )
    card = Card("width", "Wider is <better>", ["But not by much."], [Col("width", [16, 32], "count")], [heat, line])
    section = read(page(replace(three_optimizers(), cards=(card,)), {}, "")).one("section", id="card-1")
    assert section.one("h2").text == "Wider is <better>"
    assert "But not by much." in section.text
    assert [one.text for one in section.one("tbody").all("th")] == ["16", "32"]
    assert [one.one("h3").text for one in section.all("figure")] == ["Heat finding", "Line finding"]
    [cells] = variants(section, "card-1-1")[0]["data"]
    assert cells["z"] == [[pytest.approx(-0.30103), pytest.approx(-0.39794)], [None, None]]


def test_a_diagnosis_has_a_letter_and_its_evidence() -> None:
    answer = three_optimizers()
    row = answer.ranking.index[(answer.ranking["optimizer"] == "adam") & (answer.ranking["learning_rate"] == 0.1)][0]
    ranking = answer.ranking.copy()
    ranking.loc[row, ["diagnosis", "evidence"]] = ["oscillating", "swings by 0.4"]
    grid = read(page(replace(answer, ranking=ranking), {}, "")).one("table", class_="grid")
    [cell] = [one for one in grid.all("button") if "swings" in one.attributes["aria-label"]]
    assert cell.text == "O"
    assert cell.attributes["aria-label"] == "adam at 0.1: oscillating; swings by 0.4"


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb. Source: WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast_is_enough(theme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for what must be seen in a figure."""
    blocks = [
        dict(re.findall(r"--([a-z]+\d*): (#\w{6})", block))
        for block in re.findall(r"\{([^{}]*--paper[^{}]*)\}", document._own("page.css"))
    ]
    colours = blocks[["light", "dark"].index(theme)]

    def against(one: str, other: str) -> float:
        low, high = sorted(luminance(colours[name]) for name in (one, other))
        return (high + 0.05) / (low + 0.05)

    for text in (
        "ink",
        "muted",
        "accent",
        "bad",
        "warn",
        "good",
        "slow",
        "wavy",
        "over",
        "flat",
        "loose",
        *(f"t{i}" for i in range(1, 9)),
    ):
        assert against(text, "paper") >= 4.5, text
    for drawn in (*(f"s{i}" for i in range(1, 9)), *(f"p{i}" for i in range(1, look.N_PACES + 1))):
        assert against(drawn, "paper") >= 2.5 if drawn.startswith("p") else 3, drawn


def test_data_cannot_end_its_script() -> None:
    told = page(hostile(), {}, "")
    for block in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', told, re.DOTALL):
        json.loads(block)
        assert "<" not in block


def test_plotly_is_loaded_by_nobody_but_the_page() -> None:
    code = "import lrsweep.report.page, sys; print('plotly' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
