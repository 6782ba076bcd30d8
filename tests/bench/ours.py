"""lrsweep itself: its engine beside the floor, and its command from start to exit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from case import CHECKED, RATES, WORKERS, Case, evenly
from floor import Floor

from lrsweep.engine.train import train
from lrsweep.execute import data_for
from lrsweep.vocabulary import Stack

SAMPLE = 100
"""Runs whose stacks are trained to time the engine and the floor, of all that `lrsweep run` would make."""


class Kernel:
    """The engine in this process and its floor, in turns stack by stack: a slow moment of the machine hits both.

    The best time of each stack counts, on both sides.
    """

    def __init__(self, case: Case, folder: Path, parts: Sequence[str] = ("floor", "engine")) -> None:
        stacks = case.stacks(folder)
        self.stacks: list[Stack] = evenly(stacks, max(1, SAMPLE // len(stacks[0].runs)))
        self.n_runs = sum(len(stack.runs) for stack in self.stacks)
        self.epochs, self.data = case.epochs, data_for(stacks[0])
        self.best = {part: np.full(len(self.stacks), np.inf) for part in parts}
        units, rows = case.units(self.data), (case.batch, len(self.data.x_train), len(self.data.x_val))
        shapes = [(len(stack.runs), len({run.seed for run in stack.runs})) for stack in self.stacks]
        floors = {shape: Floor(units, *shape, *rows) for shape in set(shapes)}
        self.floors = [floors[shape] for shape in shapes]

    def measure(self) -> dict[str, float]:
        """Another round; milliseconds per run of each part so far, and of the evaluation's share of the floor."""
        for i, (stack, floor) in enumerate(zip(self.stacks, self.floors, strict=True)):
            calls = {"floor": partial(floor.train, self.epochs), "engine": partial(train, stack, self.data)}
            for part, best in self.best.items():
                best[i] = min(best[i], seconds(calls[part]))
        totals = {part: float(best.sum()) for part, best in self.best.items()}
        if "floor" in self.best:
            totals["evaluation"] = self.epochs * sum(floor.evaluation for floor in self.floors)
        return {part: 1e3 * total / self.n_runs for part, total in totals.items()}


def seconds(call: Callable[[], object]) -> float:
    """What a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


class Swept(NamedTuple):
    """Seconds from start to exit and from the first stack's start to the last one's end; the checked accuracy."""

    whole: float
    training: float
    accuracy: float


def sweep(spec: Path, folder: Path, *options: str, workers: int = WORKERS) -> Swept:
    """`lrsweep run` of a sweep file, from nothing, with its files."""
    with tempfile.TemporaryDirectory(dir=folder) as results:
        command = [sys.executable, "-m", "lrsweep", "run", str(spec), "--results", results, "--workers", str(workers)]
        start = time.perf_counter()
        done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
        whole = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"lrsweep ended with {done.returncode}: {done.stderr}")
        [runs] = map(pd.read_csv, Path(results).glob("*/runs.csv"))
        [timings] = map(pd.read_csv, Path(results).glob("*/timings.csv"))
    training = pd.to_datetime(timings["ended"]).max() - pd.to_datetime(timings["started"]).min()
    accuracy = runs.loc[runs["learning_rate"] == RATES[CHECKED], "val_accuracy"].mean()
    return Swept(whole, training.total_seconds(), float(accuracy))
