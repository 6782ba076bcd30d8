"""What comes of a range test: a sweep file with the grid that it proposes, and the command that follows."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrsweep.analysis.elimination import Elimination
from lrsweep.analysis.findings import Finding, cheaper_by, grid, union
from lrsweep.plan import Plan, make_plan
from lrsweep.plan.planned import settings
from lrsweep.spec import Rates, Spec, regridded
from lrsweep.vocabulary import Scalar, StoreError, UsageError


def without_rates(spec: Spec) -> Plan:
    """The runs of a file, of those that differ in their rate only one: whatever the rates are, they play no part.

    Nor does what is to become of them in a sweep: elimination, and rates that are added.
    """
    blocks = tuple(block.with_values({"learning_rate": 1.0}) for block in spec.blocks)
    return make_plan(replace(spec, blocks=blocks, elimination=Elimination(), extend=None, refine=None))


def check_target(spec: Spec, target: Path) -> None:
    """Raises StoreError or UsageError where a sweep file with another grid could not be written there."""
    if target.exists() or target.is_symlink():
        raise StoreError(f"{target} exists already; name another file, or remove it first")
    if not target.parent.is_dir():
        raise StoreError(f"{target} cannot be written: {target.parent} is no folder; make it first")
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
    try:
        with target.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}; name another place") from error
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
            yield f"wrote {self.written}"
            if self.kept:
                given = " ".join(f"-o {shlex.quote(override)}" for override in self.kept)
                yield f"  without {given}: the next command gives it again"
            if unknown := [finding.name for finding in self.findings if finding.test.interval is None]:
                yield f"  its grid knows nothing of {', '.join(unknown)}: no interval was found there"
        elif wanted is not None:
            yield f"{wanted} is not written: no setting has an interval"
        if cheaper := cheaper_by(self.findings):
            key, share = cheaper
            said = (
                f"the intervals lie far apart: with grids of their own by {key} the sweep takes {share:.0%} of the runs"
            )
            yield f"{said}; run each by itself, as with -o {key}={self.findings[0].test.setting[key]}"

    def following(self) -> tuple[Path, list[str]]:
        """The sweep file and the overrides of the command that follows."""
        if self.written is not None:
            return self.written, self.kept
        zipped = any("learning_rate" in group for block in self.spec.blocks for group in block.zips)
        interval = union([finding.test.interval for finding in self.findings])
        if interval is None or zipped:
            return self.spec.path, [*self.overrides]
        return self.spec.path, [*self.kept, f"learning_rate={grid(interval)}"]
