"""The summary of a sweep, computed once and shown by the terminal, the files and the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.cards import Card, Material, deal
from lrsweep.analysis.cost import cost
from lrsweep.analysis.curves import Read
from lrsweep.analysis.diagnosis import diagnose
from lrsweep.analysis.expectations import Check, check
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import as_in_the_file, digits, profiles
from lrsweep.analysis.ranking import RATE, by_setting, lower_is_better, objective_column, rank, varying
from lrsweep.analysis.recommend import Entry, label, recommend
from lrsweep.vocabulary import STOPPED, Array, Scalar

if TYPE_CHECKING:
    import pandas as pd

RANKED = (
    *("rank", "tied", "n_seeds", "n_diverged", "objective_mean", "objective_std", "objective_low", "objective_high"),
    *("val_loss_mean", "val_accuracy_mean", "test_accuracy_mean"),
    *("diagnosis", "evidence", "epochs_to_target", "examples_to_target"),
)
"""The columns of ranking.csv after the settings and the rate; in regression with R² in place of accuracies."""

INTERVALS = {"tie_interval": ("tie_low", "tie_high"), "fitted_interval": ("fitted_low", "fitted_high")}
"""Entries that are pairs, and the columns that a frame has for them."""

Positions = dict[tuple[Scalar | None, ...], Array]
"""The rows of each setting."""


@dataclass(frozen=True, repr=False)
class Answer:
    """All that a report shows. `about` is what the conductor stored of the sweep, `counts` are the store's.

    `ranking` has a row per setting and rate, `recommendation` is the document, `cards` say what each axis does,
    `checks` what became of the file's expectations. `stale` are the runs that the sweep file is without, if that
    was asked for; they are not ranked. `folder` is where the files are. `decisions` are those of elimination, `spent`
    what it took (see `spent_share`), `ranges` and `ramps` the tables of the range test; None where there are none.
    `read_curves` has the curves of the runs that it is asked for, since all of them may be many gigabytes.
    """

    about: Mapping[str, Any]
    counts: Mapping[str, int]
    runs: pd.DataFrame
    read_curves: Read
    timings: pd.DataFrame
    ranking: pd.DataFrame
    recommendation: dict[str, Any]
    cards: tuple[Card, ...] = ()
    checks: tuple[Check, ...] = ()
    stale: pd.DataFrame | None = None
    folder: str = ""
    decisions: pd.DataFrame | None = None
    ranges: pd.DataFrame | None = None
    ramps: pd.DataFrame | None = None
    spent: float | None = None
    _known: dict[int, Positions] = field(default_factory=dict, init=False)

    def __repr__(self) -> str:
        """The sentence to act on; the frames would fill the screen."""
        return f"<Answer of {self.about['name']}: {self.sentence}>"

    @property
    def curves(self) -> pd.DataFrame:
        """The content of curves.csv, read anew each time: 72 bytes of memory for each run and epoch."""
        return self.read_curves(self.runs["run_id"].tolist())

    @property
    def sentence(self) -> str:
        """The first one of the best setting's advice."""
        advice: str = self.entries[0]["advice"] if self.entries else "no run is trained yet"
        return advice.split("\n")[0]

    @property
    def objective(self) -> str:
        """The column of runs.csv that ranks."""
        return objective_column(self.about)

    @property
    def lower_is_better(self) -> bool:
        """Whether the objective goes down."""
        return lower_is_better(self.objective)

    @property
    def entries(self) -> list[Entry]:
        """The settings of the recommendation, best first."""
        return list(self.recommendation["settings"])

    def label(self, entry: Entry) -> str:
        """An entry's setting in words, with its dataset where there are several."""
        words = label(entry["setting"], str(self.ranking["optimizer"].iloc[0]))
        return f"{entry['setting']['dataset']}: {words}" if "dataset" in entry["setting"] else words

    def file(self) -> dict[str, Any]:
        """The document of recommendation.json."""
        spent = {} if self.spent is None else {"spent": digits(self.spent)}
        return {**self.recommendation, **spent, "cards": [card.document() for card in self.cards]}

    def document(self) -> dict[str, Any]:
        """What `--json` prints: recommendation.json, with the counts and what became of the expectations."""
        checks = [check.document() for check in self.checks]
        return {**self.file(), "counts": dict(self.counts), "expect": checks}

    def ranking_columns(self) -> dict[str, list[Scalar | None]]:
        """The content of ranking.csv: a row per setting and rate; None is what does not apply."""
        table, axes = self.ranking, self.about["axes"]
        columns = {key: as_in_the_file(table[key].tolist(), axes.get(key)) for key in self.about["settings"]}
        regression = any(dataset["task"] == "regression" for dataset in self.about["datasets"].values())
        for name in (RATE, *RANKED):
            column = name.replace("accuracy", "r2") if regression else name
            values = table[column].tolist() if column in table else [None] * len(table)
            columns[column] = [*map(whole_or_none, values)] if name.endswith("_to_target") else values
        return columns

    def table(self) -> pd.DataFrame:
        """The recommendation as a frame: a row per setting, best first, its settings and then the entry's keys.

        An interval is two columns: `tie_low` and `tie_high`, `fitted_low` and `fitted_high`.
        """
        import pandas as pd

        rows = []
        for entry in self.entries:
            row = dict(entry["setting"])
            for key, value in entry.items():
                if key in INTERVALS:
                    row |= zip(INTERVALS[key], value or (None, None), strict=True)
                elif key != "setting":
                    row[key] = value
            rows.append(row)
        return pd.DataFrame(rows)

    def rows(self, frame: pd.DataFrame, entry: Entry) -> pd.DataFrame:
        """The rows of an entry's setting in `ranking` or `runs`."""
        places = self._known.get(id(frame))
        if places is None:
            places = positions(frame, self.about)
            if frame is self.ranking or frame is self.runs:  # an id is a frame's own only as long as that is there
                self._known[id(frame)] = places
        return frame.iloc[places.get(tuple(entry["setting"].values()), [])]


def positions(frame: pd.DataFrame, about: Mapping[str, Any]) -> Positions:
    """The rows of each setting in the runs or in their ranking, by the values that tell it apart."""
    groups, columns = by_setting(frame, about), varying(about)
    first = frame[columns].iloc[[rows[0] for rows in groups]]
    values = [as_in_the_file(first[column].tolist(), about["axes"][column]) for column in columns]
    return dict(zip(zip(*values, strict=True) if columns else [()] * len(groups), groups, strict=True))


def whole_or_none(value: float) -> int | None:
    """A whole number, which a column with gaps holds as 16.0 and nan."""
    return int(value) if math.isfinite(value) else None


def answer(
    runs: pd.DataFrame,
    read_curves: Read,
    timings: pd.DataFrame,
    about: Mapping[str, Any],
    counts: Mapping[str, int],
    stale: pd.DataFrame | None = None,
    folder: str = "",
    decisions: pd.DataFrame | None = None,
    ranges: pd.DataFrame | None = None,
    ramps: pd.DataFrame | None = None,
    sampled: int | None = 0,
) -> Answer:
    """Ranks the runs and says what to do. Raises UsageError where the runs lack the objective.

    `decisions` are those of elimination, which `sampled` so many examples beside the runs, None where that cannot be
    told; `ranges` and `ramps` are the tables of the range test.
    """
    ranking = rank(runs, about)
    ranking = ranking.join(diagnose(ranking, runs, read_curves, about))
    ranking = ranking.join(cost(ranking, runs, read_curves, timings, about))
    found = profiles(runs, about)
    fits = [fit(profile, lower_is_better(objective_column(about))) for profile in found]
    recommendation = recommend(ranking, about, fits, counts["new"], found)
    spent = None if decisions is None or sampled is None else spent_share(runs, about, sampled)
    more: dict[str, Any] = {"decisions": decisions, "spent": spent, "ranges": ranges, "ramps": ramps}
    cards = deal(Material(about, runs, ranking, recommendation, found, fits, **more))
    checks = check(about, counts, ranking, recommendation)
    shown = (ranking, recommendation, cards, checks, stale, folder)
    return Answer(about, counts, runs, read_curves, timings, *shown, **more)


def spent_share(runs: pd.DataFrame, about: Mapping[str, Any], sampled: int) -> float:
    """The examples that training took, `sampled` ones included, over those that it takes to stop no run.

    A stopped run counts as one that would have been trained to its end, although some of them would have diverged.
    """
    seen = runs.reindex(columns=["examples_seen"])["examples_seen"].astype(float).fillna(0)
    whole = runs["dataset"].map({label: data["n_train"] for label, data in about["datasets"].items()}).astype(float)
    subset = runs["subset"].astype(float)
    rows = (subset * whole).round().clip(lower=1).where(subset <= 1, subset)
    full = seen.mask(runs["status"] == STOPPED, rows * runs["epochs"].astype(float)).sum()
    return float((seen.sum() + sampled) / full) if full else math.nan
