"""Numbers and names as people write them. Rates are as brief as in the advice."""

from __future__ import annotations

import math
import numbers
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.analysis.naming import apart
from lrsweep.analysis.recommend import brief
from lrsweep.vocabulary import STOPPED
from lrsweep.vocabulary import duration as duration  # also as words.duration
from lrsweep.vocabulary import size as size

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.cards.card import Col, Kind
    from lrsweep.analysis.recommend import Entry

PAIRS: Mapping[str, Kind] = {"rates": "rate", "ratios": "ratio", "changes": "change"}
"""Kinds of cells that are (low, high) pairs, and what each end is."""

MOST_VALUES = 6
"""Values of an axis that are listed; of more only their number and ends."""

MOST_SIGNS = 200
"""Of a text that somebody else wrote, such as an exception's, where it is one among many things."""

USUAL = {
    **{"subset": 1.0, "validation": 0.2, "test": 0.2, "split_seed": 0, "standardize": True, "precision": "float32"},
    **{"depth": 1, "activation": "relu", "parametrization": "standard", "base_width": 64, "layer_rates": "1"},
}
"""What a reader takes for granted: said only where it differs. Nothing at all, as no clipping, is never said."""

TELLING = {"batch_size": "batch {}"}
"""Settings that are not told by their own names; epochs are counted."""

NOTHING = "–"
"""Stands for what does not apply or cannot be said."""


def clean(text: str) -> str:
    r"""The text without what could move the cursor, change colours or break the line.

    >>> clean("a\x1b[31mb\n")
    'a�[31mb�'
    """
    return "".join(sign if sign.isprintable() else "�" for sign in text)


def cut(text: str, most: int = MOST_SIGNS) -> str:
    """A text that may be long, such as why a run failed, as far as it is shown.

    >>> cut("MemoryError: no", most=12), cut("no", most=12)
    ('MemoryError…', 'no')
    """
    return text if len(text) <= most else f"{text[: most - 1].rstrip(' :')}…"


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


def alike(values: Sequence[float]) -> Callable[..., str]:
    """How to write the numbers of a column: with the decimals that give the one nearest to zero three digits.

    Large ones have no more than four digits; one that stands `beside` another has the other's decimals. Where these
    would leave next to nothing of a small one, it has two digits of its own.

    >>> write = alike([0.104, 2.3])
    >>> write(0.104), write(2.3), write(132.312), write(0.5, beside=132.312), write(123456.0), write(float("inf"))
    ('0.104', '2.300', '132.3', '0.5', '1.2e+05', '–')
    >>> write(1.7e-05), write(0.0042), write(0.0042, beside=0.104), write(0.0002, beside=0.104), write(0.0)
    ('1.7e-05', '0.0042', '0.004', '0.0002', '0.000')
    """
    sizes = [abs(value) for value in values if math.isfinite(value) and value]
    most = max(0, 2 - math.floor(math.log10(min(sizes)))) if sizes else 3

    def write(value: float, beside: float = 0.0) -> str:
        if not math.isfinite(value):
            return NOTHING
        size = max(abs(value), abs(beside) if math.isfinite(beside) else 0.0, 1.0)
        places = min(most, max(0, 3 - math.floor(math.log10(size))))
        small = max(abs(value), abs(beside)) < 10 * 10.0**-places if size == 1 else False
        if value and places and (small or abs(value) < 10.0**-places):
            return f"{value:.2g}"
        return f"{value:.{places}f}" if size < 1e4 and places <= 6 else f"{value:.1e}"

    return write


def value(given: Any) -> str:
    """A setting.

    >>> value(16), value(0.1), value(float("nan")), value("adam")
    ('16', '0.1', '–', 'adam')
    """
    if given is None or given != given:
        return NOTHING
    return f"{given:.6g}" if isinstance(given, float) else str(given)


def cells(column: Col) -> list[str]:
    """The cells of a card's column, numbers with the same decimals and mappings in the words that tell them apart.

    >>> from lrsweep.analysis.cards.card import Col
    >>> cells(Col("loss", [0.104, 2.3, float("nan")], "value")), cells(Col("tied with", [(0.001, 0.01), None], "rates"))
    (['0.104', '2.300', '–'], ['0.001–0.01', '–'])
    """
    if column.kind == "value":
        write = alike([given for given in column.values if not missing(given)])
        return [NOTHING if missing(given) else write(given) for given in column.values]
    few = apart(column.title, column.values) if column.kind == "setting" else {}
    return [(few.get(given) if few else None) or cell(given, column.kind) for given in column.values]


def cell(given: Any, kind: Kind) -> str:
    """A value on its own, as its kind is written.

    >>> cell(1.618, "ratio"), cell(0.054, "share"), cell(1079, "count"), cell(0.4917, "number"), cell(None, "rate")
    ('1.62 ×', '5.4%', '1,079', '0.49', '–')
    >>> cell((0.001, 0.01), "rates"), cell((0.92, 1.0), "ratios"), cell((-0.012, 0.003), "changes")
    ('0.001–0.01', '0.92–1.00', '-0.012 to +0.003')
    >>> cell((0.1, True), "bound"), cell((0.1, False), "bound")
    ('≥ 0.1', '0.1')
    """
    if missing(given):
        return NOTHING
    if kind == "bound":
        lowest, only_bound = given
        return f"{'≥ ' * only_bound}{brief(lowest)}"
    if kind in PAIRS:
        low, high = (cell(end, PAIRS[kind]).removesuffix(" ×") for end in given)
        return low if low == high else f"{low} to {high}" if kind == "changes" else f"{low}–{high}"
    if kind in WRITTEN and not math.isfinite(given):
        return NOTHING
    return WRITTEN[kind](given) if kind in WRITTEN else value(given)


def missing(given: Any) -> bool:
    """Whether there is nothing to write: None or nan."""
    return given is None or (isinstance(given, float) and math.isnan(given))


def numeric(column: Col) -> bool:
    """Whether all that stands in a column are numbers."""
    return all(isinstance(given, numbers.Number) for given in column.values if not missing(given))


def fixed(settings: Mapping[str, Any]) -> list[str]:
    """What does not vary, in few words, as far as it is not USUAL.

    >>> fixed({"subset": 1.0, "width": 64, "schedule": "cosine", "schedule.warmup": 0.1, "epochs": 20})
    ['width 64', 'schedule cosine', 'warmup 0.1', '20 epochs']
    """
    told = []
    for key, given in settings.items():
        if key == "epochs":
            told.append(many(int(given), "epoch"))
        elif not missing(given) and given != USUAL.get(key):
            few = apart(key, [given]).get(given) or value(given)
            told.append(TELLING.get(key, f"{key.split('.')[-1]} {{}}").format(few))
    return told


def axis(key: str, values: Sequence[Any]) -> str:
    """An axis and its values, or their number where they are many or say nothing.

    >>> axis("width", [16, 32]), axis("learning_rate", [10.0**-i for i in range(7)]), axis("seed", [0, 1, 2])
    ('width 16 32', 'learning_rate 7 from 1e-06 to 1', 'seed 3')
    """
    if key == "seed":
        return f"seed {len(values)}"
    if len(values) <= MOST_VALUES or not all(isinstance(given, int | float) for given in values):
        return " ".join([key, *map(value, values[:MOST_VALUES]), *["…"][: len(values) > MOST_VALUES]])
    return f"{key} {len(values)} from {value(min(values))} to {value(max(values))}"


def rates(values: Sequence[float]) -> str:
    """The rates that were tried.

    >>> rates([0.1]), rates([0.1, 0.01]), rates([10.0**-i for i in range(9)])
    ('rate 0.1', 'rates 0.01 0.1', '9 rates from 1e-08 to 1')
    """
    if len(values) > MOST_VALUES:
        return f"{len(values)} rates from {brief(min(values))} to {brief(max(values))}"
    return " ".join(["rate" if len(values) == 1 else "rates", *map(brief, sorted(values))])


def diagnosis(given: Any) -> str:
    """What is wrong with a rate, or that it was dropped before that could be told.

    >>> diagnosis("too_slow"), diagnosis("stopped"), diagnosis(None)
    ('too slow', 'dropped', '–')
    """
    return NOTHING if missing(given) else "dropped" if given == STOPPED else str(given).replace("_", " ")


def labels(answer: Answer, entries: Sequence[Entry], whole: bool = False) -> list[str]:
    """The settings of entries in few words: unless they are to be `whole`, only those in which the entries differ."""
    settings = [entry["setting"] for entry in entries]
    keys = [key for key in (settings or [{}])[0] if len({setting[key] for setting in settings}) > 1]
    few = {key: apart(key, values) for key, values in answer.about["axes"].items()}

    def told(setting: Mapping[str, Any]) -> dict[str, Any]:
        kept = setting if whole or not {*keys} - {"dataset"} else {key: setting[key] for key in keys}
        return {key: given if given is None else few[key].get(given, given) for key, given in kept.items()}

    return [answer.label({"setting": told(setting)}) for setting in settings]


def rate(given: float | None) -> str:
    """A rate, if there is one."""
    return NOTHING if given is None else brief(given)


def fitted(given: float | None) -> str:
    """A fitted rate, if there is one: with two digits, since no fit is that good.

    >>> fitted(0.00237), fitted(1234.5), fitted(None)
    ('0.0024', '1200', '–')
    """
    return NOTHING if given is None else brief(given, 2)


def fitted_interval(given: Sequence[float] | None) -> str:
    """The interval of a fitted rate, if there is one.

    >>> fitted_interval([0.00123, 0.0045]), fitted_interval(None)
    ('0.0012–0.0045', '–')
    """
    return NOTHING if given is None else "–".join(map(fitted, given))


def score(given: float) -> str:
    """An accuracy or R²."""
    return f"{given:.3f}" if math.isfinite(given) else NOTHING


def ratio(given: float) -> str:
    """A factor.

    >>> ratio(1.618), ratio(12.34), ratio(1234.0), ratio(0.0312)
    ('1.62 ×', '12.3 ×', '1,234 ×', '0.031 ×')
    """
    size = abs(given)
    places = 2 if 0.0995 <= size < 9.995 else 1 if 9.995 <= size < 99.95 else 0
    return f"{given:.2g} ×" if size < 0.0995 else f"{given:,.{places}f} ×"


def number(given: float) -> str:
    """A plain number, such as a correlation.

    >>> number(0.4917), number(1.0), number(123.4), number(0.00123)
    ('0.49', '1.00', '123', '0.00123')
    """
    return f"{given:.2f}" if 0.0995 <= abs(given) < 9.995 or not given else f"{given:.3g}"


def change(given: float) -> str:
    """A difference of scores; what rounds to nothing has no minus.

    >>> change(0.0123), change(-0.5), change(-0.0001)
    ('+0.012', '-0.500', '+0.000')
    """
    return f"{round(given, 3) + 0.0:+.3f}"


def share(given: float) -> str:
    """A fraction, in per cent.

    >>> share(0.0543), share(0.5), share(1.0), share(12.3)
    ('5.4%', '50%', '100%', '1,230%')
    """
    return f"{100 * given:.1f}%" if 0 < abs(given) < 0.0995 else f"{100 * given:,.0f}%"


WRITTEN: dict[str, Callable[[Any], str]] = {
    "rate": brief,
    "value": "{:.3g}".format,
    "score": score,
    "change": change,
    "ratio": ratio,
    "share": share,
    "number": number,
    "count": "{:,.0f}".format,
    "seconds": duration,
}
"""How each kind of number in a card's table is written."""
