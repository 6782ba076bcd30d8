"""Text and tables on a console, as they are: whatever comes from a user is cleaned and never read as markup.

Colour marks meaning, and is never the only mark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from lrsweep.report import drawing
from lrsweep.report.words import clean

PROSE = 80
"""Columns that a sentence takes at most, however wide the terminal is."""

GAP = 2
FAINT = "dim"
EDGE = "▲"
STYLES = {
    drawing.BEST: "bold green",
    drawing.TIED: "green",
    EDGE: "bold yellow",
    drawing.LOST: "red",
    drawing.ABOVE: "red",
    drawing.BELOW: "red",
}
PLAIN: dict[int, str | int | None] = {
    **str.maketrans("▲●×·–±²━─≥�│┤└←√−", "!*x|-~2=->?||+<V-"),
    **dict.fromkeys(range(0x2800, 0x2900), "*"),  # pictures of dots
}
"""For consoles that know no more than ASCII."""


@dataclass(frozen=True)
class Column:
    """A column of a table. Of those that do not fit, the one with the highest `spare` goes first; 0 never goes.

    Those that `name` what a row is about are joined into one where even the others leave no room for them.
    """

    title: str
    cells: Sequence[str]
    spare: int = 0
    right: bool = False
    name: bool = False

    @property
    def width(self) -> int:
        """Of its longest cell, and of the gap."""
        return max(map(cell_len, [self.title, *self.cells])) + GAP


@dataclass(frozen=True)
class Printer:
    """Prints text as it is, without markup or control characters, sentences at most PROSE wide, ASCII if need be."""

    console: Console

    def say(self, *sentences: str, style: str = "") -> None:
        """Sentences, each on lines of its own."""
        for sentence in sentences:
            self.show(marked(sentence, style), width=min(self.console.width, PROSE))

    def draw(self, lines: Sequence[str]) -> None:
        """The lines of a picture under their title, cut at the edge, and an empty line."""
        self.say(*lines[:1], style=FAINT)
        for line in lines[1:]:
            self.show(marked(line), no_wrap=True, overflow="crop")
        self.say(*[""][: len(lines)])

    def table(self, columns: Sequence[Column]) -> None:
        """As many of the columns as fit, and an empty line."""
        kept = fitting(columns, self.console.width)
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style=FAINT)
        for column in kept:
            justify: Literal["left", "right"] = "right" if column.right else "left"
            table.add_column(Text(clean(column.title)), justify=justify, no_wrap=not column.name)
        for row in zip(*(column.cells for column in kept), strict=True):
            table.add_row(*map(marked, row), style="bold" if any(drawing.BEST in cell for cell in row) else "")
        self.show(table)
        self.say("")

    def show(self, what: RenderableType, **how: Any) -> None:
        """Anything that rich can draw."""
        if not self.console.options.ascii_only:
            self.console.print(what, **how)
            return
        with self.console.capture() as captured:
            self.console.print(what, **how)
        plain = captured.get().translate(PLAIN).encode("ascii", "replace").decode()
        self.console.out(plain, end="", highlight=False)


def marked(text: str, style: str = "") -> Text:
    """The text with its signs in their colours."""
    result = Text(clean(text), style=style)
    for sign, colour in STYLES.items():
        result.highlight_regex(f"{re.escape(sign)}+", colour)
    return result


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that are left when those that can be spared have made room.

    >>> [column.title for column in fitting([Column("rate", ["0.1"]), Column("seeds", ["3"], spare=1)], 10)]
    ['rate']
    """
    kept = list(columns)
    while sum(column.width for column in kept) - GAP > width:
        if any(column.spare for column in kept):
            kept.remove(max(kept, key=lambda column: column.spare))
            continue
        names = [column for column in kept if column.name]
        cells = [" · ".join(row) for row in zip(*(column.cells for column in names), strict=True)]
        joined = Column(" · ".join(column.title for column in names), cells, name=True)
        return [joined, *(column for column in kept if not column.name)] if names else kept
    return kept
