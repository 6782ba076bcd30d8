"""What `plan` says of elimination, extending and refining: runs that they can cost, and what they could never do."""

import io
from pathlib import Path
from typing import Any

import pytest
from plan_cases import planned
from rich.console import Console
from test_printed import PLAN

from lrsweep.plan import Plan
from lrsweep.plan.outlook import outlook
from lrsweep.report.preview import print_plan, search_lines
from lrsweep.vocabulary import SpecError

GRID = "learning_rate: {log: [1e-4, 1], per_decade: 3}\n"


def told(plan: Plan) -> dict[str, Any]:
    found = outlook(plan.spec, plan.settings().values())
    assert found is not None
    return {key: options for key, options in found.items() if options}


def test_a_sweep_that_asks_for_none_of_it_has_no_outlook(tmp_path: Path) -> None:
    plan = planned(tmp_path, "elimination: none\nextend: none\nrefine: none")
    assert outlook(plan.spec, plan.settings().values()) is None


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("elimination: {screen: {seeds: 2}}\nseeds: 5", 13 * 2),
        ("elimination: {screen: {seeds: 2}}\nseeds: 1", 13),
        ("elimination: {screen: {seeds: 2}}\nseeds: 3\nwidth: [2, 3, 4]", 3 * 13 * 2),
        (
            "elimination: {screen: {seeds: 2}}\nblocks: [{seeds: 1, width: 2}, {width: 3, learning_rate: [0.1, 1]}]",
            13 + 4,
        ),
        # Seeds that some rates are without are not compared, and tell nothing.
        ("elimination: {screen: {seeds: 2}}\nblocks: [{seeds: [1, 2]}, {seeds: [2, 3], learning_rate: [2, 3]}]", 15),
        ("elimination: {screen: {subset: 60, epochs: 3}}\nepochs: [3, 4]\nseeds: 1", 13),
    ],
)
def test_the_sample_has_the_first_seeds_of_each_setting(tmp_path: Path, text: str, runs: int) -> None:
    assert told(planned(tmp_path, GRID + text))["screen"]["runs"] == runs


def test_the_sample_is_told_with_no_more_than_the_runs_have(tmp_path: Path) -> None:
    found = told(planned(tmp_path, f"{GRID}elimination: {{screen: {{seeds: 9, epochs: 100}}}}\nseeds: 3\nepochs: 16"))
    assert (found["screen"]["seeds"], found["screen"]["epochs"], found["screen"]["runs"]) == (3, 16, 39)


@pytest.mark.parametrize(
    ("text", "rungs"),
    [
        ("{factor: 3, min: 3}\nepochs: 20", [(20, [3, 9])]),
        ("{factor: 2, min: 5}\nepochs: [20, 4]", [(20, [5, 10]), (4, [])]),
        ("{factor: 2, min: 0.25, resource: subset}", [(60, [15, 30])]),
        ("{factor: 3, min: 10, resource: subset}\nsubset: [0.5, 1.0]", [(30, [10]), (60, [10, 30])]),
    ],
)
def test_rungs_are_told_for_each_length(tmp_path: Path, text: str, rungs: list[tuple[int, list[int]]]) -> None:
    """The made data has 60 training rows."""
    found = told(planned(tmp_path, f"{GRID}elimination: {{halving: {text.replace('}', '}}', 1)}"))["halving"]["rungs"]
    assert [(ladder["full"], ladder["at"]) for ladder in found] == rungs


@pytest.mark.parametrize(
    ("text", "rates", "runs"),
    [
        (GRID + "extend: {max_decades: 2}\nseeds: 3", 6, 18),
        ("learning_rate: {log: [1e-4, 3.16228e-3], per_decade: 4}\nextend: {max_decades: 3}\nseeds: 1", 12, 12),
        (GRID + "extend: {max_decades: 1}\nseeds: 3\nwidth: [2, 3]", 3, 18),
        ("learning_rate: [0.01, 0.1]\nextend: {max_decades: 0.5}\nseeds: 3", 0, 0),
        ("learning_rate: [0.1, 0.2, 2]\nextend: {max_decades: 2}\nseeds: 1", 6, 6),  # 2 decades are 6.6 doublings
        ("extend: {max_decades: 1}\nseeds: 2\nblocks: [{learning_rate: [0.1, 1], width: 2}, {learning_rate: 1}]", 2, 6),
    ],
)
def test_extending_goes_by_the_grids_own_step(tmp_path: Path, text: str, rates: int, runs: int) -> None:
    found = told(planned(tmp_path, text))["extend"]
    assert (found["rates"], found["runs"]) == (rates, runs)


def test_refining_adds_its_rates_to_every_setting(tmp_path: Path) -> None:
    found = told(planned(tmp_path, GRID + "refine: {max_rates: 4}\nseeds: 3\nwidth: [2, 3]"))["refine"]
    assert (found["rates"], found["runs"]) == (4, 24)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("elimination: halving\nepochs: 1", (2, 14), "elimination.halving: no run has more epochs than the first rung, "
         ".*, so that nothing is dropped; lower min, or raise epochs"),
        ("elimination: {halving: {min: 9}}\nepochs: [5, 9]", (2, 30), "elimination.halving: .* the first rung, 9, .*"),
        ("elimination: {halving: {min: 60, resource: subset}}", (2, 30), "elimination.halving: no run has more "
         "training rows than the first rung, 60, so that nothing is dropped; lower min, or raise subset"),
        ("elimination: {screen: {subset: 1.0, epochs: 20}}", (2, 23), "elimination.screen: the sample has all rows and "
         "epochs of the runs, so that it saves nothing; lower its subset or epochs"),
        ("elimination: {screen: {subset: 60, epochs: 20}}", (2, 23), "elimination.screen: .*"),
        ("elimination: {screen: {subset: 2}}", (2, 32), "elimination.screen: the sample has 2 rows, but there are 3 "
         "classes; raise its subset"),
    ],
)  # fmt: skip
def test_what_could_never_drop_a_rate_is_a_mistake(
    tmp_path: Path, text: str, place: tuple[int, int], message: str
) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        planned(tmp_path, f"{text}\n{GRID}")
    (found,) = caught.value.problems
    assert (found.line, found.column) == place


@pytest.mark.parametrize(
    "text",
    [
        "elimination: {halving: {min: 9}}\nepochs: [9, 10]",
        "elimination: {halving: {min: 59, resource: subset}}",
        "elimination: {screen: {subset: 1.0, epochs: 19}}",
        "elimination: {screen: {subset: 59, epochs: 99}}",
        "elimination: {screen: {subset: 0.5, epochs: 99}}\nsubset: [0.5, 1.0]",
    ],
)
def test_what_can_drop_a_rate_of_some_run_is_none(tmp_path: Path, text: str) -> None:
    assert told(planned(tmp_path, f"{text}\n{GRID}"))


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("elimination: screen\nrefine: true\nlearning_rate: 1", ["elimination 2", "refine 3"]),
        (
            "elimination: halving\nlearning_rate: [1, 2]\nwidth: [2, 4]\nzip: [[learning_rate, width]]",
            ["elimination 2"],
        ),
        ("elimination: halving\nblocks: [{learning_rate: 1}, {learning_rate: [1, 2], width: 3}]", []),
        ("refine: true\nlearning_rate: [1, 2]", ["refine 3"]),
        ("refine: true\nextend: true\nlearning_rate: 1", []),
    ],
)
def test_they_need_settings_of_several_rates(tmp_path: Path, text: str, keys: list[str]) -> None:
    found = []
    try:
        planned(tmp_path, text)
    except SpecError as error:
        found = [problem.message.partition(" rates or more, but its settings have ")[0] for problem in error.problems]
    assert sorted(found) == [key.replace(" ", " needs ") for key in keys]


SEARCH = {
    "screen": {"subset": 0.1, "epochs": 3, "seeds": 2, "runs": 52},
    "halving": {"factor": 3, "resource": "epochs", "guard": 2, "rungs": [{"full": 20, "at": [3, 9]}]},
    "extend": {"max_decades": 2.0, "rates": 6, "runs": 36},
    "refine": {"decades": 0.2, "max_rates": 6, "rates": 6, "runs": 36},
}


def test_the_plan_tells_what_may_be_dropped_and_added() -> None:
    file = io.StringIO()
    print_plan(PLAN | {"search": SEARCH}, Console(file=file, width=80))
    assert file.getvalue().splitlines()[4:] == [
        "  sample 52 runs first (subset 0.1, 3 epochs, 2 seeds) · may drop the ends",
        "  rungs  at 3, 9 of 20 epochs · 1 rate in 3 goes on, guard 2",
        "  extend may add up to 6 rates per setting, 36 runs · 2 decades beyond an edge",
        "  refine may add up to 6 rates per setting, 36 runs · to within 0.2 decades",
        "  stacks 6, up to 9 runs each",
        "  about  21 s in full with 2 workers (timed here: 3 steps of 2 shapes)",
        "         4.2 MB on disk",
    ]


def test_a_sample_that_is_trained_is_not_told() -> None:
    file = io.StringIO()
    print_plan(PLAN | {"search": SEARCH, "sampling": False}, Console(file=file, width=80))
    assert file.getvalue().splitlines()[4].startswith("  rungs ")


def test_the_plan_tells_how_many_of_the_runs_that_are_done_were_dropped() -> None:
    file = io.StringIO()
    print_plan(PLAN | {"dropped": 1}, Console(file=file, width=80))
    assert f"done {PLAN['counts']['done']} (dropped 1)   new" in file.getvalue()


def test_the_plan_tells_of_runs_that_were_added() -> None:
    file = io.StringIO()
    print_plan(PLAN | {"added": 6}, Console(file=file, width=80))
    assert file.getvalue().splitlines()[4] == "  added  6 runs of these, at rates that the sweep file does not name"


def test_a_finished_sweep_drops_and_adds_no_more() -> None:
    file = io.StringIO()
    print_plan(PLAN | {"search": SEARCH, "stacks": 0}, Console(file=file, width=80))
    assert [line[2:8].strip() for line in file.getvalue().splitlines()[1:]] == ["axes", "fixed", "runs", "about"]


def test_lines_are_of_what_is_asked() -> None:
    assert search_lines({"screen": None, "halving": SEARCH["halving"], "extend": None, "refine": None}).keys() == {
        "rungs"
    }
    assert search_lines({}) == {}


def test_rungs_of_many_lengths_stay_short() -> None:
    ladders = [{"full": n, "at": [3]} for n in range(10, 15)] + [{"full": 3, "at": []}]
    (line, kept) = search_lines({"halving": {"factor": 2, "resource": "subset", "guard": 0, "rungs": ladders}})["rungs"]
    assert line == "at 3 of 10; 3 of 11; 3 of 12; … training rows"
    assert kept == "1 rate in 2 goes on"
