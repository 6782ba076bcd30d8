"""Keys and settings of a sweep file: what there is, what a word was meant to be, how mistakes are told together."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined
from spec_cases import loaded, refused, values

from lrsweep.datasets import did_you_mean
from lrsweep.spec import default_settings, keys, load_spec, template
from lrsweep.spec.keys import FIELDS, OBJECTIVES, REGISTRIES, SYNONYMS
from lrsweep.vocabulary import Choice, Growth, LayerRates, SpecError, UsageError
from lrsweep.yaml_reader import draw

# --- Keys


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
        ("mup", "parametrization"),
        ("parameterization", "parametrization"),
        ("llrd", "layer_rates"),
        ("layerwise_decay", "layer_rates"),
        ("discriminative", "layer_rates"),
        ("layer_rate", "layer_rates"),
        ("grow", "growth"),
        ("noise_std", "noise"),
        ("assert", "expect"),
        ("pruner", "elimination"),
        ("successive_halving", "elimination"),
        ("extend_grid", "extend"),
        ("refinement", "refine"),
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
    assert found.endswith(f"it is a setting, write {key}: {{name: …, {word}: …}}")


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("first", "layer_rates: {first: …}"),
        ("at_epoch", "growth: {at_epoch: …}"),
        ("to_width", "growth: {to_width: …}"),
        ("halving", "elimination: {halving: …}"),
        ("guard", "elimination: {halving: {guard: …}}"),
        ("until_bracketed", "extend: {until_bracketed: …}"),
        ("max_rates", "refine: {max_rates: …}"),
    ],
)
def test_a_setting_of_a_mapping_beside_the_keys_is_led_to_its_place(tmp_path: Path, word: str, place: str) -> None:
    (found,) = refused(tmp_path, f"{word}: 1")
    assert found.endswith(f"it is a setting, write {place}")


def test_a_word_near_nothing_gets_no_suggestion(tmp_path: Path) -> None:
    assert did_you_mean("xyzzy", FIELDS) == ""
    (found,) = refused(tmp_path, "xyzzy: 1")
    assert found == "3:1: 'xyzzy' is not a key of a sweep file; remove it, or see lrsweep schema"


def test_an_objective_of_every_epoch_goes_with_the_best_epoch(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, objective="val_macro_f1", select="best")
    assert found.startswith("3:12: objective: val_macro_f1 is not recorded at every epoch, which select: best needs; ")
    assert loaded(tmp_path, objective="val_accuracy", select="best").select == "best"
    assert [loaded(tmp_path, objective=name).objective for name in OBJECTIVES] == list(OBJECTIVES)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"objective": "noisy_accuracy@0.2"}, "3:12: objective: noisy_accuracy@0.2 is not measured with noise none; "
         "add a key noise: 0.2"),
        ({"objective": "noisy_r2@3", "noise": "[0.1, 1]"}, "3:12: objective: noisy_r2@3 is not measured with noise "
         "0.1 1; choose noisy_r2@0.1, or change noise"),
        ({"objective": "noisy_accuracy@0.10", "noise": "0.1"}, "3:12: objective: noisy_accuracy@0.10 is not measured "
         "with noise 0.1; choose noisy_accuracy@0.1, or change noise"),
        ({"objective": "noisy_loss@0.1", "noise": "0.1"}, "3:12: objective: 'noisy_loss@0.1' is unknown; choose from "),
        ({"objective": "noisy_accuracy@0.1", "noise": "-1"}, "4:8: noise: -1 must be above 0; raise it"),
        ({"objective": "noisy_accuracy@0.1", "noise": "0.1", "select": "best"}, "3:12: objective: noisy_accuracy@0.1 "
         "is not recorded at every epoch, which select: best needs; "),
    ],
)  # fmt: skip
def test_a_noisy_objective_needs_its_noise(tmp_path: Path, keys: dict[str, str], message: str) -> None:
    (found,) = refused(tmp_path, **keys)
    assert found.startswith(message)


@pytest.mark.parametrize("key", ["parametrization", "layer_rates", "growth", "noise"])
def test_a_commented_key_of_the_template_can_be_taken_in(tmp_path: Path, key: str) -> None:
    path = tmp_path / "new.yaml"
    assert f"# {key}: " in template()
    path.write_text(template().replace(f"# {key}: ", f"{key}: "))
    assert load_spec(path).blocks[0].axes[key] != loaded(tmp_path).blocks[0].axes[key]


@pytest.mark.parametrize("noise", ["0.1", "[1, 0.1]", "{log: [0.1, 10], num: 3}"])
def test_a_noisy_score_can_rank(tmp_path: Path, noise: str) -> None:
    assert loaded(tmp_path, objective="noisy_accuracy@0.1", noise=noise).objective == "noisy_accuracy@0.1"
    assert loaded(tmp_path, "", "objective=noisy_r2@0.1", noise=noise).objective == "noisy_r2@0.1"


@pytest.mark.parametrize("key", ["growth", "layer_rates"])
def test_an_empty_mapping_is_told_as_one(tmp_path: Path, key: str) -> None:
    (found,) = refused(tmp_path, **{key: "{}"})
    assert f"{key}: the mapping is empty; write for example {{" in found
    (found,) = refused(tmp_path, exclude=f"[{{{key}: {{}}}}]")
    assert f"{key}: the mapping is empty; write for example {{" in found


def test_every_rule_has_an_example_to_write() -> None:
    forms = (keys.RULES, *keys.DATA_FORMS.values(), keys.SCREEN_RULES, *keys.MAPPINGS.values())
    others = (keys.DECAY_RULES, keys.SCALE_RULES, keys.EXPECT_RULES, keys.HALVING_RULES["subset"])
    rules = [rule for form in (*forms, *others) for rule in form.values()]
    assert all(rule.example is not PydanticUndefined for rule in [*rules, keys.NOISE_RULE])


# --- Optimizers and schedules, from their registries


SETTINGS = [
    (key, name, field)
    for key, registry in REGISTRIES.items()
    for name, rule in registry.items()
    for field in dataclasses.fields(rule)
]
NUMBERS = [row for row in SETTINGS if not isinstance(row[2].default, str)]
WORDED = [row for row in SETTINGS if isinstance(row[2].default, str)]


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, registry in REGISTRIES.items() for name in registry])
def test_a_name_alone_stands_for_all_its_defaults(tmp_path: Path, key: str, name: str) -> None:
    choice = Choice(name, tuple(default_settings(key, name).items()))
    given = ", ".join([f"name: {name}", *(f"{setting}: {value}" for setting, value in choice.settings)])
    assert values(tmp_path, key, f"[{name}, {{name: {name}}}, {{{given}}}]") == [choice] * 3


@pytest.mark.parametrize(("key", "name", "field"), NUMBERS)
def test_a_setting_is_held_to_its_bounds(tmp_path: Path, key: str, name: str, field: dataclasses.Field[Any]) -> None:
    bad = {"ge": -1e-9, "gt": 0.0, "lt": 0.0, "le": 1e-9}
    steps = {"ge": -1, "gt": 0, "lt": 0, "le": 1} if isinstance(field.default, int) else bad
    bounds = {kind: bound for kind, bound in field.metadata.items() if kind in bad}
    assert bounds
    for kind, bound in bounds.items():
        (found,) = refused(tmp_path, **{key: f"{{name: {name}, {field.name}: {bound + steps[kind]!r}}}"})
        assert re.search(rf"{key}\.{field.name}: .* must be (above|below|at least|at most) {bound:,.16g}; ", found)


@pytest.mark.parametrize(("key", "name", "field"), NUMBERS)
@pytest.mark.parametrize("value", ["true", ".nan", "1e400", "'1'", "null", "none"])
def test_a_setting_is_a_finite_number(
    tmp_path: Path, key: str, name: str, field: dataclasses.Field[Any], value: str
) -> None:
    (found,) = refused(tmp_path, **{key: f"{{name: {name}, {field.name}: {value}}}"})
    assert re.search(rf"{key}\.{field.name}: .* must be (a number|a whole number|finite); ", found)


@pytest.mark.parametrize(("key", "name", "field"), WORDED)
def test_a_setting_that_is_a_word_is_one_of_its_choices(
    tmp_path: Path, key: str, name: str, field: dataclasses.Field[Any]
) -> None:
    choices = field.metadata["choices"]
    read = values(tmp_path, key, f"{{name: {name}, {field.name}: [{', '.join(choices)}]}}")
    assert [dict(choice.settings)[field.name] for choice in read] == list(choices)
    assert field.default in choices

    def told(value: str) -> str:
        (found,) = refused(tmp_path, **{key: f"{{name: {name}, {field.name}: {value}}}"})
        return found.split(": ", 1)[1]

    listed = ", ".join(choices)
    label = f"{key}.{field.name}"
    assert told(f"{choices[-1]}x") == (
        f"{label}: '{choices[-1]}x' is unknown; choose from {listed}; did you mean {choices[-1]}?"
    )
    assert told("3") == f"{label}: 3 must be text; put it in quotes"
    assert told("{log: [1, 2], num: 3}") == f"{label} takes one value, not a mapping; keep one"


def test_some_setting_is_a_word() -> None:
    assert WORDED


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


@pytest.mark.parametrize(
    ("override", "key", "expected"),
    [
        ("layer_rates={decay: [0.5, 1]}", "layer_rates", [LayerRates(decay=0.5), LayerRates()]),
        ("layer_rates=1,{first: 0.1}", "layer_rates", [LayerRates(), LayerRates(first=0.1)]),
        ("noise=0.1,0.3", "noise", [(0.1, 0.3)]),
        ("noise=none", "noise", [()]),
        ("growth=none", "growth", [None]),
        ("growth=none,{at_epoch: 3, to_width: 9}", "growth", [None, Growth(3, 9)]),
        ("parametrization=standard,mup", "parametrization", ["standard", "mup"]),
        ("base_width=16", "base_width", [16]),
        ("optimizer=lion", "optimizer", [Choice("lion", tuple(default_settings("optimizer", "lion").items()))]),
    ],
)
def test_the_value_of_an_override(tmp_path: Path, override: str, key: str, expected: list[Any]) -> None:
    file = {"layer_rates": "{decay: 0.1}", "growth": "{at_epoch: 1, to_width: 99}", "noise": "0.5"}
    assert loaded(tmp_path, "", override, **file).blocks[0].axes[key] == expected


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


def test_an_override_of_several_keys_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"-o .* sets several keys; write one -o for each"):
        loaded(tmp_path, "", "width=64\nname: x")


@pytest.mark.parametrize("override", ["width", "=3", "optimizer.momentum=0.9", "a b=3", ""])
def test_an_override_without_key_or_value_is_refused(tmp_path: Path, override: str) -> None:
    with pytest.raises(UsageError, match="is not KEY=VALUE with a key of the sweep file; write for example"):
        loaded(tmp_path, "", override)


def test_an_override_wins_over_a_block(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("{dataset: iris, learning_rate: 0.1, blocks: [{epochs: 3}, {epochs: 4, width: 8}]}")
    assert [block.axes["epochs"] for block in load_spec(path, ["epochs=1"]).blocks] == [[1], [1]]
