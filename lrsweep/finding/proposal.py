"""What comes of a range test: a sweep file with the grid that it proposes, and the command that follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lrsweep.analysis.elimination import Elimination
from lrsweep.analysis.findings import Finding, cheaper_by, grid, union
from lrsweep.finding.cases import HIGH, LOW, STEPS
from lrsweep.plan import Plan, make_plan
from lrsweep.plan.planned import settings
from lrsweep.spec import Rates, Spec, regridded
from lrsweep.spec.model import Block
from lrsweep.store import check_new, write_new
from lrsweep.vocabulary import Scalar, UsageError, plain, quoted

FARTHER, LOWEST, HIGHEST, FINEST = 1e3, 1e-12, 1e5, 400
"""How much farther the ramp goes that is proposed where one told nothing, how far at most, and in how many steps."""

PLACE = "another file with --write"
"""What to name where the sweep file cannot go."""

WIDE = "{log: [1e-4, 1], per_decade: 2}"
"""The rates to sweep where no ramp tells any and the file has none."""


@dataclass(frozen=True)
class Following:
    """A command that follows: its name, the sweep file, the overrides, and other options."""

    command: str
    file: Path
    overrides: list[str]
    options: list[str]


def rateless(spec: Spec) -> Spec:
    """The spec with one rate for all, and without what is to become of rates in a sweep: none of it plays a part."""
    blocks = tuple(one_rate(block) for block in spec.blocks)
    return replace(spec, blocks=blocks, elimination=Elimination(), extend=None, refine=None)


def one_rate(block: Block) -> Block:
    """The block with the rate 1 alone; where rates hang together with other keys, with it for each combination."""
    if any("learning_rate" in keys for keys in [*block.zips, *block.excludes]):
        return block.with_values({"learning_rate": 1.0})
    return replace(block, axes={**block.axes, "learning_rate": [1.0]})


def without_rates(spec: Spec) -> Plan:
    """The runs of a file, of those that differ in their rate only one."""
    return make_plan(rateless(spec))


def check_target(spec: Spec, target: Path) -> None:
    """Raises StoreError or UsageError where a sweep file with another grid could not be written there."""
    check_new(target, PLACE)
    groups = Rates.of(spec.path).groups()
    if len(spec.blocks) != sum(map(len, groups)):
        raise UsageError(
            "--write goes with the file's own blocks, not with those of -o; write them into the file first"
        )
    regridded(spec, target, [grid((1e-3, 1.0))] * len(groups))


def write_grid(spec: Spec, findings: Sequence[Finding], target: Path) -> Path | None:
    """Writes the sweep file with the intervals' grid, each block with that of its own; None where there is none."""
    intervals = {tuple(finding.row.values()): finding.test.interval for finding in findings if not finding.test.layers}
    own = [
        union([intervals[key] for i in group for key in settings_of(spec, i)]) for group in Rates.of(spec.path).groups()
    ]
    if not any(own):
        return None
    text = regridded(spec, target, [grid(one) if one else None for one in own])
    write_new(target, text, PLACE)
    return target


def settings_of(spec: Spec, block: int) -> set[tuple[Scalar | None, ...]]:
    """The settings of a block's runs."""
    part = replace(spec, blocks=spec.blocks[block : block + 1], places=spec.places[block : block + 1])
    rows = [settings(one.run, spec.named) for one in without_rates(part).runs]
    return {tuple(value for key, value in row.items() if key not in ("learning_rate", "seed")) for row in rows}


@dataclass(frozen=True)
class Proposal:
    """What follows from the findings of whole networks in a sweep; `written` is the file that was written, if any."""

    spec: Spec
    overrides: Sequence[str]
    findings: Sequence[Finding]
    written: Path | None

    @property
    def kept(self) -> list[str]:
        """The overrides that were given, but for that of the rate, which plays no part."""
        return [override for override in self.overrides if override.partition("=")[0].strip() != "learning_rate"]

    def notes(self, wanted: Path | None) -> Iterator[str]:
        """What is told of the file that was written or `wanted`, and of a common grid that wastes runs."""
        if self.written is not None:
            yield f"wrote {plain(str(self.written))}"
            if self.kept:
                given = " ".join(f"-o {quoted(override)}" for override in self.kept)
                yield f"  without {given}: the next command gives it again"
            if unknown := [finding.name for finding in self.findings if finding.test.interval is None]:
                yield f"  its grid knows nothing of {', '.join(unknown)}: no interval was found there"
        elif wanted is not None:
            yield f"{plain(str(wanted))} is not written: no setting has an interval"
        follows = self.following()
        if self.interval is None and follows is not None and follows.command == "run":
            swept = "a wide grid" if self.missing else "the file's own rates"
            yield f"no other ramp is likely to tell more: the next command sweeps {swept}"
        if cheaper := cheaper_by(self.findings):
            key, share = cheaper
            said = (
                f"the intervals lie far apart: with grids of their own by {key} the sweep takes {share:.0%} of the runs"
            )
            yield f"{said}; run each by itself, as with -o {quoted(f'{key}={self.findings[0].test.setting[key]}')}"

    @property
    def interval(self) -> tuple[float, float] | None:
        """From the lowest to the highest rate of all intervals; None where there is none."""
        return union([finding.test.interval for finding in self.findings])

    @property
    def missing(self) -> bool:
        """Whether neither the file nor an override names a rate."""
        return Rates.of(self.spec.path).missing and len(self.kept) == len(self.overrides)

    def following(self) -> Following | None:
        """The command that follows; None where none helps."""
        if self.written is not None:
            return Following("run", self.written, self.kept, [])
        if self.interval is None:
            return self.again()
        if any("learning_rate" in group for block in self.spec.blocks for group in block.zips):
            return Following("run", self.spec.path, [*self.overrides], [])
        return Following("run", self.spec.path, [*self.kept, f"learning_rate={grid(self.interval)}"], [])

    def again(self) -> Following | None:
        """Where no setting has an interval: with another ramp, if one may tell more, else a sweep without it."""
        tests = [finding.test for finding in self.findings]
        if not any(np.isfinite(test.mean).any() for test in tests):
            return None  # it is the data that are wrong
        remedies, rates = {test.remedy for test in tests}, tests[0].rates
        low, high, steps = own = float(rates[0]), float(rates[-1]), len(rates)
        if "lower" in remedies and low / FARTHER >= LOWEST:
            low, high = min(LOW, low / FARTHER), min(HIGH, high)
        if "higher" in remedies and high * FARTHER <= HIGHEST:
            high = max(HIGH, high * FARTHER)
        if "finer" in remedies and steps < FINEST:
            steps = FINEST
        if (low, high, steps) == own:
            wide = [f"learning_rate={WIDE}"] if self.missing else []
            return Following("run", self.spec.path, [*self.overrides, *wide], [])
        new = {"--low": (low, LOW), "--high": (high, HIGH), "--steps": (steps, STEPS)}
        options = [f"{name} {value:g}" for name, (value, usual) in new.items() if value != usual]
        return Following("find", self.spec.path, [*self.overrides], options)
