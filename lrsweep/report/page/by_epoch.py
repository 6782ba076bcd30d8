"""The curves of a setting: training and validation loss by epoch, a line per rate, and the rate's schedule beneath."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lrsweep.analysis.curves import Read
from lrsweep.analysis.ranking import RATE
from lrsweep.report import words
from lrsweep.report.page import look
from lrsweep.report.page.look import Key, Mark, Picture
from lrsweep.report.page.shown import Setting, mean_curves, spread, with_curves
from lrsweep.report.page.strips import MARKS
from lrsweep.report.words import many
from lrsweep.vocabulary import Array

MOST_RATES, MOST_EPOCHS = 12, 60
"""Lines of a figure, and points of a line."""

FEW = 5
"""Epochs below which each has its tick."""

PANELS = (("val_loss", "validation loss", "x", "y"), ("train_loss", "training loss", "x2", "y2"))
SCHEDULE = ("x3", "y3")

ENDS = {"lost": "the first seed is lost", "dropped": "the rate is dropped"}
"""What the sign at the end of a line means."""


@dataclass(frozen=True)
class Line:
    """What is drawn of one rate: its curves by epoch, each as far as all of its seeds get; `share` is its colour.

    `lost` are the seeds that are, unless the rate was `dropped`.
    """

    rate: float
    share: float
    best: bool
    lost: int
    dropped: bool
    losses: dict[str, Array]

    @property
    def end(self) -> str:
        """How it ends before the others do, as page.js names its sign; empty where it does not."""
        return "dropped" if self.dropped else "lost" if self.lost else ""


def pictures(settings: Sequence[Setting], labels: Sequence[str], read: Read) -> list[Picture]:
    """A figure for each setting, empty where it has no curves; none at all where nothing has."""
    lines = [_lines(setting, read) for setting in settings]
    if not any(lines):
        return []
    return [
        _picture(setting, own, read, label) if own else _empty(setting, label)
        for setting, own, label in zip(settings, lines, labels, strict=True)
    ]


def _empty(setting: Setting, label: str) -> Picture:
    """The figure of a setting whose runs ended before they had a curve."""
    import plotly.graph_objects as go

    axes = look.layout(xaxis=look.hidden(), yaxis=look.hidden())
    told = f"{setting.name}: no curve was stored"
    return Picture(label, told, f"{told}, since no run came as far as an epoch.", go.Figure(layout=axes), height=24)


def _lines(setting: Setting, read: Read) -> list[Line]:
    """The rates to draw, the best one always among them."""
    rates = setting.rates[RATE].to_numpy(dtype=float)
    best = int(np.searchsorted(rates, setting.entry["best_rate"])) if setting.entry["best_rate"] is not None else None
    of_rate, there = dict([*setting.runs.groupby(RATE)]), with_curves(setting.runs, read)
    lost, dropped = setting.rates["n_lost"].to_numpy(), setting.dropped
    drawn = [at for at, rate in enumerate(rates) if there.issuperset(of_rate[rate]["run_id"])]
    found = []
    for at in spread(drawn, MOST_RATES, best):
        losses = mean_curves(of_rate[rates[at]], read, [name for name, *_ in PANELS])
        share, gone = at / max(1, len(rates) - 1), bool(dropped[at])
        found.append(Line(float(rates[at]), share, at == best, 0 if gone else int(lost[at]), gone, losses))
    return found


def _picture(setting: Setting, lines: Sequence[Line], read: Read, label: str) -> Picture:
    import plotly.graph_objects as go

    n_seeds = int(setting.rates["n_seeds"].max())
    drawn = [*sorted(lines, key=lambda line: line.best)]  # the best on top
    figure = go.Figure(
        data=[*(trace for line in drawn for trace in _traces(line, n_seeds)), *_schedule(setting, read)],
        layout=_layout(lines, setting),
    )
    chosen = next((line for line in lines if line.best), None)
    left_out = [_averaged(setting, n_seeds)]
    if len(lines) < len(setting.rates):
        left_out.append(f"{len(lines)} of {len(setting.rates)} rates are drawn; curves.csv has all that there are.")
    if max(len(line.losses["val_loss"]) for line in lines) > MOST_EPOCHS:
        left_out.append(f"Lines have {MOST_EPOCHS} points; curves.csv has every epoch.")
    return Picture(
        label=label,
        title=_title(setting, chosen),
        words=_words(setting, lines),
        figure=figure,
        legend=[_key(line) for line in lines],
        marks=[Mark(end, told) for end, told in ENDS.items() if any(line.end == end for line in lines)],
        note=" ".join(left_out),
        height=430,
        narrow=NARROW,
    )


def _averaged(setting: Setting, n_seeds: int) -> str:
    if n_seeds == 1:
        return f"Seed {setting.runs['seed'].iloc[0]}, the only one."
    return f"Means over {n_seeds} seeds; a line ends where its first seed does."


def _key(line: Line) -> Key:
    name = f"{words.rate(line.rate)}{' best' if line.best else ''}"
    return Key(f"r{line.rate:g}", name, look.INK if line.best else look.pace(line.share), "")


def _bounds(lines: Sequence[Line], name: str) -> tuple[float, float]:
    """The range worth seeing: up to a little above the untrained loss, and down to a millionth of that."""
    every = np.concatenate([line.losses[name] for line in lines])
    starts = [line.losses["val_loss"][0] for line in lines if math.isfinite(line.losses["val_loss"][0])]
    finite = every[np.isfinite(every) & (every > 0)]
    if not len(finite):
        return 0.1, 1.0
    high = min(float(finite.max()), 1.6 * max(starts, default=math.inf))
    low = max(min(float(finite.min()), high / 2), 1e-6 * high)
    pad = (high / low) ** 0.05
    return low / pad, high * pad


def _traces(line: Line, n_seeds: int) -> Iterator[dict[str, Any]]:
    rate = words.rate(line.rate)
    colour = look.INK if line.best else look.pace(line.share)
    for name, title, x, y in PANELS:
        values = line.losses[name]
        epochs = spread(range(len(values)), MOST_EPOCHS)
        yield {
            **{"type": "scatter", "mode": "lines", "x": epochs, "y": look.numbers(values[epochs]), "hoverinfo": "text"},
            "hovertext": [
                f"<b>{rate}</b>{' (best)' if line.best else ''}, epoch {i}<br>{title} {values[i]:.3g}" for i in epochs
            ],
            **{"line": {"color": colour, "width": 3 if line.best else 1.6}, "xaxis": x, "yaxis": y},
            **{"legendgroup": f"r{line.rate:g}", "name": rate, "showlegend": name == "val_loss"},
        }
        if line.end and len(values):
            sign, last = {"color": colour, "symbol": MARKS[line.end], "size": 8}, len(values) - 1
            how = f"dropped after epoch {last}" if line.dropped else f"{line.lost} of {many(n_seeds, 'seed')} lost"
            yield {
                **{"type": "scatter", "mode": "markers", "x": [last], "y": look.numbers(values[-1:])},
                **{"marker": sign, "xaxis": x, "yaxis": y, "hoverinfo": "text", "hovertext": f"<b>{rate}</b>: {how}"},
                **{"legendgroup": f"r{line.rate:g}", "showlegend": False},
            }


def _schedule(setting: Setting, read: Read) -> Iterator[dict[str, Any]]:
    """The learning rate by epoch, of the first seed that has a curve.

    A row of the curves holds the rate of its epoch's last step, so that is the rate since the row before.
    """
    runs = setting.runs[setting.runs[RATE] == _scheduled(setting)].sort_values("seed")
    curve = next((found for run_id in runs["run_id"] if len(found := read([run_id])) > 1), None)
    if curve is None or "learning_rate" not in curve:
        return
    values = curve["learning_rate"].to_numpy(float)
    epochs = [i for i in spread(range(1, len(values)), 4 * MOST_EPOCHS) if math.isfinite(values[i])]
    if not epochs:
        return
    yield {
        **{"type": "scatter", "mode": "lines", "hoverinfo": "text"},
        **{"x": [epochs[0] - 1, *epochs], "y": look.numbers(values[[epochs[0], *epochs]])},
        **{"line": {"color": look.INK, "width": 1.8, "shape": "vh"}, "xaxis": SCHEDULE[0], "yaxis": SCHEDULE[1]},
        "hovertext": [f"epoch {i}: learning rate {words.rate(values[i])}" for i in [epochs[0], *epochs]],
        "showlegend": False,
    }


def _layout(lines: Sequence[Line], setting: Setting) -> dict[str, Any]:
    end = max(1, max(len(line.losses["val_loss"]) for line in lines) - 1)
    along = {"tickformat": "d", "showgrid": False, "ticks": "outside", "tickcolor": look.MUTED, "ticklen": 4}
    along |= {"dtick": 1} if end < FEW else {}  # else there are ticks between epochs, and two of them of one name
    up: dict[str, Any] = {"domain": [0.36, 0.95]}
    of = f"schedule of {words.rate(_scheduled(setting))}{', the best rate' if setting.entry['best_rate'] else ''}"
    titles = [("x domain", "y domain", "validation loss"), ("x2 domain", "y2 domain", "training loss")]
    return look.layout(
        xaxis=look.axis("epoch", -0.01 * end, end * 1.01, False, domain=[0, 0.465], anchor="y", **along),
        xaxis2=look.axis("epoch", -0.01 * end, end * 1.01, False, domain=[0.535, 1], anchor="y2", **along),
        xaxis3=look.axis("epoch", -0.01 * end, end * 1.01, False, domain=[0, 1], anchor="y3", **along),
        yaxis=look.axis("loss (log scale)", *_bounds(lines, "val_loss"), True, **up),
        yaxis2=look.axis("", *_bounds(lines, "train_loss"), True, anchor="x2", **up),
        yaxis3=look.axis("rate", 0, 1.15 * _scheduled(setting), False, domain=[0, 0.13], anchor="x3") | {"nticks": 3},
        annotations=[
            {"xref": x, "yref": y, "x": 0, "y": 1.02, "text": text, "showarrow": False, "xanchor": "left"}
            | {"yanchor": "bottom", "font": {"size": 13, "color": look.INK}}
            for x, y, text in [*titles, ("x3 domain", "y3 domain", of)]
        ],
    )


def _scheduled(setting: Setting) -> float:
    """The rate whose schedule is drawn: the best, else the lowest."""
    return float(setting.entry["best_rate"] or setting.rates[RATE].min())


NARROW = {
    "height": 640,
    "xaxis": {"domain": [0, 1]},
    "xaxis2": {"domain": [0, 1]},
    "yaxis": {"domain": [0.66, 0.96]},
    "yaxis2": {"domain": [0.24, 0.54], "title": {"text": "loss (log scale)"}},
    "yaxis3": {"domain": [0, 0.12]},
}
"""On a phone the panels are below each other."""


def _title(setting: Setting, chosen: Line | None) -> str:
    if chosen is None:
        return f"{setting.name}: no rate trains to the end"
    ends = {name: values[-1] for name, values in chosen.losses.items()}
    write = words.alike([*ends.values()])
    told = f"{setting.name} at {words.rate(chosen.rate)} ends at validation loss {write(ends['val_loss'])}"
    return f"{told}, training loss {write(ends['train_loss'])}" if math.isfinite(ends["train_loss"]) else told


def _words(setting: Setting, lines: Sequence[Line]) -> str:
    told = [f"Validation and training loss by epoch for {many(len(lines), 'rate')} of {setting.name}, log scale."]
    for line in lines:
        values = line.losses["val_loss"]
        came = f"from {values[0]:.3g} to {values[-1]:.3g} in {len(values) - 1} epochs{', then dropped' * line.dropped}"
        told.append(f"{words.rate(line.rate)}: validation loss {came}.")
    return " ".join(told)
