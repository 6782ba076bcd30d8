"""What of a run's settings can act beside its others. Runs that agree in all of it have the same numbers."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.vocabulary import LayerRates, Run


def acting(run: Run) -> dict[str, Any]:
    """A run's settings, but for its dataset, as plain values; None stands for one that cannot act beside the others."""
    told = {field.name: getattr(run, field.name) for field in fields(run) if field.name != "dataset"}
    optimizer, schedule = dict(run.optimizer.settings), dict(run.schedule.settings)
    cycled, moves = OPTIMIZERS[run.optimizer.name].cycled, SCHEDULES[run.schedule.name].moves
    if moves and cycled:
        optimizer |= {cycled: None}  # type: ignore[dict-item]
    elif moves:
        schedule |= dict.fromkeys(moves)  # type: ignore[arg-type]
    if run.schedule.name == "triangular" and schedule.get("mode") != "exp_range":
        schedule |= {"end": None}  # type: ignore[dict-item]
    told["optimizer"] = {"name": run.optimizer.name, **optimizer}
    told["schedule"] = {"name": run.schedule.name, **schedule}
    told["layer_rates"] = vars(acting_rates(run))
    told["growth"] = vars(run.growth) if run.growth else None
    if run.depth == 0:
        told |= dict.fromkeys(("width", "activation", "parametrization"))
    if told["parametrization"] != "mup":
        told["base_width"] = None
    return told


def acting_rates(run: Run) -> LayerRates:
    """The multipliers of the layers that a network has: with no hidden layer the last, with one the first as well."""
    rates = run.layer_rates
    if run.depth > 1:
        return rates
    return LayerRates(first=rates.first * rates.decay if run.depth else 1.0, last=rates.last)
