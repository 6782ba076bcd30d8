"""What the coordinate check found, a table for each setting."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from lrsweep.analysis.recommend import label
from lrsweep.engine.coordinates import OTHER, PASSES, SAME
from lrsweep.report import words
from lrsweep.report.printer import EDGE, PROSE, Column, Printer, stdout
from lrsweep.report.words import NOTHING, many


def print_legend(steps: int, console: Console | None = None) -> None:
    """How to read the tables."""
    after, of = f"step {steps}", "" if steps == 1 else f", the largest of steps 1 to {steps}"
    said = f"Mean absolute activations after {after}, and the slope{of}: they go as width^slope."
    Printer(console or stdout()).say(f"{said} A layer passes below {SAME} in size and fails above {OTHER}.", "")


def print_finding(finding: Mapping[str, Any], console: Console | None = None) -> None:
    """A setting: its layers' activations at each width, their slopes, the verdict, and the sentence to act on."""
    printer = Printer(console or stdout())
    name, rest = finding["setting"]["parametrization"], {**finding["setting"]}
    del rest["parametrization"]
    title = [f"{name}, {label(rest, '')}", f"rate {words.rate(finding['rate'])}", many(finding["seeds"], "seed")]
    if finding["layers"] and finding["widths_from"] == "base_width":
        title.append("base_width × 1 to 16")
    printer.say(*words.lines(title, " · ", min(printer.console.width, PROSE)), style="bold")
    if finding["layers"]:
        printer.table(columns(finding))
    printer.say(f"{finding['advice']}.", "")


def columns(finding: Mapping[str, Any]) -> list[Column]:
    """A row per layer. Where there is no room for all widths, those in the middle go first."""
    layers, widths = finding["layers"], finding["widths"]
    last = [[row[-1] for row in layer["activations"]] for layer in layers]
    cells = [[written(value, "#.3g").rstrip(".") for value in row] for row in last]
    spare = [1 + min(i, len(widths) - 1 - i) for i in range(len(widths))]
    verdicts = [layer["verdict"] for layer in layers]
    return [
        Column("width", [layer["layer"] for layer in layers]),
        *(Column(str(width), [row[i] for row in cells], spare=spare[i], right=True) for i, width in enumerate(widths)),
        Column("slope", [written(layer["slope"], "+.2f") for layer in layers], right=True),
        Column("", [verdict if verdict == PASSES else f"{EDGE} {verdict}" for verdict in verdicts]),
    ]


def written(value: float, how: str) -> str:
    """A number in the format, if it is one."""
    return format(value, how) if math.isfinite(value) else NOTHING
