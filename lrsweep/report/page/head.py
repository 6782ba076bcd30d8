"""The top of the page: what was asked, the answer, how sure it is, and what stands against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrsweep.report import terminal, words
from lrsweep.report.page.markup import Html, tag
from lrsweep.report.printer import EDGE
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
        tag("p", answer.about["description"], class_="asked") if answer.about["description"] else None,
        tag("p", _runs(answer), class_="asked"),
        _met(answer),
    )


def _answers(act: Sequence[Entry]) -> Iterator[Html]:
    """The sentence to act on in large type, and which other rates will do."""
    if not act:
        yield tag("h1", "No run is trained yet")
    several = "several" if len(act) > 1 else None
    for entry in act[:MOST_ANSWERS]:
        if entry["best_rate"] is None:
            yield tag("h1", "No rate can be recommended", class_=several)
            continue
        answer, rest = _split(entry)
        yield tag("h1", answer, class_=several)
        if rest:  # what follows a semicolon is the fitted rate, which stands among the facts
            yield tag("p", _sentence(rest.partition(";")[0]), class_="as-well")
    if len(act) > MOST_ANSWERS:
        yield tag("p", f"{many(len(act) - MOST_ANSWERS, 'more dataset')}: recommendation.json", class_="quiet")


def _split(entry: Mapping[str, Any]) -> tuple[str, str]:
    """The sentence to act on, and what stands in the parentheses at its end.

    >>> _split({"advice": "Use f(x) at 0.1 (0.1 to 0.2 will do).\\nBut."}), _split({"advice": "Use f(x) at 1."})
    (('Use f(x) at 0.1', '0.1 to 0.2 will do'), ('Use f(x) at 1', ''))
    """
    sentence = entry["advice"].split("\n")[0].removesuffix(".")
    if not sentence.endswith(")"):
        return sentence, ""
    answer, _, rest = sentence[:-1].rpartition(" (")
    return answer, rest


def _question(answer: Answer) -> str:
    """What was asked, as a sentence."""
    axes = answer.about["axes"]
    varied = [_counted(key, len(axes[key])) for key in axes if key not in ("learning_rate", "seed", "dataset")]
    each, on = f", for each of {' × '.join(varied)}," if varied else "", _listed([*answer.about["datasets"]])
    rates = axes["learning_rate"]
    if len(rates) == 1:
        return f"How does learning rate {words.rate(rates[0])} do{each} on {on}?"
    return f"Which of {len(rates):,} learning rates is best{each} on {on}?"


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
    write = words.alike([best["objective_mean"]])
    interval = [best["objective_low"], best["objective_high"]]
    known = all(value == value for value in interval)
    facts = [
        (answer.objective, write(best["objective_mean"]), f"95%: {' to '.join(map(write, interval))}" if known else "")
    ]
    if entry.get("fitted_rate") is not None:
        between = words.fitted_interval(entry["fitted_interval"])
        facts.append(("fitted rate", words.fitted(entry["fitted_rate"]), f"95%: {between}"))
    for key, name in (("test_accuracy", "test accuracy"), ("test_r2", "test R²"), ("test_macro_f1", "test macro-F1")):
        if entry.get(key) is not None:
            facts.append((name, words.score(entry[key]), "on rows that decided nothing"))
    highest = entry["highest_stable_rate"]
    if highest is not None:
        side = "the highest tried" if highest == rows["learning_rate"].max() else ""
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
    told = _split(act[0])[0] if act else "no run is trained yet"
    return f"{answer.about['name']}: {told}"
