"""The wider grid that is proposed at an edge is read back as the old rates and the new ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from lrsweep.analysis.widen import beyond, widened
from lrsweep.spec import load_spec

SWEEP = "dataset: digits\nlearning_rate: {}\n"


def rates(folder: Path, text: str, *overrides: str) -> list[float]:
    """The rates of a sweep file, as the door reads them."""
    path = folder / "sweep.yaml"
    path.write_text(SWEEP.format(text))
    return [float(rate) for block in load_spec(path, overrides).blocks for rate in block.axes["learning_rate"]]


@pytest.mark.parametrize(("low", "high"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    "grid",
    [
        "{log: [1e-4, 10], per_decade: 3}",
        "{log: [3e-4, 2], num: 9}",
        "{log: [0.001, 1], num: 4}",
        "{log: [1.0, 100.0], num: 3}",
        "{log: [0.1, 100.0], num: 4}",
        "[1, 3.16228, 10, 31.6228, 100]",
        "{doubling: [0.1, 1.6]}",
        "[0.003, 0.1, 0.5]",
        "[1, 10]",
    ],
)
def test_the_wider_grid_keeps_every_rate_and_adds_those_beyond(
    tmp_path: Path, grid: str, low: bool, high: bool
) -> None:
    old = rates(tmp_path, grid)
    new = rates(tmp_path, grid, f"learning_rate={widened(old, low, high)}")
    added = [*(beyond(old[::-1]) if low else ()), *(beyond(old) if high else ())]
    assert new == sorted({*old, *new})
    assert set(new) >= {*old, *added}
    assert (new[0] < old[0]) == low


def test_an_even_grid_goes_on_evenly() -> None:
    thirds = [1e-4, 0.000215443, 0.000464159, 0.001, 0.00215443, 0.00464159, 0.01]
    assert widened(thirds, low=False, high=True) == "{log: [0.0001, 0.1], num: 10}"
