"""What is wrong with each rate, or that nothing is, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def diagnose(
    ranking: pd.DataFrame, runs: pd.DataFrame, curves: pd.DataFrame, about: Mapping[str, Any]
) -> pd.DataFrame:
    """`diagnosis` and `evidence` of each row of the ranking."""
    return ranking.assign(diagnosis=None, evidence=None)[["diagnosis", "evidence"]]
