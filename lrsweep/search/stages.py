"""The stages of elimination: what of a setting's runs is looked at, and which rule decides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from lrsweep import datasets
from lrsweep.analysis.elimination import Decision, Elimination, Halving, Screen, Trial, halved, rungs, screened
from lrsweep.plan import PlannedRun, identity, shortened

Sampled = Callable[[PlannedRun], PlannedRun]
"""From a run to the one that is trained in its place."""


@dataclass(frozen=True)
class Stage:
    """A look at all rates of a setting that are still in.

    It looks at runs with so many training rows up to an epoch: at those that `sample` makes of the setting's own, or
    at these where that is None. `share` is how many steps that is, over those of the whole run. It is the `number`-th
    `of` so many of its kind.
    """

    name: str
    number: int
    of: int
    epochs: int
    n_train: int
    share: float
    n_seeds: int | None
    sample: Sampled | None
    decide: Callable[[Trial], tuple[Decision, ...]]

    @property
    def size(self) -> str:
        """What it looks at, in words."""
        rows, epochs = f"{self.n_train:,} rows", f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"
        return epochs if self.sample is None else rows if self.n_seeds is None else f"{rows}, {epochs}"

    @property
    def title(self) -> str:
        """Its name among the others."""
        return f"{self.name} of {self.of}" if self.of > 1 else self.name

    def run_of(self, planned: PlannedRun) -> PlannedRun:
        """The run that it looks at in the place of a run."""
        return self.sample(planned) if self.sample else planned


def stages(planned: PlannedRun, elimination: Elimination) -> Iterator[Stage]:
    """The stages of the setting of a run, in order. A sample as large as the run itself is none."""
    screen, halving = elimination.screen, elimination.halving
    if screen is not None:
        sample = functools.partial(sample_of, screen)
        small = sample(planned)
        if share_of(small, planned) < 1:
            yield Stage(
                *("screen", 1, 1, small.run.epochs, small.n_train, share_of(small, planned), screen.seeds),
                sample,
                screened,
            )
    if halving is not None:
        yield from halvings(planned, halving)


def halvings(planned: PlannedRun, halving: Halving) -> Iterator[Stage]:
    """The rungs of a setting: of its own epochs, or of its training rows."""
    decide = functools.partial(halved, halving=halving)
    epochs = planned.run.epochs
    by_epochs = halving.resource == "epochs"
    ladder = rungs(halving, epochs if by_epochs else planned.n_train)
    for number, rung in enumerate(ladder, 1):
        place = (f"rung {number}", number, len(ladder))
        if by_epochs:
            yield Stage(*place, rung, planned.n_train, rung / epochs, None, None, decide)
        else:
            on_rows = functools.partial(resized, epochs=epochs, subset=rung)
            yield Stage(*place, epochs, rung, share_of(on_rows(planned), planned), None, on_rows, decide)


def share_of(small: PlannedRun, planned: PlannedRun) -> float:
    """The steps of a run, over those of another."""
    return small.steps() / planned.steps()


def sample_of(screen: Screen, planned: PlannedRun) -> PlannedRun:
    """A run as the screen looks at it: on a sample of the training rows, or on its own where these are fewer.

    Noise is left out: it is measured at the end of training, and decides nothing here.
    """
    whole = datasets.split_sizes(len(planned.data.y), replace(planned.run, subset=1.0))[0]
    rows = screen.subset if isinstance(screen.subset, int) else max(1, round(screen.subset * whole))
    return resized(planned, screen.epochs, screen.subset if rows < planned.n_train else planned.run.subset)


def resized(planned: PlannedRun, epochs: int, subset: float | int) -> PlannedRun:
    """A run over so many epochs, on a subset of the training rows."""
    run = replace(shortened(planned, epochs, subset), noise=())
    return PlannedRun(identity(run, planned.data.fingerprint), run, planned.data)


def sampled(elimination: Elimination) -> bool:
    """Whether any stage looks at samples, which have a folder of their own."""
    by_rows = elimination.halving is not None and elimination.halving.resource == "subset"
    return elimination.screen is not None or by_rows
