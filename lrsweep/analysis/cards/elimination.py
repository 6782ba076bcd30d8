"""The elimination card: which rates were dropped before their end, at which stage and why, and what that may miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.phrases import common, count, decimals, factor, listed, with_
from lrsweep.analysis.cards.scaling import MOST_LISTED
from lrsweep.analysis.cards.standings import Material, Standing, standings
from lrsweep.analysis.cards.subset import FEWEST, spearman
from lrsweep.analysis.elimination import stage_objective
from lrsweep.analysis.profiles import as_in_the_file, digits
from lrsweep.analysis.ranking import RATE, by_setting, lower_is_better, objective_column, varying
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import Array

if TYPE_CHECKING:
    Frame = pd.DataFrame

SCREEN = "screen"
"""The name of the stage that is a sample before all others."""

PLACED = {SCREEN: "on the sample"}
"""Where a stage is, within a sentence; others are at their names."""

FAR_OFF = 3.0
"""Losses this many times the untrained one's are left out of the chart: of the others nothing could be seen."""

IN_FULL = "in full"
"""What the last of all stages is called in a chart."""


@dataclass(frozen=True)
class Stage:
    """What one stage measured and decided of a setting's K rates that were in it, ascending.

    (K,) each: the objective's `values`, infinitely bad where a seed was lost, `ranks` from 1, how much worse than the
    leader they are, by `margins`, whether they are `kept`, and `reasons`.
    """

    name: str
    epochs: int
    n_train: int
    n_seeds: int
    rates: Array
    values: Array
    ranks: Array
    margins: Array
    kept: Array
    reasons: Sequence[str]

    @property
    def leader(self) -> float:
        """The best rate by it."""
        return float(self.rates[self.ranks.argmin()])


@dataclass(frozen=True)
class Course:
    """A setting's way through the stages. `name` is what it has and others have not, `standing` how it came out.

    `gone` are the rates that were dropped before their end, ascending, and stayed so, and `went` the places in `stages`
    where they were.
    """

    name: str
    standing: Standing
    stages: Sequence[Stage]
    gone: Array
    went: Array

    @property
    def finished(self) -> Array:
        """The rates that were trained in full with all seeds."""
        return self.standing.profile.rates[np.isfinite(self.standing.means)]

    def spearman(self, stage: Stage, column: str) -> tuple[float, int]:
        """The correlation of a stage's order of the rates that were then trained in full with their final one.

        And over how many; nan where these are fewer than FEWEST. `column` is the objective.
        """
        both, here, there = np.intersect1d(stage.rates, self.finished, assume_unique=True, return_indices=True)
        means = self.standing.means[np.isfinite(self.standing.means)][there]
        early = stage.values[here] if lower_is_better(stage_objective(column)) else -stage.values[here]
        return spearman(early, means if lower_is_better(column) else -means), len(both)


def elimination_cards(material: Material) -> tuple[Card, ...]:
    """The card of a sweep with screening or halving; none without."""
    found = courses(material)
    if not found:
        return ()
    column = objective_column(material.about)
    return (
        Card(
            axis="elimination",
            title=headline(found, material.spent),
            sentences=[
                *dropped(found),
                *agreement(found, column),
                *nearly(found, stage_objective(column)),
                *beside_the_best(found),
                *taken_up(found),
            ],
            table=table(found, column),
            charts=[*charts(found, material)],
            numbers={"spent": digits(material.spent), "settings": [numbers(one, column) for one in found]},
        ),
    )


def courses(material: Material) -> list[Course]:
    """Every setting's way through the stages, the best setting's first."""
    if material.decisions is None or not len(material.decisions):
        return []
    known = {tuple(one.setting.values()): one for one in standings(material)}
    groups = [material.decisions.iloc[rows] for rows in by_setting(material.decisions, material.about)]
    keyed = [(known.get(key_of(group, material.about)), group) for group in groups]
    ordered = sorted(((one, group) for one, group in keyed if one), key=lambda pair: pair[0].place)
    names = called_apart([one for one, _ in ordered])
    return [course(name, one, group) for name, (one, group) in zip(names, ordered, strict=True)]


def called_apart(found: Sequence[Standing]) -> list[str]:
    """What each setting has and others have not, its dataset included; empty where there is only one."""
    names = common([one.setting for one in found])
    datasets = [str(one.setting.get("dataset", "")) for one in found]
    return [", ".join(filter(None, pair)) for pair in zip(datasets, names, strict=True)]


def key_of(decisions: Frame, about: Mapping[str, Any]) -> tuple[Any, ...]:
    """The setting that decisions are of, as the file has it."""
    axes = about["axes"]
    return tuple(as_in_the_file([decisions[column].iloc[0]], axes[column])[0] for column in varying(about))


def let_go(material: Material) -> dict[tuple[Any, ...], set[float]]:
    """The rates that each setting's stages dropped, whatever became of them then."""
    frame, about = material.decisions, material.about
    if frame is None or not len(frame):
        return {}
    groups = [frame.iloc[rows] for rows in by_setting(frame, about)]
    return {key_of(group, about): {*group.loc[~group["kept"].astype(bool), RATE].tolist()} for group in groups}


def course(name: str, standing: Standing, decisions: Frame) -> Course:
    """A setting's way, from its decisions."""
    stages = [stage(str(key), rows) for key, rows in decisions.groupby("stage", sort=False)]
    last = {rate: at for at, one in enumerate(stages) for rate in one.rates[~one.kept].tolist()}
    stopped = standing.profile.rates[standing.profile.stopped].tolist()
    gone = [rate for rate in stopped if rate in last]
    return Course(name, standing, stages, np.array(gone), np.array([last[rate] for rate in gone], int))


def stage(name: str, rows: Frame) -> Stage:
    """One stage of a setting, from its decisions."""
    rows = rows.sort_values(RATE)
    first = rows.iloc[0]
    return Stage(
        name,
        epochs=int(first["stage_epochs"]),
        n_train=int(first["n_train"]),
        n_seeds=int(first["n_seeds"]),
        rates=rows[RATE].to_numpy(float),
        values=rows["value"].to_numpy(float),
        ranks=rows["rank"].to_numpy(int),
        margins=rows["margin"].to_numpy(float),
        kept=rows["kept"].to_numpy(bool),
        reasons=[*rows["reason"].fillna("")],
    )


def headline(found: Sequence[Course], spent: float | None) -> str:
    """What it saved, and how many rates went."""
    kinds = {one.name == SCREEN for course in found for one in course.stages}
    what = " and ".join(name for name, there in (("screening", True in kinds), ("halving", False in kinds)) if there)
    gone, rates = sum(len(one.gone) for one in found), sum(len(one.standing.profile.rates) for one in found)
    of = f"{rates} rates{f' in {len(found)} settings' if len(found) > 1 else ''}"
    went = f"{gone} of {of} went before their end." if gone else f"none of {of} was dropped."
    took = "" if spent is None else f" the sweep took {spent:.0%} of the full grid's training:"
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
        yield f"Each setting lost {count(few, 'rate') if few == most else f'{few} to {most} rates'}."


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


def agreement(found: Sequence[Course], column: str) -> Iterator[str]:
    """Whether the stages' order of the rates is their final one."""
    told, most = [], 0
    for name in dict.fromkeys(one.name for course in found for one in course.stages):
        each = [course.spearman(one, column) for course in found for one in course.stages if one.name == name]
        values = [value for value, _ in each if np.isfinite(value)]
        most = max(most, len(values))
        ends = f" ({decimals(min(values))} to {decimals(max(values))})" if len(values) > 1 else ""
        of = f" ({count(each[0][1], 'rate')})" if len(found) == 1 else ends
        told += [f"{decimals(median(values))}{of} {PLACED.get(name, f'at {name}')}"] if values else []
    if told:
        few = f", of {most} of {len(found)} settings, the others having fewer than {FEWEST}"
        middle = f"{', the median' if most > 1 else ''}{few if most < len(found) else ''}" if len(found) > 1 else ""
        yield (
            f"Spearman's correlation with the final order, over the rates trained in full{middle}: {', '.join(told)}."
        )
    else:
        few = f"fewer than {FEWEST} rates of a stage were trained in full"
        yield f"Whether a stage's order is the final one cannot be told: {few}."


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


def taken_up(found: Sequence[Course]) -> Iterator[str]:
    """Rates that were dropped and trained in full later, since the best was next to them."""
    again = []
    for course in found:
        out = {rate for one in course.stages for rate in one.rates[~one.kept].tolist()}
        if back := [rate for rate in course.finished.tolist() if rate in out]:
            again.append(f"{spans(np.array(back), course.standing.profile.rates)}{with_(course.name)}")
    if again:
        yield f"Trained in full although they had been dropped: {'; '.join(again[:4])}{'; …' * (len(again) > 4)}."


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
        }
        order = {"leader": one.leader, "spearman": digits(correlation), "spearman_rates": n}
        stages.append({"stage": one.name, **sizes, **rates, **order})
    return {"setting": dict(course.standing.setting), "stages": stages}
