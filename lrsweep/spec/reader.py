"""Reads a sweep file into a Spec, and tells everything that is wrong with it at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lrsweep.spec.grids import Axis
from lrsweep.spec.keys import AXES, EXAMPLES, LATER, RULES, RUN_KEYS, SWEEP_KEYS, SYNONYMS, owner
from lrsweep.spec.model import Block, Groups, Pattern, Spec, grouped, touched_by
from lrsweep.spec.problems import Problems, big, shown
from lrsweep.spec.values import Keys, Values
from lrsweep.vocabulary import SpecError, UsageError
from lrsweep.yaml_reader import MAX_BYTES, Node, read

PER_EPOCH = ("val_loss", "val_accuracy", "val_r2")
"""Objectives that every epoch has, so that the best epoch is known."""

MOST_RUNS = 1_000_000
"""Whatever --max-runs says: a list of more runs does not fit the memory."""

MOST_LEFT_OUT = 10
"""Combinations for each run that `exclude` may leave; beyond it, it takes seconds to go through them."""

MOST_COMPARISONS = 200_000
"""Of values by `exclude`; about 0.2 s."""


def load_spec(path: Path, overrides: Sequence[str] = (), max_runs: int = 10_000) -> Spec:
    """The sweep file with its overrides, each `KEY=VALUE`.

    Raises SpecError with every mistake in it, and UsageError where there is no such file.
    """
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        remedy = f"name a sweep file, or write one: lrsweep init {path.name}"
        raise UsageError(f"{path}: {error.strerror}; {remedy}") from error
    return Reader(path, source, overrides, min(max_runs, MOST_RUNS)).spec()


@dataclass(frozen=True)
class Draft:
    """A block whose axes are counted but not made; `where` is its node, `nodes` the values that the file gives."""

    where: Node
    nodes: Keys
    axes: dict[str, Axis]
    zips: list[list[str]]
    excludes: list[tuple[Node, dict[str, Axis]]]

    def groups(self) -> Groups:
        """The axes, zipped ones together."""
        return grouped(self.axes, self.zips)

    def count(self) -> int:
        """How many combinations there are, `exclude` apart."""
        return math.prod(self.axes[group[0]].count for group in self.groups())

    def comparisons(self) -> int:
        """How many values `exclude` has to compare."""
        touched = touched_by(self.groups(), [entry for _, entry in self.excludes])
        patterns = sum(axis.count for _, entry in self.excludes for axis in entry.values())
        return patterns * math.prod(self.axes[group[0]].count for group in touched)

    def block(self) -> Block:
        """The block with its values made."""
        axes = {key: axis.make() for key, axis in self.axes.items()}
        patterns = [
            {key: [Pattern(value) for value in axis.make()] for key, axis in entry.items()}
            for _, entry in self.excludes
        ]
        return Block(axes, self.zips, patterns)


class Reader:
    """One sweep file on its way to a Spec."""

    def __init__(self, path: Path, source: bytes, overrides: Sequence[str], max_runs: int) -> None:
        self.path, self.source, self.overrides, self.max_runs = path, source, tuple(overrides), max_runs
        self.text, self.root, found = read(source, str(path))
        self.problems = Problems(self.root, found)
        self.values = Values(self.problems, path.parent)
        self.keys: Keys = dict(self.root.value)  # type: ignore[arg-type]
        for override in overrides:
            self.override(override)

    def override(self, override: str) -> None:
        """Puts a `KEY=VALUE` in the place of the file's key; `a,b` stands for `[a, b]`."""
        key, equals, value = (part.strip() for part in override.partition("="))
        if not equals or not key.isidentifier():
            raise UsageError(
                f"-o {override!r} is not KEY=VALUE with a key of the sweep file; write for example  -o width=64,256"
            )
        listed = key in (*AXES, "seeds") and "," in value and value[0] not in "[{'\""
        origin, text = f"-o {key}", f"{key}: [{value}]" if listed else f"{key}: {value}"
        try:
            _, root, found = read(text, origin)
        except SpecError as error:
            root, found = dataclasses.replace(self.root, value={}), error.problems
        self.problems.include(dataclasses.replace(problem, origin=origin, text=text) for problem in found)
        self.problems.place(root, origin, text)
        self.keys |= root.value  # type: ignore[arg-type]

    def spec(self) -> Spec:
        """All that the file says; SpecError with all that is wrong with it."""
        self.check_keys(self.keys, (*RUN_KEYS, *SWEEP_KEYS), "a key of a sweep file")
        about = {key: self.single(key, self.keys) for key in ("name", "description", "objective", "select")}
        if self.keys.get("name", self.root).value is None or "name" not in self.keys:
            about["name"] = self.default_name()
        self.check_objective(about["objective"], about["select"])
        drafts = [self.draft(where, keys) for where, keys in self.entries()]
        self.check_counts(drafts)
        blocks = [] if self.problems.told else [draft.block() for draft in drafts]
        self.check_excludes(drafts, blocks)
        if self.problems.told:
            raise SpecError(str(self.path), self.text, list(self.problems.told.values()))
        named = tuple(self.values.named)
        return Spec(self.path, self.source, self.overrides, **about, blocks=tuple(blocks), named=named)

    # --- Keys

    def check_keys(self, keys: Keys, known: Sequence[str], what: str) -> None:
        """Refuses keys that do not exist, or not yet."""
        for name, node in keys.items():
            if name in LATER:
                self.problems.add(node.key or node, f"{name!r} is not available in this version yet; remove it")
            elif name not in known:
                self.problems.add(node.key or node, f"{shown(name)} is not {what}{self.key_remedy(name, known)}")

    def key_remedy(self, name: str, known: Sequence[str]) -> str:
        """What was probably meant by a key that does not exist."""
        key = owner(name)
        if SYNONYMS.get(name.lower()) in known:
            return f"; did you mean {SYNONYMS[name.lower()]}?"
        if key in known:
            return f"; it is a setting, write  {key}: {{name: …, {name}: …}}"
        return self.problems.hint(name, known) or "; remove it, or see lrsweep schema"

    def single(self, key: str, keys: Keys) -> Any:
        """The value of a key that takes one value, or its default."""
        axis = self.values.axis(key, keys[key]) if key in keys else self.values.default(key)
        return axis.make()[0]

    def default_name(self) -> str:
        """The name that the file's own gives."""
        name = self.path.stem.lower()
        try:
            RULES["name"].check.validate_python(name)
        except ValidationError:
            message = f"the file's name {shown(self.path.stem)} cannot name a results folder; add a key  name: my-sweep"
            self.problems.add(self.root, message)
        return name

    def check_objective(self, objective: str | None, select: str | None) -> None:
        """The best epoch is known for what is recorded at every epoch."""
        if select == "best" and objective not in (None, *PER_EPOCH):
            message = f"objective: {objective} is not recorded at every epoch, which select: best needs"
            self.problems.add(self.keys["objective"], f"{message}; choose from {', '.join(PER_EPOCH)}")

    # --- Blocks

    def entries(self) -> list[tuple[Node, Keys]]:
        """The place and the keys of each block; of a file without blocks, its own."""
        found: list[tuple[Node, Keys]] = []
        for entry in self.items("blocks", self.keys):
            if isinstance(entry.value, dict):
                self.check_keys(entry.value, (*RUN_KEYS, "zip", "exclude"), "a key of a block")
                found.append((entry, self.keys | entry.value))
            else:
                message = (
                    f"blocks: {shown(entry.value)} is no block; write for example  - {{width: 64, optimizer: sgd}}"
                )
                self.problems.add(entry, message)
        return found or [(self.root, self.keys)]

    def items(self, key: str, keys: Keys) -> list[Node]:
        """The entries of a key that holds a list."""
        node = keys.get(key)
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self.problems.add(node, f"{key}: {shown(node.value)} must be a list; write [ … ]")
        return []

    def draft(self, where: Node, keys: Keys) -> Draft:
        """The axes of a block, not yet made."""
        nodes = {key: keys[key] for key in RUN_KEYS if key in keys}
        axes = {}
        for key in RUN_KEYS:
            if key in EXAMPLES and key not in nodes:
                self.problems.add(where, f"{key} is missing; add for example  {key}: {EXAMPLES[key]}")
                axes[key] = Axis.of()
            else:
                axes[key] = self.values.axis(key, nodes[key]) if key in nodes else self.values.default(key)
        self.check_parts(where, keys)
        return Draft(where, nodes, axes, self.zips(keys, axes), self.excludes(keys))

    def check_parts(self, where: Node, keys: Keys) -> None:
        """Validation and test leave rows to train on."""
        parts = {key: self.single(key, keys) or 0.0 for key in ("validation", "test")}
        if sum(parts.values()) >= 1:
            said = " and ".join(f"{key} {value:g}" for key, value in parts.items())
            node = keys.get("validation", keys.get("test", where))
            self.problems.add(node, f"{said} leave no rows to train on, their sum must be below 1; lower one")

    def zips(self, keys: Keys, axes: dict[str, Axis]) -> list[list[str]]:
        """The groups of keys that advance together, each of one length."""
        groups: list[list[str]] = []
        zipped: set[str] = set()
        for entry in self.items("zip", keys):
            nodes = entry.value if isinstance(entry.value, list) else []
            if len(nodes) < 2:
                message = (
                    f"zip: {shown(entry.value)} must be a list of two keys or more; write  zip: [[width, batch_size]]"
                )
                self.problems.add(entry, message)
                continue
            group: dict[str, int] = {}
            for node in nodes:
                key = str(node.value)
                if self.can_zip(node, axes, zipped):
                    group[key] = axes[key].count
                    zipped.add(key)
            if len(set(group.values())) > 1 and 0 not in group.values():
                said = ", ".join(f"{key} has {big(count)}" for key, count in group.items())
                self.problems.add(entry, f"zip: {said} values; give its keys lists of the same length")
            elif group:
                groups.append(list(group))
        return groups

    def can_zip(self, node: Node, axes: dict[str, Axis], zipped: set[str]) -> bool:
        """Whether a node of `zip` names an axis that is not zipped yet."""
        key = str(node.value)
        if key in zipped:
            self.problems.add(node, f"zip: {shown(node.value)} is zipped already; name it once")
        elif key not in (*AXES, "seeds"):
            remedy = self.key_remedy(key, AXES)
            self.problems.add(node, f"zip: {shown(node.value)} is not an axis{remedy}")
        return key not in zipped and key in axes

    def excludes(self, keys: Keys) -> list[tuple[Node, dict[str, Axis]]]:
        """The combinations to leave out, each with its node: the values of its keys."""
        found = []
        for entry in self.items("exclude", keys):
            if isinstance(entry.value, dict) and entry.value:
                self.check_keys(entry.value, RUN_KEYS, "a key that runs differ by")
                known = {key: inner for key, inner in entry.value.items() if key in RUN_KEYS}
                found.append((entry, {key: self.values.pattern(key, inner) for key, inner in known.items()}))
            else:
                message = (
                    f"exclude: {shown(entry.value)} names no runs; write for example  - {{optimizer: sgd, width: 256}}"
                )
                self.problems.add(entry, message)
        return found

    # --- Counts

    def check_counts(self, drafts: list[Draft]) -> None:
        """Refuses what is too much to make."""
        total = sum(draft.count() for draft in drafts)
        left_out = any(draft.excludes for draft in drafts)
        if total > self.max_runs * (MOST_LEFT_OUT if left_out else 1):
            self.too_many(drafts, total, " before exclude" if left_out else "")
        elif sum(draft.comparisons() for draft in drafts) > MOST_COMPARISONS:
            node = next(draft for draft in drafts if draft.excludes).excludes[0][0]
            message = f"exclude compares more than {MOST_COMPARISONS:,} values; give it fewer entries, or use blocks"
            self.problems.add(node, message)

    def too_many(self, drafts: list[Draft], total: int, when: str) -> None:
        """Refuses a number of runs, and tells where they come from."""
        draft = max(drafts, key=lambda draft: draft.count())
        counts = {group: draft.axes[group[0]].count for group in draft.groups()}
        said = " × ".join(f"{'+'.join(group)} {big(count)}" for group, count in counts.items() if count > 1)
        longest = max(counts, key=lambda group: counts[group])
        block = f"{len(drafts):,} blocks, the largest " if len(drafts) > 1 else ""
        message = f"{big(total)} runs{when} ({block}{said}) are more than --max-runs {self.max_runs:,} allows"
        node = draft.nodes.get(longest[0], draft.where)
        self.problems.add(node, f"{message}; shorten {'+'.join(longest)}, or raise --max-runs")

    def check_excludes(self, drafts: list[Draft], blocks: list[Block]) -> None:
        """An entry of `exclude` that meets no run is a mistake, and so are too many or no runs left."""
        if not any(block.excludes for block in blocks):
            return
        total, used = 0, set[int]()
        for draft, block in zip(drafts, blocks, strict=True):
            count, hits = block.count()
            total += count
            used.update(id(draft.excludes[i][0]) for i in hits)
        for node in {id(node): node for draft in drafts for node, _ in draft.excludes}.values():
            if id(node) not in used:
                self.problems.add(
                    node, "exclude: no run has these values; name values of the axes, or remove the entry"
                )
        if total > self.max_runs:
            self.too_many(drafts, total, " after exclude")
        elif not total:
            node = next(draft for draft in drafts if draft.excludes).excludes[0][0]
            self.problems.add(node, "exclude leaves no run; remove one of its entries")
