"""Runs that are made shorter, to learn early what they would come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lrsweep.plan.planned import PlannedRun
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
