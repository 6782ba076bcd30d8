"""What the range test tells in the terminal, and the command that follows: one that works, whatever was found."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from find_cases import TEXT, find, found, runner
from rich.console import Console

import lrsweep as package
from lrsweep import finding
from lrsweep.cli import app
from lrsweep.report.ranges import print_ranges
from lrsweep.spec import load_spec

TOO_LOW = ("--low", "1e-7", "--high", "1e-6")
"""Rates at which nothing moves."""

OWN = "the file's own rates"


# Where there is nothing to find


@pytest.mark.parametrize(
    "arguments",
    [
        TOO_LOW,
        ("--low", "1e3", "--high", "1e7"),
        ("-o", "dataset={file: huge.csv, target: y}", "-o", "standardize=false"),
    ],
    ids=["flat", "diverges", "nan"],
)
def test_hopeless_ramps_have_no_interval_and_a_clear_word(spec: Path, arguments: tuple[str, ...]) -> None:
    Path("huge.csv").write_text("x,y\n" + "".join(f"{i}e36,{i % 2}\n" for i in range(100)))
    for entry in found(*arguments):
        assert (entry["interval"], entry["suggestion"], entry["trust"]) == (None, None, "none")
        assert len(entry["reason"].split()) > 3
    out, said = find(*arguments)
    assert "▲ adam: no interval; " in out
    assert said.splitlines()[-1].startswith("Next: lrsweep find small.yaml")


@pytest.mark.parametrize("arguments", [TOO_LOW, ("--low", "1e-9", "--high", "1e-6"), ("--low", "1e3", "--high", "1e7")])
def test_after_a_ramp_of_the_wrong_rates_the_next_command_finds_an_interval(
    spec: Path, arguments: tuple[str, ...]
) -> None:
    spec.write_text(TEXT.replace("learning_rate: 3, ", ""))
    out, said = find("-o", "optimizer=adam", *arguments)
    assert "no interval" in out
    following = shlex.split(said.splitlines()[-1])
    assert following[:3] == ["Next:", "lrsweep", "find"]
    out, said = find(*following[4:])
    assert out.split("\n\n")[1].startswith("adam: sweep 0.")
    assert said.splitlines()[-1].startswith("Next: lrsweep run small.yaml -o optimizer=adam -o 'learning_rate=")


@pytest.mark.parametrize("rates", ["learning_rate: 0.01, ", ""])
@pytest.mark.parametrize(
    ("remedy", "option"), [("finer", "--steps 400"), ("higher", "--high 10000"), ("lower", "--low")]
)
def test_where_no_ramp_tells_anything_the_last_command_is_a_sweep_that_can_be_run(
    spec: Path, rates: str, remedy: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lrsweep.analysis.ranges.hopeless", lambda *_: ("nothing", remedy))
    spec.write_text(TEXT.replace("learning_rate: 3, ", rates))
    said = find()[1]
    assert said.startswith(f"Next: lrsweep find small.yaml {option}")
    for _ in range(3):
        if "Next: lrsweep run" not in said:
            said = find(*shlex.split(said.splitlines()[-1])[4:])[1]
    assert f"the next command sweeps {OWN if rates else 'a wide grid'}\n" in said
    command, *arguments = shlex.split(said.splitlines()[-1])[2:]
    assert (command, runner.invoke(app, ["plan", *arguments]).exit_code) == ("run", 0)


def test_data_that_are_no_numbers_are_followed_by_no_command(spec: Path) -> None:
    Path("huge.csv").write_text("x,y\n" + "".join(f"{i % 7},{1 + i}e30\n" for i in range(100)))  # squares overflow
    spec.write_text("{dataset: {file: huge.csv, target: y}, standardize: false, epochs: 1}")
    out, said = find()
    assert "not finite from the first step on, before any rate acts: look at the data" in " ".join(out.split())
    assert "Next" not in said


# What is printed


def test_the_sentence_to_act_on_comes_first_and_the_next_command_works(spec: Path) -> None:
    out, said = find("-o", "optimizer=adam")
    assert out.split("\n\n")[1].startswith("adam: sweep 0.")
    command = said.splitlines()[-1]
    assert command.startswith("Next: lrsweep run small.yaml -o optimizer=adam -o 'learning_rate={log: [0.")
    low, high = found("-o", "optimizer=adam")[0]["interval"]
    assert f"[{low:.2g}, {high:.2g}], per_decade: 4}}'" in command


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(spec: Path, width: int) -> None:
    result = package.find(spec, overrides=["width=16,32", "schedule=constant,cosine"], layers=True, confirm=False)
    lines = printed(result, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("◆" in line for line in lines)


def test_a_console_of_ascii_has_tables_and_no_drawing(spec: Path) -> None:
    text = printed(package.find(spec, confirm=False), encoding="ascii")
    assert "momentum: sweep 0." in text
    assert "?" not in text
    assert "└" not in text
    assert "+---" not in text


def printed(result: finding.Found, width: int = 80, encoding: str = "utf-8") -> str:
    import io

    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, newline="")
    print_ranges(result.findings, result.about, Console(file=file, width=width))
    file.flush()
    return raw.getvalue().decode(encoding)


def test_many_settings_have_one_sentence_and_the_tables_say_what_they_leave_out(spec: Path) -> None:
    result = package.find(spec, overrides=[f"width={list(range(2, 24))}", "optimizer=adam"], confirm=False, steps=30)
    intervals = result.ranges[["interval_low", "interval_high"]]
    low, high = (float(f"{end:.2g}") for end in (intervals.min().iloc[0], intervals.max().iloc[1]))
    text = " ".join(printed(result).split())
    assert f"Sweep {low:.3g} to {high:.3g}, which holds the intervals of" in text
    assert "2 more in ranges.csv." in text
    assert "16 more in ranges.csv." in text
    assert "18 more ramps in ramps.csv." in text


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ((0.3, 0.2, 0.02), "adam: try layer_rates: {first: 3, hidden: 2, last: 0.2}."),
        ((0.3, 0.3, 0.2), "adam: its layers want nearly the same rate."),
        ((0.3, None, 0.2), None),
    ],
)
def test_ranges_of_layers_come_to_multipliers_with_a_mean_of_one(
    spec: Path, rates: tuple[float | None, ...], said: str | None
) -> None:
    result = package.find(spec, overrides=["depth=2", "optimizer=adam"], layers=True, confirm=False)
    whole, *parts = result.findings
    changed = [replace(one, test=replace(one.test, suggestion=rate)) for one, rate in zip(parts, rates, strict=True)]
    text = " ".join(printed(replace(result, findings=(whole, *changed)), width=120).split())
    assert ("adam: try" in text or "adam: its layers" in text) == (said is not None)
    assert (said or "") in text


def test_multipliers_of_layers_are_a_key_of_the_sweep_file(spec: Path) -> None:
    text = printed(package.find(spec, overrides=["depth=2", "optimizer=sgd", "epochs=20"], layers=True, confirm=False))
    [rates] = re.findall(r"try layer_rates: (\{.*?\})", text)
    load_spec(spec, ["depth=2", f"layer_rates={rates}"])


def test_the_file_that_was_written_is_named_among_the_files(spec: Path) -> None:
    out, _ = find("--no-confirm", "--write", "new.yaml", "--quiet")
    assert out.splitlines()[-1] == "Files: results/small/  ranges.csv ramps.csv  new.yaml"


def test_the_rates_that_were_written_lie_in_the_interval_that_the_summary_compares_with(spec: Path) -> None:
    """Ends too, which are the best rate where the interval is too low."""
    [entry] = found("--no-confirm", "-o", "optimizer=adam")
    find("--no-confirm", "-o", "optimizer=adam", "--write", "new.yaml")
    grid = load_spec(Path("new.yaml")).blocks[0].axes["learning_rate"]
    row = pd.read_csv("results/small/ranges.csv").iloc[0]
    assert [grid[0], grid[-1]] == entry["interval"] == [row["interval_low"], row["interval_high"]]


def test_a_report_before_any_sweep_says_what_there_is(spec: Path) -> None:
    find("--no-confirm")
    result = runner.invoke(app, ["report", "small"])
    assert result.exit_code == 3
    assert "results/small has only a range test, ranges.csv; lrsweep run SPEC makes" in " ".join(result.stderr.split())
