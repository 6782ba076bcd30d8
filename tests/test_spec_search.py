"""The keys `elimination`, `extend` and `refine`: what they may say, and every message about what they may not."""

import re
from pathlib import Path
from typing import Any

import pytest
from spec_cases import loaded, refused
from test_spec_schema import accepts

from lrsweep.analysis.additions import Extend, Refine
from lrsweep.analysis.elimination import Elimination, Halving, Screen
from lrsweep.spec import json_schema, load_spec, template
from lrsweep.spec.keys import RUN_KEYS, SEARCH_KEYS
from lrsweep.vocabulary import SpecError
from lrsweep.yaml_reader import draw, read

BOTH = Elimination(Screen(), Halving())

GOOD: list[tuple[str, str, Any]] = [
    *(("elimination", text, Elimination()) for text in ("none", "null", "false", "{halving: none, screen: false}")),
    *(("elimination", text, Elimination(screen=Screen())) for text in ("screen", "{screen: {}}", "{screen: true}")),
    *(
        ("elimination", text, Elimination(halving=Halving()))
        for text in ("halving", "{halving: {}}", "{halving: null}")
    ),
    *(("elimination", text, BOTH) for text in ("{screen: {}, halving: {}}", "{halving: , screen: }")),
    ("elimination", "{screen: {subset: 200}}", Elimination(Screen(subset=200))),
    ("elimination", "{screen: {subset: 1, epochs: 5, seeds: 1}}", Elimination(Screen(1.0, 5, 1))),
    ("elimination", "{halving: {factor: 4}}", Elimination(halving=Halving(factor=4))),
    ("elimination", "{halving: {min: 1, guard: 0}}", Elimination(halving=Halving(min=1, guard=0))),
    ("elimination", "{halving: {resource: epochs, min: 5}}", Elimination(halving=Halving(min=5))),
    ("elimination", "{halving: {resource: subset}}", Elimination(halving=Halving(resource="subset"))),
    (
        "elimination",
        "{halving: {min: 0.25, resource: subset}}",
        Elimination(halving=Halving(resource="subset", min=0.25)),
    ),
    ("elimination", "{halving: {resource: subset, min: 50}}", Elimination(halving=Halving(resource="subset", min=50))),
    *(("extend", text, None) for text in ("none", "null", "false", "{until_bracketed: false, max_decades: 1}")),
    *(("extend", text, Extend()) for text in ("until_bracketed", "true", "{}", "{until_bracketed: true}")),
    ("extend", "{until_bracketed: true, max_decades: 1}", Extend(1.0)),
    ("extend", "{max_decades: 0.5}", Extend(0.5)),
    *(("refine", text, None) for text in ("none", "null", "false")),
    *(("refine", text, Refine()) for text in ("true", "{}")),
    ("refine", "{decades: 0.1}", Refine(decades=0.1)),
    ("refine", "{decades: 1, max_rates: 3}", Refine(1.0, 3)),
]

BAD: list[tuple[str, str, int, str]] = [
    ("elimination", "halvin", 14,
     r"elimination: 'halvin' is unknown; choose from screen, halving, none; did you mean halving\?"),
    *(("elimination", text, 14, r"elimination: .* must be none, screen, halving, or a mapping of these; write .* both")
      for text in ("true", "0", "3", "[screen, halving]")),
    ("elimination", "{}", 14, "elimination: the mapping is empty; write for example {halving: {}}, or none"),
    ("elimination", "{halvng: {}}", 15, r"elimination: 'halvng' is unknown; .*; did you mean halving\?"),
    ("elimination", "{name: halving}", 15, "elimination: 'name' is unknown; choose from screen, halving"),
    ("elimination", "{factor: 3}", 15, "elimination: 'factor' is a setting of halving, as in {halving: {factor: .*; "
     "write it there"),
    ("elimination", "{subset: 0.1}", 15, "elimination: 'subset' is a setting of screen, as in {screen: {subset: .*"),
    ("elimination", "{screen: 3}", 23, "elimination.screen: 3 must be true, none, or how large .*; write .*"),
    ("elimination", "{screen: [1]}", 23, "elimination.screen: a list must be true, none, or how large .*"),
    ("elimination", "{screen: {subset: 0}}", 32, "elimination.screen.subset: 0 must be a fraction above 0 .*"),
    ("elimination", "{screen: {subset: [0.1]}}", 32, "elimination.screen.subset takes one value, not a list; keep one"),
    ("elimination", "{screen: {epochs: 0}}", 32, "elimination.screen.epochs: 0 must be at least 1; raise it"),
    ("elimination", "{screen: {seeds: 0}}", 31, "elimination.screen.seeds: 0 must be at least 1; raise it"),
    ("elimination", "{screen: {rows: 9}}", 24, "elimination.screen: 'rows' is unknown; choose from subset, .*, seeds"),
    ("elimination", "{halving: 3}", 24, "elimination.halving: 3 must be true, none, or its settings; write .*"),
    ("elimination", "{halving: asha}", 24, "elimination.halving: 'asha' must be true, none, or its settings; .*"),
    ("elimination", "{halving: {factor: 1}}", 33, "elimination.halving.factor: 1 must be at least 2; raise it"),
    ("elimination", "{halving: {factor: 2.5}}", 33, "elimination.halving.factor: 2.5 must be a whole number; .*"),
    ("elimination", "{halving: {guard: -1}}", 32, "elimination.halving.guard: -1 must be at least 0; raise it"),
    ("elimination", "{halving: {guards: 1}}", 25, r"elimination.halving: 'guards' is .*; did you mean guard\?"),
    ("elimination", "{halving: {resource: rows}}", 35,
     "elimination.halving.resource: 'rows' is unknown; choose from epochs, subset"),
    ("elimination", "{halving: {resource: [epochs]}}", 35, "elimination.halving.resource: a list is unknown; .*"),
    *(("elimination", f"{{halving: {{min: {text}}}}}", 30, "elimination.halving.min: .* must be a whole number of "
       "epochs from 1; write for example .*, or resource: subset") for text in ("0", "0.1", "3.0", "none")),
    *(("elimination", f"{{halving: {{resource: subset, min: {text}}}}}", 48, "elimination.halving.min: .* must be a "
       "fraction above 0 and below 1, or a whole .*") for text in ("0", "1", "1.0", "-0.5", "1.5", "true")),
    ("extend", "2", 9, "extend: 2 must be none, or how far; write for example {until_bracketed: true, max_decades: .*"),
    ("extend", "until_brackted", 9, "extend: 'until_brackted' must be none, or how far; .*"),
    ("extend", "[true]", 9, "extend: a list must be none, or how far; .*"),
    ("extend", "{max_decade: 2}", 10, r"extend: 'max_decade' is .*; did you mean max_decades\?"),
    ("extend", "{until_bracketed: 1}", 27, "extend.until_bracketed: 1 must be true or false; write one of them"),
    ("extend", "{max_decades: 0}", 23, "extend.max_decades: 0 must be above 0; raise it"),
    ("extend", "{max_decades: 11}", 23, "extend.max_decades: 11 must be at most 10; lower it"),
    ("extend", "{until_bracketed: false, max_decades: .nan}", 47, "extend.max_decades: nan must be finite; .*"),
    ("refine", "0.1", 9, "refine: 0.1 must be none, or how fine; write for example {decades: .*, max_rates: .*}"),
    ("refine", "{decades: 0}", 19, "refine.decades: 0 must be above 0; raise it"),
    ("refine", "{max_rates: 0}", 21, "refine.max_rates: 0 must be at least 1; raise it"),
    ("refine", "{max_rates: 2.5}", 21, "refine.max_rates: 2.5 must be a whole number; write for example .*"),
    ("refine", "{rates: 3}", 10, r"refine: 'rates' is unknown; choose from decades, max_rates; did you mean .*\?"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "text", "expected"), GOOD)
def test_a_good_value(tmp_path: Path, key: str, text: str, expected: Any) -> None:
    found = getattr(loaded(tmp_path, **{key: text}), key)
    assert repr(found) == repr(expected)  # 1 is not 1.0 here


@pytest.mark.parametrize(("key", "text", "column", "message"), BAD)
def test_a_bad_value(tmp_path: Path, key: str, text: str, column: int, message: str) -> None:
    (found,) = refused(tmp_path, **{key: text})
    assert re.fullmatch(f"3:{column}: {message}", found)


@pytest.mark.parametrize("key", SEARCH_KEYS)
def test_each_key_has_good_and_bad_values_above_and_is_off_without(tmp_path: Path, key: str) -> None:
    assert {row[0] for row in GOOD} == {row[0] for row in BAD} == set(SEARCH_KEYS)
    assert getattr(loaded(tmp_path), key) in (Elimination(), None)


def test_all_mistakes_of_the_three_keys_are_told_at_once(tmp_path: Path) -> None:
    found = refused(
        tmp_path,
        elimination="{screen: {epochs: 0, seeds: x}, halving: {resource: row, factor: 1, mim: 3}}",
        extend="{max_decades: -1, far: 3}",
        refine="{decades: a}",
    )
    assert [line.split(" ")[0] for line in found] == [
        "3:32:",
        "3:42:",
        "3:66:",
        "3:79:",
        "3:82:",
        "4:23:",
        "4:27:",
        "5:19:",
    ]


@pytest.mark.parametrize("key", SEARCH_KEYS)
def test_they_are_said_of_the_whole_sweep(tmp_path: Path, key: str) -> None:
    """Not of a block, not of runs that are left out, not of axes; and no run has them."""
    (found,) = refused(tmp_path, blocks=f"[{{{key}: none}}]")
    assert found == f"3:11: '{key}' is not a key of a block; it is said of the whole sweep, write it outside the blocks"
    assert refused(tmp_path, exclude=f"[{{{key}: none}}]")[0].startswith(f"3:12: '{key}' is not a key that runs differ")
    assert refused(tmp_path, zip=f"[[{key}, width]]")[0].startswith(f"3:8: zip: '{key}' is not an axis")
    assert key not in RUN_KEYS


def test_overrides_are_read_the_same_way(tmp_path: Path) -> None:
    spec = loaded(tmp_path, "", "extend={until_bracketed: true}", "elimination=halving", "refine=none", refine="true")
    assert (spec.elimination, spec.extend, spec.refine) == (Elimination(halving=Halving()), Extend(), None)
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, "", "elimination={halving: {factor: 1}}")
    drawn = (
        "-o elimination:1:33: elimination.halving.factor: 1 must be at least 2; raise it\n"
        "    elimination: {halving: {factor: 1}}\n"
        "                                    ^"
    )
    assert draw(caught.value) == drawn


@pytest.mark.parametrize("key", SEARCH_KEYS)
def test_the_templates_comment_can_be_taken_in(tmp_path: Path, key: str) -> None:
    path = tmp_path / "new.yaml"
    assert f"# {key}: " in template()
    path.write_text(template().replace(f"# {key}: ", f"{key}: "))
    assert getattr(load_spec(path), key) != getattr(loaded(tmp_path), key)


def test_the_schema_and_the_reader_agree() -> None:
    schema = json_schema()
    for rows, agreed in ((GOOD, True), (BAD, False)):
        for key, text, *_ in rows:
            value = read(f"v: {text}", "")[1].plain()["v"]
            assert accepts(schema["properties"][key], value, schema) == agreed, (key, text)
