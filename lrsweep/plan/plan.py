"""From a spec to the list of its runs."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any

from lrsweep import datasets
from lrsweep.analysis.additions import Addition
from lrsweep.plan.mistakes import Mistake, idle_mistakes, mistakes, rate_mistakes
from lrsweep.plan.outlook import outlook, searches
from lrsweep.plan.planned import PlannedRun, Shared, settings
from lrsweep.plan.stacks import Estimate, shape
from lrsweep.spec import Spec
from lrsweep.spec.model import Block
from lrsweep.vocabulary import RETRIED, STOPPED, DataError, Problem, RawData, Run, Scalar, Source, SpecError, Stack

Values = tuple[Scalar | None, ...]
"""A setting's values of the columns that vary."""

Found = tuple[int, Mapping[str, Any], Mistake]
"""The index of a block, the values of one of its runs, and a mistake in them."""

MOST_PLACED = 100
"""Values that are looked up in the file, of those with mistakes; few are shown, and thousands would take seconds."""


@dataclass(frozen=True)
class Plan:
    """Every run of a sweep in order, each once; `duplicates` counts those that are an earlier one in all that acts.

    `additions` are what it has beside the runs of the sweep file, which come first.
    """

    spec: Spec
    runs: tuple[PlannedRun, ...]
    duplicates: int
    additions: tuple[Addition, ...] = ()

    def columns(self) -> list[tuple[str, dict[str, Scalar | None]]]:
        """Each run_id with the settings of its row in runs.csv."""
        return [
            (one.run_id, self.rows()[one.shared] | {"learning_rate": one.run.learning_rate, "seed": one.run.seed})
            for one in self.runs
        ]

    def rows(self) -> Mapping[Shared, dict[str, Scalar | None]]:
        """What the runs of a setting share, in order of appearance, with its columns but the rate and the seed."""
        return self._rows

    @functools.cached_property
    def _rows(self) -> dict[Shared, dict[str, Scalar | None]]:
        every = dict.fromkeys(one.shared for one in self.runs)
        return {shared: settings(shared.run, self.spec.named) for shared in every}

    def axes(self) -> dict[str, list[Scalar | None]]:
        """The settings that differ within the sweep, with their values in order."""
        return dict(self._axes)

    @functools.cached_property
    def _axes(self) -> dict[str, list[Scalar | None]]:
        rows = [*self.rows().values()]
        seen = {key: dict.fromkeys(row[key] for row in rows) for key in (rows[0] if rows else ())}
        varied = {key: [*values] for key, values in seen.items() if len(values) > 1}
        own = {key: [*dict.fromkeys(getattr(one.run, key) for one in self.runs)] for key in ("learning_rate", "seed")}
        return varied | own

    def varying(self) -> list[str]:
        """The columns that tell settings apart."""
        return [key for key in self.axes() if key not in ("learning_rate", "seed")]

    def settings(self) -> dict[Values, list[PlannedRun]]:
        """The runs of each setting, by its values of the columns that vary; in order of appearance."""
        columns = self.varying()
        values = {shared: tuple(row[column] for column in columns) for shared, row in self.rows().items()}
        found: dict[Values, list[PlannedRun]] = {}
        for one in self.runs:
            found.setdefault(values[one.shared], []).append(one)
        return found

    def plus(self, found: Sequence[Addition]) -> Plan:
        """The plan with additions; rates of them that it has already are not repeated."""
        more = replace(self, additions=(*self.additions, *found))
        known = {one.run_id: one for one in (*self.runs, *more.added())}
        return replace(more, runs=tuple(known.values()))

    def grid(self) -> Plan:
        """The plan of the sweep file alone, without additions."""
        added = {one.run_id for one in self.added()} if self.additions else set()
        return replace(self, runs=tuple(one for one in self.runs if one.run_id not in added), additions=())

    def added(self) -> list[PlannedRun]:
        """The runs of the additions, each once: every seed of the setting, at rates that its precision can tell."""
        return self._added

    @functools.cached_property
    def _added(self) -> list[PlannedRun]:
        settings, columns = (self.settings(), self.varying()) if self.additions else ({}, [])
        runs = {
            one.run_id: one
            for addition in self.additions
            for one in at_rates(settings[tuple(addition.setting[column] for column in columns)], addition.rates)
        }
        return list(runs.values())


def at_rates(runs: Sequence[PlannedRun], rates: Iterable[float]) -> Iterator[PlannedRun]:
    """The runs of one setting at other rates: for each of these a run of every seed."""
    seeds = {one.run.seed: one for one in runs}
    for rate in rates:
        for one in seeds.values():
            more = one.shared.planned(rate, one.run.seed)
            if not any(rate_mistakes(more.run)):
                yield more


def make_plan(spec: Spec) -> Plan:
    """Every run that the spec asks for. Raises SpecError where its data cannot be had or does not go with a setting."""
    data = load_all(spec)
    runs: dict[str, PlannedRun] = {}
    firsts: dict[tuple[int, Shared, float], PlannedRun] = {}
    total = 0
    for i, block in enumerate(spec.blocks):
        for planned in runs_of(block, data):
            total += 1
            if runs.setdefault(planned.run_id, planned) is planned:
                firsts.setdefault((i, planned.shared, planned.run.learning_rate), planned)
    told = ("optimizer", "learning_rate", "schedule", "layer_rates", "clip_norm", "growth")
    alike = {(key[0], shape(one), *(getattr(one.run, key) for key in told)): one for key, one in firsts.items()}
    refuse(spec, ((key[0], vars(one.run), mistake) for key, one in alike.items() for mistake in mistakes(spec, one)))
    plan = Plan(spec, tuple(runs.values()), total - len(runs))
    if searches(spec):
        refuse(spec, ((0, {}, mistake) for mistake in idle_mistakes(spec, plan.settings().values())))
    return plan


def runs_of(block: Block, data: Mapping[tuple[Source, str | None], RawData]) -> Iterator[PlannedRun]:
    """The runs of a block in order, those that are an earlier one too."""
    keys = [key for key in block.axes if key not in ("learning_rate", "seeds")]
    others = itemgetter(*keys)
    known: dict[tuple[int, ...], Shared] = {}
    for values in block.combinations():
        place = tuple(map(id, others(values)))  # the axes hold the values: there is no faster way to tell them apart
        if place not in known:
            raw = data[values["dataset"], values["task"]]
            rest = {key: values[key] for key in keys if key != "task"}
            run = Run(learning_rate=values["learning_rate"], seed=values["seeds"], task=raw.task, **rest)
            known[place] = Shared(run, raw)
        yield known[place].planned(values["learning_rate"], values["seeds"])


def load_all(spec: Spec) -> dict[tuple[Source, str | None], RawData]:
    """The data of each dataset that the spec names, by it and the task that the spec sets."""
    data: dict[tuple[Source, str | None], RawData] = {}
    found: list[Found] = []
    pairs: dict[tuple[Source, str | None], int] = {}
    for i, block in enumerate(spec.blocks):
        for pair in product(*(dict.fromkeys(block.axes[key]) for key in ("dataset", "task"))):
            pairs.setdefault(pair, i)
    for (source, task), i in pairs.items():
        try:
            data[source, task] = datasets.load(source, source.task or task)
        except DataError as error:
            found.append((i, {"dataset": source}, ("dataset", str(error))))
    tasks = {str(source): raw.task for (source, _), raw in data.items()}
    if len(set(tasks.values())) > 1:
        said = ", ".join(f"{label} is {task}" for label, task in sorted(tasks.items()))
        found.append((0, {}, ("dataset", f"a sweep has one task, but {said}; make two sweeps of it")))
    refuse(spec, found)
    return data


def refuse(spec: Spec, found: Iterable[Found]) -> None:
    """Raises SpecError with the mistakes, each once and at the value that it is about."""
    places: dict[Any, Problem] = {}
    problems: dict[Problem, None] = {}
    for block, values, (label, message) in found:
        value = values.get(label.partition(".")[0])
        about = block, label, value
        if about not in places:
            near = spec.places[block]
            places[about] = near.find(label, value) if len(places) < MOST_PLACED else near.key(label)
        problems[replace(places[about], message=message)] = None
    if problems:
        raise SpecError(str(spec.path), spec.text, list(problems))


@dataclass(frozen=True)
class Preview:
    """What a sweep would do: its plan, what is stored of it already, and what the rest would take.

    `sampling` tells whether it would begin with samples that are yet to be trained, `others` counts stored runs that
    other training code left.
    """

    plan: Plan
    folder: Path
    statuses: dict[str, str]
    stacks: list[Stack]
    estimate: Estimate
    workers: int
    sampling: bool = False
    others: int = 0

    def counts(self) -> dict[str, int]:
        """Runs that are done, new, stale and failed."""
        planned = [one.run_id for one in self.plan.runs]
        done = [run_id for run_id in planned if run_id in self.statuses]
        failed = sum(self.statuses[run_id] in RETRIED for run_id in done)
        stale = len(self.statuses) - len(done) + self.others
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
            "fixed": {key: value for key, value in columns[0][1].items() if key not in axes},
            "runs": len(columns),
            "duplicates": self.plan.duplicates,
            "counts": self.counts(),
            "dropped": sum(self.statuses.get(run_id) == STOPPED for run_id, _ in columns),
            "sampling": self.sampling,
            "other_numerics": self.others,
            "search": outlook(spec, self.plan.grid().settings().values()) if searches(spec) else None,
            "added": len(self.plan.added()),
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
