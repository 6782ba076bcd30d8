"""Reads a sweep file into a Spec, and tells everything that is wrong with it at once."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lrsweep.spec import grids
from lrsweep.spec.grids import Axis
from lrsweep.spec.keys import (
    AXES,
    DATASETS,
    FIELDS,
    GRID_FORMS,
    LATER,
    NAMES,
    NUMERIC,
    REGISTRIES,
    RUN_KEYS,
    SWEEP_KEYS,
    SYNONYMS,
    FileData,
    IdxData,
    adapter,
    is_whole,
    rule_of,
    settings_model,
)
from lrsweep.vocabulary import Choice, Problem, Source, SpecError, UsageError
from lrsweep.yaml_reader import MAX_BYTES, Node, read

Keys = dict[str, Node]

PHRASES = {
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be below {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be finite",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must start with a small letter or digit and go on with up to 63 of a-z 0-9 . _ -",
    "literal_error": "must be {expected}",
    "list_type": "must be a list",
}
"""Pydantic's kinds of error, in the words of a sweep file."""

EXAMPLES = {"dataset": "digits", "learning_rate": "{log: [1e-4, 1], per_decade: 3}"}
"""The keys that a file must have, with what to write."""


@dataclass(frozen=True)
class Pattern:
    """A value that `exclude` names; of an optimizer or schedule, only the settings that it gives need to match."""

    value: Any

    def matches(self, other: Any) -> bool:
        """Whether a run's value is the one meant."""
        if isinstance(self.value, Choice) and isinstance(other, Choice):
            return self.value.name == other.name and set(self.value.settings) <= set(other.settings)
        return bool(self.value == other)


@dataclass(frozen=True)
class Block:
    """One product of axes: values by key, the keys that advance together, the combinations left out."""

    axes: dict[str, list[Any]]
    zips: list[list[str]]
    excludes: list[dict[str, list[Pattern]]]

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Every combination of values that is not left out, the last axis fastest."""
        for values in combined(self.axes, self.zips):
            if not any(left_out(pattern, values) for pattern in self.excludes):
                yield values


@dataclass(frozen=True)
class Spec:
    """A sweep file that has been read and found right.

    `named` holds the settings of optimizers and schedules that the file names, as in `optimizer.momentum`.
    """

    path: Path
    source: bytes
    overrides: tuple[str, ...]
    name: str
    description: str
    objective: str
    select: str
    blocks: tuple[Block, ...]
    named: tuple[str, ...]


def load_spec(path: Path, overrides: Sequence[str] = (), max_runs: int = 10_000) -> Spec:
    """The sweep file with its overrides, each `KEY=VALUE`.

    Raises SpecError with every mistake in it, and UsageError where there is no such file.
    """
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a sweep file, or write one: lrsweep init {path.name}") from error
    return Reader(path, source, overrides, max_runs).spec()


def combined(axes: dict[str, list[Any]], zips: list[list[str]]) -> Iterator[dict[str, Any]]:
    """The product of the axes, with zipped ones advancing together in the place of the first of them."""
    group_of = {key: group for group in zips for key in group}
    groups = list(dict.fromkeys(tuple(group_of.get(key, [key])) for key in axes))
    choices = [list(zip(*(axes[key] for key in group), strict=True)) for group in groups]
    for combination in product(*choices):
        values = {key: value for group, part in zip(groups, combination, strict=True) for key, value in zip(group, part, strict=True)}
        yield {key: values[key] for key in axes}


def left_out(pattern: dict[str, list[Pattern]], values: dict[str, Any]) -> bool:
    """Whether an entry of `exclude` meets a combination."""
    return all(any(one.matches(values[key]) for one in allowed) for key, allowed in pattern.items())


def suggestion(word: str, choices: Iterable[str]) -> str:
    """`; did you mean width?`, or nothing.

    >>> suggestion("widht", ["width", "depth"])
    '; did you mean width?'
    """
    close = difflib.get_close_matches(word.lower()[:64], list(choices), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: Any) -> str:
    """A value as a message shows it: short, and text in quotes."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    text = repr(value) if isinstance(value, str) else {"None": "nothing"}.get(str(value), str(value).lower())
    return text if len(text) <= 40 else text[:39] + "…"


def big(count: int) -> str:
    """A count with separators, or as a power of ten where it is out of hand.

    >>> big(12000), big(10**30)
    ('12,000', 'about 10^30')
    """
    return f"{count:,}" if count < 10**12 else f"about 10^{round(math.log10(count))}"


@dataclass(frozen=True)
class Draft:
    """A block whose axes are counted but not made."""

    axes: dict[str, Axis]
    nodes: Keys
    zips: list[list[str]]
    excludes: list[tuple[Node, dict[str, Axis]]]

    def count(self) -> int:
        """How many combinations there are, `exclude` apart."""
        follow = {key for group in self.zips for key in group[1:]}
        return math.prod(axis.count for key, axis in self.axes.items() if key not in follow)

    def block(self) -> Block:
        """The block with its values made."""
        patterns = [
            {key: [Pattern(value) for value in axis.make()] for key, axis in entry.items()} for _, entry in self.excludes
        ]
        return Block({key: axis.make() for key, axis in self.axes.items()}, self.zips, patterns)


class Reader:
    """One sweep file on its way to a Spec, with the problems found so far."""

    def __init__(self, path: Path, source: bytes, overrides: Sequence[str], max_runs: int) -> None:
        self.path, self.data, self.overrides, self.max_runs = path, source, tuple(overrides), max_runs
        self.text, self.root, self.problems = read(source, str(path))
        self.keys: Keys = dict(self.root.value)  # type: ignore[arg-type]
        self.origins: dict[int, tuple[str, str]] = {}
        self.named: dict[str, None] = {}
        for override in overrides:
            self.override(override)

    def override(self, override: str) -> None:
        """Puts a `KEY=VALUE` in the place of the file's key; `a,b` stands for `[a, b]`."""
        key, equals, value = (part.strip() for part in override.partition("="))
        if not equals or not key.isidentifier():
            raise UsageError(f"-o {override!r} is not KEY=VALUE; write for example  -o width=64,256")
        listed = key in AXES and "," in value and value[0] not in "[{'\""
        origin, text = f"-o {key}", f"{key}: [{value}]" if listed else f"{key}: {value}"
        _, root, problems = read(text, origin)
        self.problems += [dataclasses.replace(problem, origin=origin, text=text) for problem in problems]
        entries: Keys = root.value  # type: ignore[assignment]
        self.keys |= entries
        for node in entries.values():
            for inner in walk(node):
                self.origins[id(inner)] = (origin, text)

    def problem(self, node: Node, message: str) -> None:
        """Notes what is wrong at a node."""
        origin, text = self.origins.get(id(node), ("", ""))
        self.problems.append(Problem(message, node.line, node.column, node.width, origin, text))

    def spec(self) -> Spec:
        """All that the file says; SpecError with all that is wrong with it."""
        self.check_keys(self.keys, (*RUN_KEYS, *SWEEP_KEYS), "a key of a sweep file")
        about = {key: self.single(key) for key in ("name", "description", "objective", "select")}
        about["name"] = about["name"] or self.default_name()
        self.check_objective(about["objective"], about["select"])
        entries = self.entries()
        drafts = [self.draft(self.keys | entry) for entry in entries or [{}]]
        self.check_count(drafts)
        blocks = [] if self.problems else [draft.block() for draft in drafts]
        self.check_excludes(drafts, blocks)
        if self.problems:
            raise SpecError(str(self.path), self.text, self.problems)
        return Spec(self.path, self.data, self.overrides, **about, blocks=tuple(blocks), named=tuple(self.named))

    def check_keys(self, keys: Keys, known: Sequence[str], what: str) -> None:
        """Refuses keys that do not exist, or not yet."""
        for name, node in keys.items():
            if name in known:
                continue
            if name in LATER:
                message = f"{name!r} is not available in this version of lrsweep; remove it"
            else:
                hint = f"; did you mean {SYNONYMS[name.lower()]}?" if name.lower() in SYNONYMS else suggestion(name, known)
                message = f"{name!r} is not {what}{hint or '; lrsweep schema lists them'}"
            self.problem(node.key or node, message)

    def default_name(self) -> str:
        """The name that the file's own gives."""
        name = self.path.stem.lower()
        try:
            adapter(FIELDS["name"]).validate_python(name)
        except ValidationError:
            self.problem(self.root, f"the file's name {name!r} cannot name a results folder; add a key  name: my-sweep")
        return name

    def check_objective(self, objective: str | None, select: str | None) -> None:
        """The best epoch is known for what is recorded at every epoch."""
        per_epoch = ("val_loss", "val_accuracy", "val_r2")
        if select == "best" and objective is not None and objective not in per_epoch:
            message = f"select: best needs an objective that every epoch has: {', '.join(per_epoch)}; not {objective}"
            self.problem(self.keys.get("objective", self.root), message)

    def entries(self) -> list[Keys]:
        """The keys of each block, checked."""
        node = self.keys.get("blocks")
        found: list[Keys] = []
        for entry in self.items(node, "blocks") if node else []:
            if isinstance(entry.value, dict):
                self.check_keys(entry.value, (*RUN_KEYS, "zip", "exclude"), "a key of a block")
                found.append(entry.value)
            else:
                self.problem(entry, "blocks: each block is a mapping; write for example  - {width: 64, optimizer: sgd}")
        return found

    def items(self, node: Node, key: str) -> list[Node]:
        """The entries of a key that holds a list."""
        if isinstance(node.value, list):
            return node.value
        self.problem(node, f"{key}: {shown(node.value)} is not a list; write [ … ]")
        return []

    def single(self, key: str, keys: Keys | None = None) -> Any:
        """The value of a key that takes one value, or its default."""
        node = (self.keys if keys is None else keys).get(key)
        if node is None:
            return FIELDS[key].default
        return next(iter(self.element(key, node).make()), None)

    def draft(self, keys: Keys) -> Draft:
        """The axes of a block, not yet made."""
        axes, nodes = {}, {}
        for key in RUN_KEYS:
            if key in keys:
                axes[key], nodes[key] = self.axis(key, keys[key]), keys[key]
            elif key in EXAMPLES:
                axes[key] = Axis.of()
                self.problem(self.root, f"{key} is missing; add for example  {key}: {EXAMPLES[key]}")
            else:
                axes[key] = self.default(key)
        self.check_parts(axes, keys)
        zips = self.zips(keys["zip"], axes) if "zip" in keys else []
        return Draft(axes, nodes, zips, self.excludes(keys["exclude"]) if "exclude" in keys else [])

    def default(self, key: str) -> Axis:
        """What a key holds when the file does not name it."""
        value = FIELDS[key].default
        if key == "seeds":
            return Axis(value, lambda: list(range(value)))
        return self.choice(key, value, None) if key in REGISTRIES else Axis.of(value)

    def check_parts(self, axes: dict[str, Axis], keys: Keys) -> None:
        """Validation and test leave rows to train on."""
        parts = {key: sum(axes[key].make()) for key in ("validation", "test")}
        if sum(parts.values()) >= 1:
            node = keys.get("validation", keys.get("test", self.root))
            said = " and ".join(f"{key} {value:g}" for key, value in parts.items())
            self.problem(node, f"{said} leave no rows to train on; their sum must be below 1")

    def axis(self, key: str, node: Node) -> Axis:
        """A run key's values."""
        if key == "seeds":
            return self.seeds(node)
        if key not in AXES:
            return self.element(key, node)
        grid_of = FIELDS[key] if key in NUMERIC else None
        return self.values(key, node, lambda item: self.element(key, item), grid_of)

    def values(self, label: str, node: Node, element: Callable[[Node], Axis], grid_of: FieldInfo | None) -> Axis:
        """One value, a list, or, where `grid_of` is a number's field, a grid."""
        if isinstance(node.value, list):
            if not node.value:
                self.problem(node, f"{label}: the list is empty; give at least one value")
            return Axis.chained([element(item) for item in node.value])
        if isinstance(node.value, dict) and grid_of:
            return self.grid(label, node, grid_of)
        return element(node)

    def grid(self, label: str, node: Node, field: FieldInfo) -> Axis:
        """A grid such as {log: [1e-4, 1], num: 5}."""
        given: Keys = node.value  # type: ignore[assignment]
        name = next((name for name, _ in GRID_FORMS if name in given), None)
        if name is None:
            names = ", ".join(name for name, _ in GRID_FORMS)
            self.problem(node, f"{label}: a grid has one of {names}; write for example  {{log: [1e-4, 1], num: 5}}")
            return Axis.of()
        counts = dict(GRID_FORMS)[name]
        for key, inner in given.items():
            if key != name and key not in counts:
                takes = f"it takes {' or '.join(counts)}" if counts else "it takes its two ends alone"
                self.problem(inner.key or inner, f"{label}: {key!r} does not go with a {name} grid; {takes}")
        ends = self.ends(label, name, given[name], field)
        if ends is None:
            return Axis.of()
        low, high = ends
        num = self.grid_count(label, name, node, low, high)
        whole = is_whole(field) or (field.annotation is not float and isinstance(low, int) and isinstance(high, int))
        return grids.grid(name, low, high, num, whole) if num else Axis.of()

    def ends(self, label: str, name: str, node: Node, field: FieldInfo) -> tuple[Any, Any] | None:
        """The two ends of a grid, each valid for its key, the lower one first."""
        pair = node.value if isinstance(node.value, list) else []
        if len(pair) != 2:
            self.problem(node, f"{label}: {name} needs its two ends; write for example  {name}: [0.001, 1]")
            return None
        values = [value for item in pair for value in self.valid(label, item, field)]
        if len(values) < 2:
            return None
        if not all(isinstance(value, int | float) for value in values) or not values[0] < values[1]:
            self.problem(node, f"{label}: a grid goes from a lower number to a higher one; write the lower one first")
            return None
        if name != "linear" and values[0] <= 0:
            self.problem(pair[0], f"{label}: a {name} grid starts above 0, not at {values[0]}; use linear, or a list")
            return None
        return values[0], values[1]

    def grid_count(self, label: str, name: str, node: Node, low: Any, high: Any) -> int:
        """How many values a grid has; 0 where that is a problem."""
        given: Keys = node.value  # type: ignore[assignment]
        counts = dict(GRID_FORMS)[name]
        if not counts:
            num = grids.doublings(low, high)
            if num is None:
                self.problem(given[name], f"{label}: {low} doubled does not arrive at {high}; end at {low} times a power of 2")
            return num or 0
        count = [key for key in counts if key in given]
        if len(count) != 1:
            self.problem(node, f"{label}: a {name} grid needs {' or '.join(counts)}; write for example  num: 5")
            return 0
        number, least = given[count[0]].value, 1 if count[0] == "per_decade" else 2
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            message = f"{label}: {count[0]} {shown(number)} must be a whole number from {least}"
            self.problem(given[count[0]], message)
            return 0
        return grids.per_decade(low, high, number) if count[0] == "per_decade" else number

    def seeds(self, node: Node) -> Axis:
        """A count of seeds, or a list of them."""
        rule = "must be a count from 1, or a list of whole numbers from 0"
        numbers = node.value if isinstance(node.value, list) else [node]
        for item in numbers:
            least = 0 if isinstance(node.value, list) else 1
            if not isinstance(item.value, int) or isinstance(item.value, bool) or item.value < least:
                self.problem(item, f"seeds: {shown(item.value)} {rule}")
                return Axis.of()
        if isinstance(node.value, list):
            if not numbers:
                self.problem(node, f"seeds: an empty list {rule}")
            return Axis.of(*(item.value for item in numbers))
        count = int(node.value)  # type: ignore[arg-type]
        return Axis(count, lambda: list(range(count)))

    def element(self, key: str, node: Node) -> Axis:
        """One entry of a key: one value, or, of an optimizer or schedule, one for each combination of its settings."""
        if key in REGISTRIES:
            return self.choice(key, node.value, node)
        if key == "dataset":
            return Axis.of(*self.source(node))
        values = self.valid(key, node, FIELDS[key])
        if key in NAMES and values and values[0] not in NAMES[key]:
            self.unknown(key, values[0], node, NAMES[key])
            return Axis.of()
        if key == "subset" and values == [1]:
            values = [1.0]  # one row trains nothing: 1 is meant as all
        return Axis.of(*(None if value == "none" and key == "clip_norm" else value for value in values))

    def valid(self, label: str, node: Node, field: FieldInfo) -> list[Any]:
        """The node's value in a list, or nothing and a problem."""
        try:
            return [adapter(field).validate_python(node.plain())]
        except ValidationError as error:
            first = error.errors()[0]
            phrase = PHRASES.get(first["type"], first["msg"][:1].lower() + first["msg"][1:])
            rule = rule_of(field) or phrase.format(**first.get("ctx", {}))
            if isinstance(node.value, list | dict) and first["type"] not in ("list_type",):
                rule += "; it takes one value" if isinstance(node.value, list) else ""
            self.problem(node, f"{label}: {shown(node.value)} {rule}")
            return []

    def unknown(self, label: str, name: Any, node: Node, choices: Iterable[str]) -> None:
        """A name that is none of the choices."""
        names = list(choices)
        hint = suggestion(str(name), names)
        self.problem(node, f"{label}: {shown(name)} is unknown; choose from {', '.join(names)}{hint}")

    def choice(self, key: str, value: Any, node: Node | None, complete: bool = True) -> Axis:
        """An optimizer or schedule: every combination of the settings given, with defaults for the others if `complete`."""
        given: Keys = dict(value) if isinstance(value, dict) else {}
        named = given.pop("name", None)
        name = named.value if named else value
        if not isinstance(name, str) or name not in REGISTRIES[key]:
            where = named or node
            assert where is not None  # noqa: S101  a default is never unknown
            if isinstance(name, dict):
                self.problem(where, f"{key}: a mapping needs a name; write for example  {{name: {next(iter(REGISTRIES[key]))}}}")
            else:
                self.unknown(key, name, where, REGISTRIES[key])
            return Axis.of()
        fields = settings_model(key, name).model_fields
        for setting, inner in given.items():
            if setting not in fields:
                has = f"it has {', '.join(fields)}" if fields else "it has none"
                message = f"{key}: {setting!r} is not a setting of {name}; {has}{suggestion(setting, fields)}"
                self.problem(inner.key or inner, message)
        axes = {}
        for setting, field in fields.items():
            if setting in given:
                self.named[f"{key}.{setting}"] = None
                axes[setting] = self.setting(f"{key}.{setting}", given[setting], field)
            elif complete:
                axes[setting] = Axis.of(field.default)
        return Axis.product(axes, lambda settings: Choice(name, tuple(settings.items())))

    def setting(self, label: str, node: Node, field: FieldInfo) -> Axis:
        """The values of one setting of an optimizer or schedule."""
        return self.values(label, node, lambda item: Axis.of(*self.valid(label, item, field)), field)

    def source(self, node: Node) -> list[Source]:
        """Where a dataset comes from."""
        if isinstance(node.value, str):
            if node.value in DATASETS or (node.value.startswith("openml:") and node.value != "openml:"):
                return [Source("name", node.value, label=node.value)]
            names = [*DATASETS, "openml:NAME", "{file: PATH, target: COLUMN}", "{idx: FOLDER}"]
            self.unknown("dataset", node.value, node, names)
            return []
        if not isinstance(node.value, dict) or not {"file", "idx"} & set(node.value):
            self.problem(node, "dataset: must be a name, {file: PATH, target: COLUMN} or {idx: FOLDER}")
            return []
        model = FileData if "file" in node.value else IdxData
        self.check_keys(node.value, tuple(model.model_fields), f"a key of a dataset with {next(iter(node.value))!r}")
        given = {}
        for key, field in model.model_fields.items():
            if key in node.value:
                given[key] = next(iter(self.valid(f"dataset.{key}", node.value[key], field)), "")
        label = given.get("file") or given.get("idx") or ""
        path = str((self.path.parent / label).resolve())
        kind = "file" if model is FileData else "idx"
        return [Source(kind, path, given.get("target", ""), given.get("task") or "", label)]  # type: ignore[arg-type]

    def zips(self, node: Node, axes: dict[str, Axis]) -> list[list[str]]:
        """The groups of keys that advance together, each of one length."""
        groups: list[list[str]] = []
        for entry in self.items(node, "zip"):
            keys = [item for item in entry.value if isinstance(item.value, str)] if isinstance(entry.value, list) else []
            if len(keys) < 2:
                self.problem(entry, "zip: each entry is a list of two keys or more; write  zip: [[width, batch_size]]")
                continue
            strange = [item for item in keys if item.value not in axes or item.value in sum(groups, [])]
            for item in strange:
                self.problem(item, f"zip: {item.value!r} is not an axis, or is zipped already; name keys that have lists")
            counts = {str(item.value): axes[str(item.value)].count for item in keys if item not in strange}
            if len(set(counts.values())) > 1 and 0 not in counts.values():
                said = ", ".join(f"{key} has {count}" for key, count in counts.items())
                self.problem(entry, f"zip: the lists must have the same number of values; {said}")
            groups.append(list(counts))
        return groups

    def excludes(self, node: Node) -> list[tuple[Node, dict[str, Axis]]]:
        """The combinations to leave out, each with its node: the values of its keys."""
        found = []
        for entry in self.items(node, "exclude"):
            if not isinstance(entry.value, dict) or not entry.value:
                self.problem(entry, "exclude: each entry is a mapping; write for example  - {optimizer: sgd, width: 256}")
                continue
            self.check_keys(entry.value, RUN_KEYS, "a key that runs differ by")
            known = {key: inner for key, inner in entry.value.items() if key in RUN_KEYS}
            found.append((entry, {key: self.pattern(key, inner) for key, inner in known.items()}))
        return found

    def pattern(self, key: str, node: Node) -> Axis:
        """The values that an entry of `exclude` gives a key."""
        if key in REGISTRIES:
            return self.values(key, node, lambda item: self.choice(key, item.value, item, complete=False), None)
        if key == "seeds":
            whole = Node([node], node.line, node.column, node.width) if not isinstance(node.value, list) else node
            return self.seeds(whole)
        return self.axis(key, node)

    def check_count(self, drafts: list[Draft]) -> None:
        """Refuses what is too much to make; `exclude` can only be counted after that."""
        total = sum(draft.count() for draft in drafts)
        limit = self.max_runs * (100 if any(draft.excludes for draft in drafts) else 1)
        if total > limit:
            draft = max(drafts, key=lambda draft: draft.count())
            lengths = {key: axis.count for key, axis in draft.axes.items() if axis.count > 1}
            longest = max(lengths, key=lambda key: lengths[key])
            product = " × ".join(f"{key} {big(count)}" for key, count in lengths.items())
            message = f"{big(total)} runs ({product}), more than --max-runs {self.max_runs:,}"
            self.problem(draft.nodes.get(longest, self.root), f"{message}; shorten an axis, or raise --max-runs")

    def check_excludes(self, drafts: list[Draft], blocks: list[Block]) -> None:
        """An entry of `exclude` that meets nothing is a mistake; what is left must not be too much."""
        for draft, block in zip(drafts, blocks, strict=False):
            for (node, _), pattern in zip(draft.excludes, block.excludes, strict=True):
                met = all(any(one.matches(v) for one in allowed for v in block.axes[key]) for key, allowed in pattern.items())
                if not met and len(blocks) == 1:
                    self.problem(node, "exclude: no run has these values; name values that are on the axes, or remove it")
        if any(draft.excludes for draft in drafts) and blocks:
            total = sum(1 for block in blocks for _ in block.combinations())
            if total > self.max_runs:
                message = f"{total:,} runs after exclude, more than --max-runs {self.max_runs:,}; shorten an axis, or raise it"
                self.problem(self.root, message)


def walk(node: Node) -> Iterator[Node]:
    """A node with its key and all that it contains."""
    yield node
    if node.key:
        yield node.key
    inside = node.value.values() if isinstance(node.value, dict) else node.value if isinstance(node.value, list) else ()
    for inner in inside:
        yield from walk(inner)
