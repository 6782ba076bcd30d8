"""What all figures share: colours by their names in page.css, axes ticked as people count, and the figure's frame.

Colours are CSS variables; page.js puts their values in, so a figure is light or dark as the page is.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrsweep.report import words
from lrsweep.report.page.markup import clean

INK, MUTED, RULE, PAPER, SHADE, BAD = (f"var(--{name})" for name in ("ink", "muted", "rule", "paper", "shade", "bad"))
N_COLOURS, N_STEPS, N_PACES = 8, 9, 12
"""Colours that tell settings apart, and steps of the scales for values (`--r`) and rates (`--p`)."""

SIGNS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "hexagon", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
"""Besides the colour, a setting has a sign of its own; from the ninth on also another line."""

SMALL = 12
"""Size of text in figures, in px."""


@dataclass(frozen=True)
class Key:
    """An entry of a figure's legend: it switches the traces of its `group`."""

    group: str
    name: str
    colour: str
    sign: str = ""
    dash: str = "solid"
    on: bool = True


@dataclass(frozen=True)
class Mark:
    """What a mark means; it switches the traces of this `layer`, where there is one. `icon` names it in page.js.

    It is only told while one of its `groups` of traces is on; without groups always.
    """

    icon: str
    name: str
    layer: str = ""
    on: bool = True
    groups: Sequence[str] = ()


@dataclass(frozen=True)
class Picture:
    """A figure with all that is said of it. `label` names it where the reader chooses between several.

    `title` states the finding, `words` describe it to who cannot see it, `note` says what it leaves out. `narrow` is
    what of the layout is different on a phone. Of groups `s0`, `s1` and so on, the first `rows` have a row in each
    strip; page.js gives the rows to others while those are on.
    """

    label: str
    title: str
    words: str
    figure: Any
    legend: Sequence[Key] = ()
    marks: Sequence[Mark] = ()
    note: str = ""
    height: int = 400
    rows: int = 0
    narrow: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The figure as page.js takes it."""
        drawn = self.figure.to_plotly_json()
        drawn["layout"].pop("template", None)
        told = {name: getattr(self, name) for name in ("label", "title", "words", "note", "height", "rows")}
        keys = {"legend": [vars(key) for key in self.legend], "marks": [vars(mark) for mark in self.marks]}
        return told | keys | {"data": drawn["data"], "layout": drawn["layout"], "narrow": dict(self.narrow)}


def colour(number: int) -> str:
    """The colour of a setting."""
    return f"var(--s{number % N_COLOURS + 1})"


def inked(number: int) -> str:
    """The colour of a setting as text, which needs more contrast than a line."""
    return f"var(--t{number % N_COLOURS + 1})"


def sign(number: int) -> str:
    """The sign of a setting."""
    return SIGNS[number % len(SIGNS)]


def dash(number: int) -> str:
    """The line of a setting."""
    return DASHES[number // N_COLOURS % len(DASHES)]


def step(share: float) -> str:
    """The colour at a share of the scale.

    >>> step(0.0), step(1.0)
    ('var(--r1)', 'var(--r9)')
    """
    return f"var(--r{1 + round(share * (N_STEPS - 1))})"


def pace(share: float) -> str:
    """The colour of a rate among those tried, from slow to unstable."""
    return f"var(--p{1 + round(share * (N_PACES - 1))})"


def scale() -> list[list[Any]]:
    """The scale, for heat maps."""
    return [[i / (N_STEPS - 1), step(i / (N_STEPS - 1))] for i in range(N_STEPS)]


def plain(given: str) -> str:
    """Text in a figure, where Plotly would read tags."""
    return html.escape(clean(given), quote=False)


def numbers(values: Iterable[float]) -> list[float | None]:
    """Values for a figure: five digits are more than anyone sees; what is not finite is not drawn."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]


def same(value: Any) -> Any:
    """What values have in common that are to share a row or a column: grids of one rate may differ in its last digit.

    >>> same(0.0562341) == same(0.0562342), same(16), same("adam")
    (True, 16.0, 'adam')
    """
    return value if isinstance(value, str) or value is None else float(f"{value:.4g}")


def ticks(low: float, high: float, most: int = 9) -> tuple[list[float], list[str]]:
    """Where a log axis has ticks: at powers of ten, at 1, 2 and 5 times those, or evenly spaced; and their texts.

    >>> ticks(0.0001, 10)[1], ticks(0.09, 0.6)[1], ticks(0.68, 1.49)[1]
    (['0.0001', '0.001', '0.01', '0.1', '1', '10'], ['0.1', '0.2', '0.5'], ['0.8', '1', '1.2', '1.4'])
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / most))
    powers = [10.0**i for i in range(first, last + 1) if i % every == 0]
    for candidates in (powers, [power * digit for power in powers for digit in (1, 2, 5)], even(low, high)):
        found = [value for value in candidates if low * 0.999 <= value <= high * 1.001]
        if len(found) > 2:
            break
    return found, [words.rate(value) for value in found]


def few_ticks(low: float, high: float) -> dict[str, Any]:
    """What of a log axis is different on a phone, which has room for five ticks.

    >>> few_ticks(0.0001, 10)["ticktext"], few_ticks(0.001, 10)["ticktext"]
    (['0.0001', '0.01', '1'], ['0.001', '0.01', '0.1', '1', '10'])
    """
    values, texts = ticks(low, high)
    every = math.ceil(len(values) / 5)
    return {"tickvals": values[::every], "ticktext": texts[::every]}


def even(low: float, high: float) -> list[float]:
    """Some four round numbers between two others.

    >>> even(0.68, 1.49)
    [0.8, 1.0, 1.2, 1.4]
    """
    size = 10.0 ** math.floor(math.log10((high - low) / 4)) if high > low else abs(high) or 1.0
    wide = next(size * digit for digit in (1, 2, 5, 10) if (high - low) / (size * digit) <= 5)
    return [float(f"{i * wide:.6g}") for i in range(math.ceil(low / wide), math.floor(high / wide) + 1)] or [low]


def axis(title: str, low: float, high: float, log: bool, **more: Any) -> dict[str, Any]:
    """An axis between two values, ticked as people count."""
    told: dict[str, Any] = {
        **{"title": {"text": plain(title), "standoff": 8, "font": {"color": MUTED, "size": SMALL}}},
        **{"fixedrange": True, "zeroline": False, "showline": False, "gridcolor": RULE, "gridwidth": 1},
        **{"tickfont": {"color": MUTED, "size": SMALL}, "ticks": "", "automargin": True},
    }
    if log:
        values, texts = ticks(low, high)
        told |= {"type": "log", "tickmode": "array", "tickvals": values, "ticktext": texts}
        told |= {"range": [math.log10(low), math.log10(high)]}
    else:
        told |= {"type": "linear", "range": [low, high], "nticks": 7, "tickformat": "~g"}
    return told | more


def hidden(**more: Any) -> dict[str, Any]:
    """An axis that is only there to place things."""
    return {"visible": False, "fixedrange": True, "type": "linear", **more}


def layout(**more: Any) -> dict[str, Any]:
    """The frame that all figures have."""
    font = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": SMALL, "color": INK}
    return {
        **{"font": font, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "showlegend": False},
        **{"margin": {"l": 8, "r": 12, "t": 8, "b": 8}, "dragmode": False, "hovermode": "closest"},
        "hoverlabel": {"bgcolor": PAPER, "bordercolor": MUTED, "font": {**font, "size": 13}, "align": "left"},
        "template": {},
        **more,
    }
