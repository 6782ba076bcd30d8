"""The range test's card: the rates that it proposes, and whether the sweep's best ones are among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.phrases import count, interval_numbers, listed
from lrsweep.analysis.findings import named, short
from lrsweep.analysis.profiles import digits
from lrsweep.analysis.ranges import RULES
from lrsweep.analysis.ranking import RATE, by_setting, varying
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import Scalar

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.cards.standings import Material

AXIS = "range test"

NEAR = 0.5
"""Decades within which a rule's rate is near the best one."""

MOST_POINTS = 40
"""Of a line of the chart."""

MOST_DOUBTS = 6
"""Settings whose doubts are told in sentences; the table has the trust in all of them."""

Key = tuple[str, ...]
"""What a setting is known by in two frames."""


@dataclass(frozen=True)
class Range:
    """A row of ranges.csv that is of a setting of the sweep, and what the sweep says of that.

    `row` is the row, `setting` what varies of it in the sweep, and `name` that in words; `best` is the sweep's best
    rate, None where it has none and for a group of layers, `tried` are its lowest and its highest rate.
    """

    row: Mapping[Any, Any]
    name: str
    setting: Mapping[str, Scalar | None]
    best: float | None
    tried: tuple[float, float]

    @property
    def interval(self) -> tuple[float, float] | None:
        """The rates that it proposes."""
        low, high = self.row["interval_low"], self.row["interval_high"]
        return (float(low), float(high)) if known(low) and known(high) else None

    @property
    def layers(self) -> str:
        """The group of layers that it is of; empty for the whole network."""
        return self.row["layers"] if isinstance(self.row["layers"], str) else ""

    @property
    def inside(self) -> bool | None:
        """Whether the sweep's best rate is among the proposed ones; None where there is nothing to compare."""
        if self.interval is None or self.best is None:
            return None
        return self.interval[0] <= self.best <= self.interval[1]

    @property
    def tells(self) -> bool:
        """Whether the sweep could have had its best rate outside of the interval."""
        if self.interval is None or self.best is None:
            return False
        return self.tried[0] < self.interval[0] or self.tried[1] > self.interval[1]


def range_test_cards(material: Material) -> tuple[Card, ...]:
    """The card of the range test; none where there was no such test, or it was of other settings than the sweep has."""
    if material.ranges is None or material.ramps is None:
        return ()
    found = matched(material, material.ranges)
    if not found:
        return ()
    whole = [one for one in found if not one.layers]
    others = len(material.ranges) - len(found)
    return (
        Card(
            axis=AXIS,
            title=title(whole),
            sentences=[*compared(whole), *by_rules(whole), *doubts(whole), *elsewhere(others)],
            table=table(found),
            charts=[chart(found, material.ramps)],
            numbers={"settings": [numbers(one) for one in found]},
        ),
    )


def matched(material: Material, ranges: pd.DataFrame) -> list[Range]:
    """The rows whose settings, all of them, are those of a setting of the sweep, in their order."""
    about, runs = material.about, material.runs
    columns = [column for column in about["settings"] if column in ranges and column in runs]
    entries = {key_of(entry["setting"], varying(about)): entry for entry in material.recommendation["settings"]}
    sweeps: dict[Key, tuple[Mapping[str, Any], tuple[float, float]]] = {}
    for rows in by_setting(runs, about):
        first, rates = runs.iloc[rows[0]].to_dict(), runs[RATE].iloc[rows]
        ends = float(rates.min()), float(rates.max())
        sweeps[key_of(first, columns)] = entries[key_of(first, varying(about))], ends
    rows_of = [row for row in ranges.to_dict("records") if key_of(row, columns) in sweeps]
    of_them = [sweeps[key_of(row, columns)] for row in rows_of]
    names = named([entry["setting"] for entry, _ in of_them], str(rows_of[0]["optimizer"])) if rows_of else []
    return [
        Range(row, name, entry["setting"], None if known(row["layers"]) else entry["best_rate"], tried)
        for row, name, (entry, tried) in zip(rows_of, names, of_them, strict=True)
    ]


def key_of(row: Mapping[Any, Any], columns: Sequence[str]) -> Key:
    """A setting by its values in columns."""
    return tuple(plain(row[column]) for column in columns)


def plain(value: Any) -> str:
    """A value as it is the same in a frame that was read from a file and in one that was not.

    >>> plain(64), plain("64.0"), plain("full"), plain(True), plain(float("nan")), plain(None)
    ('64.0', '64.0', 'full', 'true', '', '')
    """
    if not known(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    try:
        return repr(float(value))
    except ValueError:
        return str(value)


def known(value: Any) -> bool:
    """Whether there is a value: neither None nor nan."""
    return value is not None and value == value


# --- In words


def title(whole: Sequence[Range]) -> str:
    """The finding in a sentence."""
    found = [one for one in whole if one.interval]
    if not found:
        return f"The range test found no interval of usable rates in {settings(len(whole))}."
    telling = [one for one in found if one.tells]
    if not telling:
        return f"The range test proposes {listed([f'{words(one)}{for_(one)}' for one in found], 3)}."
    if len(telling) > 1:
        inside = sum(bool(one.inside) for one in telling)
        return f"The sweep's best rate lies in the range test's interval in {inside} of {settings(len(telling))}."
    [one] = telling
    best = brief(one.best or 0)
    return f"The range test proposes {words(one)}{for_(one)}; the sweep's best rate, {best}, is {place(one)}."


def for_(one: Range) -> str:
    """What an interval is for, where there are several settings."""
    return f" for {one.name}" if one.setting else ""


def settings(number: int) -> str:
    """A number of settings."""
    return "the only setting" if number == 1 else count(number, "setting")


def words(one: Range) -> str:
    """An interval of rates."""
    low, high = one.interval or (math.nan, math.nan)
    return f"{short(low)} to {short(high)}"


def place(one: Range) -> str:
    """Where the sweep's best rate is."""
    if one.inside or one.interval is None or one.best is None:
        return "in it"
    end, word = (one.interval[0], "below") if one.best < one.interval[0] else (one.interval[1], "above")
    away = abs(math.log10(one.best / end))
    return f"{away:.1f} decades {word} it" if away >= 0.05 else f"just {word} it"


def compared(whole: Sequence[Range]) -> Iterator[str]:
    """The settings whose best rate is not where the test says, and those that tell nothing of it."""
    for one in [one for one in whole if one.tells and not one.inside and len(whole) > 1][:MOST_DOUBTS]:
        yield f"{one.name}: the sweep's best rate, {brief(one.best or 0)}, is {place(one)} ({words(one)})."
    mute = sum(one.inside is not None and not one.tells for one in whole)
    if mute:
        where = "" if mute == len(whole) else f" in {count(mute, 'setting')}"
        yield f"No rate beyond the interval was tried{where}, so the sweep says nothing of its ends there."


def by_rules(whole: Sequence[Range]) -> Iterator[str]:
    """How often the suggestion, and each published rule, came near the sweep's best rate."""
    tested = [one for one in whole if one.best is not None and known(one.row["suggestion"])]
    if not tested:
        return
    near = {rule: sum(is_near(one.row[rule], one.best) for one in tested) for rule in ("suggestion", *RULES)}
    said = {"the suggestion" if rule == "suggestion" else rule.replace("_", "-"): near[rule] for rule in near}
    if len(tested) == 1:
        rules = listed([rule for rule, number in said.items() if number], 9)
        yield f"Within half a decade of the sweep's best rate{for_(tested[0])}: {rules or 'no rule'}."
    else:
        ordered = sorted(said.items(), key=lambda pair: -pair[1])
        rules = listed([f"{rule} in {number}" for rule, number in ordered], 9)
        yield f"Within half a decade of the sweep's best rate, of {settings(len(tested))}: {rules}."


def is_near(rate: Any, best: float | None) -> bool:
    """Whether a rate is within half a decade of the best one."""
    return known(rate) and best is not None and rate > 0 and abs(math.log10(rate / best)) <= NEAR


def doubts(whole: Sequence[Range]) -> Iterator[str]:
    """Why some of it is not to be trusted."""
    low = [one for one in whole if one.row["trust"] != "high"]
    for one in low[:MOST_DOUBTS]:
        yield f"{one.name}: trust {one.row['trust']}, since {one.row['reason']}."
    if len(low) > MOST_DOUBTS:
        yield f"{len(low) - MOST_DOUBTS:,} more are not to be trusted either; ranges.csv says why."


def elsewhere(number: int) -> Iterator[str]:
    """That the files have more than the sweep has."""
    if number:
        yield f"ranges.csv has {count(number, 'row')} more, of settings that the sweep is without."


# --- In tables, figures and numbers


def table(found: Sequence[Range]) -> list[Col]:
    """A row per setting, and per group of layers where these were tested."""
    layers = [one.layers or "all" for one in found]
    return [
        Col("setting", [one.name for one in found], "setting"),
        *([Col("layers", layers, "setting")] if {*layers} != {"all"} else []),
        Col("interval", [one.interval for one in found], "rates"),
        Col("suggestion", [one.row["suggestion"] for one in found], "rate"),
        Col("sweep's best", [one.best for one in found], "rate"),
        Col("inside", [ANSWERS[one.inside] for one in found]),
        Col("trust", [one.row["trust"] for one in found]),
        Col("rules apart", [one.row["disagreement_decades"] for one in found], "number", spare=1),
        *(Col(rule.replace("_", "-"), [one.row[rule] for one in found], "rate", spare=2) for rule in RULES),
    ]


ANSWERS = {True: "yes", False: "no", None: None}


def chart(found: Sequence[Range], ramps: pd.DataFrame) -> Chart:
    """The smoothed loss against the rate while that climbs, with its range over seeds, a line per row of the table."""
    import pandas as pd

    rows = [
        (one.name + (f", {one.layers}" if one.layers else ""), *point) for one in found for point in line(one, ramps)
    ]
    return Chart(
        kind="lines",
        data=pd.DataFrame(rows, columns=["setting", RATE, "loss", "low", "high"]),
        x=RATE,
        y="loss",
        by="setting",
        low="low",
        high="high",
        title="Training loss while the rate climbs, smoothed",
        words="The mean over seeds of the smoothed training loss at each step of a ramp, and its range over seeds.",
        x_title=RATE,
        y_title="training loss",
        log_x=True,
        log_y=True,
    )


def line(one: Range, ramps: pd.DataFrame) -> Iterator[tuple[float, float, float, float]]:
    """The rates of a ramp that all seeds get to, with the smoothed loss, its mean, lowest and highest; thinned out."""
    columns = [column for column in ramps if column in one.row and column not in ("layers", "suggestion")]
    same = ramps["layers"].fillna("") == one.layers
    for column in columns:
        same &= ramps[column].map(plain) == plain(one.row[column])
    own = ramps[same].pivot_table(index=RATE, columns="seed", values="smoothed", dropna=False).dropna()
    thinned = own.iloc[:: max(1, -(-len(own) // MOST_POINTS))]
    for rate, losses in zip(thinned.index.tolist(), thinned.to_numpy(), strict=True):
        yield rate, float(losses.mean()), float(losses.min()), float(losses.max())


def numbers(one: Range) -> dict[str, Any]:
    """A row for JSON."""
    return {
        "setting": dict(one.setting),
        "layers": one.layers or None,
        "interval": interval_numbers(one.interval),
        "suggestion": digits(one.row["suggestion"]),
        "trust": one.row["trust"],
        "best_rate": one.best,
        "inside": one.inside,
        "tried_beyond": one.tells,
    }
