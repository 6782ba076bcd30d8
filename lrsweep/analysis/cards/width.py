"""The width card: should the rate go down when neurons are added, and by how much?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lrsweep.analysis.cards.card import Card
from lrsweep.analysis.cards.findings import Axis, Board, Standing
from lrsweep.analysis.cards.phrases import exponent, headed, joined, on
from lrsweep.analysis.cards.scaling import (
    Ladder,
    doubling,
    edges,
    heat_chart,
    ladder_numbers,
    ladders,
    price_words,
    rate_chart,
    reused,
    summary,
    table,
)
from lrsweep.analysis.cards.trend import Trend
from lrsweep.analysis.recommend import written


def width_card(board: Board, axis: Axis) -> Card:
    """Best rate per width, the exponent of the rate, and the price of the smallest width's rate at the others."""
    found = ladders(board, axis, width_of, reused)
    if not found:
        return Card(axis.name, on(board, "No two settings differ in width alone, so nothing can be said of it."))
    best, pairs = found[0], beside(found)
    title = on(board, headed(best.name if len(found) > 1 else "", answer(best.trend)))
    sentences = [*said(best, board), *compared(pairs, best), *summary(found, "the width"), *joined(axis)]
    drawn = [one for pair in pairs for one in pair] or found  # standard and mup next to each other
    return Card(
        axis=axis.name,
        title=title,
        sentences=sentences,
        table=table(found, board, "width", "reuse costs"),
        charts=[
            rate_chart(drawn, "width", title),
            heat_chart(drawn, board, "width", f"{board.metric} over width and rate: where the good rates lie"),
        ],
        numbers={"dataset": board.dataset or None, "families": [ladder_numbers(one, board, "width") for one in found]},
    )


def width_of(standing: Standing) -> float:
    """Units per hidden layer, at the start where it grows."""
    return float(standing.setting["width"] or 0)


def answer(trend: Trend) -> str:
    """What to do with the rate when neurons are added."""
    told = exponent(trend)
    if trend.slope is None:
        return f"How the rate goes with the width cannot be told: {trend.reason}."
    if trend.verdict == "none":
        return f"The best rate {doubling(trend)} per doubling of width ({told}), but {trend.reason}."
    if trend.verdict == "flat":
        return f"One rate serves all widths: {told}."
    if trend.verdict == "open":
        return f"No trend of the best rate with width can be told: {told}."
    act = "lower" if trend.verdict == "falls" else "raise"
    return f"When adding neurons, {act} the rate: it {doubling(trend)} per doubling of width ({told})."


def said(best: Ladder, board: Board) -> Iterator[str]:
    """What else there is to say of the best family: what is left out, and the price of reusing a rate."""
    yield from edges(best, "width")
    first = next((i for i, one in enumerate(best.members) if one.best is not None), None)
    if first is None:
        return
    small, rate = best.sizes[first], written(best.members[first].told["best_rate"])
    last = len(best.sizes) - 1
    if last > first:
        cost = price_words(best.prices[last], board)
        what = f"the {board.metric} of its own best rate"
        yield f"Reusing width {small:g}'s rate ({rate}) at width {best.sizes[last]:g} costs: {cost}, against {what}."
    if len(best.trend.points) == 2 and best.trend.interval is not None:
        yield "Two widths give a slope, but cannot show whether it is a power law: add a third."


def beside(found: Sequence[Ladder]) -> list[tuple[Ladder, Ladder]]:
    """The families under standard, each with the one that differs only in being under mup."""
    by_rest = {tuple(one.family.rest.items()): one for one in found}
    pairs = []
    for one in found:
        if one.family.rest.get("parametrization") == "standard":
            twin = by_rest.get(tuple({**one.family.rest, "parametrization": "mup"}.items()))
            pairs += [(one, twin)] if twin else []
    return pairs


def compared(pairs: Sequence[tuple[Ladder, Ladder]], best: Ladder) -> Iterator[str]:
    """Standard beside mup, for the best of the pairs, and how many of them agree."""
    for standard, mup in pairs[:1]:
        rest = {key: value for key, value in standard.family.rest.items() if key != "parametrization"}
        where = f" ({', '.join(str(value) for value in rest.values() if value is not None)})" if rest else ""
        both = f"Standard has {exponent(standard.trend)}; mup has {exponent(mup.trend)}{where}"
        yield f"{both}: {verdict(standard, mup)}."
        yield from (f"Under standard: {words}" for words in edges(standard, "width") if standard is not best)
        yield from (f"Under mup: {words}" for words in edges(mup, "width") if mup is not best)
    if len(pairs) > 1:
        nearer = sum(
            abs(mup.trend.slope) < abs(standard.trend.slope)
            for standard, mup in pairs
            if mup.trend.slope is not None and standard.trend.slope is not None
        )
        yield f"Under mup the exponent is nearer to 0 in {nearer} of {len(pairs)} pairs."


def verdict(standard: Ladder, mup: Ladder) -> str:
    """Whether the rate depends less on the width under mup; their errors are taken as independent."""
    ours, theirs = mup.trend, standard.trend
    if ours.slope is None or theirs.slope is None or ours.interval is None or theirs.interval is None:
        return "without both intervals, no more can be said"
    half = ((ours.interval[1] - ours.slope) ** 2 + (theirs.interval[1] - theirs.slope) ** 2) ** 0.5
    gap = ours.slope - theirs.slope
    told = f"the difference is {gap:.2f}, 95% {gap - half:.2f} to {gap + half:.2f}"
    if abs(gap) <= half:
        return f"{told}, so they cannot be told apart"
    return f"{told}, so the rate moves {'less' if abs(ours.slope) < abs(theirs.slope) else 'more'} under mup"
