"""The page's sections below its figure: one setting in detail, the cards, the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.cards.tables import epochs_table, rates_table
from lrsweep.analysis.cost import cost_sentences
from lrsweep.analysis.ranking import RATE
from lrsweep.report import tables, words
from lrsweep.report.page import by_epoch, charts, objective
from lrsweep.report.page.blocks import chooser, figure, part, table
from lrsweep.report.page.markup import Html, tag
from lrsweep.report.page.shown import Curves, Part, Setting, parts
from lrsweep.report.words import many
from lrsweep.vocabulary import DIVERGED

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.cards import Card

SIGNS = {
    "good": ("✓", "good"),
    "too_slow": ("S", "too slow"),
    "oscillating": ("O", "oscillating"),
    "overfitting": ("F", "overfitting"),
    "collapsed": ("C", "collapsed: no better than chance"),
    "unstable": ("U", "unstable: ends worse than untrained"),
    DIVERGED: ("×", "diverged"),
}
"""A diagnosis's letter in the grid, and what it means."""

LEAST_TELLING = 7
"""Columns of settings that are spared before others have no place here: the figure shows what they say."""

ELSEWHERE = ("rank", "seeds", "steps to target", "evidence")
"""Columns that would say again what the page says elsewhere."""

MOST_ROWS, MOST_RATES = 50, 60
"""Of the diagnosis."""


def by_rate(answer: Answer) -> Html:
    """The figure, and the settings in a table."""
    shown = parts(answer)
    pictures = objective.pictures(answer, shown)
    entries = [setting.entry for one in shown for setting in one.settings]
    columns = [column for column in tables.settings_table(answer, entries, None) if column.spare <= LEAST_TELLING]
    columns = [column for column in columns if column.title not in ELSEWHERE]
    left_out = len(answer.entries) - len(entries)
    return tag(
        "section",
        tag("h2", "Objective against learning rate", class_="kicker"),
        chooser("dataset", "Dataset", [picture.label for picture in pictures]),
        figure("objective", pictures, "dataset", lead=True),
        table(columns, "Each setting at its best rate") if len(entries) > 1 else None,
        tag("p", f"{many(left_out, 'more setting')} in recommendation.json.", class_="quiet") if left_out else None,
        id="rates",
    )


def in_detail(answer: Answer) -> Html | None:
    """The curves of one setting, and its rates in tables."""
    several = len(answer.about["datasets"]) > 1
    shown = [(one, setting) for one in parts(answer) for setting in one.settings]
    labels = [f"{one.dataset}: {setting.name}" if several else setting.name for one, setting in shown]
    curves = Curves(answer.curves)
    pictures = [by_epoch.picture(setting, curves) for _, setting in shown]
    drawn = [picture for picture in pictures if picture]
    return tag(
        "section",
        tag("h2", "Rate by rate", class_="kicker"),
        chooser("setting", "Setting", labels),
        figure("curves", drawn, "setting", lead=True) if len(drawn) == len(shown) else None,
        *(part("setting", at, *_rates(answer, setting, curves)) for at, (_, setting) in enumerate(shown)),
        id="detail",
    )


def _rates(answer: Answer, setting: Setting, curves: Curves) -> Iterator[Html | None]:
    """What each rate cost and came to; the evidence of its diagnosis stands in the grid of diagnoses."""
    best = [row == 1 for row in setting.rates["rank"]]
    columns = [column for column in tables.rates_table(answer, setting.entry) if column.title not in ELSEWHERE]
    there = [column.title for column in columns]
    columns += [column for column in tables.tabled(rates_table(setting.rates)) if column.title not in there]
    columns = [column for column in columns if any(cell.strip() not in ("", words.NOTHING) for cell in column.cells)]
    epochs = tables.tabled(epochs_table(setting.runs, curves.rows(setting.runs["run_id"])))
    yield from (tag("p", sentence) for sentence in cost_sentences(setting.rates, answer.objective))
    yield table(columns, "Each rate, mean over seeds", best, compact=True)
    yield table(epochs, "Score by epoch, mean over seeds", best, compact=True)


def cards(answer: Answer) -> Iterator[Html]:
    """A section for each axis that there is something to say about."""
    for i, card in enumerate(answer.cards):
        yield _card(card, f"card-{i + 1}")


def _card(card: Card, name: str) -> Html:
    figures = [
        figure(f"{name}-{i + 1}", [charts.picture(chart)], above=card.title) for i, chart in enumerate(card.charts)
    ]
    return tag(
        "section",
        tag("p", card.axis.replace("_", " "), class_="axis-name"),
        tag("h2", card.title),
        *(tag("p", sentence) for sentence in card.sentences),
        *figures,
        table(tables.tabled(card.table)),
        id=name,
    )


def diagnosis(answer: Answer) -> Html | None:
    """A row per setting, a cell per rate: letter, colour, and the evidence on looking closer."""
    shown = parts(answer, MOST_ROWS)
    rates = sorted({rate for one in shown for setting in one.settings for rate in setting.rates[RATE]})
    if not shown or all(words.missing(given) for given in answer.ranking["diagnosis"]):
        return None
    left_out = len(answer.entries) - sum(len(one.settings) for one in shown)
    notes = [f"{many(left_out, 'more setting')} in ranking.csv."] if left_out else []
    notes += (
        [f"The first {MOST_RATES} of {len(rates):,} rates; ranking.csv has all."] if len(rates) > MOST_RATES else []
    )
    return tag(
        "section",
        tag("h2", "Diagnosis"),
        tag(
            "p",
            "How training looks at each rate. Point at a cell, tap it, or go there with the arrow keys: it tells why. "
            "A frame marks the best rate of a setting.",
        ),
        tag(
            "ul",
            *(tag("li", tag("span", sign, class_=f"sign d-{name}"), told) for name, (sign, told) in SIGNS.items()),
            class_="signs",
        ),
        tag("div", _grid(shown, rates[:MOST_RATES]), class_="scroll"),
        tag("p", " ".join(notes), class_="quiet") if notes else None,
        id="diagnosis",
    )


def _grid(shown: Sequence[Part], rates: Sequence[float]) -> Html:
    heads = [tag("th", words.rate(rate), scope="col") for rate in rates]
    several = len(shown) > 1
    rows = [
        _row(setting, f"{one.dataset}: {setting.name}" if several else setting.name, rates, at == number == 0)
        for at, one in enumerate(shown)
        for number, setting in enumerate(one.settings)
    ]
    head = tag("thead", tag("tr", tag("th", "learning rate", scope="col"), *heads))
    return tag("table", head, tag("tbody", *rows), class_="grid")


def _row(setting: Setting, name: str, rates: Sequence[float], first: bool) -> Html:
    by_rate = {row[RATE]: row for row in setting.rates.to_dict("records")}
    stop = next(rate for rate in rates if rate in by_rate) if first and any(rate in by_rate for rate in rates) else None
    cells = [_sign(name, by_rate[rate], rate == stop) if rate in by_rate else tag("td") for rate in rates]
    return tag("tr", tag("th", name, scope="row"), *cells)


def _sign(name: str, row: Mapping[Any, Any], stop: bool) -> Html:
    """A cell; the first one is where the tab key stops."""
    given, evidence, best = row["diagnosis"], row["evidence"], row["rank"] == 1
    sign, _ = SIGNS.get(str(given), (words.NOTHING, ""))
    told = [f"{name} at {words.rate(row[RATE])}: {words.diagnosis(given)}", words.cell(evidence, "text")]
    told = [told[0] + (", the best rate" if best else "")] if told[1] == words.NOTHING else told
    kind = f"d-{given}" if str(given) in SIGNS else "d-unsaid"
    button = tag("button", sign, type="button", class_=kind, aria_label="; ".join(told), tabindex=0 if stop else -1)
    return tag("td", button, class_="at-best" if best else None)
