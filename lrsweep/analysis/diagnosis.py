"""What is wrong with each rate, or that nothing is, and the evidence for it: from the curves of training.

Every run is measured, and a rate is judged by its seeds: one that diverged, ended unstable or collapsed decides; how
far its validation loss is from the best rate's goes by means, as the ranking does, and all else by medians. The
diagnosis is about training, so it looks at the losses, whatever the objective.

The thresholds were chosen on 120 cases (a setting at a rate, three seeds) of digits, breast_cancer, wine, iris and
diabetes, labelled by eye from their curves; the numbers below are of those. They agree with 113 of the labels, and with
57 of 60 further cases, labelled without knowing what the thresholds would say. `tests/studies/labels.py` draws them
all, and `tests/golden/labelled_curves.json` holds the last 60.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lrsweep.analysis.curves import Read, Seeds, at_the_top, by_length, ranking_rows
from lrsweep.analysis.ranking import RATE, SMALLEST, ends_above_untrained
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import CRASHED, DIVERGED, FAILED, FINISHED, STOPPED, Array

if TYPE_CHECKING:
    import pandas as pd

QUARTER = 0.25
"""The end of training is its last quarter, but at least FEW epochs, or all that there are."""

EIGHTH = 0.125
"""Over so much of training, but at least two epochs, validation loss is averaged before its minimum is sought."""

FEW = 3
"""Epochs that it takes to show a swing, or a minimum that is not the end."""

NEAR_CHANCE = 0.03
"""A training loss that is not this share below that of the best constant prediction tells that nothing was learned."""

NEGLIGIBLE = 0.01
"""A loss below this share of chance is as good as 0: there, a tenfold rise harms nobody."""

SWING = 0.07
"""Oscillating: towards the end the log of the training loss rises by this an epoch. What looked oscillating had 0.09 or
more, the rest 0.03 at most, but for one case that overfits, with 0.09."""

RESTARTED = 1.2
"""The loss may rise in an epoch whose rate is this many times that of the one before: by design, as in a restart."""

BEHIND = 1.2
"""A loss this many times the best rate's is behind. What looked too slow had 1.27 times the training loss, or more."""

LACKING = 0.03
"""A rate is also behind that lacks this share of the way that the best rate's validation loss came from untrained:
where that way is short, as in regression, the ratio stays small. What looked too slow lacked 0.04 or had 1.20 times the
loss, what looked good at a low rate 0.02 and 1.19 at most. Beyond the best rate it takes both, since there 1.39 times a
small loss, with 0.02 lacking, still looked good."""

GAP = 1.5
"""What is behind has overfitted only where its validation loss is this many times its own training loss: the best rate
may owe its place to luck. What looked overfitting in the last 60 cases had 2.3 times or more."""

STILL = 0.03
"""At the highest rate tried, which is the best, validation loss that falls by this share at the end tells that there
was too little training, or that the rates are too low. The cases say little about it: one good best rate in the last
60 is at that edge, and fell by 0.3%. Grids that were too low by far had 3.3% or more."""

RISEN = 1.12
"""Overfitting: validation loss ends at this many times its minimum. What looked overfitting had 1.15 or more, but for
two cases, what looked good 1.10 at most, but for one with 1.13."""

LONGEST = 90
"""Characters of the evidence."""

SHAPE = (
    *("untrained", "train", "late", "falls", "swing", "rises", "highest", "peak", "peak_in"),
    *("validated", "val_untrained", "val", "val_fall", "val_late", "risen", "lowest_in", "went_on"),
)
"""What is measured on the curves of a run, and its training loss; losses have the names of what they are of."""

FLAGS = ("finished", "diverged", "stopped", "unfit", "unstable", "collapsed", "starting")
"""What seeds are counted by. `unfit`: failed or crashed; `starting`: no better than chance, but on the way there."""

Measures = dict[str, Array]
"""Measures by their names: (len(runs),) of runs, (len(ranking),) of rates."""


def diagnose(ranking: pd.DataFrame, runs: pd.DataFrame, read: Read, about: Mapping[str, Any]) -> pd.DataFrame:
    """`diagnosis` and `evidence` of each row of the ranking.

    Half a curve does not show what is wrong with a rate: where runs were stopped, and none diverged before, it is
    `stopped`, and the evidence is their reason. It is None where no seed finished, diverged or was stopped.
    """
    import pandas as pd

    rows, bests = ranking_rows(ranking, runs, about)
    seeds, rates = Seeds(rows, len(ranking)), ranking[RATE].to_numpy(float)
    with np.errstate(all="ignore"):  # what is not finite is told apart below
        measured = measure(runs, read, about)
        table = _over_seeds(measured, seeds, np.sign(rates - rates[bests]), bests)
        why = seeds.first(measured["stopped"], runs.reindex(columns=["reason"])["reason"].to_numpy(object))
        labels, evidence = _told(table | {"at_top": at_the_top(rates, bests), "why": why})
    return pd.DataFrame({"diagnosis": labels, "evidence": evidence}, ranking.index, dtype=object)


def chance(runs: pd.DataFrame, about: Mapping[str, Any]) -> Array:
    """The loss of the best constant prediction, (len(runs),): entropy of the classes, variance of the target (or 1)."""
    known = about["datasets"]
    even = {label: np.log(data["n_classes"]) if data["n_classes"] else np.nan for label, data in known.items()}
    losses = runs["dataset"].map({label: data.get("chance", even[label]) for label, data in known.items()})
    values = runs["dataset"].isin([label for label, data in known.items() if data["task"] == "regression"])
    scaled = runs["standardize"].ne(False) if "standardize" in runs else True
    return np.asarray(losses.mask(values & scaled, 1.0), float)


def measure(runs: pd.DataFrame, read: Read, about: Mapping[str, Any]) -> Measures:
    """What the diagnosis rests on, of each run; nan where a run has nothing of it, as where it did not finish.

    `train` is the loss of the trained network: a curve has the mean over an epoch, in which a network that learns fast
    was far worse.
    """
    chances, status = chance(runs, about), runs["status"].to_numpy(object)
    finished = status == FINISHED
    found = {name: np.full(len(runs), np.nan) for name in ("epochs", *SHAPE)}
    for at, values in by_length(runs, read, ("train_loss", "val_loss", "learning_rate")):
        found["epochs"][at] = epochs = values.shape[2] - 1
        whole = at[finished[at]]
        if epochs and len(whole):
            train, val, rate = values[:, finished[at]]
            for name, one in shape(train, val, rate, chances[whole]).items():
                found[name][whole] = one
    end, start = runs.reindex(columns=["train_loss", "initial_loss"]).to_numpy(float).T
    found["train"] = np.where(np.isnan(found["late"]), np.nan, end)
    found["late"] = np.fmin(found["late"], found["train"])
    found["val"] = np.where(found["validated"] == 0, end, found["val"])
    at_chance = np.abs(end / chances - 1) < NEAR_CHANCE
    return {
        **found,
        "chance": chances,
        "start": start,
        "finished": finished,
        "diverged": status == DIVERGED,
        "stopped": status == STOPPED,
        "unfit": (status == FAILED) | (status == CRASHED),
        "unstable": finished & ends_above_untrained(runs).to_numpy() & ~at_chance,
    }


def shape(train: Array, val: Array, rate: Array, chances: Array) -> dict[str, Array]:
    """The SHAPE, but `train`, of curves (n, E + 1) of E > 0 epochs, (n,) each.

    Where there is no validation loss, nan, the training loss stands for it.
    """
    epochs, each = train.shape[1] - 1, np.arange(len(train))
    last = end_of_training(epochs)
    validated = ~np.isnan(val[:, -1])
    val = np.where(validated[:, None], val, train)
    floor = NEGLIGIBLE * chances[:, None]
    steps = np.diff(np.log(np.fmax(train[:, -last - 1 :], floor)))
    ups = np.where(rate[:, -last:] >= RESTARTED * rate[:, -last - 1 : -1], 0, steps.clip(0))
    rises = (ups > 0).sum(axis=1)
    few = min(epochs, max(2, round(epochs * EIGHTH)))
    train_means, val_means = running_means(train, few), np.fmax(running_means(val, few), floor)
    late = np.fmin(train[:, -1], train[:, -last:].mean(axis=1))
    lowest, val_late = val_means.argmin(axis=1), np.fmin(val_means[:, -1], np.fmax(val[:, -1], floor[:, 0]))
    return {
        "untrained": train[:, 0],
        "late": late,
        "falls": (np.diff(train[:, -last - 1 :]) < 0).all(axis=1),
        # A single rise is no swing, but an accident or new neurons.
        "swing": np.where((rises > 1) & (epochs >= FEW), ups.mean(axis=1), 0),
        "rises": rises,
        "highest": np.exp(ups.max(axis=1)),
        "peak": train[:, 1:].max(axis=1),
        "peak_in": train[:, 1:].argmax(axis=1) + 1,
        "validated": validated,
        "val_untrained": val[:, 0],
        "val": val[:, -1],
        "val_fall": 1 - val[:, -1] / np.fmax(val[:, -last - 1], SMALLEST),
        "val_late": val_late,
        "risen": val_late / val_means[each, lowest] if epochs >= FEW else np.ones(len(val)),
        "lowest_in": np.where(lowest > 0, lowest + few - 1, 0),
        "went_on": late < train_means[each, lowest],
    }


def end_of_training(epochs: int) -> int:
    """How many epochs the end of training is.

    >>> [end_of_training(epochs) for epochs in (1, 2, 4, 20, 40)]
    [1, 2, 3, 5, 10]
    """
    return min(epochs, max(FEW, round(epochs * QUARTER)))


def running_means(curves: Array, last: int) -> Array:
    """Epoch 0 as it is, then the means over `last` epochs: (n, E + 1) -> (n, E - last + 2)."""
    return np.concatenate([curves[:, :1], sliding_window_view(curves[:, 1:], last, axis=1).mean(axis=2)], axis=1)


def _over_seeds(measured: Measures, seeds: Seeds, side: Array, bests: Array) -> Measures:
    """The measures of each rate: counts of what one seed decides, validation losses by means, medians of the rest.

    `side` (n,) is where a rate is from the best one: -1 below, 1 above; `bests` (n,) are the positions of those.
    """
    whole = {name: np.where(measured["finished"], measured[name], np.nan) for name in (*SHAPE, "chance", "start")}
    table = {name: seeds.median(values) for name, values in whole.items()}
    table |= {"epochs": seeds.median(np.where(measured["finished"], measured["epochs"], np.nan)), "side": side}
    origin = np.where(np.isnan(whole["val_untrained"]), whole["chance"], whole["val_untrained"])
    table |= {"val": seeds.mean(whole["val"]), "origin": seeds.mean(origin)}
    table |= {"gap": seeds.median(np.fmax(whole["val"], SMALLEST) / np.fmax(whole["train"], SMALLEST))}
    table |= {"best_train": table["train"][bests], "best_val": table["val"][bests]}
    flags = measured | _without_gain(measured, table, seeds.rows)
    floor = NEGLIGIBLE * table["chance"]
    return table | {
        **{name: seeds.count(flags[name]) for name in FLAGS},
        "train_ratio": np.fmax(table["train"], floor) / np.fmax(table["best_train"], floor),
        "train_times": np.fmax(table["train"], SMALLEST) / np.fmax(table["best_train"], SMALLEST),
        "val_ratio": np.fmax(table["val"], SMALLEST) / np.fmax(table["best_val"], SMALLEST),
        "lacking": (table["val"] - table["best_val"]) / (table["origin"] - table["best_val"]),
        "n_seeds": seeds.counts,
        "lost_in": -seeds.largest(np.where(measured["diverged"], -measured["epochs"], np.nan)),
        "worst": seeds.largest(np.where(measured["unstable"], measured["train"], np.nan)),
        "gone": seeds.median(np.where(flags["collapsed"], measured["late"], np.nan)),
    }


def _without_gain(measured: Measures, table: Measures, rows: Array) -> Measures:
    """Which runs are no better than chance: `collapsed`, or `starting` where that is for want of epochs."""
    side, best_train = table["side"][rows], table["best_train"][rows]
    no_better = (1 - NEAR_CHANCE) * measured["chance"]
    nothing = measured["finished"] & (measured["late"] >= no_better) & ~measured["unstable"]
    slow = (side < 0) | ((measured["falls"] == 1) & ((side == 0) | (best_train >= no_better)))
    here = measured["late"] <= np.fmax(measured["untrained"], (1 + NEAR_CHANCE) * measured["chance"])
    return {"collapsed": nothing & ~slow & here, "starting": nothing & slow}


def _told(table: Measures) -> tuple[list[str | None], list[str]]:
    """The diagnosis and the evidence of each rate: of the first rule that holds."""
    first = np.stack([rule.holds(table) for rule in RULES]).argmax(axis=0).tolist()
    told = []
    for number, values in zip(first, zip(*(column.tolist() for column in table.values()), strict=True), strict=True):
        one = SimpleNamespace(**dict(zip(table, values, strict=True)))
        evidence = RULES[number].evidence(one)
        failed = f"; {_seeds(one.unfit, one.n_seeds)} failed" if 0 < one.unfit < one.n_seeds else ""
        failed += f"; {one.stopped} stopped" if one.stopped and RULES[number].label == DIVERGED else ""
        told.append(_with(evidence, failed))
    return [RULES[number].label for number in first], told


@dataclass(frozen=True)
class Rule:
    """A label, for which measures it holds, and the evidence in words for one rate."""

    label: str | None
    holds: Callable[[Measures], Array]
    evidence: Callable[[Any], str]


def _behind(table: Measures) -> Array:
    return (table["val_ratio"] >= BEHIND) & (table["lacking"] >= LACKING)


def _short(table: Measures) -> Array:
    behind = (table["val_ratio"] >= BEHIND) | (table["lacking"] >= LACKING)
    slower = (table["train_ratio"] >= BEHIND) | (_behind(table) & (table["train_times"] >= BEHIND))
    return behind & (slower | (table["epochs"] < FEW)) & (table["side"] < 0)


def _rose(table: Measures) -> Array:
    return (table["risen"] >= RISEN) & (table["went_on"] >= 0.5)


def _overfitted(table: Measures) -> Array:
    apart = (table["gap"] >= GAP) | (table["risen"] >= RISEN)
    return _behind(table) & apart & (table["epochs"] >= FEW)


def _unripe(table: Measures) -> Array:
    """The best rate, at the high edge and still on its way; or one behind that neither overfits nor is slower."""
    falling = (table["val_fall"] >= STILL) & (table["falls"] >= 0.5) & (table["val"] > NEGLIGIBLE * table["chance"])
    edge = (table["side"] == 0) & (table["at_top"] > 0)
    unripe: Array = falling & (table["epochs"] >= FEW) & (edge | _behind(table))
    return unripe


def _diverged(row: Any) -> str:
    first = ", the first" if row.diverged > 1 else ""
    when = f"{first} in epoch {row.lost_in:.0f}" if row.lost_in > 0 else ""
    return f"{_seeds(row.diverged, row.n_seeds)} diverged{when}"


def _untold(row: Any) -> str:
    return f"{_seeds(row.unfit or row.n_seeds, row.n_seeds)} {'failed or crashed' if row.unfit else 'did not finish'}"


def _unstable(row: Any) -> str:
    end = "ends with a training loss of" if row.unstable == 1 else "end with a training loss of up to"
    return f"{_seeds(row.unstable, row.n_seeds)} {end} {brief(row.worst)}, {brief(row.start)} untrained"


def _collapsed(row: Any) -> str:
    end = "ends" if row.collapsed == 1 else "end"
    loss = f"a training loss of {brief(row.gone)}, chance is {brief(row.chance)}"
    return f"{_seeds(row.collapsed, row.n_seeds)} {end} with {loss}"


def _starting(row: Any) -> str:
    return f"training loss {brief(row.train)} after {_epochs(row)}, chance is {brief(row.chance)}"


def _swinging(row: Any) -> str:
    last = end_of_training(int(row.epochs))
    return f"training loss rose in {row.rises:.0f} of the last {last} epochs, by a factor of up to {brief(row.highest)}"


def _risen(row: Any) -> str:
    when = f"in epoch {row.lowest_in:.0f}" if row.lowest_in >= 1 else "before training"
    return f"validation loss {brief(row.val_late)}, {_times(row.risen)} that {when}, while training loss fell"


def _slow(row: Any) -> str:
    last = end_of_training(int(row.epochs))
    when = f"the last {last} epochs" if last > 1 else "the last epoch"
    falling = f", still falling by {row.val_fall:.0%} in {when}" if row.val_fall >= 0.005 else ""
    return _with(_compared(row) if row.side else f"the highest rate tried, {_loss(row)}", falling)


def _shaken(row: Any) -> str:
    peak = f", after a peak of {brief(row.peak)} in epoch {row.peak_in:.0f}" if row.peak > row.untrained else ""
    return f"training loss {brief(row.train)}, {_times(row.train_times)} the best rate's{peak}"


def _memorized(row: Any) -> str:
    near = " near 0" if row.train_times >= BEHIND else ""
    train = f"training loss {brief(row.train)}{near}, {_times(row.train_times)}"
    peak = f", peak {brief(row.peak)}" if row.peak > row.untrained else ""
    return _with(f"{_compared(row)}; {train}", peak)


def _good(row: Any) -> str:
    few = f"; {_epochs(row)} cannot show more" if row.epochs < FEW else ""
    return f"{_compared(row) if row.side else f'the best rate, {_loss(row)}'}{few}"


RULES = (
    Rule(DIVERGED, lambda table: table["diverged"] > 0, _diverged),
    Rule(STOPPED, lambda table: table["stopped"] > 0, lambda row: row.why or "stopped early"),
    Rule(None, lambda table: table["finished"] == 0, _untold),
    Rule("unstable", lambda table: table["unstable"] > 0, _unstable),
    Rule("collapsed", lambda table: table["collapsed"] > 0, _collapsed),
    Rule("too_slow", lambda table: 2 * table["starting"] >= table["finished"], _starting),
    Rule("oscillating", lambda table: table["swing"] >= SWING, _swinging),
    Rule("overfitting", lambda table: _rose(table) & (table["lowest_in"] >= 1), _risen),
    Rule("too_slow", _short, _slow),
    Rule("oscillating", lambda table: _behind(table) & (table["train_ratio"] >= BEHIND), _shaken),
    Rule("overfitting", _overfitted, _memorized),
    Rule("overfitting", _rose, _risen),
    Rule("too_slow", _unripe, _slow),
    Rule("good", lambda table: table["n_seeds"] > 0, _good),
)
"""In order: the first that holds is told."""


def _compared(row: Any) -> str:
    return f"{_loss(row)}, {_times(row.val_ratio)} the best rate's"


def _loss(row: Any) -> str:
    return f"{'validation' if row.validated else 'training'} loss {brief(row.val)}"


def _with(text: str, more: str) -> str:
    return text + more if len(text + more) <= LONGEST else text


def _times(ratio: float) -> str:
    """A ratio of losses; of one that is nearly nothing no number tells anything.

    >>> _times(1.2345), _times(5.15e11), _times(1e-7)
    ('1.23 ×', 'over 1000 ×', 'below 0.001 ×')
    """
    return "over 1000 ×" if ratio >= 1000 else f"{ratio:.3g} ×" if ratio >= 0.001 else "below 0.001 ×"


def _seeds(count: int, of: int) -> str:
    """How many of how many.

    >>> _seeds(2, 3), _seeds(3, 3), _seeds(1, 1)
    ('2 of 3 seeds', 'all 3 seeds', 'the seed')
    """
    return f"{count} of {of} seeds" if count < of else f"all {of} seeds" if of > 1 else "the seed"


def _epochs(row: Any) -> str:
    return "1 epoch" if row.epochs == 1 else f"{row.epochs:.0f} epochs"
