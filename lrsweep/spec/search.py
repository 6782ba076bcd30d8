"""From the nodes of `elimination`, `extend` and `refine` to the options that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lrsweep.analysis.additions import Extend, Refine
from lrsweep.analysis.elimination import Elimination, Halving, Screen
from lrsweep.spec.keys import EXTEND_RULES, HALVING_RULES, REFINE_RULES, RULES, SCREEN_RULES, STAGE_RULES, Rule
from lrsweep.spec.problems import Problems, shown
from lrsweep.yaml_reader import Node


def off(value: Any) -> bool:
    """Whether a value says that something is not wanted; 0, which is as false, does not say so."""
    return value is False or value == "none"


def elimination(problems: Problems, node: Node) -> Elimination:
    """How rates are dropped early: by a stage's name with its defaults, or by a mapping of stages."""
    stages: dict[str, Any] = {}
    if isinstance(node.value, dict):
        stages = {name: stage(problems, name, inner) for name, inner in named(problems, node).items()}
    elif isinstance(node.value, str) and node.value in STAGES:
        stages = {node.value: STAGES[node.value](problems, {})}
    elif isinstance(node.value, str) and not off(node.value):
        problems.unknown("elimination", node, node.value, STAGES, ["none"])
    elif node.value is not None and not off(node.value):
        problems.add(node, f"elimination: {shown(node.value)} {RULES['elimination'].sentence}")
    return Elimination(**stages)


def named(problems: Problems, node: Node) -> dict[str, Node]:
    """The stages that the mapping of `elimination` names; what else is in it is refused."""
    given: Mapping[str, Node] = node.value  # type: ignore[assignment]
    if not given:
        problems.add(node, "elimination: the mapping is empty; write for example {halving: {}}, or none")
    for name in [name for name in given if name not in STAGES]:
        where = given[name].key or given[name]
        of = next((stage for stage, rules in SETTINGS.items() if name in rules), None)
        if of:
            message = f"elimination: {name!r} is a setting of {of}, as in {{{of}: {{{name}: …}}}}; write it there"
            problems.add(where, message)
        else:
            problems.unknown("elimination", where, name, STAGES)
    return {name: inner for name, inner in given.items() if name in STAGES}


def stage(problems: Problems, name: str, node: Node) -> Screen | Halving | None:
    """A stage: with its defaults where its key says no more than that there is one."""
    if off(node.value):
        return None
    if node.value is None or node.value is True:
        return STAGES[name](problems, {})
    if isinstance(node.value, dict):
        return STAGES[name](problems, node.value)
    problems.add(node, f"elimination.{name}: {shown(node.value)} {STAGE_RULES[name].sentence}")
    return None


def screen(problems: Problems, given: Mapping[str, Node]) -> Screen:
    """The sample."""
    return Screen(**options(problems, "elimination.screen", given, SCREEN_RULES))


def halving(problems: Problems, given: Mapping[str, Node]) -> Halving:
    """The rungs; what `min` may be depends on what grows."""
    resource = given["resource"].value if "resource" in given else Halving.resource
    if isinstance(resource, str) and resource in HALVING_RULES:
        return Halving(**options(problems, "elimination.halving", given, HALVING_RULES[resource]))
    problems.unknown("elimination.halving.resource", given["resource"], resource, HALVING_RULES)
    others = {key: inner for key, inner in given.items() if key not in ("resource", "min")}
    return Halving(**options(problems, "elimination.halving", others, HALVING_RULES["epochs"]))


SETTINGS = {"halving": HALVING_RULES["epochs"], "screen": SCREEN_RULES}
STAGES: Mapping[str, Callable[[Problems, Mapping[str, Node]], Screen | Halving]] = {
    "screen": screen,
    "halving": halving,
}


def extend(problems: Problems, node: Node) -> Extend | None:
    """Whether rates are added beyond an edge, and how far."""
    if node.value is None or off(node.value):
        return None
    if node.value is True or node.value == "until_bracketed":
        return Extend()
    if not isinstance(node.value, dict):
        problems.add(node, f"extend: {shown(node.value)} {RULES['extend'].sentence}")
        return None
    found = options(problems, "extend", node.value, EXTEND_RULES)
    return Extend(**found) if found.pop("until_bracketed", True) else None


def refine(problems: Problems, node: Node) -> Refine | None:
    """Whether rates are added round the fitted one, and how many."""
    if node.value is None or off(node.value):
        return None
    if node.value is True:
        return Refine()
    if not isinstance(node.value, dict):
        problems.add(node, f"refine: {shown(node.value)} {RULES['refine'].sentence}")
        return None
    return Refine(**options(problems, "refine", node.value, REFINE_RULES))


def options(problems: Problems, label: str, given: Mapping[str, Node], rules: Mapping[str, Rule]) -> dict[str, Any]:
    """The options that a mapping names; None, and a problem, where one is wrong."""
    for key, inner in given.items():
        if key not in rules:
            problems.unknown(label, inner.key or inner, key, rules)
    return {key: problems.valid(f"{label}.{key}", given[key], rules[key]) for key in given if key in rules}


SEARCH: Mapping[str, Callable[[Problems, Node], Any]] = {"elimination": elimination, "extend": extend, "refine": refine}
"""What reads each of the three keys."""
