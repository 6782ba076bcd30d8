"""From the node of `expect` to what a sweep is expected to come to, by name and in the file's order."""

from __future__ import annotations

from typing import Any

from lrsweep.analysis.expectations import Expected, compared
from lrsweep.spec.keys import EXPECT_RULES, RULES, Rule
from lrsweep.spec.problems import Problems, shown
from lrsweep.yaml_reader import MAX_DIGITS, Node

PAIR = "best_rate"
"""What may also be an interval."""


def expectations(problems: Problems, node: Node) -> dict[str, Expected]:
    """What the file expects; nothing where it says none, or what is wrong."""
    if node.value in (None, "none"):
        return {}
    if not isinstance(node.value, dict):
        problems.add(node, f"expect: {shown(node.value)} {RULES['expect'].sentence}")
        return {}
    if not node.value:
        example = "{best_val_accuracy: '>= 0.95'}"
        problems.add(node, f"expect: the mapping is empty; write for example {example}, or none")
    found = {}
    for name, inner in node.value.items():
        if name in EXPECT_RULES:
            found[name] = expectation(problems, name, inner)
        else:
            problems.unknown("expect", inner.key or inner, name, EXPECT_RULES)
    return found


def expectation(problems: Problems, name: str, node: Node) -> Any:
    """One of them: true or false, an interval as a list, or a comparison as text; None where it is wrong."""
    label, rule = f"expect.{name}", EXPECT_RULES[name]
    if isinstance(rule.example, bool):
        return problems.valid(label, node, rule)
    if name == PAIR and isinstance(node.value, list):
        return interval(problems, label, node, rule)
    text_of = node.value if isinstance(node.value, str) and len(node.value) <= MAX_DIGITS else ""
    comparison = compared(text_of)
    if comparison is None:
        other = " or two rates" if name == PAIR else ""
        example = rule.example if name == PAIR else f"'{rule.example}'"
        message = f"must be a comparison with a finite number{other}; write for example {example}"
        problems.add(node, f"{label}: {shown(node.value)} {message}")
        return None
    sign, text, bound = comparison
    number = int(text) if text.lstrip("+-").isdigit() else bound
    return None if problems.checked(label, node, number, rule) is None else f"{sign} {text}"


def interval(problems: Problems, label: str, node: Node, rule: Rule) -> list[float] | None:
    """The two ends of an interval, both in."""
    nodes = node.value if isinstance(node.value, list) else []
    if len(nodes) != 2:
        problems.add(node, f"{label}: an interval has two ends; write for example {rule.example}")
        return None
    low, high = (problems.valid(label, end, rule) for end in nodes)
    if low is None or high is None:
        return None
    if low > high:
        problems.add(node, f"{label}: an interval goes from low to high, not from {low:g} to {high:g}; swap its ends")
    return [low, high]
