"""The command that follows a command, as every command names it at its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lrsweep.vocabulary import MAX_RUNS, quoted


def more_of(answer: Any, results: Path, unopened: bool = False, known: bool = False) -> str:
    """The command that shows more of a sweep, empty where nothing is left to be shown.

    That is its page, where it can be drawn and is not yet or was just written (`unopened`), else every rate, if these
    are not `known` too.
    """
    from lrsweep.result import has_plotly, is_drawn

    page = "--open" if unopened else "--html --open" if has_plotly() and not is_drawn(answer) else ""
    if not page and known:
        return ""
    folder = Path(answer.folder)
    if folder == results / answer.about["name"]:
        return f"lrsweep report {folder.name} {page or '--all'}{results_option(results)}"
    return f"lrsweep report {quoted(str(folder))} {page or '--all'}"


def same_again(
    spec: Path | str,
    overrides: Sequence[str],
    results: Path = Path("results"),
    command: str = "run",
    options: Sequence[str] = (),
    max_runs: int = MAX_RUNS,
) -> str:
    """A command on a sweep file, with what was given to this one; it allows as many runs."""
    options = [*options, f"--max-runs {max_runs}"] if max_runs > MAX_RUNS else options
    told = "".join(f" -o {quoted(override)}" for override in overrides)
    told += "".join(f" {option}" for option in options)
    return f"lrsweep {command} {quoted(str(spec))}{told}{results_option(results)}"


def results_option(results: Path) -> str:
    """The option that a following command needs where the results are not in the default place."""
    return "" if results == Path("results") else f" --results {quoted(str(results))}"


def cluster_options(cluster: str | None) -> list[str]:
    """The option that a following command needs where a cluster trains."""
    return [] if cluster is None else [f"--cluster {quoted(cluster)}"]
