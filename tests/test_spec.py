"""The door: what a sweep file may say, and every message about what it may not."""

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lrsweep.datasets import DATASETS, did_you_mean
from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.spec import Spec, default_settings, json_schema, load_spec
from lrsweep.spec.keys import AXES, FIELDS, LATER, LATER_NAMES, OBJECTIVES, RUN_KEYS, SWEEP_KEYS, SYNONYMS
from lrsweep.vocabulary import Choice, SpecError, UsageError
from lrsweep.yaml_reader import draw

BASE = {"dataset": "digits", "learning_rate": "0.1"}
REGISTRIES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}


def written(folder: Path, text: str = "", /, **keys: str) -> Path:
    """A sweep file with a dataset and a rate, then the keys, then the text; a key with no value is left out."""
    lines = [f"{key}: {value}" for key, value in (BASE | keys).items() if value]
    path = folder / "sweep.yaml"
    path.write_text("\n".join([*lines, text]), "utf-8")
    return path


def loaded(folder: Path, text: str = "", /, *overrides: str, max_runs: int = 10_000, **keys: str) -> Spec:
    return load_spec(written(folder, text, **keys), overrides, max_runs)


def refused(folder: Path, text: str = "", /, *overrides: str, max_runs: int = 10_000, **keys: str) -> list[str]:
    """`line:column: message` of every mistake, in the file's order."""
    with pytest.raises(SpecError) as caught:
        loaded(folder, text, *overrides, max_runs=max_runs, **keys)
    found = sorted(caught.value.problems, key=lambda problem: (problem.origin, problem.line, problem.column))
    assert all("\n" not in problem.message for problem in found)
    return [f"{one.origin} {one.line}:{one.column}: {one.message}".lstrip() for one in found]


def values(folder: Path, key: str, value: str) -> list[Any]:
    return loaded(folder, **{key: value}).blocks[0].axes[key]


# --- Values


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("dataset", "[iris, wine]", ["iris", "wine"]),
        ("dataset", "openml:mnist_784@1", ["openml:mnist_784@1"]),
        ("dataset", "{file: data.csv, target: y}", ["data.csv:y"]),
        ("dataset", "{file: data.npz, task: regression}", ["data.npz:regression"]),
        ("dataset", "{idx: mnist}", ["mnist"]),
        ("task", "regression", ["regression"]),
        ("subset", "[0.5, 100, 1]", [0.5, 100, 1.0]),
        ("subset", "{linear: [0.25, 1], num: 4}", [0.25, 0.5, 0.75, 1.0]),
        ("subset", "{doubling: [10, 80]}", [10, 20, 40, 80]),
        ("validation", "0.3", [0.3]),
        ("test", "0", [0.0]),
        ("split_seed", "7", [7]),
        ("standardize", "false", [False]),
        ("width", "64", [64]),
        ("width", "[16, 012, 0x10]", [16, 12, 16]),
        ("width", "{doubling: [16, 256]}", [16, 32, 64, 128, 256]),
        ("width", "{log: [1, 100], num: 3}", [1, 10, 100]),
        ("depth", "[0, 1, 2]", [0, 1, 2]),
        ("depth", "{linear: [0, 4], num: 3}", [0, 2, 4]),
        ("activation", "[relu, tanh]", ["relu", "tanh"]),
        ("learning_rate", "[1e-3, 1, .5]", [0.001, 1.0, 0.5]),
        ("learning_rate", "{log: [1e-4, 1], per_decade: 1}", [0.0001, 0.001, 0.01, 0.1, 1.0]),
        ("learning_rate", "{log: [0.123456789, 1], num: 2}", [0.123457, 1.0]),
        ("learning_rate", "{log: [0.1, 0.123456789], num: 2}", [0.1, 0.123457]),
        ("learning_rate", "{halton: [1e-4, 1], num: 3}", [0.0001, 0.01, 1.0]),
        ("batch_size", "[32, full]", [32, "full"]),
        ("batch_size", "{doubling: [8, 32]}", [8, 16, 32]),
        ("epochs", "{linear: [5, 15], num: 3}", [5, 10, 15]),
        ("clip_norm", "[none, 1, 0.5, null]", [None, 1.0, 0.5, None]),
        ("clip_norm", "{log: [0.1, 10], num: 3}", [0.1, 1.0, 10.0]),
        ("precision", "float64", ["float64"]),
        ("seeds", "4", [0, 1, 2, 3]),
        ("seeds", "[3, 0]", [3, 0]),
    ],
)
def test_a_good_value(tmp_path: Path, key: str, value: str, expected: list[Any]) -> None:
    read = values(tmp_path, key, value)
    read = [str(one) for one in read] if key == "dataset" else read
    assert [(type(one), one) for one in read] == [(type(one), one) for one in expected]


@pytest.mark.parametrize(
    ("key", "value", "column", "message"),
    [
        ("name", "Digits", 7, r"name: 'Digits' must be 1 to 64 of a-z 0-9 . _ - and start with .*; rename it"),
        ("name", "12", 7, "name: 12 must be text; put it in quotes"),
        ("name", "[a]", 7, "name takes one value, not a list; keep one"),
        ("description", "3", 14, "description: 3 must be text; put it in quotes"),
        ("dataset", "digit", 10, r"dataset: 'digit' is unknown; choose from digits, .*; did you mean digits\?"),
        ("dataset", "{file: a.csv}", 17, r"dataset: 'a.csv' needs a target; write {file: …, target: COLUMN}"),
        ("dataset", "{file: a.npz, targt: y}", 24, ".*'targt' does not go with file; .*did you mean target.*"),
        ("dataset", "{file: a.csv, target: 3}", 32, "dataset.target: 3 must be text; put it in quotes"),
        ("dataset", "{idx: ''}", 16, "dataset.idx: '' must not be empty; fill it in"),
        ("dataset", "{name: digits}", 10, "dataset: a mapping is no dataset; write a name, .*"),
        ("dataset", "'openml:'", 10, "dataset: 'openml:' is unknown; .*"),
        ("dataset", "", 1, "dataset is missing; add for example  dataset: digits"),
        ("task", "ranking", 7, "task: 'ranking' must be 'classification' or 'regression'; write one of them"),
        ("subset", "0", 9, "subset: 0 must be a fraction above 0 and up to 1, or a whole number .*; write .* 0.5"),
        ("subset", "1.5", 9, "subset: 1.5 must be a fraction above 0 and up to 1, or .*"),
        ("subset", "true", 9, "subset: true must be a fraction .*"),
        ("subset", "{log: [0.1, 100], num: 3}", 15, ".*cannot go from a fraction to a count; write two of one kind"),
        ("validation", "0", 13, "validation: 0 must be above 0; raise it"),
        ("validation", "1", 13, "validation: 1 must be below 1; lower it"),
        ("validation", ".nan", 13, "validation: nan must be finite; write for example 0.1"),
        ("validation", "[0.1, 0.2]", 13, "validation takes one value, not a list; keep one"),
        ("test", "-0.1", 7, "test: -0.1 must be at least 0; raise it"),
        ("test", "0.8", 7, "validation 0.2 and test 0.8 leave no rows to train on, .*; lower one"),
        ("split_seed", "-1", 13, "split_seed: -1 must be at least 0; raise it"),
        ("split_seed", "{log: [1, 2], num: 2}", 13, "split_seed takes one value, not a mapping; keep one"),
        ("standardize", "yes", 14, "standardize: 'yes' must be true or false; write one of them"),
        ("standardize", "1", 14, "standardize: 1 must be true or false; write one of them"),
        ("width", "0", 8, "width: 0 must be at least 1; raise it"),
        ("width", "1.5", 8, "width: 1.5 must be a whole number; write for example 64"),
        ("width", "64.0", 8, "width: 64.0 must be a whole number; write for example 64"),
        ("width", "true", 8, "width: true must be a whole number; write for example 64"),
        ("width", "'64'", 8, "width: '64' must be a whole number; write for example 64"),
        ("width", "[]", 8, "width: the list is empty; give at least one value"),
        ("width", "[[16]]", 9, "width: a list inside a list is not a value; write its values in the outer one"),
        ("width", "[{doubling: [1, 4]}]", 9, "width: a grid cannot stand inside a list; write it alone, .*"),
        ("width", "1" + "0" * 30, 8, "width: 1000.* must be at most 9,007,199,254,740,992; lower it"),
        ("width", "{doubling: [1, 1" + "0" * 200 + "]}", 23, "width: 1000.*… must be at most 9,007,.*; lower it"),
        ("width", "1" + "0" * 260, 8, "1000.*… has more than 250 digits; write a smaller number"),
        ("depth", "-1", 8, "depth: -1 must be at least 0; raise it"),
        ("activation", "rellu", 13, r"activation: 'rellu' is unknown; choose from relu, .*; did you mean relu\?"),
        ("activation", "3", 13, "activation: 3 must be text; put it in quotes"),
        ("activation", "{log: [1, 2], num: 2}", 13, "activation takes one value, not a mapping; keep one"),
        ("optimizer", "adm", 12, r"optimizer: 'adm' is unknown; choose from .*; did you mean adam\?"),
        ("optimizer", "SGD", 12, r"optimizer: 'SGD' is unknown; .* did you mean sgd\?"),
        ("optimizer", "{adam: {beta1: 0.8}}", 12, "optimizer: a mapping is no name; write for example .*"),
        ("optimizer", "{name: [sgd, adam]}", 19, "optimizer: a list is no name; write for example .*"),
        ("optimizer", "{name: adam, beta3: 1}", 25, ".*'beta3' is not a setting of adam; it has .*did .*"),
        ("optimizer", "{name: adam, beta1: [0.9, 1]}", 38, "optimizer.beta1: 1 must be below 1; lower it"),
        ("optimizer", "{name: adam, beta1: {linear: [0, 0.99999999], num: 2}}", 45, ".*: 1.0 must be below 1; .*"),
        ("learning_rate", "", 1, "learning_rate is missing; add for example  learning_rate: {log: .*"),
        ("learning_rate", "0", 16, "learning_rate: 0 must be above 0; raise it"),
        ("learning_rate", "-1e-3", 16, "learning_rate: -0.001 must be above 0; raise it"),
        ("learning_rate", ".nan", 16, "learning_rate: nan must be finite; .*"),
        ("learning_rate", "-.inf", 16, "learning_rate: -inf must be finite; .*"),
        ("learning_rate", "1e400", 16, "learning_rate: inf must be finite; .*"),
        ("learning_rate", "1e-400", 16, "learning_rate: 0.0 must be above 0; raise it"),
        ("learning_rate", "fast", 16, "learning_rate: 'fast' must be a number; write for example 0.1"),
        ("learning_rate", "null", 16, "learning_rate: nothing must be a number; .*"),
        ("learning_rate", "{min: 1, max: 2}", 16, "learning_rate: a grid has one of log, linear, .*; write .*"),
        ("learning_rate", "{log: [1, 2]}", 16, ".* a log grid needs num or per_decade; write .* num: 5"),
        ("learning_rate", "{log: [1, 2], num: 3, per_decade: 2}", 16, ".* needs one of num or per_decade; .*"),
        ("learning_rate", "{log: [1, 2], num: 1}", 35, "learning_rate: num 1 must be a whole number from 2; .* 5"),
        ("learning_rate", "{log: [1, 2], num: true}", 35, "learning_rate: num true must be a whole number from 2; .*"),
        ("learning_rate", "{log: [1, 2], per_decade: true}", 42, ".*per_decade true must be a whole number from 1; .*"),
        ("learning_rate", "{log: [1, 2], num: 2, nums: 3}", 38, ".*'nums' does not go with a log grid; keep .*"),
        ("learning_rate", "{log: 1, num: 2}", 22, "learning_rate: log needs its two ends; write for example .*"),
        ("learning_rate", "{log: [1, 0.1], num: 2}", 22, "learning_rate: .* not from 1.0 to 0.1; swap its ends"),
        ("learning_rate", "{log: [0, 1], num: 2}", 23, "learning_rate: 0 must be above 0; raise it"),
        ("learning_rate", "{log: [1, true], num: 2}", 26, ".*true cannot be the end of a grid; write a number"),
        ("learning_rate", "{doubling: [0.1, 0.7]}", 27, ".*0.1 doubled does not arrive at 0.7; .*, or use log"),
        ("learning_rate", "{doubling: [0.1, 0.8], num: 4}", 39, ".*'num' does not go with a doubling grid; .*"),
        ("depth", "{log: [0, 4], num: 2}", 15, "depth: a log grid starts above 0, not at 0; raise it, or use linear"),
        ("schedule", "{name: cosine, warmup: 1.0}", 34, "schedule.warmup: 1.0 must be a fraction .*"),
        ("schedule", "{name: cosine, warmup: -1}", 34, "schedule.warmup: -1 must be a fraction of all steps .*"),
        ("schedule", "{name: cosine, warmup: {linear: [0.5, 1], num: 2}}", 43, ".* from a fraction to a count; .*"),
        ("batch_size", "0", 13, "batch_size: 0 must be a whole number from 1, or full; write for example 32"),
        ("batch_size", "fill", 13, "batch_size: 'fill' must be a whole number from 1, or full; .*"),
        ("batch_size", "{doubling: [16, full]}", 29, ".*'full' cannot be the end of a grid; write a number"),
        ("epochs", "0", 9, "epochs: 0 must be at least 1; raise it"),
        ("clip_norm", "0", 12, "clip_norm: 0 must be a number above 0, or none; write for example 1.0"),
        ("clip_norm", "{log: [none, 1], num: 2}", 19, "clip_norm: 'none' cannot be the end of a grid; write a number"),
        ("precision", "float16", 12, "precision: 'float16' must be 'float32' or 'float64'; write one of them"),
        ("seeds", "0", 8, "seeds: 0 must be a count from 1, or a list of seeds; write for example 3"),
        ("seeds", "true", 8, "seeds: true must be a count from 1, or a list of seeds; write for example 3"),
        ("seeds", "[]", 8, "seeds: an empty list must be a count from 1, or a list of seeds; .*"),
        ("seeds", "{linear: [1, 9], num: 3}", 8, "seeds: a mapping must be a count from 1, or a list of seeds; .*"),
        ("seeds", "[0, -1]", 12, "seeds: -1 must be at least 0; raise it"),
        ("objective", "loss", 12, r"objective: 'loss' is unknown; choose from val_loss, .*; did you mean .*\?"),
        ("objective", "test_loss", 12, "objective: test_loss must not rank, test rows never do; write val_loss"),
        ("select", "last", 9, "select: 'last' must be 'final' or 'best'; write one of them"),
        ("zip", "width", 6, "zip: 'width' must be a list; write .*"),
        ("zip", "[[width]]", 7, r"zip: a list must be a list of two keys or more; write  zip: \[\[width, depth\]\]"),
        ("zip", "[[width, lr]]", 15, r"zip: 'lr' is not an axis; did you mean learning_rate\?"),
        ("zip", "[[width, validation]]", 15, "zip: 'validation' is not an axis; .*"),
        ("zip", "[[width, width]]", 15, "zip: 'width' is zipped already; name it once"),
        ("exclude", "{width: 64}", 10, "exclude: a mapping must be a list; write .*"),
        ("exclude", "[{lr: 0.1}]", 12, r"'lr' is not a key that runs differ by; did you mean learning_rate\?"),
        ("exclude", "[{}]", 11, "exclude: a mapping names no runs; write for example .*"),
        ("exclude", "[{width: 65}]", 11, "exclude: no run has these values; name .*"),
        ("exclude", "[{width: 64}]", 11, "exclude leaves no run; remove one of its entries"),
        ("exclude", "[{width: -64}]", 19, "width: -64 must be at least 1; raise it"),
        ("blocks", "{width: 64}", 9, "blocks: a mapping must be a list; write .*"),
        ("blocks", "[64]", 10, "blocks: 64 is no block; write for example .*"),
        ("blocks", "[{blocks: []}]", 11, "'blocks' is not a key of a block; .*"),
        ("blocks", "[{name: x}]", 11, "'name' is not a key of a block; .*"),
    ],
)  # fmt: skip
def test_a_bad_value(tmp_path: Path, key: str, value: str, column: int, message: str) -> None:
    """Value, rule and remedy, at the value's place, and nothing else."""
    line = list(BASE | {key: value}).index(key) + 1 if value else 1
    (found,) = refused(tmp_path, **{key: value})
    assert re.fullmatch(f"{line}:{column}: {message}", found)
    assert ";" in found or "more than 250 digits" in found


def test_every_key_has_a_good_and_a_bad_value_above() -> None:
    marks = {test: {row[0] for row in test.pytestmark[0].args[1]} for test in (test_a_good_value, test_a_bad_value)}
    assert marks[test_a_bad_value] >= set(FIELDS) - {"schedule"}
    assert marks[test_a_good_value] >= set(RUN_KEYS) - {"optimizer", "schedule"}


def test_every_key_has_a_description() -> None:
    assert [key for key, field in FIELDS.items() if not field.description] == []


def test_defaults(tmp_path: Path) -> None:
    spec = loaded(tmp_path)
    axes = {key: [str(value) for value in values] for key, values in spec.blocks[0].axes.items()}
    assert (spec.name, spec.description, spec.objective, spec.select, spec.named) == (
        "sweep",
        "",
        "val_loss",
        "final",
        (),
    )
    assert list(axes) == list(RUN_KEYS)
    assert axes["optimizer"] == ["momentum(momentum=0.9, weight_decay=0.0)"]
    assert axes["schedule"] == ["constant(warmup=0)"]
    assert axes["seeds"] == ["0", "1", "2"]
    assert {key for key, values in axes.items() if len(values) > 1} == {"seeds"}


@pytest.mark.parametrize("name", ["a", "a" * 64, "digits-width_2.1", "0"])
def test_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    assert loaded(tmp_path, name=f"'{name}'").name == name


@pytest.mark.parametrize("name", ["", "a" * 65, ".a", "a/b", "a b", "A", "é", "a\\n"])
def test_a_name_that_cannot_be_a_folder(tmp_path: Path, name: str) -> None:
    (found,) = refused(tmp_path, name=f'"{name}"')
    assert "rename it" in found


def test_a_file_whose_name_cannot_be_a_folder_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "my sweep.yaml"
    path.write_text("dataset: digits\nlearning_rate: 0.1\n")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert [p.message for p in caught.value.problems] == [
        "the file's name 'my sweep' cannot name a results folder; add a key  name: my-sweep"
    ]
    path.write_text("name: mine\ndataset: digits\nlearning_rate: 0.1\n")
    assert load_spec(path).name == "mine"


def test_files_are_found_from_the_sweep_files_folder(tmp_path: Path) -> None:
    (source,) = values(tmp_path, "dataset", "{file: ../data/t.csv, target: y, task: classification}")
    assert (source.kind, source.target, source.task) == ("file", "y", "classification")
    assert source.label == "../data/t.csv:y:classification"
    assert Path(source.location) == tmp_path / "../data/t.csv"
    (source,) = values(tmp_path, "dataset", "{idx: /data/mnist}")
    assert (source.kind, source.location) == ("idx", "/data/mnist")


# --- Optimizers and schedules, from their registries


SETTINGS = [
    (key, name, field)
    for key, registry in REGISTRIES.items()
    for name, rule in registry.items()
    for field in dataclasses.fields(rule)
]


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, registry in REGISTRIES.items() for name in registry])
def test_a_name_alone_stands_for_all_its_defaults(tmp_path: Path, key: str, name: str) -> None:
    choice = Choice(name, tuple(default_settings(key, name).items()))
    given = ", ".join([f"name: {name}", *(f"{setting}: {value}" for setting, value in choice.settings)])
    assert values(tmp_path, key, f"[{name}, {{name: {name}}}, {{{given}}}]") == [choice] * 3


@pytest.mark.parametrize(("key", "name", "field"), SETTINGS)
def test_a_setting_is_held_to_its_bounds(tmp_path: Path, key: str, name: str, field: dataclasses.Field[Any]) -> None:
    bad = {"ge": -1e-9, "gt": 0.0, "lt": 0.0, "le": 1e-9}
    steps = {"ge": -1, "gt": 0, "lt": 0, "le": 1} if isinstance(field.default, int) else bad
    bounds = {kind: bound for kind, bound in field.metadata.items() if kind in bad}
    assert bounds
    for kind, bound in bounds.items():
        (found,) = refused(tmp_path, **{key: f"{{name: {name}, {field.name}: {bound + steps[kind]!r}}}"})
        assert re.search(rf"{key}\.{field.name}: .* must be (above|below|at least|at most) {bound:g}; ", found)


@pytest.mark.parametrize(("key", "name", "field"), SETTINGS)
@pytest.mark.parametrize("value", ["true", ".nan", "1e400", "'1'", "null", "none"])
def test_a_setting_is_a_finite_number(
    tmp_path: Path, key: str, name: str, field: dataclasses.Field[Any], value: str
) -> None:
    (found,) = refused(tmp_path, **{key: f"{{name: {name}, {field.name}: {value}}}"})
    assert re.search(rf"{key}\.{field.name}: .* must be (a number|a whole number|finite); ", found)


def test_each_setting_is_an_axis(tmp_path: Path) -> None:
    grid = "{name: momentum, momentum: {linear: [0.8, 0.9], num: 3}, weight_decay: [0, 1]}"
    spec = loaded(tmp_path, optimizer=f"[sgd, {grid}]", schedule="{name: cosine, warmup: {linear: [0, 0.5], num: 2}}")
    axes = spec.blocks[0].axes
    assert [str(choice) for choice in axes["optimizer"]] == [
        "sgd(weight_decay=0.0)",
        *(f"momentum(momentum={m}, weight_decay={w})" for m in (0.8, 0.85, 0.9) for w in (0.0, 1.0)),
    ]
    assert [str(choice) for choice in axes["schedule"]] == ["cosine(end=0.0, warmup=0)", "cosine(end=0.0, warmup=0.5)"]
    assert spec.named == ("optimizer.momentum", "optimizer.weight_decay", "schedule.warmup")


def test_a_warm_up_of_nothing_has_one_spelling(tmp_path: Path) -> None:
    """A run's identity rests on it."""
    choices = values(tmp_path, "schedule", "[constant, {name: constant, warmup: 0}, {name: constant, warmup: 0.0}]")
    assert [repr(choice) for choice in choices] == [repr(choices[0])] * 3


@pytest.mark.parametrize("key", LATER_NAMES)
def test_names_of_later_versions_are_not_called_unknown(tmp_path: Path, key: str) -> None:
    for name in LATER_NAMES[key]:
        assert name not in REGISTRIES[key]
        (found,) = refused(tmp_path, **{key: name})
        assert f"{key}: '{name}' is not available in this version yet; choose from " in found


# --- Keys


@pytest.mark.parametrize("key", LATER)
@pytest.mark.parametrize("form", ["{}: 1", "blocks: [{{{}: 1}}]", "exclude: [{{{}: 1}}]"])
def test_keys_of_later_versions_are_not_called_unknown(tmp_path: Path, key: str, form: str) -> None:
    (found, *_) = refused(tmp_path, form.format(key))
    assert found.endswith(f": '{key}' is not available in this version yet; remove it")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("lr", "learning_rate"),
        ("learning_rates", "learning_rate"),
        ("optim", "optimizer"),
        ("hidden", "width"),
        ("subsett", "subset"),
        ("Width", "width"),
        ("batch-size", "batch_size"),
        ("epoch", "epochs"),
        ("seed", "seeds"),
        ("scheduler", "schedule"),
        ("LR", "learning_rate"),
        ("excludes", "exclude"),
    ],
)
def test_did_you_mean(tmp_path: Path, word: str, meant: str) -> None:
    assert refused(tmp_path, f"{word}: 1") == [f"3:1: '{word}' is not a key of a sweep file; did you mean {meant}?"]


def test_synonyms_lead_to_keys_and_are_none() -> None:
    assert set(SYNONYMS.values()) <= set(FIELDS)
    assert not set(SYNONYMS) & set(FIELDS)


@pytest.mark.parametrize(("word", "key"), [("momentum", "optimizer"), ("beta1", "optimizer"), ("warmup", "schedule")])
def test_a_setting_beside_the_keys_is_led_to_its_place(tmp_path: Path, word: str, key: str) -> None:
    (found,) = refused(tmp_path, f"{word}: 1")
    assert found.endswith(f"it is a setting, write  {key}: {{name: …, {word}: …}}")


def test_a_word_near_nothing_gets_no_suggestion(tmp_path: Path) -> None:
    assert did_you_mean("xyzzy", FIELDS) == ""
    (found,) = refused(tmp_path, "xyzzy: 1")
    assert found == "3:1: 'xyzzy' is not a key of a sweep file; remove it, or see lrsweep schema"


def test_an_objective_of_every_epoch_goes_with_the_best_epoch(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, objective="val_macro_f1", select="best")
    assert found.startswith("3:12: objective: val_macro_f1 is not recorded at every epoch, which select: best needs; ")
    assert loaded(tmp_path, objective="val_accuracy", select="best").select == "best"
    assert [loaded(tmp_path, objective=name).objective for name in OBJECTIVES] == list(OBJECTIVES)


# --- All at once


SIX = """\
dataset: digit
widht: [16, 64]
depth: [1, -2]
optimizer: [sgd, {name: adam, beta3: 0.9}]
learning_rate: {log: [0, 1], num: 5}
depth: 3
"""

SIX_DRAWN = """\
sweep.yaml: 6 mistakes
sweep.yaml:1:10: dataset: 'digit' is unknown; choose from digits, iris, wine, breast_cancer, diabetes, moons, circles, \
openml:NAME, {file: PATH, target: COLUMN}, {idx: FOLDER}; did you mean digits?
    dataset: digit
             ^^^^^
sweep.yaml:2:1: 'widht' is not a key of a sweep file; did you mean width?
    widht: [16, 64]
    ^^^^^
sweep.yaml:3:12: depth: -2 must be at least 0; raise it
    depth: [1, -2]
               ^^
sweep.yaml:4:31: optimizer: 'beta3' is not a setting of adam; it has beta1, beta2, eps, weight_decay; \
did you mean beta2?
    optimizer: [sgd, {name: adam, beta3: 0.9}]
                                  ^^^^^
sweep.yaml:5:23: learning_rate: 0 must be above 0; raise it
    learning_rate: {log: [0, 1], num: 5}
                          ^
sweep.yaml:6:1: duplicate key 'depth' (first on line 3); keep one
    depth: 3
    ^^^^^"""


def test_six_mistakes_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sweep.yaml").write_text(SIX)
    with pytest.raises(SpecError) as caught:
        load_spec(Path("sweep.yaml"))
    assert draw(caught.value) == SIX_DRAWN
    assert caught.value.exit_code == 2


def test_what_the_yaml_reader_refused_is_not_told_twice(tmp_path: Path) -> None:
    found = refused(tmp_path, f"width: &a 3\ndepth: *a\nepochs: 1{'0' * 260}\nseeds: [*a, -1]")
    assert [line.split(" ")[0] for line in found] == ["3:8:", "4:8:", "5:9:", "6:9:", "6:13:"]


def test_a_mistake_in_the_file_is_told_once_for_all_blocks(tmp_path: Path) -> None:
    found = refused(tmp_path, "blocks: [{depth: 1}, {depth: 2}, {depth: -3}]", width="-1", zip="[[width, lr]]")
    assert [line.split(" ")[0] for line in found] == ["3:8:", "4:15:", "5:42:"]


@pytest.mark.parametrize("width", ["[16, -1]", "{doubling: [1, -1]}"])
def test_a_refused_value_does_not_upset_the_lengths_of_a_zip(tmp_path: Path, width: str) -> None:
    (found,) = refused(tmp_path, width=width, batch_size="[8, 16]", zip="[[width, batch_size]]")
    assert "width: -1" in found


def test_what_two_blocks_get_from_the_file_is_told_once(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, "blocks: [{depth: 1}, {depth: 2}]", validation="0.9")
    assert found.startswith("3:13: validation 0.9 and test 0.2 leave no rows")


# --- Overrides


def test_overrides_take_the_place_of_keys(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        "width: 3",
        "width=64,256",
        "learning_rate={log: [1e-3, 1], num: 4}",
        "seeds=4,5",
        "optimizer=sgd,{name: adam}",
        "description=a, b",
        "epochs = 3",
        "epochs=4",
    )
    axes = spec.blocks[0].axes
    assert axes["width"] == [64, 256]
    assert axes["learning_rate"] == [0.001, 0.01, 0.1, 1.0]
    assert axes["seeds"] == [4, 5]
    assert [choice.name for choice in axes["optimizer"]] == ["sgd", "adam"]
    assert (spec.description, axes["epochs"]) == ("a, b", [4])
    assert spec.overrides[0] == "width=64,256"


def test_mistakes_in_overrides_are_told_with_those_of_the_file(tmp_path: Path) -> None:
    found = refused(tmp_path, "depth: -1", "width=-1", "lr=3", "epochs=[1", "seeds=*a")
    assert found == [
        "3:8: depth: -1 must be at least 0; raise it",
        "-o epochs 1:9: not valid YAML: did not find expected ',' or ']'; close what is open, and line up the keys of "
        "one mapping",
        "-o lr 1:1: 'lr' is not a key of a sweep file; did you mean learning_rate?",
        "-o seeds 1:8: alias '*a' is not allowed; write the value out",
        "-o width 1:8: width: -1 must be at least 1; raise it",
    ]


def test_a_mistake_found_late_still_belongs_to_its_override(tmp_path: Path) -> None:
    """The end of a grid is checked once more in six digits, when overridden overrides are long gone."""
    grid = "{name: adam, beta1: {linear: [0, 0.99999999], num: 2}}"
    (found,) = refused(tmp_path, "", "width=1", "width=2", "optimizer=sgd", f"optimizer={grid}")
    assert found == "-o optimizer 1:45: optimizer.beta1: 1.0 must be below 1; lower it"


def test_a_mistake_in_an_override_is_drawn_with_its_own_text(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, "", "width=16,-1")
    drawn = "-o width:1:12: width: -1 must be at least 1; raise it\n    width: [16,-1]\n               ^^"
    assert draw(caught.value) == drawn


@pytest.mark.parametrize("override", ["width", "=3", "optimizer.momentum=0.9", "a b=3", ""])
def test_an_override_without_key_or_value_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(UsageError, match="is not KEY=VALUE with a key of the sweep file; write for example"):
        loaded(tmp_path, "", override)


# --- Blocks, zip, exclude


def runs(spec: Spec, *keys: str) -> list[tuple[Any, ...]]:
    return [tuple(values[key] for key in keys) for block in spec.blocks for values in block.combinations()]


def test_the_last_axis_is_the_fastest(tmp_path: Path) -> None:
    spec = loaded(tmp_path, width="[1, 2]", depth="[3, 4]", seeds="2")
    assert runs(spec, "width", "depth", "seeds") == [(w, d, s) for w in (1, 2) for d in (3, 4) for s in (0, 1)]


def test_zipped_axes_advance_together(tmp_path: Path) -> None:
    spec = loaded(tmp_path, width="{doubling: [16, 64]}", depth="[0, 1]", batch_size="[8, 16, full]", seeds="1",
                  zip="[[batch_size, width]]")  # fmt: skip
    pairs = [(16, 8), (32, 16), (64, "full")]
    assert runs(spec, "width", "batch_size", "depth") == [(w, b, d) for w, b in pairs for d in (0, 1)]
    (found,) = refused(tmp_path, width="[1, 2, 3]", batch_size="[8, 16]", zip="[[width, batch_size]]")
    assert found == "5:7: zip: width has 3, batch_size has 2 values; give its keys lists of the same length"


def test_exclude_drops_the_combinations_that_it_names(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        width="[16, 64, 256]",
        optimizer="[sgd, {name: momentum, momentum: [0.9, 0.95]}]",
        seeds="2",
        exclude="[{width: 256, optimizer: sgd}, {seeds: 1, width: 16}, "
        "{optimizer: {name: momentum, momentum: 0.95}, width: [16, 64]}]",
    )
    kept = {(w, dict(o.settings).get("momentum"), s) for w, o, s in runs(spec, "width", "optimizer", "seeds")}
    everything = {(w, m, s) for w in (16, 64, 256) for m in (None, 0.9, 0.95) for s in (0, 1)}
    dropped = {run for run in everything if run[:2] == (256, None) or (run[1] == 0.95 and run[0] < 256)}
    assert kept == everything - dropped - {run for run in everything if run[0] == 16 and run[2] == 1}
    assert spec.blocks[0].count()[0] == len(runs(spec))
    assert spec.named == ("optimizer.momentum",)


def test_a_setting_that_only_exclude_names_makes_no_column(tmp_path: Path) -> None:
    spec = loaded(tmp_path, optimizer="[sgd, adam]", exclude="[{optimizer: {name: adam, beta1: 0.9}}]", seeds="1")
    assert [choice.name for (choice,) in runs(spec, "optimizer")] == ["sgd"]
    assert spec.named == ()


def test_exclude_looks_at_zipped_values_together(tmp_path: Path) -> None:
    keys = {"width": "[1, 2]", "batch_size": "[8, 16]", "zip": "[[width, batch_size]]", "seeds": "1"}
    assert runs(loaded(tmp_path, **keys, exclude="[{width: 1, batch_size: 8}]"), "width") == [(2,)]
    assert "no run has these values" in refused(tmp_path, **keys, exclude="[{width: 1, batch_size: 16}]")[0]


def test_blocks_are_a_union_that_overrides_the_file(tmp_path: Path) -> None:
    spec = loaded(
        tmp_path,
        "blocks:\n- {width: 8, exclude: [{depth: 0}]}\n- {depth: 2, learning_rate: [0.5, 1]}",
        width="[16, 32]",
        depth="[0, 1]",
        seeds="1",
    )
    assert runs(spec, "width", "depth", "learning_rate") == [
        (8, 1, 0.1),
        (16, 2, 0.5),
        (16, 2, 1.0),
        (32, 2, 0.5),
        (32, 2, 1.0),
    ]


def test_an_exclude_of_the_file_needs_to_meet_one_block_only(tmp_path: Path) -> None:
    blocks = "blocks: [{width: [16, 64]}, {width: [32]}]"
    assert runs(loaded(tmp_path, blocks, exclude="[{width: 64}]", seeds="1"), "width") == [(16,), (32,)]
    assert "no run has these values" in refused(tmp_path, blocks, exclude="[{width: 65}]")[0]


def test_a_block_may_bring_what_the_file_lacks(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "blocks: [{dataset: iris, learning_rate: 1}]", dataset="", learning_rate="")
    assert [str(source) for (source,) in runs(spec, "dataset")] == ["iris"] * 3
    (found,) = refused(tmp_path, "blocks: [{dataset: iris}, {}]", dataset="")
    assert found.startswith("2:27: dataset is missing")


# --- Counts


@pytest.mark.parametrize(
    ("keys", "count", "shorten"),
    [
        ({"learning_rate": "{log: [1e-4, 1], num: 10001}", "seeds": "1"}, "10,001 runs (learning_rate 10,001)",
         "learning_rate"),
        (
            {"learning_rate": "{log: [1e-4, 1], num: 1000000}", "width": "{linear: [1, 9], num: 1000}", "seeds": "1"},
            "1,000,000,000 runs (width 1,000 × learning_rate 1,000,000)",
            "learning_rate",
        ),
        (
            {"learning_rate": f"{{log: [1e-4, 1], num: 1{'0' * 10}}}", "seeds": f"1{'0' * 20}", "width": "3"},
            "about 10^30 runs (learning_rate 10,000,000,000 × seeds about 10^20)",
            "seeds",
        ),
        (
            {"width": "{linear: [1, 9], num: 200}", "epochs": "{linear: [1, 9], num: 200}",
             "zip": "[[width, epochs]]", "seeds": "99"},
            "19,800 runs (width+epochs 200 × seeds 99)",
            "width+epochs",
        ),
        ({"blocks": "[{seeds: 6000}, {seeds: 7000}]"}, "13,000 runs (2 blocks, the largest seeds 7,000)", "seeds"),
    ],
)  # fmt: skip
def test_too_many_runs_are_counted_not_made(tmp_path: Path, keys: dict[str, str], count: str, shorten: str) -> None:
    start = time.perf_counter()
    (found,) = refused(tmp_path, **keys)
    assert time.perf_counter() - start < 0.5
    assert (
        found.split(": ", 1)[1]
        == f"{count} are more than --max-runs 10,000 allows; shorten {shorten}, or raise --max-runs"
    )


def test_the_count_of_runs_is_the_limit(tmp_path: Path) -> None:
    assert len(runs(loaded(tmp_path, seeds="12", max_runs=12))) == 12
    assert "13 runs (seeds 13)" in refused(tmp_path, seeds="13", max_runs=12)[0]
    assert len(runs(loaded(tmp_path, seeds="13", exclude="[{seeds: 3}]", max_runs=12))) == 12
    assert "13 runs after exclude (" in refused(tmp_path, seeds="14", exclude="[{seeds: 3}]", max_runs=12)[0]
    assert "121 runs before exclude (" in refused(tmp_path, seeds="121", exclude="[{seeds: 3}]", max_runs=12)[0]


def test_more_than_memory_holds_is_refused_whatever_the_limit(tmp_path: Path) -> None:
    assert "more than --max-runs 1,000,000 allows" in refused(tmp_path, seeds="1000001", max_runs=2**63)[0]


DIGITS = "dataset: digits\nlearning_rate: 0.1\n"


@pytest.mark.parametrize(
    "text",
    [
        DIGITS + "".join(f"widt{i}: 3\n" for i in range(9000)),
        "dataset: digits\nlearning_rate: [" + "-1, " * 19000 + "]",
        "dataset: digits\nlearning_rate: [" + "0.1, " * 5000 + "]\nblocks:\n" + "- {width: 3}\n" * 4000,
        DIGITS + "width: [" + ", ".join(map(str, range(1, 3000))) + "]\nexclude:\n" + "- {width: 3}\n" * 4000,
        DIGITS + "zip:\n" + "- [width, depth]\n" * 2000 + "blocks:\n" + "- {width: 3}\n" * 3000,
        DIGITS + "exclude:\n" + "- {width: 3}\n" * 2000 + "blocks:\n" + "- {width: 3}\n" * 3000,
        DIGITS + "exclude: [{learning_rate: {log: [1e-3, 1], num: 1000000000}}]",
        DIGITS + "optimizer: [" + "adm, " * 9000 + "]",
    ],
    ids=["keys", "values", "blocks", "exclude", "zip", "exclude-blocks", "exclude-grid", "names"],
)
def test_a_file_made_to_be_slow_is_refused_in_time(tmp_path: Path, text: str) -> None:
    path = tmp_path / "slow.yaml"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(SpecError):
        load_spec(path)
    assert time.process_time() - start < 1


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none.yaml: No such file or directory; .* lrsweep init none.yaml"):
        load_spec(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="Is a directory"):
        load_spec(tmp_path)


# --- Nothing else escapes


WORDS = [
    *(*FIELDS, *LATER, *OPTIMIZERS, *SCHEDULES, *DATASETS, *ACTIVATIONS),
    *("name", "log", "linear", "doubling", "halton", "log_uniform", "num", "per_decade", "file", "idx", "target"),
    *("full", "none", "best", "beta1", "lr", "x", "openml:x", "a.csv"),
]
ODD = ["true", "null", ".nan", "1e400", "-.inf", 10**30, 10**240, 1e-320, '"\\0"', "*a", "&b 3", "!!int 3", "''"]
SCALARS = st.one_of(st.sampled_from(WORDS), st.integers(-3, 300), st.floats(-1, 2), st.sampled_from(ODD))
NODES = st.recursive(
    SCALARS.map(str),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=4).map(
            lambda items: f"{{{', '.join(f'{key}: {value}' for key, value in items.items())}}}"
        ),
        st.tuples(st.sampled_from(["log", "linear", "doubling", "halton", "log_uniform"]), inner, inner, inner).map(
            lambda parts: f"{{{parts[0]}: [{parts[1]}, {parts[2]}], num: {parts[3]}}}"
        ),
    ),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys=st.dictionaries(st.sampled_from([*FIELDS, *FIELDS, *WORDS]), NODES, max_size=6), full=st.booleans())
def test_nothing_but_spec_errors_escapes(tmp_path: Path, keys: dict[str, str], full: bool) -> None:
    """And what passes is what it says: as many runs as counted, every value of every axis a valid one."""
    text = "\n".join(f"{key}: {value}" for key, value in ((BASE if full else {}) | keys).items())
    path = tmp_path / "fuzz.yaml"
    path.write_text(text, "utf-8")
    drawn = ""
    try:
        spec = load_spec(path, max_runs=200)
    except SpecError as error:
        drawn = draw(error)
    else:
        assert sum(block.count()[0] for block in spec.blocks) == len(runs(spec)) <= 200
        assert all(0 < rate < float("inf") for (rate,) in runs(spec, "learning_rate"))
    assert len(drawn) < 20_000


# --- The schema


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == list(FIELDS)
    assert all(value["description"] for value in schema["properties"].values())
    for key in AXES:
        assert {"type": "array"}.items() <= schema["properties"][key]["anyOf"][1].items()
    assert set(SWEEP_KEYS) <= set(schema["properties"])


def test_the_schema_holds_nothing_of_pydantic_or_ours() -> None:
    def inside(value: Any) -> set[str]:
        nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return (set(value) if isinstance(value, dict) else set()).union(*map(inside, nested))

    assert not {"axis", "sentence", "rule"} & inside(json_schema())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_schema_follows_the_registry(name: str) -> None:
    forms = json_schema()["properties"]["optimizer"]["anyOf"][0]["anyOf"]
    (form,) = [form for form in forms[1:] if form["properties"]["name"] == {"const": name}]
    assert list(form["properties"]) == ["name", *default_settings("optimizer", name)]


def test_an_override_wins_over_a_block(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("{dataset: iris, learning_rate: 0.1, blocks: [{epochs: 3}, {epochs: 4, width: 8}]}")
    assert [block.axes["epochs"] for block in load_spec(path, ["epochs=1"]).blocks] == [[1], [1]]
