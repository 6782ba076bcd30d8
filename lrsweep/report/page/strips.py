"""The rows above and below the chart, one per setting: where training fails, and which rates will do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE
from lrsweep.report import words
from lrsweep.report.page import look
from lrsweep.report.page.shown import Setting, spread
from lrsweep.report.words import many
from lrsweep.vocabulary import STOPPED, Array

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.answer import Answer

MARKS = {"lost": "x", "dropped": "circle-open", "above": "triangle-up", "below": "triangle-down"}
"""What is drawn for runs that the chart has no place for."""

LEAST_ROOM, MOST_ROOM = 0.42, 0.62
"""Shares of the width: a name stands left of what it names from the one on, and right of it up to the other."""

WIDTHS = {"wide": 840, "middle": 540, "narrow": 200}
"""How wide the chart is at least, in px, from a large screen to a phone; page.js picks."""

LETTER, GAP = 5.8, 16
"""Widths in px: of a letter on average, and of what is left free round a name."""


@dataclass(frozen=True)
class Frame:
    """Where things go: ends of the rates tried, of the x axis and of the y axis, and the rows for settings.

    A setting beyond the last row waits below, until page.js gives it the row of one that is off.
    """

    rates: tuple[float, float]
    x: tuple[float, float]
    y: tuple[float, float]
    log: bool
    n_rows: int

    @property
    def walls(self) -> tuple[float, float]:
        """Where the grid of rates ends, a little beyond the last ones."""
        low, high = (outer ** (1 / 3) * inner ** (2 / 3) for outer, inner in zip(self.x, self.rates, strict=True))
        return low, high

    def row(self, setting: Setting) -> float:
        """The middle of a setting's row, from 0 (top)."""
        return setting.number + 0.5

    def along(self, rate: float) -> float:
        """Where a rate lies on the x axis, from 0 to 1."""
        low, high = np.log10(self.x)
        return float((math.log10(rate) - low) / (high - low))


def as_good(setting: Setting, frame: Frame) -> Iterator[dict[str, Any]]:
    """A setting's row under the chart: the rates tried, ties as a thick line, the fitted rate, the best one."""
    entry, row, ink = setting.entry, -frame.row(setting), look.colour(setting.number)
    base = {"yaxis": "y3", "mode": "lines", "hoverinfo": "text"}
    if entry["best_rate"] is None:
        return
    tried = [float(setting.rates[RATE].min()), float(setting.rates[RATE].max())]
    yield base | {"x": tried, "y": [row, row], "line": {"color": look.RULE, "width": 1}, "hoverinfo": "skip"}
    name, best, ties = look.plain(setting.name), entry["best_rate"], entry["tie_interval"]
    told = f"<b>{name}</b>: best at {words.rate(best)}"
    if ties and ties[0] < ties[1]:
        told += f"<br>{words.cell(ties, 'rates')} cannot be told from it"
        yield base | {
            "x": [*ties],
            "y": [row, row],
            "line": {"color": ink, "width": 6},
            "hovertext": told,
            "opacity": 0.55,
        }
    fitted, interval = entry.get("fitted_rate"), entry.get("fitted_interval")
    if fitted is not None:
        said = f"<b>{name}</b>: fitted {words.fitted(fitted)}"
        said += f"<br>95%: {words.fitted_interval(interval)}" if interval else ""
        ends = interval or [fitted, fitted]
        thin = {"color": look.INK, "width": 1.2}
        yield base | {"meta": "fitted", "x": [*ends], "y": [row, row], "line": thin, "hovertext": said}
        yield base | {
            "meta": "fitted",
            "x": [fitted] * 2,
            "y": [row - 0.4, row + 0.4],
            "line": {"color": look.INK, "width": 2},
            "hovertext": said,
        }
    marker = {"color": ink, "size": 9, "symbol": look.sign(setting.number), "line": {"color": look.PAPER, "width": 1.5}}
    yield base | {"mode": "markers", "x": [best], "y": [row], "marker": marker, "hovertext": told}
    ends = [best, *(ties or ()), *(interval or ()), *([fitted] if fitted else ())]
    right = frame.along(max(ends)) < MOST_ROOM
    yield from _named(setting, frame, "y3", (min(ends), max(ends)), right, [words.rate(best)])


def failing(setting: Setting, frame: Frame) -> Iterator[dict[str, Any]]:
    """Where training is unstable, and where every seed is lost: shaded in the setting's row above the chart, and named.

    With one setting the shade goes down through the chart.
    """
    rates, ink, row = setting.rates[RATE].to_numpy(dtype=float), look.colour(setting.number), -frame.row(setting)
    regions = _regions(setting)
    for name, at, end in regions:
        left, right = _edge(rates, at, frame), _edge(rates, end, frame)
        heights, weight = [("y2", row - 0.5, row + 0.5)], 0.14 if name == "unstable" else 0.3
        if frame.n_rows == 1:
            heights.append(("y", *frame.y))
        for axis, low, high in heights:
            yield {
                **{"yaxis": axis, "x": [left, right, right, left], "y": [low, low, high, high], "fillcolor": ink},
                **{"mode": "lines", "fill": "toself", "line": {"width": 0, "color": ink}, "hoverinfo": "skip"},
                "opacity": weight if axis == "y2" else weight / 2.5,
            }
    told = [f"{name} from {words.rate(float(rates[at]))}" for name, at, _ in regions]
    if told := [*told, *filter(None, [setting.dropped_where])]:
        gone = int(np.logical_and.accumulate(setting.dropped).sum())  # the marks at the low end
        marked = [rate for there in off(setting, frame).values() for rate in setting.runs.loc[there, RATE]]
        places = [at for _, at, _ in regions] + [
            int(np.searchsorted(rates, rate)) for rate in marked if rate > rates[0]
        ]
        first = min([place for place in places if place >= gone], default=len(rates))
        start = _edge(rates, first, frame)
        if first > 0:
            # What was dropped is not shaded: among its marks nothing could be read.
            low = _edge(rates, gone, frame) if gone else frame.x[0]
            free = low, start if setting.dropped[first:].any() else frame.x[1]
            yield from _named(setting, frame, "y2", (start, start), frame.along(start) < LEAST_ROOM, told, free)
        elif setting.entry["best_rate"] is None:  # no room among the marks, but below there is nothing else to say
            yield from _named(setting, frame, "y3", (start, start), True, told)


def _regions(setting: Setting) -> list[tuple[str, int, int]]:
    """What goes wrong at the higher rates, and from which position on the grid on to which.

    Of rates that were dropped that is not known.
    """
    known = np.flatnonzero(~setting.dropped)
    rates, stable = setting.rates.iloc[known], setting.entry["highest_stable_rate"]
    stays = (rates["n_lost"] < rates["n_seeds"]).to_numpy()  # some seed does
    first = int(np.searchsorted(rates[RATE], stable, side="right")) if stable is not None else 0
    last = int(np.flatnonzero(stays)[-1]) + 1 if stays.any() else 0
    lost = "diverged" if (rates["n_diverged"].iloc[last:] > 0).all() else "lost"
    found = [("unstable", first, last), (lost, last, len(rates))]
    return [(name, int(known[at]), int(known[end - 1]) + 1) for name, at, end in found if at < end]


def _named(
    setting: Setting,
    frame: Frame,
    axis: str,
    ends: tuple[float, float],
    right: bool,
    told: Sequence[str],
    free: tuple[float, float] | None = None,
) -> Iterator[dict[str, Any]]:
    """What stands in a setting's row beside what it names, rather `right` or left: on a phone without the name.

    Where there is no room for it, only the first part; where there is none for that, nothing. Between which rates there
    is room at all is `free`, everywhere unless said.
    """
    name = _short(setting.brief) + (" " if axis == "y3" else ": ") if frame.n_rows > 1 else ""
    low, high = map(frame.along, free or frame.x)
    for where, width in WIDTHS.items():
        rooms = {False: width * (frame.along(ends[0]) - low) - GAP, True: width * (high - frame.along(ends[1])) - GAP}
        texts = [told[0]] if where == "narrow" else [name + ", ".join(told), told[0]]
        fits = [(text, side) for text in texts for side in (right, not right) if len(text) * LETTER <= rooms[side]]
        for text, side in fits[:1]:
            yield {
                **{"meta": where, "yaxis": axis, "mode": "text", "hoverinfo": "skip"},
                **{"x": [ends[side]], "y": [-frame.row(setting)], "text": [f"  {look.plain(text)}  "]},
                "textposition": "middle right" if side else "middle left",
                "textfont": {"color": look.inked(setting.number), "size": 11},
            }


def _edge(rates: Array, at: int, frame: Frame) -> float:
    """The border before a position on the grid: half way to the rate before, and at both ends the walls."""
    if at in (0, len(rates)):
        return frame.walls[0] if at == 0 else frame.walls[1]
    return math.sqrt(rates[at - 1] * rates[at])


def _short(name: str, most: int = 52) -> str:
    """The name with its ends: what tells settings apart can be at either.

    >>> _short("adam, layer_rates decay 0.5, warmup 0.2", 30)
    'adam, layer_rat….5, warmup 0.2'
    """
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[: most - 1 - half]}…{name[-half:]}"


def off_the_chart(answer: Answer, setting: Setting, frame: Frame) -> Iterator[dict[str, Any]]:
    """Lost seeds, and values beyond the chart's ends, marked in the setting's row above the chart."""
    total = setting.runs.groupby(RATE).size()
    marked: dict[float, int] = {}
    for mark, there in off(setting, frame).items():
        told, x = [], []
        for key, runs in setting.runs[there].assign(value=setting.values[there]).groupby(RATE):
            rate = float(str(key))
            told.append(_said_of_mark(answer, setting, mark, rate, runs, int(total[rate])))
            x.append(rate * (frame.x[1] / frame.x[0]) ** (-0.011 * marked.setdefault(rate, 0)))  # beside the other one
            marked[rate] += 1
        yield {
            **{"yaxis": "y2", "mode": "markers", "hoverinfo": "text", "hovertext": told},
            **{"x": look.numbers(x), "y": [-frame.row(setting)] * len(told)},
            "marker": {"color": look.colour(setting.number), "symbol": MARKS[mark], "size": 8},
        }


def off(setting: Setting, frame: Frame) -> dict[str, Array]:
    """The marks above the chart that occur, and which of the setting's runs they are for."""
    values, dropped = setting.values, (setting.runs["status"] == STOPPED).to_numpy()
    found = {"lost": ~np.isfinite(values) & ~dropped, "dropped": dropped, "above": values > frame.y[1]}
    if not frame.log:  # a loss below a log scale is drawn at its bottom
        found["below"] = values < frame.y[0]
    return {mark: there for mark, there in found.items() if there.any()}


def _said_of_mark(answer: Answer, setting: Setting, mark: str, rate: float, runs: pd.DataFrame, total: int) -> str:
    seeds = spread(sorted(runs["seed"].tolist()), 6)
    which = f"seed {', '.join(map(str, seeds))}{', …' if len(seeds) < len(runs) else ''}"
    start = f"<b>{look.plain(setting.name)}</b> at {words.rate(rate)}<br>{len(runs)} of {many(total, 'seed')}"
    if mark in ("lost", "dropped"):
        reason = look.plain(words.cut(next(filter(None, runs["reason"].fillna("")), "")))
        return f"{start} {'lost' if mark == 'lost' else 'dropped early'} ({which})<br>{reason}"
    furthest = runs["value"].max() if mark == "above" else runs["value"].min()
    return f"{start} off the scale ({which})<br>{look.plain(answer.objective)} as far as {furthest:.3g}"
