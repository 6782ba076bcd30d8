"""The answer as one HTML file that needs nothing else: no network, no server, no other file."""

from lrsweep.report.page.document import page

__all__ = ["page"]
