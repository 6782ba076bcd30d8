"""What a value that is a mapping is called in few words: of growth and of rates by layer, what tells them apart."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

MAPPINGS = ("growth", "layer_rates")
"""Columns whose values may be mappings, as text."""

PART = re.compile(r"(\w+): ({[^}]*}|[^,{}]+)")
TOLD = {"at_epoch": "epoch ", "to_width": "to ", "rate": ""}
"""What parts of a mapping are called in few words; others by their names."""


def apart(column: str, values: Iterable[Any]) -> dict[Any, str]:
    """The values of a column of mappings, in the words that tell them apart; of other columns none.

    >>> rates = ["keep", "warmup", "{scale: 0.5}"]
    >>> [*apart("growth", [f"{{at_epoch: 5, to_width: 64, rate: {rate}}}" for rate in rates]).values()]
    ['none', 'keep', 'warmup', 'scale 0.5']
    >>> apart("layer_rates", ["1", "{decay: 0.5}"])["{decay: 0.5}"]
    'decay 0.5'
    """
    if column not in MAPPINGS:
        return {}
    usual = "1" if column == "layer_rates" else ""
    parts = {text: dict(PART.findall(text)) for text in values if isinstance(text, str)}
    found = {name: {own.get(name, usual) for own in parts.values()} for own in parts.values() for name in own}
    differing = [name for name in found if len(found[name]) > 1] or list(found)[:2]
    told: dict[Any, str] = {None: "none"}
    for text, own in parts.items():
        kept = [name for name in differing if name in own]
        kept = [name for name in kept if own[name] != usual] or kept
        few = [TOLD.get(name, f"{name} ") + own[name].strip("{}").replace(":", "") for name in kept]
        told[text] = ", ".join(few) or text
    return told
