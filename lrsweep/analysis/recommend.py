"""What to do for each setting: the best rate, how far to trust it, which doubts remain, in numbers and sentences."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.case import Case
from lrsweep.analysis.fit import Fit
from lrsweep.analysis.naming import apart
from lrsweep.analysis.profiles import Profile, as_in_the_file, digits
from lrsweep.analysis.ranking import SMALLEST, by_setting, lower_is_better, objective_column, varying
from lrsweep.analysis.rivals import rivals_doubt
from lrsweep.analysis.widen import Side, allowed, beyond
from lrsweep.vocabulary import Scalar

if TYPE_CHECKING:
    import pandas as pd

Entry = dict[str, Any]
"""What recommendation.json says of one setting; `advice` has a sentence a line, the one to act on first."""

SELF_EXPLANATORY = ("dataset", "optimizer", "schedule", "activation", "parametrization")
"""Settings whose value needs no name before it."""

NEAR = {True: 0.05, False: 0.01}
"""By whether lower is better: a rate is nearly as good as the best with a loss higher by this share, with a score lower
by this much; and clearly worse from twice that."""

USELESS = {"collapsed": "ends no better than chance", "unstable": "ends worse than untrained"}
"""Diagnoses of the best rate with which it is not to be used."""

REMEDIES = {
    "collapsed": "Nothing was learned: try rates between and beyond these, more epochs or another setting.",
    "unstable": "Even the best rate breaks training: try lower rates, warm-up or clipping.",
    "too_slow": "Even at the best rate the loss is still falling at the end: train longer.",
    "oscillating": "Even at the best rate the loss swings: try a schedule that lowers the rate, or larger batches.",
    "overfitting": "Even at the best rate the validation loss rises again: train less long, or rank by the best epoch.",
}
"""What to do by the diagnosis of the best rate."""

VAGUE = 2.0
"""Decades: an interval of the fitted rate that is wider tells no more than a grid does."""

FAULTY = ("collapsed", "unstable", "diverged")
"""Diagnoses of rates that nobody would call stable."""

ONE_SEED = 0.8
"""Share of a mean loss beyond which one seed makes it, and the others say nothing. In tests/studies/redraws.py it is
passed in most answers that are wrong by half or more, which are of one data set, and in none of the other ones."""


def recommend(
    ranking: pd.DataFrame,
    about: Mapping[str, Any],
    fits: Sequence[Fit],
    missing: int = 0,
    found: Sequence[Profile] = (),
) -> dict[str, Any]:
    """The document of recommendation.json: settings best first, dataset by dataset, as losses compare only within one.

    `fits` has an entry per setting, in order of appearance, and so have the profiles that are `found`: with these, the
    best setting of each dataset is told how many others may be as good. While runs are `missing`, settings with more of
    them come before those that may owe their place to having few. What cannot be said is None, with the reason in
    `advice`.
    """
    column = objective_column(about)
    lower = lower_is_better(column)
    datasets = [*about["datasets"]]
    columns = {str(name): ranking[name].to_numpy() for name in ranking}
    cases = []
    for number, (rows, fitted) in enumerate(zip(by_setting(ranking, about), fits, strict=True)):
        own = {name: values[rows] for name, values in columns.items()}
        case = Case(own, fitted, int(own["rank"].argmin()), lower)
        few = -int(own["n_seeds"].sum()) if missing else 0
        worth = case.best("objective_mean") * (1 if lower else -1)
        unknown = math.isnan(worth)  # all of it was stopped so far
        order = (datasets.index(case.best("dataset")), few, case.best("n_lost"), math.inf if unknown else worth)
        cases.append((order, number, case))
    entries = []
    for _, grouped in itertools.groupby(sorted(cases, key=lambda one: one[0]), key=lambda one: one[0][0]):
        same = [(number, case) for _, number, case in grouped]
        doubt = ""
        if found:
            lost = np.array([case.best("n_lost") for _, case in same])
            doubt = rivals_doubt([found[number] for number, _ in same], [case.at for _, case in same], lost)
        best, *others = (case for _, case in same)
        entries += [_entry(case, about, missing) for case in (replace(best, rivals=doubt), *others)]
    return {"schema_version": 1, "sweep": about["name"], "objective": column, "settings": entries}


def in_decades(size: float, most: int = 2) -> str:
    """A distance in words, to so many digits.

    >>> in_decades(1.04), in_decades(0.123), in_decades(0.123, 6)
    ('1 decade', '0.12 decades', '0.123 decades')
    """
    told = f"{size:.{most}g}"
    return f"{told} decade{'s' * (told != '1')}"


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
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(shown if column in SELF_EXPLANATORY else f"{column.split('.')[-1]} {shown}")
    return ", ".join(words) or default


def open_edge(entry: Entry) -> str | None:
    """The edge, `low` or `high`, beyond which rates are to be added. Above one that breaks training there are none."""
    edge: str | None = entry["edge"]
    return None if edge == "none" or (edge == "high" and entry["diagnosis"] == "unstable") else edge


def extendable(entry: Entry, grid: Sequence[float], about: Mapping[str, Any]) -> bool:
    """Whether a farther end of extending would add rates beyond the open edge of a setting with this ascending grid.

    It would not where nothing was learned between rates that stand still and rates that break.
    """
    added = {rate for one in _additions(entry, about, "extend") for rate in one["rates"]}
    side: Side = -1 if entry["edge"] == "low" else 1
    own = [rate for rate in grid if rate not in added]
    last = grid[0] if side < 0 else grid[-1]
    return not any(side * (rate - last) > 0 for rate in allowed(own, side, about["extend"]["max_decades"]))


def brief(rate: float, most: int = 3) -> str:
    """A rate as people write it: three digits are more than anyone needs, and two more than a fitted rate deserves.

    >>> brief(0.00316228), brief(1.0), brief(3.16228e-05), brief(1000.0), brief(1e300), brief(1234.5, 2)
    ('0.00316', '1', '3.16e-05', '1000', '1e+300', '1200')
    """
    rate = float(f"{rate:.{most}g}")
    return f"{rate:.0f}" if 1000 <= rate < 1e6 else f"{rate:.{most}g}"


def _entry(case: Case, about: Mapping[str, Any], missing: int) -> Entry:
    grid, at, stable, finished = case.grid, case.at, case.stable, case.finished
    best = grid[at] if finished else None
    highest_stable = None if stable is None else grid[stable]
    edge = ("low" if at == 0 else "high" if at == len(grid) - 1 else "none") if finished and len(grid) > 1 else None
    fitted = case.fit if edge == "none" else Fit(None, None, np.empty(0))  # a part of the runs may have another best
    score = "r2" if about["datasets"][case.best("dataset")]["task"] == "regression" else "accuracy"
    entry: Entry = {
        "setting": {column: as_in_the_file([case.best(column)], about["axes"][column])[0] for column in varying(about)},
        "best_rate": best,
        "tie_interval": case.tie_interval if finished > 1 and len(grid) > 1 else None,
        "fitted_rate": digits(fitted.rate, 4),
        "fitted_interval": None if fitted.interval is None else [digits(end, 4) for end in fitted.interval],
        "edge": edge,
        "bracketed": edge == "none",
        "highest_stable_rate": highest_stable,
        "best_over_highest_stable": digits(best / highest_stable) if best and highest_stable else None,
        "objective_mean": _finite(case.best("objective_mean")),
        "n_seeds": int(case.best("n_seeds")),
        "test_loss": _finite(case.best("test_loss_mean")),
        f"test_{score}": _finite(case.best(f"test_{score}_mean")),
        "diagnosis": case.diagnosis,
    }
    axes = about["axes"]
    few = {key: apart(key, axes[key]).get(given, given) for key, given in entry["setting"].items() if given is not None}
    name = label(entry["setting"] | few, str(case.best("optimizer")))
    act = [_action(entry, name, case)] if finished else []
    return entry | {"advice": "\n".join([*act, *_doubts(case, entry, about, missing)])}


def _action(entry: Entry, name: str, case: Case) -> str:
    """The sentence to act on; `name` tells the setting."""
    dataset, rate = entry["setting"].get("dataset"), brief(entry["best_rate"])
    if entry["diagnosis"] in USELESS:
        start = f"For {dataset} no" if dataset else "No"
        return f"{start} rate tried is of use to {name}: even the best, {rate}, {USELESS[entry['diagnosis']]}."
    start = f"For {dataset} use" if dataset else "Use"
    sure = "; ".join(_sureness(entry, case))
    return f"{start} {name} at {rate}{f' ({sure})' if sure else ''}."


def _sureness(entry: Entry, case: Case) -> Iterator[str]:
    """How far the best rate is to be trusted: what is tied with it, and the fitted rate.

    Whether neighbours tie that were dropped is not known.
    """
    if entry["tie_interval"] is not None:
        low, high = map(brief, entry["tie_interval"])
        tied = "no neighbour" if low == high else f"{low} to {high}"
        if low != high or not case.stopped[max(0, case.at - 1) : case.at + 2].any():
            yield f"{tied} {'ties with' if low == high else 'cannot be told from'} it at {entry['n_seeds']} seeds"
    if entry["fitted_rate"] is not None:
        ends = f", {_fit_within(entry['fitted_interval'], case.usable)}" if entry["fitted_interval"] else ""
        yield f"fitted {brief(entry['fitted_rate'], 2)}{ends}"


def _fit_within(interval: Sequence[float], usable: Sequence[float]) -> str:
    """The interval of the fitted rate, or that it says nothing: a clipped one only repeats the grid.

    >>> _fit_within([0.02, 0.3], [0.01, 1.0]), _fit_within([0.01, 1.0], [0.01, 1.0])
    ('95% 0.02 to 0.3', 'no surer than the grid')
    >>> _fit_within([0.001, 0.3], [0.0001, 1.0])
    'but its 95% interval spans 2.5 decades'
    """
    if np.allclose(interval, [usable[0], usable[-1]], rtol=1e-3, atol=0):
        return "no surer than the grid"
    decades = math.log10(interval[1] / interval[0])
    if decades > VAGUE:
        return f"but its 95% interval spans {decades:.2g} decades"
    return f"95% {brief(interval[0], 2)} to {brief(interval[1], 2)}"


def _doubts(case: Case, entry: Entry, about: Mapping[str, Any], missing: int) -> Iterator[str]:
    """What stands against the answer, the gravest first."""
    if case.finished:
        yield from _unbracketed(case, entry, about, missing)
        yield from _eliminated(case)
        yield from _one_seed(case)
        lost, n_seeds = int(case.best("n_lost")), entry["n_seeds"]
        if lost:
            said = f"{lost} of {n_seeds} seeds did not finish even at the best rate, so it has no mean"
            yield f"{said}; those that did decide the order."
        # Beyond a high edge, higher rates come first: training longer would only hide that these are too low.
        if case.diagnosis in REMEDIES and not (case.diagnosis == "too_slow" and entry["edge"] == "high"):
            yield REMEDIES[case.diagnosis]
        yield from _second_minimum(case)
        yield from _stability(case, entry)
        yield from filter(None, [case.rivals])
        yield from _seeds(case, entry, missing)
        yield from _no_fit(case, entry)
        yield from _unrefined(entry, about, missing)
        if entry["test_loss"] is None and not lost:
            yield "The runs have no test metrics."
    errors, runs = int(case.columns["n_failed"].sum()), int(case.columns["n_seeds"].sum())
    if not case.finished:
        lower = "" if errors == runs or case.stopped.any() else f": try lower ones, like {_beyond(case.grid[::-1])}"
        yield f"No run finished, so no rate can be recommended{lower}."
    if errors:
        yield f"{errors} of {runs} runs failed or crashed; they count as worst: mend the cause and retry them."
    if missing:
        yield f"{missing} run{'s' * (missing > 1)} of the sweep {'are' if missing > 1 else 'is'} not trained yet."


def _unbracketed(case: Case, entry: Entry, about: Mapping[str, Any], missing: int) -> Iterator[str]:
    """An edge that is open, and where extending came to its end, why it is."""
    if len(case.grid) == 1:
        yield "Only one rate was tried, so there is nothing to compare it with."
    elif open_edge(entry):
        side, tried = ("lowest", case.grid[::-1]) if entry["edge"] == "low" else ("highest", case.grid)
        rate, extended = brief(case.grid[case.at]), about.get("extend")
        said = f"The best rate is the {side} tried ({rate}), so it is not bracketed"
        if extended is None or missing:
            yield f"{said}: add {_beyond(tried)}."
        elif extendable(entry, case.grid, about):
            yield f"{said}, as far as extend may go: raise its max_decades ({extended['max_decades']:g})."
        elif 0 < case.limit < len(case.grid):
            ends = f"{brief(case.grid[case.limit - 1])} and {brief(case.grid[case.limit])}"
            yield f"{said}, and extending does not help, as training breaks above it: add rates between {ends}."
        else:
            yield f"{said}, and extending does not help."


def _eliminated(case: Case) -> Iterator[str]:
    """Rates next to the best that were dropped before their end: on a sample, or after so many epochs."""
    after, stopped = case.columns["stopped_after"], case.stopped
    beside = {side: case.at + side for side in (-1, 1) if 0 <= case.at + side < len(case.grid)}
    unseen = [brief(case.grid[place]) for place in beside.values() if stopped[place] and not after[place]]
    if unseen:
        were = "were" if len(unseen) > 1 else "was"
        said = f"{' and '.join(unseen)}, next to the best, {were} dropped on a sample and never trained in full"
        yield f"{said}: run with -o elimination=none to be sure."
    for side, place in beside.items():
        if after[place] > 0 and stopped[place::side].all():  # no other rate on this side came to its end
            where = "below" if side < 0 else "above"
            tell = f"{after[place]:.0f} epochs tell" if after[place] > 1 else "epoch tells"
            said = f"No rate {where} the best was trained to its end: that {brief(case.grid[place])} is no better"
            yield f"{said} is what its first {tell}."


def _one_seed(case: Case) -> Iterator[str]:
    """A mean loss at the best rate or next to it that one seed makes: its like may be missing at the others."""
    if not case.lower_is_better:
        return
    mean, std, n = (case.columns[name] for name in ("objective_mean", "objective_std", "n_seeds"))
    # Samuelson's inequality: none of n is farther from the mean than (n - 1) / √n deviations; one alone is as far.
    most = (1 + np.divide(std * (n - 1), mean * np.sqrt(n), where=mean > 0, out=np.zeros(len(n)))) / n
    near = np.abs(np.arange(len(n)) - case.at) <= 1
    alone = np.flatnonzero(near & ~case.unstable & (n > 1) & (most > ONE_SEED))
    if len(alone):
        rates = " and ".join(brief(case.grid[place]) for place in alone)
        yield f"At {rates} one seed makes nearly all of the mean loss, so chance decides the order: use more seeds."


def _second_minimum(case: Case) -> Iterator[str]:
    """A rate tied with the best or nearly as good, beyond one that is clearly worse than both."""
    mean = case.columns["objective_mean"]
    worse = np.log(np.maximum(mean, SMALLEST)) if case.lower_is_better else -mean
    near, at = NEAR[case.lower_is_better], case.at
    as_good = case.columns["tied"] | (worse <= worse[at] + near)
    for place in sorted(np.flatnonzero(as_good).tolist(), key=lambda place: float(worse[place])):
        between = np.arange(min(place, at) + 1, max(place, at))
        hill = between[~as_good[between] & (worse[between] > worse[place] + 2 * near)]
        if len(hill):
            top, other = (brief(case.grid[i]) for i in (hill[worse[hill].argmax()], place))
            what = "cannot be told from the best" if case.columns["tied"][place] else "is nearly as good as the best"
            yield f"There may be two minima: {other} {what}, but {top} between them is worse: use more seeds."
            return


def _stability(case: Case, entry: Entry) -> Iterator[str]:
    grid, stable, limit = case.grid, case.stable, case.limit
    so = ", so there is no highest stable rate" if stable is None else ""
    unknown = [brief(grid[place]) for place in np.flatnonzero((case.unknown & ~case.stopped)[:limit])]
    if unknown:
        yield f"Whether training is stable at {' and '.join(unknown)} is not known: every run failed there{so}."
    elif so and case.unknown[:limit].any():
        yield f"Below {brief(grid[limit])} every rate was stopped before its end{so}."
    if limit == len(grid):
        return
    first = brief(grid[limit])
    if limit == 0:
        yield f"Not even the lowest rate ({first}) trains stably, so there is no highest stable rate."
    elif stable is not None and case.at >= stable and not case.stopped[case.at : limit].any():
        where = "on" if case.at == stable else "beyond"
        said = f"The best rate sits {where} the edge of stability (training is unstable at {first})"
        yield f"{said}: try warm-up or clipping."
    fine = ~case.unstable & ~case.unknown
    if "diagnosis" in case.columns:  # what learned nothing is not unstable, but no better for that
        fine &= ~np.isin(case.columns["diagnosis"].astype(str), FAULTY)
    again = np.flatnonzero(fine[limit:])
    if len(again) and 0 < limit <= _top(case, entry) + 1:
        higher = brief(grid[limit + again[0]])
        yield f"Training is unstable at {first} but stable again at {higher}: chance decides there."


def _top(case: Case, entry: Entry) -> int:
    """The place of the highest rate that cannot be told from the best."""
    return case.grid.index(entry["tie_interval"][1]) if entry["tie_interval"] else case.at


def _seeds(case: Case, entry: Entry, missing: int) -> Iterator[str]:
    if case.finished == 1:
        remedy = ": use 3 or more" if entry["n_seeds"] == 1 and not missing else ""
        yield f"One seed tells nothing about ties, spread or how sure a fitted rate is{remedy}."
    elif len(case.grid) > 1 and entry["tie_interval"] == [case.grid[0], case.grid[-1]]:
        more = "use more seeds, or a wider range of rates"
        yield f"No rate can be told from the best by {entry['n_seeds']} seeds: {more}."


def _no_fit(case: Case, entry: Entry) -> Iterator[str]:
    if entry["edge"] == "none" and entry["fitted_rate"] is None:
        yield f"No rate is fitted: {case.fit.reason}."
    elif entry["fitted_rate"] is not None and entry["fitted_interval"] is None and case.finished > 1:
        yield f"The fitted rate has no interval: {case.fit.reason}."


def _unrefined(entry: Entry, about: Mapping[str, Any], missing: int) -> Iterator[str]:
    """An interval that refining left too wide, and why it came to its end; nothing is refined that learned nothing."""
    refined, fitted = about.get("refine"), entry["fitted_interval"]
    if missing or refined is None or fitted is None or entry["edge"] != "none" or entry["diagnosis"] in USELESS:
        return
    if (decades := math.log10(fitted[1] / fitted[0])) > refined["decades"]:
        n_added = sum(len(one["rates"]) for one in _additions(entry, about, "refine"))
        if n_added >= refined["max_rates"]:
            end = f" with no more than {refined['max_rates']} rates: raise its max_rates, or use more seeds"
        else:
            end = ", and more rates hardly shorten it: use more seeds" if n_added else ", but found no rate to add"
        yield f"The fitted rate's interval spans {in_decades(decades)}; refine asks for {refined['decades']:g}{end}."


def _additions(entry: Entry, about: Mapping[str, Any], why: str) -> list[Mapping[str, Any]]:
    """What was added to a setting for a purpose, round by round."""
    every = about.get("additions") or ()
    return [one for one in every if one["why"] == why and one["setting"] == entry["setting"]]


def _beyond(grid: Sequence[float]) -> str:
    """The rates that continue a grid by its own last step for about a decade; a grid of one by a factor of 10.

    >>> _beyond([0.01, 0.0316228, 0.1]), _beyond([4.0, 2.0, 1.0]), _beyond([0.003, 1.0]), _beyond([1e37, 1e38])
    ('0.316 and 1', '0.5, 0.25 and 0.125', '10', 'rates nearer to 1')
    """
    rates = [brief(rate) for rate in beyond(grid)] or ["rates nearer to 1"]  # where float32 has none any more
    return " and ".join(filter(None, [", ".join(rates[:-1]), rates[-1]]))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
