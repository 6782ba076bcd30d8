"""How often the best rate survives screening and successive halving, and at what share of the full grid's cost.

    python tests/studies/elimination.py [--folder FOLDER] [--workers N] [--objective val_loss] [--curves CSV]

Trains 44 settings at 20 rates over 5 decades with 5 seeds for 20 epochs, and their samples, once: two cores take 3 to 5
minutes, and with the same folder the next time takes seconds. The rules of `analysis/elimination.py` are then replayed
on the curves. Cost is epochs × rows, samples included, over that of the full grid, in which diverged runs cost less.
Rules and defaults were chosen on the first half of the settings, by survival, then cost and harm. The second half's
figures were seen on the way, but did not decide. Twelve settings more, of digits and breast_cancer, with rates over 6
decades, were looked at when all was chosen: both stages kept 12 of 12 at 29%, halving alone 12 of 12 at 33%.

Found, objective val_loss: how often the full grid's best rate or one tied with it is left, and at what cost

                                             chosen on          checked on
    screening (0.1 of the rows, 3 epochs)    100%  at 55%       100%  at 55%
    halving (factor 2, min 1, guard 3)        95%  at 33%        95%  at 30%
    both                                      95%  at 29%        95%  at 27%
    both, guard 2                             91%  at 26%        91%  at 24%
    both, guard 1                             86%  at 21%        86%  at 21%
    both, guard 0                             86%  at 19%        86%  at 19%
    halving, factor 3, min 3, guard 3         95%  at 43%        95%  at 41%
    halving by rank and guard alone           77%  at 30%        86%  at 28%

The two settings that are missed are wine under adam, where the best of five seeds is luck: its final losses are nearly
0, and what is left is behind by 0.1% and 0.4% of the way from untrained to best. None is behind by more than 0.5%.
In half of the settings the best rate that is left is the lowest one trained in full, though mostly it is also the best
of the full grid. Keeping one grid step more below the leader at every rung makes that a quarter, for 4% more cost.

What was learnt. Short budgets favour small rates by training loss, but large ones by validation loss, where the best
rate falls as epochs pass: after one epoch of 20 it is up to 4 grid steps above the final one, after 9 one step. The
share of the steps bounds how far. Hence what stays below the leader; first rungs as early as one epoch then do no harm.
With 1.0 in place of WAY the sample is too bold; seeds beyond two add nothing. Ranking by geometric means, which forgive
a bad seed, is right about wine and wrong by up to several times the way elsewhere.
By val_accuracy, where ties are wide, 100% are left at 26% and 27%. By train_loss 64% and 73%, at 18% and 19%, behind by
0.7% and 0.3% of the way on average: with that objective start later, at 3 or 5 epochs.
Halving over subsets starts anew at each rung: 91% and 100% at 59%, after screening at 47%. With factor 3 the same at
49% and 41%.

The public curves (training loss, one seed, 20 rates that are half as far apart; cost over all epochs): factor 3, min 1
without guard keeps the best in 3 of 12, with guard 3 in 8 at 24%, of which the last rung's bracket is 1%; factor 2 from
5 epochs in 12 at 46%; the defaults in 9 at 26%, with min 3 in 12 at 37%.

Columns: `best`, `tied`, `cost`; `worse`, the share of the way from untrained to the best final objective that is lost,
its mean and the `most` of a setting; `left`, rates trained in full.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from public_curves import CURVES, KEYS, UNTRAINED

import lrsweep
from lrsweep.analysis.diagnosis import chance
from lrsweep.analysis.elimination import (
    Decision,
    Halving,
    Screen,
    Trial,
    halved,
    rungs,
    screened,
    stage_objective,
    trial,
)
from lrsweep.analysis.ranking import lower_is_better, rank
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, Array

EPOCHS, SEEDS, RATES = 20, 5, 20

HALVES = {
    "chosen on": (
        *("digits sgd 16", "digits momentum 64", "digits momentum 256", "digits adam 256"),
        *("breast_cancer sgd 64", "breast_cancer sgd 256", "breast_cancer momentum 64"),
        *("breast_cancer adam 16", "breast_cancer adam 256"),
        *("wine sgd 16", "wine momentum 16", "wine momentum 256", "wine adam 64"),
        *("diabetes sgd 64", "diabetes sgd 256", "diabetes momentum 64", "diabetes adam 16", "diabetes adam 256"),
        "iris momentum 256",
        "digits momentum 256, schedule: cosine",
        "digits adam 16, subset: 200, batch_size: 16",
        "digits sgd 64, depth: 2, activation: tanh",
    ),
    "checked on": (
        *("digits sgd 64", "digits sgd 256", "digits momentum 16", "digits adam 16", "digits adam 64"),
        *("breast_cancer sgd 16", "breast_cancer momentum 16", "breast_cancer momentum 256", "breast_cancer adam 64"),
        *("wine sgd 64", "wine sgd 256", "wine momentum 64", "wine adam 16", "wine adam 256"),
        *("diabetes sgd 16", "diabetes momentum 16", "diabetes momentum 256", "diabetes adam 64"),
        "iris sgd 64",
        "digits adam 256, schedule: one_cycle",
        "digits momentum 64, subset: 200, batch_size: 16",
        "digits adam 16, depth: 2, activation: tanh",
    ),
}
"""Settings by data set, optimizer, width and what else; no three of these are in both halves, but for what else is."""

DECADES = {"sgd": (-4, 1), "momentum": (-5, 0), "adam": (-5, 0)}
"""The ends of each optimizer's grid."""

SCREENS = [Screen(), Screen(seeds=1), Screen(seeds=5), Screen(epochs=5), Screen(subset=0.2), Screen(epochs=1)]
"""Samples; the first is the default."""

HALVINGS = [
    *(Halving(factor, min=least, guard=guard) for factor in (2, 3) for least in (1, 3) for guard in (0, 1, 2, 3)),
    *(Halving(factor, min=least) for factor in (2, 3) for least in (2, 5)),
    *(Halving(4, min=least) for least in (1, 2, 3, 5)),
]
BY_SUBSET = [
    Halving(factor, "subset", least, guard)
    for factor, least in ((2, 0.1), (2, 0.2), (3, 0.1))
    for guard in (0, 1, 2, 3)
]
PUBLIC = [
    *(Halving(3, min=1, guard=guard) for guard in (0, 3)),
    *(Halving(2, min=5, guard=guard) for guard in (0, 3)),
    *(Halving(2, min=least, guard=guard) for least in (1, 3) for guard in (0, 1, 2, 3, 4, 5)),
]


@dataclass(frozen=True)
class Grid:
    """Runs of K rates, ascending, and S seeds, E epochs long.

    `curves` (K, S, E + 1, len(CURVE_COLUMNS)) are nan where a run ended before. `done` (K, S) are the epochs that it
    trained, `sound` (K, S) those after which it was still finite. `means` (K,) is the final objective, infinitely bad
    with a lost seed, and `tied` (K,) tells the best rate and those that cannot be told from it. `examples` are what a
    full run trains on, `steps` those that it takes.
    """

    rates: Array
    curves: Array
    done: Array
    sound: Array
    means: Array
    tied: Array
    n_train: int
    steps: int
    chance: float

    @property
    def cost(self) -> Array:
        """Epochs × rows of each run, (K, S)."""
        return np.asarray(self.done * self.n_train)

    def trial(self, alive: Sequence[int], epochs: int, objective: str, share: float, seeds: int = SEEDS) -> Trial:
        """What a stage sees of some of the rates after so many epochs."""
        seen = [
            [
                self.curves[k, s, : epochs + 1] if self.sound[k, s] >= epochs else None
                for s in range(min(seeds, self.done.shape[1]))
            ]
            for k in alive
        ]
        return trial(self.rates[alive], alive, seen, objective, "final", self.chance, share)


def recorded(case: Case, subset: float = 1.0, epochs: int = EPOCHS) -> Grid:
    """The runs of a case on a part of its rows, trained unless the folder has them."""
    stem = "-".join([*case.setting.values(), f"{subset:g}", str(epochs)])
    file = case.folder / f"{stem}.{case.objective}.npz"
    if not file.exists():
        np.savez(file, **vars(trained(case, case.folder / f"{stem}.yaml", subset, epochs)))
    with np.load(file) as arrays:
        return Grid(**{name: arrays[name] if arrays[name].ndim else arrays[name].item() for name in arrays})


def trained(case: Case, path: Path, subset: float, epochs: int) -> Grid:
    """Trains a setting at all its rates, or reads the runs that are there."""
    setting = case.setting
    low, high = DECADES[setting["optimizer"]]
    rows = float(setting.get("subset", 1.0)) * subset
    setting |= {"subset": f"{rows:.0f}" if rows > 1 else f"{rows:g}", "epochs": str(epochs), "seeds": str(SEEDS)}
    keys = ", ".join(f"{key}: {value}" for key, value in setting.items())
    path.write_text(f"{{{keys}, learning_rate: {{log: [1e{low}, 1e{high}], num: {RATES}}}}}")
    answer = lrsweep.run(path, results=path.parent, workers=case.workers).answer
    runs, names = answer.runs, [name if name in answer.curves else "val_r2" for name in CURVE_COLUMNS]
    objective = case.objective if case.objective in runs else "val_r2"
    ranking = rank(runs, {**answer.about, "objective": objective}).sort_values("learning_rate")
    rates, at = np.unique(runs["learning_rate"], return_inverse=True)
    curves = np.full((len(rates), SEEDS, epochs + 1, len(CURVE_COLUMNS)), np.nan)
    by_run = dict(tuple(answer.curves.groupby("run_id")[names]))
    for k, seed, run_id in zip(at, runs["seed"], runs["run_id"], strict=True):
        curves[k, seed, : len(by_run[run_id])] = by_run[run_id]
    done, lost = np.zeros((2, len(rates), SEEDS), int)
    done[at, runs["seed"]], lost[at, runs["seed"]] = runs["epochs_done"], runs["status"] == DIVERGED
    means, tied = ranking["objective_mean"].to_numpy(), ranking["tied"].to_numpy(bool)
    known = (int(runs["n_train"].iloc[0]), int(runs["steps"].max()), float(chance(runs, answer.about)[0]))
    return Grid(rates, curves, done, done - lost, means, tied, *known)


def public(path: Path) -> list[Grid]:
    """The public curves of training losses: a grid for each parametrization and width, one seed."""
    grids = []
    for _, table in pd.read_csv(path).groupby(KEYS[:2], sort=False):
        losses = table.pivot(index="log2_learning_rate", columns="epoch", values="train_loss").sort_index()
        curves = np.full((len(losses), 1, EPOCHS + 1, len(CURVE_COLUMNS)), np.nan)
        curves[:, 0, 0, CURVE_COLUMNS.index("train_loss")] = UNTRAINED
        curves[:, 0, 1:, CURVE_COLUMNS.index("train_loss")] = losses
        ends = table.groupby("log2_learning_rate")["epoch"].max().to_numpy()[:, None]
        sound = losses.notna().sum(axis=1).to_numpy()[:, None]
        means = losses[EPOCHS].fillna(np.inf).to_numpy()
        known = (means, means == means.min(), 1, EPOCHS, UNTRAINED)
        grids.append(Grid(2.0 ** losses.index.to_numpy(), curves, np.maximum(ends, sound), sound, *known))
    return grids


@dataclass(frozen=True)
class Case:
    """A setting, an objective, and where its runs are kept."""

    text: str
    objective: str
    folder: Path
    workers: int | None

    @property
    def setting(self) -> dict[str, str]:
        """Its keys as a sweep file has them."""
        plain, *more = self.text.split(", ")
        own = dict(zip(("dataset", "optimizer", "width"), plain.split(), strict=True))
        return own | dict(part.split(": ") for part in more)

    @functools.cached_property
    def grid(self) -> Grid:
        """Its runs in full."""
        return recorded(self)

    def sample(self, subset: float, epochs: int) -> Grid:
        """Its runs on a part of its rows, over so many epochs."""
        return recorded(self, subset, epochs)


Found = tuple[list[int], float]
"""The rates that are left, by their places, and what was spent on those that are not, and on samples."""


def screen(case: Case, first: Screen | None) -> Found:
    """What screening leaves, if there is any."""
    grid, every = case.grid, [*range(len(case.grid.rates))]
    if first is None:
        return every, 0.0
    sample = case.sample(first.subset, first.epochs)
    seen = sample.trial(every, first.epochs, case.objective, sample.steps / grid.steps, first.seeds)
    return kept(every, screened(seen)), float(sample.cost[:, : first.seeds].sum())


def halve(case: Case, halving: Halving, first: Screen | None = None, reach: bool = True) -> Found:
    """What halving over epochs leaves, after a screen perhaps; without `reach` by rank and guard alone."""
    return narrowed(case.grid, case.objective, halving, screen(case, first), reach)


def narrowed(grid: Grid, objective: str, halving: Halving, found: Found, reach: bool = True) -> Found:
    """What halving over epochs leaves of some rates."""
    alive, spent = found
    for rung in rungs(halving, EPOCHS):
        seen = grid.trial(alive, rung, objective, rung / EPOCHS)
        left = kept(alive, halved(seen if reach else replace(seen, validated=False), halving))
        gone = [k for k in alive if k not in left]
        spent += float(np.minimum(grid.done[gone], rung).sum() * grid.n_train)
        alive = left
    return alive, spent


def halve_subsets(case: Case, halving: Halving, first: Screen | None = None) -> Found:
    """What halving over subsets leaves, after a screen perhaps."""
    alive, spent = screen(case, first)
    for rung in rungs(halving, 1000):
        sample = case.sample(rung / 1000, EPOCHS)
        spent += float(sample.cost[alive].sum())
        seen = sample.trial(alive, EPOCHS, case.objective, sample.steps / case.grid.steps)
        alive = kept(alive, halved(seen, halving))
    return alive, spent


def kept(alive: Sequence[int], decisions: Sequence[Decision]) -> list[int]:
    """The rates, by their places, that go on."""
    return [k for k, decision in zip(alive, decisions, strict=True) if decision.kept]


def judge(grid: Grid, objective: str, found: Found) -> list[float]:
    """Whether the best rate is left, or one tied with it, at what share of the cost; how much of the way from untrained
    to the best is lost; how many rates are left."""
    (alive, spent), sign = found, 1 if lower_is_better(objective) else -1
    means, column = sign * grid.means, CURVE_COLUMNS.index(stage_objective(objective))
    best, left, start = means.min(), means[alive].min(), sign * grid.curves[:, :, 0, column].mean()
    cost = (spent + grid.cost[alive].sum()) / grid.cost.sum()
    return [means.argmin() in alive, grid.tied[alive].any(), cost, (left - best) / (start - best), len(alive)]


COLUMNS = ("best", "tied", "cost", "worse", "most", "left")


def heading(title: str) -> None:
    """The title of a table, and what its columns are."""
    print(f"\n{title:44}" + "".join(f"{half:>45}" for half in HALVES))
    print(" " * 44 + "".join(f"{name:>{10 if name == 'best' else 7}}" for name in COLUMNS) * len(HALVES))


def show(title: str, halves: Sequence[Sequence[Case]], rule: Callable[[Case], Found]) -> None:
    """A line: the means over the settings of each half, and the greatest harm."""
    cells = ""
    for cases in halves:
        rows = np.array([judge(case.grid, case.objective, rule(case)) for case in cases], float)
        best, tied, cost, worse, left = rows.mean(axis=0)
        cells += f"{best:>10.0%}{tied:>7.0%}{cost:>7.1%}{worse:>7.2%}{rows[:, 3].max():>7.1%}{left:>7.1f}"
    print(f"{title:44}{cells}", flush=True)


def tables(halves: Sequence[Sequence[Case]]) -> None:
    """The tables of our own settings."""
    heading("screening alone: subset, epochs, seeds")
    for one in SCREENS:
        show(f"{one.subset:>6}{one.epochs:>6}{one.seeds:>6}", halves, partial(screen, first=one))
    heading("halving over epochs: factor, min, guard")
    for halving in HALVINGS:
        show(named(halving), halves, partial(halve, halving=halving))
    heading("the same, by rank and guard alone")
    for halving in HALVINGS[:16]:
        show(named(halving), halves, partial(halve, halving=halving, reach=False))
    heading("screening first, then halving over epochs")
    for halving in HALVINGS:
        show(named(halving), halves, partial(halve, halving=halving, first=Screen()))
    heading("halving over subsets")
    for halving in BY_SUBSET:
        show(named(halving), halves, partial(halve_subsets, halving=halving))
    heading("screening first, then halving over subsets")
    for halving in BY_SUBSET:
        show(named(halving), halves, partial(halve_subsets, halving=halving, first=Screen()))
    print()
    missed(halves)


def missed(halves: Sequence[Sequence[Case]]) -> None:
    """The settings in which the defaults lose the best rate and all that are tied with it."""
    for title, first in (("halving alone", None), ("screening and halving", Screen())):
        for case in (case for cases in halves for case in cases):
            _, tied, _, worse, _ = judge(case.grid, case.objective, halve(case, Halving(), first))
            if not tied:
                print(f"missed by {title}: {case.text}, {worse:.2%} of the way worse")


def named(halving: Halving) -> str:
    """Factor, first rung and guard."""
    return f"{halving.factor:>6}{halving.min:>6}{halving.guard:>6}"


def public_table(grids: Sequence[Grid]) -> None:
    """What halving does on the public curves; cost over that of all rates and epochs, as if none had diverged."""
    print(f"\n{'public training losses: factor, min, guard':44}{'best':>10}{'cost':>7}")
    for halving in PUBLIC:
        best, cost = 0, 0.0
        for grid in grids:
            alive, spent = narrowed(grid, "train_loss", halving, ([*range(len(grid.rates))], 0.0))
            best += int(grid.tied[alive].any())
            cost += (spent + grid.cost[alive].sum()) / (grid.done.size * EPOCHS)
        print(f"{named(halving):44}{f'{best} of {len(grids)}':>10}{cost / len(grids):>7.1%}")


def main() -> None:
    """Trains what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="where runs are kept: the second time takes seconds")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--objective", default="val_loss", choices=["val_loss", "val_accuracy", "train_loss"])
    parser.add_argument("--curves", type=Path, default=CURVES, help="the public curves, if they are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        told = (options.objective, folder, options.workers)
        tables([[Case(text, *told) for text in half] for half in HALVES.values()])
    if options.curves.exists():
        public_table(public(options.curves))


if __name__ == "__main__":
    main()
