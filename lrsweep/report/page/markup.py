"""HTML as values: whatever is not `Html` already is text, and is escaped on its way in."""

from __future__ import annotations

import html
import json
import re
from typing import Any

VOID = ("meta", "input", "link", "br")

UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control characters, overrides of the direction of writing, and halves of characters."""


class Html(str):
    """Text that is HTML, made by the functions here and by nothing else."""


def clean(given: str) -> str:
    r"""Text on one line, without what a browser could take for more than text.

    >>> clean("a\n\u3000b\x00\u202e"), clean("👩\u200d💻")
    ('a  b��', '👩\u200d💻')
    """
    return UNSEEN.sub("�", re.sub(r"\s", " ", given))


def text(given: object) -> Html:
    """Anything as text, without control characters.

    >>> text("<b>\\x00")
    '&lt;b&gt;�'
    """
    return Html(html.escape(clean(str(given))))


def tag(name: str, /, *inside: object, **attributes: object) -> Html:
    """An element. Attributes that are None or False are left out, True is one without a value; `_` stands for `-`.

    >>> tag("p", "a < b", tag("b", 1), class_="x", aria_label='"')
    '<p class="x" aria-label="&quot;">a &lt; b<b>1</b></p>'
    """
    given = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
    told = [
        f" {key}" if value is True else f' {key}="{text(value)}"'
        for key, value in given.items()
        if value is not None and value is not False
    ]
    start = f"<{name}{''.join(told)}>"
    return Html(start if name in VOID else f"{start}{joined(*inside)}</{name}>")


def joined(*parts: object) -> Html:
    """Parts one after the other; None is nothing."""
    return Html("".join(part if isinstance(part, Html) else text(part) for part in parts if part is not None))


def verbatim(given: str) -> Html:
    """Text with its line breaks, as a `pre` shows it."""
    return Html("\n".join(text(line) for line in given.expandtabs(4).splitlines()))


def data(name: str, value: Any) -> Html:
    """A value for the page's script, as JSON that no parser of HTML can mistake for anything else.

    >>> data("x", "</script><!--")
    '<script type="application/json" class="x">"\\\\u003c/script\\\\u003e\\\\u003c!--"</script>'
    """
    told = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return Html(f'<script type="application/json" class="{name}">{told}</script>')
