"""From a spec to the list of its runs, and from the runs that are missing to stacks of them."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

from lrsweep import datasets
from lrsweep.engine import model
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import warmup_steps
from lrsweep.engine.train import batch_rows, steps_per_epoch, time_steps
from lrsweep.spec import Spec
from lrsweep.vocabulary import (
    CURVE_COLUMNS,
    NUMERICS,
    Choice,
    RawData,
    Run,
    Scalar,
    Source,
    Stack,
    UsageError,
    float_type,
)

STACK_BYTES = 4_000_000
"""Working set of a stack. Measured with 2 MB of L2 per core: at width 64, stacks of 40 runs took 8 ms a run, of 10 and
of 80 runs 10 to 11; at width 16, stacks of 160 runs 3.1, of 20 runs 3.4."""

FEWEST_RUNS = 4
"""Runs per stack below which runs are not cut for the workers' sake: a smaller stack loses more than it gains."""

SETTINGS = tuple(f.name for f in fields(Run) if f.name not in ("task", "learning_rate", "seed"))
"""A run's settings in the order of their CSV columns; the rate and the seed follow them."""


@dataclass(frozen=True)
class PlannedRun:
    """A run with its identity and the data that it needs."""

    run_id: str
    run: Run
    data: RawData

    @property
    def n_train(self) -> int:
        """Its training rows."""
        return datasets.split_sizes(len(self.data.y), self.run)[0]


@dataclass(frozen=True)
class Plan:
    """Every run of a sweep in order, each once; `duplicates` counts those that were named more than once."""

    spec: Spec
    runs: tuple[PlannedRun, ...]
    duplicates: int

    def columns(self) -> list[tuple[str, dict[str, Scalar | None]]]:
        """Each run_id with the settings of its row in runs.csv."""
        return [(planned.run_id, settings(planned.run, self.spec.named)) for planned in self.runs]

    def axes(self) -> dict[str, list[Scalar | None]]:
        """The settings that differ within the sweep, with their values in order."""
        seen: dict[str, dict[Scalar | None, None]] = {}
        for _, row in self.columns():
            for key, value in row.items():
                seen.setdefault(key, {})[value] = None
        return {
            key: list(values) for key, values in seen.items() if len(values) > 1 or key in ("learning_rate", "seed")
        }


def make_plan(spec: Spec) -> Plan:
    """Every run that the spec asks for. Raises DataError and UsageError where data and settings do not go together."""
    load = functools.cache(datasets.load)
    runs: dict[str, PlannedRun] = {}
    total = 0
    for block in spec.blocks:
        for values in block.combinations():
            total += 1
            source: Source = values["dataset"]
            data = load(source, source.task or values["task"])
            run = Run(
                seed=values["seeds"], **{k: v for k, v in values.items() if k not in ("seeds", "task")}, task=data.task
            )
            planned = PlannedRun(identity(run, data.fingerprint), run, data)
            runs.setdefault(planned.run_id, planned)
    check(spec, list(runs.values()))
    return Plan(spec, tuple(runs.values()), total - len(runs))


def identity(run: Run, fingerprint: str) -> str:
    """A run's id: `r` and the first 12 hex digits of SHA-256 over its settings, its data and the numerics number.

    Where the data lies and what it is called is not in it; what it holds is.
    """
    resolved: dict[str, Any] = {f.name: getattr(run, f.name) for f in fields(run) if f.name != "dataset"}
    for key in ("optimizer", "schedule"):
        choice: Choice = resolved[key]
        resolved[key] = {"name": choice.name, **dict(choice.settings)}
    text = json.dumps({"numerics": NUMERICS, "data": fingerprint, **resolved}, sort_keys=True)
    return "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def settings(run: Run, named: Sequence[str]) -> dict[str, Scalar | None]:
    """A run's settings by CSV column; `named` are those of optimizers and schedules that the file names."""
    row: dict[str, Scalar | None] = {}
    for key in SETTINGS:
        value = getattr(run, key)
        row[key] = value.name if isinstance(value, Choice) else str(value) if isinstance(value, Source) else value
        for column in named:
            if column.startswith(f"{key}."):
                row[column] = dict(value.settings).get(column.removeprefix(f"{key}."))
    return {**row, "learning_rate": run.learning_rate, "seed": run.seed}


def check(spec: Spec, planned: Iterable[PlannedRun]) -> None:
    """Refuses what settings and data only show together. Raises UsageError."""
    seen = set()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for one in planned:
        run = one.run
        key = (shape(one), run.schedule)
        if key in seen:
            continue
        seen.add(key)
        score = ["accuracy", "macro_f1", "balanced_accuracy"] if run.task == "classification" else ["r2"]
        if not spec.objective.endswith(("loss", *score)):
            other = "val_accuracy" if run.task == "classification" else "val_r2"
            raise UsageError(
                f"{spec.path}: objective {spec.objective} does not exist in {run.task} ({run.dataset}); try {other}"
            )
        total = steps_per_epoch(run.batch_size, one.n_train) * run.epochs
        warm = warmup_steps(dict(run.schedule.settings).get("warmup", 0), total)  # type: ignore[arg-type]
        if warm >= total:
            raise UsageError(
                f"{spec.path}: warmup ({warm} steps) must be shorter than the run ({total} steps); "
                "lower warmup or raise epochs"
            )
        needed = run_bytes(one) + 16 * total + 8 * len(CURVE_COLUMNS) * run.epochs
        if needed > memory / 2:
            raise UsageError(
                f"{spec.path}: one run of width {run.width}, depth {run.depth}, batch_size {run.batch_size} and epochs "
                f"{run.epochs} needs about {needed / 1e9:,.0f} GB, over half of the machine's {memory / 1e9:,.0f}; "
                "lower one of them"
            )


def run_bytes(planned: PlannedRun) -> int:
    """The working set of one run: parameters, gradients, state and scratch; a batch's activations, both ways."""
    run, data = planned.run, planned.data
    n_features = data.x[0].size
    n_outputs = max(1, len(data.classes))
    # Counted by formula, not by building the list of layers: a depth of 10^9 is refused, not allocated.
    inner = (run.width + 1) * run.width * max(0, run.depth - 1)
    ends = model.n_parameters((n_features, run.width, n_outputs) if run.depth else (n_features, n_outputs))
    arrays = 3 + len(OPTIMIZERS[run.optimizer.name].state)
    activations = 2 * run.depth * (run.width + 1) + 2 * n_outputs
    return float_type(run.precision)().itemsize * (
        (inner + ends) * arrays + activations * batch_rows(run.batch_size, planned.n_train)
    )


def shape(planned: PlannedRun) -> tuple[Any, ...]:
    """What runs must share to be trained together.

    Of numbers like weight_decay only whether they are zero: a rule skips a term that is zero for all, which must not
    depend on the neighbours.
    """
    run = planned.run
    zeros = tuple(value == 0 for _, value in run.optimizer.settings)
    data = (planned.data.fingerprint, datasets.data_key(run))
    net = (run.width, run.depth, run.activation, run.optimizer.name, zeros)
    return (*data, *net, run.batch_size, run.epochs, run.clip_norm is None)


def make_stacks(planned: Sequence[PlannedRun], workers: int) -> list[Stack]:
    """Stacks of the runs, the dearest first so that no worker is left alone with one at the end."""
    groups: defaultdict[tuple[Any, ...], list[PlannedRun]] = defaultdict(list)
    for one in planned:
        groups[shape(one)].append(one)
    parts = [part for group in groups.values() for part in cut(group, workers)]
    parts.sort(key=lambda part: -len(part) * cost(part[0]))
    return [
        Stack(tuple(one.run for one in part), tuple(one.run_id for one in part), part[0].data.fingerprint)
        for part in parts
    ]


def cut(group: Sequence[PlannedRun], workers: int) -> Iterator[list[PlannedRun]]:
    """Cuts runs of one shape as their working set demands, and evenly among the workers.

    Whole seeds stay together where that comes out nearly even: runs that share a seed share their batches, and a stack
    of whole seeds is up to 25% faster than one of a mixture.
    """
    seeds: defaultdict[int, list[PlannedRun]] = defaultdict(list)
    for one in group:
        seeds[one.run.seed].append(one)
    most = max(1, STACK_BYTES // run_bytes(group[0]))
    even = max(1, workers) if len(group) >= workers * FEWEST_RUNS else 1
    count = even * -(-len(group) // (even * most))
    whole = len(seeds) % count == 0 or len(seeds) >= 4 * count
    units = list(seeds.values()) if whole else [[one] for runs in seeds.values() for one in runs]
    for i in range(count):
        part = units[len(units) * i // count : len(units) * (i + 1) // count]
        yield [one for unit in part for one in unit]


def cost(planned: PlannedRun) -> float:
    """What a run costs, to be compared: its working set times the rows that pass, and a share for each step."""
    rows = planned.n_train * planned.run.epochs
    steps = steps_per_epoch(planned.run.batch_size, planned.n_train) * planned.run.epochs
    return run_bytes(planned) * rows + 100_000.0 * steps


@dataclass(frozen=True)
class Estimate:
    """What training the stacks would take; `timed` tells how it was found."""

    seconds: float
    disk_bytes: int
    shapes: int


STARTUP_SECONDS = 0.6
"""From the command to the first step and from the last to the prompt; measured on the smoke sweep."""


def estimate(stacks: Sequence[Stack], workers: int, load: Any) -> Estimate:
    """Seconds and bytes that the stacks would take, from three timed steps of one stack of each shape.

    `load` maps a stack to its data. At most 8 shapes are timed, the dearest; the others count like the last of them.
    """
    timed: dict[Any, float] = {}
    seconds = 0.0
    for stack in stacks:
        run = stack.runs[0]
        key = (run.width, run.depth, run.optimizer.name, run.batch_size, run.precision, run.subset, str(run.dataset))
        data = load(stack)
        if key not in timed:
            if len(timed) < 8:
                timed[key] = time_steps(stack, data) / len(stack.runs)
            else:
                key = list(timed)[-1]
        seconds += timed[key] * steps_per_epoch(run.batch_size, len(data.x_train)) * run.epochs * len(stack.runs)
    runs = [run for stack in stacks for run in stack.runs]
    disk = sum((run.epochs + 1) * 200 + 3000 for run in runs)
    return Estimate(seconds / max(1, workers) + (STARTUP_SECONDS if stacks else 0), disk, len(timed))
