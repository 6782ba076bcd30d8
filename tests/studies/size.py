"""What large sweeps cost: seconds, of the wall and of the CPU, and memory, of the process that conducts them.

    python tests/studies/size.py [--settings 10] [--rates 20] [--seeds 500] [--epochs 20] [--keep FOLDER]
    python tests/studies/size.py --settings 1 --rates 100 --seeds 20 --epochs 20000
    python tests/studies/size.py --sweeps 1000 10000 100000 [--epochs 2] [--keep FOLDER]

The first two report a results folder that is made through the store, as a sweep would make it: 100,000 short runs, and
2,000 long ones. The last one plans and runs sweeps of so many small runs, and runs them again when all is done. Only
Linux and macOS tell a process's memory.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lrsweep.store import Store, write_file
from lrsweep.vocabulary import CURVE_COLUMNS, DIVERGED, FINISHED, Array, Outcome

CLASSES, ROWS, STEPS = 10, 1079, 34
"""Of digits: classes, training rows, steps of an epoch at batches of 32."""

Planned = list[tuple[str, dict[str, Any]]]


def planned(n_settings: int, n_rates: int, n_seeds: int, epochs: int) -> Planned:
    """The runs: width by optimizer, rates from 1e-4 to 10."""
    optimizers = ["sgd", "momentum", "nesterov", "adam", "lion"]
    widths = [16 + 8 * i for i in range(-(-n_settings // len(optimizers)))]
    settings = [(width, optimizer) for width in widths for optimizer in optimizers][:n_settings]
    rates = [float(f"{rate:.6g}") for rate in np.logspace(-4, 1, n_rates)]
    fixed = {"dataset": "digits", "subset": 1.0, "validation": 0.2, "test": 0.2, "split_seed": 0, "standardize": True}
    shape = {"depth": 1, "activation": "relu", "parametrization": "standard", "base_width": 64}
    rest = {"schedule": "constant", "batch_size": 32, "epochs": epochs, "clip_norm": None, "growth": None}
    last = {"precision": "float32", "noise": None}
    rows = [
        {
            **fixed,
            "width": width,
            **shape,
            "optimizer": optimizer,
            "layer_rates": "1",
            **rest,
            **last,
            "learning_rate": rate,
            "seed": seed,
        }
        for width, optimizer in settings
        for rate in rates
        for seed in range(n_seeds)
    ]
    return [(f"r{i:012x}", row) for i, row in enumerate(rows)]


def about(runs: Planned) -> dict[str, Any]:
    """What the conductor would have stored of the sweep."""
    settings = [key for key in runs[0][1] if key not in ("learning_rate", "seed")]
    columns = {key: list(dict.fromkeys(row[key] for _, row in runs)) for key in ("width", "optimizer")}
    rates, seeds = ([*dict.fromkeys(row[key] for _, row in runs)] for key in ("learning_rate", "seed"))
    axes = {key: values for key, values in columns.items() if len(values) > 1}
    data = {"n_rows": 1797, "n_train": ROWS, "n_features": 64, "task": "classification", "n_classes": CLASSES}
    return {
        "name": "large",
        "description": "made up",
        "objective": "val_loss",
        "select": "final",
        "task": "classification",
        "axes": axes | {"learning_rate": rates, "seed": seeds},
        "settings": settings,
        "datasets": {"digits": data | {"chance": math.log(CLASSES)}},
        "spec_path": "large.yaml",
        "overrides": [],
        "expect": {},
    }


def outcome(run_id: str, row: dict[str, Any], random: np.random.Generator) -> Outcome:
    """A run as one might end: a valley over the rate, a slope to it over the epochs, and no end far beyond it."""
    best = -2.0 - 0.3 * math.log2(row["width"] / 64) + (0.7 if row["optimizer"] in ("adam", "lion") else 1.5)
    off = math.log10(row["learning_rate"]) - best
    lost = bool(off + 0.1 * random.standard_normal() > 1.3)
    epochs = row["epochs"] if not lost else int(random.integers(1, 4))
    final = 0.12 * math.exp(0.5 * off * off + 0.05 * random.standard_normal())
    curve = made_up_curve(row, epochs, final, lost, random)
    loss = math.nan if lost else float(curve[-1, 4])
    score = math.nan if lost else float(curve[-1, 5])
    metrics = {
        "n_train": ROWS,
        "n_parameters": 75 * row["width"] + 10,
        "steps": STEPS * epochs,
        "epochs_done": epochs,
        "examples_seen": ROWS * epochs,
        **{"train_loss": 0.8 * loss, "train_accuracy": score, "val_loss": loss, "val_accuracy": score},
        **{"val_macro_f1": score, "val_balanced_accuracy": score, "test_loss": 1.02 * loss, "test_accuracy": score},
        **{"best_val_loss": float(np.nanmin(curve[:, 4])), "best_val_accuracy": float(np.nanmax(curve[:, 5]))},
        **{"best_epoch": int(np.nanargmin(curve[:, 4])), "initial_loss": float(curve[0, 3])},
        "max_grad_norm": float(np.nanmax(curve[1:, 6])),
    }
    moment = "2026-01-01T00:00:00.000000+00:00"
    timing = {"seconds": 0.01 * float(random.random()), "worker": 1, "attempt": 1, "started": moment, "ended": moment}
    reason = f"loss or weights not finite in epoch {epochs}" if lost else ""
    return Outcome(run_id, DIVERGED if lost else FINISHED, reason, metrics, curve, timing)


def made_up_curve(row: dict[str, Any], epochs: int, final: float, lost: bool, random: np.random.Generator) -> Array:
    """(epochs + 1, len(CURVE_COLUMNS))."""
    epoch = np.arange(epochs + 1.0)
    loss = final + (2.3 - final) * np.exp(-epoch / 2) * np.exp(0.02 * random.standard_normal(epochs + 1))
    if lost:
        loss[-1] = math.inf
    curve = np.empty((epochs + 1, len(CURVE_COLUMNS)))
    curve[:, 0], curve[:, 1], curve[:, 2] = epoch, STEPS * epoch, row["learning_rate"]
    curve[:, 3], curve[:, 4], curve[:, 5] = 0.8 * loss, loss, np.exp(-0.3 * loss)
    curve[:, 6], curve[:, 7] = np.sqrt(loss), 0.01 * loss
    curve[0, [2, 6, 7]] = math.nan
    return curve


def make(folder: Path, runs: Planned) -> None:
    """The results folder of these runs."""
    random = np.random.default_rng(0)

    def stacks() -> Iterator[list[Outcome]]:
        many = max(1, 100_000 // runs[0][1]["epochs"])
        for at in range(0, len(runs), many):
            with np.errstate(all="ignore"):
                yield [outcome(run_id, row, random) for run_id, row in runs[at : at + many]]

    with Store.create(folder) as store:
        store.set_plan(runs, about(runs))
        for outcomes in stacks():
            store.add(outcomes)
    write_file(folder / "spec.yaml", b"name: large\n")
    write_file(folder / "provenance.json", b"{}\n")


@dataclass(frozen=True)
class Cost:
    """Of a command: seconds until it says that nothing is left to train, and to its end; its CPU's; its memory."""

    start: float
    seconds: float
    cpu: float
    gibibytes: float
    code: int

    def __str__(self) -> str:
        started = f" ({self.start:.1f} s to its start)" if self.start else ""
        return f"{self.seconds:6.1f} s{started}, {self.cpu:6.1f} s of CPU, {self.gibibytes:.2f} GiB, exit {self.code}"


def measured(arguments: Sequence[str]) -> Cost:
    """What a command of lrsweep costs; the memory and CPU of its workers are not in it."""
    begun, started = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, "-m", "lrsweep", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        started = started or (time.perf_counter() - begun if "to train" in line else 0.0)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(started, time.perf_counter() - begun, cpu, usage.ru_maxrss * unit / 2**30, process.returncode)


def size(folder: Path) -> float:
    """Megabytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir()) / 1e6


def run_sweeps(counts: Sequence[int], epochs: int, results: Path) -> None:
    """Plans, runs and runs again sweeps of so many runs: of a linear model on iris, half of the runs at a time."""
    for count in counts:
        name = f"runs-{count}"
        path, rates = results / f"{name}.yaml", max(2, min(1000, count // 10))
        path.write_text(
            f"name: {name}\ndataset: iris\nwidth: 4\ndepth: 0\noptimizer: sgd\nbatch_size: full\nepochs: {epochs}\n"
            f"learning_rate: {{log: [1e-4, 1], num: {rates}}}\nseeds: {count // rates}\n"
        )
        shared = [str(path), "--results", str(results), "--max-runs", str(count)]
        print(f"{count:,} runs of {epochs:,} epochs", flush=True)
        for what in ("plan", "run", "run"):
            found = measured([what, *shared])
            each = f", {1000 * (found.seconds - found.start) / count:.2f} ms a run" if found.start else ""
            print(f"  {what:<5} {found}{each}", flush=True)
        print(f"  on disk {size(results / name):,.0f} MB", flush=True)


def report_made_up(runs: Planned, results: Path) -> None:
    """Reports a results folder of made-up runs, which is made if it is not there."""
    folder = results / "large"
    if not folder.exists():
        make(folder, runs)
    print(f"{len(runs):,} runs of {runs[0][1]['epochs']:,} epochs: {size(folder):,.0f} MB", flush=True)
    report = ["report", "large", "--results", str(results), "--quiet"]
    for options in [[], ["--json"], ["--all"]] + ([["--html"]] if importlib.util.find_spec("plotly") else []):
        print(f"  {' '.join(['report', *options]):<14} {measured([*report, *options])}", flush=True)
    if (folder / "report.html").exists():
        print(f"  report.html {(folder / 'report.html').stat().st_size / 1e6:.1f} MB")


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name, default in (("settings", 10), ("rates", 20), ("seeds", 500), ("epochs", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--sweeps", type=int, nargs="+", help="run sweeps of so many runs instead")
    parser.add_argument("--keep", type=Path, help="make the results here and keep them; there already: use them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        results = given.keep or Path(made)
        results.mkdir(parents=True, exist_ok=True)
        if given.sweeps:
            run_sweeps(given.sweeps, given.epochs or 2, results)
        else:
            report_made_up(planned(given.settings, given.rates, given.seeds, given.epochs or 20), results)


if __name__ == "__main__":
    main()
