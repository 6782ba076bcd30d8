"""What a sweep file may hold: every key, declared once.

Validation, the JSON Schema and the columns of runs.csv follow from `SweepFile`. A key marked AXIS takes one value or a
list, one marked GRID also a grid. The settings of optimizers and schedules come from their registries.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from lrsweep.analysis.additions import Extend, Refine
from lrsweep.engine.model import ACTIVATIONS
from lrsweep.engine.optimizers import OPTIMIZERS
from lrsweep.engine.schedules import SCHEDULES
from lrsweep.spec.forms import (
    AXIS,
    GRID,
    LARGEST,
    WARMUP_SENTENCE,
    BatchSize,
    ClipNorm,
    DecayRates,
    Deviation,
    EpochHalving,
    Expectations,
    Extension,
    FileData,
    GroupRates,
    GrowthPlan,
    IdxData,
    Refinement,
    Sampling,
    ScaledRate,
    Seed,
    Stages,
    Subset,
    SubsetHalving,
    Warmup,
)
from lrsweep.vocabulary import NAME, Scalar

DEEPEST = 10_000
"""Hidden layers: a layer takes some 10 µs a step however narrow it is, so that a step of more takes over a second."""

REGISTRIES: dict[str, Mapping[str, Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}

OBJECTIVES = (
    *("val_loss", "val_accuracy", "val_r2", "val_macro_f1", "val_balanced_accuracy"),
    *("train_loss", "train_accuracy", "train_r2", "best_val_loss", "best_val_accuracy", "best_val_r2"),
)
NOISY = re.compile(r"(noisy_accuracy|noisy_r2)@([0-9][0-9.e+-]*)")
"""An objective that is measured with noise on the inputs, with a deviation that `noise` must name."""

SEARCH_KEYS = ("elimination", "extend", "refine")
"""Keys that say which of the rates are trained, and which others."""

SWEEP_KEYS = ("name", "description", "objective", "select", *SEARCH_KEYS, "expect", "zip", "exclude", "blocks")
"""Keys that say something about the sweep; all others are settings of its runs."""

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
        "expect": "expects expected expectation expectations assert asserts check checks require thresholds",
        "clip_norm": "grad_clip gradient_clip_val max_norm clip",
        "precision": "dtype",
        "standardize": "normalize scale scaling",
        "parametrization": "mup parameterization parametrisation parameterisation param scaling_rule",
        "base_width": "mup_base_width base_shape base_shapes base_size",
        "layer_rates": "layerwise_decay layer_decay layerwise_lr_decay lr_layer_decay layer_lr layer_lrs lr_mult llrd "
        "lr_multipliers layer_multipliers discriminative discriminative_lr discriminative_rates",
        "growth": "grow widen expand net2net",
        "elimination": "eliminate pruner pruning prune early_stopping successive_halving hyperband asha screening",
        "extend": "extend_grid extension extended expand_grid widen_grid bracket bracketing",
        "refine": "refine_grid refinement refining zoom",
        "noise": "noise_std input_noise noise_level noises robustness jitter sigma",
    }.items()
    for word in words.split()
}
"""What other tools call our keys."""


class SweepFile(BaseModel):
    """A learning-rate sweep: every list or grid is an axis, and the sweep is the product of all axes."""

    model_config = ConfigDict(extra="forbid", title="lrsweep sweep file")

    name: str | None = Field(None, pattern=NAME, description="the results folder's name; default: the file's stem")
    description: str = Field("", description="a note for the reader")
    dataset: str | FileData | IdxData = Field(description="what to learn", examples=["digits"], json_schema_extra=AXIS)
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")
    subset: Subset = Field(
        1.0,
        description="fraction or number of the training rows, stratified and nested",
        json_schema_extra={
            **GRID,
            "sentence": "must be a fraction above 0 and up to 1, or a whole number of training rows; "
            "write for example 0.5",
        },
    )
    validation: float = Field(0.2, gt=0, lt=1, description="fraction of all rows that decides the ranking")
    test: float = Field(0.2, ge=0, lt=1, description="fraction of all rows that is measured on once, at the end")
    split_seed: Seed = Field(0, description="seed of the split into training, validation and test rows")
    standardize: bool = Field(True, description="mean 0 and deviation 1, from the run's training rows")
    width: int = Field(64, ge=1, le=LARGEST, description="units per hidden layer", json_schema_extra=GRID)
    depth: int = Field(1, ge=0, le=DEEPEST, description="hidden layers; 0 is a linear model", json_schema_extra=GRID)
    activation: str = Field(
        "relu", description="of the hidden layers", json_schema_extra={**AXIS, "enum": [*ACTIVATIONS]}
    )
    parametrization: str = Field(
        "standard",
        description="mup scales weights and rates with the width, so that one rate serves all widths",
        json_schema_extra={**AXIS, "enum": ["standard", "mup"]},
    )
    base_width: int = Field(64, ge=1, le=LARGEST, description="the width at which mup is the same as standard")
    optimizer: str = Field("momentum", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    learning_rate: float = Field(gt=0, description="peak rate", examples=[0.1], json_schema_extra=GRID)
    layer_rates: Literal[1] | GroupRates | DecayRates = Field(
        1,
        description="multipliers of the rate, layer by layer",
        json_schema_extra={
            **AXIS,
            "sentence": "must be 1, {first: a, hidden: b, last: c} or {decay: d}; write for example {decay: 0.5}",
        },
    )
    schedule: str = Field("constant", description="a name, or a mapping with its settings", json_schema_extra=AXIS)
    batch_size: BatchSize = Field(
        32,
        description="rows per step, or full",
        json_schema_extra={**GRID, "sentence": "must be a whole number from 1, or full; write for example 32"},
    )
    epochs: int = Field(20, ge=1, le=LARGEST, description="passes over the training rows", json_schema_extra=GRID)
    clip_norm: ClipNorm = Field(
        None,
        description="largest L2 norm of the gradient",
        json_schema_extra={**GRID, "sentence": "must be a number above 0, or none; write for example 1.0"},
    )
    growth: GrowthPlan | Literal["none"] | None = Field(
        None,
        description="more units per hidden layer, part-way through the run",
        json_schema_extra={
            **AXIS,
            "sentence": "must be none, or when and how wide; write for example {at_epoch: 10, to_width: 128}",
        },
    )
    precision: Literal["float32", "float64"] = Field("float32", description="of the numbers in training")
    noise: Deviation | Literal["none"] | None = Field(
        None,
        description="deviations of noise on the inputs, for a column noisy_accuracy@… each",
        json_schema_extra={"axis": False, "numbers": True},
    )
    seeds: Annotated[int, Field(ge=1)] | Annotated[list[Seed], Field(min_length=1)] = Field(
        3, description="how many (0, 1, …), or which; a seed sets weights and data order, shared by all rates"
    )
    objective: str = Field(
        "val_loss",
        description="the column that ranks the rates: "
        + ", ".join((*OBJECTIVES, "noisy_accuracy@0.1 with noise: 0.1")),
        json_schema_extra={"enum": [*OBJECTIVES]},
    )
    select: Literal["final", "best"] = Field("final", description="rank by the final epoch or by the best one")
    elimination: Stages | Literal["none", "screen", "halving"] | Literal[False] | None = Field(
        None,
        description="drops rates before they are trained in full",
        json_schema_extra={
            "sentence": "must be none, screen, halving, or a mapping of these; "
            "write for example {screen: {}, halving: {}} for both",
        },
    )
    extend: Extension | Literal["none", "until_bracketed"] | bool | None = Field(
        None,
        description="adds rates beyond an edge of the grid where the best rate is at it",
        json_schema_extra={
            "sentence": "must be none, or how far; "
            f"write for example {{until_bracketed: true, max_decades: {Extend.max_decades:g}}}",
        },
    )
    refine: Refinement | Literal["none"] | bool | None = Field(
        None,
        description="adds rates round the fitted one",
        json_schema_extra={
            "sentence": "must be none, or how fine; "
            f"write for example {{decades: {Refine.decades:g}, max_rates: {Refine.max_rates}}}",
        },
    )
    expect: Expectations | Literal["none"] | None = Field(
        None,
        description="what must come of the sweep; where it does not, run ends with exit code 1",
        json_schema_extra={
            "sentence": "must be none, or what is expected; write for example {best_val_accuracy: '>= 0.95'}",
        },
    )
    zip: list[list[str]] = Field([], description="axes that advance together")
    exclude: list[dict[str, Any]] = Field([], description="combinations to leave out")
    blocks: list[dict[str, Any]] = Field([], description="a union of sweeps: each block overrides the file's keys")


@dataclass(frozen=True, eq=False)
class Rule:
    """What one value must be: a check that turns nothing into something else, but for a whole number into a float."""

    check: TypeAdapter[Any]
    default: Any
    example: Any
    """What a message tells to write: the default, where there is one."""
    sentence: str
    """Rule and remedy where pydantic's, of several types, would mislead."""
    choices: tuple[str, ...]
    """The words that a text may be."""

    @classmethod
    def of(cls, field: FieldInfo) -> Rule:
        """The rule that a field declares."""
        annotated: Any = Annotated[field.annotation, field]
        extra = marks(field)
        check = TypeAdapter(annotated, config=STRICT)
        example = field.examples[0] if field.examples else field.default
        return cls(check, field.default, example, str(extra.get("sentence", "")), tuple(extra.get("enum", ())))


def marks(field: FieldInfo) -> dict[str, Any]:
    """What a field says beside its type."""
    return field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}


def rules_of(form: type[BaseModel]) -> dict[str, Rule]:
    """The rule of each key of a mapping."""
    return {key: Rule.of(field) for key, field in form.model_fields.items()}


STRICT = ConfigDict(strict=True, allow_inf_nan=False)
FIELDS = SweepFile.model_fields
RULES = rules_of(SweepFile)
DATA_FORMS = {"file": rules_of(FileData), "idx": rules_of(IdxData)}
GROUP_RULES, DECAY_RULES = rules_of(GroupRates), rules_of(DecayRates)
GROWTH_RULES, SCALE_RULES = rules_of(GrowthPlan), rules_of(ScaledRate)
EXPECT_RULES = rules_of(Expectations)
STAGE_RULES, SCREEN_RULES = rules_of(Stages), rules_of(Sampling)
HALVING_RULES = {"epochs": rules_of(EpochHalving), "subset": rules_of(SubsetHalving)}
EXTEND_RULES, REFINE_RULES = rules_of(Extension), rules_of(Refinement)
NOISE_RULE = Rule.of(FieldInfo.from_annotation(Deviation))

RUN_KEYS = tuple(key for key in FIELDS if key not in SWEEP_KEYS)
FOR_ALL = ("noise",)
"""Settings that all runs share, whatever their block."""

BLOCK_KEYS = (*(key for key in RUN_KEYS if key not in FOR_ALL), "zip", "exclude")
AXES = tuple(key for key, field in FIELDS.items() if marks(field).get("axis"))
NUMERIC = tuple(key for key in AXES if marks(FIELDS[key])["numbers"])
LISTED = (*AXES, "seeds", "noise")
"""Keys that take a list."""

MOST_NOISE = 100
"""Deviations of noise: each measures every run once more, and is a column."""

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
        bounds: dict[str, Any] = {"le": LARGEST} if isinstance(field.default, int) else {}
        bounds |= field.metadata
        meaning, choices = bounds.pop("meaning"), bounds.pop("choices")
        words: dict[str, Any] = {"enum": [*choices]} if choices else {}
        declared: Any = Field(field.default, description=meaning, json_schema_extra=words, **bounds)
        fields[field.name] = (type(field.default), declared)
    if key == "schedule":
        said: dict[str, Any] = {"sentence": WARMUP_SENTENCE}
        fields["warmup"] = (Warmup, Field(0, description="climb to the peak first", json_schema_extra=said))
    return create_model(name, **fields)


@functools.cache
def settings_rules(key: str, name: str) -> dict[str, Rule]:
    """The rule of each setting of an optimizer or schedule."""
    return rules_of(settings_model(key, name))


def default_settings(key: str, name: str) -> dict[str, Scalar]:
    """The settings that an optimizer or schedule has when the file names none.

    >>> default_settings("schedule", "cosine")
    {'end': 0.0, 'warmup': 0}
    """
    return {setting: rule.default for setting, rule in settings_rules(key, name).items()}


def setting_meanings(key: str, name: str) -> dict[str, str]:
    """What each setting of an optimizer or schedule is.

    >>> setting_meanings("schedule", "cosine")["warmup"]
    'climb to the peak first'
    """
    return {setting: str(field.description) for setting, field in settings_model(key, name).model_fields.items()}


def owner(setting: str) -> tuple[str, ...]:
    """The keys, from the outermost, of whose mapping a word is a setting, for those who write it beside the keys.

    >>> owner("momentum"), owner("to_width"), owner("guard"), owner("width")
    (('optimizer',), ('growth',), ('elimination', 'halving'), ())
    """
    named = (((key,), settings_rules(key, name)) for key in REGISTRIES for name in REGISTRIES[key])
    owners: Iterable[tuple[tuple[str, ...], Mapping[str, Rule]]] = (*named, *MAPPINGS.items())
    return next((path for path, rules in owners if setting in rules), ())


MAPPINGS: dict[tuple[str, ...], dict[str, Rule]] = {
    ("layer_rates",): GROUP_RULES,
    ("growth",): GROWTH_RULES,
    ("elimination",): STAGE_RULES,
    ("elimination", "halving"): HALVING_RULES["epochs"],
    ("extend",): EXTEND_RULES,
    ("refine",): REFINE_RULES,
}
"""The settings of what has no name, by its keys; those of a sample are keys themselves."""
