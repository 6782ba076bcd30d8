"""The width card: should the rate go down when neurons are added, and by how much?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lrsweep.analysis.cards.card import Card
from lrsweep.analysis.cards.phrases import LONGEST, common, decimals, exponent, joined, listed, on, with_
from lrsweep.analysis.cards.scaling import (
    MOST_NAMED,
    Ladder,
    at,
    doubling,
    edges,
    exponents,
    ladder_numbers,
    ladders,
    price_words,
    reused,
    shortened,
)
from lrsweep.analysis.cards.scaling_tables import heat_chart, rate_chart, table
from lrsweep.analysis.cards.standings import Axis, Board, Standing
from lrsweep.analysis.cards.trend import Trend
from lrsweep.analysis.recommend import brief

ADVICE = {
    "falls": ("lower the rate", "lower it"),
    "rises": ("raise the rate", "raise it"),
    "flat": ("keep the rate", "it hardly moves"),
    "open": ("no trend can be told", "no trend can be told"),
    "none": ("nothing can be told", "nothing can be told"),
}
"""What to do with the rate by its trend, at the start of a title and after that."""

UNDER = "parametrization"


def width_card(board: Board, axis: Axis) -> Card:
    """Best rate per width, the exponent of the rate, and the price of the smallest width's rate at the others."""
    found = ladders(board, axis, width_of, reused)
    if not found:
        return Card(axis.name, on(board, "No two settings differ in width alone, so nothing can be said of it."))
    pairs = beside(found)
    title = on(board, answer(found[0].trend) if len(found) == 1 else answers(found))
    drawn = [one for pair in pairs for one in pair] or found  # standard and mup next to each other
    return Card(
        axis=axis.name,
        title=title,
        sentences=[
            *(exponents(found, "the width") if len(found) > 1 else ()),
            *reuse(found, board),
            *parametrizations(pairs),
            *edges(found, "width"),
            *two_points(found),
            *joined(axis),
            *shortened(found),
        ],
        table=table(found, board, "width", reuse_column(found, board)),
        charts=[
            rate_chart(drawn, "width", "Best rate against width"),
            heat_chart(drawn, board, "width", f"{board.metric} over width and rate: where the good rates lie"),
        ],
        numbers={"dataset": board.dataset or None, "families": [ladder_numbers(one, board, "width") for one in found]},
    )


def width_of(standing: Standing) -> float:
    """Units per hidden layer, at the start where it grows."""
    return float(standing.setting["width"] or 0)


def answer(trend: Trend) -> str:
    """What to do with the rate when neurons are added, from the only trend."""
    if trend.slope is None:
        return f"Best rate against width: no trend can be told, since {trend.reason}."
    sure = f"exponent {exponent(trend)}"
    if trend.verdict == "none":
        return f"The best rate {doubling(trend)} per doubling of width, {sure}, but {trend.reason}."
    if trend.verdict == "flat":
        return f"One rate serves all widths: {sure}."
    if trend.verdict == "open":
        return f"Best rate against width: no trend can be told, {sure}."
    act = ADVICE[trend.verdict][0]
    return f"When adding neurons, {act}: it {doubling(trend)} per doubling of width, {sure}."


def answers(found: Sequence[Ladder]) -> str:
    """What to do with the rate when neurons are added, from the trends of several families, few of them by name."""
    groups: dict[tuple[str, str], list[int]] = {}
    for i, one in enumerate(found):
        groups.setdefault((under(one, found), one.trend.advice), []).append(i)
    order = sorted(groups, key=lambda key: (key[0], list(ADVICE).index(key[1])))
    parts = [named(found, groups[key], key, not i) for i, key in enumerate(order)]
    title = f"{opening(order)}{'; '.join(parts)}."
    if len(found) <= MOST_NAMED and len(title) <= LONGEST:
        return title
    order = sorted(order, key=lambda key: -len(groups[key]))
    parts = [counted(found, groups[key], key, not i) for i, key in enumerate(order)]
    return f"{opening(order)}{'; '.join(parts)}."


def opening(order: Sequence[tuple[str, str]]) -> str:
    """The start of a title, by what it says first: what to do, or that nothing can be told."""
    return "Best rate against width: " if order[0][1] in ("open", "none") else "When adding neurons, "


def named(found: Sequence[Ladder], own: Sequence[int], group: tuple[str, str], first: bool) -> str:
    """What to do with the rate in some of the families, each with its exponent."""
    where, advice = group
    short = common([{key: value for key, value in one.family.rest.items() if key != UNDER} for one in found])
    words = f"{where}{ADVICE[advice][not first]}"
    slopes = [(slope, short[i]) for i in own if (slope := found[i].trend.slope) is not None]
    if not slopes:
        return f"{words}{with_(listed([short[i] for i in own]))}"
    told = ", ".join(f"{decimals(slope)}{with_(name)}" for slope, name in slopes)
    return f"{words}{', exponent ' if first and advice in ('open', 'none') else ': exponent ' if first else ': '}{told}"


def counted(found: Sequence[Ladder], own: Sequence[int], group: tuple[str, str], first: bool) -> str:
    """What to do with the rate in some of many families: how many they are, and the range of their exponents."""
    where, advice = group
    slopes = [slope for i in own if (slope := found[i].trend.slope) is not None]
    between = f" (exponents {decimals(min(slopes))} to {decimals(max(slopes))})" if slopes else ""
    return f"{where}{ADVICE[advice][not first]} in {len(own)} of {len(found)} settings{between}"


def under(ladder: Ladder, found: Sequence[Ladder]) -> str:
    """The start of a statement that is about one parametrization of several; of the standard one it needs none."""
    own = ladder.family.rest.get(UNDER, "standard")
    several = len({one.family.rest.get(UNDER) for one in found}) > 1
    return f"under {own} " if several and own != "standard" else ""


def reuse_column(found: Sequence[Ladder], board: Board) -> str:
    """The title of what the smallest width's rate costs the others."""
    smallest = {one.sizes[i] for one in found if (i := first_alive(one)) is not None}
    whose = f"width {smallest.pop():g}" if len(smallest) == 1 else "the smallest width"
    return f"{'loss' if board.lower else 'score'} with {whose}'s rate"


def reuse(found: Sequence[Ladder], board: Board) -> Iterator[str]:
    """What the smallest width's rate costs the largest, where the families have these in common."""
    known = [(one, i) for one in found if (i := first_alive(one)) is not None and i < len(one.sizes) - 1]
    lead = [(one.sizes[i], one.sizes[-1]) for one, i in known[:1]]
    few = [
        f"{price_words(one.prices[-1], board.lower)}{with_(one.name)}"
        for one, i in known[:MOST_NAMED]
        if (one.sizes[i], one.sizes[-1]) in lead
    ]
    for small, large in lead:
        rate = f" ({brief(found[0].members[known[0][1]].entry['best_rate'])})" if len(found) == 1 else ""
        what = f"width {small:g}'s rate{rate} {at('width', large)}"
        yield f"Cost of {what}, in {board.metric} against its own best rate: {'; '.join(few)}."


def first_alive(ladder: Ladder) -> int | None:
    """The smallest size at which a run finished."""
    return next((i for i, one in enumerate(ladder.members) if one.best is not None), None)


def two_points(found: Sequence[Ladder]) -> Iterator[str]:
    """The doubt about a slope through two widths."""
    if any(len(one.trend.points) == 2 and one.trend.interval is not None for one in found):
        yield "Two widths give a slope, but cannot show whether it is a power law: add a third."


def beside(found: Sequence[Ladder]) -> list[tuple[Ladder, Ladder]]:
    """The families under standard, each with the one that differs only in being under mup."""
    by_rest = {tuple(one.family.rest.items()): one for one in found}
    pairs = []
    for one in found:
        if one.family.rest.get(UNDER) == "standard":
            twin = by_rest.get(tuple({**one.family.rest, UNDER: "mup"}.items()))
            pairs += [(one, twin)] if twin else []
    return pairs


def parametrizations(pairs: Sequence[tuple[Ladder, Ladder]]) -> Iterator[str]:
    """By how much mup's exponent differs from standard's, and in how many pairs it is nearer to 0."""
    rests = [{key: value for key, value in one.family.rest.items() if key != UNDER} for one, _ in pairs]
    gaps = [
        f"{decimals(gap)} (95% {decimals(low)} to {decimals(high)}){with_(name)}"
        for pair, name in zip(pairs, common(rests), strict=True)
        for gap, low, high in mup_gap(*pair)
    ]
    if gaps:
        yield f"mup's exponent less standard's: {'; '.join(gaps[:MOST_NAMED])}."
    if len(pairs) > 1:
        slopes = [(one.trend.slope, twin.trend.slope) for one, twin in pairs]
        nearer = sum(abs(mup) < abs(own) for own, mup in slopes if own is not None and mup is not None)
        yield f"Under mup the exponent is nearer to 0 in {nearer} of {len(pairs)} pairs."


def mup_gap(standard: Ladder, mup: Ladder) -> Iterator[tuple[float, float, float]]:
    """mup's exponent less standard's, with the ends of its interval: their errors are taken as independent."""
    ours, theirs = mup.trend, standard.trend
    if ours.slope is not None and theirs.slope is not None and ours.interval and theirs.interval:
        half = math.hypot(ours.interval[1] - ours.slope, theirs.interval[1] - theirs.slope)
        gap = ours.slope - theirs.slope
        yield gap, gap - half, gap + half
