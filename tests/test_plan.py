"""From a spec to its runs, their columns and identities, and what is wrong with them."""

import dataclasses
import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from plan_cases import RUN, ids, planned
from soon import takes_at_most

from lrsweep import datasets
from lrsweep.engine.train import train
from lrsweep.plan import Plan, identity
from lrsweep.plan.planned import SETTINGS
from lrsweep.provenance import about
from lrsweep.vocabulary import NUMERICS, Choice, DataError, Growth, LayerRates, LrsweepError, Run, Stack, UsageError

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


def test_rates_by_layer_that_are_all_one_are_one_setting(tmp_path: Path) -> None:
    plan = planned(tmp_path, "layer_rates: [1, {decay: 1}, {last: 1.0}, {decay: 0.5}]\nseeds: 1")
    assert [one.run.layer_rates for one in plan.runs] == [LayerRates(), LayerRates(decay=0.5)]
    assert plan.duplicates == 2


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


NEW = """
layer_rates: [1, {decay: 0.5}, {first: 0.1}]
growth: [none, {at_epoch: 3, to_width: 128, rate: {scale: 0.5}}]
noise: [0.1, 1]
seeds: 1
"""


def test_mappings_stand_in_their_columns_as_text(tmp_path: Path) -> None:
    plan = planned(tmp_path, NEW)
    row = plan.columns()[-1][1]
    assert row["layer_rates"] == "{first: 0.1, hidden: 1, last: 1}"
    assert row["growth"] == "{at_epoch: 3, to_width: 128, rate: {scale: 0.5}}"
    assert (row["noise"], row["parametrization"], row["base_width"]) == ("0.1 1", "standard", 64)
    assert plan.axes()["layer_rates"] == ["1", "{decay: 0.5}", "{first: 0.1, hidden: 1, last: 1}"]
    assert plan.axes()["growth"] == [None, row["growth"]]
    assert "noise" not in plan.axes()
    assert planned(tmp_path).columns()[0][1]["noise"] is None


def test_what_the_analysis_is_told_is_plain(tmp_path: Path) -> None:
    told = about(planned(tmp_path, NEW))
    assert json.loads(json.dumps(told)) == told
    assert {"parametrization", "base_width", "layer_rates", "growth", "noise"} <= set(told["settings"])


# --- What cannot act


ALIKE = [
    ("schedule: one_cycle\noptimizer: {name: momentum, momentum: [0.8, 0.9], weight_decay: [0, 0.1]}", 2),
    ("schedule: one_cycle\noptimizer: {name: nadam, beta1: [0.8, 0.9]}", 1),
    ("schedule: {name: one_cycle, base_momentum: [0.8, 0.85], max_momentum: [0.9, 0.95]}\noptimizer: [sgd, lion]", 2),
    ("depth: 0\nwidth: [16, 64]\nactivation: [relu, tanh]\nparametrization: [standard, mup]", 1),
    ("depth: 0\nlayer_rates: [1, {decay: 0.5}, {first: 2, hidden: 3}, {last: 0.1}, {first: 2, last: 0.1}]", 2),
    ("layer_rates: [{hidden: 2}, 1, {decay: 0.5}, {first: 0.5}, {last: 0.5}]", 3),
    ("schedule: {name: triangular, end: [0.1, 0.2], mode: [triangular, triangular2]}", 2),
    ("blocks: [{base_width: 32}, {base_width: 16}]", 1),
]
"""Sweeps, and how many of their runs differ in something that acts."""

APART = [
    ("optimizer: {name: momentum, momentum: [0.8, 0.9]}", 2),
    ("schedule: {name: one_cycle, base_momentum: [0.8, 0.85], max_momentum: [0.9, 0.95]}", 4),
    ("schedule: one_cycle\noptimizer: {name: lion, beta1: [0.8, 0.9]}", 2),
    ("parametrization: [standard, mup]", 2),
    ("depth: 2\nlayer_rates: [1, {hidden: 2}, {decay: 2}]", 3),
    ("schedule: {name: triangular, end: [0.1, 0.2], mode: exp_range}", 2),
    ("schedule: {name: cosine, end: [0, 0.1]}", 2),
    ("schedule: {name: plateau, patience: [100, 200]}", 2),
]


def named(plan: Plan) -> list[Run]:
    """Every run that the file names, in order, as it names it."""
    run = plan.runs[0].run
    each = [values for block in plan.spec.blocks for values in block.combinations()]
    return [
        replace(run, **{key: values[key] for key in SETTINGS}, learning_rate=values["learning_rate"]) for values in each
    ]


@pytest.mark.parametrize(("text", "count"), [*ALIKE, *APART])
def test_runs_that_differ_in_nothing_that_acts_are_the_first_of_them(tmp_path: Path, text: str, count: int) -> None:
    """At m = 1 muP has the numbers of the standard parametrization; people compare the two all the same."""
    plan = planned(tmp_path, f"{text}\nseeds: 1")
    assert (len(plan.runs), plan.duplicates) == (count, len(named(plan)) - count)
    firsts: dict[str, Run] = {}
    for run in named(plan):
        firsts.setdefault(identity(run, ""), run)
    assert [one.run for one in plan.runs] == list(firsts.values())


@pytest.mark.parametrize(("text", "count"), ALIKE)
def test_runs_that_differ_in_nothing_that_acts_have_the_same_numbers(tmp_path: Path, text: str, count: int) -> None:
    plan = planned(tmp_path, f"{text}\nseeds: 1\nepochs: 2")
    numbers: dict[str, set[str]] = {}
    for run in named(plan):
        [outcome] = train(Stack((run,), ("r",), ""), datasets.prepare(plan.runs[0].data, run))
        numbers.setdefault(identity(run, ""), set()).add(repr((outcome.metrics, outcome.curve.tolist())))
    assert [len(each) for each in numbers.values()] == [1] * count


# --- Identity


def test_identity_is_frozen() -> None:
    """The text is written out, so that no change of ours can move it unnoticed; if it must change, say so to users."""
    text = (
        '{"activation": "relu", "base_width": null, "batch_size": 32, "clip_norm": null, "data": "0123456789abcdef", '
        '"depth": 1, "epochs": 20, "growth": null, '
        '"layer_rates": {"decay": 1.0, "first": 1.0, "hidden": 1.0, "last": 1.0}, "learning_rate": 0.1, "noise": [], '
        '"numerics": 1, "optimizer": {"momentum": 0.9, "name": "momentum", "weight_decay": 0.0}, '
        '"parametrization": "standard", "precision": "float32", "schedule": {"name": "constant", "warmup": 0}, '
        '"seed": 0, "split_seed": 0, "standardize": true, "subset": 1.0, "task": "classification", "test": 0.2, '
        '"validation": 0.2, "width": 64}'
    ).replace('"numerics": 1', f'"numerics": {NUMERICS}')
    assert identity(RUN, "0123456789abcdef") == "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def test_the_identity_of_a_run_from_a_file_is_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the door: defaults, grids and the data's fingerprint are part of what must not drift.

    The ids last moved when parametrization, base_width, layer_rates, growth and noise became settings of a run: every
    setting is part of the identity, so runs of before count as stale.
    """
    monkeypatch.setattr("lrsweep.plan.planned.NUMERICS", 1)
    plan = planned(tmp_path, "width: {doubling: [16, 32]}\nlearning_rate: {log: [1e-3, 0.1], num: 3}\nseeds: 1")
    assert (len(plan.runs), ids(plan)[0], ids(plan)[-1]) == (6, "r0656b00b2d6c", "rd92426086d7b")


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
    "parametrization": "mup",
    "optimizer": Choice("momentum", (("momentum", 0.8), ("weight_decay", 0.0))),
    "learning_rate": 0.2,
    "layer_rates": LayerRates(first=0.5),
    "schedule": Choice("constant", (("warmup", 1),)),
    "batch_size": "full",
    "epochs": 21,
    "clip_norm": 1.0,
    "growth": Growth(5, 128),
    "precision": "float64",
    "noise": (0.1,),
    "seed": 1,
}


def test_every_setting_is_part_of_the_identity() -> None:
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Run)} - {"dataset", "base_width"}
    changed = [identity(replace(RUN, **{key: value}), "0") for key, value in CHANGES.items()]
    names = [identity(replace(RUN, optimizer=Choice(name)), "0") for name in ("sgd", "adam")]
    assert len({*changed, *names, identity(RUN, "0"), identity(RUN, "1")}) == len(CHANGES) + 4


def test_the_base_width_counts_with_mup_alone() -> None:
    wide = replace(RUN, base_width=128)
    assert identity(wide, "0") == identity(RUN, "0")
    ones = [replace(run, parametrization="mup") for run in (RUN, wide)]
    assert identity(ones[0], "0") != identity(ones[1], "0")


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
        ("optimizer: {name: adam, beta2: [0.99999999, 0.9]}", r"beta2 0.99999999 is 1 in float32; lower it, or set"),
        (
            "optimizer: {name: sgd, weight_decay: 1e60}",
            "optimizer.weight_decay 1e[+]60 is inf in float32; lower it, or",
        ),
        ("optimizer: {name: adam, eps: 1e-60}", "optimizer.eps 1e-60 is 0 in float32; raise it, or set precision: flo"),
        (
            "learning_rate: [0.1, 1e-60]",
            "^[^;]*learning_rate 1e-60 is 0 in float32; raise it, or set precision: float64$",
        ),
        ("learning_rate: [0.1, 1e60]", "learning_rate 1e[+]60 is inf in float32; lower it, or set precision: float64"),
        ("clip_norm: [none, 1e-60]", "clip_norm 1e-60 is 0 in float32; raise it, or set precision: float64"),
        ("clip_norm: 1e60", "clip_norm 1e[+]60 is inf in float32; lower it, or set precision: float64"),
        (
            "growth: {at_epoch: 3, to_width: 128, rate: [keep, {scale: 1e60}]}",
            r"growth.rate.scale 1e[+]60 is inf in float32; lower it, or set precision: float64",
        ),
        (
            "growth: {at_epoch: 3, to_width: 128, rate: {scale: 1e-30}}\nlearning_rate: [1, 1e-30]",
            r"^[^;]*growth.rate.scale 1e-30 × learning_rate 1e-30 is 0 in float32; raise it, or set precision",
        ),
        (
            "growth: {at_epoch: 3, to_width: 128, rate: {scale: 1e300}}\nlearning_rate: 1e300\nprecision: float64",
            r"growth.rate.scale 1e[+]300 × learning_rate 1e[+]300 is inf in float64; lower it$",
        ),
        (
            "schedule: {name: one_cycle, base_momentum: 0.96}\noptimizer: [sgd, adam]",
            r"^[^;]*schedule.base_momentum 0.96 must be at most max_momentum 0.95; swap them, or lower base_momentum$",
        ),
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
        ("depth: 9007199254740992", "depth: 9007199254740992 must be at most 10,000; lower it"),
        ("epochs: 9007199254740992", "one run of .* epochs 9007199254740992 needs about .* GB, .*; lower one"),
        ("width: 200000\ndepth: 10000\nbatch_size: full", "one run of .* needs about .* GB, .*; lower one"),
        (
            "schedule: {name: one_cycle, max_momentum: 0.99999999}",
            r"schedule.max_momentum 0.99999999 is 1 in float32; lower it",
        ),
        ("layer_rates: [{last: 1e-60}, 1]", "layer_rates .* multiplies a rate by 0 in float32; move it nearer to 1"),
        ("layer_rates: {decay: 1e20}\ndepth: 2", "layer_rates .* multiplies a rate by inf in float32; move it nearer"),
        ("layer_rates: {decay: 1e300}\ndepth: 9\nprecision: float64", "layer_rates .* by inf in float64; move"),
        (
            "growth: [none, {at_epoch: 3, to_width: 128}]\ndepth: [1, 0]",
            r"growth needs a hidden layer, but depth is 0; .* exclude: \[{depth: 0, growth: {to_width: 128}}\]",
        ),
        (
            "growth: {at_epoch: 3, to_width: [128, 64]}",
            r"to_width 64 must be above width 64; .* exclude: \[{width: 64, growth: {to_width: 64}}\]",
        ),
        (
            "growth: {at_epoch: 3, to_width: 128}\nparametrization: [standard, mup]",
            r"growth does not go with mup, .*; .* exclude: \[{parametrization: mup, growth: {to_width: 128}}\]",
        ),
        (
            "growth: {at_epoch: [5, 20], to_width: 128}",
            r"at_epoch 20 must be below epochs 20; .* exclude: \[{epochs: 20, growth: {at_epoch: 20}}\]$",
        ),
        (
            "growth: {at_epoch: 19, to_width: 128, rate: [restart, keep]}\nschedule: {name: cosine, warmup: [2, 0.1]}",
            r"warmup \(2 steps\) must be shorter than what the growth leaves to restart in \(2 steps\); lower warmup",
        ),
        (
            "growth: {at_epoch: 1, to_width: 9007199254740992}",
            "one run of width 9007199254740992, .* GB, .*; lower one",
        ),
        (
            "noise: 0.1\nobjective: noisy_r2@0.1",
            "objective noisy_r2@0.1 does not exist in classification .*; try val_accuracy",
        ),
        ("subset: 61", "subset 61 is more than the 60 training rows; lower subset"),
        ("validation: 0.001", "validation 0.001 of 100 rows is no row; raise validation"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_allocated(
    tmp_path: Path, text: str, message: str
) -> None:
    def refused() -> None:
        with pytest.raises(LrsweepError, match=message) as caught:
            planned(tmp_path, text)
        assert isinstance(caught.value, UsageError | DataError)
        assert caught.value.exit_code == 2

    assert takes_at_most(1, refused)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "text",
    [
        "optimizer: {name: prodigy, d_coef: 1.00000001}",
        "optimizer: {name: sgd, weight_decay: 1e60}\nprecision: float64",
        "learning_rate: [1e-37, 1e38]\nclip_norm: [1e-37, 1e38]",
        "learning_rate: [1e-60, 1e60]\nclip_norm: [1e-60, 1e60]\nprecision: float64",
        "growth: {at_epoch: 3, to_width: 128, rate: {scale: 1e-30}}\nlearning_rate: 1e10",
        "layer_rates: {hidden: 1e-60}",
        "layer_rates: {decay: 1e-60}\ndepth: 0",
        "schedule: {name: one_cycle, base_momentum: 0.96, max_momentum: 0.99999999}\noptimizer: [sgd, rmsprop]",
        "schedule: {name: one_cycle, base_momentum: 0.95}\noptimizer: {name: adam, beta1: 0.99999999}",
    ],
)
def test_what_fits_the_precision_or_does_not_act_is_not_refused(tmp_path: Path, text: str) -> None:
    assert planned(tmp_path, text).runs


def test_a_bad_block_is_found_behind_good_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be shorter"):
        planned(
            tmp_path,
            "blocks: [{epochs: 3}, {schedule: {name: linear, warmup: 39}}, {schedule: {name: linear, warmup: 40}}]",
        )
