"""The cards of what was added to the grid: rates beyond an edge, and rates round the fitted one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrsweep.analysis.cards.card import Card, Col
from lrsweep.analysis.cards.courses import called_apart, let_go
from lrsweep.analysis.cards.phrases import count, interval_numbers, listed, with_
from lrsweep.analysis.cards.scaling import MOST_LISTED, MOST_NAMED
from lrsweep.analysis.cards.standings import Material, Standing, standings
from lrsweep.analysis.fit import Fit, fit
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.ranking import lower_is_better, objective_column
from lrsweep.analysis.recommend import brief, in_decades
from lrsweep.vocabulary import Array


@dataclass(frozen=True)
class Added:
    """The rates that were added to a setting for one purpose, ascending; before that it had others, trained in full.

    `name` is what the setting has and others have not. `again` are those of the rates that elimination had dropped,
    `fit_before` is the fitted rate of the others.
    """

    name: str
    standing: Standing
    rates: Array
    before: Array
    again: Array
    fit_before: Fit

    @property
    def runs(self) -> int:
        """How many that made."""
        return len(self.rates) * len(self.standing.profile.seeds)

    @property
    def bracketed(self) -> bool:
        """Whether the best rate is not at an edge."""
        return bool(self.standing.entry["bracketed"])

    @property
    def widths(self) -> tuple[float, float]:
        """Of the fitted rate's interval before and after, in decades; nan where there is none."""
        return decades(self.fit_before.interval), decades(self.standing.entry["fitted_interval"])


def addition_cards(material: Material) -> tuple[Card, ...]:
    """A card for the rates beyond an edge and one for those round the fitted rate, as far as there are any."""
    asked = float((material.about.get("refine") or {}).get("decades", math.inf))
    cards = []
    if extended := added(material, ("extend", "refine")):
        told = [f"{way(one)}{with_(one.name)}{'' if one.bracketed else ' (not bracketed)'}" for one in extended]
        cards.append(
            Card("extend", extending(extended), [*each(told)], extended_table(extended), (), numbers(extended))
        )
    if refined := added(material, ("refine",)):
        told = [f"the interval {narrowed(one)}{with_(one.name)}" for one in refined]
        cards.append(
            Card("refine", refining(refined, asked), [*each(told)], refined_table(refined), (), numbers(refined))
        )
    return tuple(cards)


def added(material: Material, purposes: Sequence[str]) -> list[Added]:
    """What was added for the first of the purposes, the best setting first; what all of them added was not before.

    Extending comes before refining, so it begins without the rates of either.
    """
    lower, out = lower_is_better(objective_column(material.about)), let_go(material)
    rates: dict[tuple[Any, ...], dict[str, set[float]]] = {}
    for one in material.about.get("additions") or ():
        if one["why"] in purposes:
            rates.setdefault(tuple(one["setting"].values()), {}).setdefault(one["why"], set()).update(one["rates"])
    every = sorted(standings(material), key=lambda one: one.place)
    found = []
    for name, standing in zip(called_apart(every), every, strict=True):
        key, profile = tuple(standing.setting.values()), standing.profile
        own = np.array(sorted(rates.get(key, {}).get(purposes[0], ())))
        later = [rate for several in rates.get(key, {}).values() for rate in several]
        before = ~np.isin(profile.rates, later) & ~profile.stopped
        if len(own):
            again = own[np.isin(own, sorted(out.get(key, ())))]
            fitted = fit(profile.at(np.flatnonzero(before)), lower)
            found.append(Added(name, standing, own, profile.rates[before], again, fitted))
    return found


def extending(found: Sequence[Added]) -> str:
    """What was added beyond the edges, and whether that has bracketed the best."""
    runs, n_open = count(sum(one.runs for one in found), "run"), sum(not one.bracketed for one in found)
    if len(found) == 1:
        end = "but the best is still at the edge" if n_open else "until the best was bracketed"
        return f"Extended {way(found[0])}{with_(found[0].name)}, {end} ({runs})."
    rates = count(sum(len(one.rates) for one in found), "rate")
    left = f"in {n_open} of them the best is still at the edge" if n_open else "the best is bracketed in all of them"
    return f"Extended {len(found)} settings by {rates} ({runs}): {left}."


def way(one: Added) -> str:
    """Where a setting's rates were added, and how many."""
    low, high = (one.before.min(), one.before.max()) if len(one.before) else (math.inf, -math.inf)
    below, above = one.rates[one.rates < low], one.rates[one.rates > high]
    parts = [f"downwards by {count(len(below), 'rate')} to {brief(below.min())}"] if len(below) else []
    parts += [f"upwards by {count(len(above), 'rate')} to {brief(above.max())}"] if len(above) else []
    some = f" of which {len(one.again)}" if len(one.again) < len(one.rates) else " which"
    return f"{listed(parts)}{f',{some} had been dropped' if len(one.again) else ''}"


def refining(found: Sequence[Added], asked: float) -> str:
    """What was added round the fitted rates, and how sure they are now."""
    runs, rates = (count(sum(each), noun) for each, noun in counted(found))
    narrow = sum(one.widths[1] <= asked for one in found)
    if len(found) == 1:
        short = "" if narrow or asked == math.inf else f", where {asked:.2g} was asked for"
        where = with_(found[0].name)
        return f"Refined by {rates} round the fitted one{where} ({runs}): its 95% interval {narrowed(found[0])}{short}."
    some = "none" if not narrow else "all" if narrow == len(found) else str(narrow)
    held = f"{some} of their fitted rates {'have' if narrow > 1 else 'has'} a 95% interval within {in_decades(asked)}"
    return f"Refined {len(found)} settings by {rates} ({runs}): {held}."


def counted(found: Sequence[Added]) -> list[tuple[list[int], str]]:
    """The runs and the rates of each."""
    return [([one.runs for one in found], "run"), ([len(one.rates) for one in found], "rate")]


def narrowed(one: Added) -> str:
    """The fitted rate's interval before and after."""
    before, after = one.widths
    if not math.isfinite(after):
        return "cannot be told"
    if not math.isfinite(before):
        return f"is now {in_decades(after)}"
    same = f"{before:.2g}" == f"{after:.2g}"
    return f"{'stays at' if same else f'went from {before:.2g} to'} {in_decades(after)}"


def each(told: Sequence[str]) -> Iterator[str]:
    """What was said of each of several settings, as far as there is room for it."""
    if len(told) > 1:
        text = "; ".join([*told[:MOST_NAMED], *[f"{len(told) - MOST_NAMED} more"][: len(told) > MOST_NAMED]])
        yield f"{text[0].upper()}{text[1:]}."


def decades(interval: Sequence[float] | None) -> float:
    """How wide an interval is; nan where there is none.

    >>> decades([0.01, 0.1]), decades(None)
    (1.0, nan)
    """
    return math.nan if interval is None else math.log10(interval[1] / interval[0])


def settings_columns(found: Sequence[Added]) -> list[Col]:
    """What tells the settings apart."""
    settings = [one.standing.setting for one in found]
    return [Col(key, [setting[key] for setting in settings], "setting") for key in settings[0]]


def extended_table(found: Sequence[Added]) -> list[Col]:
    """A row per setting: its grid before and after."""
    shown = found[:MOST_LISTED]
    return [
        *settings_columns(shown),
        Col("rates before", [ends(one.before) for one in shown], "rates"),
        Col("added", [len(one.rates) for one in shown], "count"),
        Col("from to", [ends(one.rates) for one in shown], "rates"),
        Col("best rate", [one.standing.entry["best_rate"] for one in shown], "rate"),
        Col("bracketed", ["yes" if one.bracketed else "no" for one in shown]),
    ]


def refined_table(found: Sequence[Added]) -> list[Col]:
    """A row per setting: its fitted rate before and after."""
    shown = found[:MOST_LISTED]
    return [
        *settings_columns(shown),
        Col("added", [len(one.rates) for one in shown], "count"),
        Col("fitted before", [one.fit_before.rate for one in shown], "rate"),
        Col("interval before", [one.fit_before.interval for one in shown], "rates", 1),
        Col("decades before", [digits(one.widths[0], 3) for one in shown], "number"),
        Col("fitted", [one.standing.entry["fitted_rate"] for one in shown], "rate"),
        Col("interval", [one.standing.entry["fitted_interval"] for one in shown], "rates", 1),
        Col("decades", [digits(one.widths[1], 3) for one in shown], "number"),
    ]


def ends(rates: Array) -> tuple[float, float] | None:
    """The lowest and the highest of some rates; None where there are none."""
    return (float(rates[0]), float(rates[-1])) if len(rates) else None


def numbers(found: Sequence[Added]) -> dict[str, Any]:
    """What JSON has of each setting."""
    return {
        "settings": [
            {
                "setting": dict(one.standing.setting),
                "rates": one.rates.tolist(),
                "dropped_before": one.again.tolist(),
                "n_runs": one.runs,
                "bracketed": one.bracketed,
                "fitted_interval_before": interval_numbers(one.fit_before.interval),
                "fitted_interval": interval_numbers(one.standing.entry["fitted_interval"]),
            }
            for one in found
        ]
    }
