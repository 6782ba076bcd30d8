"""Trains what a search wants, and stores what comes of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import chain
from typing import Protocol

from lrsweep.engine.model import stacking_is_exact
from lrsweep.execute import Crew, singles
from lrsweep.plan import Plan, check_disk, make_stacks
from lrsweep.provenance import about
from lrsweep.search.search import Search, Wave
from lrsweep.store import Store
from lrsweep.vocabulary import PAUSED, RETRIED, BusyError, Outcome, Stack, StoreError

INEXACT = "this machine's matrix product gives other bits in a stack: runs are trained one by one, which takes longer"

OTHERS = (
    "{:,} of the stale runs are by other training code, whose numbers differ: kept, but trained again where asked for"
)


class View(Protocol):
    """Who looks on."""

    def say(self, line: str) -> None:
        """Something about the results folder, or about those who train."""

    def begin(self, planned: Plan, stale: int, missing: int, note: str) -> None:
        """Before anything is trained: how many stored runs the plan is without, how many are to be trained, a note."""

    def wave(self, wave: Wave, stacks: Sequence[Stack]) -> None:
        """What was decided, and what is trained next."""

    def trained(self, outcomes: list[Outcome]) -> None:
        """What became of a stack."""


class Work:
    """Goes through a search's waves. `trained` counts the sweep's own runs that came to an end."""

    def __init__(
        self,
        search: Search,
        crew: Crew,
        view: View | None = None,
        fail_fast: bool = False,
        prepare: Callable[[Wave], None] | None = None,
    ) -> None:
        assert search.known.store is not None  # noqa: S101  who works has opened the folder to write it
        self.search, self.crew = search, crew
        self.view, self.fail_fast, self.prepare = view, fail_fast, prepare
        self.store: Store = search.known.store
        self.views, self.trained = Views(self.store), 0
        self.plan: Plan | None = None

    def go(self) -> None:
        """Trains wave after wave, to the end or until it is ended. Views are written whatever ends it."""
        try:
            self.train_waves()
            self.write_views()
        except BaseException as ended:
            self.leave(ended)
            raise

    def train_waves(self) -> None:
        """Trains wave after wave, until one does not come to its end."""
        for wave in self.search.waves():
            stacks, note = self.stacks(wave)
            check_disk(stacks, self.store.folder)
            self.commit(wave, note)
            if not self.train_all(wave, stacks):
                self.search.decide(self.search.courses)  # of what is whole
                self.commit(self.search.wave())
                return

    def leave(self, ended: BaseException) -> None:
        """Writes the files, whatever ended the work; but not large ones where somebody waits for it to end."""
        if not isinstance(ended, Exception) and self.store.is_large():
            ended.add_note(f"{self.store.folder}: its large CSV files are of an earlier moment until the next run ends")
            return
        try:
            self.write_views()
        except (StoreError, BusyError) as error:  # which must not hide what ended it
            ended.add_note(str(error))

    def write_views(self) -> None:
        """Writes the files of the sweep and of its samples."""
        self.store.write_views()
        if self.search.sample and self.search.sample.store:
            self.search.sample.store.write_views()

    def stacks(self, wave: Wave) -> tuple[list[Stack], str]:
        """The stacks of a wave, those of every rung, and a note where runs are trained alone."""
        known = self.search.sample if wave.sampling else self.search.known
        assert known is not None  # noqa: S101  there are no waves of a sample without its folder
        found = [
            make_stacks(runs, self.crew.size(), until, known.pauses(one.run_id for one in runs))
            for until, runs in wave.runs.items()
        ]
        stacks = [*chain.from_iterable(found)]
        if stacks and not stacking_is_exact():
            return [single for stack in stacks for single in singles(stack)], INEXACT
        return stacks, ""

    def commit(self, wave: Wave, note: str = "") -> None:
        """Stores what is decided."""
        known, sample, first = self.search.known, self.search.sample, self.plan is None
        stale = known.others + len(known.stored.keys() - {one.run_id for one in wave.plan.runs})
        if wave.plan is not self.plan:
            self.store.set_plan(wave.plan.columns(), about(wave.plan))
            self.plan = wave.plan
        if sample and sample.store and wave.sample:
            sample.store.set_plan(wave.sample.columns(), about(wave.sample))
        self.store.set_decisions(wave.decisions)
        if first and self.prepare:
            self.prepare(wave)
        if first and self.view:
            self.view.begin(wave.plan, stale, wave.missing, note)
            if known.others:
                self.view.say(OTHERS.format(known.others))
        if wave.stops:
            self.trained += known.stop(wave.stops)
        if wave.again:
            known.forget(wave.again)

    def train_all(self, wave: Wave, stacks: Sequence[Stack]) -> bool:
        """Trains a wave, and tells whether all of it came to its end."""
        if self.view:
            self.view.wave(wave, stacks)
        if not stacks:
            return True
        known = self.search.sample if wave.sampling else self.search.known
        assert known is not None  # noqa: S101
        left = sum(len(stack.runs) for stack in stacks)
        with closing(self.crew(stacks)) as stream:
            for outcomes in stream:
                known.add(outcomes)
                left -= len(outcomes)
                if not wave.sampling:
                    self.trained += sum(outcome.status != PAUSED for outcome in outcomes)
                if self.view:
                    self.view.trained(outcomes)
                self.views.refresh()
                if self.fail_fast and any(outcome.status in RETRIED for outcome in outcomes):
                    return False
        return left == 0


class Views:
    """Keeps the CSV files near the truth while a sweep runs, in no more than a twentieth of its time."""

    def __init__(self, store: Store) -> None:
        self.store, self.due = store, time.monotonic() + 5

    def refresh(self) -> None:
        """Writes the files, if that is due."""
        start = time.monotonic()
        if start >= self.due:
            self.store.write_views()
            end = time.monotonic()
            self.due = end + max(5, 20 * (end - start))
