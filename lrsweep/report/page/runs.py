"""The table of runs: sortable, filterable, with a link to the whole of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from lrsweep.report import words
from lrsweep.report.page.markup import Html, clean, data, tag

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.answer import Answer

MOST_RUNS = 20_000
"""In the page; a browser holds more, but opens slower for each."""

METRICS = (
    "train_loss",
    "val_loss",
    "val_accuracy",
    "val_r2",
    "val_macro_f1",
    "test_loss",
    "test_accuracy",
    "test_r2",
    "best_epoch",
    "max_grad_norm",
    "seconds",
)


PRINTED = 40, 9
"""Rows and columns of the table that are printed, as page.css has them."""


def runs(answer: Answer, runs_csv: str) -> Html | None:
    """The section with the table; page.js fills it. `runs_csv` is where the file is, seen from the page."""
    kept, left_out = _kept(answer)
    if not len(kept):
        return None
    columns = [*_columns(answer, kept)]
    statuses = [column["title"] for column in columns].index("status")
    whole = ("All runs with every column: ", tag("a", "runs.csv", href=quote(os.fsencode(runs_csv))), ".")
    cut = len(kept) > PRINTED[0] or len(columns) > PRINTED[1]
    printed = f"On paper: the first {PRINTED[0]} rows and {PRINTED[1]} columns."
    heads = [
        tag(
            "th",
            tag("button", column["title"], type="button"),
            scope="col",
            class_="right" if column["right"] else None,
        )
        for column in columns
    ]
    there = sorted(set(kept["status"]))
    options = [tag("option", "any", value=""), *(tag("option", status, value=status) for status in there)]
    filters = tag(
        "div",
        tag("label", "Filter", tag("input", type="search", placeholder="adam 0.01 diverged", autocomplete="off")),
        tag("label", "Status", tag("select", *options)),
        tag("output", aria_live="polite"),
        class_="filters",
    )
    table = tag("table", tag("thead", tag("tr", *heads)), tag("tbody"))
    return tag(
        "section",
        tag("h2", "Runs"),
        tag("p", f"{left_out} " if left_out else None, *whole),
        tag("p", printed, class_="on-paper") if cut else None,
        filters,
        tag("div", table, class_="scroll", tabindex=0, role="group", aria_label="Runs"),
        data("runs", {"columns": columns, "n": len(kept), "status": statuses}),
        id="runs",
    )


def _kept(answer: Answer) -> tuple[pd.DataFrame, str]:
    """The runs that go into the page: all, or those of the first seeds, so that every setting and rate is there."""
    runs = answer.runs
    if len(answer.timings) and len(runs):
        runs = runs.assign(seconds=runs["run_id"].map(answer.timings.set_index("run_id")["seconds"]))
    if len(runs) <= MOST_RUNS:
        return runs, ""
    counted = runs["seed"].value_counts().sort_index().cumsum()
    seeds = counted.index[counted <= MOST_RUNS]
    if not len(seeds):
        return runs.head(MOST_RUNS), f"The first {MOST_RUNS:,} of {len(runs):,} runs."
    kept = runs[runs["seed"].isin(seeds)]
    return kept, f"{len(kept):,} of {len(runs):,} runs: those of the first {words.many(len(seeds), 'seed')}."


def _columns(answer: Answer, kept: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each column with its values as numbers, or as positions in its `texts`; `order` sorts these by what they mean."""
    varied = [key for key in answer.about["axes"] if key not in ("learning_rate", "seed") and key in kept]
    metrics = [*METRICS, *([answer.objective] if answer.objective not in METRICS else [])]
    yield _texts("run", kept["run_id"])
    yield _texts("status", kept["status"])
    for key in varied:
        yield _texts(key.split(".")[-1], kept[key])
    yield _texts("learning rate", kept["learning_rate"], words.rate)
    yield _numbers("seed", kept["seed"]) | {"searched": True}
    for name in metrics:
        if name in kept and kept[name].notna().any():
            yield _numbers(name, kept[name])
    if (kept["reason"].fillna("") != "").any():
        yield _texts("reason", kept["reason"], words.cut)


def _numbers(title: str, values: pd.Series[Any]) -> dict[str, Any]:
    told = [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.astype(float).tolist()]
    if all(value is None or value.is_integer() for value in told):
        return {"title": title, "right": True, "values": [None if value is None else int(value) for value in told]}
    return {"title": title, "right": True, "values": told}


def _texts(title: str, values: pd.Series[Any], write: Any = words.value) -> dict[str, Any]:
    """Values that are few or no numbers, each told once; the filter finds them. What does not exist is None."""
    positions, distinct = values.factorize(use_na_sentinel=False)
    plain = [None if value != value or value == "" else value for value in distinct.tolist()]
    texts = [None if value is None else clean(write(value)) for value in plain]
    column = {"title": title, "values": positions.tolist(), "texts": texts, "searched": True}
    numeric = all(value is None or isinstance(value, int | float) for value in plain)
    return column | {"right": numeric} | ({"order": [*map(_finite, plain)]} if numeric else {})


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
