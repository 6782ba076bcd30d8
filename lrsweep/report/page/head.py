"""The top of the page: what was asked, the answer, how sure it is, and what stands against it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.report import terminal, words
from lrsweep.report.page.markup import Html, joined, tag
from lrsweep.report.page.shown import interval_of
from lrsweep.report.printer import EDGE
from lrsweep.report.tables import no_more_known
from lrsweep.report.words import many

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer
    from lrsweep.analysis.recommend import Entry

MOST_ANSWERS = 6
"""Datasets that are answered in large type."""


def head(answer: Answer) -> Html:
    """The head of the page."""
    act = terminal.best_of_each_dataset(answer.entries, 1)
    return tag(
        "header",
        tag("p", answer.about["name"], class_="name"),
        tag("p", _question(answer), class_="question"),
        *_answers(act),
        _against(answer, act),
        _facts(answer, act[0]) if len(act) == 1 else None,
        tag("p", _description(answer), class_="asked") if answer.about["description"] else None,
        tag("p", _runs(answer), class_="asked"),
        _met(answer),
    )


def _answers(act: Sequence[Entry]) -> Iterator[Html]:
    """The sentence to act on in large type, and which other rates will do."""
    if not act:
        yield tag("h1", "No run is trained yet")
    several = "several" if len(act) > 1 else None
    for entry in act[:MOST_ANSWERS]:
        yield tag("h1", _act(entry), class_=several)
        if entry["tie_interval"]:
            yield tag("p", _tied(entry), class_="as-well")
    if len(act) > MOST_ANSWERS:
        yield tag("p", f"{many(len(act) - MOST_ANSWERS, 'more dataset')}: recommendation.json", class_="quiet")


def _act(entry: Mapping[str, Any]) -> str:
    """The sentence to act on, without how sure it is, in parentheses at its end.

    >>> _act({"setting": {}, "best_rate": 0.1, "advice": "Use f(x) at 0.1 (0.1 to 0.2 will do).\\nBut."})
    'Use f(x) at 0.1'
    >>> _act({"setting": {"dataset": "wine"}, "best_rate": None, "advice": "No run finished."})
    'For wine no rate can be recommended'
    """
    if entry["best_rate"] is None:
        dataset = entry["setting"].get("dataset")
        return f"For {dataset} no rate can be recommended" if dataset else "No rate can be recommended"
    sentence: str = entry["advice"].split("\n")[0].removesuffix(".")
    return sentence.rpartition(" (")[0] if sentence.endswith(")") else sentence


def _tied(entry: Entry) -> str:
    """Which other rates will do."""
    low, high = map(words.rate, entry["tie_interval"])
    seeds = many(entry["n_seeds"], "seed")
    return (
        f"No neighbour ties with it at {seeds}."
        if low == high
        else f"{low} to {high} cannot be told from it at {seeds}."
    )


def _description(answer: Answer) -> Html:
    """What the sweep file says of itself, with its lines."""
    lines = answer.about["description"].splitlines()
    return joined(*(part for line in lines for part in (tag("br"), line)[line is lines[0] :]))


def _question(answer: Answer) -> str:
    """What was asked, as a sentence; the axes are counted where the settings are their whole product."""
    axes, on = answer.about["axes"], _listed([*answer.about["datasets"]])
    varied = {key: len(axes[key]) for key in axes if key not in ("learning_rate", "seed", "dataset")}
    rates, each = f"{len(axes['learning_rate']):,}", " × ".join(_counted(key, varied[key]) for key in varied)
    if sum(answer.counts[key] for key in ("done", "new")) != math.prod(map(len, axes.values())):
        n_settings = len(answer.entries)
        each = many(n_settings, "setting") if n_settings > 1 else ""
        by = [key for key in answer.about["settings"] if key in axes]
        sizes = answer.ranking.groupby(by, dropna=False).size() if by else [len(answer.ranking)]
        rates = " to ".join(f"{size:,}" for size in sorted({min(sizes, default=0), max(sizes, default=0)}))
    each = f", for each of {each}," if each else ""
    if len(axes["learning_rate"]) == 1:
        return f"How does learning rate {words.rate(axes['learning_rate'][0])} do{each} on {on}?"
    return f"Which of {rates} learning rates is best{each} on {on}?"


def _counted(key: str, number: int) -> str:
    """The values of an axis.

    >>> _counted("width", 5), _counted("batch_size", 2), _counted("optimizer.momentum", 2)
    ('5 widths', '2 batch sizes', '2 values of momentum')
    """
    plain = key.split(".")[-1].replace("_", " ")
    return f"{number:,} values of {plain}" if "." in key or key.endswith("s") else f"{number:,} {plain}s"


def _runs(answer: Answer) -> str:
    """What was run to find out, and what ranks."""
    _, data, runs = terminal.headline(answer, None, None)
    said = [f"{runs}; {data}", terminal.question(answer), ", ".join(terminal.trained_with(answer))]
    return " ".join(map(_sentence, said))


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _sentence(told: str) -> str:
    return f"{told[:1].upper()}{told[1:]}."


def _facts(answer: Answer, entry: Entry) -> Html | None:
    """The numbers beside the answer."""
    if entry["best_rate"] is None:
        return None
    rows = answer.rows(answer.ranking, entry)
    best = rows[rows["rank"] == 1].iloc[0]
    mean, interval = interval_of(best)
    facts = [(answer.objective, mean, f"95%: {interval}" if interval else "")]
    if entry.get("fitted_rate") is not None:
        between = f"95%: {words.fitted_interval(entry['fitted_interval'])}" if entry["fitted_interval"] else ""
        facts.append(("fitted rate", words.fitted(entry["fitted_rate"]), between))
    for key, name in (("test_accuracy", "test accuracy"), ("test_r2", "test R²"), ("test_macro_f1", "test macro-F1")):
        if entry.get(key) is not None:
            facts.append((name, words.score(entry[key]), "on rows that decided nothing"))
    highest = entry["highest_stable_rate"]
    if highest is not None:
        dropped = "higher ones were dropped" if no_more_known(entry, rows) else ""
        side = "the highest tried" if highest == rows["learning_rate"].max() else dropped
        facts.append(("stable to", words.rate(highest), side))
    if not words.missing(entry.get("diagnosis")):
        facts.append(("diagnosis", words.diagnosis(entry["diagnosis"]), ""))
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", value, tag("small", more) if more else None))
            for name, value, more in facts
        ),
        class_="facts",
    )


def _against(answer: Answer, act: Sequence[Entry]) -> Html | None:
    """What stands against the answer, the gravest first: expectations that are not met, runs that lack, doubts."""
    lines = [
        tag("li", f"Expected {check.name} {check.wanted}, found {check.found}.", class_="unmet")
        for check in answer.checks
        if not check.met
    ]
    lines += [tag("li", f"{line.removeprefix(f'{EDGE} ')}.") for line in terminal.unfinished(answer)]
    lines += [tag("li", line) for line, _ in terminal.doubts(answer, act)] if act else []
    return tag("ul", *lines, class_="doubts") if lines else None


def _met(answer: Answer) -> Html | None:
    """That expectations are met; they are guarded, so someone will look for it."""
    if not answer.checks or not all(check.met for check in answer.checks):
        return None
    told = [f"{check.name} {check.wanted} (found {check.found})" for check in answer.checks]
    return tag("p", f"As expected: {', '.join(told)}.", class_="asked")


def described(answer: Answer) -> str:
    """The page in a sentence, for its title."""
    act: Sequence[Mapping[str, Any]] = terminal.best_of_each_dataset(answer.entries, 1)
    told = _act(act[0]) if act else "no run is trained yet"
    return f"{answer.about['name']}: {told}"
