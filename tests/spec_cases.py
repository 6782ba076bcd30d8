"""Sweep files for the tests of the door: written, loaded and refused."""

from pathlib import Path
from typing import Any

import pytest

from lrsweep.spec import Spec, load_spec
from lrsweep.vocabulary import SpecError

BASE = {"dataset": "digits", "learning_rate": "0.1"}


def written(folder: Path, text: str = "", /, **keys: str) -> Path:
    """A sweep file with a dataset and a rate, then the keys, then the text; a key with no value is left out."""
    lines = [f"{key}: {value}" for key, value in (BASE | keys).items() if value]
    path = folder / "sweep.yaml"
    path.write_text("\n".join([*lines, text]), "utf-8")
    return path


def loaded(folder: Path, text: str = "", /, *overrides: str, max_runs: int = 10_000, **keys: str) -> Spec:
    return load_spec(written(folder, text, **keys), overrides, max_runs)


def refused(folder: Path, text: str = "", /, *overrides: str, max_runs: int = 10_000, **keys: str) -> list[str]:
    """`line:column: message` of every mistake, in the file's order."""
    with pytest.raises(SpecError) as caught:
        loaded(folder, text, *overrides, max_runs=max_runs, **keys)
    found = sorted(caught.value.problems, key=lambda problem: (problem.origin, problem.line, problem.column))
    assert all("\n" not in problem.message for problem in found)
    return [f"{one.origin} {one.line}:{one.column}: {one.message}".lstrip() for one in found]


def values(folder: Path, key: str, value: str) -> list[Any]:
    return loaded(folder, **{key: value}).blocks[0].axes[key]


def runs(spec: Spec, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(values[key] for key in keys) for block in spec.blocks for values in block.combinations()]
