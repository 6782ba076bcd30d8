"""What the range test found, for a terminal: the sentences to act on, two tables, the doubts, and the ramps drawn."""

from __future__ import annotations

import functools
import itertools
import operator
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from lrsweep.analysis.findings import Finding, layer_rates, short, union
from lrsweep.analysis.ranges import RULES
from lrsweep.analysis.recommend import brief
from lrsweep.report import drawing, words
from lrsweep.report.drawing import Marks
from lrsweep.report.printer import EDGE, FAINT, PROSE, Column, Printer, stdout
from lrsweep.report.tables import setting_columns
from lrsweep.report.words import NOTHING, many
from lrsweep.vocabulary import Array

MOST_SAID, MOST_ROWS, MOST_PICTURES = 6, 20, 4
"""Sentences to act on and doubts, rows of a table, and pictures; the files have them all."""

HEIGHT = 5
"""Rows of a picture."""

HEADROOM = 1.5
"""How far above the loss at its start a ramp is drawn, as a factor; from there on it goes out of sight."""

TITLES = {"pytorch_lr_finder": "lr-finder"}
"""Rules with long names."""

READ_OFF = (
    "Rates that published rules read off the smoothed mean (fastai: valley, slide, minimum, steep; pytorch-lr-finder; "
    "Lightning, which divides by the rate, so that low ones win), and the decades from the lowest to the highest."
)

ANSWERS = {True: "yes", False: "no", None: "unclear"}
STYLES = {"high": "bold green", "low": "bold", "none": "bold yellow"}
"""Of a sentence to act on, by trust."""

ALIKE = 2.0
"""Factor within which multipliers of layers are not worth a try."""

LAYERS = (
    "Of the layers' ranges only how they lie to each other counts: each is of a group that learns alone, the others as "
    "they were drawn, and alone it bears higher rates."
)

BLANK = 0x2800
"""The character without dots: those with dots follow it, a bit for each dot."""


def print_ranges(findings: Sequence[Finding], about: Mapping[str, Any], console: Console | None = None) -> None:
    """The sentences to act on, a table, what the rules say, the doubts, the ramps, and where the files are.

    `about` tells of the sweep: its `name`, the `steps` of a ramp, the `epochs` of the short runs, the `seconds` that it
    took, the `folder` of its files, and the sweep files that were `written`.
    """
    printer = Printer(console or stdout())
    width = min(printer.console.width, PROSE)
    printer.say(*words.lines(headline(findings, about), " · ", width), style="bold")
    printer.say(*words.lines(alike(findings), " · ", width), style=FAINT)
    printer.say("")
    say_what_to_do(printer, findings)
    shown = findings[:MOST_ROWS]
    printer.table(columns(shown), *left_out(len(findings), MOST_ROWS))
    printer.table(rule_columns(findings[:MOST_SAID]), *left_out(len(findings), MOST_SAID), READ_OFF)
    by_layer = layers_told(findings)
    printer.say(*by_layer[:MOST_SAID], *[""][: len(by_layer)])
    said = doubts(findings)
    printer.say(*said[:MOST_SAID], *left_out(len(said), MOST_SAID), *[""][: len(said)])
    if not printer.console.options.ascii_only:
        printer.draw(pictures(findings, printer.console.width))
    files = [f"{about['folder']}/  ranges.csv ramps.csv", *about["written"]]
    printer.say(*words.lines([f"Files: {files[0]}", *files[1:]], "  ", width))


def say_what_to_do(printer: Printer, findings: Sequence[Finding]) -> None:
    """A sentence for each finding, or each whole network; of many, one for all of them."""
    networks = [finding for finding in findings if not finding.test.layers]
    said = findings if len(findings) <= MOST_SAID else networks
    if len(said) <= MOST_SAID:
        for finding in said:
            mark = f"{EDGE} " if finding.trust[0] == "none" else ""
            printer.say(f"{mark}{finding.sentence}.", style=STYLES[finding.trust[0]])
        printer.say("")
        return
    whole = [finding.test for finding in networks]
    known = [test.interval for test in whole if test.interval is not None]
    together = union(known)
    if together is None:
        printer.say(f"{EDGE} No interval in any of {len(whole)} settings.", "", style=STYLES["none"])
    else:
        ends, number = " to ".join(map(short, together)), f"{len(known)} of {len(whole)} settings"
        if len(known) == len(whole):
            number = f"all {len(whole)} settings"
        style = STYLES["high" if all(finding.trust[0] == "high" for finding in findings) else "low"]
        printer.say(f"Sweep {ends}, which holds the intervals of {number}.", "", style=style)


def headline(findings: Sequence[Finding], about: Mapping[str, Any]) -> list[str]:
    """What was done."""
    test, epochs = findings[0].test, about["epochs"]
    ramp = f"{about['steps']} rates from {brief(test.rates[0])} to {brief(test.rates[-1])}"
    parts = [about["name"], f"range test in {words.duration(about['seconds'])}", ramp, many(len(test.seeds), "seed")]
    if epochs:
        least, most = epochs[0], epochs[-1]
        parts.append(f"short runs of {many(most, 'epoch') if least == most else f'{least} to {most} epochs'}")
    return parts


def alike(findings: Sequence[Finding]) -> list[str]:
    """What all settings have in common, as far as it is worth a word."""
    first = findings[0]
    return words.fixed({key: value for key, value in first.row.items() if key not in first.test.setting})


def left_out(number: int, most: int) -> list[str]:
    """That there are more than are shown."""
    return [f"{number - most:,} more in ranges.csv."] if number > most else []


def columns(findings: Sequence[Finding]) -> list[Column]:
    """A row per finding: interval, suggestion and how far to trust it."""
    tests = [finding.test for finding in findings]
    bands = [NOTHING if test.seed_band is None else span(test.seed_band) for test in tests]
    return [
        *names(findings),
        Column("sweep", [NOTHING if test.interval is None else span(test.interval) for test in tests]),
        Column("suggestion", [rate(test.suggestion) for test in tests]),
        Column("over seeds", bands, spare=1),
        Column("confirmed", [ANSWERS[one.confirmed] if one.told is not None else NOTHING for one in findings]),
        Column("trust", [finding.trust[0] for finding in findings]),
    ]


def rule_columns(findings: Sequence[Finding]) -> list[Column]:
    """A row per finding: what each of the published rules says, and how far they are apart."""
    tests = [finding.test for finding in findings]
    apart = [test.disagreement_decades for test in tests]
    return [
        *names(findings),
        *(Column(TITLES.get(rule, rule), [rate(test.rules[rule]) for test in tests]) for rule in RULES),
        Column("apart", [NOTHING if one is None else f"{one:.1f}" for one in apart], right=True),
    ]


def names(findings: Sequence[Finding]) -> Iterator[Column]:
    """Which setting, and which of its layers, a row is about; nothing where there is but one."""
    settings = [finding.test.setting for finding in findings]
    axes = {key: [setting[key] for setting in settings] for key in settings[0]}
    yield from setting_columns(settings, None, axes)
    if any(finding.test.layers for finding in findings):
        yield Column("layers", [finding.test.layers or "all" for finding in findings], name=True)


def span(interval: Sequence[float]) -> str:
    """An interval of rates.

    >>> span((0.00321, 0.0316))
    '0.0032–0.032'
    """
    return "–".join(map(short, interval))


def rate(given: float | None) -> str:
    """A rate, if there is one."""
    return NOTHING if given is None else short(given)


def layers_told(findings: Sequence[Finding]) -> list[str]:
    """What the ranges of a network's groups of layers come to, for each network."""
    told = []
    for i, whole in enumerate(findings):
        parts = [*itertools.takewhile(lambda one: one.test.layers, findings[i + 1 :])]
        if whole.test.layers or not parts or not (rates := layer_rates(parts)):
            continue
        if max(rates.values()) < ALIKE * min(rates.values()):
            told.append(f"{whole.name}: its layers want nearly the same rate.")
            continue
        given = ", ".join(f"{layers}: {brief(rate)}" for layers, rate in rates.items())
        own = whole.row.get("layer_rates") not in (None, 1, "1")
        told.append(f"{whole.name}: try layer_rates: {{{given}}}{', each times what it has now' if own else ''}.")
    return [*told, LAYERS] if told else []


def doubts(findings: Sequence[Finding]) -> list[str]:
    """What stands against findings that have an interval."""
    low = [finding for finding in findings if finding.trust[0] == "low"]
    return [f"{EDGE} {finding.name}: {finding.trust[1]}." for finding in low]


def pictures(findings: Sequence[Finding], width: int) -> list[str]:
    """The ramps, one below the other over a common axis; equal ones, of settings that share a ramp, once."""
    distinct = {finding.test.losses.tobytes(): finding for finding in reversed(findings) if has_ramp(finding)}
    shown = [*reversed(distinct.values())]
    if not shown:
        return []
    size = min(width - drawing.MARGIN - (drawing.BESIDE if width >= drawing.WIDE else 0), drawing.WIDEST), HEIGHT
    lines = [line for finding in shown[:MOST_PICTURES] for line in picture(finding, size, width)]
    rates = shown[0].test.rates
    used = "".join(lines)
    legend = [f"{drawing.TIED} to sweep"] * (drawing.TIED in used) + [f"{drawing.FITTED} suggestion"] * (
        drawing.FITTED in used
    )
    below = [drawing.ticks(rates[0], rates[-1], size[0]), "   ".join(legend)]
    more = [f"{len(shown) - MOST_PICTURES} more ramps in ramps.csv."] if len(shown) > MOST_PICTURES else []
    title = "training loss of the ramp, smoothed: mean and range over seeds (log scales)"
    return [title, *lines, *(" " * drawing.MARGIN + line for line in [*below, *more] if line)]


def has_ramp(finding: Finding) -> bool:
    """Whether there are losses to draw."""
    return bool(np.isfinite(finding.test.mean).sum() > 1)


def picture(finding: Finding, size: tuple[int, int], width: int) -> list[str]:
    """A ramp, its scale at the left and its name at the right, or above where there is no room."""
    test = finding.test
    ends = float(test.rates[0]), float(test.rates[-1])
    highest = HEADROOM * float(test.mean[np.isfinite(test.mean)][0])
    smoothed = np.where(np.isfinite(test.smoothed), test.smoothed, np.inf)
    low = float(smoothed.min(initial=highest))
    curves = [smoothed.min(axis=0), smoothed.max(axis=0), test.mean]
    marks = Marks(-1, inside(test.rates, test.interval), test.suggestion)
    drawn = [
        drawing.panel(*visible(test.rates, curve, highest), marks, size, (low, highest), True, ends) for curve in curves
    ]
    lines = [*overlaid([one[:-1] for one in drawn]), drawn[-1][-1]]
    scale = [f"{highest:>8.3g} ┤", *[f"{'':>8} │"] * (size[1] - 2), f"{low:>8.3g} ┤", f"{'':>8} └"]
    sweep = "" if test.interval is None else f"{drawing.TIED} {span(test.interval)}"
    best = "" if test.suggestion is None else f"{drawing.FITTED} {rate(test.suggestion)}"
    if width < drawing.WIDE:
        return [*words.lines(filter(None, [finding.name, sweep, best]), "  ", width), *map(str.__add__, scale, lines)]
    room = width - drawing.MARGIN - size[0] - 2
    notes = [*textwrap.wrap(finding.name, room, max_lines=size[1] - 1), *filter(None, [sweep, best])]
    notes += [""] * (size[1] + 1 - len(notes))
    return [f"{s}{line:<{size[0]}}  {note}".rstrip() for s, line, note in zip(scale, lines, notes, strict=True)]


def inside(rates: Array, interval: tuple[float, float] | None) -> list[float]:
    """The rates within an interval."""
    if interval is None:
        return []
    return [float(rate) for rate in rates if interval[0] <= rate <= interval[1]]


def visible(rates: Array, losses: Array, highest: float) -> tuple[list[float], list[float]]:
    """A curve up to where it leaves the picture at the top for good, with the point where it does."""
    shown = np.isfinite(losses) & (losses <= highest)
    last = int(np.flatnonzero(shown)[-1]) if shown.any() else 0
    end = min(last + 2, len(rates))
    return rates[:end].tolist(), [min(loss, highest) if loss == loss else highest for loss in losses[:end].tolist()]


def overlaid(pictures: Sequence[Sequence[str]]) -> list[str]:
    """Pictures of dots on top of each other: a dot is where any of them has one.

    >>> overlaid([["⠁ "], ["⠈⠁"]])
    ['⠉⠁']
    """
    rows = []
    for lines in zip(*pictures, strict=True):
        wide = max(map(len, lines))
        cells = zip(*(line.ljust(wide) for line in lines), strict=True)
        bits = [functools.reduce(operator.or_, (max(0, ord(sign) - BLANK) for sign in cell)) for cell in cells]
        rows.append("".join(chr(BLANK + one) if one else " " for one in bits).rstrip())
    return rows
