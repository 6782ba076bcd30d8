"""What to do for each setting: the best rate, how far to trust it, which doubts remain, in numbers and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.fit import Fit
from lrsweep.analysis.profiles import plain
from lrsweep.analysis.ranking import (
    RATE,
    ends_above_untrained,
    lower_is_better,
    objective_column,
    objective_values,
    setting_numbers,
    varying,
)
from lrsweep.vocabulary import CRASHED, FAILED, Scalar

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]
"""What recommendation.json says of one setting; `advice` has a sentence a line, the one to act on first."""

SELF_EXPLANATORY = ("dataset", "optimizer", "schedule", "activation")
"""Settings whose value needs no name before it."""

MOST_ADDED = 4
"""Rates that are proposed beyond an edge: a decade in the grid's own steps, but no more than this."""


def recommend(
    ranking: pd.DataFrame,
    runs: pd.DataFrame,
    about: Mapping[str, Any],
    fits: Sequence[Fit],
    complete: bool = True,
) -> dict[str, Any]:
    """The document of recommendation.json: settings best first, dataset by dataset, as losses compare only within one.

    While the sweep is not `complete`, settings with more runs come before those that may owe their place to having few.
    What cannot be said is None, with the reason in `advice`.
    """
    column = objective_column(about)
    sign = 1 if lower_is_better(column) else -1
    datasets = [*about["datasets"]]
    settings = []
    for rates, trained in zip(_by_setting(ranking, about), _by_setting(runs, about), strict=True):
        best = rates[rates["rank"] == 1].iloc[0]
        few = 0 if complete else -len(trained)
        order = (datasets.index(best["dataset"]), few, best["n_lost"], sign * best["objective_mean"])
        settings.append((order, _entry(rates, trained, about)))
    entries = [entry for _, entry in sorted(settings, key=lambda pair: pair[0])]
    return {"schema_version": 1, "sweep": about["name"], "objective": column, "settings": entries}


def label(setting: Mapping[str, Scalar | None], default: str) -> str:
    """A setting in words, without its dataset; `default` where nothing else tells it apart.

    >>> label({"dataset": "iris", "optimizer": "adam", "width": 64, "clip_norm": None}, "adam")
    'adam, width 64, no clip_norm'
    """
    words = []
    for column, value in setting.items():
        if value is None:
            words += [] if "." in column else [f"no {column}"]
        elif column != "dataset":
            words.append(str(value) if column in SELF_EXPLANATORY else f"{column.split('.')[-1]} {value}")
    return ", ".join(words) or default


def written(rate: float) -> str:
    """A rate as people write it: three digits are more than anyone needs.

    >>> written(0.00316228), written(1.0), written(3.16228e-05), written(1000.0), written(1e300)
    ('0.00316', '1', '3.16e-05', '1000', '1e+300')
    """
    return f"{rate:.0f}" if 999.5 <= rate < 1e6 else f"{rate:.3g}"


def _by_setting(frame: pd.DataFrame, about: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """The rows of each setting, in order of appearance."""
    numbered = frame.assign(group=setting_numbers(frame, about))
    return (rows for _, rows in numbered.groupby("group"))


def _entry(rates: pd.DataFrame, runs: pd.DataFrame, about: Mapping[str, Any]) -> Entry:
    best = rates[rates["rank"] == 1].iloc[0]
    told = best["n_lost"] < best["n_seeds"]
    finished = int(best["n_seeds"] - best["n_lost"])
    grid = rates[RATE].tolist()
    at = grid.index(best[RATE])
    stable = _stable(runs, about)
    highest_stable = grid[stable - 1] if stable else None
    edge = ("low" if at == 0 else "high" if at == len(grid) - 1 else "none") if told and len(grid) > 1 else None
    score = "r2" if about["datasets"][best["dataset"]]["task"] == "regression" else "accuracy"
    chosen = runs[runs[RATE] == best[RATE]].reindex(columns=["test_loss", f"test_{score}"])
    tests = chosen.astype(float).mean(skipna=False) if told and not best["n_lost"] else {}
    entry: Entry = {
        "setting": {column: plain(best[column], about["axes"][column]) for column in varying(about)},
        "best_rate": float(best[RATE]) if told else None,
        "tie_interval": _tie_interval(grid, rates["tied"].tolist(), at) if finished > 1 and len(grid) > 1 else None,
        "edge": edge,
        "bracketed": edge == "none",
        "highest_stable_rate": highest_stable,
        "best_over_highest_stable": float(best[RATE]) / highest_stable if told and highest_stable else None,
        "objective_mean": _finite(best["objective_mean"]),
        "n_seeds": int(best["n_seeds"]),
        "test_loss": _finite(tests.get("test_loss", math.nan)),
        f"test_{score}": _finite(tests.get(f"test_{score}", math.nan)),
    }
    doubts = _doubts(entry, grid, stable, int(best["n_lost"]), runs)
    return entry | {"advice": "\n".join([*_action(entry, str(best["optimizer"])), *doubts])}


def _stable(runs: pd.DataFrame, about: Mapping[str, Any]) -> int:
    """How many rates, from the lowest on, train without a seed that is lost or ends above its untrained loss."""
    stable = objective_values(runs, about).notna() & ~ends_above_untrained(runs)
    mishap = runs["status"].isin([FAILED, CRASHED])  # says nothing about the rate, unless there is nothing else
    known = stable[~mishap].groupby(runs[RATE]).all()
    return int(known.reindex(sorted(set(runs[RATE])), fill_value=False).cummin().sum())


def _tie_interval(grid: Sequence[float], tied: Sequence[bool], at: int) -> list[float]:
    """The lowest and highest rate of the unbroken row of tied ones round the best.

    >>> _tie_interval([0.001, 0.01, 0.1, 1.0], [True, False, True, True], 2)
    [0.1, 1.0]
    """
    low = high = at
    while low > 0 and tied[low - 1]:
        low -= 1
    while high < len(grid) - 1 and tied[high + 1]:
        high += 1
    return [grid[low], grid[high]]


def _action(entry: Entry, optimizer: str) -> list[str]:
    """The sentence to act on, if anything can be said."""
    if entry["best_rate"] is None:
        return []
    dataset = entry["setting"].get("dataset")
    start = f"For {dataset} use" if dataset else "Use"
    use = f"{start} {label(entry['setting'], optimizer)} at {written(entry['best_rate'])}"
    if entry["tie_interval"] is None:
        return [f"{use}."]
    low, high = entry["tie_interval"]
    others = "no neighbouring rate" if low == high else f"{written(low)} to {written(high)}"
    return [f"{use} ({others} will do as well at {entry['n_seeds']} seeds)."]


def _doubts(entry: Entry, grid: Sequence[float], stable: int, n_lost: int, runs: pd.DataFrame) -> Iterator[str]:
    """What stands against the answer, the gravest first."""
    best, n_seeds = entry["best_rate"], entry["n_seeds"]
    errors = int(runs["status"].isin([FAILED, CRASHED]).sum())
    if best is None:
        lower = "" if errors == len(runs) else f": try lower ones, like {_beyond(grid[::-1])}"
        yield f"No run finished, so no rate can be recommended{lower}."
    elif len(grid) == 1:
        yield "Only one rate was tried, so there is nothing to compare it with."
    elif entry["edge"] in ("low", "high"):
        side, tried = ("lowest", grid[::-1]) if entry["edge"] == "low" else ("highest", grid)
        yield f"The best rate is the {side} tried ({written(best)}), so it is not bracketed: add {_beyond(tried)}."
    if best is not None and n_lost:
        yield f"{n_lost} of {n_seeds} seeds did not finish even at the best rate; those that did decide the order."
    if best is not None and stable == 0:
        yield f"Not even the lowest rate ({written(grid[0])}) trains stably, so there is no highest stable rate."
    elif best is not None and stable < len(grid) and best >= grid[stable - 1]:
        where = "on" if best == grid[stable - 1] else "beyond"
        unstable = f"training is unstable at {written(grid[stable])}"
        yield f"The best rate sits {where} the edge of stability ({unstable}): try warm-up or clipping."
    if best is not None and n_seeds - n_lost == 1:
        yield "One seed tells nothing about ties or spread: use 3 or more."
    elif entry["tie_interval"] == [grid[0], grid[-1]] and len(grid) > 1:
        yield f"No rate can be told from the best by {n_seeds} seeds: use more seeds, or a wider range of rates."
    if errors:
        yield f"{errors} of {len(runs)} runs failed or crashed; they count as worst: mend the cause and retry them."


def _beyond(grid: Sequence[float]) -> str:
    """The rates that continue a grid by its own last step for about a decade; a grid of one by a factor of 10.

    >>> _beyond([0.01, 0.0316228, 0.1]), _beyond([4.0, 2.0, 1.0])
    ('0.316 and 1', '0.5, 0.25 and 0.125')
    """
    step = grid[-1] / grid[-2] if len(grid) > 1 else 0.1
    if not 1e-9 < step < 1e9:  # no grid that anyone would go on with
        step = 10.0 if step > 1 else 0.1
    number = min(MOST_ADDED, max(1, round(1 / abs(math.log10(step)))))
    rates = [written(grid[-1] * step**i) for i in range(1, number + 1)]
    return " and ".join(filter(None, [", ".join(rates[:-1]), rates[-1]]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
