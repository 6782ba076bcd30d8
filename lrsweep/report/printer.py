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

LEAST, EASY = 28, 60
"""Columns that cells of text get at least, and those that they get before others less important."""

SHORT = 8
"""Columns that names get, however narrow the terminal is."""

NARROWEST = 20
"""Columns that are taken for granted, whatever a terminal or COLUMNS says."""

GAP = 2
FAINT = "dim"
EDGE = "▲"
STYLES = {
    drawing.BEST: "bold green",
    drawing.TIED: "green",
    drawing.FITTED: "bold cyan",
    drawing.LIMIT: FAINT,
    drawing.DROPPED: FAINT,
    EDGE: "bold yellow",
    f"(?<![0-9] ){drawing.LOST}(?! ?[0-9])": "red",  # beside a number it means times
    drawing.ABOVE: "red",
    drawing.BELOW: "red",
}
"""Signs, as patterns, with their colours."""

FILLED = re.compile(r"(?: |\x1b\[[\d;]*m)+$", re.MULTILINE)
"""Spaces at the end of a line, among the signs that change colours."""

PLAIN: dict[int, str | int | None] = {
    **str.maketrans("▲●×·–±²━─≥�│┤└←√−◆┊µ○", "!*x|-~2=->?||+<V-o:u."),
    **dict.fromkeys(range(0x2800, 0x2900), "*"),  # pictures of dots
}
"""For consoles that know no more than ASCII."""


def stdout() -> Console:
    """The console that data goes to, at least NARROWEST wide: tables and pictures have no sense below."""
    console = Console(highlight=False)
    console.width = max(console.width, NARROWEST)
    return console


@dataclass(frozen=True)
class Column:
    """A column of a table. Those with the lowest `spare` have the first claim on room, and those with 0 go last.

    Those that `name` what a row is about are joined into one where even the others leave no room for them. A column of
    text may `wrap` its cells, from LEAST on.
    """

    title: str
    cells: Sequence[str]
    spare: int = 0
    right: bool = False
    name: bool = False
    wrap: bool = False

    def width(self, most: int = LEAST) -> int:
        """Of its longest cell, and of the gap; where its text wraps, it takes no more than that."""
        longest = max(map(cell_len, [self.title, *self.cells]))
        return (min(longest, most) if self.wrap else longest) + GAP


@dataclass(frozen=True)
class Printer:
    """Prints text as it is, without markup or control characters, sentences at most PROSE wide, ASCII if need be."""

    console: Console

    def say(self, *sentences: str, style: str = "") -> None:
        """Sentences, each on lines of its own."""
        for sentence in sentences:
            self.show(marked(sentence, style), width=min(self.console.width, PROSE))

    def command(self, line: str) -> None:
        """What is to be typed, in one piece however long it is."""
        self.show(marked(line, "bold"), soft_wrap=True)

    def draw(self, lines: Sequence[str]) -> None:
        """The lines of a picture under their title, cut at the edge, and an empty line."""
        self.say(*lines[:1], style=FAINT)
        for line in lines[1:]:
            self.show(marked(line), no_wrap=True, overflow="crop")
        self.say(*[""][: len(lines)])

    def table(self, columns: Sequence[Column], *notes: str, style: str = FAINT) -> None:
        """As many of the columns as fit, with notes beneath, and an empty line."""
        kept = fitting(columns, self.console.width)
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style=FAINT)
        for column in kept:
            justify: Literal["left", "right"] = "right" if column.right else "left"
            wraps = column.name or column.wrap
            least = min(column.width() - GAP, SHORT) if wraps else None
            table.add_column(Text(clean(column.title)), justify=justify, no_wrap=not wraps, min_width=least)
        for row in zip(*(column.cells for column in kept), strict=True):
            table.add_row(*map(marked, row), style="bold" if any(drawing.BEST in cell for cell in row) else "")
        self.show(table)
        self.say(*notes, style=style)
        self.say("")

    def show(self, what: RenderableType, **how: Any) -> None:
        """Anything that rich can draw, without the spaces with which it fills lines."""
        with self.console.capture() as captured:
            self.console.print(what, **how)
        text = FILLED.sub(lambda end: end[0].replace(" ", ""), captured.get())
        if self.console.options.ascii_only:
            text = text.translate(PLAIN).encode("ascii", "replace").decode()
        self.console.out(text, end="", highlight=False)


def marked(text: str, style: str = "") -> Text:
    """The text with its signs in their colours."""
    result = Text(clean(text), style=style)
    for sign, colour in STYLES.items():
        result.highlight_regex(f"{sign}+", colour)
    return result


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """The columns that cannot be spared, and of the others those for which there is room, the lowest `spare` first.

    Where there is not even room for the former, the last of them go, but for two.

    >>> wide = Column("evidence", ["it falls"], spare=1)
    >>> [column.title for column in fitting([Column("rate", ["0.1"]), wide, Column("seeds", ["3"], spare=2)], 12)]
    ['rate', 'seeds']
    """
    kept = [column for column in columns if not column.spare]
    for column in sorted((column for column in columns if column.spare), key=lambda column: column.spare):
        known = joined(kept) if column.spare == 1 else kept  # for the first of them names are broken into lines
        if total(known, LEAST if column.spare == 1 else EASY) + column.width() - GAP <= width:
            kept.append(column)
    kept = [column for column in columns if column in kept]
    if total(kept) - GAP <= width:
        return kept
    kept = joined(kept)
    while len(kept) > 2 and total(kept, SHORT) - GAP > width:
        kept.pop()
    return kept


def joined(columns: Sequence[Column]) -> list[Column]:
    """The columns, those that name what a row is about as one whose cells may be broken into lines."""
    names = [column for column in columns if column.name]
    if not names:
        return list(columns)
    cells = [" · ".join(row) for row in zip(*(column.cells for column in names), strict=True)]
    name = Column(" · ".join(column.title for column in names), cells, name=True, wrap=True)
    return [name, *(column for column in columns if not column.name)]


def total(columns: Sequence[Column], most: int = LEAST) -> int:
    """The width of columns beside each other, with the gap behind the last."""
    return sum(column.width(most) for column in columns)
