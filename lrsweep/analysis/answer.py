"""The summary of a sweep, computed once and shown by the terminal, the files and the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.cards import Card, Findings, deal
from lrsweep.analysis.cost import cost
from lrsweep.analysis.diagnosis import diagnose
from lrsweep.analysis.expectations import Check, check
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import lower_is_better, objective_column, rank
from lrsweep.analysis.recommend import Entry, label, recommend

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Answer:
    """All that a report shows. `about` is what the conductor stored of the sweep, `counts` are the store's.

    `ranking` has a row per setting and rate, `recommendation` is the document, `cards` say what each axis does,
    `checks` what became of the file's expectations. `stale` are the runs that the sweep file is without; they are not
    ranked. `folder` is where the files are.
    """

    about: Mapping[str, Any]
    counts: Mapping[str, int]
    runs: pd.DataFrame
    curves: pd.DataFrame
    timings: pd.DataFrame
    ranking: pd.DataFrame
    recommendation: dict[str, Any]
    cards: tuple[Card, ...] = ()
    checks: tuple[Check, ...] = ()
    stale: pd.DataFrame | None = None
    folder: str = ""

    def __repr__(self) -> str:
        """The sentence to act on; the frames would fill the screen."""
        said = self.entries[0]["advice"].split("\n")[0] if self.entries else "no run is trained yet"
        return f"<Answer of {self.about['name']}: {said}>"

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

    def document(self) -> dict[str, Any]:
        """What `--json` prints: recommendation.json, with the counts."""
        return {**self.recommendation, "counts": dict(self.counts)}

    def rows(self, frame: pd.DataFrame, entry: Entry) -> pd.DataFrame:
        """The rows of an entry's setting in `ranking` or `runs`."""
        for column, value in entry["setting"].items():
            frame = frame[frame[column].isna() if value is None else frame[column] == value]
        return frame


def answer(
    runs: pd.DataFrame,
    curves: pd.DataFrame,
    timings: pd.DataFrame,
    about: Mapping[str, Any],
    counts: Mapping[str, int],
    stale: pd.DataFrame | None = None,
    folder: str = "",
) -> Answer:
    """Ranks the runs and says what to do. Raises UsageError where the runs lack the objective."""
    ranking = rank(runs, about)
    ranking = ranking.join(diagnose(ranking, runs, curves, about)).join(cost(ranking, runs, curves, timings, about))
    found = profiles(runs, about)
    fits = [fit(profile, lower_is_better(objective_column(about))) for profile in found]
    recommendation = recommend(ranking, runs, about, fits, not counts["new"])
    cards = deal(Findings(about, runs, ranking, recommendation, found, fits))
    checks = check(about, counts, ranking, recommendation)
    return Answer(about, counts, runs, curves, timings, ranking, recommendation, cards, checks, stale, folder)
