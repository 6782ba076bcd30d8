"""Cards: what a sweep says about each of its axes."""

from lrsweep.analysis.cards.card import Card, Chart, Col
from lrsweep.analysis.cards.deal import deal
from lrsweep.analysis.cards.findings import Findings

__all__ = ["Card", "Chart", "Col", "Findings", "deal"]
