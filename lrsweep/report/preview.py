"""The plan of a sweep as a person sees it. Lays out what it is given, computes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console

from lrsweep.analysis.recommend import in_decades
from lrsweep.report import words
from lrsweep.report.printer import PROSE, Printer, stdout
from lrsweep.report.tables import setting_columns
from lrsweep.report.words import many

MOST_LADDERS = 3
"""Of different runs; their rungs take a line already."""


def print_plan(plan: Mapping[str, Any], console: Console | None = None) -> None:
    """What `run` would do, as `Preview.document` has it."""
    printer = Printer(console or stdout())
    printer.say(f"{plan['path']} · name {plan['name']} · {plan['folder']}/", style="bold")
    for name, parts in plan_lines(plan).items():
        for number, line in enumerate(words.lines(parts, " · ", min(printer.console.width, PROSE) - 9)):
            printer.say(f"  {'' if number else name:<6} {line}")
    if "runs_list" in plan:
        keys = [key for key, values in plan["axes"].items() if len(values) > 1]
        rows = [{"run_id": run_id, "status": status, **settings} for run_id, status, settings in plan["runs_list"]]
        told = [{key: row[key] for key in ("run_id", "status", *keys)} for row in rows]
        printer.say("")
        printer.table([*setting_columns(told, None, plan["axes"])])


def plan_lines(plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """The lines of the plan by their names, each in parts."""
    lengths = [len(values) for values in plan["axes"].values()]
    product = f" = {' × '.join(map(str, lengths))}" if math.prod(lengths) == plan["runs"] else ""
    counts = {state: f"{plan['counts'][state]:,}" for state in ("done", "new", "stale", "failed")}
    counts["done"] += f" (dropped {plan['dropped']:,})" if plan["dropped"] else ""
    counts["stale"] += f" ({plan['other_numerics']:,} by other training code)" if plan["other_numerics"] else ""
    states = "   ".join(f"{state} {count}" for state, count in counts.items())
    line = f"{plan['runs']:,}{product}     {states}"
    lines = {"axes": [words.axis(key, values) for key, values in plan["axes"].items()]}
    fixed = words.fixed(plan["fixed"])
    lines |= {"fixed": fixed} if fixed else {}
    lines["runs"] = [line] if len(line) <= PROSE - 9 else [f"{plan['runs']:,}{product}", states]
    if plan["duplicates"]:
        lines["alike"] = [f"{plan['duplicates']:,} more, the same as one of these in all that acts: counted once"]
    if plan["added"]:
        lines["added"] = [f"{many(plan['added'], 'run')} of these, at rates that the sweep file does not name"]
    if not plan["stacks"]:
        return lines | {"about": ["nothing to train: every run is done"]}
    search = plan["search"] or {}
    lines |= search_lines(search if plan["sampling"] else search | {"screen": None})
    workers = f"with {many(plan['workers'], 'worker')}" if plan["workers"] else "in this process"
    timed = f"timed here: 3 steps of {many(plan['shapes_timed'], 'shape')}"
    in_full = " in full" * bool(plan["search"])
    return lines | {
        "stacks": [f"{plan['stacks']:,}, up to {many(plan['largest_stack'], 'run')} each"],
        "about": [
            f"{words.duration(plan['seconds'])}{in_full} {workers} ({timed})",
            f"{words.size(plan['disk_bytes'])} on disk",
        ],
    }


def search_lines(search: Mapping[str, Any]) -> dict[str, list[str]]:
    """What elimination, extending and refining can do to the number of runs, each a line that is there if it is asked.

    `search` is as `outlook` in `lrsweep.plan` has it.
    """
    asked = {key: options for key, options in search.items() if options}
    return {LINES[key][0]: LINES[key][1](options) for key, options in asked.items()}


def sample_line(screen: Mapping[str, Any]) -> list[str]:
    """The sample, and what it is for."""
    size = f"subset {screen['subset']:g}, {many(screen['epochs'], 'epoch')}, {many(screen['seeds'], 'seed')}"
    return [f"{many(screen['runs'], 'run')} first ({size})", "may drop the ends"]


def rungs_line(halving: Mapping[str, Any]) -> list[str]:
    """Where it is decided, and how many go on at least."""
    what = "epochs" if halving["resource"] == "epochs" else "training rows"
    ladders = [ladder for ladder in halving["rungs"] if ladder["at"]]
    told = [f"{', '.join(f'{rung:,}' for rung in ladder['at'])} of {ladder['full']:,}" for ladder in ladders]
    more = "; …" * (len(told) > MOST_LADDERS)
    guarded = f", guard {halving['guard']}" * bool(halving["guard"])
    return [f"at {'; '.join(told[:MOST_LADDERS])}{more} {what}", f"1 rate in {halving['factor']} goes on{guarded}"]


def extend_line(extend: Mapping[str, Any]) -> list[str]:
    """How many rates may be added beyond an edge."""
    return [added(extend), f"{in_decades(extend['max_decades'], 6)} beyond an edge"]


def refine_line(refine: Mapping[str, Any]) -> list[str]:
    """How many rates may be added round the fitted one."""
    return [added(refine), f"to within {in_decades(refine['decades'], 6)}"]


def added(most: Mapping[str, Any]) -> str:
    """How many rates and runs are added at most."""
    return f"may add up to {many(most['rates'], 'rate')} per setting, {many(most['runs'], 'run')}"


LINES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], list[str]]]] = {
    "screen": ("sample", sample_line),
    "halving": ("rungs", rungs_line),
    "extend": ("extend", extend_line),
    "refine": ("refine", refine_line),
}
"""A line's name, and what makes its parts."""
