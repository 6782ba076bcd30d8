"""What a sweep file may hold: every key, declared once.

Validation, the JSON Schema and the columns of runs.csv follow from `SweepFile`. A key marked AXIS takes one value, a
list or, if it is a number, a grid. The settings of optimizers and schedules come from their registries.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.vocabulary import Scalar

AXIS: dict[str, Any] = {"axis": True}
REGISTRIES: dict[str, Mapping[str, Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
LARGEST = 2**53
"""Of whole numbers: up to it JSON, CSV readers and SQLite keep every one exactly."""

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
"""Keys that this version does not have yet."""

LATER_NAMES = {
    "optimizer": ("adadelta", "amsgrad", "nadam", "radam", "lion", "prodigy", "schedule_free"),
    "schedule": (
        *("polynomial", "inverse_time", "inverse_sqrt", "warm_restarts", "one_cycle", "triangular"),
        *("plateau", "bold_driver"),
    ),
}
"""Optimizers and schedules that this version does not have yet."""

SYNONYMS = {
    word: key
    for key, words in {
        "learning_rate": "lr lrs rate rates learning_rates learning_rate_init eta step_size",
        "optimizer": "optim opt optimizers solver algorithm",
        "width": "hidden hidden_size hidden_sizes hidden_layer_sizes units neurons widths",
        "depth": "layers n_layers hidden_layers num_layers depths",
        "batch_size": "batch batch_sizes bs minibatch",
        "epochs": "epoch n_epochs num_epochs max_epochs max_iter iterations",
        "schedule": "scheduler lr_scheduler lr_schedule schedules",
        "seeds": "seed n_seeds random_state repeats",
        "dataset": "data datasets file csv idx",
        "subset": "fraction sample sample_size train_size",
        "validation": "val validation_fraction val_size valid",
        "test": "test_size test_fraction",
        "objective": "metric goal monitor",
        "clip_norm": "grad_clip gradient_clip_val max_norm clip",
        "precision": "dtype",
        "standardize": "normalize scale scaling",
    }.items()
    for word in words.split()
}
"""What other tools call our keys."""


class FileData(BaseModel):
    """A table of your own."""

    model_config = ConfigDict(extra="forbid")
    file: str = Field(min_length=1, description="path to a .csv, .parquet or .npz file, from the sweep file's folder")
    target: str = Field("", description="the column to predict")
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")


class IdxData(BaseModel):
    """A folder of MNIST-format files, gzipped or not."""

    model_config = ConfigDict(extra="forbid")
    idx: str = Field(min_length=1, description="path to the folder, from the sweep file's folder")


def _axis(sentence: str) -> dict[str, Any]:
    """AXIS, with the rule and remedy to tell where several types are allowed."""
    return {**AXIS, "sentence": sentence}


WARMUP_SENTENCE = "must be a fraction of all steps below 1, or a whole number of steps; write for example 0.1"
Warmup = Annotated[
    Annotated[int, Field(ge=0, le=LARGEST)] | Annotated[float, Field(ge=0, lt=1)],
    AfterValidator(lambda warmup: warmup or 0),  # none is none, as steps or as a fraction
]
Subset = Annotated[
    Annotated[int, Field(ge=1, le=LARGEST)] | Annotated[float, Field(gt=0, le=1)],
    AfterValidator(lambda subset: 1.0 if subset == 1 else subset),  # nobody means one row
]
ClipNorm = Annotated[
    Annotated[float, Field(gt=0)] | Literal["none"] | None,
    AfterValidator(lambda norm: None if norm == "none" else norm),
]
BatchSize = Annotated[int, Field(ge=1, le=LARGEST)] | Literal["full"]
Seed = Annotated[int, Field(ge=0, le=LARGEST)]


class SweepFile(BaseModel):
    """A learning-rate sweep: every list or grid is an axis, and the sweep is the product of all axes."""

    model_config = ConfigDict(extra="forbid", title="lrsweep sweep file")

    name: str | None = Field(
        None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$", description="the results folder's name; default: the file's stem"
    )
    description: str = Field("", description="a note for the reader")
    dataset: str | FileData | IdxData = Field(description="what to learn", json_schema_extra=AXIS)
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")
    subset: Subset = Field(
        1.0,
        description="fraction or number of the training rows, stratified and nested",
        json_schema_extra=_axis(
            "must be a fraction above 0 and up to 1, or a whole number of training rows; write for example 0.5"
        ),
    )
    validation: float = Field(0.2, gt=0, lt=1, description="fraction of all rows that decides the ranking")
    test: float = Field(0.2, ge=0, lt=1, description="fraction of all rows that is measured on once, at the end")
    split_seed: Seed = Field(0, description="seed of the split into training, validation and test rows")
    standardize: bool = Field(True, description="mean 0 and deviation 1, from the run's training rows")
    width: int = Field(64, ge=1, le=LARGEST, description="units per hidden layer", json_schema_extra=AXIS)
    depth: int = Field(1, ge=0, le=LARGEST, description="hidden layers; 0 is a linear model", json_schema_extra=AXIS)
    activation: str = Field("relu", description="of the hidden layers", json_schema_extra=AXIS)
    optimizer: str = Field("momentum", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    learning_rate: float = Field(gt=0, description="peak rate", json_schema_extra=AXIS)
    schedule: str = Field("constant", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    batch_size: BatchSize = Field(
        32,
        description="rows per step, or full",
        json_schema_extra=_axis("must be a whole number from 1, or full; write for example 32"),
    )
    epochs: int = Field(20, ge=1, le=LARGEST, description="passes over the training rows", json_schema_extra=AXIS)
    clip_norm: ClipNorm = Field(
        None,
        description="largest L2 norm of the gradient",
        json_schema_extra=_axis("must be a number above 0, or none; write for example 1.0"),
    )
    precision: Literal["float32", "float64"] = Field("float32", description="of the numbers in training")
    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)] = Field(
        3, description="how many (0, 1, …), or which; a seed sets weights and data order, shared by all rates"
    )
    objective: str = Field("val_loss", description="the column that ranks the rates: " + ", ".join(OBJECTIVES))
    select: Literal["final", "best"] = Field("final", description="rank by the final epoch or by the best one")
    zip: list[list[str]] = Field([], description="axes that advance together")
    exclude: list[dict[str, Any]] = Field([], description="combinations to leave out")
    blocks: list[dict[str, Any]] = Field([], description="a union of sweeps: each block overrides the file's keys")


@dataclass(frozen=True, eq=False)
class Rule:
    """What one value must be: a check that turns nothing into something else, but for a whole number into a float."""

    check: TypeAdapter[Any]
    default: Any
    sentence: str
    """Rule and remedy where pydantic's, of several types, would mislead."""

    @classmethod
    def of(cls, field: FieldInfo) -> Rule:
        """The rule that a field declares."""
        annotated: Any = Annotated[field.annotation, field]
        extra = field.json_schema_extra
        sentence = str(extra.get("sentence", "")) if isinstance(extra, dict) else ""
        return cls(TypeAdapter(annotated, config=STRICT), field.default, sentence)


STRICT = ConfigDict(strict=True, allow_inf_nan=False)
FIELDS = SweepFile.model_fields
RULES = {key: Rule.of(field) for key, field in FIELDS.items()}
DATA_FORMS: dict[str, type[BaseModel]] = {"file": FileData, "idx": IdxData}
DATA_RULES = {key: Rule.of(field) for form in DATA_FORMS.values() for key, field in form.model_fields.items()}
RUN_KEYS = tuple(key for key in FIELDS if key not in SWEEP_KEYS)
AXES = tuple(key for key, field in FIELDS.items() if field.json_schema_extra)
NUMERIC = ("subset", "width", "depth", "learning_rate", "batch_size", "epochs", "clip_norm")
NAMES: dict[str, Iterable[str]] = {"activation": ACTIVATIONS, "objective": OBJECTIVES, **REGISTRIES}
"""Keys whose text is one of a list."""

EXAMPLES: dict[str, Any] = {"dataset": "digits", "learning_rate": "{log: [1e-4, 1], per_decade: 3}"}
"""The keys that a file must have, with what to write."""

GRID_FORMS = {
    "log": ("num", "per_decade"),
    "linear": ("num",),
    "doubling": (),
    "log_uniform": ("num",),
    "halton": ("num",),
}
"""A grid's name, with the keys of which exactly one says how many values it has."""

FEWEST = {"num": 2, "per_decade": 1}


@functools.cache
def settings_model(key: str, name: str) -> type[BaseModel]:
    """The settings of an optimizer or schedule, made from its class; every schedule has a warm-up as well."""
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(REGISTRIES[key][name]):
        bounds = dict(field.metadata)
        meaning, kind = bounds.pop("meaning"), type(field.default)
        most: dict[str, Any] = {"le": LARGEST} if kind is int else {}
        fields[field.name] = (kind, Field(field.default, description=meaning, **most | bounds))
    if key == "schedule":
        extra: dict[str, Any] = {"sentence": WARMUP_SENTENCE}
        fields["warmup"] = (Warmup, Field(0, description="climb to the peak first", json_schema_extra=extra))
    return create_model(name, **fields)


@functools.cache
def settings_rules(key: str, name: str) -> dict[str, Rule]:
    """The rule of each setting of an optimizer or schedule."""
    return {setting: Rule.of(field) for setting, field in settings_model(key, name).model_fields.items()}


def default_settings(key: str, name: str) -> dict[str, Scalar]:
    """The settings that an optimizer or schedule has when the file names none.

    >>> default_settings("schedule", "cosine")
    {'end': 0.0, 'warmup': 0}
    """
    return {setting: rule.default for setting, rule in settings_rules(key, name).items()}


def owner(setting: str) -> str | None:
    """Of which registry a word names a setting, for those who write it beside the keys.

    >>> owner("momentum"), owner("warmup"), owner("width")
    ('optimizer', 'schedule', None)
    """
    return next((key for key in REGISTRIES for name in REGISTRIES[key] if setting in settings_rules(key, name)), None)
