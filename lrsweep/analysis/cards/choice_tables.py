"""The table, the chart and the numbers of the card of a choice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd

from lrsweep.analysis.cards.card import Chart, Col
from lrsweep.analysis.cards.options import Contest, Option, Options
from lrsweep.analysis.cards.phrases import difference_numbers, factor, listed, shown, standing_numbers
from lrsweep.analysis.cards.ranges import good_range
from lrsweep.analysis.profiles import digits

MOST_ROWS = 48
"""In the table, whole families as far as they fit."""

MOST_LISTED = 16
"""Values of a family in the table, the best and the reference among them."""

MOST_DRAWN = 4
"""Families in the chart."""


def shortened(contest: Contest) -> list[Option]:
    """The values for the table and the chart: the best ones, and the reference."""
    kept = list(contest.options[:MOST_LISTED])
    return kept if contest.base is None or contest.base in kept else [*kept[:-1], contest.base]


def listed_rows(found: Options) -> list[tuple[Contest, Option]]:
    """The rows of the table."""
    rows: list[tuple[Contest, Option]] = []
    for contest in found.contests:
        own = [(contest, one) for one in shortened(contest)]
        if rows and len(rows) + len(own) > MOST_ROWS:
            break
        rows += own
    return rows


def table(found: Options) -> list[Col]:
    """A row per family and value, the best first."""
    rows = listed_rows(found)
    axis, board, lead = found.axis, found.board, found.contests[0]
    own, gains = [one.standing for _, one in rows], [shown(one.gain.difference, found.board.lower) for _, one in rows]
    rests = [contest.family.rest for contest in found.contests]
    differing = [column for column in rests[0] if len({rest[column] for rest in rests}) > 1]
    ranges = [good_range(board, one) for one in own]
    counts = [found.effects.get(one.value) if contest is lead else None for contest, one in rows]
    ahead = [f"{one.ahead} of {one.n}" if one else "" for one in counts]
    return [
        *(Col(column, [contest.family.rest[column] for contest, _ in rows], "setting") for column in differing),
        *(Col(column, [one.value[i] for _, one in rows], "setting") for i, column in enumerate(axis.columns)),
        Col("best rate", [one.entry["best_rate"] for one in own], "rate"),
        Col("tied with", [one.entry["tie_interval"] for one in own], "rates", 5),
        Col(board.metric, [one.objective for one in own], "value"),
        Col(f"against {found.base}", [gain for gain, _ in gains], "ratio" if board.lower else "change", 1),
        Col("95% interval", [interval for _, interval in gains], "ratios" if board.lower else "changes", 3),
        Col("verdict", ["reference" if one is contest.base else one.gain.verdict for contest, one in rows], "text", 2),
        *([Col("ahead in", ahead, "text", 7)] if any(one and one.n > 1 for one in counts) else []),
        Col("good decades", [one.decades if one else None for one in ranges], "number", 4),
        Col("stable to", [one.stable_to for one in own], "bound"),
        Col("epochs to within 5%", [one.epochs_to_target for one in own], "count", 6),
    ]


def gain_chart(found: Options) -> list[Chart]:
    """The difference to the reference with its interval, value by value, where there are two of them or more."""
    lower = found.board.lower
    rows = [
        (one.name, *gain, contest.name or found.base)
        for contest in found.contests[:MOST_DRAWN]
        for one in shortened(contest)
        if (gain := drawn(one, lower))
    ]
    if len(rows) < 2:
        return []
    what = f"{found.board.metric} {'over' if lower else 'minus'} that of {found.base}"
    few = [f"{one.name} {factor(gain[0])}" for one in found.contests[0].options if (gain := drawn(one, lower))]
    return [
        Chart(
            kind="lines",
            data=pd.DataFrame(rows, columns=["value", "gain", "low", "high", "setting"]),
            x="value",
            y="gain",
            by="setting" if len(found.contests) > 1 else "",
            low="low",
            high="high",
            title=f"{what}: {listed(few, 3)}",
            words=f"{what}, each at its own best rate, with 95% intervals over paired seeds; {int(lower)} is as good.",
            x_title=found.axis.name,
            y_title=what,
            log_y=lower,
        )
    ]


def drawn(one: Option, lower: bool) -> tuple[float, float, float] | None:
    """A gain with the ends of its interval, where it has one."""
    gain, interval = shown(one.gain.difference, lower)
    return None if gain is None or interval is None else (gain, *interval)


def numbers(found: Options) -> dict[str, Any]:
    """The card for JSON."""
    values = [
        {
            "value": dict(zip(found.axis.columns, value, strict=True)),
            "pairs_each_by_itself": None if (own := found.effects.get(value)) is None else asdict(own),
        }
        for value in found.called
    ]
    families = [
        {"setting": dict(contest.family.rest), "values": [option_numbers(one, found) for one in contest.options]}
        for contest in found.contests
    ]
    reference = dict(zip(found.axis.columns, found.reference, strict=True))
    return {"dataset": found.board.dataset or None, "reference": reference, "values": values, "families": families}


def option_numbers(one: Option, found: Options) -> dict[str, Any]:
    """A value in a family for JSON."""
    own = good_range(found.board, one.standing)
    return {
        "value": dict(zip(found.axis.columns, one.value, strict=True)),
        **standing_numbers(one.standing),
        "against_reference": difference_numbers(one.gain.difference, found.board.lower) | {"told": one.gain.told},
        "good_range": [digits(own.low), digits(own.high)] if own else None,
        "good_decades": digits(own.decades) if own else None,
        "epochs_to_target": digits(one.standing.epochs_to_target),
    }
