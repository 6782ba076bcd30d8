"""The summary of a sweep as a person sees it. Lays out what it is given, computes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from lrsweep.analysis.cost import cost_sentences
from lrsweep.analysis.recommend import USELESS, extendable, open_edge
from lrsweep.analysis.widen import widened
from lrsweep.report import drawing, words
from lrsweep.report.printer import EDGE, FAINT, PROSE, Printer, fitting
from lrsweep.report.tables import no_more_known, rate_tables, rates_table, settings_table, stale_table, tabled
from lrsweep.report.words import many
from lrsweep.vocabulary import CRASHED, DIVERGED, FAILED, STOPPED, UsageError, written

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.cards import Card
    from lrsweep.analysis.expectations import Check
    from lrsweep.analysis.recommend import Entry

MOST_SETTINGS, MOST_DOUBTS, MOST_PICTURES, MOST_ACTS, MOST_ROWS = 20, 6, 3, 6, 12
"""What is shown where nobody asked for more: settings, doubts, pictures, sentences to act on, rows of a card."""

SHOWN = ("width", "subset")
"""Axes whose cards show their tables unasked: what is in them stands in no other table."""

TOLD = ("elimination", "extend", "refine")
"""Cards that say all that they have to say unasked: what was left out or added is part of how far to trust the rest."""

TELLING = 2
"""Columns of the settings up to this `spare` are missed where they do not fit, and that is said."""

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")

FILES = (
    *("report.html", "runs.csv", "curves.csv", "ranking.csv", "recommendation.json", "timings.csv"),
    *("elimination.csv", "sample", "ranges.csv", "ramps.csv"),
)


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
    """What was asked, the answer, the doubt, the picture, the cards, the cost, the sentence to act on, where to look.

    `by` shows the best setting for each value of a column, `top` so many settings (or rates, where only these vary),
    `show_all` every rate of each, the cards in full, and the stale runs. Raises UsageError where `by` is no column that
    varies.
    """
    printer = Printer(console)
    entries = chosen(answer, by)
    shown = in_order(answer, best_of_each_dataset(entries, top), by)
    say_question(printer, answer, seconds, trained)
    if entries:
        say_answer(printer, answer, shown, by, top, below(shown, len(entries), by))
        say_doubts(printer, answer, shown)
        act = [entry for entry in best_of_each_dataset(answer.entries, 1) if entry["best_rate"] is not None]
        draw(printer, answer, act if len(act) > 1 else shown)
        say_cards(printer, answer.cards, entries[0]["setting"], show_all)
        if show_all:
            say_details(printer, answer, shown)
        say_act(printer, answer, act[:MOST_ACTS])
    say_checks(printer, answer.checks)
    if show_all and answer.stale is not None and len(answer.stale):
        printer.say("", "Stale runs, kept but not ranked:")
        printer.table(stale_table(answer, answer.stale))
    if answer.folder:
        printer.say(f"Files: {answer.folder}/  {' '.join(there(answer.folder))}")


def say_question(printer: Printer, answer: Answer, seconds: float | None, trained: int | None) -> None:
    """What was asked, of what, and whether it is all there."""
    width = min(printer.console.width, PROSE)
    printer.say(*words.lines(headline(answer, seconds, trained), " · ", width), style="bold")
    printer.say(question(answer))
    printer.say(*words.lines(trained_with(answer), " · ", width), style=FAINT)
    printer.say(*unfinished(answer), "")


def say_answer(
    printer: Printer, answer: Answer, shown: Sequence[Entry], by: str | None, top: int | None, notes: Iterable[str]
) -> None:
    """The table of settings with notes beneath; of rates where only these vary."""
    if shown[0]["setting"]:
        columns = settings_table(answer, shown, by)
        kept = {column.title for column in fitting(columns, printer.console.width)}
        lacks = any(0 < column.spare <= TELLING and column.title not in kept for column in columns)
        printer.table(columns, *notes, *["A wider terminal shows more columns."][:lacks])
        return
    facts = words.lines(beside(answer, shown[0]), " · ", min(printer.console.width, PROSE))
    printer.table(rates_table(answer, shown[0], top), *facts, style="")


def say_doubts(printer: Printer, answer: Answer, shown: Sequence[Entry]) -> None:
    """What stands against the answer, loudest that the best rate is at an edge, with what to do about that."""
    said = [*doubts(answer, shown)]
    for doubt, at_edge in said:
        printer.say(f"{EDGE} {doubt}", style="bold yellow" if at_edge else "")
    for lead, override in bracketing(answer, shown):
        printer.say(f"  {lead}")
        printer.command(f"  -o '{override}'")
    printer.say(*[""][: len(said)])


def say_details(printer: Printer, answer: Answer, shown: Sequence[Entry]) -> None:
    """Every rate of every setting, by every measure."""
    for entry, label in zip(shown, words.labels(answer, shown, whole=True), strict=True):
        printer.say(label, style="bold")
        for title, columns in rate_tables(answer, entry):
            printer.say(*[title][: bool(title)], style=FAINT)
            printer.table(columns)


def say_act(printer: Printer, answer: Answer, act: Sequence[Entry]) -> None:
    """What the choice costs, the sentence to act on, and what the choice scores on the test rows."""
    for entry in act:
        costs = " ".join(cost_sentences(answer.rows(answer.ranking, entry), answer.objective))
        name = f"{entry['setting']['dataset']}: " if len(act) > 1 else ""
        printer.say(*[f"{name}{costs}", ""][: 2 * bool(costs)])
        wary = entry["edge"] in ("low", "high") or entry["diagnosis"] in USELESS
        sentence = entry["advice"].split("\n")[0]
        printer.say(f"{EDGE} {sentence}" if wary else sentence, style="bold yellow" if wary else "bold green")
        printer.say(*tested(answer, entry))


def draw(printer: Printer, answer: Answer, entries: Sequence[Entry]) -> None:
    """The objective against the rate, and the losses by epoch; nothing where the console has no such signs."""
    if printer.console.options.ascii_only:
        return
    printer.draw(drawing.panels(answer, entries[:MOST_PICTURES], printer.console.width))
    best = next(entry for entry in answer.entries if any(entry is one for one in entries))
    printer.draw(drawing.sparklines(answer, best, printer.console.width))


def say_cards(printer: Printer, cards: Sequence[Card], best: Mapping[str, Any], show_all: bool) -> None:
    """What each axis does: the finding, and the table where it says more; with `show_all` everything.

    Of a long table the rows that have the `best` setting's other values.
    """
    for i, card in enumerate(cards):
        rows = max((len(column.values) for column in card.table), default=0)
        table = rows > 0 and (show_all or card.axis in SHOWN)
        whole = show_all or card.axis in TOLD
        sentences = card.sentences if whole else [*first_words(card)] if card.axis in SHOWN else ()
        sentences = [*sentences, *(card.details if show_all else ())]
        printer.say(card.title, style="bold")
        printer.say(*sentences)
        if table:
            kept = range(rows) if show_all else telling_rows(card, rows, best)
            left_out = [f"{many(rows - len(kept), 'more row')}: --all and the page have them."][: rows > len(kept)]
            printer.table(tabled([replace(one, values=[one.values[i] for i in kept]) for one in card.table]), *left_out)
        elif sentences or i == len(cards) - 1:
            printer.say("")


def telling_rows(card: Card, rows: int, best: Mapping[str, Any]) -> Sequence[int]:
    """The rows of a card's table that are shown: all, or those of the best setting's family, so many at most."""
    if rows <= MOST_ROWS:
        return range(rows)
    families = [
        column
        for column in card.table
        if column.kind == "setting" and column.title in best and column.title.split(".")[0] != card.axis
    ]
    own = [i for i in range(rows) if all(same(column.values[i], best[column.title]) for column in families)]
    return (own or range(rows))[:MOST_ROWS]


def same(one: Any, other: Any) -> bool:
    """Whether two values of a setting are the same; one that does not apply is None or nan."""
    return (words.missing(one) and words.missing(other)) or bool(one == other)


def first_words(card: Card) -> Iterator[str]:
    """A card's first sentence, where it has a number that its title has not."""
    for sentence in card.sentences[:1]:
        if {*NUMBER.findall(sentence)} - {*NUMBER.findall(card.title)}:
            yield sentence


def chosen(answer: Answer, by: str | None) -> list[Entry]:
    """The settings to show, best first; or only the best of each dataset for each value of a column."""
    if by is None or not answer.entries:
        return answer.entries
    known = list(answer.entries[0]["setting"])
    if by not in known:
        choice = f"choose from {', '.join(known)}" if known else "no setting varies in this sweep, so leave --by out"
        raise UsageError(f"--by {by}: does not vary between settings; {choice}")
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
        runs += ", none trained now" if answer.counts["new"] else ", none left to train"
    elif seconds is not None:
        every = total - untrained(answer.runs)
        runs += f"{f', {trained:,} trained now' if trained not in (None, every) else ''} in {words.duration(seconds)}"
    diverged = f", {answer.counts[DIVERGED]:,} diverged" if answer.counts[DIVERGED] else ""
    dropped = f", {answer.counts[STOPPED]:,} dropped early" if answer.counts[STOPPED] else ""
    return [answer.about["name"], data, f"{runs}{diverged}{dropped}"]


def untrained(runs: pd.DataFrame) -> int:
    """The runs that were dropped on a sample, before their first epoch."""
    stopped = runs.loc[runs["status"] == STOPPED] if len(runs) else runs
    return int(stopped["epochs_done"].isna().sum()) if len(stopped) else 0


def question(answer: Answer) -> str:
    """What ranks."""
    epoch = "best" if answer.objective.startswith("best_") else "final"
    seeds = many(len(answer.about["axes"]["seed"]), "seed")
    mean = f"mean over {seeds}" if len(answer.about["axes"]["seed"]) > 1 else seeds
    direction = "lower" if answer.lower_is_better else "higher"
    return f"objective {answer.objective.removeprefix('best_')} at the {epoch} epoch, {mean}, {direction} is better"


def trained_with(answer: Answer) -> list[str]:
    """The rates, and what all runs have in common."""
    about, runs = answer.about, answer.runs
    keys = [key for key in about["settings"] if key not in about["axes"] and key in runs] if len(runs) else []
    fixed = words.fixed({key: runs[key].iloc[0] for key in keys if key != "dataset"})
    return [words.rates(about["axes"]["learning_rate"]), *fixed]


def unfinished(answer: Answer) -> Iterator[str]:
    """What keeps the answer from being the whole one."""
    counts = answer.counts
    if counts["new"]:
        yield f"{EDGE} {many(counts['new'], 'run')} not trained yet: the answer can change"
    for status in (FAILED, CRASHED):
        if counts[status]:
            reason = answer.runs.loc[answer.runs["status"] == status, "reason"].iloc[0]
            yield f"{EDGE} {many(counts[status], 'run')} {status}: {words.cut(reason) or 'no reason given'}"
    if counts["stale"]:
        yield f"{many(counts['stale'], 'stale run')}: kept, but the sweep file is without them, so not ranked"
    if counts["other_numerics"]:
        other = many(counts["other_numerics"], "run")
        yield f"{other} by training code other than this lrsweep's, with other numbers: kept, never mixed with its own"


def below(shown: Sequence[Entry], n_settings: int, by: str | None) -> Iterator[str]:
    """What the order of the settings says, and how many are left out."""
    if sum(entry["best_rate"] is not None for entry in shown) > 1:
        if by is None:
            yield "In order of the mean, which alone does not say that settings differ."
        else:
            yield f"The best setting for each {by.split('.')[-1]}, not in order of the mean."
    if len(shown) < n_settings:
        yield f"{many(n_settings - len(shown), 'more setting')}: --top {n_settings} shows them all."


def beside(answer: Answer, entry: Entry) -> Iterator[str]:
    """What a table of rates has no column for."""
    if entry["fitted_rate"] is not None:
        interval = words.fitted_interval(entry["fitted_interval"])
        yield f"fitted rate {words.fitted(entry['fitted_rate'])} (95% interval {interval})"
    if entry["highest_stable_rate"] is not None:
        every = entry["highest_stable_rate"] == answer.ranking["learning_rate"].max()
        to = f"stable {'at least ' * no_more_known(entry, answer.ranking)}to {words.rate(entry['highest_stable_rate'])}"
        yield "stable at every rate" if every else to


def doubts(answer: Answer, entries: Sequence[Entry]) -> Iterator[tuple[str, bool]]:
    """Each doubt once, with the settings that it concerns, those of the best setting first; and whether it is of an
    edge."""
    who: dict[str, list[str]] = {}
    edges: set[str] = set()
    for entry, label in zip(entries, words.labels(answer, entries, whole=True), strict=True):
        doubts = entry["advice"].split("\n")[int(entry["best_rate"] is not None) :]
        edges.update(doubts[: open_edge(entry) is not None])  # the gravest
        for doubt in doubts:
            who.setdefault(doubt, []).append(label)
    for doubt, names in list(who.items())[:MOST_DOUBTS]:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        of = "" if len(names) == len(entries) else f"{' · '.join(names[:3])}{more}: "
        yield f"{of}{doubt}", doubt in edges
    if len(who) > MOST_DOUBTS:
        yield f"{many(len(who) - MOST_DOUBTS, 'more doubt')}: --json has them all", False


def bracketing(answer: Answer, entries: Sequence[Entry]) -> Iterator[tuple[str, str]]:
    """What to run again with where an edge is open, in words and as an override: the grid that goes beyond it, if all
    settings have one grid; and as many rates as it takes, or farther than they went already."""
    edges = {open_edge(entry) for entry in entries} - {None}
    if not edges:
        return
    rates, extended = answer.about["axes"]["learning_rate"], answer.about.get("extend")
    again = "To bracket it, run again, which trains the new rates only, with"
    if extended:
        grids = [answer.rows(answer.ranking, entry)["learning_rate"].tolist() for entry in entries]
        if not any(
            open_edge(entry) and extendable(entry, grid, answer.about)
            for entry, grid in zip(entries, grids, strict=True)
        ):
            return
        yield again, f"extend={{until_bracketed: true, max_decades: {written(2 * extended['max_decades'])}}}"
        return
    if len(answer.ranking) == len(rates) * len(answer.entries):
        yield again, f"learning_rate={widened(rates, low='low' in edges, high='high' in edges)}"
        again = "or, for as many rates as it takes, with"
    yield again, "extend={until_bracketed: true}"


def tested(answer: Answer, entry: Entry) -> Iterator[str]:
    """What the choice scores on the rows that decided nothing."""
    when = " at the final epoch" if answer.objective.startswith("best_") else ""
    for key, title in (("test_accuracy", "test accuracy"), ("test_r2", "test R²")):
        if entry.get(key) is not None:
            yield f"{title} {entry[key]:.3f} with that choice{when}."


def say_checks(printer: Printer, checks: Sequence[Check]) -> None:
    """What became of the sweep file's expectations: a line each where unmet."""
    unmet = [check for check in checks if not check.met]
    for check in unmet:
        printer.say(f"{EDGE} expected {check.name} {check.wanted}, found {check.found}", style="bold red")
    if checks:
        met = len(checks) - len(unmet)
        printer.say(f"expected: {f'all {met}' if not unmet else f'{met} of {len(checks)}'} met")


def there(folder: str) -> list[str]:
    """The files for people that a results folder holds, and the folder of the sample's own."""
    held = [Path(folder) / name for name in FILES]
    return [f"{path.name}{'/' * path.is_dir()}" for path in held if path.exists()]
