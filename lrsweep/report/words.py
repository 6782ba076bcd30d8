"""Numbers and names as people write them. Rates are `written` where the advice is."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.recommend import written

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.recommend import Entry

MAPPINGS = ("growth", "layer_rates")
"""Columns whose values may be mappings, as text."""

PART = re.compile(r"(\w+): ({[^}]*}|[^,{}]+)")
TOLD = {"at_epoch": "epoch ", "to_width": "to ", "rate": ""}
"""What parts of a mapping are called in few words; others by their names."""

NOTHING = "–"
"""Stands for what does not apply or cannot be said."""


def clean(text: str) -> str:
    r"""The text without what could move the cursor, change colours or break the line.

    >>> clean("a\x1b[31mb\n")
    'a�[31mb�'
    """
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def many(number: int, noun: str) -> str:
    """A count and what is counted.

    >>> many(1, "run"), many(1079, "run")
    ('1 run', '1,079 runs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def lines(parts: Iterable[str], between: str, width: int) -> list[str]:
    """Parts in a row, broken between them, or within where one alone is too long.

    >>> lines(["width 16 32", "optimizer sgd adam", "seed 3"], " · ", 32)
    ['width 16 32 · optimizer sgd adam', 'seed 3']
    """
    rows: list[str] = []
    for part in parts:
        if rows and len(rows[-1] + between + part) <= width:
            rows[-1] += between + part
        else:
            rows.append(part)
    return [line for row in rows for line in (textwrap.wrap(row, width) if len(row) > width else [row])]


def alike(values: Sequence[float]) -> Callable[[float], str]:
    """How to write the numbers of a column, all with the decimals that give the one nearest to zero three digits.

    >>> write = alike([0.104, 2.3])
    >>> write(0.104), write(2.3), write(123456.0), write(float("inf"))
    ('0.104', '2.300', '1.2e+05', '–')
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    places = max(0, 2 - math.floor(math.log10(min(sizes)))) if sizes else 3

    def write(value: float) -> str:
        if not math.isfinite(value):
            return NOTHING
        return f"{value:.{places}f}" if abs(value) < 1e4 and places <= 6 else f"{value:.1e}"

    return write


def value(given: Any) -> str:
    """A setting.

    >>> value(16), value(0.1), value(float("nan")), value("adam")
    ('16', '0.1', '–', 'adam')
    """
    if given is None or given != given:
        return NOTHING
    return f"{given:.6g}" if isinstance(given, float) else str(given)


def apart(column: str, values: Iterable[Any]) -> dict[Any, str]:
    """The values of a column of mappings, in the words that tell them apart; of other columns none.

    >>> rates = ["keep", "warmup", "{scale: 0.5}"]
    >>> [*apart("growth", [f"{{at_epoch: 5, to_width: 64, rate: {rate}}}" for rate in rates]).values()]
    ['none', 'keep', 'warmup', 'scale 0.5']
    >>> apart("layer_rates", ["1", "{decay: 0.5}"])["{decay: 0.5}"]
    'decay 0.5'
    """
    if column not in MAPPINGS:
        return {}
    usual = "1" if column == "layer_rates" else ""
    parts = {text: dict(PART.findall(text)) for text in values if isinstance(text, str)}
    found = {name: {own.get(name, usual) for own in parts.values()} for own in parts.values() for name in own}
    differing = [name for name in found if len(found[name]) > 1] or list(found)[:2]
    told: dict[Any, str] = {None: "none"}
    for text, own in parts.items():
        kept = [name for name in differing if name in own]
        kept = [name for name in kept if own[name] != usual] or kept
        few = [TOLD.get(name, f"{name} ") + own[name].strip("{}").replace(":", "") for name in kept]
        told[text] = ", ".join(few) or text
    return told


def labels(answer: Answer, entries: Sequence[Entry], whole: bool = False) -> list[str]:
    """The settings of entries in few words: unless they are to be `whole`, only those in which the entries differ."""
    settings = [entry["setting"] for entry in entries]
    keys = [key for key in (settings or [{}])[0] if len({setting[key] for setting in settings}) > 1]
    few = {key: apart(key, values) for key, values in answer.about["axes"].items()}

    def told(setting: Mapping[str, Any]) -> dict[str, Any]:
        kept = setting if whole or not keys else {key: setting[key] for key in keys}
        return {key: given if given is None else few[key].get(given, given) for key, given in kept.items()}

    return [answer.label({"setting": told(setting)}) for setting in settings]


def rate(given: float | None) -> str:
    """A rate, if there is one."""
    return NOTHING if given is None else written(given)


def score(given: float) -> str:
    """An accuracy or R²."""
    return f"{given:.3f}" if math.isfinite(given) else NOTHING


def duration(seconds: float) -> str:
    """How long something takes.

    >>> duration(8.1), duration(21.4), duration(312), duration(7380)
    ('8.1 s', '21 s', '5 min 12 s', '2 h 3 min')
    """
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n_bytes: float) -> str:
    """How much room something takes.

    >>> size(12_345), size(4_200_000)
    ('12 kB', '4.2 MB')
    """
    unit, name = (1e9, "GB") if n_bytes >= 1e9 else (1e6, "MB") if n_bytes >= 1e6 else (1e3, "kB")
    return f"{n_bytes / unit:.{1 if n_bytes < 10 * unit and name != 'kB' else 0}f} {name}"
