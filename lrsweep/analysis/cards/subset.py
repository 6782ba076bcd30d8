"""The subset card: what more rows bring, and whether a small sample finds the same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.compare import Price, errors, price
from lrsweep.analysis.cards.findings import Axis, Board, Standing
from lrsweep.analysis.cards.phrases import exponent, factor, headed, joined, listed, on, pair, plain
from lrsweep.analysis.cards.scaling import (
    MOST_DRAWN,
    MOST_LISTED,
    Ladder,
    edges,
    ladder_numbers,
    ladders,
    price_words,
    rate_chart,
    summary,
    table,
)
from lrsweep.analysis.cards.trend import Trend, trend
from lrsweep.analysis.recommend import written
from lrsweep.vocabulary import Array

DEAR = 1.05
"""A sample's rate is as good as the full data's own where it costs no more than this times the loss, or the error."""

FEWEST = 4
"""Rates that two sizes have in common, for their order to be compared."""


def subset_card(board: Board, axis: Axis) -> Card:
    """The learning curve, the best rate per size, and what the small samples' rates are worth on the largest."""
    found = ladders(board, axis, rows_of, taken_up)
    if not found:
        return Card(axis.name, on(board, "No two settings differ in their training rows alone."))
    best, curve = found[0], learning_curve(found[0], board)
    title = on(board, headed(best.name if len(found) > 1 else "", headline(best, board)))
    orders = [[kept_order(one, ladder.members[-1]) for one in ladder.members] for ladder in found]
    sentences = [
        learning(curve, board),
        *ranking_kept(best, orders[0]),
        *edges(best, "training rows"),
        f"The best rate itself: {rate_words(best.trend)}",
        *agreed(found, board),
        *summary(found, "the number of rows"),
        *joined(axis),
    ]
    shared = [order for ladder in orders[:MOST_LISTED] for order in ladder]
    return Card(
        axis=axis.name,
        title=title,
        sentences=sentences,
        table=[
            *table(found, board, "training rows", "its rate on all rows"),
            Col("Spearman", [order[0] for order in shared], "number", 2),
            Col("of steady rates", [order[1] for order in shared], "number", 5),
        ],
        charts=[curve_chart(found, board, learning(curve, board)), rate_chart(found, "training rows", title)],
        numbers=numbers(found, orders, curve, board),
    )


def numbers(found: Sequence[Ladder], orders: Sequence[Sequence[Any]], curve: Trend, board: Board) -> dict[str, Any]:
    """The card for JSON."""
    families = []
    for ladder, order in zip(found, orders, strict=True):
        family = ladder_numbers(ladder, board, "n_train")
        for row, (whole, steady) in zip(family["sizes"], order, strict=True):
            row |= {"spearman": plain(whole), "spearman_steady": plain(steady)}
        families.append(family)
    told = {"learning_exponent": plain(curve.slope), "learning_exponent_interval": pair(curve.interval)}
    return {"dataset": board.dataset or None, **told, "families": families}


def rows_of(standing: Standing) -> float:
    """Training rows, however the file gives them."""
    return float(standing.n_train)


def taken_up(members: Sequence[Standing]) -> list[Price | None]:
    """What each size's best rate costs the largest; None for the largest itself."""
    largest = members[-1]
    costs = [None if one.best is None else price(float(one.profile.rates[one.best]), largest) for one in members[:-1]]
    return [*costs, None]


def learning_curve(ladder: Ladder, board: Board) -> Trend:
    """How the loss, or the error 1 - score, at each size's best rate goes with the rows, over paired seeds."""
    told = [(size, one) for size, one in zip(ladder.sizes, ladder.members, strict=True) if np.isfinite(one.objective)]
    if len(told) < 2:
        return Trend(None, None, (), "fewer than two sizes have a rate with all of its seeds")
    means = np.log10(errors(np.array([one.objective for _, one in told]), board.lower))
    by_seed = [np.log10(errors(one.profile.values[one.best], board.lower)) for _, one in told]
    n_seeds = len(by_seed[0])
    if any(len(row) != n_seeds or np.isnan(row).any() for row in by_seed):
        return trend(np.log10([size for size, _ in told]), means, None, 1)
    # The seeds themselves stand for resamples; their spread is that of one seed, so it is drawn in to that of a mean.
    around = means[:, None] + (np.array(by_seed) - means[:, None]) / np.sqrt(n_seeds)
    return trend(np.log10([size for size, _ in told]), means, around, n_seeds)


def learning(curve: Trend, board: Board) -> str:
    """The learning curve in a sentence."""
    what = board.metric if board.lower else f"the error, 1 - {board.metric},"
    if curve.slope is None:
        return f"What more rows bring cannot be told: {curve.reason}."
    if curve.interval is not None and curve.interval[0] <= 0 <= curve.interval[1]:
        return f"That more rows help cannot be told: {what} at each size's best rate has {exponent(curve)}."
    way = "falls" if curve.slope < 0 else "rises"
    by = factor(2 ** abs(curve.slope))
    return f"At each size's best rate {what} {way} by a factor of {by} per doubling of the rows ({exponent(curve)})."


def headline(best: Ladder, board: Board) -> str:
    """Whether the smallest sample finds the rate."""
    small, large, cost = best.members[0], best.members[-1], best.prices[0]
    if small.best is None or large.best is None or cost is None:
        return "Whether a small sample finds the rate cannot be told: a size has no run that finished."
    ours, theirs = written(small.told["best_rate"]), written(large.told["best_rate"])
    rows, all_rows = f"{best.sizes[0]:,.0f}", f"{best.sizes[-1]:,.0f}"
    if ours == theirs:
        return f"A sample of {rows} rows finds the same best rate as {all_rows} rows do: {ours}."
    start = f"The best rate of {rows} rows is {ours}, of {all_rows} rows {theirs}"
    verdicts = {True: "which is as good there", False: "which is worse there", None: "which may or may not be as good"}
    return f"{start}; the first costs {price_words(cost, board)} there, {verdicts[good(cost, large, board)]}."


def good(cost: Price, large: Standing, board: Board) -> bool | None:
    """Whether a rate is as good as the setting's own; None where its interval allows both."""
    if cost.n_lost or cost.difference is None:
        return False
    interval = cost.difference.interval
    if interval is None:
        return None
    own = float(errors(np.array([large.objective]), board.lower)[0])
    low, high = (np.exp(interval) if board.lower else 1 - np.array(interval[::-1]) / own).tolist()
    return True if high <= DEAR else False if low > 1 else None


def kept_order(small: Standing, large: Standing) -> tuple[float, float]:
    """Spearman's correlation of the objective over the rates of two sizes; and over those that are steady in both.

    nan where fewer than FEWEST rates are in common. Lost rates are worst, and alike.
    """
    here = np.isin(small.profile.rates, large.profile.rates)
    there = np.isin(large.profile.rates, small.profile.rates)
    ours, theirs = small.means[here], large.means[there]
    both = small.steady[here] & large.steady[there]
    return spearman(ours, theirs), spearman(ours[both], theirs[both])


def spearman(x: Array, y: Array) -> float:
    """The correlation of the ranks, equals sharing theirs; nan for fewer than FEWEST, or where all are equal.

    >>> round(spearman(np.array([1, 2, 3, 9]), np.array([1, 4, 5, np.inf])), 6)
    1.0
    """
    if len(x) < FEWEST:
        return float("nan")
    ranks = np.array([ranked(x), ranked(y)])
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = np.sqrt((ranks**2).sum(axis=1)).prod()
    return float((ranks[0] * ranks[1]).sum() / size) if size else float("nan")


def ranked(values: Array) -> Array:
    """The rank of each value, from 0; equal ones have the mean of theirs.

    >>> ranked(np.array([0.5, 0.1, np.inf, np.inf]))
    array([1. , 0. , 2.5, 2.5])
    """
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Array = ends - (counts + 1) / 2
    return means[at]


def ranking_kept(best: Ladder, orders: Sequence[tuple[float, float]]) -> Iterator[str]:
    """Whether the smaller samples rank the rates as the largest does."""
    told = [
        f"{whole:.2f} with {size:,.0f} rows" + (f" ({steady:.2f} over the steady rates)" if steady == steady else "")
        for size, (whole, steady) in zip(best.sizes[:-1], orders, strict=False)
        if whole == whole
    ]
    if told:
        yield f"The order of the rates against that of {best.sizes[-1]:,.0f} rows, Spearman: {listed(told)}."


def rate_words(found: Trend) -> str:
    """How the best rate goes with the rows."""
    if found.slope is None:
        return f"its trend with the rows cannot be told, {found.reason}."
    said = {"falls": "falls with more rows", "rises": "rises with more rows", "flat": "stays"}
    return f"{said.get(found.verdict, 'no trend with the rows can be told')}, {exponent(found)}."


def agreed(found: Sequence[Ladder], board: Board) -> Iterator[str]:
    """In how many families the smallest sample's rate is as good on the largest."""
    if len(found) < 2:
        return
    verdicts = [good(one.prices[0], one.members[-1], board) for one in found if one.prices[0] is not None]
    yes, no = verdicts.count(True), verdicts.count(False)
    yield (
        f"Of {len(verdicts)} settings of all else, the smallest sample's rate is as good on the largest "
        f"(within {DEAR - 1:.0%}) in {yes}, dearer in {no}, and not to be told in {len(verdicts) - yes - no}."
    )


def curve_chart(found: Sequence[Ladder], board: Board, title: str) -> Chart:
    """The objective at each size's best rate against the rows, on log scales; a score as 1 - score."""
    rows = []
    for ladder in found[:MOST_DRAWN]:
        for size, one in zip(ladder.sizes, ladder.members, strict=True):
            if np.isfinite(one.objective):
                low, high = one.interval
                told = errors(np.array([one.objective, low, high]), board.lower).tolist()
                rows.append((size, told[0], *sorted(told[1:]), ladder.name or board.metric))
    what = board.metric if board.lower else f"1 - {board.metric}"
    return Chart(
        kind="lines",
        data=pd.DataFrame(rows, columns=["size", "error", "low", "high", "setting"]),
        x="size",
        y="error",
        by="setting",
        low="low",
        high="high",
        title=title,
        words=f"{what} at each size's best rate against training rows, with 95% intervals.",
        x_title="training rows",
        y_title=what,
        log_x=True,
        log_y=True,
    )
