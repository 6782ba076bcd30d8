"""Answers to made-up sweeps, and what is printed of them."""

from __future__ import annotations

import io
import math
from dataclasses import replace
from typing import Any

from rich.console import Console
from sweeps_made_up import answered as made

from lrsweep.analysis.answer import Answer
from lrsweep.analysis.cards import Card, Col
from lrsweep.analysis.expectations import Check
from lrsweep.report.terminal import print_summary

UNFITTED = {"fitted_rate": None, "fitted_interval": None, "diagnosis": None}
VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, 0.7], 1.0: [9.0, 8.0, None]}
WORSE = {rate: [None if value is None else value + 0.05 for value in values] for rate, values in VALLEY.items()}
RISING = {0.1: [0.9, 0.91, 0.92], 1.0: [0.5, 0.51, 0.52]}

CARDS = (
    Card("optimizer", "No optimizer can be told from adam.", ["sgd is worse in 2 of 3 seeds."], [Col("ratio", [1.6])]),
    Card(
        "width", "Lower the rate.", ["By half."], [Col("width", [16, 32], "setting"), Col("loss", [0.05, 0.2], "share")]
    ),
)
CHECKS = (Check("diverged", "<= 4", "2", True), Check("best_val_accuracy", ">= 0.95", "0.9", False))


def answered(*settings: list[dict[str, Any]], **about: Any) -> Answer:
    """The answer to a made-up sweep with nothing that only some have: no diagnosis, fit, costs, cards, expectations."""
    whole = made(*settings, **about)
    ranking = whole.ranking.assign(diagnosis=None, evidence=None, epochs_to_target=math.nan, steps_to_target=math.nan)
    document = {**whole.recommendation, "settings": [entry | UNFITTED for entry in whole.entries]}
    return replace(whole, ranking=ranking, recommendation=document, cards=(), checks=())


def told(answer: Answer) -> Answer:
    """The answer with a word for whatever there may be a word for."""
    rates = answer.ranking["learning_rate"]
    ranking = answer.ranking.assign(
        diagnosis=rates.map({0.001: "too_slow", 1.0: "diverged"}).fillna("good"),
        evidence=rates.map({0.001: "the training loss still falls by a tenth in each epoch"}),
        epochs_to_target=7.0,
        steps_to_target=1234.0,
    )
    more = {"fitted_rate": 0.0123, "fitted_interval": [0.0111, 0.0144]}
    document = {**answer.recommendation, "settings": [entry | more for entry in answer.entries]}
    return replace(answer, ranking=ranking, recommendation=document, cards=CARDS, checks=CHECKS)


def printed(answer: Answer, width: int = 80, encoding: str = "utf-8", **how: Any) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, newline="")
    print_summary(answer, Console(file=file, width=width), **how)
    file.flush()
    return raw.getvalue().decode(encoding)


def coloured(answer: Answer) -> str:
    file = io.StringIO()
    console = Console(file=file, width=80, force_terminal=True, color_system="standard", _environ={"TERM": "xterm"})
    print_summary(answer, console)
    return file.getvalue()


def table(text: str, *titles: str) -> list[list[str]]:
    """The words of each line of the first table that begins with these titles, its head and notes included."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[: len(titles)] == [*titles])
    return [line.split() for line in lines[at : lines.index("", at)]]
