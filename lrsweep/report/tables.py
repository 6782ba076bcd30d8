"""Columns of the tables that a person sees: of settings, of rates, of stale runs, and of what analysis has tabled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.naming import apart
from lrsweep.report import drawing, words
from lrsweep.report.printer import EDGE, Column
from lrsweep.report.words import NOTHING
from lrsweep.vocabulary import STOPPED

if TYPE_CHECKING:  # `plan` comes through here too, and does without frames
    import pandas as pd

    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.cards.card import Col
    from lrsweep.analysis.recommend import Entry

    Row = pd.Series[Any]

OWN = ("optimizer", "width")
"""Settings that a stale run is always told by."""

TEXTS = ("setting", "rate", "rates", "changes", "ratios", "text")
"""Kinds of cells that begin at the left; numbers end at the right."""


def tabled(columns: Sequence[Col]) -> list[Column]:
    """A table of the analysis as it is printed."""
    return [
        Column(
            column.title,
            words.cells(column),
            column.spare,
            right=column.kind not in TEXTS or (column.kind == "setting" and words.numeric(column)),
            name=column.kind == "setting",
            wrap=column.kind == "text",
        )
        for column in columns
    ]


def settings_table(answer: Answer, entries: Sequence[Entry], by: str | None) -> list[Column]:
    """A row per setting, at its best rate. What a wider terminal has room for comes in the order of `spare`."""
    rates = [answer.rows(answer.ranking, entry) for entry in entries]
    best = [rows[rows["rank"] == 1].iloc[0] for rows in rates]
    marks = [f" {EDGE}" if entry["edge"] in ("low", "high") else "" for entry in entries]
    at = [words.rate(entry["best_rate"]) + mark for entry, mark in zip(entries, marks, strict=True)]
    intervals = [words.fitted_interval(entry["fitted_interval"]) for entry in entries]
    lost = [f"{rows['n_diverged'].sum()} of {rows['n_seeds'].sum()}" for rows in rates]
    dropped = [int((rows["diagnosis"] == STOPPED).sum()) for rows in rates]
    gone = [f"{n} of {len(rows)}" if n else NOTHING for n, rows in zip(dropped, rates, strict=True)]
    return [
        *setting_columns([entry["setting"] for entry in entries], by, answer.about["axes"]),
        Column("best rate", at),
        Column("tied with", [tie(entry["tie_interval"]) for entry in entries], spare=1),
        *told(Column("fitted", [words.fitted(entry["fitted_rate"]) for entry in entries], spare=4)),
        *told(Column("fitted interval", intervals, spare=9)),
        *measures(answer, best),
        Column("stable to", [stable(entry, rows) for entry, rows in zip(entries, rates, strict=True)], spare=3),
        *told(Column("diagnosis", [words.diagnosis(row["diagnosis"]) for row in best], spare=5)),
        *costs(best),
        *told(Column("rates dropped", gone, spare=5)),
        Column("diverged", lost, spare=10),
    ]


def rates_table(answer: Answer, entry: Entry, top: int | None = None, evidence: bool = False) -> list[Column]:
    """A row per rate of a setting, or per rate among the `top` best."""
    ranked = [row for _, row in answer.rows(answer.ranking, entry).iterrows() if top is None or row["rank"] <= top]
    lost = [f"{row['n_diverged']} of {row['n_seeds']}" if row["n_diverged"] else NOTHING for row in ranked]
    why = [words.cell(row["evidence"], "text") for row in ranked] if evidence else []
    return [
        Column("rate", [words.rate(row["learning_rate"]) for row in ranked]),
        Column("", [verdict(row) for row in ranked]),
        *measures(answer, ranked),
        *told(Column("diagnosis", [words.diagnosis(row["diagnosis"]) for row in ranked], spare=1)),
        *told(Column("evidence", why, spare=1, wrap=True)),
        *costs(ranked),
        Column("diverged", lost, spare=9),
    ]


def stale_table(answer: Answer, runs: pd.DataFrame) -> list[Column]:
    """A row per stale run, told by the settings that differ among them."""
    keys = [key for key in answer.about["settings"] if key in runs and (runs[key].nunique() > 1 or key in OWN)]
    runs = runs.sort_values([*keys, "learning_rate", "seed"])
    columns = [Column("run_id", [*runs["run_id"]]), Column("status", [*runs["status"]], spare=3)]
    columns += [Column(key, cells_of(key, [*runs[key]], [*runs[key]]), spare=2) for key in keys]
    columns.append(Column("rate", [words.rate(rate) for rate in runs["learning_rate"]]))
    columns.append(Column("seed", [str(seed) for seed in runs["seed"]], right=True))
    values = runs.reindex(columns=[answer.objective])[answer.objective].astype(float)
    return [*columns, Column(answer.objective, [f"{value:.3g}" for value in values], spare=1, right=True)]


def setting_columns(
    settings: Sequence[Mapping[str, Any]], first: str | None, axes: Mapping[str, Sequence[Any]]
) -> Iterator[Column]:
    """A column for each setting that varies, the one that was asked for first; `axes` are all values in the sweep."""
    for key in sorted(settings[0] if settings else (), key=lambda key: key != first):
        cells = cells_of(key, [setting[key] for setting in settings], axes.get(key, ()))
        numbers = not any(isinstance(setting[key], str) for setting in settings)
        yield Column(key.split(".")[-1], cells, right=numbers, name=True)


def cells_of(key: str, values: Sequence[Any], among: Sequence[Any]) -> list[str]:
    """The cells of a setting's column; of mappings, what tells them apart among all values in the sweep."""
    few = apart(key, [None if value != value else value for value in among])
    return [few.get(None if value != value else value) or words.value(value) for value in values]


def measures(answer: Answer, rows: Sequence[Row]) -> Iterator[Column]:
    """The objective and the scores in rows of the ranking."""
    write = words.alike([row["objective_mean"] for row in rows])
    statistics = [[row[f"objective_{name}"] for name in ("mean", "std", "low", "high")] for row in rows]
    values = [[write(number, beside=numbers[0]) for number in numbers] for numbers in statistics]
    wide = max((len(mean) for mean, *_ in values), default=0)
    spread = [f"{mean:>{wide}}" + (f" ± {std}" if std != NOTHING else "") for mean, std, _, _ in values]
    interval = [NOTHING if low == NOTHING else f"{low} to {high}" for _, _, low, high in values]
    yield Column(answer.objective, spread)
    for key, title in (("val_accuracy", "accuracy"), ("val_r2", "R²")):
        if f"{key}_mean" in answer.ranking and key != answer.objective:
            yield Column(title, [words.score(row[f"{key}_mean"]) for row in rows], spare=2, right=True)
    if any(row["n_seeds"] != len(answer.about["axes"]["seed"]) for row in rows):  # else the head says how many
        yield Column("seeds", [str(row["n_seeds"]) for row in rows], spare=11, right=True)
    yield from told(Column("95% interval", interval, spare=8))


def costs(rows: Sequence[Row]) -> Iterator[Column]:
    """How long it takes to come near the best, in rows of the ranking."""
    for unit, spare in (("epochs", 6), ("steps", 7)):
        cells = [words.cell(row[f"{unit}_to_target"], "count") for row in rows]
        yield from told(Column(f"{unit} to within 5%", cells, spare, right=True))


def rate_tables(answer: Answer, entry: Entry) -> Iterator[tuple[str, list[Column]]]:
    """The tables of a setting with their titles: its rates with their evidence, every measure, the score by epoch."""
    from lrsweep.analysis.cards import tables

    rates, runs = answer.rows(answer.ranking, entry), answer.rows(answer.runs, entry)
    yield "", rates_table(answer, entry, evidence=True)
    yield "means over seeds", tabled(tables.rates_table(rates))
    if by_epoch := tables.epochs_table(runs, answer.read_curves):
        score = "R²" if "val_r2_mean" in rates else "accuracy"
        yield f"{score if by_epoch[-1].kind == 'score' else 'loss'} by epoch, mean over seeds", tabled(by_epoch)


def told(column: Column) -> list[Column]:
    """The column, if it says anything."""
    return [column] if any(cell != NOTHING for cell in column.cells) else []


def verdict(row: Row) -> str:
    """What the ranking says of a rate, in a word."""
    if row["n_lost"] == row["n_seeds"]:
        return drawing.DROPPED if row["diagnosis"] == STOPPED else drawing.LOST
    return f"{drawing.BEST} best" if row["rank"] == 1 else "tied" if row["tied"] else ""


def tie(interval: Sequence[float] | None) -> str:
    """The rates that cannot be told from the best."""
    if interval is None:
        return NOTHING
    low, high = interval
    return "none" if low == high else words.cell(interval, "rates")


def stable(entry: Entry, rates: pd.DataFrame) -> str:
    """The highest stable rate, or that it lies beyond what is known of the rates tried."""
    return f"{'≥ ' * no_more_known(entry, rates)}{words.rate(entry['highest_stable_rate'])}"


def no_more_known(entry: Entry, rates: pd.DataFrame) -> bool:
    """Whether a highest stable rate is a lower bound only: the grid ends there, or all rates above it were dropped."""
    return bool(entry["highest_stable_rate"] == rates["learning_rate"].where(rates["diagnosis"] != STOPPED).max())
