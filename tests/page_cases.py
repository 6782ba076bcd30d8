"""Sweeps with whole curves for the page's tests, and ways to read a page."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
from sweeps_made_up import UNTRAINED, about, counts, frame, reading, rows, timings

from lrsweep.analysis.answer import Answer, answer

VALLEY = {
    0.001: [1.0, 1.1, 1.2],
    0.01: [0.10, 0.11, 0.12],
    0.1: [0.5, 0.6, 0.7],
    1.0: [9.0, 8.0, None],
    10.0: [None] * 3,
}
WORSE = {rate: [None if value is None else value * 1.3 for value in values] for rate, values in VALLEY.items()}
EPOCHS = 8
MILLISECONDS = 180_000
"""What a browser may take on a loaded machine, where its start alone may take half a minute."""

HOSTILE = (
    """</script><script>alert(1)</script><!-- "><img src=x onerror=alert(2)> %{x} <a href="http://evil.example">"""
)


def curves(runs: pd.DataFrame) -> pd.DataFrame:
    """curves.csv: from untrained to each run's end, evenly on a log scale; a lost run ends after two epochs."""
    columns = ["run_id", "epoch", "step", "learning_rate", "train_loss", "val_loss", "val_accuracy"]
    found = []
    ends = runs["train_loss"].abs().clip(lower=1e-9)
    for run_id, end, rate in zip(runs["run_id"], ends, runs["learning_rate"], strict=True):
        losses = np.geomspace(UNTRAINED, end, EPOCHS + 1) if np.isfinite(end) else np.array([UNTRAINED, 40.0, np.nan])
        rates = [np.nan, *[rate] * (len(losses) - 1)]
        for epoch, (loss, now) in enumerate(zip(losses, rates, strict=True)):
            found.append((run_id, epoch, 34 * epoch, now, 0.8 * loss, loss, 0.1 * epoch))
    return pd.DataFrame(found, columns=columns)


def answered(*settings: list[dict[str, Any]], told: dict[str, Any] | None = None, **counted: int) -> Answer:
    """The whole answer to a made-up sweep; `told` goes into `about`, `counted` into the counts."""
    runs = frame(*settings)
    known = {"overrides": [], **about(runs), **(told or {})}
    return answer(runs, reading(curves(runs)), timings(runs), known, counts(runs) | counted)


def three_optimizers(**how: Any) -> Answer:
    """Two optimizers with seeds that are lost, and one whose best rate is the highest tried."""
    rising = {0.001: [1.9, 1.8, 1.7], 0.01: [0.9, 0.91, 0.92], 0.1: [0.5, 0.51, 0.52]}
    return answered(
        *(rows(of, optimizer=name) for name, of in (("adam", VALLEY), ("sgd", WORSE), ("lion", rising))), **how
    )


def hostile() -> Answer:
    """A sweep in which every text that a user can write tries to break out."""
    runs = [rows(VALLEY, dataset=HOSTILE, optimizer=name) for name in ("adam", HOSTILE)]
    for one in runs[0]:
        one["reason"] = HOSTILE if one["reason"] else ""
    return answered(*runs, told={"description": HOSTILE, "spec_path": HOSTILE, "overrides": [HOSTILE]})


@dataclass
class Element:
    """An element of a page: its attributes, the text directly and indirectly in it, and its scripts' data."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, tag: str = "", **wanted: str) -> list[Element]:
        """The elements within, at any depth, with these attributes; `class_` is one of the classes."""
        found = []
        for one in self.inside:
            fits = tag in ("", one.tag) and all(
                value
                in one.attributes.get(key.rstrip("_").replace("_", "-"), "").split(" " if key == "class_" else None)
                for key, value in wanted.items()
            )
            found += [*([one] if fits else []), *one.all(tag, **wanted)]
        return found

    def one(self, tag: str = "", **wanted: str) -> Element:
        """The only such element."""
        [found] = self.all(tag, **wanted)
        return found

    def data(self, name: str) -> Any:
        """What a script of data within holds."""
        return json.loads(self.one("script", class_=name).text)


def variants(element: Element, name: str) -> list[dict[str, Any]]:
    """A figure's pictures."""
    found: list[dict[str, Any]] = element.one("figure", id=name).data("variants")
    return found


class Reader(HTMLParser):
    """Reads a page into elements, as a browser would."""

    VOID = ("meta", "input", "link", "br")

    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {key: value or "" for key, value in attrs})
        self.open[-1].inside.append(element)
        if tag not in self.VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data


def read(html: str) -> Element:
    """The page as elements. Fails where they do not nest."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"never closed: {[element.tag for element in reader.open[1:]]}"
    return reader.open[0]
