"""The foot of the page: where its numbers are from, and how to get them again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lrsweep.report.page.markup import Html, tag, verbatim
from lrsweep.vocabulary import quoted

if TYPE_CHECKING:
    from lrsweep.analysis.answer import Answer


def foot(answer: Answer, provenance: Mapping[str, Any], spec_text: str) -> Html:
    """Provenance, the sweep file and the command."""
    told = [*_told(provenance)]
    return tag(
        "footer",
        tag("h2", "Where these numbers are from"),
        tag("dl", *(part for name, value in told for part in (tag("dt", name), tag("dd", value)))) if told else None,
        tag("p", "No provenance is stored with these results.") if not told else None,
        tag("p", "The same again:"),
        tag("pre", tag("code", _command(answer))),
        tag("details", tag("summary", "The sweep file"), tag("pre", tag("code", verbatim(spec_text))))
        if spec_text
        else None,
    )


def _told(provenance: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known, line by line."""
    versions, blas, data = (_mapping(provenance, key) for key in ("versions", "blas", "data"))
    lines = {
        "written": provenance.get("written"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "BLAS": " ".join(str(blas[key]) for key in ("name", "version") if key in blas),
        "machine": ", ".join(str(provenance[key]) for key in ("cpu", "platform") if provenance.get(key)),
        "workers": provenance.get("workers"),
        "commit": provenance.get("git_commit"),
        "data": ", ".join(f"{label} {fingerprint}" for label, fingerprint in data.items()),
        "numerics": provenance.get("numerics"),
    }
    yield from ((name, str(value)) for name, value in lines.items() if value not in (None, ""))


def _mapping(provenance: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    given = provenance.get(key)
    return given if isinstance(given, Mapping) else {}


def _command(answer: Answer) -> str:
    """The command that trains these runs."""
    overrides = [f"-o {quoted(override)}" for override in answer.about["overrides"]]
    return " ".join(["lrsweep run", quoted(answer.about["spec_path"]), *overrides])
