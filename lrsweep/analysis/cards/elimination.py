"""The elimination card: which rates were dropped before their end, at which stage and why, and what that may miss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.courses import SCREEN, Course, Stage, courses
from lrsweep.analysis.cards.phrases import count, decimals, factor, listed, with_
from lrsweep.analysis.cards.scaling import MOST_LISTED, MOST_NAMED
from lrsweep.analysis.cards.standings import Material, Standing
from lrsweep.analysis.cards.subset import FEWEST
from lrsweep.analysis.elimination import stage_objective
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.ranking import RATE, lower_is_better, objective_column
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import Array

PLACED = {SCREEN: "on the sample"}
"""Where a stage is, within a sentence; others are at their names."""

ENOUGH = 5
"""Rates trained in full from which on the correlation of their order is told in short summaries too."""

LEVEL = 5e-4
"""Scores nearer to the leader's than this are written alike."""

FAR_OFF = 3.0
"""Losses this many times the untrained one's are left out of the chart: of the others nothing could be seen."""

IN_FULL = "in full"
"""What the last of all stages is called in a chart."""


def elimination_cards(material: Material) -> tuple[Card, ...]:
    """The card of a sweep with screening or halving; none without."""
    found = courses(material)
    if not found:
        return ()
    column = objective_column(material.about)
    order, telling = agreement(found, column)
    return (
        Card(
            axis="elimination",
            title=headline(found, material.spent, bool(material.about.get("additions"))),
            sentences=[
                *dropped(found),
                *([order] if telling else []),
                *nearly(found, stage_objective(column)),
                *beside_the_best(found),
                *trained_anyhow(found),
            ],
            details=[] if telling else [order],
            table=table(found, column),
            charts=[*charts(found, material)],
            numbers={"spent": digits(material.spent), "settings": [numbers(one, column) for one in found]},
        ),
    )


def headline(found: Sequence[Course], spent: float | None, grown: bool = False) -> str:
    """What it saved, and how many rates went; `grown` where the runs are more than those of the file's grid."""
    kinds = {one.name == SCREEN for course in found for one in course.stages}
    what = " and ".join(name for name, there in (("screening", True in kinds), ("halving", False in kinds)) if there)
    gone, rates = sum(len(one.gone) for one in found), sum(len(one.standing.profile.rates) for one in found)
    of = f"{rates} rates{f' in {len(found)} settings' if len(found) > 1 else ''}"
    went = f"{gone} of {of} went before their end." if gone else f"none of {of} was dropped."
    if not gone and (back := sum(len(one.back) for one in found)):
        went = f"{back} of {of} {were(back)} dropped, and then trained in full anyhow."
    whole = "what all its runs would take in full" if grown else "the full grid's training"
    took = "" if spent is None else f" the sweep took {spent:.0%} of {whole}:"
    return f"With {what}{took} {went}"


def dropped(found: Sequence[Course]) -> Iterator[str]:
    """Which rates each stage dropped, and why: of the best setting all, of the others how many."""
    best = found[0]
    parts = []
    for at, one in enumerate(best.stages):
        rates = best.gone[best.went == at]
        if len(rates):
            parts.append(f"{called(one, best)} dropped {'; '.join(why(one, rates, best.standing.profile.rates))}")
    if parts:
        told = f"{f'With {best.name}: ' if best.name else ''}{', '.join(parts)}."
        yield f"{told[0].upper()}{told[1:]}"
    if len(found) > 1:
        few, most = min(len(one.gone) for one in found), max(len(one.gone) for one in found)
        if most:
            range_ = f"{few} to {most}" if few else f"up to {most}"
            yield f"Each setting lost {count(few, 'rate') if few == most else f'{range_} rates'}."


def called(one: Stage, course: Course) -> str:
    """A stage with what it took, as far as that is less than in full."""
    name = "the sample" if one.name == SCREEN else one.name
    rows = [f"{one.n_train:,} rows"] if one.n_train < course.standing.n_train else []
    seeds = [count(one.n_seeds, "seed")] if one.n_seeds < len(course.standing.profile.seeds) else []
    return f"{name} ({', '.join([*rows, count(one.epochs, 'epoch'), *seeds])})"


def why(one: Stage, rates: Array, grid: Array) -> Iterator[str]:
    """The rates that a stage dropped with the reason: a screen has few different ones, a rung goes by rank."""
    at = np.searchsorted(one.rates, rates)
    if one.name == SCREEN:
        reasons = [one.reasons[place] for place in at]
        for reason in dict.fromkeys(reasons):
            yield f"{spans(rates[[other == reason for other in reasons]], grid)} ({reason})"
    else:
        ranks = sorted(one.ranks[at].tolist())
        told = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {ranks[0]} to {ranks[-1]}"
        yield f"{spans(rates, grid)} ({told} of {len(one.rates)})"


def spans(rates: Array, grid: Array) -> str:
    """Rates of a grid in words, neighbours joined; both ascending.

    >>> spans(np.array([0.001, 0.01, 1.0]), np.array([0.001, 0.01, 0.1, 1.0]))
    '0.001 to 0.01 and 1'
    """
    at = np.searchsorted(grid, rates)
    groups = np.split(rates, np.flatnonzero(np.diff(at) > 1) + 1)
    return listed([" to ".join(dict.fromkeys([brief(group[0]), brief(group[-1])])) for group in groups], most=4)


def agreement(found: Sequence[Course], column: str) -> tuple[str, bool]:
    """Whether the stages' order of the rates is their final one, and whether that is of ENOUGH rates."""
    told, most, fewest = [], 0, math.inf
    for name in dict.fromkeys(one.name for course in found for one in course.stages):
        every = [course.spearman(one, column) for course in found for one in course.stages if one.name == name]
        each = [(value, n) for value, n in every if np.isfinite(value)]
        values = [value for value, _ in each]
        most, fewest = max(most, len(values)), min([fewest, *(n for _, n in each)])
        ends = f" ({decimals(min(values))} to {decimals(max(values))})" if len(values) > 1 else ""
        of = f" ({count(every[0][1], 'rate')})" if len(found) == 1 else ends
        told += [f"{decimals(median(values))}{of} {PLACED.get(name, f'at {name}')}"] if values else []
    if not told:
        few = f"fewer than {FEWEST} rates of a stage were trained in full"
        return f"Whether a stage's order is the final one cannot be told: {few}.", False
    few = f", of {most} of {len(found)} settings, the others having fewer than {FEWEST}"
    middle = f"{', the median' if most > 1 else ''}{few if most < len(found) else ''}" if len(found) > 1 else ""
    said = f"Spearman's correlation with the final order, over the rates trained in full{middle}: {', '.join(told)}."
    return said, fewest >= ENOUGH


def nearly(found: Sequence[Course], column: str) -> Iterator[str]:
    """The rate that was dropped with the least behind the leader of its stage: what elimination may have missed."""
    close = [
        (float(one.margins[at]), course, one, rate)
        for course in found
        for rate, went in zip(course.gone.tolist(), course.went.tolist(), strict=True)
        for one in [course.stages[went]]
        for at in [int(np.searchsorted(one.rates, rate))]
        if np.isfinite(one.margins[at])
    ]
    if close:
        margin, course, one, rate = min(close, key=lambda each: each[0])
        behind = f"{factor(margin)} times" if lower_is_better(column) else f"{decimals(margin, 3)} below"
        if not lower_is_better(column) and margin < LEVEL:
            behind = "level with"
        start = f"Nearest to staying was {brief(rate)}{with_(course.name)}"
        yield f"{start}: its {column} was {behind} the leader's {PLACED.get(one.name, f'at {one.name}')}."


def beside_the_best(found: Sequence[Course]) -> Iterator[str]:
    """In how many settings the best rate has a neighbour of which nothing more is known; of one its advice says so."""
    beside = 0
    for course in found:
        grid, best = course.standing.profile.rates, course.standing.best
        near = [] if best is None else [grid[at] for at in (best - 1, best + 1) if 0 <= at < len(grid)]
        beside += bool(np.isin(near, course.gone).any())
    if beside and len(found) > 1:
        yield f"In {beside} of {len(found)} settings a rate next to the best was dropped."


def trained_anyhow(found: Sequence[Course]) -> Iterator[str]:
    """Rates that were dropped and are trained in full, since the best was next to them or by another run of the sweep.

    They show what elimination alone would have missed.
    """
    for why, taken in (("as the best was next to them", True), ("by a run with other elimination or none", False)):
        again = []
        for course in found:
            back = course.back[np.isin(course.back, [*course.taken_up]) == taken]
            if len(back):
                again.append(f"{spans(back, course.standing.profile.rates)}{with_(course.name)}")
        if again:
            more = "; …" * (len(again) > MOST_NAMED)
            yield f"Dropped, but trained in full {why}: {'; '.join(again[:MOST_NAMED])}{more}."
    told = [one for one in found if len(one.back)]
    missed = [one for one in told if one.best_is_back]
    if missed:
        bests = [f"{brief(one.standing.entry['best_rate'])}{with_(one.name)}" for one in missed]
        of = "" if len(found) == 1 else f" in {len(missed)} of {len(told)} settings"
        yield f"The best rate is among them{of}, so elimination alone would have missed it: {listed(bests, most=4)}."
    elif told:
        best = "The best rate is" if len(told) == 1 else "The best rates are"
        yield f"{best} not among them: elimination kept {'it' if len(told) == 1 else 'them'}."


def were(number: int) -> str:
    """The verb that goes with so many.

    >>> were(1), were(2)
    ('was', 'were')
    """
    return "was" if number == 1 else "were"


def table(found: Sequence[Course], column: str) -> list[Col]:
    """A row per setting and stage, of the best settings."""
    pairs = [(course, one) for course in found[:MOST_LISTED] for one in course.stages]
    orders = [course.spearman(one, column) for course, one in pairs]
    settings = [course.standing.setting for course, _ in pairs]
    return [
        *(Col(key, [setting[key] for setting in settings], "setting") for key in settings[0]),
        Col("stage", [one.name for _, one in pairs]),
        Col("rows", [one.n_train for _, one in pairs], "count", 3),
        Col("stage epochs", [one.epochs for _, one in pairs], "count"),
        Col("seeds", [one.n_seeds for _, one in pairs], "count", 4),
        Col("rates", [len(one.rates) for _, one in pairs], "count"),
        Col("kept", [int(one.kept.sum()) for _, one in pairs], "count"),
        Col("leader", [one.leader for _, one in pairs], "rate"),
        Col("Spearman", [digits(value) for value, _ in orders], "number", 1),
        Col("over", [n for _, n in orders], "count", 2),
    ]


def charts(found: Sequence[Course], material: Material) -> Iterator[Chart]:
    """What each stage measured of the best setting; with more settings, how far each of their rates was trained."""
    best, column = found[0], objective_column(material.about)
    stands_for = stage_objective(column)
    named = [(f"{one.name}, {count(one.epochs, 'epoch')}", one.rates, one.values) for one in best.stages]
    if stands_for in (column, column.removeprefix("best_")):
        named.append((IN_FULL, best.standing.profile.rates, best.standing.means))
    most = FAR_OFF * best.standing.untrained if lower_is_better(stands_for) else np.inf
    points = [
        (rate, name, value)
        for name, rates, values in named
        for rate, value in zip(rates.tolist(), values.tolist(), strict=True)
        if np.isfinite(value) and not value > most
    ]
    data = pd.DataFrame(points, columns=[RATE, "stage", "value"])
    yield Chart(
        kind="lines",
        data=data,
        x=RATE,
        y="value",
        by="stage",
        title=f"{stands_for} by rate at each stage{with_(best.name)}",
        words=f"{stands_for} against the rate at each stage and in full; lost rates and exploded ones have no point.",
        x_title=RATE,
        y_title=f"{stands_for}, mean over seeds",
        log_x=True,
        log_y=lower_is_better(stands_for) and bool((data["value"] > 0).all()),
    )
    if len(found) > 1:
        yield extent(found[:MOST_LISTED], material)


def extent(found: Sequence[Course], material: Material) -> Chart:
    """How far each rate of each setting was trained."""
    rows = []
    for course in reversed(found):  # the best on top
        full = course.standing.n_train * full_epochs(course.standing, material)
        went = dict(zip(course.gone.tolist(), course.went.tolist(), strict=True))
        stages = [one.epochs * one.n_train / full for one in course.stages]
        for rate, mean in zip(course.standing.profile.rates.tolist(), course.standing.means.tolist(), strict=True):
            share = stages[went[rate]] if rate in went else 1.0 if np.isfinite(mean) else np.nan
            rows.append((rate, course.name, share))
    return Chart(
        kind="heat",
        data=pd.DataFrame(rows, columns=[RATE, "setting", "share"]),
        x=RATE,
        y="setting",
        colour="share",
        title="How far each rate was trained, as a share of its full training",
        words="A cell per setting and rate: the share of its full training; empty where it was lost or not tried.",
        x_title=RATE,
        y_title="setting",
        colour_title="share of the full training",
        log_colour=True,
    )


def full_epochs(standing: Standing, material: Material) -> float:
    """The epochs of a setting's runs that are trained to their end."""
    return float(standing.setting.get("epochs") or material.runs["epochs"].iloc[0])


def numbers(course: Course, column: str) -> dict[str, Any]:
    """A setting for JSON."""
    stages = []
    for at, one in enumerate(course.stages):
        correlation, n = course.spearman(one, column)
        sizes = {"epochs": one.epochs, "n_train": one.n_train, "n_seeds": one.n_seeds}
        rates = {
            "rates": len(one.rates),
            "kept": int(one.kept.sum()),
            "dropped": course.gone[course.went == at].tolist(),
            "dropped_but_trained": one.rates[~one.kept & np.isin(one.rates, course.back)].tolist(),
        }
        order = {"leader": one.leader, "spearman": digits(correlation), "spearman_rates": n}
        stages.append({"stage": one.name, **sizes, **rates, **order})
    return {"setting": dict(course.standing.setting), "stages": stages}
