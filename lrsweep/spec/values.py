"""From the nodes of a sweep file to axes: one value, a list, a grid, an optimizer with its settings, a dataset."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lrsweep.datasets import DATASETS
from lrsweep.spec.expected import expectations
from lrsweep.spec.forms import GROWTH_RATES
from lrsweep.spec.grid_reader import GridReader, is_whole
from lrsweep.spec.grids import Axis
from lrsweep.spec.keys import (
    AXES,
    DATA_FORMS,
    DECAY_RULES,
    FIELDS,
    GROUP_RULES,
    GROWTH_RULES,
    MOST_NOISE,
    NOISE_RULE,
    NOISY,
    NUMERIC,
    OBJECTIVES,
    REGISTRIES,
    RULES,
    SCALE_RULES,
    Rule,
    settings_rules,
)
from lrsweep.spec.problems import Problems, big, shown
from lrsweep.spec.search import SEARCH
from lrsweep.vocabulary import Choice, Growth, LayerRates, Source
from lrsweep.yaml_reader import Node, short

Keys = dict[str, Node]

DEFAULTS = {key: Node(field.default, 1, 1, 1) for key, field in FIELDS.items()}
"""What a key holds when the file does not name it, as if it did."""

WRONG = Axis.of(None)
"""Stands for one value that was refused, so that the counts of what surrounds it still fit."""


def with_name(key: str, given: Keys) -> str:
    """What a mapping that has no name is probably meant to be, as text: that of the first kind with its settings."""
    nested = next((name for name in given if name in REGISTRIES[key]), "")
    inner = given[nested].value if nested else given
    settings: Keys = inner if isinstance(inner, dict) else {}
    names = [nested] if nested else [str(FIELDS[key].default), *REGISTRIES[key]]
    fitting = [name for name in names if settings.keys() <= settings_rules(key, name).keys()]
    if not fitting:
        return f"{{name: {FIELDS[key].default}}}"
    texts = ["…" if isinstance(node.value, list | dict) else shown(node.value).strip("'") for node in settings.values()]
    words = zip(["name", *settings], [fitting[0], *texts], strict=True)
    return f"{{{', '.join(f'{word}: {text}' for word, text in words)}}}"


class Values:
    """Makes axes of nodes. `named` collects the settings that the file gives to optimizers and schedules."""

    def __init__(self, problems: Problems, folder: Path) -> None:
        self.problems, self.folder = problems, folder
        self.named: dict[str, None] = {}
        self.made: dict[tuple[str, int], Axis] = {}
        self.mappings: dict[str, Callable[[Node, bool], Axis]] = {
            "layer_rates": self.layer_rates,
            "growth": self.growth,
            **{key: functools.partial(self.choice, key) for key in REGISTRIES},
        }

    def axis(self, key: str, node: Node) -> Axis:
        """A key's values. Blocks share the file's nodes, so each is read once."""
        place = (key, id(node))
        if place not in self.made:
            self.made[place] = self.read(key, node)
        return self.made[place]

    def read(self, key: str, node: Node) -> Axis:
        """A key's values."""
        if key in self.mappings:
            return self.several(key, node, lambda item: self.mappings[key](item, False))
        if key in ("seeds", "noise"):
            return self.seeds(node) if key == "seeds" else self.noise(node)
        if key == "expect":
            return Axis.of(expectations(self.problems, node))
        if key in SEARCH:
            return Axis.of(SEARCH[key](self.problems, node))
        if key == "dataset":
            return self.several(key, node, self.source)
        if key in AXES:
            return self.several(key, node, lambda item: self.one(key, item), RULES[key] if key in NUMERIC else None)
        return self.one(key, node)

    def pattern(self, key: str, node: Node) -> Axis:
        """The values that an entry of `exclude` gives a key; a mapping has only the settings that it names."""
        if key in self.mappings:
            return self.several(key, node, lambda item: self.mappings[key](item, True))
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
        return self.objective(node) if key == "objective" else self.valid(key, node, RULES[key])

    def objective(self, node: Node) -> Axis:
        """The column that ranks; whether noise is measured for it, only the whole file shows."""
        name = node.value if isinstance(node.value, str) else ""
        if NOISY.fullmatch(name):
            return Axis.of(name)
        if name.startswith("test_"):
            instead = short(name.replace("test_", "val_", 1))
            self.problems.add(node, f"objective: {short(name)} must not rank, test rows never do; write {instead}")
            return WRONG
        if name and name not in OBJECTIVES:
            self.problems.unknown("objective", node, name, OBJECTIVES, ["noisy_accuracy@S", "noisy_r2@S"])
            return WRONG
        return self.valid("objective", node, RULES["objective"])

    def valid(self, label: str, node: Node, rule: Rule) -> Axis:
        """A single value that follows a rule."""
        return Axis.of(self.problems.valid(label, node, rule))

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

    def noise(self, node: Node) -> Axis:
        """The deviations of noise, all of them together one value."""
        if node.value in (None, "none"):
            return Axis.of(())
        axis = self.several("noise", node, lambda item: self.valid("noise", item, NOISE_RULE), NOISE_RULE)
        if axis.count > MOST_NOISE:
            message = f"noise: {big(axis.count)} deviations are more than {MOST_NOISE}, and each is a column"
            self.problems.add(node, f"{message}; give it fewer")
            return WRONG
        values = axis.make()
        columns = [value if value is None else f"{value:g}" for value in values]
        places = node.value if isinstance(node.value, list) else [node] * len(values)
        for i, (place, column) in enumerate(zip(places, columns, strict=True)):
            if column and column in columns[:i]:
                self.problems.add(place, f"noise: {column} is there twice; keep one")
        return Axis.of(tuple(values))

    # --- Mappings: `partial` are those of `exclude`, which have only the settings that are given

    def choice(self, key: str, node: Node, partial: bool) -> Axis:
        """An optimizer or schedule: every combination of its settings."""
        given: Keys = dict(node.value) if isinstance(node.value, dict) else {}
        if isinstance(node.value, dict) and "name" not in given:
            self.problems.add(node, f"{key}: name is missing; write for example {with_name(key, given)}")
            return WRONG
        where = given.pop("name", node)
        name = where.value
        if isinstance(name, list | dict):
            example = f"{{name: {FIELDS[key].default}}}"
            self.problems.add(where, f"{key}: {shown(name)} is no name; write for example {example}")
            return WRONG
        if not isinstance(name, str) or name not in REGISTRIES[key]:
            self.problems.unknown(key, where, name, REGISTRIES[key])
            return WRONG
        rules = settings_rules(key, name)
        self.check_settings(key, name, given, rules)
        if not partial:
            self.named |= {f"{key}.{setting}": None for setting in rules if setting in given}
        axes = self.settings(key, given, rules, partial)
        return Axis.product(axes, lambda settings: Choice(name, tuple(settings.items())))

    def layer_rates(self, node: Node, partial: bool) -> Axis:
        """Multipliers of the rate by layer: every combination of them."""
        given: Keys = node.value if isinstance(node.value, dict) else {}
        if not given:
            if node.value == {}:
                self.problems.add(node, "layer_rates: the mapping is empty; write for example {decay: 0.5}, or 1")
            elif node.value != 1 or node.value is True:
                self.problems.add(node, f"layer_rates: {shown(node.value)} {RULES['layer_rates'].sentence}")
            return Axis.of(LayerRates())
        self.check_settings("layer_rates", "layer_rates", given, {**GROUP_RULES, **DECAY_RULES})
        if "decay" not in given:
            axes = self.settings("layer_rates", given, GROUP_RULES, partial)
            return Axis.product(axes, lambda rates: {**rates, "decay": 1.0} if partial else LayerRates(**rates))
        for setting in [setting for setting in given if setting in GROUP_RULES]:
            message = f"layer_rates: {shown(setting)} does not go with decay; keep decay, or {', '.join(GROUP_RULES)}"
            self.problems.add(given[setting].key or given[setting], message)
        axes = self.settings("layer_rates", given, DECAY_RULES, partial)
        return Axis.product(axes, lambda rates: LayerRates(**rates))

    def growth(self, node: Node, partial: bool) -> Axis:
        """When and how wide a network grows: every combination; or that it does not."""
        given: Keys = dict(node.value) if isinstance(node.value, dict) else {}
        if not given:
            if node.value == {}:
                example = "{to_width: 128}" if partial else "{at_epoch: 10, to_width: 128}"
                self.problems.add(node, f"growth: the mapping is empty; write for example {example}, or none")
            elif node.value not in (None, "none"):
                self.problems.add(node, f"growth: {shown(node.value)} {RULES['growth'].sentence}")
            return Axis.of(None)
        self.check_settings("growth", "growth", given, GROWTH_RULES)
        policy = given.pop("rate", None)
        rules = {setting: rule for setting, rule in GROWTH_RULES.items() if setting != "rate"}
        for setting in [setting for setting in rules if setting not in given and not partial]:
            message = f"growth: {setting} is missing; write for example {{at_epoch: 10, to_width: 128}}"
            self.problems.add(node, message)
        sizes = Axis.product(self.settings("growth", given, rules, partial), dict)
        policies = Axis.of({}) if policy is None else self.several("growth.rate", policy, self.growth_policy)

        def build(parts: dict[str, Any]) -> Any:
            fields = parts["size"] | parts["policy"]
            return fields if partial else Growth(**fields)

        return Axis.product({"size": sizes, "policy": policies}, build)

    def growth_policy(self, node: Node) -> Axis:
        """What becomes of the rate when a network grows, as fields of Growth."""
        if node.value == {}:
            self.problems.add(node, "growth.rate: the mapping is empty; write for example {scale: 0.5}")
            return Axis.of({})
        if isinstance(node.value, dict):
            self.check_settings("growth.rate", "growth.rate", node.value, SCALE_RULES)
            axes = self.settings("growth.rate", node.value, SCALE_RULES, partial=False)
            return Axis.product(axes, lambda settings: {"rate": "scale", **settings})
        if node.value not in GROWTH_RATES:
            self.problems.unknown("growth.rate", node, node.value, GROWTH_RATES, ["{scale: x}"])
        return Axis.of({"rate": node.value})

    def settings(self, label: str, given: Keys, rules: dict[str, Rule], partial: bool) -> dict[str, Axis]:
        """An axis for each setting, of those that are not given its default."""
        axes = {}
        for setting, rule in rules.items():
            if setting in given:
                axes[setting] = self.setting(f"{label}.{setting}", given[setting], rule)
            elif not partial:
                axes[setting] = Axis.of(rule.default)
        return axes

    def setting(self, label: str, node: Node, rule: Rule) -> Axis:
        """The values of one setting."""
        return self.several(label, node, lambda item: self.valid(label, item, rule), None if rule.choices else rule)

    def check_settings(self, label: str, name: str, given: Keys, rules: dict[str, Rule]) -> None:
        """Refuses settings that a mapping does not have."""
        has = f"it has {', '.join(rules)}" if rules else "it has none"
        for setting, inner in given.items():
            if setting not in rules:
                message = f"{label}: {shown(setting)} is not a setting of {name}; {has}"
                self.problems.add(inner.key or inner, message + self.problems.hint(setting, rules))

    # --- Datasets

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
        known = DATA_FORMS[kind]
        for key, inner in given.items():
            if key not in known:
                hint = self.problems.hint(key, known)
                message = f"dataset: {shown(key)} does not go with {kind}; keep {', '.join(known)}{hint}"
                self.problems.add(inner.key or inner, message)
        values = {
            key: self.problems.valid(f"dataset.{key}", given[key], rule) for key, rule in known.items() if key in given
        }
        label = values[kind] or ""
        if Path(label).suffix in (".csv", ".parquet") and "target" not in given:
            self.problems.add(given[kind], f"dataset: {shown(label)} needs a target; write {{file: …, target: COLUMN}}")
        location = str((self.folder / label).absolute())  # not resolved, which asks the disk and fails on odd names
        target, task = values.get("target") or "", values.get("task") or ""
        told = ":".join(filter(None, (label, target, task)))  # two targets of one file are two datasets
        return Axis.of(Source("idx" if kind == "idx" else "file", location, target, task, told))
