"""Pieces that sections are made of: a figure with its legend and its choice, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lrsweep.report.page.look import Picture
from lrsweep.report.page.markup import Html, data, tag

LONG = 30
"""Characters from which on a cell of a table may be broken into lines."""


class Column(Protocol):
    """A table's column, as the terminal has it."""

    @property
    def title(self) -> str: ...
    @property
    def cells(self) -> Sequence[str]: ...
    @property
    def right(self) -> bool: ...


def figure(name: str, pictures: Sequence[Picture], choice: str = "", *, lead: bool = False, above: str = "") -> Html:
    """A figure, or several of which the reader's `choice` shows one; page.js draws it.

    `name` is its id, and the name of the file that it is saved as. The `lead` one has a large title; one that stands
    `above` already is not shown twice.
    """
    first = pictures[0]
    return tag(
        "figure",
        tag("h3", first.title, class_="same" if first.title == above else None),
        tag("div", class_="legend", role="group", aria_label="Shown in the figure"),
        tag("div", class_="canvas", role="img", aria_label=first.words, style=f"height:{first.height}px"),
        tag("div", class_="marks", role="group", aria_label="What the marks mean"),
        tag(
            "figcaption",
            tag("span", first.note, class_="note"),
            tag("button", "Save as SVG", type="button", class_="save"),
        ),
        data("variants", [picture.document() for picture in pictures]),
        class_="plot lead" if lead else "plot",
        id=name,
        data_choice=choice or None,
    )


def chooser(choice: str, asked: str, labels: Sequence[str]) -> Html | None:
    """The reader's choice between several."""
    if len(labels) < 2:
        return None
    options = [tag("option", label, value=i) for i, label in enumerate(labels)]
    return tag(
        "div",
        tag("label", asked, for_=f"choose-{choice}"),
        tag("select", *options, id=f"choose-{choice}", data_choice=choice),
        class_="choice",
    )


def part(choice: str, at: int, *inside: object) -> Html:
    """What is only there for one of the choices."""
    return tag("div", *inside, data_part=choice, data_at=at, hidden=at > 0)


def table(
    columns: Sequence[Column], caption: str = "", best: Sequence[bool] = (), compact: bool = False
) -> Html | None:
    """A table that scrolls within itself where the page is narrower. `best` are the rows to stress."""
    if not columns or not columns[0].cells:
        return None
    heads = [
        tag("th", column.title, scope="col", class_=_classes(column, at == 0)) for at, column in enumerate(columns)
    ]
    rows = [
        tag(
            "tr",
            *(_cell(column, i, first=column is columns[0]) for column in columns),
            class_="best" if best and best[i] else None,
        )
        for i in range(len(columns[0].cells))
    ]
    told = tag("caption", caption) if caption else None
    inside = tag(
        "table", told, tag("thead", tag("tr", *heads)), tag("tbody", *rows), class_="compact" if compact else None
    )
    return tag("div", inside, class_="scroll", tabindex=0, role="group", aria_label=caption or "Table")


def _cell(column: Column, row: int, first: bool) -> Html:
    text, classes = column.cells[row].strip(), _classes(column, first)
    return tag("th", text, scope="row", class_=classes) if first else tag("td", text, class_=classes)


def _classes(column: Column, first: bool) -> str | None:
    """What tells a row apart begins at the left, whatever it is."""
    return "right" if column.right and not first else "wrap" if max(map(len, column.cells)) > LONG else None
