"""The course of a sweep: what is trained next, wave by wave, until nothing is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lrsweep.analysis.additions import additions
from lrsweep.analysis.elimination import Elimination
from lrsweep.plan import Plan, PlannedRun, pause_bytes
from lrsweep.provenance import about
from lrsweep.search.known import RACING_BYTES, Known
from lrsweep.search.races import Course, races
from lrsweep.search.stages import Stage
from lrsweep.search.told import Told, told_of_additions, told_of_no_race
from lrsweep.vocabulary import STOPPED, Array, Scalar

if TYPE_CHECKING:
    from lrsweep.store.tables import Row


@dataclass(frozen=True)
class Wave:
    """What is next: runs to train, by the epoch until which (None: to the end), and what is decided before.

    `plan` is the whole sweep's by now. The runs are those of `sample`, the plan of the sample's folder, if that is so
    (`sampling`), else the sweep's own. `stops` tells of runs that are stopped why, `again` are runs that are stored as
    stopped and are to be trained on, `decisions` rows of elimination.csv. `title` names the stage, `said` are lines
    about what was decided, `missing` counts the runs of the plan that are not done.
    """

    plan: Plan
    sample: Plan | None
    stops: Mapping[str, str]
    decisions: Sequence[Mapping[str, Scalar | None]]
    said: Sequence[str]
    missing: int
    title: str = ""
    sampling: bool = False
    runs: Mapping[int | None, Sequence[PlannedRun]] = field(default_factory=dict)
    again: Sequence[str] = ()


class Search:
    """Decides what is trained next, from what is known; whoever trains it adds what comes of it to the known."""

    def __init__(self, plan: Plan, known: Known, sample: Known | None, max_runs: int) -> None:
        self.grid = self.plan = plan
        self.known, self.sample, self.max_runs = known, sample, max_runs
        self.courses = [Course(race, plan) for race in races(plan)]
        self.told = Told()

    def waves(self) -> Iterator[Wave]:
        """Each wave in turn, to be asked for when the one before is trained; the last one has no runs."""
        yield from self.sampling()
        for batch in self.batches():
            yield from self.racing(batch)
        yield from self.growing()
        yield self.wave()

    def wave(
        self, title: str = "", runs: Mapping[int | None, Sequence[PlannedRun]] | None = None, sampling: bool = False
    ) -> Wave:
        """What is decided by now, and runs to train."""
        rows = [row for course in self.courses for row in course.rows()]
        own = [] if sampling or not runs else [one.run_id for ones in runs.values() for one in ones]
        missing, again = self.missing(), self.again(own)
        if not self.told.begun:
            self.told.in_doubt(self.in_doubt(missing))
        said, stops = self.told.lines(), self.stops()
        return Wave(self.plan, self.samples(), stops, rows, said, len(missing), title, sampling, runs or {}, again)

    # Samples

    def evidence(self, stage: Stage, planned: PlannedRun) -> tuple[bool, Array | None]:
        """What is known of a run at a stage."""
        known = self.sample if stage.sample else self.known
        return known.curve(stage.run_of(planned).run_id, stage.epochs) if known else (False, None)

    def decide(self, courses: Sequence[Course]) -> None:
        """Takes all decisions that the evidence allows."""
        for course in courses:
            while course.advance(self.evidence):
                self.told.decided(course)

    def sampling(self) -> Iterator[Wave]:
        """All settings side by side, as long as their stages look at samples."""
        while True:
            self.decide(self.courses)
            wanted: dict[str, PlannedRun] = {}
            titles: dict[str, None] = {}
            for course in self.courses:
                stage = course.stage
                if stage is not None and stage.sample:
                    seen = [stage.run_of(one) for runs in course.seen(stage, course.kept) for one in runs]
                    lacking = [one for one in seen if not self.sample or self.sample.status(one.run_id) is None]
                    wanted |= {one.run_id: one for one in lacking}
                    titles |= {stage.title: None} if lacking else {}
            if not wanted:
                return
            yield self.wave(", ".join(titles), {None: [*wanted.values()]}, sampling=True)

    def samples(self) -> Plan | None:
        """The plan of the sample's folder: what the stages so far look at, stage by stage."""
        runs: dict[str, PlannedRun] = {}
        for at in range(max(len(course.stages) for course in self.courses)):
            for course in self.courses:
                stage = course.stages[at] if at < len(course.entered) and at < len(course.stages) else None
                if stage is not None and stage.sample and len(course.entered[at]) > 1:
                    seen = course.seen(stage, course.entered[at])
                    runs |= {one.run_id: one for ones in seen for one in map(stage.run_of, ones)}
        spec = self.grid.spec
        plain = replace(
            spec, name=f"{spec.name}-sample", expect={}, elimination=Elimination(), extend=None, refine=None
        )
        return Plan(plain, tuple(runs.values()), 0) if runs else None

    # The grid

    def batches(self) -> Iterator[list[Course]]:
        """The settings whose rates race at the same time, the dearest first; all at once where none pauses."""
        if not any(course.stage for course in self.courses):
            yield self.courses
            return
        batch: list[Course] = []
        held = 0
        for n_bytes, course in sorted(
            ((self.pausing(course), course) for course in self.courses), key=lambda pair: -pair[0]
        ):
            if batch and held + n_bytes > RACING_BYTES:
                yield batch
                batch, held = [], 0
            batch.append(course)
            held += n_bytes
        yield batch

    def pausing(self, course: Course) -> int:
        """Bytes that the pauses of a race take at most."""
        ones = [one for rate in course.kept for one in course.race.runs[rate].values()]
        return sum(pause_bytes(one) for one in ones if self.known.unfinished(one.run_id))

    def racing(self, batch: Sequence[Course]) -> Iterator[Wave]:
        """The settings of a batch side by side: from rung to rung, and to the end."""
        while True:
            self.decide(batch)
            runs: dict[int | None, list[PlannedRun]] = {}
            titles: dict[str, None] = {}
            alone: list[Mapping[str, Scalar | None]] = []
            for course in batch:
                stage = course.stage
                until = None if stage is None else stage.epochs
                lacking = [one for one in self.racers(course, stage) if self.lacks(one, until)]
                if lacking:
                    runs.setdefault(until, []).extend(lacking)
                    titles |= {stage.title if stage else "": None}
                    alone += [] if course.race.seeds else [course.race.setting]
            if not runs:
                return
            if alone and self.grid.spec.elimination != Elimination():
                self.told.say(told_of_no_race(self.plan, alone))
            yield self.wave(", ".join(filter(None, titles)), runs)

    def racers(self, course: Course, stage: Stage | None) -> list[PlannedRun]:
        """The runs of a race that go up to its next stage, or to the end."""
        if stage is not None:
            return [one for runs in course.seen(stage, course.kept) for one in runs]
        return [one for rate in course.kept for one in course.race.runs[rate].values()]

    def lacks(self, planned: PlannedRun, until: int | None) -> bool:
        """Whether a run is yet to be trained up to there."""
        if until is None:
            return self.known.unfinished(planned.run_id)
        return not self.known.curve(planned.run_id, until)[0]

    # Rates that are added

    def growing(self) -> Iterator[Wave]:
        """Round by round, the rates that the runs ask for, in full."""
        spec, plan = self.grid.spec, self.grid
        grids = {tuple(course.race.setting.values()): course.race.rates for course in self.courses}
        store = self.known.store
        while store and (spec.extend or spec.refine):
            runs = store.runs_of(plan.columns(), self.instead(plan))
            found = additions(runs, about(plan), grids, spec.extend, spec.refine)
            more = plan.plus(found)
            if len(more.added()) == len(plan.added()):
                break
            if len(more.runs) > self.max_runs:
                self.told.too_many(len(more.runs), self.max_runs)
                break
            said = told_of_additions(plan, found)
            plan = self.plan = more
            lacking = [one for one in plan.added() if self.known.unfinished(one.run_id)]
            if lacking:
                self.told.say(said)
                yield self.wave("added rates", {None: lacking})
        self.plan = plan

    def instead(self, plan: Plan) -> dict[str, Row]:
        """What a sweep that was never interrupted has of the runs that the course stops: how far they got, no more.

        So the rates that are added do not depend on what else is known of these. Runs that had diverged by then are
        not stopped: they say that their rate breaks, which bounds what is added.
        """
        own = {one.run_id for one in plan.added()}
        found: dict[str, Row] = {}
        for course in self.courses:
            for rate, (stage, reason) in course.gone.items():
                row: Row = (STOPPED, reason, {} if stage.sample else {"epochs_done": stage.epochs})
                raced = [] if stage.sample else [one.run_id for one in course.seen(stage, [rate])[0]]
                kept = own.union(run_id for run_id in raced if self.known.diverged(run_id, stage.epochs))
                found |= {one.run_id: row for one in course.race.runs[rate].values() if one.run_id not in kept}
        return found

    # What is known

    def stops(self) -> dict[str, str]:
        """The runs that are to be stored as stopped, or for another reason than they are, and why."""
        found: dict[str, str] = {}
        taken_up = {one.run_id for one in self.plan.added()}
        for course in self.courses:
            for rate, (_, reason) in course.gone.items():
                for one in course.race.runs[rate].values():
                    status = self.known.status(one.run_id)
                    other = status == STOPPED and self.known.reasons[one.run_id] != reason
                    if (status is None or other) and one.run_id not in taken_up:
                        found[one.run_id] = reason
        return found

    def missing(self) -> list[str]:
        """The runs that are yet to be trained, as far as is known: also those that were stopped, and may be again."""
        return [run_id for run_id in self.going(self.courses) if self.known.unfinished(run_id)]

    def again(self, own: Iterable[str]) -> list[str]:
        """The runs stored as stopped that a wave trains on, its `own`, or that are sure to be trained and no evidence.

        Where rungs look at the runs themselves, what is stored of these is evidence until they are trained on.
        """
        decided = [course for course in self.courses if course.stage is None]
        sure = self.going(course for course in decided if all(stage.sample for stage in course.stages))
        return [run_id for run_id in sure | dict.fromkeys(own) if self.known.status(run_id) == STOPPED]

    def in_doubt(self, missing: Iterable[str]) -> int:
        """How many of the missing runs are stored as stopped and, as far as is known, may be stopped again."""
        sure = self.going(course for course in self.courses if course.stage is None)
        return sum(run_id not in sure and self.known.status(run_id) == STOPPED for run_id in missing)

    def going(self, courses: Iterable[Course]) -> dict[str, None]:
        """The runs that were added, and those of the rates that are still in."""
        kept = [course.race.runs[rate].values() for course in courses for rate in course.kept]
        return dict.fromkeys(one.run_id for runs in [self.plan.added(), *kept] for one in runs)

    def statuses(self) -> dict[str, str]:
        """run_id → status of every run that is not missing, stale ones too."""
        missing = set(self.missing())
        stopped = dict.fromkeys(self.stops(), STOPPED)
        return {run_id: status for run_id, status in (self.known.stored | stopped).items() if run_id not in missing}
