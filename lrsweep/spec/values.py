"""From the nodes of a sweep file to axes: one value, a list, a grid, an optimizer with its settings, a dataset."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from lrsweep.datasets import DATASETS
from lrsweep.spec.grid_reader import GridReader, is_whole
from lrsweep.spec.grids import Axis
from lrsweep.spec.keys import (
    AXES,
    DATA_FORMS,
    DATA_RULES,
    FIELDS,
    NAMES,
    NUMERIC,
    REGISTRIES,
    RULES,
    Rule,
    default_settings,
    settings_rules,
)
from lrsweep.spec.problems import Problems, shown
from lrsweep.vocabulary import Choice, Source
from lrsweep.yaml_reader import Node

Keys = dict[str, Node]

WRONG = Axis.of(None)
"""Stands for one value that was refused, so that the counts of what surrounds it still fit."""


class Values:
    """Makes axes of nodes. `named` collects the settings that the file gives to optimizers and schedules."""

    def __init__(self, problems: Problems, folder: Path) -> None:
        self.problems, self.folder = problems, folder
        self.named: dict[str, None] = {}
        self.made: dict[tuple[str, int], Axis] = {}

    def axis(self, key: str, node: Node) -> Axis:
        """A key's values. Blocks share the file's nodes, so each is read once."""
        place = (key, id(node))
        if place not in self.made:
            self.made[place] = self.seeds(node) if key == "seeds" else self.read(key, node)
        return self.made[place]

    def read(self, key: str, node: Node) -> Axis:
        """The values of a key other than `seeds`."""
        if key in REGISTRIES:
            return self.several(key, node, lambda item: self.choice(key, item))
        if key == "dataset":
            return self.several(key, node, self.source)
        if key in AXES:
            return self.several(key, node, lambda item: self.one(key, item), RULES[key] if key in NUMERIC else None)
        return self.one(key, node)

    def pattern(self, key: str, node: Node) -> Axis:
        """The values that an entry of `exclude` gives a key; a choice has only the settings that it names."""
        if key in REGISTRIES:
            return self.several(key, node, lambda item: self.choice(key, item, partial=True))
        return self.seed_list([node]) if key == "seeds" and not isinstance(node.value, list) else self.axis(key, node)

    def several(self, label: str, node: Node, element: Callable[[Node], Axis], numbers: Rule | None = None) -> Axis:
        """One value, a list, or, where `numbers` is their rule, a grid."""
        if isinstance(node.value, dict) and numbers:
            return GridReader(self.problems, label, numbers).axis(node)
        if not isinstance(node.value, list):
            return element(node)
        if not node.value:
            self.problems.add(node, f"{label}: the list is empty; give at least one value")
        return Axis.chained([self.item(label, item, element, numbers) for item in node.value])

    def item(self, label: str, node: Node, element: Callable[[Node], Axis], numbers: Rule | None) -> Axis:
        """One entry of a list."""
        if isinstance(node.value, list):
            self.problems.add(node, f"{label}: a list inside a list is not a value; write its values in the outer one")
            return WRONG
        if isinstance(node.value, dict) and numbers:
            self.problems.add(
                node, f"{label}: a grid cannot stand inside a list; write it alone, without [ ], or write its values"
            )
            return WRONG
        return element(node)

    def one(self, key: str, node: Node) -> Axis:
        """The single value of a key."""
        value = self.problems.valid(key, node, RULES[key])
        if value is not None and key in NAMES and value not in NAMES[key]:
            if key == "objective" and str(value).startswith("test_"):
                instead = str(value).replace("test_", "val_", 1)
                self.problems.add(node, f"objective: {value} must not rank, test rows never do; write {instead}")
            else:
                self.problems.unknown(key, node, value, NAMES[key])
            return WRONG
        return Axis.of(value)

    def seeds(self, node: Node) -> Axis:
        """A count of seeds, or a list of them."""
        if isinstance(node.value, list) and node.value:
            return self.seed_list(node.value)
        count = node.value
        if not is_whole(count) or count < 1:
            said = "an empty list" if count == [] else shown(count)
            self.problems.add(node, f"seeds: {said} must be a count from 1, or a list of seeds; write for example 3")
            return WRONG
        return Axis(count, lambda: list(range(count)))

    def seed_list(self, nodes: list[Node]) -> Axis:
        """The seeds named one by one."""
        return Axis.of(*(self.problems.valid("seeds", node, RULES["split_seed"]) for node in nodes))

    def choice(self, key: str, node: Node, partial: bool = False) -> Axis:
        """An optimizer or schedule: every combination of its settings; `partial`: of those that are given."""
        given: Keys = dict(node.value) if isinstance(node.value, dict) else {}
        where = given.pop("name", node)
        name = where.value
        if isinstance(name, list | dict):
            example = f"{{name: {FIELDS[key].default}}}"
            self.problems.add(where, f"{key}: {shown(name)} is no name; write for example  {example}")
            return WRONG
        if not isinstance(name, str) or name not in REGISTRIES[key]:
            self.problems.unknown(key, where, name, REGISTRIES[key])
            return WRONG
        rules = settings_rules(key, name)
        self.check_settings(key, name, given, rules)
        axes = {}
        for setting, rule in rules.items():
            if setting in given:
                axes[setting] = self.setting(f"{key}.{setting}", given[setting], rule, partial)
            elif not partial:
                axes[setting] = Axis.of(rule.default)
        return Axis.product(axes, lambda settings: Choice(name, tuple(settings.items())))

    def check_settings(self, key: str, name: str, given: Keys, rules: dict[str, Rule]) -> None:
        """Refuses settings that an optimizer or schedule does not have."""
        has = f"it has {', '.join(rules)}" if rules else "it has none"
        for setting, inner in given.items():
            if setting not in rules:
                message = f"{key}: {shown(setting)} is not a setting of {name}; {has}"
                self.problems.add(inner.key or inner, message + self.problems.hint(setting, rules))

    def setting(self, label: str, node: Node, rule: Rule, partial: bool) -> Axis:
        """The values of one setting."""
        if not partial:
            self.named[label] = None
        return self.several(label, node, lambda item: Axis.of(self.problems.valid(label, item, rule)), rule)

    def source(self, node: Node) -> Axis:
        """Where a dataset comes from."""
        forms = ["openml:NAME", "{file: PATH, target: COLUMN}", "{idx: FOLDER}"]
        if isinstance(node.value, str):
            if node.value in DATASETS or node.value.removeprefix("openml:") not in ("", node.value):
                return Axis.of(Source("name", node.value, label=node.value))
            self.problems.unknown("dataset", node, node.value, DATASETS, forms)
            return WRONG
        kind = next((kind for kind in DATA_FORMS if isinstance(node.value, dict) and kind in node.value), None)
        if kind is None:
            self.problems.add(node, f"dataset: {shown(node.value)} is no dataset; write a name, {', '.join(forms)}")
            return WRONG
        return self.located(kind, node.value)  # type: ignore[arg-type]

    def located(self, kind: str, given: Keys) -> Axis:
        """A dataset in a file or a folder of the user's own."""
        known = DATA_FORMS[kind].model_fields
        for key, inner in given.items():
            if key not in known:
                hint = self.problems.hint(key, known)
                message = f"dataset: {shown(key)} does not go with {kind}; keep {', '.join(known)}{hint}"
                self.problems.add(inner.key or inner, message)
        values = {
            key: self.problems.valid(f"dataset.{key}", given[key], DATA_RULES[key]) for key in known if key in given
        }
        label = values[kind] or ""
        if Path(label).suffix in (".csv", ".parquet") and "target" not in given:
            self.problems.add(given[kind], f"dataset: {shown(label)} needs a target; write {{file: …, target: COLUMN}}")
        location = str((self.folder / label).absolute())  # not resolved, which asks the disk and fails on odd names
        target, task = values.get("target") or "", values.get("task") or ""
        told = ":".join(filter(None, (label, target, task)))  # two targets of one file are two datasets
        return Axis.of(Source("idx" if kind == "idx" else "file", location, target, task, told))


@functools.cache
def default(key: str) -> Axis:
    """What a key holds when the file does not name it."""
    value = FIELDS[key].default
    if key == "seeds":
        return Axis(value, lambda: list(range(value)))
    if key in REGISTRIES:
        return Axis.of(Choice(value, tuple(default_settings(key, value).items())))
    return Axis.of(value)
