"""What is wrong with a run, as only its data or several of its settings together show."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from lrsweep.analysis.elimination import LEAST, rungs
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES, warmup_steps
from lrsweep.plan.acting import acting, acting_rates
from lrsweep.plan.outlook import Setting, full, rates_of
from lrsweep.plan.planned import PlannedRun, run_bytes, table_bytes
from lrsweep.plan.shorter import sample_of, smaller
from lrsweep.room import over_half_of_memory
from lrsweep.spec import Spec
from lrsweep.vocabulary import DataError, Run

Mistake = tuple[str, str]
"""A key of the sweep file, or a part of its value as in `growth.to_width`, and what is wrong with it."""


def mistakes(spec: Spec, planned: PlannedRun) -> Iterator[Mistake]:
    """What is wrong with a run, as only its data shows."""
    run = planned.run
    try:
        total = planned.steps()
    except DataError as error:
        yield next((key for key in ("validation", "test") if f": {key} " in str(error)), "subset"), str(error)
        return
    yield from expect_mistakes(spec, run)
    scores = ("accuracy", "macro_f1") if run.task == "classification" else ("r2",)
    if not spec.objective.partition("@")[0].endswith(("loss", *scores)):
        message = f"objective {spec.objective} does not exist in {run.task} ({run.dataset}); try val_{scores[0]}"
        yield "objective", message
    warm = warmup_of(run, total)
    if warm >= total:
        message = f"warmup ({warm} steps) must be shorter than the run ({total} steps); lower warmup or raise epochs"
        yield "schedule.warmup", message
    yield from growth_mistakes(planned)
    yield from momentum_mistakes(planned)
    yield from rounding_mistakes(run)
    sizes = f"width {planned.width}, depth {run.depth}, batch_size {run.batch_size} and epochs {run.epochs}"
    if said := over_half_of_memory(f"one run of {sizes} needs", run_bytes(planned) + table_bytes(planned)):
        size = "depth" if run.depth > planned.width else "growth.to_width" if planned.width > run.width else "width"
        yield size if run_bytes(planned) > table_bytes(planned) else "epochs", f"{said}; lower one of them"


def expect_mistakes(spec: Spec, run: Run) -> Iterator[Mistake]:
    """What is expected of a metric that the task does not have, or that nothing is measured for."""
    own, other = ("r2", "accuracy") if run.task == "regression" else ("accuracy", "r2")
    for name in spec.expect:
        if name.endswith(f"_{other}"):
            instead = name.replace(other, own)
            yield f"expect.{name}", f"expect.{name} does not exist in {run.task} ({run.dataset}); try {instead}"
        elif name.startswith("best_test_") and run.test == 0:
            instead = name.replace("test", "val")
            yield f"expect.{name}", f"expect.{name} needs test rows, but test is 0; raise test, or try {instead}"


def warmup_of(run: Run, total: int) -> int:
    """The steps of a run's warm-up, when its schedule has so many steps in all."""
    return warmup_steps(dict(run.schedule.settings).get("warmup", 0), total)  # type: ignore[arg-type]


def growth_mistakes(planned: PlannedRun) -> Iterator[Mistake]:
    """Why a network cannot grow as it is told to."""
    run, growth = planned.run, planned.run.growth
    if growth is None:
        return

    def without(key: str, setting: str = "to_width") -> str:
        return f"exclude: [{{{key}: {getattr(run, key)}, growth: {{{setting}: {getattr(growth, setting)}}}}}]"

    if run.depth == 0:
        yield "depth", f"growth needs a hidden layer, but depth is 0; raise it, or {without('depth')}"
    elif growth.to_width <= run.width:
        message = f"growth.to_width {growth.to_width} must be above width {run.width}; raise it, or {without('width')}"
        yield "growth.to_width", message
    if run.parametrization == "mup":
        message = "growth does not go with mup, whose scales belong to one width"
        yield "parametrization", f"{message}; write parametrization: standard, or {without('parametrization')}"
    if growth.at_epoch >= run.epochs:
        message = f"growth.at_epoch {growth.at_epoch} must be below epochs {run.epochs}; lower it, raise epochs"
        yield "growth.at_epoch", f"{message}, or {without('epochs', 'at_epoch')}"
    elif growth.rate == "restart":
        left = planned.steps(growth.at_epoch)
        warm = warmup_of(run, left)
        if warm >= left:
            what = f"warmup ({warm} steps) must be shorter than what the growth leaves to restart in ({left} steps)"
            yield "schedule.warmup", f"{what}; lower warmup or growth.at_epoch"


def momentum_mistakes(planned: PlannedRun) -> Iterator[Mistake]:
    """A momentum that is to go down and up again must not start at its lowest."""
    if planned.momentum_moves:
        settings: dict[str, Any] = dict(planned.run.schedule.settings)
        lowest, highest = SCHEDULES[planned.run.schedule.name].moves
        if settings[lowest] > settings[highest]:
            said = f"schedule.{lowest} {settings[lowest]} must be at most {highest} {settings[highest]}"
            yield f"schedule.{lowest}", f"{said}; swap them, or lower {lowest}"


def rounding_mistakes(run: Run) -> Iterator[Mistake]:
    """Settings that the run's precision turns into 0 or infinity, or into 1 where a rule breaks down at it."""
    acts, moves = acting(run), SCHEDULES[run.schedule.name].moves
    rule: Any = OPTIMIZERS[run.optimizer.name]
    schedule: Any = SCHEDULES[run.schedule.name]
    columns = [("optimizer", field) for field in fields(rule)]
    columns += [("schedule", field) for field in fields(schedule) if field.name in moves]
    for key, field in columns:
        if value := acts[key][field.name]:  # 0 stays 0, and what is None does not act
            limit = field.metadata.get("lt", np.inf)
            yield from misfits(run, f"{key}.{field.name}", f"{key}.{field.name} {value}", value, limit)
    yield from rate_mistakes(run)
    if run.clip_norm is not None:
        yield from misfits(run, "clip_norm", f"clip_norm {run.clip_norm}", run.clip_norm)
    for deviation in run.noise:
        yield from misfits(run, "noise", f"noise {deviation}", deviation)
    rates = acting_rates(run)
    with np.errstate(all="ignore"):
        factors = vars(rates) | {"decay": float(np.float64(rates.decay) ** run.depth)}
    for part, factor in factors.items():
        if not 0 < (near := nearest(factor, run)) < np.inf:
            message = f"layer_rates {run.layer_rates} multiplies a rate by {near:g} in {run.precision}"
            label = f"layer_rates.{part if run.layer_rates.decay == 1 else 'decay'}"
            yield label, f"{message}; move it nearer to 1"


def rate_mistakes(run: Run) -> Iterator[Mistake]:
    """Rates that the run's precision turns into 0 or infinity, alone or by what a growth multiplies them by."""
    rate, growth = run.learning_rate, run.growth
    found = list(misfits(run, "learning_rate", f"learning_rate {rate}", rate))
    if growth is not None and growth.rate == "scale":
        scaled = f"growth.rate.scale {growth.scale}"
        found += misfits(run, "growth.rate.scale", scaled, growth.scale)
        yield from found or misfits(run, "growth.rate.scale", f"{scaled} × learning_rate {rate}", growth.scale * rate)
    else:
        yield from found


def misfits(run: Run, key: str, what: str, value: float, limit: float = np.inf) -> Iterator[Mistake]:
    """That the run's precision does not keep a value between 0 and its limit, if that is so."""
    near = nearest(value, run)
    if not 0 < near < limit:
        message = f"{what} is {near:g} in {run.precision}; {'lower' if near else 'raise'} it"
        yield key, message if run.precision == "float64" else f"{message}, or set precision: float64"


def nearest(value: float, run: Run) -> float:
    """The value in the run's precision."""
    with np.errstate(all="ignore"):
        return float(np.dtype(run.precision).type(value))


def sample_mistakes(pairs: Collection[tuple[PlannedRun, PlannedRun]]) -> Iterator[Mistake]:
    """What is wrong with the sample, from runs of it with those in whose place they are."""
    if not any(smaller(small, one) for small, one in pairs):
        message = "elimination.screen: the sample has all rows and epochs of the runs, so that it saves nothing"
        yield "elimination.screen", f"{message}; lower its subset or epochs"
    for small, one in pairs:
        classes = len(one.data.classes)
        if small.n_train < min(classes, one.n_train):
            message = f"elimination.screen: the sample has {small.n_train:,} rows, but there are {classes:,} classes"
            yield "elimination.screen.subset", f"{message}; raise its subset"


def idle_mistakes(spec: Spec, settings: Collection[Setting]) -> Iterator[Mistake]:
    """What the file asks for that could drop or add no rate of any setting."""
    screen, halving, ones = spec.elimination.screen, spec.elimination.halving, [setting[0] for setting in settings]
    rates = max(len(rates_of(setting)) for setting in settings)
    has = "its settings have one" if rates == 1 else f"its settings have {rates}"
    if (screen or halving) and rates < 2:
        message = f"elimination needs 2 rates or more, but {has}"
        yield "elimination", f"{message}; give learning_rate a list or a grid, or remove elimination"
    if spec.refine and not spec.extend and rates < 3:
        message = f"refine needs 3 rates or more, but {has}"
        yield "refine", f"{message}; give learning_rate a list or a grid, or add extend: until_bracketed"
    if screen:
        yield from sample_mistakes([(sample_of(screen, one), one) for one in ones])
    if halving and not any(rungs(halving, full(one, halving)) for one in ones):
        what = "epochs" if halving.resource == "epochs" else "training rows"
        first = LEAST[halving.resource] if halving.min is None else halving.min
        message = (
            f"elimination.halving: no run has more {what} than the first rung, {first:g}, so that nothing is dropped"
        )
        yield "elimination.halving.min", f"{message}; lower min, or raise {halving.resource}"
