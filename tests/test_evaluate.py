"""Scores agree with scikit-learn's, for every run of a stack."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import reference
from engine_cases import RUN, data_for, optimizer, peak, stack_of, train_fully, variants
from sklearn import metrics

from lrsweep.engine import evaluate, model
from lrsweep.engine.evaluate import CHUNK, Rows, measure
from lrsweep.engine.group import Group
from lrsweep.engine.train import train
from lrsweep.vocabulary import Growth

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
    design = model.Design(units, "tanh", task, np.float64)
    loss, predicted = measure(Rows.of(x, y), weights, lambda rows: model.Network(design, 2, rows), task)
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


# --- Noise.


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("name", ["momentum", "schedule_free"])
def test_noisy_scores_are_the_references(name, task):
    """Of the trained parameters, grown or not, in columns that name the deviation; and a clean run has none."""
    run = replace(RUN, optimizer=optimizer(name), learning_rate=peak(name), task=task, noise=(0.3, 1.0, 25.0, 1e-3))
    data, score = data_for(run), "r2" if task == "regression" else "accuracy"
    for growth in (None, Growth(1, 9)):
        runs = variants(replace(run, growth=growth), seed=(0, 1, 0), learning_rate=(0.1, 0.1, 0.01))
        for one, (outcome, params) in zip(runs, train_fully(runs, data), strict=True):
            noisy = {key: value for key, value in outcome.metrics.items() if "noisy" in key}
            assert [*noisy] == [f"noisy_{score}@{deviation}" for deviation in ("0.3", "1", "25", "0.001")]
            wanted = [reference.noisy_score(one, data, params, deviation) for deviation in one.noise]
            np.testing.assert_allclose([*noisy.values()], wanted, rtol=1e-9)
    (clean,) = train(stack_of([replace(run, noise=())]), data)
    assert not [name for name in clean.metrics if "noisy" in name]


def test_noise_is_a_seeds_own_and_the_same_for_all_else():
    """Whatever the rate, the rule, the deviation, the neighbours and the network."""

    def noise(run, r=0, runs=None):
        data = data_for(run)
        group = Group(runs or [run], data)
        drawn = []
        for deviation, rows in zip(run.noise, group.noisy(), strict=True):
            x = np.concatenate(list(rows.chunks), axis=2)[:, :-1].transpose(0, 2, 1)
            shared = np.repeat(x, len(group.runs) // len(x), axis=0)
            drawn.append((shared[r] - data.x_val) / deviation)
        return drawn

    run = replace(RUN, noise=(0.5, 2.0), seed=3)
    first, second = noise(run)
    np.testing.assert_allclose(first, second, atol=1e-14)
    assert first.std() == pytest.approx(1, abs=0.15)
    others = replace(run, learning_rate=1.0), replace(run, optimizer=optimizer("lion")), replace(run, depth=0, width=3)
    for other in others:
        np.testing.assert_array_equal(noise(other)[0], first)
    mixed = variants(run, seed=(0, 0, 3, 3))
    for r in (2, 3):
        np.testing.assert_array_equal(noise(run, r, mixed)[0], first)
    assert (noise(run, 0, mixed)[0] != first).all()


def test_a_deviation_near_zero_is_no_noise():
    run = replace(RUN, noise=(0.0, 1e-12), epochs=5)
    for one in train(stack_of(variants(run, seed=(0, 1))), data_for(run)):
        clean = one.metrics["val_accuracy"]
        assert (one.metrics["noisy_accuracy@0"], one.metrics["noisy_accuracy@1e-12"]) == (clean, clean)


def test_much_noise_costs_what_was_learnt():
    """Over twenty seeds; with inputs drowned in it, the accuracy is that of a guess."""
    run = replace(RUN, noise=(0.1, 3.0, 100.0), epochs=20)
    outcomes = train(stack_of(variants(run, seed=range(20))), data_for(run))
    means = [np.mean([one.metrics[f"noisy_accuracy@{s}"] for one in outcomes]) for s in ("0.1", "3", "100")]
    clean = np.mean([one.metrics["val_accuracy"] for one in outcomes])
    assert abs(means[0] - clean) < 0.05
    assert means[0] > means[1] + 0.1 > means[2]


def test_a_diverged_run_has_no_noisy_score():
    (lost,) = train(stack_of([replace(RUN, noise=(0.5,), learning_rate=1e300)]), data_for(RUN))
    assert math.isnan(lost.metrics["noisy_accuracy@0.5"])
