"""Tables of one setting that people look for: every measure, and the score by epoch, against the rate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lrsweep.analysis.cards.card import Col, Kind
from lrsweep.analysis.curves import Read, at_epochs
from lrsweep.analysis.ranking import RATE

if TYPE_CHECKING:
    import pandas as pd

MOST_EPOCHS = 6
"""Epochs in the table by epoch."""

MEASURES: dict[str, tuple[str, Kind]] = {
    "train_loss_mean": ("train_loss", "value"),
    "val_loss_mean": ("val_loss", "value"),
    "val_accuracy_mean": ("accuracy", "score"),
    "val_r2_mean": ("R²", "score"),
    "val_macro_f1_mean": ("macro-F1", "score"),
    "seconds_mean": ("time", "seconds"),
    "max_grad_norm_mean": ("largest gradient", "value"),
}
"""Columns of the ranking, with how they are called and written."""


def rates_table(rows: pd.DataFrame) -> list[Col]:
    """Losses, scores, training time and the largest gradient's norm against the rate: means over the seeds.

    `rows` are a setting's rows of the ranking. A rate with a seed that is lost or dropped has no means; measures that
    the runs lack have no column.
    """
    known = [(rows[column].tolist(), *told) for column, told in MEASURES.items() if column in rows]
    measures = [Col(title, values, kind) for values, title, kind in known if np.isfinite(np.array(values, float)).any()]
    counts = {"seeds lost": rows["n_lost"] - rows["n_stopped"], "seeds dropped": rows["n_stopped"]}
    lost = [Col(title, counted.tolist(), "count") for title, counted in counts.items() if counted.any()]
    return [Col("rate", rows[RATE].tolist(), "rate"), *measures, *lost]


def epochs_table(runs: pd.DataFrame, read: Read) -> list[Col]:
    """The validation score by epoch against the rate, mean over seeds; a rate with a seed that ended before has none.

    `runs` are a setting's. Where the curves have no score, the loss stands for it: `val_loss`, else `train_loss`.
    """
    own = runs[["run_id", RATE]]
    done = runs.reindex(columns=["epochs_done"])["epochs_done"].dropna()  # nan where a run failed
    last = int(done.max()) if len(done) else 0
    epochs = np.unique(np.geomspace(1, last, MOST_EPOCHS).round().astype(int)) if last else np.array([], int)
    picked = at_epochs(runs, read, epochs).merge(own, on="run_id")
    columns = [one for one in ("val_accuracy", "val_r2", "val_loss", "train_loss") if one in picked]
    metric = next((one for one in columns if picked[one].notna().any()), None)
    if metric is None:
        return []
    rate = f"{RATE}_y" if f"{RATE}_y" in picked else RATE  # the curve's own is that of its epoch's last step
    by = picked.groupby([rate, "epoch"])[metric]
    whole = by.count().unstack().eq(own.groupby(RATE).size(), axis=0)
    means = by.mean().unstack().where(whole).reindex(sorted(set(own[RATE])))
    kind: Kind = "value" if metric.endswith("loss") else "score"
    return [
        Col("rate", means.index.tolist(), "rate"),
        *(Col(f"epoch {epoch}", means[epoch].tolist(), kind) for epoch in means),
    ]
