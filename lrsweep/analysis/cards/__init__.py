"""Cards: what a sweep says about each of its axes."""

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.deal import deal
from lrsweep.analysis.cards.standings import Material

__all__ = ["Card", "Chart", "Col", "Material", "deal"]
