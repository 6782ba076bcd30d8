"""Small made-up sweeps: the frames and the `about` that the store would give for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from lrsweep.analysis.answer import Answer, answer
from lrsweep.analysis.curves import Read
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import lower_is_better, objective_column, rank
from lrsweep.analysis.recommend import recommend
from lrsweep.vocabulary import DIVERGED, FINISHED

Values = Mapping[float, Sequence[float | None]]
"""rate → the objective by seed; None where the run diverged."""

UNTRAINED = 2.3
VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7]}


def rows(values: Values, column: str = "val_loss", **setting: Any) -> list[dict[str, Any]]:
    """The rows of runs.csv for one setting."""
    return [
        {
            "status": FINISHED if value is not None else DIVERGED,
            "reason": "" if value is not None else "loss or weights not finite in epoch 1",
            **{"dataset": "digits", "optimizer": "adam", **setting},
            "learning_rate": rate,
            "seed": seed,
            "n_train": 1079,
            "train_loss": value,
            "initial_loss": UNTRAINED,
            "val_accuracy": None if value is None else 0.9,
            "test_loss": value,
            "test_accuracy": None if value is None else 0.8 + 0.01 * seed,
            column: value,
        }
        for rate, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    ]


def frame(*settings: list[dict[str, Any]]) -> pd.DataFrame:
    """runs.csv."""
    table = pd.DataFrame([row for setting in settings for row in setting])
    metrics = [column for column in table if column.endswith(("_loss", "_accuracy", "_r2"))]
    table = table.astype(dict.fromkeys(metrics, float))
    table.insert(0, "run_id", [f"r{i}" for i in range(len(table))])
    return table


def about(runs: pd.DataFrame, **told: Any) -> dict[str, Any]:
    """What the conductor stores beside such runs."""
    after = ["learning_rate", "seed"]
    settings = [*runs.columns[3 : runs.columns.get_loc("learning_rate")]]
    values = {column: [None if v != v else v for v in runs[column].unique().tolist()] for column in [*settings, *after]}
    axes = {column: found for column, found in values.items() if len(found) > 1 or column in after}
    known = {"n_rows": 1797, "n_train": 1079, "task": "classification", "n_features": 64, "n_classes": 10}
    return {
        "name": "made-up",
        "description": "",
        "objective": "val_loss",
        "select": "final",
        "axes": axes,
        "settings": settings,
        "datasets": dict.fromkeys(runs["dataset"].unique().tolist(), known),
        "spec_path": "sweeps/made-up.yaml",
        **told,
    }


def counts(runs: pd.DataFrame) -> dict[str, int]:
    """What the store counts."""
    statuses = ("finished", "diverged", "stopped", "failed", "crashed")
    found = {status: int((runs["status"] == status).sum()) for status in statuses}
    return {"done": len(runs), "new": 0, "stale": 0, "other_numerics": 0, **found}


def curves(runs: pd.DataFrame) -> pd.DataFrame:
    """curves.csv: each run goes from untrained to its end in two epochs."""
    return pd.DataFrame(
        [
            {"run_id": run_id, "epoch": epoch, "val_loss": value}
            for run_id, end in zip(runs["run_id"], runs["val_loss"], strict=True)
            for epoch, value in enumerate((UNTRAINED, (UNTRAINED + end) / 2, end))
        ],
        columns=["run_id", "epoch", "val_loss"],
    )


def reading(curves: pd.DataFrame) -> Read:
    """Curves that are in memory, read like those that are not."""
    return lambda run_ids: curves[curves["run_id"].isin(run_ids)]


def timings(runs: pd.DataFrame) -> pd.DataFrame:
    """timings.csv: every run took a second."""
    return runs[["run_id"]].assign(seconds=1.0, worker=0, attempt=0)


def answered(*settings: list[dict[str, Any]], **told: Any) -> Answer:
    """The whole answer to a made-up sweep."""
    runs = frame(*settings)
    return answer(runs, reading(curves(runs)), timings(runs), about(runs, **told), counts(runs))


Curve = tuple[Sequence[float], Sequence[float]]
"""Training and validation loss by epoch, untrained first."""


def trained(by_rate: Mapping[float, Sequence[Curve | str]], **setting: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """runs.csv and curves.csv of one setting: a curve per seed, or the status of a run that has none.

    A run whose curve ends with nan has diverged. An epoch has 10 steps.
    """
    ends = {rate: [0.0 if isinstance(one, str) else one[1][-1] for one in seeds] for rate, seeds in by_rate.items()}
    runs = frame(rows(ends, **setting))
    each = [one for seeds in by_rate.values() for one in seeds]
    has = [not isinstance(one, str) for one in each]
    lost = [one[0][-1] != one[0][-1] for one in each if not isinstance(one, str)]
    runs.loc[has, "status"] = [DIVERGED if one else FINISHED for one in lost]
    runs.loc[[not one for one in has], "status"] = [one for one in each if isinstance(one, str)]
    runs.loc[has, "train_loss"] = [one[0][-1] for one in each if not isinstance(one, str)]
    runs.loc[has, "initial_loss"] = [one[0][0] for one in each if not isinstance(one, str)]
    parts = [
        pd.DataFrame({"run_id": run_id, "epoch": range(len(one[0])), "train_loss": one[0], "val_loss": one[1]})
        for run_id, one in zip(runs["run_id"], each, strict=True)
        if not isinstance(one, str)
    ]
    noted = pd.concat(parts, ignore_index=True)
    return runs, noted.assign(step=10 * noted["epoch"], learning_rate=0.1).astype({"train_loss": float})


def document(runs: pd.DataFrame, told: dict[str, Any], missing: int = 0, diagnosis: str = "") -> dict[str, Any]:
    """recommendation.json of some runs; with a diagnosis, every rate has it."""
    ranking = rank(runs, told).assign(**{"diagnosis": diagnosis} if diagnosis else {})
    lower = lower_is_better(objective_column(told))
    found = profiles(runs, told)
    return recommend(ranking, told, [fit(profile, lower) for profile in found], missing, found)


def entries(*settings: list[dict[str, Any]], diagnosis: str = "", **told: Any) -> list[dict[str, Any]]:
    runs = frame(*settings)
    found: list[dict[str, Any]] = document(runs, about(runs, **told), diagnosis=diagnosis)["settings"]
    return found


def entry(*settings: list[dict[str, Any]], **told: Any) -> dict[str, Any]:
    return entries(*settings, **told)[0]


def doubts(*settings: list[dict[str, Any]], **told: Any) -> list[str]:
    advice: str = entry(*settings, **told)["advice"]
    return advice.split("\n")[1:]
