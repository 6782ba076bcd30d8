"""The whole page: its sections in the reader's order, with all that they need inside."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from lrsweep.report.page import sections
from lrsweep.report.page.foot import foot
from lrsweep.report.page.head import described, head
from lrsweep.report.page.markup import Html, joined, tag
from lrsweep.report.page.runs import runs
from lrsweep.report.page.shown import MOST_ROWS, MOST_SETTINGS, Part, first, parts

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer


def page(answer: Answer, provenance: Mapping[str, Any], spec_text: str, *, runs_csv: str = "runs.csv") -> str:
    """The answer as one HTML file; without network, and the same to the byte for the same answer.

    `provenance` is what provenance.json holds, `spec_text` the sweep file; both may be empty. `runs_csv` is the path of
    that file seen from where the page will be. Raises ModuleNotFoundError where Plotly, which draws the figures, is
    not installed.
    """
    scripts = [_plotly(), _own("page.js")]
    shown = parts(answer, MOST_ROWS)
    told = [_figures(answer, shown), *sections.cards(answer), sections.diagnosis(answer, shown)]
    body = tag("body", head(answer), tag("main", *told, runs(answer, runs_csv)), foot(answer, provenance, spec_text))
    code = [Html(f"<script>{script}</script>") for script in scripts]
    return f"<!doctype html>\n{tag('html', _header(answer, scripts), body, *code, lang='en')}\n"


def _figures(answer: Answer, shown: Sequence[Part]) -> Html | None:
    """The figure, and the rates of each setting."""
    kept = first(shown, MOST_SETTINGS)
    return joined(sections.by_rate(answer, kept), sections.in_detail(answer, kept)) if answer.entries else None


def _header(answer: Answer, scripts: list[str]) -> Html:
    """The head element, with the rule that nothing may be loaded and no other script may run."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in scripts)
    policy = {
        "default-src": "'none'",
        "script-src": hashes,
        "style-src": "'unsafe-inline'",  # Plotly sets styles of its elements
        "img-src": "data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content="; ".join(map(" ".join, policy.items()))),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", described(answer)),
        Html(f"<style>{_own('page.css')}</style>"),
    )


def _own(name: str) -> str:
    return files("lrsweep.report.page").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    """Plotly's script, as its package ships it."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
