"""Races between the rates of a setting, and how far each of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lrsweep.analysis.elimination import Decision, trial
from lrsweep.plan import Plan, PlannedRun
from lrsweep.provenance import chance
from lrsweep.search.stages import Stage, stages
from lrsweep.vocabulary import Array, Scalar

Evidence = Callable[[Stage, PlannedRun], tuple[bool, Array | None]]
"""Whether it is known what a stage sees of a run, and the curve that it sees; None where the run is lost."""


@dataclass(frozen=True)
class Race:
    """A setting, by its values of the columns that vary, and its runs by rate, ascending, and seed."""

    setting: dict[str, Scalar | None]
    runs: dict[float, dict[int, PlannedRun]]

    @property
    def rates(self) -> tuple[float, ...]:
        """All its rates, ascending."""
        return tuple(self.runs)

    @property
    def seeds(self) -> list[int]:
        """The seeds that all rates have, in the plan's order: a file of several blocks may leave some out."""
        first, *others = self.runs.values()
        return [seed for seed in first if all(seed in other for other in others)]

    @property
    def first(self) -> PlannedRun:
        """Any of its runs: what stages ask of them is the same for all."""
        return next(iter(next(iter(self.runs.values())).values()))


def races(plan: Plan) -> list[Race]:
    """The races of a plan, in order of appearance."""
    columns, found = plan.varying(), []
    for values, runs in plan.settings().items():
        by_rate: dict[float, dict[int, PlannedRun]] = {}
        for one in sorted(runs, key=lambda one: one.run.learning_rate):  # stable: seeds stay in order
            by_rate.setdefault(one.run.learning_rate, {})[one.run.seed] = one
        found.append(Race(dict(zip(columns, values, strict=True)), by_rate))
    return found


def chance_loss(planned: PlannedRun) -> float:
    """The loss of the best constant prediction, on the run's own scale."""
    scaled = planned.data.task == "regression" and planned.run.standardize
    return 1.0 if scaled else chance(planned.data)


class Course:
    """How far a race is.

    `entered` are the rates that went into each stage so far, the last of which are still in; `gone` tells of those that
    went at which stage, and why. All of it follows from the evidence of the stages.
    """

    def __init__(self, race: Race, plan: Plan) -> None:
        self.race, self.spec = race, plan.spec
        seeds = race.seeds
        self.stages: Sequence[Stage] = [*stages(race.first, plan.spec.elimination)] if seeds else []
        self.entered: list[tuple[float, ...]] = [race.rates]
        self.decisions: list[tuple[Stage, Decision, int]] = []
        self.gone: dict[float, tuple[Stage, str]] = {}

    @property
    def kept(self) -> tuple[float, ...]:
        """The rates that are still in."""
        return self.entered[-1]

    @property
    def stage(self) -> Stage | None:
        """The next stage; None where the rates that are left are trained to the end."""
        at = len(self.entered) - 1
        return self.stages[at] if at < len(self.stages) and len(self.kept) > 1 else None

    def seen(self, stage: Stage, rates: Sequence[float]) -> list[list[PlannedRun]]:
        """The runs of rates, by seed, in whose place or at which a stage looks."""
        seeds = self.race.seeds[: stage.n_seeds]
        return [[self.race.runs[rate][seed] for seed in seeds] for rate in rates]

    def advance(self, evidence: Evidence) -> bool:
        """Decides the next stage, if there is one and all of its evidence is known; tells whether it did."""
        stage = self.stage
        if stage is None:
            return False
        curves = []
        for runs in self.seen(stage, self.kept):
            found = [evidence(stage, one) for one in runs]
            if not all(known for known, _ in found):
                return False
            curves.append([curve for _, curve in found])
        places = [self.race.rates.index(rate) for rate in self.kept]
        met = trial(
            self.kept,
            places,
            curves,
            objective=self.spec.objective,
            select=self.spec.select,
            chance=chance_loss(self.race.first),
            share=stage.share,
        )
        self.settle(stage, stage.decide(met), len(curves[0]))
        return True

    def settle(self, stage: Stage, decisions: Sequence[Decision], n_seeds: int) -> None:
        """Notes what a stage decided, from so many seeds."""
        self.decisions += [(stage, decision, n_seeds) for decision in decisions]
        self.entered.append(tuple(decision.rate for decision in decisions if decision.kept))
        for decision in decisions:
            if not decision.kept:
                self.gone[decision.rate] = (stage, f"{stage.name} ({stage.size}): {decision.reason}")

    def rows(self) -> list[dict[str, Scalar | None]]:
        """What was decided so far, as rows of elimination.csv."""
        of = {stage.name: len(rates) for stage, rates in zip(self.stages, self.entered, strict=False)}
        return [
            self.race.setting
            | {"learning_rate": decision.rate, "stage": stage.name, "stage_epochs": stage.epochs}
            | {"n_train": stage.n_train, "n_seeds": n_seeds}
            | {"rank": decision.rank, "of": of[stage.name], "value": decision.value}
            | {"margin": decision.margin, "kept": decision.kept, "reason": decision.reason}
            for stage, decision, n_seeds in self.decisions
        ]
