"""The page's sections below its figure: one setting in detail, the cards, the diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.cost import cost_sentences
from lrsweep.analysis.ranking import RATE
from lrsweep.report import tables, words
from lrsweep.report.page import by_epoch, charts, look, objective
from lrsweep.report.page.blocks import chooser, figure, part, table
from lrsweep.report.page.markup import Html, tag
from lrsweep.report.page.shown import Part, Setting
from lrsweep.report.words import many
from lrsweep.vocabulary import DIVERGED, STOPPED

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
    STOPPED: ("○", "dropped before its end"),
}
"""A diagnosis's letter in the grid, and what it means."""

LEAST_TELLING = 7
"""Columns of settings that are spared before others have no place here: the figure shows what they say."""

ELSEWHERE = ("rank", "seeds", "steps to within 5%", "evidence")
"""Columns that would say again what the page says elsewhere."""

MOST_RATES = 60
"""Of the diagnosis."""


def by_rate(answer: Answer, shown: Sequence[Part]) -> Html:
    """The figure, and the settings in a table."""
    pictures = objective.pictures(answer, shown)  # none where no run finished: the diagnosis says how each ended
    entries = [setting.entry for one in shown for setting in one.settings]
    columns = [column for column in tables.settings_table(answer, entries, None) if column.spare <= LEAST_TELLING]
    columns = [column for column in columns if column.title not in ELSEWHERE]
    left_out = len(answer.entries) - len(entries)
    return tag(
        "section",
        tag("h2", "Objective against learning rate", class_="kicker"),
        chooser("dataset", "Dataset", [picture.label for picture in pictures]),
        figure("objective", pictures, "dataset", lead=True) if pictures else tag("p", f"{objective.NONE}."),
        table(columns, "Each setting at its best rate") if len(entries) > 1 and pictures else None,
        tag("p", f"{many(left_out, 'more setting')} in recommendation.json.", class_="quiet") if left_out else None,
        id="rates",
    )


def in_detail(answer: Answer, shown: Sequence[Part]) -> Html | None:
    """The curves of one setting, and its rates in tables."""
    settings, labels = [setting for one in shown for setting in one.settings], [*_labels(shown)]
    pictures = by_epoch.pictures(settings, labels, answer.read_curves)
    return tag(
        "section",
        tag("h2", "Rate by rate", class_="kicker"),
        chooser("setting", "Setting", labels),
        figure("curves", pictures, "setting", lead=True) if pictures else None,
        *(part("setting", at, *_rates(answer, setting)) for at, setting in enumerate(settings)),
        id="detail",
    )


def _labels(shown: Sequence[Part]) -> Iterator[str]:
    """The settings' names, with the dataset where there are several."""
    for one in shown:
        yield from (f"{one.dataset}: {setting.name}" if len(shown) > 1 else setting.name for setting in one.settings)


def _rates(answer: Answer, setting: Setting) -> Iterator[Html | None]:
    """What each rate cost and came to; the evidence of its diagnosis stands in the grid of diagnoses."""
    best = [row == 1 and setting.entry["best_rate"] is not None for row in setting.rates["rank"]]
    (_, columns), (_, means), *epochs = tables.rate_tables(answer, setting.entry)
    columns = [column for column in columns if column.title not in ELSEWHERE]
    there = {column.title for column in columns}.union(ELSEWHERE)
    columns += [column for column in means if column.title not in there]
    columns = [column for column in columns if any(cell.strip() not in ("", words.NOTHING) for cell in column.cells)]
    yield from (tag("p", sentence) for sentence in cost_sentences(setting.rates, answer.objective))
    yield table(columns, "Each rate, mean over seeds", best, compact=True)
    yield from (table(told, f"{title[:1].upper()}{title[1:]}", best, compact=True) for title, told in epochs)


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
        *(tag("p", sentence) for sentence in (*card.sentences, *card.details)),
        *figures,
        table(tables.tabled(card.table)),
        id=name,
    )


def diagnosis(answer: Answer, shown: Sequence[Part]) -> Html | None:
    """A row per setting, a cell per rate: letter, colour, and the evidence on looking closer."""
    rates = sorted({look.same(rate) for one in shown for setting in one.settings for rate in setting.rates[RATE]})
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
            *(
                tag("li", tag("span", sign, class_=f"sign d-{name}"), told)
                for name, (sign, told) in SIGNS.items()
                if name != STOPPED or (answer.ranking["diagnosis"] == STOPPED).any()
            ),
            class_="signs",
        ),
        tag("div", _grid(shown, rates[:MOST_RATES]), class_="scroll"),
        tag("p", " ".join(notes), class_="quiet") if notes else None,
        id="diagnosis",
    )


def _grid(shown: Sequence[Part], rates: Sequence[float]) -> Html:
    heads = [tag("th", words.rate(rate), scope="col") for rate in rates]
    settings = [setting for one in shown for setting in one.settings]
    named = enumerate(zip(settings, _labels(shown), strict=True))
    rows = [_row(setting, label, rates, first=at == 0) for at, (setting, label) in named]
    head = tag("thead", tag("tr", tag("th", "learning rate", scope="col"), *heads))
    return tag("table", head, tag("tbody", *rows), class_="grid")


def _row(setting: Setting, name: str, rates: Sequence[float], first: bool) -> Html:
    by_rate = {look.same(row[RATE]): row for row in setting.rates.to_dict("records")}
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
