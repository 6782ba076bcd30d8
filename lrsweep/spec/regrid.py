"""A sweep file with other rates: the text as it was, comments too, with new grids in the place of the old."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lrsweep.spec.drafts import MOST_RUNS
from lrsweep.spec.model import Block, Spec
from lrsweep.spec.reader import Reader, source_of
from lrsweep.vocabulary import SpecError, UsageError
from lrsweep.yaml_reader import Node, extent, read, resolve

RATE = "learning_rate"

Edit = tuple[int, int, str]
"""From where to where of a text something else is to stand, and what."""


@dataclass(frozen=True)
class Rates:
    """The places of a file's rates: the node of each block, a file without blocks being one; None where there is none.

    Blocks that take the file's own rates share its node.
    """

    path: Path
    text: str
    root: Node
    nodes: tuple[Node | None, ...]

    @classmethod
    def of(cls, path: Path) -> Rates:
        """Those of a sweep file. Raises SpecError and UsageError like `load_spec`, but does not check its keys."""
        text, root, _ = read(source_of(path), str(path))
        keys: dict[str, Node] = root.value  # type: ignore[assignment]
        listed = keys["blocks"].value if "blocks" in keys else None
        blocks = [one.value for one in listed if isinstance(one.value, dict)] if isinstance(listed, list) else []
        own = keys.get(RATE)
        return cls(path, text, root, tuple(block.get(RATE, own) for block in blocks) or (own,))

    @property
    def missing(self) -> bool:
        """Whether the file names no rate at all."""
        return not any(self.nodes)

    def groups(self) -> list[list[int]]:
        """The blocks, by index, that share a grid."""
        found: dict[int, list[int]] = {}
        for i, node in enumerate(self.nodes):
            found.setdefault(id(node), []).append(i)
        return list(found.values())

    def with_grids(self, grids: Sequence[str | None], name: str) -> str:
        """The text with these grids, one for each of the groups, None for one that keeps what it has.

        Where the file has no name of its own it is given this one, so that the new file is of the same sweep.
        """
        edits: list[Edit] = []
        for members, grid in zip(self.groups(), grids, strict=True):
            node = self.nodes[members[0]]
            if grid is not None:
                edits += [self.insertion(RATE, grid)] if node is None else replaced(self.text, node, grid)
        if "name" not in self.root.value:  # type: ignore[operator]
            edits.append(self.insertion("name", name if isinstance(resolve(name), str) else f"'{name}'"))
        text = self.text
        for start, end, new in sorted(edits, key=lambda edit: edit[0], reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def insertion(self, key: str, value: str) -> Edit:
        """A key before the first one of the file."""
        start, _ = extent(self.text, self.root)
        if self.text[start] == "{":
            return start + 1, start + 1, f"{key}: {value}, "
        return start, start, f"{key}: {value}\n{' ' * (self.root.column - 1)}"


def replaced(text: str, node: Node, grid: str) -> Iterator[Edit]:
    """The grid in a value's place; on a line that nothing but a comment follows on, with what it was as a comment."""
    start, end = extent(text, node)
    old = text[start:end]
    rest = text[end:].split("\n", 1)[0]
    alone = "\n" not in old and rest.strip()[:1] in ("", "#")
    yield start, end, f"{grid}   # from the range test; it was {old}" if alone else grid


def regridded(spec: Spec, target: Path, grids: Sequence[str | None]) -> str:
    """The sweep file of a spec with other grids, one for each group of `Rates`, as it is to stand in `target`.

    Raises UsageError where it would be another sweep: where rates advance with another key or are excluded, and where
    the data's path would not be found from there.
    """
    where, rates = f"--write {target}", Rates.of(spec.path)
    if zipped := [group for block in spec.blocks for group in block.zips if RATE in group]:
        others = " and ".join(key for key in zipped[0] if key != RATE)
        raise UsageError(
            f"{where}: {RATE} advances with {others} there (zip), as a grid cannot; remove it from the zip"
        )
    text = rates.with_grids(grids, spec.name)
    try:
        new = Reader(target, text.encode(), (), MOST_RUNS).spec()
    except SpecError as error:
        raise UsageError(f"{where}: with another grid the file is wrong: {error.problems[0].message}") from error
    old = Reader(spec.path, spec.source, (f"{RATE}=1",) if rates.missing else (), MOST_RUNS).spec()
    if [*map(without_rates, new.blocks)] != [*map(without_rates, old.blocks)]:
        folder = spec.path.absolute().parent
        raise UsageError(f"{where}: a path of the data starts from the file's folder; write it into {folder}")
    return text


def without_rates(block: Block) -> Block:
    """A block, but for its rates."""
    return replace(block, axes={key: values for key, values in block.axes.items() if key != RATE})
