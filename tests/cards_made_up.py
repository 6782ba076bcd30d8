"""Cards of made-up sweeps, dealt without the diagnosis and the cost, which have nothing to do with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sweeps_made_up import Values, about, frame

from lrsweep.analysis.cards import Card, Material, deal
from lrsweep.analysis.fit import fit
from lrsweep.analysis.profiles import profiles
from lrsweep.analysis.ranking import lower_is_better, objective_column, rank
from lrsweep.analysis.recommend import recommend
from lrsweep.vocabulary import DIVERGED, FAILED

GRID = tuple(10 ** (-4 + i / 3) for i in range(13))
"""Rates from 0.0001 to 1, three per decade."""


def valley(centre: float, floor: float = 0.1, seeds: Sequence[float] = (0.0,), grid: Sequence[float] = GRID) -> Values:
    """Losses with their minimum `floor` at the rate 10^centre, a factor e a decade off; `seeds` move it, in decades."""
    return {r: [floor * math.exp((math.log10(r) - centre - off) ** 2) for off in seeds] for r in grid}


def found(*settings: list[dict[str, Any]], diagnosis: str | None = None, **told: Any) -> Material:
    """What cards are made from; `diagnosis` is that of every rate."""
    runs = frame(*settings)
    tell = about(runs, **told)
    ranking = rank(runs, tell).assign(diagnosis=diagnosis, evidence=None, epochs_to_target=3.0)
    own = profiles(runs, tell)
    fits = [fit(profile, lower_is_better(objective_column(tell))) for profile in own]
    return Material(tell, runs, ranking, recommend(ranking, tell, fits), own, fits)


def dealt(*settings: list[dict[str, Any]], **told: Any) -> dict[str, Card]:
    """The cards by their axes."""
    return {card.axis: card for card in deal(found(*settings, **told))}


def failed(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, where what diverged failed instead."""
    return [{**row, "status": FAILED if row["status"] == DIVERGED else row["status"]} for row in settings]


def column(card: Card, title: str) -> list[Any]:
    """A column of a card's table."""
    [values] = [list(one.values) for one in card.table if one.title == title]
    return values


def said(card: Card) -> str:
    """All that a card says."""
    return " ".join([card.title, *card.sentences, *card.details])


def noisy(random: np.random.Generator, values: Values, by: float) -> Mapping[float, list[float]]:
    """The same with normal noise on the logarithms."""
    return {rate: [one * math.exp(random.normal(0, by)) for one in own if one] for rate, own in values.items()}
