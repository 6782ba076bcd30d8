"""The floor: what the matrix products of a training take on one core, and nothing else.

Every product is one `np.matmul` over all runs of a stack into an array that is there already, as in lrsweep; biases
are left out. Each product takes the fastest of eight layouts: both factors and the result, as they are or transposed
in memory. That is the batch last or first, and every mixture, even those that no training could use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from itertools import pairwise, product

import numpy as np

from lrsweep.vocabulary import Array

Layout = tuple[bool, bool, bool]
"""Whether left factor, right factor and result of a product lie transposed in memory."""

AS_ENGINE: Layout = (False, False, False)
LAYOUTS: tuple[Layout, ...] = tuple(product((False, True), repeat=3))  # type: ignore[arg-type]
TRIALS, TRIAL_SECONDS = 3, 1e-3
CHUNKS = (64, None)
"""Rows of an evaluation's products: lrsweep's, or all at once."""


class Products:
    """The products of R runs over B rows, in their order; R/S consecutive runs share their rows."""

    def __init__(self, units: Sequence[int], n_runs: int, n_shared: int, n_rows: int, backward: bool) -> None:
        self.random, last = np.random.default_rng(0), len(units) - 1
        self.groups, self.arrays = (n_shared, n_runs // n_shared), {}
        self.shapes = {f"signal {i}": (n, n_rows) for i, n in enumerate(units)}
        self.shapes |= {f"delta {i}": (n, n_rows) for i, n in enumerate(units)}
        for i, (ins, outs) in enumerate(pairwise(units)):
            self.shapes |= {f"weights {i}": (outs, ins), f"gradient {i}": (outs, ins)}
        named = [(f"weights {i}", f"signal {i}", f"signal {i + 1}") for i in range(last)]
        for i in reversed(range(last if backward else 0)):
            named.append((f"delta {i + 1}", f"signal {i} T", f"gradient {i}"))
            if i:  # nothing asks for the derivative by the inputs
                named.append((f"weights {i} T", f"delta {i + 1}", f"delta {i}"))
        chosen = [min((self.call(names, layout) for layout in LAYOUTS), key=trial) for names in named]
        plain = [self.call(names, AS_ENGINE) for names in named]
        # A product that is fastest alone need not be so in its sequence, where it finds other arrays in the cache.
        self.calls = min((chosen, plain), key=lambda calls: trial(partial(all_of, calls)))

    def call(self, names: tuple[str, str, str], layout: Layout) -> Callable[[], Array]:
        """The product as one call, (…, m, k) @ (…, k, n), or with both sides transposed where the result is."""
        left, right, out = (self.array(name, turned) for name, turned in zip(names, layout, strict=True))
        if layout[2]:
            left, right, out = right.swapaxes(-1, -2), left.swapaxes(-1, -2), out.swapaxes(-1, -2)
        return partial(np.matmul, left, right, out=out)

    def array(self, name: str, turned: bool) -> Array:
        """The array of that name, (S, R/S, rows, columns), transposed in memory if `turned` and to the eye if `… T`."""
        plain = name.removesuffix(" T")
        if (plain, turned) not in self.arrays:
            groups = (self.groups[0], 1) if plain == "signal 0" else self.groups
            shape = self.shapes[plain][:: -1 if turned else 1]
            values = self.random.standard_normal((*groups, *shape), np.float32)
            self.arrays[plain, turned] = values.swapaxes(-1, -2) if turned else values
        array = self.arrays[plain, turned]
        return array if plain == name else array.swapaxes(-1, -2)


def all_of(calls: Iterable[Callable[[], Array]]) -> None:
    """Makes every call."""
    for call in calls:
        call()


def trial(call: Callable[[], object]) -> float:
    """Seconds that a call takes, at best."""
    call()
    best = np.inf
    for _ in range(TRIALS):
        count, start = 0, time.perf_counter()
        while (taken := time.perf_counter() - start) < TRIAL_SECONDS:
            call()
            count += 1
        best = min(best, taken / count)
    return best


def pieces(n_rows: int, size: int) -> list[int]:
    """The sizes of the pieces of so many rows.

    >>> pieces(1079, 500)
    [500, 500, 79]
    """
    return [min(size, n_rows - start) for start in range(0, n_rows, size)]


class Floor:
    """The products of a stack of R runs whose rows come in S orders: of its training, and of its evaluation."""

    def __init__(self, units: Sequence[int], n_runs: int, n_orders: int, batch: int, n_train: int, n_val: int) -> None:
        self.units, self.n_runs, self.n_val, self.batches = units, n_runs, n_val, pieces(n_train, batch)
        n_shared = n_orders if n_runs % n_orders == 0 else n_runs
        self.steps = {size: Products(units, n_runs, n_shared, size, backward=True) for size in set(self.batches)}

    def train(self, epochs: int) -> None:
        """Every product of so many epochs."""
        for _ in range(epochs):
            for size in self.batches:
                all_of(self.steps[size].calls)

    @cached_property
    def evaluation(self) -> float:
        """Seconds that the products of one evaluation take, at best."""
        return min(self.evaluated(chunk or self.n_val) for chunk in CHUNKS)

    def evaluated(self, chunk: int) -> float:
        """Seconds for one evaluation in chunks of that many rows."""
        sizes = pieces(self.n_val, chunk)
        forward = {size: Products(self.units, self.n_runs, 1, size, backward=False) for size in set(sizes)}
        return trial(lambda: all_of(call for size in sizes for call in forward[size].calls))
