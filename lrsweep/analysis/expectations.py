"""Whether a sweep came out as its file expects.

An expectation is a comparison such as `>= 0.95`, for `best_rate` also an interval, for `at_edge` true or false. Losses
compare only within a dataset, so of several datasets each has to meet it.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.ranking import lower_is_better
from lrsweep.vocabulary import CRASHED, DIVERGED, FAILED, written

if TYPE_CHECKING:
    import pandas as pd

Expected = str | list[float] | bool
"""What the sweep file wants: a comparison, an interval with both ends in, or whether."""

COMPARISON = re.compile(r"(>=|<=|==|>|<) *([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)")
HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}

COUNTS = {"diverged": (DIVERGED,), "failed": (FAILED, CRASHED)}
"""The expectations that count runs of the whole sweep, by their statuses."""

NOT_FINISHED, LOST = "no run finished", "not every seed finished at the best rate"
"""Why something is not known."""


@dataclass(frozen=True)
class Check:
    """One expectation: what was wanted and what was found, in words."""

    name: str
    wanted: str
    found: str
    met: bool

    def document(self) -> dict[str, Any]:
        """The check as JSON has it."""
        return dict(vars(self))


def compared(text: str) -> tuple[str, str, float] | None:
    """A comparison's sign, and its number as text and as float; None where it is none with a finite number.

    >>> compared(">= 0.95"), compared("0.95"), compared("> 1e999")
    (('>=', '0.95', 0.95), None, None)
    """
    found = COMPARISON.fullmatch(text.strip())
    if found is None or not math.isfinite(float(found[2])):
        return None
    return found[1], found[2], float(found[2])


@dataclass(frozen=True)
class Found:
    """What counts for an expectation, of the sweep or of one dataset; None where it is not known. `words` say more."""

    value: float | bool | None
    words: str = ""


def check(
    about: Mapping[str, Any], counts: Mapping[str, int], ranking: pd.DataFrame, recommendation: Mapping[str, Any]
) -> tuple[Check, ...]:
    """Every expectation of the sweep file, in its order; what cannot be known, for want of runs, is not met.

    Of each dataset the best setting counts: `best_val_…` is the best mean that a setting has at its best rate, at the
    end of training; `best_test_…`, `best_rate` and `at_edge` are of the setting that the objective puts first, since
    test rows choose nothing. `diverged` and `failed` count runs of the whole sweep.
    """
    checks = []
    for name, wanted in (about.get("expect") or {}).items():
        if name in COUNTS:
            found = {"": Found(sum(counts[status] for status in COUNTS[name]))}
        else:
            found = dict(_by_dataset(name, about, ranking, recommendation["settings"]))
        holds = _test(wanted)
        met = not counts["new"] and all(one.value is not None and holds(one.value) for one in found.values())
        words = [f"{dataset} {one.words or _told(one.value, holds)}".lstrip() for dataset, one in found.items()]
        if counts["new"]:
            words.append(f"but {counts['new']:,} {'run is' if counts['new'] == 1 else 'runs are'} not trained yet")
        checks.append(Check(name, _wanted(wanted), ", ".join(words), met))
    return tuple(checks)


def _test(wanted: Expected) -> Callable[[Any], bool]:
    """Whether a value is as wanted."""
    if isinstance(wanted, bool):
        return lambda value: bool(value) is wanted
    if isinstance(wanted, list):
        low, high = wanted
        return lambda value: bool(low <= value <= high)
    sign, _, bound = compared(wanted) or (">=", "", math.nan)  # the door lets nothing else in
    return lambda value: bool(HOLDS[sign](value, bound))


def _by_dataset(
    name: str, about: Mapping[str, Any], ranking: pd.DataFrame, entries: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, Found]]:
    """What counts of each dataset, which is unnamed where it is the only one."""
    several = len(about["datasets"]) > 1
    best = ranking[ranking["rank"] == 1]
    for dataset in about["datasets"]:
        own = [entry for entry in entries if not several or entry["setting"]["dataset"] == dataset]
        rows = best[best["dataset"] == dataset]
        finished = any(entry["best_rate"] is not None for entry in own)
        yield dataset if several else "", _finding(name, own[0], rows) if finished else Found(None, NOT_FINISHED)


def _finding(name: str, first: Mapping[str, Any], best: pd.DataFrame) -> Found:
    """What counts of one dataset: `first` is its best setting, `best` the row of each setting's best rate."""
    rate, metric = first["best_rate"], name.removeprefix("best_")
    if name == "best_rate":
        return Found(rate)
    if name == "at_edge":
        side = {"low": "lowest", "high": "highest"}.get(first["edge"])
        if first["edge"] is None:
            return Found(None, "only one rate was tried")
        return Found(side is not None, f"true ({written(rate)} is the {side} rate tried)" if side else "false")
    if metric.startswith("test_"):
        value = first[metric]
    else:
        means = best[f"{metric}_mean"]
        value = float(means.min() if lower_is_better(metric) else means.max())
    return Found(value) if value is not None and math.isfinite(value) else Found(None, LOST)


def _wanted(wanted: Expected) -> str:
    """An expectation in words.

    >>> _wanted([0.001, 0.1]), _wanted(False)
    ('0.001 to 0.1', 'false')
    """
    if isinstance(wanted, list):
        return " to ".join(map(written, wanted))
    return str(wanted).lower() if isinstance(wanted, bool) else wanted


def _told(value: Any, holds: Callable[[Any], bool]) -> str:
    """A number with four digits, or as many as it takes to see that it meets the bound, or that it does not.

    >>> _told(0.912345, lambda value: value >= 0.9), _told(0.899999, lambda value: value >= 0.9)
    ('0.9123', '0.899999')
    """
    if isinstance(value, int):
        return str(value)
    texts = (f"{value:.{digits}g}" for digits in range(4, 18))
    return next((text for text in texts if holds(float(text)) == holds(value)), repr(value))
