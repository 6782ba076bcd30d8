"""Blocks whose axes are counted but not made, and the limits that they are held to."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from lrsweep.spec.grids import Axis
from lrsweep.spec.model import Block, Exclusion, Groups, Pattern, grouped, touched_by
from lrsweep.spec.problems import Problems, big
from lrsweep.yaml_reader import Node

MOST_RUNS = 1_000_000
"""Whatever --max-runs says: a list of more runs does not fit the memory."""

MOST_LEFT_OUT = 10
"""Combinations for each run that `exclude` may leave; beyond it, it takes seconds to go through them."""

MOST_COMPARISONS = 200_000
"""Of values by `exclude`; about 0.2 s."""


@dataclass(frozen=True)
class Excludes:
    """The entries of an `exclude`, counted but not made, each with its node."""

    nodes: list[Node]
    entries: list[dict[str, Axis]]

    @functools.cached_property
    def keys(self) -> frozenset[str]:
        """All keys that are named."""
        return frozenset(key for entry in self.entries for key in entry)

    @functools.cached_property
    def count(self) -> int:
        """How many values are named."""
        return sum(axis.count for entry in self.entries for axis in entry.values())

    @functools.cached_property
    def made(self) -> list[Exclusion]:
        """The entries with their values made."""
        return [
            {key: [Pattern(value) for value in axis.make()] for key, axis in entry.items()} for entry in self.entries
        ]


@dataclass(frozen=True)
class Draft:
    """A block whose axes are counted but not made; `where` is its node, `nodes` the values that the file gives."""

    where: Node
    nodes: dict[str, Node]
    axes: dict[str, Axis]
    zips: list[list[str]]
    excludes: Excludes

    def groups(self) -> Groups:
        """The axes, zipped ones together."""
        return grouped(self.axes, self.zips)

    def count(self) -> int:
        """How many combinations there are, `exclude` apart."""
        return math.prod(self.axes[group[0]].count for group in self.groups())

    def comparisons(self) -> int:
        """How many values `exclude` has to compare."""
        touched = touched_by(self.groups(), self.excludes.keys)
        return self.excludes.count * math.prod(self.axes[group[0]].count for group in touched)

    def block(self) -> Block:
        """The block with its values made."""
        axes = {key: axis.make() for key, axis in self.axes.items()}
        return Block(axes, self.zips, self.excludes.made)


def check_counts(problems: Problems, drafts: list[Draft], max_runs: int) -> None:
    """Refuses what is too much to make."""
    total = sum(draft.count() for draft in drafts)
    excludes = [draft.excludes for draft in drafts if draft.excludes.nodes]
    if total > max_runs * (MOST_LEFT_OUT if excludes else 1):
        too_many(problems, drafts, total, max_runs, " before exclude" if excludes else "")
    elif sum(draft.comparisons() for draft in drafts) > MOST_COMPARISONS:
        message = f"exclude compares more than {MOST_COMPARISONS:,} values; give it fewer entries, or use blocks"
        problems.add(excludes[0].nodes[0], message)


def too_many(problems: Problems, drafts: list[Draft], total: int, max_runs: int, when: str) -> None:
    """Refuses a number of runs, and tells where they come from."""
    draft = max(drafts, key=lambda draft: draft.count())
    counts = {group: draft.axes[group[0]].count for group in draft.groups()}
    said = " × ".join(f"{'+'.join(group)} {big(count)}" for group, count in counts.items() if count > 1)
    longest = max(counts, key=lambda group: counts[group])
    block = f"{len(drafts):,} blocks, the largest " if len(drafts) > 1 else ""
    message = f"{big(total)} runs{when} ({block}{said}) are more than --max-runs {max_runs:,} allows"
    node = draft.nodes.get(longest[0], draft.where)
    problems.add(node, f"{message}; shorten {'+'.join(longest)}, or raise --max-runs")


def check_excludes(problems: Problems, drafts: list[Draft], blocks: list[Block], max_runs: int) -> None:
    """An entry of `exclude` that meets no run is a mistake, and so are too many or no runs left."""
    if not any(block.excludes for block in blocks):
        return
    total = 0
    entries: dict[int, Node] = {}
    used: set[int] = set()
    for draft, block in zip(drafts, blocks, strict=True):
        count, hits = block.count()
        total += count
        entries |= {id(node): node for node in draft.excludes.nodes}
        used |= {id(draft.excludes.nodes[i]) for i in hits}
    for node in [entries[place] for place in entries if place not in used]:
        problems.add(node, "exclude: no run has these values; name values of the axes, or remove the entry")
    if total > max_runs:
        too_many(problems, drafts, total, max_runs, " after exclude")
    elif not total:
        problems.add(next(iter(entries.values())), "exclude leaves no run; remove one of its entries")
