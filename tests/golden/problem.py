"""What PyTorch and the engine are both set to: a small network, 50 steps, every rule under every schedule."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from engine_cases import RUN, data_for, optimizer, schedule

from lrsweep.engine.train import Group
from lrsweep.vocabulary import Array, Run

STEPS = 50
BASE = replace(RUN, width=8, depth=2, epochs=10, batch_size=10)
"""49 rows: four batches of 10 and one of 9, ten times."""

RATES = {"sgd": 0.1, "momentum": 0.03, "nesterov": 0.03, "adagrad": 0.03, "rmsprop": 0.003, "adam": 0.01, "adamw": 0.01}
SCHEDULES = {
    "constant": schedule("constant"),
    "step": schedule("step", drops=4, factor=0.5),
    "exponential": schedule("exponential", end=0.05),
    "linear": schedule("linear", end=0.1),
    "cosine": schedule("cosine", end=0.1),
}

CASES: dict[str, Run] = {
    **{
        f"{rule}, {name}": replace(BASE, optimizer=optimizer(rule), learning_rate=rate, schedule=choice)
        for rule, rate in RATES.items()
        for name, choice in SCHEDULES.items()
    },
    **{
        f"{rule}, weight decay": replace(BASE, optimizer=optimizer(rule, weight_decay=0.1), learning_rate=rate)
        for rule, rate in RATES.items()
    },
}


def engine_losses(run: Run) -> Array:
    """The mean loss of every step's batch, before the step."""
    group = Group([run], data_for(run))
    losses = []
    for epoch in range(run.epochs):
        order = group.draw_order()
        for i in range(group.steps):
            rows = order[:, i * group.batch : (i + 1) * group.batch]
            losses.append(group.gradient(rows).mean())
            group.update(epoch * group.steps + i)
    return np.array(losses)
