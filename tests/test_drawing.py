"""Pictures of characters mark what they are to mark, where it is."""

from __future__ import annotations

from summaries import VALLEY, WORSE
from sweeps_made_up import answered as made
from sweeps_made_up import rows

from lrsweep.report import drawing
from lrsweep.report.words import labels


def test_the_picture_marks_the_best_and_the_lost() -> None:
    picture = drawing.panel(
        [0.1, 1, 10], [1, 0.01, float("inf")], drawing.Marks(1, [0.1, 1]), (9, 3), (0.01, 1), True, (0.1, 10)
    )
    assert [line.find(drawing.BEST) for line in picture] == [-1, -1, 4, -1]
    assert picture[0].endswith(drawing.LOST)
    assert picture[3] == "━━━━━────"


def test_the_picture_marks_where_a_loss_leaves_it() -> None:
    picture = drawing.panel([0.1, 1, 10], [0.1, 1e30, 0.2], drawing.Marks(0), (9, 3), (0.1, 2), True, (0.1, 10))
    assert picture[0][4] == drawing.ABOVE


def test_the_picture_of_a_score_has_the_bad_at_the_bottom() -> None:
    picture = drawing.panel(
        [0.1, 1, 10], [0.5, 0.9, float("-inf")], drawing.Marks(1), (9, 3), (0.0, 0.9), False, (0.1, 10)
    )
    assert picture[0][4] == drawing.BEST
    assert picture[2][8] == drawing.LOST


def test_a_graph_goes_from_the_left_to_the_right_and_up_to_the_top() -> None:
    assert drawing.graph([2, 0], (4, 2), (0, 2)) == ["   2 ┤⠑⢄", "   0 ┤  ⠑⢄", "     └────"]


def test_troubles_between_good_rates_are_told_with_both_ends() -> None:
    grid, told = [1, 2, 3, 4, 5, 6], ["good", "overfitting", "overfitting", "good", "oscillating", "good"]
    assert drawing.regions(grid, told) == ["overfitting 2–3", "oscillating 5"]
    assert drawing.regions(grid, ["oscillating", "good"] * 3) == ["oscillating at 3 rates"]


def test_rates_without_a_diagnosis_say_nothing() -> None:
    assert drawing.regions([1, 2, 3], [None, float("nan"), "good"]) == []


def test_settings_that_differ_in_their_dataset_alone_are_called_by_all_that_they_are() -> None:
    both = [
        rows(values, dataset=dataset, optimizer=optimizer)
        for dataset in ("iris", "wine")
        for optimizer, values in (("sgd", WORSE), ("adam", VALLEY))
    ]
    answer = made(*both)
    best = [entry for entry in answer.entries if entry["setting"]["optimizer"] == "adam"]
    assert labels(answer, best) == ["iris: adam", "wine: adam"]
