"""How cards say numbers in a sentence, and what they give for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrsweep.analysis.cards.compare import Difference
from lrsweep.analysis.cards.standings import Axis, Board, Family, Standing, Value
from lrsweep.analysis.cards.trend import Trend
from lrsweep.analysis.naming import apart
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.recommend import label
from lrsweep.vocabulary import Scalar

LONGEST = 220
"""Characters of a title: three lines of a terminal."""

ANYWHERE = "in {} settings"
"""Where families are that differ in several axes."""

PLACES = {
    "width": "at {} widths",
    "depth": "at {} depths",
    "batch_size": "at {} batch sizes",
    "subset": "at {} sample sizes",
    "epochs": "at {} numbers of epochs",
    "optimizer": "with {} optimizers",
    "activation": "with {} activations",
}
"""The same where they differ in one."""

VAGUE = math.log(1000)
"""A ratio whose interval reaches this far, in logarithms, says nothing."""


def listed(words: Sequence[str], most: int = 6) -> str:
    """Words in a row; of many the first, and how many more there are.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def count(number: int, noun: str) -> str:
    """A number of things.

    >>> count(1, "seed"), count(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def factor(ratio: float) -> str:
    """A ratio with as many digits as a comparison needs.

    >>> factor(0.8712), factor(1.02), factor(23.41), factor(0.00123)
    ('0.87', '1.02', '23.4', '0.00123')
    """
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else f"{ratio:.3g}"


def decimals(value: float, places: int = 2, sign: str = "") -> str:
    """A number with so many decimals; what rounds to nothing has no minus.

    >>> decimals(-0.001), decimals(-0.125), decimals(-0.0001, 3, "+")
    ('0.00', '-0.12', '+0.000')
    """
    return f"{round(value, places) + 0.0:{sign}.{places}f}"


def exponent(trend: Trend) -> str:
    """A slope with its interval.

    >>> exponent(Trend(-0.493, (-0.712, -0.221), (0, 1, 2)))
    '-0.49 (95% -0.71 to -0.22)'
    """
    if trend.slope is None:
        return "none"
    sure = "no interval" if trend.interval is None else f"95% {' to '.join(map(decimals, trend.interval))}"
    return f"{decimals(trend.slope)} ({sure})"


def change(found: Difference, lower: bool) -> str:
    """A ratio of losses or a difference of scores, with its interval.

    >>> change(Difference(-0.1, 0.023, (-0.2, 0.0), 3), lower=True)
    '× 0.90 (95% 0.82 to 1.00)'
    >>> change(Difference(0.012, None, None, 1), lower=False)
    '+0.012 (one seed)'
    """
    if found.interval is None:
        sure = "one seed"
    elif lower and found.interval[1] - found.mean > VAGUE:
        sure = "95% wider than 1000-fold"
    else:
        sure = f"95% {' to '.join(_difference(end, lower) for end in found.interval)}"
    return f"{'× ' if lower else ''}{_difference(found.mean, lower)} ({sure})"


def _difference(value: float, lower: bool) -> str:
    return factor(math.exp(value)) if lower else decimals(value, 3, "+")


def shown(found: Difference | None, lower: bool) -> tuple[float | None, tuple[float, float] | None]:
    """A difference and its interval as a table has them: of losses ratios, of scores differences.

    An interval that says nothing is none.
    """
    if found is None:
        return None, None
    interval = found.interval
    if interval is None or (lower and interval[1] - found.mean > VAGUE):
        return _plain(found.mean, lower), None
    return _plain(found.mean, lower), (_plain(interval[0], lower), _plain(interval[1], lower))


def _plain(value: float, lower: bool) -> float:
    return math.exp(value) if lower else value


def names(axis: Axis, values: Sequence[Value]) -> dict[Value, str]:
    """The values of an axis in words; what its name says already is left out, but numbers need it.

    >>> names(Axis("schedule", ("schedule", "schedule.warmup")), [("cosine", 0.1), ("step", None)]).values()
    dict_values(['cosine, warmup 0.1', 'step'])
    >>> names(Axis("clip_norm", ("clip_norm",)), [(None,), (1.0,)]).values()
    dict_values(['no clip_norm', 'clip_norm 1'])
    >>> names(Axis("growth", ("growth",)), [(None,), ("{at_epoch: 5, to_width: 64, rate: keep}",)]).values()
    dict_values(['no growth', 'growth at epoch 5, to 64'])
    """
    few = apart(axis.columns[0], [value[0] for value in values])
    called = {}
    for value in values:
        given = dict(zip(axis.columns, value, strict=True))
        first = given.pop(axis.name, "")
        if first is None:
            words = f"no {axis.name}"
        elif isinstance(first, str):
            words = few.get(first, first)
            words = f"growth at {words}" if words.startswith("epoch ") and axis.name == "growth" else words
            words = "uniform" if first == "1" and axis.name == "layer_rates" else words
        else:
            words = f"{axis.name} {str(first).lower() if isinstance(first, bool) else f'{first:g}'}"
        called[value] = ", ".join(filter(None, [words, label(given, "")]))
    return called


def common(rests: Sequence[Mapping[str, Scalar | None]]) -> list[str]:
    """What each of some families has in common, in words, as far as the families differ in it.

    >>> common([{"width": 16, "optimizer": "adam"}, {"width": 16, "optimizer": "sgd"}]), common([{"width": 16}])
    (['adam', 'sgd'], [''])
    """
    columns = [column for column in (rests[0] if rests else ()) if len({rest[column] for rest in rests}) > 1]
    return [in_words({column: rest[column] for column in columns}, rests) for rest in rests]


def in_words(setting: Mapping[str, Scalar | None], among: Sequence[Mapping[str, Scalar | None]] = ()) -> str:
    """A setting in words, mappings in those that tell them apart `among` others; empty where nothing varies."""
    few = {column: apart(column, [other[column] for other in among or [setting]]) for column in setting}
    own = {column: few[column].get(given, given) if given else given for column, given in setting.items()}
    return label(own, "")


def places(families: Sequence[Family]) -> str:
    """Where families are, with a place for how many of them: by the one axis that they differ in, if it is only one.

    >>> places([Family({"width": 16, "optimizer": "adam"}, {}), Family({"width": 32, "optimizer": "adam"}, {})])
    'at {} widths'
    >>> places([Family({"width": 16, "optimizer": "adam"}, {}), Family({"width": 32, "optimizer": "sgd"}, {})])
    'in {} settings'
    """
    rests = [family.rest for family in families]
    differing = [column for column in (rests[0] if rests else ()) if len({rest[column] for rest in rests}) > 1]
    return PLACES.get(differing[0], ANYWHERE) if len(differing) == 1 else ANYWHERE


def with_(name: str) -> str:
    """The end of a statement that holds for some settings; nothing where there are no others.

    >>> "lower" + with_("adam"), "lower" + with_("")
    ('lower with adam', 'lower')
    """
    return f" with {name}" if name else ""


def on(board: Board, words: str) -> str:
    """A title, with the dataset where there are several."""
    return f"{board.dataset}: {words[0].lower()}{words[1:]}" if board.dataset else words


def joined(axis: Axis) -> list[str]:
    """The doubt about an axis that others vary with."""
    others = listed(list(axis.joined))
    return [f"{others} varied together with {axis.name}, so this is the effect of both."] if axis.joined else []


def interval_numbers(interval: Sequence[float] | None) -> list[float | None] | None:
    """An interval as JSON has it."""
    return None if interval is None else [digits(one) for one in interval]


def difference_numbers(found: Difference | None, lower: bool) -> dict[str, Any]:
    """A difference for JSON, under the name of what it is."""
    value, interval = shown(found, lower)
    return {"ratio" if lower else "difference": digits(value), "interval": interval_numbers(interval)}


def standing_numbers(one: Standing) -> dict[str, Any]:
    """A setting's rates and objective for JSON."""
    keys = ("best_rate", "tie_interval", "fitted_rate", "fitted_interval", "edge", "highest_stable_rate")
    return {**{key: one.entry.get(key) for key in keys}, "objective_mean": digits(one.objective)}
