"""The mistakes found in a sweep file, and the words in which they are told: the value, the rule, the remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from lrsweep.datasets import did_you_mean
from lrsweep.spec.keys import Rule
from lrsweep.vocabulary import Problem
from lrsweep.yaml_reader import Node, short

MAX_HINTS = 100
"""Problems that come with a "did you mean"; few are shown, and to look for near words in thousands takes seconds."""

PHRASES = {
    "greater_than": "must be above {gt:,.16g}; raise it",
    "greater_than_equal": "must be at least {ge:,.16g}; raise it",
    "less_than": "must be below {lt:,.16g}; lower it",
    "less_than_equal": "must be at most {le:,.16g}; lower it",
    "int_type": "must be a whole number; write for example {example}",
    "int_from_float": "must be a whole number; write for example {example}",
    "float_type": "must be a number; write for example 0.1",
    "finite_number": "must be finite; write for example 0.1",
    "bool_type": "must be true or false; write one of them",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty; fill it in",
    "string_pattern_mismatch": "must be 1 to 64 of a-z 0-9 . _ - and start with a letter or digit; rename it",
    "literal_error": "must be {expected}; write one of them",
}
"""Pydantic's kinds of error in the words of a sweep file."""


class Problems:
    """What was found so far, each mistake once."""

    def __init__(self, root: Node, found: list[Problem]) -> None:
        self.root = root
        self.origins: dict[int, tuple[str, str]] = {}
        self.roots: list[Node] = []
        self.told: dict[Any, Problem] = {}
        self.places: set[Any] = set()
        self.include(found)

    def include(self, found: Iterable[Problem]) -> None:
        """Takes in what the YAML reader found; what else is wrong at the same place follows from it and is not told."""
        for problem in found:
            place = (problem.origin, problem.line, problem.column)
            self.places.add(place)
            self.told[place, problem.message] = problem

    def place(self, root: Node, origin: str, text: str) -> None:
        """Remembers that a node and all within it come from elsewhere than the file."""
        self.roots.append(root)  # an override may be overridden; its nodes must keep their ids all the same
        for node in walk(root):
            self.origins[id(node)] = (origin, text)

    def at(self, node: Node, message: str = "") -> Problem:
        """A problem at a node."""
        return Problem(message, node.line, node.column, node.width, *self.origins.get(id(node), ("", "")))

    def add(self, node: Node, message: str) -> None:
        """Notes what is wrong at a node."""
        problem = self.at(node, message)
        place = (problem.origin, node.line, node.column)
        if node is self.root or place not in self.places:
            self.told.setdefault((place, message), problem)

    def valid(self, label: str, node: Node, rule: Rule) -> Any:
        """The node's value as the rule wants it; None, and a problem, where it is wrong."""
        if isinstance(node.value, list | dict):
            self.add(node, f"{label} takes one value, not {shown(node.value)}; keep one")
            return None
        return self.checked(label, node, node.value, rule)

    def checked(self, label: str, node: Node, value: Any, rule: Rule) -> Any:
        """A value as the rule wants it; None, and a problem at the node that it comes from, where it is wrong."""
        try:
            value = rule.check.validate_python(value)
        except ValidationError as error:
            words = rule.sentence or phrase(error, example=rule.example)
            if value is not None:
                self.add(node, f"{label}: {shown(value)} {words}")
            elif rule.choices:
                self.unknown(label, node, value, rule.choices)
            else:
                self.add(node, f"{label}: has no value; it {words}")
            return None
        if rule.choices and value not in rule.choices:
            self.unknown(label, node, value, rule.choices)
            return None
        return value

    def unknown(self, label: str, node: Node, name: Any, choices: Iterable[str], others: Iterable[str] = ()) -> None:
        """Refuses a name that is none of the choices; `others` are told as well, but are no names."""
        names = list(choices)
        hint = self.hint(str(name), names) if name is not None else ""
        what = "has no value" if name is None else f"{shown(name)} is unknown"
        self.add(node, f"{label}: {what}; choose from {', '.join([*names, *others])}{hint}")

    def hint(self, word: str, choices: Iterable[str]) -> str:
        """`; did you mean width?`, or nothing."""
        return did_you_mean(word, choices) if len(self.told) < MAX_HINTS else ""


def walk(node: Node) -> Iterator[Node]:
    """A node with its key and all that it contains."""
    yield node
    if node.key:
        yield node.key
    inside = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    for inner in inside:
        yield from walk(inner)


def phrase(error: ValidationError, example: Any) -> str:
    """Pydantic's error as a rule and a remedy."""
    first = error.errors()[0]
    words = PHRASES.get(first["type"], first["msg"][:1].lower() + first["msg"][1:])
    return words.format(example=example, **first.get("ctx", {}))


def shown(value: Any) -> str:
    """A value as a message shows it: short, and text in quotes.

    >>> [shown(value) for value in ("adm", None, True, 0.1, [1, 2])]
    ["'adm'", 'nothing', 'true', '0.1', 'a list']
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return short(repr(value))


def big(count: int) -> str:
    """A count with separators, or as a power of ten where it is out of hand.

    >>> big(12000), big(10**30)
    ('12,000', 'about 10^30')
    """
    return f"{count:,}" if count < 10**12 else f"about 10^{round(math.log10(count))}"
