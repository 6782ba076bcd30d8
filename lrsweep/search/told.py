"""What is told of a search while it goes on: a line for each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lrsweep.analysis.additions import Addition
from lrsweep.plan import Plan
from lrsweep.search.races import Course
from lrsweep.vocabulary import Scalar

MOST_TOLD = 8
"""Lines at a time; of a sweep with more settings, the rest are counted."""


class Told:
    """Collects what is decided; nothing before the first wave, since that is not new."""

    def __init__(self) -> None:
        self.begun = False
        self.counts: dict[tuple[str, str], list[int]] = {}  # by title and size
        self.more: list[str] = []

    def decided(self, course: Course) -> None:
        """A race has decided a stage."""
        stage, before, after = course.stages[len(course.entered) - 2], *course.entered[-2:]
        counts = self.counts.setdefault((stage.title, stage.size), [0, 0])
        counts[0] += len(before)
        counts[1] += len(after)

    def too_many(self, count: int, most: int) -> None:
        """Rates are not added, since that would be more runs than allowed."""
        self.say([f"no more rates are added: {count:,} runs would be more than {most:,}; raise --max-runs"])

    def in_doubt(self, count: int) -> None:
        """So many of the runs that are missing may be stopped again."""
        if count:
            self.say([f"{count:,} of these were stopped before, and are trained only if they are kept now"])

    def say(self, lines: Iterable[str]) -> None:
        """Lines as they are, which are new whatever was decided before."""
        if not self.begun:
            self.counts, self.begun = {}, True
        self.more += lines

    def lines(self) -> Sequence[str]:
        """What is new since it was asked last."""
        told = [words(stage, of, kept) for stage, (of, kept) in self.counts.items()]
        found = short(told) + self.more if self.begun else []
        self.counts, self.more, self.begun = {}, [], True
        return found


def words(stage: tuple[str, str], of: int, kept: int) -> str:
    """What is said of a stage, by its title and size: how many of so many rates go on.

    >>> words(("screen", "45 rows, 2 epochs"), 22, 9), words(("rung 1 of 2", "1 epoch"), 9, 4)
    ('screened 22 rates on 45 rows, 2 epochs: 9 go on', 'rung 1 of 2 (1 epoch): 4 of 9 rates go on')
    """
    title, size = stage
    if title == "screen":
        return f"screened {of:,} rates on {size}: {kept:,} go on"
    return f"{title} ({size}): {kept:,} of {of:,} rates go on"


def named(setting: Mapping[str, Scalar | None], plan: Plan) -> str:
    """A setting of a plan in words, with its dataset where there are several."""
    from lrsweep.analysis.recommend import label  # here, since most sweeps have none of it to tell

    name = label(setting, plan.runs[0].run.optimizer.name)
    return f"{name} on {setting['dataset']}" if "dataset" in setting else name


def told_of_no_race(plan: Plan, settings: Iterable[Mapping[str, Scalar | None]]) -> list[str]:
    """Which settings of a plan are trained in full although the file asks for elimination, a line each."""
    return short([f"{named(one, plan)}: its rates share no seed, so that all are trained in full" for one in settings])


def told_of_additions(plan: Plan, found: Sequence[Addition]) -> list[str]:
    """What is added to which setting of a plan, a line each."""
    rates = {values: sorted({one.run.learning_rate for one in runs}) for values, runs in plan.settings().items()}
    lines = []
    for addition in found:
        known = rates[tuple(addition.setting[column] for column in plan.varying())]
        name = named(addition.setting, plan)
        added = ", ".join(f"{rate:.3g}" for rate in addition.rates)
        edge = known[-1] if addition.rates[-1] > known[-1] else known[0]
        beyond = not known[0] <= addition.rates[0] <= addition.rates[-1] <= known[-1]
        lines.append(
            f"extended {name} beyond {edge:.3g}: {added}"
            if addition.why == "extend" and beyond
            else f"{'refined' if addition.why == 'refine' else 'extended'} {name}: {added}"
        )
    return short(lines)


def short(lines: list[str]) -> list[str]:
    """Not more lines than one reads."""
    rest = len(lines) - MOST_TOLD
    return lines if rest <= 0 else [*lines[:MOST_TOLD], f"and {rest:,} more"]
