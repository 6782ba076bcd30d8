"""How often the answer from a few seeds holds the truth: ties, the fitted rate's interval, and what a wrong rate costs.

    python tests/studies/redraws.py [--redraws 20] [--draw 3 5] [--seeds 50] [--workers N]

Trains every setting with 50 seeds, which takes two cores 20 s, and takes their means for the truth: the true best rate,
and as the true optimum the fitted rate over all of them. Then it draws 3 or 5 of the seeds, 20 times over, and looks
what lrsweep says of these alone.

The rules in `ranking.py` and `fit.py` (variances pooled from the best rate outwards, the parabola's window, Student's t
with the bootstrap's standard error) were chosen on the first half of the settings. Nothing was chosen on the second;
its figures are the ones to believe. sgd and momentum train nearly alike, so one width of both is in one half. Only the
intervals of means were compared on all settings.

Wine under adam, in the second half, shows the limit: above its best rate most seeds end at a loss of exactly 0 and a
few at 1 or more, so that three seeds seldom show what is wrong with these rates, and no rule could know.

Columns: `tied`, how often the tie interval holds the true best rate; `decades`, its mean length; `worst tied`, how much
higher the true loss is at the worst rate of it, on the average; `fits`, how often there is a fitted rate; of these
`optimum` and `grid best`, how often its interval holds the true optimum and the true best rate, and its mean length;
`regret`, how much higher the true loss is at the best rate and at the fitted rate (interpolated) than at the true best;
`mean`, how often the 95% interval of a rate's mean holds its true mean. Means leave out what does not apply.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

import lrsweep
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import Profile, profiles
from lrsweep.analysis.ranking import by_setting, rank, setting_numbers
from lrsweep.analysis.recommend import label, recommend
from lrsweep.vocabulary import Array

ADAM, MOMENTUM, SGD = "{log: [1e-4, 1], num: 13}", "{log: [1e-4, 1], num: 13}", "{log: [1e-3, 10], num: 13}"
HALVES = {
    "chosen on": [
        f"""
        dataset: digits
        learning_rate: {ADAM}
        blocks:
          - {{width: 16, optimizer: adam}}
          - {{width: 64, optimizer: sgd, learning_rate: {SGD}}}
          - {{width: 64, optimizer: momentum, learning_rate: {MOMENTUM}}}
          - {{dataset: breast_cancer, optimizer: adam}}
          - {{dataset: wine, optimizer: momentum, learning_rate: {MOMENTUM}}}
        """,
        "{dataset: diabetes, optimizer: adam, learning_rate: {log: [1e-5, 0.1], num: 13}}",
    ],
    "checked on": [
        f"""
        dataset: digits
        learning_rate: {ADAM}
        blocks:
          - {{width: 64, optimizer: adam}}
          - {{width: 16, optimizer: sgd, learning_rate: {SGD}}}
          - {{width: 16, optimizer: momentum, learning_rate: {MOMENTUM}}}
          - {{dataset: breast_cancer, optimizer: sgd, learning_rate: {SGD}}}
          - {{dataset: wine, optimizer: adam}}
        """,
        "{dataset: diabetes, optimizer: momentum, learning_rate: {log: [1e-5, 0.1], num: 13}}",
    ],
}
"""Sweep files; 13 rates over four decades, 10 epochs."""

COLUMNS = ("tied", "decades", "worst tied", "fits", "optimum", "grid best", "decades", "regret", "fitted", "mean")
PER_CENT = {0, 2, 3, 4, 5, 7, 8, 9}


@dataclass(frozen=True)
class Truth:
    """What all seeds say of a setting: its rates in decades, their mean losses, and the optimum in decades."""

    decades: Array
    means: Array
    optimum: float | None

    @classmethod
    def of(cls, profile: Profile) -> Truth:
        """A rate that loses a seed has no mean."""
        found = fit(profile, lower_is_better=True).rate
        means = np.where(np.isnan(profile.values).any(axis=1), np.inf, profile.values.mean(axis=1))
        return cls(np.log10(profile.rates), means, None if found is None else float(np.log10(found)))

    @property
    def best(self) -> float:
        """The best rate tried, in decades."""
        return float(self.decades[self.means.argmin()])

    def regret(self, decade: float) -> float:
        """How much higher the loss is than at the best rate tried; between rates by a monotone cubic of its log."""
        whole = np.isfinite(self.means)
        loss = PchipInterpolator(self.decades[whole], np.log(self.means[whole]), extrapolate=False)(decade)
        return float(np.exp(loss) / self.means.min() - 1)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--redraws", type=int, default=20)
    parser.add_argument("--draw", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--workers", type=int)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    for half, sweeps in HALVES.items():
        trained = [train(text, options.seeds, options.workers) for text in sweeps]
        for n in options.draw:
            table = {}
            for runs, about in trained:
                table |= redrawn(runs, about, n, options.redraws, random)
            show(f"{half}, {options.redraws} redraws of {n} seeds", table)


def train(text: str, seeds: int, workers: int | None) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The runs of a sweep, and what is told about it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "redraws.yaml"
        path.write_text(text)
        overrides = [f"seeds={seeds}", "epochs=10"]
        answer = lrsweep.run(path, results=folder, overrides=overrides, workers=workers).answer
    return answer.runs, answer.about


def redrawn(
    runs: pd.DataFrame, about: Mapping[str, Any], n: int, redraws: int, random: np.random.Generator
) -> dict[str, Array]:
    """The mean of each of COLUMNS for each setting."""
    truths = [Truth.of(profile) for profile in profiles(runs, about)]
    numbers = np.broadcast_to(np.asarray(setting_numbers(runs, about)), len(runs))
    rows: list[list[Sequence[float]]] = [[] for _ in truths]
    for _ in range(redraws):
        drawn = np.array([random.permutation(len(about["axes"]["seed"])) for _ in truths]) < n  # (settings, seeds)
        some = runs[drawn[numbers, runs["seed"].to_numpy()]]
        ranking = rank(some, about)
        fits = [fit(profile, lower_is_better=True) for profile in profiles(some, about)]
        entries = recommend(ranking, about, fits)["settings"]
        settings = [profile.setting for profile in profiles(some, about)]
        for number, places in enumerate(by_setting(ranking, about)):
            [entry] = [one for one in entries if one["setting"] == settings[number]]
            rows[number].append(judge(truths[number], entry, ranking.iloc[places]))
    names = [name(profile.setting, runs) for profile in profiles(runs, about)]
    return {one: np.nanmean(np.array(found), axis=0) for one, found in zip(names, rows, strict=True)}


def name(setting: Mapping[str, Any], runs: pd.DataFrame) -> str:
    """A setting in words, with its dataset."""
    return f"{setting.get('dataset', runs['dataset'].iloc[0])}, {label(setting, str(runs['optimizer'].iloc[0]))}"


def judge(truth: Truth, entry: Mapping[str, Any], ranking: pd.DataFrame) -> list[float]:
    """What one redraw adds to COLUMNS; nan where it has nothing to say."""
    low, high = np.log10(entry["tie_interval"])
    tied = (low <= truth.decades) & (truth.decades <= high)
    worst = truth.means[tied & np.isfinite(truth.means)].max() / truth.means.min() - 1
    fitted = [np.nan] * 4
    if entry["fitted_interval"] is not None and truth.optimum is not None:
        start, end = np.log10(entry["fitted_interval"])
        at_grid = start - 1e-9 <= truth.best <= end + 1e-9
        fitted = [start <= truth.optimum <= end, at_grid, end - start, truth.regret(np.log10(entry["fitted_rate"]))]
    known = np.isfinite(truth.means) & ranking["objective_low"].notna().to_numpy()
    inside = (ranking["objective_low"] <= truth.means) & (truth.means <= ranking["objective_high"])
    regret = truth.regret(np.log10(entry["best_rate"]))
    ties = [low <= truth.best <= high, high - low, worst]
    return [*ties, entry["fitted_rate"] is not None, *fitted[:3], regret, fitted[3], inside.to_numpy()[known].mean()]


def show(title: str, table: Mapping[str, Array]) -> None:
    """A row per setting, and their mean."""
    print(f"\n{title}")
    print(f"{'':28}{'ties':^30}{'fitted rate':^40}{'regret':^20}")
    print(f"{'':28}" + "".join(f"{column:>10}" for column in (*COLUMNS[:7], "best", "fitted", "mean")))
    for one, row in {**table, "mean": np.mean(list(table.values()), axis=0)}.items():
        cells = [f"{value:.1%}" if i in PER_CENT else f"{value:.2f}" for i, value in enumerate(row)]
        print(f"{one:28}" + "".join(f"{cell:>10}" for cell in cells))


if __name__ == "__main__":
    main()
