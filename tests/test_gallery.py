"""scikit-learn's published gallery of MLPs on digits, trained by the engine and by MLPClassifier.

The example "Compare stochastic learning strategies for MLPClassifier": all 1797 rows with pixels scaled to 0..1, a
hidden layer of 100 rectifiers, batches of 200, 15 epochs, alpha 1e-4, at its rates.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from engine_cases import RUN, optimizer, train_fully, variants
from scipy.stats import mannwhitneyu
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler

from lrsweep.engine import model
from lrsweep.engine.group import Group
from lrsweep.vocabulary import Array, Choice, Data, Run

pytestmark = pytest.mark.filterwarnings("ignore:.*Maximum iterations")  # fifteen epochs, as published

SEEDS, EPOCHS, BATCH, ALPHA, UNITS = 10, 15, 200, 1e-4, (64, 100, 10)

DECAY = ALPHA / BATCH
"""MLPClassifier adds alpha·w to a batch's summed gradient and divides by its rows, which are 197 in the last batch."""

CASES: dict[str, tuple[float, Choice, dict[str, Any]]] = {
    "sgd": (0.2, optimizer("sgd", weight_decay=DECAY), {"solver": "sgd", "momentum": 0}),
    "momentum": (
        0.2,
        optimizer("momentum", weight_decay=DECAY),
        {"solver": "sgd", "momentum": 0.9, "nesterovs_momentum": False},
    ),
    "adam": (0.01, optimizer("adam", weight_decay=DECAY), {"solver": "adam"}),
}
"""Rate, and what both are told of the rule."""


@functools.cache
def digits() -> Data:
    x, y = load_digits(return_X_y=True)
    x = MinMaxScaler().fit_transform(x)
    return Data(x, y, x[:BATCH], y[:BATCH], x[:0], y[:0], "classification", 10)


def the_run(case: str) -> Run:
    rate, rule, _ = CASES[case]
    return replace(RUN, width=100, optimizer=rule, learning_rate=rate, batch_size=BATCH, epochs=EPOCHS)


def classifier(case: str, seed: int, **changes: Any) -> MLPClassifier:
    rate, _, told = CASES[case]
    settings = {"learning_rate_init": rate, "max_iter": EPOCHS, "random_state": seed, "alpha": ALPHA, **told, **changes}
    return MLPClassifier(**settings)  # 100 hidden units and batches of 200 are its defaults


def glorot(units: tuple[int, ...], activation: str, seed: int, key: int = model.WEIGHTS) -> Array:
    """Parameters (P,) with MLPClassifier's initial distribution: uniform within √(6 / (in + out)), biases as well."""
    flat, random = np.zeros((1, model.n_parameters(units))), model.stream(seed, key)
    for layer in model.layers(flat, units):
        bound = np.sqrt(6 / (layer.shape[1] + layer.shape[2] - 1))
        layer[...] = random.uniform(-bound, bound, layer.shape)
    return flat[0]


def our_losses(case: str) -> Array:
    """Each seed's mean training loss over the last epoch, and the penalty that MLPClassifier counts in its own."""
    trained = train_fully(variants(the_run(case), seed=range(SEEDS)), digits())
    losses = []
    for outcome, params in trained:
        assert params is not None
        squares = sum(float((layer[..., :-1] ** 2).sum()) for layer in model.layers(params[None], UNITS))
        losses.append(outcome.curve[-1, 3] + DECAY / 2 * squares)
    return np.array(losses)


@functools.cache
def their_losses(case: str) -> Array:
    x, y = digits().x_train, digits().y_train
    fitted = [classifier(case, seed).fit(x, y) for seed in range(SEEDS)]
    assert [one.n_iter_ for one in fitted] == [EPOCHS] * SEEDS
    return np.array([one.loss_ for one in fitted])


def overlap(ours: Array, theirs: Array) -> bool:
    """Whether each range of losses holds the median of the other."""
    inside = [a.min() < np.median(b) < a.max() for a, b in ((ours, theirs), (theirs, ours))]
    return all(inside)


@pytest.mark.parametrize("case", CASES)
def test_the_gallerys_losses_from_its_own_initial_distribution(case, monkeypatch):
    """Seeds draw other numbers here and there, so the ten final losses are compared as samples of a distribution.

    Mann and Whitney's test does not tell them apart at 1% (over 60 seeds p was 0.80, 0.88 and 0.85, and the means
    agreed within 0.3%), each range holds the other's median, and the means of ten agree within 15%: the spread over
    seeds is 2% for sgd, 8% for the others. What differs still: the engine decays biases too, by 5·10⁻⁷ of themselves.
    """
    monkeypatch.setattr(model, "initial", glorot)
    ours, theirs = our_losses(case), their_losses(case)
    assert mannwhitneyu(ours, theirs).pvalue > 0.01
    assert overlap(ours, theirs)
    assert ours.mean() / theirs.mean() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("case", CASES)
def test_the_gallerys_losses_from_our_initial_distribution(case):
    """He et al.'s first weights are wider than Glorot's and lead a little further down in fifteen epochs.

    By 3% for sgd, 11% for momentum and 8% for adam, over 60 seeds, at which Mann and Whitney's test tells them apart
    (p < 0.001). So here the claim is only that the ranges of ten seeds overlap, and the means agree within 20%.
    """
    ours, theirs = our_losses(case), their_losses(case)
    assert ours.min() < theirs.max()
    assert theirs.min() < ours.max()
    assert ours.mean() / theirs.mean() == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("case", "limit"), [("sgd", 1e-9), ("momentum", 1e-9), ("adam", 1e-3)])
def test_from_the_same_weights_over_the_same_batches_the_losses_are_the_same(case, limit):
    """Three epochs with no luck left, and without decay, which differs for biases.

    Adam's eps is not corrected for the bias of the average there, which counts for pixels that are hardly ever lit.
    """
    run = replace(the_run(case), optimizer=optimizer(case))
    data = digits()
    group = Group([run], data)
    theirs = classifier(case, seed=0, alpha=0.0)
    theirs.partial_fit(data.x_train[:BATCH], data.y_train[:BATCH], classes=range(10))  # makes its arrays
    for weights, biases, layer in zip(theirs.coefs_, theirs.intercepts_, group.weights, strict=True):
        weights[...], biases[...] = layer[0, :, :-1].T, layer[0, :, -1]
    for moved in ("velocities", "ms", "vs"):
        for array in getattr(theirs._optimizer, moved, []):
            array[...] = 0
    theirs._optimizer.t = 0
    for step in range(3 * group.steps):
        if step % group.steps == 0:
            order = group.draw_order()
        start = step % group.steps * BATCH
        rows = order[:, start : start + BATCH]
        loss = group.gradient(rows).mean()
        group.update(step)
        theirs.partial_fit(data.x_train[rows[0]], data.y_train[rows[0]])
        assert theirs.loss_ == pytest.approx(loss, rel=limit)
    assert loss < np.log(10) / 2, "they have hardly learnt anything"
