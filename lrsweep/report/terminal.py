"""What a person sees: the summary of a sweep, and its plan. Lays out what it is given, computes nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lrsweep.report import drawing, words
from lrsweep.report.printer import EDGE, PROSE, Column, Printer
from lrsweep.report.words import NOTHING, many
from lrsweep.vocabulary import CRASHED, DIVERGED, FAILED, STOPPED, UsageError

if TYPE_CHECKING:  # `plan` and `list` come through here too, and do without frames
    import pandas as pd

    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.recommend import Entry

    Row = pd.Series[Any]

OWN = ("optimizer", "width")
"""Settings that a stale run is always told by."""

MOST_SETTINGS, MOST_DOUBTS, MOST_PICTURES, MOST_VALUES = 20, 6, 3, 6
"""What is shown where nobody asked for more: settings, doubts, pictures, values of an axis."""


def print_summary(
    answer: Answer,
    console: Console,
    *,
    by: str | None = None,
    top: int | None = None,
    show_all: bool = False,
    seconds: float | None = None,
    trained: int | None = None,
) -> None:
    """What was asked, the answer, the doubt, the picture, the sentence to act on, where to look further.

    `by` shows the best setting for each value of a column, `top` so many settings (or rates, where only these vary),
    `show_all` every rate of each, and the stale runs. Raises UsageError where `by` is no column that varies.
    """
    printer = Printer(console)
    entries = chosen(answer, by)
    shown = in_order(answer, best_of_each_dataset(entries, top), by)
    printer.say(*words.lines(headline(answer, seconds, trained), " · ", min(console.width, PROSE)), style="bold")
    printer.say(question(answer), *unfinished(answer), "")
    if not entries:
        return
    only_rates = not answer.entries[0]["setting"]
    if not only_rates:
        printer.table(settings_table(answer, shown, by))
    if len(shown) < len(entries):
        printer.say(f"{many(len(entries) - len(shown), 'more setting')}: --top {len(entries)} shows them all.", "")
    if only_rates or show_all:
        printer.table(rates_table(answer, shown, top if only_rates else None))
    printer.say(*doubts(answer, shown))
    act = [entry for entry in best_of_each_dataset(answer.entries, 1) if entry["best_rate"] is not None]
    if not console.options.ascii_only:
        pictured = act if len(act) > 1 else shown
        printer.draw(drawing.panels(answer, pictured[:MOST_PICTURES], console.width))
        printer.draw(drawing.sparklines(answer, pictured[0], console.width))
    for entry in act[:MOST_VALUES]:
        printer.say(entry["advice"].split("\n")[0], style="bold green")
        printer.say(*tested(answer, entry))
    if show_all and answer.stale is not None and len(answer.stale):
        printer.say("", "Stale runs, kept but not ranked:")
        printer.table(stale_table(answer, answer.stale))
    if answer.folder:
        printer.say(f"Files: {answer.folder}/  runs.csv curves.csv timings.csv")


def chosen(answer: Answer, by: str | None) -> list[Entry]:
    """The settings to show, best first; or only the best of each dataset for each value of a column."""
    if by is None or not answer.entries:
        return answer.entries
    known = list(answer.entries[0]["setting"])
    if by not in known:
        raise UsageError(f"--by {by}: does not vary between settings; choose from {', '.join(known) or 'nothing'}")
    best: dict[Any, Entry] = {}
    for entry in answer.entries:
        best.setdefault((entry["setting"][by], entry["setting"].get("dataset")), entry)
    return list(best.values())


def in_order(answer: Answer, entries: Sequence[Entry], by: str | None) -> list[Entry]:
    """The settings in the order of a column's values, where one was asked for."""
    order = answer.about["axes"].get(by, ())
    return sorted(entries, key=lambda entry: order.index(entry["setting"][by])) if by else list(entries)


def best_of_each_dataset(entries: Sequence[Entry], most: int | None) -> list[Entry]:
    """The first entries of each dataset, since losses compare only within one; None: as many as a screen holds."""
    by_dataset: dict[Any, list[Entry]] = {}
    for entry in entries:
        by_dataset.setdefault(entry["setting"].get("dataset"), []).append(entry)
    most = most or max(1, MOST_SETTINGS // max(1, len(by_dataset)))
    kept = [id(entry) for group in by_dataset.values() for entry in group[:most]]
    return [entry for entry in entries if id(entry) in kept]


def headline(answer: Answer, seconds: float | None, trained: int | None) -> list[str]:
    """The sweep, its data, its runs."""
    total = answer.counts["done"] + answer.counts["new"]
    datasets = answer.about["datasets"]
    data = ", ".join(datasets)
    rows = sorted(set(answer.runs["n_train"].dropna().astype(int))) if "n_train" in answer.runs else []
    if len(datasets) == 1 and rows:
        [whole] = (dataset["n_train"] for dataset in datasets.values())
        used = f"{rows[0]:,} of" if len(rows) == 1 else f"{rows[0]:,} to {rows[-1]:,} of"
        data += f", {'all' if rows == [whole] else used} {whole:,} training rows"
    runs = many(total, "run")
    if trained == 0:
        runs += ", none left to train"
    elif seconds is not None:
        runs += f"{f', {trained:,} trained now' if trained not in (None, total) else ''} in {words.duration(seconds)}"
    diverged = f", {answer.counts[DIVERGED]:,} diverged" if answer.counts[DIVERGED] else ""
    return [answer.about["name"], data, f"{runs}{diverged}"]


def question(answer: Answer) -> str:
    """What ranks."""
    epoch = "best" if answer.objective.startswith("best_") else "final"
    seeds = many(len(answer.about["axes"]["seed"]), "seed")
    mean = f"mean over {seeds}" if len(answer.about["axes"]["seed"]) > 1 else seeds
    direction = "lower" if answer.lower_is_better else "higher"
    return f"objective {answer.objective.removeprefix('best_')} at the {epoch} epoch, {mean}, {direction} is better"


def unfinished(answer: Answer) -> Iterator[str]:
    """What keeps the answer from being the whole one."""
    counts = answer.counts
    if counts["new"]:
        yield f"{EDGE} {many(counts['new'], 'run')} not trained yet: the answer can change"
    for status in (FAILED, CRASHED):
        if counts[status]:
            reason = answer.runs.loc[answer.runs["status"] == status, "reason"].iloc[0]
            yield f"{EDGE} {many(counts[status], 'run')} {status}: {reason or 'no reason given'}"
    if counts[STOPPED]:
        yield f"{many(counts[STOPPED], 'run')} stopped early"
    if counts["stale"]:
        yield f"{many(counts['stale'], 'stale run')}: kept, but the sweep file is without them, so not ranked"


def settings_table(answer: Answer, entries: Sequence[Entry], by: str | None) -> list[Column]:
    """A row per setting, at its best rate."""
    rates = [answer.rows(answer.ranking, entry) for entry in entries]
    best = [rows[rows["rank"] == 1].iloc[0] for rows in rates]
    lost = [f"{rows['n_diverged'].sum()} of {rows['n_seeds'].sum()}" for rows in rates]
    marks = [f" {EDGE}" if entry["edge"] in ("low", "high") else "" for entry in entries]
    return [
        *setting_columns([entry["setting"] for entry in entries], by, answer.about["axes"]),
        Column(
            "best rate", [words.rate(entry["best_rate"]) + mark for entry, mark in zip(entries, marks, strict=True)]
        ),
        Column("tied with", [tie(entry["tie_interval"]) for entry in entries], spare=2),
        *measures(answer, best),
        Column("stable to", [stable(entry, rows) for entry, rows in zip(entries, rates, strict=True)], spare=3),
        Column("diverged", lost, spare=4),
    ]


def rates_table(answer: Answer, entries: Sequence[Entry], top: int | None) -> list[Column]:
    """A row per setting and rate; of each setting the `top` best."""
    ranked = [row for entry in entries for _, row in answer.rows(answer.ranking, entry).iterrows()]
    ranked = [row for row in ranked if top is None or row["rank"] <= top]
    lost = [f"{row['n_diverged']} of {row['n_seeds']}" if row["n_diverged"] else NOTHING for row in ranked]
    return [
        *setting_columns(
            [{key: row[key] for key in entries[0]["setting"]} for row in ranked], None, answer.about["axes"]
        ),
        Column("rate", [words.rate(row["learning_rate"]) for row in ranked]),
        Column("", [verdict(row) for row in ranked]),
        Column("rank", [str(row["rank"]) for row in ranked], spare=3, right=True),
        *measures(answer, ranked),
        Column("diverged", lost, spare=4),
    ]


def stale_table(answer: Answer, runs: pd.DataFrame) -> list[Column]:
    """A row per stale run, told by the settings that differ among them."""
    told = [key for key in answer.about["settings"] if key in runs and (runs[key].nunique() > 1 or key in OWN)]
    runs = runs.sort_values([*told, "learning_rate", "seed"])
    columns = [Column("run_id", [*runs["run_id"]]), Column("status", [*runs["status"]], spare=3)]
    columns += [Column(key, cells_of(key, [*runs[key]], [*runs[key]]), spare=2) for key in told]
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
    few = words.apart(key, [None if value != value else value for value in among])
    return [few.get(None if value != value else value) or words.value(value) for value in values]


def measures(answer: Answer, rows: Sequence[Row]) -> Iterator[Column]:
    """The objective and the scores in rows of the ranking."""
    write = words.alike([row["objective_mean"] for row in rows])
    values = [[write(row[f"objective_{name}"]) for name in ("mean", "std", "low", "high")] for row in rows]
    wide = max((len(mean) for mean, *_ in values), default=0)
    spread = [f"{mean:>{wide}}" + (f" ± {std}" if std != NOTHING else "") for mean, std, _, _ in values]
    interval = [NOTHING if low == NOTHING else f"{low}–{high}" for _, _, low, high in values]
    yield Column(answer.objective, spread)
    for key, title in (("val_accuracy", "accuracy"), ("val_r2", "R²")):
        if f"{key}_mean" in answer.ranking and key != answer.objective:
            yield Column(title, [words.score(row[f"{key}_mean"]) for row in rows], spare=2, right=True)
    yield Column("seeds", [str(row["n_seeds"]) for row in rows], spare=5, right=True)
    if any(cell != NOTHING for cell in interval):
        yield Column("95% interval", interval, spare=6)


def verdict(row: Row) -> str:
    """What the ranking says of a rate, in a word."""
    if row["n_lost"] == row["n_seeds"]:
        return drawing.LOST
    return f"{drawing.BEST} best" if row["rank"] == 1 else "tied" if row["tied"] else ""


def tie(interval: Sequence[float] | None) -> str:
    """The rates that will do as well."""
    if interval is None:
        return NOTHING
    low, high = map(words.rate, interval)
    return "none" if low == high else f"{low}–{high}"


def stable(entry: Entry, rates: pd.DataFrame) -> str:
    """The highest stable rate, or that it lies beyond the rates tried."""
    highest = entry["highest_stable_rate"]
    return f"≥ {words.rate(highest)}" if highest == rates["learning_rate"].max() else words.rate(highest)


def doubts(answer: Answer, entries: Sequence[Entry]) -> Iterator[str]:
    """Each doubt once, with the settings that it concerns, those of the best setting first; and an empty line."""
    who: dict[str, list[str]] = {}
    for entry, label in zip(entries, words.labels(answer, entries, whole=True), strict=True):
        for doubt in entry["advice"].split("\n")[int(entry["best_rate"] is not None) :]:
            who.setdefault(doubt, []).append(label)
    for doubt, names in list(who.items())[:MOST_DOUBTS]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        yield f"{EDGE} {doubt}" if len(names) == len(entries) else f"{EDGE} {' · '.join(names[:3])}{more}: {doubt}"
    if len(who) > MOST_DOUBTS:
        yield f"  {many(len(who) - MOST_DOUBTS, 'more doubt')}: --json has them all"
    if who:
        yield ""


def tested(answer: Answer, entry: Entry) -> Iterator[str]:
    """What the choice scores on the rows that decided nothing."""
    when = " at the final epoch" if answer.objective.startswith("best_") else ""
    for key, title in (("test_accuracy", "test accuracy"), ("test_r2", "test R²")):
        if entry.get(key) is not None:
            yield f"{title} {entry[key]:.3f} with that choice{when}."


def print_plan(plan: Mapping[str, Any], console: Console | None = None) -> None:
    """What `run` would do, as `Preview.document` has it."""
    printer = Printer(console or Console())
    printer.say(f"{plan['path']} · name {plan['name']} · {plan['folder']}/", style="bold")
    for name, parts in plan_lines(plan).items():
        for number, line in enumerate(words.lines(parts, " · ", min(printer.console.width, PROSE) - 9)):
            printer.say(f"  {'' if number else name:<6} {line}")
    if "runs_list" in plan:
        keys = [key for key, values in plan["axes"].items() if len(values) > 1]
        rows = [{"run_id": run_id, "status": status, **settings} for run_id, status, settings in plan["runs_list"]]
        printer.say("")
        printer.table(
            [
                *setting_columns(
                    [{key: row[key] for key in ("run_id", "status", *keys)} for row in rows], None, plan["axes"]
                )
            ]
        )


def plan_lines(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of the plan by their names, each in parts."""
    lengths = [len(values) for values in plan["axes"].values()]
    product = f" = {' × '.join(map(str, lengths))}" if math.prod(lengths) == plan["runs"] else ""
    states = "   ".join(f"{state} {plan['counts'][state]:,}" for state in ("done", "new", "stale", "failed"))
    line = f"{plan['runs']:,}{product}     {states}"
    lines = {
        "axes": [axis(key, values) for key, values in plan["axes"].items()],
        "runs": [line] if len(line) <= PROSE - 9 else [f"{plan['runs']:,}{product}", states],
    }
    if plan["duplicates"]:
        lines["alike"] = [f"{plan['duplicates']:,} more, the same as one of these in all that acts: counted once"]
    if not plan["stacks"]:
        return lines | {"about": ["nothing to train: every run is done"]}
    workers = f"with {many(plan['workers'], 'worker')}" if plan["workers"] else "in this process"
    timed = f"timed here: 3 steps of {many(plan['shapes_timed'], 'shape')}"
    return lines | {
        "stacks": [f"{plan['stacks']:,}, up to {many(plan['largest_stack'], 'run')} each"],
        "about": [
            f"{words.duration(plan['seconds'])} {workers} ({timed})",
            f"{words.size(plan['disk_bytes'])} on disk",
        ],
    }


def axis(key: str, values: Sequence[Any]) -> str:
    """An axis and its values, or their number where they are many or say nothing.

    >>> axis("width", [16, 32]), axis("learning_rate", [10.0**-i for i in range(7)]), axis("seed", [0, 1, 2])
    ('width 16 32', 'learning_rate 7 from 1e-06 to 1', 'seed 3')
    """
    if key == "seed":
        return f"seed {len(values)}"
    if len(values) <= MOST_VALUES or not all(isinstance(value, int | float) for value in values):
        return " ".join([key, *map(words.value, values[:MOST_VALUES]), *["…"][: len(values) > MOST_VALUES]])
    return f"{key} {len(values)} from {words.value(min(values))} to {words.value(max(values))}"
