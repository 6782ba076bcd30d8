"""From a spec to its runs, their identities, and the stacks that they are trained in."""

import dataclasses
import hashlib
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lrsweep import datasets
from lrsweep.plan import STACK_BYTES, Plan, PlannedRun, estimate, identity, make_plan, make_stacks, run_bytes, shape
from lrsweep.spec import load_spec
from lrsweep.vocabulary import NUMERICS, Choice, DataError, LrsweepError, Run, Source, Stack, UsageError

RUN = Run(
    dataset=Source("name", "digits"),
    task="classification",
    subset=1.0,
    validation=0.2,
    test=0.2,
    split_seed=0,
    standardize=True,
    width=64,
    depth=1,
    activation="relu",
    optimizer=Choice("momentum", (("momentum", 0.9), ("weight_decay", 0.0))),
    learning_rate=0.1,
    schedule=Choice("constant", (("warmup", 0),)),
    batch_size=32,
    epochs=20,
    clip_norm=None,
    precision="float32",
    seed=0,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LRSWEEP_CACHE", str(tmp_path / "cache"))


def planned(folder: Path, text: str = "", *overrides: str, task: str = "classification", name: str = "s.yaml") -> Plan:
    """The plan of a sweep over 100 rows of 5 made features, 60 of them to train on."""
    folder.mkdir(exist_ok=True)
    rows = np.arange(500.0).reshape(100, 5)
    np.savez(folder / "d.npz", x=rows, y=rows[:, 0] / 7 if task == "regression" else np.arange(100) % 3)
    path = folder / name
    path.write_text(f"dataset: {{file: d.npz}}\n{text}\n" + ("" if "learning_rate" in text else "learning_rate: 0.1\n"))
    return make_plan(load_spec(path, overrides))


def ids(plan: Plan) -> list[str]:
    return [one.run_id for one in plan.runs]


def prepared(plan: Plan) -> Any:
    return lambda stack: datasets.prepare(plan.runs[0].data, stack.runs[0])


# --- Order and duplicates


def test_the_order_of_the_runs_is_that_of_the_file(tmp_path: Path) -> None:
    text = "blocks: [{width: [16, 8]}, {width: 4, seeds: [7]}]\nlearning_rate: [1, 0.1]\nseeds: 2"
    runs = [one.run for one in planned(tmp_path, text).runs]
    first = [(width, rate, seed) for width in (16, 8) for rate in (1.0, 0.1) for seed in (0, 1)]
    assert [(run.width, run.learning_rate, run.seed) for run in runs] == [*first, (4, 1.0, 7), (4, 0.1, 7)]


def test_duplicate_runs_collapse_to_the_first(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: [8, 4, 8]\nseeds: [1, 1, 0]\nblocks: [{}, {width: 4}]")
    assert [(one.run.width, one.run.seed) for one in plan.runs] == [(8, 1), (8, 0), (4, 1), (4, 0)]
    assert plan.duplicates == 12 - 4
    assert len(set(ids(plan))) == 4


def test_columns_bear_the_settings_that_the_file_names(tmp_path: Path) -> None:
    plan = planned(tmp_path, "optimizer: [sgd, {name: momentum, momentum: [0.5, 0.9]}]\nseeds: 1")
    rows = [row for _, row in plan.columns()]
    assert [(row["optimizer"], row["optimizer.momentum"]) for row in rows] == [
        ("sgd", None),
        ("momentum", 0.5),
        ("momentum", 0.9),
    ]
    assert list(rows[0])[-2:] == ["learning_rate", "seed"]
    assert "optimizer.weight_decay" not in rows[0]
    assert plan.axes() == {
        "optimizer": ["sgd", "momentum"],
        "optimizer.momentum": [None, 0.5, 0.9],
        "learning_rate": [0.1],
        "seed": [0],
    }


# --- Identity


def test_identity_is_frozen() -> None:
    """The text is written out, so that no change of ours can move it unnoticed; if it must change, say so to users."""
    text = (
        '{"activation": "relu", "batch_size": 32, "clip_norm": null, "data": "0123456789abcdef", "depth": 1, '
        '"epochs": 20, "learning_rate": 0.1, "numerics": 1, "optimizer": {"momentum": 0.9, "name": "momentum", '
        '"weight_decay": 0.0}, "precision": "float32", "schedule": {"name": "constant", "warmup": 0}, "seed": 0, '
        '"split_seed": 0, "standardize": true, "subset": 1.0, "task": "classification", "test": 0.2, '
        '"validation": 0.2, "width": 64}'
    ).replace('"numerics": 1', f'"numerics": {NUMERICS}')
    assert identity(RUN, "0123456789abcdef") == "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def test_the_identity_of_a_run_from_a_file_is_frozen(tmp_path: Path) -> None:
    """Through the door: defaults, grids and the data's fingerprint are part of what must not drift."""
    plan = planned(tmp_path, "width: {doubling: [16, 32]}\nlearning_rate: {log: [1e-3, 0.1], num: 3}\nseeds: 1")
    assert (len(plan.runs), ids(plan)[0], ids(plan)[-1]) == (6, "r4a6925b0429b", "r9be88694f6bd")


CHANGES = {
    "task": "regression",
    "subset": 0.5,
    "validation": 0.3,
    "test": 0.3,
    "split_seed": 1,
    "standardize": False,
    "width": 65,
    "depth": 2,
    "activation": "tanh",
    "optimizer": Choice("momentum", (("momentum", 0.8), ("weight_decay", 0.0))),
    "learning_rate": 0.2,
    "schedule": Choice("constant", (("warmup", 1),)),
    "batch_size": "full",
    "epochs": 21,
    "clip_norm": 1.0,
    "precision": "float64",
    "seed": 1,
}


def test_every_setting_is_part_of_the_identity() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Run)} - {"dataset"}
    changed = [identity(replace(RUN, **{key: value}), "0") for key, value in CHANGES.items()]
    names = [identity(replace(RUN, optimizer=Choice(name)), "0") for name in ("sgd", "adam")]
    assert len({*changed, *names, identity(RUN, "0"), identity(RUN, "1")}) == len(CHANGES) + 4


def test_rows_and_fractions_are_told_apart() -> None:
    ones = [identity(replace(RUN, schedule=Choice("constant", (("warmup", w),))), "0") for w in (1, 0.5, 5)]
    assert len(set(ones)) == 3


def test_identity_does_not_depend_on_places_and_names(tmp_path: Path) -> None:
    runs = ids(planned(tmp_path / "a", "name: first\ndescription: one\nwidth: [8, 16]"))
    assert ids(planned(tmp_path / "b", "name: second\nwidth: 8", "width=8,16", name="other.yaml")) == runs
    assert ids(planned(tmp_path / "c", "blocks: [{width: 8}, {width: 16}]\nobjective: val_accuracy")) == runs
    shutil.copy(tmp_path / "a" / "d.npz", tmp_path / "a" / "copy.npz")
    assert ids(planned(tmp_path / "a", "width: [8, 16]", "dataset={file: copy.npz}")) == runs
    assert all(run_id[0] == "r" and len(run_id) == 13 and int(run_id[1:], 16) >= 0 for run_id in runs)


def test_other_data_make_other_runs(tmp_path: Path) -> None:
    assert not set(ids(planned(tmp_path / "a"))) & set(ids(planned(tmp_path / "b", task="regression")))


# --- Stacks


MIXED = """
width: [8, 64]
depth: [0, 2]
optimizer: [sgd, {name: adam, weight_decay: [0, 0.1, 0.2]}]
learning_rate: {log: [1e-3, 1], num: 7}
schedule: [constant, cosine]
clip_norm: [none, 1]
"""


@pytest.mark.parametrize("stack_bytes", [1, 5_000, 10**9])
@pytest.mark.parametrize("workers", [0, 1, 2, 3, 8])
def test_no_stack_is_empty(tmp_path: Path, workers: int, stack_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lrsweep.plan.STACK_BYTES", stack_bytes)
    runs = planned(tmp_path, "learning_rate: {log: [1e-3, 1], num: 5}\nseeds: 3").runs
    for n in range(1, len(runs) + 1):
        stacks = make_stacks(runs[:n], workers)
        assert all(stack.runs for stack in stacks)
        assert sum(len(stack.runs) for stack in stacks) == n


def test_rates_of_many_steps_keep_stacks_small(tmp_path: Path) -> None:
    plan = planned(
        tmp_path, "width: 2\nbatch_size: 1\nepochs: 100000\nlearning_rate: {log: [1e-3, 1], num: 20}\nseeds: 1"
    )
    assert max(len(stack.runs) for stack in make_stacks(plan.runs, 1)) <= 5


@pytest.mark.parametrize("workers", [0, 1, 2, 7])
def test_stacks_hold_every_run_once_and_share_shapes(tmp_path: Path, workers: int) -> None:
    plan = planned(tmp_path, MIXED)
    stacks = make_stacks(plan.runs, workers)
    by_id = {one.run_id: one for one in plan.runs}
    assert sorted(run_id for stack in stacks for run_id in stack.ids) == sorted(by_id)
    for stack in stacks:
        assert stack.runs == tuple(by_id[run_id].run for run_id in stack.ids)
        assert len({shape(by_id[run_id]) for run_id in stack.ids}) == 1
        same = {(r.width, r.depth, r.optimizer.name, r.batch_size, r.epochs, r.clip_norm is None) for r in stack.runs}
        assert len(same) == 1
        assert len({dict(r.optimizer.settings)["weight_decay"] == 0 for r in stack.runs}) == 1


def test_stacks_keep_to_the_byte_limit_and_not_far_below_it(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 256\ndepth: 2\nlearning_rate: {log: [1e-3, 1], num: 100}\nseeds: 1")
    sizes = [len(stack.runs) * run_bytes(plan.runs[0]) for stack in make_stacks(plan.runs, 1)]
    assert len(sizes) > 1
    assert max(sizes) <= STACK_BYTES < 2 * min(sizes) + run_bytes(plan.runs[0])


def test_a_run_beyond_the_byte_limit_is_a_stack_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 2000\ndepth: 2")
    assert run_bytes(plan.runs[0]) > STACK_BYTES
    assert [len(stack.runs) for stack in make_stacks(plan.runs, 1)] == [1, 1, 1]


def test_one_shape_is_shared_among_the_workers_by_seed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: 8\nlearning_rate: {log: [1e-3, 1], num: 10}\nseeds: 4")
    assert [len(stack.runs) for stack in make_stacks(plan.runs, 4)] == [10, 10, 10, 10]
    assert all(len({run.seed for run in stack.runs}) == 1 for stack in make_stacks(plan.runs, 4))
    assert len(make_stacks(plan.runs, 1)) == 1


def test_the_dearest_stack_comes_first(tmp_path: Path) -> None:
    stacks = make_stacks(planned(tmp_path, "width: [8, 256, 64]\nseeds: 1").runs, 1)
    assert [stack.runs[0].width for stack in stacks] == [256, 64, 8]


def test_no_runs_make_no_stacks() -> None:
    assert make_stacks([], 2) == []


# --- What only data and settings together show


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "schedule: {name: cosine, warmup: 40}",
            r"warmup \(40 steps\) must be shorter than the run \(40 steps\); lower",
        ),
        (
            "schedule: {name: cosine, warmup: 9007199254740992}",
            r"must be shorter than the run \(40 steps\); lower warmup",
        ),
        ("optimizer: {name: adam, beta2: [0.99999999, 0.9]}", r"optimizer.beta2 0.99999999 is 1 in float32; move it"),
        ("schedule: {name: cosine, warmup: 0.9}\nepochs: 1", r"warmup \(2 steps\) must be shorter than the run \(2"),
        ("objective: val_r2", "objective val_r2 does not exist in classification .*; try val_accuracy"),
        (
            "task: regression\nobjective: val_accuracy",
            "objective val_accuracy does not exist in regression .*; try val_r2",
        ),
        (
            "task: regression\nobjective: val_macro_f1",
            "objective val_macro_f1 does not exist in regression .*; try val_r2",
        ),
        ("width: 9007199254740992", "one run of width 9007199254740992, .* needs about .* GB, .*; lower one"),
        ("depth: 9007199254740992", "one run of .* depth 9007199254740992, .* needs about .* GB, .*; lower one"),
        ("epochs: 9007199254740992", "one run of .* epochs 9007199254740992 needs about .* GB, .*; lower one"),
        ("width: 200000\ndepth: 100000\nbatch_size: full", "one run of .* needs about .* GB, .*; lower one"),
        ("subset: 61", "subset 61 is more than the 60 training rows; lower subset"),
        ("validation: 0.001", "validation 0.001 of 100 rows is no row; raise validation"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_allocated(
    tmp_path: Path, text: str, message: str
) -> None:
    start = time.perf_counter()
    with pytest.raises(LrsweepError, match=message) as caught:
        planned(tmp_path, text)
    assert isinstance(caught.value, UsageError | DataError)
    assert caught.value.exit_code == 2
    assert time.perf_counter() - start < 1


def test_a_bad_block_is_found_behind_good_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be shorter"):
        planned(
            tmp_path,
            "blocks: [{epochs: 3}, {schedule: {name: linear, warmup: 39}}, {schedule: {name: linear, warmup: 40}}]",
        )


def test_a_batch_beyond_the_rows_is_the_whole_of_them(tmp_path: Path) -> None:
    huge, full = planned(tmp_path, "batch_size: [9007199254740992, full]\nseeds: 1").runs
    assert run_bytes(huge) == run_bytes(full)
    assert huge.n_train == 60


def test_the_bytes_of_a_run_are_those_that_its_arrays_take(tmp_path: Path) -> None:
    """P = (5 + 1)·8 + (8 + 1)·3 parameters in four arrays; 32 rows of two layers, both ways; 4 bytes each."""
    (one,) = planned(tmp_path, "width: 8\nseeds: 1").runs
    assert run_bytes(one) == 4 * (4 * (6 * 8 + 9 * 3) + 32 * (2 * 9 + 2 * 3))
    linear = PlannedRun("r", replace(one.run, depth=0, precision="float64"), one.data)
    assert run_bytes(linear) == 8 * (4 * 6 * 3 + 32 * 2 * 3)


# --- Estimate


def test_the_estimate_is_positive_and_grows_with_the_work(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: [8, 64]\nepochs: 3")
    stacks = make_stacks(plan.runs, 1)
    one = estimate(stacks, 1, prepared(plan))
    assert (one.seconds > 0.6, one.disk_bytes > 0, one.shapes) == (True, True, 2)
    assert estimate(stacks, 1, prepared(plan)).disk_bytes == one.disk_bytes


def test_many_shapes_are_not_all_timed(tmp_path: Path) -> None:
    plan = planned(tmp_path, "width: {linear: [1, 20], num: 20}\nepochs: 1\nseeds: 1")
    assert estimate(make_stacks(plan.runs, 1), 1, prepared(plan)).shapes == 8


def test_nothing_left_to_train_costs_nothing() -> None:
    stacks: list[Stack] = []
    assert estimate(stacks, 2, None).seconds == 0
