"""From a spec to the list of its runs, and from the runs that are missing to stacks of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from lrsweep import datasets
from lrsweep.engine import model
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import warmup_steps
from lrsweep.engine.train import batch_rows, steps_per_epoch, time_epoch
from lrsweep.spec import Spec
from lrsweep.vocabulary import (
    CURVE_COLUMNS,
    NUMERICS,
    RETRIED,
    Choice,
    Data,
    DataError,
    Problem,
    RawData,
    Run,
    Scalar,
    Source,
    SpecError,
    Stack,
    float_type,
)

STACK_BYTES = 4_000_000
"""Working set of a stack. Measured with 2 MB of L2 per core: at width 64, stacks of 40 runs took 8 ms a run, of 10 and
of 80 runs 10 to 11; at width 16, stacks of 160 runs 3.1, of 20 runs 3.4."""

MEMORY_BYTES = 500_000_000
"""What a stack's rates and curves may take: a number for every step and run, however small the network is."""

FEWEST_RUNS = 4
"""Runs per stack below which runs are not cut for the workers' sake: a smaller stack loses more than it gains."""

Mistake = tuple[str, str]
"""A key of the sweep file, and what is wrong with its value."""

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

    @property
    def steps(self) -> int:
        """T, all its steps."""
        return steps_per_epoch(self.run.batch_size, self.n_train) * self.run.epochs


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
    """Every run that the spec asks for. Raises SpecError where its data cannot be had or does not go with a setting."""
    data = load_all(spec)
    runs: dict[str, PlannedRun] = {}
    total = 0
    for block in spec.blocks:
        for values in block.combinations():
            total += 1
            raw = data[values["dataset"], values["task"]]
            rest = {key: value for key, value in values.items() if key not in ("seeds", "task")}
            run = Run(seed=values["seeds"], task=raw.task, **rest)
            planned = PlannedRun(identity(run, raw.fingerprint), run, raw)
            runs.setdefault(planned.run_id, planned)
    alike = {(shape(one), one.run.optimizer, one.run.schedule): one for one in runs.values()}
    refuse(spec, [mistake for one in alike.values() for mistake in mistakes(spec, one)])
    return Plan(spec, tuple(runs.values()), total - len(runs))


def load_all(spec: Spec) -> dict[tuple[Source, str | None], RawData]:
    """The data of each dataset that the spec names, by it and the task that the spec sets."""
    data: dict[tuple[Source, str | None], RawData] = {}
    found: list[Mistake] = []
    for source, task in {pair for block in spec.blocks for pair in product(block.axes["dataset"], block.axes["task"])}:
        try:
            data[source, task] = datasets.load(source, source.task or task)
        except DataError as error:
            found.append(("dataset", str(error)))
    tasks = {str(source): raw.task for (source, _), raw in data.items()}
    if len(set(tasks.values())) > 1:
        said = ", ".join(f"{label} is {task}" for label, task in sorted(tasks.items()))
        found.append(("dataset", f"a sweep has one task, but {said}; make two sweeps of it"))
    refuse(spec, sorted(found))
    return data


def refuse(spec: Spec, found: Sequence[Mistake]) -> None:
    """Raises SpecError with the mistakes, each at its key in the file."""
    if found:
        nowhere = Problem("")
        problems = [replace(spec.places.get(key, nowhere), message=message) for key, message in dict.fromkeys(found)]
        raise SpecError(str(spec.path), spec.text, problems)


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


def mistakes(spec: Spec, planned: PlannedRun) -> Iterator[Mistake]:
    """What is wrong with a run, as only its data shows."""
    run = planned.run
    try:
        total = planned.steps
    except DataError as error:
        yield "subset", str(error)
        return
    scores = ("accuracy", "macro_f1") if run.task == "classification" else ("r2",)
    if not spec.objective.endswith(("loss", *scores)):
        message = f"objective {spec.objective} does not exist in {run.task} ({run.dataset}); try val_{scores[0]}"
        yield "objective", message
    warm = warmup_steps(dict(run.schedule.settings).get("warmup", 0), total)  # type: ignore[arg-type]
    if warm >= total:
        message = f"warmup ({warm} steps) must be shorter than the run ({total} steps); lower warmup or raise epochs"
        yield "schedule", message
    for name, value in run.optimizer.settings:
        rounded = float(float_type(run.precision)(value))
        if rounded == 0 != value or rounded == 1 != value:
            message = f"optimizer.{name} {value} is {rounded:g} in {run.precision}"
            yield "optimizer", f"{message}; move it away from {rounded:g}, or set precision: float64"
    needed, memory = run_bytes(planned) + table_bytes(planned), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory / 2:
        size = f"width {run.width}, depth {run.depth}, batch_size {run.batch_size} and epochs {run.epochs}"
        said = f"one run of {size} needs about {needed / 1e9:,.0f} GB, over half of the machine's {memory / 1e9:,.0f}"
        yield "width" if run_bytes(planned) > table_bytes(planned) else "epochs", f"{said}; lower one of them"


def table_bytes(planned: PlannedRun) -> int:
    """The rates and the curve of one run."""
    return 20 * planned.steps + 8 * len(CURVE_COLUMNS) * (planned.run.epochs + 1)


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
    most = max(1, min(STACK_BYTES // run_bytes(group[0]), MEMORY_BYTES // table_bytes(group[0])))
    even = max(1, workers) if len(group) >= workers * FEWEST_RUNS else 1
    count = min(len(group), even * -(-len(group) // (even * most)))
    whole = len(seeds) % count == 0 or len(seeds) >= 4 * count
    units = list(seeds.values()) if whole else [[one] for runs in seeds.values() for one in runs]
    for i in range(count):
        part = units[len(units) * i // count : len(units) * (i + 1) // count]
        yield [one for unit in part for one in unit]


def cost(planned: PlannedRun) -> float:
    """What a run costs, to be compared: its working set times the rows that pass, and a share for each step."""
    return run_bytes(planned) * planned.n_train * planned.run.epochs + 100_000.0 * planned.steps


@dataclass(frozen=True)
class Estimate:
    """What training the stacks would take; `shapes` tells how many were timed for it."""

    seconds: float
    disk_bytes: int
    shapes: int


STARTUP_SECONDS, RUN_SECONDS, POINT_SECONDS = 0.6, 3e-4, 6e-6
"""Beside the training: of a sweep, of a run, and of a run's epoch in the files; measured on 16 and on 10,000 runs."""

MOST_TIMED = 8


def estimate(stacks: Sequence[Stack], workers: int, load: Callable[[Stack], Data]) -> Estimate:
    """Seconds and bytes that the stacks would take, from a few timed steps of one stack of each shape.

    `load` maps a stack to its data. The dearest shapes are timed; what is beyond counts like the last of them.
    """
    timed: dict[Any, float] = {}
    seconds = 0.0
    for stack in stacks:
        run = stack.runs[0]
        key = (run.width, run.depth, run.optimizer.name, run.batch_size, run.precision, run.subset, run.dataset)
        if key not in timed and len(timed) < MOST_TIMED:
            timed[key] = time_epoch(stack, load(stack)) / len(stack.runs)
        per_epoch = timed.get(key, list(timed.values())[-1])
        seconds += per_epoch * run.epochs * len(stack.runs) / max(1, workers)
    runs = [run for stack in stacks for run in stack.runs]
    seconds += sum(RUN_SECONDS + POINT_SECONDS * run.epochs for run in runs) + (STARTUP_SECONDS if runs else 0)
    return Estimate(seconds, sum((run.epochs + 1) * 200 + 3000 for run in runs), len(timed))


@dataclass(frozen=True)
class Preview:
    """What a sweep would do: its plan, what is stored of it already, and what the rest would take."""

    plan: Plan
    folder: Path
    statuses: dict[str, str]
    stacks: list[Stack]
    estimate: Estimate
    workers: int

    def counts(self) -> dict[str, int]:
        """Runs that are done, new, stale and failed."""
        planned = [one.run_id for one in self.plan.runs]
        done = [run_id for run_id in planned if run_id in self.statuses]
        failed = sum(self.statuses[run_id] in RETRIED for run_id in done)
        stale = len(self.statuses) - len(done)
        return {"done": len(done), "new": len(planned) - len(done), "stale": stale, "failed": failed}

    def document(self, list_runs: bool = False) -> dict[str, Any]:
        """The same, as plain values; with every run where `list_runs`."""
        axes, spec, columns = self.plan.axes(), self.plan.spec, self.plan.columns()
        document = {
            "schema_version": 1,
            "path": str(spec.path),
            "name": spec.name,
            "folder": str(self.folder),
            "axes": axes,
            "runs": len(columns),
            "duplicates": self.plan.duplicates,
            "counts": self.counts(),
            "stacks": len(self.stacks),
            "largest_stack": max((len(stack.runs) for stack in self.stacks), default=0),
            "seconds": self.estimate.seconds,
            "workers": self.workers,
            "shapes_timed": self.estimate.shapes,
            "disk_bytes": self.estimate.disk_bytes,
        }
        if list_runs:
            document["runs_list"] = [(run_id, self.statuses.get(run_id, "new"), row) for run_id, row in columns]
        return document
