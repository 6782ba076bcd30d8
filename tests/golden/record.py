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
from torch.optim import lr_scheduler

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from golden import problem  # noqa: E402  the paths come first

from lrsweep.engine import model  # noqa: E402
from lrsweep.vocabulary import Run  # noqa: E402

Settings = dict[str, Any]


def adam_like(kind: Callable[..., torch.optim.Optimizer], **fixed: Any) -> Callable[..., torch.optim.Optimizer]:
    """One of Adam's kin, whose two betas PyTorch takes as a pair; settings have PyTorch's names else."""

    def build(groups: Any, s: Settings) -> torch.optim.Optimizer:
        others = {name: value for name, value in s.items() if name not in ("beta1", "beta2")}
        return kind(groups, betas=(s["beta1"], s["beta2"]), **others, **fixed)

    return build


RULES: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda groups, s: torch.optim.SGD(groups, **s),
    "momentum": lambda groups, s: torch.optim.SGD(groups, **s),
    "nesterov": lambda groups, s: torch.optim.SGD(groups, nesterov=True, **s),
    "adagrad": lambda groups, s: torch.optim.Adagrad(groups, **s),
    "rmsprop": lambda groups, s: torch.optim.RMSprop(groups, **s),
    "adadelta": lambda groups, s: torch.optim.Adadelta(groups, **s),
    "adam": adam_like(torch.optim.Adam),
    "adamw": adam_like(torch.optim.AdamW),
    "amsgrad": adam_like(torch.optim.Adam, amsgrad=True),
    "nadam": adam_like(torch.optim.NAdam),
    "radam": adam_like(torch.optim.RAdam),
}

N = problem.STEPS


def one_cycle(o: torch.optim.Optimizer, rate: float, s: Settings) -> lr_scheduler.OneCycleLR:
    """PyTorch reaches the end with the last step, lrsweep one step later; with n + 1 steps for PyTorch they agree."""
    return lr_scheduler.OneCycleLR(
        o,
        rate,
        total_steps=N + 1,
        pct_start=(s["rise"] * N + 1) / (N + 1),
        div_factor=1 / s["start"],
        final_div_factor=s["start"] / s["end"],
        base_momentum=s["base_momentum"],
        max_momentum=s["max_momentum"],
    )


def warm_restarts(o: torch.optim.Optimizer, rate: float, s: Settings) -> lr_scheduler.CosineAnnealingWarmRestarts:
    """PyTorch counts whole steps, so problem.py's cycles must divide the run."""
    m = int(s["multiplier"])
    first, rest = divmod(N, sum(m**i for i in range(s["cycles"])))
    assert (m, rest) == (s["multiplier"], 0)
    return lr_scheduler.CosineAnnealingWarmRestarts(o, first, m, eta_min=rate * s["end"])


def triangular(o: torch.optim.Optimizer, rate: float, s: Settings) -> lr_scheduler.CyclicLR:
    return lr_scheduler.CyclicLR(
        o,
        base_lr=rate * s["start"],
        max_lr=rate,
        step_size_up=N / (2 * s["cycles"]),
        mode=s["mode"],
        gamma=s["end"] ** (1 / N),
        cycle_momentum=False,
    )


def plateau(o: torch.optim.Optimizer, rate: float, s: Settings) -> lr_scheduler.ReduceLROnPlateau:
    lowest = rate * s["end"]
    return lr_scheduler.ReduceLROnPlateau(
        o, "min", s["factor"], s["patience"], s["threshold"], "rel", s["cooldown"], lowest, eps=0
    )


SCHEDULERS: dict[str, Callable[..., Any]] = {
    "constant": lambda o, rate, s: lr_scheduler.ConstantLR(o, factor=1.0),
    "step": lambda o, rate, s: lr_scheduler.StepLR(o, N // (s["drops"] + 1), s["factor"]),
    "exponential": lambda o, rate, s: lr_scheduler.ExponentialLR(o, s["end"] ** (1 / N)),
    "linear": lambda o, rate, s: lr_scheduler.LinearLR(o, 1.0, s["end"], N),
    "cosine": lambda o, rate, s: lr_scheduler.CosineAnnealingLR(o, N, rate * s["end"]),
    "polynomial": lambda o, rate, s: lr_scheduler.PolynomialLR(o, N, s["power"]),
    "warm_restarts": warm_restarts,
    "one_cycle": one_cycle,
    "triangular": triangular,
    "plateau": plateau,
}


def network(run: Run, n_features: int, n_outputs: int) -> torch.nn.Sequential:
    """PyTorch's network with the engine's initial weights."""
    units = model.sizes(n_features, run.width, run.depth, n_outputs)
    parts: list[torch.nn.Module] = []
    for layer in model.layers(model.initial(units, run.activation, run.seed)[None], units):
        linear = torch.nn.Linear(layer.shape[2] - 1, layer.shape[1])
        linear.weight.data, linear.bias.data = torch.tensor(layer[0, :, :-1]), torch.tensor(layer[0, :, -1])
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1])


def parameter_groups(net: torch.nn.Sequential, run: Run) -> list[dict[str, Any]]:
    """A group for each layer, with the layer's rate."""
    rates, layers = run.layer_rates, [part for part in net if isinstance(part, torch.nn.Linear)]
    factors = [rates.first, *[rates.hidden] * (run.depth - 1), rates.last]
    return [
        {"params": layer.parameters(), "lr": run.learning_rate * factor * rates.decay**distance}
        for layer, factor, distance in zip(layers, factors, reversed(range(len(layers))), strict=True)
    ]


def torch_losses(run: Run) -> list[float]:
    """The loss of every step's batch, before the step."""
    data = problem.data_for(run)
    x, y, x_val, y_val = (torch.tensor(part) for part in (data.x_train, data.y_train, data.x_val, data.y_val))
    net = network(run, x.shape[1], data.n_outputs)
    optimizer = RULES[run.optimizer.name](parameter_groups(net, run), dict(run.optimizer.settings))
    scheduler = SCHEDULERS[run.schedule.name](optimizer, run.learning_rate, dict(run.schedule.settings))
    reacts = isinstance(scheduler, lr_scheduler.ReduceLROnPlateau)
    order = model.stream(run.seed, model.ORDER)
    losses = []
    for _ in range(run.epochs):
        for rows in torch.split(torch.tensor(order.permutation(len(x))), run.batch_size):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            if not reacts:
                scheduler.step()
            losses.append(loss.item())
        if reacts:
            scheduler.step(torch.nn.functional.cross_entropy(net(x_val), y_val).item())
    assert not reacts or optimizer.param_groups[0]["lr"] < run.learning_rate, "a plateau that lowers no rate shows none"
    return losses


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # of the network, and of NAdam's product of momenta
    losses = {name: torch_losses(run) for name, run in problem.CASES.items()}
    text = json.dumps({"torch": torch.__version__, "numpy": np.__version__, "losses": losses}, indent=1)
    Path(__file__).with_name("torch.json").write_text(text + "\n", "utf-8")
    for name, recorded in losses.items():
        print(f"{name:25} {np.max(np.abs(problem.engine_losses(problem.CASES[name]) / recorded - 1)):.1e}")


if __name__ == "__main__":
    main()
