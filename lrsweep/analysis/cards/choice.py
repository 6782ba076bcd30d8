"""The card of an axis of few values: what each gains, whether that can be told, and how much room it leaves the rate.

Each value is taken at its best setting of all else, and there at its own best rate; settings that differ in nothing
else are compared in pairs, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.compare import told
from lrsweep.analysis.cards.effects import room, sizes, stability, warmed, wide_from_the_start, widest
from lrsweep.analysis.cards.findings import Axis, Board
from lrsweep.analysis.cards.options import Option, Options, options
from lrsweep.analysis.cards.phrases import (
    change,
    common,
    difference_numbers,
    factor,
    joined,
    listed,
    on,
    plain,
    shown,
    standing_numbers,
)

MOST_LISTED = 16
"""Values in the table, the best and the reference among them."""

HELPS = {
    "schedule": ("A schedule helps", "No schedule can be told to help", "No schedule helps"),
    "layer_rates": ("Rates by layer help", "Rates by layer cannot be told to help", "Rates by layer do not help"),
    "growth": ("Growing helps", "Growing cannot be told to help", "Growing does not help"),
    "clip_norm": ("Clipping helps", "Clipping cannot be told to help", "Clipping does not help"),
    "parametrization": ("mup helps", "mup cannot be told to help", "mup does not help"),
}
"""The finding about an axis with a natural reference: the best of the others is better, cannot be told, is worse."""


def choice_card(board: Board, axis: Axis) -> Card:
    """What the values of an axis do."""
    found = options(board, axis)
    title = on(board, f"{headline(found)}{besides(found)}.")
    few = shortened(found)
    return Card(
        axis=axis.name,
        title=title,
        sentences=[
            *compared(found),
            *pairwise(found),
            *room(found),
            *stability(found),
            *(wide_from_the_start(found) if axis.name == "growth" else ()),
            *sizes(board, axis),
            *doubts(found),
            *joined(axis),
        ],
        table=table(few, found),
        charts=gain_charts(few, found),
        numbers={
            "dataset": board.dataset or None,
            "reference": dict(zip(axis.columns, found.reference.value, strict=True)),
            "values": [numbers(one, found) for one in found.every],
        },
    )


def headline(found: Options) -> str:
    """The finding: does anything help, or which value is best?"""
    board, axis, base = found.board, found.axis, found.reference
    others = [one for one in found.alive if one is not base]
    if not found.alive:
        return f"No run finished with any {axis.name}"
    if not (found.natural and axis.name in HELPS and base.alive and others):
        return best_of(found)
    best = others[0]
    if best.gain is None:
        return f"{best.name} cannot be compared with {base.name}: seeds are lost at a best rate"
    what = (
        f"{best.name} has {change(best.gain, board.metric, board.lower)} {'of' if board.lower else 'over'} {base.name}"
    )
    if best.gain.mean == 0 and best.gain.error == 0:
        what = f"{best.name} has the same {board.metric} as {base.name}, seed by seed"
    verdict = 1 if not told(best.gain_p) else 0 if best.gain.better(board.lower) else 2
    return f"{HELPS[axis.name][verdict]}: {what}"


def besides(found: Options) -> str:
    """What else the question of an axis asks for: the widest range of good rates, and the highest stable rate."""
    if found.axis.name == "optimizer":
        return widest(found)
    if "schedule.warmup" in found.axis.columns:
        ways = warmed(found.board)
        n = sum(ways.values())
        return f"; warm-up raises the highest stable rate in {ways['rises']} of {n} pairs" if n else ""
    return ""


def best_of(found: Options) -> str:
    """Which value is best, and what cannot be told from it."""
    best, *others = found.alive
    number = found.axis.columns[0] == found.axis.name and not isinstance(best.value[0], str)
    name = f"{found.axis.name} {best.name}" if number else best.name
    if not np.isfinite(best.best.objective):
        return f"{name} is best, though seeds are lost even at its best rate"
    what = f"{name} is best: {found.board.metric} {best.best.objective:.3g}"
    if not others:
        return f"{what}; with no other value did a run finish"
    if all(one.behind is not None and one.behind.interval is None for one in others):
        return f"{what}, but one seed cannot tell it from the others"
    alike = [one.name for one in others if one.behind is not None and not told(one.behind_p)]
    if not alike:
        return f"{what}, better than {others[0].name if len(others) == 1 else f'all {len(others)} others'}"
    if len(alike) == len(others):
        return f"{what}, but it cannot be told from {alike[0] if len(alike) == 1 else 'any other'}"
    return f"{what}; {listed(alike, 3)} cannot be told from it"


def compared(found: Options) -> Iterator[str]:
    """For an axis with a reference: which value is best, and how many can be told from the reference."""
    if not (found.natural and found.axis.name in HELPS) or len(found.alive) < 3:
        return
    sure = [one for one in found.alive if one.gain is not None and told(one.gain_p)]
    better = [one.name for one in sure if one.gain and one.gain.better(found.board.lower)]
    worse = [one.name for one in sure if one.gain and not one.gain.better(found.board.lower)]
    said = [f"better: {listed(better)}"] if better else []
    said += [f"worse: {listed(worse)}"] if worse else []
    yield f"{best_of(found)}."
    name = found.reference.name
    yield f"Told from {name}, {'; '.join(said)}." if said else f"No other value can be told from {name}."


def pairwise(found: Options) -> Iterator[str]:
    """How often the best value beats the reference, or the next where it is the reference, where all else is equal."""
    others = [one for one in found.alive if one is not found.reference]
    if not others or found.effects.get(others[0].value) is None:
        return
    ours, theirs, effect = others[0].name, found.reference.name, found.effects[others[0].value]
    if found.alive[0] is found.reference:
        ours, theirs, effect = theirs, ours, effect.reversed
    if effect.n > 1:
        yield f"All else equal, {ours} is ahead of {theirs} {effect.words}."


def doubts(found: Options) -> Iterator[str]:
    """What stands against the comparison."""
    dead = [one.name for one in found.every if not one.alive]
    if dead and found.alive:
        yield f"No run finished with {listed(dead)}."
    lost = [one.name for one in found.alive if not np.isfinite(one.best.objective)]
    if lost:
        yield f"Seeds are lost even at the best rate of {listed(lost)}, so nothing is compared with it in pairs."
    edge = [one.name for one in found.alive if one.best.told["edge"] in ("low", "high")]
    if edge:
        yield f"The best rate is at the edge of its grid with {listed(edge)}, so there may be more to gain."
    if len({tuple(found.axis.rest(one.best.setting).items()) for one in found.alive}) > 1:
        yield f"Each {found.axis.name} is shown at its own best setting of all else."
    if len(found.alive) > 2 and any(one.gain and one.gain.interval for one in found.alive):
        many = f"{len(found.alive) - 1} comparisons at once"
        yield f"With {many}, what can be told is by Holm's correction; each interval is for its own comparison."


def shortened(found: Options) -> list[Option]:
    """The values for the table and the chart: the best ones, and the reference."""
    kept = list(found.every[:MOST_LISTED])
    return kept if found.reference in kept else [*kept[:-1], found.reference]


def table(few: Sequence[Option], found: Options) -> list[Col]:
    """A row per value, the best first."""
    axis, lower = found.axis, found.board.lower
    own = [one.best for one in few]
    gains = [shown(one.gain, lower) for one in few]
    rests = [common(axis.rest(one.setting)) for one in own]
    counted = [found.effects.get(one.value) for one in few]
    several = any(one is not None and one.n > 1 for one in counted)
    ahead = [f"{one.ahead} of {one.n}" if one else "" for one in counted]
    return [
        *(Col(column, [one.value[i] for one in few], "setting") for i, column in enumerate(axis.columns)),
        *([Col("with", rests, "text", 9)] if len({*rests}) > 1 else []),
        Col("best rate", [one.told["best_rate"] for one in own], "rate"),
        Col("tied with", [one.told["tie_interval"] for one in own], "rates", 5),
        Col(found.board.metric, [one.objective for one in own], "value"),
        Col(f"against {found.reference.name}", [gain for gain, _ in gains], "ratio" if lower else "number", 1),
        Col("95% interval", [interval for _, interval in gains], "rates", 3),
        Col("verdict", [verdict(one, found) for one in few], "text", 4),
        *([Col("ahead in", ahead, "text", 7)] if several else []),
        Col("good decades", [one.range.decades if one.range else None for one in few], "number", 2),
        Col("stable to", [one.told["highest_stable_rate"] for one in own], "rate"),
        Col("epochs to target", [one.epochs_to_target for one in own], "count", 6),
    ]


def verdict(one: Option, found: Options) -> str:
    """Whether a value can be told from the reference."""
    if one is found.reference:
        return "reference"
    if one.gain is None:
        return "not compared"
    if one.gain.interval is None:
        return "one seed"
    return "not told" if not told(one.gain_p) else "better" if one.gain.better(found.board.lower) else "worse"


def gain_charts(few: Sequence[Option], found: Options) -> list[Chart]:
    """The difference to the reference with its interval, value by value, where there are two of them or more."""
    lower, base = found.board.lower, found.reference.name
    pairs = [(one.name, *shown(one.gain, lower)) for one in few]
    rows = [(name, gain, *reach) for name, gain, reach in pairs if gain is not None and reach is not None]
    what = f"{found.board.metric} {'over' if lower else 'minus'} that of {base}"
    if len(rows) < 2:
        return []
    return [
        Chart(
            kind="lines",
            data=pd.DataFrame(rows, columns=["value", "gain", "low", "high"]),
            x="value",
            y="gain",
            low="low",
            high="high",
            title=f"{what[0].upper()}{what[1:]}: {listed([f'{name} {factor(gain)}' for name, gain, *_ in rows], 3)}",
            words=f"{what}, each at its own best rate, with 95% intervals over paired seeds; {int(lower)} is as good.",
            x_title=found.axis.name,
            y_title=what,
            log_y=lower,
        )
    ]


def numbers(one: Option, found: Options) -> dict[str, Any]:
    """A value for JSON."""
    effect = found.effects.get(one.value)
    return {
        "value": dict(zip(found.axis.columns, one.value, strict=True)),
        "setting": dict(one.best.setting),
        **standing_numbers(one.best),
        "against_reference": difference_numbers(one.gain, found.board.lower) | {"told": told(one.gain_p)},
        "good_range": [one.range.low, one.range.high] if one.range else None,
        "good_decades": plain(one.range.decades if one.range else None),
        "epochs_to_target": plain(one.best.epochs_to_target),
        "pairs": None if effect is None else asdict(effect),
    }
