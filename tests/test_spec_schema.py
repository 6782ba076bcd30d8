"""The JSON Schema of the sweep file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from spec_cases import refused, values

from lrsweep.spec import default_settings, json_schema
from lrsweep.spec.expected import expectation
from lrsweep.spec.keys import EXPECT_RULES, FIELDS, LISTED, REGISTRIES
from lrsweep.spec.problems import Problems
from lrsweep.yaml_reader import read


def test_the_schema_describes_every_key() -> None:
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert list(schema["properties"]) == list(FIELDS)
    assert all(value["description"] for value in schema["properties"].values())
    for key in LISTED:
        assert {"type": "array"}.items() <= schema["properties"][key]["anyOf"][1].items()


def test_the_schema_holds_nothing_of_pydantic_or_ours() -> None:
    def inside(value: Any) -> set[str]:
        nested = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return (set(value) if isinstance(value, dict) else set()).union(*map(inside, nested))

    assert not {"axis", "numbers", "sentence", "rule", "compared"} & inside(json_schema())


@pytest.mark.parametrize(("key", "name"), [(key, name) for key, registry in REGISTRIES.items() for name in registry])
def test_the_schema_follows_the_registry(key: str, name: str) -> None:
    names, *forms = json_schema()["properties"][key]["anyOf"][0]["anyOf"]
    assert names == {"enum": list(REGISTRIES[key])}
    (form,) = [form for form in forms if form["properties"]["name"] == {"const": name}]
    assert list(form["properties"]) == ["name", *default_settings(key, name)]
    for setting, default in default_settings(key, name).items():
        one, several, *grid = form["properties"][setting]["anyOf"]
        assert several == {"type": "array", "items": one, "minItems": 1}
        assert ("enum" in one) == (not grid) == isinstance(default, str)


def accepts(schema: dict[str, Any], value: Any, whole: dict[str, Any]) -> bool:
    """Whether a value follows a schema, of which only the words that ours uses are understood."""
    if "$ref" in schema:
        return accepts(whole["$defs"][schema["$ref"].rpartition("/")[2]], value, whole)
    kinds = {"number": int | float, "integer": int, "string": str, "boolean": bool, "null": type(None)}
    kinds |= {"array": list, "object": dict}
    checks: dict[str, Any] = {
        "type": lambda kind: isinstance(value, kinds[kind]) and isinstance(value, bool) == (kind == "boolean"),
        "anyOf": lambda forms: any(accepts(form, value, whole) for form in forms),
        "oneOf": lambda forms: sum(accepts(form, value, whole) for form in forms) == 1,
        "pattern": lambda pattern: isinstance(value, str) and re.search(pattern, value),
        "const": lambda const: value == const,
        "enum": lambda words: value in words,
        "exclusiveMinimum": lambda bound: not isinstance(value, int | float) or value > bound,
        "minimum": lambda bound: not isinstance(value, int | float) or value >= bound,
        "exclusiveMaximum": lambda bound: not isinstance(value, int | float) or value < bound,
        "maximum": lambda bound: not isinstance(value, int | float) or value <= bound,
        "items": lambda form: not isinstance(value, list) or all(accepts(form, item, whole) for item in value),
        "minItems": lambda n: not isinstance(value, list) or len(value) >= n,
        "maxItems": lambda n: not isinstance(value, list) or len(value) <= n,
        "minProperties": lambda n: len(value) >= n,
        "required": lambda keys: set(keys) <= set(value),
        "properties": lambda forms: all(accepts(forms[key], value[key], whole) for key in value if key in forms),
        "additionalProperties": lambda _: set(value) <= set(schema["properties"]),
    }
    return all(check(schema[word]) for word, check in checks.items() if word in schema)


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("parametrization", ["mup", "[standard, mup]"], ["mu", "1"]),
        ("base_width", ["32"], ["0", "[32]"]),
        (
            "layer_rates",
            ["1", "{decay: 0.5}", "[1, {first: [0.1, 1], last: 2}]", "{decay: {log: [0.1, 1], num: 3}}"],
            ["2", "{}", "{decay: 0}", "{decay: 0.5, last: 1}", "{frist: 1}", "[]"],
        ),
        (
            "growth",
            ["none", "{at_epoch: [3, 4], to_width: {doubling: [64, 128]}, rate: [keep, {scale: [0.1, 1]}]}"],
            ["{at_epoch: 3}", "{at_epoch: 3, to_width: 9, rate: kep}", "{at_epoch: 3, to_width: 9, rate: {}}", "1"],
        ),
        ("noise", ["none", "0.1", "[0.1, 1]", "{log: [0.1, 1], num: 3}"], ["0", "[-1]", "much"]),
        ("objective", ["val_loss"], ["loss", "noisy_accuracy", "noisy_accuracy@", "noisy_loss@1", "test_loss", "3"]),
        (
            "expect",
            [
                "none",
                "{failed: == 0}",
                "{best_rate: '>1e-3', at_edge: true}",
                "{best_rate: [.1, 1], best_val_r2: < -1.5}",
            ],
            [
                "{}",
                "true",
                "{failed: 0}",
                "{at_edge: 0}",
                "{best_rate: [1]}",
                "{best_rate: [0, 1]}",
                "{best_val_r2: '1 <'}",
            ],
        ),
        ("schedule", ["{name: triangular, mode: [triangular, exp_range]}"], ["{name: triangular, mode: triangle}"]),
    ],
)
def test_the_schema_and_the_reader_agree(tmp_path: Path, key: str, good: list[str], bad: list[str]) -> None:
    schema = json_schema()
    for text in good:
        assert key in ("objective", "expect") or values(tmp_path, key, text)
        assert accepts(schema["properties"][key], read(f"v: {text}", "")[1].plain()["v"], schema)
    for text in bad:
        assert refused(tmp_path, **{key: text})
        assert not accepts(schema["properties"][key], read(f"v: {text}", "")[1].plain()["v"], schema)


NUMBERS = "0 1 4 95 4.5 4.0 4e0 0.95 .5 1.0 1.01 -0 -1 -1.5 +1 +.5 1. 1.5e-1 1e-3 1e0 1e1 1e+0 -1e3 -.5 01 1e"


@pytest.mark.parametrize("name", [name for name in EXPECT_RULES if name != "at_edge"])
def test_the_schema_and_the_reader_agree_on_comparisons(name: str) -> None:
    schema = json_schema()
    form = schema["$defs"]["Expectations"]["properties"][name]
    for text in (
        shape.format(number) for number in NUMBERS.split() for shape in (">={}", " <  {} ", "<= {}\t", "{}", "= {}")
    ):
        root = read(f"v: {json.dumps(text)}", "")[1]
        problems = Problems(root, [])
        expectation(problems, name, root.value["v"])
        assert accepts(form, text, schema) == (not problems.told), text


def test_the_schema_has_noisy_objectives_and_no_noise_in_blocks() -> None:
    properties = json_schema()["properties"]
    assert accepts(properties["objective"], "noisy_accuracy@0.1", {})
    assert accepts(properties["objective"], "noisy_r2@1e-05", {})
    assert not accepts(properties["blocks"], [{"noise": 0.1}], json_schema())
