"""What else the values of an axis do: to the room for the rate, to the highest stable rate, and to the rate itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from lrsweep.analysis.cards.compare import at_best, significant
from lrsweep.analysis.cards.options import Contest, Option, Options, against, options
from lrsweep.analysis.cards.phrases import change, decimals, with_
from lrsweep.analysis.cards.ranges import WITHIN, Range, good_range, wider_by
from lrsweep.analysis.cards.scaling import MOST_NAMED, edges, exponents, ladders, reused
from lrsweep.analysis.cards.standings import Axis, Board, Standing, Value

FEWEST_SIZES = 3
"""Values of an axis of numbers, for an exponent of the best rate against it."""

WARMUP = Axis("schedule.warmup", ("schedule.warmup",))


def ranged(found: Options) -> list[tuple[Option, Range]]:
    """The values of the best contest with their ranges of good rates, the widest first."""
    own = [(one, good_range(found.board, one.standing)) for one in found.contests[0].options if one.alive]
    return sorted(((one, good) for one, good in own if good), key=lambda pair: -pair[1].decades)


def room(found: Options) -> Iterator[str]:
    """How wide the ranges of good rates are, and whether the widest can be told from the narrowest."""
    own = ranged(found)
    if len(own) < 2:
        return
    (first, good), *others = own
    words = [f"{decades(good)} with {one.name}" for one, good in others[: MOST_NAMED - 1]]
    words += [f"--json has {len(own) - MOST_NAMED} more"] if len(own) > MOST_NAMED else []
    near = f"within {WITHIN - 1:.0%} of the least {'loss' if found.board.lower else 'error'}, stable"
    where = f"; {found.contests[0].name}" if found.contests[0].name else ""
    yield f"Good rates ({near}{where}) span {decades(good)} decades with {first.name}; {'; '.join(words)}."
    gap = wider_by(found.board, own[0][0].standing, own[-1][0].standing)
    if gap is not None and gap.interval is not None and gap.mean:
        ends = " to ".join(map(decimals, gap.interval))
        picked = f", not told, since these are the ends of {len(own)}" if significant(gap.p) else ", not told"
        verdict = "" if is_wider(gap.p, len(own)) else picked
        yield f"{own[0][0].name} has {decimals(gap.mean)} decades more than {own[-1][0].name} (95% {ends}){verdict}."


def is_wider(p: float, n: int) -> bool:
    """Whether a difference is told, the two having been picked from n: Bonferroni's correction over all pairs."""
    return significant(p * n * (n - 1) / 2)


def widest(found: Options) -> str:
    """The end of a title: which value has the widest range of good rates, as far as that can be told."""
    own = ranged(found)
    for other, narrow in own[1:2] + own[-1:] if len(own) > 1 else ():
        gap = wider_by(found.board, own[0][0].standing, other.standing)
        if gap is not None and gap.mean > 0 and is_wider(gap.p, len(own)):
            wide = f"{own[0][0].name} ({decades(own[0][1])} decades)"
            return f"; {wide} has a wider range of good rates than {other.name} ({decades(narrow)})"
    if len(own) < 2:
        return ""
    ends = dict.fromkeys(f"{one.decades:.1f}" for _, one in (own[-1], own[0]))
    span = f"{'at least ' * any(own[-1][1].open)}{' to '.join(ends)} decades{' each' * (len(ends) == 1)}"
    return f"; no {found.axis.name} can be told to have a wider range of good rates ({span})"


def decades(good: Range) -> str:
    """How wide a range of good rates is."""
    return f"{'at least ' if any(good.open) else ''}{good.decades:.1f}"


def stability(found: Options) -> Iterator[str]:
    """What becomes of the highest stable rate: with warm-up, or with the one value besides the reference."""
    axis, board = found.axis, found.board
    if "schedule.warmup" in axis.columns:
        warm = options(board, WARMUP)
        for value in warmups(board):
            yield from moved(ways(board, WARMUP, (0,), (value,)), f"With warm-up {value:g} the highest stable rate")
            if (value,) in warm.effects:
                words = warm.effects[value,].words(warm.among)
                yield f"With warm-up {value:g}, {board.metric} at the best rate is ahead {words}."
    elif len(found.called) == 2:
        [other] = [value for value in found.called if value != found.reference]
        what = f"With {found.called[other]} in place of {found.base} the highest stable rate"
        yield from moved(ways(board, axis, found.reference, other), what)


def warmups(board: Board) -> list[float]:
    """The lengths of warm-up, none not among them."""
    values = {one.setting["schedule.warmup"] for one in board.standings}
    return sorted(float(value) for value in values if value)


def warmed(board: Board) -> Counter[str]:
    """Where the highest stable rate goes with warm-up, whatever its length, over all pairs of settings."""
    return sum((ways(board, WARMUP, (0,), (value,)) for value in warmups(board)), Counter())


def ways(board: Board, axis: Axis, base: Value, value: Value) -> Counter[str]:
    """In how many pairs the highest stable rate goes which `way`."""
    return Counter(
        way(family.members[base], family.members[value])
        for family in board.families(axis)
        if base in family.members and value in family.members
    )


def way(without: Standing, with_it: Standing) -> str:
    """Where a highest stable rate goes: it `rises`, `falls` or `stays`.

    `open` where the grid ends before it does in both, `none` where neither has one.
    """
    old, new = (one.entry["highest_stable_rate"] for one in (without, with_it))
    if old is None and new is None:
        return "none"
    if old == new == without.profile.rates[-1]:
        return "open"
    return "stays" if old == new else "rises" if (new or 0.0) > (old or 0.0) else "falls"


def moved(counts: Counter[str], what: str) -> Iterator[str]:
    """What becomes of the highest stable rate, in a sentence."""
    n, stays = sum(counts.values()) - counts["none"], counts["stays"] + counts["open"]
    beyond = f", {counts['open']} of them beyond the grid" if counts["open"] else ""
    if n == 1:
        [one] = (way for way in counts if way != "none")
        yield f"{what} {'stays beyond the grid' if one == 'open' else one}."
    elif n:
        yield f"{what} rises in {counts['rises']} of {n} pairs, falls in {counts['falls']}, stays in {stays}{beyond}."


def growing(found: Options) -> Iterator[str]:
    """What grows against what has its final width from the start, and the rules for the rate against `keep`."""
    few = [wide for contest in found.contests if (wide := from_the_start(found, contest))]
    if few:
        yield f"Against what is as wide from the start: {'; '.join(few)}."
    keep = next((value for value in found.called if "rate: keep" in str(value[0])), None)
    for contest in found.contests:
        members = {one.value: one.standing for one in contest.options if one.value[0] is not None}
        if keep not in members or len(members) < 2:
            continue
        rules = against(found.board, members, keep)
        few = [
            f"{found.called[value]} {change(one.difference, found.board.lower)}"
            for value, one in rules.items()
            if one.difference is not None
        ]
        yield f"Rules for the rate against {found.called[keep]}{with_(contest.name)}: {'; '.join(few)}."


def from_the_start(found: Options, contest: Contest) -> str:
    """The best growth of a contest against a network that has its final width from the start, if there is one."""
    grown = next((one for one in contest.rivals if one.value[0] is not None), None)
    size = re.search(r"to_width: (\d+)", str(grown.value[0])) if grown else None
    if grown is None or size is None:
        return ""
    wanted = {**grown.standing.setting, "growth": None, "width": int(size[1])}
    wide = next((one for one in found.board.standings if one.setting == wanted), None)
    gain = at_best(found.board, grown.standing, wide) if wide else None
    if gain is None:
        return ""
    words, of = change(gain, found.board.lower), "of" if found.board.lower else "over"
    return f"{grown.name} has {found.board.metric} {words} {of} width {size[1]} throughout{with_(contest.name)}"


def sizes(board: Board, axis: Axis) -> Iterator[str]:
    """How the best rate goes with an axis of numbers."""
    values = {one.setting.get(axis.name) for one in board.standings}
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) and value > 0 for value in values)
    if len(axis.columns) > 1 or not numbers or len(values) < FEWEST_SIZES:
        return
    found = ladders(board, axis, lambda one: float(one.setting[axis.name] or 0), reused)
    yield from exponents(found, axis.name)
    yield from edges(found, axis.name)
