"""What a person sees on stderr while a sweep runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from lrsweep.vocabulary import DIVERGED, Outcome, Stack, plain

if TYPE_CHECKING:
    from lrsweep.plan import Plan
    from lrsweep.search import Wave


def tell(text: str, quiet: bool = False) -> None:
    """Talk, on stderr, without what could steer a terminal. Nobody may be there to hear it: no reason to stop."""
    if sys.stderr and not quiet:  # none where it was closed, for which `print` would take stdout
        with suppress(OSError):
            print("\n".join(map(plain, text.split("\n"))), file=sys.stderr, flush=True)


class View:
    """The lines before and between, and the live block: one for each wave of training."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.shown = quiet, ExitStack()
        self.best: tuple[float, str] | None = None

    def say(self, line: str) -> None:
        """Something about the results folder, or about those who train."""
        tell(line, self.quiet)

    def begin(self, planned: Plan, stale: int, missing: int, note: str) -> None:
        """Says what is about to happen."""
        spec, total = planned.spec, len(planned.runs)
        aside = f", {stale:,} stale" if stale else ""
        tell(f"{spec.name}  {total:,} runs: {total - missing:,} done, {missing:,} to train{aside}", self.quiet)
        alike = f"{planned.duplicates:,} more, the same as one of these in all that acts: counted once"
        for line in (alike if planned.duplicates else "", note):
            if line:
                tell(line, self.quiet)
        self.objective = f"best_{spec.objective}" if spec.select == "best" else spec.objective

    def wave(self, wave: Wave, stacks: Sequence[Stack]) -> None:
        """Says what was decided, and opens a live block for what is trained next."""
        from lrsweep.report.progress import progress

        self.end()
        for line in wave.said:
            tell(line, self.quiet)
        self.runs = {} if wave.sampling else {one.run_id: one.run for ones in wave.runs.values() for one in ones}
        self.done, self.diverged, self.total = 0, 0, sum(len(stack.runs) for stack in stacks)
        name = f"{wave.plan.spec.name}  {wave.title}".rstrip()
        title = f"{name}  {self.total:,} runs in {len(stacks):,} stacks"
        self.update = self.shown.enter_context(progress(self.total, self.quiet or not stacks, title))

    def trained(self, outcomes: list[Outcome]) -> None:
        """Moves the block on by a stack."""
        self.done += len(outcomes)
        self.diverged += sum(outcome.status == DIVERGED for outcome in outcomes)
        sign = 1 if self.objective.endswith("loss") else -1
        for outcome in outcomes:
            value = outcome.metrics.get(self.objective, float("nan"))
            if outcome.run_id in self.runs and sign * value < (self.best[0] if self.best else float("inf")):
                run = self.runs[outcome.run_id]
                name = f"{run.optimizer.name} {run.learning_rate:.3g}"
                self.best = sign * value, f"{name} → {self.objective} {value:.3g}"
        self.update(self.done, self.total, self.best[1] if self.best else "", self.diverged)

    def end(self) -> None:
        """Takes the block away."""
        self.shown.close()
