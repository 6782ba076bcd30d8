"""The live block on stderr while runs are trained."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lrsweep.report import words
from lrsweep.report.words import clean

Update = Callable[[int, int, str, int], None]
"""Told after each stack: runs done, runs in all, the best so far in words, runs diverged."""


@contextmanager
def progress(total: int, quiet: bool = False, title: str = "", console: Console | None = None) -> Iterator[Update]:
    """A live block on stderr while runs are trained, gone at the end; nothing where stderr is no terminal."""
    console = console or Console(stderr=True)
    if quiet or not console.is_terminal or console.is_dumb_terminal:
        yield lambda done, total, best, diverged: None
        return
    start = time.monotonic()
    # Not redirecting stdout: it may be a file, and is not ours to draw over.
    # Nor with a thread that refreshes it: it changes when it is told, and a signal is to reach the main thread alone.
    block = live_block(title, 0, total, "", 0, 0)
    live = Live(block, console=console, transient=True, redirect_stdout=False, auto_refresh=False)

    def update(done: int, total: int, best: str, diverged: int) -> None:
        with suppress(OSError):  # the terminal may be gone, which is no reason to stop
            live.update(live_block(title, done, total, best, diverged, time.monotonic() - start), refresh=True)

    with suppress(OSError):
        live.start(refresh=True)
        console.show_cursor(True)  # a process that is stopped or killed cannot bring it back
    try:
        yield update
    finally:
        with suppress(OSError):
            live.update("")  # else it is drawn in full once more, however low the terminal is, and cannot be taken away
            live.stop()


def live_block(title: str, done: int, total: int, best: str, diverged: int, seconds: float) -> Group:
    """How far the runs are, how fast they come, and what is the best of them."""
    line = Table.grid(padding=(0, 2, 0, 0))
    speed = done / seconds if seconds and done else 0
    pace = f"{speed:.3g} runs/s   {words.duration((total - done) / speed)} left" if speed else "starting"
    line.add_row(ProgressBar(total=total, completed=done, width=36), Text(f"{done:,}/{total:,} runs   {pace}"))
    found = " · ".join(
        filter(None, [f"best so far  {best}" if best else "", f"diverged {diverged}" if diverged else ""])
    )
    return Group(*(Text(clean(text), style="bold") for text in [title] if text), line, Text(clean(found)))
