"""Records what PyTorch makes of golden/problem.py, into torch.json beside this file.

Run `python tests/golden/record.py` where PyTorch and NumPy are installed; the tests then do without PyTorch.
It prints how far the engine is from each trajectory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from golden import problem  # noqa: E402  the paths come first

from lrsweep.engine import model  # noqa: E402
from lrsweep.vocabulary import Run  # noqa: E402

RULES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda p, rate, s: torch.optim.SGD(p, rate, weight_decay=s["weight_decay"]),
    "momentum": lambda p, rate, s: torch.optim.SGD(p, rate, momentum=s["momentum"], weight_decay=s["weight_decay"]),
    "nesterov": lambda p, rate, s: torch.optim.SGD(
        p, rate, momentum=s["momentum"], weight_decay=s["weight_decay"], nesterov=True
    ),
    "adagrad": lambda p, rate, s: torch.optim.Adagrad(p, rate, eps=s["eps"], weight_decay=s["weight_decay"]),
    "rmsprop": lambda p, rate, s: torch.optim.RMSprop(
        p, rate, alpha=s["alpha"], eps=s["eps"], weight_decay=s["weight_decay"]
    ),
    "adam": lambda p, rate, s: torch.optim.Adam(
        p, rate, (s["beta1"], s["beta2"]), eps=s["eps"], weight_decay=s["weight_decay"]
    ),
    "adamw": lambda p, rate, s: torch.optim.AdamW(
        p, rate, (s["beta1"], s["beta2"]), eps=s["eps"], weight_decay=s["weight_decay"]
    ),
}

SCHEDULERS: dict[str, Callable[..., Any]] = {
    "constant": lambda o, rate, s: torch.optim.lr_scheduler.ConstantLR(o, factor=1.0),
    "step": lambda o, rate, s: torch.optim.lr_scheduler.StepLR(o, problem.STEPS // (s["drops"] + 1), s["factor"]),
    "exponential": lambda o, rate, s: torch.optim.lr_scheduler.ExponentialLR(o, s["end"] ** (1 / problem.STEPS)),
    "linear": lambda o, rate, s: torch.optim.lr_scheduler.LinearLR(o, 1.0, s["end"], problem.STEPS),
    "cosine": lambda o, rate, s: torch.optim.lr_scheduler.CosineAnnealingLR(o, problem.STEPS, rate * s["end"]),
}


def network(run: Run, n_features: int, n_outputs: int) -> torch.nn.Sequential:
    """PyTorch's network with the engine's initial weights."""
    units = model.sizes(n_features, run.width, run.depth, n_outputs)
    parts: list[torch.nn.Module] = []
    for layer in model.layers(model.initial(units, run.activation, run.seed)[None], units):
        linear = torch.nn.Linear(layer.shape[2] - 1, layer.shape[1], dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.tensor(layer[0, :, :-1]), torch.tensor(layer[0, :, -1])
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def torch_losses(run: Run) -> list[float]:
    """The loss of every step's batch, before the step."""
    data = problem.data_for(run)
    x, y = torch.tensor(data.x_train), torch.tensor(data.y_train)
    net = network(run, x.shape[1], data.n_outputs)
    optimizer = RULES[run.optimizer.name](net.parameters(), run.learning_rate, dict(run.optimizer.settings))
    scheduler = SCHEDULERS[run.schedule.name](optimizer, run.learning_rate, dict(run.schedule.settings))
    order = model.stream(run.seed, model.ORDER)
    losses = []
    for _ in range(run.epochs):
        for rows in torch.split(torch.tensor(order.permutation(len(x))), run.batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
    return losses


def main() -> None:
    torch.set_num_threads(1)
    losses = {name: torch_losses(run) for name, run in problem.CASES.items()}
    for name, recorded in losses.items():
        found = problem.engine_losses(problem.CASES[name])
        print(f"{name:25} {np.max(np.abs(found / recorded - 1)):.1e}")
    text = json.dumps({"torch": torch.__version__, "numpy": np.__version__, "losses": losses}, indent=1)
    Path(__file__).with_name("torch.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
