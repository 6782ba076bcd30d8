"""From a node such as {log: [1e-4, 1], num: 5} to its axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

from lrsweep.spec import grids
from lrsweep.spec.grids import Axis, Number
from lrsweep.spec.keys import FEWEST, GRID_FORMS, Rule
from lrsweep.spec.problems import Problems, shown
from lrsweep.yaml_reader import Node

REFUSED = Axis.of()
"""Stands for a grid that was refused."""


@dataclass(frozen=True)
class GridReader:
    """Reads the grids of one key; `rule` is that of its values."""

    problems: Problems
    label: str
    rule: Rule

    def axis(self, node: Node) -> Axis:
        """The grid's values."""
        given: dict[str, Node] = node.value  # type: ignore[assignment]
        name = next((name for name in GRID_FORMS if name in given), None)
        if name is None:
            self.refuse(
                node, f"a grid has one of {', '.join(GRID_FORMS)}; write for example {{log: [1e-4, 1], num: 5}}"
            )
            return REFUSED
        self.check_keys(name, given)
        ends = self.ends(name, given[name])
        num = self.count(name, node, given, ends)
        if not ends or not num:
            return REFUSED
        axis = grids.grid(name, *ends, num)
        return Axis(num, lambda: [self.rule.check.validate_python(value) for value in axis.make()])

    def refuse(self, node: Node, message: str) -> None:
        """Notes what is wrong with the grid."""
        self.problems.add(node, f"{self.label}: {message}")

    def check_keys(self, name: str, given: dict[str, Node]) -> None:
        """Refuses what does not go with this kind of grid."""
        counts = GRID_FORMS[name]
        takes = f"keep {' or '.join(counts)}" if counts else "it takes its two ends alone, remove it"
        for key, inner in given.items():
            if key not in (name, *counts):
                self.refuse(inner.key or inner, f"{shown(key)} does not go with a {name} grid; {takes}")

    def ends(self, name: str, node: Node) -> tuple[Number, Number] | None:
        """The two ends, each valid for its key, the lower one first."""
        pair = node.value if isinstance(node.value, list) else []
        if len(pair) != 2:
            self.refuse(node, f"{name} needs its two ends; write for example {name}: [0.001, 1]")
            return None
        low, high = (self.end(item) for item in pair)
        if low is None or high is None:
            return None
        if low == 0 and isinstance(high, float):
            low = 0.0  # no warm-up, as steps or as a fraction
        if isinstance(low, int) is not isinstance(high, int):
            self.refuse(node, "a grid cannot go from a fraction to a count; write two of one kind")
        elif low == high:
            self.refuse(node, f"both ends of the grid are {low}, in six digits; move them apart, or write {low} alone")
        elif not low < high:
            self.refuse(node, f"a grid goes from low to high, not from {low} to {high}; swap its ends")
        elif low == 0 and name != "linear":
            self.refuse(pair[0], f"a {name} grid starts above 0, not at {low}; raise it, or use linear")
        else:
            return low, high
        return None

    def end(self, node: Node) -> Number | None:
        """One end, in six digits unless it is a whole number."""
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            self.refuse(node, f"{shown(node.value)} cannot be the end of a grid; write a number")
            return None
        value: Number | None = self.problems.valid(self.label, node, self.rule)
        if isinstance(value, float):
            value = self.problems.checked(self.label, node, grids.rounded(value), self.rule)
        return value

    def count(self, name: str, node: Node, given: dict[str, Node], ends: tuple[Number, Number] | None) -> int:
        """How many values there are; 0 where that is a problem."""
        counts = GRID_FORMS[name]
        if not counts:
            return self.doublings(given[name], *ends) if ends else 0
        named = [key for key in counts if key in given]
        if len(named) != 1:
            wanted = f"{'one of ' if named else ''}{' or '.join(counts)}"
            self.refuse(node, f"a {name} grid needs {wanted}; write for example {counts[0]}: 5")
            return 0
        key, number = named[0], given[named[0]].value
        if not is_whole(number) or number < FEWEST[key]:
            rule = f"must be a whole number from {FEWEST[key]}"
            self.refuse(given[key], f"{key} {shown(number)} {rule}; write for example 5")
            return 0
        return grids.per_decade(*ends, number) if key == "per_decade" and ends else number

    def doublings(self, node: Node, low: Number, high: Number) -> int:
        """How many values a doubling has."""
        num = grids.doublings(low, high)
        if num is None:
            remedy = f"end at {shown(low)} times a power of 2, or use log"
            self.refuse(node, f"{shown(low)} doubled does not arrive at {shown(high)}; {remedy}")
        return num or 0


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)
