"""`make bench`: lrsweep beside its floor and beside others that train the same, on this machine, in one go.

For three widths and two optimizers: 400 runs of digits (20 rates, 20 seeds, one hidden layer, relu, batch 32,
20 epochs, float32) on two cores. What is compared is measured in turns, for some rounds, and the best round of each
counts. All who train also measure the training loss and, but for scikit-learn's `fit` alone, the validation loss and
accuracy of every epoch; lrsweep's command writes its files besides.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is imported

import argparse
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import product
from pathlib import Path

from case import CHECKED, FEW_RATES, RATES, WORKERS, Case
from ours import SAMPLE, Kernel, sweep
from rivals import JAX, JAX_DEVICES, RIVALS, SCIKIT, Rival
from table import LABEL, Table

START = time.perf_counter()
WIDTHS, OPTIMIZERS = (16, 64, 256), ("momentum", "adam")
ROUNDS = {16: 3, 64: 3, 256: 2}
PARTS = ("floor", "engine", "lrsweep", "sklearn", "torch", "jax", "workers", "wide", "long")
"""What `--only` may name."""

SMOKE = Path(__file__).parents[2] / "sweeps" / "smoke.yaml"

FLOOR, ENGINE, COMMAND = "floor: the training's matrix products, one core", "engine, one core", "lrsweep run, 2 workers"
FLOORS = "floor: with the evaluations' products"
OF_KERNEL = {"floor": FLOOR, "engine": ENGINE}

TARGETS = (
    ("engine / floor", ENGINE, FLOOR, "at most", {"momentum": (2.5, 2.0, 1.8), "adam": (3.2, 2.6, 2.3)}),
    ("engine / floor with the evaluations'", ENGINE, FLOORS, "", {}),
    ("scikit-learn, fit alone / lrsweep run", SCIKIT, COMMAND, "at least", dict.fromkeys(OPTIMIZERS, (18, 13, 7))),
    ("JAX, 2 threads, warm / lrsweep run", JAX, COMMAND, "at least", dict.fromkeys(OPTIMIZERS, (1.0, 1.7, 1.5))),
    ("JAX, 2 devices, warm / lrsweep run", JAX_DEVICES, COMMAND, "", {}),
)


class Bench:
    """What was asked for, and what was found so far."""

    def __init__(self, only: Iterable[str], quick: bool, folder: Path) -> None:
        self.only, self.quick, self.folder = set(only), quick, folder
        self.rivals = [rival for rival in RIVALS if rival.package in self.only]
        self.times, self.accuracies = Table(OPTIMIZERS, WIDTHS), Table(OPTIMIZERS, WIDTHS)
        self.others: list[str] = []

    def measure(self) -> None:
        """All that was asked for."""
        for width, optimizer in product(WIDTHS, OPTIMIZERS) if self.only - OTHERS.keys() else ():
            self.compare(Case(optimizer, width, n_seeds=5 if self.quick else 20), 1 if self.quick else ROUNDS[width])
        for option, measure in OTHERS.items():
            if option in self.only:
                measure(self)

    def compare(self, case: Case, rounds: int) -> None:
        """lrsweep and its rivals on one network and optimizer, in turns."""
        kernel = Kernel(case, self.folder, [part for part in ("floor", "engine") if part in self.only])
        for number in range(1, rounds + 1):
            tell(f"{case.optimizer}, width {case.width}, round {number} of {rounds}")
            measured = kernel.measure()
            for part in [part for part in OF_KERNEL if part in measured]:
                self.times.note(OF_KERNEL[part], case, measured[part])
            if "floor" in measured:
                self.times.note(FLOORS, case, measured["floor"] + measured["evaluation"])
            if "lrsweep" in self.only:
                swept = sweep(case.write(self.folder), self.folder)
                self.times.note(COMMAND, case, 1e3 * swept.whole / case.n_runs)
                self.accuracies.note(COMMAND, case, swept.accuracy)
            for rival in self.rivals:
                if rival.installed:
                    rows, accuracy = rival.milliseconds(case, kernel.data)
                    for row, milliseconds in rows.items():
                        self.times.note(row, case, milliseconds)
                    self.accuracies.note(row, case, accuracy)

    def second_worker(self) -> None:
        """What a second worker adds: one and two workers in turns."""
        case, rounds = Case("momentum", 64, n_seeds=10 if self.quick else 40), 1 if self.quick else 2
        whole, training = dict.fromkeys((1, 2), float("inf")), dict.fromkeys((1, 2), float("inf"))
        for number, workers in product(range(rounds), (1, 2)):
            tell(f"{workers} of 2 workers, round {number + 1} of {rounds}")
            swept = sweep(case.write(self.folder), self.folder, workers=workers)
            whole[workers], training[workers] = min(whole[workers], swept.whole), min(training[workers], swept.training)
        self.other(
            f"second worker ({case.n_runs} runs, momentum, width 64)",
            f"training {training[1]:.1f} s to {training[2]:.1f} s: {at_least(training[1] / training[2], 1.8)}; "
            f"start to exit {whole[1]:.1f} s to {whole[2]:.1f} s: {whole[1] / whole[2]:.2f}",
        )

    def wide(self) -> None:
        """Networks so wide that their products are nearly all there is to do."""
        case = Case("momentum", 1024, depth=2, batch=128, rates=(0.001, 0.01), n_seeds=1)
        kernel, found, rounds = Kernel(case, self.folder), {}, 1 if self.quick else 3
        for number in range(rounds):
            tell(f"wide, round {number + 1} of {rounds}")
            found = kernel.measure()
        self.other(
            "wide (1024 × 2, batch 128, momentum)",
            f"engine {found['engine']:.0f} ms, floor {found['floor']:.0f} ms per run: "
            f"{at_most(found['engine'] / found['floor'], 1.3)}; evaluations' products {found['evaluation']:.0f} ms: "
            f"{found['engine'] / (found['floor'] + found['evaluation']):.2f} with them",
        )

    def long(self) -> None:
        """Many small runs, where what a run costs beside its training shows."""
        n_rates, n_seeds = 50, 10 if self.quick else 100
        n_runs = 2 * n_rates * n_seeds
        keys = ["optimizer=[momentum, adam]", f"learning_rate={{log: [1e-3, 1], num: {n_rates}}}", f"seeds={n_seeds}"]
        tell(f"{n_runs:,} small runs")
        whole = sweep(SMOKE, self.folder, *(word for key in keys for word in ("-o", key))).whole
        text = f"{whole:.1f} s from start to exit, {1e3 * whole / n_runs:.2f} ms per run"
        self.other(f"long ({n_runs:,} runs of the size of smoke.yaml)", text)

    def other(self, label: str, text: str) -> None:
        """Keeps a line that stands below the columns."""
        self.others.append(f"{label:{LABEL}}  {text}")

    def lines(self) -> Iterator[str]:
        """All that was found, as one table."""
        if self.rivals or self.times.rows:
            yield self.times.head()
            yield "milliseconds per run"
            yield from self.times.lines()
            yield from (f"{row:{LABEL}}  not installed" for one in self.absent() for row in one.rows.values())
            yield "ratios (! misses the target)"
            for label, over, under, word, targets in TARGETS:
                yield from self.times.ratio(label, over, under, word, targets)
            yield f"mean final validation accuracy at rate {RATES[CHECKED]:g}"
            yield from self.accuracies.lines(".3f")
        yield from self.others
        yield from self.foot()

    def absent(self) -> list[Rival]:
        """The rivals that are not installed."""
        return [rival for rival in self.rivals if not rival.installed]

    def foot(self) -> Iterator[str]:
        """How it was measured."""
        rounds = "one round" if self.quick else f"the best of {ROUNDS[16]} rounds, at width 256 of {ROUNDS[256]}"
        n_runs, few = 100 if self.quick else 400, len(FEW_RATES)
        yield f"Each figure is {rounds}. lrsweep run: {n_runs} runs from start to exit, files included."
        yield f"Engine and floor: some of its stacks, about {SAMPLE} runs, each stack at its best."
        yield "Floor: np.matmul over a stack, float32, without biases, each product in the fastest of eight layouts."
        yield f"scikit-learn: {few * 4} runs; PyTorch one by one: {few * 2} runs. PyTorch stacked and JAX: 20 or 100"
        yield f"at once in each process or device, the faster counts; the compiling is shared by {n_runs} runs."
        names = ["numpy", "scikit-learn", *sorted({one.package for one in self.rivals if one.installed} - {"sklearn"})]
        yield ", ".join(f"{name} {metadata.version(name)}" for name in names) + f"; {time.perf_counter() - START:.0f} s"


OTHERS = {"workers": Bench.second_worker, "wide": Bench.wide, "long": Bench.long}
"""What has no columns, by what `--only` calls it."""


def at_most(ratio: float, target: float) -> str:
    """A ratio beside its target."""
    return f"{ratio:.2f} (at most {target}{'' if round(ratio, 2) <= target else ' !'})"


def at_least(ratio: float, target: float) -> str:
    """A ratio beside its target."""
    return f"{ratio:.2f} (at least {target}{'' if round(ratio, 2) >= target else ' !'})"


def tell(text: str) -> None:
    """Progress, on stderr."""
    print(f"{time.perf_counter() - START:5.0f} s  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measures, and prints the table."""
    parser = argparse.ArgumentParser(description="lrsweep beside its floor and its rivals, on this machine, in one go")
    parser.add_argument("--quick", action="store_true", help="fewer runs, one round")
    parser.add_argument("--only", default=",".join(PARTS), metavar="PART,…", help="some of %(default)s")
    chosen = parser.parse_args()
    only = chosen.only.split(",")
    if unknown := set(only) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is unknown; choose from {', '.join(PARTS)}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(only, chosen.quick, Path(name))
        try:
            bench.measure()
        finally:  # what was found before Ctrl-C is told as well
            print("\n".join(bench.lines()))
            for rival in bench.rivals:
                rival.end()


if __name__ == "__main__":
    main()
