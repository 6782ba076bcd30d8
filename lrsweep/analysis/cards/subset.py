"""The subset card: what more rows bring, and whether a small sample finds the same rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.compare import Price, price
from lrsweep.analysis.cards.phrases import (
    LONGEST,
    decimals,
    exponent,
    factor,
    interval_numbers,
    joined,
    listed,
    on,
    places,
    with_,
)
from lrsweep.analysis.cards.scaling import (
    MOST_LISTED,
    MOST_NAMED,
    ROWS,
    Ladder,
    edges,
    exponents,
    ladder_numbers,
    ladders,
    price_words,
    shortened,
)
from lrsweep.analysis.cards.scaling_tables import rate_chart, table
from lrsweep.analysis.cards.standings import Axis, Board, Standing
from lrsweep.analysis.cards.trend import Trend, trend
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.recommend import brief
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
    curves = [learning_curve(ladder, board) for ladder in found]
    orders = [[kept_order(one, ladder.members[-1]) for one in ladder.members] for ladder in found]
    title = on(board, headline(found, board))
    shared = [order for ladder in orders[:MOST_LISTED] for order in ladder]
    return Card(
        axis=axis.name,
        title=title,
        sentences=[
            *agreed(found, board),
            *exponents(found, "the number of rows"),
            learning(found, curves, board),
            *ranking_kept(found, orders),
            *edges(found, ROWS),
            *joined(axis),
            *shortened(found),
        ],
        table=[
            *table(found, board, ROWS, f"its rate on {most(found)}"),
            Col("Spearman", [order[0] for order in shared], "number", 2),
            Col("of steady rates", [order[1] for order in shared], "number", 5),
        ],
        charts=[curve_chart(found, board), rate_chart(found, ROWS, f"Best rate against {ROWS}")],
        numbers={
            "dataset": board.dataset or None,
            "families": [family_numbers(*one, board) for one in zip(found, orders, curves, strict=True)],
        },
    )


def family_numbers(ladder: Ladder, orders: Sequence[tuple[float, float]], curve: Trend, board: Board) -> dict[str, Any]:
    """A family for JSON."""
    family = ladder_numbers(ladder, board, "n_train")
    for row, (every, steady) in zip(family["sizes"], orders, strict=True):
        row |= {"spearman": digits(every), "spearman_steady": digits(steady)}
    learned = {"learning_exponent": digits(curve.slope), "learning_exponent_interval": interval_numbers(curve.interval)}
    return family | learned


def rows_of(standing: Standing) -> float:
    """Training rows, however the file gives them."""
    return float(standing.n_train)


def most(found: Sequence[Ladder]) -> str:
    """The rows of the largest samples."""
    sizes = {one.sizes[-1] for one in found}
    return f"{sizes.pop():,.0f} rows" if len(sizes) == 1 else "the most rows"


def taken_up(board: Board, members: Sequence[Standing]) -> list[Price | None]:
    """What each size's best rate costs the largest; None for the largest itself."""
    *small, large = members
    return [*(None if one.best is None else price(board, one.entry["best_rate"], large) for one in small), None]


def learning_curve(ladder: Ladder, board: Board) -> Trend:
    """How the loss, or the error 1 - score, at each size's best rate goes with the rows, over paired seeds."""
    known = [(size, one) for size, one in zip(ladder.sizes, ladder.members, strict=True) if one.whole]
    if len(known) < 2:
        return Trend(None, None, (), "fewer than two sizes have a rate with all of its seeds")
    sizes, errors = np.log10([size for size, _ in known]), board.errors(np.array([one.objective for _, one in known]))
    if (errors <= board.no_error).any():
        return Trend(None, None, (), "at some size no error is left")
    means = np.log10(errors)
    by_seed = [np.log10(board.errors(one.profile.values[one.best])) for _, one in known]
    n_seeds = len(by_seed[0])
    if any(len(row) != n_seeds or np.isnan(row).any() for row in by_seed):
        return trend(sizes, means, None, 1)
    # The seeds themselves stand for resamples; their spread is that of one seed, so it is drawn in to that of a mean.
    around = means[:, None] + (np.array(by_seed) - means[:, None]) / np.sqrt(n_seeds)
    return trend(sizes, means, around, n_seeds)


def learning(found: Sequence[Ladder], curves: Sequence[Trend], board: Board) -> str:
    """The learning curves in a sentence: that of the best family, and the slopes of the others."""
    curve, what = curves[0], board.metric if board.lower else f"the error, 1 - {board.metric},"
    where = with_(found[0].name)
    if curve.slope is None:
        return f"What more rows bring{where} cannot be told: {curve.reason}."
    others = [
        f"{exponent(one)}{with_(ladder.name)}"
        for ladder, one in list(zip(found, curves, strict=True))[1:MOST_NAMED]
        if one.slope is not None
    ]
    slopes = "; ".join([f"exponent {exponent(curve)}{where}", *others])
    doubt = f"; {curve.reason}" if curve.interval is None else ""
    if curve.interval is not None and curve.interval[0] <= 0 <= curve.interval[1]:
        return f"That more rows help cannot be told: {what} at each size's best rate has {slopes}."
    way, by = "falls" if curve.slope < 0 else "rises", factor(2 ** abs(curve.slope))
    return f"At each size's best rate {what} {way} by a factor of {by} per doubling of the rows: {slopes}{doubt}."


def headline(found: Sequence[Ladder], board: Board) -> str:
    """Whether the smallest sample finds the rate."""
    best = found[0]
    small, large, cost = best.members[0], best.members[-1], best.prices[0]
    rows, all_rows = f"{best.sizes[0]:,.0f}", f"{best.sizes[-1]:,.0f}"
    if small.best is None or large.best is None or cost is None:
        return "Whether a small sample finds the rate cannot be told: a size has no run that finished."
    same = small.entry["best_rate"] == large.entry["best_rate"]
    if len(found) == 1:
        ours, theirs = brief(small.entry["best_rate"]), brief(large.entry["best_rate"])
        if same:
            return f"A sample of {rows} rows finds the same best rate as {all_rows} rows do: {ours}."
        verdict = {True: "as good there", False: "worse there", None: "as good there or not"}[good(cost, large, board)]
        return f"The best rate of {rows} rows is {ours}, of {all_rows} rows {theirs}: {verdict}, {costs(cost, board)}."
    few = [one for one in found if one.sizes[0] == best.sizes[0] and one.sizes[-1] == best.sizes[-1]]
    named = f"For {all_rows} rows, a sample of {rows} finds {'; '.join(taken(one, board) for one in few)}."
    return named if len(few) == len(found) <= MOST_NAMED and len(named) <= LONGEST else next(agreed(found, board))


def taken(ladder: Ladder, board: Board) -> str:
    """The rate that the smallest sample finds for the largest."""
    small, large, cost = ladder.members[0], ladder.members[-1], ladder.prices[0]
    where = with_(ladder.name)
    if small.best is None or large.best is None or cost is None:
        return f"none{where}"
    ours, theirs = brief(small.entry["best_rate"]), brief(large.entry["best_rate"])
    if small.entry["best_rate"] == large.entry["best_rate"]:
        return f"the same rate{where}, {ours}"
    return f"rate {ours} in place of {theirs}{where}, {costs(cost, board)}"


def costs(cost: Price, board: Board) -> str:
    """A price with what it is in."""
    words = price_words(cost, board.lower)
    return words if cost.n_lost or cost.same else f"{board.metric} {words}"


def good(cost: Price, large: Standing, board: Board) -> bool | None:
    """Whether a rate is as good as the setting's own; None where its interval allows both."""
    if cost.n_lost:
        return False
    if cost.difference is None or cost.difference.interval is None:
        return None
    interval = np.array(cost.difference.interval)
    own = float(board.errors(np.array([large.objective]))[0])
    low, high = (np.exp(interval) if board.lower else 1 - interval[::-1] / own).tolist()
    return True if high <= DEAR else False if low > 1 else None


def kept_order(small: Standing, large: Standing) -> tuple[float, float]:
    """Spearman's correlation of the objective over the rates of two sizes; and over those that are steady in both.

    nan where fewer than FEWEST rates are in common. Lost rates are worst, and alike; of dropped ones nothing is known.
    """
    ours, theirs = (one.profile.rates[~one.profile.stopped] for one in (small, large))
    here, there = np.isin(small.profile.rates, theirs), np.isin(large.profile.rates, ours)
    here, there = here & ~small.profile.stopped, there & ~large.profile.stopped
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


def ranking_kept(found: Sequence[Ladder], orders: Sequence[Sequence[tuple[float, float]]]) -> Iterator[str]:
    """Whether the smallest sample ranks the rates as the largest does, and the largest but one."""
    few = [
        f"{' and '.join(dict.fromkeys([decimals(own[0][0]), decimals(own[-2][0])]))}{with_(ladder.name)}"
        for ladder, own in list(zip(found, orders, strict=True))[:MOST_NAMED]
        if np.isfinite([own[0][0], own[-2][0]]).all()
    ]
    best = found[0]
    sizes = listed([f"{size:,.0f}" for size in dict.fromkeys([best.sizes[0], best.sizes[-2]])])
    if few:
        end = f"with that at {most(found)}, at {sizes} rows: {'; '.join(few)}."
        yield f"Spearman's correlation of the rates' order {end}"


def agreed(found: Sequence[Ladder], board: Board) -> Iterator[str]:
    """In how many families the smallest sample's rate is as good on the largest."""
    if len(found) < 2:
        return
    verdicts = [good(one.prices[0], one.members[-1], board) for one in found if one.prices[0] is not None]
    yes, no = verdicts.count(True), verdicts.count(False)
    where = places([one.family for one in found]).format(f"{yes} of {len(verdicts)}")
    yield (
        f"The best rate of the smallest sample is as good (within {DEAR - 1:.0%}) for the largest {where}, "
        f"worse in {no}, and not told in {len(verdicts) - yes - no}."
    )


def curve_chart(found: Sequence[Ladder], board: Board) -> Chart:
    """The objective at each size's best rate against the rows, on log scales; a score as 1 - score."""
    rows = []
    for ladder in found[:MOST_NAMED]:
        for size, one in zip(ladder.sizes, ladder.members, strict=True):
            if one.whole:
                low, high = one.interval
                error, *ends = board.errors(np.array([one.objective, low, high])).tolist()
                rows.append((size, error, *sorted(ends), ladder.name or board.metric))
    what = board.metric if board.lower else f"1 - {board.metric}"
    return Chart(
        kind="lines",
        data=pd.DataFrame(rows, columns=["size", "error", "low", "high", "setting"]),
        x="size",
        y="error",
        by="setting",
        low="low",
        high="high",
        title=f"{what} at each size's best rate against {ROWS}",
        words=f"{what} at each size's best rate against training rows, with 95% intervals.",
        x_title=ROWS,
        y_title=what,
        log_x=True,
        log_y=True,
    )
