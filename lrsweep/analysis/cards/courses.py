"""The way of each setting's rates through the stages of elimination: what was measured, decided, and came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.cards.phrases import common
from lrsweep.analysis.cards.standings import Material, Standing, standings
from lrsweep.analysis.cards.subset import spearman
from lrsweep.analysis.elimination import stage_objective
from lrsweep.analysis.profiles import as_in_the_file
from lrsweep.analysis.ranking import RATE, by_setting, lower_is_better, varying
from lrsweep.vocabulary import Array

if TYPE_CHECKING:
    import pandas as pd

    Frame = pd.DataFrame


SCREEN = "screen"
"""The name of the stage that is a sample before all others."""


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
    where they were. `taken_up` are those that extending trained in full, since the best was next to them.
    """

    name: str
    standing: Standing
    stages: Sequence[Stage]
    gone: Array
    went: Array
    taken_up: frozenset[float]

    @property
    def finished(self) -> Array:
        """The rates that were trained in full with all seeds."""
        return self.standing.profile.rates[np.isfinite(self.standing.means)]

    @property
    def back(self) -> Array:
        """The rates that were dropped, but are trained in full with all seeds."""
        out = [rate for one in self.stages for rate in one.rates[~one.kept].tolist()]
        return self.finished[np.isin(self.finished, out)]

    @property
    def best_is_back(self) -> bool:
        """Whether the best rate is one of them, so that elimination alone would have missed it."""
        best = self.standing.entry["best_rate"]
        return best is not None and best in self.back

    def spearman(self, stage: Stage, column: str) -> tuple[float, int]:
        """The correlation of a stage's order of the rates that were then trained in full with their final one.

        And over how many; nan where these are fewer than FEWEST. `column` is the objective.
        """
        both, here, there = np.intersect1d(stage.rates, self.finished, assume_unique=True, return_indices=True)
        means = self.standing.means[np.isfinite(self.standing.means)][there]
        early = stage.values[here] if lower_is_better(stage_objective(column)) else -stage.values[here]
        return spearman(early, means if lower_is_better(column) else -means), len(both)


def courses(material: Material) -> list[Course]:
    """Every setting's way through the stages, the best setting's first."""
    if material.decisions is None or not len(material.decisions):
        return []
    known = {tuple(one.setting.values()): one for one in standings(material)}
    groups = [material.decisions.iloc[rows] for rows in by_setting(material.decisions, material.about)]
    keyed = [(known.get(key_of(group, material.about)), group) for group in groups]
    ordered = sorted(((one, group) for one, group in keyed if one), key=lambda pair: pair[0].place)
    names = called_apart([one for one, _ in ordered])
    taken = taken_up(material)
    return [
        course(name, one, group, taken.get(tuple(one.setting.values()), frozenset()))
        for name, (one, group) in zip(names, ordered, strict=True)
    ]


def taken_up(material: Material) -> dict[tuple[Any, ...], frozenset[float]]:
    """The rates that extending added to each setting, dropped ones among them."""
    found: dict[tuple[Any, ...], frozenset[float]] = {}
    for one in material.about.get("additions") or ():
        if one["why"] == "extend":
            key = tuple(one["setting"].values())
            found[key] = found.get(key, frozenset()) | {*one["rates"]}
    return found


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


def course(name: str, standing: Standing, decisions: Frame, taken: frozenset[float]) -> Course:
    """A setting's way, from its decisions."""
    stages = [stage(str(key), rows) for key, rows in decisions.groupby("stage", sort=False)]
    last = {rate: at for at, one in enumerate(stages) for rate in one.rates[~one.kept].tolist()}
    stopped = standing.profile.rates[standing.profile.stopped].tolist()
    gone = [rate for rate in stopped if rate in last]
    return Course(name, standing, stages, np.array(gone), np.array([last[rate] for rate in gone], int), taken)


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
