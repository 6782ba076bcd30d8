"""Where in the file a run's value stands, for those who find later that something is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrsweep.spec.keys import default_settings
from lrsweep.vocabulary import Choice, Growth, LayerRates, Problem, Source
from lrsweep.yaml_reader import Node

NONE: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Places:
    """The nodes of a block's keys, the file's own among them; `at` makes a problem at a node."""

    nodes: dict[str, Node]
    at: Callable[[Node], Problem]

    def find(self, label: str, value: Any) -> Problem:
        """The place that a key's value, or the part of it that a label such as `growth.to_width` names, came from.

        Where no node has given that value, since it is a default or was put in later, the place of the whole key.
        """
        key, *path = label.split(".")
        if key not in self.nodes:
            return Problem("")
        if path and value is None:  # said of the sweep, so that no run has it
            return self.at(inside(self.nodes[key], path))
        return self.at(next(origins(self.nodes[key], plain(value), path, usual(key, value)), self.nodes[key]))

    def key(self, label: str) -> Problem:
        """The place of the whole key."""
        node = self.nodes.get(label.partition(".")[0])
        return self.at(node) if node else Problem("")


def origins(node: Node, value: Any, path: Sequence[str] = (), usual: Mapping[str, Any] = NONE) -> Iterator[Node]:
    """The nodes that give the value or, by the path into it, a part of it; `usual` is what a mapping need not name.

    >>> entries = Node([Node(8, 1, 9, 1), Node({"log": Node([], 2, 9, 4)}, 2, 3, 9)], 1, 8, 40)
    >>> [(one.line, one.column) for one in origins(entries, 8)]
    [(1, 9), (2, 3)]
    """
    inside = node.value
    if isinstance(inside, list):
        for item in inside:
            yield from origins(item, value, path, usual)
    elif isinstance(value, dict):
        parts = inside if isinstance(inside, dict) else {"name": node}
        named = all(key in value and any(origins(part, value[key])) for key, part in parts.items())
        if named and all(value[key] == usual.get(key) for key in value.keys() - parts.keys()):
            part = parts.get(path[0]) if path else None
            yield from origins(part, value[path[0]], path[1:]) if part else (node,)
    elif isinstance(inside, dict) or inside == value:  # a grid may have any value
        yield node


def inside(node: Node, path: Sequence[str]) -> Node:
    """The node at the end of a path of keys, or where the path ends early."""
    for key in path:
        if isinstance(node.value, dict) and key in node.value:
            node = node.value[key]
    return node


def plain(value: Any) -> Any:
    """A run's value as a sweep file would have it.

    >>> plain(Growth(3, 128, "scale", 0.5)), plain(LayerRates(decay=0.5))
    ({'at_epoch': 3, 'to_width': 128, 'rate': {'scale': 0.5}}, {'decay': 0.5})
    """
    match value:
        case Choice():
            return {"name": value.name, **dict(value.settings)}
        case LayerRates():
            return {"decay": value.decay} if value.decay != 1 else vars(value)
        case Growth():
            rate = {"scale": value.scale} if value.rate == "scale" else value.rate
            return {"at_epoch": value.at_epoch, "to_width": value.to_width, "rate": rate}
        case Source() if value.kind != "name":
            told = {key: text for key in ("target", "task") if (text := getattr(value, key))}
            return {value.kind: value.label.removesuffix("".join(f":{text}" for text in told.values())), **told}
        case Source():
            return value.label
    return value


def usual(key: str, value: Any) -> Mapping[str, Any]:
    """What the parts of a run's value are where the file does not name them."""
    match value:
        case Choice():
            return default_settings(key, value.name)
        case LayerRates():
            return vars(LayerRates())
        case Growth():
            return {"rate": "keep"}
    return NONE
