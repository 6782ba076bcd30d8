"""Records a results folder of the present format, for the tests to read for ever: `python record.py`.

It has runs of every status, stale ones, a sample and its elimination. A format that is recorded is never recorded anew,
since no code but that of its day writes it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in every process of lrsweep; read when NumPy is imported

from lrsweep import sweep
from lrsweep.execute import training
from lrsweep.vocabulary import FORMAT, Data, Outcome, Stack

HERE = Path(__file__).parent
BEFORE = ["learning_rate=[0.3, 1e30]", "elimination=null", "optimizer=sgd"]
"""What is trained first, and in full: some of it is stale then, and some diverged."""


def made_to_fail(stack: Stack, data: Data, *rest: object) -> Sequence[Outcome]:
    """Trains, but for one run."""
    for run in stack.runs:
        if (run.optimizer.name, run.learning_rate, run.seed, run.subset) == ("adam", 0.1, 1, 1.0):
            raise FloatingPointError("made to fail, for the record")
    return train(stack, data, *rest)


if __name__ == "__main__":
    os.chdir(HERE)  # so that no path of this machine is recorded
    folder = Path(f"format-{FORMAT}")
    if folder.exists():
        raise SystemExit(f"{folder} is recorded already")
    train, training.train = training.train, made_to_fail
    sweep.run("golden.yaml", results=folder, workers=0, overrides=BEFORE)
    result = sweep.run("golden.yaml", results=folder, workers=0)
    for path in [*folder.rglob(".lock")]:
        path.unlink()
    for inner in [*result.folder.iterdir()]:
        shutil.move(inner, folder)
    result.folder.rmdir()
    print(result.answer.counts, sum(path.stat().st_size for path in folder.rglob("*.*")) // 1000, "kB")
