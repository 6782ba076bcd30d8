"""What is told of a search while it goes on: a line for each stage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lrsweep.analysis.additions import Addition
from lrsweep.plan import Plan
from lrsweep.search.races import Course
from lrsweep.search.stages import Stage

MOST_TOLD = 8
"""Lines at a time; of a sweep with more settings, the rest are counted."""


class Told:
    """Collects what is decided; nothing before the first wave, since that is not new."""

    def __init__(self) -> None:
        self.begun = False
        self.counts: dict[tuple[str, str], list[int]] = {}
        self.more: list[str] = []

    def decided(self, course: Course) -> None:
        """A race has decided a stage."""
        stage, before, after = course.stages[len(course.entered) - 2], *course.entered[-2:]
        counts = self.counts.setdefault(words(stage), [0, 0])
        counts[0] += len(before)
        counts[1] += len(after)

    def too_many(self, count: int, most: int) -> None:
        """Rates are not added, since that would be more runs than allowed."""
        self.more.append(f"no more rates are added: {count:,} runs would be more than {most:,}; raise --max-runs")
        self.begun = True

    def say(self, lines: Iterable[str]) -> None:
        """Lines as they are."""
        self.more += lines
        self.begun = True

    def lines(self) -> Sequence[str]:
        """What is new since it was asked last."""
        told = [f"{start} {of:,} rates{size}: {kept:,} go on" for (start, size), (of, kept) in self.counts.items()]
        found = short(told) + self.more if self.begun else []
        self.counts, self.more, self.begun = {}, [], True
        return found


def words(stage: Stage) -> tuple[str, str]:
    """The start and the end of what is said of a stage, round its number of rates."""
    if stage.name == "screen":
        return "screened", f" on {stage.size}"
    return f"{stage.title} ({stage.size}):", ""


def told_of_additions(plan: Plan, found: Sequence[Addition]) -> list[str]:
    """What is added to which setting of a plan, a line each."""
    from lrsweep.analysis.recommend import label  # here, since only who adds needs it

    lines, rates = [], {}  # type: tuple[list[str], dict[tuple[object, ...], list[float]]]
    for values, runs in plan.settings().items():
        rates[values] = sorted({one.run.learning_rate for one in runs})
    for addition in found:
        known = rates[tuple(addition.setting[column] for column in plan.varying())]
        name = label(addition.setting, plan.runs[0].run.optimizer.name)
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
