"""Which settings, rates, seeds and epochs the page shows of a sweep that may have more than anyone can look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.curves import Read, at_epochs, portions
from lrsweep.analysis.ranking import RATE, objective_values
from lrsweep.report import drawing, words
from lrsweep.vocabulary import STOPPED, Array

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.recommend import Entry

MOST_SETTINGS = 40
"""In figures and in what a reader can choose; the best of each dataset."""

MOST_ROWS = 50
"""Settings whose diagnosis is told."""

FAR = 100
"""Numbers of an interval that differ more than so many times have no decimals in common."""

MOST_ON = 8
"""Settings that a figure shows before anyone asks for more: as many as there are colours."""


@dataclass(frozen=True)
class Setting:
    """A setting with its rows of `ranking`, by rate, and of `runs`; `values` are its runs' objectives, nan where lost.

    `number` counts within its dataset, the best setting is 0. `brief` is its name in a figure: of those that are
    switched on at first without what all of these share.
    """

    number: int
    entry: Entry
    name: str
    brief: str
    rates: pd.DataFrame
    runs: pd.DataFrame
    values: Array

    @property
    def group(self) -> str:
        """What its traces in a figure go by."""
        return f"s{self.number}"

    @property
    def best(self) -> pd.Series[Any]:
        """Its best rate's row."""
        return self.rates[self.rates["rank"] == 1].iloc[0]

    @property
    def dropped(self) -> Array:
        """Which of its rates were dropped before their end, (K,)."""
        return (self.rates["diagnosis"] == STOPPED).to_numpy()

    @property
    def dropped_where(self) -> str:
        """The same in words; empty where there are none."""
        said = drawing.regions(self.rates[RATE].tolist(), self.rates["diagnosis"].tolist())
        return next((one for one in said if one.startswith(words.diagnosis(STOPPED))), "")


@dataclass(frozen=True)
class Part:
    """The settings of one dataset, best first, as far as they are shown, and how many there are."""

    dataset: str
    settings: Sequence[Setting]
    n_settings: int


def first(shown: Sequence[Part], most: int) -> list[Part]:
    """The parts with fewer settings, as many of each dataset as of any other."""
    each = max(1, most // max(1, len(shown)))
    return [replace(one, settings=one.settings[:each]) for one in shown]


def parts(answer: Answer, most: int) -> list[Part]:
    """What is shown of each dataset, since losses compare only within one."""
    by_dataset: dict[str, list[Entry]] = {}
    only = next(iter(answer.about["datasets"]))
    for entry in answer.entries:
        by_dataset.setdefault(str(entry["setting"].get("dataset", only)), []).append(entry)
    most = max(1, most // max(1, len(by_dataset)))
    found = []
    for dataset, entries in by_dataset.items():
        kept = entries[:most]
        settings = []
        names, on = _names(answer, kept), _names(answer, kept[:MOST_ON])
        for number, (entry, name, brief) in enumerate(zip(kept, names, [*on, *names[MOST_ON:]], strict=True)):
            rates = answer.rows(answer.ranking, entry).sort_values(RATE)
            runs = answer.rows(answer.runs, entry)
            values = objective_values(runs, answer.about).to_numpy()
            settings.append(Setting(number, entry, name, brief, rates, runs, values))
        found.append(Part(dataset, settings, len(entries)))
    return found


def _names(answer: Answer, entries: Sequence[Entry]) -> list[str]:
    """The settings in few words, without the dataset that they share."""
    own = [{**entry, "setting": {k: v for k, v in entry["setting"].items() if k != "dataset"}} for entry in entries]
    return words.labels(answer, own)


def interval_of(row: Mapping[Any, Any] | pd.Series[Any]) -> tuple[str, str]:
    """A row's mean objective and the 95% interval round it, which is empty where there is none.

    Ends that are far from the mean have digits of their own.

    >>> interval_of({"objective_mean": 0.104, "objective_low": 0.098, "objective_high": 0.11})
    ('0.104', '0.098 to 0.110')
    >>> interval_of({"objective_mean": 1.25, "objective_low": 0.00041, "objective_high": 2122.0})
    ('1.25', '0.00041 to 2120')
    """
    mean, low, high = (float(row[f"objective_{name}"]) for name in ("mean", "low", "high"))
    write = words.alike([mean])
    if not (math.isfinite(low) and math.isfinite(high)):
        return write(mean), ""
    far = max(map(abs, (low, mean, high))) > FAR * min(map(abs, (low, mean, high)))
    return write(mean), " to ".join(words.rate(end) if far else write(end) for end in (low, high))


def spread(positions: Sequence[int], most: int, always: int | None = None) -> list[int]:
    """At most so many of the positions, evenly chosen, the ends and the one that is `always` shown among them.

    >>> spread(range(10), 4, always=5), spread(range(3), 4)
    ([0, 3, 5, 9], [0, 1, 2])
    """
    if len(positions) <= most:
        return list(positions)
    picked = [positions[round(i * (len(positions) - 1) / (most - 1))] for i in range(most)]
    if always is not None and always not in picked:
        inner = range(1, most - 1)
        picked[min(inner, key=lambda i: abs(picked[i] - always))] = always
    return picked


def with_curves(runs: pd.DataFrame, read: Read) -> set[str]:
    """The runs that have a curve: one that failed at once has none."""
    return set(at_epochs(runs, read, np.zeros(1))["run_id"])


def mean_curves(runs: pd.DataFrame, read: Read, names: Sequence[str]) -> dict[str, Array]:
    """The means over runs with curves by epoch, each as far as all of them get with finite values."""
    total, finite, n = np.empty((len(names), 0)), np.empty((len(names), 0), bool), 0
    for part in portions(runs):
        curves = read(runs["run_id"].iloc[part].tolist())
        starts = np.flatnonzero(curves["epoch"].to_numpy() == 0)
        for one in np.split(curves.reindex(columns=list(names)).to_numpy(float).T, starts[1:], axis=1):
            length = min(one.shape[1], total.shape[1]) if n else one.shape[1]
            there = np.isfinite(one[:, :length])
            total = total[:, :length] + one[:, :length] if n else one
            finite = finite[:, :length] & there if n else there
            n += 1
    finite[:, :1] = True
    until = [len(own) if own.all() else int(own.argmin()) for own in finite]
    return {name: sums[:end] / n for name, sums, end in zip(names, total, until, strict=True)}
