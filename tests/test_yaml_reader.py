"""The strict reader: what it reads, what it refuses, where it points, and that nothing makes it stumble."""

import importlib.util
import math
import sys
from pathlib import Path

import pytest
import yaml
from hostile_cases import BIG
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from soon import takes_at_most

import lrsweep.yaml_reader
from lrsweep.vocabulary import Problem, SpecError
from lrsweep.yaml_reader import draw, read


@pytest.fixture(params=["libyaml", "python"])
def any_read(request, monkeypatch):
    """`read` on libyaml, and as it is where PyYAML was built without."""
    if request.param == "libyaml":
        return read
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    spec = importlib.util.spec_from_file_location("pure_reader", Path(lrsweep.yaml_reader.__file__))
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pure_reader", module)
    spec.loader.exec_module(module)
    assert module.SafeLoader is yaml.SafeLoader
    return module.read


def plain(text):
    _, root, problems = read(text, "x.yaml")
    assert not problems
    return root.plain()


def places(text, reader=read):
    """Each problem's line, column, width and message."""
    try:
        problems = reader(text, "x.yaml")[2]
    except SpecError as error:
        problems = error.problems
    return [(problem.line, problem.column, problem.width, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("1e-3", 0.001),
        ("1.", 1.0),
        (".5", 0.5),
        ("-1.5E+2", -150.0),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("12", 12),
        ("012", 12),
        ("-7", -7),
        ("0o17", 15),
        ("0xff", 255),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2020-01-01", "2020-01-01"),
        ("٣", "٣"),
        ("-0x1f", "-0x1f"),
        ("e3", "e3"),
        (".", "."),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        ("|\n  12", "12"),
    ],
)
def test_scalars_follow_the_core_schema(scalar, value):
    read_back = plain(f"a: {scalar}")["a"]
    assert (type(read_back), read_back) == (type(value), value)


def test_nan_is_a_number():
    assert math.isnan(plain("a: .nan")["a"])


def test_lists_and_mappings_nest():
    text = "a: [1, {b: x}]\nc:\n- d: 2\n  e: [3]\n"
    assert plain(text) == {"a": [1, {"b": "x"}], "c": [{"d": 2, "e": [3]}]}


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfa: 1", "\ufeffa: 1", "%YAML 1.2\n---\na: 1\n...\n", "a: 1\r\n", b"a: 1\r"]
)
def test_tolerated_forms(data):
    assert plain(data) == {"a": 1}


def test_nodes_know_their_places():
    root = read("# first\nrates:\n  - 0.1\n  - 'two words'\n", "x.yaml")[1]
    first, second = root.value["rates"].value
    assert [(node.line, node.column, node.width) for node in (first, second)] == [(3, 5, 3), (4, 5, 11)]


def test_a_value_knows_its_key():
    key = read("a: 1\nwidth: 64", "x.yaml")[1].value["width"].key
    assert (key.value, key.line, key.column, key.width) == ("width", 2, 1, 5)


def test_places_count_characters():
    """Neither bytes nor UTF-16 units, and every line ending counts once."""
    node = read("a: 1\r\nb: [é😀, x]\r", "x.yaml")[1].value["b"].value[1]
    assert (node.line, node.column) == (2, 9)


@pytest.mark.parametrize(
    ("text", "line", "column", "width", "message"),
    [
        ("width: 1\na: 2\nwidth: 3", 3, 1, 5, "duplicate key 'width' (first on line 1); keep one"),
        ("a: {b: 1, b: 2}", 1, 11, 1, "duplicate key 'b' (first on line 1); keep one"),
        ("a: *x", 1, 4, 2, "alias '*x' is not allowed; write the value out"),
        ("a: &x 1", 1, 4, 2, "anchor '&x' is not allowed; write the value out wherever it is needed"),
        ("&x a: 1", 1, 1, 2, "anchor '&x' is not allowed; write the value out wherever it is needed"),
        ("a: !!int '1'", 1, 4, 5, "tag '!!int' is not allowed; remove it"),
        ("a: [1, !x [2]]", 1, 8, 2, "tag '!x' is not allowed; remove it"),
        ("<<: {a: 1}", 1, 1, 2, "merge key '<<' is not allowed; write the keys out"),
        ("1: a", 1, 1, 1, "key 1 is not text; put it in quotes"),
        ("true: a", 1, 1, 4, "key true is not text; put it in quotes"),
        ("? [a]\n: 1", 1, 3, 1, "a list or a mapping cannot be a key; write a text"),
        (f"a: {'9' * 500}", 1, 4, 500, f"{'9' * 39}… has more than 250 digits; write a smaller number"),
        ('a: "\\e"', 1, 4, 4, "U+001B (unprintable) is not allowed, not even as an escape; remove it"),
    ],
)
def test_reading_goes_on_after(text, line, column, width, message, any_read):
    assert any_read(text, "x.yaml")[2] == [Problem(message, line, column, width)]


def test_two_properties_are_two_problems():
    assert [place[:3] for place in places("a: &x  !y 1")] == [(1, 4, 2), (1, 8, 2)]


def test_the_first_of_duplicate_keys_is_kept():
    assert read("a: 1\na: 2", "x.yaml")[1].plain() == {"a": 1}


def test_a_quoted_merge_key_is_an_ordinary_key():
    assert plain("'<<': 1") == {"<<": 1}


def test_what_was_found_before_a_fatal_mistake_is_told_too():
    assert [place[0] for place in places("a: 1\na: 2\nb: [1")] == [2, 3]


@pytest.mark.parametrize(
    ("data", "line", "column", "part"),
    [
        (b"a: 1\nb: \xff", 2, 4, "byte 0xff is not UTF-8; save"),
        ("a: 1".encode("utf-16"), 1, 1, "is UTF-16 or UTF-32"),
        ("a: 1".encode("utf-16-be"), 1, 1, "is UTF-16 or UTF-32"),
        (b"a: 1 #" + b"x" * 256_000, 1, 1, "256,006 bytes, more than 256,000; use"),
        ("a: x\0", 1, 5, "U+0000 (unprintable) is not allowed; remove"),
        ("a: 1\nb: \u202ex", 2, 4, "U+202E (RIGHT-TO-LEFT OVERRIDE) is not"),
        ("a: x\u2066", 1, 5, "U+2066 (LEFT-TO-RIGHT ISOLATE) is not"),
        ("a: x\x85", 1, 5, "U+0085"),
        ("a: x\ud800", 1, 5, "U+D800"),
        ("a: 1\nb: \ufeff", 2, 4, "U+FEFF"),
        ("%TAG ! x\n---\na: 1", 1, 1, "a directive is not allowed; remove"),
        ("a: 1\n---\nb: 2", 2, 1, "a second document starts here; keep one"),
        ("- 1", 1, 1, "a sweep file is a mapping; write"),
        ("text", 1, 1, "a sweep file is a mapping; write"),
        ("", 1, 1, "the file is empty; `lrsweep init`"),
        ("# only a comment\n", 2, 1, "the file is empty; `lrsweep init`"),
        ("a: b: c", 1, 5, "quote a text that contains ': '"),
        ("a: 1\n\tb: 2", 2, 1, "indent with spaces"),
        ("a: @x", 1, 4, "quote a text that starts with @"),
        ("a: 1\nwidth 64\nb: 1", 2, 1, "write `key: value`"),
        ("a: [1, 2\n", 1, 4, "close what is open"),
        ("a: " + "[" * 20, 1, 23, "nested more than 20 deep; no"),
    ],
)
def test_fatal_mistakes(data, line, column, part):
    with pytest.raises(SpecError) as caught:
        read(data, "x.yaml")
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (line, column)
    assert part in problem.message


def test_twenty_levels_are_read():
    assert plain("a: " + "[" * 19 + "]" * 19)


def test_the_limit_of_values():
    assert len(plain(f"a: [{'1,' * 19_997}]")["a"]) == 19_997
    assert "more than 20,000 values" in places(f"a: [{'1,' * 19_998}]")[0][3]


@pytest.mark.parametrize("name", BIG)
def test_big_input_is_read_or_refused_soon_and_briefly(name, any_read):
    """Without libyaml it takes longer than the second that it may, but not much."""

    def told():
        try:
            text, _, problems = any_read(BIG[name], "x.yaml")
            error = SpecError("x.yaml", text, problems)
        except SpecError as caught:
            error = caught
        assert len(draw(error)) < 10_000

    assert takes_at_most(5, told)


FRAGMENTS = st.sampled_from(
    [
        *"ab1~é日😀-?:[]{},'\"#%@|> \n\t\r\x00\x85\u0301\u202e\ud800\ufeff",
        *(": ", "- ", "? ", "\n  ", "&a ", "*a ", "!t ", "!!str ", "<<: ", "---", "...", "0x", "1e3"),
        *("\\x41", "\\ud800", "\\U00110000"),
    ]
)


@given(st.lists(FRAGMENTS, max_size=12).map("".join) | st.text(max_size=20) | st.binary(max_size=20))
@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nothing_but_a_spec_error_escapes(any_read, data):
    try:
        text, root, problems = any_read(data, "x.yaml")
        root.plain()
        error = SpecError("x.yaml", text, problems)
    except SpecError as caught:
        error = caught
    assert not [c for c in draw(error) if c != "\n" and not c.isprintable()]


def drawing(text, *problems):
    return draw(SpecError("x.yaml", text, list(problems))).split("\n")


def test_one_mistake_is_drawn_without_a_header():
    assert drawing("a: [sgd, adm]", Problem("unknown", 1, 10, 3)) == [
        "x.yaml:1:10: unknown",
        "    a: [sgd, adm]",
        "             ^^^",
    ]


def test_mistakes_are_drawn_by_place_under_a_header():
    drawn = drawing("a: 1\nb: 2", Problem("late", 2, 4), Problem("right", 1, 4), Problem("left", 1, 1))
    assert drawn[:1] + drawn[1::3] == [
        "x.yaml: 3 mistakes",
        "x.yaml:1:1: left",
        "x.yaml:1:4: right",
        "x.yaml:2:4: late",
    ]


def test_twenty_mistakes_are_drawn_and_the_rest_counted():
    drawn = drawing("", *(Problem("bad", line) for line in range(1, 26)))
    assert drawn[0] == "x.yaml: 25 mistakes"
    assert drawn[-2:] == ["x.yaml:20:1: bad", "… and 5 more"]


@pytest.mark.parametrize("line", [0, -1, 2, 99])
def test_a_place_outside_the_text_has_no_source_line(line):
    assert drawing("a: 1", Problem("bad", line)) == [f"x.yaml:{line}:1: bad"]


def test_a_column_past_the_line_is_drawn_at_its_end():
    assert drawing("a:", Problem("empty", 1, 50, 9))[1:] == ["    a:", "      ^"]


@pytest.mark.parametrize("before", ["", "x" * 30, "x" * 60, "x" * 5_000])
@pytest.mark.parametrize("after", ["", "y" * 60, "y" * 5_000])
def test_a_long_line_is_cut_round_the_caret(before, after):
    _, source, carets = drawing(f"{before}BAD{after}", Problem("bad", 1, len(before) + 1, 3))
    at = carets.index("^")
    assert source[at : at + carets.count("^")] == "BAD"
    assert len(source) <= 80


def test_cut_ends_are_marked():
    _, source, _ = drawing("x" * 100 + "BAD" + "y" * 100, Problem("bad", 1, 101, 3))
    assert (source[4], source[-1], len(source)) == ("…", "…", 80)


@pytest.mark.parametrize(
    ("before", "columns"),
    [("\t", 1), ("\x1b", 1), ("\u202e", 1), ("\ud800", 1), ("é", 1), ("e\u0301", 1), ("日", 2), ("😀", 2)],
)
def test_carets_stand_under_the_value_whatever_comes_before(before, columns):
    carets = drawing(f"{before}BAD", Problem("bad", 1, len(before) + 1, 3))[2]
    assert carets == " " * (4 + columns) + "^^^"


def test_messages_cannot_steer_the_terminal():
    assert drawing("", Problem("\x1b[31m")) == ["x.yaml:1:1: �[31m"]


def test_the_shared_loaders_are_left_alone():
    """The plain loaders still read YAML 1.1 after ours has read."""
    read("a: no", "x.yaml")
    assert yaml.safe_load("a: no") == {"a": False}
