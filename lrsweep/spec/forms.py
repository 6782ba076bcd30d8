"""The forms that values take: unions of kinds, and mappings of a few settings, each declared once.

A field marked AXIS takes one value or a list, one marked GRID also a grid, one marked COMPARED a text that compares
with such a value. Its mark `sentence` is the rule and the remedy to tell where a union has several of them, `enum` the
words that a text may be.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lrsweep.analysis.additions import Extend, Refine
from lrsweep.analysis.elimination import LEAST, Halving, Screen

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


MOST_DECADES, MOST_RATES = 10, 100
"""Of what may be added to a setting: beyond them it is another grid that is wanted."""


class Sampling(Form):
    """A small sample on which all rates are tried first; a run that is smaller by itself stays as it is."""

    subset: Subset = Field(
        Screen.subset,
        description="fraction or number of the training rows",
        json_schema_extra={
            "sentence": "must be a fraction above 0 and up to 1, or a whole number of training rows; "
            f"write for example {Screen.subset}"
        },
    )
    epochs: int = Field(Screen.epochs, ge=1, le=LARGEST, description="passes over them")
    seeds: int = Field(Screen.seeds, ge=1, le=LARGEST, description="how many of the setting's seeds, the first ones")


class Halved(Form):
    """What is said of successive halving, whatever grows."""

    factor: int = Field(
        Halving.factor, ge=2, le=LARGEST, description="one rate in so many goes on to a rung so many times as long"
    )
    guard: int = Field(
        Halving.guard,
        ge=0,
        le=LARGEST,
        description="a stable rate up to so many grid steps above the leader is never dropped",
    )


class EpochHalving(Halved):
    """Successive halving over epochs: what is left goes on from one rung to the next."""

    resource: Literal["epochs"] = Field("epochs", description="what grows from rung to rung")
    min: int | None = Field(
        None,
        ge=1,
        le=LARGEST,
        description="epochs of the first rung",
        examples=[LEAST["epochs"]],
        json_schema_extra={
            "sentence": "must be a whole number of epochs from 1; "
            f"write for example {LEAST['epochs']}, or resource: subset"
        },
    )


class SubsetHalving(Halved):
    """Successive halving over nested subsets: what is left starts anew on more training rows."""

    resource: Literal["subset"] = Field(description="what grows from rung to rung", examples=["subset"])
    min: Annotated[int, Field(ge=2, le=LARGEST)] | Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="fraction or number of the training rows that the first rung has",
        examples=[LEAST["subset"]],
        json_schema_extra={
            "sentence": "must be a fraction above 0 and below 1, or a whole number of training rows from 2; "
            f"write for example {LEAST['subset']}"
        },
    )


class Stages(Form):
    """How rates are dropped early; where there are both, screening comes first."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})
    screen: Sampling | Literal["none"] | bool | None = Field(
        "none",
        description="drops extremes at both ends, after all rates were tried on a sample",
        json_schema_extra={
            "sentence": "must be true, none, or how large the sample is; "
            f"write for example {{subset: {Screen.subset}, epochs: {Screen.epochs}}}"
        },
    )
    halving: EpochHalving | SubsetHalving | Literal["none"] | bool | None = Field(
        "none",
        description="drops the worse rates at rungs on the way",
        json_schema_extra={
            "sentence": "must be true, none, or its settings; "
            f"write for example {{factor: {Halving.factor}, guard: {Halving.guard}}}"
        },
    )


class Extension(Form):
    """Rates that are added beyond an edge, by the grid's own step."""

    until_bracketed: bool = Field(True, description="until the best rate has a worse one on either side")
    max_decades: float = Field(
        Extend.max_decades, gt=0, le=MOST_DECADES, description="at most so far beyond the grid of the file"
    )


class Refinement(Form):
    """Rates that are added round the fitted one."""

    decades: float = Field(
        Refine.decades, gt=0, le=MOST_DECADES, description="until its interval is narrower than so many decades"
    )
    max_rates: int = Field(Refine.max_rates, ge=1, le=MOST_RATES, description="at most so many for a setting")
