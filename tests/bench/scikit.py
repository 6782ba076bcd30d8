"""scikit-learn's MLPClassifier, one run after the other."""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from case import CHECKED, FEW_RATES, RATES, Case, Measured

from lrsweep.vocabulary import Data

WAYS = ("fit alone", "validated")


def milliseconds(case: Case, data: Data, seeds: Sequence[int]) -> Measured:
    """Of `fit` alone, which measures nothing but the training loss, and with a validation after every epoch."""
    jobs, accuracies = list(product(FEW_RATES, seeds)), []
    with forgiving():
        network(case, 1e-3, 0).fit(data.x_train[:99], data.y_train[:99])  # imports, and warms up
    start = time.perf_counter()
    for rate, seed in jobs:
        with forgiving():
            network(case, rate, seed).fit(data.x_train, data.y_train)
    middle = time.perf_counter()
    for rate, seed in jobs:
        with forgiving():
            accuracy = fit_and_validate(network(case, rate, seed), case, data)
            accuracies += [accuracy] if rate == RATES[CHECKED] else []
    seconds = (middle - start, time.perf_counter() - middle)
    return {way: 1e3 * taken / len(jobs) for way, taken in zip(WAYS, seconds, strict=True)}, float(np.mean(accuracies))


def network(case: Case, rate: float, seed: int) -> Any:
    """An MLPClassifier that trains as the case says, and never stops early."""
    from sklearn.neural_network import MLPClassifier

    adam = case.optimizer == "adam"
    return MLPClassifier(
        hidden_layer_sizes=(case.width,) * case.depth,
        solver="adam" if adam else "sgd",
        **({} if adam else {"momentum": 0.9, "nesterovs_momentum": False}),
        alpha=0.0,
        batch_size=case.batch,
        learning_rate_init=rate,
        max_iter=case.epochs,
        n_iter_no_change=10 * case.epochs,
        tol=0.0,
        random_state=seed,
    )


def fit_and_validate(model: Any, case: Case, data: Data) -> float:
    """Trains with the validation loss and accuracy of every epoch, and returns the last accuracy."""
    accuracy = 0.0
    for _ in range(case.epochs):
        model.partial_fit(data.x_train, data.y_train, classes=np.arange(data.n_outputs))
        probabilities = model.predict_proba(data.x_val)
        -np.log(probabilities[np.arange(len(data.y_val)), data.y_val] + 1e-30).mean()
        accuracy = float((probabilities.argmax(axis=1) == data.y_val).mean())
    return accuracy


@contextlib.contextmanager
def forgiving() -> Iterator[None]:
    """Lets a run diverge, and hears no warning that 20 epochs are few."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ValueError as error:  # how it says that it diverged
            if "non-finite" not in str(error):
                raise
