"""The nouns that every module shares: runs, stacks, data, outcomes and errors.

Nothing here computes but how a noun is written, and nothing here imports another module of lrsweep.
The letters for array shapes, used everywhere:

    R runs · B rows of a batch · N rows of a dataset · D features · H hidden units · C outputs · P parameters · T steps
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
else:  # NumPy takes as long to import as all else that a command needs to refuse or to help
    Array = Any
Scalar = float | int | str | bool

Say = Callable[[str], object]
"""Is told a line for the user."""

Task = Literal["classification", "regression"]

RUN_IT = "lrsweep run SPEC"
"""How a remedy names the command that runs a sweep; where its file is known, that stands there in the end."""

MAX_RUNS = 10_000
"""Runs of a sweep, unless --max-runs says otherwise."""

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
"""What a sweep may be called, and so its folder. For `re.fullmatch`, since to `re.match` the $ may come before \\n."""

FORMAT = 2
"""Layout of the results folder; raised when the database changes shape."""

NUMERICS = 2
"""Raised by any change that alters a run's numbers by one bit, so that old and new results never mix."""

FINISHED, DIVERGED, STOPPED, FAILED, CRASHED = "finished", "diverged", "stopped", "failed", "crashed"
"""A run's status: trained to the end; no longer finite; eliminated; raised an exception; took its worker down."""

PAUSED = "paused"
"""What a run is between two rungs of its training; never stored."""

RETRIED = (FAILED, CRASHED)
"""What `--retry-failed` trains again."""

CURVE_COLUMNS = (
    "epoch",
    "step",
    "learning_rate",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "grad_norm",
    "update_ratio",
)
"""Columns of a run's curve. In regression `val_accuracy` holds R²; the view names it `val_r2`."""


@dataclass(frozen=True)
class Choice:
    """An optimizer or a schedule with every one of its settings fixed, in the order of their names."""

    name: str
    settings: tuple[tuple[str, Scalar], ...] = ()

    def __str__(self) -> str:
        inside = ", ".join(f"{key}={value}" for key, value in self.settings)
        return f"{self.name}({inside})" if inside else self.name


def silent(_: str) -> None:
    """A `Say` for callers to whom nobody listens."""


def written(number: float) -> str:
    """A number as people write it, and in full.

    >>> written(2.0), written(0.1)
    ('2', '0.1')
    """
    return repr(float(number)).removesuffix(".0")


def plain(text: str) -> str:
    r"""The text on one line, with what could steer a terminal, break the line or hide written out: paths may hold it.

    >>> plain("a\nb\x1b[31m is damaged")
    'a\\nb\\x1b[31m is damaged'
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def quoted(word: str) -> str:
    r"""A word of a command as a shell reads it back; what cannot be shown by its bytes, as bash, zsh and ksh know them.

    A path that begins like an option is told by its folder.

    >>> quoted("a b.yaml"), quoted("-x.yaml"), quoted("a\n'\x1b.yaml")
    ("'a b.yaml'", './-x.yaml', "$'a\\x0a\\'\\x1b.yaml'")
    """
    word = f"./{word}" if word.startswith("-") else word
    if word.isprintable():
        return shlex.quote(word)
    signs = (sign if sign.isprintable() else "".join(f"\\x{byte:02x}" for byte in os.fsencode(sign)) for sign in word)
    escaped = (f"\\{sign}" if sign in "\\'" else sign for sign in signs)
    return f"$'{''.join(escaped)}'"


def duration(seconds: float) -> str:
    """How long something takes.

    >>> duration(9.7e-05), duration(0.0048), duration(8.1), duration(21.4), duration(312), duration(7380)
    ('97 µs', '4.8 ms', '8.1 s', '21 s', '5 min 12 s', '2 h 3 min')
    """
    if 0 < seconds < 0.0995:
        small, unit = (1e6 * seconds, "µs") if seconds < 0.000995 else (1e3 * seconds, "ms")
        return f"{small:.{int(small < 9.95)}f} {unit}"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """How much room something takes.

    >>> size(0), size(720), size(12_345), size(4_200_000), size(9_950_000), size(1.6e13), size(10**400)
    ('0 bytes', '720 bytes', '12 kB', '4.2 MB', '9.9 MB', '16,000 GB', '10^391 GB')
    """
    if n_bytes > 1e21:
        return f"10^{math.log10(n_bytes) - 9:.0f} GB"
    units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")]
    unit, name = next(((unit, name) for unit, name in units if n_bytes >= unit), (1, "bytes"))
    return f"{n_bytes / unit:,.{1 if name in ('GB', 'MB') and n_bytes < 10 * unit else 0}f} {name}"


def json_text(document: Any) -> str:
    """A document as JSON, what JSON cannot say (nan, inf) being null; what cannot be shown stands there by its number.

    >>> print(json_text({"mean": float("inf"), "seeds": [0, 1]}))
    {
      "mean": null,
      "seeds": [
        0,
        1
      ]
    }
    """

    def sayable(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: sayable(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [sayable(inner) for inner in value]
        return None if isinstance(value, float) and not abs(value) < float("inf") else value

    text = json.dumps(sayable(document), indent=2, ensure_ascii=False, allow_nan=False)
    if text.replace("\n", "").isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text)


@dataclass(frozen=True)
class LayerRates:
    """Multipliers of the rate by layer: of the first, of the last, and of those between.

    A layer's rate is also multiplied by `decay` to the power of its distance from the output layer, which is the last.
    """

    first: float = 1.0
    hidden: float = 1.0
    last: float = 1.0
    decay: float = 1.0

    def __str__(self) -> str:
        if self.decay != 1:
            return f"{{decay: {written(self.decay)}}}"
        groups = f"{{first: {written(self.first)}, hidden: {written(self.hidden)}, last: {written(self.last)}}}"
        return "1" if self == LayerRates() else groups


@dataclass(frozen=True)
class Growth:
    """Hidden layers that have `to_width` units after `at_epoch` epochs, and what becomes of the rate then.

    `rate` is `keep`, `restart`, `scale` (times `scale`), `new_neurons_only` or `warmup`.
    """

    at_epoch: int
    to_width: int
    rate: str = "keep"
    scale: float = 1.0

    def __str__(self) -> str:
        rate = f"{{scale: {written(self.scale)}}}" if self.rate == "scale" else self.rate
        return f"{{at_epoch: {self.at_epoch}, to_width: {self.to_width}, rate: {rate}}}"


@dataclass(frozen=True)
class Source:
    """Where data comes from: a registered name (`digits`, `openml:…`), a table with its target, or an IDX folder.

    `location` is a name or an absolute path, `label` what the sweep file calls it, `task` what it is told to be.
    """

    kind: Literal["name", "file", "idx"]
    location: str
    target: str = ""
    task: str = ""
    label: str = ""

    def __str__(self) -> str:
        return self.label or self.location


@dataclass(frozen=True)
class Run:
    """One training with every setting fixed; the fields bear the names of the sweep file's keys and CSV columns."""

    dataset: Source
    task: str
    subset: float | int
    validation: float
    test: float
    split_seed: int
    standardize: bool
    width: int
    depth: int
    activation: str
    parametrization: Literal["standard", "mup"]
    base_width: int
    optimizer: Choice
    learning_rate: float
    layer_rates: LayerRates
    schedule: Choice
    batch_size: int | Literal["full"]
    epochs: int
    clip_norm: float | None
    growth: Growth | None
    precision: Literal["float32", "float64"]
    noise: tuple[float, ...]
    seed: int


@dataclass(frozen=True)
class RawData:
    """A dataset as it was read: `x` (N, D) numbers, `y` (N,) class indices (int64) or targets (float64)."""

    x: Array
    y: Array
    task: Task
    classes: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Data:
    """What a run trains on and is measured on: split, cut to its subset, scaled, in the run's precision.

    Each x is (N, D) and C-contiguous. Each y is (N,): class indices (int64), or targets in the precision of x.
    `n_outputs` is C: the number of classes, or 1 in regression.
    """

    x_train: Array
    y_train: Array
    x_val: Array
    y_val: Array
    x_test: Array
    y_test: Array
    task: Task
    n_outputs: int


@dataclass(frozen=True)
class Pause:
    """A run in the middle of its training: all that it needs to go on, whoever its neighbours then are.

    `curve` (epoch + 1, len(CURVE_COLUMNS)) float64; `params` (P,) and each of `state` (P,) in the run's precision, P
    being that of the grown network where it has grown before this epoch; `scalars` are the optimizer's numbers,
    `reactions` those that the schedule reacts by, `seconds` what it took so far. The rest follows from run and epoch.
    """

    epoch: int
    curve: Array
    params: Array
    state: tuple[Array, ...]
    scalars: tuple[float, ...]
    reactions: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Stack:
    """Runs trained together because they share shapes, data, epochs and optimizer; `ids` are their run_ids.

    They are trained to the end, or `until` an epoch at which they pause. `pauses`, one for each run and all of one
    epoch, are where they go on from; without them they start anew.
    """

    runs: tuple[Run, ...]
    ids: tuple[str, ...]
    fingerprint: str
    until: int | None = None
    pauses: tuple[Pause, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of a run: `curve` (epochs_done + 1, len(CURVE_COLUMNS)) float64, `metrics` by column of runs.csv.

    `pause` is there where the status is PAUSED; its metrics are those that the curve tells, the others nan.
    """

    run_id: str
    status: str
    reason: str
    metrics: dict[str, float]
    curve: Array
    timing: dict[str, Any] = field(default_factory=dict)
    pause: Pause | None = None


class LrsweepError(Exception):
    """Anything that is told to the user as one line, without a traceback; `exit_code` is what the command returns."""

    exit_code = 1


class UsageError(LrsweepError):
    """The command line or something that a sweep file names cannot be used."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One mistake in a sweep file; line and column count from 1, `width` is how many characters the caret underlines.

    `origin` and `text` are given where they are not the file's own: a mistake in an override.
    """

    message: str
    line: int = 1
    column: int = 1
    width: int = 1
    origin: str = ""
    text: str = ""


class SpecError(UsageError):
    """A sweep file with mistakes: all of them, each with its place, rule and remedy."""

    def __init__(self, origin: str, text: str, problems: list[Problem]) -> None:
        self.origin, self.text, self.problems = origin, text, problems
        more = f" (and {len(problems) - 1} more mistakes)" if len(problems) > 1 else ""
        super().__init__(f"{origin}: {''.join(problem.message for problem in problems[:1])}{more}")


class DataError(UsageError):
    """A dataset that cannot be read, or that no model can be trained on."""


class StoreError(LrsweepError):
    """The results folder: not writable, full, damaged, or written by a newer version."""

    exit_code = 3


class BusyError(LrsweepError):
    """The sweep is already running elsewhere."""

    exit_code = 4


def setting(default: Scalar, meaning: str, choices: tuple[str, ...] = (), **bounds: float) -> Any:
    """A dataclass field for a setting of an optimizer or schedule.

    `bounds` are `ge`, `gt`, `le`, `lt` of a number; `choices` are the words that a text may be.
    """
    return field(default=default, metadata={"meaning": meaning, "choices": choices, **bounds})
