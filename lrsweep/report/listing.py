"""What there is: the entries of a registry, and pictures of the schedules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from lrsweep.report import words
from lrsweep.report.drawing import graph
from lrsweep.report.printer import FAINT, PROSE, Printer, stdout

CELL, BETWEEN, TALL = 38, 3, 4
"""Columns of a picture with its scale, columns between two, and rows of a picture: two side by side take 79 columns."""

ROOMY = 100
"""Columns from which on each setting has a line of its own, with its meaning."""

PAUSE = re.compile(r"(?<=[;:]) |(?<=\.) (?=[A-Z])")
"""Where a line is best broken: between formulas, sentences, sources."""


def print_rows(rows: Sequence[Mapping[str, Any]], console: Console | None = None) -> None:
    """The entries: each with its task or settings, and beneath it what it is and where it is from."""
    printer = Printer(console or stdout())
    width = min(printer.console.width, PROSE) - 2
    for row in rows:
        settings = {key: f"{key} {words.value(value)}" for key, value in row.get("settings", {}).items()}
        meanings = row.get("meanings", {}) if printer.console.width >= ROOMY else {}
        first, *more = [""] if meanings else [*settings.values()] or [row.get("task", "")]
        for i, line in enumerate(words.lines([f"{row['name']} · {first}".rstrip(" ·"), *more], ", ", width)):
            printer.say(f"  {line}" if i else line, style="bold")
        for key, style in (("description", ""), ("source", FAINT)):
            for paragraph in row[key].split("\n"):
                for line in words.lines(PAUSE.split(paragraph), " ", width):
                    printer.say(f"  {line}", style=style)
        aligned = max(map(len, settings.values()), default=0)
        for key, meaning in meanings.items():
            printer.show(Text(words.clean(f"  {settings[key]:<{aligned}}  {meaning}")))
        printer.say("")


@dataclass(frozen=True)
class Picture:
    """A curve within its bounds, with its name and what it does."""

    title: str
    text: str
    values: Sequence[float]
    bounds: tuple[float, float]

    def lines(self, width: int) -> list[str]:
        """The curve and its axes."""
        return graph(self.values, (width - 6, TALL), self.bounds)


def print_drawings(
    drawings: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], console: Console | None = None
) -> None:
    """Every schedule as a picture, as many side by side as fit; `rows` are the registry's, with what each does."""
    printer = Printer(console or stdout())
    texts = {row["name"]: row["description"] for row in rows}
    timed = [drawing for drawing in drawings if "loss" not in drawing]
    reacting = [drawing for drawing in drawings if "loss" in drawing]
    printer.say("The factor of the peak rate from a run's first step to its last; a warm-up may come before.", "")
    show(printer, [picture for drawing in timed for picture in pictures(drawing, texts)])
    printer.say("These react to the loss after each epoch, here to a made one.", "")
    made = reacting[0]["loss"]
    loss = Picture("the loss", "It falls, stands still, rises, and falls again.", made, (0, max(made)))
    show(printer, [loss, *(picture for drawing in reacting for picture in pictures(drawing, texts))])


def pictures(drawing: Mapping[str, Any], texts: dict[str, str]) -> Iterator[Picture]:
    """A schedule's factor, and its momentum where it moves one."""
    name, settings = drawing["schedule"], drawing["settings"]
    title = " · ".join([name, *(f"{key} {words.value(value)}" for key, value in settings.items())])
    factors, momenta = drawing["factors"], drawing.get("momenta")
    yield Picture(title, texts.pop(name, ""), factors, (0, max(1, *factors)))  # once is enough for all its modes
    if momenta:
        text = "Meanwhile the momentum of an optimizer that has one, beta1 in Adam's family."
        yield Picture(f"{name} · momentum", text, momenta, (min(momenta), max(momenta)))


def show(printer: Printer, pictures: Sequence[Picture]) -> None:
    """The pictures in rows, each row as high as the longest of its texts demands."""
    beside = max(1, (printer.console.width + BETWEEN) // (CELL + BETWEEN))
    width = min(CELL, printer.console.width)
    for start in range(0, len(pictures), beside):
        row = pictures[start : start + beside]
        texts = [words.lines([picture.text], " ", width) for picture in row]
        tall = max(map(len, texts))
        across(printer, [picture.title for picture in row], "bold")
        for line in zip(*(text + [""] * (tall - len(text)) for text in texts), strict=True):
            across(printer, line)
        for line in zip(*(picture.lines(width) for picture in row), strict=True):
            across(printer, line)
        printer.say("")


def across(printer: Printer, cells: Sequence[str], style: str = "") -> None:
    """A line of several pictures."""
    line = (" " * BETWEEN).join(cell.ljust(CELL) for cell in cells).rstrip()
    printer.show(Text(words.clean(line), style=style), no_wrap=True, overflow="crop")
