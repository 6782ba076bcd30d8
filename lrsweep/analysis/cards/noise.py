"""The noise card: does the rate change how well a network stands noise on its inputs?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.compare import Difference, difference, significant
from lrsweep.analysis.cards.phrases import change, common, decimals, difference_numbers, listed, on, with_
from lrsweep.analysis.cards.scaling import MOST_NAMED
from lrsweep.analysis.cards.standings import Board, Standing, resolution
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.ranking import RATE, by_setting, standard_errors
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import FINISHED, Array

ALIKE = 12
"""Decimals: means that agree in them are the same, and the lower rate comes first."""


@dataclass(frozen=True)
class Level:
    """One strength of noise in one setting: scores (K, S) by rate and seed, nan where lost.

    `best` is the index of the rate with the best mean, `gain` what it has over the rate that has the best mean without
    noise, and `p` the p value of that, times the rates and strengths that it was picked from (Bonferroni).
    """

    strength: str
    scores: Array
    best: int
    gain: Difference | None
    p: float

    @property
    def told(self) -> bool:
        """Whether another rate than without noise is better."""
        return significant(self.p)


@dataclass(frozen=True)
class Robustness:
    """A setting without noise and at each strength; `best` is the index of the rate with the best score without.

    `name` is what the setting has and others have not.
    """

    name: str
    standing: Standing
    clean: Array
    best: int
    levels: Sequence[Level]

    def rate(self, index: int) -> str:
        """A rate in words."""
        return f"rate {brief(self.standing.profile.rates[index])}"


def noise_card(board: Board) -> Card | None:
    """Accuracy, or R², under noise against the rate; None where the sweep measured none."""
    found = robustness(board)
    if not found:
        return None
    best, metric = found[0], metric_of(board)
    title = on(board, headline(best, metric))
    shown = f"The table and the chart show the best setting, {best.name}."
    return Card(
        axis="noise",
        title=title,
        sentences=[
            *drops(best, metric),
            *tied_drops(best, metric),
            *by_settings(found, metric),
            *([shown] if len(found) > 1 else []),
        ],
        table=table(best, metric),
        charts=[chart(best, metric, f"Validation {metric} against the rate, by strength of noise")],
        numbers={"dataset": board.dataset or None, "settings": [numbers(one) for one in found]},
    )


def metric_of(board: Board) -> str:
    """`accuracy` or `r2`."""
    columns = [str(column) for column in board.material.runs if str(column).startswith("noisy_")]
    return columns[0].partition("@")[0].removeprefix("noisy_") if columns else "accuracy"


def robustness(board: Board) -> list[Robustness]:
    """Every setting that has scores under noise, the best first."""
    runs, about, metric = board.material.runs, board.material.about, metric_of(board)
    columns = [str(column) for column in runs if str(column).startswith(f"noisy_{metric}@")]
    if not columns:
        return []
    names = [f"val_{metric}", *columns]
    scores = runs.reindex(columns=names).astype(float).where(runs["status"] == FINISHED).to_numpy()
    settings = [tuple(profile.setting.items()) for profile in board.material.profiles]
    rows = dict(zip(settings, by_setting(runs, about), strict=True))
    rates, seeds = runs[RATE].to_numpy(), runs["seed"].to_numpy()
    step = resolution(board.material, board.dataset, columns[0])
    order = sorted(board.standings, key=lambda one: one.place)
    found = []
    for name, one in zip(common([one.setting for one in order]), order, strict=True):
        own = rows[tuple(one.setting.items())]
        cube = np.full((len(names), len(one.profile.rates), len(one.profile.seeds)), np.nan)
        at = np.searchsorted(one.profile.rates, rates[own]), np.searchsorted(one.profile.seeds, seeds[own])
        cube[:, at[0], at[1]] = scores[own].T
        best = highest(cube[0])
        if best is not None and not np.isnan(cube[1:]).all():
            strengths = [column.partition("@")[2] for column in columns]
            levels = [level(*under, best, step, len(columns)) for under in zip(strengths, cube[1:], strict=True)]
            found.append(Robustness(name, one, cube[0], best, levels))
    return found


def highest(scores: Array) -> int | None:
    """The rate with the highest mean, of those with all of their seeds: the index in (K, S)."""
    means = scores.mean(axis=1).round(ALIKE)  # nan where a seed is lost
    return None if np.isnan(means).all() else int(np.nanargmax(means))


def level(strength: str, scores: Array, reference: int, step: float, strengths: int) -> Level:
    """One strength of noise: the best rate against the one that is best without; a validation row is a `step`."""
    found = highest(scores)
    best = reference if found is None else found
    gain = difference(scores[best], scores[reference], step) if best != reference else None
    picked = strengths * max(1, int((~np.isnan(scores).any(axis=1)).sum()) - 1)
    return Level(strength, scores, best, gain, min(1.0, gain.p * picked) if gain else 1.0)


def headline(one: Robustness, metric: str) -> str:
    """Whether another rate is better under noise than without."""
    told, start = [level for level in one.levels if level.told], f"With {one.name}, u" if one.name else "U"
    reference = f"{one.rate(one.best)}, the best by {metric} without noise"
    if told:
        level = told[-1]
        gain = change(level.gain, lower=False) if level.gain else ""
        return f"{start}nder noise of {level.strength} {one.rate(level.best)} has {gain} {metric} over {reference}."
    strengths = listed([level.strength for level in one.levels])
    by = "by one seed " if len(one.standing.profile.seeds) == 1 else ""
    return f"{start}nder noise of {strengths} no rate can be told {by}to have a better {metric} than {reference}."


def drops(one: Robustness, metric: str) -> Iterator[str]:
    """What noise costs at the rate that is best without, and the best rate at each strength."""
    clean = one.clean[one.best]
    pairs = [(level.strength, difference(level.scores[one.best], clean)) for level in one.levels]
    parts = [f"{decimals(drop.mean, 3, '+')} under noise of {strength}" for strength, drop in pairs if drop]
    if parts:
        yield f"At {one.rate(one.best)} the {metric} changes by {listed(parts)}."
    moved = [
        f"{one.rate(level.best)} under noise of {level.strength}{'' if level.told else ' (not told)'}"
        for level in one.levels
        if level.best != one.best
    ]
    if moved:
        yield f"Best by {metric}: {one.rate(one.best)} without noise, {listed(moved)}."


def tied_drops(one: Robustness, metric: str) -> Iterator[str]:
    """Whether, of the rates that are as good by the objective, the high ones lose more under the strongest noise."""
    low, high = one.standing.entry["tie_interval"] or (0.0, 0.0)
    if low == high:
        return
    rates, level = one.standing.profile.rates, one.levels[-1]
    first, last = (int(np.abs(rates - rate).argmin()) for rate in (low, high))
    gap = difference(level.scores[last] - one.clean[last], level.scores[first] - one.clean[first])
    if gap is not None and gap.interval is not None:
        sure = "" if significant(gap.p) else ", which cannot be told from none"
        yield (
            f"Of the rates tied by the objective, the highest ({brief(high)}) takes noise of {level.strength} with "
            f"{change(gap, lower=False)} {metric} against the lowest ({brief(low)}){sure}."
        )


def by_settings(found: Sequence[Robustness], metric: str) -> Iterator[str]:
    """What the best rate under the strongest noise has over the best one without, in every setting."""
    if len(found) < 2:
        return
    strongest = [(one, one.levels[-1]) for one in found]
    parts = [
        f"{one.rate(level.best)} has {change(level.gain, lower=False)} over {one.rate(one.best)}{with_(one.name)}"
        for one, level in strongest[:MOST_NAMED]
        if level.gain is not None
    ]
    n = sum(level.told for _, level in strongest)
    others = sum(level.best != one.best for one, level in strongest)
    start = f"Under noise of {strongest[0][1].strength} another rate than without has the best {metric}"
    yield f"{start} in {others} of {len(found)} settings, told in {n}{': ' * bool(parts)}{'; '.join(parts)}."


def table(one: Robustness, metric: str) -> list[Col]:
    """A row per rate: the score without noise and at each strength."""
    columns = [Col(metric, means(one.clean), "score")]
    for spare, level in enumerate(one.levels):
        columns.append(Col(f"noise {level.strength}", means(level.scores), "score", len(one.levels) - 1 - spare))
    fall = (one.levels[-1].scores - one.clean).mean(axis=1)
    return [
        Col("rate", one.standing.profile.rates.tolist(), "rate"),
        *columns,
        Col(f"change at {one.levels[-1].strength}", [digits(value) for value in fall], "change"),
    ]


def means(scores: Array) -> list[float | None]:
    """Over the seeds; None where one is lost."""
    return [digits(value) for value in scores.mean(axis=1)]


def chart(one: Robustness, metric: str, title: str) -> Chart:
    """The score against the rate, a line for each strength, with the interval over seeds."""
    rows = []
    for strength, scores in [("0", one.clean), *((level.strength, level.scores) for level in one.levels)]:
        half = standard_errors([scores.shape[1]])[0] * scores.std(axis=1, ddof=1) if scores.shape[1] > 1 else np.nan
        for rate, mean, reach in zip(
            one.standing.profile.rates, scores.mean(axis=1), np.broadcast_to(half, len(scores)), strict=True
        ):
            if np.isfinite(mean):
                rows.append((float(rate), strength, mean, mean - reach, mean + reach))
    return Chart(
        kind="lines",
        data=pd.DataFrame(rows, columns=[RATE, "noise", "score", "low", "high"]),
        x=RATE,
        y="score",
        by="noise",
        low="low",
        high="high",
        title=title,
        words=f"Validation {metric} against the rate, without noise and at each strength; 95% intervals over seeds.",
        x_title=RATE,
        y_title=f"validation {metric}",
        log_x=True,
    )


def numbers(one: Robustness) -> dict[str, Any]:
    """A setting for JSON."""
    rates = one.standing.profile.rates
    levels = [
        {
            "noise": level.strength,
            "best_rate": float(rates[level.best]),
            "against_best_without": difference_numbers(level.gain, lower=False) | {"told": level.told},
            "means": means(level.scores),
        }
        for level in one.levels
    ]
    return {
        "setting": dict(one.standing.setting),
        "best_rate": float(rates[one.best]),
        "learning_rates": rates.tolist(),
        "means": means(one.clean),
        "levels": levels,
    }
