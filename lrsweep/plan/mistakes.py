"""What is wrong with a run, as only its data or several of its settings together show."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from lrsweep.engine.schedules import warmup_steps
from lrsweep.plan.planned import PlannedRun, run_bytes, table_bytes
from lrsweep.spec import Spec
from lrsweep.vocabulary import DataError, Run, float_type

Mistake = tuple[str, str]
"""A key of the sweep file, and what is wrong with its value."""


def mistakes(spec: Spec, planned: PlannedRun) -> Iterator[Mistake]:
    """What is wrong with a run, as only its data shows."""
    run = planned.run
    try:
        total = planned.steps()
    except DataError as error:
        yield "subset", str(error)
        return
    scores = ("accuracy", "macro_f1") if run.task == "classification" else ("r2",)
    if not spec.objective.endswith(("loss", *scores)):
        message = f"objective {spec.objective} does not exist in {run.task} ({run.dataset}); try val_{scores[0]}"
        yield "objective", message
    warm = warmup_of(run, total)
    if warm >= total:
        message = f"warmup ({warm} steps) must be shorter than the run ({total} steps); lower warmup or raise epochs"
        yield "schedule", message
    yield from growth_mistakes(planned)
    yield from rounding_mistakes(run, planned.momentum_moves)
    needed, memory = run_bytes(planned) + table_bytes(planned), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory / 2:
        size = f"width {planned.width}, depth {run.depth}, batch_size {run.batch_size} and epochs {run.epochs}"
        said = f"one run of {size} needs about {needed / 1e9:,.0f} GB, over half of the machine's {memory / 1e9:,.0f}"
        wide = "growth" if planned.width > run.width else "width"
        yield wide if run_bytes(planned) > table_bytes(planned) else "epochs", f"{said}; lower one of them"


def warmup_of(run: Run, total: int) -> int:
    """The steps of a run's warm-up, when its schedule has so many steps in all."""
    return warmup_steps(dict(run.schedule.settings).get("warmup", 0), total)  # type: ignore[arg-type]


def growth_mistakes(planned: PlannedRun) -> Iterator[Mistake]:
    """Why a network cannot grow as it is told to."""
    run, growth = planned.run, planned.run.growth
    if growth is None:
        return

    def without(key: str) -> str:
        return f"exclude: [{{{key}: {getattr(run, key)}, growth: {{to_width: {growth.to_width}}}}}]"

    if run.depth == 0:
        yield "growth", f"growth needs a hidden layer, but depth is 0; raise it, or {without('depth')}"
    elif growth.to_width <= run.width:
        message = f"growth.to_width {growth.to_width} must be above width {run.width}; raise it, or {without('width')}"
        yield "growth", message
    if run.parametrization == "mup":
        message = "growth does not go with mup, whose scales belong to one width"
        yield "growth", f"{message}; write parametrization: standard, or {without('parametrization')}"
    if growth.at_epoch >= run.epochs:
        message = f"growth.at_epoch {growth.at_epoch} must be below epochs {run.epochs}; lower it or raise epochs"
        yield "growth", message
    elif growth.rate == "restart":
        left = planned.steps(growth.at_epoch)
        warm = warmup_of(run, left)
        if warm >= left:
            what = f"warmup ({warm} steps) must be shorter than what the growth leaves to restart in ({left} steps)"
            yield "schedule", f"{what}; lower warmup or growth.at_epoch"


def rounding_mistakes(run: Run, momentum_moves: bool) -> Iterator[Mistake]:
    """Settings that the run's precision turns into 0, 1 or infinity, where a rule breaks down."""
    kind = float_type(run.precision)
    momenta = [(name, value) for name, value in run.schedule.settings if name.endswith("_momentum") and momentum_moves]
    for key, settings in (("optimizer", run.optimizer.settings), ("schedule", momenta)):
        for name, value in settings:
            near = float(kind(value))
            if near == 0 != value or near == 1 != value:
                message = f"{key}.{name} {value} is {near:g} in {run.precision}"
                yield key, f"{message}; move it away from {near:g}, or set precision: float64"
    rates = run.layer_rates
    with np.errstate(all="ignore"):
        factors = np.array([rates.first, rates.hidden, rates.last, np.float64(rates.decay) ** run.depth]).astype(kind)
    for factor in factors:
        if not 0 < factor < np.inf:
            message = f"layer_rates {rates} multiplies a rate by {factor:g} in {run.precision}"
            yield "layer_rates", f"{message}; move it nearer to 1"
