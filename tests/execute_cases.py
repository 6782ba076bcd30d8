"""Stacks to be trained in this process, in workers and on a cluster, and what comes of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from engine_cases import RUN

from lrsweep import datasets, execute
from lrsweep.vocabulary import Outcome, Source, Stack

IRIS = Source("name", "iris")

GUILTY = 666
"""The seed of a run that takes its worker down, where it is trained to the end."""


def stack_of(*seeds: int, epochs: int = 2) -> Stack:
    """A stack on iris, a run for each seed; ids tell the seed."""
    return stack_on(IRIS, *seeds, epochs=epochs)


def stack_on(source: Source, *seeds: int, epochs: int = 2) -> Stack:
    """A stack on some data, a run for each seed; ids tell the seed."""
    runs = tuple(replace(RUN, dataset=source, seed=seed, epochs=epochs, precision="float32") for seed in seeds)
    return Stack(runs, tuple(f"r{seed}" for seed in seeds), datasets.load(source).fingerprint)


def trained(stacks: list[Stack], workers: int) -> dict[str, Outcome]:
    """All outcomes by run_id."""
    return flat(execute.execute(stacks, workers))


def flat(stream: Iterable[list[Outcome]]) -> dict[str, Outcome]:
    """All outcomes of a stream by run_id."""
    return {outcome.run_id: outcome for outcomes in stream for outcome in outcomes}


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but that nobody has collected does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    if Path("/proc/self").exists():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def csv_rows(shift: int) -> str:
    """A table of 20 rows."""
    return "x,y\n" + "".join(f"{i + shift},{'ab'[i % 2]}\n" for i in range(20))
