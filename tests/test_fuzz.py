"""A minute of sweep files as no person writes them: each is read, or refused in words; nothing else comes of it.

Chunk after chunk of examples is made until a test's share of the minute is over. A chunk follows from its seed alone,
which is counted up from FUZZ_SEED (0), so that a failure comes again; Hypothesis tells the smallest example.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fuzz_cases import GOOD, KEYS, NOISE, SCALARS, VALUES, bent, sweeps, value_of
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st
from soon import takes_at_most

from lrsweep.plan import make_plan
from lrsweep.spec import Rates, Spec, load_spec, regridded
from lrsweep.vocabulary import SpecError, UsageError
from lrsweep.yaml_reader import draw

SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
"""Of the processor, for all tests together."""

FIRST = int(os.environ.get("FUZZ_SEED", "0"))
EXAMPLES = 50
"""Of a chunk; the time is looked at between chunks."""

MOST = 1.0
"""Seconds of the processor that reading may take."""


def fuzz(share: float, check: Callable[..., None], **what: st.SearchStrategy[Any]) -> None:
    """Checks examples for this share of all the time."""
    end = time.process_time() + share * SECONDS
    number = FIRST
    while time.process_time() < end:
        how = settings(
            max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=[*HealthCheck], print_blob=True
        )
        try:
            seed(number)(how(given(**what)(check)))()
        except BaseException:
            print(f"again: FUZZ_SEED={number}")
            raise
        number += 1
    print(f"seeds {FIRST} to {number - 1}, {EXAMPLES} examples each")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where sweep files and their data are."""
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{i},{i % 3}\n" for i in range(60)))
    return tmp_path


def outcome(path: Path, data: bytes | str, overrides: Sequence[str] = (), max_runs: int = 10_000) -> Spec | None:
    """What reading a sweep file gives, None where it is refused; anything but a refusal in words passes through."""
    path.write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    start = time.process_time()
    try:
        return load_spec(path, overrides, max_runs)
    except UsageError as error:
        refused(error)
        return None
    finally:
        assert time.process_time() - start < MOST or takes_at_most(MOST, lambda: read(path, overrides, max_runs))


def read(path: Path, overrides: Sequence[str], max_runs: int) -> None:
    """Reads a sweep file, whatever comes of it."""
    with contextlib.suppress(UsageError):
        load_spec(path, overrides, max_runs)


def refused(error: UsageError) -> None:
    """A refusal is short, harmless, and tells what to do."""
    if isinstance(error, SpecError):
        assert error.problems
        for problem in error.problems:
            assert problem.message
            assert "\n" not in problem.message
            assert len(problem.message) < 1_000, problem.message
    drawn = draw(error) if isinstance(error, SpecError) else str(error)
    assert not [sign for sign in drawn if sign != "\n" and not sign.isprintable()]
    assert len(drawn) < 20_000


def test_any_combination_of_keys_and_values(folder: Path) -> None:
    def check(text: str) -> None:
        outcome(folder / "sweep.yaml", text)

    fuzz(0.3, check, text=sweeps())


def test_bent_files_and_noise(folder: Path) -> None:
    def check(data: bytes) -> None:
        outcome(folder / "sweep.yaml", data)

    fuzz(0.25, check, data=st.one_of(bent(), bent(), bent(), NOISE))


def test_overrides(folder: Path) -> None:
    """What -o gives is read like the file; without a key in front it is refused."""
    keys = st.one_of(st.sampled_from([*GOOD]), KEYS)
    told = st.one_of(
        st.builds("{}={}".format, keys, VALUES),
        st.sampled_from([*GOOD]).flatmap(lambda key: value_of(key).map(lambda value: f"{key}={value}")),
        st.builds("{}={},{}".format, keys, SCALARS, SCALARS),
        st.text(max_size=20),
    )

    def check(overrides: list[str]) -> None:
        outcome(folder / "sweep.yaml", "dataset: iris\nlearning_rate: 0.1\n", overrides)

    fuzz(0.15, check, overrides=st.lists(told, min_size=1, max_size=4))


def test_plans_of_what_is_accepted(folder: Path) -> None:
    """A sweep that is read can be planned, or is refused as its data show; the plan's places are the file's."""

    def check(text: str) -> None:
        spec = outcome(folder / "sweep.yaml", text, max_runs=50)
        if spec is None or "openml" in text:
            return
        try:
            make_plan(spec)
        except UsageError as error:
            refused(error)

    fuzz(0.2, check, text=sweeps())


GRID = "{log: [0.002, 0.5], num: 3}"


def test_files_with_another_grid(folder: Path) -> None:
    """What find --write makes of a file that is read is read as well, with the new rates and all else as it was."""
    path, new = folder / "123.yaml", folder / "new.yaml"

    def check(data: bytes | str) -> None:
        if outcome(path, data) is None:
            return
        spec = load_spec(path)
        groups = Rates.of(path).groups()
        try:
            text = regridded(spec, new, [GRID] * len(groups))
        except UsageError as error:
            refused(error)
            return
        note(text)
        written = outcome(new, text, max_runs=10**6)
        assert written is not None
        assert written.name == spec.name
        assert [block.axes["learning_rate"] for block in written.blocks] == [[0.002, 0.0316228, 0.5]] * len(spec.blocks)

    fuzz(0.1, check, data=st.one_of(sweeps(), bent()))
