"""Sudden death of a sweep: nothing that was stored is lost or trained again, and nobody is left behind."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
from kill_cases import GONE, SWEEPS, Killer, Tally


def assert_killed_throughout(tally: Tally, kills: int) -> None:
    """Kills came while the sweep trained and afterwards, and its workers went with it."""
    assert tally.kills >= kills
    assert tally.throughout
    assert statistics.median(tally.gone) < GONE  # the others may have had to wait for a processor


@pytest.mark.parametrize("names", [["plain"], ["elimination", "everything"]], ids=["plain", "search"])
def test_kills_at_any_time_cost_nothing_that_was_stored(tmp_path: Path, names: list[str]) -> None:
    """25 kills each: rows that a reader saw, or the view told of, are there afterwards, with the same bytes."""
    with Killer(tmp_path, names, seed=len(names), commands=0.1) as killer:
        tally = killer.kill(25)
    print(tally)
    assert_killed_throughout(tally, 25)


@pytest.mark.soak
@pytest.mark.parametrize("name", SWEEPS)
def test_a_thousand_kills_cost_nothing_that_was_stored(tmp_path: Path, name: str) -> None:
    """A third of them on each sweep."""
    with Killer(tmp_path, [name], seed=0, commands=0.05) as killer:
        tally = killer.kill(334)
    print(tally)
    assert_killed_throughout(tally, 334)
    assert len(tally.phases) >= 4
