"""The forms that values take: unions of kinds, and mappings of a few settings, each declared once.

A field marked AXIS takes one value or a list, one marked GRID also a grid, one marked COMPARED a text that compares
with such a value. Its mark `sentence` is the rule and the remedy to tell where a union has several of them, `enum` the
words that a text may be.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

AXIS: dict[str, Any] = {"axis": True, "numbers": False}
GRID: dict[str, Any] = {"axis": True, "numbers": True}
COMPARED: dict[str, Any] = {"compared": True}

LARGEST = 2**53
"""Of whole numbers: up to it JSON, CSV readers and SQLite keep every one exactly."""

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
Deviation = Annotated[float, Field(gt=0, examples=[0.1])]


class Form(BaseModel):
    """A mapping with its own keys and no others."""

    model_config = ConfigDict(extra="forbid")


class FileData(Form):
    """A table of your own."""

    file: str = Field(
        min_length=1,
        description="path to a .csv, .parquet or .npz file, from the sweep file's folder",
        examples=["table.csv"],
    )
    target: str = Field("", description="the column to predict")
    task: Literal["classification", "regression"] | None = Field(None, description="overrides what the target suggests")


class IdxData(Form):
    """A folder of MNIST-format files, gzipped or not."""

    idx: str = Field(min_length=1, description="path to the folder, from the sweep file's folder", examples=["mnist"])


class GroupRates(Form):
    """Multipliers of the rate by layer, weights and bias alike; of a layer that is not named, 1."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    first: float = Field(1.0, gt=0, description="of the first layer", json_schema_extra=GRID)
    hidden: float = Field(1.0, gt=0, description="of the layers between", json_schema_extra=GRID)
    last: float = Field(1.0, gt=0, description="of the output layer", json_schema_extra=GRID)


class DecayRates(Form):
    """A multiplier of the rate for each step that a layer is away from the output layer."""

    decay: float = Field(
        gt=0,
        description="to the power of the distance from the output layer",
        examples=[0.5],
        json_schema_extra=GRID,
    )


class ScaledRate(Form):
    """The rate times a number."""

    scale: float = Field(gt=0, description="what the rate is multiplied by", examples=[0.5], json_schema_extra=GRID)


GrowthRate = Literal["keep", "restart", "new_neurons_only", "warmup"]
GROWTH_RATES: tuple[str, ...] = get_args(GrowthRate)


class GrowthPlan(Form):
    """When the hidden layers grow, how wide they get, and what becomes of the rate."""

    at_epoch: int = Field(ge=1, le=LARGEST, description="after so many epochs", examples=[10], json_schema_extra=GRID)
    to_width: int = Field(
        ge=1, le=LARGEST, description="units per hidden layer from then on", examples=[128], json_schema_extra=GRID
    )
    rate: GrowthRate | ScaledRate = Field("keep", description="of the epochs after it", json_schema_extra=AXIS)


class Expectations(Form):
    """What must come of a sweep. The best setting counts, at its best rate; of several datasets each one's."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    best_val_loss: float = Field(
        ge=0, description="lowest mean validation loss", examples=["<= 0.2"], json_schema_extra=COMPARED
    )
    best_val_accuracy: float = Field(
        ge=0, le=1, description="highest mean validation accuracy", examples=[">= 0.95"], json_schema_extra=COMPARED
    )
    best_val_r2: float = Field(
        le=1, description="highest mean validation R²", examples=[">= 0.4"], json_schema_extra=COMPARED
    )
    best_test_accuracy: float = Field(
        ge=0,
        le=1,
        description="mean test accuracy of the best setting",
        examples=[">= 0.9"],
        json_schema_extra=COMPARED,
    )
    best_test_r2: float = Field(
        le=1, description="mean test R² of the best setting", examples=[">= 0.4"], json_schema_extra=COMPARED
    )
    best_rate: float = Field(
        gt=0, description="the best rate, as [lowest, highest] or compared", examples=[[1e-3, 0.1]],
        json_schema_extra=COMPARED,
    )  # fmt: skip
    at_edge: bool = Field(description="whether the best rate is the lowest or highest tried", examples=[False])
    diverged: int = Field(ge=0, description="diverged runs of the sweep", examples=["<= 4"], json_schema_extra=COMPARED)
    failed: int = Field(
        ge=0, description="failed and crashed runs of the sweep", examples=["== 0"], json_schema_extra=COMPARED
    )
