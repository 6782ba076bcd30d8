"""The conductor of the coordinate check: from a sweep file to what each of its settings does at several widths."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lrsweep.engine import coordinates
from lrsweep.engine.coordinates import BORDERLINE, FAILS, OTHER, PASSES, SAME
from lrsweep.execute import data_for, one_blas_thread
from lrsweep.plan import PlannedRun, make_plan, run_bytes
from lrsweep.plan.planned import settings
from lrsweep.room import over_half_of_memory
from lrsweep.spec import load_spec
from lrsweep.vocabulary import MAX_RUNS, Choice, Run, Scalar, Stack, UsageError

NOTHING = "nothing to check"
"""The verdict where there is no hidden layer."""

SEVERITY = (NOTHING, PASSES, BORDERLINE, FAILS)

ALWAYS = ("parametrization", "optimizer", "depth")
"""What a setting is told by even where it is the same for all."""

LOGITS = "logits"

FEWEST_WIDTHS, LEAST_SPAN, MULTIPLES = 3, 4, (1, 2, 4, 8, 16)
"""What the file's widths must be to be the ones that are checked, and the multiples of the base width else."""

NO_PART: dict[str, Any] = {
    "schedule": Choice("constant", (("warmup", 0),)),
    "growth": None,
    "noise": (),
    "epochs": 1,
}
"""Keys of the file that play no part in the check, with what stands in place of their values."""

STEPS, MOST_STEPS = 3, 10_000

SHARED = ("rate", "widths")
"""What settings mostly have in common."""

Finding = dict[str, Any]
"""What was found of a setting, as `--json` has it; see `check`."""


@dataclass(frozen=True)
class Case:
    """A setting of the sweep, and the rate, widths and seeds that it is checked at.

    `widths_from` tells whether the widths are those of the `file`, or multiples of the `base_width`; `grows`, whether
    networks of the file grow.
    """

    setting: dict[str, Scalar | None]
    planned: PlannedRun
    rate: float
    widths: tuple[int, ...]
    seeds: tuple[int, ...]
    widths_from: Literal["file", "base_width"]
    grows: bool

    def stack(self, width: int) -> Stack:
        """The runs of one width, a seed each."""
        runs = tuple(replace(self.planned.run, learning_rate=self.rate, width=width, seed=seed) for seed in self.seeds)
        return Stack(runs, ("",) * len(runs), self.planned.data.fingerprint)


def check(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    steps: int = STEPS,
    rate: float | None = None,
    max_runs: int = MAX_RUNS,
) -> Iterator[Finding]:
    """What each setting's layers do over so many steps, one setting after the other.

    The rate is constant, by default the middle one of the setting's rates. NO_PART tells what plays no part.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"--steps {steps:,} must be from 1 to {MOST_STEPS:,}; write for example {STEPS}")
    if rate is not None and not 0 < rate < np.inf:
        raise UsageError(f"--rate {rate:g} must be above 0 and finite; leave it out for the middle one of the file")
    found = cases(path, overrides, steps, rate, max_runs)
    with one_blas_thread():
        for case in found:
            yield examine(case, steps)


def document(findings: Sequence[Finding], steps: int) -> dict[str, Any]:
    """What `--json` prints; the rate and the widths are null above where settings differ in them."""
    common = {key: findings[0][key] if all(f[key] == findings[0][key] for f in findings) else None for key in SHARED}
    return {"schema_version": 1, "steps": steps, **common, "settings": list(findings)}


def exit_code(findings: Sequence[Finding]) -> int:
    """1 where a setting fails, else 0."""
    return int(any(finding["verdict"] == FAILS for finding in findings))


def cases(
    path: str | Path, overrides: Sequence[str], steps: int, rate: float | None = None, max_runs: int = MAX_RUNS
) -> list[Case]:
    """Every setting of the sweep but for rate, width and seed, with what it is checked at."""
    spec = load_spec(Path(path), overrides, max_runs)
    plan = make_plan(replace(spec, blocks=tuple(block.with_values(NO_PART) for block in spec.blocks)))
    groups: defaultdict[Run, list[PlannedRun]] = defaultdict(list)
    for one in plan.runs:
        epochs = -(-steps // one.steps())  # enough for the steps; in the plan it has one
        groups[replace(one.run, width=1, learning_rate=1.0, seed=0, epochs=epochs)].append(one)
    rows = [settings(run, plan.spec.named) for run in groups]
    varying = [key for key in rows[0] if key in ALWAYS or (key != "epochs" and len({row[key] for row in rows}) > 1)]
    varying.sort(key=lambda key: ALWAYS.index(key) if key in ALWAYS else len(ALWAYS))
    told = [{key: row[key] for key in varying} for row in rows]
    grows = any(growth is not None for block in spec.blocks for growth in block.axes["growth"])
    found = [
        case_of(setting, run, ones, rate, grows) for setting, (run, ones) in zip(told, groups.items(), strict=True)
    ]
    for case in found:
        refuse_too_wide(case)
    return found


def case_of(
    setting: dict[str, Scalar | None], run: Run, ones: Sequence[PlannedRun], rate: float | None, grows: bool
) -> Case:
    """A setting with what it is checked at, from its runs in the plan."""
    rates, widths, seeds = (
        sorted({getattr(one.run, key) for one in ones}) for key in ("learning_rate", "width", "seed")
    )
    enough = len(widths) >= FEWEST_WIDTHS and widths[-1] >= LEAST_SPAN * widths[0]
    if not enough:
        widths = [run.base_width * multiple for multiple in MULTIPLES]
    at = rate or rates[(len(rates) - 1) // 2], tuple(widths), tuple(seeds)
    return Case(setting, replace(ones[0], run=run), *at, "file" if enough else "base_width", grows)


def refuse_too_wide(case: Case) -> None:
    """Raises UsageError where a stack would take over half of the machine's memory."""
    run, width = case.planned.run, case.widths[-1]
    trained = run_bytes(replace(case.planned, run=replace(run, width=width)))
    measured = 8 * coordinates.ROWS * run.depth * width
    # The weights are drawn in float64 and then rounded: in all, half as much again as training takes was measured.
    needed = len(case.seeds) * (1.5 * trained + measured)
    what = f"{len(case.seeds)} seeds of width {width} and depth {run.depth} need"
    if run.depth and (said := over_half_of_memory(what, needed)):
        raise UsageError(f"{said}; name smaller widths: -o width=16,32,64")


def examine(case: Case, steps: int) -> Finding:
    """Trains a setting at each of its widths, and judges it."""
    finding: Finding = {
        "setting": case.setting,
        "rate": case.rate,
        "widths": list(case.widths),
        "widths_from": case.widths_from,
        "seeds": len(case.seeds),
        "layers": measured(case, steps) if case.planned.run.depth else [],
    }
    verdict = worst([layer["verdict"] for layer in finding["layers"]])
    said, changes = advice(finding, case.grows)
    return finding | {"verdict": verdict, "advice": said, "changes": changes}


def measured(case: Case, steps: int) -> list[dict[str, Any]]:
    """Each layer's activations, their slopes, and the verdict on them."""
    stacks = [case.stack(width) for width in case.widths]
    sizes = np.stack(
        [coordinates.activations(stack.runs, data_for(stack), steps).mean(axis=0) for stack in stacks]
    )  # (W, steps, L)
    slopes = coordinates.slopes(case.widths, sizes)  # (steps, L)
    return [
        {
            "layer": layer,
            "slopes": slopes[:, i].tolist(),
            "slope": coordinates.largest(slopes[:, i]),
            "activations": sizes[:, :, i].tolist(),
            "verdict": coordinates.verdict(coordinates.largest(slopes[:, i])),
        }
        for i, layer in enumerate(layer_names(case.planned.run.depth))
    ]


def layer_names(depth: int) -> list[str]:
    """What the layers are called.

    >>> layer_names(2)
    ['hidden 1', 'hidden 2', 'logits']
    """
    return [*(f"hidden {i}" for i in range(1, depth + 1)), LOGITS]


def worst(verdicts: Sequence[str]) -> str:
    """The verdict on a whole, from those on its parts."""
    return max(verdicts, key=SEVERITY.index, default=NOTHING)


def advice(finding: Finding, grows: bool = False) -> tuple[str, dict[str, Any]]:
    """What a finding means and what to do, as a sentence; and what to change in the command to do it."""
    name, rate = finding["setting"]["parametrization"], finding["rate"]
    if not finding["layers"]:
        return "depth 0 has no hidden layer, so there is no width to check", {}
    if lost := unmeasured(finding):
        what, factor = lost
        other = rounded(rate * factor)
        return f"{name}: {what}; {'lower' if factor < 1 else 'raise'} the rate: --rate {other!r}", {"rate": other}
    layer, slope = max(((layer["layer"], layer["slope"]) for layer in finding["layers"]), key=lambda pair: abs(pair[1]))
    if abs(slope) < SAME:
        return f"{name} keeps activations the same size: largest slope {slope:+.2f}", {}
    said = f"{name}: {layer} {'grow' if slope > 0 else 'shrink'} by width^{slope:.2f}"
    if abs(slope) <= OTHER:
        seeds = 4 * finding["seeds"]
        return f"{said}: not clear; more seeds or greater widths tell, as in -o seeds={seeds}", {"seeds": seeds}
    low, high = finding["widths"][0], finding["widths"][-1]
    said += f": a rate found at width {low} will {'be too large' if slope > 0 else 'not do'} at {high}"
    if name == "mup":
        other, rule = rounded(rate / 10), finding["setting"]["optimizer"]
        said += f"; try --rate {other!r}, and if it fails there too, {rule} does not follow muP's rules"
        return said, {"rate": other}
    if grows:
        return f"{said}; use parametrization: mup, with growth: none", {"parametrization": "mup", "growth": "none"}
    return f"{said}; use parametrization: mup", {"parametrization": "mup"}


def rounded(rate: float) -> float:
    """To three digits, as a person would write it."""
    return float(f"{rate:.3g}")


def following(
    findings: Sequence[Finding], overrides: Sequence[str], steps: int = STEPS, rate: float | None = None
) -> tuple[str, list[str], list[str]]:
    """The command that follows a check, its overrides and its options: the sweep, or the check of what may pass.

    It does what the advice on the worst setting says. Where muP was checked as well, the advice is that on muP's.
    """
    in_mup = [finding for finding in findings if finding["setting"]["parametrization"] == "mup"]
    others = [finding for finding in findings if finding["setting"]["parametrization"] != "mup"]
    failing = [finding["changes"] for finding in others if finding["verdict"] == FAILS]
    advised = max(in_mup or findings, key=lambda finding: SEVERITY.index(finding["verdict"]))["changes"]
    changes = {**advised}
    if in_mup and failing:
        changes |= next((change for change in failing if "parametrization" in change), {"parametrization": "mup"})
    rate = changes.pop("rate", rate)
    kept = [override for override in overrides if override.partition("=")[0].strip() not in changes]
    kept += [f"{key}={value}" for key, value in changes.items()]
    if not advised:
        return "run", kept, []
    given = {"steps": None if steps == STEPS else steps, "rate": rate}
    return "coordcheck", kept, [f"--{name} {value!r}" for name, value in given.items() if value is not None]


def unmeasured(finding: Finding) -> tuple[str, float] | None:
    """The first activations that have no logarithm, in words, and the factor of the rate that may help."""
    sizes = np.array([layer["activations"] for layer in finding["layers"]])  # (L, W, steps)
    for step, width, i in np.argwhere(~(np.isfinite(sizes) & (sizes > 0)).transpose(2, 1, 0)):
        where = f"at width {finding['widths'][width]} after step {step + 1}"
        if sizes[i, width, step] != 0:
            return f"activations are not finite {where}", 0.1
        layer = finding["layers"][i]["layer"]
        return f"{layer} are all 0 {where}, so nothing is left to compare", 10 if layer == LOGITS else 0.1
    return None
