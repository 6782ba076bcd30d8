"""The values of an axis of few: how they compare in each family of settings that differ in nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from lrsweep.analysis.cards.compare import Difference, at_best, holm, significant
from lrsweep.analysis.cards.phrases import ANYWHERE, common, names, places
from lrsweep.analysis.cards.standings import Axis, Board, Family, Standing, Value
from lrsweep.analysis.ranking import LEVEL
from lrsweep.analysis.recommend import USELESS

NATURAL = {"schedule": "constant", "schedule.warmup": 0, "layer_rates": "1", "parametrization": "standard"}
"""What to compare the values of an axis with; elsewhere that is none (of growth, of clipping), or the first value."""


@dataclass(frozen=True)
class Against:
    """One value against another: the `difference`, None where they cannot be compared, and its corrected `p` value.

    `told` is `better`, `worse`, `not told`, `one seed` or `not compared`.
    """

    difference: Difference | None
    p: float
    told: str

    @property
    def verdict(self) -> str:
        """What is told, in a table: beside an interval that leaves out 0 it says why that is not enough."""
        alone = self.told == "not told" and self.difference is not None and significant(self.difference.p)
        return "not told (Holm)" if alone else self.told


@dataclass(frozen=True)
class Option:
    """One value in a contest, at its own best rate: against the reference, and against the best of the contest.

    Their p values are corrected by Holm: of `gain` for all other values, of `behind` for all pairs of values, since the
    same data picked the best.
    """

    value: Value
    name: str
    standing: Standing
    gain: Against
    behind: Against

    @property
    def alive(self) -> bool:
        """Whether any run finished."""
        return self.standing.best is not None


@dataclass(frozen=True)
class Contest:
    """The values of an axis in one family, the best first; `name` is what the family has and others have not.

    `base` is the reference, None where the family is without it.
    """

    name: str
    family: Family
    options: Sequence[Option]
    base: Option | None

    @property
    def best(self) -> Option:
        """The best value."""
        return self.options[0]

    @property
    def rivals(self) -> list[Option]:
        """The values other than the reference with a run that finished."""
        return [one for one in self.options if one.alive and one is not self.base]

    @property
    def champion(self) -> Option:
        """Of the rivals the best that is told to be better than the reference, else the best."""
        return next((one for one in self.rivals if one.gain.told == "better"), self.rivals[0])

    @property
    def useless(self) -> str:
        """What is wrong with even the best value, if it is not to be used."""
        return USELESS.get(self.best.standing.entry["diagnosis"] or "", "")


@dataclass(frozen=True)
class Effect:
    """In how many of `n` pairs of settings a value is ahead of the reference or behind it.

    In `better` and `worse` of them that is told, each by itself.
    """

    n: int
    ahead: int
    behind: int
    better: int
    worse: int

    def words(self, among: str = ANYWHERE) -> str:
        """The end of a sentence, with what chance alone would tell where that is a pair or more.

        >>> Effect(5, 3, 2, 1, 0).words("at {} widths")
        'at 3 of 5 widths (1 told each by itself) and behind at 2 (0 told)'
        >>> Effect(200, 110, 90, 6, 4).words()
        'in 110 of 200 settings (6 told each by itself) and behind in 90 (4 told); chance alone tells 5 each way'
        """
        at, ahead = among.partition(" ")[0], among.format(f"{self.ahead} of {self.n}")
        chance = self.n * (1 - LEVEL) / 2
        luck = f"; chance alone tells {chance:.0f} each way" if chance >= 1 else ""
        return f"{ahead} ({self.better} told each by itself) and behind {at} {self.behind} ({self.worse} told){luck}"


@dataclass(frozen=True)
class Options:
    """An axis with its contests, the one with the best setting first.

    `reference` is the value that others are compared with, `natural` where it is no mere first; `called` has the names
    of all values.
    """

    axis: Axis
    board: Board
    contests: Sequence[Contest]
    reference: Value
    natural: bool
    called: Mapping[Value, str]

    @property
    def base(self) -> str:
        """The reference in words."""
        return self.called[self.reference]

    @property
    def among(self) -> str:
        """Where the contests are, with a place for how many of them."""
        return places([contest.family for contest in self.contests])

    @property
    def at(self) -> str:
        """The word for where: `at`, `in` or `with`."""
        return self.among.partition(" ")[0]

    @cached_property
    def effects(self) -> dict[Value, Effect]:
        """Every value against the reference, over the families that have both."""
        found: dict[Value, list[Difference]] = {}
        for contest in self.contests:
            for one in contest.options:
                if one.gain.difference is not None:
                    found.setdefault(one.value, []).append(one.gain.difference)
        return {value: effect(own, self.board.lower) for value, own in found.items()}


def options(board: Board, axis: Axis) -> Options:
    """The values of an axis on a board."""
    order = list(dict.fromkeys(axis.value(one.setting) for one in board.standings))
    base, natural = reference(axis, order)
    called, families = names(axis, order), board.families(axis)
    shared = common([family.rest for family in families])
    contests = [contest(board, *one, called, base) for one in zip(shared, families, strict=True)]
    return Options(axis, board, contests, base, natural, called)


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


def contest(board: Board, name: str, family: Family, called: Mapping[Value, str], base: Value) -> Contest:
    """The values of one family against each other."""
    members = dict(sorted(family.members.items(), key=lambda item: item[1].place))
    pairs = len(members) * (len(members) - 1) // 2
    best = next(iter(members))
    gains = against(board, members, base)
    behind = against(board, members, best, pairs)
    found = [Option(value, called[value], one, gains[value], behind[value]) for value, one in members.items()]
    return Contest(name, family, found, next((one for one in found if one.value == base), None))


def against(board: Board, members: Mapping[Value, Standing], base: Value, of: int = 0) -> dict[Value, Against]:
    """Each value against one of them, corrected for as many comparisons, or for `of`."""
    theirs = members.get(base)
    found = {value: at_best(board, one, theirs) if theirs and value != base else None for value, one in members.items()}
    known = {value: one for value, one in found.items() if one is not None}
    p = dict(zip(known, holm([one.p for one in known.values()], of), strict=True))
    return {
        value: Against(one, p.get(value, 1.0), judged(board, one, p.get(value, 1.0), members[value], theirs))
        for value, one in found.items()
    }


def judged(board: Board, found: Difference | None, p: float, ours: Standing, theirs: Standing | None) -> str:
    """What is told of one value against another.

    Seeds that diverge even at the best rate make it worse; a run that failed for another reason says nothing.
    """
    if found is None:
        broken = ours.best is not None and not ours.whole and not ours.failed
        return "worse" if broken and theirs is not None and theirs.whole else "not compared"
    if found.interval is None:
        return "one seed"
    return "not told" if not significant(p) else "better" if found.better(board.lower) else "worse"


def effect(found: Sequence[Difference], lower: bool) -> Effect:
    """How many of some differences are to the good, and to the bad."""
    good = [one.better(lower) for one in found]
    bad = [one.mean != 0 and not way for one, way in zip(found, good, strict=True)]
    sure = [significant(one.p) for one in found]
    better, worse = (sum(way and known for way, known in zip(ways, sure, strict=True)) for ways in (good, bad))
    return Effect(len(found), sum(good), sum(bad), better, worse)
