"""Those that lrsweep is measured against, each in processes of its own that stay from round to round."""

from __future__ import annotations

import importlib.util
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import scikit
import with_jax
import with_torch
from case import Case, Measured

from lrsweep.vocabulary import Data


class Rival:
    """A package's training: `measure(case, data, seeds)` in as many processes at once as there are `seeds`.

    Its rows of the table are called by `title` and the ways that `measure` tells apart; `--only` and `import` know it
    by its `package`.
    """

    def __init__(
        self,
        package: str,
        title: str,
        ways: Sequence[str],
        measure: Callable[..., Measured],
        seeds: Sequence[Sequence[int]],
    ) -> None:
        self.package, self.measure, self.seeds = package, measure, seeds
        self.rows = {way: f"{title}: {way}" for way in ways}
        self.pools: list[ProcessPoolExecutor] = []

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    def milliseconds(self, case: Case, data: Data) -> tuple[dict[str, float], float]:
        """Milliseconds per run by row, and the checked accuracy. The throughputs of the processes add up."""
        if not self.pools:
            spawn = multiprocessing.get_context("spawn")  # a fork would inherit locks and threads
            self.pools = [ProcessPoolExecutor(1, mp_context=spawn) for _ in self.seeds]
        tasks = [pool.submit(self.measure, case, data, part) for pool, part in zip(self.pools, self.seeds, strict=True)]
        times, accuracies = zip(*[task.result() for task in tasks], strict=True)
        rows = {row: 1 / sum(1 / one[way] for one in times) for way, row in self.rows.items()}
        return rows, float(np.mean(accuracies))

    def end(self) -> None:
        """Ends its processes."""
        for pool in self.pools:
            pool.shutdown()


RIVALS = (
    Rival("sklearn", "scikit-learn, 2 processes", scikit.WAYS, scikit.milliseconds, [[0, 1], [2, 3]]),
    Rival("torch", "PyTorch, 2 processes", ["one by one"], with_torch.one_by_one, [[0], [1]]),
    Rival("torch", "PyTorch, 2 threads", ["stacked"], partial(with_torch.stacked, threads=2), [[0]]),
    Rival("torch", "PyTorch, 2 processes", ["stacked"], partial(with_torch.stacked, threads=1), [[0], [5]]),
    Rival("jax", "JAX, vmap, 2 threads", with_jax.WAYS, partial(with_jax.milliseconds, devices=1), [[0]]),
    Rival("jax", "JAX, vmap, 2 devices", with_jax.WAYS, partial(with_jax.milliseconds, devices=2), [[0]]),
)
SCIKIT = "scikit-learn, 2 processes: fit alone"
JAX, JAX_DEVICES = "JAX, vmap, 2 threads: warm", "JAX, vmap, 2 devices: warm"
