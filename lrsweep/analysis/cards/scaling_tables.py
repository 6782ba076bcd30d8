"""The table and the charts of the cards of sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Chart, Col
from lrsweep.analysis.cards.phrases import count, shown
from lrsweep.analysis.cards.scaling import MOST_LISTED, MOST_NAMED, Ladder
from lrsweep.analysis.cards.standings import Board, Standing
from lrsweep.analysis.ranking import RATE

EDGES = {"low": "at the low edge", "high": "at the high edge"}


def table(found: Sequence[Ladder], board: Board, size: str, column: str) -> list[Col]:
    """A row per family and size; `column` is the title of the prices."""
    few = found[:MOST_LISTED]
    rows = [(ladder, i) for ladder in few for i in range(len(ladder.sizes))]
    members = [ladder.members[i] for ladder, i in rows]
    prices = [ladder.prices[i] for ladder, i in rows]
    costs = [shown(None if one is None or one.n_lost else one.difference, board.lower) for one in prices]
    rest = [name for name in (few[0].family.rest if few else ()) if len({one.family.rest[name] for one in found}) > 1]
    lost = [f"{count(one.n_lost, 'seed')} lost" if one and one.n_lost else "" for one in prices]
    notes = [", ".join(filter(None, [mark(member), note])) for member, note in zip(members, lost, strict=True)]
    return [
        *(Col(name, [ladder.family.rest[name] for ladder, _ in rows], "setting") for name in rest),
        Col(size, [ladder.sizes[i] for ladder, i in rows], "count"),
        Col("best rate", [one.entry["best_rate"] for one in members], "rate"),
        Col("tied with", [one.entry["tie_interval"] for one in members], "rates", 2),
        Col("fitted rate", [one.fit.rate for one in members], "rate", 3),
        Col("95% of it", [one.fit.interval for one in members], "rates", 4),
        Col(board.metric, [one.objective for one in members], "value"),
        Col("stable to", [one.stable_to for one in members], "bound", 1),
        Col(column, [cost for cost, _ in costs], "ratio" if board.lower else "change"),
        Col("95%", [interval for _, interval in costs], "ratios" if board.lower else "changes", 5),
        *([Col("note", notes)] if any(notes) else []),
    ]


def mark(member: Standing) -> str:
    """What to doubt about a row."""
    return "no run finished" if member.best is None else EDGES.get(member.entry["edge"], "")


def rate_chart(found: Sequence[Ladder], size: str, title: str) -> Chart:
    """The best rate against the size, a line per family, with the fitted rates' intervals."""
    rows = [
        (at, *drawn(one, ladder.trend.fitted), ladder.name or "best rate")
        for ladder in found[:MOST_NAMED]
        for at, one in zip(ladder.sizes, ladder.members, strict=True)
        if one.best is not None
    ]
    few = f" The {MOST_NAMED} best settings of {len(found)} are drawn." if len(found) > MOST_NAMED else ""
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
    ends = one.fit.interval if fitted else one.entry["tie_interval"]
    rate = one.fit.rate if fitted and one.fit.rate else one.entry["best_rate"]
    low, high = ends or (np.nan, np.nan)
    return rate, low, high


def heat_chart(found: Sequence[Ladder], board: Board, size: str, title: str) -> Chart:
    """The objective over size and rate, a panel per family; losses no higher than the untrained one's."""
    rows = [
        {"size": at, RATE: rate, "objective": value, "setting": ladder.name or board.metric, "dropped": gone}
        for ladder in found[:MOST_NAMED]
        for at, one in zip(ladder.sizes, ladder.members, strict=True)
        for rate, value, gone in zip(one.profile.rates.tolist(), capped(one, board), dropped(one), strict=True)
    ]
    cap = "losses above the untrained one are drawn like that one" if board.lower else "a lost rate is left blank"
    rings = "; a ring marks rates that were dropped early" if any(row["dropped"] for row in rows) else ""
    return Chart(
        kind="heat",
        data=pd.DataFrame(rows, columns=["size", RATE, "objective", "setting", "dropped"]),
        x="size",
        y=RATE,
        by="setting",
        colour="objective",
        hollow="dropped",
        title=title,
        words=f"{board.metric} for each {size} and rate, mean over seeds; {cap}{rings}.",
        x_title=size,
        y_title=RATE,
        colour_title=board.metric,
        log_x=True,
        log_y=True,
        log_colour=board.lower,
    )


def capped(one: Standing, board: Board) -> list[float]:
    """The objective of each rate as a colour can show it: at most the untrained loss; of a lost score, and of a rate
    that was dropped, there is none: nan."""
    known = np.isfinite(one.means) | (board.lower & ~np.isnan(one.means))
    shade = np.where(known, np.fmin(one.means, one.untrained) if board.lower else one.means, np.nan)
    return [float(value) for value in shade]


def dropped(one: Standing) -> list[bool]:
    """Which of the rates were dropped before their end, so that their objective is not known."""
    return [bool(gone) for gone in np.isnan(one.means) & one.profile.stopped]
