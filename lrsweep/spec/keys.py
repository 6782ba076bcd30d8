"""What a sweep file may hold: every key, declared once.

Validation, the JSON Schema and the columns of runs.csv follow from `SweepFile`. A key marked AXIS takes one value, a list
or a grid. The settings of optimizers and schedules come from their registries.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from lrsweep.datasets import DATASETS
from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.vocabulary import Scalar

AXIS: dict[str, Any] = {"axis": True}
REGISTRIES: dict[str, Mapping[str, Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}

OBJECTIVES = (
    *("val_loss", "val_accuracy", "val_r2", "val_macro_f1", "val_balanced_accuracy"),
    *("train_loss", "train_accuracy", "train_r2", "best_val_loss", "best_val_accuracy", "best_val_r2"),
)
SWEEP_KEYS = ("name", "description", "objective", "select", "zip", "exclude", "blocks")
"""Keys that say something about the sweep; all others are settings of its runs."""

LATER = (
    *("parametrization", "base_width", "layer_rates", "growth", "noise"),
    *("elimination", "extend", "refine", "expect"),
)
SYNONYMS = {
    **dict.fromkeys(("lr", "lrs", "rate", "rates", "learning_rates", "learning_rate_init", "eta", "step_size"), "learning_rate"),
    **dict.fromkeys(("optim", "opt", "optimizers", "solver", "algorithm"), "optimizer"),
    **dict.fromkeys(("hidden", "hidden_size", "hidden_sizes", "hidden_layer_sizes", "units", "neurons", "widths"), "width"),
    **dict.fromkeys(("layers", "n_layers", "hidden_layers", "num_layers", "depths"), "depth"),
    **dict.fromkeys(("batch", "batch_sizes", "bs", "minibatch"), "batch_size"),
    **dict.fromkeys(("epoch", "n_epochs", "num_epochs", "max_epochs", "max_iter", "iterations"), "epochs"),
    **dict.fromkeys(("scheduler", "lr_scheduler", "lr_schedule", "schedules", "warmup"), "schedule"),
    **dict.fromkeys(("seed", "n_seeds", "random_state", "repeats"), "seeds"),
    **dict.fromkeys(("data", "datasets", "file", "csv", "idx"), "dataset"),
    **dict.fromkeys(("fraction", "sample", "sample_size", "train_size"), "subset"),
    **dict.fromkeys(("val", "validation_fraction", "val_size", "valid"), "validation"),
    **dict.fromkeys(("test_size", "test_fraction"), "test"),
    **dict.fromkeys(("metric", "goal", "monitor"), "objective"),
    **dict.fromkeys(("grad_clip", "gradient_clip_val", "max_norm", "clip"), "clip_norm"),
    **dict.fromkeys(("dtype",), "precision"),
    **dict.fromkeys(("normalize", "scale", "scaling"), "standardize"),
    **dict.fromkeys(("momentum", "beta1", "beta2", "weight_decay", "eps"), "optimizer"),
}


class FileData(BaseModel):
    """A table of your own."""

    model_config = ConfigDict(strict=True, extra="forbid")
    file: str = Field(min_length=1, description="path to a .csv, .parquet or .npz file, from the sweep file's folder")
    target: str = Field("", description="the column to predict")
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")


class IdxData(BaseModel):
    """A folder of MNIST-format files, gzipped or not."""

    model_config = ConfigDict(strict=True, extra="forbid")
    idx: str = Field(min_length=1, description="path to the folder, from the sweep file's folder")


def _rule(text: str) -> dict[str, Any]:
    """AXIS, with the sentence to tell where the type alone gives a poor one."""
    return {**AXIS, "rule": text}


class SweepFile(BaseModel):
    """A learning-rate sweep: every list or grid is an axis, and the sweep is the product of all axes."""

    model_config = ConfigDict(strict=True, extra="forbid", title="lrsweep sweep file")

    name: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="the results folder's name; default: the file's stem"
    )
    description: str = Field("", description="a note for the reader")
    dataset: str | FileData | IdxData = Field(description="what to learn", json_schema_extra=AXIS)
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")
    subset: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, le=1)] = Field(
        1.0,
        description="fraction or number of the training rows, stratified and nested",
        json_schema_extra=_rule("must be a fraction above 0 and up to 1, or a whole number of training rows"),
    )
    validation: float = Field(0.2, gt=0, lt=1, description="fraction of all rows that decides the ranking")
    test: float = Field(0.2, ge=0, lt=1, description="fraction of all rows that is measured on once, at the end")
    split_seed: int = Field(0, ge=0, description="seed of the split into training, validation and test rows")
    standardize: bool = Field(True, description="mean 0 and deviation 1, from the run's training rows")
    width: int = Field(64, ge=1, description="units per hidden layer", json_schema_extra=AXIS)
    depth: int = Field(1, ge=0, description="hidden layers; 0 is a linear model", json_schema_extra=AXIS)
    activation: str = Field("relu", description="of the hidden layers", json_schema_extra=AXIS)
    optimizer: str = Field("momentum", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    learning_rate: float = Field(gt=0, allow_inf_nan=False, description="peak rate", json_schema_extra=AXIS)
    schedule: str = Field("constant", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = Field(
        32, description="rows per step, or full", json_schema_extra=_rule("must be a whole number from 1, or full")
    )
    epochs: int = Field(20, ge=1, description="passes over the training rows", json_schema_extra=AXIS)
    clip_norm: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["none"] | None = Field(
        None, description="largest L2 norm of the gradient", json_schema_extra=_rule("must be above 0, or none")
    )
    precision: Literal["float32", "float64"] = Field("float32", description="of the numbers in training")
    seeds: Annotated[int, Field(ge=1)] | list[Annotated[int, Field(ge=0)]] = Field(
        3, description="how many (0, 1, …), or which; a seed sets weights and data order, shared by all rates"
    )
    objective: str = Field("val_loss", description="the column that ranks the rates: " + ", ".join(OBJECTIVES))
    select: Literal["final", "best"] = Field("final", description="rank by the final epoch or by the best one")
    zip: list[list[str]] = Field([], description="axes that advance together")
    exclude: list[dict[str, Any]] = Field([], description="combinations to leave out")
    blocks: list[dict[str, Any]] = Field([], description="a union of sweeps: each block overrides the file's keys")


FIELDS = SweepFile.model_fields
RUN_KEYS = tuple(key for key in FIELDS if key not in SWEEP_KEYS)
AXES = tuple(key for key, field in FIELDS.items() if field.json_schema_extra)
NUMERIC = ("subset", "width", "depth", "learning_rate", "batch_size", "epochs", "clip_norm")
NAMES: dict[str, Iterable[str]] = {"activation": ACTIVATIONS, "objective": OBJECTIVES, **REGISTRIES}
"""Keys whose text is one of a list."""

Warmup = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)]
WARMUP_RULE = "must be a fraction of all steps below 1, or a whole number of steps"
ENDS = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}


@functools.cache
def settings_model(key: str, name: str) -> type[BaseModel]:
    """The settings of an optimizer or schedule, made from its class; every schedule has a warm-up as well."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(REGISTRIES[key][name]):
        bounds = dict(field.metadata)
        meaning, kind = bounds.pop("meaning"), type(field.default)
        finite = {"allow_inf_nan": False} if kind is float else {}
        fields[field.name] = (kind, Field(field.default, description=meaning, **bounds, **finite))
    if key == "schedule":
        rule = {"rule": WARMUP_RULE}
        fields["warmup"] = (Warmup, Field(0, description="climb to the peak first", json_schema_extra=rule))
    return create_model(name, __config__=ConfigDict(strict=True, extra="forbid"), **fields)


def default_settings(key: str, name: str) -> dict[str, Scalar]:
    """The settings that an optimizer or schedule has when the file names none.

    >>> default_settings("schedule", "cosine")
    {'end': 0.0, 'warmup': 0}
    """
    return {name: field.default for name, field in settings_model(key, name).model_fields.items()}


def adapter(field: FieldInfo) -> TypeAdapter[Any]:
    """Validates one value of a field, without turning text into numbers or the like."""
    return TypeAdapter(Annotated[field.annotation, field], config=ConfigDict(strict=True))


def is_whole(field: FieldInfo) -> bool:
    """Whether a field holds whole numbers alone, so that a grid's values are rounded to them."""
    return field.annotation is int


def rule_of(field: FieldInfo) -> str:
    """The sentence that tells what a field may hold, or nothing where its type says it well."""
    extra = field.json_schema_extra
    return str(extra.get("rule", "")) if isinstance(extra, dict) else ""


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a sweep file, for editors."""
    schema = SweepFile.model_json_schema()
    properties = schema["properties"]
    definitions = schema.setdefault("$defs", {})
    definitions["grid"] = {"anyOf": [_grid_schema(*grid) for grid in GRID_FORMS]}
    for key, names in NAMES.items():
        properties[key] |= {"enum": list(names)} if key not in REGISTRIES else {}
    for key in REGISTRIES:
        properties[key] = _choice_schema(key, properties[key])
    for key, held in properties.items():
        rule = {part: held.pop(part) for part in ("rule", "axis") if part in held}
        about = {part: held.pop(part) for part in ("description", "default", "title") if part in held}
        if "axis" in rule:
            forms = [held, {"type": "array", "items": held, "minItems": 1}]
            grid = [{"$ref": "#/$defs/grid"}] if key in NUMERIC else []
            held = {"anyOf": forms + grid}
        properties[key] = about | held
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


GRID_FORMS = (
    ("log", ("num", "per_decade")),
    ("linear", ("num",)),
    ("doubling", ()),
    ("log_uniform", ("num",)),
    ("halton", ("num",)),
)
"""A grid's name, with the keys of which exactly one says how many values it has."""


def _grid_schema(name: str, counts: tuple[str, ...]) -> dict[str, Any]:
    numbers = {count: {"type": "integer", "minimum": 1 if count == "per_decade" else 2} for count in counts}
    form = {"type": "object", "properties": {name: ENDS, **numbers}, "additionalProperties": False}
    return form | {"required": [name]} | ({"oneOf": [{"required": [count]} for count in counts]} if counts else {})


def _choice_schema(key: str, about: dict[str, Any]) -> dict[str, Any]:
    """A name, or a mapping with the name and settings, each of them an axis."""
    forms: list[dict[str, Any]] = [{"enum": list(REGISTRIES[key])}]
    for name in REGISTRIES[key]:
        settings = settings_model(key, name).model_json_schema()["properties"]
        for setting, held in settings.items():
            meaning = {part: held.pop(part) for part in ("description", "default", "title", "rule") if part in held}
            meaning.pop("rule", None)
            settings[setting] = meaning | {
                "anyOf": [held, {"type": "array", "items": held, "minItems": 1}, {"$ref": "#/$defs/grid"}]
            }
        properties = {"name": {"const": name}, **settings}
        forms.append({"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False})
    return {part: about[part] for part in ("description", "default", "title", "axis") if part in about} | {"anyOf": forms}
