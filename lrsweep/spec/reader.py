"""Reads a sweep file into a Spec, and tells everything that is wrong with it at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from lrsweep.spec.drafts import MOST_RUNS, Draft, Excludes, check_counts, check_excludes
from lrsweep.spec.grids import Axis
from lrsweep.spec.keys import (
    AXES,
    BLOCK_KEYS,
    EXAMPLES,
    FOR_ALL,
    LISTED,
    NOISY,
    REGISTRIES,
    RULES,
    RUN_KEYS,
    SEARCH_KEYS,
    SWEEP_KEYS,
    SYNONYMS,
    owner,
)
from lrsweep.spec.model import Spec
from lrsweep.spec.places import Places
from lrsweep.spec.problems import Problems, big, shown
from lrsweep.spec.values import DEFAULTS, Keys, Values
from lrsweep.vocabulary import MAX_RUNS, SpecError, UsageError, quoted
from lrsweep.yaml_reader import MAX_BYTES, Node, read, short

Result = TypeVar("Result")

PER_EPOCH = ("val_loss", "val_accuracy", "val_r2")
"""Objectives that every epoch has, so that the best epoch is known."""


def load_spec(path: Path, overrides: Sequence[str] = (), max_runs: int = MAX_RUNS) -> Spec:
    """The sweep file with its overrides, each `KEY=VALUE`.

    Raises SpecError with every mistake in it, and UsageError where there is no such file.
    """
    return Reader(path, source_of(path), overrides, min(max_runs, MOST_RUNS)).spec()


def source_of(path: Path) -> bytes:
    """The bytes of a sweep file, no more than it may have and one. Raises UsageError where there is no such file.

    It is asked for again while a sweep goes on, and nobody may ever write to a pipe: it has to be an ordinary file.
    """
    name = path.name if path.suffix in (".yaml", ".yml") else "sweep.yaml"
    remedy = f"name a sweep file, or write one: lrsweep init {quoted(name)}"
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is {'a folder' if path.is_dir() else 'no ordinary file'}; {remedy}")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no system has
        raise UsageError(f"{path}: {getattr(error, 'strerror', error)}; {remedy}") from error


def once(method: Callable[[Any, Node | None], Result]) -> Callable[[Any, Node | None], Result]:
    """Reads each node once: blocks share those of the file."""

    @functools.wraps(method)
    def remembering(self: Any, node: Node | None) -> Result:
        place = (method.__name__, id(node))
        if place not in self.seen:
            self.seen[place] = method(self, node)
        result: Result = self.seen[place]
        return result

    return remembering


class Reader:
    """One sweep file on its way to a Spec."""

    def __init__(self, path: Path, source: bytes, overrides: Sequence[str], max_runs: int) -> None:
        self.path, self.source, self.overrides, self.max_runs = path, source, tuple(overrides), max_runs
        self.text, self.root, found = read(source, str(path))
        self.problems = Problems(self.root, found)
        self.values = Values(self.problems, path.parent)
        self.seen: dict[tuple[str, int], Any] = {}
        self.keys: Keys = dict(self.root.value)  # type: ignore[arg-type]
        self.overridden: Keys = {}
        for override in overrides:
            self.override(override)

    def override(self, override: str) -> None:
        """Puts a `KEY=VALUE` in the place of the file's key; `a,b` stands for `[a, b]`."""
        key, equals, value = (part.strip() for part in override.partition("="))
        if not equals or not key.isidentifier():
            raise UsageError(
                f"-o {shown(override)} is not KEY=VALUE with a key of the sweep file; write for example -o width=64,256"
            )
        listed = key in LISTED and "," in value and value[0] not in "[{'\""
        origin, text = f"-o {short(key)}", f"{key}: [{value}]" if listed else f"{key}: {value}"
        try:
            _, root, found = read(text, origin)
        except SpecError as error:
            root, found = dataclasses.replace(self.root, value={}), error.problems
        self.problems.include(dataclasses.replace(problem, origin=origin, text=text) for problem in found)
        self.problems.place(root, origin, text)
        if len(root.value) > 1:  # type: ignore[arg-type]
            raise UsageError(f"-o {shown(override)} sets several keys; write one -o for each")
        self.overridden |= root.value  # type: ignore[arg-type]
        self.keys |= self.overridden

    def spec(self) -> Spec:
        """All that the file says; SpecError with all that is wrong with it."""
        self.check_keys(self.keys, (*RUN_KEYS, *SWEEP_KEYS), "a key of a sweep file")
        told = ("name", "description", "objective", "select", *SEARCH_KEYS, "expect")
        about = {key: self.single(key, self.keys) for key in told}
        if "name" not in self.keys or self.keys["name"].value is None:
            about["name"] = self.default_name()
        self.check_objective(about["objective"], about["select"])
        entries = self.entries()
        drafts = [self.draft(where, keys) for where, keys in entries]
        check_counts(self.problems, drafts, self.max_runs)
        blocks = [] if self.problems.told else [draft.block() for draft in drafts]
        check_excludes(self.problems, drafts, blocks, self.max_runs)
        if self.problems.told:
            raise SpecError(str(self.path), self.text, list(self.problems.told.values()))
        return Spec(
            self.path,
            self.source,
            self.overrides,
            **about,
            blocks=tuple(blocks),
            named=tuple(self.values.named),
            text=self.text,
            places=tuple(Places(keys, self.problems.at) for _, keys in entries),
        )

    # --- Keys

    def check_keys(self, keys: Keys, known: Sequence[str], what: str) -> None:
        """Refuses keys that do not exist."""
        for name, node in keys.items():
            if name not in known:
                self.problems.add(node.key or node, f"{shown(name)} is not {what}{self.key_remedy(name, known)}")

    def key_remedy(self, name: str, known: Sequence[str]) -> str:
        """What was probably meant by a key that does not exist."""
        path = owner(name)
        if name in FOR_ALL and known == BLOCK_KEYS:
            return ", it holds for all runs alike; write it outside the blocks"
        if name in SWEEP_KEYS and known == BLOCK_KEYS:
            return "; it is said of the whole sweep, write it outside the blocks"
        if SYNONYMS.get(name.lower()) in known:
            return f"; did you mean {SYNONYMS[name.lower()]}?"
        if path and path[0] in known:
            first = "name: …, " if path[0] in REGISTRIES else ""
            return f"; it is a setting, write {': {'.join(path)}: {{{first}{name}: …{'}' * len(path)}"
        return self.problems.hint(name, known) or "; remove it, or see lrsweep schema"

    def single(self, key: str, keys: Keys) -> Any:
        """The value of a key that takes one value, or its default."""
        return self.values.axis(key, keys.get(key, DEFAULTS[key])).make()[0]

    def default_name(self) -> str:
        """The name that the file's own gives."""
        name = self.path.stem.lower()
        try:
            RULES["name"].check.validate_python(name)
        except ValidationError:
            message = f"the file's name {shown(self.path.stem)} cannot name a results folder; add a key name: my-sweep"
            self.problems.add(self.root, message)
        return name

    def check_objective(self, objective: str | None, select: str | None) -> None:
        """The best epoch is known for what is recorded at every epoch, and a noisy score for the file's noise."""
        if found := NOISY.fullmatch(objective or ""):
            self.check_noisy(*found.groups())
        if select == "best" and objective not in (None, *PER_EPOCH):
            message = f"objective: {objective} is not recorded at every epoch, which select: best needs"
            self.problems.add(self.keys["objective"], f"{message}; choose from {', '.join(PER_EPOCH)}")

    def check_noisy(self, score: str, deviation: str) -> None:
        """A noisy score is measured at the deviations that the file names."""
        noise = self.single("noise", self.keys)
        if noise is None or None in noise:  # which is told already
            return
        measured = [f"{own:g}" for own in noise]
        if deviation not in measured:
            wanted = short(deviation)
            said = f"objective: {score}@{wanted} is not measured with noise {' '.join(measured[:5]) or 'none'}"
            remedy = f"choose {score}@{measured[0]}, or change noise" if measured else f"add a key noise: {wanted}"
            self.problems.add(self.keys["objective"], f"{said}; {remedy}")

    # --- Blocks

    def entries(self) -> list[tuple[Node, Keys]]:
        """The place and the keys of each block; of a file without blocks, its own."""
        found: list[tuple[Node, Keys]] = []
        listed = self.items("blocks", self.keys.get("blocks"))
        if len(listed) > self.max_runs:  # each is at least a run
            message = f"{len(listed):,} blocks are more runs than --max-runs {self.max_runs:,} allows"
            self.problems.add(self.keys["blocks"], f"{message}; give it fewer, or raise --max-runs")
        for entry in listed[: self.max_runs]:
            if isinstance(entry.value, dict):
                self.check_keys(entry.value, BLOCK_KEYS, "a key of a block")
                found.append((entry, self.keys | entry.value | self.overridden))
            else:
                message = f"blocks: {shown(entry.value)} is no block; write for example [{{width: 64, optimizer: sgd}}]"
                self.problems.add(entry, message)
        return found or [(self.root, self.keys)]

    def items(self, key: str, node: Node | None) -> list[Node]:
        """The entries of a key that holds a list; of a key that is not there, none."""
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
                self.problems.add(where, f"{key} is missing; add for example {key}: {EXAMPLES[key]}")
                axes[key] = Axis.of()
            else:
                axes[key] = self.values.axis(key, nodes.get(key, DEFAULTS[key]))
        self.check_parts(where, keys)
        return Draft(where, nodes, axes, self.zips(keys.get("zip"), axes), self.excludes(keys.get("exclude")))

    def check_parts(self, where: Node, keys: Keys) -> None:
        """Validation and test leave rows to train on."""
        parts = {key: self.single(key, keys) or 0.0 for key in ("validation", "test")}
        if sum(parts.values()) >= 1:
            said = " and ".join(f"{key} {value:g}" for key, value in parts.items())
            node = keys.get("validation", keys.get("test", where))
            self.problems.add(node, f"{said} leave no rows to train on, their sum must be below 1; lower one")

    def zips(self, node: Node | None, axes: dict[str, Axis]) -> list[list[str]]:
        """The groups of keys that advance together, each of one length."""
        groups = []
        for entry, group in self.zipped(node):
            counts = {key: axes[key].count for key in group}
            if len(set(counts.values())) == 1:
                groups.append(group)
            elif 0 not in counts.values():
                said = ", ".join(f"{key} has {big(count)}" for key, count in counts.items())
                self.problems.add(entry, f"zip: {said} values; give its keys lists of the same length")
        return groups

    @once
    def zipped(self, node: Node | None) -> list[tuple[Node, list[str]]]:
        """The entries of `zip`, each with the axes that it names."""
        found = []
        taken: set[str] = set()
        for entry in self.items("zip", node):
            nodes = entry.value if isinstance(entry.value, list) else []
            if len(nodes) < 2:
                said = shown(entry.value)
                self.problems.add(entry, f"zip: {said} must be a list of two keys or more; write zip: [[width, depth]]")
            group = [str(inner.value) for inner in nodes if self.can_zip(inner, taken)]
            if group:
                found.append((entry, group))
        return found

    def can_zip(self, node: Node, taken: set[str]) -> bool:
        """Whether a node names an axis that is not zipped yet; from now on it is."""
        key = str(node.value)
        if key in taken:
            self.problems.add(node, f"zip: {shown(node.value)} is zipped already; name it once")
            return False
        if key not in (*AXES, "seeds"):
            self.problems.add(node, f"zip: {shown(node.value)} is not an axis{self.key_remedy(key, AXES)}")
            return False
        taken.add(key)
        return True

    @once
    def excludes(self, node: Node | None) -> Excludes:
        """The combinations to leave out: the values of their keys."""
        found = Excludes([], [])
        for entry in self.items("exclude", node):
            if isinstance(entry.value, dict) and entry.value:
                self.check_keys(entry.value, RUN_KEYS, "a key that runs differ by")
                known = {key: inner for key, inner in entry.value.items() if key in RUN_KEYS}
                found.nodes.append(entry)
                found.entries.append({key: self.values.pattern(key, inner) for key, inner in known.items()})
            else:
                message = (
                    f"exclude: {shown(entry.value)} names no runs; write for example [{{optimizer: sgd, width: 256}}]"
                )
                self.problems.add(entry, message)
        return found
