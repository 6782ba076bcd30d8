"""Runs that are made shorter, to learn early what they would come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrsweep import datasets
from lrsweep.analysis.elimination import Screen
from lrsweep.plan.planned import PlannedRun, planned_run
from lrsweep.vocabulary import Choice, Run


def shortened(planned: PlannedRun, epochs: int, subset: float | int | None = None) -> Run:
    """The run over so many epochs, if it has more, and on another `subset`. A growth that comes too late is left out.

    A warm-up in steps becomes the share of all steps that it was, so that the schedule keeps its form.
    """
    run = planned.run
    if epochs >= run.epochs and subset is None:
        return run
    settings: dict[str, Any] = dict(run.schedule.settings)
    if isinstance(settings.get("warmup"), int):  # a whole number counts steps, a fraction is one already
        settings["warmup"] = settings["warmup"] / planned.steps() or 0
    growth = run.growth if run.growth is not None and run.growth.at_epoch < epochs else None
    schedule = Choice(run.schedule.name, tuple(settings.items()))
    rows = run.subset if subset is None else subset
    return replace(run, epochs=min(epochs, run.epochs), subset=rows, schedule=schedule, growth=growth)


def resized(planned: PlannedRun, epochs: int, subset: float | int) -> PlannedRun:
    """A run over so many epochs, on a subset of the training rows.

    Noise is left out: it is measured at the end of training, and decides nothing here.
    """
    return planned_run(replace(shortened(planned, epochs, subset), noise=()), planned.data)


def sample_of(screen: Screen, planned: PlannedRun) -> PlannedRun:
    """A run as the screen looks at it: on a sample of the training rows, or on its own where these are fewer."""
    whole = datasets.split_sizes(len(planned.data.y), replace(planned.run, subset=1.0))[0]
    rows = screen.subset if isinstance(screen.subset, int) else max(1, round(screen.subset * whole))
    return resized(planned, screen.epochs, screen.subset if rows < planned.n_train else planned.run.subset)


def smaller(small: PlannedRun, planned: PlannedRun) -> bool:
    """Whether a sample of a run has fewer rows or epochs, so that looking at it first saves something."""
    return small.n_train < planned.n_train or small.run.epochs < planned.run.epochs
