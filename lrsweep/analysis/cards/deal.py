"""Which cards a sweep has: one for each of its axes, for how its rates were searched, and for noise if measured."""

from __future__ import annotations

from collections.abc import Callable

from lrsweep.analysis.cards.additions import addition_cards
from lrsweep.analysis.cards.card import Card
from lrsweep.analysis.cards.choice import choice_card
from lrsweep.analysis.cards.elimination import elimination_cards
from lrsweep.analysis.cards.noise import noise_card
from lrsweep.analysis.cards.range_test import range_test_cards
from lrsweep.analysis.cards.standings import Axis, Board, Material, boards
from lrsweep.analysis.cards.subset import subset_card
from lrsweep.analysis.cards.width import width_card

CARDS: dict[str, Callable[[Board, Axis], Card]] = {"width": width_card, "subset": subset_card}
"""Axes of sizes; every other axis is a choice between a few values."""


def deal(material: Material) -> tuple[Card, ...]:
    """The cards of a sweep, in the order of its axes, and of its datasets within each; the last is noise.

    Before that come what elimination dropped, what was added to the grid, and what a range test says.
    """
    tables = list(boards(material))
    order = dict.fromkeys(axis.name for board in tables for axis in board.axes())
    cards = [
        CARDS.get(name, choice_card)(board, axis)
        for name in order
        for board in tables
        for axis in board.axes()
        if axis.name == name
    ]
    searched = (*elimination_cards(material), *addition_cards(material), *range_test_cards(material))
    return (*cards, *searched, *(card for board in tables for card in [noise_card(board)] if card))
