"""The card of an axis of few values: what each gains, whether that can be told, and how much room it leaves the rate.

Only settings that differ in nothing else are compared, each at its own best rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from lrsweep.analysis.cards.card import Card
from lrsweep.analysis.cards.choice_tables import MOST_DRAWN, gain_chart, listed_rows, numbers, table
from lrsweep.analysis.cards.compare import holm, significant
from lrsweep.analysis.cards.effects import growing, room, sizes, stability, warmed, widest
from lrsweep.analysis.cards.options import Contest, Option, Options, options
from lrsweep.analysis.cards.phrases import LONGEST, change, joined, listed, on, with_
from lrsweep.analysis.cards.standings import Axis, Board

SUBJECTS = {
    "schedule": "A schedule",
    "layer_rates": "Setting rates by layer",
    "growth": "Growing",
    "clip_norm": "Clipping",
    "parametrization": "mup",
}
"""What an axis with a natural reference may help by."""

HELPS = {
    "better": "helps",
    "worse": "harms",
    "not told": "cannot be told to help",
    "one seed": "cannot be told to help",
    "not compared": "cannot be compared",
}
"""By what is told of the best value against the reference."""

OF_SCHEDULES = {"harms": "Every schedule harms", "cannot be told to help": "No schedule can be told to help"}
"""Of schedules it is said so."""


def choice_card(board: Board, axis: Axis) -> Card:
    """What the values of an axis do."""
    found = options(board, axis)
    if not found.contests:
        return Card(axis.name, on(board, f"No two settings differ in {axis.name} alone, so nothing can be said of it."))
    return Card(
        axis=axis.name,
        title=on(board, headline(found)),
        sentences=[
            *(growing(found) if axis.name == "growth" else ()),
            *told_apart(found),
            *counted(found),
            *room(found),
            *stability(found),
            *sizes(board, axis),
            *doubts(found),
            *joined(axis),
        ],
        table=table(found),
        charts=gain_chart(found),
        numbers=numbers(found),
    )


def headline(found: Options) -> str:
    """The finding: does anything help, or which value is best? With what else the question of an axis asks for."""
    lead, end = found.contests[0], besides(found)
    if not lead.best.alive:
        return f"No run finished with any {found.axis.name}."
    if lead.useless:
        return f"No {found.axis.name} tried is of use: even the best, {lead.best.name}, {lead.useless}."
    judged = [one for one in found.contests if one.base and one.base.alive and one.rivals]
    start, examples = helped(found, judged) if judged and subject(found) else winner(found)
    titles = [f"{start}: {'; '.join(examples[:n])}{end}." for n in range(len(examples), 0, -1)]
    titles.append(f"{start}: {examples[0]}.")
    return next((title for title in titles if len(title) <= LONGEST), titles[-1])


def besides(found: Options) -> str:
    """Of optimizers the widest range of good rates, of warm-up the highest stable rate."""
    if found.axis.name == "optimizer":
        return widest(found)
    if "schedule.warmup" in found.axis.columns:
        ways = warmed(found.board)
        n = sum(ways.values()) - ways["none"]
        return f"; warm-up raises the highest stable rate in {ways['rises']} of {n} pairs" if n else ""
    return ""


def subject(found: Options) -> str:
    """What may help, if the axis has a natural reference."""
    if found.axis.columns == ("schedule.warmup",):
        return "Warm-up"
    return SUBJECTS.get(found.axis.name, "") if found.natural else ""


def helped(found: Options, judged: Sequence[Contest]) -> tuple[str, list[str]]:
    """In how many settings the best of the other values is better than the reference, and examples.

    That is told after Holm's correction over the settings, too.
    """
    groups: dict[str, list[Contest]] = {said: [] for said in HELPS.values()}
    for one, p in zip(judged, holm([one.champion.gain.p for one in judged]), strict=True):
        gain = one.champion.gain
        known = gain.difference is None or gain.told not in ("better", "worse") or significant(p)
        groups[HELPS[gain.told if known else "not told"]].append(one)
    groups = {said: own for said, own in groups.items() if own}
    n, what = len(judged), subject(found)
    if len(groups) > 1:
        ways = [
            f"{said} {found.among.format(f'{len(own)} of {n}') if not i else f'{found.at} {len(own)}'}"
            for i, (said, own) in enumerate(groups.items())
        ]
        return f"{what} {listed(ways)}", gains(found, [own[0] for own in groups.values()])
    [said] = groups
    says = OF_SCHEDULES.get(said, f"{what} {said}") if what == "A schedule" else f"{what} {said}"
    some = " " + found.among.format(f"{n if said in ('helps', 'harms') else 'any'} of {n}") if n > 1 else ""
    return f"{says}{some}", gains(found, by_optimizer(judged))


def gains(found: Options, contests: Sequence[Contest]) -> list[str]:
    """What the champion of each contest gains."""
    said: list[str] = []
    for contest in contests:
        one, where, lower = contest.champion, with_(contest.name), found.board.lower
        width = contest.family.rest.get("width")
        base = f"width {width} throughout" if found.axis.name == "growth" and width else found.base
        gain, metric = one.gain.difference, found.board.metric
        if gain is None:
            said.append(f"seeds are lost with {one.name} or {base}{where}")
        elif gain.mean == 0 and not gain.error:
            said.append(f"{one.name} has the same {metric} as {base}, seed by seed{where}")
        else:
            name = one.name if one.name != subject(found) else ""
            if said:
                start, end = f"{name} " * bool(name), where
            else:
                start = f"{name} has {metric} " if name else f"{metric} "
                end = f" {'of' if lower else 'over'} {base}{where}"
            said.append(f"{start}{change(gain, lower)}{end}")
    return said


def by_optimizer(contests: Sequence[Contest]) -> list[Contest]:
    """The first contest of each optimizer."""
    found: dict[object, Contest] = {}
    for one in contests:
        found.setdefault(one.family.rest.get("optimizer"), one)
    return list(found.values())


def winner(found: Options) -> tuple[str, list[str]]:
    """Which value is best in how many settings, and examples: the best setting, and other optimizers' other values."""
    lead, n = found.contests[0], len(found.contests)
    if n == 1:
        return f"{lead.best.name} is best", [lead_of(found, lead)]
    wins = Counter(one.best.name for one in found.contests if one.best.alive)
    ways = [
        f"{name} {f'is best {found.among}'.format(f'{times} of {n}') if not i else f'{found.at} {times}'}"
        for i, (name, times) in enumerate(wins.most_common(4))
    ]
    unlike = [one for one in by_optimizer(found.contests) if one.best.value != lead.best.value and one.best.alive]
    examples = [f"with {one.name}, {one.best.name} has {lead_of(found, one)}" for one in (lead, *unlike)]
    return ", ".join(ways), examples


def lead_of(found: Options, contest: Contest) -> str:
    """The objective of a contest's best value, and how the others stand to it."""
    best, *others = contest.options
    others = [one for one in others if one.alive]
    if not best.standing.whole:
        return "seeds lost even at its best rate"
    what = f"{found.board.metric} {best.standing.objective:.3g}"
    if not others:
        return f"{what}; with no other value did a run finish"
    if len(others) == 1:
        return f"{what}{other_of(found, others[0])}"
    named = {way: [one.name for one in others if one.behind.told == way] for way in HELPS}
    for way, said in (("one seed", "but one seed cannot tell it from the others"), ("worse", "better than all others")):
        if len(named[way]) == len(others):
            return f"{what}, {said}"
    if len(named["not told"]) == len(others):
        many = f" of {len(others) + 1} at once" if len(others) > 2 else ""
        return f"{what}, but it cannot be told from any other{many}"
    unsure = named["not told"] + named["one seed"]
    parts = [f"{listed(unsure, 3)} cannot be told from it"] if unsure else []
    parts += [f"{listed(named['not compared'], 3)} cannot be compared with it"] if named["not compared"] else []
    return f"{what}; {'; '.join(parts)}"


def other_of(found: Options, one: Option) -> str:
    """How the only other value stands to the best."""
    if one.behind.difference is None:
        worse = one.behind.told == "worse"
        return f"; {one.name} {'loses seeds at its best rate' if worse else 'cannot be compared with it'}"
    words, to = change(one.behind.difference, found.board.lower), "of" if found.board.lower else "against"
    much = f"{one.name} has {words} {to} that"
    return f"; {much}" if one.behind.told == "worse" else f"; {much}, so they cannot be told apart"


def told_apart(found: Options) -> Iterator[str]:
    """For an axis with a reference: which values can be told from it, in few settings or the best of each optimizer."""
    if not subject(found) or len(found.called) < 3:
        return
    judged = [one for one in found.contests if one.base and one.base.alive and one.rivals]
    none = True
    for one in judged if len(judged) <= MOST_DRAWN else by_optimizer(judged):
        named = [(way, [rival.name for rival in one.rivals if rival.gain.told == way]) for way in ("better", "worse")]
        ways = [(way, names) for way, names in named if names]
        said = [f"{way}{f' than {found.base}' * (not i)}: {listed(names)}" for i, (way, names) in enumerate(ways)]
        if said:
            none = False
            yield f"{f'With {one.name}, t' if one.name else 'T'}old to be {'; '.join(said)}."
    if none:
        yield f"No other value can be told from {found.base}."


def counted(found: Options) -> Iterator[str]:
    """In how many settings each value is ahead of the reference; of many values the lead's best."""
    if found.axis.columns == ("schedule.warmup",):
        return  # `stability` says it
    several = {value: effect for value, effect in found.effects.items() if effect.n > 1}
    order = [one.value for one in found.contests[0].options if one.value in several]
    for value in order[: 3 if len(order) < 4 else 1]:
        yield f"All else equal, {found.called[value]} is ahead of {found.base} {several[value].words(found.among)}."


def doubts(found: Options) -> Iterator[str]:
    """What stands against the comparison."""
    each, n = [one for contest in found.contests for one in contest.options], len(found.contests)

    def named(which: Callable[[Option], bool]) -> str:
        counts = Counter(one.name for one in each if which(one))
        where = {name: f" ({found.among.format(f'{times} of {n}')})" * (n > 1) for name, times in counts.items()}
        return listed([f"{name}{place}" for name, place in where.items()])

    alive = {one.value for one in each if one.alive}
    if len(alive) < len({one.value for one in each}) and alive:
        dead = dict.fromkeys(one.name for one in each if one.value not in alive)
        yield f"No run finished with {listed([*dead])}."
    if lost := named(lambda one: one.alive and not one.standing.whole):
        yield f"Seeds are lost even at the best rate of {lost}, so nothing is compared with it in pairs."
    if edge := named(lambda one: one.alive and one.standing.entry["edge"] in ("low", "high")):
        yield f"The best rate is at the edge of its grid with {edge}, so there may be more to gain."
    if alone := [name for value, name in found.called.items() if value not in {one.value for one in each}]:
        yield f"{listed(alone)}: in no setting that differs in nothing else, so not compared."
    if len(found.contests[0].rivals) > 1 and any(one.gain.difference for one in each):
        by_itself = any(effect.n > 1 for effect in found.effects.values())
        others = "intervals and what is told each by itself do" if by_itself else "intervals do"
        yield f"Verdicts allow for the number of values compared (Holm's correction); {others} not."
    if subject(found) and len([one for one in found.contests if one.base and one.base.alive and one.rivals]) > 1:
        yield "The counts in the title allow for the number of settings (Holm's correction)."
    if 0 < (drawn := len(listed_rows(found))) < len(each):
        yield f"The table shows {drawn} of {len(each)} settings, the best first; --json has all."
