"""The figure: the objective against the rate, every setting on common axes, and what becomes of it at each rate.

From the top: a row per setting for what is off the chart (lost seeds, unstable rates), the chart, and a row per setting
for the rates that are as good as the best.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.ranking import RATE
from lrsweep.report import words
from lrsweep.report.page import look
from lrsweep.report.page.look import Key, Mark, Picture
from lrsweep.report.page.shown import MOST_ON, Part, Setting, interval_of
from lrsweep.report.page.strips import Frame, as_good, failing, off, off_the_chart
from lrsweep.report.words import many
from lrsweep.vocabulary import Array

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer

NONE = "No run finished at any rate"

MOST_DOTS = 6000
"""Seeds drawn as dots, of all settings together."""

MOST_BANDS = 4
"""Settings up to which the intervals are drawn at first: more of them hide each other."""

OFF = {"lost": "lost seeds", "dropped": "dropped early", "above": "off the scale", "below": "off the scale"}
"""What the marks above the chart mean."""

FLOOR = 1e-6
"""A loss below this share of the highest one shown is drawn at the bottom: 0 has no place on a log scale."""

ROW, CHART = 17, 330
"""Heights in px: of a row for one setting, of the chart."""


def pictures(answer: Answer, shown: Sequence[Part]) -> list[Picture]:
    """A figure for each dataset, empty where no run finished; none at all where none did on any."""
    finished = [any(np.isfinite(setting.values).any() for setting in part.settings) for part in shown]
    if not any(finished):
        return []
    return [_picture(answer, part) if any_did else _empty(part) for part, any_did in zip(shown, finished, strict=True)]


def _empty(part: Part) -> Picture:
    """The figure of a dataset of which there is nothing to draw: its title alone, on no axes that would be made up."""
    import plotly.graph_objects as go

    axes = look.layout(xaxis=look.hidden(), yaxis=look.hidden())
    return Picture(part.dataset, NONE, f"{NONE} on {part.dataset}.", go.Figure(layout=axes), height=24)


def _picture(answer: Answer, part: Part) -> Picture:
    import plotly.graph_objects as go

    settings, frame = part.settings, _frame(answer, part)
    n_seeds = max(int(setting.rates["n_seeds"].max()) for setting in settings)
    dots = max(1, MOST_DOTS // max(1, sum(len(setting.rates) for setting in settings)))
    traces = [trace for one in settings for trace in _traces(answer, one, frame, dots)]
    figure = go.Figure(data=traces, layout=_layout(answer, frame))
    left_out = []
    if dots < n_seeds:
        left_out.append(f"Dots show the first {dots} of {n_seeds:,} seeds; lines and bands are of all.")
    if part.n_settings > len(settings):
        left_out.append(
            f"The {len(settings)} best of {part.n_settings:,} settings can be shown here; ranking.csv has all."
        )
    if min(len(settings), part.n_settings) > MOST_ON:
        briefly = any(setting.brief != setting.name for setting in settings)
        named = ", named without what they share" if briefly else ""
        left_out.append(f"The best {MOST_ON} are switched on at first{named}.")
    return Picture(
        label=part.dataset,
        title=_title(answer, settings),
        words=_words(answer, part),
        figure=figure,
        legend=[_key(setting) for setting in settings] if len(settings) > 1 else [],
        marks=_marks(settings, frame, n_seeds),
        note=" ".join(left_out),
        height=CHART + 2 * ROW * frame.n_rows + 60,
        rows=frame.n_rows,
        narrow={"margin": {"l": 0, "r": 4, "t": 4, "b": 4}, "xaxis": look.few_ticks(*frame.x)},
    )


def _key(setting: Setting) -> Key:
    number = setting.number
    name = setting.brief if setting.entry["best_rate"] is not None else f"{setting.brief} (no run finished)"
    return Key(setting.group, name, look.colour(number), look.sign(number), look.dash(number), number < MOST_ON)


def _frame(answer: Answer, part: Part) -> Frame:
    rates = np.concatenate([setting.rates[RATE].to_numpy(dtype=float) for setting in part.settings])
    low, high = float(rates.min()), float(rates.max())
    pad = 10 ** (0.04 * math.log10(high / low) + (0.05 if high > low else 0.5))
    log = answer.lower_is_better
    return Frame((low, high), (low / pad, high * pad), _bounds(part, log), log, min(len(part.settings), MOST_ON))


def _bounds(part: Part, log: bool) -> tuple[float, float]:
    """The range worth seeing: a loss up to a little above the untrained one's, a score from 0."""
    values = np.concatenate([setting.values for setting in part.settings])
    values = values[np.isfinite(values)]
    if not len(values):
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = float(values.min()), float(values.max())
    if not log:
        low = max(low, 0.0) if high > 0 else low
        pad = 0.06 * (high - low) or 0.05
        return low - pad, high + pad
    untrained = float(np.fmax.reduce([float(setting.runs["initial_loss"].max()) for setting in part.settings]))
    high = min(high, 1.2 * untrained) if untrained > low else high
    low = max(low, FLOOR * high, 1e-300)
    pad = (max(high, 1e-290) / low) ** 0.06 * 1.03
    return low / pad, max(high, 1e-290) * pad


def _traces(answer: Answer, setting: Setting, frame: Frame, dots: int) -> Iterator[dict[str, Any]]:
    """All that is drawn of one setting, what lies beneath first."""
    shared = {"type": "scatter", "legendgroup": setting.group, "visible": setting.number < MOST_ON, "showlegend": False}
    for trace in (
        *failing(setting, frame),
        _band(setting, frame),
        _seeds(answer, setting, frame, dots),
        _mean(answer, setting, frame),
        *as_good(setting, frame),
        *off_the_chart(answer, setting, frame),
    ):
        yield shared | trace


def _mean(answer: Answer, setting: Setting, frame: Frame) -> dict[str, Any]:
    rates, number = setting.rates, setting.number
    return {
        **{"name": look.plain(setting.name), "showlegend": True, "mode": "lines+markers", "hoverinfo": "text"},
        **{"x": look.numbers(rates[RATE]), "y": look.numbers(_kept(rates["objective_mean"], frame))},
        "hovertext": [_said_of_rate(answer, setting, row) for row in rates.to_dict("records")],
        "line": {"color": look.colour(number), "width": 2.2, "dash": look.dash(number)},
        "marker": {"color": look.colour(number), "size": 7, "symbol": look.sign(number)},
    }


def _band(setting: Setting, frame: Frame) -> dict[str, Any]:
    """The 95% interval, as areas between gaps where there is none."""
    rates = setting.rates
    x, low, high = (rates[name].to_numpy(dtype=float) for name in (RATE, "objective_low", "objective_high"))
    around, levels = [], []
    known = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        around += [*x[run], *x[run][::-1], math.nan]
        levels += [*np.maximum(low[run], frame.y[0] / 10 if frame.log else -math.inf), *high[run][::-1], math.nan]
    return {
        **{"meta": "band", "mode": "lines", "fill": "toself", "hoverinfo": "skip", "opacity": 0.16},
        **{"x": look.numbers(around), "y": look.numbers(levels), "fillcolor": look.colour(setting.number)},
        "line": {"width": 0, "color": look.colour(setting.number)},
    }


def _seeds(answer: Answer, setting: Setting, frame: Frame, dots: int) -> dict[str, Any]:
    runs = setting.runs
    seeds = np.unique(runs["seed"])[:dots]
    inside = runs["seed"].isin(seeds).to_numpy(copy=True)
    for there in off(setting, frame).values():
        inside &= ~there
    kept, values = runs[inside], setting.values[inside]
    told = dict(zip(setting.rates[RATE], map(_diagnosis, setting.rates["diagnosis"]), strict=True))
    name = look.plain(setting.name)
    return {
        **{"meta": "seeds", "mode": "markers", "hoverinfo": "text", "x": look.numbers(kept[RATE])},
        "y": look.numbers(_kept(values, frame)),
        "hovertext": [
            f"<b>{name}</b> at {words.rate(rate)}, seed {seed}<br>{look.plain(answer.objective)} {value:.3g}"
            f"{told[rate]}<br>run {look.plain(run_id)}"
            for rate, seed, value, run_id in zip(kept[RATE], kept["seed"], values, kept["run_id"], strict=True)
        ],
        "marker": {"color": look.colour(setting.number), "size": 4, "opacity": 0.5},
    }


def _diagnosis(given: object) -> str:
    return "" if words.diagnosis(given) == words.NOTHING else f"<br>{look.plain(words.diagnosis(given))}"


def _said_of_rate(answer: Answer, setting: Setting, row: Mapping[Any, Any]) -> str:
    """What hovering over a mean tells."""
    mean, interval = interval_of(row)
    told = f"{look.plain(answer.objective)} {mean}"
    told += f" (95%: {interval})" if interval and row["n_seeds"] > 1 else ""
    verdict = "best of this setting" if row["rank"] == 1 else "tied with the best" if row["tied"] else ""
    lines = [f"<b>{look.plain(setting.name)}</b> at {words.rate(row[RATE])}", told]
    lines += [f"mean over {many(row['n_seeds'], 'seed')}" if row["n_seeds"] > 1 else "one seed", verdict]
    lines += [words.diagnosis(row["diagnosis"]) if row["diagnosis"] else "", look.plain(row["evidence"] or "")]
    return "<br>".join(filter(None, lines))


def _kept(values: Any, frame: Frame) -> Array:
    """Values for the axis: a loss of 0 goes to the bottom of a log scale."""
    values = np.asarray(values, dtype=float)
    return np.asarray(np.maximum(values, frame.y[0]) if frame.log else values)


def _layout(answer: Answer, frame: Frame) -> dict[str, Any]:
    """The chart between its two strips, and the walls where the grid of rates ends."""
    strip = ROW * frame.n_rows
    total = CHART + 2 * strip
    score = "" if frame.log else ", higher is better"
    walls = [
        {"type": "rect", "xref": "x", "yref": "paper", "x0": outer, "x1": wall, "y0": 0, "y1": 1}
        | {"line": {"width": 0}, "fillcolor": look.SHADE, "layer": "below"}
        for outer, wall in zip(frame.x, frame.walls, strict=True)
    ]
    rows = {"range": [-frame.n_rows, 0]}
    return look.layout(
        xaxis=look.axis(
            "learning rate (log scale)",
            *frame.x,
            True,
            anchor="y3",
            showgrid=False,
            ticks="outside",
            tickcolor=look.MUTED,
            ticklen=4,
            tickangle=0,
        ),
        yaxis=look.axis(
            f"{answer.objective}{' (log scale)' if frame.log else score}",
            *frame.y,
            frame.log,
            domain=[(strip + 8) / total, 1 - (strip + 4) / total],
        ),
        yaxis2=look.hidden(domain=[1 - strip / total, 1], **rows),
        yaxis3=look.hidden(domain=[0, strip / total], **rows),
        shapes=walls,
    )


def _marks(settings: Sequence[Setting], frame: Frame, n_seeds: int) -> list[Mark]:
    """What the marks mean, those that occur."""
    found = [
        (Mark("dots", "a seed", "seeds"), [n_seeds > 1] * len(settings)),
        (
            Mark("band", "95% interval of the mean", "band", on=len(settings) <= MOST_BANDS),
            [bool(setting.rates["objective_low"].notna().any()) for setting in settings],
        ),
        (
            Mark("fitted", "fitted rate with its 95% interval", "fitted"),
            [setting.entry.get("fitted_rate") is not None for setting in settings],
        ),
        (Mark("line", "mean over seeds"), [n_seeds > 1] * len(settings)),
        (
            Mark("tie", "rates that cannot be told from the best"),
            [low < high for low, high in (setting.entry["tie_interval"] or (0, 0) for setting in settings)],
        ),
    ]
    there = [off(setting, frame) for setting in settings]
    found += [(Mark(mark, name), [mark in own for own in there]) for mark, name in OFF.items()]
    groups = [setting.group for setting in settings]
    told = [replace(mark, groups=[*itertools.compress(groups, has)]) for mark, has in found if any(has)]
    return [*told, Mark("wall", "not tried")]


def _title(answer: Answer, settings: Sequence[Setting]) -> str:
    """The finding."""
    best = settings[0]
    entry = best.entry
    if entry["best_rate"] is None:
        return NONE
    who = f"{best.name} at" if len(settings) > 1 else "rate"
    side, mean = "lowest" if answer.lower_is_better else "highest", best.best["objective_mean"]
    told = f"{answer.objective} is {side} with {who} {words.rate(entry['best_rate'])}"
    told += f": {words.alike([mean])(mean)}" if math.isfinite(mean) else ""
    return f"{told}, at the edge of the rates tried" if entry["edge"] in ("low", "high") else told


def _words(answer: Answer, part: Part) -> str:
    """The figure to who cannot see it."""
    told = [f"{answer.objective} against learning rate on {part.dataset}, {many(len(part.settings), 'setting')}."]
    for setting in part.settings[:MOST_ON]:
        entry, rates = setting.entry, setting.rates
        if entry["best_rate"] is None:
            told.append(f"{setting.name}: no run finished.")
            continue
        line = f"{setting.name}: best at {words.rate(entry['best_rate'])}"
        line += f", rates tried from {words.rate(rates[RATE].min())} to {words.rate(rates[RATE].max())}"
        line += f", stable up to {words.rate(entry['highest_stable_rate'])}" if entry["highest_stable_rate"] else ""
        line += f", {setting.dropped_where}" if setting.dropped.any() else ""
        told.append(f"{line}.")
    return " ".join(told)
