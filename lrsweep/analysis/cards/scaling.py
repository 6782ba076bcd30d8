"""What the cards of sizes share: how the best rate goes with a size, and what one size's rate costs at another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lrsweep.analysis.cards.compare import Price, price
from lrsweep.analysis.cards.phrases import (
    change,
    common,
    count,
    difference_numbers,
    exponent,
    factor,
    interval_numbers,
    listed,
    standing_numbers,
    with_,
)
from lrsweep.analysis.cards.standings import Axis, Board, Family, Standing
from lrsweep.analysis.cards.trend import Trend, rate_trend
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.ranking import RATE
from lrsweep.analysis.recommend import brief

MOST_NAMED = 6
"""Families that sentences name one by one; of more they say how many."""

MOST_LISTED = 12
"""Families in a table; the sentences are about all of them."""

ROWS = "training rows"


@dataclass(frozen=True)
class Ladder:
    """A family in the order of its sizes, with the exponent of its rate, and the `prices` of one size's rate.

    `prices` says what taking that rate costs at each size, None at its own. `name` is what the family's settings have
    in common that other families have not.
    """

    name: str
    family: Family
    sizes: Sequence[float]
    members: Sequence[Standing]
    trend: Trend
    prices: Sequence[Price | None]


def ladders(
    board: Board,
    axis: Axis,
    size: Callable[[Standing], float],
    prices: Callable[[Board, Sequence[Standing]], Sequence[Price | None]],
) -> list[Ladder]:
    """The families of an axis, each in the order of its sizes, the one with the best setting first."""
    families = board.families(axis)
    found = []
    for name, family in zip(common([family.rest for family in families]), families, strict=True):
        members = sorted(family.members.values(), key=size)
        sizes = [size(member) for member in members]
        trend = rate_trend(sizes, members, board.lower)
        found.append(Ladder(name, family, sizes, members, trend, prices(board, members)))
    return found


def reused(board: Board, members: Sequence[Standing]) -> list[Price | None]:
    """What the best rate of the smallest size costs each of the others; None for that size itself."""
    first = next((i for i, one in enumerate(members) if one.best is not None), None)
    if first is None:
        return [None] * len(members)
    rate = members[first].profile.rates[members[first].best]
    return [None if i == first else price(board, float(rate), one) for i, one in enumerate(members)]


def doubling(trend: Trend) -> str:
    """By how much the rate changes when the size doubles.

    >>> doubling(Trend(-0.5, None, (0, 1))), doubling(Trend(1.0, None, (0, 1)))
    ('falls by a factor of 1.41', 'rises by a factor of 2.00')
    """
    slope = trend.slope or 0.0
    return f"{'falls' if slope < 0 else 'rises'} by a factor of {factor(2 ** abs(slope))}"


def at(what: str, *sizes: float) -> str:
    """Where something is so.

    >>> at("width", 16, 32), at("training rows", 1079)
    ('at width 16 and 32', 'with 1,079 training rows')
    """
    if what == ROWS:
        return f"with {listed([f'{one:,.0f}' for one in sizes])} {ROWS}"
    return f"at {what} {listed([f'{one:g}' for one in sizes])}"


def exponents(found: Sequence[Ladder], what: str) -> Iterator[str]:
    """The exponent of each family with its interval; of many families of the best ones."""
    few = [f"{exponent(one.trend)}{with_(one.name)}" for one in found if one.trend.slope is not None]
    more = f"; --json has {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
    unsure = [one.name for one in found if one.trend.slope is None]
    if few and unsure:
        more += f"; it cannot be told{with_(listed(unsure, 3))}"
    if few:
        yield f"Exponent of the best rate against {what}: {'; '.join(few[:MOST_NAMED])}{more}."


def shortened(found: Sequence[Ladder]) -> Iterator[str]:
    """That a table does not show all families."""
    if len(found) > MOST_LISTED:
        n, few = (sum(len(one.sizes) for one in ladders) for ladders in (found, found[:MOST_LISTED]))
        yield f"The table shows {few} of {n} settings, the best first; --json has all."


def edges(found: Sequence[Ladder], what: str) -> Iterator[str]:
    """The sizes that the exponents leave out, and why."""
    for ladder in found[:MOST_NAMED]:
        known = ladder.trend.slope is not None
        members, where = list(zip(ladder.sizes, ladder.members, strict=True)), with_(ladder.name)
        for side, tried in (("low", "lowest"), ("high", "highest")):
            there = [(size, one) for size, one in members if one.entry["edge"] == side]
            if there:
                place = at(what, *(size for size, _ in there))
                rates = listed([brief(one.entry["best_rate"]) for _, one in there], most=3)
                out = ", so the exponent leaves it out" if known else ""
                beyond = "below" if side == "low" else "above"
                yield (
                    f"{place[0].upper()}{place[1:]}{where} the best rate is the {tried} tried ({rates}){out}; "
                    f"the best may lie {beyond}."
                )
        dead = [size for size, one in members if one.best is None]
        if dead:
            place = at(what, *dead)
            yield f"{place[0].upper()}{place[1:]}{where} no run finished."
        without = [ladder.sizes[i] for i in ladder.trend.points if ladder.members[i].fit.rate is None]
        if without and known:
            place = at(what, *without)
            yield (
                f"{place[0].upper()}{place[1:]}{where} no rate could be fitted, so the exponent is that of the best "
                "rates tried."
            )


def ladder_numbers(ladder: Ladder, board: Board, size: str) -> dict[str, Any]:
    """A family for JSON."""
    trend = ladder.trend
    told = {"exponent": digits(trend.slope), "exponent_interval": interval_numbers(trend.interval)}
    rows = [
        {size: at, **standing_numbers(one), "reuse": price_numbers(cost, board.lower)}
        for at, one, cost in zip(ladder.sizes, ladder.members, ladder.prices, strict=True)
    ]
    return {"setting": dict(ladder.family.rest), **told, "trend": trend.verdict, "sizes": rows}


def price_numbers(cost: Price | None, lower: bool) -> dict[str, Any] | None:
    """What a rate costs, for JSON."""
    if cost is None:
        return None
    return {RATE: cost.rate, "n_lost": cost.n_lost, **difference_numbers(cost.difference, lower)}


def price_words(cost: Price | None, lower: bool) -> str:
    """What a rate costs, in a few words: nothing, a ratio with its interval, or its seeds.

    The rate that was tried is told where the wanted one was not.
    """
    if cost is None:
        return "not known"
    where = f" at {brief(cost.rate)}, the nearest tried" if cost.nearest else ""
    if cost.n_lost:
        return f"{'all' if cost.n_lost == cost.n else f'{cost.n_lost} of'} {count(cost.n, 'seed')} lost{where}"
    if cost.same:
        return f"the same rate{where}"
    if cost.difference is None:
        return f"not known{where}"
    if cost.difference.mean == 0 and not cost.difference.error:
        return f"nothing{where}"
    return f"{change(cost.difference, lower)}{where}"
