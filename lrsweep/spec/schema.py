"""The JSON Schema of a sweep file, for editors."""

from __future__ import annotations

from typing import Any

from lrsweep.datasets import DATASETS
from lrsweep.spec.expected import PAIR
from lrsweep.spec.keys import (
    AXES,
    BLOCK_KEYS,
    EXAMPLES,
    FEWEST,
    GRID_FORMS,
    NOISY,
    REGISTRIES,
    RUN_KEYS,
    SweepFile,
    settings_model,
)

Schema = dict[str, Any]
GRID = {"$ref": "#/$defs/grid"}
OPENML = {"type": "string", "pattern": "^openml:."}
ANY = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
SHARE = rf"(?:0+\.?[0-9]*|0*1(?:\.0*)?|\.[0-9]+)(?:[eE][-+]?0+)?|{ANY}[eE]-[0-9]+"
"""Numbers without their signs as the texts of comparisons have them; the second up to 1, as far as a pattern can tell:
what a negative exponent makes of a number it leaves to the reader."""


def json_schema() -> Schema:
    """The schema of a whole file, in draft 2020-12: what each key may hold, with its meaning and its default."""
    schema = SweepFile.model_json_schema()
    properties: dict[str, Schema] = schema["properties"]
    properties["dataset"]["anyOf"][:1] = [{"enum": list(DATASETS)}, OPENML]
    columns = {"enum": properties["objective"].pop("enum")}
    properties["objective"]["anyOf"] = [columns, {"pattern": f"^{NOISY.pattern}$"}]
    for key in REGISTRIES:
        del properties[key]["type"]
        properties[key]["anyOf"] = [{"enum": list(REGISTRIES[key])}, *mappings(key)]
    properties["zip"]["items"] = {"type": "array", "items": {"enum": [*AXES, "seeds"]}, "minItems": 2}
    expectations(schema["$defs"]["Expectations"])
    for form in (schema, *schema["$defs"].values()):
        form["properties"] = {key: several(value) for key, value in form["properties"].items()}
    schema["$defs"]["grid"] = {"anyOf": [grid(name) for name in GRID_FORMS]}
    properties["exclude"]["items"] = {"type": "object", "propertyNames": {"enum": list(RUN_KEYS)}, "minProperties": 1}
    inside = {key: {"$ref": f"#/properties/{key}"} for key in BLOCK_KEYS}
    properties["blocks"]["items"] = {"type": "object", "properties": inside, "additionalProperties": False}
    del schema["required"]  # what a file lacks, its blocks may have
    schema["anyOf"] = [{"required": list(EXAMPLES)}, {"required": ["blocks"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def grid(name: str) -> Schema:
    """A grid by its two ends and, of some, how many values it has."""
    ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    counts = {count: {"type": "integer", "minimum": FEWEST[count]} for count in GRID_FORMS[name]}
    form = {"type": "object", "properties": {name: ends, **counts}, "required": [name], "additionalProperties": False}
    return form | ({"oneOf": [{"required": [count]} for count in counts]} if counts else {})


def expectations(form: Schema) -> None:
    """Turns the numbers that expectations compare with into the texts that do, of which one is enough."""
    del form["required"]
    for name, value in form["properties"].items():
        if value.pop("compared", False):
            about = {part: value.pop(part) for part in ("title", "description", "examples")}
            number = {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
            text = compared(value)
            form["properties"][name] = about | ({"anyOf": [text, number]} if name == PAIR else text)


def compared(value: Schema) -> Schema:
    """A text that compares with such a number, by its bounds."""
    size = "[0-9]+" if value["type"] == "integer" else SHARE if "maximum" in value else f"{ANY}(?:[eE][-+]?[0-9]+)?"
    number = rf"\+?(?:{size})|-0+"
    if "exclusiveMinimum" in value:
        number = rf"\+?(?=[^eE]*[1-9])(?:{size})"
    elif "minimum" not in value:
        number = rf"-{ANY}(?:[eE][-+]?[0-9]+)?|\+?(?:{size})"
    return {"type": "string", "pattern": rf"^\s*(?:>=|<=|==|>|<) *(?:{number})\s*$"}


def several(value: Schema) -> Schema:
    """What a key may hold: where its field is marked so, also a list or a grid."""
    value.pop("sentence", None)
    value.pop("axis", None)
    return axis(value, value.pop("numbers")) if "numbers" in value else value


def axis(value: Schema, numeric: bool) -> Schema:
    """One value, a list or a grid, with the value's own description and default outside."""
    value.pop("sentence", None)
    about = {part: value.pop(part) for part in ("title", "description", "default", "examples") if part in value}
    return about | {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}, *[GRID][: int(numeric)]]}


def mappings(key: str) -> list[Schema]:
    """For each optimizer or schedule the mapping with its name and settings, each of them an axis."""
    forms: list[Schema] = []
    for name in REGISTRIES[key]:
        settings = settings_model(key, name).model_json_schema()["properties"]
        properties = {setting: axis(value, numeric="enum" not in value) for setting, value in settings.items()}
        form = {"properties": {"name": {"const": name}, **properties}, "required": ["name"]}
        forms.append({"type": "object", **form, "additionalProperties": False})
    return forms
