"""The stages of elimination: what of a setting's runs is looked at, and which rule decides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lrsweep.analysis.elimination import Decision, Elimination, Halving, Trial, halved, rungs, screened
from lrsweep.plan import PlannedRun, resized, sample_of, smaller

Sampled = Callable[[PlannedRun], PlannedRun]
"""From a run to the one that is trained in its place."""


@dataclass(frozen=True)
class Stage:
    """A look at all rates of a setting that are still in.

    It looks at runs with so many training rows up to an epoch: at those that `sample` makes of the setting's own, or
    at these where that is None. `share` is how many steps that is, over those of the whole run: 1 where fewer rows make
    as many batches. It is the `number`-th `of` so many of its kind.
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
    """The stages of the setting of a run, in order. A sample of all rows and epochs of the run itself is none."""
    screen, halving = elimination.screen, elimination.halving
    if screen is not None:
        sample = functools.partial(sample_of, screen)
        small = sample(planned)
        if smaller(small, planned):
            yield Stage(
                name="screen",
                number=1,
                of=1,
                epochs=small.run.epochs,
                n_train=small.n_train,
                share=share_of(small, planned),
                n_seeds=screen.seeds,
                sample=sample,
                decide=screened,
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
        rows = None if by_epochs else functools.partial(resized, epochs=epochs, subset=rung)
        yield Stage(
            name=f"rung {number}",
            number=number,
            of=len(ladder),
            epochs=rung if by_epochs else epochs,
            n_train=rows(planned).n_train if rows else planned.n_train,
            share=share_of(rows(planned), planned) if rows else rung / epochs,
            n_seeds=None,
            sample=rows,
            decide=decide,
        )


def share_of(small: PlannedRun, planned: PlannedRun) -> float:
    """The steps of a run, over those of another."""
    return small.steps() / planned.steps()


def sampled(elimination: Mapping[str, Mapping[str, Any] | None] | None) -> bool:
    """Whether any stage looks at samples, which have a folder of their own; of the options as plain values.

    >>> sampled({"screen": None, "halving": {"resource": "epochs"}}), sampled({"screen": {}, "halving": None})
    (False, True)
    """
    if not elimination:  # of a sweep without it, or of a folder from before there was any
        return False
    halving = elimination["halving"]
    return elimination["screen"] is not None or (halving is not None and halving["resource"] == "subset")
