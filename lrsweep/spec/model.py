"""What the door hands on: a Spec of blocks, each a product of axes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrsweep.analysis.additions import Extend, Refine
from lrsweep.analysis.elimination import Elimination
from lrsweep.analysis.expectations import Expected
from lrsweep.spec.places import Places
from lrsweep.vocabulary import Choice

Groups = list[tuple[str, ...]]
"""Keys whose values advance together: those of a zip, or one alone."""


@dataclass(frozen=True)
class Pattern:
    """A value that `exclude` names; of a mapping, only the settings that it gives need to match."""

    value: Any

    def matches(self, other: Any) -> bool:
        """Whether a run's value is the one meant."""
        if isinstance(self.value, Choice) and isinstance(other, Choice):
            return self.value.name == other.name and set(self.value.settings) <= set(other.settings)
        if isinstance(self.value, dict):
            return all(getattr(other, key, None) == value for key, value in self.value.items())
        return bool(self.value == other)


Exclusion = dict[str, list[Pattern]]
"""An entry of `exclude`: for each of its keys the values that it names."""


@dataclass(frozen=True)
class Block:
    """One product of axes: values by key, the keys that advance together, the combinations left out."""

    axes: dict[str, list[Any]]
    zips: list[list[str]]
    excludes: list[Exclusion]

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every combination of values that is not left out, the last axis fastest."""
        for values in combined(self.axes, grouped(self.axes, self.zips)):
            if not any(met(entry, values) for entry in self.excludes):
                yield values

    def with_values(self, values: dict[str, Any]) -> Block:
        """The same combinations with these values in place of their own; all keys advance together."""
        rows = [combination | values for combination in self.combinations()]
        return Block({key: [row[key] for row in rows] for key in self.axes}, [list(self.axes)], [])

    def count(self) -> tuple[int, set[int]]:
        """How many combinations there are, and which entries of `exclude` meet any.

        Only the axes that `exclude` touches are expanded.
        """
        groups = grouped(self.axes, self.zips)
        touched = touched_by(groups, {key for entry in self.excludes for key in entry})
        kept, used = 0, set()
        for values in combined({key: self.axes[key] for group in touched for key in group}, touched):
            hits = [i for i, entry in enumerate(self.excludes) if met(entry, values)]
            kept += not hits
            used.update(hits)
        return kept * math.prod(len(self.axes[group[0]]) for group in groups if group not in touched), used


def grouped(axes: dict[str, Any], zips: list[list[str]]) -> Groups:
    """The axes in order, zipped ones together in the place of the first of them.

    >>> grouped({"width": [], "depth": [], "batch_size": []}, [["width", "batch_size"]])
    [('width', 'batch_size'), ('depth',)]
    """
    group_of = {key: tuple(group) for group in zips for key in group}
    return list(dict.fromkeys(group_of.get(key, (key,)) for key in axes))


def touched_by(groups: Groups, keys: Set[str]) -> Groups:
    """The groups that contain any of the keys."""
    return [group for group in groups if not keys.isdisjoint(group)]


def combined(axes: dict[str, list[Any]], groups: Groups) -> Iterator[dict[str, Any]]:
    """The product of the groups; within a group the values advance together.

    >>> [list(values.values()) for values in combined({"a": [1, 2], "b": "xy", "c": "pq"}, [("a", "b"), ("c",)])]
    [[1, 'x', 'p'], [1, 'x', 'q'], [2, 'y', 'p'], [2, 'y', 'q']]
    """
    keys = list(itertools.chain.from_iterable(groups))
    rows = [list(zip(*(axes[key] for key in group), strict=True)) for group in groups]
    for parts in itertools.product(*rows):
        yield dict(zip(keys, itertools.chain.from_iterable(parts), strict=True))


def met(entry: Exclusion, values: dict[str, Any]) -> bool:
    """Whether an entry of `exclude` meets a combination."""
    return all(any(pattern.matches(values[key]) for pattern in patterns) for key, patterns in entry.items())


@dataclass(frozen=True)
class Spec:
    """A sweep file that has been read and found right.

    `expect` is what must come of it. `named` holds the settings of optimizers and schedules that the file names, as in
    `optimizer.momentum`. `text` and `places`, a block's at the index of the block, are for those who find later that
    something is wrong with it.
    """

    path: Path
    source: bytes
    overrides: tuple[str, ...]
    name: str
    description: str
    objective: str
    select: str
    expect: Mapping[str, Expected]
    blocks: tuple[Block, ...]
    named: tuple[str, ...]
    text: str
    places: tuple[Places, ...]
    elimination: Elimination = field(default_factory=Elimination)
    extend: Extend | None = None
    refine: Refine | None = None
