"""The charts of cards: lines or heat maps of tidy data, whatever they are about."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.report import words
from lrsweep.report.page import look
from lrsweep.report.page.look import Key, Mark, Picture
from lrsweep.report.page.shown import MOST_ON, MOST_SETTINGS

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.cards import Chart

PANEL_ROW, MOST_PANELS = 26, 4
"""Height in px of a heat map's row, and heat maps beside each other."""


DODGE = 0.6
"""Share of a word's place on an axis that its lines take at most."""

TITLE = 60
"""Characters that the titles of heat maps beside each other have room for."""


def picture(chart: Chart) -> Picture:
    """The chart as a figure."""
    return _heat(chart) if chart.kind == "heat" else _lines(chart)


def written(given: Any) -> str:
    """A value on an axis or in a legend."""
    if isinstance(given, float | np.floating):
        return words.rate(float(given)) if math.isfinite(given) else words.NOTHING
    return words.value(given)


def _groups(chart: Chart) -> list[tuple[str, pd.DataFrame]]:
    """The data of each line or panel, with its name, in order of appearance."""
    if not chart.by:
        return [("", chart.data)]
    noun = "" if _worded(chart.data[chart.by]) else f"{chart.by.split('.')[-1].replace('_', ' ')} "
    groups = chart.data.groupby(chart.by, sort=False, dropna=False)
    return [(noun + written(value), rows) for value, rows in groups]


def _lines(chart: Chart) -> Picture:
    import plotly.graph_objects as go

    groups = _groups(chart)
    kept = groups[:MOST_SETTINGS]
    spans = [chart.y, *filter(None, (chart.low, chart.high))]
    layout = look.layout(
        xaxis=_axis(chart.x_title, chart.data[chart.x], chart.log_x, ticks="outside", tickcolor=look.MUTED)
        | {"showgrid": False},
        yaxis=_axis(chart.y_title, np.concatenate([chart.data[one].to_numpy() for one in spans]), chart.log_y),
    )
    places = _places(chart)
    lines = enumerate(zip(kept, _beside(len(kept)), strict=True))
    traces = [trace for i, ((name, rows), apart) in lines for trace in _line(chart, i, name, rows, places, apart)]
    figure = go.Figure(data=traces, layout=layout)
    keys = [
        Key(f"l{i}", name, look.colour(i), look.sign(i), look.dash(i), i < MOST_ON) for i, (name, _) in enumerate(kept)
    ]
    left_out = f"{len(kept)} of {len(groups)} lines can be shown." if len(kept) < len(groups) else ""
    return Picture(
        label="",
        title=chart.title,
        words=chart.words,
        figure=figure,
        legend=keys if len(keys) > 1 else [],
        marks=[Mark("band", "interval", "band")] if chart.low and chart.high else [],
        note=left_out,
        height=360,
        narrow={"margin": {"l": 0, "r": 6}},
    )


def _beside(number: int) -> list[float]:
    """How far each of several lines stands from the middle of a word, so that their intervals do not hide each other.

    >>> _beside(1), _beside(3)
    ([0.0], [-0.1, 0.0, 0.1])
    """
    step = min(0.1, DODGE / max(1, number - 1))
    return [round(step * (i - (number - 1) / 2), 4) for i in range(number)]


def _places(chart: Chart) -> dict[Any, float]:
    """Where words stand on their axis: at 0, 1, 2…; nothing where x holds numbers."""
    words_there = list(dict.fromkeys(chart.data[chart.x]))
    return {word: float(i) for i, word in enumerate(words_there)} if _worded(words_there) else {}


def _line(
    chart: Chart, number: int, name: str, rows: pd.DataFrame, places: Mapping[Any, float], apart: float
) -> Iterator[dict[str, Any]]:
    ink = look.colour(number)
    shared = {"type": "scatter", "legendgroup": f"l{number}", "visible": number < MOST_ON, "showlegend": False}
    x, y = [places[at] + apart if places else at for at in rows[chart.x]], look.numbers(rows[chart.y])
    if chart.low and chart.high:
        low, high = look.numbers(rows[chart.low]), look.numbers(rows[chart.high])
        for at, bottom, top in zip(x, low, high, strict=True):
            if bottom is not None and top is not None:
                bar = {"mode": "lines", "x": [at, at], "y": [bottom, top], "meta": "band", "hoverinfo": "skip"}
                yield shared | bar | {"line": {"color": ink, "width": 6}, "opacity": 0.3}
    start = f"<b>{look.plain(name)}</b><br>" if name else ""
    yield shared | {
        **{"name": look.plain(name), "showlegend": bool(name), "x": x, "y": y},
        "mode": "markers" if places else "lines+markers",
        "line": {"color": ink, "width": 2, "dash": look.dash(number)},
        "marker": {"color": ink, "size": 8, "symbol": look.sign(number)},
        "hoverinfo": "text",
        "hovertext": [
            f"{start}{look.plain(chart.x_title)}: {look.plain(written(row[chart.x]))}"
            f"<br>{look.plain(chart.y_title)}: {written(row[chart.y])}{_interval(chart, row)}"
            for row in rows.to_dict("records")
        ],
    }


def _interval(chart: Chart, row: dict[Any, Any]) -> str:
    if not (chart.low and chart.high) or row[chart.low] != row[chart.low]:
        return ""
    return f" ({written(row[chart.low])} to {written(row[chart.high])})"


def _worded(values: Any) -> bool:
    """Whether these are words, which have no distances."""
    return any(isinstance(value, str) for value in values)


def _axis(title: str, values: Any, log: bool, **more: Any) -> dict[str, Any]:
    """An axis that holds the values: numbers on a scale, words in their order."""
    if _worded(values):
        return _steps(title, list(dict.fromkeys(values)), every=1, **more)
    known = np.asarray([value for value in values if value is not None], dtype=float)
    known = known[np.isfinite(known) & ((known > 0) | (not log))]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.1, 1.0)
    if log:
        pad = (high / low) ** 0.06 * 1.02
        distinct = sorted(set(known.tolist()))
        axis = look.axis(title, low / pad, high * pad, True, **more)
        if len(distinct) <= 6 and len(known) > len(distinct):  # a grid: its own values tell more than powers of ten
            axis |= {"tickvals": distinct, "ticktext": [written(value) for value in distinct]}
        return axis
    pad = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return look.axis(title, low - pad, high + pad, False, **more)


def _heat(chart: Chart) -> Picture:
    """A panel for each value of `by`: beside each other, on a phone below; equal colours mean equal values."""
    import plotly.graph_objects as go

    groups = _groups(chart)
    kept = groups[:MOST_PANELS]
    xs, ys = (_ordered(chart.data[column].map(look.same)) for column in (chart.x, chart.y))
    panels = [_cells(chart, rows, xs, ys, _nth(i), name) for i, (name, rows) in enumerate(kept)]
    rings = [*filter(None, (_rings(chart, rows, xs, ys, _nth(i)) for i, (_, rows) in enumerate(kept)))]
    each = max(120, PANEL_ROW * len(ys))
    wide, narrow = _panels(chart, xs, ys, len(kept))
    titles = [textwrap.wrap(name, TITLE // len(kept)) for name, _ in kept]
    above = 12 + 17 * max(map(len, titles))
    bar = {"thickness": 12, "outlinewidth": 0, "title": {"text": look.plain(chart.colour_title), "side": "right"}}
    thin = {"thickness": 8, "title": {"text": ""}}
    colours = {"colorscale": look.scale(), "colorbar": bar | _levels(chart)}
    headings = [_heading(i, title) for i, title in enumerate(titles) if title]
    layout = look.layout(**wide, annotations=headings, coloraxis=colours) | {
        "margin": {"l": 8, "r": 8, "t": above, "b": 8}
    }
    figure = go.Figure(data=[*panels, *rings], layout=layout)
    return Picture(
        label="",
        title=chart.title,
        words=chart.words,
        figure=figure,
        marks=[Mark("dropped", "dropped early")] if rings else [],
        note=f"{len(kept)} of {len(groups)} panels are shown." if len(kept) < len(groups) else "",
        height=each + above + 60,
        narrow=narrow
        | {"height": len(kept) * (each + 60) + 40, "margin": {"l": 0, "r": 0}, "coloraxis": {"colorbar": thin}},
    )


def _panels(chart: Chart, xs: Sequence[Any], ys: Sequence[Any], number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The axes of so many panels: on a wide screen, and what is different on a narrow one."""
    wide: dict[str, Any] = {}
    narrow: dict[str, Any] = {}
    for i in range(number):
        x, y = f"xaxis{_nth(i)}", f"yaxis{_nth(i)}"
        across = _steps(chart.x_title, xs, anchor=f"y{_nth(i)}", domain=[i / number, (i + 0.94) / number])
        up = _steps("" if i else chart.y_title, ys, anchor=f"x{_nth(i)}", showticklabels=i == 0)
        wide |= {x: across, y: up}
        domain = [max(0.0, 1 - (i + 0.84) / number), 1 - i / number]
        narrow |= {x: {"domain": [0, 1]}, y: {"domain": domain, "showticklabels": True}}
    return wide, narrow


def _heading(number: int, lines: Sequence[str]) -> dict[str, Any]:
    """The title of a panel, above it."""
    return {
        **{"xref": f"x{_nth(number)} domain", "yref": f"y{_nth(number)} domain", "x": 0, "y": 1},
        **{"text": "<br>".join(map(look.plain, lines)), "showarrow": False, "font": {"size": 13}},
        **{"xanchor": "left", "yanchor": "bottom", "align": "left"},
    }


def _nth(number: int) -> str:
    """What Plotly calls the axes of a panel."""
    return "" if number == 0 else str(number + 1)


def _ordered(values: Any) -> list[Any]:
    """The different values: numbers by size, words in order of appearance."""
    distinct = list(dict.fromkeys(values.tolist()))
    return distinct if _worded(distinct) else sorted(distinct)


def _steps(title: str, values: Sequence[Any], every: int = 0, **more: Any) -> dict[str, Any]:
    """An axis with a step for each value, all alike in width; `every` so many has its name, 0: as many as fit."""
    every = every or max(1, math.ceil(len(values) / 9))
    at = [*range(len(values))][::every]
    told = {"tickmode": "array", "tickvals": at, "ticktext": [look.plain(written(values[i])) for i in at]}
    axis = look.axis(title, -0.5, len(values) - 0.5, False, showgrid=False)
    return {**axis, "tickformat": "", **told, **more}


def _cells(
    chart: Chart, rows: pd.DataFrame, xs: Sequence[Any], ys: Sequence[Any], number: str, name: str
) -> dict[str, Any]:
    table = {(look.same(row[chart.x]), look.same(row[chart.y])): row[chart.colour] for row in rows.to_dict("records")}
    values = [[float(table.get((x, y), math.nan)) for x in xs] for y in ys]
    shades = [[_level(value, chart.log_colour) for value in row] for row in values]
    titles = [look.plain(title) for title in (chart.x_title, chart.y_title, chart.colour_title)]
    told = [
        [
            "<br>".join(
                [
                    *([f"<b>{look.plain(name)}</b>"] if name else []),
                    *(f"{title}: {look.plain(written(v))}" for title, v in zip(titles, (x, y, value), strict=True)),
                ]
            )
            for x, value in zip(xs, row, strict=True)
        ]
        for y, row in zip(ys, values, strict=True)
    ]
    return {
        **{
            "type": "heatmap",
            "z": [look.numbers(row) for row in shades],
            "coloraxis": "coloraxis",
            "xgap": 2,
            "ygap": 2,
        },
        **{"hoverinfo": "text", "hovertext": told, "xaxis": f"x{number}", "yaxis": f"y{number}", "hoverongaps": False},
    }


def _rings(
    chart: Chart, rows: pd.DataFrame, xs: Sequence[Any], ys: Sequence[Any], number: str
) -> dict[str, Any] | None:
    """A ring in each cell of a panel whose value is not known, since it was dropped; None without any."""
    gone = rows[rows[chart.hollow]] if chart.hollow else rows.iloc[:0]
    if not len(gone):
        return None
    x = [xs.index(look.same(value)) for value in gone[chart.x]]
    y = [ys.index(look.same(value)) for value in gone[chart.y]]
    titles = [look.plain(title) for title in (chart.x_title, chart.y_title)]
    cells = zip(gone[chart.x], gone[chart.y], strict=True)
    told = [[f"{title}: {look.plain(written(v))}" for title, v in zip(titles, cell, strict=True)] for cell in cells]
    return {
        **{"type": "scatter", "mode": "markers", "x": x, "y": y, "xaxis": f"x{number}", "yaxis": f"y{number}"},
        **{"hoverinfo": "text", "hovertext": ["<br>".join([*lines, "dropped early"]) for lines in told]},
        **{"marker": {"symbol": "circle-open", "size": 8, "color": look.MUTED}, "showlegend": False},
    }


def _level(value: float, log: bool) -> float:
    if not log:
        return value
    return math.log10(value) if value > 0 and math.isfinite(value) else math.nan


def _levels(chart: Chart) -> dict[str, Any]:
    """The ticks of a colour bar whose scale is logarithmic."""
    known = chart.data[chart.colour].to_numpy(dtype=float)
    known = known[np.isfinite(known) & (known > 0)]
    if not chart.log_colour or not len(known):
        return {"tickformat": ".3~g"}
    values, texts = look.ticks(float(known.min()), float(known.max()), 6)
    return {"tickmode": "array", "tickvals": [math.log10(value) for value in values], "ticktext": texts}
