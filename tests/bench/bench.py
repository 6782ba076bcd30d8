"""`make bench`: the same sweep by lrsweep and by scikit-learn, on this machine, one right after the other.

400 runs (20 rates, 20 seeds, digits, one hidden layer, momentum, batch 32, 20 epochs, float32) on two processes with
one BLAS thread each. lrsweep is timed from start to exit, files included; scikit-learn from the first fit to the last,
once with `fit` alone, which measures nothing but the training loss, and once with the validation loss and accuracy of
every epoch, which lrsweep records as well. Figures are milliseconds per run; what counts are their ratios.
"""

from __future__ import annotations

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", OMP_NUM_THREADS="1")  # before NumPy is imported

import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

import numpy as np

from lrsweep import datasets
from lrsweep.plan import make_plan
from lrsweep.spec import load_spec
from lrsweep.vocabulary import Data

WIDTHS = (16, 64, 256)
EPOCHS, BATCH, WORKERS = 20, 32, 2
RATES = np.geomspace(1e-4, 0.3, 20)
SEEDS = range(20)
SPEC = f"""\
dataset: digits
width: WIDTH
optimizer: momentum
learning_rate: {[float(f"{rate:.6g}") for rate in RATES]}
batch_size: {BATCH}
epochs: {EPOCHS}
seeds: {len(SEEDS)}
"""


def lrsweep_seconds(folder: Path, width: int) -> float:
    """The command from start to exit."""
    spec = folder / f"width-{width}.yaml"
    spec.write_text(SPEC.replace("WIDTH", str(width)))
    command = [
        sys.executable,
        "-m",
        "lrsweep",
        "run",
        str(spec),
        "--results",
        str(folder),
        "--workers",
        str(WORKERS),
        "--fresh",
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def the_data(folder: Path) -> Data:
    """The rows that lrsweep trains on, scaled as it scales them."""
    [first, *_] = make_plan(load_spec(folder / f"width-{WIDTHS[0]}.yaml")).runs
    return datasets.prepare(first.data, first.run)


def fit(job: tuple[Data, int, float, int, bool]) -> None:
    """One run by scikit-learn, with the validation loss and accuracy of every epoch if `measured`."""
    from sklearn.neural_network import MLPClassifier

    data, width, rate, seed, measured = job
    network = MLPClassifier(
        hidden_layer_sizes=(width,),
        solver="sgd",
        momentum=0.9,
        nesterovs_momentum=False,
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=rate,
        max_iter=EPOCHS,
        n_iter_no_change=10 * EPOCHS,
        tol=0.0,
        random_state=seed,
    )
    with warnings.catch_warnings():  # it warns that 20 epochs are few, and of overflows where it diverges
        warnings.simplefilter("ignore")
        try:
            if not measured:
                network.fit(data.x_train, data.y_train)
            for _ in range(EPOCHS if measured else 0):
                network.partial_fit(data.x_train, data.y_train, classes=np.arange(data.n_outputs))
                probabilities = network.predict_proba(data.x_val)
                -np.log(probabilities[np.arange(len(data.y_val)), data.y_val] + 1e-30).mean()
                (probabilities.argmax(axis=1) == data.y_val).mean()
        except ValueError as error:  # how it says that it diverged
            if "non-finite" not in str(error):
                raise


def scikit_learn_seconds(data: Data, width: int, measured: bool) -> float:
    """All fits in two processes that have scikit-learn imported already."""
    with ProcessPoolExecutor(WORKERS) as pool:
        list(pool.map(fit, [(data, 2, 1e-3, seed, measured) for seed in range(2 * WORKERS)]))
        jobs = [(data, width, float(rate), seed, measured) for rate, seed in product(RATES, SEEDS)]
        start = time.perf_counter()
        list(pool.map(fit, jobs, chunksize=5))
        return time.perf_counter() - start


def main() -> None:
    """Prints the table."""
    runs = len(RATES) * len(SEEDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lrsweep_seconds(folder, WIDTHS[0])  # the first use of the dataset fills the cache
        print("width   lrsweep   scikit-learn fit   ratio   with validation   ratio   (ms per run)")
        for width in WIDTHS:
            ours = lrsweep_seconds(folder, width) / runs * 1e3
            fitted, measured = (
                scikit_learn_seconds(the_data(folder), width, how) / runs * 1e3 for how in (False, True)
            )
            beside = f"{fitted:16.1f}   {fitted / ours:5.1f}   {measured:15.1f}   {measured / ours:5.1f}"
            print(f"{width:5}   {ours:7.2f}   {beside}", flush=True)


if __name__ == "__main__":
    main()
