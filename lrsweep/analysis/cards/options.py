"""The values of an axis of few: each at its best, and how it stands to the reference, to the best, and pair by pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lrsweep.analysis.cards.compare import Difference, Range, at_best, good_range, holm
from lrsweep.analysis.cards.findings import Axis, Board, Standing, Value
from lrsweep.analysis.cards.phrases import names

NATURAL = {"schedule": "constant", "schedule.warmup": 0, "layer_rates": "1", "parametrization": "standard"}
"""What to compare the values of an axis with; elsewhere that is none (of growth, of clipping), or the first value."""


@dataclass(frozen=True)
class Option:
    """One value at its best setting of all else, and there at its best rate.

    `gain` is the difference to the reference, `behind` that to the best value; `gain_p` and `behind_p` are their p
    values after Holm's correction over all values of the axis.
    """

    value: Value
    name: str
    best: Standing
    range: Range | None
    gain: Difference | None
    gain_p: float
    behind: Difference | None
    behind_p: float

    @property
    def alive(self) -> bool:
        """Whether any run finished."""
        return self.best.best is not None


@dataclass(frozen=True)
class Effect:
    """In how many of `n` pairs of settings a value is ahead of the reference or behind it.

    In `better` and `worse` of them that can be told, each pair on its own.
    """

    n: int
    ahead: int
    behind: int
    better: int
    worse: int

    @property
    def reversed(self) -> Effect:
        """The same from the reference's side."""
        return Effect(self.n, self.behind, self.ahead, self.worse, self.better)

    @property
    def words(self) -> str:
        """The end of a sentence.

        >>> Effect(5, 3, 2, 1, 0).words
        'in 3 of 5 settings (1 of them told at 95%) and behind in 2 (0 told)'
        """
        return (
            f"in {self.ahead} of {self.n} settings ({self.better} of them told at 95%) and behind in {self.behind} "
            + (f"({self.worse} told)")
        )


@dataclass(frozen=True)
class Options:
    """The values of an axis, the best first; `reference` is one of them, `natural` where it is no mere first."""

    axis: Axis
    board: Board
    every: Sequence[Option]
    reference: Option
    natural: bool

    @property
    def alive(self) -> list[Option]:
        """Those with a run that finished."""
        return [one for one in self.every if one.alive]

    @cached_property
    def effects(self) -> dict[Value, Effect]:
        """Every value against the reference, over the settings that differ in nothing else."""
        return effects(self.board, self.axis, self.reference.value)


def options(board: Board, axis: Axis) -> Options:
    """The values of an axis on a board."""
    order = list(dict.fromkeys(axis.value(one.setting) for one in board.standings))
    base, natural = reference(axis, order)
    leaders: dict[Value, Standing] = {}
    for one in sorted(board.standings, key=lambda one: one.place):
        leaders.setdefault(axis.value(one.setting), one)
    best = next(iter(leaders.values()))
    gains, gain_p = against(leaders, leaders[base])
    behind, behind_p = against(leaders, best)
    called = names(axis, order)
    every = [
        Option(
            value=value,
            name=called[value],
            best=one,
            range=good_range(one, board.lower),
            gain=gains.get(value),
            gain_p=gain_p.get(value, 1.0),
            behind=behind.get(value),
            behind_p=behind_p.get(value, 1.0),
        )
        for value, one in leaders.items()
    ]
    return Options(axis, board, every, next(one for one in every if one.value == base), natural)


def reference(axis: Axis, values: Sequence[Value]) -> tuple[Value, bool]:
    """The value that the others are compared with, and whether it is the natural one or just the first.

    >>> axis = Axis("schedule", ("schedule", "schedule.warmup"))
    >>> reference(axis, [("cosine", 0), ("constant", 0.1), ("constant", 0)])
    (('constant', 0), True)
    >>> reference(Axis("optimizer", ("optimizer",)), [("sgd",), ("adam",)])
    (('sgd',), False)
    """

    def unlike(value: Value) -> int:
        own = list(zip(axis.columns, value, strict=True))
        return sum(given is not None and given != NATURAL.get(column) for column, given in own)

    natural = [value for value in values if value[0] is None or value[0] == NATURAL.get(axis.columns[0])]
    return (min(natural, key=unlike), True) if natural else (values[0], False)


def against(leaders: Mapping[Value, Standing], base: Standing) -> tuple[dict[Value, Difference], dict[Value, float]]:
    """The difference of each to one of them, where there is one, and the p values by Holm."""
    found = {value: at_best(one, base) for value, one in leaders.items() if one is not base}
    known = {value: one for value, one in found.items() if one is not None}
    return known, dict(zip(known, holm([one.p for one in known.values()]), strict=True))


def effects(board: Board, axis: Axis, base: Value) -> dict[Value, Effect]:
    """Every value of an axis against one of them, over the settings that differ in nothing else."""
    counts: dict[Value, Counter[str]] = {}
    for family in board.families(axis):
        reference = family.members.get(base)
        for value, one in family.members.items():
            gain = at_best(one, reference) if reference is not None and one is not reference else None
            if gain is not None:
                ways = ("ahead", "better") if gain.better(board.lower) else ("behind", "worse")
                own = counts.setdefault(value, Counter())
                own.update({"n": 1, ways[0]: int(gain.mean != 0), ways[1]: int(gain.sure)})
    names = ("n", "ahead", "behind", "better", "worse")
    return {value: Effect(*(own[name] for name in names)) for value, own in counts.items()}
