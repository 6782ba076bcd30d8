"""What there is: the entries of the registries, and the pictures of the schedules as numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from lrsweep.datasets import DATASETS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.reactions import REACTING
from lrsweep.engine.schedules import SCHEDULES, factors, momenta, moves_momentum
from lrsweep.spec import default_settings, setting_meanings
from lrsweep.vocabulary import Choice, Scalar

STEPS = 101
"""Of the run that a schedule is drawn over."""

LOSS_TURNS = ((0, 2.0), (15, 0.8), (28, 0.8), (31, 1.2), (40, 0.5))
"""Epochs and losses between which the made loss moves straight: it falls, stands still, rises, and falls again."""


def entries(what: str) -> list[dict[str, Any]]:
    """The registry of `datasets`, `optimizers` or `schedules`: name, task or settings, description, source."""
    if what == "datasets":
        return [
            {"name": name, "task": entry.task, "description": entry.description, "source": entry.source}
            for name, entry in DATASETS.items()
        ]
    key = what.removesuffix("s")
    registries: dict[str, Mapping[str, Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    return [
        {
            "name": name,
            "settings": default_settings(key, name),
            "meanings": setting_meanings(key, name),
            "description": description(kind),
            "source": kind.source,
        }
        for name, kind in registries[key].items()
    ]


def description(kind: type[Any]) -> str:
    """A class's docstring, a line per paragraph."""
    paragraphs = (inspect.getdoc(kind) or "").split("\n\n")
    return "\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def drawings() -> Iterator[dict[str, Any]]:
    """Every schedule at its defaults, in each of its modes, as numbers.

    `factors` are what the peak rate is multiplied by in each step of a run, or in each epoch of one whose `loss` is
    given; `momenta` those of a schedule that moves the momentum.
    """
    for name, kind in SCHEDULES.items():
        settings = default_settings("schedule", name)
        worded = [field for field in fields(kind) if field.metadata["choices"]]  # type: ignore[arg-type]
        modes = [{field.name: word} for field in worded for word in field.metadata["choices"]] or [{}]
        for mode in modes:
            yield {"schedule": name, "settings": mode, **drawn(name, settings | mode)}


def drawn(name: str, settings: dict[str, Scalar]) -> dict[str, list[float]]:
    """The numbers of one schedule."""
    if name in REACTING:
        own = {key: value for key, value in settings.items() if key != "warmup"}
        return {"factors": reacted(REACTING[name](**own), made_loss()), "loss": made_loss()}
    choice = Choice(name, tuple(settings.items()))
    numbers = {"factors": factors(choice, STEPS).tolist()}
    return {**numbers, "momenta": momenta(choice, STEPS).tolist()} if moves_momentum(choice) else numbers


def made_loss() -> list[float]:
    """A loss by epoch to show what reacts to it."""
    epochs, losses = zip(*LOSS_TURNS, strict=True)
    made: list[float] = np.interp(np.arange(epochs[-1] + 1), epochs, losses).tolist()
    return made


def reacted(rule: Any, losses: list[float]) -> list[float]:
    """The factor in each epoch of a run with these losses."""
    factor, memory, seen = np.ones(1), {name: np.array([first]) for name, first in rule.memory.items()}, []
    for loss in losses:
        seen.append(float(factor[0]))
        factor = rule.react(np.array([loss]), factor, memory)
    return seen
