"""The strict reader: text → nodes with positions.

What YAML offers beyond plain settings (anchors, aliases, tags, merge keys, several documents) is refused with a remedy.
Scalars follow the YAML 1.2 core schema, so `1e-3` is a number and `no` is text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from lrsweep.vocabulary import Problem, Scalar, SpecError

try:
    from yaml import CSafeLoader as SafeLoader
except ImportError:  # PyYAML was built without libyaml
    from yaml import SafeLoader  # type: ignore[assignment]

MAX_BYTES, MAX_DEPTH, MAX_DIGITS, MAX_REPORTED = 256_000, 20, 250, 20  # 16**250 still fits a float
MAX_VALUES = 20_000  # keeps PyYAML's pure Python parser, at some 25 µs a value, well within its second
COLUMNS = 76  # of a source line, so that it stands on an 80-column terminal with its indent

# Control characters, line breaks that are not \n, bidi controls, byte order marks, surrogates and non-characters.
REFUSED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
DIRECTIVE = re.compile(r"^%(?!YAML)", re.MULTILINE)  # libyaml's time grows with the square of their number
PROPERTY = re.compile(r"\s*([&*!][^\s,\[\]{}]*)")
REFUSED_PROPERTIES = {
    "&": "anchor {!r} is not allowed; write the value out wherever it is needed",
    "*": "alias {!r} is not allowed; write the value out",
    "!": "tag {!r} is not allowed; remove it",
}
SYNTAX_REMEDIES = {
    "tab character": "indent with spaces, not tabs",
    "cannot start any token": "indent with spaces, and quote a text that starts with @ ` % or >",
    "comment or line break": "quote a text that starts with >",
    "mapping values": "line up the keys of one mapping, and quote a text that contains ': '",
    "could not find expected ':'": "write `key: value`",
    "": "close what is open, and line up the keys of one mapping",
}


def integer(text: str, base: int = 10) -> int:
    """The number; ValueError where it has more digits than any setting could need."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"{short(text)} has more than {MAX_DIGITS} digits; write a smaller number")
    return int(text, base)


CORE_SCHEMA: tuple[tuple[re.Pattern[str], Callable[[str], Scalar | None]], ...] = (
    (re.compile(r"(~|null|Null|NULL)?"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (re.compile(r"[-+]?[0-9]+"), integer),
    (re.compile(r"0o[0-7]+"), lambda text: integer(text, 8)),
    (re.compile(r"0x[0-9a-fA-F]+"), lambda text: integer(text, 16)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)


def resolve(text: str) -> Scalar | None:
    """A plain scalar's value by the YAML 1.2 core schema.

    >>> [resolve(text) for text in ("1e-3", "012", "0xff", "no", "12:30:45", "~")]
    [0.001, 12, 255, 'no', '12:30:45', None]
    """
    return next((value(text) for pattern, value in CORE_SCHEMA if pattern.fullmatch(text)), text)


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place: line and column count from 1, `width` is in characters on the value's first line."""

    value: Scalar | list[Node] | dict[str, Node] | None
    line: int
    column: int
    width: int
    key: Node | None = None
    """Of a mapping's value: the node of its key, so that messages can point at the key."""

    def plain(self) -> Any:
        """The value as plain lists, dicts and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def read(data: bytes | str, origin: str) -> tuple[str, Node, list[Problem]]:
    """The text, its root (a mapping) and the problems that reading could go on after.

    Raises SpecError where nothing sensible can follow: not UTF-8, too long, too deep, not YAML, not one mapping.
    An alias reads as None and a number that is too long as its text; the problem has the node's place.

    >>> text, root, problems = read("width: [16, 64]", "demo.yaml")
    >>> root.plain(), problems
    ({'width': [16, 64]}, [])
    """
    text = decode(data, origin)
    loader = StrictLoader(text, origin)
    try:
        return text, loader.document(), loader.problems
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise SpecError(origin, text, [*loader.problems, syntax_problem(error, text)]) from error


def extent(text: str, node: Node) -> tuple[int, int]:
    """Where the source of a node starts and ends in the text that it was read from.

    >>> text, root, _ = read("width: [16,\\n 64]  # two", "demo.yaml")
    >>> text[slice(*extent(text, root.value["width"]))]
    '[16,\\n 64]'
    """
    start, end = offset(text, node.line - 1, node.column - 1), 0
    open_ones: list[bool] = []  # of the lists and mappings that are open, which are in flow style
    for event in yaml.parse(text, SafeLoader):
        first: Any = event.start_mark
        mark: Any = event.end_mark
        place = first.line + 1, first.column + 1
        if not end and (place != (node.line, node.column) or not isinstance(event, yaml.NodeEvent)):
            continue
        if isinstance(event, yaml.CollectionStartEvent):
            open_ones.append(bool(event.flow_style))
        closes = isinstance(event, yaml.CollectionEndEvent)
        # In block style a list or mapping ends where the next thing begins, past comments: its last value ends it.
        if not closes or open_ones.pop():
            end = offset(text, mark.line, mark.column)
        if not open_ones:
            break
    return start, end


def offset(text: str, line: int, column: int) -> int:
    """Where a line and a column, both counted from 0, are in a text.

    >>> offset("ab\\ncd", 1, 1)
    4
    """
    return sum(len(one) + 1 for one in text.split("\n")[:line]) + column


def decode(data: bytes | str, origin: str) -> str:
    r"""The text without byte order mark, its lines ending in \n; SpecError where it is no text to parse."""
    errors = "surrogatepass" if isinstance(data, str) else "strict"
    encoded = data.encode(errors=errors) if isinstance(data, str) else data
    if len(encoded) > MAX_BYTES:
        message = f"the file has {len(encoded):,} bytes, more than {MAX_BYTES:,}; use grids, or split the sweep"
        raise SpecError(origin, "", [Problem(message)])
    wide = encoded.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if wide or b"\0\0" in (encoded[:4:2], encoded[1:4:2]):
        raise SpecError(origin, "", [Problem("the file is UTF-16 or UTF-32, not UTF-8; save it as UTF-8")])
    encoded = encoded.removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        text = encoded.decode(errors=errors)
    except UnicodeDecodeError as error:
        message = f"byte 0x{encoded[error.start]:02x} is not UTF-8; save the file as UTF-8"
        before, shown = encoded[: error.start].decode(), encoded.decode(errors="backslashreplace")
        raise SpecError(origin, shown, [problem_after(before, message, width=4)]) from error
    if found := REFUSED.search(text) or DIRECTIVE.search(text):
        what = "a directive" if found[0] == "%" else codepoint(found[0])
        raise SpecError(origin, text, [problem_after(text[: found.start()], f"{what} is not allowed; remove it")])
    return text


def problem_after(before: str, message: str, width: int = 1) -> Problem:
    """The problem at the place where the text `before` ends."""
    return Problem(message, before.count("\n") + 1, len(before) - before.rfind("\n"), width)


def codepoint(character: str) -> str:
    """What a character is called that cannot be shown, e.g. `U+202E (RIGHT-TO-LEFT OVERRIDE)`."""
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'unprintable')})"


def short(text: str) -> str:
    """The text, or its beginning, at a length that a message can hold."""
    return text if len(text) <= 40 else f"{text[:39]}…"


def without_middle(message: str, most: int = 1_000) -> str:
    """A message, or its beginning and its end where a value in it is very long.

    >>> without_middle("the path aaaaaaaaaaaa is no file", most=20)
    'the path a … no file'
    """
    return message if len(message) <= most else f"{message[: most // 2]} … {message[3 - most // 2 :].lstrip()}"


def syntax_problem(error: Exception, text: str) -> Problem:
    """What PyYAML says, in one line and with a remedy, at the place that a person would look at."""
    said = " ".join(str(getattr(error, "problem", None) or error).split())
    mark: Any = getattr(error, "problem_mark", None)
    context: Any = getattr(error, "context_mark", None)
    if context and ("could not find expected ':'" in said or mark.line > text.rstrip().count("\n")):
        mark = context  # PyYAML points at what follows the mistake, or past the end
    elif context and context.line < mark.line:
        said += f" {getattr(error, 'context', '')} (line {context.line + 1})"
    remedy = next(remedy for part, remedy in SYNTAX_REMEDIES.items() if part in said)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(f"not valid YAML: {said}; {remedy}", line, column)


class StrictLoader(SafeLoader):
    """Walks the parser's events, which come one by one, so that a bomb is noticed before it is unpacked."""

    def __init__(self, text: str, origin: str) -> None:
        super().__init__(text)
        self.text, self.origin, self.lines = text, origin, text.split("\n")
        self.problems: list[Problem] = []
        self.values = 0

    def document(self) -> Node:
        """The root of the only document."""
        self.get_event()
        if self.check_event(yaml.StreamEndEvent):
            self.fail(self.get_event(), "the file is empty; `lrsweep init` writes one to start from")
        self.get_event()
        if not self.check_event(yaml.MappingStartEvent):
            self.fail(self.get_event(), "a sweep file is a mapping; write lines such as `width: 64`")
        root = self.node(depth=1)
        self.get_event()
        if not self.check_event(yaml.StreamEndEvent):
            self.fail(self.get_event(), "a second document starts here; keep one, without `---` between")
        return root

    def node(self, depth: int, key: Node | None = None) -> Node:
        """The next value with all that it contains; the root has depth 1."""
        event: Any = self.get_event()
        self.values += 1
        if self.values > MAX_VALUES:
            self.fail(event, f"more than {MAX_VALUES:,} values; write a long list as a count or a grid")
        if event.anchor or getattr(event, "tag", None):
            self.refuse_properties(event)
        if not isinstance(event, yaml.CollectionStartEvent):
            return Node(self.scalar(event), *self.place(event), key)
        if depth > MAX_DEPTH:
            self.fail(event, f"nested more than {MAX_DEPTH} deep; no setting needs that, remove the brackets")
        inside = self.mapping if isinstance(event, yaml.MappingStartEvent) else self.sequence
        return Node(inside(depth), *self.place(event), key)

    def sequence(self, depth: int) -> list[Node]:
        """The items up to the list's end."""
        items = []
        while not self.check_event(yaml.SequenceEndEvent):
            items.append(self.node(depth + 1))
        self.get_event()
        return items

    def mapping(self, depth: int) -> dict[str, Node]:
        """The entries up to the mapping's end; of a duplicate the first."""
        entries: dict[str, Node] = {}
        while not self.check_event(yaml.MappingEndEvent):
            key = self.key(depth)
            value = self.node(depth + 1, key)
            if key is None:
                continue
            name = str(key.value)
            first = entries.setdefault(name, value)
            if first.key and first is not value:
                self.report(key, f"duplicate key {short(name)!r} (first on line {first.key.line}); keep one")
        self.get_event()
        return entries

    def key(self, depth: int) -> Node | None:
        """The next key, its value always text; None, and a problem, for what cannot be one."""
        event, key = self.peek_event(), self.node(depth + 1)
        if isinstance(event, yaml.ScalarEvent) and (event.style or event.value != "<<"):
            if not isinstance(key.value, str):
                self.report(key, f"key {short(event.value) or 'null'} is not text; put it in quotes")
            return Node(event.value, key.line, key.column, key.width)
        if isinstance(event, yaml.ScalarEvent):
            self.report(key, "merge key '<<' is not allowed; write the keys out")
        elif isinstance(event, yaml.CollectionStartEvent):
            self.report(key, "a list or a mapping cannot be a key; write a text")
        return None

    def scalar(self, event: Any) -> Scalar | None:
        """A scalar's value; None for an alias, the text for a number that is too long."""
        if isinstance(event, yaml.AliasEvent):
            return None
        text: str = event.value
        if found := REFUSED.search(text):
            self.report(event, f"{codepoint(found[0])} is not allowed, not even as an escape; remove it")
        try:
            return text if event.style else resolve(text)
        except ValueError as error:
            self.report(event, str(error))
            return text

    def refuse_properties(self, event: Any) -> None:
        """Reports each anchor, alias and tag that stands before a value."""
        line, at = event.start_mark.line, event.start_mark.column
        while found := PROPERTY.match(self.lines[line], at):
            message = REFUSED_PROPERTIES[found[1][0]].format(short(found[1]))
            self.problems.append(Problem(message, line + 1, found.start(1) + 1, len(found[1])))
            at = found.end()

    def place(self, event: Any) -> tuple[int, int, int]:
        """Line, column and width of an event."""
        start, end = event.start_mark, event.end_mark
        last = end.column if end.line == start.line else len(self.lines[start.line])
        return start.line + 1, start.column + 1, max(1, last - start.column)

    def report(self, where: Any, message: str) -> None:
        """Notes a problem at a node or an event."""
        place = (where.line, where.column, where.width) if isinstance(where, Node) else self.place(where)
        self.problems.append(Problem(message, *place))

    def fail(self, event: Any, message: str) -> NoReturn:
        """Ends the reading with what was found so far."""
        self.report(event, message)
        raise SpecError(self.origin, self.text, self.problems)


def draw(error: SpecError) -> str:
    """The mistakes by place, each with its source line and carets under the value.

    >>> print(draw(SpecError("demo.yaml", "width: -3", [Problem("width: -3 is below 1; raise it", 1, 8, 2)])))
    demo.yaml:1:8: width: -3 is below 1; raise it
        width: -3
               ^^
    """
    problems = sorted(error.problems, key=lambda problem: (problem.origin, problem.line, problem.column))
    drawn = [f"{error.origin}: {len(problems)} mistakes"] if len(problems) > 1 else []
    for problem in problems[:MAX_REPORTED]:
        place = f"{problem.origin or error.origin}:{problem.line}:{problem.column}"
        drawn.append(f"{place}: {without_middle(problem.message)}")
        lines = (problem.text or error.text).split("\n")
        if 0 < problem.line <= len(lines) and lines[problem.line - 1].strip():
            drawn += underlined(lines[problem.line - 1], problem)
    if len(problems) > MAX_REPORTED:
        drawn.append(f"… and {len(problems) - MAX_REPORTED} more")
    return "\n".join("".join(cells(line)) for line in drawn)


def underlined(line: str, problem: Problem) -> list[str]:
    """The source line, cut to a window round the value, and the carets."""
    start = min(max(problem.column - 1, 0), len(line))
    end = start + max(problem.width, 1)
    before, value, after = cells(line[:start][-COLUMNS:]), cells(line[start:end][:COLUMNS]), cells(line[end:][:COLUMNS])
    row = before + value + after
    left = max(0, min(len(before) - COLUMNS // 2, len(row) - COLUMNS))
    shown = row[left : left + COLUMNS]
    if left:
        shown[0] = "… " if shown[1] == "" else "…"  # a wide character leaves two columns
    if len(row) > left + COLUMNS:
        shown[-1] = "…"
    caret = len(before) - left
    carets = "^" * max(1, min(len(value), COLUMNS - caret))
    return [f"    {''.join(shown)}", f"    {' ' * caret}{carets}"]


def cells(text: str) -> list[str]:
    """The text by terminal columns: wide characters take two, combining ones none, unprintable ones turn harmless."""
    row: list[str] = []
    for character in text.replace("\t", " "):
        if row and unicodedata.category(character) in ("Mn", "Me"):
            row[-1] += character
            continue
        row.append(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}")
        if unicodedata.east_asian_width(character) in "WF":
            row.append("")
    return row
