"""Update rules. Each is a class of settings with a `step` that works in place on arrays which the caller owns.

A setting is a number in the sweep file and, in a stack, a column (R, 1) in the runs' precision.
To add a rule, write its class and name it in OPTIMIZERS: keys, help, schema and contract tests follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from lrsweep.engine.optimizers.adam import Adam, AdamW, AMSGrad, NAdam, RAdam
from lrsweep.engine.optimizers.adaptive import Adadelta, Adagrad, Lion, RMSprop
from lrsweep.engine.optimizers.classical import SGD, Momentum, Nesterov
from lrsweep.engine.optimizers.rate_free import Prodigy, ScheduleFree
from lrsweep.engine.optimizers.rule import Column, Pace, Rule, is_zero

__all__ = ["OPTIMIZERS", "Pace", "Rule", "build", "is_zero"]

OPTIMIZERS: dict[str, type[Rule]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "rmsprop": RMSprop,
    "adadelta": Adadelta,
    "adam": Adam,
    "adamw": AdamW,
    "amsgrad": AMSGrad,
    "nadam": NAdam,
    "radam": RAdam,
    "lion": Lion,
    "prodigy": Prodigy,
    "schedule_free": ScheduleFree,
}


def build(name: str, settings: Sequence[dict[str, Any]], dtype: type[np.floating[Any]]) -> Rule:
    """The named rule over a stack; `settings` holds each run's own, which become columns (R, 1).

    A setting that is the same for all is (1, 1), which is up to three times as fast. It is no number, since NumPy may
    compute powers of numbers otherwise than those of arrays, in the last bit. A term that is zero for all is skipped,
    which must not depend on a run's neighbours: a stack's runs agree on which settings are zero.
    """
    rule = OPTIMIZERS[name]
    columns: dict[str, Column] = {}
    for field in fields(rule):  # type: ignore[arg-type]
        column = np.array([[run[field.name]] for run in settings], dtype)
        columns[field.name] = column if (column != column[0]).any() else column[:1]
    return rule(**columns)
