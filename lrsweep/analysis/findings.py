"""What the range test found in a sweep: the sentence to act on, the grid to sweep, and the tables of its two files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrsweep.analysis.naming import apart
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.range_trust import Confirmation, Trust, document, trust
from lrsweep.analysis.ranges import RULES, RangeTest
from lrsweep.analysis.recommend import brief, label
from lrsweep.vocabulary import Scalar, written

Interval = tuple[float, float]

PER_DECADE = 4
"""Rates to the decade of the grid that is proposed: the optimum lies within an eighth of a decade of one of them."""

WASTE = 0.5
"""Where grids of their own would take no more than this share of the runs of a common one, that is said."""


@dataclass(frozen=True)
class Finding:
    """What was found of a setting, or of one of its layer groups.

    `row` has all settings by column, the test's own only those that vary; `name` is the latter in words. `told` is what
    short real runs say to the suggestion, None where there are none.
    """

    test: RangeTest
    row: Mapping[str, Scalar | None]
    name: str
    told: Confirmation | None = None

    @property
    def confirmed(self) -> bool | None:
        """Whether short runs confirm the suggestion; None where there are none or they do not tell."""
        return None if self.told is None else self.told.confirmed

    @property
    def trust(self) -> tuple[Trust, str]:
        """How far to trust it, and why."""
        return trust(self.test, self.told)

    @property
    def sentence(self) -> str:
        """What to do."""
        if self.test.interval is None or self.test.suggestion is None:
            return f"{self.name}: no interval; {self.trust[1]}"
        low, high = map(short, self.test.interval)
        said = "; confirmed by short runs" if self.confirmed else ""
        if self.told is not None and self.told.better is not None:
            said = f"; short runs did better at {short(self.told.better)}"
        return f"{self.name}: sweep {low} to {high} (suggestion {short(self.test.suggestion)}{said})"

    def document(self) -> dict[str, Any]:
        """An entry of the JSON document, without the layers."""
        entry = document(self.test, self.told) | {"setting": dict(self.test.setting)}
        return {key: figures(value) for key, value in entry.items()}


def figures(value: Any) -> Any:
    """A document's value with six digits, also within lists; rules by their names.

    >>> figures([0.1 + 0.2, None]), figures({"valley": 1 / 3}), figures("low")
    ([0.3, None], {'valley': 0.333333}, 'low')
    """
    if isinstance(value, dict):
        return {key: figures(inner) for key, inner in value.items()}
    return [figures(inner) for inner in value] if isinstance(value, list) else digits(value)


def named(settings: Sequence[Mapping[str, Scalar | None]], default: str) -> list[str]:
    """Settings in words that tell them apart; `default` where there is but one.

    >>> named([{"optimizer": "adam", "width": 16}, {"optimizer": "sgd", "width": 16}], "adam")
    ['adam, width 16', 'sgd, width 16']
    """
    few = {column: apart(column, [setting[column] for setting in settings]) for column in settings[0]}
    told = []
    for setting in settings:
        own = {column: few[column].get(value, value) if value else value for column, value in setting.items()}
        words = label(own, default)
        told.append(f"{setting['dataset']}: {words}" if "dataset" in setting else words)
    return told


def rounded(rate: float) -> float:
    """A rate with the two digits that a range test is good for."""
    return float(f"{rate:.2g}")


def short(rate: float) -> str:
    """A rate in a sentence or a table.

    >>> short(0.00321), short(251.3), short(1e-7)
    ('0.0032', '250', '1e-07')
    """
    return brief(rounded(rate))


def union(intervals: Sequence[Interval | None]) -> Interval | None:
    """From the lowest end of the intervals to the highest; None where there is none.

    >>> union([(0.01, 1.0), None, (0.001, 0.1)]), union([None])
    ((0.001, 1.0), None)
    """
    known = [interval for interval in intervals if interval is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def grid(interval: Interval) -> str:
    """The grid over an interval, as a sweep file has it.

    >>> grid((0.000321, 0.0316))
    '{log: [0.00032, 0.032], per_decade: 4}'
    """
    low, high = (written(rounded(end)) for end in interval)
    return f"{{log: [{low}, {high}], per_decade: {PER_DECADE}}}"


def decades(interval: Interval) -> float:
    """How far an interval reaches."""
    return math.log10(interval[1] / interval[0])


def layer_rates(parts: Sequence[Finding]) -> dict[str, float] | None:
    """Multipliers for a network's groups of layers, as their suggestions are to each other; None where one has none.

    They have a digit each, and 1 as their mean, geometric: with the others held still a group bears higher rates than
    it does together with them, so that only the ratios mean anything; see tests/studies/layers.py for what they bring.
    """
    known = {part.test.layers: part.test.suggestion for part in parts if part.test.suggestion is not None}
    if len(known) < max(2, len(parts)):
        return None
    middle = math.prod(known.values()) ** (1 / len(known))
    return {layers: float(f"{suggestion / middle:.1g}") for layers, suggestion in known.items()}


def cheaper_by(findings: Sequence[Finding]) -> tuple[str, float] | None:
    """The key by which grids of their own would save most, and what share of the runs they take; None for little.

    `findings` are those of whole networks. What counts is how many rates there are: a step for each, and one more.
    """
    known = [finding for finding in findings if finding.test.interval is not None]
    shares = []
    for column in known[0].test.setting if known else ():
        groups: dict[Scalar | None, list[Finding]] = {}
        for finding in known:
            groups.setdefault(finding.test.setting[column], []).append(finding)
        own = sum(len(group) * n_rates(group) for group in groups.values())
        shares.append((own / (len(known) * n_rates(known)), column))
    share, column = min(shares, default=(1.0, ""))
    return (column, share) if share <= WASTE else None


def n_rates(findings: Sequence[Finding]) -> float:
    """The rates of a grid over all their intervals."""
    whole = union([finding.test.interval for finding in findings])
    return PER_DECADE * decades(whole) + 1 if whole else 0.0


def ranges_columns(findings: Sequence[Finding]) -> dict[str, list[Scalar | None]]:
    """The content of ranges.csv: a row per finding."""
    rows = [ranges_row(finding) for finding in findings]
    return {column: [row[column] for row in rows] for column in rows[0]}


def ranges_row(finding: Finding) -> dict[str, Scalar | None]:
    """A finding's row: all settings, and what was found."""
    test, (trusted, reason) = finding.test, finding.trust
    low, high = test.interval or (None, None)
    first, last = test.seed_band or (None, None)
    return {
        **finding.row,
        "layers": test.layers or None,
        "interval_low": digits(low),
        "interval_high": digits(high),
        "suggestion": digits(test.suggestion),
        **{rule: digits(test.rules[rule]) for rule in RULES},
        "disagreement_decades": digits(test.disagreement_decades),
        "seed_band_low": digits(first),
        "seed_band_high": digits(last),
        "confirmed": finding.confirmed,
        "trust": trusted,
        "reason": reason,
    }


def ramps_columns(findings: Sequence[Finding]) -> dict[str, list[Scalar | None]]:
    """The content of ramps.csv: a row per finding, seed and rate, with the settings that vary.

    A loss is nan from where it is no longer finite, and its smoothed value empty where the ramp was cut off before.
    """
    settings = [*findings[0].test.setting]
    columns: dict[str, list[Scalar | None]] = {
        name: [] for name in (*settings, "layers", "seed", "learning_rate", "loss", "smoothed")
    }
    for finding in findings:
        test = finding.test
        own = {**test.setting, "layers": test.layers or None}
        for seed, losses, smoothed in zip(test.seeds, test.losses.tolist(), test.smoothed.tolist(), strict=True):
            for column, value in {**own, "seed": seed}.items():
                columns[column] += [value] * len(losses)
            columns["learning_rate"] += [digits(rate) for rate in test.rates.tolist()]
            columns["loss"] += losses
            columns["smoothed"] += [value if math.isfinite(value) else None for value in smoothed]
    return columns
