"""What is known of runs: those that a results folder has, and those that pause in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from lrsweep.store import Store
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, PAUSED, RETRIED, STOPPED, Array, Outcome, Pause

RACING_BYTES = 64_000_000
"""What the runs that pause may take in memory: some thirty stacks. Settings race in batches, so that they stay below,
and so that no more than that is lost where a sweep is killed, since what pauses is not stored."""


class Known:
    """Runs by run_id. Without a store, nothing is known; with `retry`, nothing of those that failed or crashed.

    Of those by other training code, `others` is the count.
    """

    def __init__(self, store: Store | None, retry: bool = False) -> None:
        self.store = store
        self.stored = store.statuses() if store else {}
        self.others = store.others() if store else 0
        self.reasons = store.reasons() if store else {}
        self.statuses = {run_id: one for run_id, one in self.stored.items() if not (retry and one in RETRIED)}
        self.paused: dict[str, Outcome] = {}
        self.held = 0

    def status(self, run_id: str) -> str | None:
        """A run's status; None where it is to be trained."""
        return self.statuses.get(run_id)

    def unfinished(self, run_id: str) -> bool:
        """Whether a run that is to be trained in full is yet to be."""
        return self.status(run_id) in (None, STOPPED)

    def curve(self, run_id: str, epochs: int) -> tuple[bool, Array | None]:
        """Whether it is known how a run fared up to an epoch, and its curve up to there; None: it was lost before."""
        if run_id in self.paused:
            curve = self.paused[run_id].curve
        elif self.store and run_id in self.statuses:
            curve = self.store.curve(run_id)
        else:
            return False, None
        if len(curve) > epochs:
            return True, curve[: epochs + 1]
        return run_id in self.statuses and self.statuses[run_id] != STOPPED, None

    def diverged(self, run_id: str, epochs: int) -> bool:
        """Whether a run is known to have diverged by an epoch."""
        if self.store is None or self.status(run_id) != DIVERGED:
            return False
        return len(self.store.curve(run_id)) <= epochs + 1

    def pauses(self, run_ids: Iterable[str]) -> dict[str, Pause]:
        """Where runs go on from, those that pause."""
        found = {run_id: self.paused[run_id].pause for run_id in run_ids if run_id in self.paused}
        return {run_id: pause for run_id, pause in found.items() if pause}

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Stores what became of runs, and keeps those that pause.

        Of a race that is too large for all its pauses, the curves alone are kept, as evidence: runs without a pause
        start anew where they go on, which takes longer and comes to the same.
        """
        assert self.store is not None  # noqa: S101  who adds has opened the folder to write it
        ended = []
        for outcome in outcomes:
            before = self.paused.pop(outcome.run_id, None)
            self.held -= size(before.pause) if before else 0
            if outcome.status == PAUSED:
                room = self.held + size(outcome.pause) <= RACING_BYTES
                self.paused[outcome.run_id] = outcome if room else replace(outcome, pause=None)
                self.held += size(self.paused[outcome.run_id].pause)
            else:
                ended.append(outcome)
                self.statuses[outcome.run_id] = self.stored[outcome.run_id] = outcome.status
        if ended:
            self.store.add(ended)

    def stop(self, reasons: Mapping[str, str]) -> int:
        """Stores that runs are stopped, and why, with what is known of them; returns how many were training."""
        assert self.store is not None  # noqa: S101
        training = len(reasons.keys() & self.paused.keys())
        known = {run_id: reason for run_id, reason in reasons.items() if self.status(run_id) == STOPPED}
        if known:
            self.store.reword(known)
        empty = np.empty((0, len(CURVE_COLUMNS)))
        self.add(
            replace(
                self.paused.get(run_id) or Outcome(run_id, STOPPED, reason, {}, empty),
                status=STOPPED,
                reason=reason,
                pause=None,
            )
            for run_id, reason in reasons.items()
            if run_id not in known
        )
        self.reasons |= reasons
        return training

    def forget(self, run_ids: Iterable[str]) -> None:
        """Forgets runs that an earlier course stopped, and the present one does not."""
        gone = [run_id for run_id in run_ids if self.status(run_id) == STOPPED]
        if gone and self.store:
            self.store.forget(gone)
            for run_id in gone:
                del self.statuses[run_id], self.stored[run_id]


def size(pause: Pause | None) -> int:
    """The bytes of a pause's numbers."""
    return sum(array.nbytes for array in (pause.curve, pause.params, *pause.state)) if pause else 0
