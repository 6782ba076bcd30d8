"""What else the values of an axis do: to the room for the rate, to the highest stable rate, and to the rate itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lrsweep.analysis.cards.compare import WITHIN, at_best, wider
from lrsweep.analysis.cards.findings import Axis, Board, Standing, Value
from lrsweep.analysis.cards.options import Option, Options, effects
from lrsweep.analysis.cards.phrases import change, common, exponent, listed
from lrsweep.analysis.cards.scaling import doubling
from lrsweep.analysis.cards.trend import rate_trend

FEWEST_SIZES = 3
"""Values of an axis of numbers, for an exponent of the best rate against it."""

WARMUP = Axis("schedule.warmup", ("schedule.warmup",))


def room(found: Options) -> Iterator[str]:
    """Which value has the widest range of good rates, and whether that can be told from the next and the narrowest."""
    own = sorted((one for one in found.alive if one.range), key=lambda one: -decades(one)[0])
    if len(own) < 2:
        return
    words = [f"{one.name}: {decades(one)[1]}" for one in own]
    near = f"within {WITHIN - 1:.0%} of its best rate's {'loss' if found.board.lower else 'error'}, and stable"
    yield f"Width of the range of good rates ({near}) in decades, {listed(words, 8)}."
    rivals = {"the next": own[1], "the narrowest": own[-1]} if len(own) > 2 else {"the other": own[1]}
    for what, other in rivals.items():
        gap = wider(own[0].best, other.best, found.board.lower)
        if gap is not None:
            verdict = "cannot be told from" if abs(gap[0]) <= gap[1] else "is wider than"
            sure = f"by {gap[0]:.2f}, 95% {gap[0] - gap[1]:.2f} to {gap[0] + gap[1]:.2f}"
            yield f"That of {own[0].name} {verdict} {what}, {other.name}'s ({sure})."


def widest(found: Options) -> str:
    """The end of a title: which value has the widest range of good rates, as far as that can be told."""
    own = sorted((one for one in found.alive if one.range), key=lambda one: -decades(one)[0])
    if len(own) < 2:
        return ""
    for other in (own[1], own[-1]):
        gap = wider(own[0].best, other.best, found.board.lower)
        if gap is not None and gap[0] > gap[1]:
            ours, theirs = (f"{one.name} ({decades(one)[1]} decades)" for one in (own[0], other))
            return f"; {ours} has a wider range of good rates than {'the next, ' if other is own[1] else ''}{theirs}"
    return "; their ranges of good rates cannot be told apart"


def decades(one: Option) -> tuple[float, str]:
    """How wide a value's range of good rates is, as a number and in words."""
    if one.range is None:
        return 0.0, "no"
    return one.range.decades, f"{'at least ' if any(one.range.open) else ''}{one.range.decades:.1f}"


def stability(found: Options) -> Iterator[str]:
    """What becomes of the highest stable rate: with warm-up, or with the one value besides the reference."""
    axis, board = found.axis, found.board
    if "schedule.warmup" in axis.columns:
        for value in sorted({one.setting["schedule.warmup"] for one in board.standings} - {0, None}, key=str):
            yield from moved(ways(board, WARMUP, (0,), (value,)), f"With warm-up {value} the highest stable rate")
            effect = effects(board, WARMUP, (0,)).get((value,))
            if effect:
                yield f"With warm-up {value}, {board.metric} at the best rate is ahead {effect.words}."
    elif len(found.every) == 2:
        [other] = [one for one in found.every if one is not found.reference]
        what = f"With {other.name} in place of {found.reference.name} the highest stable rate"
        yield from moved(ways(board, axis, found.reference.value, other.value), what)


def warmed(board: Board) -> Counter[str]:
    """Where the highest stable rate goes with warm-up, whatever its length, over all pairs of settings."""
    values = {one.setting["schedule.warmup"] for one in board.standings} - {0, None}
    return sum((ways(board, WARMUP, (0,), (value,)) for value in values), Counter())


def ways(board: Board, axis: Axis, base: Value, value: Value) -> Counter[str]:
    """In how many pairs the highest stable rate `rises`, `falls`, `stays`, or lies beyond the grid in both (`open`)."""
    return Counter(
        way(family.members[base], family.members[value])
        for family in board.families(axis)
        if base in family.members and value in family.members
    )


def moved(counts: Counter[str], what: str) -> Iterator[str]:
    """What becomes of the highest stable rate, in a sentence."""
    n, stays = sum(counts.values()), counts["stays"] + counts["open"]
    if n:
        beyond = f", {counts['open']} of them beyond the grid" if counts["open"] else ""
        yield f"{what} rises in {counts['rises']} of {n} pairs, falls in {counts['falls']}, stays in {stays}{beyond}."


def way(without: Standing, with_it: Standing) -> str:
    """Where a highest stable rate goes; `open` where the grid ends before it does in both."""
    old, new = (one.told["highest_stable_rate"] or 0.0 for one in (without, with_it))
    if old == new == without.profile.rates[-1]:
        return "open"
    return "stays" if old == new else "rises" if new > old else "falls"


def wide_from_the_start(found: Options) -> Iterator[str]:
    """The best growth against a network that has its final width from the start, where the sweep has one."""
    grown = next((one for one in found.alive if one.value[0] is not None), None)
    size = re.search(r"to_width: (\d+)", str(grown.value[0])) if grown else None
    if grown is None or size is None:
        return
    changed = {"growth", "width"}
    own = {column: value for column, value in grown.best.setting.items() if column not in changed}
    for one in found.board.standings:
        rest = {column: value for column, value in one.setting.items() if column not in changed}
        wide = one.setting.get("width") == int(size[1]) and one.setting["growth"] is None
        gain = at_best(grown.best, one) if wide and rest == own else None
        if gain is not None:
            words = change(gain, found.board.metric, found.board.lower)
            yield f"{grown.name} against width {size[1]} from the start: {words}."


def sizes(board: Board, axis: Axis) -> Iterator[str]:
    """How the best rate goes with an axis of numbers, in the family with the best setting."""
    for family in board.families(axis)[:1]:
        members = {value[0]: one for value, one in family.members.items()}
        numbers = {size: one for size, one in members.items() if isinstance(size, int | float) and size > 0}
        if len(axis.columns) > 1 or len(numbers) < max(FEWEST_SIZES, len(members)):
            return
        found = rate_trend([float(size) for size in numbers], [*numbers.values()], board.lower)
        where = f" (with {common(family.rest)})" if common(family.rest) else ""
        if found.slope is None:
            yield f"How the best rate goes with {axis.name} cannot be told{where}: {found.reason}."
            return
        if found.verdict == "flat":
            yield f"The best rate stays the same with {axis.name}{where}: {exponent(found)}."
            return
        sure = {"open": ", which cannot be told from none", "none": f", but {found.reason}"}.get(found.verdict, "")
        yield f"The best rate {doubling(found)} per doubling of {axis.name}{where}: {exponent(found)}{sure}."
