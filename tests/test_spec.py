"""The door: what a sweep file may say, and every message about what it may not."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spec_cases import BASE, loaded, refused, runs, values

from lrsweep.datasets import DATASETS
from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.spec import load_spec
from lrsweep.spec.keys import FIELDS, RUN_KEYS, SEARCH_KEYS
from lrsweep.vocabulary import Growth, LayerRates, SpecError
from lrsweep.yaml_reader import draw


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
        ("parametrization", "[standard, mup]", ["standard", "mup"]),
        ("base_width", "32", [32]),
        ("learning_rate", "[1e-3, 1, .5]", [0.001, 1.0, 0.5]),
        ("learning_rate", "{log: [1e-4, 1], per_decade: 1}", [0.0001, 0.001, 0.01, 0.1, 1.0]),
        ("learning_rate", "{log: [0.123456789, 1], num: 2}", [0.123457, 1.0]),
        ("learning_rate", "{log: [0.1, 0.123456789], num: 2}", [0.1, 0.123457]),
        ("learning_rate", "{halton: [1e-4, 1], num: 3}", [0.0001, 0.01, 1.0]),
        ("layer_rates", "[1, 1.0]", [LayerRates(), LayerRates()]),
        ("layer_rates", "{first: 0.5}", [LayerRates(first=0.5)]),
        ("layer_rates", "{last: 2, hidden: 1, first: 3}", [LayerRates(3.0, 1.0, 2.0)]),
        ("layer_rates", "{decay: [0.5, 1]}", [LayerRates(decay=0.5), LayerRates()]),
        ("layer_rates", "{decay: {log: [0.1, 10], num: 3}}", [LayerRates(decay=d) for d in (0.1, 1.0, 10.0)]),
        (
            "layer_rates",
            "[{first: [0.1, 0.5], last: [2, 4]}, 1]",
            [*(LayerRates(first=a, last=c) for a in (0.1, 0.5) for c in (2.0, 4.0)), LayerRates()],
        ),
        ("growth", "[none, null]", [None, None]),
        ("growth", "{at_epoch: 3, to_width: 128}", [Growth(3, 128)]),
        ("growth", "{to_width: {doubling: [128, 512]}, at_epoch: 3}", [Growth(3, w) for w in (128, 256, 512)]),
        (
            "growth",
            "{at_epoch: [3, 4], to_width: 9, rate: [keep, warmup, {scale: [0.1, 2]}]}",
            [Growth(e, 9, *rate) for e in (3, 4) for rate in (("keep",), ("warmup",), ("scale", 0.1), ("scale", 2.0))],
        ),
        (
            "growth",
            "[none, {at_epoch: 3, to_width: 9, rate: restart}, {at_epoch: 3, to_width: 9, rate: {scale: 1}}]",
            [None, Growth(3, 9, "restart"), Growth(3, 9, "scale", 1.0)],
        ),
        ("growth", "{at_epoch: 3, to_width: 9, rate: new_neurons_only}", [Growth(3, 9, "new_neurons_only")]),
        ("batch_size", "[32, full]", [32, "full"]),
        ("batch_size", "{doubling: [8, 32]}", [8, 16, 32]),
        ("epochs", "{linear: [5, 15], num: 3}", [5, 10, 15]),
        ("clip_norm", "[none, 1, 0.5, null]", [None, 1.0, 0.5, None]),
        ("clip_norm", "{log: [0.1, 10], num: 3}", [0.1, 1.0, 10.0]),
        ("precision", "float64", ["float64"]),
        ("noise", "none", [()]),
        ("noise", "null", [()]),
        ("noise", "1", [(1.0,)]),
        ("noise", "[0.3, 0.1]", [(0.3, 0.1)]),
        ("noise", "{linear: [0.1, 0.3], num: 3}", [(0.1, 0.2, 0.3)]),
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
        ("dataset", "", 1, "dataset is missing; add for example dataset: digits"),
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
        ("width", "null", 8, "width: has no value; it must be a whole number; write for example 64"),
        ("activation", "null", 13, r"activation: has no value; choose from relu, .*"),
        ("activation", "rellu", 13, r"activation: 'rellu' is unknown; choose from relu, .*; did you mean relu\?"),
        ("activation", "3", 13, "activation: 3 must be text; put it in quotes"),
        ("activation", "{log: [1, 2], num: 2}", 13, "activation takes one value, not a mapping; keep one"),
        ("parametrization", "mupp", 18, r"parametrization: 'mupp' is unknown; choose from standard, mup; did you .*"),
        ("parametrization", "true", 18, "parametrization: true must be text; put it in quotes"),
        ("base_width", "0", 13, "base_width: 0 must be at least 1; raise it"),
        ("base_width", "[32, 64]", 13, "base_width takes one value, not a list; keep one"),
        ("layer_rates", "2", 14, r"layer_rates: 2 must be 1, {first: a, hidden: b, last: c} or {decay: d}; write .*"),
        ("layer_rates", "true", 14, "layer_rates: true must be 1, .*"),
        ("layer_rates", "none", 14, "layer_rates: 'none' must be 1, .*"),
        ("layer_rates", "{}", 14, "layer_rates: the mapping is empty; write for example {decay: 0.5}, or 1"),
        ("layer_rates", "[]", 14, "layer_rates: the list is empty; give at least one value"),
        ("layer_rates", "{frist: 0.1}", 15, ".*'frist' is not a setting of layer_rates; it has .*; did you .*"),
        ("layer_rates", "{decay: 0.5, last: 1}", 27, ".*'last' does not go with decay; keep decay, or first, .*"),
        ("layer_rates", "{decay: 0}", 22, "layer_rates.decay: 0 must be above 0; raise it"),
        ("layer_rates", "{decay: {log: [0, 1], num: 3}}", 29, "layer_rates.decay: 0 must be above 0; raise it"),
        ("layer_rates", "{first: [1, -1]}", 26, "layer_rates.first: -1 must be above 0; raise it"),
        ("layer_rates", "{hidden: .inf}", 23, "layer_rates.hidden: inf must be finite; .*"),
        ("layer_rates", "{last: none}", 21, "layer_rates.last: 'none' must be a number; write for example 0.1"),
        ("growth", "64", 9, r"growth: 64 must be none, or when and how wide; write for example {at_epoch: 10, .*"),
        ("growth", "{}", 9, "growth: the mapping is empty; write .* {at_epoch: 10, to_width: 128}, or none"),
        ("growth", "{at_epoch: 3}", 9, r"growth: to_width is missing; write for .* {at_epoch: 10, to_width: 128}"),
        ("growth", "{to_width: 3}", 9, r"growth: at_epoch is missing; write .*"),
        ("growth", "{at_epoch: 0, to_width: 9}", 20, "growth.at_epoch: 0 must be at least 1; raise it"),
        ("growth", "{at_epoch: 0.5, to_width: 9}", 20, "growth.at_epoch: 0.5 must be a whole number; write .*"),
        ("growth", "{at_epoch: 2.5, to_width: 9}", 20, "growth.at_epoch: 2.5 must be a whole number; write .* 10"),
        ("growth", "{at_epoch: 3, to_width: wide}", 33, "growth.to_width: 'wide' must be a whole number; .* 128"),
        ("growth", "{at_epoch: 3, to_width: [9, 0]}", 37, "growth.to_width: 0 must be at least 1; raise it"),
        ("growth", "{at_epoch: 3, to_width: 9, to: 9}", 36, ".*'to' is not a setting of growth; it has at_epoch, .*"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: kep}", 42,
         r"growth.rate: 'kep' is unknown; choose from keep, restart, .*, {scale: x}; did you mean keep\?"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: 0.5}", 42, "growth.rate: 0.5 is unknown; choose from keep, .*"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: {}}", 42, "growth.rate: the mapping is empty; .* {scale: 0.5}"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: []}", 42, "growth.rate: the list is empty; give at least one .*"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: {by: 2}}", 43, ".*'by' is not a setting of growth.rate; .*"),
        ("growth", "{at_epoch: 3, to_width: 9, rate: [{scale: 0}]}", 51, "growth.rate.scale: 0 must be above 0; .*"),
        ("noise", "0", 8, "noise: 0 must be above 0; raise it"),
        ("noise", "[0.1, none]", 14, "noise: 'none' must be a number; write for example 0.1"),
        ("noise", "[]", 8, "noise: the list is empty; give at least one value"),
        ("noise", "{decay: 0.5}", 8, "noise: a grid has one of log, .*"),
        ("noise", "[0.1, 0.2, 0.10]", 19, "noise: 0.1 is there twice; keep one"),
        ("noise", "[0.12345671, 0.12345672]", 21, "noise: 0.123457 is there twice; keep one"),
        ("noise", "{log: [0.1, 1], num: 1000000000000}", 8, r"noise: about 10\^12 dev.* 100, .*; give it fewer"),
        ("noise", "{linear: [0.1, 0.100001], num: 3}", 8, "noise: 0.100001 is there twice; keep one"),
        ("zip", "[[width, noise]]", 15, "zip: 'noise' is not an axis; .*"),
        ("exclude", "[{growth: {to_width: 9}}]", 11, "exclude: no run has these values; name .*"),
        ("exclude", "[{growth: {at: 9}}]", 21, "growth: 'at' is not a setting of growth; it has .*"),
        ("exclude", "[{layer_rates: {decay: 0.5}}]", 11, "exclude: no run has these values; name .*"),
        ("optimizer", "adm", 12, r"optimizer: 'adm' is unknown; choose from .*; did you mean adam\?"),
        ("optimizer", "SGD", 12, r"optimizer: 'SGD' is unknown; .* did you mean sgd\?"),
        ("optimizer", "{adam: {beta1: 0.8}}", 12,
         "optimizer: name is missing; write for example {name: adam, beta1: 0.8}"),
        ("optimizer", "{beta1: [0.8, 0.9], eps: 1e-3}", 12, ".* is missing; .* {name: adam, beta1: …, eps: 0.001}"),
        ("optimizer", "{weight_decay: 0}", 12, ".* is missing; write for example {name: momentum, weight_decay: 0}"),
        ("optimizer", "{beta3: 0}", 12, "optimizer: name is missing; write for example {name: momentum}"),
        ("optimizer", "{}", 12, "optimizer: name is missing; write for example {name: momentum}"),
        ("exclude", "[{schedule: {mode: triangular}}]", 22,
         "schedule: name is missing; write for example {name: triangular, mode: triangular}"),
        ("exclude", "[{optimizer: {beta1: 0.8}}]", 23,
         "optimizer: name is missing; write for example {name: adam, beta1: 0.8}"),
        ("optimizer", "{name: [sgd, adam]}", 19, "optimizer: a list is no name; write for example .*"),
        ("optimizer", "{name: adam, beta3: 1}", 25, ".*'beta3' is not a setting of adam; it has .*did .*"),
        ("optimizer", "{name: adam, beta1: [0.9, 1]}", 38, "optimizer.beta1: 1 must be below 1; lower it"),
        ("optimizer", "{name: adam, beta1: {linear: [0, 0.99999999], num: 2}}", 45, ".*: 1.0 must be below 1; .*"),
        ("learning_rate", "", 1, "learning_rate is missing; add for example learning_rate: {log: .*"),
        ("learning_rate", "0", 16, "learning_rate: 0 must be above 0; raise it"),
        ("learning_rate", "-1e-3", 16, "learning_rate: -0.001 must be above 0; raise it"),
        ("learning_rate", ".nan", 16, "learning_rate: nan must be finite; .*"),
        ("learning_rate", "-.inf", 16, "learning_rate: -inf must be finite; .*"),
        ("learning_rate", "1e400", 16, "learning_rate: inf must be finite; .*"),
        ("learning_rate", "1e-400", 16, "learning_rate: 0.0 must be above 0; raise it"),
        ("learning_rate", "fast", 16, "learning_rate: 'fast' must be a number; write for example 0.1"),
        ("learning_rate", "null", 16, "learning_rate: has no value; it must be a number; .*"),
        ("learning_rate", "{min: 1, max: 2}", 16, "learning_rate: a grid has one of log, linear, .*; write .*"),
        ("learning_rate", "{log: [1, 2]}", 16, ".* a log grid needs num or per_decade; write .* num: 5"),
        ("learning_rate", "{log: [1, 2], num: 3, per_decade: 2}", 16, ".* needs one of num or per_decade; .*"),
        ("learning_rate", "{log: [1, 2], num: 1}", 35, "learning_rate: num 1 must be a whole number from 2; .* 5"),
        ("learning_rate", "{log: [1, 2], num: true}", 35, "learning_rate: num true must be a whole number from 2; .*"),
        ("learning_rate", "{log: [1, 2], per_decade: true}", 42, ".*per_decade true must be a whole number from 1; .*"),
        ("learning_rate", "{log: [1, 2], num: 2, nums: 3}", 38, ".*'nums' does not go with a log grid; keep .*"),
        ("learning_rate", "{log: 1, num: 2}", 22, "learning_rate: log needs its two ends; write for example .*"),
        ("learning_rate", "{linear: [0.1, 0.1000001], num: 2}", 25,
         "learning_rate: both ends of the grid are 0.1, in six digits; move them apart, or write 0.1 alone"),
        ("width", "{log: [1, 1], num: 2}", 14, "width: both ends of the grid are 1, .*, or write 1 alone"),
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
        ("expect", "0.95", 9, "expect: 0.95 must be none, or what is expected; .* {best_val_accuracy: '>= 0.9.'}"),
        ("expect", "[at_edge]", 9, "expect: a list must be none, or what is expected; .*"),
        ("expect", "{}", 9, "expect: the mapping is empty; write for example {best_val_accuracy: '>= 0.95'}, or none"),
        ("expect", "{speed: 1}", 10, "expect: 'speed' is unknown; choose from best_val_loss, .*, failed"),
        ("expect", "{best_val_los: 1}", 10, r"expect: 'best_val_los' is .*; did you mean best_val_loss\?"),
        ("expect", "{best_val_loss: 0.1}", 25, "expect.best_val_loss: 0.1 must be a comparison with a finite number; "
         "write for example '<= 0.2'"),
        ("expect", "{best_val_loss: '=< 1'}", 25, "expect.best_val_loss: '=< 1' must be a comparison .*"),
        ("expect", "{best_val_loss: '<= .nan'}", 25, "expect.best_val_loss: '<= .nan' must be a comparison .*"),
        ("expect", "{best_val_loss: '<= 1e400'}", 25, "expect.best_val_loss: '<= 1e400' must be a comparison .*"),
        ("expect", "{best_val_loss: [0, 1]}", 25, "expect.best_val_loss: a list must be a comparison .*"),
        ("expect", "{best_val_loss: '< -1'}", 25, "expect.best_val_loss: -1 must be at least 0; raise it"),
        ("expect", "{best_val_accuracy: '>= 95'}", 29, ".*best_val_accuracy: 95 must be at most 1; lower it"),
        ("expect", "{best_rate: 0.1}", 21, "expect.best_rate: 0.1 must be a comparison with a finite number or two "
         r"rates; write for example \[0.001, 0.1\]"),
        ("expect", "{best_rate: [0.1]}", 21, r"expect.best_rate: an interval has two ends; write .* \[0.001, 0.1\]"),
        ("expect", "{best_rate: [0.1, 0]}", 27, "expect.best_rate: 0 must be above 0; raise it"),
        ("expect", "{best_rate: [0.1, .inf]}", 27, "expect.best_rate: inf must be finite; .*"),
        ("expect", "{best_rate: [0.1, 0.01]}", 21,
         "expect.best_rate: an interval goes from low to high, not from 0.1 to "
         "0.01; swap its ends"),
        ("expect", "{best_rate: '< 0'}", 21, "expect.best_rate: 0 must be above 0; raise it"),
        ("expect", "{at_edge: 'false'}", 19, "expect.at_edge: 'false' must be true or false; write one of them"),
        ("expect", "{at_edge: '== 1'}", 19, "expect.at_edge: '== 1' must be true or false; write one of them"),
        ("expect", "{diverged: 4}", 20, "expect.diverged: 4 must be a comparison with a finite .* '<= 4'"),
        ("expect", "{diverged: '< 0.5'}", 20, "expect.diverged: 0.5 must be a whole number; write for example <= 4"),
        ("expect", "{failed: '< -1'}", 18, "expect.failed: -1 must be at least 0; raise it"),
        ("blocks", "[{expect: {failed: '< 1'}}]", 11, "'expect' is not a key of a block; it is said of the whole .*"),
        ("exclude", "[{expect: none}]", 12, "'expect' is not a key that runs differ by; .*"),
        ("zip", "width", 6, "zip: 'width' must be a list; write .*"),
        ("zip", "[[width]]", 7, r"zip: a list must be a list of two keys or more; write zip: \[\[width, depth\]\]"),
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
    assert marks[test_a_bad_value] >= set(FIELDS) - {"schedule", *SEARCH_KEYS}
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
        "the file's name 'my sweep' cannot name a results folder; add a key name: my-sweep"
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


WORDS = [
    *(*FIELDS, *OPTIMIZERS, *SCHEDULES, *DATASETS, *ACTIVATIONS),
    *("name", "log", "linear", "doubling", "halton", "log_uniform", "num", "per_decade", "file", "idx", "target"),
    *("full", "none", "best", "beta1", "lr", "x", "openml:x", "a.csv"),
    *("best_val_accuracy", "at_edge", "best_rate", "'>= 0.5'"),
    *("first", "last", "decay", "at_epoch", "to_width", "rate", "scale", "keep", "restart", "mup", "mode"),
    *("screen", "halving", "resource", "min", "guard", "until_bracketed", "max_decades", "decades", "max_rates"),
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
