"""What a sweep found, as Python has it: the answer, its frames, its table for notebooks, and its page."""

from __future__ import annotations

import html
import importlib.util
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lrsweep.store import ANOTHER, DATABASE, PAGE, Store, explained, present, replaceable, write_file
from lrsweep.vocabulary import CRASHED, FAILED, StoreError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from lrsweep.analysis.answer import Answer


IN_NOTEBOOKS = ("tied with", "fitted", "diagnosis")
"""Columns of settings that a notebook shows, apart from those that every terminal has room for."""


@dataclass(frozen=True, repr=False)
class Result:
    """What a sweep found: the answer and its frames, the folder that holds it, and what this execution did."""

    answer: Answer
    folder: Path
    trained: int
    seconds: float

    @property
    def runs(self) -> pd.DataFrame:
        """The content of runs.csv: a row per run."""
        return self.answer.runs

    @property
    def curves(self) -> pd.DataFrame:
        """The content of curves.csv: a row per run and epoch."""
        return self.answer.curves

    @property
    def ranking(self) -> pd.DataFrame:
        """A row per setting and rate: the columns of ranking.csv, and more, such as seconds."""
        return self.answer.ranking

    @property
    def decisions(self) -> pd.DataFrame | None:
        """The content of elimination.csv: a row per rate and stage; None where nothing was decided."""
        return self.answer.decisions

    @property
    def recommendation(self) -> pd.DataFrame:
        """A row per setting, best first: see `Answer.table`."""
        return self.answer.table()

    @property
    def exit_code(self) -> int:
        """0, or 1 where runs failed or an expectation is not met."""
        failed = self.answer.counts[FAILED] + self.answer.counts[CRASHED] > 0
        return int(failed or not all(check.met for check in self.answer.checks))

    def __repr__(self) -> str:
        """The sentence to act on, and where the files are."""
        return f"<Result of {self.answer.about['name']} in {self.folder}: {self.answer.sentence}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence to act on, a row per setting, and the doubts."""
        from lrsweep.report.terminal import best_of_each_dataset, doubts

        entries = self.answer.entries
        said = [doubt for doubt, _ in doubts(self.answer, best_of_each_dataset(entries, 1))] if entries else []
        against = "".join(f"<li>{html.escape(doubt)}</li>" for doubt in said)
        table = settings_html(self.answer) if entries else ""
        return f"<p>{html.escape(self.answer.sentence)}</p>{table}{f'<ul>{against}</ul>' if said else ''}"


def settings_html(answer: Answer) -> str:
    """The best settings in a table: each with its best rate, what ties with it, what it comes to, and its diagnosis."""
    from lrsweep.report.tables import settings_table
    from lrsweep.report.terminal import best_of_each_dataset

    entries = best_of_each_dataset(answer.entries, None)
    columns = [
        column
        for column in settings_table(answer, entries, None)
        if column.name or not column.spare or column.title in IN_NOTEBOOKS
    ]
    heads = "".join(f"<th>{html.escape(column.title)}</th>" for column in columns)
    rows = [[html.escape(cell) for cell in cells] for cells in zip(*(column.cells for column in columns), strict=True)]
    body = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows)
    left_out = len(answer.entries) - len(entries)
    more = f"<p>{left_out:,} more in its recommendation.</p>" if left_out else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{more}"


def write_page(answer: Answer, output: Path | None = None) -> Path:
    """Writes the page of an answer into its results folder, or elsewhere, and returns where it is.

    Raises UsageError where Plotly is not installed or `output` cannot be such a file, and StoreError where the page
    cannot be written.
    """
    check_plotly()
    if output is not None:
        check_output(output)
    from lrsweep.report.page import page

    folder = Path(answer.folder)
    path = folder / PAGE if output is None else output
    try:
        noted = json.loads(stored_text(folder / "provenance.json") or "{}")
    except ValueError:
        noted = None
    if not isinstance(noted, dict):
        raise StoreError(f"{folder / 'provenance.json'} is damaged; remove it, and run writes it anew")
    runs_csv = os.path.relpath(folder / "runs.csv", path.parent)
    content = page(answer, noted, stored_text(folder / "spec.yaml"), runs_csv=runs_csv)
    write_file(path, content.encode(), ANOTHER)
    if output is None and ended_since(answer):
        with explained(path):
            path.resolve().unlink(missing_ok=True)  # a link stays
        raise StoreError(f"{path} is withdrawn, since its sweep ended while it was drawn; run lrsweep report again")
    return path


def ended_since(answer: Answer) -> bool:
    """Whether a sweep ended after an answer was read: one that goes on removes pages of older answers itself."""
    folder = Path(answer.folder)
    if not present(folder / DATABASE):
        return False
    with Store.open(folder, checked=True) as store:
        counts = store.counts()
        return not counts["new"] and (store.about(), counts) != (answer.about, answer.counts)


def check_output(path: Path) -> None:
    """Raises UsageError where a page cannot be a file of this name, before anything else takes time."""
    with explained(path, ANOTHER):
        if path.is_dir() or str(path) == "-":
            raise UsageError(f"--output {path} is {'a folder' if path.is_dir() else 'no file'}; name one, as page.html")
        if not path.parent.is_dir():
            lack = "is no folder;" if path.parent.exists() else "does not exist; make that folder first, or"
            raise UsageError(f"--output {path}: {path.parent} {lack} name {ANOTHER}")
        if not replaceable(path):
            raise UsageError(f"--output {path} is there and no plain file; name {ANOTHER}")


def is_drawn(answer: Answer) -> bool:
    """Whether the results folder has a page, written after what is stored there."""
    page, stored = Path(answer.folder, PAGE), Path(answer.folder, DATABASE)
    return page.exists() and page.stat().st_mtime >= stored.stat().st_mtime


def check_plotly() -> None:
    """Raises UsageError where the page's figures could not be drawn, before anything else takes time."""
    if not has_plotly():
        raise UsageError(
            "--html draws with Plotly, which is not installed; pip install 'lrsweep[plots]', or '.[plots]' in a clone"
        )


def has_plotly() -> bool:
    """Whether the extra for the page is installed."""
    try:
        return importlib.util.find_spec("plotly") is not None
    except ImportError:  # something that imports are led through says no
        return False


def stored_text(path: Path) -> str:
    """What a file of the results folder holds; nothing where somebody removed it, or put something else there."""
    with explained(path):
        return path.read_text("utf-8", errors="replace") if path.is_file() else ""
