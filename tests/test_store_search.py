"""What a search stores beside its runs: decisions, and what it does with runs that were stopped."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lrsweep.store import Store
from lrsweep.vocabulary import CURVE_COLUMNS, STOPPED, Array, Outcome, StoreError

PLAN = [(f"r{i}", {"width": 16, "learning_rate": 10.0**-i}) for i in range(4)]
DECISIONS = [
    {"width": 16, "learning_rate": 1.0, "value": math.inf, "margin": None, "kept": False, "reason": "=lost"},
    {"width": 16, "learning_rate": 0.1, "value": 0.1, "margin": 1.0, "kept": True, "reason": ""},
]


def curve(epochs: int) -> Array:
    """A curve of so many epochs."""
    return np.arange(float((epochs + 1) * len(CURVE_COLUMNS))).reshape(epochs + 1, -1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A sweep of four runs, one finished and one stopped, with an answer."""
    with Store.create(tmp_path / "sweep") as store:
        store.set_plan(PLAN, {"task": "classification"})
        finished = Outcome("r0", "finished", "", {"val_loss": 0.5, "examples_seen": 30}, curve(3))
        store.add([finished, Outcome("r1", STOPPED, "rung 1", {"val_loss": 0.9, "examples_seen": 10}, curve(1))])
        store.write_answer({"learning_rate": [1.0]}, {})
        yield store


def answered(store: Store) -> bool:
    """Whether the answer is there."""
    return (store.folder / "ranking.csv").exists()


def test_decisions_are_a_file_as_long_as_there_are_any(store: Store) -> None:
    path = store.folder / "elimination.csv"
    store.write_views()
    assert (store.decisions(), path.exists()) == (None, False)
    store.set_decisions(DECISIONS)
    store.write_views()
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert [first[key] for key in ("value", "margin", "kept", "reason")] == ["inf", "", "false", "'=lost"]
    assert [second[key] for key in ("value", "margin", "kept", "reason")] == ["0.1", "1.0", "true", ""]
    store.set_decisions([])
    store.write_views()
    assert not path.exists()


def test_decisions_are_read_as_they_were_told(store: Store) -> None:
    store.set_decisions(DECISIONS)
    frame = store.decisions()
    assert frame is not None
    assert frame["value"].tolist() == [math.inf, 0.1]
    assert frame["kept"].tolist() == [False, True]


def test_an_answer_stays_while_decisions_do(store: Store) -> None:
    store.set_decisions([])
    assert answered(store)
    store.set_decisions(DECISIONS)
    assert not answered(store)
    store.write_answer({"learning_rate": [1.0]}, {})
    store.set_decisions([dict(row) for row in DECISIONS])
    assert answered(store)


def test_decisions_that_are_no_json_are_told_as_damage(store: Store) -> None:
    store.set_decisions(DECISIONS)
    store._database.execute("UPDATE meta SET value = '[{' WHERE key = 'decisions'")
    with pytest.raises(StoreError, match="damaged"):
        store.decisions()


def test_a_curve_is_read_as_it_was_stored(store: Store) -> None:
    assert np.array_equal(store.curve("r1"), curve(1))


def test_stopped_runs_have_their_reasons(store: Store) -> None:
    assert store.reasons() == {"r1": "rung 1"}
    store.reword({"r1": "rung 2"})
    assert (store.reasons(), answered(store)) == ({"r1": "rung 2"}, False)
    with Store.open(store.folder):  # its checksum is that of the new reason
        pass
    assert np.array_equal(store.curve("r1"), curve(1))


def test_a_forgotten_run_is_new(store: Store) -> None:
    store.forget(["r1"])
    assert (store.statuses(), store.counts()["new"], answered(store)) == ({"r0": "finished"}, 3, False)


def test_examples_are_those_of_the_plan(store: Store) -> None:
    assert store.examples() == 40
    store.set_plan(PLAN[:1], {})
    assert store.examples() == 30


def test_runs_of_another_plan_are_as_if_it_were_the_plan(store: Store) -> None:
    frame = store.runs_of([("r1", {"width": 16}), ("r3", {"width": 32}), ("r0", {"width": 8})], {})
    assert frame["run_id"].tolist() == ["r1", "r0"]
    assert frame["width"].tolist() == [16, 8]
    assert frame["val_loss"].tolist() == [0.9, 0.5]


def test_runs_may_have_other_rows_in_their_place(store: Store) -> None:
    frame = store.runs_of(PLAN, {"r0": (STOPPED, "rung 1", {"epochs_done": 1})})
    assert frame["status"].tolist() == [STOPPED, STOPPED]
    assert frame["epochs_done"].tolist()[0] == 1
    assert math.isnan(frame["val_loss"].tolist()[0])
    assert store.runs()["status"].tolist() == ["finished", STOPPED]
