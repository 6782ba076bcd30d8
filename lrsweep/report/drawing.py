"""Pictures made of characters: numbers in, lines of text out. Knows neither frames nor the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character, by column and by row from the top."""

BEST, LOST, ABOVE, BELOW, TIED, AXIS = "●", "×", "↑", "↓", "━", "─"


def panel(
    rates: Sequence[float],
    values: Sequence[float],
    best: int | None,
    tied: Sequence[float],
    size: tuple[int, int],
    bounds: tuple[float, float],
    loss: bool,
) -> list[str]:
    """`values` against `rates` (log scale) on (width, height) characters, and the axis in a line beneath.

    A loss has a log scale and is bad at the top, a score a linear one and is bad at the bottom. Values that are not
    finite break the line and are marked there, those outside the bounds where they leave. `best` is the position of
    the rate to mark; the axis is heavy from the lowest to the highest of the `tied` rates.

    >>> print("\n".join(panel([0.1, 1, 10], [1, 0.01, float("inf")], 1, [0.1, 1], (9, 3), (0.01, 1), True)))
    ⠱⡀      ×
     ⠈⢆
       ⠱●
    ━━━━━────
    """
    width, height = size
    cells = [[0] * width for _ in range(height)]
    bottom = 4 * height - 1
    across = [round(scaled(rate, (rates[0], rates[-1]), True) * (2 * width - 1)) for rate in rates]
    down = [(1 - scaled(value, bounds, loss)) * bottom for value in values]
    points = [*zip(across, down, strict=True)]
    for start, end in zip(points, [*points[1:], points[-1]], strict=True):
        _line(cells, start, end if math.isfinite(end[1]) else start)
    lines = [[chr(0x2800 + bits) if bits else " " for bits in row] for row in cells]
    for i, (x, y) in enumerate(points):
        if not math.isfinite(y):
            lines[0 if loss else -1][x // 2] = LOST
        elif not 0 <= y <= bottom:
            lines[0 if y < 0 else -1][x // 2] = ABOVE if y < 0 else BELOW
        elif i == best:
            lines[round(y) // 4][x // 2] = BEST
    heavy = [x // 2 for x, rate in zip(across, rates, strict=True) if rate in tied]
    axis = [TIED if heavy and heavy[0] <= x <= heavy[-1] else AXIS for x in range(width)]
    return ["".join(line).rstrip() for line in [*lines, axis]]


def _line(cells: list[list[int]], start: tuple[int, float], end: tuple[int, float]) -> None:
    """Sets the dots between two points, as far as it lies within the cells; none where the start is not finite."""
    if not math.isfinite(start[1]):
        return
    height = 4 * len(cells)
    # A point far outside is a long way in one step: the part within needs a dot per column and row, no more.
    steps = 2 * max(abs(end[0] - start[0]), math.ceil(min(abs(end[1] - start[1]), 100 * height)), 1)
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
        text = f"{mark:.3g}"
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
