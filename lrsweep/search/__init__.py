"""What is trained next, stage by stage: samples, rungs, the grid in full, and the rates that are added to it.

All of it follows from what is stored: the course of a sweep is that of one which was never interrupted, and what is
stored already is not trained again.
"""

from lrsweep.search.known import Known
from lrsweep.search.search import Search, Wave
from lrsweep.search.stages import sampled
from lrsweep.search.work import INEXACT, View, Work

__all__ = ["INEXACT", "Known", "Search", "View", "Wave", "Work", "sampled"]
