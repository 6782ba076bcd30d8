"""The plan of a sweep as a person sees it. Lays out what it is given, computes nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console

from lrsweep.report import words
from lrsweep.report.printer import PROSE, Printer
from lrsweep.report.tables import setting_columns
from lrsweep.report.words import many


def print_plan(plan: Mapping[str, Any], console: Console | None = None) -> None:
    """What `run` would do, as `Preview.document` has it."""
    printer = Printer(console or Console())
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
    states = "   ".join(f"{state} {plan['counts'][state]:,}" for state in ("done", "new", "stale", "failed"))
    line = f"{plan['runs']:,}{product}     {states}"
    lines = {"axes": [words.axis(key, values) for key, values in plan["axes"].items()]}
    fixed = words.fixed(plan["fixed"])
    lines |= {"fixed": fixed} if fixed else {}
    lines["runs"] = [line] if len(line) <= PROSE - 9 else [f"{plan['runs']:,}{product}", states]
    if plan["duplicates"]:
        lines["alike"] = [f"{plan['duplicates']:,} more, the same as one of these in all that acts: counted once"]
    if not plan["stacks"]:
        return lines | {"about": ["nothing to train: every run is done"]}
    workers = f"with {many(plan['workers'], 'worker')}" if plan["workers"] else "in this process"
    timed = f"timed here: 3 steps of {many(plan['shapes_timed'], 'shape')}"
    return lines | {
        "stacks": [f"{plan['stacks']:,}, up to {many(plan['largest_stack'], 'run')} each"],
        "about": [
            f"{words.duration(plan['seconds'])} {workers} ({timed})",
            f"{words.size(plan['disk_bytes'])} on disk",
        ],
    }
