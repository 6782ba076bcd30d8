"""How cards say numbers in a sentence, and what they give for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from lrsweep.analysis.cards.compare import Difference
from lrsweep.analysis.cards.findings import Axis, Board, Standing, Value
from lrsweep.analysis.cards.trend import Trend
from lrsweep.analysis.naming import apart
from lrsweep.analysis.recommend import label
from lrsweep.vocabulary import Scalar


def listed(words: Sequence[str], most: int = 6) -> str:
    """Words in a row; of many the first, and how many more there are.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    if len(words) > most:
        words = [*words[:most], f"{len(words) - most} more"]
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def factor(ratio: float) -> str:
    """A ratio with as many digits as a comparison needs.

    >>> factor(0.8712), factor(1.02), factor(23.41), factor(0.00123)
    ('0.87', '1.02', '23.4', '0.00123')
    """
    return f"{ratio:.2f}" if 0.1 <= ratio < 10 else f"{ratio:.3g}"


def exponent(trend: Trend) -> str:
    """A slope with its interval.

    >>> exponent(Trend(-0.493, (-0.712, -0.221), (0, 1, 2)))
    'exponent -0.49, 95% -0.71 to -0.22'
    """
    if trend.slope is None:
        return "no exponent"
    told = "" if trend.interval is None else f", 95% {trend.interval[0]:.2f} to {trend.interval[1]:.2f}"
    return f"exponent {trend.slope:.2f}{told}"


def change(found: Difference, metric: str, lower: bool) -> str:
    """A difference to something that is named next: of losses a ratio, of scores the difference.

    >>> change(Difference(-0.1, 0.023, (-0.2, 0.0), 3), "val_loss", lower=True)
    'val_loss × 0.90 (95% 0.82 to 1.00)'
    >>> change(Difference(0.012, None, None, 1), "val_accuracy", lower=False)
    'val_accuracy +0.012 (one seed)'
    """
    value, interval = shown(found, lower)
    return f"{metric} {measured(value or 0.0, interval, lower)}"


def measured(value: float, interval: tuple[float, float] | None, lower: bool) -> str:
    """A ratio of losses or a difference of scores, with its interval.

    >>> measured(1.19, (0.85, 1.65), True), measured(-0.02, None, False)
    ('× 1.19 (95% 0.85 to 1.65)', '-0.020 (one seed)')
    """
    write = factor if lower else "{:+.3f}".format
    sure = "one seed" if interval is None else f"95% {write(interval[0])} to {write(interval[1])}"
    return f"{'× ' if lower else ''}{write(value)} ({sure})"


def shown(found: Difference | None, lower: bool) -> tuple[float | None, tuple[float, float] | None]:
    """A difference and its interval as a table has them: of losses ratios, of scores differences."""
    if found is None:
        return None, None
    write = math.exp if lower else float
    interval = None if found.interval is None else (write(found.interval[0]), write(found.interval[1]))
    return write(found.mean), interval


def names(axis: Axis, values: Sequence[Value]) -> dict[Value, str]:
    """The values of an axis in words; what its name says already is left out.

    >>> names(Axis("schedule", ("schedule", "schedule.warmup")), [("cosine", 0.1), ("step", None)]).values()
    dict_values(['cosine, warmup 0.1', 'step'])
    >>> names(Axis("clip_norm", ("clip_norm",)), [(None,), (1.0,)]).values()
    dict_values(['none', '1'])
    """
    few = apart(axis.columns[0], [value[0] for value in values])
    if axis.name == "layer_rates":
        few["1"] = "uniform"
    called = {}
    for value in values:
        given = dict(zip(axis.columns, value, strict=True))
        first = given.pop(axis.name, "")
        told = few.get(first) or ("none" if first is None else f"{first:g}" if isinstance(first, float) else str(first))
        called[value] = ", ".join(filter(None, [told, label(given, "")]))
    return called


def common(family: Mapping[str, Scalar | None]) -> str:
    """What the settings of a family have in common, in words; empty where nothing else varies."""
    return label(family, "")


def on(board: Board, words: str) -> str:
    """A title, with the dataset where there are several."""
    return f"{board.dataset}: {words[0].lower()}{words[1:]}" if board.dataset else words


def headed(family: str, finding: str) -> str:
    """A finding with the settings that it is about.

    >>> headed("adam", "One rate serves all widths."), headed("", "One rate.")
    ('With adam: one rate serves all widths.', 'One rate.')
    """
    return f"With {family}: {finding[0].lower()}{finding[1:]}" if family else finding


def joined(axis: Axis) -> list[str]:
    """The doubt about an axis that others vary with."""
    others = listed(list(axis.joined))
    return [f"{others} varied together with {axis.name}, so this is the effect of both."] if axis.joined else []


def plain(value: Any) -> Any:
    """A number as JSON has it: None where there is none.

    >>> plain(float("nan")), plain(0.5), plain(None), plain("adam")
    (None, 0.5, None, 'adam')
    """
    if value is None or isinstance(value, str | bool):
        return value
    return float(value) if math.isfinite(value) else None


def pair(interval: Sequence[float] | None) -> list[float | None] | None:
    """An interval as JSON has it."""
    return None if interval is None else [plain(one) for one in interval]


def difference_numbers(found: Difference | None, lower: bool) -> dict[str, Any]:
    """A difference for JSON, under the name of what it is."""
    value, interval = shown(found, lower)
    return {"ratio" if lower else "difference": plain(value), "interval": pair(interval)}


def standing_numbers(one: Standing) -> dict[str, Any]:
    """A setting's rates and objective for JSON."""
    keys = ("best_rate", "tie_interval", "fitted_rate", "fitted_interval", "edge", "highest_stable_rate")
    return {**{key: one.told.get(key) for key in keys}, "objective_mean": plain(one.objective)}
