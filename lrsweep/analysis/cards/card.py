"""What a card is: a finding in a sentence, a table and a chart of it, as raw values for whoever shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

Kind = (
    Literal["setting", "rate", "rates", "value", "score", "change", "changes", "ratio", "ratios"]
    | Literal["share", "number", "count", "seconds", "text", "bound"]
)
"""How a cell is written. `rates`, `changes` and `ratios` are (low, high) pairs or None, `bound` a rate with whether it
is no more than a lower bound (≥ 0.1), `value` is the objective,
`score` an accuracy or R², `change` a difference of scores, with its sign, `ratio` a factor (1.6 ×), `share` a fraction
shown in per cent, `number` anything else; None or nan is nothing."""


@dataclass(frozen=True)
class Col:
    """A column of a card's table: raw values, one per row. Of those that do not fit, the highest `spare` goes first."""

    title: str
    values: Sequence[Any]
    kind: Kind = "text"
    spare: int = 0


@dataclass(frozen=True)
class Chart:
    """A figure to draw: tidy `data`, whose columns the other fields name.

    `lines`: `y` against `x`, a line for each value of `by`, a band or bar from `low` to `high`. `heat`: cells of
    `colour` over `x` and `y`, a panel for each value of `by`; where `hollow` is true, a ring stands in a cell without
    one, for what was dropped early. `title` says in a short line what is drawn, the titles of
    the axes name what is on them with its unit, `words` describe the figure to who cannot see it. Where `x` holds
    words, no line goes from one to the next.
    """

    kind: Literal["lines", "heat"]
    data: pd.DataFrame
    x: str
    y: str
    title: str
    words: str
    x_title: str
    y_title: str
    by: str = ""
    low: str = ""
    high: str = ""
    colour: str = ""
    hollow: str = ""
    colour_title: str = ""
    log_x: bool = False
    log_y: bool = False
    log_colour: bool = False


@dataclass(frozen=True)
class Card:
    """What a sweep says about one of its axes.

    `title` is the finding in one sentence, `sentences` say more and what to doubt, `numbers` are for JSON (plain
    values; what cannot be said is None), and `details` are sentences that a short summary can do without.
    """

    axis: str
    title: str
    sentences: Sequence[str] = ()
    table: Sequence[Col] = ()
    charts: Sequence[Chart] = ()
    numbers: dict[str, Any] = field(default_factory=dict)
    details: Sequence[str] = ()

    def document(self) -> dict[str, Any]:
        """The card as JSON has it."""
        return {"axis": self.axis, "title": self.title, "sentences": [*self.sentences, *self.details], **self.numbers}
