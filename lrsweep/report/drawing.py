"""Pictures made of characters: the objective against the rate, and losses by epoch, as lines of text."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lrsweep.analysis.recommend import brief
from lrsweep.report.words import alike, diagnosis, fitted, labels, lines, missing
from lrsweep.vocabulary import STOPPED

if TYPE_CHECKING:  # `plan` comes through here too, and does without frames
    import pandas as pd

    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.recommend import Entry

BLOCKS = "▁▂▃▄▅▆▇█"
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character, by column and by row from the top."""

BEST, LOST, ABOVE, BELOW, TIED, AXIS, FITTED, LIMIT, DROPPED = "●", "×", "↑", "↓", "━", "─", "◆", "┊", "○"
LEGEND = {
    BEST: "best",
    TIED: "tied",
    FITTED: "fitted",
    LIMIT: "stable up to here",
    LOST: "diverged or failed",
    DROPPED: "dropped early",
    ABOVE: "worse than untrained",
    BELOW: "below 0",
}
BOTH = " and from"
"""What stands between what is told of the lower end of the rates and of the upper one."""

GOOD = "good"
"""The diagnosis that needs no words."""

WIDE, MARGIN, BESIDE, WIDEST = 70, 10, 28, 72
"""Columns from which on names stand beside a picture; left of a picture, for its scale; right of it, for its name;
of a picture at most."""

FLOOR = 1e-6
"""A loss below this share of the highest one shown is drawn at the bottom: 0 has no place on a log scale."""


def panels(answer: Answer, entries: Sequence[Entry], width: int) -> list[str]:
    """The objective against the rate, a picture per setting, one below the other over a common axis."""
    drawn = [(entry, answer.rows(answer.ranking, entry)) for entry in entries if entry["best_rate"] is not None]
    drawn = [(entry, rates) for entry, rates in drawn if len(rates) > 1]
    if not drawn:
        return []
    grid = [rate for _, rates in drawn for rate in rates["learning_rate"]]
    ends = min(grid), max(grid)
    size = min(width - MARGIN - (BESIDE if width >= WIDE else 0), WIDEST), 4 if len(drawn) > 1 else 7
    names = labels(answer, [entry for entry, _ in drawn])
    pictures = [
        line
        for name, (entry, rates) in zip(names, drawn, strict=True)
        for line in _setting(answer, name, entry, rates, size, ends, width)
    ]
    used = "".join(pictures)
    meanings = LEGEND | {ABOVE: f"{answer.objective} {LEGEND[ABOVE]}"}  # else it reads as a diagnosis
    legend = lines([f"{mark} {meaning}" for mark, meaning in meanings.items() if mark in used], "   ", width - MARGIN)
    title = f"{answer.objective} against learning_rate (log scale{'s' if answer.lower_is_better else ''})"
    below = [ticks(*ends, size[0]), *legend]
    return [title, *pictures, *(" " * MARGIN + line for line in below)]


def _setting(
    answer: Answer,
    name: str,
    entry: Entry,
    rates: pd.DataFrame,
    size: tuple[int, int],
    ends: tuple[float, float],
    width: int,
) -> list[str]:
    grid, means = rates["learning_rate"].tolist(), rates["objective_mean"].tolist()
    low, high = _bounds(answer, means, entry)
    marks = _marks(entry, grid, rates["diagnosis"].tolist())
    picture = panel(grid, means, marks, size, (low, high), answer.lower_is_better, ends)
    scale = [f"{high:>8.3g} ┤", *[f"{'':>8} │"] * (size[1] - 2), f"{low:>8.3g} ┤", f"{'':>8} └"]
    fit = "" if marks.fitted is None else f"  {FITTED} {fitted(marks.fitted)}"
    troubles = regions(grid, rates["diagnosis"].tolist())
    best = f"{BEST} {brief(entry['best_rate'])}{fit}"
    if width < WIDE:
        return [*lines([name, best, *few(troubles, 3)], "  ", width), *map(str.__add__, scale, picture)]
    # Names come before troubles: cut short, two settings would look the same.
    notes = [*textwrap.wrap(name, width - MARGIN - size[0] - 2, max_lines=len(picture) - 1), best]
    notes += few(troubles, min(3, len(picture) - len(notes)))
    notes = [line for note in notes for line in _broken(note, width - MARGIN - size[0] - 2)][: len(picture)]
    notes += [""] * (len(picture) - len(notes))
    return [f"{s}{line:<{size[0]}}  {note}".rstrip() for s, line, note in zip(scale, picture, notes, strict=True)]


def _marks(entry: Entry, grid: Sequence[float], diagnoses: Sequence[str | None]) -> Marks:
    """What is marked for a setting; the limit of stability stands midway to the next rate of the grid, if known."""
    best, highest = grid.index(entry["best_rate"]), entry["highest_stable_rate"]
    after = len(grid) if highest is None else grid.index(highest) + 1
    limit = None if after == len(grid) or diagnoses[after] == STOPPED else math.sqrt(highest * grid[after])
    dropped = [rate for rate, given in zip(grid, diagnoses, strict=True) if given == STOPPED]
    return Marks(best, tuple(entry["tie_interval"] or ()), entry["fitted_rate"], limit, dropped)


def regions(grid: Sequence[float], diagnoses: Sequence[str | None]) -> list[str]:
    """Where on the grid there is which trouble, from the lowest rate on; good rates need no words.

    >>> regions([0.001, 0.01, 0.1, 1, 10], ["too_slow", "good", "overfitting", "unstable", "diverged"])
    ['too slow to 0.001', 'overfitting from 0.1', 'unstable from 1', 'diverged from 10']
    >>> regions([0.001, 0.01, 0.1, 1, 10], ["stopped", "good", "good", "stopped", "diverged"])
    ['dropped to 0.001 and from 1', 'diverged from 10']
    """
    found = []
    for name in dict.fromkeys(given for given in diagnoses if not missing(given) and given != GOOD):
        at = [i for i, given in enumerate(diagnoses) if given == name]
        if name == STOPPED and (said := _at_both_ends(grid, diagnoses, at)):
            found.append(said)
            continue
        first, last = brief(grid[at[0]]), brief(grid[at[-1]])
        unbroken = at[-1] - at[0] == len(at) - 1
        if unbroken and at[0] == 0:
            where = f"to {last}"
        elif GOOD not in diagnoses[at[0] :]:
            where = f"from {first}"
        else:
            where = (first if len(at) == 1 else f"{first}–{last}") if unbroken else f"at {len(at)} rates"
        found.append(f"{diagnosis(name)} {where}")
    return found


def _at_both_ends(grid: Sequence[float], diagnoses: Sequence[str | None], at: Sequence[int]) -> str:
    """Rates that were dropped below and above those that were not; empty where it is not so."""
    below = next((i for i, place in enumerate(at) if place != i), len(at))
    above = at[below:]
    if not below or not above or GOOD in diagnoses[above[0] :]:
        return ""
    return f"{diagnosis(STOPPED)} to {brief(grid[below - 1])}{BOTH} {brief(grid[above[0]])}"


def _broken(note: str, width: int) -> list[str]:
    """A note in one line, or in two where it names rates at both ends and has no room in one."""
    before, between, after = note.partition(BOTH)
    return [before, f"{between}{after}"] if between and len(note) > width else [note]


def few(words: Sequence[str], most: int) -> list[str]:
    """As many of the words as there is room for: the first, and then the last ones.

    >>> few(["a", "b", "c", "d"], 3), few(["a", "b"], 1), few(["a", "b"], 0)
    (['a', 'c', 'd'], ['a'], [])
    """
    return list(words) if len(words) <= most else [*words[: min(most, 1)], *words[len(words) - most + 1 :]]


def _bounds(answer: Answer, means: Sequence[float], entry: Entry) -> tuple[float, float]:
    """The range worth seeing: a loss up to the untrained one's, a score from 0."""
    finite = [mean for mean in means if math.isfinite(mean)]
    low, high = (min(finite), max(finite)) if finite else (1.0, 1.0)
    if not answer.lower_is_better:
        return (max(low, 0) if high > 0 else low), high
    untrained = answer.rows(answer.runs, entry)["initial_loss"].max()
    high = min(high, untrained) if untrained > low else high
    return max(low, FLOOR * high), high


def sparklines(answer: Answer, entry: Entry, width: int) -> list[str]:
    """The validation loss by epoch at the best rate and a few round it, for the first seed."""
    runs, ranked = answer.rows(answer.runs, entry), answer.rows(answer.ranking, entry)
    runs = runs[runs["seed"] == runs["seed"].min()]
    rates = sorted(runs["learning_rate"])
    if entry["best_rate"] not in rates:
        return []
    n_ended = int((runs["status"] != STOPPED).sum())
    at, step = rates.index(entry["best_rate"]), max(1, n_ended // 6)
    rates = [rates[i] for i in range(at - 2 * step, at + 2 * step + 1, step) if 0 <= i < len(rates)]
    ids = dict(zip(runs["learning_rate"], runs["run_id"], strict=True))
    chosen = answer.read_curves([ids[rate] for rate in rates])
    found = {run_id: curve.tolist() for run_id, curve in chosen.groupby("run_id")["val_loss"]}
    curves = {rate: found[ids[rate]] for rate in rates if ids[rate] in found}
    if entry["best_rate"] not in curves:
        return []
    start = curves[entry["best_rate"]][0]
    lowest = min((value for curve in curves.values() for value in curve if value > 0), default=start)
    write = alike([curve[-1] for curve in curves.values() if curve[-1] <= start])
    ends = {rate: write(curve[-1]) for rate, curve in curves.items()}
    wide, longest = max(map(len, ends.values())), max(map(len, curves.values()))
    [name] = labels(answer, [entry])
    drawn = [f"val_loss by epoch, {name}, seed {runs['seed'].iloc[0]} (log scale)"]
    said = dict(zip(ranked["learning_rate"], ranked["diagnosis"], strict=True))
    for rate, curve in curves.items():
        mark = BEST if rate == entry["best_rate"] else " "
        worded = width >= 4 * MARGIN and not missing(said[rate])
        room = min(width - (3 if worded else 2) * MARGIN, 60)
        trouble = diagnosis(said[rate]) if worded else ""
        if said[rate] == STOPPED:  # else a short curve would reach as far as the long ones that are thinned out
            room = min(room, max(2, round(room * len(curve) / longest)))
            trouble += f" after epoch {len(curve) - 1}" if worded else ""
        bars = sparkline(curve, (max(lowest, FLOOR * start), start), True, room)
        drawn.append(f"{brief(rate):>8} {mark} {bars} {ends[rate]:>{wide}}  {trouble}".rstrip())
    return drawn


@dataclass(frozen=True)
class Marks:
    """What a picture of the objective marks: the position of the `best` rate, the `tied` ones, the `fitted` one, the
    `limit` above which training is not stable, and the `dropped` ones."""

    best: int
    tied: Sequence[float] = ()
    fitted: float | None = None
    limit: float | None = None
    dropped: Sequence[float] = ()


def panel(
    rates: Sequence[float],
    values: Sequence[float],
    marks: Marks,
    size: tuple[int, int],
    bounds: tuple[float, float],
    loss: bool,
    ends: tuple[float, float],
) -> list[str]:
    """`values` against `rates` on (width, height) characters, and the axis, a log scale between the `ends`, beneath.

    A loss has a log scale and is bad at the top, a score a linear one and is bad at the bottom. Values that are not
    finite break the line and are marked there, those outside the bounds where they leave. The axis is heavy from the
    lowest to the highest of the tied rates and bears the fitted one; a line stands at the limit.

    >>> marks = Marks(best=1, tied=[0.1, 1], fitted=0.5, limit=3)
    >>> print("\\n".join(panel([0.1, 1, 10], [1, 0.01, float("inf")], marks, (9, 3), (0.01, 1), True, (0.1, 10))))
    ⠱⡀    ┊ ×
     ⠈⢆   ┊
       ⠱● ┊
    ━━━◆━─┊──
    """
    width, height = size
    bottom = 4 * height - 1

    def across(rate: float) -> int:
        return round(scaled(rate, ends, True) * (2 * width - 1))

    down = [(1 - scaled(value, bounds, loss)) * bottom for value in values]
    rows = _traced([*zip(map(across, rates), down, strict=True)], size)
    for i, (rate, y) in enumerate(zip(rates, down, strict=True)):
        x = across(rate) // 2
        if not math.isfinite(y):
            rows[0 if loss else -1][x] = DROPPED if rate in marks.dropped else LOST
        elif not 0 <= y <= bottom:
            rows[0 if y < 0 else -1][x] = ABOVE if y < 0 else BELOW
        elif i == marks.best:
            rows[round(y) // 4][x] = BEST
    heavy = [across(rate) // 2 for rate in rates if rate in marks.tied]
    rows.append([TIED if heavy and heavy[0] <= x <= heavy[-1] else AXIS for x in range(width)])
    if marks.limit is not None:
        for row in rows:
            x = across(marks.limit) // 2
            row[x] = LIMIT if row[x] in (" ", AXIS) else row[x]
    if marks.fitted is not None and ends[0] <= marks.fitted <= ends[1]:
        rows[-1][across(marks.fitted) // 2] = FITTED
    return ["".join(row).rstrip() for row in rows]


def graph(values: Sequence[float], size: tuple[int, int], bounds: tuple[float, float]) -> list[str]:
    """`values`, evenly spaced, on (width, height) characters and a linear scale, with its ends at the left.

    >>> print("\\n".join(graph([0, 1, 0.5], (8, 2), (0, 1))))
       1 ┤  ⢀⠔⠉⠢⠤⡀
       0 ┤⡠⠊⠁    ⠈
         └────────
    """
    width, height = size
    across = [round(i / max(len(values) - 1, 1) * (2 * width - 1)) for i in range(len(values))]
    down = [(1 - scaled(value, bounds, False)) * (4 * height - 1) for value in values]
    low, high = bounds
    scale = [f"{high:>4.3g} ┤", *["     │"] * (height - 2), f"{low:>4.3g} ┤"]
    rows = _traced([*zip(across, down, strict=True)], size)
    lines = [left + "".join(row).rstrip() for left, row in zip(scale, rows, strict=True)]
    return [*lines, f"     └{AXIS * width}"]


def _traced(points: Sequence[tuple[int, float]], size: tuple[int, int]) -> list[list[str]]:
    """The characters, row by row, of straight lines between points in dots from the top left."""
    width, height = size
    cells = [[0] * width for _ in range(height)]
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        _line(cells, start, end if math.isfinite(end[1]) else start)
    return [[chr(0x2800 + bits) if bits else " " for bits in row] for row in cells]


def _line(cells: list[list[int]], start: tuple[int, float], end: tuple[int, float]) -> None:
    """Sets the dots between two points, as far as it lies within the cells; none where the start is not finite."""
    if not math.isfinite(start[1]):
        return
    height = 4 * len(cells)
    # A point far outside may be any number of dots away; a steep line to it leaves the picture in few of them.
    steps = max(abs(end[0] - start[0]), math.ceil(min(abs(end[1] - start[1]), 100 * height)), 1)
    for step in range(steps + 1):
        share = step / steps
        x, y = round(start[0] + share * (end[0] - start[0])), round(start[1] + share * (end[1] - start[1]))
        if 0 <= y < height:
            cells[y // 4][x // 2] |= DOTS[x % 2][y % 4]


def scaled(value: float, bounds: tuple[float, float], log: bool) -> float:
    """Where a value lies between its bounds, from 0 to 1, or outside; nan and inf stay what they are.

    >>> scaled(0.1, (0.01, 1), log=True), scaled(5, (5, 5), log=False)
    (0.5, 0.5)
    """
    if not math.isfinite(value):
        return math.nan
    low, high, value = (math.log10(max(x, 1e-300)) if log else x for x in (*bounds, value))
    return (value - low) / (high - low) if high > low else 0.5


def ticks(low: float, high: float, width: int) -> str:
    """The powers of ten between two rates, each under its place; the two rates themselves where there is but one.

    >>> ticks(0.001, 1, 31)
    '0.001   0.01       0.1        1'
    """
    powers = [10.0**i for i in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]
    marks = powers if len(powers) > 1 else sorted({low, high})
    line = ""
    for mark in marks:
        text = brief(mark)
        at = round(scaled(mark, (low, high), True) * (width - 1)) - len(text) // 2
        at = max(0, min(at, width - len(text)))
        if at >= len(line) + bool(line):
            line = line.ljust(at) + text
    return line


def sparkline(values: Sequence[float], bounds: tuple[float, float], log: bool, width: int) -> str:
    """A bar per value, of at most `width` evenly chosen ones, the first and the last among them; × where it is lost.

    >>> sparkline([8, 4, 2, 1, math.nan], (1, 8), True, 10)
    '█▆▃▁×'
    """
    if len(values) > width:
        values = [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]
    heights = [scaled(value, bounds, log) for value in values]
    return "".join(BLOCKS[max(0, min(round(height * 7), 7))] if math.isfinite(height) else LOST for height in heights)
