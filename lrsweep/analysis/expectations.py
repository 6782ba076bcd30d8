"""Whether a sweep came out as its file expects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Check:
    """One expectation: what was wanted and what was found, in words."""

    name: str
    wanted: str
    found: str
    met: bool


def check(
    about: Mapping[str, Any], counts: Mapping[str, int], ranking: pd.DataFrame, recommendation: Mapping[str, Any]
) -> tuple[Check, ...]:
    """Every expectation of the sweep file, in its order."""
    return ()
