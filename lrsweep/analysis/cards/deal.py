"""Which cards a sweep has: one for each of its axes that there is something to say about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.cards.card import Card
from lrsweep.analysis.fit import Fit
from lrsweep.analysis.profiles import Profile

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Findings:
    """What cards are made from: the runs, a row per setting and rate, and the document of recommendation.json.

    `profiles` and `fits` have an entry per setting, in order of appearance in `runs` and `ranking`.
    """

    about: Mapping[str, Any]
    runs: pd.DataFrame
    ranking: pd.DataFrame
    recommendation: Mapping[str, Any]
    profiles: Sequence[Profile]
    fits: Sequence[Fit]


def deal(found: Findings) -> tuple[Card, ...]:
    """The cards of a sweep, in the order of its axes."""
    return ()
