"""What cards are made from: a sweep's tables, and from them one standing per setting, with families to compare in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.fit import Fit
from lrsweep.analysis.profiles import Profile
from lrsweep.analysis.ranking import (
    SMALLEST,
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
class Material:
    """What cards are made from: the runs, a row per setting and rate, and the document of recommendation.json.

    `profiles` and `fits` have an entry per setting, in order of appearance in `runs` and `ranking`. `decisions` are
    those of screening and halving, `spent` the examples trained over those of the same runs all trained in full,
    `ranges` and `ramps` the tables of the range test; None where there are none.
    """

    about: Mapping[str, Any]
    runs: pd.DataFrame
    ranking: pd.DataFrame
    recommendation: Mapping[str, Any]
    profiles: Sequence[Profile]
    fits: Sequence[Fit]
    decisions: pd.DataFrame | None = None
    spent: float | None = None
    ranges: pd.DataFrame | None = None
    ramps: pd.DataFrame | None = None


@dataclass(frozen=True)
class Standing:
    """One setting: how its K rates came out over its S seeds.

    `place` is its place in the recommendation, 0 the best, and `entry` what stands there. `means` (K,) is the
    objective, infinitely bad where a seed is lost and nan where the rate was dropped; `steady` (K,) the rates at which
    none is lost or ends above its untrained loss. `best` is the index of the best rate, None where no run finished,
    `interval` the objective's there, and `failed` whether a run there failed or crashed. `untrained` is the initial
    training loss.
    """

    setting: Mapping[str, Scalar | None]
    place: int
    entry: Mapping[str, Any]
    profile: Profile
    fit: Fit
    means: Array
    steady: Array
    best: int | None
    interval: tuple[float, float]
    failed: bool
    n_train: float
    untrained: float
    epochs_to_target: float

    @property
    def objective(self) -> float:
        """At the best rate."""
        return float("nan") if self.best is None else float(self.means[self.best])

    @property
    def whole(self) -> bool:
        """Whether every seed finished at the best rate."""
        return bool(np.isfinite(self.objective))

    @property
    def stable_to(self) -> tuple[float, bool] | None:
        """The highest stable rate, and whether no higher one is known, so that it is no more than a lower bound."""
        highest, known = self.entry["highest_stable_rate"], self.profile.rates[~self.profile.stopped]
        return None if highest is None else (float(highest), bool(highest == known[-1]))

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
    """The standings on one dataset, with what they are ranked by; `dataset` is empty where the sweep has just one.

    `resolution` is what one validation row makes of a score; of losses 0.
    """

    dataset: str
    metric: str
    lower: bool
    resolution: float
    standings: Sequence[Standing]
    material: Material

    def errors(self, means: Array) -> Array:
        """What has a ratio: a loss as it is, of a score (at most 1) what is missing to 1, half a row at least."""
        return np.maximum(means if self.lower else 1 - means, self.no_error)

    @property
    def no_error(self) -> float:
        """The error where none is left."""
        return max(self.resolution / 2, SMALLEST)

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
        for column in varying(self.material.about):
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


def boards(material: Material) -> Iterator[Board]:
    """A board per dataset, in the sweep's order."""
    groups: dict[str, list[Standing]] = {}
    for one in standings(material):
        groups.setdefault(str(one.setting.get("dataset", "")), []).append(one)
    metric = objective_column(material.about)
    for dataset, group in groups.items():
        step = resolution(material, dataset, metric)
        yield Board(dataset, metric, lower_is_better(metric), step, group, material)


def resolution(material: Material, dataset: str, metric: str) -> float:
    """What one validation row makes of a score; 0 of what is not counted in rows, and where it is not known."""
    counted = metric.partition("@")[0].endswith(("_accuracy", "_f1"))
    if not counted or "validation" not in material.runs or material.runs.empty:
        return 0.0
    known = material.about["datasets"]
    share = float(material.runs["validation"].iloc[0])
    n_rows = int(known.get(dataset, next(iter(known.values())))["n_rows"])
    return 1 / max(1, round(share * n_rows))


def standings(material: Material) -> Iterable[Standing]:
    """The standing of each setting, in order of appearance."""
    if not material.profiles:
        return
    entries = material.recommendation["settings"]
    places = {tuple(entry["setting"].items()): place for place, entry in enumerate(entries)}
    ranking, n_train, untrained = material.ranking, *_of_settings(material)
    columns = ("rank", "n_lost", "n_failed", "n_shaky", "n_seeds", "objective_mean", "epochs_to_target")
    low, high = (ranking[f"objective_{end}"].to_numpy() for end in ("low", "high"))
    rank, lost, failed, shaky, seeds, mean, epochs = (ranking[column].to_numpy() for column in columns)
    end = 0
    for number, (profile, fit) in enumerate(zip(material.profiles, material.fits, strict=True)):
        start, end = end, end + len(profile.rates)
        best = start + int(rank[start:end].argmin())
        place = places[tuple(profile.setting.items())]
        yield Standing(
            setting=profile.setting,
            place=place,
            entry=entries[place],
            profile=profile,
            fit=fit,
            means=mean[start:end],
            steady=shaky[start:end] == 0,
            best=int(best - start) if lost[best] < seeds[best] else None,
            interval=(float(low[best]), float(high[best])),
            failed=bool(failed[best] > 0),
            n_train=float(n_train[number]),
            untrained=float(untrained[number]),
            epochs_to_target=float(epochs[best]),
        )


def _of_settings(material: Material) -> tuple[Array, Array]:
    """The number of training rows and the mean untrained loss of each setting.

    Where no run of a setting came to know its rows, those of another with its subset do, or what the file has for it.
    """
    runs = material.runs
    known = runs.reindex(columns=["n_train", "initial_loss"]).astype(float)
    if "subset" in runs:
        same = known["n_train"].groupby([runs["dataset"], runs["subset"]]).transform("max")
        known["n_train"] = known["n_train"].fillna(same).fillna(runs["subset"].astype(float))
    means = known.groupby(np.broadcast_to(setting_numbers(runs, material.about), len(known))).mean()
    return means["n_train"].to_numpy(), means["initial_loss"].to_numpy()
