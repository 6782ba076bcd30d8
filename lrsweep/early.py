"""The hold on a sweep's folder, before all that `run` needs is imported: who is refused need not wait for that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lrsweep.store import Hold
from lrsweep.vocabulary import NAME, SpecError, StoreError
from lrsweep.yaml_reader import MAX_BYTES, read


@contextmanager
def held(path: Path, overrides: Sequence[str], results: Path) -> Iterator[Hold | None]:
    """Holds a sweep's results folder, or raises BusyError. Whatever else is wrong is for others to tell: None."""
    hold = None
    with suppress(SpecError, StoreError, OSError, ValueError):
        if path.is_file() and path.stat().st_size <= MAX_BYTES:
            texts: list[bytes | str] = [path.read_bytes(), *overrides]
            name = [path.stem.lower(), *(name for text in texts for name in names_in(text))][-1]
            if re.fullmatch(NAME, name):
                hold = Hold(results / name)
    if hold is None:
        yield None
    else:
        with hold:
            yield hold


def names_in(text: bytes | str) -> Iterator[str]:
    """The name that a sweep file, or an override, gives the sweep, if it does.

    >>> [*names_in(b"{name: demo, width: 4}"), *names_in("name=other"), *names_in("width=4")]
    ['demo', 'other']
    """
    _, root, _ = read(text.replace("=", ": ", 1) if isinstance(text, str) else text, "")
    name = root.value.get("name")  # type: ignore[union-attr]
    if name and isinstance(name.value, str):
        yield name.value
