"""The whole analysis on 240 loss curves that were measured elsewhere: `python tests/studies/public_curves.py [CSV]`.

The curves are those of an MLP 3072-w-w-10 on CIFAR-10 under plain SGD, widths 256 to 8192, 20 rates, standard and muP,
one seed, printed in the notebook examples/MLP/demo.ipynb of microsoft/mup (MIT licence). The file has
`parametrization, width, log2_learning_rate, epoch, train_loss`, and is no part of this project.

What is known of a run is its training loss per epoch and no more, so that is the objective; validation and norms are
nan, and there is no test. The untrained loss is taken as ln 10, that of ten classes equally likely. A run whose curve
ends before the 20 epochs, or at nan, diverged.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lrsweep.analysis.answer import Answer, answer
from lrsweep.vocabulary import DIVERGED, FINISHED

CURVES = Path(__file__).parents[3] / "shared" / "data" / "mup_mlp_demo.csv"
EPOCHS, N_TRAIN, BATCH = 20, 50_000, 64
UNTRAINED = math.log(10)
KEYS = ["parametrization", "width", "log2_learning_rate"]


def runs_of(table: pd.DataFrame) -> pd.DataFrame:
    """runs.csv, as far as it is known."""
    by = table.groupby(KEYS, sort=False)["train_loss"]
    ends = by.agg(lambda losses: losses.iloc[-1])
    finished = (by.size() == EPOCHS) & np.isfinite(ends)
    runs = ends.rename("train_loss").where(finished).reset_index()
    epochs = by.count().to_numpy()
    runs = runs.assign(
        status=np.where(finished, FINISHED, DIVERGED),
        reason=np.where(finished, "", "loss not finite"),
        dataset="cifar10",
        optimizer="sgd",
        epochs=EPOCHS,
        learning_rate=2.0 ** runs["log2_learning_rate"],
        seed=0,
        n_train=N_TRAIN,
        epochs_done=epochs,
        steps=epochs * -(-N_TRAIN // BATCH),
        examples_seen=epochs * N_TRAIN,
        initial_loss=UNTRAINED,
        **dict.fromkeys(("val_loss", "val_accuracy", "test_loss", "test_accuracy", "max_grad_norm"), np.nan),
    )
    runs.insert(0, "run_id", [f"r{i}" for i in range(len(runs))])
    return runs


def curves_of(table: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """curves.csv; epoch 0 has the assumed untrained loss."""
    known = table.merge(runs[["run_id", *KEYS]], on=KEYS)[["run_id", "epoch", "train_loss"]]
    start = pd.DataFrame({"run_id": runs["run_id"], "epoch": 0, "train_loss": UNTRAINED})
    curves = pd.concat([start, known]).assign(place=lambda frame: frame["run_id"].str[1:].astype(int))
    curves = curves.sort_values(["place", "epoch"], kind="stable").drop(columns="place").reset_index(drop=True)
    nothing = dict.fromkeys(("learning_rate", "val_loss", "val_accuracy", "grad_norm", "update_ratio"), np.nan)
    return curves.assign(step=curves["epoch"] * -(-N_TRAIN // BATCH), **nothing)


def about(runs: pd.DataFrame) -> dict[str, Any]:
    """What the conductor would store."""
    columns = ["parametrization", "width", "learning_rate", "seed"]
    known = {"n_rows": 60_000, "n_train": N_TRAIN, "task": "classification", "n_features": 3072, "n_classes": 10}
    return {
        "name": "mup-mlp-demo",
        "description": "public curves of microsoft/mup",
        "objective": "train_loss",
        "select": "final",
        "task": "classification",
        "axes": {column: list(dict.fromkeys(runs[column].tolist())) for column in columns},
        "settings": ["dataset", "parametrization", "width", "optimizer", "epochs"],
        "datasets": {"cifar10": known},
        "spec_path": "mup-mlp-demo.yaml",
        "overrides": [],
        "expect": [],
    }


def answered(path: Path) -> Answer:
    """The answer to the public curves."""
    table = pd.read_csv(path)
    runs = runs_of(table)
    timings = pd.DataFrame({"run_id": runs["run_id"], "seconds": np.nan})
    counts = {"done": len(runs), "new": 0, "stale": 0, "stopped": 0, "failed": 0, "crashed": 0}
    counts |= {status: int((runs["status"] == status).sum()) for status in (FINISHED, DIVERGED)}
    return answer(runs, curves_of(table, runs), timings, about(runs), counts)


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else CURVES
    if not path.exists():
        print(f"{path} is not there; give the path of mup_mlp_demo.csv")
        return
    found = answered(path)
    print(f"{len(found.runs)} runs, {found.counts[DIVERGED]} not finite; diagnoses:")
    print(found.ranking["diagnosis"].value_counts(dropna=False).to_string())
    for entry in sorted(found.entries, key=lambda one: [*one["setting"].values()]):
        rate = entry["best_rate"]
        log2 = f"{math.log2(rate):6.2f}" if rate else "  none"
        fitted = f"{math.log2(entry['fitted_rate']):6.2f}" if entry["fitted_rate"] else "     –"
        setting = " ".join(f"{value!s:>8}" for value in entry["setting"].values())
        print(f"{setting}  best 2^{log2}  fitted 2^{fitted}  edge {entry['edge']}  loss {entry['objective_mean']:.4f}")
    for card in found.cards:
        print(f"\n{card.axis}: {card.title}", *card.sentences, sep="\n  ")


if __name__ == "__main__":
    main()
