"""What a sweep is expected to come to: read by the door, refused at planning, and held against what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from plan_cases import planned
from spec_cases import loaded, written
from sweeps_made_up import about, answered, counts, curves, frame, reading, rows, timings

from lrsweep.analysis.answer import Answer, answer
from lrsweep.analysis.expectations import Check
from lrsweep.plan import make_plan
from lrsweep.provenance import about as stored
from lrsweep.spec import load_spec, template
from lrsweep.vocabulary import FAILED, SpecError

VALLEY = {0.001: [1.0, 1.1, 1.2], 0.01: [0.1, 0.11, 0.12], 0.1: [0.5, 0.6, None]}
"""The best rate is 0.01: mean loss 0.11, validation accuracy 0.9, test accuracy 0.81. One run diverged."""


def checked(*settings: list[dict[str, Any]], **expect: Any) -> list[tuple[str, str, bool]]:
    """`wanted`, `found` and `met` of each expectation."""
    checks = answered(*settings, expect=expect).checks
    assert [check.name for check in checks] == list(expect)
    return [(check.wanted, check.found, check.met) for check in checks]


def unfinished(**expect: Any) -> Answer:
    """The answer while one run is missing."""
    runs = frame(rows(VALLEY)).iloc[1:]
    told = counts(runs) | {"new": 1}
    return answer(runs, reading(curves(runs)), timings(runs), about(runs, expect=expect), told)


# The door and the plan


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", {}),
        ("null", {}),
        ("{best_val_accuracy: '>=0.95', failed: == 0}", {"best_val_accuracy": ">= 0.95", "failed": "== 0"}),
        ("{at_edge: false, best_rate: [1e-3, 1]}", {"at_edge": False, "best_rate": [0.001, 1.0]}),
        ("{best_rate: '> .1', best_val_r2: '<  -1e-2 '}", {"best_rate": "> .1", "best_val_r2": "< -1e-2"}),
    ],
)
def test_expectations_are_read_in_the_files_order(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    found = loaded(tmp_path, expect=text).expect
    assert [*found.items()] == [*expected.items()]


def test_an_override_takes_the_place_of_what_the_file_expects(tmp_path: Path) -> None:
    assert loaded(tmp_path, "", "expect=none", expect="{failed: == 0}").expect == {}


def test_the_templates_expectation_can_be_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "new.yaml"
    path.write_text(template().replace("# expect: ", "expect: "))
    assert load_spec(path).expect == {"best_val_accuracy": ">= 0.9", "at_edge": False}


def test_expectations_are_stored_and_in_no_runs_identity(tmp_path: Path) -> None:
    without, expecting = (planned(tmp_path, text) for text in ("", "expect: {failed: == 0}"))
    assert [one.run_id for one in without.runs] == [one.run_id for one in expecting.runs]
    assert stored(expecting)["expect"] == {"failed": "== 0"}


@pytest.mark.parametrize(
    ("task", "name", "said"),
    [
        (
            "classification",
            "best_val_r2",
            "best_val_r2 does not exist in classification (d.npz); try best_val_accuracy",
        ),
        (
            "regression",
            "best_test_accuracy",
            "best_test_accuracy does not exist in regression (d.npz); try best_test_r2",
        ),
    ],
)
def test_a_metric_of_another_task_is_refused_at_its_place(tmp_path: Path, task: str, name: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        planned(tmp_path, f"expect: {{failed: == 0, {name}: '>= 0.5'}}", task=task)
    [problem] = caught.value.problems
    assert (problem.message, problem.line, problem.column) == (f"expect.{said}", 2, 24 + len(name) + 2)


def test_a_test_metric_without_test_rows_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, dataset="iris", test="0", expect="{best_test_accuracy: '>= 0.9'}")
    with pytest.raises(SpecError) as caught:
        make_plan(load_spec(path))
    assert caught.value.problems[0].message.startswith("expect.best_test_accuracy needs test rows, but test is 0; ")


# What was found


@pytest.mark.parametrize(
    ("wanted", "met"),
    [(">= 0.9", True), ("<= 0.9", True), ("== 0.9", True), ("> 0.9", False), ("< 0.9", False), ("> 0.899", True)],
)
def test_each_comparison(wanted: str, met: bool) -> None:
    assert checked(rows(VALLEY), best_val_accuracy=wanted) == [(wanted, "0.9", met)]


@pytest.mark.parametrize(
    ("name", "wanted", "row"),
    [
        ("best_val_loss", "< 0.12", ("< 0.12", "0.11", True)),
        ("best_test_accuracy", ">= 0.81", (">= 0.81", "0.81", True)),
        ("best_rate", [0.01, 0.1], ("0.01 to 0.1", "0.01", True)),
        ("best_rate", [0.02, 0.1], ("0.02 to 0.1", "0.01", False)),
        ("best_rate", "< 0.01", ("< 0.01", "0.01", False)),
        ("at_edge", False, ("false", "false", True)),
        ("at_edge", True, ("true", "false", False)),
        ("diverged", "== 1", ("== 1", "1", True)),
        ("diverged", "< 1", ("< 1", "1", False)),
        ("failed", "== 0", ("== 0", "0", True)),
    ],
)
def test_what_counts(name: str, wanted: Any, row: tuple[str, str, bool]) -> None:
    assert checked(rows(VALLEY), **{name: wanted}) == [row]


def test_without_expectations_there_is_nothing_to_check() -> None:
    assert answered(rows(VALLEY)).checks == ()
    assert checked(rows(VALLEY)) == []


def test_a_best_rate_at_the_edge_is_told_with_its_side() -> None:
    low, high = {0.01: [0.1, 0.1], 0.1: [0.5, 0.6]}, {0.01: [0.5, 0.6], 0.1: [0.1, 0.1]}
    assert checked(rows(low), at_edge=False) == [("false", "true (0.01 is the lowest rate tried)", False)]
    assert checked(rows(high), at_edge=True) == [("true", "true (0.1 is the highest rate tried)", True)]


def test_of_several_settings_the_best_counts() -> None:
    """The rate and the edge are those of the setting with the lower loss, although the other has more test accuracy."""
    good, poor = rows(VALLEY, optimizer="adam"), rows({0.1: [0.9, 0.8], 1.0: [0.2, 0.3]}, optimizer="sgd")
    poor = [row | {"test_accuracy": 0.99, "val_accuracy": 0.95} for row in poor]
    assert checked(good, poor, best_rate="== 0.01", at_edge=False, best_test_accuracy="< 0.9") == [
        ("== 0.01", "0.01", True),
        ("false", "false", True),
        ("< 0.9", "0.81", True),
    ]
    assert checked(good, poor, best_val_accuracy="== 0.95", best_val_loss="< 0.2") == [
        ("== 0.95", "0.95", True),
        ("< 0.2", "0.11", True),
    ]


def test_each_dataset_has_to_meet_it() -> None:
    easy, hard = rows(VALLEY, dataset="iris"), rows({r: [9 * v for v in vs if v] for r, vs in VALLEY.items()})
    wanted = {"best_val_loss": "<= 0.5", "best_rate": [0.01, 0.01], "diverged": "== 1"}
    assert checked(easy, hard, **wanted) == [
        ("<= 0.5", "iris 0.11, digits 0.99", False),
        ("0.01 to 0.01", "iris 0.01, digits 0.01", True),
        ("== 1", "1", True),
    ]


def test_what_failed_and_what_crashed_count_together() -> None:
    runs = [row | ({"status": FAILED} if i == 0 else {"status": "crashed"} if i == 1 else {})
            for i, row in enumerate(rows(VALLEY))]  # fmt: skip
    assert checked(runs, failed="== 0") == [("== 0", "2", False)]


def test_what_is_not_known_is_not_met_and_says_why() -> None:
    dead = rows({0.01: [None, None], 0.1: [None, None]})
    wanted: dict[str, Any] = {"best_val_loss": ">= 0", "best_test_accuracy": ">= 0", "best_rate": "> 0"}
    for name in ("best_val_loss", "best_test_accuracy", "best_rate"):
        assert checked(dead, **{name: wanted[name]}) == [(wanted[name], "no run finished", False)]
    assert checked(dead, at_edge=False) == [("false", "no run finished", False)]
    assert checked(rows({0.01: [0.1, 0.2]}), at_edge=False) == [("false", "only one rate was tried", False)]
    lame = rows({0.01: [0.1, None], 0.1: [None, None]})
    assert (
        checked(lame, best_val_accuracy=">= 0", best_test_accuracy=">= 0")
        == [(">= 0", "not every seed finished at the best rate", False)] * 2
    )


@pytest.mark.parametrize(
    ("name", "wanted", "found"),
    [("best_val_accuracy", ">= 0", "0.9"), ("at_edge", False, "false"), ("failed", "< 9", "0")],
)
def test_missing_runs_leave_it_open(name: str, wanted: Any, found: str) -> None:
    [check] = unfinished(**{name: wanted}).checks
    assert (check.found, check.met) == (f"{found}, but 1 run is not trained yet", False)


def test_no_runs_at_all_leave_it_open() -> None:
    runs = frame(rows(VALLEY)).iloc[:0]
    told = about(frame(rows(VALLEY)), expect={"best_rate": "> 0"})
    [check] = answer(runs, reading(curves(runs)), timings(runs), told, counts(runs) | {"new": 9}).checks
    assert (check.found, check.met) == ("no run finished, but 9 runs are not trained yet", False)


def test_a_number_is_told_to_the_digit_that_decides() -> None:
    """0.94996 is not 0.95, and is not written so where 0.95 is wanted."""
    near = [row | {"val_accuracy": 0.949996} for row in rows(VALLEY)]
    assert checked(near, best_val_accuracy=">= 0.95") == [(">= 0.95", "0.949996", False)]
    assert checked(near, best_val_accuracy=">= 0.9") == [(">= 0.9", "0.95", True)]


def test_a_check_as_json() -> None:
    document = answered(rows(VALLEY), expect={"failed": "== 0"}).document()
    assert document["expect"] == [{"name": "failed", "wanted": "== 0", "found": "0", "met": True}]
    assert Check("failed", "== 0", "0", True).document() == document["expect"][0]
