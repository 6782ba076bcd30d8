"""The conductor of the range test: ramps, what they say, short runs that confirm it, files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lrsweep.analysis.findings import Finding, ramps_columns, ranges_columns
from lrsweep.analysis.range_trust import widened
from lrsweep.engine.ramp import exponential
from lrsweep.finding.cases import HIGH, LOW, STEPS, cases, short_runs
from lrsweep.finding.proposal import Proposal, check_target, rateless, without_rates, write_grid
from lrsweep.finding.training import Counter, Watch, confirmed, range_tests, trained
from lrsweep.plan import Plan
from lrsweep.plan.mistakes import misfits
from lrsweep.spec import Rates, Spec, load_spec
from lrsweep.spec.drafts import MOST_RUNS
from lrsweep.store import check_ranges_writable, make_folder, read_ranges, write_ranges
from lrsweep.vocabulary import MAX_RUNS, UsageError

if TYPE_CHECKING:
    import pandas as pd

FEWEST_STEPS, MOST_STEPS = 20, 10_000
"""Of a ramp: with fewer the rules, which cut 15 of them off, have nothing to look at."""


@dataclass(frozen=True, repr=False)
class Found:
    """What the range test found in a sweep: a finding for each setting and, if these were wanted, for its layers.

    `overrides` are those that were given. `epochs` are those of the short runs, from the fewest to the most; none where
    nothing was confirmed. `written` is the sweep file that was written, if one was.
    """

    spec: Spec
    overrides: tuple[str, ...]
    folder: Path
    findings: tuple[Finding, ...]
    steps: int
    layers: bool
    epochs: tuple[int, ...] = ()
    seconds: float = 0.0
    written: Path | None = None

    @property
    def whole(self) -> list[Finding]:
        """Those of whole networks."""
        return [finding for finding in self.findings if not finding.test.layers]

    @property
    def proposal(self) -> Proposal:
        """What follows."""
        return Proposal(self.spec, self.overrides, self.whole, self.written)

    @property
    def ranges(self) -> pd.DataFrame:
        """The content of ranges.csv: a row per finding."""
        return read_ranges(self.folder)[0]  # type: ignore[return-value]

    @property
    def ramps(self) -> pd.DataFrame:
        """The content of ramps.csv: a row per finding, seed and rate."""
        return read_ranges(self.folder)[1]  # type: ignore[return-value]

    @property
    def about(self) -> dict[str, Any]:
        """What a report tells of it beside the findings."""
        told = {"steps": self.steps, "epochs": self.epochs, "seconds": self.seconds}
        written = [] if self.written is None else [str(self.written)]
        return {"name": self.spec.name, "folder": str(self.folder), "written": written, **told}

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        entries = [finding.document() for finding in self.findings]
        if self.layers:
            of = [{"layers": finding.test.layers or None} for finding in self.findings]
            entries = [{"setting": entry["setting"], **own, **entry} for own, entry in zip(of, entries, strict=True)]
        return {"schema_version": 1, "settings": entries}

    def __repr__(self) -> str:
        """The sentences to act on."""
        said = "; ".join(finding.sentence for finding in self.whole)
        return f"<Range test of {self.spec.name}: {said}>"


def find(
    path: str | Path,
    *,
    results: str | Path = "results",
    overrides: Sequence[str] = (),
    low: float = LOW,
    high: float = HIGH,
    steps: int = STEPS,
    seeds: int | None = None,
    layers: bool = False,
    confirm: bool = True,
    write: str | Path | None = None,
    workers: int | None = None,
    max_runs: int = MAX_RUNS,
    watch: Watch | None = None,
) -> Found:
    """A usable interval of rates for each setting of a sweep file, and how far to trust it.

    The file's own rates play no part. The rate climbs from `low` to `high` in so many `steps`, for each of the file's
    seeds or for so many `seeds`; with `layers` also for each group of layers, the others held still. To `confirm` what
    is suggested, short runs round it follow. Writes ranges.csv and ramps.csv into the results folder, and with `write`
    a sweep file with the grid. Raises the errors of `vocabulary`.
    """
    start = time.perf_counter()
    check_options(low, high, steps, seeds)
    spec = spec_of(Path(path), overrides, seeds)
    check_number(spec, max_runs)
    folder, target = Path(results) / spec.name, Path(write) if write is not None else None
    check_ranges_writable(folder)
    if target is not None:
        check_target(spec, target)
    plan = without_rates(spec)
    check_ends(plan, low, high)
    make_folder(folder)
    found = cases(plan, layers)
    counter = Counter(watch)
    rates = exponential(low, high, steps)
    tests = range_tests(found, rates, counter)
    short = [short_runs(case, test.suggestion if confirm else None) for case, test in zip(found, tests, strict=True)]
    outcomes = trained([one for row in short for runs in row for one in runs], workers, counter)
    told = [confirmed(spec, test, runs, outcomes) for test, runs in zip(tests, short, strict=True)]
    findings = tuple(
        Finding(widened(test, said), case.row, case.name, said)
        for case, test, said in zip(found, tests, told, strict=True)
    )
    write_ranges(folder, ranges_columns(findings), ramps_columns(findings))
    if target is not None:
        target = write_grid(spec, findings, target)
    epochs = tuple(sorted({one.run.epochs for row in short for runs in row for one in runs}))
    seconds = time.perf_counter() - start
    return Found(spec, tuple(overrides), folder, findings, steps, layers, epochs, seconds, target)


def check_options(low: float, high: float, steps: int, seeds: int | None) -> None:
    """Raises UsageError where no ramp can be made of them."""
    if not 0 < low < np.inf:
        raise UsageError(f"--low {low:g} must be above 0 and finite; write for example {LOW:g}")
    if not 10 * low <= high < np.inf:
        raise UsageError(
            f"--high {high:g} must be at least ten times --low {low:g}, and finite; raise it, or lower --low"
        )
    if not FEWEST_STEPS <= steps <= MOST_STEPS:
        raise UsageError(f"--steps {steps:,} must be from {FEWEST_STEPS} to {MOST_STEPS:,}; write for example {STEPS}")
    if seeds is not None and seeds < 1:
        raise UsageError(f"--seeds {seeds} must be at least 1; leave it out for the file's own")


def spec_of(path: Path, overrides: Sequence[str], seeds: int | None) -> Spec:
    """The file, with so many seeds if they are given, and with any rate where it has none yet."""
    added = [] if seeds is None else [f"seeds={seeds}"]
    if Rates.of(path).missing:
        added.append("learning_rate=1")
    return load_spec(path, [*overrides, *added], MOST_RUNS)


def check_number(spec: Spec, max_runs: int) -> None:
    """Raises UsageError where there are more ramps than are allowed; the file's rates do not count."""
    ramps = sum(block.count()[0] for block in rateless(spec).blocks)
    if ramps > max_runs:
        raise UsageError(
            f"{ramps:,} ramps (the settings times their seeds) are more than --max-runs {max_runs:,} allows; "
            "raise it, or shorten an axis with -o"
        )


def check_ends(plan: Plan, low: float, high: float) -> None:
    """Raises UsageError where a setting's precision does not keep an end of the ramp."""
    for run in {one.run.precision: one.run for one in plan.runs}.values():
        for name, end in {"low": low, "high": high}.items():
            for _, message in misfits(run, "learning_rate", f"--{name} {end:g}", end):
                raise UsageError(message)
