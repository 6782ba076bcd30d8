"""What the cards of sizes share: how the best rate goes with a size, and what one size's rate costs at another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Chart, Col
from lrsweep.analysis.cards.compare import Price, price
from lrsweep.analysis.cards.findings import Axis, Board, Family, Standing
from lrsweep.analysis.cards.phrases import (
    common,
    difference_numbers,
    factor,
    listed,
    measured,
    plain,
    shown,
    standing_numbers,
)
from lrsweep.analysis.cards.trend import Trend, rate_trend
from lrsweep.analysis.ranking import RATE
from lrsweep.analysis.recommend import written

MOST_LISTED = 12
"""Families in a table; the summary is over all of them."""

MOST_DRAWN = 6
"""Families in a chart."""


@dataclass(frozen=True)
class Ladder:
    """A family in the order of its sizes, with the exponent of its rate, and the `prices` of one size's rate.

    The rate is that of the setting at `origin`; at the others `prices` says what taking it costs them.
    """

    family: Family
    sizes: Sequence[float]
    members: Sequence[Standing]
    trend: Trend
    prices: Sequence[Price | None]

    @property
    def name(self) -> str:
        """What its settings have in common."""
        return common(self.family.rest)


def ladders(
    board: Board,
    axis: Axis,
    size: Callable[[Standing], float],
    prices: Callable[[Sequence[Standing]], Sequence[Price | None]],
) -> list[Ladder]:
    """The families of an axis, each in the order of its sizes, the one with the best setting first."""
    found = []
    for family in board.families(axis):
        members = sorted(family.members.values(), key=size)
        sizes = [size(member) for member in members]
        found.append(Ladder(family, sizes, members, rate_trend(sizes, members, board.lower), prices(members)))
    return found


def reused(members: Sequence[Standing]) -> list[Price | None]:
    """What the best rate of the smallest size costs each of the others; None for that size itself."""
    first = next((i for i, one in enumerate(members) if one.best is not None), None)
    if first is None:
        return [None] * len(members)
    rate = members[first].profile.rates[members[first].best]
    return [None if i == first else price(float(rate), one) for i, one in enumerate(members)]


def doubling(trend: Trend) -> str:
    """By how much the rate changes when the size doubles.

    >>> doubling(Trend(-0.5, None, (0, 1))), doubling(Trend(1.0, None, (0, 1)))
    ('falls by a factor of 1.41', 'rises by a factor of 2.00')
    """
    slope = trend.slope or 0.0
    return f"{'falls' if slope < 0 else 'rises'} by a factor of {factor(2 ** abs(slope))}"


def edges(ladder: Ladder, what: str) -> Iterator[str]:
    """The sizes that the exponent leaves out, and why."""
    for side, bound in (("low", "highest"), ("high", "lowest")):
        at = [one for one in zip(ladder.sizes, ladder.members, strict=True) if one[1].told["edge"] == side]
        if at:
            sizes = listed([f"{one:g}" for one, _ in at])
            rates = listed([written(one.told["best_rate"]) for _, one in at], most=3)
            tried = {"highest": "lowest", "lowest": "highest"}[bound]
            yield (
                f"At {what} {sizes} the best rate is the {tried} tried ({rates}), so the exponent leaves it out; "
                f"the best may lie {'below' if side == 'low' else 'above'}."
            )
    dead = [size for size, one in zip(ladder.sizes, ladder.members, strict=True) if one.best is None]
    if dead:
        yield f"At {what} {listed([f'{one:g}' for one in dead])} no run finished."
    without = [ladder.sizes[i] for i in ladder.trend.points if ladder.members[i].fit.rate is None]
    if without and ladder.trend.slope is not None:
        where = listed([f"{one:g}" for one in without])
        yield f"At {what} {where} no rate could be fitted, so the exponent is that of the best rates tried."


def summary(found: Sequence[Ladder], what: str) -> Iterator[str]:
    """What the rate does over all families, where there are several."""
    if len(found) < 2:
        return
    counts = Counter(ladder.trend.verdict for ladder in found)
    said = {
        "falls": "falls",
        "rises": "rises",
        "flat": "stays within a factor of 1.15 per doubling",
        "open": "may go either way",
        "none": "has no exponent with an interval",
    }
    parts = [f"in {counts[verdict]} it {words}" for verdict, words in said.items() if counts[verdict]]
    yield f"The best rate against {what}, in {len(found)} settings of all else: {listed(parts)}."


def table(found: Sequence[Ladder], board: Board, size: str, column: str) -> list[Col]:
    """A row per family and size; `column` is the title of the prices."""
    few = found[:MOST_LISTED]
    rows = [(ladder, i) for ladder in few for i in range(len(ladder.sizes))]
    members = [ladder.members[i] for ladder, i in rows]
    prices = [ladder.prices[i] for ladder, i in rows]
    costs = [shown(None if one is None or one.n_lost else one.difference, board.lower) for one in prices]
    rest = [name for name in (few[0].family.rest if few else ()) if len(found) > 1]
    lost = [f"{one.n_lost} seeds lost" if one and one.n_lost else "" for one in prices]
    notes = [", ".join(filter(None, [mark(member), note])) for member, note in zip(members, lost, strict=True)]
    return [
        *(Col(name, [ladder.family.rest[name] for ladder, _ in rows], "setting") for name in rest),
        Col(size, [ladder.sizes[i] for ladder, i in rows], "count"),
        Col("best rate", [one.told["best_rate"] for one in members], "rate"),
        Col("tied with", [one.told["tie_interval"] for one in members], "rates", 2),
        Col("fitted rate", [one.fit.rate for one in members], "rate", 3),
        Col("95% of it", [one.fit.interval for one in members], "rates", 4),
        Col(board.metric, [one.objective for one in members], "value"),
        Col("stable to", [one.told["highest_stable_rate"] for one in members], "rate", 1),
        Col(column, [cost for cost, _ in costs], "ratio" if board.lower else "number"),
        Col("95%", [interval for _, interval in costs], "rates", 5),
        *([Col("note", notes)] if any(notes) else []),
    ]


def mark(member: Standing) -> str:
    """What to doubt about a row."""
    edge = member.told["edge"]
    return "no run finished" if member.best is None else f"at the {edge} edge" if edge in ("low", "high") else ""


def rate_chart(found: Sequence[Ladder], size: str, title: str) -> Chart:
    """The best rate against the size, a line per family, with the fitted rates' intervals."""
    rows = [
        (at, *drawn(one, ladder.trend.fitted), ladder.name or "best rate")
        for ladder in found[:MOST_DRAWN]
        for at, one in zip(ladder.sizes, ladder.members, strict=True)
        if one.best is not None
    ]
    few = f" The {MOST_DRAWN} best settings of {len(found)} are drawn." if len(found) > MOST_DRAWN else ""
    words = f"Fitted rates with 95% intervals, or best rates with their ties, against {size}; both scales logarithmic."
    return Chart(
        kind="lines",
        data=pd.DataFrame(rows, columns=["size", "rate", "low", "high", "setting"]),
        x="size",
        y="rate",
        by="setting",
        low="low",
        high="high",
        title=title,
        words=words + few,
        x_title=size,
        y_title="best rate",
        log_x=True,
        log_y=True,
    )


def drawn(one: Standing, fitted: bool) -> tuple[float, float, float]:
    """The rate of a setting with its ends: fitted with its interval, or the best with its ties; nan where unknown."""
    ends = one.fit.interval if fitted else one.told["tie_interval"]
    rate = one.fit.rate if fitted and one.fit.rate else one.told["best_rate"]
    low, high = ends or (np.nan, np.nan)
    return rate, low, high


def heat_chart(found: Sequence[Ladder], board: Board, size: str, title: str) -> Chart:
    """The objective over size and rate, a panel per family; losses no higher than the untrained one's."""
    rows = [
        {"size": at, RATE: rate, "objective": value, "setting": ladder.name or board.metric}
        for ladder in found[:MOST_DRAWN]
        for at, one in zip(ladder.sizes, ladder.members, strict=True)
        for rate, value in zip(one.profile.rates.tolist(), capped(one, board), strict=True)
    ]
    cap = "losses above the untrained one are drawn like that one" if board.lower else "a lost rate is left blank"
    return Chart(
        kind="heat",
        data=pd.DataFrame(rows, columns=["size", RATE, "objective", "setting"]),
        x="size",
        y=RATE,
        by="setting",
        colour="objective",
        title=title,
        words=f"{board.metric} for each {size} and rate, mean over seeds; {cap}.",
        x_title=size,
        y_title=RATE,
        colour_title=board.metric,
        log_x=True,
        log_y=True,
        log_colour=board.lower,
    )


def capped(one: Standing, board: Board) -> list[float]:
    """The objective of each rate as a colour can show it: a lost score is nan, a loss at most the untrained one."""
    drawn = np.fmin(one.means, one.untrained) if board.lower else np.where(np.isfinite(one.means), one.means, np.nan)
    return [float(value) for value in drawn]


def ladder_numbers(ladder: Ladder, board: Board, size: str) -> dict[str, Any]:
    """A family for JSON."""
    trend = ladder.trend
    interval = None if trend.interval is None else [*trend.interval]
    told = {"exponent": plain(trend.slope), "exponent_interval": interval, "trend": trend.verdict}
    rows = [
        {size: at, **standing_numbers(one), "reuse": price_numbers(cost, board.lower)}
        for at, one, cost in zip(ladder.sizes, ladder.members, ladder.prices, strict=True)
    ]
    return {"setting": dict(ladder.family.rest), **told, "sizes": rows}


def price_numbers(cost: Price | None, lower: bool) -> dict[str, Any] | None:
    """What a rate costs, for JSON."""
    if cost is None:
        return None
    return {RATE: cost.rate, "n_lost": cost.n_lost, **difference_numbers(cost.difference, lower)}


def price_words(cost: Price | None, board: Board) -> str:
    """What a rate costs, in a sentence: nothing, a ratio with its interval, or that it does not train.

    The rate that was tried is told where the wanted one was not.
    """
    if cost is None or cost.difference is None:
        return "cannot be told"
    where = f" (at {written(cost.rate)}, the nearest tried)" if cost.nearest else ""
    if cost.n_lost:
        return f"{cost.n_lost} lost seed{'s' * (cost.n_lost > 1)}{where}"
    value, interval = shown(cost.difference, board.lower)
    if cost.difference.mean == 0 and (interval is None or interval[0] == interval[1]):
        return f"nothing{where}"
    return f"{measured(value or 0.0, interval, board.lower)}{where}"
