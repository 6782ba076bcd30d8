"""What PyTorch and the engine are both set to: a small network, 50 steps, the rules and schedules that both have.

Momentum and Adam go with every schedule; the other rules with those of COMMON, with one_cycle where it moves their
momentum, and with weight decay.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from engine_cases import RUN, data_for, optimizer, schedule

from lrsweep.engine import evaluate
from lrsweep.engine.group import Group
from lrsweep.vocabulary import Array, LayerRates, Run

STEPS = 50
BASE = replace(RUN, width=8, depth=2, epochs=10, batch_size=10)
"""49 rows: four batches of 10 and one of 9, ten times."""

RATES = {
    "sgd": 0.1,
    "momentum": 0.03,
    "nesterov": 0.03,
    "adagrad": 0.03,
    "rmsprop": 0.003,
    "adadelta": 1.0,
    "adam": 0.01,
    "adamw": 0.01,
    "amsgrad": 0.01,
    "nadam": 0.01,
    "radam": 0.01,
}
SCHEDULES = {
    "constant": schedule("constant"),
    "step": schedule("step", drops=4, factor=0.5),
    "exponential": schedule("exponential", end=0.05),
    "linear": schedule("linear", end=0.1),
    "cosine": schedule("cosine", end=0.1),
    "polynomial": schedule("polynomial", power=0.9),
    "warm restarts": schedule("warm_restarts", cycles=2, multiplier=4.0, end=0.1),
    "even restarts": schedule("warm_restarts", cycles=5, multiplier=1.0),
    "one cycle": schedule("one_cycle"),
    "triangular": schedule("triangular", cycles=3),
    "triangular2": schedule("triangular", cycles=3, mode="triangular2"),
    "exp_range": schedule("triangular", cycles=3, mode="exp_range"),
    "plateau": schedule("plateau", factor=0.5, patience=0, threshold=0.05, cooldown=1),
}
COMMON = ("constant", "step", "cosine")


def goes_with(rule: str, name: str) -> bool:
    if name == "one cycle":
        return not {"momentum", "beta1"}.isdisjoint(dict(optimizer(rule).settings))
    return rule in ("momentum", "adam") or name in COMMON


def case(rule: str, **changes: float) -> Run:
    return replace(BASE, optimizer=optimizer(rule, **changes), learning_rate=RATES[rule])


# Clipping is not among them: PyTorch scales by bound / (norm + 1e-6), which moves these losses by up to 1e-6.
CASES: dict[str, Run] = {
    **{
        f"{rule}, {name}": replace(case(rule), schedule=choice)
        for rule in RATES
        for name, choice in SCHEDULES.items()
        if goes_with(rule, name)
    },
    **{f"{rule}, weight decay": case(rule, weight_decay=0.1) for rule in RATES},
    "momentum, rates by layer": replace(case("momentum"), layer_rates=LayerRates(first=2.0, hidden=0.5, last=0.1)),
    "adam, rates by layer": replace(case("adam"), layer_rates=LayerRates(first=0.1, hidden=0.5, last=2.0)),
    "adamw, rates by depth": replace(case("adamw", weight_decay=0.1), layer_rates=LayerRates(decay=0.4)),
}


def engine_losses(run: Run) -> Array:
    """The mean loss of every step's batch, before the step."""
    data = data_for(run)
    group, validation = Group([run], data), evaluate.Rows.of(data.x_val, data.y_val)
    losses = []
    for epoch in range(run.epochs):
        order, met = group.draw_order(), np.zeros(1)
        for i in range(group.steps):
            batch = group.gradient(order[:, i * group.batch : (i + 1) * group.batch])
            group.update(epoch * group.steps + i)
            losses.append(batch.mean())
            met += batch.sum()
        group.pacer.reactions.react(met / len(data.x_train), group.score(validation)[0])
    return np.array(losses)
