"""The noise card: does the rate change how well a network stands noise on its inputs?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.compare import Difference, difference, told
from lrsweep.analysis.cards.findings import Board, Standing
from lrsweep.analysis.cards.phrases import common, difference_numbers, listed, on, plain, shown
from lrsweep.analysis.ranking import RATE, setting_numbers, standard_errors
from lrsweep.analysis.recommend import written
from lrsweep.vocabulary import FINISHED, Array


@dataclass(frozen=True)
class Level:
    """One strength of noise in one setting: scores (K, S) by rate and seed, nan where lost.

    `best` is the rate's index with the best mean, `gain` what it has over the rate that is best without noise.
    `compared` is how many rates the best was picked from; `sure` the p value of the gain, times that (Bonferroni).
    """

    strength: str
    scores: Array
    best: int
    gain: Difference | None
    sure: float


@dataclass(frozen=True)
class Robustness:
    """A setting without noise and at each strength; `chosen` is the index of its best rate."""

    standing: Standing
    clean: Array
    chosen: int
    levels: Sequence[Level]


def noise_card(board: Board) -> Card | None:
    """Accuracy, or R², under noise against the rate; None where the sweep measured none."""
    found = robustness(board)
    if not found:
        return None
    best = found[0]
    metric = metric_of(board)
    return Card(
        axis="noise",
        title=on(board, headline(best, metric)),
        sentences=[*drops(best, metric), *tied_drops(best, metric), *summary(found), *where(best, found)],
        table=table(best, metric),
        charts=[chart(best, metric, on(board, headline(best, metric)))],
        numbers={"dataset": board.dataset or None, "settings": [numbers(one) for one in found]},
    )


def metric_of(board: Board) -> str:
    """`accuracy` or `r2`."""
    columns = [str(column) for column in board.found.runs if str(column).startswith("noisy_")]
    return columns[0].partition("@")[0].removeprefix("noisy_") if columns else "accuracy"


def robustness(board: Board) -> list[Robustness]:
    """Every setting that has scores under noise, the best first."""
    runs, metric = board.found.runs, metric_of(board)
    columns = [str(column) for column in runs if str(column).startswith(f"noisy_{metric}@")]
    if not columns:
        return []
    names = [f"val_{metric}", *columns]
    scores = runs.reindex(columns=names).astype(float).where(runs["status"] == FINISHED).to_numpy()
    group = np.broadcast_to(np.asarray(setting_numbers(runs, board.found.about)), len(runs))
    rows = np.split(order := np.argsort(group, kind="stable"), np.flatnonzero(np.diff(group[order])) + 1)
    numbers = {tuple(profile.setting.items()): i for i, profile in enumerate(board.found.profiles)}
    rates, seeds = runs[RATE].to_numpy(), runs["seed"].to_numpy()
    found = []
    for one in sorted(board.standings, key=lambda one: one.place):
        own = rows[numbers[tuple(one.setting.items())]]
        cube = np.full((len(names), len(one.profile.rates), len(one.profile.seeds)), np.nan)
        at = np.searchsorted(one.profile.rates, rates[own]), np.searchsorted(one.profile.seeds, seeds[own])
        cube[:, at[0], at[1]] = scores[own].T
        if one.best is not None and not np.isnan(cube[1:]).all():
            levels = [level(name.partition("@")[2], cube[i + 1], one.best) for i, name in enumerate(columns)]
            found.append(Robustness(one, cube[0], one.best, levels))
    return found


def level(strength: str, scores: Array, chosen: int) -> Level:
    """One strength of noise: the best rate, of those with all of their seeds, against the chosen one."""
    means = scores.mean(axis=1)  # nan where a seed is lost
    whole = np.flatnonzero(~np.isnan(means))
    best = int(whole[means[whole].argmax()]) if len(whole) else chosen
    gain = difference(scores[best], scores[chosen]) if best != chosen else None
    return Level(strength, scores, best, gain, min(1.0, gain.p * max(1, len(whole) - 1)) if gain else 1.0)


def headline(one: Robustness, metric: str) -> str:
    """Whether another rate is better under noise."""
    rates = one.standing.profile.rates
    chosen = written(rates[one.chosen])
    better = [level for level in one.levels if level.gain is not None and told(level.sure)]
    if better:
        level = better[-1]
        gain, interval = shown(level.gain, lower=False)
        sure = f"95% {interval[0]:+.3f} to {interval[1]:+.3f}" if interval else "one seed"
        swap = f"{written(rates[level.best])} in place of {chosen}"
        return f"Under noise of {level.strength} another rate is better: {swap} gains {gain:+.3f} of {metric} ({sure})."
    if len(one.standing.profile.seeds) == 1:
        return f"Whether another rate than {chosen} stands noise better cannot be told by one seed."
    strengths = listed([level.strength for level in one.levels])
    return f"No rate can be told to stand noise of {strengths} better than {chosen}, which is best without."


def drops(one: Robustness, metric: str) -> Iterator[str]:
    """What noise costs at the chosen rate, and the best rate at each strength."""
    rates, clean = one.standing.profile.rates, one.clean[one.chosen]
    parts = []
    for level in one.levels:
        drop = difference(level.scores[one.chosen], clean)
        if drop is not None:
            parts.append(f"{drop.mean:+.3f} at {level.strength}")
    if parts:
        yield f"At {written(rates[one.chosen])} noise changes the {metric} by {listed(parts)}."
    moved = [
        f"{written(rates[level.best])} at {level.strength}{'' if told(level.sure) else ' (not told from it)'}"
        for level in one.levels
        if level.best != one.chosen
    ]
    if moved:
        yield f"Best under noise: {listed(moved)}; {written(rates[one.chosen])} without."


def tied_drops(one: Robustness, metric: str) -> Iterator[str]:
    """Whether, of the rates that are as good without noise, the high ones lose more under the strongest."""
    low, high = one.standing.told["tie_interval"] or (0.0, 0.0)
    if low == high:
        return
    rates = one.standing.profile.rates
    first, last = (int(np.abs(rates - rate).argmin()) for rate in (low, high))
    level = one.levels[-1]
    gap = difference(level.scores[last] - one.clean[last], level.scores[first] - one.clean[first])
    if gap is None or gap.interval is None:
        return
    sure = "" if gap.sure else ", which cannot be told from none"
    yield (
        f"Of the rates as good without noise, the highest ({written(high)}) differs from the lowest ({written(low)}) "
        f"in its change under noise of {level.strength} by {gap.mean:+.3f} of {metric} "
        f"(95% {gap.interval[0]:+.3f} to {gap.interval[1]:+.3f}){sure}."
    )


def summary(found: Sequence[Robustness]) -> Iterator[str]:
    """Where the best rate goes under the strongest noise, over all settings."""
    if len(found) < 2:
        return
    ways = Counter(
        "stays" if one.levels[-1].best == one.chosen else "rises" if one.levels[-1].best > one.chosen else "falls"
        for one in found
    )
    told_ones = sum(told(one.levels[-1].sure) for one in found)
    yield (
        f"Under noise of {found[0].levels[-1].strength} the best rate rises in {ways['rises']} of {len(found)} "
        f"settings, falls in {ways['falls']} and stays in {ways['stays']}; in {told_ones} that can be told."
    )


def where(best: Robustness, found: Sequence[Robustness]) -> Iterator[str]:
    """Which setting is shown, where there are several."""
    words = common({key: value for key, value in best.standing.setting.items() if key != "dataset"})
    if len(found) > 1 and words:
        yield f"The table and the chart show the best setting: {words}."


def table(one: Robustness, metric: str) -> list[Col]:
    """A row per rate: the score without noise and at each strength."""
    columns = [Col(metric, means(one.clean), "score")]
    for spare, level in enumerate(one.levels):
        columns.append(Col(f"noise {level.strength}", means(level.scores), "score", len(one.levels) - 1 - spare))
    change = (one.levels[-1].scores - one.clean).mean(axis=1)
    return [
        Col("rate", one.standing.profile.rates.tolist(), "rate"),
        *columns,
        Col(f"change at {one.levels[-1].strength}", [plain(value) for value in change], "number"),
    ]


def means(scores: Array) -> list[float | None]:
    """Over the seeds; None where one is lost."""
    return [plain(value) for value in scores.mean(axis=1)]


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
            "against_best_without": difference_numbers(level.gain, lower=False) | {"told": told(level.sure)},
            "means": means(level.scores),
        }
        for level in one.levels
    ]
    return {
        "setting": dict(one.standing.setting),
        "best_rate": float(rates[one.chosen]),
        "learning_rates": rates.tolist(),
        "means": means(one.clean),
        "levels": levels,
    }
