"""Scores agree with scikit-learn's, for every run of a stack."""

from __future__ import annotations

import numpy as np
import pytest
from engine_cases import RUN, data_for, train_fully, variants
from sklearn import metrics

from lrsweep.engine import evaluate, model
from lrsweep.engine.evaluate import CHUNK, Rows, measure

CLASSES = 5


@pytest.fixture
def guesses() -> tuple[np.ndarray, np.ndarray]:
    """Targets (N,) and the predictions (R, N) of runs that are random, right, wrong, and stuck on a class."""
    random = np.random.default_rng(0)
    targets = random.integers(0, CLASSES, 70)
    return targets, np.stack([random.integers(0, CLASSES, 70), targets, (targets + 1) % CLASSES, np.full(70, 2)])


@pytest.mark.parametrize("absent", [None, 0, 3, CLASSES - 1])
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
def test_macro_f1_and_balanced_accuracy(guesses, absent):
    """Also where a class is not among the targets: predicted by some runs, and then by none."""
    targets, predicted = guesses
    if absent is not None:
        targets = np.where(targets == absent, (absent + 2) % CLASSES, targets)
        predicted = np.vstack([predicted, targets])
    f1, balanced = evaluate.macro_f1_and_balanced_accuracy(predicted, targets, CLASSES)
    for r, row in enumerate(predicted):
        assert f1[r] == pytest.approx(metrics.f1_score(targets, row, average="macro", zero_division=0), rel=1e-12)
        assert balanced[r] == pytest.approx(metrics.balanced_accuracy_score(targets, row), rel=1e-12)


def test_accuracy(guesses):
    targets, predicted = guesses
    expected = [metrics.accuracy_score(targets, row) for row in predicted]
    np.testing.assert_allclose(evaluate.accuracy(predicted, targets), expected, rtol=1e-12)


@pytest.mark.parametrize("n_rows", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_measured_loss_and_predictions(task, n_rows):
    """Cross-entropy, squared error and predictions over rows that do and do not fill their chunks."""
    random = np.random.default_rng(n_rows)
    units = (4, 3, CLASSES if task == "classification" else 1)
    x = random.standard_normal((n_rows, 4))
    y = random.integers(0, CLASSES, n_rows) if task == "classification" else random.standard_normal(n_rows)
    params = random.standard_normal((2, model.n_parameters(units)))
    weights = model.layers(params, units)
    loss, predicted = measure(
        Rows.of(x, y), weights, lambda rows: model.Network(units, "tanh", task, 2, np.float64, rows), task
    )
    assert loss.dtype == np.float64
    for r in range(2):
        hidden, out = (layer[r] for layer in weights)
        outputs = np.tanh(x @ hidden[:, :-1].T + hidden[:, -1]) @ out[:, :-1].T + out[:, -1]
        if task == "classification":
            shares = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
            expected = metrics.log_loss(y, shares, labels=range(CLASSES))
            np.testing.assert_array_equal(predicted[r], outputs.argmax(axis=1))
        else:
            expected = metrics.mean_squared_error(y, outputs[:, 0])
            np.testing.assert_allclose(predicted[r], outputs[:, 0], rtol=1e-12)
        assert loss[r] == pytest.approx(expected, rel=1e-12)


def test_r2():
    random = np.random.default_rng(0)
    targets = random.standard_normal(40)
    predicted = targets + np.array([[0.1], [2.0], [0.0]]) * random.standard_normal((3, 40))
    errors = ((predicted - targets) ** 2).mean(axis=1)
    expected = [metrics.r2_score(targets, row) for row in predicted]
    np.testing.assert_allclose(evaluate.r2(errors, targets), expected, rtol=1e-12)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_trained_runs_metrics_are_those_of_its_parameters(task):
    """Each column of runs.csv is measured on the part of the data that it names, after the last step."""
    runs = variants(RUN, task=[task] * 2, depth=(0, 0), learning_rate=(0.02, 0.05))
    data = data_for(runs[0])
    parts = {"train": (data.x_train, data.y_train), "val": (data.x_val, data.y_val), "test": (data.x_test, data.y_test)}
    for outcome, params in train_fully(runs, data):
        (layer,) = model.layers(params[None], (5, data.n_outputs))
        for part, (x, y) in parts.items():
            outputs = x @ layer[0, :, :-1].T + layer[0, :, -1]
            expected = {f"{part}_loss": metrics.mean_squared_error(y, outputs[:, 0])} if task == "regression" else {}
            if task == "regression":
                expected[f"{part}_r2"] = metrics.r2_score(y, outputs[:, 0])
            else:
                guess = outputs.argmax(axis=1)
                expected[f"{part}_accuracy"] = metrics.accuracy_score(y, guess)
                if part == "val":
                    expected["val_macro_f1"] = metrics.f1_score(y, guess, average="macro")
                    expected["val_balanced_accuracy"] = metrics.balanced_accuracy_score(y, guess)
            assert {name: outcome.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-10)
