"""What cards are made from: a sweep's tables, and from them one standing per setting, with families to compare in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.fit import Fit
from lrsweep.analysis.profiles import Profile
from lrsweep.analysis.ranking import (
    lower_is_better,
    objective_column,
    setting_numbers,
    varying,
)
from lrsweep.vocabulary import Array, Scalar

if TYPE_CHECKING:
    import pandas as pd

Value = tuple[Scalar | None, ...]
"""A value of an axis: of an optimizer or a schedule the name with those of its settings that vary."""


@dataclass(frozen=True)
class Findings:
    """What cards are made from: the runs, a row per setting and rate, and the document of recommendation.json.

    `profiles` and `fits` have an entry per setting, in order of appearance in `runs` and `ranking`.
    """

    about: Mapping[str, Any]
    runs: pd.DataFrame
    ranking: pd.DataFrame
    recommendation: Mapping[str, Any]
    profiles: Sequence[Profile]
    fits: Sequence[Fit]


@dataclass(frozen=True)
class Standing:
    """One setting: how its K rates came out over its S seeds.

    `place` is its place in the recommendation, 0 the best, and `told` its entry there. `means` (K,) is the objective,
    infinitely bad where a seed is lost; `steady` (K,) the rates at which none is lost or ends above its untrained loss.
    `best` is the index of the best rate, None where no run finished, and `interval` the objective's there. `untrained`
    is the initial training loss.
    """

    setting: Mapping[str, Scalar | None]
    place: int
    told: Mapping[str, Any]
    profile: Profile
    fit: Fit
    means: Array
    steady: Array
    best: int | None
    interval: tuple[float, float]
    n_train: float
    untrained: float
    epochs_to_target: float

    @property
    def objective(self) -> float:
        """At the best rate."""
        return float("nan") if self.best is None else float(self.means[self.best])

    @property
    def bracketed(self) -> bool:
        """Whether the best rate is neither the lowest nor the highest tried."""
        return self.best is not None and 0 < self.best < len(self.profile.rates) - 1


@dataclass(frozen=True)
class Axis:
    """One axis of a sweep: its columns, and those `joined` to it, which differ exactly where it does (as in a zip)."""

    name: str
    columns: tuple[str, ...]
    joined: tuple[str, ...] = ()

    def value(self, setting: Mapping[str, Scalar | None]) -> Value:
        """Which of its values a setting has."""
        return tuple(setting[column] for column in self.columns)

    def rest(self, setting: Mapping[str, Scalar | None]) -> dict[str, Scalar | None]:
        """A setting without it: what the settings of a family have in common."""
        own = {*self.columns, *self.joined, "dataset"}
        return {column: value for column, value in setting.items() if column not in own}


@dataclass(frozen=True)
class Family:
    """Settings that differ in nothing but one axis, by their value of it."""

    rest: Mapping[str, Scalar | None]
    members: Mapping[Value, Standing]

    @property
    def place(self) -> int:
        """Of its best setting."""
        return min(member.place for member in self.members.values())


@dataclass(frozen=True)
class Board:
    """The standings on one dataset, with what they are ranked by; `dataset` is empty where the sweep has just one."""

    dataset: str
    metric: str
    lower: bool
    standings: Sequence[Standing]
    found: Findings

    def families(self, axis: Axis) -> list[Family]:
        """The families of an axis that have two values of it or more, the one with the best setting first."""
        groups: dict[Value, dict[Value, Standing]] = {}
        for one in self.standings:
            groups.setdefault(tuple(axis.rest(one.setting).values()), {})[axis.value(one.setting)] = one
        several = [members for members in groups.values() if len(members) > 1]
        families = [Family(axis.rest(next(iter(members.values())).setting), members) for members in several]
        return sorted(families, key=lambda family: family.place)

    def axes(self) -> list[Axis]:
        """The axes in the sweep's order; what varies with another as one is joined to that, and has none of its own."""
        owners: dict[str, list[str]] = {}
        for column in varying(self.found.about):
            owners.setdefault(column.partition(".")[0], []).append(column)
        owners.pop("dataset", None)
        values = {
            name: [tuple(one.setting[column] for column in own) for one in self.standings]
            for name, own in owners.items()
        }
        axes: dict[str, Axis] = {}
        taken: set[str] = set()
        for name in sorted(owners, key=lambda name: name not in ("width", "subset")):
            if name in taken or len({*values[name]}) < 2:
                continue
            alike = [
                other for other in owners if other not in (*axes, *taken, name) and one_to_one(values, name, other)
            ]
            taken |= {*alike}
            joined = tuple(column for other in alike for column in owners[other])
            axes[name] = Axis(name, tuple(owners[name]), joined)
        return [axes[name] for name in owners if name in axes]


def one_to_one(values: Mapping[str, Sequence[Value]], name: str, other: str) -> bool:
    """Whether two axes of several values differ in exactly the same settings."""
    pairs = {*zip(values[name], values[other], strict=True)}
    return len(pairs) == len({*values[name]}) == len({*values[other]})


def boards(found: Findings) -> list[Board]:
    """A board per dataset, in the sweep's order."""
    groups: dict[str, list[Standing]] = {}
    for one in standings(found):
        groups.setdefault(str(one.setting.get("dataset", "")), []).append(one)
    metric = objective_column(found.about)
    return [Board(dataset, metric, lower_is_better(metric), group, found) for dataset, group in groups.items()]


def standings(found: Findings) -> Iterable[Standing]:
    """The standing of each setting, in order of appearance."""
    if not found.profiles:
        return
    places = {tuple(entry["setting"].items()): place for place, entry in enumerate(found.recommendation["settings"])}
    ranking, n_train, untrained = found.ranking, *_of_settings(found)
    columns = ("rank", "n_lost", "n_shaky", "n_seeds", "objective_mean", "epochs_to_target")
    low, high = (ranking[f"objective_{end}"].to_numpy() for end in ("low", "high"))
    rank, lost, shaky, seeds, mean, epochs = (ranking[column].to_numpy() for column in columns)
    end = 0
    for number, (profile, fit) in enumerate(zip(found.profiles, found.fits, strict=True)):
        start, end = end, end + len(profile.rates)
        best = start + int(rank[start:end].argmin())
        place = places[tuple(profile.setting.items())]
        yield Standing(
            setting=profile.setting,
            place=place,
            told=found.recommendation["settings"][place],
            profile=profile,
            fit=fit,
            means=mean[start:end],
            steady=shaky[start:end] == 0,
            best=best - start if lost[best] < seeds[best] else None,
            interval=(float(low[best]), float(high[best])),
            n_train=float(n_train[number]),
            untrained=float(untrained[number]),
            epochs_to_target=float(epochs[best]),
        )


def _of_settings(found: Findings) -> tuple[Array, Array]:
    """The mean number of training rows and the mean untrained loss of each setting."""
    told = found.runs.reindex(columns=["n_train", "initial_loss"]).astype(float)
    means = told.groupby(np.broadcast_to(setting_numbers(found.runs, found.about), len(told))).mean()
    return means["n_train"].to_numpy(), means["initial_loss"].to_numpy()
