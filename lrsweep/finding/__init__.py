"""The range test: from a sweep file to the rates that are worth a sweep, for each of its settings."""

from lrsweep.finding.cases import HIGH, LOW, STEPS
from lrsweep.finding.find import Found, find

__all__ = ["HIGH", "LOW", "STEPS", "Found", "find"]
